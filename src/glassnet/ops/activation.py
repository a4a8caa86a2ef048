"""Activations with a kink. Their slopes are read off the output: the backward pass need not keep z."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from glassnet.core.op import call
from glassnet.ops.comparison import choose, greater
from glassnet.ops.declare import elementwise

relu = elementwise(
    "relu",
    # NOTE x < 0 ? 0 : x, not max(0, x): a NaN stays a NaN in every engine.
    value=lambda xp, x: xp.where(x < 0, xp.zeros_like(x), x),
    partials=lambda out, x: choose(greater(out, 0), 1.0, 0.0, out),
    result="same",
    formula=call("relu"),
    kinks="relu'(0) = 0",
    analytic=False,
    source="Nair and Hinton, ICML 2010",
    summary="The rectified linear unit: x where x > 0, else 0.",
)
leaky_relu = elementwise(
    "leaky_relu",
    value=lambda xp, x, *, slope: xp.where(x > 0, x, slope * x),
    partials=lambda out, x, *, slope: choose(greater(out, 0), 1.0, slope, out),
    formula=call("leaky"),
    kinks="leaky_relu'(0) = slope",
    analytic=False,
    source="Maas, Hannun and Ng, ICML workshop 2013",
    summary="x where x > 0, else slope * x, for a slope > 0.",
)
