"""The constants of vector functions: polynomials as fitted in 60-digit arithmetic, numbers in exact parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from glassnet.compiler.lowering import arcs, exponential, hyperbolic, powers, special, trigonometric


def fitted(function: Callable[..., Any], low: Any, high: Any, count: int) -> list[float]:
    """Chebyshev interpolation in 60-digit arithmetic, lowest power first."""
    return [float(c) for c in mpmath.chebyfit(function, [low, high], count)[::-1]]


def of_square(function: Callable[..., Any], head: Callable[..., Any], power: int) -> Callable[..., Any]:
    """(f(r) - head(r)) / r^power as a function of r^2."""

    def rest(z: mpmath.mpf) -> mpmath.mpf:
        r = mpmath.sqrt(max(z, mpmath.mpf(10) ** -20))
        return (function(r) - head(r)) / r**power

    return rest


def erfcx(t: mpmath.mpf) -> mpmath.mpf:
    x = 3 * (1 + t) / (1 - t)
    return (1 + x) * mpmath.exp(x * x) * mpmath.erfc(x)


def test_coefficients_are_those_of_the_fit():
    def expm1_rest(r: mpmath.mpf) -> mpmath.mpf:
        return (mpmath.expm1(r) - r) / r**2 if r else mpmath.mpf("0.5")

    def small_erf(t: mpmath.mpf) -> mpmath.mpf:
        return of_square(mpmath.erf, lambda r: 0, 1)((1 + t) / 2)

    def itself(r: mpmath.mpf) -> mpmath.mpf:
        return r

    with mpmath.workdps(60):
        root, eighth, ln2 = mpmath.sqrt(2), mpmath.sqrt(2) - 1, mpmath.log(2) / 2
        widest, quarter = ((root - 1) / (root + 1)) ** 2, (mpmath.pi / 4) ** 2
        double_atanh = of_square(lambda s: 2 * mpmath.atanh(s), lambda s: 2 * s, 3)
        tail = of_square(mpmath.atanh, lambda s: s + s**3 / 3, 5)
        cosine = of_square(mpmath.cos, lambda r: 1 - r * r / 2, 4)
        fits = [
            ({"f32": exponential.EXPM1_F32, "f64": exponential.EXPM1_F64}, expm1_rest, -ln2, ln2),
            ({"f32": exponential.ATANH_F32, "f64": exponential.ATANH_F64}, double_atanh, 0, widest),
            ({"f64": powers.ATANH_TAIL}, tail, 0, widest),
            (trigonometric.SIN, of_square(mpmath.sin, itself, 3), 0, quarter),
            (trigonometric.COS, cosine, 0, quarter),
            (arcs.ARCTAN, of_square(mpmath.atan, itself, 3), 0, eighth**2),
            (arcs.ARCSIN, of_square(mpmath.asin, itself, 3), 0, mpmath.mpf(1) / 4),
            (hyperbolic.SINH, of_square(mpmath.sinh, itself, 3), 0, 1),
            ({"f32": special.ERF_SMALL["f32"]}, small_erf, -1, 1),
            ({"f32": special.ERFCX["f32"]}, erfcx, -1, mpmath.mpf("7.1") / mpmath.mpf("13.1")),
        ]
        for tables, function, low, high in fits:
            for element, coefficients in tables.items():
                exact = fitted(function, low, high, len(coefficients))
                np.testing.assert_allclose(coefficients, exact, rtol=1e-9 if element == "f32" else 1e-12)


def test_constants_in_parts_are_exact():
    with mpmath.workdps(400):
        quarter, ln2 = mpmath.pi / 2, mpmath.log(2)
        assert abs(sum(map(mpmath.mpf, trigonometric.QUARTER_PARTS)) - quarter) < mpmath.mpf(2) ** -156
        for part, digits in zip(trigonometric.QUARTER_PARTS, (32, 66, 101), strict=False):
            assert part * 2.0**digits == int(part * 2.0**digits) < 2**33
        assert abs(sum(map(mpmath.mpf, trigonometric.QUARTER)) - quarter) < mpmath.mpf(2) ** -107
        pieces = sum(map(mpmath.mpf, trigonometric.two_over_pi())) / mpmath.mpf(2) ** 800
        assert abs(pieces - 2 / mpmath.pi) < mpmath.mpf(2) ** -1151
        assert abs(sum(map(mpmath.mpf, powers.LN2)) - ln2) < mpmath.mpf(2) ** -137
        for parts in exponential.LOG10_2.values():
            assert abs(sum(map(mpmath.mpf, parts)) - mpmath.log10(2)) < mpmath.mpf(2) ** -60
