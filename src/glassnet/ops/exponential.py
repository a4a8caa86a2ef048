"""Exponential, logarithm and the sigmoid family.

expm1, log1p, sigmoid and softplus are ops of their own: composed of exp and log they lose digits.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

from glassnet.core.op import Formula, call
from glassnet.ops.declare import elementwise

exp = elementwise(
    "exp",
    value=lambda xp, x: xp.exp(x),
    partials=lambda out, x: out,
    formula=call("exp", prime=False),
    source="DLMF 4.2(iii), 4.7.1",
    summary="The exponential e^x.",
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
