"""Sine, cosine and tangent on vectors, within 1.5 units in the last place for every finite argument.

x = n pi/2 + r is taken apart in f64. Up to 2^20, pi/2 in four parts (Cody and Waite 1980): n times each of
the first three is exact. Beyond, the digits of 2/pi are multiplied piece by piece and whole turns dropped on
the way (Payne and Hanek 1983); that loop runs only for vectors that hold such a number.
"""

from __future__ import annotations

import functools
import math

from glassnet.compiler.loop_ir import I64, Builder, Operand, Position, Type, Value
from glassnet.compiler.lowering.floating import (
    FORMATS,
    Pair,
    fast_two_sum,
    flip_sign,
    in_double,
    pair_product,
    polynomial,
    two_sum,
)

# (sin(r) - r) / r^3 as a polynomial in r^2, on |r| <= pi/4
SIN = {
    "f32": (-0.16666666664, 0.0083333318747, -0.00019840086735, 2.7249925803e-6),
    "f64": (
        -0.16666666666666666,
        0.008333333333333331,
        -0.00019841269841265065,
        2.7557319219339167e-06,
        -2.5052106232447578e-08,
        1.6058531618986147e-10,
        -7.586697117706918e-13,
    ),
}
# (cos(r) - 1 + r^2/2) / r^4 as a polynomial in r^2, on |r| <= pi/4
COS = {
    "f32": (0.04166666466, -0.0013888303036, 2.4547942085e-5),
    "f64": (
        0.041666666666666664,
        -0.0013888888888887398,
        2.480158729876569e-05,
        -2.7557317271729793e-07,
        2.08761462684032e-09,
        -1.1382632425521717e-11,
    ),
}
QUARTER = (math.pi / 2, 6.123233995736766e-17)  # pi/2, and what the double leaves of it
# pi/2 in parts of 33 bits, and the rest
QUARTER_PARTS = (
    *(1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21),
    8.4784276603689e-32,
)
LARGE = 2.0**20  # from here on pi/2 in four parts is not enough
_PIECE, _PIECES, _SHIFT = 24, 48, 800  # bits of a piece of 2/pi, their number, and how far they are moved up


def sin(b: Builder, x: Value) -> Value:
    """The sine of x in radians."""
    sine, cosine, quarters = _of_remainder(b, b.abs(x))
    value = b.select(_is_odd(b, quarters), cosine, sine)
    return flip_sign(b, flip_sign(b, value, _second_bit(b, quarters, x)), x)


def cos(b: Builder, x: Value) -> Value:
    """The cosine of x in radians."""
    sine, cosine, quarters = _of_remainder(b, b.abs(x))
    value = b.select(_is_odd(b, quarters), sine, cosine)
    return flip_sign(b, value, _second_bit(b, b.iadd(quarters, 1), x))


def tan(b: Builder, x: Value) -> Value:
    """The tangent of x in radians."""
    sine, cosine, quarters = _of_remainder(b, b.abs(x))
    odd = _is_odd(b, quarters)
    value = b.div(b.select(odd, b.neg(cosine), sine), b.select(odd, sine, cosine))
    return flip_sign(b, value, x)


def cosine_of_turns(b: Builder, t: Value) -> Value:
    """cos(2 pi t): t = n/4 + s exactly, |s| <= 1/8."""
    return in_double(functools.partial(_of_turns, shift=1))(b, t)


def sine_of_turns(b: Builder, t: Value) -> Value:
    """sin(2 pi t)."""
    return in_double(functools.partial(_of_turns, shift=0))(b, t)


def _of_turns(b: Builder, t: Value, shift: int) -> Value:
    n = b.round_even(b.mul(t, 4.0))
    r = b.mul(b.fma(n, -0.25, t), 2 * math.pi)
    sine, cosine = _sine_and_cosine(b, r, b.zero(r.type))  # type: ignore[arg-type]
    quarters = b.iadd(_low_bits(b, n), shift)
    return flip_sign(b, b.select(_is_odd(b, quarters), cosine, sine), _second_bit(b, quarters, t))


def sinc(b: Builder, u: Value, order: int) -> Value:
    """The derivative of that order of sin(u) / u, absolutely accurate; 1 at 0 for order 0."""
    return in_double(functools.partial(_sinc, order=order))(b, u)


def _sinc(b: Builder, u: Value, order: int) -> Value:
    # Far from 0 the recurrence u S_n + n S_(n-1) = sin^(n)(u); near 0 the power series.
    end = 1 + order / 2
    inside = b.compare("lt", b.abs(u), end)
    outside = b.select(inside, b.constant(1.0, u.type), u)
    sine = sin(b, outside)
    cosine = cos(b, outside) if order else sine
    slope = b.div(sine, outside)
    for n in range(1, order + 1):
        turned = cosine if n % 2 else sine
        turned = b.neg(turned) if n % 4 >= 2 else turned
        slope = b.div(b.sub(turned, b.mul(slope, n)), outside)
    series, k = list[float](), (order + 1) // 2
    # the terms (-1)^k u^(2 k - n) (2 k)! / ((2 k - n)! (2 k + 1)!)
    while not series or abs(series[-1]) * end ** (2 * len(series)) > 1e-19 or len(series) < 2:
        terms = math.factorial(2 * k) / (math.factorial(2 * k - order) * math.factorial(2 * k + 1))
        series.append((-1) ** k * terms)
        k += 1
    near = polynomial(b, b.mul(u, u), series)
    near = b.mul(near, u) if order % 2 else near
    return b.select(inside, near, slope)


def _is_odd(b: Builder, quarters: Value) -> Value:
    return b.compare("ne", b.iand(quarters, 1), 0)


def _second_bit(b: Builder, quarters: Value, like: Value) -> Value:
    """A number of the element of `like` that is negative where the second bit is set."""
    sign = b.shl(quarters, 62)
    if like.type.element == "f64":
        return b.bitcast(sign, "f64")
    return b.bitcast(b.trunc(b.lshr(sign, 32), "i32"), "f32")


def _of_remainder(b: Builder, x: Value) -> tuple[Value, Value, Value]:
    """(sin(r), cos(r), n) for x = n pi/2 + r, x >= 0; of n, an i64, the low two bits count."""
    element = x.type.element
    (high, low), n = _remainder(b, x if element == "f64" else b.fpext(x, "f64"), double=element == "f64")
    if element == "f32":
        high = b.fptrunc(high, "f32")
    return *_sine_and_cosine(b, high, low), _low_bits(b, n)


def _low_bits(b: Builder, n: Value) -> Value:
    """A whole f64 as an i64 of which the low bits are right."""
    return b.bitcast(b.add(n, FORMATS["f64"].rounding), "i64")


def _sine_and_cosine(b: Builder, high: Value, low: Value) -> tuple[Value, Value]:
    """The sine and the cosine of high + low, at most pi/4 in magnitude; in f32 of high alone."""
    element = high.type.element
    z = b.mul(high, high)
    half = b.mul(z, 0.5)
    first = b.sub(1.0, half)
    sine = b.mul(b.mul(high, z), polynomial(b, z, SIN[element]))
    cosine = b.fma(b.mul(z, z), polynomial(b, z, COS[element]), b.sub(b.sub(1.0, first), half))
    if element == "f64":
        sine = b.add(sine, b.mul(low, first))
        cosine = b.sub(cosine, b.mul(high, low))
    return b.add(high, sine), b.add(first, cosine)


def _remainder(b: Builder, x: Value, *, double: bool) -> tuple[Pair, Value]:
    """((r, rest of r), n) for x = n pi/2 + r, |r| <= pi/4; without `double` r is good for an f32 alone."""
    rounding = FORMATS["f64"].rounding
    n = b.sub(b.fma(x, 2 / math.pi, rounding), rounding)
    first, second, third, last = QUARTER_PARTS
    r = b.fma(n, -first, x)
    if double:
        high, one = two_sum(b, r, b.mul(n, -second))
        high, two = two_sum(b, high, b.mul(n, -third))
        high, low = fast_two_sum(b, high, b.fma(n, -last, b.add(one, two)))
    else:
        high, low = b.fma(n, -QUARTER_PARTS[1] - QUARTER_PARTS[2], r), b.zero(x.type)
    large = b.compare("ge", x, LARGE)

    def beyond(_: Position, *near: Operand) -> list[Operand]:
        far = _far_remainder(b, x)
        return [b.select(large, one, other) for one, other in zip(far, near, strict=True)]

    trips = b.select(b.any(large), b.constant(1, I64), b.constant(0, I64))
    high, low, n = b.loop(0, trips, 1, beyond, [high, low, n])
    return (high, low), n  # type: ignore[return-value]  # a loop that may make no trip has results of its own


def _far_remainder(b: Builder, x: Value) -> tuple[Value, Value, Value]:
    """(r, rest of r, n) for any finite x from LARGE on; NaN for infinity.

    x is moved down and 2/pi up, so that nothing overflows; the halves of x have few enough bits for exact
    products with a piece of 2/pi.
    """
    table = b.table("two_over_pi", "f64", two_over_pi())
    moved = b.mul(x, 2.0**-_SHIFT)
    upper = b.bitcast(b.iand(b.bitcast(moved, "i64"), -(2**27)), "f64")
    halves = (upper, b.sub(moved, upper))

    def piece(k: Position, high: Operand, low: Operand, n: Operand) -> list[Operand]:
        digits = b.load_splat(table, k, x.type.lanes)
        for half in halves:
            turns = b.mul(half, digits)
            turns = b.fma(b.round_even(b.mul(turns, 0.25)), -4.0, turns)
            high, rest = two_sum(b, high, turns)
            low = b.add(low, rest)
        high, low = two_sum(b, high, low)
        whole = b.round_even(high)
        return [b.sub(high, whole), low, b.add(n, whole)]

    zero = b.zero(Type("f64", x.type.lanes))
    high, low, n = b.loop(0, _PIECES, 1, piece, [zero] * 3)
    quarter = b.constant(QUARTER[0], x.type), b.constant(QUARTER[1], x.type)
    return *pair_product(b, two_sum(b, high, low), quarter), n  # type: ignore[arg-type,return-value]


@functools.cache
def two_over_pi() -> tuple[float, ...]:
    """2/pi in pieces of 24 bits, each moved up by 2^800, highest first."""
    bits = _PIECE * _PIECES
    digits = (2 << (2 * bits)) // _pi(bits)
    pieces = [digits >> (bits - _PIECE * (k + 1)) & (2**_PIECE - 1) for k in range(_PIECES)]
    return tuple(piece * 2.0 ** (_SHIFT - _PIECE * (k + 1)) for k, piece in enumerate(pieces))


def _pi(bits: int) -> int:
    """pi 2^bits, rounded down: Machin's formula, 16 arctan(1/5) - 4 arctan(1/239)."""
    guard = 64

    def inverse_tangent(n: int) -> int:
        term = total = (1 << (bits + guard)) // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    return (16 * inverse_tangent(5) - 4 * inverse_tangent(239)) >> guard


FUNCTIONS = {
    "cos": cos,
    "cosine_of_turns": cosine_of_turns,
    "sin": sin,
    "sine_of_turns": sine_of_turns,
    "tan": tan,
}
