"""The libraries that PyTorch computes with, under the names of ``torch.backends``: which of them are here.

Pellucid uses none but its own kernels and OpenBLAS. The switches of the others keep what a program sets, so that its
first lines run; they choose between ways that do not exist here.
"""

from __future__ import annotations

from pellucid.backends import cpu as cpu
from pellucid.backends import cuda as cuda
from pellucid.backends import cudnn as cudnn
from pellucid.backends import mkl as mkl
from pellucid.backends import mkldnn as mkldnn
from pellucid.backends import mps as mps
from pellucid.backends import openmp as openmp
