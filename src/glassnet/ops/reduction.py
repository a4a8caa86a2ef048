"""Reductions: sums, means, variances, truth and the log of a sum of exponentials, over any axes."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import BOOL, INT64, UINT64, DType
from glassnet.core.graph import Node
from glassnet.core.registry import function
from glassnet.core.shape import Shape, normalize_axes, size_of
from glassnet.errors import ShapeError
from glassnet.ops.arithmetic import sqrt, square
from glassnet.ops.comparison import choose, equal, not_equal
from glassnet.ops.comparison import where as select
from glassnet.ops.conversion import astype
from glassnet.ops.declare import constant, differential, floating_dtype, function_formula, linear, on_floats
from glassnet.ops.exponential import exp
from glassnet.ops.shaping import broadcast_to, reshape, transpose

Axis = int | Iterable[int] | None


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left when `axes` are reduced."""
    if keepdims:
        return tuple(1 if i in axes else extent for i, extent in enumerate(shape))
    return tuple(extent for i, extent in enumerate(shape) if i not in axes)


def wide_dtype(dtype: DType) -> DType:
    """The dtype of sums and products: as in NumPy, small integers add up in 64 bits."""
    return {"b": INT64, "i": INT64, "u": UINT64}.get(dtype.kind, dtype)


def infer_wide(name: str) -> Any:
    """The shape rule of a sum or product called `name`."""

    def infer(x: Node, *, axes: tuple[int, ...], keepdims: bool) -> tuple[Shape, DType]:
        normalize_axes(axes, len(x.shape), name)
        return reduced_shape(x.shape, axes, keepdims), wide_dtype(x.dtype)

    return infer


def _infer_floating(x: Node, *, axes: tuple[int, ...], keepdims: bool) -> tuple[Shape, DType]:
    return reduced_shape(x.shape, axes, keepdims), floating_dtype(x.dtype)


def batch_axes(op: Any) -> Any:
    """The batch rule of the reduction that `op()` gives: all axes are one further to the right."""

    def batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
        axes = tuple(axis + 1 for axis in attributes["axes"])
        return op()(inputs[0], axes=axes, keepdims=attributes["keepdims"])

    return batch


def spread(x: Any, shape: Shape, axes: tuple[int, ...]) -> Any:
    """A reduced array, back over the axes that it was reduced along: the transpose of a sum."""
    return broadcast_to(reshape(x, reduced_shape(shape, axes, keepdims=True)), shape)


def count_of(shape: Shape, axes: tuple[int, ...]) -> int:
    """How many elements a reduction over `axes` takes together."""
    return size_of(tuple(shape[axis] for axis in axes))


def joined(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with `axes` moved to the end and joined into one axis."""
    shape = np.shape(x)
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    moved = transpose(x, (*kept, *axes))
    return reshape(moved, (*(shape[i] for i in kept), count_of(shape, axes)))


_sum = linear(
    "sum",
    value=lambda xp, x, *, axes, keepdims: xp.sum(x, axis=axes, keepdims=keepdims),
    infer=infer_wide("sum"),
    transpose=lambda position, cotangent, inputs, *, axes, keepdims: spread(cotangent, inputs[0].shape, axes),
    batch=batch_axes(lambda: _sum),
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
    batch=batch_axes(lambda: _logsumexp),
    formula=function_formula("logsumexp({0})"),
    analytic=False,  # the value rule takes a maximum
    source="Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021), equation 1.1",
    summary="log of the sum of exp(x) over the given axes.",
)


def _truth(name: str, meaning: str) -> Any:
    op = constant(
        name,
        value=lambda xp, x, *, axes, keepdims: getattr(xp, name)(x, axis=axes, keepdims=keepdims),
        infer=lambda x, *, axes, keepdims: (reduced_shape(x.shape, axes, keepdims), BOOL),
        reason="truth is piecewise constant",
        batch=batch_axes(lambda: op),
        formula=function_formula(name + "({0})"),
        analytic=False,
        source="definition",
        summary=f"True where {meaning} over the given axes is true, that is not zero.",
    )
    return op


_any = _truth("any", "an element")
_all = _truth("all", "every element")


def counted(x: Any, dtype: Any, where: Any, neutral: float) -> Any:
    """`x` as `dtype` (None: its own), `neutral` standing where the mask `where` (None: none) is False."""
    x = x if dtype is None else astype(x, dtype)
    return x if where is None else select(where, x, neutral)


@function
def sum(
    x: Any,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    dtype: Any = None,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """The sum over `axis`; None means over all elements.

    The elements count as `dtype`, those where the mask `where` is False not at all; `initial` is added.

    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    x = counted(x, dtype, where, 0)
    total = _sum(x, axes=normalize_axes(axis, np.ndim(x), "sum"), keepdims=keepdims)
    return total if initial is None else total + initial


@function
def mean(x: Any, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None, where: Any = None) -> Any:
    """The mean over `axis`: the sum divided by the number of elements that it adds.

    The elements count as `dtype`, those where the mask `where` is False not at all.

    >>> float(mean(np.array([1.0, 2.0, 6.0])))
    3.0
    """
    x = counted(x, dtype, where, 0)
    axes = normalize_axes(axis, np.ndim(x), "mean")
    total = _sum(x, axes=axes, keepdims=keepdims)
    if where is None:
        return total / count_of(np.shape(x), axes)
    # The numbers of elements in the type of the total: an integer would make float32 a float64.
    chosen = choose(broadcast_to(where, np.shape(x)), 1, 0, total * 1.0)
    return total / _sum(chosen, axes=axes, keepdims=keepdims)


@function
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log sum exp(x) over `axis`, safe from overflow.

    >>> round(float(logsumexp(np.array([1000.0, 1000.0]))), 4)
    1000.6931
    """
    return _logsumexp(x, axes=normalize_axes(axis, np.ndim(x), "logsumexp"), keepdims=keepdims)


@function
def var(
    x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None
) -> Any:
    """The variance over `axis`: sum (x - mean(x))^2 / (n - ddof) of n elements.

    `ddof` is 0 for the variance of the elements themselves, 1 for the unbiased estimate from a sample;
    `correction` is its other name.

    >>> float(var(np.array([1.0, 2.0, 6.0])))
    4.666666666666667
    """
    ddof = ddof if correction is None else correction
    axes = normalize_axes(axis, np.ndim(x), "var")
    centred = x - mean(x, axes, keepdims=True)
    total = _sum(square(centred), axes=axes, keepdims=keepdims)
    return total / builtins.max(count_of(np.shape(x), axes) - ddof, 0)


def root(x: Any) -> Any:
    """The square root of a sum of squares, whose slope at 0 is taken as 0 (that of `sqrt` is infinite)."""
    zero = x == 0
    return select(zero, 0.0, sqrt(select(zero, x.dtype.type(1), x)))


@function
def std(
    x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False, *, correction: float | None = None
) -> Any:
    """The standard deviation over `axis`, the square root of `var`.

    Kink: where all elements are equal it is 0, and its derivative there is taken as 0 (the mean of the
    slopes to either side).

    >>> float(std(np.array([1.0, 3.0])))
    1.0
    """
    return root(var(x, axis, ddof, keepdims, correction=correction))


@function
def average(x: Any, axis: Axis = None, weights: Any = None, keepdims: bool = False) -> Any:
    """The weighted mean sum(w x) / sum(w) over `axis`.

    The weights have the shape of `x`, or are one vector along a single axis.

    >>> float(average(np.array([1.0, 5.0]), weights=np.array([3.0, 1.0])))
    2.0
    """
    if weights is None:
        return mean(x, axis, keepdims)
    shape, given = np.shape(x), np.shape(weights)
    axes = normalize_axes(axis, len(shape), "average")
    if given != shape:
        if len(axes) != 1 or given != (shape[axes[0]],):
            raise ShapeError(
                f"average got weights of shape {given} for an array of shape {shape}; "
                "they need that shape, or one axis and its extent."
            )
        weights = reshape(weights, tuple(n if i in axes else 1 for i, n in enumerate(shape)))
        weights = broadcast_to(weights, shape)
    return _sum(x * weights, axes=axes, keepdims=keepdims) / _sum(weights, axes=axes, keepdims=keepdims)


@function
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """True where an element over `axis` is not zero. Its derivative is zero: truth is piecewise constant.

    >>> bool(any(np.array([0.0, 2.0])))
    True
    """
    return _any(x, axes=normalize_axes(axis, np.ndim(x), "any"), keepdims=keepdims)


@function
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """True where every element over `axis` is not zero. Its derivative is zero.

    >>> bool(all(np.array([0.0, 2.0])))
    False
    """
    return _all(x, axes=normalize_axes(axis, np.ndim(x), "all"), keepdims=keepdims)


@function
def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The number of elements over `axis` that are not zero. Its derivative is zero.

    >>> int(count_nonzero(np.array([0.0, 2.0, -1.0])))
    2
    """
    axes = normalize_axes(axis, np.ndim(x), "count_nonzero")
    return _sum(not_equal(x, 0), axes=axes, keepdims=keepdims)


def _numbers(x: Any) -> Any:
    # True where an element is not NaN, the one number that differs from itself.
    return equal(x, x)


@function
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over `axis` of the elements that are not NaN, which take no derivative.

    >>> float(nansum(np.array([1.0, np.nan, 3.0])))
    4.0
    """
    axes = normalize_axes(axis, np.ndim(x), "nansum")
    return _sum(select(_numbers(x), x, 0), axes=axes, keepdims=keepdims)


@function
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over `axis` of the elements that are not NaN; NaN where there are none.

    >>> float(nanmean(np.array([1.0, np.nan, 3.0])))
    2.0
    """
    total = nansum(x, axis, keepdims)
    return total / sum(choose(_numbers(x), 1, 0, total), axis, keepdims)
