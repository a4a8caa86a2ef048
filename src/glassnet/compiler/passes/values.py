"""How the compiler sees the values of a graph: as matrices, rows, columns or scalars in memory.

    matrix   shape (..., columns): lines along the last axis, padded to whole vectors, one for each index
             of the axes before it, row by row
    row      shape (n,), contiguous
    column   shape (..., 1) made one value a row; contiguous like a row
    scalar   shape ()
    images   shape (batch, channels, ...), with the batch innermost (see `image_layout`)

Reshapes that keep the lines, and those between rows, columns and scalars, are other names of the same memory
(their `base`).
"""

from __future__ import annotations

from collections.abc import Mapping

from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.image_ops import TO_IMAGES, is_image_result
from glassnet.compiler.passes.slices import parts_of
from glassnet.compiler.passes.vocabulary import LOOP, PRODUCTS
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import size_of
from glassnet.errors import UncompilableError


def is_elementwise(node: Node) -> bool:
    """True for ops that compute each element from the same place of their inputs, broadcasting included."""
    if node.op.name in ("cast", "convert", "one_hot", "broadcast_to"):
        return len(node.shape) <= 2
    return node.op.broadcasts


def is_contraction(node: Node) -> bool:
    """True for products of matrices, of stacks of them, and for sums of products."""
    return node.op.name == "contract" or node.op is PRODUCTS


def reads_matrices(node: Node) -> bool:
    """True for ops whose operands of two axes and more have to be matrices."""
    return is_contraction(node) or node.op is LOOP


def lines_of(node: Node) -> tuple[int, int]:
    """(lines, length of a line) of the value as a matrix."""
    return (size_of(node.shape[:-1]), node.shape[-1]) if node.shape else (1, 1)


class Values:
    """Classifies the nodes of one graph; refuses what the compiler has no form for."""

    def __init__(self, graph: Graph, padding: Mapping[str, int]) -> None:
        self.graph, self.padding = graph, padding
        self.inputs = set(graph.inputs)
        self.entrances = _entrances(graph)
        self._storage: dict[Node, str] = {}
        for node in (*graph.inputs, *graph.nodes):
            if 0 in node.shape:
                raise UncompilableError(
                    f"arrays without elements, such as shape {node.shape}, are not compiled."
                )
            self._storage[node] = self._classify(node)
        self._read_as_array = {
            self.base(x)
            for node in graph.nodes
            if self.is_computed(node) and (is_contraction(node) or self.is_block(node))
            for x in node.inputs
        }

    def storage(self, node: Node) -> str:
        """ "matrix", "row", "column", "scalar" or "images"."""
        return self._storage[node]

    def space(self, node: Node) -> tuple[int, int]:
        """(rows, columns) of the loops that compute it on its own."""
        if self._storage[node] == "matrix":
            return lines_of(node)
        return 1, size_of(node.shape)

    def base(self, node: Node) -> Node:
        """The value whose memory this one is: itself, or the source of a reshape that moves nothing."""
        while self.is_view(node):
            node = node.inputs[0]
        return node

    def is_view(self, node: Node) -> bool:
        """True for what is another name of the memory of its operand: most reshapes, an input's entrance."""
        if node.op is TO_IMAGES:
            return node.inputs[0] in self.entrances
        if node.op.name != "reshape" or node in self.inputs:
            return False
        x = node.inputs[0]
        if self.is_contiguous(x):
            return len(node.shape) < 2 or node.shape[-1] in (1, size_of(node.shape))
        return len(node.shape) > 1 and node.shape[-1] == x.shape[-1]

    def root(self, node: Node) -> Node:
        """The value that some kernel computes, or that is given, whose memory this one is or is a part of."""
        node = self.base(node)
        return self.root(node.inputs[0]) if self.is_part(node) else node

    def is_part(self, node: Node) -> bool:
        """True for the slice that is read where it lies: rows, or columns with room for whole vectors."""
        if node.op.name != "getitem" or node in self.inputs or len(node.shape) < 2 or node.shape[-1] == 1:
            return False
        x = node.inputs[0]
        base = self.base(x)
        if self._storage[x] != "matrix" or self._storage[base] != "matrix" or base.op.name == "constant":
            return False
        parts = parts_of(node)
        start, width, _ = parts[-1]
        whole = all(part[:2] == (0, n) for part, n in zip(parts[1:-1], x.shape[1:-1], strict=True))
        if not whole or any(step != 1 for _, _, step in parts):
            return False
        vector = self.padding[element_of(node.dtype)]
        room = -(-x.shape[-1] // vector) * vector
        return start + -(-width // vector) * vector <= room

    def is_contiguous(self, node: Node) -> bool:
        """True where no padding lies between the elements."""
        return self._storage[node] != "matrix" or lines_of(node)[0] == 1

    def is_row_reduction(self, node: Node) -> bool:
        """True for what takes each row of its space to one value: a sum, a maximum, a packing."""
        if node in self.inputs:
            return False
        if node.op.name == "sum":
            x, axes = node.inputs[0], node.attributes["axes"]
            if x.dtype.kind != "f" or len(x.shape) > 2:
                return False
            return axes == (len(x.shape) - 1,) or (axes == (0,) and self._storage[x] == "column")
        return node.op.name == "row_max" or self.is_packing(node)

    def is_packing(self, node: Node) -> bool:
        """True for the reshape that gathers a matrix of one column into a vector."""
        if node.op.name != "reshape" or node in self.inputs or self.is_view(node):
            return False
        x = node.inputs[0]
        return len(x.shape) == 2 and x.shape[1] == 1 and len(node.shape) == 1 and x.dtype.kind == "f"

    def is_column_sum(self, node: Node) -> bool:
        """True for the sum of a matrix over its rows."""
        if node in self.inputs or node.op.name != "sum" or node.attributes["axes"] != (0,):
            return False
        x = node.inputs[0]
        return self._storage[x] == "matrix" and len(x.shape) == 2 and x.dtype.kind == "f"

    def is_block(self, node: Node) -> bool:
        """True for what has loops of its own over arrays of any rank, and shares them with no other op."""
        return self.is_computed(node) and not (
            is_elementwise(node)
            or is_contraction(node)
            or self.is_row_reduction(node)
            or self.is_column_sum(node)
        )

    def is_computed(self, node: Node) -> bool:
        """True for what some kernel must compute: not inputs, constants or other names."""
        if node in self.inputs or node.op.name == "constant" or self.is_part(node):
            return False
        return self.base(node) is node

    def is_stored(self, node: Node) -> bool:
        """True for what lies in memory: all but constants that are a plain number in elementwise ops."""
        return node.op.name != "constant" or node.value.size != 1 or node in self._read_as_array

    def unfit_operands(self) -> list[Node]:
        """What products and loops read and what is no matrix: they read whole vectors, blocks and rows."""
        found: dict[Node, None] = {}
        for node in self.graph.nodes:
            if node in self.inputs or not reads_matrices(node):
                continue
            for x in node.inputs:
                kinds = {self._storage[self.base(x)], self._storage[x]}
                if kinds != {"matrix"} and (len(x.shape) > 1 or is_contraction(node)):
                    found[x] = None
        return list(found)

    def _classify(self, node: Node) -> str:
        if node in self.entrances or node.op is TO_IMAGES or is_image_result(node):
            return "images"
        if len(node.shape) < 2:
            return "row" if node.shape else "scalar"
        if node.shape[-1] > 1 or node in self.inputs or node.op.name in ("constant", "one_hot", "relay"):
            return "matrix"
        if is_contraction(node):
            return "matrix"
        if node.op.name == "reshape":
            x = node.inputs[0]
            lines = self._storage[x] == "matrix" and lines_of(x)[0] > 1 and x.shape[-1] == 1
            return "matrix" if lines else "column"
        if is_elementwise(node):
            same = [x for x in node.inputs if x.shape == node.shape]
            return "matrix" if any(self._storage[x] == "matrix" for x in same) else "column"
        reduced = node.op.name == "sum" and node.attributes["axes"] == (1,)
        return "column" if node.op.name == "row_max" or (reduced and len(node.shape) == 2) else "matrix"


def _entrances(graph: Graph) -> dict[Node, Node]:
    """The inputs that are read as images alone, each with the one node that reads it."""
    consumers = graph.consumers()
    alone = {x: consumers[x][0] for x in graph.inputs if len(consumers[x]) == 1 and x not in graph.outputs}
    return {x: node for x, node in alone.items() if node.op is TO_IMAGES}
