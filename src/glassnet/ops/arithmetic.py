"""Arithmetic: + - * /, powers, roots, absolute value, maximum and minimum."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from glassnet.core.op import POWER, PRODUCT, SUM, Formula, call
from glassnet.ops.comparison import choose, greater_equal, less_equal, where
from glassnet.ops.declare import elementwise, function_formula
from glassnet.ops.exponential import log

add = elementwise(
    "add",
    value=lambda xp, x, y: xp.add(x, y),
    partials=(lambda out, x, y: 1, lambda out, x, y: 1),
    result="same",
    formula=Formula("{0} + {1}", SUM),
    source="elementary calculus",
    summary="The sum x + y.",
)
subtract = elementwise(
    "subtract",
    value=lambda xp, x, y: xp.subtract(x, y),
    partials=(lambda out, x, y: 1, lambda out, x, y: -1),
    result="same",
    formula=Formula("{0} - {1}", SUM),
    source="elementary calculus",
    summary="The difference x - y.",
)
multiply = elementwise(
    "multiply",
    value=lambda xp, x, y: xp.multiply(x, y),
    partials=(lambda out, x, y: y, lambda out, x, y: x),
    result="same",
    formula=Formula("{0} {1}", PRODUCT),
    source="product rule",
    summary="The product x y, element by element.",
)
divide = elementwise(
    "divide",
    value=lambda xp, x, y: xp.divide(x, y),
    partials=(lambda out, x, y: 1 / y, lambda out, x, y: -out / y),
    samples=((-3.0, 3.0), (0.5, 3.0)),
    formula=Formula("{0} / {1}", PRODUCT),
    domain="y != 0",
    source="quotient rule",
    summary="The quotient x / y.",
)
negative = elementwise(
    "negative",
    value=lambda xp, x: xp.negative(x),
    partials=lambda out, x: -1,
    result="same",
    formula=Formula("-{0}", SUM + 1),
    source="elementary calculus",
    summary="The negative -x.",
)
square = elementwise(
    "square",
    value=lambda xp, x: xp.square(x),
    partials=lambda out, x: 2 * x,
    result="same",
    formula=Formula("{0}^2", POWER),
    source="power rule",
    summary="The square x^2.",
)
sqrt = elementwise(
    "sqrt",
    value=lambda xp, x: xp.sqrt(x),
    partials=lambda out, x: 0.5 / out,
    samples=((0.1, 4.0),),
    formula=call("sqrt"),
    domain="x > 0 (at 0 the slope is infinite)",
    source="power rule",
    summary="The square root of x.",
)


power = elementwise(
    "power",
    value=lambda xp, x, y: xp.power(x, y),
    # NOTE x ** (y - 1) times y, and not out * y / x: the latter is 0/0 at x = 0.
    partials=(
        lambda out, x, y: y * x ** (y - 1),
        lambda out, x, y: where(x > 0, out * log(where(x > 0, x, 1.0)), 0.0),
    ),
    result="same",
    samples=((0.2, 3.0), (-2.0, 2.0)),
    formula=Formula("{0}^{1}", POWER),
    domain="x > 0, or any x for a whole number y held fixed",
    kinks="for x <= 0 the slope in y is taken as 0: x^y is not defined around a whole y there",
    source="power rule; d x^y / dy = x^y log x",
    summary="The power x^y.",
)
abs = elementwise(
    "abs",
    value=lambda xp, x: xp.abs(x),
    partials=lambda out, x: sign(x),
    result="same",
    formula=Formula("|{0}|"),
    kinks="abs'(0) = 0",
    analytic=False,
    source="elementary calculus; the mean of the one-sided slopes at 0",
    summary="The absolute value |x|.",
)
sign = elementwise(
    "sign",
    value=lambda xp, x: xp.sign(x),
    reason="it is constant on either side of 0",
    result="same",
    formula=call("sign", prime=False),
    kinks="sign(0) = 0; its derivative at 0 is taken as 0",
    analytic=False,
    source="definition",
    summary="-1, 0 or 1 as x is negative, zero or positive.",
)
maximum = elementwise(
    "maximum",
    value=lambda xp, x, y: xp.maximum(x, y),
    partials=(
        lambda out, x, y: choose(greater_equal(x, y), 1.0, 0.0, out),
        lambda out, x, y: choose(greater_equal(x, y), 0.0, 1.0, out),
    ),
    result="same",
    formula=function_formula("max({0}, {1})"),
    kinks="of equal arguments the first takes the derivative: 1 for it, 0 for the other",
    analytic=False,
    source="definition",
    summary="The larger of x and y, element by element.",
)
minimum = elementwise(
    "minimum",
    value=lambda xp, x, y: xp.minimum(x, y),
    partials=(
        lambda out, x, y: choose(less_equal(x, y), 1.0, 0.0, out),
        lambda out, x, y: choose(less_equal(x, y), 0.0, 1.0, out),
    ),
    result="same",
    formula=function_formula("min({0}, {1})"),
    kinks="of equal arguments the first takes the derivative: 1 for it, 0 for the other",
    analytic=False,
    source="definition",
    summary="The smaller of x and y, element by element.",
)
