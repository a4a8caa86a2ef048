"""What looks across the examples of a batch: the declared exception to "a layer sees one example"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.shape import Shape
from glassnet.ops.declare import constant, floating_dtype, function_formula, linear, on_floats
from glassnet.ops.reduction import mean
from glassnet.ops.shaping import broadcast_to


def _infer(x: Node) -> tuple[Shape, DType]:
    return x.shape, floating_dtype(x.dtype)


def _batch(inputs: Sequence[Any], _batched: Sequence[bool], _attributes: Mapping[str, Any]) -> Any:
    # Asked only where the example is batched; one that is not is its own mean already.
    (x,) = inputs
    return broadcast_to(mean(x, axis=0, keepdims=True), x.shape)


def _itself(_xp: Any, x: Any) -> Any:
    return x


def _transpose(_position: int, cotangent: Any, _inputs: Sequence[Any]) -> Any:
    return batch_mean(cotangent)  # averaging and handing out is its own transpose


_batch_mean = linear(
    "batch_mean",
    value=on_floats(_itself),
    infer=_infer,
    transpose=_transpose,
    batch=_batch,
    formula=function_formula("batch_mean({0})"),
    source="Ioffe and Szegedy, ICML (2015), algorithm 1",
    summary="The mean over the examples of the batch that vmap makes; one example alone is its own mean.",
)


def _infer_size(x: Node) -> tuple[Shape, DType]:
    return (), floating_dtype(x.dtype)


def _size_of_one(_xp: Any, x: Any) -> Any:
    return floating_dtype(np.asarray(x).dtype).type(1)


def _size_of_batch(inputs: Sequence[Any], _batched: Sequence[bool], _attributes: Mapping[str, Any]) -> Any:
    (x,) = inputs
    return np.full(x.shape[0], x.shape[0], floating_dtype(x.dtype))


_batch_size = constant(
    "batch_size",
    value=_size_of_one,
    infer=_infer_size,
    batch=_size_of_batch,
    reason="how many examples there are does not depend on their values",
    formula=function_formula("batch_size({0})"),
    analytic=False,
    source="definition",
    summary="The number of examples of the batch that vmap makes; 1 for one example alone.",
)


def batch_mean(x: Any) -> Any:
    """The mean of `x` over the examples of the batch: inside vmap every example gets the mean of all.

    One example alone, outside vmap, is its own mean. Shapes: the example's, unchanged. The derivative
    passes to all examples of the batch, so a gradient of one example's value has no meaning of its own.

    >>> gn.vmap(lambda x: x - gnp.batch_mean(x))(np.array([1.0, 2.0, 6.0]))
    array([-2., -1.,  3.])

    Source: Ioffe and Szegedy, ICML (2015), algorithm 1.
    """
    return _batch_mean(x)


def batch_size(x: Any) -> Any:
    """The number of examples in the batch that `x` is one of, as a floating number: 1 outside vmap.

    It is a constant to derivatives.

    >>> gn.vmap(lambda x: x / gnp.batch_size(x))(np.array([1.0, 2.0, 6.0, 3.0]))
    array([0.25, 0.5 , 1.5 , 0.75])
    """
    return _batch_size(x)
