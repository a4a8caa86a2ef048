"""Loops: a body's kernels again and again, over rows of tables that lie still.

A row of a table is a storage of the body whose place depends on the step, so nothing is copied in or out.
The state before step s is row s of a carry's table and the state after it row s + 1; a carry whose table
nobody asks for is overwritten in its place. What depends on no row and no carry is computed before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from glassnet.compiler.loop_ir import Index, Position
from glassnet.compiler.lowering.nest import Block, copy
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Storage
from glassnet.compiler.passes.values import lines_of
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import size_of


@dataclass(frozen=True)
class BodyPlan:
    """The kernels of a body in order, the values that are its outputs, and how a kernel is lowered."""

    kernels: list[Kernel]
    outputs: Collection[Node]
    root: Callable[[Node], Node]  # whose memory a value is read from
    lower_kernel: Callable[[Kernel], None]


# (body, storages of its inputs, storages of its outputs, which outputs overwrite which inputs)
Planner = Callable[[Graph, Mapping[Node, Storage], Mapping[int, Storage], Mapping[int, int]], BodyPlan]


@dataclass
class _Row:
    """A storage of the body that moves with the step: `step` elements further each time, from `first` on."""

    storage: Storage
    first: Index
    step: int
    backwards: bool = False


class _Loop:
    def __init__(self, block: Block, kernel: Kernel) -> None:
        self.block, self.b, self.node = block, block.b, kernel.nodes[0]
        self.attributes = self.node.attributes
        self.body: Graph = self.attributes["body"]
        self.length: int = self.attributes["length"]
        self.rows: list[_Row] = []
        asked = [node for node in kernel.nodes[1:] if node in kernel.writes]
        self.tables = {node.attributes["part"]: node for node in asked if not node.attributes["last"]}
        self.ends = {node.attributes["part"]: node for node in asked if node.attributes["last"]}

    def lower(self, planner: Planner) -> None:
        """What comes before the loop, the loop, and what comes behind it."""
        carries, count = self.attributes["carries"], self.attributes["rows"]
        given: dict[Node, Storage] = {}
        placed: dict[int, Storage] = {}
        overwrites: dict[int, int] = {}
        for number, (x, inner) in enumerate(zip(self.node.inputs, self.body.inputs, strict=True)):
            if number < carries:
                self._carry(number, x, inner, given, placed, overwrites)
            elif number < carries + count:
                given[inner] = self._row(x, inner, 0, backwards=self.attributes["reverse"])
            else:
                given[inner] = self._storage(x)
        for part in range(carries, len(self.body.outputs)):
            inner = self.body.outputs[part]
            if part in self.tables:
                placed[part] = self._row(self.tables[part], inner, 0, backwards=self.attributes["reverse"])
        plan = planner(self.body, given, placed, overwrites)
        before, inside = self._hoisted(plan)
        for kernel in before:
            plan.lower_kernel(kernel)

        def step(s: Position) -> None:
            for row in self.rows:
                place = self.length - 1 - Index.of(s) if row.backwards else Index.of(s)
                row.storage.offset = row.first + place * row.step
            for kernel in inside:
                plan.lower_kernel(kernel)

        self.b.loop(0, self.length, 1, step)
        for part, end in self.ends.items():
            if part in self.tables:
                table = self.block.view(self.tables[part]).drop(0, self.length)
                copy(self.b, table, self.block.view(end), self.block.lanes(end))

    def _carry(
        self,
        part: int,
        x: Node,
        inner: Node,
        given: dict[Node, Storage],
        placed: dict[int, Storage],
        overwrites: dict[int, int],
    ) -> None:
        """A carry's storages before and after a step, and its first value where the first step expects it."""
        if part in self.tables:
            table = self.tables[part]
            given[inner] = self._row(table, inner, 0)
            placed[part] = self._row(table, inner, 1)
            target = self.block.view(table).drop(0, 0)
        else:
            storage = self._storage(self.ends[part]) if part in self.ends else self._own(inner)
            given[inner], overwrites[part] = storage, part
            target = View.of(storage, inner.shape, inner.dtype, contiguous=len(inner.shape) < 2)
        copy(self.b, self.block.view(x), target, self.block.lanes(inner))

    def _storage(self, x: Node) -> Storage:
        return self.block.layout.storages[self.block.values.base(x)]

    def _own(self, inner: Node) -> Storage:
        """Memory for a carry that nobody asks for."""
        rows, columns = lines_of(inner)
        element = element_of(inner.dtype)
        width = self.block.padding[element]
        line = -(-columns // width) * width
        buffer = self.b.buffer(f"carry_{self.b.unique()}", element, rows * line)
        return Storage(buffer, (rows, columns), line)

    def _row(self, table: Node, inner: Node, ahead: int, *, backwards: bool = False) -> Storage:
        """The storage of one row of a table, which is set to its place in each step."""
        base = self.block.values.base(table)
        storage = self.block.layout.storages[base]
        contiguous = self.block.values.is_contiguous(base)
        lines, columns = lines_of(inner)
        step = size_of(inner.shape) if contiguous or not inner.shape else lines * storage.line
        row = Storage(storage.buffer, (lines, columns), storage.line)
        first = storage.start + ahead * step
        self.rows.append(_Row(row, first, step, backwards))
        return row

    def _hoisted(self, plan: BodyPlan) -> tuple[list[Kernel], list[Kernel]]:
        """The kernels that find the same in every step, and the others."""
        carries, count = self.attributes["carries"], self.attributes["rows"]
        changing = set(self.body.inputs[: carries + count])
        before: list[Kernel] = []
        inside: list[Kernel] = []
        for kernel in plan.kernels:
            moves = any(plan.root(x) in changing for x in kernel.reads)
            moves = moves or any(x in plan.outputs for x in kernel.writes)
            (inside if moves else before).append(kernel)
            if moves:
                changing.update(kernel.writes)
        return before, inside


def lower_loop(block: Block, kernel: Kernel, planner: Planner) -> None:
    """The loops of a loop kernel; `planner` plans its body."""
    _Loop(block, kernel).lower(planner)
