"""The memory pool: size classes, reuse, statistics, its bound, running out of memory, red zones."""

import ctypes
import gc
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.runtime import memory, native

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def run_alone(code: str) -> str:
    """Output of a program in a fresh process: its pool holds nothing yet."""
    start = "from pellucid.runtime import memory, native\nMIB, GIB = 1 << 20, 1 << 30\n"
    program = start + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def class_size(nbytes: int) -> int:
    """Bytes of the block for a request, by the rule that pool.ll states: four steps between powers of two."""
    unit = 64 if nbytes <= MIB else 2 * MIB
    units = max(-(-nbytes // unit), 1)
    step = 1
    while 8 * step < units:
        step *= 2
    return -(-units // step) * step * unit


# ---------------------------------------------------------------- blocks
def test_size_classes_and_alignment() -> None:
    """Every size has room, wastes at most a quarter (or the rest of a unit), and is aligned."""
    sizes = [*range(0, 1200, 7), *(2**k + d for k in range(31) for d in (-1, 0, 1))]
    out = run_alone(f"""
        live, blocks = [], 0
        for nbytes in {sizes}:
            live.append(native.alloc(nbytes))
            before, blocks = blocks, native.variable("in_blocks").value
            print(nbytes, live[-1].nbytes, live[-1].ptr, blocks - before)
    """)
    lines = [[int(word) for word in line.split()] for line in out.splitlines()]
    assert [line[0] for line in lines] == sizes
    for asked, nbytes, address, block in lines:
        assert (nbytes, block) == (asked, class_size(asked))
        assert asked <= block <= max(1.25 * asked, asked + (64 if asked <= MIB else 2 * MIB))
        assert address % (2 * MIB if asked > MIB else 64) == 0


@pytest.mark.parametrize("nbytes", [24, 5000, 3 * MIB])
def test_freed_memory_is_used_at_once(nbytes: int) -> None:
    storage = native.alloc(nbytes)
    address = storage.ptr
    del storage
    assert native.alloc(nbytes).ptr == address


def test_a_miss_borrows_from_the_next_classes() -> None:
    memory.empty_cache()
    reserved = memory.memory_stats().reserved
    large = native.alloc(12 * MIB)
    address = large.ptr
    del large
    assert native.alloc(10 * MIB).ptr == address
    assert native.alloc(12 * MIB).ptr == address
    assert memory.memory_stats().reserved == reserved + 12 * MIB


SIZES = st.one_of(st.integers(0, 300), st.integers(0, 70 * KIB), st.integers(0, 6 * MIB))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), SIZES, st.integers(0, 2**32)), max_size=120), st.booleans())
def test_live_blocks_never_overlap(steps: list[tuple[bool, int, int]], zones: bool) -> None:
    """Random allocations and frees: every live block keeps the bytes that were written to its ends."""
    gc.collect()
    before = memory.memory_stats()
    was_on = memory.redzone(zones)
    live: list[tuple[Any, bytes]] = []
    try:
        for i, (free, nbytes, choice) in enumerate(steps):
            if free and live:
                storage, mark = live.pop(choice % len(live))
                assert ctypes.string_at(storage.ptr, len(mark)) == mark
                assert ctypes.string_at(storage.ptr + storage.nbytes - len(mark), len(mark)) == mark
                del storage
                continue
            storage = native.alloc(nbytes)
            mark = bytes([i + 1]) * min(nbytes, 8)
            ctypes.memmove(storage.ptr, mark, len(mark))
            ctypes.memmove(storage.ptr + nbytes - len(mark), mark, len(mark))
            live.append((storage, mark))
            del storage
        spans = sorted((storage.ptr, storage.ptr + max(storage.nbytes, 1)) for storage, _ in live)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        stats = memory.memory_stats()
        assert stats.in_use - before.in_use == sum(storage.nbytes for storage, _ in live)
        assert stats.live - before.live == len(live)
        assert memory.check_redzones() == []
    finally:
        memory.redzone(was_on)
    live.clear()
    after = memory.memory_stats()
    assert (after.in_use, after.live) == (before.in_use, before.live)


# ---------------------------------------------------------------- statistics and bounds
def test_peak_and_reset() -> None:
    memory.reset_peak()
    start = memory.memory_stats()
    assert start.peak == start.in_use
    storage = native.alloc(1000)
    del storage
    stats = memory.memory_stats()
    assert (stats.peak, stats.in_use) == (start.in_use + 1000, start.in_use)
    assert stats.allocations == start.allocations + 1
    memory.reset_peak()
    assert memory.memory_stats().peak == start.in_use


def test_everything_can_be_given_back() -> None:
    out = run_alone("""
        assert memory.memory_stats().reserved == 0 and memory.empty_cache() == 0
        live = [native.alloc(n) for n in [0, 10, 1000, MIB, MIB + 1, 40 * MIB] + [MIB] * 70]
        stats = memory.memory_stats()
        assert stats.live == 76 and stats.cached == stats.reserved - native.variable("in_blocks").value
        kept = live[3].ptr
        first = live[0]
        live.clear()
        given = memory.empty_cache()
        assert memory.memory_stats().reserved == stats.reserved - given == 32 * MIB  # the arena of `first`
        again = [native.alloc(MIB) for _ in range(31)]  # its free blocks are still good
        assert memory.memory_stats().reserved == 32 * MIB, memory.memory_stats()
        del first, again
        memory.empty_cache()
        print(memory.memory_stats().reserved, memory.memory_stats().live)
        native.alloc(100)
    """)
    assert out == "0 0\n"


def test_a_loop_comes_to_rest() -> None:
    """A training step in small: after some steps no memory is reserved any more, even beyond the bound."""
    out = run_alone("""
        import random
        native.variable("slack").value = 0
        sizes = [random.Random(1).randrange(100, 8 * MIB) for _ in range(200)]
        def step():
            kept = []
            for i, n in enumerate(sizes):
                kept.append(native.alloc(n))
                if i % 3 == 2:
                    kept.pop(0)
            while kept:
                kept.pop()
                native.alloc(len(kept) * 40_000)
        history = []
        for _ in range(40):
            step()
            history.append(memory.memory_stats().reserved)
        print(len(set(history[20:])), history[-1] <= 3 * memory.memory_stats().peak)
    """)
    assert out == "1 True\n"


def test_the_cache_is_bounded() -> None:
    """Sizes that never come back are given back: reserved <= 2 * peak + slack."""
    out = run_alone("""
        native.variable("slack").value = 0
        for n in range(20):
            blocks = [native.alloc((8 + 3 * n) * 2 * MIB) for _ in range(4)]
            del blocks
            stats = memory.memory_stats()
            assert stats.reserved <= 2.5 * stats.peak + 32 * MIB, (n, stats)
        native.variable("memory_limit").value = 100 * MIB
        native.alloc(700 * MIB)
        print(memory.memory_stats().reserved // MIB)
    """)
    assert int(out) <= 32 + 768


def test_out_of_memory_teaches_and_recovers() -> None:
    out = run_alone("""
        import resource
        native.alloc(1)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + GIB, -1))
        native.variable("slack").value = 4 * GIB
        kept = native.alloc(100 * MIB)
        cached = [native.alloc(300 * MIB), native.alloc(200 * MIB)]
        del cached
        for n in (2 * GIB, 1 << 46, (1 << 46) + 1, (1 << 63) - 1, -1):
            try:
                native.alloc(n)
            except MemoryError as error:
                assert isinstance(error, RuntimeError)
                print(error)
        native.alloc(700 * MIB)  # possible once the cached blocks are given back
        print(memory.memory_stats().live)
    """).splitlines()
    assert "no memory for a tensor of 2147483648 bytes (2 GiB)" in out[0]
    assert "104857600 bytes are in use" in out[0]
    assert "pellucid.memory.empty_cache()" in out[0]
    assert [line.split(":")[0] for line in out[1:5]] == [
        "no memory for a tensor of 70368744177664 bytes (6.55e+04 GiB)",
        "no memory for a tensor of 70368744177665 bytes (6.55e+04 GiB)",
        "no memory for a tensor of 9223372036854775807 bytes (8.59e+09 GiB)",
        "a tensor of -1 bytes",
    ]
    assert out[5] == "1"


def test_sizes_beyond_64_bits() -> None:
    with pytest.raises(OverflowError):
        native.alloc(1 << 64)


# ---------------------------------------------------------------- red zones
@pytest.fixture
def _zones() -> Iterator[None]:
    memory.check_redzones()
    before = memory.redzone(True)
    yield
    memory.redzone(before)


def poke(address: int, value: int = 0) -> None:
    ctypes.c_uint8.from_address(address).value = value


@pytest.mark.usefixtures("_zones")
@pytest.mark.parametrize("nbytes", [0, 1, 100, 5 * MIB])
@pytest.mark.parametrize("where", ["before", "after"])
def test_writes_outside_are_found(nbytes: int, where: str) -> None:
    storages = [native.alloc(nbytes) for _ in range(3)]
    assert storages[1].ptr % 64 == 0
    offset = -64 if where == "before" else nbytes + 63
    poke(storages[1].ptr + offset)
    found = memory.check_redzones()
    assert found == [memory.Overwritten(storages[1].ptr, nbytes, offset, False)]
    expected = f"{nbytes} bytes at {storages[1].ptr:#x} was overwritten "
    expected += "64 bytes before its start" if where == "before" else "63 bytes after its end"
    assert expected in str(found[0])
    with pytest.warns(RuntimeWarning, match=expected):
        del storages[1]
    assert [damage.freed for damage in memory.check_redzones()] == [True]
    assert memory.check_redzones() == []
    storages.clear()
    assert memory.check_redzones() == []


@pytest.mark.usefixtures("_zones")
def test_a_report_keeps_an_exception_on_its_way() -> None:
    def fail() -> None:
        storage = native.alloc(8)
        poke(storage.ptr + 8)
        raise KeyError("mine")

    with pytest.warns(RuntimeWarning, match="wrote outside"), pytest.raises(KeyError, match="mine"):
        fail()
    memory.check_redzones()


def test_the_mode_may_change_while_blocks_live() -> None:
    before = memory.redzone(True)
    guarded = native.alloc(8)
    assert memory.redzone(False) is True
    plain = native.alloc(8)
    poke(plain.ptr + 8)  # within its block of 64 bytes, but nobody looks
    assert memory.check_redzones() == []
    del plain
    poke(guarded.ptr + 8)
    assert len(memory.check_redzones()) == 1
    poke(guarded.ptr + 8, 0xA5)
    del guarded
    assert memory.check_redzones() == []
    memory.redzone(before)
