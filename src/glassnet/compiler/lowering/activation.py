"""Activations whose pieces are elementary."""

from __future__ import annotations

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.core.graph import Node


def _relu(b: Builder, _node: Node, x: Operand) -> Operand:
    if x.type.is_float:
        return b.maximum(b.zero(x.type), x)  # keeps a NaN in x
    return b.select(b.compare("gt", x, 0), x, b.zero(x.type))


def _leaky_relu(b: Builder, node: Node, x: Operand) -> Operand:
    falling = b.mul(x, float(node.attributes["slope"]))
    return b.select(b.compare("gt", x, b.zero(x.type)), x, falling)


LOWERINGS = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "softsign": lambda b, node, x: b.div(x, b.add(b.abs(x), 1.0)),
}
