"""Layout: every stored value gets its storage, and kernels get transposed copies where they need one.

A matrix lies row by row, or, if it is `transposed`, column by column; its lines are padded to whole vectors.
In a product C = A B the lines of C and of B run along the same label, so that vectors of B meet broadcast
elements of A; A may lie either way. Values that are combined element by element lie the same way. So a weight
(outputs, inputs) is kept transposed: its forward product then needs no copy, and the backward product of its
layer reads one transposed copy.

Lanes beyond the end of a line hold whatever arithmetic leaves there. Nothing reads them across lanes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glassnet.compiler.loop_ir import Buffer, Builder, Index, IndexLike
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.image_ops import IMAGES
from glassnet.compiler.passes.orientation import Orientation, Product
from glassnet.compiler.passes.slices import parts_of
from glassnet.compiler.passes.values import Values, lines_of
from glassnet.core.graph import Node
from glassnet.core.shape import size_of


@dataclass
class Storage:
    """Where a value lies: a buffer, how many lines it has, and the distance between them in elements.

    `offset` is where it begins in its buffer: 0, or the place of one step in a table of all steps. A part of
    another storage counts from the place `within` which it lies.
    """

    buffer: Buffer
    shape: tuple[int, int]  # (rows, columns); a vector is one row, or one column where `column` is set
    line: int
    transposed: bool = False
    column: bool = False
    offset: Index | int = 0
    within: Storage | None = None

    @property
    def start(self) -> Index:
        """Where the first element lies."""
        return Index.of(self.offset) + (self.within.start if self.within else 0)

    def index(self, i: IndexLike, j: IndexLike) -> Index:
        """The place of element (i, j)."""
        i, j = Index.of(i), Index.of(j)
        if self.column:
            return i + self.start
        return (j * self.line + i if self.transposed else i * self.line + j) + self.start

    def at(self, k: IndexLike) -> Index:
        """The place of element k of a value without padding."""
        return Index.of(k) + self.start


@dataclass
class Layout:
    """The storages of all values, the copies to be made, and the products with their operands."""

    storages: dict[Node, Storage] = field(default_factory=dict[Node, Storage])
    copies: dict[Node, Storage] = field(default_factory=dict[Node, Storage])
    products: dict[Kernel, Product] = field(default_factory=dict[Kernel, Product])
    kernels: list[Kernel] = field(default_factory=list[Kernel])
    others: dict[Node, list[Storage]] = field(default_factory=dict[Node, list[Storage]])
    written: dict[Node, set[int]] = field(default_factory=dict[Node, set[int]])  # operands that are in place

    def places(self, node: Node) -> list[Storage]:
        """All places where a value is written: its storage, and those in wholes that it is a piece of."""
        return [self.storages[node], *self.others.get(node, ())]

    @property
    def within_others(self) -> set[Node]:
        """The values that are written into others."""
        return {*self.others, *(node for node, storage in self.storages.items() if storage.within)}


def plan_layout(
    kernels: Sequence[Kernel],
    values: Values,
    builder: Builder,
    lanes: Mapping[str, int],
    fixed: Iterable[Node],
    same_memory: Mapping[Node, Node],
    given: Mapping[Node, Storage] | None = None,
    *,
    free: bool = True,
) -> Layout:
    """Storages for everything that `kernels` read and write, inputs and outputs included.

    `fixed` lie row by row; `same_memory` maps outputs to the inputs that they overwrite; what is `given` a
    storage keeps it. Matrices are turned to save time where they are `free` to be.
    """
    given = given or {}
    ways = Orientation(kernels, values, lanes, [*fixed, *given], same_memory, free=free)
    layout = Layout(storages=dict(given), products=ways.products)
    flipped = ways.flipped
    padded_rows = {*flipped}
    stored = dict.fromkeys(
        (
            *values.graph.inputs,
            *(node for kernel in kernels for node in (*kernel.reads, *kernel.writes)),
            *(values.base(node) for node in values.graph.outputs),
        )
    )
    parts = [node for node in stored if values.is_part(node)]
    elsewhere = {*same_memory, *given, *parts}
    for node in dict.fromkeys((*stored, *map(values.root, parts))):
        if node in elsewhere or node.op is IMAGES:
            continue
        name = f"{node.op.name}_{builder.unique()}"
        layout.storages[node] = storage_for(
            node, values, builder, lanes, name, ways.is_transposed(node), node in padded_rows
        )
    for output, source in same_memory.items():
        layout.storages[output] = layout.storages[source]
    for node in parts:
        _place_part(node, values, layout)
    for node in flipped:
        name = f"flipped_{builder.unique()}"
        layout.copies[node] = storage_for(
            node, values, builder, lanes, name, not ways.is_transposed(node), True
        )
    layout.kernels = _with_copies(kernels, layout)
    return layout


def _place_part(node: Node, values: Values, layout: Layout) -> Storage:
    """The storage of a slice that is read where it lies, in that of what it is a slice of."""
    if node in layout.storages:
        return layout.storages[node]
    x = node.inputs[0]
    base = values.base(x)
    whole = _place_part(base, values, layout) if values.is_part(base) else layout.storages[base]
    (first, _, _), *_, (start, _, _) = parts_of(node)
    offset = first * size_of(x.shape[1:-1]) * whole.line + start
    layout.storages[node] = Storage(whole.buffer, lines_of(node), whole.line, offset=offset, within=whole)
    return layout.storages[node]


def storage_for(
    node: Node,
    values: Values,
    builder: Builder,
    lanes: Mapping[str, int],
    name: str,
    transposed: bool,
    padded_lines: bool,
) -> Storage:
    """Memory for a value of its own, its lines filled up to whole vectors."""
    element = element_of(node.dtype)
    width = lanes[element]
    kind = values.storage(node)
    if kind != "matrix":
        extent = size_of(node.shape)
        buffer = builder.buffer(name, element, _round_up(extent, width))
        shape = (extent, 1) if kind == "column" else (1, extent)
        return Storage(buffer, shape, _round_up(extent, width), column=kind == "column")
    rows, columns = lines_of(node)
    lines, along = (columns, rows) if transposed else (rows, columns)
    line = _round_up(along, width)
    if line >= 256 and line % 256 == 0:
        line += width  # NOTE lines a power of two apart fall into the same few sets of the cache
    if padded_lines:
        lines = _round_up(lines, width)
    return Storage(builder.buffer(name, element, lines * line), (rows, columns), line, transposed)


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _with_copies(kernels: Sequence[Kernel], layout: Layout) -> list[Kernel]:
    """The kernels with each transposed copy made right before its first reader."""
    result: list[Kernel] = []
    made: set[Node] = set()
    for kernel in kernels:
        product = layout.products.get(kernel)
        for b in [each.b for each in product.summands] if product else []:
            if b in layout.copies and b not in made:
                made.add(b)
                result.append(Kernel("copy", layout.storages[b].shape, b, [], set(), (b,), ()))
        result.append(kernel)
    return result
