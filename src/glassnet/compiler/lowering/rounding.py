"""Rounding, whole quotients and remainders on vectors; special cases as in NumPy.

A remainder of floating numbers is exact: x less a rounded multiple of y is representable, and takes 53 bits
off the quotient; the loop ends when nothing is left, nearly always behind its first trip.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from glassnet.compiler.loop_ir import Builder, Operand, Position, Value
from glassnet.compiler.lowering.floating import in_double, sign_bit
from glassnet.core.graph import Node
from glassnet.errors import UncompilableError

_TRIPS = 48  # enough for the quotient of the largest and the smallest f64


def fmod(b: Builder, x: Value, y: Value) -> Value:
    """x - y trunc(x / y), with the sign of x: NaN for infinite x and for y = 0."""
    return in_double(_fmod)(b, x, y)


def _fmod(b: Builder, x: Value, y: Value) -> Value:
    divisor = b.abs(y)

    def trip(_: Position, rest: Operand) -> list[Operand]:
        # NOTE a larger multiple of y where the quotient itself might overflow
        size, larger = b.abs(rest), b.mul(divisor, 2.0**600)
        step = b.select(b.compare("ge", size, larger), larger, divisor)
        quotient = b.round_to_zero(b.div(rest, step))
        left = b.sub(b.sub(rest, b.mul(quotient, step)), b.product_error(quotient, step))
        left = b.select(b.compare("ge", size, step), left, rest)
        b.go_on_if(b.any(b.compare("ge", b.abs(left), divisor)))
        return [left]

    (rest,) = b.loop(0, _TRIPS, 1, trip, [b.abs(x)])
    # a quotient that was rounded up leaves less than nothing
    rest = b.select(b.compare("lt", rest, 0.0), b.add(rest, divisor), rest)
    undefined = b.ior(b.compare("eq", b.abs(x), math.inf), b.compare("eq", y, 0.0))
    rest = b.select(undefined, b.constant(math.nan, x.type), rest)
    rest = b.select(b.compare("ne", y, y), y, rest)
    return b.copysign(rest, x)


def remainder(b: Builder, x: Value, y: Value) -> Value:
    """x - y floor(x / y), with the sign of y."""
    return in_double(lambda b, x, y: _divmod(b, x, y)[1])(b, x, y)


def floor_divide(b: Builder, x: Value, y: Value) -> Value:
    """floor(x / y)."""
    return in_double(lambda b, x, y: _divmod(b, x, y)[0])(b, x, y)


def _divmod(b: Builder, x: Value, y: Value) -> tuple[Value, Value]:
    rest = _fmod(b, x, y)
    turned = b.iand(b.compare("ne", rest, 0.0), b.ixor(sign_bit(b, rest), sign_bit(b, y)))
    quotient = b.div(b.sub(x, rest), y)
    quotient = b.select(turned, b.sub(quotient, 1.0), quotient)
    rest = b.select(turned, b.add(rest, y), rest)
    rest = b.select(b.compare("eq", rest, 0.0), b.copysign(rest, y), rest)
    nearest = b.round_even(quotient)  # the quotient is whole but for its rounding
    nearest = b.select(b.compare("eq", nearest, 0.0), b.copysign(nearest, b.div(x, y)), nearest)
    return b.select(b.compare("eq", y, 0.0), b.div(x, y), nearest), rest


def _whole_divmod(b: Builder, x: Operand, y: Operand, *, floor: bool) -> tuple[Value, Value]:
    """The quotient, rounded down or towards 0, and the remainder of whole numbers; both 0 where y = 0."""
    # NOTE division by 0, and of the least number by -1, would stop the process
    zero, minus = b.compare("eq", y, 0), b.compare("eq", y, -1)
    quotient = b.idiv(x, b.select(b.ior(zero, minus), b.constant(1, y.type), y))
    quotient = b.select(minus, b.isub(0, x), quotient)
    rest = b.select(zero, b.zero(x.type), b.isub(x, b.imul(quotient, y)))
    quotient = b.select(zero, b.zero(x.type), quotient)
    if not floor:
        return quotient, rest
    turned = b.iand(b.compare("ne", rest, 0), b.compare("lt", b.ixor(rest, y), 0))
    one = b.constant(1, x.type)
    down = b.select(turned, b.isub(quotient, one), quotient)
    return down, b.select(turned, b.iadd(rest, y), rest)


def _round(b: Builder, node: Node, x: Operand) -> Operand:
    decimals = node.attributes["decimals"]
    if not x.type.is_float:
        if decimals >= 0:
            return x
        rounded = _to_decimals(b, b.sitofp(x, "f64"), decimals)
        return b.fptosi(rounded, x.type.element)
    return _to_decimals(b, x, decimals)


def _to_decimals(b: Builder, x: Operand, decimals: int) -> Value:
    power = 10.0 ** abs(decimals)
    if decimals == 0:
        return b.round_even(x)
    if decimals > 0:
        return b.div(b.round_even(b.mul(x, power)), power)
    return b.mul(b.round_even(b.div(x, power)), power)


def _step(opcode: str) -> Callable[..., Operand]:
    return lambda b, node, x: getattr(b, opcode)(x) if x.type.is_float else x


def _quotient(floating: Callable[..., Value], whole: Callable[..., Value]) -> Callable[..., Operand]:
    def lower(b: Builder, node: Node, x: Operand, y: Operand) -> Operand:
        if node.dtype.kind not in "fi":
            raise UncompilableError(f"{node.op.name} of {node.dtype} values is not compiled yet.")
        return floating(b, x, y) if x.type.is_float else whole(b, x, y)

    return lower


LOWERINGS = {
    "ceil": _step("ceil"),
    "floor": _step("floor"),
    "floor_divide": _quotient(floor_divide, lambda b, x, y: _whole_divmod(b, x, y, floor=True)[0]),
    "fmod": _quotient(fmod, lambda b, x, y: _whole_divmod(b, x, y, floor=False)[1]),
    "remainder": _quotient(remainder, lambda b, x, y: _whole_divmod(b, x, y, floor=True)[1]),
    "rint": _step("round_even"),
    "round": _round,
    "trunc": _step("round_to_zero"),
}
