"""Softmax, and the fused pairs of an output activation with its cross-entropy.

The pairs are ops of their own: computed together they neither overflow nor lose digits, and their derivative
is the difference between prediction and target.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.registry import function
from glassnet.core.shape import Shape
from glassnet.errors import ShapeError
from glassnet.ops.declare import differential, elementwise, floating_dtype, function_formula, on_floats
from glassnet.ops.exponential import sigmoid
from glassnet.ops.reduction import logsumexp, sum
from glassnet.ops.shaping import broadcast_to, expand_dims, moveaxis


def _softmax_value(xp: Any, z: Any) -> Any:
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _softmax_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    # dy_j = sum_i y_j (delta_ij - y_i) dz_i
    return out * (tangents[0] - sum(out * tangents[0], axis=-1, keepdims=True))


def _softmax_batch(inputs: Sequence[Any], _batched: Sequence[bool], _attributes: Mapping[str, Any]) -> Any:
    return _softmax(inputs[0])


_softmax = differential(
    "softmax",
    value=on_floats(_softmax_value),
    infer=lambda z: (z.shape, floating_dtype(z.dtype)),
    formula_of_differential=_softmax_differential,
    batch=_softmax_batch,
    formula=function_formula("softmax({0})"),
    analytic=False,  # the value rule takes a maximum
    source="Bridle, NIPS 1989; dy_j/dz_i = y_j (delta_ij - y_i)",
    summary="exp(z_i) / sum_j exp(z_j) over the last axis.",
)


@function
def softmax(z: Any, axis: int = -1) -> Any:
    """Positive numbers that sum to 1 along `axis`: exp(z_i) / sum_j exp(z_j).

    The shape is that of z; there are no kinks, and nothing overflows. Raises ShapeError where there is no
    element along `axis`.

    >>> softmax(np.array([[0.0, 0.0], [1.0, 1.0]]), axis=1)
    array([[0.5, 0.5],
           [0.5, 0.5]])

    Source: Bridle, NIPS 1989.
    """
    rank = np.ndim(z)
    if rank == 0 or axis in (-1, rank - 1):
        return _softmax(z)
    return moveaxis(_softmax(moveaxis(z, axis, -1)), -1, axis)


def _matched_shape(z: Any, target: Any) -> Shape:
    # NOTE broadcasting a target over predictions is a mistake that trains without complaint.
    if z.shape != target.shape:
        raise ShapeError(f"Cross-entropy needs one target for each output: got {z.shape} and {target.shape}.")
    return z.shape


def _cross_entropy_value(xp: Any, z: Any, target: Any) -> Any:
    _matched_shape(z, target)
    shifted = z - xp.max(z, axis=-1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(shifted), axis=-1))
    return log_sum * xp.sum(target, axis=-1) - xp.sum(target * shifted, axis=-1)


def _cross_entropy_infer(z: Node, target: Node) -> tuple[Shape, DType]:
    return _matched_shape(z, target)[:-1], floating_dtype(z.dtype, target.dtype)


def _cross_entropy_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    # dL/dz = softmax(z) sum(t) - t;  dL/dt_i = -log softmax(z)_i
    z, target = inputs
    total: Any = None
    if tangents[0] is not None:
        total = sum((_softmax(z) * sum(target, axis=-1, keepdims=True) - target) * tangents[0], axis=-1)
    if tangents[1] is not None:
        part = sum((logsumexp(z, axis=-1, keepdims=True) - z) * tangents[1], axis=-1)
        total = part if total is None else total + part
    return total


def _cross_entropy_batch(
    inputs: Sequence[Any], batched: Sequence[bool], _attributes: Mapping[str, Any]
) -> Any:
    extent = next(len(x) for x, flag in zip(inputs, batched, strict=True) if flag)
    z, target = (
        x if flag else broadcast_to(expand_dims(x, 0), (extent, *np.shape(x)))
        for x, flag in zip(inputs, batched, strict=True)
    )
    return softmax_cross_entropy(z, target)


softmax_cross_entropy = differential(
    "softmax_cross_entropy",
    value=on_floats(_cross_entropy_value),
    infer=_cross_entropy_infer,
    formula_of_differential=_cross_entropy_differential,
    batch=_cross_entropy_batch,
    formula=function_formula("crossentropy(softmax({0}), {1})"),
    analytic=False,  # the value rule takes a maximum
    source="Bridle, NIPS 1989; dL/dz = softmax(z) - t for a target t that sums to 1",
    summary="-sum_i t_i log softmax(z)_i over the last axis, from the logits z and a target distribution t.",
)

sigmoid_cross_entropy = elementwise(
    "sigmoid_cross_entropy",
    value=lambda xp, z, target: xp.maximum(z, 0) - z * target + xp.log1p(xp.exp(-xp.abs(z))),
    partials=(lambda out, z, target: sigmoid(z) - target, lambda out, z, target: -z),
    formula=function_formula("crossentropy(s({0}), {1})"),
    analytic=False,  # the value rule takes |z|
    source="-[(1-t) log(1-p) + t log p] with p = s(z); dL/dz = p - t",
    summary="Binary cross-entropy -[(1-t) log(1-s(z)) + t log s(z)] of the logit z; target t in [0, 1].",
)
