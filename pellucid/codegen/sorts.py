"""Sorting rows of 64-bit keys: what no formula says.

``radix_sort`` orders each row by some of its keys' bits, stably: byte by byte from the lowest, counting how many keys
have which byte and then moving each key to its place. ``first_places`` finds the places of the smallest keys of each
row, keeping the best ones so far in order.

Both have the signature of kernels; ``begin <= row < end``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.codegen.ir import Writer
from pellucid.runtime import jit

_HEAD = "define i64 @kernel(ptr noalias %operands, ptr noalias %params, i64 %begin, i64 %end) #0"
_ATTRIBUTES = "attributes #0 = { nounwind }\n"
_VALUES = 256  # of a byte
FIRST_BIT = 32  # below it keys hold their place


def radix_sort(nbytes: int) -> int:
    """The address of the sort by ``nbytes`` bytes of the keys from bit 32 on. Operands: keys, as much memory again;
    parameters: keys per row."""
    return jit.function_address(f"radix_sort {nbytes}", "kernel", lambda: _radix_text(nbytes))


def first_places() -> int:
    """The address of the search for the smallest keys. Operands: their places, memory as large, keys; parameters:
    keys per row, how many are wanted."""
    return jit.function_address("first_places", "kernel", _first_text)


class _Routine(Writer):
    """Machine code on addresses: 64-bit words are read and written by address and number."""

    def operand(self, k: int) -> str:
        return self.word("%operands", k)

    def param(self, k: int) -> str:
        return self.word("%params", k)

    def word(self, array: str, k: int) -> str:
        return self.read("i64", self.let(f"getelementptr i64, ptr {array}, i64 {k}"))

    def add(self, a: str, b: str) -> str:
        return self.let(f"add i64 {a}, {b}")

    def row(self, base: str, number: str, cells: str) -> str:
        """The address of a row."""
        return self.add(base, self.let(f"shl i64 {self.let(f'mul i64 {number}, {cells}')}, 3"))

    def at(self, base: str, i: str) -> str:
        """A pointer to word ``i`` behind the address ``base``."""
        return self.let(f"inttoptr i64 {self.add(base, self.let(f'shl i64 {i}, 3'))} to ptr")

    def load(self, base: str, i: str) -> str:
        return self.read("i64", self.at(base, i))

    def store(self, value: str, base: str, i: str) -> None:
        self.write("i64", value, self.at(base, i))

    def less(self, a: str, b: str) -> str:
        return self.let(f"icmp ult i64 {a}, {b}")

    def pick(self, condition: str, a: str, b: str) -> str:
        return self.let(f"select i1 {condition}, i64 {a}, i64 {b}")

    @contextmanager
    def rows(self) -> Iterator[str]:
        with self.loop("%begin", "%end", "1") as row:
            yield row

    def text(self) -> str:
        self.do("ret i64 0")
        return f"{self.function(_HEAD)}\n{_ATTRIBUTES}"


def _radix_text(nbytes: int) -> str:
    w = _Routine()
    keys, other, n = w.operand(0), w.operand(1), w.param(0)
    table = w.slot(f"[{nbytes * _VALUES} x i64]")
    counts = w.let(f"ptrtoint ptr {table} to i64")
    source, target = w.slot("i64"), w.slot("i64")
    with w.rows() as row:
        start, aside = w.row(keys, row, n), w.row(other, row, n)
        w.write("i64", start, source)
        w.write("i64", aside, target)
        w.call("void", "llvm.memset.p0.i64", f"ptr {table}", "i8 0", f"i64 {8 * nbytes * _VALUES}", "i1 false")
        with w.loop("0", n, "1") as i:
            key = w.load(start, i)
            for b in range(nbytes):
                _count(w, counts, _byte(w, key, b))
        for b in range(nbytes):
            known = _byte(w, w.load(start, "0"), b)
            with w.when(w.let(f"icmp ne i64 {w.load(counts, known)}, {n}")):  # else all keys have the same byte
                _places_from_counts(w, counts, b)
                _move(w, counts, b, n, source, target)
        last = w.read("i64", source)
        with w.when(w.let(f"icmp ne i64 {last}, {start}")):
            pointers = [w.let(f"inttoptr i64 {a} to ptr") for a in (start, last)]
            size = w.let(f"shl i64 {n}, 3")
            w.call("void", "llvm.memcpy.p0.p0.i64", f"ptr {pointers[0]}", f"ptr {pointers[1]}", f"i64 {size}", "i1 false")
    return w.text()


def _byte(w: _Routine, key: str, b: int) -> str:
    """Where byte ``b`` of the rank is counted."""
    value = w.let(f"and i64 {w.let(f'lshr i64 {key}, {FIRST_BIT + 8 * b}')}, {_VALUES - 1}")
    return value if b == 0 else w.add(value, str(b * _VALUES))


def _count(w: _Routine, counts: str, place: str) -> None:
    w.store(w.add(w.load(counts, place), "1"), counts, place)


def _places_from_counts(w: _Routine, counts: str, b: int) -> None:
    """How many keys there are of each byte becomes where the first of them goes."""
    total = w.slot("i64", "0")
    with w.loop(str(b * _VALUES), str((b + 1) * _VALUES), "1") as i:
        before = w.read("i64", total)
        w.write("i64", w.add(before, w.load(counts, i)), total)
        w.store(before, counts, i)


def _move(w: _Routine, counts: str, b: int, n: str, source: str, target: str) -> None:
    origin, goal = w.read("i64", source), w.read("i64", target)
    with w.loop("0", n, "1") as i:
        key = w.load(origin, i)
        byte = _byte(w, key, b)
        w.store(key, goal, w.load(counts, byte))
        _count(w, counts, byte)
    w.write("i64", goal, source)
    w.write("i64", origin, target)


def _first_text() -> str:
    w = _Routine()
    places, best, keys, n, k = w.operand(0), w.operand(1), w.operand(2), w.param(0), w.param(1)
    last = w.add(k, "-1")
    worst = w.slot("i64")
    with w.rows() as row:
        found, ranks, cells = w.row(places, row, k), w.row(best, row, k), w.row(keys, row, n)
        with w.loop("0", k, "1") as i:  # the first k cells, each put where it belongs
            _insert(w, ranks, found, i, w.load(cells, i), i)
        w.write("i64", w.load(ranks, last), worst)
        with w.loop(k, n, "1") as i:
            key = w.load(cells, i)
            with w.when(w.less(key, w.read("i64", worst))):
                _insert(w, ranks, found, last, key, i)
                w.write("i64", w.load(ranks, last), worst)
    return w.text()


def _insert(w: _Routine, ranks: str, places: str, end: str, key: str, place: str) -> None:
    """Put a key among those before ``end``, which are in order, behind its equals; the last one is dropped."""
    w.store(key, ranks, end)
    w.store(place, places, end)
    with w.loop("0", end, "1") as step:
        j = w.let(f"sub i64 {end}, {step}")
        i = w.add(j, "-1")
        before, own = w.load(ranks, i), w.load(ranks, j)
        swap = w.less(own, before)
        its_place, own_place = w.load(places, i), w.load(places, j)
        w.store(w.pick(swap, before, own), ranks, j)
        w.store(w.pick(swap, own, before), ranks, i)
        w.store(w.pick(swap, its_place, own_place), places, j)
        w.store(w.pick(swap, own_place, its_place), places, i)
