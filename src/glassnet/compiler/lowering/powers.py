"""Powers and roots on vectors; special cases as in NumPy."""

from __future__ import annotations

import math

from glassnet.compiler.loop_ir import Builder, Value
from glassnet.compiler.lowering.exponential import exp, log, near_one
from glassnet.compiler.lowering.floating import (
    FORMATS,
    Pair,
    fast_two_sum,
    flip_sign,
    is_nan,
    pair_product,
    polynomial,
    sign_bit,
    two_sum,
)

# (atanh(s)/s - 1 - s^2/3) / s^4 as a polynomial in s^2, on |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
ATANH_TAIL = (
    0.2,
    0.14285714285714682,
    0.11111111110828116,
    0.09090909167657202,
    0.07692297485447729,
    0.06667402119112673,
    0.05853124270461193,
    0.058615255140488765,
)
_THIRD = (1 / 3, 1.850371707708594e-17)
# ln 2 in three parts; a whole number times the first is exact
LN2 = (6.93147180369123816490e-01, 1.9082149292705877e-10, 1.1612227229362532e-26)
_LARGEST_EXPONENT = 2.0**64  # beyond, the power of any number but 1 is 0 or infinite


def power(b: Builder, x: Value, y: Value) -> Value:
    """x^y: negative x with whole y, zeros and infinities as C99 and NumPy have them."""
    if x.type.element == "f32":
        wide, exponent = (b.fpext(number, "f64") for number in (x, y))
        size = exp(b, b.mul(_held(b, exponent), log(b, b.abs(wide))))
        return b.fptrunc(_signed_power(b, wide, exponent, size), "f32")
    high, low = pair_product(b, (_held(b, y), b.zero(y.type)), _log_pair(b, b.abs(x)))  # type: ignore[arg-type]
    size = exp(b, high)
    # NOTE beside an infinite or vanished power the low part must not count: their product is NaN
    ordinary = b.iand(b.compare("lt", b.abs(high), 800.0), b.compare("lt", size, math.inf))
    size = b.select(ordinary, b.fma(size, low, size), size)
    return _signed_power(b, x, y, size)


def _held(b: Builder, y: Value) -> Value:
    return b.minimum(_LARGEST_EXPONENT, b.maximum(-_LARGEST_EXPONENT, y))


def _signed_power(b: Builder, x: Value, y: Value, size: Value) -> Value:
    """|x|^y as `size` for ordinary |x|, with the sign of x^y, and with the special cases."""
    zero, infinite = b.compare("eq", x, 0.0), b.compare("eq", b.abs(x), math.inf)
    falls = b.ixor(zero, sign_bit(b, y))  # where 0 or infinity becomes 0
    extreme = b.select(falls, b.zero(x.type), b.constant(math.inf, x.type))
    size = b.select(b.ior(zero, infinite), extreme, size)
    half = b.mul(y, 0.5)
    whole = b.compare("eq", b.floor(y), y)
    odd = b.iand(whole, b.compare("ne", b.floor(half), half))
    signed = b.select(odd, flip_sign(b, size, x), size)
    root = b.iand(b.compare("lt", x, 0.0), b.ixor(b.ior(whole, infinite), b.constant(1, whole.type)))
    signed = b.select(root, b.constant(math.nan, x.type), signed)
    signed = b.select(b.ior(is_nan(b, x), is_nan(b, y)), b.add(x, y), signed)
    one = b.ior(b.compare("eq", x, 1.0), b.compare("eq", y, 0.0))
    return b.select(one, b.constant(1.0, x.type), signed)


def _log_pair(b: Builder, x: Value) -> Pair:
    """log(x) to 2^-65 of itself, for positive normal f64 x.

    log(1 + f) = 2 atanh(s) = 2 s (1 + s^2/3 + s^4 P(s^2)), s = f / (2 + f); the first two terms in two parts.
    """
    f, k = near_one(b, x)
    divisor, rest = fast_two_sum(b, b.constant(2.0, f.type), f)
    s = b.div(f, divisor)
    missing = b.sub(b.sub(f, b.mul(s, divisor)), b.product_error(s, divisor))
    missing = b.sub(missing, b.mul(s, rest))
    pair = (s, b.div(missing, divisor))
    square = pair_product(b, pair, pair)
    third = pair_product(b, square, tuple(b.constant(part, f.type) for part in _THIRD))  # type: ignore[arg-type]
    tail = b.mul(b.mul(square[0], square[0]), polynomial(b, square[0], ATANH_TAIL))
    high, low = two_sum(b, b.constant(1.0, f.type), third[0])
    factor = fast_two_sum(b, high, b.add(low, b.add(third[1], tail)))
    half = pair_product(b, pair, factor)
    log_high, log_low = b.add(half[0], half[0]), b.add(half[1], half[1])
    high, low = two_sum(b, b.mul(k, LN2[0]), log_high)
    second = b.mul(k, LN2[1])
    high, lower = two_sum(b, high, second)
    small = b.fma(k, LN2[2], b.product_error(k, b.constant(LN2[1], k.type)))
    return fast_two_sum(b, high, b.add(b.add(low, lower), b.add(log_low, small)))


def cbrt(b: Builder, x: Value) -> Value:
    """The cube root, negative where x is: e^(log|x|/3), put right by a step of Newton's method."""
    size = b.abs(x)
    root = exp(b, b.mul(log(b, size), 1 / 3))
    step = b.sub(root, b.div(size, b.mul(root, root)))
    root = b.fma(step, -1 / 3, root)
    ordinary = b.iand(b.compare("ge", size, FORMATS[x.type.element].tiny), b.compare("lt", size, math.inf))
    return b.copysign(b.select(ordinary, root, size), x)


def hypot(b: Builder, x: Value, y: Value) -> Value:
    """sqrt(x^2 + y^2) without overflow between; infinite where x or y is, whatever the other is."""
    if x.type.element == "f32":
        length = b.fptrunc(_length(b, b.fpext(x, "f64"), b.fpext(y, "f64")), "f32")
    else:
        length = _scaled_length(b, x, y)
    endless = b.ior(*(b.compare("eq", b.abs(z), math.inf) for z in (x, y)))
    return b.select(endless, b.constant(math.inf, x.type), length)


def _length(b: Builder, x: Value, y: Value) -> Value:
    return b.sqrt(b.fma(x, x, b.mul(y, y)))


def _scaled_length(b: Builder, x: Value, y: Value) -> Value:
    """The length by way of one scale for both, a power of two, where a square might overflow or vanish."""
    largest = b.maximum(b.abs(x), b.abs(y))
    one = b.constant(1.0, x.type)
    large, small = b.compare("gt", largest, 2.0**500), b.compare("lt", largest, 2.0**-400)
    scale = b.select(large, b.constant(2.0**-600, x.type), b.select(small, b.constant(2.0**600, x.type), one))
    back = b.select(large, b.constant(2.0**600, x.type), b.select(small, b.constant(2.0**-600, x.type), one))
    return b.mul(_length(b, b.mul(x, scale), b.mul(y, scale)), back)


FUNCTIONS = {"cbrt": cbrt, "hypot": hypot, "power": power}
