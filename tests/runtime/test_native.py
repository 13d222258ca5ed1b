"""The native call: arguments, results, gradients' record, in-place plans, views, failures and leaks."""

import ctypes
import gc
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pellucid.runtime import jit, memory, native, threads

# Kernels on float64: out = a + b, two outputs, a scalar operand, a report of failure, a slow one.
KERNELS = """
declare i32 @usleep(i32)

define void @each(ptr %out, ptr %a, ptr %b, double %scale, i64 %begin, i64 %end) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %done
body:
  %a_at = getelementptr double, ptr %a, i64 %i
  %x = load double, ptr %a_at
  %b_at = getelementptr double, ptr %b, i64 %i
  %y = load double, ptr %b_at
  %scaled = fmul double %y, %scale
  %sum = fadd double %x, %scaled
  %out_at = getelementptr double, ptr %out, i64 %i
  store double %sum, ptr %out_at
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

define ptr @operand(ptr %operands, i64 %i) nounwind {
  %at = getelementptr ptr, ptr %operands, i64 %i
  %operand = load ptr, ptr %at
  ret ptr %operand
}

define i64 @add(ptr %operands, ptr %params, i64 %begin, i64 %end) nounwind {
  %out = call ptr @operand(ptr %operands, i64 0)
  %a = call ptr @operand(ptr %operands, i64 1)
  %b = call ptr @operand(ptr %operands, i64 2)
  call void @each(ptr %out, ptr %a, ptr %b, double 1.0, i64 %begin, i64 %end)
  ret i64 0
}

; in place: operand 0 += operand 1
define i64 @add_to(ptr %operands, ptr %params, i64 %begin, i64 %end) nounwind {
  %out = call ptr @operand(ptr %operands, i64 0)
  %b = call ptr @operand(ptr %operands, i64 1)
  call void @each(ptr %out, ptr %out, ptr %b, double 1.0, i64 %begin, i64 %end)
  ret i64 0
}

; the sum, and a - b
define i64 @both(ptr %operands, ptr %params, i64 %begin, i64 %end) nounwind {
  %sum = call ptr @operand(ptr %operands, i64 0)
  %difference = call ptr @operand(ptr %operands, i64 1)
  %a = call ptr @operand(ptr %operands, i64 2)
  %b = call ptr @operand(ptr %operands, i64 3)
  call void @each(ptr %sum, ptr %a, ptr %b, double 1.0, i64 %begin, i64 %end)
  call void @each(ptr %difference, ptr %a, ptr %b, double -1.0, i64 %begin, i64 %end)
  ret i64 0
}

; out[0] = its float64 operand, out[1] = its int64 operand (as bits), out[2] = params[0] (as bits)
define i64 @scalars(ptr %operands, ptr %params, i64 %begin, i64 %end) nounwind {
  %out = call ptr @operand(ptr %operands, i64 0)
  %float_at = getelementptr double, ptr %operands, i64 1
  %float = load double, ptr %float_at
  %integer_at = getelementptr i64, ptr %operands, i64 2
  %integer = load i64, ptr %integer_at
  %param = load i64, ptr %params
  store double %float, ptr %out
  %second = getelementptr i64, ptr %out, i64 1
  store i64 %integer, ptr %second
  %third = getelementptr i64, ptr %out, i64 2
  store i64 %param, ptr %third
  ret i64 0
}

define i64 @fails(ptr %operands, ptr %params, i64 %begin, i64 %end) nounwind {
  ret i64 5
}

define i64 @sleeps(ptr %operands, ptr %params, i64 %begin, i64 %end) nounwind {
  %status = call i32 @usleep(i32 100000)
  %copied = call i64 @add(ptr %operands, ptr %params, i64 %begin, i64 %end)
  ret i64 0
}
"""


class StandIn:
    """A tensor of the least shape that native code asks for."""

    __slots__ = (
        "__weakref__",
        "base",
        "gradient",
        "layout",
        "node",
        "output_nr",
        "ptr",
        "seen",
        "storage",
        "tracked",
    )


class Parameter(StandIn):
    """A subclass, as nn.Parameter will be."""


class StatusError(RuntimeError):
    """Raised by the plans' `fail`."""


def fail(status: int, *args: object) -> None:
    raise StatusError(status, *args)


@pytest.fixture(autouse=True)
def _tensor_class() -> Iterator[None]:
    """Results are of the stand-in class in this file, and of the real one again afterwards."""
    before = native._tensor_type
    native.configure(StandIn)
    enabled = native.grad_enabled()
    yield
    native.set_grad_enabled(enabled)
    if before is not None:
        native.configure(before)


def kernel(name: str) -> int:
    return jit.function_address("test:" + jit.digest(KERNELS), name, lambda: KERNELS)


def tensor(*values: float) -> Any:
    storage = native.alloc(8 * len(values))
    ctypes.memmove(storage.ptr, struct.pack(f"{len(values)}d", *values), 8 * len(values))
    return native.new_tensor("layout", storage, storage.ptr)


def values(x: Any, count: int) -> list[float]:
    return list((ctypes.c_double * count).from_address(x.ptr))


def plan(
    name: str, n: int, outputs: int = 1, kinds: tuple[int, ...] = (0, 0), **options: Any
) -> Callable[..., Any]:
    spec = native.pack_spec(
        kernel(name),
        options.get("params", 0),
        n,
        options.get("grain", 1 << 40),
        options.get("flags", 0),
        [8 * n] * outputs,
        kinds,
    )
    layouts = [] if options.get("flags", 0) & native.IN_PLACE else [f"out{i}" for i in range(outputs)]
    return native.make_launch(spec, None, options.get("record"), options.get("fail", fail), layouts)


# ---------------------------------------------------------------- results
def test_result_is_a_new_tensor_with_every_slot_set() -> None:
    out = plan("add", 3)(tensor(1, 2, 3), tensor(10, 20, 30))
    assert type(out) is StandIn
    assert values(out, 3) == [11, 22, 33]
    assert (out.layout, out.tracked, out.node, out.output_nr) == ("out0", False, None, 0)
    assert (out.gradient, out.base) == (None, None)
    assert (out.storage.nbytes, out.storage.version, out.storage.owner) == (24, 0, None)
    assert out.ptr == out.storage.ptr
    assert gc.is_tracked(out)


def test_subclasses_are_operands() -> None:
    x = tensor(1, 2)
    p = Parameter()
    p.layout, p.storage, p.ptr, p.tracked = x.layout, x.storage, x.ptr, True
    assert values(plan("add", 2)(p, x), 2) == [2, 4]


def test_several_outputs_come_as_a_tuple() -> None:
    out = plan("both", 2, outputs=2)(tensor(5, 6), tensor(1, 2))
    assert type(out) is tuple
    assert [values(o, 2) for o in out] == [[6, 8], [4, 4]]
    assert [o.layout for o in out] == ["out0", "out1"]


def test_scalars_travel_as_float64_or_int64_and_params_by_address() -> None:
    params = (ctypes.c_int64 * 1)(77)
    run = plan("scalars", 3, kinds=(native.FLOAT, native.INT), params=ctypes.addressof(params))
    for number, integer in ((2.5, -3), (-1.0, -1), (True, False), (7, 2**63 - 1)):
        out = run(number, integer)
        assert values(out, 1) == [float(number)]
        assert list((ctypes.c_int64 * 3).from_address(out.ptr))[1:] == [integer, 77]


def test_a_long_range_runs_in_parallel() -> None:
    n = 10_000
    x = tensor(*range(n))
    out = plan("add", n, grain=1000)(x, x)
    assert values(out, n) == [2 * i for i in range(n)]
    assert native.variable("parallel_for").value == threads.parallel_for_address()


def test_an_empty_range_gives_an_empty_tensor_with_an_address() -> None:
    out = plan("add", 0)(tensor(), tensor())
    assert out.storage.nbytes == 0
    assert out.ptr % 64 == 0
    assert out.ptr > 0


# ---------------------------------------------------------------- in place
def test_in_place_plan_writes_its_argument_and_bumps_the_version() -> None:
    x, y = tensor(1, 2), tensor(10, 20)
    called: list[object] = []
    x.tracked = y.tracked = True
    run = plan("add_to", 2, kinds=(0,), flags=native.IN_PLACE, record=lambda *args: called.append(args))
    live = memory.memory_stats().live
    assert run(x, y) is x
    assert values(x, 2) == [11, 22]
    assert (x.storage.version, y.storage.version) == (1, 0)
    assert (called, memory.memory_stats().live) == ([], live)


def test_failing_in_place_plan_bumps_the_version_too() -> None:
    x = tensor(1)
    with pytest.raises(StatusError):
        plan("fails", 1, kinds=(), flags=native.IN_PLACE)(x)
    assert x.storage.version == 1


# ---------------------------------------------------------------- gradients
def test_record_is_called_when_an_input_needs_a_gradient() -> None:
    calls: list[tuple[Any, ...]] = []
    run = plan("both", 1, outputs=2, record=lambda *args: calls.append(args))
    x, y = tensor(1), tensor(2)
    run(x, y)
    assert calls == []
    y.tracked = True
    first, second = run(x, y)
    assert calls == [(first, second, x, y)]
    assert native.set_grad_enabled(False) is True
    run(x, y)
    assert native.grad_enabled() is False
    assert native.set_grad_enabled(True) is False
    assert len(calls) == 1


def test_an_error_in_record_passes_and_leaks_nothing() -> None:
    def record(*args: object) -> None:
        raise KeyError("record")

    x = tensor(1)
    x.tracked = True
    before = memory.memory_stats()
    with pytest.raises(KeyError, match="record"):
        plan("add", 1, record=record)(x, x)
    with pytest.raises(KeyError, match="record"):
        native.make_view(0, "view", record)(x)
    assert memory.memory_stats().live == before.live


# ---------------------------------------------------------------- errors
def test_status_is_reported_with_the_operands() -> None:
    x, y = tensor(1), tensor(2)
    live = memory.memory_stats().live
    with pytest.raises(StatusError) as caught:
        plan("fails", 1)(x, y)
    assert caught.value.args == (5, x, y)
    with pytest.raises(RuntimeError, match="status 5"):
        plan("fails", 1, fail=lambda *args: None)(x, y)
    del caught
    assert memory.memory_stats().live == live


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "takes 2 operands, but 0 were given"),
        ((None,) * 3, "takes 2 operands, but 3 were given"),
        ((1, 2), r"operand 0 of this call must be a Tensor, not <class 'int'>"),
        ((StandIn(), StandIn()), "operand 0 of this call is a Tensor without memory"),
    ],
)
def test_wrong_operands_are_a_type_error(args: tuple[object, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        plan("add", 1)(*args)


def test_spoiled_tensors_are_a_type_error() -> None:
    for slot, value in (("ptr", "here"), ("ptr", None), ("storage", "there"), ("storage", None)):
        x = tensor(1)
        setattr(x, slot, value)
        for call in (plan("add", 1), plan("add_to", 1, kinds=(0,), flags=native.IN_PLACE)):
            with pytest.raises(TypeError):
                call(x, tensor(1))
        with pytest.raises(TypeError):
            native.make_view(0, "view", None)(x)
        with pytest.raises(TypeError):
            plan("add", 1)(tensor(1), x)


def test_wrong_scalars() -> None:
    params = (ctypes.c_int64 * 1)(0)
    run = plan("scalars", 3, kinds=(native.FLOAT, native.INT), params=ctypes.addressof(params))
    with pytest.raises(TypeError, match="real number"):
        run("x", 1)
    with pytest.raises(TypeError, match="integer"):
        run(1.0, 1.5)
    with pytest.raises(OverflowError):
        run(1.0, 2**63)
    with pytest.raises(OverflowError):
        run(10**400, 1)
    with pytest.raises(TypeError, match="keyword"):
        run(1.0, other=1)


def test_a_later_wrong_output_releases_the_earlier_ones() -> None:
    x = tensor(1)
    run = plan("both", 1, outputs=2, flags=native.IN_PLACE)
    references = sys.getrefcount(x.storage)
    with pytest.raises(TypeError, match="operand 1"):
        run(x, 3, x, x)
    references_now = sys.getrefcount(x.storage)
    assert (references_now, x.storage.version) == (references, 0)


def test_make_launch_refuses_what_is_not_a_plan() -> None:
    def make(spec: bytes, layouts: list[str], **options: Any) -> None:
        native.make_launch(spec, None, options.get("record"), options.get("fail", fail), layouts)

    address = kernel("add")
    good = native.pack_spec(address, 0, 1, 1, 0, [8], [0, 0])
    for spec, layouts, message in (
        (good[:-8], ["a"], "1 outputs and 2 inputs"),
        (good[:-1], ["a"], "64-bit words"),
        (good, [], "0 layouts for 1 outputs"),
        (native.pack_spec(0, 0, 1, 1, 0, [8], [0]), ["a"], "kernel 0x0"),
        (native.pack_spec(address, 0, 1, 1, 8, [8], [0]), ["a"], "flags 8"),
        (native.pack_spec(address, 0, 1, 1, 0, [8], [3]), ["a"], r"words \[8, 3\]"),
        (native.pack_spec(address, 0, 1, 1, 2, [], [0]), [], "in-place"),
        (native.pack_spec(address, 0, 1, 1, 0, [8] * 5, [0] * 60), ["a"] * 5, "65 operands"),
    ):
        with pytest.raises(ValueError, match=message):
            make(spec, layouts)
    with pytest.raises(TypeError, match="callable"):
        make(good, ["a"], fail=None)
    with pytest.raises(TypeError, match="callable"):
        make(good, ["a"], record=3)


def test_sixty_four_operands_fit() -> None:
    ones = [tensor(1) for _ in range(63)]
    calls: list[int] = []
    ones[5].tracked = True
    run = plan("add", 1, kinds=(0,) * 63, record=lambda *args: calls.append(len(args)))
    assert values(run(*ones), 1) == [2]
    assert calls == [64]
    with pytest.raises(StatusError) as caught:
        plan("fails", 1, outputs=32, kinds=(0,) * 32, flags=native.IN_PLACE)(*ones, ones[0])
    assert len(caught.value.args) == 65


def test_configure_needs_the_slots() -> None:
    class Plain:
        pass

    with pytest.raises(TypeError, match="no slot 'layout'"):
        native.configure(Plain)
    with pytest.raises(TypeError, match="must be a native Storage"):
        native.new_tensor("layout", "storage", 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes 3 operands"):
        native.new_tensor()  # type: ignore[call-arg]


# ---------------------------------------------------------------- views
def test_view_shares_storage() -> None:
    calls: list[tuple[Any, ...]] = []
    x = tensor(1, 2, 3)
    view = native.make_view(8, "row", lambda *args: calls.append(args))
    out = view(x)
    assert type(out) is StandIn
    assert (out.layout, out.storage, out.base, out.seen) == ("row", x.storage, x, 0)
    assert values(out, 2) == [2, 3]
    x.tracked = True
    again = view(x)
    assert calls == [(again, x)]
    assert native.make_view(-8, "back", None)(out).ptr == x.ptr
    with pytest.raises(TypeError, match="must be a Tensor"):
        view(3)
    assert again.base is x
    assert native.make_view(8, "last", None)(again).base is x  # a view of a view has the same base
    with pytest.raises(TypeError):
        view(x, x)  # type: ignore[call-arg]


def test_views_of_written_memory_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    x = tensor(1, 2, 3)
    view = native.make_view(8, "row", None)
    out, copy = view(x), plan("add_to", 1, kinds=(0,), flags=native.IN_PLACE)
    target = tensor(0)
    before = native._refresh
    native.set_refresh_callback(seen.append)
    try:
        copy(target, out)
        assert seen == []
        x.storage.version += 1
        copy(target, out)
        view(out)
        assert seen == [out, out]
        out.seen = x.storage.version
        copy(target, x)
        copy(target, out)
        assert len(seen) == 2
        assert native.recorded(x, 3, out) is False
        x.tracked = True
        assert native.recorded(out) is False
        assert native.recorded(3, x) is True
        native.set_grad_enabled(False)
        made_without = view(x)
        x.storage.version += 1
        copy(target, out)
        assert len(seen) == 2
        assert made_without.seen == -1 - made_without.storage.version + 1
        assert native.recorded(x) is False
    finally:
        native.set_grad_enabled(True)
        if before is not None:
            native.set_refresh_callback(before)


# ---------------------------------------------------------------- the interpreter's lock
def test_flag_releases_the_lock_and_keeps_the_operands() -> None:
    run = plan("sleeps", 2, flags=native.RELEASE_GIL)
    x, y = tensor(1, 2), tensor(3, 4)
    results: list[Any] = []
    worker = threading.Thread(target=lambda: results.append(run(x, y)))
    worker.start()
    held = weakref.ref(x.storage)
    while worker.is_alive() and held() is not None and sys.getrefcount(x.storage) < 3:
        pass  # until the kernel's thread owns the storage: the interpreter runs on beside it
    assert worker.is_alive()
    x.storage = None
    assert held() is not None
    worker.join()
    assert values(results[0], 2) == [4, 6]
    assert held() is None


# ---------------------------------------------------------------- storages
def test_storage_is_weakly_referable_and_cannot_be_made_by_calling() -> None:
    storage = native.alloc(10)
    reference = weakref.ref(storage)
    storage.version += 2
    assert storage.version == 2
    del storage
    assert reference() is None
    with pytest.raises(TypeError):
        native.Storage()
    with pytest.raises(AttributeError):
        native.alloc(1).ptr = 3
    with pytest.raises(TypeError):
        native.alloc("1")  # type: ignore[arg-type]


def test_wrapped_memory_keeps_its_owner() -> None:
    class Owner(bytearray):
        pass

    owner = Owner(16)
    reference = weakref.ref(owner)
    before = memory.memory_stats()
    storage = native.wrap(id(owner), 16, owner)
    assert (storage.ptr, storage.nbytes, storage.owner) == (id(owner), 16, owner)
    assert memory.memory_stats() == before
    del owner
    assert reference() is not None
    del storage
    assert reference() is None
    with pytest.raises(ValueError, match="negative"):
        native.wrap(0, -1, None)
    with pytest.raises(TypeError, match="takes 3 operands"):
        native.wrap(0, 1)  # type: ignore[call-arg]


# ---------------------------------------------------------------- leaks
def test_nothing_leaks() -> None:
    x, y = tensor(1, 2), tensor(3, 4)
    x.tracked = True
    layout = "a layout of its own".upper()
    spec = native.pack_spec(kernel("both"), 0, 2, 100, native.RELEASE_GIL, [16, 16], [0, 0])
    run = native.make_launch(spec, None, lambda *args: None, fail, [layout, layout])
    wrong = plan("fails", 2)
    view = native.make_view(8, layout, None)
    objects = (x, y, x.storage, x.ptr, layout, StandIn, native.Storage)

    def work(times: int) -> list[int]:
        for _ in range(times):
            outs = run(x, y)
            view(outs[0])
            with pytest.raises(StatusError):
                wrong(x, y)
            with pytest.raises(TypeError):
                run(x, 1)
        del outs
        gc.collect()
        return [memory.memory_stats().live, *(sys.getrefcount(o) for o in objects)]

    assert work(10) == work(300)


def test_a_cycle_through_a_tensor_is_collected() -> None:
    x = tensor(1)
    x.gradient = x
    reference = weakref.ref(x.storage)
    del x
    gc.collect()
    assert reference() is None


def test_import_does_not_load_llvm() -> None:
    code = (
        "import sys; import pellucid.runtime.memory as m; m.memory_stats(); print('llvmlite' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
