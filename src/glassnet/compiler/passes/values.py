"""How the compiler sees the values of a graph: as matrices, rows, columns or scalars in memory.

    matrix   shape (rows, columns), rows padded to whole vectors
    row      shape (n,), contiguous
    column   shape (n, 1) made one value a row; contiguous like a row
    scalar   shape ()

Reshapes between rows, columns and scalars are other names of the same memory (their `base`).
"""

from __future__ import annotations

from glassnet.core.graph import Graph, Node
from glassnet.errors import UncompilableError


def is_elementwise(node: Node) -> bool:
    """True for ops that compute each element from the same place of their inputs, broadcasting included."""
    return node.op.broadcasts or node.op.name in ("one_hot", "broadcast_to")


def is_contraction(node: Node) -> bool:
    """True for products of arrays."""
    return node.op.name == "contract"


class Values:
    """Classifies the nodes of one graph; refuses what the compiler has no form for."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs = set(graph.inputs)
        self._storage: dict[Node, str] = {}
        _check_dtypes(graph)
        for node in (*graph.inputs, *graph.nodes):
            self._storage[node] = self._classify(node)
            if is_contraction(node) and node not in self.inputs:
                self._check_operands(node)

    def storage(self, node: Node) -> str:
        """ "matrix", "row", "column" or "scalar"."""
        return self._storage[node]

    def space(self, node: Node) -> tuple[int, int]:
        """(rows, columns) of the loops that compute it on its own."""
        if self._storage[node] == "matrix":
            return node.shape[0], node.shape[1]
        return 1, node.shape[0] if node.shape else 1

    def base(self, node: Node) -> Node:
        """The value whose memory this one is: itself, or the source of a reshape that moves nothing."""
        while node.op.name == "reshape" and not self.is_packing(node):
            node = node.inputs[0]
        return node

    def is_row_reduction(self, node: Node) -> bool:
        """True for what takes each row of its space to one value: a sum, a maximum, a packing."""
        if node.op.name == "sum":
            x, axes = node.inputs[0], node.attributes["axes"]
            return axes == (len(x.shape) - 1,) or (axes == (0,) and self._storage[x] == "column")
        return node.op.name == "row_max" or self.is_packing(node)

    def is_packing(self, node: Node) -> bool:
        """True for the reshape that gathers a matrix of one column into a vector."""
        if node.op.name != "reshape":
            return False
        x = node.inputs[0]
        return self._storage[x] == "matrix" and x.shape[0] > 1

    def is_column_sum(self, node: Node) -> bool:
        """True for the sum of a matrix over its rows."""
        if node.op.name != "sum" or node.attributes["axes"] != (0,):
            return False
        return self._storage[node.inputs[0]] == "matrix"

    def is_computed(self, node: Node) -> bool:
        """True for what some kernel must compute: not inputs, constants or other names."""
        return node not in self.inputs and node.op.name != "constant" and self.base(node) is node

    def is_stored(self, node: Node) -> bool:
        """True for what lies in memory: all but constants that are a plain number."""
        return node.op.name != "constant" or node.value.size != 1

    def _classify(self, node: Node) -> str:
        rank = len(node.shape)
        if 0 in node.shape:
            raise UncompilableError(f"arrays without elements, such as shape {node.shape}, are not compiled.")
        if rank > 2:
            raise UncompilableError(f"arrays of {rank} dimensions are not compiled yet ({node.op.name}).")
        if node.op.name == "reshape":
            self._check_reshape(node)
        if rank < 2:
            return "row" if rank else "scalar"
        if node in self.inputs or is_contraction(node) or node.op.name in ("constant", "one_hot"):
            return "matrix"
        if node.op.name in ("reshape", "row_max") or (
            node.op.name == "sum" and node.attributes["axes"] == (1,)
        ):
            return "column" if node.shape[1] == 1 else "matrix"
        if is_elementwise(node) and node.shape[1] == 1:
            same = [x for x in node.inputs if x.shape == node.shape]
            return "matrix" if any(self._storage[x] == "matrix" for x in same) else "column"
        return "matrix"

    def _check_reshape(self, node: Node) -> None:
        x = node.inputs[0]
        lying = len(node.shape) == 2 and node.shape[1] > 1
        if self._storage[x] == "matrix" and x.shape[0] > 1 and (x.shape[1] > 1 or lying):
            raise UncompilableError(f"a reshape of {x.shape} into {node.shape} is not compiled yet.")
        if len(node.shape) == 2 and 1 not in node.shape:
            raise UncompilableError(f"a reshape of {x.shape} into {node.shape} is not compiled yet.")

    def _check_operands(self, node: Node) -> None:
        # products read whole vectors and blocks, for which only a matrix is padded
        for x in node.inputs:
            if self.base(x) is not x or self._storage[x] != "matrix":
                raise UncompilableError(f"a product with a vector reshaped to {x.shape} is not compiled yet.")


def _check_dtypes(graph: Graph) -> None:
    """One floating type throughout; whole numbers and truth values are compared and selected by, no more."""
    floating = {node.dtype for node in graph.nodes if node.dtype.kind == "f"}
    if len(floating) > 1:
        listed = " and ".join(sorted(dtype.name for dtype in floating))
        raise UncompilableError(f"a graph that computes in {listed} is not compiled yet.")
    inputs = set(graph.inputs)
    for node in graph.nodes:
        if node in inputs or not node.inputs or node.op.name in ("one_hot", "reshape"):
            continue
        operands = node.inputs[1:] if node.op.name == "where" else node.inputs
        kinds = {x.dtype.name for x in operands}
        compared = node.dtype.kind == "b" and kinds == {"int32"}
        chosen = node.op.name != "where" or node.inputs[0].dtype.kind == "b"
        if not (compared or (kinds <= {dtype.name for dtype in floating} and chosen)):
            listed = ", ".join(str(x.dtype) for x in node.inputs)
            raise UncompilableError(f"{node.op.name} of {listed} is not compiled yet.")
