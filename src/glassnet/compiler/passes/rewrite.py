"""Making nodes outside a trace, and running tables of rewrite rules over a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glassnet.compiler.stages import count
from glassnet.core.dtype import DType, NDArray
from glassnet.core.graph import Graph, Node
from glassnet.core.op import Op
from glassnet.core.registry import OPS
from glassnet.core.trace import constant
from glassnet.errors import UncompilableError

Rule = Callable[[Node], Node | None]

# The products of stacks of matrices that there are kernels for; `flatten` makes them of all others.
STACKS = ("nuk,nkv->nuv", "nku,nkv->nuv")


def make(op: str | Op, *inputs: Node, like: Node | None = None, **attributes: Any) -> Node:
    """A node of that op; it keeps the user's source line of `like`."""
    declared = OPS[op] if isinstance(op, str) else op
    shape, dtype = declared.infer(*inputs, **attributes)
    return Node(declared, inputs, attributes, shape, dtype, None, like.source if like else None)


def number(value: float, dtype: DType) -> Node:
    """A scalar constant."""
    return constant(np.asarray(value, dtype))


def known(node: Node) -> NDArray | None:
    """The array of a constant, else None."""
    return node.value if node.op.name == "constant" else None


def uniform(node: Node) -> float | None:
    """The number that fills a constant, else None."""
    value = known(node)
    if value is None or value.size == 0:
        return None
    first = value.flat[0]
    # NOTE by their bits: a NaN equals itself here, and 0 and -0 are two numbers
    return first.item() if value.tobytes() == first.tobytes() * value.size else None


def apply_rules(graph: Graph, rules: Mapping[str, tuple[Rule, ...]]) -> Graph:
    """The graph with every node rewritten by the rules of its op, each result rewritten again."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if inputs != node.inputs:
            node = Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)
        return settle(node)

    def settle(node: Node) -> Node:
        for rule in rules.get(node.op.name, ()):
            better = rule(node)
            if better is not None and better is not node:
                if (better.shape, better.dtype) != (node.shape, node.dtype):
                    raise UncompilableError(f"the rule {rule.__name__} changed {node!r} into {better!r}.")
                count(node.op.name, better.op.name)
                return settle(better)
        return node

    return graph.map_nodes(rewrite)
