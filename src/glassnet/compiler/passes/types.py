"""Types: the operands of an op get the one dtype that it computes in, by casts in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glassnet.compiler.passes.rewrite import make
from glassnet.core.dtype import BOOL, FLOAT64, DType
from glassnet.core.graph import Graph, Node
from glassnet.errors import UncompilableError

SUPPORTED = ("float32", "float64", "int32", "int64", "bool", "uint32")
_TRUTH = frozenset({"logical_and", "logical_or", "logical_xor", "logical_not", "any", "all"})
_OF_FLOATS = frozenset({"isnan", "isinf", "isfinite", "signbit"})
_AS_RESULT = frozenset(
    {
        *("contract", "concatenate", "sum", "prod", "cumsum", "cumprod", "softmax", "logsumexp"),
        *("softmax_cross_entropy", "convolution", "transposed_convolution"),
    }
)


def agree(graph: Graph) -> Graph:
    """The graph with a cast before every operand of another dtype than its op computes in.

    Raises UncompilableError for a dtype that no loop computes in.
    """
    inputs = set(graph.inputs)
    for node in (*graph.inputs, *graph.nodes):
        if node.dtype.name not in SUPPORTED:
            raise UncompilableError(f"values of dtype {node.dtype} are not compiled yet ({node.op.name}).")

    def rewrite(node: Node, operands: tuple[Node, ...]) -> Node:
        wanted = _operand_dtypes(node) if node not in inputs else []
        operands = (
            *(as_dtype(x, dtype, node) for x, dtype in zip(operands, wanted, strict=False)),
            *operands[len(wanted) :],
        )
        if operands == node.inputs:
            return node
        return Node(node.op, operands, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def as_dtype(x: Node, dtype: DType, like: Node | None = None) -> Node:
    """`x` in that dtype: itself, or a cast of it."""
    if x.dtype == dtype:
        return x
    return make("convert" if x.dtype.kind == dtype.kind == "f" else "cast", x, like=like, dtype=dtype)


def _operand_dtypes(node: Node) -> Sequence[DType]:
    """What the op takes its first operands as."""
    name, dtypes = node.op.name, [x.dtype for x in node.inputs]
    if name in _AS_RESULT:
        return [node.dtype] * len(dtypes)
    if name in _TRUTH:
        return [BOOL] * len(dtypes)
    if not node.op.broadcasts or not dtypes:
        return []
    if name == "where":
        return [BOOL, node.dtype, node.dtype]
    if node.dtype != BOOL:
        return [node.dtype] * len(dtypes)
    common: DType = np.result_type(*dtypes)
    if name in _OF_FLOATS and common.kind != "f":
        common = FLOAT64
    return [common] * len(dtypes)
