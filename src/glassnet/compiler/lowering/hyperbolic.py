"""Hyperbolic functions and their inverses on vectors; the hyperbolic tangent is beside the exponential."""

from __future__ import annotations

import math

from glassnet.compiler.loop_ir import Builder, Value
from glassnet.compiler.lowering.exponential import half_exp, log1p
from glassnet.compiler.lowering.floating import polynomial

# (sinh(x) - x) / x^3 as a polynomial in x^2, on |x| <= 1
SINH = {
    "f32": (0.16666666647, 0.0083333396759, 0.00019838101969, 2.8062802582e-6),
    "f64": (
        0.16666666666666666,
        0.008333333333333299,
        0.00019841269841324198,
        2.7557319191381816e-06,
        2.5052117695907823e-08,
        1.6057679623801638e-10,
        7.746178593018827e-13,
    ),
}
_LARGE = {"f32": 2.0**13, "f64": 2.0**28}  # beyond, 1 beside the square is lost


def sinh(b: Builder, x: Value) -> Value:
    """The hyperbolic sine: a polynomial up to 1, then h - 1 / (4 h) with h = e^|x| / 2."""
    size = b.abs(x)
    z = b.mul(x, x)
    near = b.fma(b.mul(size, z), polynomial(b, z, SINH[x.type.element]), size)
    half = half_exp(b, size)
    far = b.sub(half, b.div(0.25, half))
    return b.copysign(b.select(b.compare("lt", size, 1.0), near, far), x)


def cosh(b: Builder, x: Value) -> Value:
    """The hyperbolic cosine, h + 1 / (4 h) with h = e^|x| / 2."""
    half = half_exp(b, b.abs(x))
    return b.add(half, b.div(0.25, half))


def arcsinh(b: Builder, x: Value) -> Value:
    """The number whose hyperbolic sine is x: log1p(a + a^2 / (1 + sqrt(1 + a^2))), a = |x|."""
    size = b.abs(x)
    square = b.mul(size, size)
    rest = b.div(square, b.add(b.sqrt(b.add(square, 1.0)), 1.0))
    return b.copysign(_log1p_or_double(b, b.sub(size, 1.0), b.add(size, rest)), x)


def arccosh(b: Builder, x: Value) -> Value:
    """The number from 0 up whose hyperbolic cosine is x: log1p(t + sqrt(t (t + 2))), t = x - 1."""
    t = b.sub(x, 1.0)
    y = _log1p_or_double(b, t, b.add(t, b.sqrt(b.mul(t, b.add(t, 2.0)))))
    return b.select(b.compare("lt", x, 1.0), b.constant(math.nan, x.type), y)


def arctanh(b: Builder, x: Value) -> Value:
    """The number whose hyperbolic tangent is x: log1p(2 a / (1 - a)) / 2, a = |x|."""
    size = b.abs(x)
    return b.copysign(b.mul(log1p(b, b.div(b.add(size, size), b.sub(1.0, size))), 0.5), x)


def _log1p_or_double(b: Builder, t: Value, argument: Value) -> Value:
    """log1p(argument), or log(2 (1 + t)) where t is so large that its square might overflow."""
    large = b.compare("gt", t, _LARGE[t.type.element])
    y = log1p(b, b.select(large, t, argument))
    return b.add(y, b.select(large, b.constant(math.log(2), t.type), 0.0))


FUNCTIONS = {"arccosh": arccosh, "arcsinh": arcsinh, "arctanh": arctanh, "cosh": cosh, "sinh": sinh}
