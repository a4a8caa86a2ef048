"""Reverse mode: the linear maps of forward mode, transposed, in reverse order of evaluation.

A cotangent (x_bar) is the derivative of the final scalar with respect to a value. Where a value is used more
than once its cotangents add up: this is the sum over all paths of the influence diagram.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from glassnet.core.graph import Node, ancestors
from glassnet.core.op import Bilinear, Constant, Differential, Elementwise, Linear
from glassnet.core.trace import Array, placeholder
from glassnet.ops.shaping import sum_to
from glassnet.transforms.linearize import scale


def pull(node: Node, cotangent: Any, position: int, read: Callable[[Node], Any] = Array) -> Any:
    """The contribution of one node's cotangent to that of its input at `position`.

    `read` is how the rule sees the node and its inputs; see `glassnet.core.trace.reader`.
    """
    op, attributes = node.op, node.attributes
    target = node.inputs[position]
    match op.derivative:
        case Elementwise(partials):
            inputs = [read(x) for x in node.inputs]
            result = scale(cotangent, partials[position](read(node), *inputs, **attributes))
        case Linear(transpose, arguments):
            if arguments is not None and position not in arguments:
                return None
            result = transpose(position, cotangent, [read(x) for x in node.inputs], **attributes)
        case Bilinear(left, right):
            x, y = (read(x) for x in node.inputs)
            result = (left, right)[position](cotangent, x, y, **attributes)
        case Differential(formula):
            # The differential is linear in the tangent: trace it with a tangent of which only the shape
            # is known, and transpose what it is made of.
            x_dot = placeholder(target.shape, target.dtype)
            tangents: list[Any] = [None] * len(node.inputs)
            tangents[position] = x_dot
            out_dot = formula(read(node), [read(x) for x in node.inputs], tangents, **attributes)
            if out_dot is None:
                return None
            result = pullback([out_dot.node], [x_dot.node], [cotangent], read)[0]
        case Constant():
            return None
    if result is None or op.batch is not None or result.shape == target.shape:
        return result
    return sum_to(result, target.shape)  # the transpose of broadcasting


def pullback(
    outputs: Sequence[Node],
    wrt: Sequence[Node],
    cotangents: Sequence[Any],
    read: Callable[[Node], Any] = Array,
) -> list[Any]:
    """The cotangents of the nodes `wrt` given those of `outputs`; None where nothing depends on a node."""
    order = ancestors(outputs, min((node.serial for node in wrt), default=0), stop=wrt)
    active = set(wrt)
    for node in order:
        if not isinstance(node.op.derivative, Constant) and any(x in active for x in node.inputs):
            active.add(node)
    x_bar: dict[Node, Any] = {}

    def accumulate(node: Node, cotangent: Any) -> None:
        if cotangent is not None:
            x_bar[node] = x_bar[node] + cotangent if node in x_bar else cotangent

    for node, cotangent in zip(outputs, cotangents, strict=True):
        accumulate(node, cotangent)
    stops = set(wrt)
    for node in reversed(order):
        if node in x_bar and node in active and node not in stops:
            cotangent = x_bar.pop(node)
            for position, x in enumerate(node.inputs):
                if x in active:
                    accumulate(x, pull(node, cotangent, position, read))
    return [x_bar.get(node) for node in wrt]
