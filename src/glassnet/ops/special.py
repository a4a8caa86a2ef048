"""Special functions: the error function and its inverse, the gamma function's family."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import Any

from glassnet.core.op import call
from glassnet.core.registry import function
from glassnet.errors import ShapeError
from glassnet.ops import special_values
from glassnet.ops.arithmetic import square
from glassnet.ops.declare import elementwise, function_formula
from glassnet.ops.exponential import exp

_SLOPE_AT_ZERO = 2 / math.sqrt(math.pi)
_POLES = "all real numbers but the poles 0, -1, -2, ..."

erf = elementwise(
    "erf",
    value=special_values.erf,
    partials=lambda out, x: _SLOPE_AT_ZERO * exp(-square(x)),
    formula=call("erf", prime=False),
    analytic=False,  # the value is computed piece by piece
    source="DLMF 7.2.1",
    summary="The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
)
erfc = elementwise(
    "erfc",
    value=special_values.erfc,
    partials=lambda out, x: -_SLOPE_AT_ZERO * exp(-square(x)),
    formula=call("erfc", prime=False),
    analytic=False,  # the value is computed piece by piece
    source="DLMF 7.2.2",
    summary="1 - erf(x), with full relative accuracy for large x.",
)
erfinv = elementwise(
    "erfinv",
    value=special_values.erfinv,
    partials=lambda out, x: 1 / _SLOPE_AT_ZERO * exp(square(out)),
    samples=((-0.9, 0.9),),
    formula=call("erfinv", prime=False),
    domain="-1 < x < 1",
    analytic=False,  # the value is computed piece by piece
    source="DLMF 7.17.1",
    summary="The number whose error function is x.",
)
gamma = elementwise(
    "gamma",
    value=special_values.gamma,
    partials=lambda out, x: out * digamma(x),
    samples=((0.5, 4.0),),
    formula=call("Gamma", prime=False),
    domain=_POLES,
    analytic=False,  # the value is computed piece by piece
    source="DLMF 5.2.1, 5.2.2",
    summary="The gamma function; (x - 1)! for a whole x.",
)
gammaln = elementwise(
    "gammaln",
    value=special_values.gammaln,
    partials=lambda out, x: digamma(x),
    samples=((0.5, 5.0),),
    formula=call("gammaln", prime=False),
    domain=_POLES,
    analytic=False,  # the value is computed piece by piece
    source="DLMF 5.2.2",
    note="Near its zeros below 0 it keeps absolute accuracy, not relative accuracy.",
    summary="log |Gamma(x)|.",
)
_polygamma = elementwise(
    "polygamma",
    value=special_values.polygamma,
    partials=lambda out, x, *, order: _polygamma(x, order=order + 1),
    formula=function_formula("psi_{order}({0})"),
    domain=_POLES,
    analytic=False,  # the value is computed piece by piece
    source="DLMF 5.2.2, 5.15",
    summary="The derivative of the given order of digamma.",
)


@function
def digamma(x: Any) -> Any:
    """The slope of log Gamma(x), psi(x) = Gamma'(x) / Gamma(x).

    The shape is that of x; NaN at the poles 0, -1, -2, ...

    >>> round(float(digamma(1.0)), 12)
    -0.577215664902

    Source: DLMF 5.2.2.
    """
    return _polygamma(x, order=0)


@function
def polygamma(n: int, x: Any) -> Any:
    """The derivative of order `n` of digamma(x); n is a whole number, not an array.

    The shape is that of x; NaN at the poles 0, -1, -2, ... Raises ShapeError where n is not a whole number
    from 0 up.

    >>> round(float(polygamma(1, 1.0)), 12)
    1.644934066848

    Source: DLMF 5.15.
    """
    if type(n) is not int or n < 0:
        raise ShapeError(f"polygamma got the order {n!r}; it takes one whole number from 0 up.")
    return _polygamma(x, order=n)
