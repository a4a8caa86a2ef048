"""Values of the error function and the gamma function's family, in double precision over any array namespace.

They are accurate to a few units in the last place; `xp` needs no special functions of its own. The
polynomials, lowest power first, are Chebyshev interpolations made in 50-digit arithmetic.

Sources: DLMF 5.5 and 5.11 (recurrence, reflection, Stirling's series), 7.6 and 7.12 (error function), 25.11
(Hurwitz zeta function).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from glassnet.core.dtype import FLOAT64, is_floating

# erf(x) / x in 2 x^2 - 1, for 0 <= x <= 1
ERF_SMALL = (
    0.9654687386698673,
    -0.1405360890227171,
    0.019852496688984218,
    -0.0022854855611441132,
    0.00021751715603563404,
    -1.7537169441124826e-05,
    1.2233827638116999e-06,
    -7.51156928660089e-08,
    4.115751497588646e-09,
    -2.035228404899467e-10,
    9.211251258348265e-12,
    -3.8078827395263415e-13,
)
# (1 + x) exp(x^2) erfc(x) in (x - 3) / (x + 3), for x >= 0
ERFCX = (
    0.7160046047255598,
    -0.23092733308380917,
    0.09902075367944078,
    -0.010235388899012888,
    -0.02380391310870102,
    0.021957764012793677,
    -0.009750689292237701,
    0.0016185691254892154,
    0.000645814199124352,
    -0.00036728847066616046,
    -2.0551588688191707e-05,
    5.6119347300494525e-05,
    -1.5144373196860844e-06,
    -8.99002256263096e-06,
    2.607474381204413e-07,
    1.5887117808490867e-06,
    6.071316964356298e-08,
    -2.934111944342301e-07,
    -4.6979037222864144e-08,
    5.097096680939509e-08,
    1.6229238335064303e-08,
    -7.063922718222641e-09,
    -3.4827007512413944e-09,
    5.567150863376234e-10,
    3.685916803815211e-10,
)
# 1 / Gamma(x) in 2 x - 3, for 1 <= x <= 2
RECIPROCAL_GAMMA = (
    1.1283791670955126,
    -0.02058726322264155,
    -0.13166360888138617,
    0.021887753255491794,
    0.0031854287654827,
    -0.0013173490427663696,
    0.00010332652853554406,
    1.6568214392791072e-05,
    -4.338790023175905e-06,
    2.9757348575235576e-07,
    2.476086975259896e-08,
    -6.785564183706895e-09,
    5.265033028381591e-10,
    7.08866291456305e-12,
    -5.494526824267024e-12,
    5.131033939660537e-13,
)
# log Gamma(x) / ((x - 1) (x - 2)) in (x - 1.875) / 1.125, for 0.75 <= x <= 3
LOG_GAMMA = (
    0.43586455222115017,
    -0.12282847347687258,
    0.04824879283947357,
    -0.021716899814032214,
    0.010511009110406162,
    -0.005317144044098783,
    0.0027694941115764173,
    -0.0014724115259864502,
    0.0007947065080160014,
    -0.00043389375090059894,
    0.00023905518252680666,
    -0.00013268303181445662,
    7.40915143914159e-05,
    -4.1552914785958055e-05,
    2.3409323576742368e-05,
    -1.3381768023133288e-05,
    7.64780241347187e-06,
    -3.924881207370148e-06,
    2.1145830603928285e-06,
    -2.216046924662237e-06,
    1.5037479956912876e-06,
    8.792609942334916e-07,
    -8.207025669570331e-07,
    -1.7593164431271185e-06,
    1.3238506284035716e-06,
    1.318014965388421e-06,
    -9.754757277906434e-07,
    -8.115972792654253e-07,
    5.688186551464701e-07,
    2.8002486464887727e-07,
    -1.8984283178411948e-07,
    -5.228254193375278e-08,
    3.383731505704099e-08,
)
# psi(x) / (x - x0) in 2 x - 3, for 1 <= x <= 2; x0 is the positive zero of psi
DIGAMMA = (
    0.9510558760318328,
    -0.2118137106407303,
    0.06013562106019684,
    -0.018550615381735008,
    0.005936795278301761,
    -0.0019350666648613071,
    0.0006368880303865817,
    -0.00021074841138175561,
    6.995018825112794e-05,
    -2.3258242519113285e-05,
    7.741234508636364e-06,
    -2.578093954045772e-06,
    8.589060721930695e-07,
    -2.863161166883193e-07,
    9.543298288278275e-08,
    -3.162911147408454e-08,
    1.0527692435026686e-08,
    -3.7083753242807277e-09,
    1.2469984616707403e-09,
    -2.7580994814377e-10,
    8.734528429142953e-11,
    -8.50550766013261e-11,
    2.918622732168261e-11,
)
DIGAMMA_ZERO = (1.4616321449683622, 9.549995429965697e-17)  # x0, and what the double leaves of it

# Bernoulli's numbers B_2, B_4, ..., B_20
BERNOULLI = tuple(
    n / d
    for n, d in (
        *((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66)),
        *((-691, 2730), (7, 6), (-3617, 510), (43867, 798), (-174611, 330)),
    )
)
LARGE = 8.0  # from here on the asymptotic series are exact to rounding
LARGEST_GAMMA = 171.6243769563027  # beyond it Gamma exceeds every double
LARGEST_ERFC = 28.0  # beyond it erfc is below every double


def polynomial(t: Any, coefficients: Sequence[float]) -> Any:
    """The polynomial in t with these coefficients, lowest power first."""
    total: Any = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * t + coefficient
    return total


def in_double(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The value rule `rule`, computed in double precision and given back in the type of its argument."""

    def value(xp: Any, x: Any, **attributes: Any) -> Any:
        x = xp.asarray(x)
        result = rule(xp, x.astype(xp.float64), **attributes)
        return result.astype(x.dtype if is_floating(x.dtype) else FLOAT64)[()]

    return value


def _error_functions(xp: Any, x: Any) -> tuple[Any, Any]:
    """erf and erfc for x >= 0, each with full relative accuracy."""
    c = xp.minimum(x, LARGEST_ERFC)
    # exp(-x^2) by a short part of x, whose square is exact, and the rest.
    short = xp.floor(16 * c) / 16
    decay = xp.exp(-short * short) * xp.exp(-(c - short) * (c + short))
    tail = decay * polynomial((c - 3) / (c + 3), ERFCX) / (1 + c)
    u = xp.minimum(x, 1.0)
    return xp.where(x < 1, u * polynomial(2 * u * u - 1, ERF_SMALL), 1 - tail), tail


@in_double
def erf(xp: Any, x: Any) -> Any:
    """The error function."""
    return xp.copysign(_error_functions(xp, xp.abs(x))[0], x)


@in_double
def erfc(xp: Any, x: Any) -> Any:
    """1 - erf(x), with relative accuracy for large x too."""
    tail = _error_functions(xp, xp.abs(x))[1]
    return xp.where(x < 0, 2 - tail, tail)


@in_double
def erfinv(xp: Any, y: Any) -> Any:
    """The inverse of erf: a rough start, and three steps of Halley's method."""
    size = xp.abs(y)
    a = xp.where(size < 1, size, xp.zeros_like(size))
    w, k = xp.log((1 - a) * (1 + a)), 0.147
    t = 2 / (math.pi * k) + w / 2
    far = xp.sqrt(xp.sqrt(t * t - w / k) - t)  # Winitzki's approximation, within 0.2 %
    x = xp.where(a < 0.5, a * polynomial(a * a, (0.8862269, 0.2320137, 0.1275562)), far)
    for _ in range(3):
        head, tail = _error_functions(xp, x)
        excess = xp.where(a < 0.5, head - a, (1 - a) - tail)
        step = excess * (math.sqrt(math.pi) / 2) * xp.exp(x * x)
        x = x - step / (1 + x * step)
    beyond = xp.where(size == 1, math.inf, math.nan)
    return xp.copysign(xp.where(size < 1, x, beyond), y)


def _reflected(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    """x or 1 - x, whichever is positive; x less the nearest whole number; and whether x is a pole."""
    finite = xp.where(xp.isfinite(x), x, xp.zeros_like(x))
    rest = finite - xp.round(finite)
    pole = (x <= 0) & (rest == 0)
    return xp.where(x < 0, 1 - x, xp.where(x == 0, xp.ones_like(x), x)), rest, pole


def _stirling(xp: Any, z: Any) -> Any:
    """log Gamma(z) - (z - 1/2) log z + z - log(2 pi)/2, for z >= 8."""
    terms = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1)]
    inverse = 1 / z  # NOTE squared afterwards: z * z may overflow
    return polynomial(inverse * inverse, terms) * inverse


def _gamma_of_positive(xp: Any, z: Any) -> Any:
    small = z < LARGE
    r, product = xp.where(small, z, xp.ones_like(z)), xp.ones_like(z)
    below = r < 1
    divisor = xp.where(below, r, product)
    r = xp.where(below, r + 1, r)
    for _ in range(6):
        down = r >= 2
        r = xp.where(down, r - 1, r)
        product = xp.where(down, product * r, product)
    near = product / divisor / polynomial(2 * r - 3, RECIPROCAL_GAMMA)
    # The power in two halves: the whole of it overflows before Gamma does.
    s = xp.where(small, LARGE, xp.minimum(z, LARGEST_GAMMA))
    half = xp.power(s, (s - 0.5) / 2)
    far = half * (math.sqrt(2 * math.pi) * xp.exp(_stirling(xp, s)) * xp.exp(-s) * half)
    return xp.where(small, near, xp.where(z > LARGEST_GAMMA, math.inf, far))


@in_double
def gamma(xp: Any, x: Any) -> Any:
    """The gamma function; NaN at -1, -2, ..."""
    _, rest, pole = _reflected(xp, x)
    size = xp.where(pole, xp.ones_like(x), xp.abs(x))
    positive = _gamma_of_positive(xp, size)
    odd = xp.remainder(xp.round(xp.where(xp.isfinite(x), x, xp.zeros_like(x))), 2) == 1
    sine = xp.where(pole | (rest == 0), 1.0, xp.sin(math.pi * rest)) * xp.where(odd, -1.0, 1.0)
    # NOTE |x| Gamma(|x|), not Gamma(1 - x): 1 - x may be rounded, and Gamma is steep
    result = xp.where(x < 0, math.pi / size / sine / positive, positive)
    at_pole = xp.where(x == 0, xp.copysign(math.inf, x), math.nan)
    return xp.where(pole, at_pole, result)


@in_double
def gammaln(xp: Any, x: Any) -> Any:
    """log |Gamma(x)|; infinite at the poles."""
    z, rest, pole = _reflected(xp, x)
    small, middle = z < 0.75, z < 3
    r = xp.where(small, z + 1, xp.where(middle, z, 1.5))
    near = (r - 1) * (r - 2) * polynomial((r - 1.875) / 1.125, LOG_GAMMA)
    near = near - xp.log(xp.where(small, z, 1.0))
    between = xp.log(_gamma_of_positive(xp, xp.where(z < LARGE, z, LARGE)))
    s = xp.maximum(z, LARGE)
    far = (s - 0.5) * (xp.log(s) - 1) + (math.log(2 * math.pi) - 1) / 2 + _stirling(xp, s)
    positive = xp.where(middle, near, xp.where(z < LARGE, between, far))
    sine = xp.abs(xp.sin(math.pi * xp.where(rest == 0, 0.5, rest)))
    result = xp.where(x < 0, xp.log(math.pi / sine) - positive, positive)
    return xp.where(pole, math.inf, result)


def _digamma_of_positive(xp: Any, z: Any) -> Any:
    low, near = z < 1, z < 2
    r = xp.where(low, z + 1, xp.where(near, z, 1.5))
    direct = ((r - DIGAMMA_ZERO[0]) - DIGAMMA_ZERO[1]) * polynomial(2 * r - 3, DIGAMMA)
    direct = direct - xp.where(low, 1 / xp.where(low, z, 1.0), 0.0)
    lifted = z < LARGE
    base = xp.where(near, 2.0, z)
    s = xp.where(lifted, base + 6, base)
    terms = [b / (2 * k) for k, b in enumerate(BERNOULLI, 1)]
    inverse = (1 / s) * (1 / s)  # NOTE not 1 / (s * s), which may overflow
    far = xp.log(s) - 0.5 / s - inverse * polynomial(inverse, terms)
    below: Any = 0.0
    for k in range(5, -1, -1):
        below = below + 1 / (base + k)
    return xp.where(near, direct, xp.where(lifted, far - below, far))


def _zeta(xp: Any, s: int, z: Any) -> Any:
    """Hurwitz's zeta function, the sum of (z + k)^-s over k >= 0, for z > 0, by Euler and Maclaurin."""
    a, total = z + 10, 0.0
    factor, terms = 1.0, list[float]()
    for k, b in enumerate(BERNOULLI, 1):
        factor *= s if k == 1 else (s + 2 * k - 3) * (s + 2 * k - 2)
        terms.append(b / math.factorial(2 * k) * factor)
    inverse = 1 / a
    head = 0.5 + polynomial(inverse * inverse, terms) * inverse
    total = xp.power(a, 1 - float(s)) / (s - 1) + xp.power(a, -float(s)) * head
    for k in range(9, -1, -1):
        total = total + xp.power(z + k, -float(s))
    return total


def _cotangent_polynomial(order: int) -> list[float]:
    """The derivative of the given order of cot(u), as a polynomial in cot(u): cot' = -(1 + cot^2)."""
    coefficients = [0.0, 1.0]
    for _ in range(order):
        slope = [k * c for k, c in enumerate(coefficients)][1:]
        coefficients = [0.0] * (len(slope) + 2)
        for k, c in enumerate(slope):
            coefficients[k] -= c
            coefficients[k + 2] -= c
    return coefficients


@in_double
def polygamma(xp: Any, x: Any, *, order: int) -> Any:
    """The derivative of the given order of digamma; NaN at the poles."""
    z, rest, pole = _reflected(xp, x)
    if order == 0:
        positive = _digamma_of_positive(xp, z)
    else:
        positive = (-1) ** (order + 1) * math.factorial(order) * _zeta(xp, order + 1, z)
    cotangent = 1 / xp.tan(math.pi * xp.where(rest == 0, 0.25, rest))
    mirror = math.pi ** (order + 1) * polynomial(cotangent, _cotangent_polynomial(order))
    return xp.where(pole, math.nan, xp.where(x < 0, (-1) ** order * positive - mirror, positive))
