"""Run PyTorch's operator database, `op_db`, through both libraries and compare all that can be seen.

    @pytest.mark.parametrize("name", ["add", "div/floor_rounding"])
    def test_matches_pytorch(name: str) -> None:
        check(name)

A name is that of an entry of the database, with `/variant` to pick one of several entries of that name. On the
command line, `python -m tests.conformance.opdb add mul --dtypes float32 int64` prints the reports.

What is compared: values, shape, strides, dtype, `requires_grad`, whether memory is shared with the operands; the
class of exceptions; the function, its method, its in-place twin, `out=`; gradients of first and second order.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import pellucid
from pellucid import dtypes as pellucid_dtypes
from pellucid.layout import layout_of
from pellucid.runtime import native
from pellucid.tensor import Tensor, array_of

DTYPES = ("float32", "float64", "bfloat16", "int64", "uint8", "bool", "complex64")
VARIANTS = ("function", "method", "inplace", "out", "gradient", "gradgrad", "error")
MOST_SAMPLES = 40  # of one operator and dtype; some have more than a thousand
MOST_REFERENCE_SAMPLES = 400
MOST_GRADED_SAMPLES = {"gradient": 16, "gradgrad": 8}


class Mismatch(AssertionError):
    """One difference between the two libraries."""


class NotComparable(Exception):
    """A sample that means nothing outside of PyTorch (a sparse tensor, a generator, a complex32)."""


# -- conversion -------------------------------------------------------------------------------------------------------


def to_dtype(dtype: torch.dtype) -> pellucid_dtypes.DType:
    found = pellucid_dtypes.DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise NotComparable(str(dtype))
    return found


def to_pellucid(t: torch.Tensor, memory: dict[int, Any] | None = None) -> Tensor:
    """A tensor of equal cells, strides, offset and `requires_grad`. Tensors that share a storage do so in the result
    if their conversions are given the same `memory`."""
    memory = {} if memory is None else memory
    if t.layout is not torch.strided or t.device.type != "cpu":
        raise NotComparable(f"{t.layout} on {t.device}")
    requires_grad = t.requires_grad
    t = t.detach().resolve_conj().resolve_neg()
    dtype = to_dtype(t.dtype)
    old = t.untyped_storage()
    storage = memory.get(old.data_ptr()) if old.nbytes() else None
    if storage is None:
        copied = torch.empty(0, dtype=torch.uint8).set_(old).numpy().copy()
        # Memory that NumPy aligned for bytes may not suit wider cells.
        room = np.empty(copied.size + 64, np.uint8)
        start = -room.ctypes.data % 64
        room[start : start + copied.size] = copied
        storage = native.wrap(room.ctypes.data + start, copied.size, room)
        memory[old.data_ptr()] = storage
        memory[-old.data_ptr()] = old  # kept alive, or another conjugate computed here may get its address
    layout = layout_of(tuple(t.shape), tuple(t.stride()), dtype)
    result = native.new_tensor(layout, storage, storage.ptr + t.storage_offset() * dtype.itemsize)
    result.tracked = requires_grad
    return result  # type: ignore[no-any-return]


def to_torch(t: Tensor) -> torch.Tensor:
    """The cells of a tensor, contiguous."""
    array = np.array(array_of(t), copy=True, order="C")
    if t.dtype is pellucid_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def convert(value: Any, memory: dict[int, Any]) -> Any:
    """An argument in Pellucid's terms."""
    if isinstance(value, torch.Tensor):
        return to_pellucid(value, memory)
    if isinstance(value, torch.dtype):
        return to_dtype(value)
    if isinstance(value, torch.Size):
        return pellucid.Size(value)
    if isinstance(value, torch.device):
        return pellucid.device(str(value))
    if isinstance(value, torch.memory_format):
        return getattr(pellucid, str(value).removeprefix("torch."))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(convert(v, memory) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(convert(v, memory) for v in value)
    if isinstance(value, dict):
        return {k: convert(v, memory) for k, v in value.items()}
    if isinstance(value, (torch.Generator, torch.layout)):
        raise NotComparable(type(value).__name__)
    return value


def tensors_in(value: Any) -> Iterator[Any]:
    """Tensors of either library inside nested lists, tuples and dicts, in order."""
    if isinstance(value, (torch.Tensor, Tensor)):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors_in(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from tensors_in(v)


# -- finding the functions --------------------------------------------------------------------------------------------


@cache
def entries(name: str) -> tuple[Any, ...]:
    """The database's entries called `name`, or the one called `name/variant`."""
    wanted, _, variant = name.partition("/")
    found = tuple(op for op in op_db if op.name == wanted and (not variant or op.variant_test_name == variant))
    if not found:
        raise LookupError(f"op_db has no entry {name!r}")
    return found


def function_named(name: str) -> Callable[..., Any] | None:
    """`pellucid.<name>`, dots included, else the method of that name."""
    found: Any = pellucid
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found) or isinstance(found, (pellucid_dtypes.DType, type)):
        found = getattr(Tensor, name, None)
    return found if callable(found) else None


# Entries whose arguments come in another order than the function's.
_ARRANGED: dict[str, Callable[..., Any]] = {
    "nn.functional.embedding": lambda weight, input, **kwargs: pellucid.nn.functional.embedding(input, weight, **kwargs),
    "polygamma": lambda input, n, **kwargs: pellucid.polygamma(n, input, **kwargs),
    "where": lambda input, condition, other, **kwargs: pellucid.where(condition, input, other, **kwargs),
}


def our_function(op: Any) -> Callable[..., Any]:
    found = _ARRANGED.get(op.name) or function_named(op.name)
    if found is None and getattr(op.op, "__name__", "") == "<lambda>":
        found = op.op  # made of methods: works for both
    if found is None:
        raise Mismatch(f"pellucid.{op.name} does not exist")
    return found


# -- running ----------------------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def attempt(call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    with quiet():
        try:
            return call(), None
        except Mismatch:
            raise
        except Exception as error:
            return None, error


def short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:150]}"


def agree(theirs: tuple[Any, Exception | None], ours: tuple[Any, Exception | None]) -> bool:
    """Whether both returned (then the results are compared) or both raised the same class.

    Raises:
        Mismatch: one raised and the other did not, or they raised different classes.
    """
    expected, met = theirs[1], ours[1]
    if expected is None and met is None:
        return True
    if expected is None:
        assert met is not None
        raise Mismatch(f"raised {short(met)}") from met
    if met is None:
        raise Mismatch(f"did not raise; PyTorch: {short(expected)}")
    if not isinstance(met, type(expected)) and type(expected).__name__ != type(met).__name__:
        raise Mismatch(f"raised {short(met)}; PyTorch: {short(expected)}") from met
    return False


def compare(ours: Any, theirs: Any, *, scale: float = 1.0, strides: bool = True, what: str = "result") -> None:
    """Equal structure, dtype, shape, strides (of dimensions that matter) and values within PyTorch's tolerances,
    times `scale`.

    Raises:
        Mismatch: they differ.
    """
    if isinstance(theirs, torch.Tensor):
        _compare_tensor(ours, theirs, scale, strides, what)
    elif isinstance(theirs, (list, tuple)):
        if not isinstance(ours, (list, tuple)) or len(ours) != len(theirs):
            raise Mismatch(f"{what}: {type(ours).__name__} instead of {len(theirs)} values")
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            compare(a, b, scale=scale, strides=strides, what=f"{what}[{k}]")
    elif isinstance(theirs, torch.dtype):
        if ours is not to_dtype(theirs):
            raise Mismatch(f"{what}: {ours} instead of {theirs}")
    elif type(theirs) in (bool, int, float, complex, str, type(None)):
        same = ours == theirs or (ours != ours and theirs != theirs)
        if isinstance(theirs, (float, complex)) and not same:
            same = bool(np.isclose(ours, theirs, rtol=1e-5 * scale))
        if not same or type(ours) is not type(theirs):
            raise Mismatch(f"{what}: {ours!r} instead of {theirs!r}")


def _compare_tensor(ours: Any, theirs: torch.Tensor, scale: float, strides: bool, what: str) -> None:
    if not isinstance(ours, Tensor):
        raise Mismatch(f"{what}: {type(ours).__name__} instead of a tensor")
    if ours.dtype is not to_dtype(theirs.dtype):
        raise Mismatch(f"{what}: dtype {ours.dtype} instead of {theirs.dtype}")
    if tuple(ours.shape) != tuple(theirs.shape):
        raise Mismatch(f"{what}: shape {tuple(ours.shape)} instead of {tuple(theirs.shape)}")
    if strides and theirs.numel():
        own, wanted = (
            tuple(s for s, n in zip(st, theirs.shape, strict=True) if n > 1)
            for st in (ours.layout.strides, theirs.stride())
        )
        if own != wanted:
            raise Mismatch(f"{what}: strides {ours.layout.strides} instead of {theirs.stride()}")
    expected = theirs.detach().resolve_conj().resolve_neg().contiguous()
    rtol, atol = torch.testing._comparison.default_tolerances(expected.dtype)
    try:
        torch.testing.assert_close(to_torch(ours), expected, rtol=rtol * scale, atol=atol * scale, equal_nan=True)
    except AssertionError as error:
        raise Mismatch(f"{what}: {_difference(to_torch(ours), expected)}") from error


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> str:
    inexact = ours.dtype.is_floating_point or ours.dtype.is_complex
    equal = torch.isclose(ours, theirs, equal_nan=True, rtol=1e-3) if inexact else ours == theirs
    bad = (~equal).nonzero()
    at = tuple(bad[0].tolist()) if len(bad) else (0,) * ours.ndim
    pair = f"{ours[at].item()}, PyTorch {theirs[at].item()}"
    return f"values differ in {len(bad)} of {ours.numel()} cells, at {at}: {pair}"


def compare_sharing(ours: Any, theirs: Any, our_inputs: Any, their_inputs: Any) -> None:
    """Both share memory with the same operands."""
    for k, (a, b) in enumerate(zip(tensors_in(ours), tensors_in(theirs), strict=False)):
        if not b.numel():
            continue
        expected = [b.untyped_storage().data_ptr() == t.untyped_storage().data_ptr() for t in tensors_in(their_inputs)]
        found = [a.storage is t.storage for t in tensors_in(our_inputs)]
        if expected != found:
            raise Mismatch(f"result {k}: shares memory with operands {found}, PyTorch {expected}")


class Call:
    """One sample, ready to be run in both libraries on fresh copies of its tensors."""

    def __init__(self, op: Any, sample: Any, requires_grad: bool = False) -> None:
        self.op, self.sample = op, sample
        memory: dict[int, Any] = {}
        self.theirs = (sample.input, *sample.args)
        self.ours = convert(self.theirs, memory)
        self.kwargs, self.our_kwargs = dict(sample.kwargs), convert(dict(sample.kwargs), memory)
        if requires_grad:
            for a, b in zip(tensors_in(self.theirs), tensors_in(self.ours), strict=True):
                b.tracked = a.requires_grad

    def describe(self) -> str:
        def text(value: Any) -> str:
            if isinstance(value, torch.Tensor):
                strides = "" if value.is_contiguous() else f" strides {tuple(value.stride())}"
                return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}{strides}"
            if isinstance(value, (list, tuple)):
                return "[" + ", ".join(map(text, value)) + "]"
            return repr(value)[:60]

        parts = [text(v) for v in self.theirs] + [f"{k}={text(v)}" for k, v in self.kwargs.items()]
        return f"({', '.join(parts)})"


def run_function(op: Any, sample: Any, scale: float) -> None:
    c = Call(op, sample)
    f = our_function(op)
    theirs = attempt(lambda: op(*c.theirs, **c.kwargs))
    ours = attempt(lambda: f(*c.ours, **c.our_kwargs))
    if agree(theirs, ours):
        compare(ours[0], theirs[0], scale=scale)
        compare_sharing(ours[0], theirs[0], (c.ours, c.our_kwargs), (c.theirs, c.kwargs))


def run_method(op: Any, sample: Any, scale: float) -> None:
    if op.method_variant is None or not isinstance(sample.input, torch.Tensor):
        return
    c = Call(op, sample)
    f = getattr(Tensor, op.name.rpartition(".")[2], None)
    if f is None:
        raise Mismatch(f"Tensor.{op.name} does not exist")
    theirs = attempt(lambda: op.method_variant(*c.theirs, **c.kwargs))
    ours = attempt(lambda: f(*c.ours, **c.our_kwargs))
    if agree(theirs, ours):
        compare(ours[0], theirs[0], scale=scale)


def run_inplace(op: Any, sample: Any, scale: float) -> None:
    if op.inplace_variant is None or not isinstance(sample.input, torch.Tensor):
        return
    name = getattr(op.inplace_variant, "__name__", "")
    sample = sample.transform(lambda t: t.detach().clone() if isinstance(t, torch.Tensor) else t)
    c = Call(op, sample)
    f: Any
    if name == "method_descriptor" or name.endswith("_"):
        f = getattr(Tensor, name, None) or getattr(Tensor, op.name.rpartition(".")[2] + "_", None)
    else:  # functions of nn.functional take inplace=True
        function = our_function(op)
        f = lambda *a, **k: function(*a, inplace=True, **k)  # noqa: E731
    if f is None:
        raise Mismatch(f"Tensor.{op.name}_ does not exist")
    theirs = attempt(lambda: op.inplace_variant(*c.theirs, **c.kwargs))
    ours = attempt(lambda: f(*c.ours, **c.our_kwargs))
    if agree(theirs, ours):
        compare(ours[0], theirs[0], scale=scale)
        compare(c.ours[0], c.theirs[0], scale=scale, what="target")
        if ours[0] is not c.ours[0]:
            raise Mismatch("does not return the tensor that it writes into")


def run_out(op: Any, sample: Any, scale: float) -> None:
    if not op.supports_out:
        return
    c = Call(op, sample)
    expected, error = attempt(lambda: op(*c.theirs, **c.kwargs))
    if error is not None or not list(tensors_in(expected)):
        return
    f = our_function(op)
    for make in (_same_out, _strided_out, _integer_out):
        theirs_out = _map(make, expected)
        ours_out = convert(theirs_out, {})
        before = [(t.ptr, t.layout) for t in tensors_in(ours_out)]
        theirs = attempt(lambda: op(*c.theirs, **c.kwargs, out=theirs_out))  # noqa: B023
        ours = attempt(lambda: f(*c.ours, **c.our_kwargs, out=ours_out))  # noqa: B023
        try:
            if agree(theirs, ours):
                compare(ours_out, theirs_out, scale=scale, what="out")
                if [(t.ptr, t.layout) for t in tensors_in(ours_out)] != before:
                    raise Mismatch("out: its memory or layout changed")
        except Mismatch as m:
            raise Mismatch(f"{make.__name__.strip('_')}: {m}") from m


def _map(f: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return f(value)
    return tuple(_map(f, v) for v in value)


def _same_out(t: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(t).fill_(1)


def _strided_out(t: torch.Tensor) -> torch.Tensor:
    return torch.ones((*t.shape, 2), dtype=t.dtype)[..., 0]


def _integer_out(t: torch.Tensor) -> torch.Tensor:
    return torch.ones(t.shape, dtype=torch.long)


def run_gradient(op: Any, sample: Any, scale: float, second: bool = False) -> None:
    """Gradients of the same random directions, with respect to every operand that asks for one."""
    c = Call(op, sample, requires_grad=True)
    f = our_function(op)
    theirs = attempt(lambda: op(*c.theirs, **c.kwargs))
    ours = attempt(lambda: f(*c.ours, **c.our_kwargs))
    if not agree(theirs, ours):
        return
    expected, met = list(tensors_in(theirs[0])), list(tensors_in(ours[0]))
    if [t.requires_grad for t in expected] != [t.tracked for t in met]:
        raise Mismatch(f"requires_grad {[t.tracked for t in met]}, PyTorch {[t.requires_grad for t in expected]}")
    pairs = [(a, b) for a, b in zip(expected, met, strict=True) if a.requires_grad]
    leaves = [
        (a, b)
        for a, b in zip(tensors_in((c.theirs, c.kwargs)), tensors_in((c.ours, c.our_kwargs)), strict=True)
        if a.requires_grad
    ]
    if not pairs or not leaves:
        return
    _compare_gradients(pairs, leaves, scale, 2 if second else 1)


def _compare_gradients(
    pairs: list[tuple[torch.Tensor, Any]], leaves: list[tuple[torch.Tensor, Any]], scale: float, order: int
) -> None:
    from pellucid import autograd

    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(a.shape, dtype=a.dtype, generator=generator) for a, _ in pairs]
    again = order > 1
    theirs = attempt(
        lambda: torch.autograd.grad(
            [a for a, _ in pairs], [a for a, _ in leaves], directions, allow_unused=True, create_graph=again
        )
    )
    ours = attempt(
        lambda: autograd.grad(
            [b for _, b in pairs],
            [b for _, b in leaves],
            [to_pellucid(d) for d in directions],
            allow_unused=True,
            create_graph=again,
        )
    )
    if not agree(theirs, ours):
        return
    nexts = []
    for k, (a, b) in enumerate(zip(theirs[0], ours[0], strict=True)):
        what = f"gradient {k}" if not again else f"gradient {k} of order {order - 1}"
        if a is None or b is None:
            if a is not b:
                raise Mismatch(f"{what}: {'None' if b is None else 'a tensor'}, PyTorch the opposite")
            continue
        compare(b, a, scale=scale, strides=False, what=what)
        if again and a.requires_grad and b.tracked:
            nexts.append((a, b))
    if again and nexts:
        _compare_second(nexts, leaves, scale)


def _compare_second(nexts: list[Any], leaves: list[Any], scale: float) -> None:
    """The second order, where a gradient that is zero everywhere may also be absent."""
    from pellucid import autograd

    generator = torch.Generator().manual_seed(1)
    directions = [torch.randn(a.shape, dtype=a.dtype, generator=generator) for a, _ in nexts]
    theirs = attempt(
        lambda: torch.autograd.grad([a for a, _ in nexts], [a for a, _ in leaves], directions, allow_unused=True)
    )
    ours = attempt(
        lambda: autograd.grad(
            [b for _, b in nexts],
            [b for _, b in leaves],
            [to_pellucid(d) for d in directions],
            allow_unused=True,
        )
    )
    if not agree(theirs, ours):
        return
    for k, (a, b) in enumerate(zip(theirs[0], ours[0], strict=True)):
        if a is None and b is None:
            continue
        like = leaves[k][0]
        a = torch.zeros_like(like) if a is None else a
        b = to_pellucid(torch.zeros_like(like)) if b is None else b
        compare(b, a, scale=10 * scale, strides=False, what=f"gradient {k} of order 2")


def run_errors(op: Any, report: Report) -> None:
    """What PyTorch refuses, we refuse with the same class."""
    if op.error_inputs_func is None:
        return
    with quiet():
        cases = list(op.error_inputs("cpu"))
    for case in cases:
        try:
            c = Call(op, case.sample_input)
        except NotComparable:
            continue
        theirs = attempt(lambda: op(*c.theirs, **c.kwargs))  # noqa: B023
        ours = attempt(lambda: our_function(op)(*c.ours, **c.our_kwargs))  # noqa: B023
        try:
            agree(theirs, ours)
        except Mismatch as m:
            report.add("error", "", m, c)


class Report:
    """Differences, each kind told once with the first sample that shows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.first: dict[tuple[str, str], str] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.compared = 0

    def add(self, variant: str, dtype: str, mismatch: Mismatch, call: Call | None) -> None:
        key = (variant, str(mismatch))
        self.counts[key] += 1
        self.first.setdefault(key, f"{dtype} {call.describe() if call else ''}")

    def text(self, most: int = 12) -> str:
        lines = [
            f"  {variant}: {what}  [{self.counts[variant, what]}x, first {where}]"
            for (variant, what), where in islice(self.first.items(), most)
        ]
        more = len(self.first) - most
        lines += [f"  + {more}"] * (more > 0)
        return "\n".join([f"{self.name}: {len(self.first)} kinds of differences", *lines])


def samples_of(op: Any, dtype: torch.dtype, requires_grad: bool, reference: bool) -> Iterator[Any]:
    make = op.reference_inputs if reference else op.sample_inputs
    with quiet():
        torch.manual_seed(0)
        most = MOST_REFERENCE_SAMPLES if reference else MOST_SAMPLES
        yield from islice(make("cpu", dtype, requires_grad=requires_grad), most)


def limit(variant: str, most: int | None) -> int | None:
    found = [n for n in (MOST_GRADED_SAMPLES.get(variant), most) if n is not None]
    return min(found, default=None)


_RUNNERS: dict[str, Callable[[Any, Any, float], None]] = {
    "function": run_function,
    "method": run_method,
    "inplace": run_inplace,
    "out": run_out,
    "gradient": run_gradient,
    "gradgrad": lambda op, sample, scale: run_gradient(op, sample, scale, second=True),
}


def report_on(
    name: str,
    dtypes: Sequence[str] = DTYPES,
    variants: Sequence[str] = VARIANTS,
    *,
    scale: float = 1.0,
    reference: bool = False,
    most: int | None = None,
    skip: Callable[[Any], bool] = lambda sample: False,
) -> Report:
    """Compare and collect the differences; see `check`."""
    report = Report(name)
    for op in entries(name):
        for variant in variants:
            if variant == "error":
                run_errors(op, report)
                continue
            graded = variant.startswith("grad")
            if (variant == "gradient" and not op.supports_autograd) or (
                variant == "gradgrad" and not op.supports_gradgrad
            ):
                continue
            for text in dtypes:
                dtype = getattr(torch, text)
                if dtype not in op.supported_dtypes("cpu"):
                    continue
                if graded and text not in ("float64", "complex64", "complex128"):
                    continue
                if variant == "gradgrad" and text != "float64" and len(dtypes) > 1:
                    continue
                for sample in islice(samples_of(op, dtype, graded, reference), limit(variant, most)):
                    if skip(sample):
                        continue
                    try:
                        _RUNNERS[variant](op, sample, scale)
                        report.compared += 1
                    except NotComparable:
                        continue
                    except Mismatch as m:
                        report.add(variant, text, m, Call(op, sample))
    return report


def check(
    name: str,
    dtypes: Sequence[str] = DTYPES,
    variants: Sequence[str] = VARIANTS,
    *,
    scale: float = 1.0,
    reference: bool = False,
    most: int | None = None,
    skip: Callable[[Any], bool] = lambda sample: False,
) -> None:
    """Compare an operator with PyTorch on the samples of its database entries.

    Args:
        name: `op_db`'s name, with `/variant` for one of several entries.
        dtypes: those among the entry's dtypes that are tried; gradients are compared in float64 and
            complex (of second order in float64, unless a single dtype is given).
        variants: function, method, inplace, out, gradient, gradgrad, error.
        scale: multiplies PyTorch's tolerances (long sums in half precision need it).
        most: how many samples of a dtype are tried, at most.
        reference: take the larger set of samples (broadcasting, strides, special values).
        skip: samples to leave out; say why where you give it.

    Raises:
        AssertionError: with one line per kind of difference.
    """
    report = report_on(name, dtypes, variants, scale=scale, reference=reference, most=most, skip=skip)
    assert not report.first, report.text()
    assert report.compared or variants == ("error",), f"{name}: no sample could be compared"


def main(arguments: list[str]) -> None:
    """`python -m tests.conformance.opdb NAMES... [--dtypes ...] [--variants ...] [--reference]`"""
    import argparse

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--reference", action="store_true")
    options = parser.parse_args(arguments)
    for name in options.names:
        report = report_on(name, options.dtypes, options.variants, reference=options.reference)
        print(report.text() if report.first else f"{name}: {report.compared} comparisons, no difference", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
