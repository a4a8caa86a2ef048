"""The error function and its complement, relatively accurate over the whole range of the format.

erf(x) = x P(x^2) up to |x| = 1; from 1/2 on, erfc(x) = e^(-x^2) Q(t) with t = (x - 4) / (x + 4), which takes
all large x to an interval. The polynomials are near-minimax: Chebyshev interpolation in 60-digit arithmetic.
"""

from __future__ import annotations

from glassnet.compiler.loop_ir import Builder, Operand, Value
from glassnet.compiler.lowering import exponential
from glassnet.core.graph import Node

_ERF = {
    "f32": (
        *(1.1283791658, -0.37612626667, 0.11283594715, -0.026854212011),
        *(0.0051890874234, -0.00080168642872, 7.8758750627e-5),
    ),
    "f64": (
        *(1.128379167095512567, -0.3761263890318354044, 0.1128379167094500627, -0.02686617064323777036),
        *(0.005223977607116422732, -0.0008548325975389692081, 0.0001205529490483970792),
        *(-0.00001492473690741966034, 1.644742470331736241e-6, -1.62084838018717059e-7),
        *(1.37200645467776856e-8, -7.795898827002142242e-10),
    ),
}
_ERFC = {
    "f32": (
        *(0.13699945795, -0.25906804985, 0.21871963814, -0.16425777741, 0.10896400305, -0.063108192042),
        *(0.031292897149, -0.012842622065, 0.0040812843198, -0.00080051940737, -5.5706192895e-5),
        7.7839468803e-5,
    ),
    "f64": (
        *(0.1369994576250613902, -0.2590680487601716419, 0.2187196789182647792, -0.1642578166973086139),
        *(0.1089631773989127181, -0.06310781563976157216, 0.03129905651848485874, -0.01284394603083125535),
        *(0.004060263626707188459, -0.0007991268193598942709, -0.0000217617440915780271),
        *(0.00007898321676380805316, -0.00002255591870215298465, -1.903341585000286222e-6),
        *(2.944167998406381255e-6, -4.08415449075045267e-7, -2.833228081958058323e-7),
        *(9.567254878948675187e-8, 2.439173217313100598e-8, -1.46682829943928446e-8),
        *(-1.663338371915401347e-9, 1.485106198084023089e-9),
    ),
}
_WORDS = {"f32": ("i32", 12), "f64": ("i64", 27)}  # as whole numbers; bits of less than half the digits
_LARGEST = {"f32": 10.5, "f64": 27.5}  # erfc of more is zero


def _small(b: Builder, x: Operand) -> Value:
    return b.mul(x, exponential.polynomial(b, b.mul(x, x), _ERF[x.type.element]))


def _tail(b: Builder, a: Operand) -> Value:
    """erfc(a) for a of 1/2 and more; infinite arguments give 0."""
    a = b.minimum(_LARGEST[a.type.element], a)
    square = b.mul(a, a)
    whole, cut = _WORDS[a.type.element]
    short = b.bitcast(b.iand(b.bitcast(a, whole), -(1 << cut)), a.type.element)  # its square is exact
    lost = b.add(b.sub(b.mul(short, short), square), b.mul(b.sub(a, short), b.add(a, short)))
    power = exponential.exp(b, b.neg(square))
    power = b.fma(power, b.neg(lost), power)
    t = b.div(b.sub(a, 4.0), b.add(a, 4.0))
    return b.mul(power, exponential.polynomial(b, t, _ERFC[a.type.element]))


def _erf(b: Builder, _node: Node, x: Operand) -> Operand:
    a = b.abs(x)
    large = b.copysign(b.sub(1.0, _tail(b, a)), x)
    value = b.select(b.compare("gt", a, 1.0), large, _small(b, x))
    return b.select(b.compare("ne", x, x), x, value)


def _erfc(b: Builder, _node: Node, x: Operand) -> Operand:
    a = b.abs(x)
    tail = _tail(b, a)
    large = b.select(b.compare("lt", x, 0.0), b.sub(2.0, tail), tail)
    value = b.select(b.compare("gt", a, 0.5), large, b.sub(1.0, _small(b, x)))
    return b.select(b.compare("ne", x, x), x, value)


LOWERINGS = {"erf": _erf, "erfc": _erfc}
