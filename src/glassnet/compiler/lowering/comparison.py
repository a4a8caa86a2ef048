"""Comparisons make masks, where selects by them; logic on masks, and on the bits of whole numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.compiler.lowering.floating import is_nan, sign_bit
from glassnet.core.graph import Node


def _comparison(predicate: str) -> Callable[[Builder, Node, Operand, Operand], Operand]:
    return lambda b, node, x, y: b.compare(predicate, x, y)


def _not(b: Builder, _node: Node, x: Operand) -> Operand:
    return b.ixor(x, b.constant(1 if x.type.element == "i1" else -1, x.type))


LOWERINGS = {
    "less": _comparison("lt"),
    "less_equal": _comparison("le"),
    "greater": _comparison("gt"),
    "greater_equal": _comparison("ge"),
    "equal": _comparison("eq"),
    "not_equal": _comparison("ne"),
    "where": lambda b, node, mask, x, y: b.select(mask, x, y),
    **dict.fromkeys(("logical_and", "bitwise_and"), lambda b, node, x, y: b.iand(x, y)),
    **dict.fromkeys(("logical_or", "bitwise_or"), lambda b, node, x, y: b.ior(x, y)),
    **dict.fromkeys(("logical_xor", "bitwise_xor"), lambda b, node, x, y: b.ixor(x, y)),
    **dict.fromkeys(("logical_not", "invert"), _not),
    "isfinite": lambda b, node, x: b.compare("lt", b.abs(x), math.inf),
    "isinf": lambda b, node, x: b.compare("eq", b.abs(x), math.inf),
    "isnan": lambda b, node, x: is_nan(b, x),
    "signbit": lambda b, node, x: sign_bit(b, x),
}
