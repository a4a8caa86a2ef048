"""A training step written as whole epochs: shuffle, gather, forward, backward, update, without Python."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glassnet.compiler.cpu import CPU
from glassnet.compiler.epoch import EpochMemory
from glassnet.compiler.gather import copy_images, copy_row
from glassnet.compiler.loop_ir import (
    F64,
    Buffer,
    Builder,
    Function,
    Index,
    IndexLike,
    Operand,
    Position,
    Type,
    Value,
)
from glassnet.compiler.loop_language import BITS
from glassnet.compiler.lowering.random import lower_shuffle
from glassnet.compiler.passes.divide import divide
from glassnet.compiler.passes.forward import forward
from glassnet.compiler.passes.image_layout import ImageStorage
from glassnet.compiler.passes.work import work
from glassnet.compiler.program import Plan, finish_memory, plan_graph
from glassnet.compiler.stages import stage
from glassnet.compiler.tally import TalliedRows, TallyPlan
from glassnet.compiler.threads import thread_count
from glassnet.core.step import StepGraph


@dataclass
class _Arguments:
    """What the native function is called with, in this order, behind the arena."""

    columns: list[Buffer]
    order: Buffer
    words: Buffer
    rates: Buffer
    records: Buffer  # for every epoch the sum of its rows' losses, and its tallies
    rows: Value
    steps: Value  # of a whole epoch
    first_step: Value
    end_step: Value
    shuffles: Value  # 1 where the call begins an epoch, else 0
    sums_anew: Value  # 0 where the call before was a part of the same sum of losses, else 1
    tallies: Value  # 1 where it ends one, else 0
    first_epoch: Value
    epochs: Value
    first_number: Value
    rate_stride: Value  # 1 where every step has a rate of its own, else 0
    stream: Value
    key0: Value
    key1: Value


class EpochProgram:
    """A step graph as a native function that runs epochs over data of any number of rows.

    Data that is one batch, in the given order, is gathered once; every epoch is one step then. `threads` asks
    for a program for so many; with None the work of a step decides.
    """

    def __init__(self, step: StepGraph, gathered_once: bool, cpu: CPU, threads: int | None = 1) -> None:
        self.step = step
        b = Builder("epoch")
        batch = range(step.carried, len(step.graph.inputs))
        overwrites = {1 + i: i for i in range(step.carried)}
        self.plan: Plan = plan_graph(step.graph, b, cpu, fixed=batch, overwrites=overwrites)
        self._cpu, self._once = cpu, gathered_once
        storages = [self.plan.storage(node) for node in self.plan.graph.inputs]
        end = step.carried + step.data
        self.columns = storages[step.carried : end]
        self.weight = storages[end] if step.weighted else None
        self.numbers = storages[-3] if step.numbered else None
        self.count, self.rate = storages[-2:]
        self.loss = self.plan.storage(self.plan.graph.outputs[0])
        self.total = b.buffer("total", "f64", 1)
        self.tallies = [TallyPlan(tally, b, cpu, storages[: step.carried]) for tally in step.tallies]
        lifetimes = stage("lower", self._write, b)
        arena_size = stage("memory", finish_memory, b, lifetimes)
        loops = b.finish(b.load(self.total, 0))
        step_work = work(loops.body)
        several = thread_count(threads, step_work) > 1
        divided = stage("threads", divide, loops, lifetimes) if several else None
        self.loops: Function = stage("forwarding", forward, divided.function if divided else loops, lifetimes)
        plans = [self.plan, *(tally.plan for tally in self.tallies)]
        constants = [entry for plan in plans for entry in plan.constant_values]
        self.memory = EpochMemory(
            arena_size,
            storages[: step.carried],
            self.count,
            constants,
            step_work,
            divided.private if divided else None,
        )

    def _write(self, b: Builder) -> dict[Buffer, tuple[int, int]]:
        def pointer(name: str, element: str) -> Buffer:
            return b.buffer(name, element, None, kind="argument", alignment=BITS[element] // 8)

        names = ("rows", "steps", "first_step", "end_step", "shuffles", "sums_anew", "tallies")
        names += ("first_epoch", "epochs", "first_number", "rate_stride", "stream", "key0", "key1")
        arguments = _Arguments(
            [pointer(f"data_{i}", column.buffer.element) for i, column in enumerate(self.columns)],
            pointer("order", "i32"),
            pointer("words", "i32"),
            pointer("rates", self.rate.buffer.element),
            pointer("records", "f64"),
            *(b.argument(name) for name in names),
        )
        tallied = [
            TalliedRows(
                [pointer(f"tallied_{number}_{i}", x.buffer.element) for i, x in enumerate(plan.columns)],
                b.argument(f"count_{number}"),
                b.argument(f"blocks_{number}"),
            )
            for number, plan in enumerate(self.tallies)
        ]
        lifetimes: dict[Buffer, tuple[int, int]] = {}
        if self._once:
            self._gather(b, arguments, 0, arguments.first_epoch)

        def while_finite(total: Operand) -> None:
            # a loss that is not finite stops the run: what is left of its epoch, and the epochs behind it
            b.go_on_if(b.compare("lt", b.abs(total), b.constant(math.inf, F64)))

        def epoch(e: Position) -> None:
            number = b.iadd(arguments.first_epoch, b.value_of(e))
            place = Index.of(e) * self.step.record_size
            if self._once:
                self._set_rate(b, arguments, b.value_of(e))
                loss = step(0, number)
                b.store(self.total, 0, loss)
                b.store(arguments.records, place, loss)
                while_finite(loss)
            else:
                b.loop(0, arguments.sums_anew, 1, lambda _: b.store(self.total, 0, b.zero(F64)))
                b.loop(0, arguments.shuffles, 1, lambda _: self._shuffle(b, arguments, number))
                before = b.imul(b.value_of(e), b.isub(arguments.end_step, arguments.first_step))

                def scheduled(s: Position) -> None:
                    done = b.isub(b.iadd(before, b.value_of(s)), arguments.first_step)
                    self._set_rate(b, arguments, done)
                    total = b.add(b.load(self.total, 0), step(s, number))
                    b.store(self.total, 0, total)
                    while_finite(total)

                b.loop(arguments.first_step, arguments.end_step, 1, scheduled)
                total = b.load(self.total, 0)
                b.store(arguments.records, place, total)
                while_finite(total)
            if self.tallies:
                b.loop(0, arguments.tallies, 1, lambda _: tally(e))

        def tally(e: Position) -> None:
            kernels, place = len(self.plan.kernels), Index.of(e) * self.step.record_size + 1
            for plan, rows in zip(self.tallies, tallied, strict=True):
                own = plan.write(b, rows, arguments.records, place)
                lifetimes.update({x: (kernels + first, kernels + last) for x, (first, last) in own.items()})
                kernels, place = kernels + len(plan.plan.kernels), place + plan.size

        def step(s: Position, epoch: Value) -> Operand:
            b.store(self.count.buffer, 0, b.add(b.load(self.count.buffer, 0), 1.0))
            if not self._once:
                self._gather(b, arguments, s, epoch)
            elif self.numbers:
                b.loop(0, self.step.batch_size, 1, lambda r: self._number(b, arguments, r, r, epoch))
            lifetimes.update(self.plan.lower(b, self._cpu))
            loss = b.load(self.loss.buffer, 0)
            return loss if loss.type == F64 else b.fpext(loss, "f64")

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

    def _set_rate(self, b: Builder, arguments: _Arguments, done: Operand) -> None:
        """The rate of a step, when `done` of this call are behind it."""
        place = Index.of(b.imul(done, arguments.rate_stride))
        b.store(self.rate.buffer, 0, b.load(arguments.rates, place))

    def _number(
        self, b: Builder, arguments: _Arguments, place: IndexLike, r: Position, epoch: Operand
    ) -> None:
        """Writes the number of an example in the run, which its random numbers belong to."""
        assert self.numbers is not None  # asked by the caller
        before = b.imul(epoch, b.imul(arguments.steps, self.step.batch_size))
        before = b.iadd(before, arguments.first_number)
        number = b.trunc(b.iadd(before, b.value_of(place)), "i32")
        b.store(self.numbers.buffer, r, number)

    def _gather(self, b: Builder, arguments: _Arguments, s: Position, epoch: Operand) -> None:
        """Copies the rows of batch `s` into the arena."""

        def source_of(r: Operand | Index) -> Index:
            """The row of the data that is row r of the batch."""
            if self._once:
                return Index.of(r)  # type: ignore[arg-type]
            place = s * self.step.batch_size + Index.of(r)  # type: ignore[arg-type]
            return Index.of(b.sext(b.load(arguments.order, place), "i64"))

        def row(r: Position) -> None:
            place = s * self.step.batch_size + r
            source = source_of(Index.of(r))
            for given, column in zip(arguments.columns, self.columns, strict=True):
                if not isinstance(column, ImageStorage):
                    copy_row(b, self._cpu, given, column, self.step.batch_size, source, r)
            if self.numbers and not self._once:
                self._number(b, arguments, place, r, epoch)
            if self.weight:
                inside = b.compare("lt", b.value_of(place), arguments.rows)
                one = Type(self.weight.buffer.element)
                b.store(self.weight.buffer, r, b.select(inside, b.constant(1, one), b.zero(one)))

        b.loop(0, self.step.batch_size, 1, row)
        for given, column in zip(arguments.columns, self.columns, strict=True):
            if isinstance(column, ImageStorage):
                copy_images(b, given, column, source_of)
