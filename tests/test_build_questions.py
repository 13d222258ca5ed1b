"""What programs ask and set at their top: GPUs, libraries, versions, precision, mixed precision."""

from __future__ import annotations

from typing import Any

import pytest

import pellucid as torch
from pellucid.version import TorchVersion


def test_no_gpu() -> None:
    assert not torch.cuda.is_available()
    assert not torch.backends.mps.is_available()
    assert not torch.mps.is_available()
    assert not torch.xpu.is_available()
    assert not torch.accelerator.is_available()
    assert torch.cuda.device_count() == torch.cuda.memory_allocated() == torch.accelerator.device_count() == 0
    assert torch.accelerator.current_accelerator() is None
    assert torch.version.cuda is None
    torch.cuda.manual_seed_all(1)
    torch.cuda.empty_cache()
    for call in (torch.cuda.synchronize, torch.cuda.current_device, torch.cuda.get_device_name):
        with pytest.raises(AssertionError, match=r"no GPU is usable.*torch.cuda.is_available"):
            call()


def test_switches_are_kept() -> None:
    cudnn = torch.backends.cudnn
    assert not cudnn.benchmark
    with cudnn.flags(benchmark=True):
        assert cudnn.benchmark
    assert not cudnn.benchmark
    torch.backends.cuda.matmul.allow_tf32 = True
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")
    assert not torch.backends.cuda.matmul.allow_tf32
    with pytest.warns(UserWarning, match="has no effect"):
        torch.set_float32_matmul_precision("low")
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    torch._assert(True, "never")
    with pytest.raises(AssertionError, match="shapes"):
        torch._assert(torch.zeros(()) == 1, "shapes")


def test_versions_are_compared_by_their_numbers() -> None:
    version = TorchVersion("2.13.0+pellucid0.1.0")
    assert version >= "2.5"
    assert version > "1.13"
    assert version < (2, 14)
    assert version < "2.13.1a0"
    assert version != "2.13.0"
    assert version == str(version)
    assert version.split(".")[0] == "2"
    with pytest.raises(TypeError, match="no version"):
        assert version > 2


def test_autocast() -> None:
    with torch.autocast("cpu", enabled=False):
        assert torch.ones(2).dtype is torch.float32
    with pytest.warns(UserWarning, match="CUDA is not available"), torch.autocast("cuda"):
        pass
    with pytest.raises(NotImplementedError, match="missing from Pellucid"), torch.autocast("cpu"):
        pass
    with pytest.raises(RuntimeError, match="device_type 'meta'"):
        torch.autocast("meta")


def one_step(scaler: Any, optimizer: Any, loss: Any) -> None:
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def test_grad_scaler() -> None:
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = torch.optim.SGD([p], lr=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    one_step(scaler, optimizer, (p * torch.tensor([1.0, 2.0])).sum())
    assert p.tolist() == [0.5, 1.0]
    one_step(scaler, optimizer, (p * float("inf")).sum())
    assert p.tolist() == [0.5, 1.0]
    assert scaler.get_scale() == 2.0
    one_step(scaler, optimizer, p.sum())
    one_step(scaler, optimizer, p.sum())
    assert scaler.get_scale() == 4.0
    assert p.tolist() == [-0.5, 0.0]
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.get_scale() == 4.0
    scaler.scale(p.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    with pytest.raises(AssertionError, match="scaler.scale"):
        torch.amp.GradScaler("cpu").step(optimizer)
    with pytest.warns(UserWarning, match="Disabling"):
        assert not torch.cuda.amp.GradScaler().is_enabled()
