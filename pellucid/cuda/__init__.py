"""NVIDIA's GPUs, under the names of ``torch.cuda``: what programs ask before they choose a device.

A question about a GPU that cannot be used raises AssertionError, as PyTorch's CPU build does; what concerns all
GPUs (seeds, caches, totals) holds for none as well.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pellucid.cuda import amp as amp
from pellucid.devices import check_available, device, usable
from pellucid.tensor import Tensor

Device = Any  # a device, its text or its number; None is the current one


def is_available() -> bool:
    """Whether tensors can be kept on a GPU."""
    return usable("cuda") > 0


def device_count() -> int:
    """How many GPUs can be used."""
    return usable("cuda")


def is_initialized() -> bool:
    """Whether a GPU has been used."""
    return False


def init() -> None:
    """Start the driver.

    Raises:
        AssertionError: no GPU is usable; so do all functions below that ask for one.
    """
    _require("init")


def current_device() -> int:
    """The number of the GPU in use."""
    return _require("current_device")


def set_device(device: Device) -> None:
    """Make it the current one."""
    _require("set_device", device)


def synchronize(device: Device = None) -> None:
    """Wait until the GPU has done what was asked of it."""
    _require("synchronize", device)


def get_device_name(device: Device = None) -> str:
    """What its maker calls the GPU."""
    raise _no_facts("get_device_name", device)


def get_device_capability(device: Device = None) -> tuple[int, int]:
    """Major and minor number of what the GPU can do."""
    raise _no_facts("get_device_capability", device)


def get_device_properties(device: Device = None) -> Any:
    """Name, memory, processors."""
    raise _no_facts("get_device_properties", device)


def mem_get_info(device: Device = None) -> tuple[int, int]:
    """Free and total bytes."""
    raise _no_facts("mem_get_info", device)


def _require(function: str, where: Device = None) -> int:
    """The number of the GPU that is meant; AssertionError if there is none."""
    wanted = device("cuda", where if isinstance(where, int) else 0) if where is None or isinstance(where, int) else device(where)
    check_available(wanted, f"cuda.{function}")
    return wanted.index or 0


def _no_facts(function: str, where: Device) -> NotImplementedError:
    _require(function, where)
    return NotImplementedError(f"cuda.{function}() is missing from Pellucid")


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes in bfloat16."""
    return is_available()


def get_arch_list() -> list[str]:
    """The kinds of GPU that kernels were built for: none, they are made when they are needed."""
    return []


# -- what holds for all GPUs, of which there may be none --------------------------------------------------------------


def manual_seed(seed: int) -> None:
    """Seed the current GPU's generator. `pellucid.manual_seed` seeds all."""


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs."""


def seed() -> None:
    """Seed the current GPU's generator with a number that cannot be foreseen."""


def seed_all() -> None:
    """Seed the generators of all GPUs with a number that cannot be foreseen."""


def get_rng_state_all() -> list[Tensor]:
    """The state of each GPU's generator."""
    return []


def empty_cache() -> None:
    """Give freed memory on GPUs back."""


def memory_allocated(device: Device = None) -> int:
    """Bytes on the GPU that tensors use."""
    return 0


def max_memory_allocated(device: Device = None) -> int:
    """The most that it ever was."""
    return 0


def memory_reserved(device: Device = None) -> int:
    """Bytes on the GPU that are held, used or free."""
    return 0


def max_memory_reserved(device: Device = None) -> int:
    """The most that it ever was."""
    return 0


def memory_stats(device: Device = None) -> OrderedDict[str, Any]:
    """Figures of the GPU's memory."""
    return OrderedDict()
