"""Reductions: sums and means over axes, and the log of a sum of exponentials."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import INT64, UINT64, DType
from glassnet.core.graph import Node
from glassnet.core.registry import function
from glassnet.core.shape import Shape, normalize_axes, size_of
from glassnet.ops.declare import differential, floating_dtype, function_formula, linear, on_floats
from glassnet.ops.exponential import exp
from glassnet.ops.shaping import broadcast_to, reshape

Axis = int | Iterable[int] | None


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left when `axes` are reduced."""
    if keepdims:
        return tuple(1 if i in axes else extent for i, extent in enumerate(shape))
    return tuple(extent for i, extent in enumerate(shape) if i not in axes)


def _infer(name: str) -> Any:
    def infer(x: Node, *, axes: tuple[int, ...], keepdims: bool) -> tuple[Shape, DType]:
        normalize_axes(axes, len(x.shape), name)
        # As in NumPy: small integers are summed in 64 bits.
        wide = {"b": INT64, "i": INT64, "u": UINT64}
        return reduced_shape(x.shape, axes, keepdims), wide.get(x.dtype.kind, x.dtype)

    return infer


def _infer_floating(x: Node, *, axes: tuple[int, ...], keepdims: bool) -> tuple[Shape, DType]:
    return reduced_shape(x.shape, axes, keepdims), floating_dtype(x.dtype)


def _batch(op: Any) -> Any:
    def batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
        axes = tuple(axis + 1 for axis in attributes["axes"])
        return op()(inputs[0], axes=axes, keepdims=attributes["keepdims"])

    return batch


def spread(x: Any, shape: Shape, axes: tuple[int, ...]) -> Any:
    """A reduced array, back over the axes that it was reduced along: the transpose of a sum."""
    return broadcast_to(reshape(x, reduced_shape(shape, axes, keepdims=True)), shape)


_sum = linear(
    "sum",
    value=lambda xp, x, *, axes, keepdims: xp.sum(x, axis=axes, keepdims=keepdims),
    infer=_infer("sum"),
    transpose=lambda position, cotangent, inputs, *, axes, keepdims: spread(cotangent, inputs[0].shape, axes),
    batch=_batch(lambda: _sum),
    formula=function_formula("sum({0})"),
    source="linearity",
    summary="The sum over the given axes.",
)


def _logsumexp_value(xp: Any, x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    # Shifted by the largest element, so that nothing overflows; an infinite largest element shifts by 0.
    top = xp.max(x, axis=axes, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    result = xp.log(xp.sum(xp.exp(x - top), axis=axes, keepdims=True)) + top
    return result if keepdims else xp.reshape(result, reduced_shape(x.shape, axes, keepdims=False))


def _logsumexp_differential(
    out: Any, inputs: Sequence[Any], tangents: Sequence[Any], *, axes: tuple[int, ...], keepdims: bool
) -> Any:
    shares = exp(inputs[0] - spread(out, inputs[0].shape, axes))
    return _sum(shares * tangents[0], axes=axes, keepdims=keepdims)


_logsumexp = differential(
    "logsumexp",
    value=on_floats(_logsumexp_value),
    infer=_infer_floating,
    formula_of_differential=_logsumexp_differential,
    batch=_batch(lambda: _logsumexp),
    formula=function_formula("logsumexp({0})"),
    analytic=False,  # the value rule takes a maximum
    source="Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021), equation 1.1",
    summary="log of the sum of exp(x) over the given axes.",
)


@function
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over `axis`; None means over all elements.

    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return _sum(x, axes=normalize_axes(axis, np.ndim(x), "sum"), keepdims=keepdims)


@function
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over `axis`: the sum divided by the number of elements that it adds.

    >>> float(mean(np.array([1.0, 2.0, 6.0])))
    3.0
    """
    axes = normalize_axes(axis, np.ndim(x), "mean")
    shape = np.shape(x)
    return _sum(x, axes=axes, keepdims=keepdims) / size_of(tuple(shape[i] for i in axes))


@function
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log sum exp(x) over `axis`, safe from overflow.

    >>> round(float(logsumexp(np.array([1000.0, 1000.0]))), 4)
    1000.6931
    """
    return _logsumexp(x, axes=normalize_axes(axis, np.ndim(x), "logsumexp"), keepdims=keepdims)
