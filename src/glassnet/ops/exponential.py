"""Exponential, logarithm and the sigmoid family.

expm1, log1p, logaddexp, sigmoid and softplus are ops of their own: composed of exp and log they lose digits.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import Any

from glassnet.core.op import PRODUCT, Formula, call
from glassnet.core.registry import function
from glassnet.ops.comparison import equal, logical_and, where
from glassnet.ops.declare import elementwise, function_formula

LN2, LN10 = math.log(2.0), math.log(10.0)

exp = elementwise(
    "exp",
    value=lambda xp, x: xp.exp(x),
    partials=lambda out, x: out,
    formula=call("exp", prime=False),
    source="DLMF 4.2(iii), 4.7.1",
    summary="The exponential e^x.",
)
exp2 = elementwise(
    "exp2",
    value=lambda xp, x: xp.exp2(x),
    partials=lambda out, x: LN2 * out,
    formula=Formula("2^{0}", PRODUCT + 10),
    analytic=False,  # NumPy has no complex form
    source="DLMF 4.7.5",
    summary="The power 2^x.",
)
expm1 = elementwise(
    "expm1",
    value=lambda xp, x: xp.expm1(x),
    partials=lambda out, x: out + 1,
    formula=Formula("(exp({0}) - 1)"),
    source="DLMF 4.2(iii)",
    summary="e^x - 1, with full relative accuracy near 0.",
)
log = elementwise(
    "log",
    value=lambda xp, x: xp.log(x),
    partials=lambda out, x: 1 / x,
    samples=((0.1, 5.0),),
    formula=call("log", prime=False),
    domain="x > 0",
    source="DLMF 4.7.1",
    summary="The natural logarithm of x.",
)
log2 = elementwise(
    "log2",
    value=lambda xp, x: xp.log2(x),
    partials=lambda out, x: 1 / (LN2 * x),
    samples=((0.1, 5.0),),
    formula=call("log2", prime=False),
    domain="x > 0",
    source="DLMF 4.7.1",
    summary="The logarithm of x to base 2.",
)
log10 = elementwise(
    "log10",
    value=lambda xp, x: xp.log10(x),
    partials=lambda out, x: 1 / (LN10 * x),
    samples=((0.1, 5.0),),
    formula=call("log10", prime=False),
    domain="x > 0",
    source="DLMF 4.7.1",
    summary="The logarithm of x to base 10.",
)
log1p = elementwise(
    "log1p",
    value=lambda xp, x: xp.log1p(x),
    partials=lambda out, x: 1 / (1 + x),
    samples=((-0.8, 3.0),),
    formula=Formula("log(1 + {0})"),
    domain="x > -1",
    source="DLMF 4.7.1",
    summary="log(1 + x), with full relative accuracy near 0.",
)


def _sigmoid(xp: Any, x: Any) -> Any:
    # exp of a negative number on either side: nothing overflows and the negative tail keeps its digits.
    decay = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, decay) / (1 + decay)


sigmoid = elementwise(
    "sigmoid",
    value=_sigmoid,
    partials=lambda out, x: out * (1 - out),
    formula=call("s"),
    analytic=False,  # the value rule takes |x|
    source="logistic function; s' = s (1 - s) <= 1/4",
    summary="The logistic function s(x) = 1 / (1 + exp(-x)).",
)
softplus = elementwise(
    "softplus",
    value=lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))),
    partials=lambda out, x: sigmoid(x),
    formula=call("softplus"),
    analytic=False,  # the value rule takes |x|
    source="Dugas et al., NIPS 2000",
    summary="log(1 + exp(x)), the smooth form of max(0, x).",
)
logaddexp = elementwise(
    "logaddexp",
    value=lambda xp, x, y: xp.logaddexp(x, y),
    partials=(lambda out, x, y: sigmoid(x - y), lambda out, x, y: sigmoid(y - x)),
    formula=function_formula("logaddexp({0}, {1})"),
    domain="all real numbers; of two equal infinities the slopes are NaN",
    analytic=False,  # the value rule takes a maximum
    source="d log(e^x + e^y) / dx = e^x / (e^x + e^y) = s(x - y)",
    summary="log(exp(x) + exp(y)), safe from overflow.",
)
logaddexp2 = elementwise(
    "logaddexp2",
    value=lambda xp, x, y: xp.logaddexp2(x, y),
    partials=(lambda out, x, y: sigmoid(LN2 * (x - y)), lambda out, x, y: sigmoid(LN2 * (y - x))),
    formula=function_formula("logaddexp2({0}, {1})"),
    domain="all real numbers; of two equal infinities the slopes are NaN",
    analytic=False,  # the value rule takes a maximum
    source="d log2(2^x + 2^y) / dx = 2^x / (2^x + 2^y)",
    summary="log2(2^x + 2^y), safe from overflow.",
)


def _xlogy(xp: Any, x: Any, y: Any) -> Any:
    zero = xp.equal(x, 0)
    return xp.where(zero, 0 * y, x * xp.log(xp.where(zero, xp.ones_like(y), y)))


xlogy = elementwise(
    "xlogy",
    value=_xlogy,
    # NOTE x / y at x = y = 0 is 0; elsewhere it stays a quotient, whose own slopes are right at x = 0 too.
    partials=(
        lambda out, x, y: log(y),
        lambda out, x, y: x / where(logical_and(equal(x, 0), equal(y, 0)), 1.0, y),
    ),
    samples=((-2.0, 2.0), (0.2, 4.0)),
    formula=Formula("{0} log({1})", PRODUCT),
    domain="y > 0, or x = 0; at x = y = 0 the slope in x is minus infinity, that in y 0",
    source="limit of x log y as x tends to 0",
    summary="x log(y), and 0 where x = 0 whatever y is.",
)


@function
def entr(x: Any) -> Any:
    """The term of an entropy, -x log(x); 0 at x = 0, where its slope is infinite.

    The shape is that of x; the domain is x >= 0.

    >>> entr(np.array([0.0, 0.5, 1.0])).round(4) + 0.0
    array([0.    , 0.3466, 0.    ])

    Source: Shannon (1948), section 6.
    """
    return -xlogy(x, x)


@function
def log_sigmoid(x: Any) -> Any:
    """The logarithm of the logistic function, log s(x) = -softplus(-x), without overflow or lost digits.

    The shape is that of x; the slope is s(-x).

    >>> float(log_sigmoid(-1000.0))
    -1000.0

    Source: log s(x) = -log(1 + exp(-x)).
    """
    return -softplus(-x)
