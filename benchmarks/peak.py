"""The most that this processor can do: float32 multiply-adds in registers, on several threads at once.

Products of large matrices are bound by it. Where PyTorch is close to it, no code can be much faster.
"""

import ctypes
import time
from threading import Thread

from pellucid.runtime import jit
from pellucid.runtime.machine import vector_bytes

CHAINS = 12  # independent sums: more than the latency of an addition times what starts at once
STEPS = 20_000_000
ROUNDS = 3


def _loop() -> str:
    lanes = vector_bytes() // 4
    vector = f"<{lanes} x float>"
    chains = range(CHAINS)
    lines = [
        f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})",
        f"define void @loop(i64 %steps, {vector} %factor, ptr %out) " + '"prefer-vector-width"="512" {',
        "entry:",
        "  br label %step",
        "step:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %step ]",
        *(f"  %sum{k} = phi {vector} [ %factor, %entry ], [ %new{k}, %step ]" for k in chains),
        *(
            f"  %new{k} = call {vector} @llvm.fma.v{lanes}f32({vector} %sum{k}, {vector} %factor, {vector} %factor)"
            for k in chains
        ),
        "  %next = add i64 %i, 1",
        "  %more = icmp ult i64 %next, %steps",
        "  br i1 %more, label %step, label %done",
        "done:",
        *(f"  store volatile {vector} %new{k}, ptr %out, align 4" for k in chains),
        "  ret void",
        "}",
        "define void @run(i64 %steps, ptr %out) {",
        f"  %factor = load {vector}, ptr %out, align 4",
        f"  call void @loop(i64 %steps, {vector} %factor, ptr %out)",
        "  ret void",
        "}",
    ]
    return "\n".join(lines)


def flops_per_second(threads: int) -> float:
    """Float32 operations a second (a multiply-add is two) that ``threads`` threads reach together."""
    text = _loop()
    address = jit.function_address("peak:" + jit.digest(text), "run", lambda: text)
    run = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(address)
    places = [(ctypes.c_float * 64)(*[0.5] * 64) for _ in range(threads)]
    best = float("inf")
    for _ in range(ROUNDS):
        crew = [Thread(target=run, args=(STEPS, ctypes.addressof(place))) for place in places]
        start = time.perf_counter()
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        best = min(best, time.perf_counter() - start)
    return threads * STEPS * CHAINS * (vector_bytes() // 4) * 2 / best
