"""The GPU's loops: every thread takes cells (or rows) one by one, a grid's width apart; folds run in the thread.

Kernel: ``kernel(operands, params, begin, end, status)``, all pointers to global memory; a thread that meets an error
sets bits in ``*status``. LLVM's NVPTX target turns the text into PTX, which the CUDA driver compiles.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pellucid.codegen.emit import Emitter
from pellucid.codegen.ir import memory_type
from pellucid.codegen.place import Accumulator, KernelPlace, merge
from pellucid.codegen.reads import INDEX_ERROR, Value
from pellucid.codegen.schedule import OWNERS, Nest
from pellucid.dtypes import DType
from pellucid.formula.expr import Expr
from pellucid.formula.formula import Fold, Formula, Scatter

TRIPLE = "nvptx64-nvidia-cuda"
HEAD = "define ptx_kernel void @kernel(ptr %operands, ptr %params, i64 %begin, i64 %end, ptr %status)"


class PtxKernel(KernelPlace):
    """Writes one kernel for one thread of the grid."""

    def flag(self, condition: str, status: int) -> None:
        bit = self.writer.let(f"select i1 {condition}, i64 {status}, i64 0")
        with self.writer.when(condition):
            self.writer.do(f"atomicrmw or ptr %status, i64 {bit} monotonic")

    def text(self) -> str:
        """LLVM IR for the NVPTX target."""
        w = self.writer
        first = w.let(f"add i64 %begin, {self._thread()}")
        width = w.let(f"mul i64 {self._register('ntid')}, {self._register('nctaid')}")
        with w.loop(first, "%end", width) as unit:
            self._set_counters(unit)
            if isinstance(self.nest.formula, Scatter):
                self._scatter(self.nest.formula)
            else:
                self._cell(self.nest.formula)
        w.do("ret void")
        return f'target triple = "{TRIPLE}"\n{w.function(HEAD)}\n'

    def _register(self, name: str) -> str:
        value = self.writer.call("i32", f"llvm.nvvm.read.ptx.sreg.{name}.x")
        return self.writer.let(f"zext i32 {value} to i64")

    def _thread(self) -> str:
        block = self.writer.let(f"mul i64 {self._register('ctaid')}, {self._register('ntid')}")
        return self.writer.let(f"add i64 {block}, {self._register('tid')}")

    def _set_counters(self, unit: str) -> None:
        """The coordinates of cell number ``unit`` of the outer loops."""
        loops, self.unit = self._unit_loops(), unit
        for a in reversed(loops[1:]):
            self.counters[a] = self.writer.let(f"urem i64 {unit}, {self.size(a)}")
            unit = self.writer.let(f"udiv i64 {unit}, {self.size(a)}")
        if loops:
            self.counters[loops[0]] = unit

    def _unit_loops(self) -> list[int]:
        """The loops that threads share: of a scatter only one along which writes never meet."""
        if not isinstance(self.nest.formula, Scatter):
            return list(range(self.nest.outer))
        return [self.nest.part] if self.nest.part >= 0 else []

    def _cell(self, formula: Formula) -> None:
        known: dict[Expr, Value] = {}
        for stage in formula.stages:
            scan = formula.scan and stage is formula.stages[-1]
            known.update(self._fold(formula, stage, known, scan))
        if not formula.scan and any(o.over_row for o in formula.outputs):
            with self.row_loops(self.row_axes()):
                self._write(formula, known, over_row=True)
        self._write(formula, known, over_row=False)

    def _emitter(self, known: dict[Expr, Value]) -> Emitter:
        emitter = Emitter(self)
        for e, value in known.items():
            emitter.bind(e, value)
        return emitter

    def _fold(self, formula: Formula, stage: Fold, known: dict[Expr, Value], scan: bool) -> dict[Expr, Value]:
        total = Accumulator(self, stage.reducer, 1)
        with self.row_loops(self.row_axes()):
            emitter = self._emitter(known)
            total.merge([emitter.value(e) for e in stage.elements])
            if scan:
                self._write(formula, {**known, **total.states(stage)}, over_row=True)
        return total.states(stage)

    def _write(self, formula: Formula, known: dict[Expr, Value], over_row: bool) -> None:
        emitter = self._emitter(known)
        for slot, output in enumerate(formula.outputs):
            if output.over_row == over_row:
                self._store(self.address(slot), emitter.value(output.value), self.nest.slots[slot].dtype, emitter)

    def _store(self, address: str, value: Value, dtype: DType, emitter: Emitter) -> None:
        w = self.writer
        if isinstance(value, tuple):
            part = dtype.to_real()
            self._store(address, value[0], part, emitter)
            self._store(w.let(f"add i64 {address}, {part.itemsize}"), value[1], part, emitter)
            return
        raw, pointer = emitter.to_memory(value, dtype), w.let(f"inttoptr i64 {address} to ptr")
        w.do(f"store {memory_type(dtype)} {raw}, ptr {pointer}, align {dtype.itemsize}")

    def _scatter(self, formula: Scatter) -> None:
        with self.row_loops([a for a in range(self.nest.outer) if a != self.nest.part]):
            emitter, w = Emitter(self), self.writer
            address, inside, own = self.address(0), "true", None
            for d, coord in enumerate(formula.target):
                at = emitter.scalar(coord)
                own = at if own is None else own
                ok = w.let(f"icmp ult i64 {at}, {self.param(('extent', 0, d))}")
                inside = w.let(f"and i1 {inside}, {ok}")
                address = w.let(f"add i64 {address}, {w.let(f'mul i64 {at}, {self.dynamic_step(0, d)}')}")
            self.flag(w.let(f"xor i1 {inside}, true"), INDEX_ERROR)
            if self.nest.part == OWNERS:
                inside = w.let(f"and i1 {inside}, {w.let(f'icmp eq i64 {own}, {self.unit}')}")
            with w.when(inside):
                self._merge_into(address, formula, emitter)

    def _merge_into(self, address: str, formula: Scatter, emitter: Emitter) -> None:
        dtype = self.nest.slots[0].dtype
        value = emitter.value(formula.value)
        if formula.reducer is not None:
            old = emitter.read_one(address, dtype)
            (value,) = merge(self, formula.reducer, 1, [old], [value])
        self._store(address, value, dtype, emitter)


@cache
def _target_machine(processor: str) -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=processor, opt=3)


def ptx(nest: Nest, processor: str = "sm_80") -> str:
    """The nest's kernel in PTX, for NVIDIA processors of this architecture and later.

    Raises:
        RuntimeError: LLVM does not accept the kernel.
    """
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(PtxKernel(nest).text())
    module.verify()
    machine = _target_machine(processor)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return str(machine.emit_assembly(module))
