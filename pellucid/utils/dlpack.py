"""Memory shared with other libraries by the DLPack protocol."""

from __future__ import annotations

from enum import IntEnum

from pellucid.operators.literals import from_dlpack as from_dlpack
from pellucid.operators.literals import to_dlpack as to_dlpack


class DLDeviceType(IntEnum):
    """The kinds of devices that the protocol knows."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17
