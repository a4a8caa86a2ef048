"""Whole epochs in one native call, and the memory that stays between the calls."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
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


def compile_epoch(
    step: StepGraph, gathered_once: bool, cpu: CPU, threads: int | None = 1
) -> tuple[NativeFunction, EpochMemory]:
    """The native function of a step graph and its memory, from the cache if it was compiled before.

    One program serves any number of `threads` but one; with None the work of a step decides which it is.
    """

    refuse_foreign(step.graph)
    kind = {None: "any", 1: "one"}.get(threads, "several")
    form = f"epoch {step.batch_size} {gathered_once} {kind} {step.graph.signature()}"
    parts = step, gathered_once, cpu, threads
    document, image, from_cache = cached_program(form, cpu, "epoch_program", "EpochProgram", *parts)
    memory = EpochMemory.of(document)
    several = memory.private is not None
    pointers = [ctypes.c_void_p] * (4 + step.data + several * (len(PRIVATE_ELEMENTS) + 1))
    numbers = [ctypes.c_int64] * (12 + several * 2)
    native = load(image, "epoch", [*pointers, *numbers], F64)
    return replace(native, from_cache=from_cache), memory


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
        self._native, memory = compile_epoch(step, data.key is None, cpu or host_cpu(), threads)
        self.compile_seconds = perf_counter() - start
        self.from_cache = self._native.from_cache
        self._arena = Arena(memory.size)
        self._team = None
        if memory.private is not None:
            self._team = Team(thread_count(threads, memory.work), memory.private)
        self._carried, self._count = memory.carried, memory.count
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

    @property
    def threads(self) -> int:
        """How many threads make a step together."""
        return self._team.size if self._team else 1

    @property
    def steps_taken(self) -> int:
        """The number of steps so far; the last one is where a run that diverged ended."""
        return int(self._arena.read(self._count, ()))

    def read(self, count: int) -> list[NDArray]:
        """Copies of the first `count` carried arrays."""
        shapes = [node.shape for node in self._step.graph.inputs[:count]]
        return [
            self._arena.read(storage, shape)
            for storage, shape in zip(self._carried[:count], shapes, strict=True)
        ]

    def rate_of(self, step: int) -> float:
        """The rate of a step by its number, at the present learning rate."""
        return float(self._step.rates(self.learning_rate, step - 1, 1)[0])

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        """Trains for `epochs` in one native call, without the GIL; the mean loss of the last."""
        return self._call(first_epoch, epochs, 0, self.steps_per_epoch) / self._data.rows

    def run_steps(self, epoch: int, first: int, count: int) -> tuple[float, int]:
        """Trains for some steps of an epoch in one native call; their mean loss, and their rows."""
        end, size = min(first + count, self.steps_per_epoch), self._step.batch_size
        seen = min(end * size, self._data.rows) - first * size
        return self._call(epoch, 1, first, end) / seen, seen

    def _call(self, first_epoch: int, epochs: int, first_step: int, end_step: int) -> float:
        """The native call; the sum of the losses of the last epoch's rows."""
        data = self._data
        stream, words = (data.key.stream, data.key.words) if data.key else (0, (0, 0))
        count = epochs * (end_step - first_step)
        rates = self._step.rates(self.learning_rate, self.steps_taken, count)
        rates = rates.astype(self._step.graph.inputs[-1].dtype)
        arrays = [*data.columns, self._order, self._words, rates]
        numbers = [
            data.rows,
            self.steps_per_epoch,
            first_step,
            end_step,
            int(first_step == 0),
            first_epoch,
            epochs,
            data.first_number,
            int(self._step.schedule is not None),
            stream,
            *words,
        ]
        if self._team is None:
            return self._total(arrays, (), numbers)

        def part(member: Member) -> float:
            own = [*[member.private] * len(PRIVATE_ELEMENTS), member.meeting]
            return self._total(arrays, own, [*numbers, *member.share])

        return self._team.run(part)

    def _total(self, arrays: Sequence[NDArray], own: Sequence[int], numbers: Sequence[int]) -> float:
        addresses = [array.ctypes.data for array in arrays]
        total = self._native(self._arena.address, *addresses, *own, *numbers)
        assert isinstance(total, float)  # the function returns an f64
        return total
