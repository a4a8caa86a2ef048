"""Special functions on vectors.

The error functions take the interpreter's polynomials, shorter ones for f32; all else is its rule, in f64.
"""

from __future__ import annotations

from glassnet.compiler.loop_ir import Builder, Operand, Value
from glassnet.compiler.lowering.exponential import exp
from glassnet.compiler.lowering.floating import polynomial
from glassnet.compiler.lowering.lanes import by_value_rule
from glassnet.ops import special_values

# erf(x) / x as a polynomial in 2 x^2 - 1, on |x| <= 1
ERF_SMALL = {
    "f32": (
        *(0.96546873867, -0.14053609728, 0.019852497141, -0.0022854195449, 0.00021751354166),
        *(-1.7669068026e-5, 1.2306054785e-6),
    ),
    "f64": special_values.ERF_SMALL,
}
# (1 + x) exp(x^2) erfc(x) as a polynomial in (x - 3) / (x + 3): of f32 for 0 <= x <= 10.1, of f64 for x >= 0
ERFCX = {
    "f32": (
        *(0.71600460447, -0.23092735479, 0.099020766973, -0.010234566837, -0.023803518065, 0.02194928951),
        *(-0.0097601685489, 0.001649006206, 0.00069962923628, -0.0003868084066, -0.00011174776625),
    ),
    "f64": special_values.ERFCX,
}
_LARGEST_ERFC = {"f32": 10.1, "f64": special_values.LARGEST_ERFC}  # beyond, erfc is below every number


def erf(b: Builder, x: Value) -> Operand:
    """The error function."""
    size, z = b.abs(x), b.mul(x, x)
    near = b.mul(size, polynomial(b, b.sub(b.add(z, z), 1.0), ERF_SMALL[x.type.element]))
    # a NaN is not below 1, and stays one in the tail
    return b.copysign(b.select(b.compare("lt", size, 1.0), near, b.sub(1.0, _tail(b, size))), x)


def erfc(b: Builder, x: Value) -> Operand:
    """1 - erf(x), with relative accuracy for large x too."""
    tail = _tail(b, b.abs(x))
    return b.select(b.compare("lt", x, 0.0), b.sub(2.0, tail), tail)


def _tail(b: Builder, size: Value) -> Value:
    """erfc(x) for x >= 0, as exp(-x^2) P(t) / (1 + x)."""
    x = b.minimum(_LARGEST_ERFC[size.type.element], size)
    square, rest = b.mul(x, x), b.product_error(x, x)
    t = b.div(b.sub(x, 3.0), b.add(x, 3.0))
    scaled = polynomial(b, t, ERFCX[size.type.element])
    # exp(-rest) = 1 - rest; NOTE not on the side of the exponential, where the product may be denormal
    scaled = b.fma(b.neg(rest), scaled, scaled)
    return b.div(b.mul(exp(b, b.neg(square)), scaled), b.add(x, 1.0))


def erfinv(b: Builder, x: Value) -> Operand:
    """The number whose error function is x."""
    return by_value_rule(special_values.erfinv, b, x)


def gamma(b: Builder, x: Value) -> Operand:
    """The gamma function; NaN at -1, -2, ..."""
    return by_value_rule(special_values.gamma, b, x)


def gammaln(b: Builder, x: Value) -> Operand:
    """log |Gamma(x)|; infinite at the poles."""
    return by_value_rule(special_values.gammaln, b, x)


def polygamma(b: Builder, x: Value, order: int) -> Operand:
    """The derivative of that order of digamma; NaN at the poles."""
    return by_value_rule(special_values.polygamma, b, x, order=order)


FUNCTIONS = {"erf": erf, "erfc": erfc, "erfinv": erfinv, "gamma": gamma, "gammaln": gammaln}
