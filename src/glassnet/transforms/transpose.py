"""Reverse mode: the linear maps of forward mode, transposed, in reverse order of evaluation.

A cotangent (x_bar) is the derivative of the final scalar with respect to a value. Where a value is used more
than once its cotangents add up: this is the sum over all paths of the influence diagram.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import is_floating
from glassnet.core.graph import Graph, Node, ancestors, describe
from glassnet.core.op import Bilinear, Constant, Differential, Elementwise, Enclosing, Linear
from glassnet.core.trace import Array, as_array, placeholder, tracing
from glassnet.errors import DifferentiationError
from glassnet.ops.conversion import astype
from glassnet.ops.indexing import put_add
from glassnet.ops.shaping import stack, sum_to
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
        case Linear(transpose, arguments, rest):
            if arguments is None or position in arguments:
                result = transpose(position, cotangent, [read(x) for x in node.inputs], **attributes)
            else:
                result = None if rest is None else _transposed(rest, node, cotangent, position, read)
        case Bilinear(left, right):
            x, y = (read(x) for x in node.inputs)
            result = (left, right)[position](cotangent, x, y, **attributes)
        case Differential(formula):
            result = _transposed(formula, node, cotangent, position, read)
        case Enclosing():
            wanted = [i == position for i in range(len(node.inputs))]
            return _pull_enclosed(node, cotangent, wanted, read)[position]
        case Constant():
            return None
    if result is None or op.batch is not None or result.shape == target.shape:
        return result
    return sum_to(result, target.shape)  # the transpose of broadcasting


def _transposed(
    formula: Callable[..., Any], node: Node, cotangent: Any, position: int, read: Callable[[Node], Any]
) -> Any:
    # A differential is linear in the tangent: trace it with a tangent of which only the shape is known,
    # and transpose what it is made of.
    target = node.inputs[position]
    x_dot = placeholder(target.shape, target.dtype)
    tangents: list[Any] = [None] * len(node.inputs)
    tangents[position] = x_dot
    out_dot = formula(read(node), [read(x) for x in node.inputs], tangents, **node.attributes)
    if out_dot is None:
        return None
    x_bar = pullback([out_dot.node], [x_dot.node], [cotangent], read)[0]
    if (
        type(x_bar) is Array
        and x_bar.node.value is None
        and x_dot.node in ancestors([x_bar.node], x_dot.node.serial)
    ):
        raise DifferentiationError(
            f"The differential of {node.op.name} is not linear in its tangents{describe(node.source)}; "
            "each of its terms needs exactly one of them."
        )
    return x_bar


def _pull_enclosed(
    node: Node, cotangent: Any, wanted: Sequence[bool], read: Callable[[Node], Any]
) -> list[Any]:
    # An op that runs a graph is transposed once for all of its inputs.
    rule = node.op.derivative
    assert isinstance(rule, Enclosing)
    if rule.reverse is None:
        raise DifferentiationError(
            f"{node.op.name} has no reverse mode{describe(node.source)}: {rule.reason}."
        )
    inputs = [read(x) for x in node.inputs]
    return rule.reverse(vjp_graph, read(node), inputs, cotangent, wanted, **node.attributes)


def vjp_graph(graph: Graph, wanted: Sequence[bool]) -> Graph:
    """A graph that runs `graph` and back: inputs | cotangents of its outputs -> cotangents of those wanted.

    Floating outputs alone have cotangents.
    """
    with tracing():
        outputs = [node for node in graph.outputs if is_floating(node.dtype)]
        cotangents = [placeholder(node.shape, node.dtype) for node in outputs]
        wrt = [x for x, flag in zip(graph.inputs, wanted, strict=True) if flag]
        results = [
            as_array(np.zeros(x.shape, x.dtype) if x_bar is None else astype(x_bar, x.dtype)).node
            for x, x_bar in zip(wrt, pullback(outputs, wrt, cotangents), strict=True)
        ]
    return Graph.of((*graph.inputs, *(x.node for x in cotangents)), results)


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
        if not active.isdisjoint(node.inputs) and not isinstance(node.op.derivative, Constant):
            active.add(node)
    x_bar: dict[Node, Any] = {}
    elements: dict[Node, list[tuple[tuple[int, ...], Any]]] = {}

    def accumulate(node: Node, cotangent: Any) -> None:
        if cotangent is not None:
            x_bar[node] = x_bar[node] + cotangent if node in x_bar else cotangent

    for node, cotangent in zip(outputs, cotangents, strict=True):
        accumulate(node, cotangent)
    stops = set(wrt)
    for node in reversed(order):
        if node in elements:
            for contribution in _put_together(node, elements.pop(node)):
                accumulate(node, contribution)
        if node in x_bar and node in active and node not in stops:
            cotangent = x_bar.pop(node)
            if isinstance(node.op.derivative, Enclosing):
                wanted = [x in active for x in node.inputs]
                for x, contribution in zip(
                    node.inputs, _pull_enclosed(node, cotangent, wanted, read), strict=True
                ):
                    accumulate(x, contribution)
                continue
            if _takes_one_element(node):
                elements.setdefault(node.inputs[0], []).append((node.attributes["index"], cotangent))
                continue
            for position, x in enumerate(node.inputs):
                if x in active:
                    accumulate(x, pull(node, cotangent, position, read))
    return [x_bar.get(node) for node in wrt]


def _takes_one_element(node: Node) -> bool:
    # Where shapes alone are known (the programs that are compiled) every x[i] stays an op of its own.
    return (
        node.op.name == "getitem"
        and node.value is not None
        and all(type(part) is int for part in node.attributes["index"])
    )


def _put_together(x: Node, elements: Sequence[tuple[tuple[int, ...], Any]]) -> list[Any]:
    """The cotangents that arrive by x[i], x[j], ..., as one array for each length of the index.

    One array for each element would make a loop over n elements cost n^2.
    """
    by_rank: dict[int, list[tuple[tuple[int, ...], Any]]] = {}
    for index, cotangent in elements:
        by_rank.setdefault(len(index), []).append((index, cotangent))
    results: list[Any] = []
    for rank, group in by_rank.items():
        if rank == 0:
            results += [cotangent for _, cotangent in group]
            continue
        places = np.array([index for index, _ in group]).T
        results.append(put_add(stack([cotangent for _, cotangent in group]), *places, shape=x.shape))
    return results
