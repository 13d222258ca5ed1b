"""`batch_norms` under PyTorch's name: programs ask ``isinstance(module, nn.modules.batchnorm._BatchNorm)``."""

from pellucid.nn.modules.batch_norms import BatchNorm1d as BatchNorm1d
from pellucid.nn.modules.batch_norms import BatchNorm2d as BatchNorm2d
from pellucid.nn.modules.batch_norms import BatchNorm3d as BatchNorm3d
from pellucid.nn.modules.batch_norms import _BatchNorm as _BatchNorm
from pellucid.nn.modules.batch_norms import _RunningNorm as _NormBase  # noqa: F401
