"""Arithmetic: + - * /, remainders, powers, roots, absolute value, maximum, minimum and clip."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, is_floating
from glassnet.core.op import POWER, PRODUCT, SUM, Formula, call
from glassnet.core.registry import function
from glassnet.core.trace import Array
from glassnet.errors import DTypeError
from glassnet.ops.comparison import (
    choose,
    equal,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_or,
    signbit,
    where,
)
from glassnet.ops.conversion import astype
from glassnet.ops.declare import elementwise, function_formula
from glassnet.ops.exponential import log
from glassnet.ops.rounding import floor_divide, rint
from glassnet.ops.shaping import operand

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
positive = elementwise(
    "positive",
    value=lambda xp, x: xp.positive(x),
    partials=lambda out, x: 1,
    result="same",
    formula=Formula("+{0}", SUM + 1),
    source="elementary calculus",
    summary="x itself.",
)
reciprocal = elementwise(
    "reciprocal",
    value=lambda xp, x: xp.reciprocal(x),
    partials=lambda out, x: -out * out,
    result="number",
    samples=((0.5, 3.0),),
    formula=Formula("1 / {0}", PRODUCT),
    domain="x != 0; of integers the whole part is kept, as in NumPy",
    source="quotient rule",
    summary="The reciprocal 1 / x.",
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
cbrt = elementwise(
    "cbrt",
    value=lambda xp, x: xp.cbrt(x),
    partials=lambda out, x: 1 / (3 * out * out),
    samples=((0.1, 4.0),),
    formula=call("cbrt"),
    domain="all real numbers (at 0 the slope is infinite)",
    analytic=False,  # NumPy has no complex cube root
    source="power rule",
    summary="The cube root of x, negative where x is.",
)
hypot = elementwise(
    "hypot",
    value=lambda xp, x, y: xp.hypot(x, y),
    partials=(
        lambda out, x, y: x / where(greater(out, 0), out, 1.0),
        lambda out, x, y: y / where(greater(out, 0), out, 1.0),
    ),
    formula=function_formula("hypot({0}, {1})"),
    kinks="at the origin both slopes are taken as 0",
    analytic=False,  # NumPy has no complex form
    source="dr = (x dx + y dy) / r",
    summary="The length sqrt(x^2 + y^2), without overflow between.",
)


def _lowered(y: Any) -> Any:
    # The exponent y - 1, and any other for y = 0: y x^(y - 1) would be 0 * inf at x = 0, where x^0 is 1.
    value = y.node.value if isinstance(y, Array) else y
    if value is not None and (np.all(value) if np.ndim(value) else value):
        return y - 1  # the usual case reads as in the books
    return where(equal(y, 0), 1.0, y - 1)


power = elementwise(
    "power",
    value=lambda xp, x, y: xp.power(x, y),
    # NOTE x ** (y - 1) times y, and not out * y / x: the latter is 0/0 at x = 0.
    partials=(
        lambda out, x, y: y * x ** _lowered(y),
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
fmax = elementwise(
    "fmax",
    value=lambda xp, x, y: xp.fmax(x, y),
    partials=(
        lambda out, x, y: choose(logical_or(greater_equal(x, y), isnan(y)), 1.0, 0.0, out),
        lambda out, x, y: choose(logical_or(greater_equal(x, y), isnan(y)), 0.0, 1.0, out),
    ),
    result="same",
    formula=function_formula("fmax({0}, {1})"),
    kinks="of equal arguments the first takes the derivative: 1 for it, 0 for the other",
    analytic=False,
    source="definition",
    summary="The larger of x and y; beside a NaN the other one.",
)
fmin = elementwise(
    "fmin",
    value=lambda xp, x, y: xp.fmin(x, y),
    partials=(
        lambda out, x, y: choose(logical_or(less_equal(x, y), isnan(y)), 1.0, 0.0, out),
        lambda out, x, y: choose(logical_or(less_equal(x, y), isnan(y)), 0.0, 1.0, out),
    ),
    result="same",
    formula=function_formula("fmin({0}, {1})"),
    kinks="of equal arguments the first takes the derivative: 1 for it, 0 for the other",
    analytic=False,
    source="definition",
    summary="The smaller of x and y; beside a NaN the other one.",
)
remainder = elementwise(
    "remainder",
    value=lambda xp, x, y: xp.remainder(x, y),
    partials=(lambda out, x, y: 1, lambda out, x, y: -floor_divide(x, y)),
    result="number",
    samples=((-3.0, 3.0), (4.0, 5.0)),
    formula=Formula("{0} mod {1}", PRODUCT),
    domain="y != 0",
    kinks="where x is a whole multiple of y, and the value jumps, the slopes are 1 and -x/y",
    analytic=False,
    source="x mod y = x - y floor(x / y)",
    summary="The remainder x - y floor(x / y), which has the sign of y.",
)
fmod = elementwise(
    "fmod",
    value=lambda xp, x, y: xp.fmod(x, y),
    # NOTE the whole quotient by way of the remainder: trunc(x / y) is off by one where x / y rounds up.
    partials=(lambda out, x, y: 1, lambda out, x, y: -rint((x - out) / y)),
    result="number",
    samples=((3.0, 5.5), (1.9, 2.9)),
    formula=function_formula("fmod({0}, {1})"),
    domain="y != 0",
    kinks="where x is a whole multiple of y, and the value jumps, the slopes are 1 and -x/y",
    analytic=False,
    source="fmod(x, y) = x - y trunc(x / y)",
    summary="The remainder x - y trunc(x / y), which has the sign of x.",
)
copysign = elementwise(
    "copysign",
    value=lambda xp, x, y: xp.copysign(x, y),
    partials=(
        lambda out, x, y: choose(equal(signbit(x), signbit(y)), 1.0, -1.0, out),
        lambda out, x, y: 0,
    ),
    formula=function_formula("copysign({0}, {1})"),
    kinks="at x = 0 the slope is that on the side of the sign that zero carries",
    analytic=False,
    source="definition",
    summary="|x| with the sign of y.",
)
heaviside = elementwise(
    "heaviside",
    value=lambda xp, x, y: xp.heaviside(x, y),
    partials=(lambda out, x, y: 0, lambda out, x, y: choose(equal(x, 0), 1.0, 0.0, out)),
    formula=function_formula("heaviside({0}, {1})"),
    kinks="at x = 0 the value is y: slope 0 in x, 1 in y",
    analytic=False,
    source="definition",
    summary="The unit step: 0 for x < 0, y for x = 0, 1 for x > 0.",
)
_clip = elementwise(
    "clip",
    value=lambda xp, x, low, high: xp.clip(x, low, high),
    # Exactly one of the three slopes is 1, also where low > high: then the value is high.
    partials=(
        lambda out, x, low, high: choose(logical_and(less(low, x), less(x, high)), 1.0, 0.0, out),
        lambda out, x, low, high: choose(logical_and(less_equal(x, low), less(low, high)), 1.0, 0.0, out),
        lambda out, x, low, high: choose(
            logical_or(greater_equal(x, high), greater_equal(low, high)), 1.0, 0.0, out
        ),
    ),
    result="same",
    samples=((-2.0, 2.0), (-1.5, -0.5), (0.5, 1.5)),
    formula=function_formula("clip({0}, {1}, {2})"),
    kinks="at a bound the bound takes the derivative: 0 for x, 1 for the bound",
    analytic=False,
    source="definition",
    summary="x, held between two bounds.",
)


@function
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """`a` held between two bounds, min(max(a, a_min), a_max); `min` and `max` are other names for them.

    A bound that is None does not hold. The derivative passes strictly inside; at a bound it goes to the
    bound. Shapes broadcast. Raises DTypeError where a bound is given under both names.

    >>> clip(np.array([-2.0, 0.5, 3.0]), -1.0, 1.0)
    array([-1. ,  0.5,  1. ])

    Source: definition.
    """
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise DTypeError("clip got one bound twice: as a_min and min, or as a_max and max.")
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if low is None and high is None:
        return positive(a)
    if low is None:
        return minimum(high, a)
    return maximum(low, a) if high is None else _clip(a, low, high)


@function
def float_power(x: Any, y: Any) -> Any:
    """The power x^y in float64, whatever the types of x and y.

    Shapes broadcast; slopes and kinks are those of `power`.

    >>> float_power(np.array([1, 2, 3]), -1)
    array([1.        , 0.5       , 0.33333333])

    Source: power rule.
    """
    return power(astype(operand(x), FLOAT64), astype(operand(y), FLOAT64))


@function
def divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """The whole quotient floor(x / y) and the remainder x - y floor(x / y).

    Shapes broadcast; the quotient has the derivative 0.

    >>> divmod(7.5, 2.0)
    (np.float64(3.0), np.float64(1.5))

    Source: definition.
    """
    return floor_divide(x, y), remainder(x, y)


@function
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """`x` with NaN, infinity and minus infinity replaced; by default by 0 and the largest finite numbers.

    The derivative passes where x is finite. The shape is that of x.

    >>> nan_to_num(np.array([1.0, np.nan, np.inf]), posinf=9.0)
    array([1., 0., 9.])

    Source: definition.
    """
    dtype = np.result_type(x) if not hasattr(x, "dtype") else x.dtype
    if not is_floating(dtype):
        return positive(x)
    largest = float(np.finfo(dtype).max)
    x = where(isnan(x), dtype.type(nan), x)
    x = where(equal(x, np.inf), dtype.type(largest if posinf is None else posinf), x)
    return where(equal(x, -np.inf), dtype.type(-largest if neginf is None else neginf), x)
