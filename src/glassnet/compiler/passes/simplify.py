"""Simplify: constants, algebra and common subexpressions. Each rule has its equation as a comment."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np

from glassnet.compiler.passes.rewrite import STACKS, Rule, apply_rules, known, make, number, uniform
from glassnet.compiler.passes.slices import SLICE_RULES, sum_of_parts
from glassnet.compiler.stages import count
from glassnet.core.graph import Graph, Node
from glassnet.core.trace import constant
from glassnet.ops.matrix import split_spec


def simplify(graph: Graph) -> Graph:
    """The graph with every rule applied and equal nodes merged, until nothing changes."""
    while True:
        before = graph.nodes
        graph = merge_equal(apply_rules(fold(graph), _RULES))
        if graph.nodes == before:
            return graph


def merge_equal(graph: Graph) -> Graph:
    """Common subexpressions: of nodes with the same op, inputs and attributes only the first is kept."""
    first: dict[Hashable, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        key = key_of(node, inputs)
        if key in first:
            count("equal nodes merged")
        else:
            changed = inputs != node.inputs
            first[key] = (
                Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)
                if changed
                else node
            )
        return first[key]

    return graph.map_nodes(rewrite)


def key_of(node: Node, inputs: tuple[Node, ...]) -> Hashable:
    """What two nodes share exactly where they compute the same of the same; an input equals itself alone."""
    if node.op.name == "constant":
        return ("constant", node.dtype, node.shape, node.value.tobytes())
    if node.op.name == "input":
        return node
    return (node.op.name, inputs, tuple((name, _frozen(v)) for name, v in sorted(node.attributes.items())))


def _frozen(value: Any) -> Hashable:
    if isinstance(value, Graph):
        return value.signature()
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else str(value)


def fold(graph: Graph) -> Graph:
    """The graph in which what depends on constants alone is a constant."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        values = [known(x) for x in inputs]
        foldable = node.op.name not in ("constant", "loop", "images")  # which have several results
        if foldable and inputs and all(value is not None for value in values):
            count("folded to a constant")
            with np.errstate(all="ignore"):  # log 0 is -inf here as in every engine
                return constant(np.asarray(node.op.value(np, *values, **node.attributes), node.dtype))
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _same(x: Node, node: Node) -> Node | None:
    """x in place of `node` where it has its shape and dtype."""
    return x if (x.shape, x.dtype) == (node.shape, node.dtype) else None


def _add(node: Node) -> Node | None:
    x, y = node.inputs
    if uniform(x) == 0:  # 0 + x -> x
        return _same(y, node)
    if uniform(y) == 0:  # x + 0 -> x
        return _same(x, node)
    if y.op.name == "negative":  # x + (-y) -> x - y
        return make("subtract", x, y.inputs[0], like=node)
    return sum_of_parts(node)


def _subtract(node: Node) -> Node | None:
    x, y = node.inputs
    if uniform(y) == 0:  # x - 0 -> x
        return _same(x, node)
    return None


def _multiply(node: Node) -> Node | None:
    x, y = node.inputs
    for one, other in ((x, y), (y, x)):
        factor = uniform(one)
        if factor == 1:  # 1 x -> x
            return _same(other, node)
        if factor == -1 and other.shape == node.shape:  # -1 x -> -x
            return make("negative", other, like=node)
        if factor is not None and other.op.name == "multiply":  # a (b x) -> (a b) x
            inner = uniform(other.inputs[0])
            if inner is not None and other.inputs[1].shape == node.shape:
                return make("multiply", number(factor * inner, node.dtype), other.inputs[1], like=node)
        if other.op.name == "where" and other.shape == node.shape:
            condition, yes, no = other.inputs
            # x where(c, 1, 0) -> where(c, x, 0)
            # NOTE where x is not finite and c fails, the product would be NaN and this is 0
            if uniform(yes) == 1 and uniform(no) == 0:
                return make("where", condition, one, no, like=node)
    if uniform(x) is None and uniform(y) is not None:  # x a -> a x
        return make("multiply", y, x, like=node)
    return None


def _divide(node: Node) -> Node | None:
    x, y = node.inputs
    divisor = uniform(y)
    if node.dtype.kind != "f":
        return None
    if divisor == 1:  # x / 1 -> x
        return _same(x, node)
    # x / 2^k -> 2^-k x, exactly, unless 2^-k is a denormal number or infinite
    if (
        divisor
        and abs(np.frexp(divisor)[0]) == 0.5
        and np.finfo(node.dtype).tiny <= abs(1 / divisor) < math.inf
    ):
        return make("multiply", number(1 / divisor, node.dtype), x, like=node)
    return None


def _negative(node: Node) -> Node | None:
    x = node.inputs[0]
    return x.inputs[0] if x.op.name == "negative" else None  # -(-x) -> x


def _spread_constant(node: Node) -> Node | None:
    # a constant filled with one number is that number, where other operands give the shape
    others = [x.shape for x in node.inputs]
    for position, x in enumerate(node.inputs):
        value = uniform(x) if x.shape else None
        rest = others[:position] + others[position + 1 :]
        if value is not None and rest and np.broadcast_shapes(*rest) == node.shape:
            return _with_input(node, position, number(value, x.dtype))
    return None


def _unspread(node: Node) -> Node | None:
    # an elementwise op broadcasts by itself, where other operands give the shape
    others = [x.shape for x in node.inputs]
    for position, x in enumerate(node.inputs):
        if x.op.name != "broadcast_to":
            continue
        source = x.inputs[0]
        shapes = [*others[:position], source.shape, *others[position + 1 :]]
        if np.broadcast_shapes(*shapes) == node.shape:
            return _with_input(node, position, source)
    return None


def _with_input(node: Node, position: int, x: Node) -> Node:
    inputs = (*node.inputs[:position], x, *node.inputs[position + 1 :])
    return Node(node.op, inputs, node.attributes, node.shape, node.dtype, None, node.source)


def _reshape(node: Node) -> Node | None:
    x = node.inputs[0]
    if x.shape == node.shape:
        return x
    if x.op.name == "reshape":  # reshape(reshape(x)) -> reshape(x)
        return make("reshape", x.inputs[0], shape=node.shape, like=node)
    return None


def _broadcast(node: Node) -> Node | None:
    return _same(node.inputs[0], node)


def _sum(node: Node) -> Node | None:
    x, axes = node.inputs[0], node.attributes["axes"]
    # an indicator sums to 1
    # NOTE if its label is a class: of labels outside, which are refused when data comes in, it sums to 0
    if x.op.name == "one_hot" and axes == (len(x.shape) - 1,):
        return constant(np.ones(node.shape, node.dtype))
    if x.op.name == "reshape" and axes == (0,) and len(x.shape) == 1:
        source = x.inputs[0]
        if source.shape == (*x.shape, 1):  # the sum of a packed column is the sum over its rows
            total = make("sum", source, axes=(0,), keepdims=False, like=node)
            return make("reshape", total, shape=node.shape, like=node)
    if x.op.name == "transpose" and not node.attributes["keepdims"]:  # sum(x^T) -> sum(x), over other axes
        order = x.attributes["axes"]
        kept = [old for new, old in enumerate(order) if new not in axes]
        if kept == sorted(kept):
            own = tuple(sorted(order[axis] for axis in axes))
            return make("sum", x.inputs[0], axes=own, keepdims=False, like=node)
    return _nothing_reduced(node)


def _nothing_reduced(node: Node) -> Node | None:
    # a reduction over one element is that element
    x = node.inputs[0]
    if x.dtype != node.dtype or any(x.shape[axis] != 1 for axis in node.attributes["axes"]):
        return None
    return make("reshape", x, shape=node.shape, like=node)


def _contract(node: Node) -> Node | None:
    # contract(x^T, y) -> contract(x, y) with the labels of x in the other order
    if node.attributes["spec"] in STACKS:
        return None
    x_labels, y_labels, out = split_spec(node.attributes["spec"])
    labels, inputs = [x_labels, y_labels], list(node.inputs)
    for position, x in enumerate(inputs):
        if x.op.name == "transpose":
            order = x.attributes["axes"]
            own = [""] * len(order)
            for new, old in enumerate(order):
                own[old] = labels[position][new]
            labels[position], inputs[position] = "".join(own), x.inputs[0]
    spec = f"{labels[0]},{labels[1]}->{out}"
    return None if spec == node.attributes["spec"] else make("contract", *inputs, spec=spec, like=node)


_ELEMENTWISE: tuple[Rule, ...] = (_spread_constant, _unspread)
_RULES: dict[str, tuple[Rule, ...]] = {
    **dict.fromkeys(
        (
            *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "where"),
            *("maximum", "minimum", "fmax", "fmin", "clip", "copysign", "heaviside"),
            *("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"),
            *("floor_divide", "remainder", "fmod", "power", "hypot", "arctan2"),
            *("logaddexp", "logaddexp2", "xlogy"),
        ),
        _ELEMENTWISE,
    ),
    "add": (*_ELEMENTWISE, _add),
    "subtract": (*_ELEMENTWISE, _subtract),
    "multiply": (*_ELEMENTWISE, _multiply),
    "divide": (*_ELEMENTWISE, _divide),
    "negative": (_negative,),
    "reshape": (_reshape,),
    "broadcast_to": (_broadcast,),
    "sum": (_sum,),
    **dict.fromkeys(("max", "min", "prod", "any", "all"), (_nothing_reduced,)),
    "contract": (_contract,),
    **SLICE_RULES,
}
