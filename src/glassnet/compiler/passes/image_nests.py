"""Nests: how the ops of a group of images share loops.

A nest runs over a grid of (channels, rows, columns), and where pools take part, each place of the grid stands
for a window of places of a finer one: the fine values of a window are worked on together, so that a pool or
what goes back through it needs no memory in between. A convolution is the anchor of a nest of its own; what
is cheap and of its shape runs on its results in registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from glassnet.compiler.passes.image_groups import is_cheap
from glassnet.compiler.passes.image_layout import planes
from glassnet.compiler.passes.image_ops import FROM_IMAGES, REPEAT, TO_IMAGES, UNPOOL, images_of
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import size_of

Grid = tuple[int, int, int]  # channels, rows, columns
_POOLS = ("window_max", "window_place", "window_sum")
_CONVOLUTIONS = ("convolution", "transposed_convolution")
_MANY_SUMS = 4096  # vectors of sums that do not crowd the second cache
_MOST_LOADS = 3  # of an elementwise value that is computed again by each of its readers


@dataclass(eq=False)
class Nest:
    """One nest of loops: `kind` is "map", "convolution", "to_input", "to_kernel" or "pool".

    `window` is the fine places (rows, columns) of a place of the grid. With `looped`, windows are large and
    run through by loops. `spills` is where fine places lie outside all windows. What is `late` runs behind
    the last block, with a loop over the blocks of its own.
    """

    kind: str
    grid: Grid
    anchor: Node | None = None
    window: tuple[int, int] | None = None
    looped: bool = False
    spills: bool = False
    late: bool = False
    nodes: list[Node] = field(default_factory=list[Node])
    stores: list[Node] = field(default_factory=list[Node])
    sums: list[Node] = field(default_factory=list[Node])

    @property
    def fine(self) -> Grid:
        """The grid of the fine places."""
        channels, rows, columns = self.grid
        down, across = self.window or (1, 1)
        return channels, rows * down, columns * across

    def is_fine(self, node: Node) -> bool:
        """Whether the node has a value at every fine place rather than at every place of the grid."""
        return self.window is not None and planes(node.shape) == self.fine


def plan_nests(body: Graph, registers: int, blocks: int) -> list[Nest]:
    """The nests of a group's body in order of execution, for so many blocks of the batch."""
    return _Planner(body, registers, blocks).run()


class _Planner:
    def __init__(self, body: Graph, registers: int, blocks: int) -> None:
        self.body, self.blocks = body, blocks
        self.images = images_of(body)
        self.consumers = body.consumers()
        self.largest = 9 if registers >= 32 else 4  # taps of a window that is worked on in registers
        self.nests: list[Nest] = []
        self.home: dict[Node, Nest] = {}

    def run(self) -> list[Nest]:
        """The nests, with what each has to store."""
        for node in self.body.nodes:
            if node in self.images and node.op.name != "input" and node.op is not TO_IMAGES:
                self._place(node)
            elif node.op.name == "sum":
                self._sum(node)
            elif node.op.name == "convolution":
                late = self._is_late(node)
                self._open(Nest("to_kernel", planes(node.inputs[1].shape), node, late=late), node)
            elif node.op is FROM_IMAGES:
                self._leave(node)
        self._find_stores()
        return self.nests

    def _is_late(self, node: Node) -> bool:
        """Whether the sums of a kernel's gradient, a vector each, are more than all that they are made of."""
        made_of = self.blocks * sum(size_of(planes(x.shape)) for x in node.inputs)
        return size_of(node.shape) > max(made_of, _MANY_SUMS)

    # -- where a node is computed

    def _open(self, nest: Nest, node: Node) -> Nest:
        self.nests.append(nest)
        self._join(nest, node)
        return nest

    def _join(self, nest: Nest, node: Node) -> None:
        nest.nodes.append(node)
        self.home[node] = nest

    def _place(self, node: Node) -> None:
        name = node.op.name
        if name in _CONVOLUTIONS:
            kind = "convolution" if name == "convolution" else "to_input"
            self._open(Nest(kind, planes(node.shape), node), node)
        elif name in _POOLS:
            self._pool(node)
        elif node.op is UNPOOL or node.op is REPEAT:
            self._spread(node)
        elif name == "sum":
            self._sum(node)
        elif not self._is_inlined(node):
            nest = self._latest(node)
            if nest is None or not self._takes(nest, node):
                nest = self._open(Nest("map", planes(node.shape)), node)
            else:
                self._join(nest, node)

    def _is_inlined(self, node: Node) -> bool:
        """Whether the node is computed wherever it is wanted, from what lies in memory."""
        if node.dtype.kind == "b":
            return True
        in_memory = any(self._reads_memory(reader) for reader in self.consumers[node])
        if in_memory or node in self.body.outputs:
            return False
        if node.op.name == "broadcast_to":
            return True
        return is_cheap(node) and not any(self._homes(node)) and len(set(self._leaves(node))) <= _MOST_LOADS

    def _reads_memory(self, reader: Node) -> bool:
        """Whether an op takes its operand from memory alone."""
        large = reader.op.name in _POOLS and size_of(_window(reader)) > self.largest
        return large or reader.op.name in _CONVOLUTIONS or reader.op is FROM_IMAGES

    def _leaves(self, node: Node) -> Iterator[Node]:
        """The values that lie in memory or in a nest, of which the node is computed."""
        for x in node.inputs:
            if x in self.images and x not in self.home and x.op.name != "input" and x.op is not TO_IMAGES:
                yield from self._leaves(x)
            elif x in self.images:
                yield x

    def _homes(self, node: Node) -> Iterator[Nest]:
        for x in self._leaves(node):
            if x in self.home:
                yield self.home[x]

    def _latest(self, node: Node) -> Nest | None:
        return max(self._homes(node), key=self.nests.index, default=None)

    def _takes(self, nest: Nest, node: Node) -> bool:
        """Whether an elementwise node can run on what the nest has in registers."""
        if nest.kind in ("to_kernel", "pool") or (nest.kind != "map" and not is_cheap(node)):
            return False
        if any(x.op.name == "sum" and self.home.get(x) is nest for x in self._leaves(node)):
            return False  # which is known behind its loops only
        own = planes(node.shape)
        if nest.window is not None and own == nest.fine and not nest.spills:
            return nest.kind == "map"  # whose places are a few at a time
        return own == nest.grid and not nest.looped

    def _pool(self, node: Node) -> None:
        x = node.inputs[0]
        window, grid = _window(node), planes(node.shape)
        if size_of(window) > self.largest:
            twin = next((n for n in self.nests if n.kind == "pool" and n.nodes[0].inputs[0] is x), None)
            if twin:
                self._join(twin, node)
            else:
                self._open(Nest("pool", grid, window=window, looped=True), node)
            return
        nest = self.home.get(x)
        whole = planes(x.shape) == (grid[0], grid[1] * window[0], grid[2] * window[1])
        if nest and nest.kind in ("map", "convolution") and not nest.looped and whole and x.op.name != "sum":
            if nest.window is None and nest.grid == planes(x.shape) and grid != nest.grid:
                nest.window, nest.grid = window, grid
                self._join(nest, node)
                return
            if nest.window == window and nest.grid == grid and nest.is_fine(x):
                self._join(nest, node)
                return
        twin = next((n for n in self.nests if n.kind == "map" and self._reads_windows(n, x, window)), None)
        if twin:
            self._join(twin, node)
        else:
            self._open(Nest("map", grid, window=window), node)

    @staticmethod
    def _reads_windows(nest: Nest, x: Node, window: tuple[int, int]) -> bool:
        first = nest.nodes[0]
        return first.op.name in _POOLS and first.inputs[0] is x and nest.window == window

    def _spread(self, node: Node) -> None:
        window, grid = _window(node), planes(node.inputs[0].shape)
        fine = (grid[0], grid[1] * window[0], grid[2] * window[1])
        spills = fine != planes(node.shape)
        looped = size_of(window) > self.largest
        nest = self._latest(node)
        joins = nest is not None and nest.kind in ("map", "to_input", "convolution") and nest.grid == grid
        if nest is not None and joins and nest.window in (None, window) and not looped and not nest.looped:
            clash = nest.window is None and any(
                x in self.images and planes(x.shape) != grid for x in nest.nodes
            )
            summed = any(x.op.name == "sum" and self.home.get(x) is nest for x in self._leaves(node))
            if not clash and not summed and not (nest.window and spills != nest.spills):
                nest.window, nest.spills = window, spills
                self._join(nest, node)
                return
        self._open(Nest("map", grid, window=window, looped=looped, spills=spills), node)

    def _sum(self, node: Node) -> None:
        x = node.inputs[0]
        nest = self.home.get(x) or self._latest(node)
        if nest is None:  # where it is computed anyhow
            same = (n for n in reversed(self.nests) if n.kind == "map" and n.grid == planes(x.shape))
            nest = next((n for n in same if any(x in other.inputs for other in n.nodes)), None)
        if nest is None or nest.kind in ("to_kernel", "pool") or not self._sums_in(nest, x):
            nest = self._open(Nest("map", planes(x.shape)), node)
        else:
            self._join(nest, node)
        nest.sums.append(node)

    def _sums_in(self, nest: Nest, x: Node) -> bool:
        if x in self.home:
            return self.home[x] is nest and x.op.name != "sum"
        return self._takes(nest, x)

    def _leave(self, node: Node) -> None:
        x = node.inputs[0]
        if x not in self.home or x.op.name == "sum":
            self._open(Nest("map", planes(x.shape)), node)
        else:
            self._join(self.home[x], node)

    # -- what goes through memory

    def _find_stores(self) -> None:
        wanted: dict[Node, None] = {node: None for node in self.body.outputs if node in self.images}
        for nest in self.nests:
            for node in nest.nodes:
                for x in self._leaves(node):
                    elsewhere = self.home.get(x, nest) is not nest
                    if elsewhere or (node is nest.anchor and x in self.home):
                        wanted[x] = None
        for node in wanted:
            if node in self.home and node.op.name != "sum":
                self.home[node].stores.append(node)
        for nest in self.nests:
            nest.stores += [node for node in nest.nodes if node.op is FROM_IMAGES]


def _window(node: Node) -> tuple[int, int]:
    window = node.attributes["window"]
    return (1, window[0]) if len(window) == 1 else (window[0], window[1])
