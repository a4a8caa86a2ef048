"""Whole epochs in one native call: shuffle, gather, forward, backward, update, without entering Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.function import require_native
from glassnet.compiler.jit import compile_function
from glassnet.compiler.loop_ir import F64, Buffer, Builder, Function, Index, IndexLike, Operand, Type, Value
from glassnet.compiler.lowering.random import lower_shuffle
from glassnet.compiler.passes.layout import Storage, element_of
from glassnet.compiler.program import Plan, finish_memory, plan_graph
from glassnet.core.dtype import NDArray
from glassnet.core.step import StepGraph, TrainingData
from glassnet.errors import UncompilableError


@dataclass
class _Arguments:
    """What the native function is called with, in this order, behind the arena."""

    x: Buffer
    target: Buffer
    order: Buffer
    words: Buffer
    rows: Value
    steps: Value
    first_epoch: Value
    epochs: Value
    stream: Value
    key0: Value
    key1: Value


class EpochProgram:
    """A step graph as a native function that runs epochs over data of any number of rows."""

    def __init__(self, step: StepGraph, gathered_once: bool, cpu: CPU) -> None:
        self.step = step
        inputs = len(step.graph.inputs)
        b = Builder("epoch")
        batch = range(step.carried, inputs)
        self.plan: Plan = plan_graph(
            step.graph, b, cpu, fixed=batch, overwrites={1 + i: i for i in range(step.carried)}
        )
        graph = self.plan.graph
        self.x, self.target = (self.plan.storage(node) for node in graph.inputs[step.carried : step.carried + 2])
        self.weight = self.plan.storage(graph.inputs[step.carried + 2]) if step.weighted else None
        self.count, self.rate = (self.plan.storage(node) for node in graph.inputs[-2:])
        self.loss = self.plan.storage(graph.outputs[0])
        self.total = b.buffer("total", "f64", 1)
        self._cpu, self._once = cpu, gathered_once
        lifetimes = self._write(b)
        self.arena_size = finish_memory(b, lifetimes)
        self.loops: Function = b.finish(b.load(self.total, 0))

    def _write(self, b: Builder) -> dict[Buffer, tuple[int, int]]:
        element = self.x.buffer.element
        arguments = _Arguments(
            b.buffer("data_x", element, None, kind="argument", alignment=4),
            b.buffer("data_target", self.target.buffer.element, None, kind="argument", alignment=4),
            b.buffer("order", "i32", None, kind="argument", alignment=4),
            b.buffer("words", "i32", None, kind="argument", alignment=4),
            *(b.argument(name) for name in ("rows", "steps", "first_epoch", "epochs", "stream", "key0", "key1")),
        )
        lifetimes: dict[Buffer, tuple[int, int]] = {}
        if self._once:
            self._gather(b, arguments, 0)

        def epoch(e: IndexLike) -> None:
            if not self._once:
                self._shuffle(b, arguments, b.iadd(arguments.first_epoch, b.value_of(e)))
            b.store(self.total, 0, b.zero(F64))
            b.loop(0, arguments.steps, 1, one_step)

        def one_step(s: IndexLike) -> None:
            total = b.load(self.total, 0)
            finite = b.compare("lt", b.abs(total), b.constant(math.inf, F64))
            b.if_(finite, lambda: step(s, total))

        def step(s: IndexLike, total: Operand) -> None:
            b.store(self.count.buffer, 0, b.add(b.load(self.count.buffer, 0), 1.0))
            if not self._once:
                self._gather(b, arguments, s)
            lifetimes.update(self.plan.lower(b, self._cpu))
            loss = b.load(self.loss.buffer, 0)
            b.store(self.total, 0, b.add(total, loss if loss.type == F64 else b.fpext(loss, "f64")))

        b.loop(0, arguments.epochs, 1, epoch)
        return lifetimes

    def _shuffle(self, b: Builder, arguments: _Arguments, epoch: Value) -> None:
        order, rows = arguments.order, arguments.rows
        key = (arguments.key0, arguments.key1)
        lower_shuffle(b, order, arguments.words, rows, arguments.stream, epoch, key)
        if self.step.weighted:
            # the short last batch is filled up with the first rows of the epoch, at weight 0
            padding = b.isub(b.imul(arguments.steps, self.step.batch_size), rows)
            b.loop(0, padding, 1, lambda t: b.store(order, t + Index.of(rows), b.load(order, t)))

    def _gather(self, b: Builder, arguments: _Arguments, s: IndexLike) -> None:
        """Copies the rows of batch `s` into the arena."""

        def row(r: IndexLike) -> None:
            place = s * self.step.batch_size + r
            source = Index.of(b.sext(b.load(arguments.order, place), "i64")) if not self._once else Index.of(r)
            self._copy_row(b, arguments.x, self.x, source, r)
            self._copy_row(b, arguments.target, self.target, source, r)
            if self.weight:
                inside = b.compare("lt", b.value_of(place), arguments.rows)
                one = Type(self.weight.buffer.element)
                b.store(self.weight.buffer, r, b.select(inside, b.constant(1, one), b.zero(one)))

        b.loop(0, self.step.batch_size, 1, row)

    def _copy_row(self, b: Builder, source: Buffer, target: Storage, row: Index, r: IndexLike) -> None:
        if target.shape[0] == 1 and self.step.batch_size > 1:
            b.store(target.buffer, r, b.load(source, row))  # one label a row
            return
        lanes, columns = self._cpu.lanes(source.element), target.shape[1]

        def piece(j: IndexLike, valid: int) -> None:
            loaded = b.load(source, row * columns + j, lanes, mask=None if valid == lanes else valid)
            b.store(target.buffer, target.index(r, j), loaded)

        whole = columns // lanes * lanes
        b.loop(0, whole, lanes, lambda j: piece(j, lanes))
        if whole < columns:
            piece(whole, columns - whole)



class CompiledRunner:
    """Runs epochs natively. The carried arrays live in the arena between calls."""

    def __init__(
        self,
        step: StepGraph,
        data: TrainingData,
        carried: Sequence[NDArray],
        learning_rate: float,
        cpu: CPU | None = None,
    ) -> None:
        require_native()
        start = perf_counter()
        rows = len(data.x)
        if rows >= 2**31 - step.batch_size:
            raise UncompilableError(f"{rows} rows are more than a compiled shuffle counts.")
        self._data = data
        self._program = EpochProgram(step, data.key is None, cpu or host_cpu())
        self._native = compile_function(self._program.loops, cpu)
        self.compile_seconds = perf_counter() - start
        self.from_cache = self._native.from_cache
        self.steps_per_epoch = -(-rows // step.batch_size)
        self._arena = Arena(self._program.arena_size)
        plan = self._program.plan
        for node in plan.constants:
            self._arena.write(plan.storage(node), node.value)
        self._carried = plan.graph.inputs[: step.carried]
        for node, array in zip(self._carried, carried, strict=True):
            self._arena.write(plan.storage(node), array)
        self._order = np.arange(rows + step.batch_size, dtype=np.int32)
        self._words = np.empty(-(-rows // 4) * 4, np.int32)
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """The rate of the steps to come."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._learning_rate = rate
        self._arena.write(self._program.rate, np.asarray(rate))

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        plan = self._program.plan
        return [self._arena.read(plan.storage(node), node.shape) for node in self._carried[:count]]

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs` in one native call, without the GIL; the mean loss of the last."""
        data = self._data
        stream, words = (data.key.stream, data.key.words) if data.key else (0, (0, 0))
        total = self._native(
            self._arena.address,
            data.x.ctypes.data,
            data.target.ctypes.data,
            self._order.ctypes.data,
            self._words.ctypes.data,
            len(data.x),
            self.steps_per_epoch,
            first_epoch,
            epochs,
            stream,
            *words,
        )
        assert isinstance(total, float)  # the function returns an f64
        return total / len(data.x)
