"""Expand: vector functions become elementwise ops and row reductions, whose parts can be shared and fused.

softmax(z) and the cross-entropy of the same z share the maximum, the exponentials and their sum once the
common subexpressions are merged.
"""

from __future__ import annotations

import math

from glassnet.compiler.passes.rewrite import apply_rules, make, number, uniform
from glassnet.compiler.passes.sampling import COMPARISON_RULES, SAMPLING_RULES
from glassnet.compiler.passes.simplify import fold
from glassnet.compiler.passes.slices import canonical_getitem, canonical_scatter
from glassnet.compiler.passes.types import as_dtype
from glassnet.compiler.passes.vocabulary import ROW_MAX
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import size_of
from glassnet.errors import UncompilableError
from glassnet.ops.matrix import split_spec


def expand(graph: Graph) -> Graph:
    """The graph without vector functions."""
    return apply_rules(apply_rules(fold(graph), COMPARISON_RULES), _RULES)


_SHORT_ROW = 16  # elements that a vector or two hold: their division takes no longer than that of one number


def _row_sum(x: Node, like: Node) -> Node:
    return make("sum", x, axes=(len(x.shape) - 1,), keepdims=True, like=like)


def _shifted(z: Node, like: Node) -> Node:
    if not z.shape:
        raise UncompilableError(f"{like.op.name} of a single number is not compiled.")
    return make("subtract", z, make(ROW_MAX, z, like=like), like=like)


def _softmax(node: Node) -> Node:
    # softmax(z) = e / sum e, e = exp(z - max z); e * (1 / sum e) where that saves divisions
    e = make("exp", _shifted(node.inputs[0], node), like=node)
    total = _row_sum(e, node)
    if node.shape[-1] <= _SHORT_ROW:
        return make("divide", e, total, like=node)
    return make("multiply", e, make("divide", number(1.0, node.dtype), total, like=node), like=node)


def _cross_entropy(node: Node) -> Node:
    # -sum t log softmax(z) = log(sum e) sum t - sum t (z - max z)
    z, target = node.inputs
    shifted = _shifted(z, node)
    log_sum = make("log", _row_sum(make("exp", shifted, like=node), node), like=node)
    first = make("multiply", log_sum, _row_sum(target, node), like=node)
    second = _row_sum(make("multiply", target, shifted, like=node), node)
    column = make("subtract", first, second, like=node)
    return make("reshape", column, shape=node.shape, like=node)


def _logsumexp(node: Node) -> Node:
    # logsumexp(x) = top + log sum exp(x - top), top = max x, or 0 where the maximum is not finite
    x = _last(node)
    largest = make(ROW_MAX, x, like=node)
    finite = make("less", make("abs", largest, like=node), number(math.inf, node.dtype), like=node)
    top = make("where", finite, largest, number(0.0, node.dtype), like=node)
    e = make("exp", make("subtract", x, top, like=node), like=node)
    column = make("add", make("log", _row_sum(e, node), like=node), top, like=node)
    return make("reshape", column, shape=node.shape, like=node)


def _last(node: Node) -> Node:
    """The operand of a reduction with the axes that it runs over as its last one."""
    x, axes = node.inputs[0], node.attributes["axes"]
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    shape = (*(x.shape[axis] for axis in kept), size_of(tuple(x.shape[axis] for axis in axes)))
    order = (*kept, *axes)
    if order != tuple(range(len(x.shape))):
        x = make("transpose", x, axes=order, like=node)
    return x if x.shape == shape else make("reshape", x, shape=shape, like=node)


def _binary_cross_entropy(node: Node) -> Node:
    # max(z, 0) - z t + log(1 + exp(-|z|))
    # NOTE softplus(z) - z t is the same but cancels: of z = 20, t = 1 it leaves no digit in float32
    z, target = node.inputs
    tail = make("softplus", make("negative", make("abs", z, like=node), like=node), like=node)
    line = make("subtract", make("relu", z, like=node), make("multiply", z, target, like=node), like=node)
    return make("add", line, tail, like=node)


def _square(node: Node) -> Node:
    # x^2 = x * x
    return make("multiply", node.inputs[0], node.inputs[0], like=node)


def _power(node: Node) -> Node | None:
    # x^1 = x, x^2 = x x, x^3 = x^2 x, x^4 = x^2 x^2, x^-1 = 1 / x, x^0.5 = sqrt(x); all else is a function
    x, exponent = node.inputs[0], uniform(node.inputs[1])
    if node.dtype.kind != "f":
        return _whole_power(node, x, exponent)
    if x.shape != node.shape or exponent not in (0.5, -1, 1, 2, 3, 4):
        return None
    if exponent == 0.5:
        return make("sqrt", x, like=node)
    if exponent == -1:
        return make("divide", number(1.0, node.dtype), x, like=node)
    return _product(x, int(exponent), node)


def _whole_power(node: Node, x: Node, exponent: float | None) -> Node:
    if exponent is None or exponent < 0:
        raise UncompilableError("whole numbers to powers other than one constant from 0 up are not compiled.")
    one = make("broadcast_to", number(1, node.dtype), shape=node.shape, like=node)
    if exponent == 0:
        return one
    power = _product(x, int(exponent), node)
    return power if power.shape == node.shape else make("multiply", power, one, like=node)


def _product(x: Node, exponent: int, like: Node) -> Node:
    """x^exponent by squaring, digit by binary digit."""
    power = x
    for digit in f"{exponent:b}"[1:]:
        power = make("multiply", power, power, like=like)
        power = make("multiply", power, x, like=like) if digit == "1" else power
    return power


def _thin_product(node: Node) -> Node | None:
    # a product in which a vector takes part is a sum of elementwise products
    x, y = node.inputs
    x_labels, y_labels, out = split_spec(node.attributes["spec"])
    order = out + "".join(label for label in x_labels if label not in out)
    if len(order) > 2:
        return None  # a product of matrices
    product = make(
        "multiply", _aligned(x, x_labels, order, node), _aligned(y, y_labels, order, node), like=node
    )
    if len(order) == len(out):
        return product
    return make("sum", product, axes=tuple(range(len(out), len(order))), keepdims=False, like=node)


def _aligned(x: Node, labels: str, order: str, like: Node) -> Node:
    """x with an axis for each label of `order`, of extent 1 where it has none."""
    present = [label for label in order if label in labels]
    shape = tuple(x.shape[labels.index(label)] if label in labels else 1 for label in order)
    if list(labels) != present:
        x = make("transpose", x, axes=tuple(labels.index(label) for label in present), like=like)
    return x if shape == x.shape else make("reshape", x, shape=shape, like=like)


def _alone(node: Node) -> Node:
    # outside a batch the mean over the examples is the example, and there is one
    if node.op.name == "batch_size":
        return number(1.0, node.dtype)
    return as_dtype(node.inputs[0], node.dtype, node)


def _identity(node: Node) -> Node:
    # variables and gradient stops are marks, not work; +x is x
    return node.inputs[0]


_RULES = {
    "softmax": (_softmax,),
    "softmax_cross_entropy": (_cross_entropy,),
    "sigmoid_cross_entropy": (_binary_cross_entropy,),
    "logsumexp": (_logsumexp,),
    "square": (_square,),
    "power": (_power,),
    "contract": (_thin_product,),
    **SAMPLING_RULES,
    "getitem": (canonical_getitem,),
    "scatter": (canonical_scatter,),
    "batch_mean": (_alone,),
    "batch_size": (_alone,),
    "variable": (_identity,),
    "stop_gradient": (_identity,),
    "positive": (_identity,),
}
