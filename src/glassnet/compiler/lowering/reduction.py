"""Kernels over rows, with sums and maxima along them, and sums over rows.

A rows kernel works on one row at a time in phases: a phase runs along the row and gathers the reductions that
need nothing but what earlier phases gave. Softmax takes three: the maximum; the sum of the exponentials; the
quotients. In a line longer than a vector a later phase computes again what it needs from an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Builder, Constant, Operand, Position, Type
from glassnet.compiler.lowering.evaluate import Evaluator, Place
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout
from glassnet.compiler.passes.values import Values, lines_of
from glassnet.core.graph import Node

_COLUMN_CHAINS = 4  # independent sums in flight, to hide the latency of an addition


def lower_rows(b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """The loops of a rows kernel."""
    _Rows(b, values, layout, kernel, cpu).lower()


class _Rows:
    def __init__(self, b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
        self.b, self.values, self.layout, self.kernel = b, values, layout, kernel
        self.evaluator = Evaluator(b, values, layout, kernel)
        self.rows, self.columns = kernel.space
        full = [node for node in kernel.nodes if node not in kernel.per_row]
        self.transposed = any(
            values.storage(node) == "matrix" and layout.storages[node].transposed
            for node in (*kernel.writes, *kernel.reads)
            if lines_of(node) == kernel.space
        )
        if self.transposed:
            self.rows, self.columns = self.columns, self.rows
        widest = full or [node.inputs[0] for node in kernel.nodes if values.is_row_reduction(node)]
        seen = [*widest, *(x for x in kernel.reads if lines_of(x) == kernel.space)]
        # One lane is enough for scalars; elsewhere lines are padded to whole vectors.
        self.lanes = (
            1
            if self.columns == 1 and self.rows == 1
            else min(cpu.lanes_along(element_of(x.dtype), self.columns) for x in seen)
        )
        self.phase = self._phases()

    def _phases(self) -> dict[Node, int]:
        """The phase in which each node is known."""
        phase: dict[Node, int] = {}
        for node in self.kernel.nodes:
            needed = [self._demand(x, phase) for x in node.inputs]
            phase[node] = max(needed, default=0) + self.values.is_row_reduction(node)
        return phase

    def _demand(self, x: Node, phase: dict[Node, int]) -> int:
        base = self.values.base(x)
        if base in phase:
            return phase[base]
        if base in self.layout.storages or base.op.name in ("constant", "input"):
            return 0
        return max((self._demand(source, phase) for source in base.inputs), default=0)

    def lower(self) -> None:
        """One loop over lines; within it the phases."""

        def line(u: Position) -> None:
            self.evaluator.row_values = {}
            self._line(u)

        self.b.loop(0, self.rows, 1, line)

    def _place(self, u: Position, v: Position, lanes: int) -> Place:
        return Place(v, u, lanes, "i") if self.transposed else Place(u, v, lanes, "j")

    def _line(self, u: Position) -> None:
        last = max(self.phase.values())
        kept: Place | None = None
        for phase in range(last + 1):
            reductions = [
                node for node in self.kernel.nodes if self._reduces(node) and self.phase[node] == phase + 1
            ]
            stores = [
                node
                for node in self.kernel.writes
                if node not in self.kernel.per_row and self.phase[node] == phase
            ]
            if reductions or stores:
                kept = self._phase(u, phase, reductions, stores, kept)
        scalar_place = self._place(u, 0, 1)
        for node in self.kernel.nodes:
            if node in self.kernel.per_row and node in self.kernel.writes:
                self.evaluator.store(node, scalar_place, self._row_value(node, scalar_place))

    def _reduces(self, node: Node) -> bool:
        return node in self.kernel.per_row and self.values.is_row_reduction(node)

    def _row_value(self, node: Node, place: Place) -> Operand:
        """A value of the present row: a finished reduction, or arithmetic on such."""
        known = self.evaluator.row_values
        if node not in known:
            for x in node.inputs:
                base = self.values.base(x)
                if base in self.kernel.per_row:
                    self._row_value(base, place)
            known[node] = self.evaluator.value(node, place)
        return known[node]

    def _phase(
        self, u: Position, phase: int, reductions: Sequence[Node], stores: Sequence[Node], kept: Place | None
    ) -> Place | None:
        """One pass along the line; the place is kept where the line is a single vector."""
        scalar_place = self._place(u, 0, 1)
        for node in self.kernel.nodes:
            if node in self.kernel.per_row and not self._reduces(node) and self.phase[node] <= phase:
                self._row_value(node, scalar_place)
        whole = self.columns // self.lanes * self.lanes
        starts = [self._start(node) for node in reductions]
        single = self.columns <= self.lanes

        def chunk(v: Position, sums: Sequence[Operand], valid: int) -> tuple[Place, list[Operand]]:
            place = kept if single and kept is not None else self._place(u, v, self.lanes)
            self.evaluator.store_all(stores, place)
            return place, [
                self._gather(node, total, self.evaluator.value(node.inputs[0], place), valid)
                for node, total in zip(reductions, sums, strict=True)
            ]

        place: Place | None = None
        totals: Sequence[Operand] = starts
        if single:
            place, totals = chunk(0, starts, self.columns)
        else:
            totals = self.b.loop(0, whole, self.lanes, lambda v, *sums: chunk(v, sums, self.lanes)[1], starts)
            if whole < self.columns:
                totals = chunk(whole, totals, self.columns - whole)[1]
        for node, total in zip(reductions, totals, strict=True):
            maximum = node.op.name == "row_max"
            self.evaluator.row_values[node] = (
                self.b.fold_lanes(total, self.b.maximum) if maximum else self.b.reduce_add(total)
            )
        return place

    def _start(self, node: Node) -> Constant:
        type = Type(element_of(node.dtype), self.lanes)
        return self.b.constant(float("-inf") if node.op.name == "row_max" else 0.0, type)

    def _gather(self, node: Node, total: Operand, value: Operand, valid: int) -> Operand:
        maximum = node.op.name == "row_max"
        if valid < self.lanes:
            mask = self.b.compare(
                "lt", self.b.iota(self.lanes, "i32"), self.b.constant(valid, Type("i32", self.lanes))
            )
            value = self.b.select(mask, value, self._start(node))
        if isinstance(total, Constant):
            return value
        # NOTE a NaN may be lost in a maximum; the line's exponentials carry it on.
        return self.b.maximum(total, value) if maximum else self.b.add(total, value)


def lower_columns(b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """A sum over rows, one vector of columns at a time, and what follows on the sums."""
    evaluator = Evaluator(b, values, layout, kernel)
    anchor = kernel.anchor
    assert anchor is not None  # a columns kernel has one
    x = anchor.inputs[0]
    rows, columns = kernel.space
    element = element_of(anchor.dtype)
    lanes = cpu.lanes_along(element, columns)
    chains = min(_COLUMN_CHAINS, rows)
    zero = b.zero(Type(element, lanes))

    def add(total: Operand, i: Position, j: Position) -> Operand:
        value = evaluator.value(x, Place(i, j, lanes))
        return value if total == zero else b.add(total, value)

    def column(j: Position) -> None:
        def several(i: Position, *sums: Operand) -> list[Operand]:
            return [add(total, i + chain, j) for chain, total in enumerate(sums)]

        whole = rows // chains * chains
        sums = list(b.short_loop(0, whole, chains, several, [zero] * chains))
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=False)
            sums = [*(b.add(a, c) for a, c in pairs), *sums[len(sums) // 2 * 2 :]]
        (total,) = b.short_loop(whole, rows, 1, lambda i, total: [add(total, i, j)], sums)
        place = Place(0, j, lanes)
        place.known[anchor] = total
        evaluator.store_all(kernel.writes, place)

    b.loop(0, columns, lanes, column)
