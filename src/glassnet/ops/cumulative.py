"""Products, and what accumulates along an axis. No derivative divides by an element, which may be zero."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.registry import function
from glassnet.core.shape import Shape, normalize_axes, size_of
from glassnet.ops.declare import differential, function_formula, linear
from glassnet.ops.reduction import Axis, batch_axes, counted, infer_wide, joined, reduced_shape, wide_dtype
from glassnet.ops.reduction import sum as sum_over
from glassnet.ops.shaping import concatenate, reshape


def _infer_along(x: Node, *, axis: int) -> tuple[Shape, DType]:
    return x.shape, wide_dtype(x.dtype)


def _batch_along(op: Any) -> Any:
    def batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
        return op()(inputs[0], axis=attributes["axis"] + 1)

    return batch


def _part(x: Any, axis: int, start: int | None, stop: int | None, step: int | None = None) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def _reverse(x: Any, axis: int) -> Any:
    return _part(x, axis, None, None, -1)


_cumsum = linear(
    "cumsum",
    value=lambda xp, x, *, axis: xp.cumsum(x, axis=axis),
    infer=_infer_along,
    transpose=lambda position, cotangent, inputs, *, axis: _reverse(
        _cumsum(_reverse(cotangent, axis), axis=axis), axis
    ),
    batch=_batch_along(lambda: _cumsum),
    formula=function_formula("cumsum({0})"),
    source="linearity; the transpose sums from the other end",
    summary="The sums of the first elements along an axis.",
)


def _before(x: Any, axis: int) -> Any:
    """At each place the product of all elements before it along the axis; 1 at the first."""
    shape = list(np.shape(x))
    shape[axis] = 1
    products = concatenate([np.ones(shape, x.dtype), _cumprod(x, axis=axis)], axis)
    return _part(products, axis, None, -1)


def _cumprod_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any], *, axis: int) -> Any:
    # d y_k = x_k d y_(k-1) + y_(k-1) d x_k. Taken over neighbours, then over pairs, fours, eights: at each
    # place `slope` is the differential of the product over the last `width` elements, once `factor` is that
    # product and carries over what lies before them.
    factor = inputs[0]
    slope = _before(factor, axis) * tangents[0]
    width, extent = 1, factor.shape[axis]
    while width < extent:
        reached = _part(factor, axis, width, None)
        slope = concatenate(
            [
                _part(slope, axis, None, width),
                _part(slope, axis, width, None) + reached * _part(slope, axis, None, -width),
            ],
            axis,
        )
        factor = concatenate(
            [_part(factor, axis, None, width), reached * _part(factor, axis, None, -width)], axis
        )
        width *= 2
    return slope


_cumprod = differential(
    "cumprod",
    value=lambda xp, x, *, axis: xp.cumprod(x, axis=axis),
    infer=_infer_along,
    formula_of_differential=_cumprod_differential,
    batch=_batch_along(lambda: _cumprod),
    formula=function_formula("cumprod({0})"),
    source="product rule; the recurrence by doubling: Hillis and Steele, CACM 29 (1986)",
    summary="The products of the first elements along an axis.",
)


def _prod_differential(
    out: Any, inputs: Sequence[Any], tangents: Sequence[Any], *, axes: tuple[int, ...], keepdims: bool
) -> Any:
    # d prod = sum_i (product of all elements before i) (product of all elements after i) d x_i
    rows = joined(inputs[0], axes)
    last = len(rows.shape) - 1
    others = _before(rows, last) * _reverse(_before(_reverse(rows, last), last), last)
    total = sum_over(others * joined(tangents[0], axes), axis=last)
    return reshape(total, reduced_shape(inputs[0].shape, axes, keepdims))


_prod = differential(
    "prod",
    value=lambda xp, x, *, axes, keepdims: xp.prod(x, axis=axes, keepdims=keepdims),
    infer=infer_wide("prod"),
    formula_of_differential=_prod_differential,
    batch=batch_axes(lambda: _prod),
    formula=function_formula("prod({0})"),
    source="product rule",
    summary="The product over the given axes.",
)


@function
def prod(
    x: Any,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: Any = None,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The product over `axis`; None means over all elements.

    The elements count as `dtype`, those where the mask `where` is False not at all; `initial` is a factor.

    d prod / d x_i is the product of the others, formed from those before i and those after i: right where
    elements are zero, and to any order.

    >>> float(prod(np.array([2.0, 3.0, 4.0])))
    24.0
    """
    x = counted(x, dtype, where, 1)
    product = _prod(x, axes=normalize_axes(axis, np.ndim(x), "prod"), keepdims=keepdims)
    return product if initial is None else product * initial


def _along(op: Any, x: Any, axis: int | None) -> Any:
    if axis is None:
        return op(reshape(x, (size_of(np.shape(x)),)), axis=0)
    (place,) = normalize_axes(axis, np.ndim(x), op.name)
    return op(x, axis=place)


@function
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The sums y_k = x_0 + ... + x_k along `axis`; None means over all elements row by row.

    >>> cumsum(np.array([1.0, 2.0, 3.0]))
    array([1., 3., 6.])
    """
    return _along(_cumsum, counted(x, dtype, None, 0), axis)


@function
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The products y_k = x_0 ... x_k along `axis`; None means over all elements row by row.

    Its derivative divides by no element: it is right where elements are zero, and to any order.

    >>> cumprod(np.array([2.0, 3.0, 4.0]))
    array([ 2.,  6., 24.])
    """
    return _along(_cumprod, counted(x, dtype, None, 1), axis)
