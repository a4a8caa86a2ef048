"""Sine and cosine, of angles and of whole turns.

Both are computed in double precision, within 2e-16 of the true value.

NOTE beyond an angle of 1.6e6 the place on the circle is not found, and the result is NaN.
"""

from __future__ import annotations

import math

from glassnet.compiler.loop_ir import Builder, Operand, Value
from glassnet.core.graph import Node

# cos r - 1 and (sin r - r) / r by powers of r^2: so much of Taylor's series is exact on |r| <= pi / 4
_COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(1, 9))
_SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(1, 8))
# pi / 2 in three parts of 33 bits, so that n times one is exact for whole n of up to 20 bits; from fdlibm
_QUARTER = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
_FARTHEST = 2.0**20 * math.pi / 2


def _series(b: Builder, z: Value, coefficients: tuple[float, ...]) -> Value:
    total: Operand = b.constant(coefficients[-1], z.type)
    for coefficient in reversed(coefficients[:-1]):
        total = b.fma(total, z, coefficient)
    return b.mul(total, z)


def _on_circle(b: Builder, r: Value, quarters: Value) -> Operand:
    """cos(r + quarters pi / 2), |r| <= pi / 4 and `quarters` whole numbers in i64."""
    z = b.mul(r, r)
    cosine = b.add(_series(b, z, _COSINE), 1.0)
    sine = b.fma(_series(b, z, _SINE), r, r)
    value = b.select(b.compare("eq", b.iand(quarters, 1), 0), cosine, sine)  # cos, -sin, -cos, sin
    rising = b.compare("eq", b.iand(b.iadd(quarters, 1), 2), 0)
    return b.select(rising, value, b.neg(value))


def _of_angle(b: Builder, x: Operand, quarter: int) -> Operand:
    """cos(x + quarter pi / 2)."""
    wide = x if x.type.element == "f64" else b.fpext(x, "f64")
    inside = b.compare("le", b.abs(wide), _FARTHEST)
    wide = b.select(inside, wide, b.constant(math.nan, wide.type))
    n = b.round_even(b.mul(wide, 2 / math.pi))
    first, second, third = _QUARTER
    r = b.fma(n, -third, b.fma(n, -second, b.fma(n, -first, wide)))
    whole = b.fptosi(b.select(inside, n, b.zero(n.type)), "i64")
    value = _on_circle(b, r, b.iadd(whole, quarter))
    return value if x.type.element == "f64" else b.fptrunc(value, "f32")


def _of_turns(b: Builder, t: Operand, quarter: int) -> Operand:
    """cos(2 pi (t + quarter / 4)): t = k / 4 + s exactly, |s| <= 1 / 8, and r = 2 pi s."""
    k = b.round_even(b.mul(t, 4.0))
    r = b.mul(b.fma(k, -0.25, t), 2 * math.pi)
    return _on_circle(b, r, b.iadd(b.fptosi(k, "i64"), quarter))


def _cos(b: Builder, _node: Node, x: Operand) -> Operand:
    return _of_angle(b, x, 0)


def _sin(b: Builder, _node: Node, x: Operand) -> Operand:
    value = _of_angle(b, x, 3)
    return b.select(b.compare("eq", x, 0.0), x, value)  # keeps the sign of 0


def _cosine_of_turns(b: Builder, _node: Node, t: Operand) -> Operand:
    return _of_turns(b, t, 0)


def _sine_of_turns(b: Builder, _node: Node, t: Operand) -> Operand:
    return _of_turns(b, t, 3)


LOWERINGS = {
    "cos": _cos,
    "sin": _sin,
    "cosine_of_turns": _cosine_of_turns,
    "sine_of_turns": _sine_of_turns,
}
