"""exp, log and their kin on vectors, written in the loop language for f32 and f64 and any number of lanes.

Calls of the C library would handle one element at a time, twenty times slower. All results are within 3e-7
(f32) or 4e-15 (f64) of the true value, relatively, down to twice the smallest normal number; NaN stays NaN.
Below that, arguments count as zero and results may become zero.

The polynomials are near-minimax: Chebyshev interpolation in 60-digit arithmetic over the reduced range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from glassnet.compiler.loop_ir import Builder, Value
from glassnet.compiler.lowering.floating import FORMATS, polynomial

# (expm1(r) - r) / r^2 on |r| <= ln(2) / 2, lowest power first
EXPM1_F32 = (0.5, 0.16666577026, 0.041666554662, 0.0083631730745, 0.001392617612)
EXPM1_F64 = (
    0.5000000000000001,
    0.16666666666666667,
    0.04166666666662416,
    0.0083333333333300645,
    0.0013888888917196719,
    0.00019841269863040545,
    2.4801521322368693e-05,
    2.7557268480310025e-06,
    2.7620075879983367e-07,
    2.5100375832561234e-08,
)
# (2 atanh(s) - 2 s) / s^3 as a polynomial in s^2, on |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)
ATANH_F32 = (0.66666685039575855, 0.39988780566, 0.29579949392)
ATANH_F64 = (
    0.66666666666666697,
    0.39999999999899505,
    0.28571428625975485,
    0.2222221113479508,
    0.18182889125261722,
    0.15331721600556041,
    0.14616449685043406,
)


_EXPM1 = {"f32": EXPM1_F32, "f64": EXPM1_F64}
_ATANH = {"f32": ATANH_F32, "f64": ATANH_F64}
# log10(2): so few bits that a whole number times it is exact, and the rest
LOG10_2 = {
    "f32": (0.301025390625, 4.605038981195214e-06),
    "f64": (0.30102999508380889892578125, float.fromhex("0x1.3ef3fde623e25p-31")),
}


def exp(b: Builder, x: Value) -> Value:
    """e^x: infinite above the range of the format, zero below it."""
    form = FORMATS[x.type.element]
    low, high = form.exp_range
    return _scaled(b, *_reduced_expm1(b, b.minimum(high, b.maximum(low, x)), 2 * form.bias))


def half_exp(b: Builder, x: Value) -> Value:
    """e^x / 2 for x > -700 (f64) or -80 (f32): finite where e^x itself just is not."""
    form = FORMATS[x.type.element]
    return _scaled(b, *_reduced_expm1(b, b.minimum(form.exp_range[1] + 1, x), 2 * form.bias - 1))


def exp2(b: Builder, x: Value) -> Value:
    """2^x, exact for whole x: infinite above the range of the format, zero below it."""
    form = FORMATS[x.type.element]
    low, high = (round(end / math.log(2)) for end in form.exp_range)
    x = b.minimum(high + 1, b.maximum(low - 1, x))
    rounding = form.rounding + 2 * form.bias
    rounded = b.add(x, rounding)
    r = b.mul(b.sub(x, b.sub(rounded, rounding)), math.log(2))
    return _scaled(b, _expm1_series(b, r, _EXPM1[x.type.element], r), b.bitcast(rounded, form.integer))


def expm1(b: Builder, x: Value) -> Value:
    """e^x - 1, without cancellation near 0."""
    form = FORMATS[x.type.element]
    half = _half_expm1(b, b.minimum(form.exp_range[1], b.maximum(form.minus_one, x)))
    return b.add(half, half)


def tanh(b: Builder, x: Value) -> Value:
    """The hyperbolic tangent, as h / (h + 1) of |x| with h = expm1(2 |x|) / 2.

    All of it is on the chain that bounds a small network, so it is short: 2 |x| is never formed, and
    numerator and denominator are formed side by side. Rounding keeps their order: no result exceeds 1.
    """
    form, element = FORMATS[x.type.element], x.type.element
    a = b.minimum(form.tanh_one, b.abs(x))
    rounding = form.rounding + form.bias - 1
    rounded = b.fma(a, 2 * math.log2(math.e), rounding)
    scale = b.bitcast(b.shl(b.bitcast(rounded, form.integer), form.mantissa_bits), element)  # 2^(n - 1)
    # a = n ln(2) / 2 + s; ln 2 needs no low part, because tanh is flat where n is large
    s = b.fma(b.sub(rounded, rounding), -math.log(2) / 2, a)
    e = _expm1_series(
        b, s, [coefficient * 2 ** (k + 2) for k, coefficient in enumerate(_EXPM1[element])], b.add(s, s)
    )
    # the sign comes in while the series is summed, and not behind the division
    half = b.fma(b.copysign(scale, x), e, b.copysign(b.sub(scale, 0.5), x))
    return b.div(half, b.fma(scale, e, b.add(scale, 0.5)))


def sigmoid(b: Builder, x: Value) -> Value:
    """1 / (1 + e^-x) as 0.5 / (0.5 + e^-x / 2), accurate relatively in the negative tail too.

    Half the exponential needs one power of 2 where the whole would need two. It is infinite where x is cut
    off below, and nothing beside 1 where x is cut off above.
    """
    form, element = FORMATS[x.type.element], x.type.element
    x = b.minimum(-form.minus_one, b.maximum(-(form.bias + 2) * math.log(2), x))
    rounding = form.rounding + form.bias - 1
    rounded = b.fma(x, -math.log2(math.e), rounding)
    scale = b.bitcast(b.shl(b.bitcast(rounded, form.integer), form.mantissa_bits), element)  # 2^(n - 1)
    n = b.sub(rounded, rounding)
    s = b.fma(n, form.ln2_low, b.fma(n, form.ln2_high, x))  # -x = n ln(2) - s
    signed = [(-1) ** k * coefficient for k, coefficient in enumerate(_EXPM1[element])]
    return b.div(0.5, b.fma(_expm1_series(b, s, signed, b.sub(1.0, s)), scale, 0.5))


def log(b: Builder, x: Value) -> Value:
    """The natural logarithm: -inf at 0, NaN below."""
    return _with_ends(b, x, _log_near_one(b, *near_one(b, x)))


def log2(b: Builder, x: Value) -> Value:
    """The logarithm to base 2, exact for powers of 2."""
    f, k = near_one(b, x)
    return _with_ends(b, x, b.fma(_log_of_fraction(b, f), math.log2(math.e), k))


def log10(b: Builder, x: Value) -> Value:
    """The logarithm to base 10."""
    (f, k), (high, low) = near_one(b, x), LOG10_2[x.type.element]
    small = b.fma(_log_of_fraction(b, f), math.log10(math.e), b.mul(k, low))
    return _with_ends(b, x, b.fma(k, high, small))


def log1p(b: Builder, x: Value) -> Value:
    """log(1 + x), without cancellation near 0: -inf at -1, NaN below."""
    y = b.select(b.compare("lt", x, math.inf), _log1p_inside(b, x), x)
    pole = b.select(b.compare("lt", x, -1.0), b.constant(math.nan, x.type), -math.inf)
    return b.select(b.compare("le", x, -1.0), pole, y)


def softplus(b: Builder, x: Value) -> Value:
    """log(1 + e^x), as max(x, 0) + log1p(e^-|x|)."""
    return b.add(b.maximum(0.0, x), _log1p_inside(b, exp(b, b.neg(b.abs(x)))))


def logaddexp(b: Builder, x: Value, y: Value) -> Value:
    """log(e^x + e^y), as the larger plus log1p(e^-|x - y|); where the two cancel, absolutely accurate."""
    tail = _log1p_inside(b, exp(b, b.neg(b.abs(b.sub(x, y)))))
    # NOTE infinity less itself is NaN
    return b.select(b.compare("eq", x, y), b.add(x, math.log(2)), b.add(b.maximum(x, y), tail))


def logaddexp2(b: Builder, x: Value, y: Value) -> Value:
    """log2(2^x + 2^y), likewise."""
    tail = b.mul(_log1p_inside(b, exp2(b, b.neg(b.abs(b.sub(x, y))))), math.log2(math.e))
    return b.select(b.compare("eq", x, y), b.add(x, 1.0), b.add(b.maximum(x, y), tail))


def xlogy(b: Builder, x: Value, y: Value) -> Value:
    """x log(y), and 0 where x = 0 unless y is infinite or NaN."""
    zero = b.compare("eq", x, 0.0)
    product = b.mul(x, log(b, b.select(zero, b.constant(1.0, y.type), y)))
    return b.select(zero, b.mul(y, 0.0), product)


def _expm1_series(b: Builder, x: Value, coefficients: Sequence[float], first: Value) -> Value:
    """first + x^2 (c0 + c1 x + ...), pair by pair (Estrin's rule): a shorter chain than Horner's."""
    pairs = zip(coefficients[::2], coefficients[1::2], strict=False)
    terms: list[Value | float] = [b.fma(x, high, low) for low, high in pairs]
    terms += coefficients[len(coefficients) // 2 * 2 :]
    while terms:
        x = b.mul(x, x)
        first = b.fma(x, terms[0], first)
        joined = [b.fma(x, high, low) for low, high in zip(terms[1::2], terms[2::2], strict=False)]
        terms = [*joined, *(terms[-1:] if len(terms) % 2 == 0 else [])]
    return first


def _reduced_expm1(b: Builder, x: Value, offset: int) -> tuple[Value, Value]:
    """(expm1(r), bits) for x = n ln 2 + r, |r| <= ln(2) / 2; the low bits of the integer are n + offset."""
    form = FORMATS[x.type.element]
    rounding = form.rounding + offset
    rounded = b.fma(x, math.log2(math.e), rounding)
    n = b.sub(rounded, rounding)
    r = b.fma(n, -form.ln2_low, b.fma(n, -form.ln2_high, x))
    return _expm1_series(b, r, _EXPM1[x.type.element], r), b.bitcast(rounded, form.integer)


def _scaled(b: Builder, e: Value, bits: Value) -> Value:
    """(1 + e) 2^n, where the low bits of the integer are n + 2 bias."""
    form, element = FORMATS[e.type.element], e.type.element
    # 2^n in two factors, because n goes beyond the exponents of the format at both ends
    half = b.lshr(bits, 1)
    first = b.bitcast(b.shl(half, form.mantissa_bits), element)
    second = b.bitcast(b.shl(b.isub(bits, half), form.mantissa_bits), element)
    return b.mul(b.mul(b.add(e, 1.0), first), second)


def _half_expm1(b: Builder, x: Value) -> Value:
    """expm1(x) / 2, which can be formed where 2^n itself would overflow; x in the range of the format."""
    form = FORMATS[x.type.element]
    e, bits = _reduced_expm1(b, x, form.bias - 1)
    scale = b.bitcast(b.shl(bits, form.mantissa_bits), x.type.element)  # 2^(n - 1)
    return b.fma(scale, e, b.sub(scale, 0.5))


def _shifted_bits(b: Builder, x: Value) -> Value:
    """The bits of x, moved so that the exponent field is that of x = m 2^k with m in [sqrt(1/2), sqrt(2))."""
    form = FORMATS[x.type.element]
    return b.iadd(b.bitcast(x, form.integer), form.one_bits - form.sqrt_half_bits)


def near_one(b: Builder, x: Value) -> tuple[Value, Value]:
    """(f, k) of a positive x = (1 + f) 2^k with 1 + f in [sqrt(1/2), sqrt(2)); k is a floating number."""
    form = FORMATS[x.type.element]
    shifted = _shifted_bits(b, x)
    fraction = b.iadd(b.iand(shifted, 2**form.mantissa_bits - 1), form.sqrt_half_bits)
    element = x.type.element
    return b.sub(b.bitcast(fraction, element), 1.0), _exponent(b, shifted, element)


def _exponent(b: Builder, shifted: Value, element: str) -> Value:
    """The exponent field of `shifted` as a floating number."""
    form = FORMATS[element]
    field = b.lshr(shifted, form.mantissa_bits)
    # the field in the low bits of 2^mantissa_bits is that number plus the field: no conversion needed
    base = form.bias + form.mantissa_bits << form.mantissa_bits
    return b.sub(b.bitcast(b.ior(field, base), element), 2.0**form.mantissa_bits + form.bias)


def _with_ends(b: Builder, x: Value, y: Value) -> Value:
    """y, the logarithm of a positive finite x; and what it is for all other x."""
    y = b.select(b.compare("lt", x, math.inf), y, x)
    pole = b.select(b.compare("lt", x, 0.0), b.constant(math.nan, x.type), -math.inf)
    return b.select(b.compare("lt", x, FORMATS[x.type.element].tiny), pole, y)


def _log_series(b: Builder, f: Value) -> tuple[Value, Value, Value]:
    """(s, f^2/2, f^2/2 + s^2 P(s^2)) with s = f / (2 + f).

    log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + s^2 P(s^2))).
    """
    s = b.div(f, b.add(f, 2.0))
    z = b.mul(s, s)
    half_square = b.mul(b.mul(f, 0.5), f)
    return s, half_square, b.fma(z, polynomial(b, z, _ATANH[f.type.element]), half_square)


def _log_near_one(b: Builder, f: Value, k: Value) -> Value:
    """log((1 + f) 2^k)."""
    form = FORMATS[f.type.element]
    s, half_square, series = _log_series(b, f)
    correction = b.fma(s, series, b.mul(k, form.ln2_low))
    return b.fma(k, form.ln2_high, b.sub(f, b.sub(half_square, correction)))


def _log_of_fraction(b: Builder, f: Value) -> Value:
    """log(1 + f) for f near 0."""
    s, half_square, series = _log_series(b, f)
    return b.sub(f, b.sub(half_square, b.mul(s, series)))


def _log1p_inside(b: Builder, x: Value) -> Value:
    """log1p(x) for finite x > -1.

    1 + x gives the exponent k alone; f = (1 + x) 2^-k - 1 is then formed from x itself, with one rounding.
    """
    form, element = FORMATS[x.type.element], x.type.element
    shifted = _shifted_bits(b, b.add(x, 1.0))
    sign_bit = -(2 ** (form.mantissa_bits + form.bias.bit_length() + 1))
    # 2^(2 - k) and x / 4, because 2^-k itself may be too small to be a normal number
    exponent = b.iand(shifted, -sign_bit - 2**form.mantissa_bits)
    scale = b.bitcast(b.isub(sign_bit, exponent), element)
    f = b.fma(b.mul(x, 0.25), scale, b.fma(scale, 0.25, -1.0))
    k = _exponent(b, shifted, element)
    return b.select(b.compare("lt", b.abs(x), form.linear), x, _log_near_one(b, f, k))


FUNCTIONS = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "log": log,
    "log10": log10,
    "log1p": log1p,
    "log2": log2,
    "logaddexp": logaddexp,
    "logaddexp2": logaddexp2,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "tanh": tanh,
    "xlogy": xlogy,
}
