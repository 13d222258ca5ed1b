"""Instance norms under PyTorch's name of the module."""

from pellucid.nn.modules.batch_norms import InstanceNorm1d as InstanceNorm1d
from pellucid.nn.modules.batch_norms import InstanceNorm2d as InstanceNorm2d
from pellucid.nn.modules.batch_norms import InstanceNorm3d as InstanceNorm3d
from pellucid.nn.modules.batch_norms import _InstanceNorm as _InstanceNorm
