"""Devices by themselves; tests/conformance/test_devices_reference.py compares them with PyTorch."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest

from pellucid import devices
from pellucid.devices import as_device, canonical, check_available, default_device, device


def test_equal_devices_are_one_object() -> None:
    assert device("cuda:1") is device("cuda", 1) is device(type="cuda", index=1) is device(device("cuda:1"))
    assert device("cpu") is not device("cpu:0")
    text: object = "cpu"
    assert device("cpu") != text
    assert pickle.loads(pickle.dumps(device("cuda:1"))) is device("cuda:1")
    assert pickle.loads(pickle.dumps(device("cpu"))) is copy.deepcopy(device("cpu")) is device("cpu")


def test_parts() -> None:
    assert (device("cuda:1").type, device("cuda:1").index) == ("cuda", 1)
    assert (str(device("cuda:1")), repr(device("cuda:1"))) == ("cuda:1", "device(type='cuda', index=1)")
    assert device("cpu").index is None
    with pytest.raises(AttributeError, match="not writable; make another device"):
        device("cpu").index = 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must not be empty"),
        ("gpu", "Expected one of cpu, cuda, .* at start of device string: gpu$"),
        ("CPU", "written in lower case: 'cpu'$"),
        ("cuda:x", "Invalid device string: 'cuda:x'; write a device type and perhaps an index"),
        ("cuda:128", "Device index must be at most 127; got cuda:128"),
    ],
)
def test_bad_strings(text: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        device(text)


def test_number_means_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_usable", {"cpu": 1})
    with pytest.raises(RuntimeError, match="The device 1 means GPU number 1"):
        device(1)
    devices.make_usable("cuda", 2)
    assert device(1) is device("cuda:1")


def test_as_device() -> None:
    assert as_device(None) is device("cpu")
    assert as_device("cuda:1") is as_device(device("cuda:1")) is device("cuda", 1)
    for wrong in (1.5, True, ["cpu"]):
        with pytest.raises(TypeError, match=r"zeros\(\): argument 'device' must be torch.device, not"):
            as_device(wrong, "zeros")  # type: ignore[arg-type]


def test_canonical() -> None:
    assert canonical(device("cpu:3")) is device("cpu")
    assert canonical(device("cuda")) is device("cuda:0")
    assert canonical(device("cuda:1")) is device("cuda:1")
    assert canonical(device("meta")) is device("meta")


def test_context() -> None:
    seen = []
    with device("meta") as outer, device("cuda"), device("meta"):
        assert outer is default_device() is device("meta")
        thread = threading.Thread(target=lambda: seen.append(default_device()))
        thread.start()
        thread.join()
    assert seen == [device("cpu")]
    with pytest.raises(KeyError), device("meta"):
        raise KeyError
    assert default_device() is device("cpu")


def test_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_usable", {"cpu": 1})
    check_available(device("cpu:5"), "zeros")
    with pytest.raises(
        AssertionError, match=r"zeros\(\): device 'cuda' asked for, but no GPU is usable by Pellucid"
    ):
        check_available(device("cuda"), "zeros")
    with pytest.raises(AssertionError, match="cannot use XPU devices"):
        check_available(device("xpu"), "zeros")
    with pytest.raises(
        NotImplementedError, match="no kernels for 'mps'; usable device types on this machine: cpu"
    ):
        check_available(device("mps"), "zeros")
    devices.make_usable("cuda", 2)
    check_available(device("cuda"), "zeros")
    check_available(device("cuda:1"), "zeros")
    with pytest.raises(RuntimeError, match=r"'cuda:2' does not exist; this machine has 2 cuda device\(s\)"):
        check_available(device("cuda:2"), "zeros")
