"""Tallies in native code: sums over rows of what the model makes of them, taken at the end of an epoch.

A tally is planned like a function of its own, in the arena of the step. The carried arrays are copied to
where its kernels want them, once for all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from glassnet.compiler.cpu import CPU
from glassnet.compiler.gather import copy_images, copy_row
from glassnet.compiler.loop_ir import F64, Buffer, Builder, Index, Operand, Position, Value
from glassnet.compiler.lowering.nest import over
from glassnet.compiler.passes.image_layout import ImageStorage
from glassnet.compiler.passes.layout import Storage
from glassnet.compiler.program import plan_graph
from glassnet.core.shape import size_of
from glassnet.core.step import Tally
from glassnet.errors import UncompilableError


@dataclass
class TalliedRows:
    """The rows of a tally as arguments of the call; the last of the columns has their weights."""

    columns: list[Buffer]
    count: Value
    blocks: Value


class TallyPlan:
    """A tally on its way into the function of the epochs, whose carried arrays lie in `carried`."""

    def __init__(self, tally: Tally, b: Builder, cpu: CPU, carried: list[Storage]) -> None:
        self._tally, self._cpu = tally, cpu
        batch = range(len(tally.carried), len(tally.graph.inputs))
        self.plan = plan_graph(tally.graph, b, cpu, fixed=batch)
        storages = [self.plan.storage(node) for node in self.plan.graph.inputs]
        kept = storages[: len(tally.carried)]
        self._copies = [(carried[i], storage) for i, storage in zip(tally.carried, kept, strict=True)]
        if any(isinstance(storage, ImageStorage) for pair in self._copies for storage in pair):
            raise UncompilableError("a tally does not copy a carried array that lies as an image.")
        if any(source.shape != target.shape for source, target in self._copies):
            raise UncompilableError("a tally does not turn a carried array.")
        self.columns = storages[len(tally.carried) :]
        self._sums = [self.plan.storage(node) for node in self.plan.graph.outputs]
        self.size = tally.size
        self._totals = b.buffer(f"totals_{b.unique()}", "f64", tally.size)

    def write(
        self, b: Builder, rows: TalliedRows, records: Buffer, place: Index
    ) -> dict[Buffer, tuple[int, int]]:
        """Emits the tally, which goes to `place` in the records; the lifetimes of its own buffers."""
        lifetimes: dict[Buffer, tuple[int, int]] = {}
        for source, target in self._copies:
            _copy(b, source, target, self._cpu)
        b.loop(0, self.size, 1, lambda k: b.store(self._totals, k, b.zero(F64)))

        def block(s: Position) -> None:
            self._gather(b, rows, s)
            lifetimes.update(self.plan.lower(b, self._cpu))
            self._add(b)

        b.loop(0, rows.blocks, 1, block)
        b.loop(0, self.size, 1, lambda k: b.store(records, place + k, b.load(self._totals, k)))
        return lifetimes

    def _gather(self, b: Builder, rows: TalliedRows, s: Position) -> None:
        """Copies a block of rows into the arena; behind the last row the first one stands, at weight 0."""
        size = self._tally.block_rows

        def inside(r: Operand | Index) -> tuple[Operand, Operand]:
            place = b.value_of(Index.of(s) * size + Index.of(r))  # type: ignore[arg-type]
            return place, b.compare("lt", place, rows.count)

        def source_of(r: Operand | Index) -> Index:
            place, within = inside(r)
            return Index.of(b.select(within, place, 0))

        *data, weights = rows.columns
        *storages, weight = self.columns

        def row(r: Position) -> None:
            source = source_of(Index.of(r))
            for given, storage in zip(data, storages, strict=True):
                if not isinstance(storage, ImageStorage):
                    copy_row(b, self._cpu, given, storage, size, source, r)
            own = b.load(weights, source)
            b.store(weight.buffer, r, b.select(inside(Index.of(r))[1], own, b.zero(own.type)))

        b.loop(0, size, 1, row)
        for given, storage in zip(data, storages, strict=True):
            if isinstance(storage, ImageStorage):
                copy_images(b, given, storage, source_of)

    def _add(self, b: Builder) -> None:
        """Adds the sums of a block to the totals."""
        first = 0
        for storage in self._sums:

            def add(i: Position, j: Position, first: int = first, storage: Storage = storage) -> None:
                place = Index.of(i) * storage.shape[1] + j + first
                value: Operand = b.load(storage.buffer, storage.index(i, j))
                value = value if value.type == F64 else b.fpext(value, "f64")
                b.store(self._totals, place, b.add(b.load(self._totals, place), value))

            over(b, storage.shape, add)
            first += size_of(storage.shape)


def _copy(b: Builder, source: Storage, target: Storage, cpu: CPU) -> None:
    """Copies a stored value; whole lines where it lies the same way in both places."""
    lanes = cpu.lanes(source.buffer.element)
    lying, wanted = ((_lines(s), s.line, s.transposed) for s in (source, target))
    if lying == wanted:

        def piece(k: Position) -> None:
            b.store(target.buffer, target.at(k), b.load(source.buffer, source.at(k), lanes))

        b.loop(0, _lines(source) * source.line, lanes, piece)
        return

    def element(i: Position, j: Position) -> None:
        b.store(target.buffer, target.index(i, j), b.load(source.buffer, source.index(i, j)))

    over(b, source.shape, element)


def _lines(storage: Storage) -> int:
    return 1 if storage.column else storage.shape[1] if storage.transposed else storage.shape[0]
