"""Instructions that some CPUs lack, written in those that all have; a call of libm is far slower."""

from __future__ import annotations

from typing import Protocol

from glassnet.compiler.llvm_text import constant_text, type_text
from glassnet.compiler.loop_language import Constant, Type

# opcode: how a rounded number compares with its argument where it has to be put right by 1
ROUNDINGS = {"floor": "ogt", "ceil": "olt", "round_to_zero": "ogt", "round_even": ""}
_MANTISSA_BITS = {"f32": 24, "f64": 53}


class Lines(Protocol):
    """What writes lines: each method gives the text that stands for a value."""

    def temporary(self, text: str) -> str:
        """The name of a value that only the emitter knows."""
        ...

    def intrinsic(self, name: str, type: Type, *operands: str) -> str:
        """A call whose operands and result have one type."""
        ...


def rounding(lines: Lines, opcode: str, type: Type, a: str) -> str:
    """A whole number next to a.

    Adding 2^(bits of the mantissa - 1) and taking it away rounds |a| to even; a result on the wrong side of a
    is put right by 1. Numbers that large are whole already, and NaN stays.
    """
    t, mask = type_text(type), type_text(type.of("i1"))
    limit, nothing = _constant(type, 2.0 ** (_MANTISSA_BITS[type.element] - 1)), _constant(type, 0.0)
    size = lines.temporary(lines.intrinsic("fabs", type, a))
    shifted = lines.temporary(f"fadd {t} {size}, {limit}")
    nearest = lines.temporary(f"fsub {t} {shifted}, {limit}")
    compared = size
    if opcode != "round_to_zero":
        compared = a
        nearest = lines.temporary(lines.intrinsic("copysign", type, nearest, a))
    if ROUNDINGS[opcode]:
        wrong = lines.temporary(f"fcmp {ROUNDINGS[opcode]} {t} {nearest}, {compared}")
        one = _constant(type, 1.0 if opcode == "ceil" else -1.0)
        step = lines.temporary(f"select {mask} {wrong}, {t} {one}, {t} {nothing}")
        nearest = lines.temporary(f"fadd {t} {nearest}, {step}")
    # the result has the sign of a, a zero too
    nearest = lines.temporary(lines.intrinsic("copysign", type, nearest, a))
    small = lines.temporary(f"fcmp olt {t} {size}, {limit}")
    return f"select {mask} {small}, {t} {nearest}, {t} {a}"


def product_error(lines: Lines, type: Type, a: str, b: str) -> str:
    """fma(a, b, -a b)."""
    t = type_text(type)
    product = lines.temporary(f"fmul {t} {a}, {b}")
    return lines.intrinsic("fma", type, a, b, lines.temporary(f"fneg {t} {product}"))


def split_product_error(lines: Lines, type: Type, a: str, b: str) -> str:
    """a b - round(a b) without fma: halves of half the digits, whose products are exact (Dekker 1971)."""
    t = type_text(type)
    product = lines.temporary(f"fmul {t} {a}, {b}")
    (a_high, a_low), (b_high, b_low) = (_halves(lines, type, number) for number in (a, b))
    rest = lines.temporary(f"fneg {t} {product}")
    for one, other in ((a_high, b_high), (a_high, b_low), (a_low, b_high)):
        part = lines.temporary(f"fmul {t} {one}, {other}")
        rest = lines.temporary(f"fadd {t} {rest}, {part}")
    last = lines.temporary(f"fmul {t} {a_low}, {b_low}")
    return f"fadd {t} {rest}, {last}"


def _halves(lines: Lines, type: Type, number: str) -> tuple[str, str]:
    """The upper half of the digits, rounded by integer arithmetic on the bits, and the signed rest."""
    t, whole = type_text(type), type.of("i64" if type.element == "f64" else "i32")
    dropped = 27 if type.element == "f64" else 12
    i, half, kept = type_text(whole), Constant(whole, 1 << (dropped - 1)), Constant(whole, -1 << dropped)
    bits = lines.temporary(f"bitcast {t} {number} to {i}")
    rounded = lines.temporary(f"add {i} {bits}, {constant_text(half)}")
    cleared = lines.temporary(f"and {i} {rounded}, {constant_text(kept)}")
    high = lines.temporary(f"bitcast {i} {cleared} to {t}")
    return high, lines.temporary(f"fsub {t} {number}, {high}")


def _constant(type: Type, value: float) -> str:
    return constant_text(Constant(type, value))
