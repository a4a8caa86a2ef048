"""Whole epochs in one native call, and the memory that stays between the calls."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.function import require_native
from glassnet.compiler.jit import NativeFunction, load
from glassnet.compiler.loop_language import F64
from glassnet.compiler.passes.divide import PRIVATE_ELEMENTS
from glassnet.compiler.passes.layout import Storage
from glassnet.compiler.passes.uncompiled import refuse_foreign
from glassnet.compiler.records import Constants, cached_program, constants_of, storage_of
from glassnet.compiler.threads import Member, Team, requested_threads, thread_count
from glassnet.core.dtype import NDArray
from glassnet.core.step import StepGraph, TrainingData
from glassnet.errors import UncompilableError


@dataclass
class EpochMemory:
    """All that has to be known of a program's memory to call it.

    `work` counts the instructions of a step; `private` is the memory that each thread needs for itself, in
    bytes, or None for a program of one thread.
    """

    size: int
    carried: list[Storage]
    count: Storage
    constants: Constants
    work: int
    private: int | None

    @staticmethod
    def of(document: dict[str, Any]) -> EpochMemory:
        """What a record in the cache says."""
        return EpochMemory(
            document["size"],
            [storage_of(entry) for entry in document["carried"]],
            storage_of(document["count"]),
            constants_of(document["constants"]),
            document["work"],
            document["private"],
        )


_programs: dict[Hashable, tuple[NativeFunction, EpochMemory]] = {}
_PROGRAMS_KEPT = 32


def compile_epoch(
    step: StepGraph, gathered_once: bool, cpu: CPU, threads: int | None = 1
) -> tuple[NativeFunction, EpochMemory]:
    """The native function of a step graph and its memory, from memory or the cache if it was compiled before.

    One program serves any number of `threads` but one; with None the work of a step decides which it is.
    """

    kind = {None: "any", 1: "one"}.get(threads, "several")
    known = (step, gathered_once, cpu, kind)
    if known in _programs:
        native, memory = _programs[known]
        return replace(native, from_cache=True), memory
    refuse_foreign(step.graph)
    for tally in step.tallies:
        refuse_foreign(tally.graph)
    tallies = [f"{tally.block_rows} {tally.carried} {tally.graph.signature()}" for tally in step.tallies]
    form = f"epoch {step.batch_size} {gathered_once} {kind} {step.graph.signature()} {tallies}"
    parts = step, gathered_once, cpu, threads
    document, image, from_cache = cached_program(form, cpu, "epoch_program", "EpochProgram", *parts)
    memory = EpochMemory.of(document)
    several = memory.private is not None
    tallied = sum(tally.data + 1 for tally in step.tallies)
    pointers = [ctypes.c_void_p] * (5 + step.data + tallied + several * (len(PRIVATE_ELEMENTS) + 1))
    numbers = [ctypes.c_int64] * (14 + 2 * len(step.tallies) + several * 2)
    native = load(image, "epoch", [*pointers, *numbers], F64)
    while len(_programs) >= _PROGRAMS_KEPT:
        _programs.pop(next(iter(_programs)), None)
    _programs[known] = native, memory
    return replace(native, from_cache=from_cache), memory


def address_of(array: NDArray) -> int:
    """Where the elements of an array lie, which has to live as long as a program reads them."""
    return array.ctypes.data


class CompiledRunner:
    """Runs epochs natively. The carried arrays live in the arena between calls."""

    def __init__(
        self,
        step: StepGraph,
        data: TrainingData,
        carried: Sequence[NDArray],
        learning_rate: float,
        cpu: CPU | None = None,
        threads: int | None = None,
    ) -> None:
        require_native()
        start = perf_counter()
        threads = requested_threads(threads)
        if data.key is None and data.rows != step.batch_size:
            raise UncompilableError("rows in a fixed order are compiled for one full batch only.")
        self._step = step
        self.tallies = bool(step.tallies)
        self._records = np.empty((0, step.record_size))
        self._native, memory = compile_epoch(step, data.key is None, cpu or host_cpu(), threads)
        self.compile_seconds = perf_counter() - start
        self.from_cache = self._native.from_cache
        self._arena = Arena(memory.size)
        self._team = None
        if memory.private is not None:
            self._team = Team(thread_count(threads, memory.work), memory.private)
        self._carried, self._taken = memory.carried, self._arena.window(memory.count)
        self._rate = np.empty(1, step.graph.inputs[-1].dtype)
        self._rate_address = address_of(self._rate)
        for storage, values in memory.constants:
            self._arena.write(storage, np.array(values))
        for storage, array in zip(memory.carried, carried, strict=True):
            self._arena.write(storage, array)
        self.feed(data)
        self.learning_rate = learning_rate

    def feed(self, data: TrainingData) -> None:
        """Takes other rows of the same form for the epochs to come; the carried arrays stay."""
        rows, batch_size = data.rows, self._step.batch_size
        if rows >= 2**31 - batch_size:
            raise UncompilableError(f"{rows} rows are more than a compiled shuffle counts.")
        self._data = data
        self.steps_per_epoch = -(-rows // batch_size)
        self._order = np.arange(rows + batch_size, dtype=np.int32)
        self._words = np.empty(-(-rows // 4) * 4, np.int32)
        self._addresses = [address_of(array) for array in (*data.columns, self._order, self._words)]
        self._tallied = [address_of(column) for columns in data.tallied for column in columns]

    @property
    def threads(self) -> int:
        """How many threads make a step together, or fewer while other programs want the cores."""
        return self._team.size if self._team else 1

    @property
    def steps_taken(self) -> int:
        """The number of steps so far; the last one is where a run that diverged ended."""
        return int(self._taken[0, 0])

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        shapes = [node.shape for node in self._step.graph.inputs[:count]]
        return [
            self._arena.read(storage, shape)
            for storage, shape in zip(self._carried[:count], shapes, strict=True)
        ]

    def rates_of(self, steps: NDArray) -> NDArray:
        """The rates of steps by their numbers, at the present learning rate."""
        return np.broadcast_to(self._step.rates(self.learning_rate, steps), steps.shape)

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs` in one native call, without the GIL; the mean loss of the last."""
        return self._call(first_epoch, epochs, 0, self.steps_per_epoch) / self._data.rows

    def run_recorded(self, first_epoch: int, epochs: int) -> NDArray:
        """Trains for `epochs` in one native call; the mean loss of each, and its tallies."""
        self._call(first_epoch, epochs, 0, self.steps_per_epoch)
        self._records[:, 0] /= self._data.rows
        return self._records

    def run_steps(self, epoch: int, first: int, count: int) -> tuple[float, int]:
        """Trains for some steps of an epoch in one native call; their mean loss, and their rows."""
        end, size = min(first + count, self.steps_per_epoch), self._step.batch_size
        seen = min(end * size, self._data.rows) - first * size
        return self._call(epoch, 1, first, end) / seen, seen

    @property
    def sums(self) -> NDArray:
        """The tallies (sums,) of the last epoch; empty where none are taken."""
        return self._records[-1, 1:]

    def snapshot(self) -> NDArray:
        """All that the steps to come depend on, besides data and rates."""
        return self._arena.snapshot()

    def restore(self, snapshot: NDArray) -> None:
        """Brings back what `snapshot` has put aside."""
        self._arena.restore(snapshot)

    def _call(self, first_epoch: int, epochs: int, first_step: int, end_step: int) -> float:
        """The native call, or several where there are threads; the losses of the last epoch's rows, summed.

        They make the records: a sum of losses and the tallies of each epoch. A sum that is not finite ends
        the call; what was to be recorded behind it is NaN. A team may change its number between short calls,
        which sum up losses in the order of a long one.
        """
        records = self._records = np.full((epochs, self._step.record_size), np.nan)
        width, end_epoch = end_step - first_step, first_epoch + epochs
        epoch, step, total = first_epoch, first_step, 0.0
        while epoch < end_epoch and math.isfinite(total):
            steps = self._team.pace.steps if self._team else width * epochs
            left = records[epoch - first_epoch :]
            if step == first_step and steps >= width:
                whole = min(steps // width, end_epoch - epoch)
                total = self._piece(epoch, whole, first_step, end_step, True, left)
                epoch += whole
            else:
                end = min(step + steps, end_step)
                total = self._piece(epoch, 1, step, end, step == first_step, left)
                epoch, step = (epoch, end) if end < end_step else (epoch + 1, first_step)
        records[-1, 0] = total
        return total

    def _piece(
        self,
        first_epoch: int,
        epochs: int,
        first_step: int,
        end_step: int,
        sums_anew: bool,
        records: NDArray,
    ) -> float:
        """One native call."""
        data = self._data
        stream, words = (data.key.stream, data.key.words) if data.key else (0, (0, 0))
        count = epochs * (end_step - first_step)
        rates = self._rates(count)
        addresses = [*self._addresses, self._rate_address if rates is self._rate else address_of(rates)]
        addresses += [address_of(records), *self._tallied]
        numbers = [
            data.rows,
            self.steps_per_epoch,
            first_step,
            end_step,
            int(first_step == 0),
            int(sums_anew),
            int(end_step == self.steps_per_epoch),
            first_epoch,
            epochs,
            data.first_number,
            int(self._step.schedule is not None),
            stream,
            *words,
        ]
        for tally, (*_, weights) in zip(self._step.tallies, data.tallied, strict=True):
            numbers += [len(weights), -(-len(weights) // tally.block_rows)]
        if self._team is None:
            return self._total(addresses, (), numbers)

        def part(member: Member) -> float:
            own = [*[member.private] * len(PRIVATE_ELEMENTS), member.meeting]
            return self._total(addresses, own, [*numbers, *member.share])

        return self._team.run(part, count)

    def _rates(self, count: int) -> NDArray:
        """The rates of the next steps, or the one of all."""
        if self._step.schedule is None:
            self._rate[0] = self.learning_rate
            return self._rate
        first = self.steps_taken + 1
        return self._step.rates(self.learning_rate, range(first, first + count)).astype(self._rate.dtype)

    def _total(self, addresses: Sequence[int], own: Sequence[int], numbers: Sequence[int]) -> float:
        total = self._native(self._arena.address, *addresses, *own, *numbers)
        assert isinstance(total, float)  # the function returns an f64
        return total
