"""Comparisons make masks; logic works on them and on bits; where selects by them."""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.core.graph import Node


def _comparison(predicate: str) -> Callable[[Builder, Node, Operand, Operand], Operand]:
    return lambda b, node, x, y: b.compare(predicate, x, y)


LOWERINGS = {
    "less": _comparison("lt"),
    "less_equal": _comparison("le"),
    "greater": _comparison("gt"),
    "greater_equal": _comparison("ge"),
    "equal": _comparison("eq"),
    "not_equal": _comparison("ne"),
    **dict.fromkeys(("logical_and", "bitwise_and"), lambda b, node, x, y: b.iand(x, y)),
    **dict.fromkeys(("logical_or", "bitwise_or"), lambda b, node, x, y: b.ior(x, y)),
    **dict.fromkeys(("logical_xor", "bitwise_xor"), lambda b, node, x, y: b.ixor(x, y)),
    "logical_not": lambda b, node, x: b.ixor(x, 1),
    "invert": lambda b, node, x: b.ixor(x, 1 if x.type.element == "i1" else -1),
    "where": lambda b, node, mask, x, y: b.select(mask, x, y),
}
