"""Rounding to whole numbers; whole numbers are what they are."""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.core.graph import Node


def _of_floats(
    rule: Callable[[Builder, Operand], Operand],
) -> Callable[[Builder, Node, Operand], Operand]:
    return lambda b, node, x: rule(b, x) if x.type.is_float else x


def _ceil(b: Builder, x: Operand) -> Operand:
    return b.neg(b.floor(b.neg(x)))


def _trunc(b: Builder, x: Operand) -> Operand:
    return b.copysign(b.floor(b.abs(x)), x)


LOWERINGS = {
    "floor": _of_floats(lambda b, x: b.floor(x)),
    "ceil": _of_floats(_ceil),
    "trunc": _of_floats(_trunc),
    "rint": _of_floats(lambda b, x: b.round_even(x)),
}
