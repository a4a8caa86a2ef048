"""Trigonometric and hyperbolic functions."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from glassnet.core.op import call
from glassnet.ops.declare import elementwise

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
