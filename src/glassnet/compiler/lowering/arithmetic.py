"""Arithmetic on vectors, of floating and of whole numbers.

NumPy's maximum and minimum keep a NaN of either operand; so do these. Of truth values + is "or", * is "and".
"""

from __future__ import annotations

import math
from collections.abc import Callable

from glassnet.compiler.loop_ir import Builder, Constant, Operand
from glassnet.compiler.lowering.floating import is_nan
from glassnet.core.graph import Node
from glassnet.errors import UncompilableError
from glassnet.ops.trigonometric import DEGREES_PER_RADIAN, RADIANS_PER_DEGREE


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
    if isinstance(y, Constant) and not math.isnan(y.value):
        return b.maximum(y, x)
    larger = b.maximum(x, y)
    return b.select(b.compare("ne", x, x), x, larger)  # NOTE a NaN in x would be lost


def _minimum(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    if x.type.element == "i1":
        return b.iand(x, y)
    if not x.type.is_float:
        return b.select(b.compare("lt", x, y), x, y)
    if isinstance(y, Constant) and not math.isnan(y.value):
        return b.minimum(y, x)
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


def _fmax(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    if not x.type.is_float:
        return _maximum(b, _node, x, y)
    return b.select(b.ior(b.compare("ge", x, y), is_nan(b, y)), x, y)


def _fmin(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    if not x.type.is_float:
        return _minimum(b, _node, x, y)
    return b.select(b.ior(b.compare("le", x, y), is_nan(b, y)), x, y)


def _clip(b: Builder, node: Node, x: Operand, low: Operand, high: Operand) -> Operand:
    return _minimum(b, node, _maximum(b, node, x, low), high)


def _heaviside(b: Builder, _node: Node, x: Operand, y: Operand) -> Operand:
    step = b.select(b.compare("lt", x, 0.0), b.zero(x.type), b.constant(1.0, x.type))
    return b.select(is_nan(b, x), x, b.select(b.compare("eq", x, 0.0), y, step))


def _reciprocal(b: Builder, node: Node, x: Operand) -> Operand:
    if not x.type.is_float:
        raise UncompilableError(f"{node.op.name} of {node.dtype} values is not compiled.")
    return b.div(1.0, x)


LOWERINGS = {
    "add": _by_type("add", "iadd", "ior"),
    "subtract": _by_type("sub", "isub"),
    "multiply": _by_type("mul", "imul", "iand"),
    "divide": _divide,
    "negative": _negative,
    "sqrt": lambda b, node, x: b.sqrt(x),
    "abs": _abs,
    "sign": _sign,
    "maximum": _maximum,
    "minimum": _minimum,
    "fmax": _fmax,
    "fmin": _fmin,
    "clip": _clip,
    "copysign": lambda b, node, x, y: b.copysign(x, y),
    "heaviside": _heaviside,
    "reciprocal": _reciprocal,
    "deg2rad": lambda b, node, x: b.mul(x, RADIANS_PER_DEGREE),
    "rad2deg": lambda b, node, x: b.mul(x, DEGREES_PER_RADIAN),
}
