"""Kernels over rows, with sums and maxima along them, and sums over rows.

A rows kernel works on one row at a time in phases: a phase runs along the row and gathers the reductions that
need nothing but what earlier phases gave. Softmax takes three: the maximum; the sum of the exponentials; the
quotients. A row of a few vectors stays in registers from phase to phase; in a longer one a later phase
computes again what it needs from an earlier one.

Where matrices lie column by column, a vector holds an element of each of many rows, and all these rows are
worked on at a time: their sums are sums of vectors. A sum over rows then is one across lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder, Constant, Operand, Position, Type
from glassnet.compiler.lowering.evaluate import Evaluator, Memory, Place
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout
from glassnet.compiler.passes.values import Values, lines_of
from glassnet.core.graph import Node

_COLUMN_CHAINS = 4  # independent sums in flight, to hide the latency of an addition
_KEPT = 4  # columns of rows that lie across vectors, up to which their passes are written out
_KEPT_VECTORS = 4  # the same for rows that lie along vectors,
_KEPT_WORK = 64  # if no more than so many vectors of nodes are computed


def lower_rows(b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """The loops of a rows kernel."""
    _Rows(b, values, layout, kernel, cpu).lower()


class _Rows:
    def __init__(self, b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
        self.b, self.values, self.layout, self.kernel = b, values, layout, kernel
        self.evaluator = Evaluator(b, values, layout, kernel)
        rows, columns = kernel.space
        full = [node for node in kernel.nodes if node not in kernel.per_row]
        self.transposed = _lies_transposed(values, layout, kernel)
        widest = full or [node.inputs[0] for node in kernel.nodes if values.is_row_reduction(node)]
        seen = [*widest, *(x for x in kernel.reads if lines_of(x) == kernel.space)]
        # One lane is enough for scalars; elsewhere lines are padded to whole vectors.
        along = rows if self.transposed else columns
        lanes = min(cpu.lanes_along(element_of(x.dtype), along) for x in seen)
        self.lanes = 1 if columns == 1 and rows == 1 else lanes
        # Trips over rows, one or many at a time, and within them steps along the row.
        self.trips, self.trip = (rows, self.lanes) if self.transposed else (rows, 1)
        self.extent, self.step = (columns, 1) if self.transposed else (columns, self.lanes)
        self.kept: dict[int, Place] | None = None
        vectors = -(-self.extent // self.step)
        few = vectors == 1 or (vectors <= _KEPT_VECTORS and vectors * len(kernel.nodes) <= _KEPT_WORK)
        if vectors <= _KEPT if self.transposed else few:
            self.kept = {}
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
        """One loop over rows, or over vectors of them; within it the phases."""
        if self.transposed and not self.kernel.per_row:
            self._lower_columns_first()
            return

        def rows(i: Position) -> None:
            self.evaluator.row_values = {}
            if self.kept is not None:
                self.kept = {}
            self._rows(i)

        self.b.loop(0, self.trips, self.trip, rows)

    def _lower_columns_first(self) -> None:
        """Without reductions the order is free: along the lines that memory has."""

        def column(j: Position) -> None:
            line: Memory = {}

            def piece(i: Position) -> None:
                self.evaluator.store_all(self.kernel.writes, Place(i, j, self.lanes, "i", line))

            self.b.loop(0, self.trips, self.trip, piece)

        self.b.loop(0, self.extent, 1, column)

    def _place(self, i: Position, j: Position, lanes: int) -> Place:
        return Place(i, j, lanes, "i" if self.transposed else "j")

    def _rows(self, i: Position) -> None:
        for phase in range(max(self.phase.values()) + 1):
            reductions = [
                node for node in self.kernel.nodes if self._reduces(node) and self.phase[node] == phase + 1
            ]
            stores = [
                node
                for node in self.kernel.writes
                if node not in self.kernel.per_row and self.phase[node] == phase
            ]
            if reductions or stores:
                self._phase(i, phase, reductions, stores)
        place = self._row_place(i)
        for node in self.kernel.nodes:
            if node in self.kernel.per_row and node in self.kernel.writes:
                self.evaluator.store(node, place, self._row_value(node, place))

    def _row_place(self, i: Position) -> Place:
        """Where there is one value a row."""
        return self._place(i, 0, self.lanes if self.transposed else 1)

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

    def _phase(self, i: Position, phase: int, reductions: Sequence[Node], stores: Sequence[Node]) -> None:
        """One pass along the row; places are kept where the pass is written out."""
        row_place = self._row_place(i)
        for node in self.kernel.nodes:
            if node in self.kernel.per_row and not self._reduces(node) and self.phase[node] <= phase:
                self._row_value(node, row_place)

        def chunk(j: Position, sums: Sequence[Operand], valid: int) -> list[Operand]:
            place = self._place(i, j, self.lanes)
            if self.kept is not None:
                assert isinstance(j, int)  # written out
                place = self.kept.setdefault(j, place)
            self.evaluator.store_all(stores, place)
            return [
                self._gather(node, total, self.evaluator.value(node.inputs[0], place), valid)
                for node, total in zip(reductions, sums, strict=True)
            ]

        totals: Sequence[Operand] = [self._start(node) for node in reductions]
        whole = self.extent // self.step * self.step
        if self.kept is not None:
            for j in range(0, whole, self.step):
                totals = chunk(j, totals, self.lanes)
        else:
            totals = self.b.loop(0, whole, self.step, lambda j, *sums: chunk(j, sums, self.lanes), totals)
        if whole < self.extent:
            totals = chunk(whole, totals, self.extent - whole)
        for node, total in zip(reductions, totals, strict=True):
            if not self.transposed:
                maximum = node.op.name == "row_max"
                total = self.b.fold_lanes(total, self.b.maximum) if maximum else self.b.reduce_add(total)
            self.evaluator.row_values[node] = total

    def _start(self, node: Node) -> Constant:
        type = Type(element_of(node.dtype), self.lanes)
        return self.b.constant(float("-inf") if node.op.name == "row_max" else 0.0, type)

    def _gather(self, node: Node, total: Operand, value: Operand, valid: int) -> Operand:
        maximum = node.op.name == "row_max"
        if valid < self.lanes:
            value = self.b.select(_first_lanes(self.b, valid, self.lanes), value, self._start(node))
        if isinstance(total, Constant):
            return value
        # NOTE a NaN may be lost in a maximum; the line's exponentials carry it on.
        return self.b.maximum(total, value) if maximum else self.b.add(total, value)


def _lies_transposed(values: Values, layout: Layout, kernel: Kernel) -> bool:
    """Whether what a kernel reads and writes lies column by column."""
    return any(
        values.storage(node) == "matrix" and layout.storages[node].transposed
        for node in (*kernel.writes, *kernel.reads)
        if lines_of(node) == kernel.space
    )


def _first_lanes(b: Builder, valid: int, lanes: int) -> Operand:
    """The mask of the first lanes."""
    return b.compare("lt", b.iota(lanes, "i32"), b.constant(valid, Type("i32", lanes)))


def lower_columns(b: Builder, values: Values, layout: Layout, kernel: Kernel, cpu: CPU) -> None:
    """A sum over rows, one vector of columns at a time, and what follows on the sums."""
    evaluator = Evaluator(b, values, layout, kernel)
    anchor = kernel.anchor
    assert anchor is not None  # a columns kernel has one
    rows, columns = kernel.space
    element, transposed = element_of(anchor.dtype), _lies_transposed(values, layout, kernel)
    vector = Type(element, cpu.lanes(element) if transposed else cpu.lanes_along(element, columns))

    def finish(j: Position, total: Operand) -> None:
        place = Place(0, j, vector.lanes)
        place.known[anchor] = total
        evaluator.store_all(kernel.writes, place)

    def value(i: Position, j: Position, way: str) -> Operand:
        return evaluator.value(anchor.inputs[0], Place(i, j, vector.lanes, way))

    if transposed:
        totals = _sums_along_lines(b, value, kernel.space, vector)
        b.loop(0, columns, vector.lanes, lambda j: finish(j, b.load(totals, j, vector.lanes)))
    else:
        b.loop(0, columns, vector.lanes, lambda j: finish(j, _sum_of_rows(b, value, rows, j, vector)))


_Value = Callable[[Position, Position, str], Operand]


def _sum_of_rows(b: Builder, value: _Value, rows: int, j: Position, vector: Type) -> Operand:
    """The sum of all rows, for the columns from j on."""
    chains, zero = min(_COLUMN_CHAINS, rows), b.zero(vector)

    def add(total: Operand, i: Position) -> Operand:
        return value(i, j, "j") if total == zero else b.add(total, value(i, j, "j"))

    def several(i: Position, *sums: Operand) -> list[Operand]:
        return [add(total, i + chain) for chain, total in enumerate(sums)]

    whole = rows // chains * chains
    sums = _tree(b, list(b.short_loop(0, whole, chains, several, [zero] * chains)))
    (total,) = b.short_loop(whole, rows, 1, lambda i, total: [add(total, i)], [sums])
    return total


def _sums_along_lines(b: Builder, value: _Value, space: tuple[int, int], vector: Type) -> Buffer:
    """The sums of all columns, in memory, where columns are lines: one sum across lanes for each."""
    (rows, columns), lanes = space, vector.lanes
    totals = b.buffer(f"totals_{b.unique()}", vector.element, -(-columns // lanes) * lanes)
    whole = rows // lanes * lanes

    def column(j: Position) -> None:
        def add(i: Position, total: Operand) -> list[Operand]:
            element = value(i, j, "i")
            return [element if isinstance(total, Constant) else b.add(total, element)]

        (total,) = b.short_loop(0, whole, lanes, add, [b.zero(vector)])
        if whole < rows:
            last = b.select(_first_lanes(b, rows - whole, lanes), value(whole, j, "i"), b.zero(vector))
            total = last if isinstance(total, Constant) else b.add(total, last)
        b.store(totals, j, b.reduce_add(total))

    b.loop(0, columns, 1, column)
    return totals


def _tree(b: Builder, terms: Sequence[Operand]) -> Operand:
    """The sum of terms, in pairs, pairs of pairs, ..."""
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [*(b.add(x, y) for x, y in pairs), *terms[len(terms) // 2 * 2 :]]
    return terms[0]
