"""Recurrent layers: tanh, LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014).

All time steps' products with the input are one matrix product; the loop over time is plain Python.
"""

from __future__ import annotations

from math import sqrt
from typing import Any
from warnings import warn

from pellucid.errors import shape_text
from pellucid.nn import functional as F
from pellucid.nn import init
from pellucid.nn.modules.module import Module
from pellucid.nn.parameter import Parameter
from pellucid.nn.utils.rnn import PackedSequence
from pellucid.operators.creation import empty, zeros
from pellucid.operators.joining import cat, stack
from pellucid.tensor import Tensor

State = tuple[Any, ...]


def _tanh_step(gates: Any, state: State, weight: Any, bias: Any) -> State:
    return ((gates + F.linear(state[0], weight, bias)).tanh(),)


def _relu_step(gates: Any, state: State, weight: Any, bias: Any) -> State:
    return ((gates + F.linear(state[0], weight, bias)).relu(),)


def _lstm_step(gates: Any, state: State, weight: Any, bias: Any) -> State:
    i, f, g, o = (gates + F.linear(state[0], weight, bias)).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru_step(gates: Any, state: State, weight: Any, bias: Any) -> State:
    (xr, xz, xn), (hr, hz, hn) = gates.chunk(3, -1), F.linear(state[0], weight, bias).chunk(3, -1)
    n = (xn + (xr + hr).sigmoid() * hn).tanh()
    return (n + (xz + hz).sigmoid() * (state[0] - n),)


_MODES = {"RNN_TANH": (_tanh_step, 1), "RNN_RELU": (_relu_step, 1), "LSTM": (_lstm_step, 4), "GRU": (_gru_step, 3)}


def _draw(module: Any) -> None:
    bound = 1.0 / sqrt(module.hidden_size)
    for p in module.parameters():
        init.uniform_(p, -bound, bound)


def _of_size(n: int, state: State, start: State, ended: list[State]) -> State:
    """The states of the n sequences of a moment: those that ended are put aside, those that begin are in ``start``."""
    had = state[0].shape[0]
    if n < had:
        ended.append(tuple(part[n:] for part in state))
        return tuple(part[:n] for part in state)
    return tuple(cat([part, first[had:n]]) for part, first in zip(state, start, strict=True)) if n > had else state


class RNNBase(Module):
    """Layers over (L, N, input_size), (N, L, input_size) with ``batch_first``, or a `PackedSequence`.

    The weights start from U(-k, k), k = 1/sqrt(hidden_size).

    Raises:
        ValueError: sizes that are not positive, a dropout that is no probability. TypeError: sizes that are no ints.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._check(input_size, hidden_size, num_layers, dropout)
        if mode not in _MODES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        gates, seen = _MODES[mode][1] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                taken = input_size if layer == 0 else seen * (1 + bidirectional)
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, taken), "weight_hh": (gates, seen)}
                shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                for name, shape in shapes.items():
                    self.register_parameter(name + suffix, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @staticmethod
    def _check(input_size: int, hidden_size: int, num_layers: int, dropout: Any) -> None:
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                UserWarning,
                stacklevel=4,
            )
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int):
                raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero")

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def reset_parameters(self) -> None:
        _draw(self)

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        held: Any = self._parameters
        suffixes = [suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer)]
        return [[held[name] for name in held if name.endswith(suffix)] for suffix in suffixes]

    def flatten_parameters(self) -> None:
        """Accepted, for programs that prepare weights for a GPU; there is nothing to do."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(all hidden states of the last layer, the last hidden states of all layers); packed if the input is."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self.mode}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        x: Any = input
        single = x.dim() == 2
        x = x.unsqueeze(1) if single else x.transpose(0, 1) if self.batch_first else x
        self._check_input(x)
        x, ends = self._layers(x, self._initial(x, x.shape[1], hx, single))
        if single:
            x, ends = x.squeeze(1), tuple(end.squeeze(1) for end in ends)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, (ends if self.mode == "LSTM" else ends[0])

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> Any:
        x, sizes = packed.data, packed.batch_sizes.tolist()
        if x.dim() != 2:
            raise RuntimeError(f"{self.mode}: packed input must have 2 dimensions, got {x.dim()}")
        self._check_input(x)
        state = self._initial(x, sizes[0], hx, False)
        if hx is not None and packed.sorted_indices is not None:
            state = tuple(part.index_select(1, packed.sorted_indices) for part in state)
        x, ends = self._layers(x, state, sizes)
        if packed.unsorted_indices is not None:
            ends = tuple(end.index_select(1, packed.unsorted_indices) for end in ends)
        return PackedSequence(x, *packed[1:]), (ends if self.mode == "LSTM" else ends[0])

    def _layers(self, x: Any, state: State, sizes: list[int] | None = None) -> tuple[Any, State]:
        """All layers, over (L, N, size), or over packed rows of which ``sizes[t]`` belong to moment t."""
        last: list[State] = []
        for layer in range(self.num_layers):
            found = []
            for suffix in self._suffixes(layer):
                start = tuple(part[len(last)] for part in state)
                result, end = self._run(x, start, suffix, sizes)
                found.append(result)
                last.append(end)
            x = found[0] if len(found) == 1 else cat(found, -1)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(stack([end[k] for end in last]) for k in range(len(last[0])))

    def _check_input(self, x: Tensor) -> None:
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )
        if x.shape[0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")

    def _initial(self, x: Tensor, batch: int, hx: Any, single: bool) -> State:
        """The states to start from, (layers * directions, batch, size) each."""
        count = self.num_layers * (1 + self.bidirectional)
        sizes = [self.proj_size or self.hidden_size, *[self.hidden_size] * (self.mode == "LSTM")]
        if hx is None:
            return tuple(zeros(count, batch, size, dtype=x.dtype) for size in sizes)
        state = tuple(hx) if self.mode == "LSTM" else (hx,)
        if any(part.dim() != (2 if single else 3) for part in state):
            raise RuntimeError(
                f"For {'unbatched 2-D' if single else 'batched 3-D'} input, hx should also be "
                f"{2 if single else 3}-D but got {state[0].dim()}-D tensor"
            )
        state = tuple(part.unsqueeze(1) for part in state) if single else state
        for part, size in zip(state, sizes, strict=True):
            if tuple(part.shape) != (count, batch, size):
                raise RuntimeError(f"Expected hidden size {(count, batch, size)}, got {shape_text(part.shape)}")
        return state

    def _run(self, x: Any, state: State, suffix: str, sizes: list[int] | None) -> tuple[Any, State]:
        """One layer in one direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        held: Any = self._parameters
        into, over, bias_in, bias_over, narrow = (held.get(name + suffix) for name in names)
        step = _MODES[self.mode][0]
        gates, backwards = F.linear(x, into, bias_in), suffix.endswith("reverse")
        moments = gates.unbind(0) if sizes is None else gates.split(sizes)
        results: list[Any] = []
        ended: list[State] = []
        start = state
        if sizes is not None and backwards:
            state = tuple(part[:0] for part in state)  # sequences begin when their last moment comes
        for moment in reversed(moments) if backwards else moments:
            if sizes is not None:
                state = _of_size(moment.shape[0], state, start, ended)
            state = step(moment, state, over, bias_over)
            if narrow is not None:
                state = (F.linear(state[0], narrow), *state[1:])
            results.append(state[0])
        if ended:
            state = tuple(cat(parts) for parts in zip(state, *reversed(ended), strict=True))
        return (stack if sizes is None else cat)(results[::-1] if backwards else results), state

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False,
        }  # fmt: skip
        return text + "".join(f", {k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v)


class RNN(RNNBase):
    """``h <- tanh(W x + b + U h + c)``, or relu in place of tanh."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, **options)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """``c <- s(f) c + s(i) tanh(g);  h <- s(o) tanh(c)`` with gates i, f, g, o linear in x and h; s is the sigmoid."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__("LSTM", *args, **options)


class GRU(RNNBase):
    """``n <- tanh(W x + s(r) (U h));  h <- (1 - s(z)) n + s(z) h`` with gates r, z linear in x and h; s is the sigmoid."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if "proj_size" in options:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **options)


class RNNCellBase(Module):
    """One step of a recurrent layer, for (N, input_size) or (input_size)."""

    mode = "RNN_TANH"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = _MODES[self.mode][1] * hidden_size

        def parameter(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        self.weight_ih, self.weight_hh = parameter(gates, input_size), parameter(gates, hidden_size)
        self.register_parameter("bias_ih", parameter(gates) if bias else None)
        self.register_parameter("bias_hh", parameter(gates) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _draw(self)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        if input.dim() not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        paired = self.mode == "LSTM"
        if hx is None:
            state: State = (zeros(*input.shape[:-1], self.hidden_size, dtype=input.dtype),) * (1 + paired)
        else:
            state = tuple(hx) if paired else (hx,)
        gates = F.linear(input, self.weight_ih, self.bias_ih)
        state = _MODES[self.mode][0](gates, state, self.weight_hh, self.bias_hh)
        return state if paired else state[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else f", bias={self.bias}")
        return text + (f", nonlinearity={self.nonlinearity}" if self.mode == "RNN_RELU" else "")


class RNNCell(RNNCellBase):
    """One step of `RNN`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {nonlinearity}")
        self.__dict__["mode"], self.__dict__["nonlinearity"] = f"RNN_{nonlinearity.upper()}", nonlinearity
        super().__init__(input_size, hidden_size, bias, **options)


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: (h, c)."""

    mode = "LSTM"


class GRUCell(RNNCellBase):
    """One step of `GRU`."""

    mode = "GRU"
