"""Orientation: which way each matrix lies, row by row or column by column.

Matrices that are combined element by element lie the same way: they are a class. A product wants the lines
of its result and of its right operand along the same label; where they are not, it reads a transposed copy.
So one more class that lies the right way is one copy less, and a matrix of ten columns that lies column by
column wastes no lanes and is summed along its rows without sums across lanes.

First every class takes the way that the products which make or read it ask for. Then classes that are free
are turned where that makes the step shorter by an estimate of its cycles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import COSTLY, Kernel
from glassnet.compiler.passes.image_ops import matrices_across
from glassnet.compiler.passes.values import Values, is_contraction, is_elementwise, lines_of
from glassnet.compiler.passes.vocabulary import PRODUCTS
from glassnet.core.graph import Node
from glassnet.ops.matrix import split_spec

# Cycles of a core with two vector units; what counts is how they compare.
_COSTLY_OP = 8.0
_SUM_ACROSS_LANES = 12.0
_COPY_IN_CACHE = 0.2  # an element of a transposed copy
_COPY_BEYOND = 0.75
_FIRST_CACHE = 8192  # elements of a matrix and its copy that stay in the first cache
_TRAFFIC = ((2**18, 0.0), (2**22, 0.12), (math.inf, 0.8))  # cycles to read one of so many elements
_PANEL = 2  # vectors of a product's columns that are made for all its lines before the next ones
_WORTHWHILE = 0.999  # of the cost before: what saves less is left as it is


@dataclass
class Product:
    """A contraction as loops see it: out[u, v] = sum_k a[u, k] b[k, v], v along the lines of out and b.

    A stack of `batch` products has the lines of its matrices one behind the other.
    """

    a: Node
    b: Node
    a_by_rows: bool  # a's labels are (u, k)
    b_by_rows: bool  # b's labels are (k, v)
    extents: tuple[int, int, int]  # u, v, k
    transposed: bool  # (u, v) is (column, row) of the result
    batch: int = 1
    rest: tuple[Product, ...] = ()  # which are added to it

    @property
    def summands(self) -> tuple[Product, ...]:
        """The products that are added up."""
        return (self, *self.rest)


class Orientation:
    """The classes of matrices that must lie the same way, and which way that is.

    What is `fixed` lies row by row. Classes are turned to save time only where they are `free` to be.
    """

    def __init__(
        self,
        kernels: Sequence[Kernel],
        values: Values,
        lanes: Mapping[str, int],
        fixed: Iterable[Node],
        same_memory: Mapping[Node, Node],
        *,
        free: bool,
    ) -> None:
        self.values, self.lanes = values, lanes
        self.kernels = kernels
        self.products: dict[Kernel, Product] = {}
        self._known: dict[tuple[Kernel, bool], Product] = {}
        self._costs: dict[tuple[Kernel, bool], float] = {}
        self._leaders: dict[Kernel, Node] = {}
        self._parent: dict[Node, Node] = {}
        self._ways: dict[Node, bool] = {}  # representative: transposed
        self._bound: set[Node] = set()  # nodes whose classes are not turned
        for output, source in same_memory.items():
            self._unite(output, source)
        for node in values.graph.nodes:
            self._unite_elementwise(node)
        for kernel in kernels:
            if free and self._is_turnable(kernel):
                self._unite_all(self._matrices(kernel))
        self._settle_fixed(fixed, same_memory, free=free)
        self._settle_products()
        if free:
            self._improve()
        for kernel in self._contractions():
            self.products[kernel] = self._product(kernel)

    def is_transposed(self, node: Node) -> bool:
        """True where the node's class lies column by column."""
        return self._ways.get(self._find(node), False)

    @property
    def flipped(self) -> list[Node]:
        """The operands that some product wants the other way round than they lie."""
        return list(dict.fromkeys(x for product in self.products.values() for x in self._copied(product)))

    # -- classes

    def _find(self, node: Node) -> Node:
        """The representative of the node's class."""
        while self._parent.get(node, node) is not node:
            node = self._parent[node]
        return node

    def _unite(self, a: Node, b: Node) -> None:
        a, b = self._find(a), self._find(b)
        if a is not b:
            self._parent[a] = b
        self._parent.setdefault(b, b)

    def _unite_all(self, nodes: Sequence[Node]) -> None:
        for node in nodes[1:]:
            self._unite(nodes[0], node)

    def _unite_elementwise(self, node: Node) -> None:
        if not is_elementwise(node):
            return
        for x in node.inputs:
            base = self.values.base(x)
            if self.values.storage(base) != "matrix":
                continue
            if lines_of(base) == lines_of(node):
                self._unite(node, base)
            elif lines_of(base)[1] == 1:
                self._bound.add(node)  # a column with lines of its own cannot be read along a column

    def _is_turnable(self, kernel: Kernel) -> bool:
        """True for a kernel with sums along rows, or over them, whose loops know both ways."""
        rows, columns = kernel.space
        if min(rows, columns) < 2 or not (kernel.per_row or kernel.kind == "columns"):
            return False
        matrices = [x for x in self._read_or_made(kernel) if self.values.storage(x) == "matrix"]
        reduced = [node.inputs[0] for node in kernel.nodes if self._is_reduction(node)]
        return (
            kernel.kind in ("rows", "columns")
            and all(lines_of(x) == kernel.space and len(x.shape) == 2 for x in matrices)
            and all(x.shape == kernel.space and self.values.storage(x) == "matrix" for x in reduced)
            and not any(self.values.is_packing(node) for node in kernel.nodes)
        )

    def _is_reduction(self, node: Node) -> bool:
        return self.values.is_row_reduction(node) or self.values.is_column_sum(node)

    def _read_or_made(self, kernel: Kernel) -> list[Node]:
        reduced = [node.inputs[0] for node in kernel.nodes if self._is_reduction(node)]
        made = [node for node in kernel.nodes if not self._is_reduction(node)]
        return [self.values.base(x) for x in (*kernel.reads, *reduced, *made)]

    def _matrices(self, kernel: Kernel) -> list[Node]:
        """What a kernel reads and makes that is a matrix of its space."""
        return [
            x
            for x in self._read_or_made(kernel)
            if self.values.storage(x) == "matrix" and lines_of(x) == kernel.space
        ]

    def _settle_fixed(self, fixed: Iterable[Node], same_memory: Mapping[Node, Node], *, free: bool) -> None:
        """The ways that are given: what is across images, then all that is row by row."""
        settled: list[tuple[Node, bool]] = []
        for kernel in self.kernels:
            if kernel.kind == "images" and kernel.anchor:
                settled += [(node, True) for node in matrices_across(kernel.anchor, kernel.nodes)]
        for kernel in self.kernels:
            sums = bool(kernel.per_row) or kernel.kind == "columns"
            if kernel.kind in ("block", "images") or (sums and not (free and self._is_turnable(kernel))):
                settled += [(node, False) for node in (*kernel.nodes, *kernel.reads)]
        for node in (*self.values.graph.inputs, *self.values.graph.nodes):
            if len(node.shape) > 2 or (node.op.name == "one_hot" and not free):
                settled.append((node, False))
            if self.values.is_part(node):
                settled += [(part, False) for part in (node, self.values.root(node))]
        settled += [(node, False) for node in fixed]
        self._bound |= _met_outside(self.values, same_memory)
        for node, transposed in settled:
            self._bound.add(self.values.base(node))
            self._settle(node, transposed=transposed)
        self._bound = {self._find(node) for node in self._bound}

    def _settle(self, node: Node, *, transposed: bool) -> None:
        node = self.values.base(node)
        if self.values.storage(node) == "matrix":
            self._ways.setdefault(self._find(node), transposed)

    # -- products

    def _contractions(self) -> list[Kernel]:
        return [kernel for kernel in self.kernels if kernel.kind == "contraction"]

    def _settle_products(self) -> None:
        """First the products whose results are made here: they lie row by row, and their operands follow."""
        with_inputs = {self._find(node) for node in self.values.graph.inputs}
        for own in (False, True):
            for kernel in self._contractions():
                assert kernel.anchor is not None  # contractions have one
                if (self._find(kernel.anchor) in with_inputs) is own:
                    self._settle(kernel.anchor, transposed=False)
                    for product in self._product(kernel).summands:
                        self._settle(product.b, transposed=not product.b_by_rows)

    def _product(self, kernel: Kernel) -> Product:
        assert kernel.anchor is not None  # contractions have one
        turned = self.is_transposed(kernel.anchor)
        if (kernel, turned) not in self._known:
            self._known[kernel, turned] = self._make_product(kernel.anchor, turned=turned)
        return self._known[kernel, turned]

    def _make_product(self, node: Node, *, turned: bool) -> Product:
        if node.op is not PRODUCTS:
            return self._make_summand(node.inputs, node.attributes["spec"], turned=turned)
        first, *rest = (
            self._make_summand(node.inputs[2 * n : 2 * n + 2], spec, turned=turned)
            for n, spec in enumerate(node.attributes["specs"])
        )
        return replace(first, rest=tuple(rest))

    def _make_summand(self, operands: Sequence[Node], spec: str, *, turned: bool) -> Product:
        x, y = operands
        x_labels, y_labels, out = split_spec(spec)
        *stack, u, v = (*out[:-2], out[-1], out[-2]) if turned else out
        k = next(label for label in x_labels if label in y_labels and label not in out)
        if v in x_labels:
            x, y, x_labels, y_labels = y, x, y_labels, x_labels
        sizes = dict(zip(x_labels + y_labels, (*x.shape, *y.shape), strict=True))
        batch = sizes[stack[0]] if stack else 1
        return Product(
            self.values.base(x),
            self.values.base(y),
            x_labels[-2] == u,
            y_labels[-2] == k,
            (sizes[u], sizes[v], sizes[k]),
            turned,
            batch,
        )

    def _copied(self, product: Product) -> list[Node]:
        """The operands that the product wants the other way round than they lie."""
        return [x.b for x in product.summands if self.is_transposed(x.b) is x.b_by_rows]

    # -- turning classes

    def _improve(self) -> None:
        """Turns one free class after the other, each with the neighbours that should follow it."""
        around = _Neighbours(self)
        better = True
        while better:
            better = False
            for node in around.kernels:
                better |= self._try(node, around)

    def _try(self, node: Node, around: _Neighbours) -> bool:
        neighbours, kernels = around.of(node)
        ways, before = dict(self._ways), self._cost(kernels)
        self._ways[node] = not self.is_transposed(node)
        cost = self._cost(kernels)
        for other in neighbours:
            self._ways[other] = not self.is_transposed(other)
            if (new := self._cost(kernels)) < cost:
                cost = new
            else:
                self._ways[other] = not self._ways[other]
        if cost < before * _WORTHWHILE:
            return True
        self._ways = ways
        return False

    def is_free(self, node: Node) -> bool:
        """Whether the class of this representative may be turned; what fills no vector is left alone."""
        return node not in self._bound and max(lines_of(node)) >= self.lanes[element_of(node.dtype)]

    def classes(self, kernel: Kernel) -> list[Node]:
        """The classes that a kernel's time depends on."""
        nodes = self._matrices(kernel)
        if kernel.kind == "contraction" and kernel.anchor:
            nodes += [kernel.anchor, *map(self.values.base, kernel.anchor.inputs)]
        return list(dict.fromkeys(self._find(x) for x in nodes if self.values.storage(x) == "matrix"))

    def _cost(self, kernels: Sequence[Kernel]) -> float:
        """About how many cycles these kernels take, with the copies that they need."""
        copies: dict[Node, None] = {}
        total = 0.0
        for kernel in kernels:
            turned = self.is_transposed(self._leading(kernel))
            if (kernel, turned) not in self._costs:
                self._costs[kernel, turned] = self._cost_of(kernel, turned=turned)
            total += self._costs[kernel, turned]
            if kernel.kind == "contraction":
                copies.update(dict.fromkeys(self._copied(self._product(kernel))))
        for node in copies:
            rows, columns = lines_of(node)
            total += rows * columns * (_COPY_IN_CACHE if rows * columns < _FIRST_CACHE else _COPY_BEYOND)
        return total

    def _leading(self, kernel: Kernel) -> Node:
        """The matrix whose way is that of the kernel's loops."""
        if kernel not in self._leaders:
            anchor = kernel.anchor if kernel.kind == "contraction" else None
            self._leaders[kernel] = anchor or self._matrices(kernel)[0]
        return self._leaders[kernel]

    def _cost_of(self, kernel: Kernel, *, turned: bool) -> float:
        """About how many cycles one kernel takes, made this way."""
        others = [node for node in kernel.nodes if not is_contraction(node)]
        work = sum(_COSTLY_OP if node.op.name in COSTLY else 1.0 for node in others)
        leading = self._leading(kernel)
        if kernel.kind == "contraction":
            product = self._product(kernel)
            u, v, _ = product.extents
            vectors, depths = self._vectors(v, leading), [summand.extents[2] for summand in product.summands]
            # The right operand is read once, the left one again for every panel.
            traffic = sum(_reading(k * v) + _reading(u * k) * -(-vectors // _PANEL) for k in depths)
            return product.batch * (u * vectors * (sum(depths) / 2 + work) + traffic)
        rows, columns = kernel.space
        if turned:
            rows, columns = columns, rows
        across = rows * _SUM_ACROSS_LANES * sum(map(self._is_reduction, kernel.nodes))
        # A sum along what a vector holds is one across its lanes.
        return rows * self._vectors(columns, leading) * work + (
            across if turned is (kernel.kind == "columns") else 0.0
        )

    def _vectors(self, extent: int, node: Node) -> int:
        return -(-extent // self.lanes[element_of(node.dtype)])


def _reading(elements: int) -> float:
    """Cycles to read a matrix that does not stay in the cache next to the core."""
    return elements * next(cycles for most, cycles in _TRAFFIC if elements <= most)


def _met_outside(values: Values, same_memory: Mapping[Node, Node]) -> set[Node]:
    """What comes from outside or goes there in each call: to turn it on the way would be slow."""
    outside = {*values.graph.inputs, *map(values.base, values.graph.outputs)}
    return outside.difference(same_memory, same_memory.values())


class _Neighbours:
    """Which kernels depend on which free classes."""

    def __init__(self, orientation: Orientation) -> None:
        self.kernels: dict[Node, list[Kernel]] = {}
        self.classes = {kernel: orientation.classes(kernel) for kernel in orientation.kernels}
        for kernel, classes in self.classes.items():
            for node in classes:
                if orientation.is_free(node):
                    self.kernels.setdefault(node, []).append(kernel)

    def of(self, node: Node) -> tuple[list[Node], list[Kernel]]:
        """The free classes that share a kernel with this one, and all kernels that depend on one of them."""
        shared = (other for kernel in self.kernels[node] for other in self.classes[kernel])
        neighbours = dict.fromkeys(other for other in shared if other in self.kernels and other is not node)
        kernels = dict.fromkeys(kernel for other in (node, *neighbours) for kernel in self.kernels[other])
        return list(neighbours), list(kernels)
