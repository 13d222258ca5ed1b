"""Modules: registration, states, hooks, copies."""

import copy
import pickle
from typing import Any

import pytest

import pellucid as torch
from pellucid import nn


class Net(nn.Module):
    """Two layers, a parameter and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        return self.layers(x) * self.scale


def test_assignment_registers() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "scale", "layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias",
    ]  # fmt: skip
    assert list(net.state_dict()) == [
        "scale", "seen", "layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias",
    ]  # fmt: skip


def test_a_parameter_keeps_its_place_when_it_is_replaced() -> None:
    net = nn.Linear(2, 2)
    net.weight = nn.Parameter(torch.zeros(2, 2))
    assert list(net.state_dict()) == ["weight", "bias"]
    assert not net.weight.any()


def test_state_goes_from_one_to_another() -> None:
    a, b = Net(), Net()
    assert str(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    x = torch.randn(5, 3)
    assert torch.equal(a(x), b(x))


def test_wrong_states_are_named() -> None:
    net, state = Net(), Net().state_dict()
    del state["scale"]
    state["extra"] = torch.zeros(1)
    state["seen"] = torch.zeros(3)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    assert "Missing key(s)" in str(error.value)
    assert '"extra"' in str(error.value)
    assert "size mismatch for seen" in str(error.value)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_independent(copied: Any) -> None:
    net = Net()
    other = copied(net)
    x = torch.randn(2, 3)
    assert torch.equal(net(x), other(x))
    with torch.no_grad():
        other.scale.mul_(2)
    assert torch.allclose(net(x) * 2, other(x))
    assert isinstance(other.scale, nn.Parameter)
    assert other.scale.requires_grad


def test_training_and_evaluation() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    x = torch.randn(50, 3)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_conversion_keeps_the_parameters() -> None:
    net = Net()
    before = list(net.parameters())
    assert net.double() is net
    assert all(a is b and b.dtype is torch.float64 for a, b in zip(before, net.parameters(), strict=True))
    net(torch.randn(1, 3, dtype=torch.float64)).sum().backward()
    assert net.scale.grad.dtype is torch.float64


def test_hooks_come_and_go() -> None:
    net, seen = Net(), []
    with net.register_forward_hook(lambda module, inputs, result: seen.append(result.shape)):
        net(torch.zeros(2, 3))
    net(torch.zeros(2, 3))
    assert seen == [(2, 2)]


def test_always_called_hooks_see_failures() -> None:
    net, seen = Net(), []
    net.register_forward_hook(lambda module, inputs, result: seen.append(result), always_call=True)
    with pytest.raises(RuntimeError):
        net(torch.zeros(2, 5))
    assert seen == [None]


def test_gradient_hooks() -> None:
    net, seen = Net(), []
    net.layers[0].register_full_backward_hook(lambda module, before, after: seen.append((before, after)))
    x = torch.randn(2, 3, requires_grad=True)
    net(x).sum().backward()
    ((before, after),) = seen
    assert torch.equal(before[0], x.grad)
    assert after[0].shape == (2, 4)


def test_shared_layers_train_as_one() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    twice = nn.Sequential(net[0], net[0])
    assert len(list(twice.parameters())) == 2
    assert list(twice.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize("missing", ["DataParallel", "SyncBatchNorm"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(AttributeError, match=f"torch.nn.{missing} is missing from Pellucid"):
        getattr(nn, missing)


def test_modules_under_the_names_that_programs_ask_for() -> None:
    modules = nn.modules
    assert isinstance(nn.BatchNorm2d(3), modules.batchnorm._BatchNorm)
    assert not isinstance(nn.InstanceNorm2d(3), modules.batchnorm._BatchNorm)
    assert isinstance(nn.InstanceNorm2d(3), modules.instancenorm._InstanceNorm)
    assert isinstance(nn.ConvTranspose1d(1, 1, 1), modules.conv._ConvNd)
    assert modules.utils._pair(3) == (3, 3)
    assert modules.utils._triple([1, 2, 3]) == (1, 2, 3)
    assert nn.utils.__name__ == "pellucid.nn.utils"


def test_to_keeps_the_parameters() -> None:
    with pytest.raises(RuntimeError, match="copy"):
        nn.Linear(2, 2).to("cpu", copy=True)


def test_prefixes_of_wrappers_come_off() -> None:
    state = nn.Sequential(nn.BatchNorm1d(2)).state_dict()
    wanted = nn.BatchNorm1d(2).state_dict()
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "0.")
    assert list(state) == list(wanted)
    nn.BatchNorm1d(2).load_state_dict(state)
