"""Floating-point formats, polynomials, and numbers in two parts: what vector functions are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassnet.compiler.loop_ir import Builder, Operand, Value

Pair = tuple[Value, Value]  # a number as the sum of two, the second below the last place of the first
Function = Callable[..., Value]


@dataclass(frozen=True, slots=True)
class Format:
    """A floating-point format, and the constants that depend on it.

    ln 2 is split in two: the high part has so few bits that a whole number times it is exact.
    """

    integer: str
    mantissa_bits: int
    bias: int
    ln2_high: float
    ln2_low: float
    one_bits: int
    sqrt_half_bits: int
    exp_range: tuple[float, float]  # outside, exp is zero or infinite
    minus_one: float  # expm1 of this is -1, rounded
    tanh_one: float  # tanh of this is 1, rounded
    tiny: float  # smallest normal number
    linear: float  # below, log1p(x) is x, rounded

    @property
    def rounding(self) -> float:
        """Adding this leaves the nearest whole number in the low bits of the mantissa."""
        return 1.5 * 2.0**self.mantissa_bits


FORMATS = {
    "f32": Format(
        integer="i32",
        mantissa_bits=23,
        bias=127,
        ln2_high=0.693359375,
        ln2_low=-2.1219444005469057e-4,
        one_bits=0x3F800000,
        sqrt_half_bits=0x3F3504F3,
        exp_range=(-104.0, 89.0),
        minus_one=-30.0,
        tanh_one=10.0,
        tiny=2.0**-126,
        linear=2.0**-25,
    ),
    "f64": Format(
        integer="i64",
        mantissa_bits=52,
        bias=1023,
        ln2_high=6.93147180369123816490e-01,
        ln2_low=1.90821492927058770002e-10,
        one_bits=0x3FF0000000000000,
        sqrt_half_bits=0x3FE6A09E667F3BCD,
        exp_range=(-746.0, 710.0),
        minus_one=-50.0,
        tanh_one=20.0,
        tiny=2.0**-1022,
        linear=2.0**-54,
    ),
}


def polynomial(b: Builder, x: Operand, coefficients: Sequence[float]) -> Value:
    """Horner's rule; coefficients from the lowest power, at least two."""
    *rest, second, highest = coefficients
    total = b.fma(x, highest, second)
    for coefficient in reversed(rest):
        total = b.fma(total, x, coefficient)
    return total


def in_double(function: Function) -> Function:
    """The function for f32 as well: computed in f64, where no digit of an f32 is at risk, and rounded."""

    @functools.wraps(function)
    def either(b: Builder, *arguments: Operand) -> Value:
        if arguments[0].type.element == "f64":
            return function(b, *arguments)
        return b.fptrunc(function(b, *(b.fpext(x, "f64") for x in arguments)), "f32")

    return either


def sign_bit(b: Builder, x: Operand) -> Value:
    """The mask of lanes that carry a minus sign, -0.0 included."""
    return b.compare("lt", b.bitcast(x, FORMATS[x.type.element].integer), 0)


def is_nan(b: Builder, x: Operand) -> Value:
    """The mask of lanes that hold no number."""
    return b.compare("ne", x, x)


def flip_sign(b: Builder, x: Operand, signs: Operand) -> Value:
    """x with the sign turned where `signs` carries a minus."""
    integer = FORMATS[x.type.element].integer
    minus = b.iand(b.bitcast(signs, integer), -(2 ** (31 if integer == "i32" else 63)))
    return b.bitcast(b.ixor(b.bitcast(x, integer), minus), x.type.element)


def two_sum(b: Builder, x: Operand, y: Operand) -> Pair:
    """x + y, exactly (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    total = b.add(x, y)
    part = b.sub(total, x)
    return total, b.add(b.sub(x, b.sub(total, part)), b.sub(y, part))


def fast_two_sum(b: Builder, x: Operand, y: Operand) -> Pair:
    """x + y, exactly, where |x| >= |y| (Dekker 1971)."""
    total = b.add(x, y)
    return total, b.sub(y, b.sub(total, x))


def pair_product(b: Builder, x: Pair, y: Pair) -> Pair:
    """The product of two numbers in two parts, to a few units of the square of the last place."""
    high = b.mul(x[0], y[0])
    low = b.fma(x[0], y[1], b.fma(x[1], y[0], b.product_error(x[0], y[0])))
    return fast_two_sum(b, high, low)
