"""Functions that are a few others: each rule has its equation as a comment."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from glassnet.compiler.passes.rewrite import Rule, make, number
from glassnet.core.graph import Node
from glassnet.errors import UncompilableError


class _Formula:
    """Writes nodes at the place and in the dtype of a node that they stand for."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __getattr__(self, op: str) -> Callable[..., Node]:
        """The op of that name; plain numbers are constants of the dtype."""
        dtype = self.node.inputs[-1].dtype

        def made(*operands: Any) -> Node:
            nodes = [x if isinstance(x, Node) else number(x, dtype) for x in operands]
            return make(op, *nodes, like=self.node)

        return made


def _rule(formula: Callable[..., Node]) -> tuple[Rule, ...]:
    """A rule for floating operands; whole numbers are refused."""

    def rule(node: Node) -> Node:
        if any(x.dtype.kind not in "fb" for x in node.inputs):
            raise UncompilableError(f"{node.op.name} of whole numbers is not compiled yet.")
        return formula(_Formula(node), *node.inputs)

    return (rule,)


def _clip(node: Node) -> Node:
    # clip(x, low, high) = min(max(x, low), high)
    x, low, high = node.inputs
    return make("minimum", make("maximum", x, low, like=node), high, like=node)


def _round(node: Node) -> Node:
    # round(x, k) = rint(10^k x) / 10^k
    x, decimals = node.inputs[0], node.attributes["decimals"]
    if x.dtype.kind != "f":
        if decimals < 0:
            raise UncompilableError("round of whole numbers to tens is not compiled yet.")
        return x
    if decimals == 0:
        return make("rint", x, like=node)
    scale = number(10.0 ** abs(decimals), x.dtype)
    up, down = ("multiply", "divide") if decimals > 0 else ("divide", "multiply")
    return make(down, make("rint", make(up, x, scale, like=node), like=node), scale, like=node)


def _logaddexp(f: _Formula, x: Node, y: Node) -> Node:
    # log(e^x + e^y) = max + log1p(e^-|x - y|); of equal infinities the difference would be NaN
    tail = f.log1p(f.exp(f.negative(f.abs(f.subtract(x, y)))))
    return f.where(f.equal(x, y), f.add(x, math.log(2)), f.add(f.maximum(x, y), tail))


def _logaddexp2(f: _Formula, x: Node, y: Node) -> Node:
    # log2(2^x + 2^y) = max + log1p(2^-|x - y|) / log 2
    power = f.exp2(f.negative(f.abs(f.subtract(x, y))))
    tail = f.multiply(1 / math.log(2), f.log1p(power))
    return f.where(f.equal(x, y), f.add(x, 1.0), f.add(f.maximum(x, y), tail))


def _hypot(f: _Formula, x: Node, y: Node) -> Node:
    # m sqrt(1 + (n / m)^2) with m and n the larger and the smaller of |x| and |y|
    larger = f.maximum(f.abs(x), f.abs(y))
    share = f.divide(f.minimum(f.abs(x), f.abs(y)), f.where(f.equal(larger, 0.0), 1.0, larger))
    length = f.multiply(larger, f.sqrt(f.add(f.multiply(share, share), 1.0)))
    infinite = f.logical_or(f.equal(f.abs(x), math.inf), f.equal(f.abs(y), math.inf))
    return f.where(infinite, math.inf, length)


def _cosh(f: _Formula, x: Node) -> Node:
    # (e^x + e^-x) / 2 with e^x = (e^(x/2))^2, which does not overflow before the result does
    root = f.exp(f.multiply(0.5, f.abs(x)))
    return f.add(f.multiply(f.multiply(0.5, root), root), f.divide(f.divide(0.5, root), root))


def _sinh(f: _Formula, x: Node) -> Node:
    # (t + t / (t + 1)) / 2 with t = e^|x| - 1; for large |x| e^|x| / 2
    size = f.abs(x)
    t = f.expm1(f.minimum(size, 30.0))
    near = f.multiply(0.5, f.add(t, f.divide(t, f.add(t, 1.0))))
    root = f.exp(f.multiply(0.5, size))
    far = f.multiply(f.multiply(0.5, root), root)
    return f.copysign(f.where(f.greater(size, 30.0), far, near), x)


def _arcsinh(f: _Formula, x: Node) -> Node:
    # sign(x) log1p(a + a^2 / (1 + sqrt(a^2 + 1))) with a = |x|; for large a log(a) + log 2
    size = f.abs(x)
    a = f.minimum(size, 1e8)
    square = f.multiply(a, a)
    near = f.log1p(f.add(a, f.divide(square, f.add(1.0, f.sqrt(f.add(square, 1.0))))))
    far = f.add(f.log(size), math.log(2))
    return f.copysign(f.where(f.greater(size, 1e8), far, near), x)


def _arccosh(f: _Formula, x: Node) -> Node:
    # log1p(t + sqrt(2 t + t^2)) with t = x - 1; for large x log(x) + log 2
    t = f.subtract(f.minimum(x, 1e8), 1.0)
    near = f.log1p(f.add(t, f.sqrt(f.multiply(t, f.add(t, 2.0)))))
    value = f.where(f.greater(x, 1e8), f.add(f.log(x), math.log(2)), near)
    return f.where(f.less(x, 1.0), math.nan, value)


def _arctanh(f: _Formula, x: Node) -> Node:
    # sign(x) log1p(2 a / (1 - a)) / 2 with a = |x|
    a = f.abs(x)
    return f.copysign(f.multiply(0.5, f.log1p(f.divide(f.add(a, a), f.subtract(1.0, a)))), x)


def _heaviside(f: _Formula, x: Node, y: Node) -> Node:
    return f.where(f.equal(x, 0.0), y, f.where(f.greater(x, 0.0), 1.0, f.where(f.less(x, 0.0), 0.0, x)))


def _either(f: _Formula, x: Node, y: Node, order: str) -> Node:
    # of x and y the one that the order prefers; beside a NaN the other
    first = getattr(f, order)(x, y)
    return f.where(first, x, f.where(f.not_equal(y, y), x, y))


FUNCTION_RULES: dict[str, tuple[Rule, ...]] = {
    "clip": (_clip,),
    "round": (_round,),
    "positive": (lambda node: node.inputs[0],),
    "reciprocal": _rule(lambda f, x: f.divide(1.0, x)),
    "deg2rad": _rule(lambda f, x: f.multiply(math.pi / 180, x)),
    "rad2deg": _rule(lambda f, x: f.multiply(180 / math.pi, x)),
    "softsign": _rule(lambda f, x: f.divide(x, f.add(1.0, f.abs(x)))),
    "log2": _rule(lambda f, x: f.multiply(1 / math.log(2), f.log(x))),
    "log10": _rule(lambda f, x: f.multiply(1 / math.log(10), f.log(x))),
    "logaddexp": _rule(_logaddexp),
    "logaddexp2": _rule(_logaddexp2),
    "hypot": _rule(_hypot),
    "cosh": _rule(_cosh),
    "sinh": _rule(_sinh),
    "tan": _rule(lambda f, x: f.divide(f.sin(x), f.cos(x))),
    "arcsinh": _rule(_arcsinh),
    "arccosh": _rule(_arccosh),
    "arctanh": _rule(_arctanh),
    "heaviside": _rule(_heaviside),
    "fmax": _rule(lambda f, x, y: _either(f, x, y, "greater_equal")),
    "fmin": _rule(lambda f, x, y: _either(f, x, y, "less_equal")),
    "isinf": _rule(lambda f, x: f.equal(f.abs(x), math.inf)),
    "isfinite": _rule(lambda f, x: f.less(f.abs(x), math.inf)),
    "isnan": _rule(lambda f, x: f.not_equal(x, x)),
    "signbit": _rule(lambda f, x: f.less(f.copysign(1.0, x), 0.0)),
    "xlogy": _rule(
        lambda f, x, y: f.where(f.logical_and(f.equal(x, 0.0), f.equal(y, y)), 0.0, f.multiply(x, f.log(y)))
    ),
}
