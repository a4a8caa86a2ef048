"""Arithmetic on vectors, of floating and of whole numbers.

NumPy's maximum and minimum keep a NaN of either operand; so do these. Of truth values + is "or", * is "and".
"""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.core.graph import Node
from glassnet.errors import UncompilableError


def _by_type(floating: str, whole: str, truth: str = "") -> Callable[..., Operand]:
    """The operation of the builder for the operands' type."""

    def lower(b: Builder, node: Node, *operands: Operand) -> Operand:
        element = operands[0].type.element
        name = floating if operands[0].type.is_float else truth if element == "i1" else whole
        if not name:
            raise UncompilableError(f"{node.op.name} of truth values is not compiled.")
        return getattr(b, name)(*operands)

    return lower


def _divide(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    return b.div(x, y)


def _negative(b: Builder, _node: Node, x: Operand) -> Operand:
    return b.neg(x) if x.type.is_float else b.isub(0, x)


def _abs(b: Builder, _node: Node, x: Operand) -> Operand:
    if x.type.is_float:
        return b.abs(x)
    return b.select(b.compare("lt", x, 0), b.isub(0, x), x)


def _maximum(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    if x.type.element == "i1":
        return b.ior(x, y)
    if not x.type.is_float:
        return b.select(b.compare("gt", x, y), x, y)
    larger = b.maximum(x, y)
    return b.select(b.compare("ne", x, x), x, larger)  # NOTE a NaN in x would be lost


def _minimum(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    if x.type.element == "i1":
        return b.iand(x, y)
    if not x.type.is_float:
        return b.select(b.compare("lt", x, y), x, y)
    smaller = b.minimum(x, y)
    return b.select(b.compare("ne", x, x), x, smaller)


def _sign(b: Builder, _node: Node, x: Operand) -> Operand:
    if not x.type.is_float:
        one = b.constant(1, x.type)
        return b.select(
            b.compare("gt", x, 0),
            one,
            b.select(b.compare("lt", x, 0), b.constant(-1, x.type), b.zero(x.type)),
        )
    signed = b.copysign(b.constant(1, x.type), x)
    return b.select(
        b.compare("eq", b.abs(x), b.zero(x.type)), b.zero(x.type), b.select(b.compare("ne", x, x), x, signed)
    )


LOWERINGS = {
    "add": _by_type("add", "iadd", "ior"),
    "subtract": _by_type("sub", "isub"),
    "multiply": _by_type("mul", "imul", "iand"),
    "divide": _divide,
    "negative": _negative,
    "sqrt": lambda b, node, x: b.sqrt(x),
    "copysign": lambda b, node, x, y: b.copysign(x, y),
    "abs": _abs,
    "sign": _sign,
    "maximum": _maximum,
    "minimum": _minimum,
}
