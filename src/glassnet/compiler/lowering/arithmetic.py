"""Arithmetic on vectors. NumPy's maximum and minimum keep a NaN of either operand; so do these."""

from __future__ import annotations

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.core.graph import Node


def _maximum(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    larger = b.maximum(x, y)
    return b.select(b.compare("ne", x, x), x, larger)  # NOTE a NaN in x would be lost


def _minimum(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    smaller = b.minimum(x, y)
    return b.select(b.compare("ne", x, x), x, smaller)


def _sign(b: Builder, _node: Node, x: Operand) -> Operand:
    signed = b.copysign(b.constant(1, x.type), x)
    return b.select(
        b.compare("eq", b.abs(x), b.zero(x.type)), b.zero(x.type), b.select(b.compare("ne", x, x), x, signed)
    )


LOWERINGS = {
    "add": lambda b, node, x, y: b.add(x, y),
    "subtract": lambda b, node, x, y: b.sub(x, y),
    "multiply": lambda b, node, x, y: b.mul(x, y),
    "divide": lambda b, node, x, y: b.div(x, y),
    "negative": lambda b, node, x: b.neg(x),
    "sqrt": lambda b, node, x: b.sqrt(x),
    "abs": lambda b, node, x: b.abs(x),
    "sign": _sign,
    "maximum": _maximum,
    "minimum": _minimum,
}
