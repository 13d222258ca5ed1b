"""A writer of textual LLVM IR: fresh names, blocks, counted loops. Values are their names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pellucid.dtypes import DType, bfloat16, bool_, float16, float32


def register_type(dtype: DType) -> str:
    """How one value of the dtype is held while computing: bool as i1, bfloat16 as its bits."""
    if dtype is bool_:
        return "i1"
    return "i16" if dtype is bfloat16 else dtype.llvm


def memory_type(dtype: DType) -> str:
    return "i16" if dtype is bfloat16 else dtype.llvm


def vector(scalar_type: str, width: int) -> str:
    return scalar_type if width == 1 else f"<{width} x {scalar_type}>"


def suffix(scalar_type: str, width: int) -> str:
    """The overload suffix of an LLVM intrinsic: ``f32``, ``v16f32``, ``v8i64``."""
    short = {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}.get(scalar_type, scalar_type)
    return short if width == 1 else f"v{width}{short}"


def literal(value: bool | int | float, dtype: DType) -> str:
    """A constant of the dtype, as LLVM writes it."""
    if dtype is bool_:
        return "true" if value else "false"
    if dtype is bfloat16:
        return str(int(np.float32(value).view(np.uint32)) >> 16)
    if dtype.is_floating_point:
        if dtype is float16:
            return f"0xH{int(np.float16(value).view(np.uint16)):04X}"
        with np.errstate(over="ignore"):
            exact = float(np.float32(value)) if dtype is float32 else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
    bits = 8 * dtype.itemsize
    wrapped = int(value) & ((1 << bits) - 1)
    return str(wrapped - (1 << bits) if wrapped >> (bits - 1) else wrapped)


class Writer:
    """Collects the lines of one function. ``entry`` lines come first: stack slots and what is loaded once."""

    def __init__(self) -> None:
        self.entry: list[str] = []
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self.globals: list[str] = []
        self._names = 0

    def fresh(self) -> str:
        self._names += 1
        return f"%v{self._names}"

    def let(self, text: str) -> str:
        """``%v = text``."""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def call(self, result: str, function: str, *arguments: str) -> str:
        """Call an intrinsic; arguments are ``type value``."""
        types = ", ".join(split_type(a) for a in arguments)
        self.declarations.add(f"declare {result} @{function}({types})")
        text = f"call {result} @{function}({', '.join(arguments)})"
        if result == "void":
            self.do(text)
            return ""
        return self.let(text)

    def slot(self, type_: str, initial: str | None = None) -> str:
        """A variable on the stack (LLVM turns it into registers)."""
        name = self.fresh()
        self.entry.append(f"  {name} = alloca {type_}")
        if initial is not None:
            self.do(f"store {type_} {initial}, ptr {name}")
        return name

    def read(self, type_: str, slot: str) -> str:
        return self.let(f"load {type_}, ptr {slot}")

    def write(self, type_: str, value: str, slot: str) -> None:
        self.do(f"store {type_} {value}, ptr {slot}")

    def label(self) -> str:
        return self.fresh()[1:]

    def begin(self, label: str) -> None:
        self.lines.append(f"{label}:")

    def jump(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.do(f"br i1 {condition}, label %{yes}, label %{no}")

    @contextmanager
    def loop(self, start: str, end: str, step: str) -> Iterator[str]:
        """``for i in range(start, end, step)``; the counter's value is yielded."""
        counter = self.slot("i64", start)
        head, body, done = self.label(), self.label(), self.label()
        self.jump(head)
        self.begin(head)
        i = self.read("i64", counter)
        self.branch(self.let(f"icmp slt i64 {i}, {end}"), body, done)
        self.begin(body)
        yield i
        self.write("i64", self.let(f"add i64 {i}, {step}"), counter)
        self.jump(head)
        self.begin(done)

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        yes, done = self.label(), self.label()
        self.branch(condition, yes, done)
        self.begin(yes)
        yield
        self.jump(done)
        self.begin(done)

    def function(self, head: str) -> str:
        body = "\n".join(["entry:", *self.entry, "  br label %start", "start:", *self.lines])
        return "\n".join([*self.globals, *sorted(self.declarations), f"{head} {{", body, "}"])


def split_type(argument: str) -> str:
    """The type in ``type value``; vector types hold spaces."""
    if argument.startswith("<"):
        return argument[: argument.index(">") + 1]
    return argument.split(" ", 1)[0]
