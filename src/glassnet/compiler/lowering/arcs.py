"""Inverse trigonometric functions on vectors."""

from __future__ import annotations

import math

from glassnet.compiler.loop_ir import Builder, Operand, Value
from glassnet.compiler.lowering.floating import flip_sign, is_nan, polynomial, sign_bit

# (arctan(t) - t) / t^3 as a polynomial in t^2, on |t| <= tan(pi/8)
ARCTAN = {
    "f32": (-0.33333331761, 0.19999540484, -0.14263955598, 0.10743731491, -0.064519282081),
    "f64": (
        -0.3333333333333333,
        0.19999999999999804,
        -0.14285714285659828,
        0.11111111105155447,
        -0.09090908753500877,
        0.07692296375032143,
        -0.06666424885738255,
        0.05878928997834775,
        -0.05230454270650244,
        0.04551593220626549,
        -0.034570561981427744,
        0.016285756855221028,
    ),
}
# (arcsin(s) - s) / s^3 as a polynomial in s^2, on |s| <= 1/2
ARCSIN = {
    "f32": (0.16666666337, 0.075000945435, 0.044599401529, 0.031100662735, 0.017149238358, 0.033690847203),
    "f64": (
        0.16666666666666669,
        0.07499999999998433,
        0.04464285714635543,
        0.030381944138531247,
        0.02237217294214989,
        0.017352392720869973,
        0.013971212973552933,
        0.011479177415184906,
        0.01032281435018578,
        0.005457506718640358,
        0.01740087944269402,
        -0.014851887071247204,
        0.028757851367421566,
    ),
}
_HALF_TURN = (math.pi, 1.2246467991473532e-16)  # pi, and what the double leaves of it
_HALF_TURN_F32 = (3.1415927410125732, -8.742278000372475e-08)
_TAN_EIGHTH = math.sqrt(2) - 1


def arctan(b: Builder, x: Value) -> Value:
    """The angle from -pi/2 to pi/2 whose tangent is x."""
    size = b.abs(x)
    steep = b.compare("gt", size, 1.0)
    low, high = b.select(steep, b.constant(1.0, x.type), size), b.select(steep, size, 1.0)
    return flip_sign(b, _turned(b, steep, 0.5, _slope_angle(b, low, high)), x)


def arctan2(b: Builder, y: Value, x: Value) -> Value:
    """The angle of the point (x, y), from -pi to pi."""
    across, up = b.abs(x), b.abs(y)
    steep = b.compare("gt", up, across)
    low, high = b.select(steep, across, up), b.select(steep, up, across)
    # 0/0 counts as slope 0, infinity over infinity as slope 1; and high + low must not overflow
    one = b.constant(1.0, x.type)
    endless = b.compare("eq", low, math.inf)
    scale = b.select(b.compare("gt", high, {"f32": 2.0**120, "f64": 2.0**1000}[x.type.element]), 0.125, one)
    low = b.select(endless, one, b.mul(low, scale))
    high = b.select(b.ior(endless, b.compare("eq", high, 0.0)), one, b.mul(high, scale))
    angle = _turned(b, steep, 0.5, _slope_angle(b, low, high))
    angle = flip_sign(b, _turned(b, sign_bit(b, x), 1.0, angle), y)
    return b.select(b.ior(is_nan(b, x), is_nan(b, y)), b.add(x, y), angle)


def arcsin(b: Builder, x: Value) -> Value:
    """The angle from -pi/2 to pi/2 whose sine is x; beyond 1/2 as pi/2 - 2 arcsin(sqrt((1 - x)/2))."""
    size = b.abs(x)
    far, angle = _half_angle(b, size)
    return b.copysign(_turned(b, far, 0.5, b.select(far, b.add(angle, angle), angle)), x)


def arccos(b: Builder, x: Value) -> Value:
    """The angle from 0 to pi whose cosine is x."""
    size = b.abs(x)
    far, angle = _half_angle(b, size)
    # far from 0 twice the angle, or pi less it where x < 0; near 0 pi/2 - arcsin(x)
    double = _turned(b, sign_bit(b, x), 1.0, b.add(angle, angle))
    high, low = _constant_turn(x, 0.5)
    return b.select(far, double, b.sub(high, b.sub(b.copysign(angle, x), low)))


def _half_angle(b: Builder, size: Value) -> tuple[Value, Value]:
    """(far, arcsin(s)) with s = |x| up to 1/2, and sqrt((1 - |x|)/2) beyond, which is far."""
    far = b.compare("gt", size, 0.5)
    rest = b.mul(b.sub(1.0, size), 0.5)
    s = b.select(far, b.sqrt(rest), size)
    z = b.select(far, rest, b.mul(size, size))
    return far, b.fma(b.mul(s, z), polynomial(b, z, ARCSIN[size.type.element]), s)


def _slope_angle(b: Builder, low: Value, high: Value) -> Value:
    """The arctangent of low / high for 0 <= low <= high: beyond pi/8, pi/4 less that of the rest."""
    element = low.type.element
    beyond = b.compare("gt", low, b.mul(high, _TAN_EIGHTH))
    t = b.div(b.select(beyond, b.sub(low, high), low), b.select(beyond, b.add(low, high), high))
    z = b.mul(t, t)
    angle = b.fma(b.mul(t, z), polynomial(b, z, ARCTAN[element]), t)
    turn, rest = _constant_turn(low, 0.25)
    return b.select(beyond, b.add(b.add(angle, rest), turn), angle)


def _turned(b: Builder, mask: Operand, half_turns: float, angle: Value) -> Value:
    """So many half turns less the angle, where the mask holds."""
    turn, rest = _constant_turn(angle, half_turns)
    return b.select(mask, b.sub(turn, b.sub(angle, rest)), angle)


def _constant_turn(like: Value, half_turns: float) -> tuple[float, float]:
    high, low = _HALF_TURN_F32 if like.type.element == "f32" else _HALF_TURN
    return half_turns * high, half_turns * low


FUNCTIONS = {"arccos": arccos, "arcsin": arcsin, "arctan": arctan, "arctan2": arctan2}
