"""Comparisons make masks; where selects by them."""

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
    "where": lambda b, node, mask, x, y: b.select(mask, x, y),
}
