"""`convolution` under PyTorch's name: programs ask ``isinstance(module, nn.modules.conv._ConvNd)``."""

from pellucid.nn.modules.convolution import Conv1d as Conv1d
from pellucid.nn.modules.convolution import Conv2d as Conv2d
from pellucid.nn.modules.convolution import Conv3d as Conv3d
from pellucid.nn.modules.convolution import ConvTranspose1d as ConvTranspose1d
from pellucid.nn.modules.convolution import ConvTranspose2d as ConvTranspose2d
from pellucid.nn.modules.convolution import ConvTranspose3d as ConvTranspose3d
from pellucid.nn.modules.convolution import _Convolution as _ConvNd  # noqa: F401
from pellucid.nn.modules.convolution import _Transposed as _ConvTransposeNd  # noqa: F401
