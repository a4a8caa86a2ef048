"""Trigonometric and hyperbolic functions, their inverses, and sinc."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glassnet.core.op import call
from glassnet.core.registry import function
from glassnet.ops.arithmetic import sqrt
from glassnet.ops.comparison import greater, where
from glassnet.ops.declare import elementwise, function_formula

RADIANS_PER_DEGREE = math.pi / 180
DEGREES_PER_RADIAN = 180 / math.pi

sin = elementwise(
    "sin",
    value=lambda xp, x: xp.sin(x),
    partials=lambda out, x: cos(x),
    formula=call("sin", prime=False),
    source="DLMF 4.20.1",
    summary="The sine of x in radians.",
)
cos = elementwise(
    "cos",
    value=lambda xp, x: xp.cos(x),
    partials=lambda out, x: -sin(x),
    formula=call("cos", prime=False),
    source="DLMF 4.20.2",
    summary="The cosine of x in radians.",
)
tanh = elementwise(
    "tanh",
    value=lambda xp, x: xp.tanh(x),
    partials=lambda out, x: 1 - out * out,
    formula=call("tanh"),
    source="DLMF 4.34",
    note="Near saturation 1 - out^2 keeps the absolute accuracy of out, not its relative accuracy.",
    summary="The hyperbolic tangent of x.",
)
tan = elementwise(
    "tan",
    value=lambda xp, x: xp.tan(x),
    partials=lambda out, x: 1 + out * out,
    samples=((-1.2, 1.2),),
    formula=call("tan", prime=False),
    domain="x other than an odd multiple of pi/2",
    source="DLMF 4.20.3",
    summary="The tangent of x in radians.",
)
arcsin = elementwise(
    "arcsin",
    value=lambda xp, x: xp.arcsin(x),
    partials=lambda out, x: 1 / sqrt((1 - x) * (1 + x)),
    samples=((-0.9, 0.9),),
    formula=call("arcsin", prime=False),
    domain="-1 <= x <= 1 (at the ends the slope is infinite)",
    source="DLMF 4.24.7",
    summary="The angle from -pi/2 to pi/2 whose sine is x.",
)
arccos = elementwise(
    "arccos",
    value=lambda xp, x: xp.arccos(x),
    partials=lambda out, x: -1 / sqrt((1 - x) * (1 + x)),
    samples=((-0.9, 0.9),),
    formula=call("arccos", prime=False),
    domain="-1 <= x <= 1 (at the ends the slope is infinite)",
    source="DLMF 4.24.8",
    summary="The angle from 0 to pi whose cosine is x.",
)
arctan = elementwise(
    "arctan",
    value=lambda xp, x: xp.arctan(x),
    partials=lambda out, x: 1 / (1 + x * x),
    formula=call("arctan", prime=False),
    source="DLMF 4.24.9",
    summary="The angle from -pi/2 to pi/2 whose tangent is x.",
)


def _squared_radius(y: Any, x: Any) -> Any:
    radius = x * x + y * y
    return where(greater(radius, 0), radius, 1.0)


arctan2 = elementwise(
    "arctan2",
    value=lambda xp, y, x: xp.arctan2(y, x),
    partials=(
        lambda out, y, x: x / _squared_radius(y, x),
        lambda out, y, x: -y / _squared_radius(y, x),
    ),
    samples=((0.3, 2.0), (-2.0, 2.0)),
    formula=function_formula("arctan2({0}, {1})"),
    kinks="at the origin both slopes are taken as 0; at the jump on the negative x axis they go on",
    analytic=False,  # NumPy has no complex form
    source="d angle = (x dy - y dx) / (x^2 + y^2)",
    summary="The angle of the point (x, y) from the positive x axis, from -pi to pi; y comes first.",
)
sinh = elementwise(
    "sinh",
    value=lambda xp, x: xp.sinh(x),
    partials=lambda out, x: cosh(x),
    formula=call("sinh", prime=False),
    source="DLMF 4.34.1",
    summary="The hyperbolic sine of x.",
)
cosh = elementwise(
    "cosh",
    value=lambda xp, x: xp.cosh(x),
    partials=lambda out, x: sinh(x),
    formula=call("cosh", prime=False),
    source="DLMF 4.34.2",
    summary="The hyperbolic cosine of x.",
)
arcsinh = elementwise(
    "arcsinh",
    value=lambda xp, x: xp.arcsinh(x),
    partials=lambda out, x: 1 / sqrt(1 + x * x),
    formula=call("arcsinh", prime=False),
    source="DLMF 4.38.9",
    summary="The number whose hyperbolic sine is x.",
)
arccosh = elementwise(
    "arccosh",
    value=lambda xp, x: xp.arccosh(x),
    partials=lambda out, x: 1 / sqrt((x - 1) * (x + 1)),
    samples=((1.2, 4.0),),
    formula=call("arccosh", prime=False),
    domain="x >= 1 (at 1 the slope is infinite)",
    source="DLMF 4.38.10",
    summary="The number from 0 up whose hyperbolic cosine is x.",
)
arctanh = elementwise(
    "arctanh",
    value=lambda xp, x: xp.arctanh(x),
    partials=lambda out, x: 1 / ((1 - x) * (1 + x)),
    samples=((-0.9, 0.9),),
    formula=call("arctanh", prime=False),
    domain="-1 < x < 1",
    source="DLMF 4.38.11",
    summary="The number whose hyperbolic tangent is x.",
)
deg2rad = elementwise(
    "deg2rad",
    value=lambda xp, x: xp.multiply(x, RADIANS_PER_DEGREE),
    partials=lambda out, x: RADIANS_PER_DEGREE,
    formula=call("deg2rad", prime=False),
    source="definition",
    summary="Degrees as radians, x pi / 180.",
)
rad2deg = elementwise(
    "rad2deg",
    value=lambda xp, x: xp.multiply(x, DEGREES_PER_RADIAN),
    partials=lambda out, x: DEGREES_PER_RADIAN,
    formula=call("rad2deg", prime=False),
    source="definition",
    summary="Radians as degrees, 180 x / pi.",
)

# Points and weights of Gauss and Legendre's rule on [0, 1].
_GAUSS = [
    ((1 + float(x)) / 2, float(w) / 2) for x, w in zip(*np.polynomial.legendre.leggauss(24), strict=True)
]


def _turned_sine(xp: Any, u: Any, quarters: int) -> Any:
    # sin(u + quarters pi/2), exactly turned: the derivative of that order of the sine.
    value = xp.cos(u) if quarters % 2 else xp.sin(u)
    return -value if quarters % 4 >= 2 else value


def _sinc_value(xp: Any, u: Any, *, order: int) -> Any:
    # Far from 0 the recurrence u S_n + n S_(n-1) = sin^(n)(u); near 0, where that loses its digits, the
    # integral of t^n sin^(n+1)(u t) over 0 < t < 1.
    zero = xp.equal(u, 0)
    if order == 0:
        safe = xp.where(zero, xp.ones_like(u), u)
        return xp.where(zero, xp.ones_like(u), xp.sin(safe) / safe)
    near = xp.less(xp.abs(u), 4 + 2 * order)
    inside, outside = xp.where(near, u, 0 * u), xp.where(near, xp.ones_like(u), u)
    integral: Any = 0.0
    for point, weight in _GAUSS:
        integral = integral + weight * point**order * _turned_sine(xp, inside * point, order + 1)
    slope = xp.sin(outside) / outside
    for n in range(1, order + 1):
        slope = (_turned_sine(xp, outside, n) - n * slope) / outside
    return xp.where(near, integral, slope)


_sinc = elementwise(
    "unnormalized_sinc",
    value=_sinc_value,
    partials=lambda out, u, *, order: _sinc(u, order=order + 1),
    formula=function_formula("sinc_{order}({0})"),
    source="S_n(u) = integral of t^n cos(u t + n pi/2) over 0 < t < 1, the derivative of order n of sin(u)/u",
    summary="The derivative of the given order of sin(u) / u.",
)


@function
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), and 1 at x = 0, with derivatives of every order there too.

    The shape is that of x; there are no kinks.

    >>> sinc(np.array([0.0, 0.5]))
    array([1.        , 0.63661977])

    Source: S_n(u) = integral of t^n cos(u t + n pi/2) over 0 < t < 1 for the slopes of sin(u)/u.
    """
    return _sinc(math.pi * x, order=0)
