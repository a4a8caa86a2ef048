"""Rounding: floor, ceil, trunc, rint, round and the whole quotient. All are steps, with the derivative 0."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

from glassnet.core.op import PRODUCT, Formula, call
from glassnet.core.registry import function
from glassnet.ops.declare import elementwise, function_formula

_REASON = "it is piecewise constant"
_KINKS = "the derivative is taken as 0 at the jumps too"


def _step(name: str, summary: str, result: str = "same") -> Any:
    return elementwise(
        name,
        value=lambda xp, x: getattr(xp, name)(x),
        reason=_REASON,
        result=result,
        formula=call(name, prime=False),
        kinks=_KINKS,
        analytic=False,
        source="definition",
        summary=summary,
    )


floor = _step("floor", "The largest whole number that is not above x.")
ceil = _step("ceil", "The smallest whole number that is not below x.")
trunc = _step("trunc", "The whole part of x, rounded towards 0.")
rint = _step("rint", "The nearest whole number; of two the even one.", "floating")
floor_divide = elementwise(
    "floor_divide",
    value=lambda xp, x, y: xp.floor_divide(x, y),
    reason=_REASON,
    result="number",
    samples=((-3.0, 3.0), (0.5, 3.0)),
    formula=Formula("{0} // {1}", PRODUCT),
    kinks=_KINKS,
    domain="y != 0",
    analytic=False,
    source="definition",
    summary="The whole quotient floor(x / y).",
)
_round = elementwise(
    "round",
    value=lambda xp, x, *, decimals: xp.round(x, decimals),
    reason=_REASON,
    result="same",
    formula=function_formula("round({0}, {decimals})"),
    kinks=_KINKS,
    analytic=False,
    source="definition",
    summary="x, rounded to a number of decimals.",
)


@function
def round(a: Any, decimals: int = 0) -> Any:
    """`a` rounded to `decimals` places after the point; of two equally near the one with the even digit.

    The shape is that of `a`. The derivative is 0 everywhere, the jumps included.

    >>> round(np.array([0.5, 1.5, -2.345]), 1)
    array([ 0.5,  1.5, -2.3])

    Source: definition.
    """
    return _round(a, decimals=decimals)
