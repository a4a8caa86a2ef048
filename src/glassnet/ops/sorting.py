"""Sorting. Between ties a sorted array is a permutation of its elements, and so is its derivative."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from glassnet.core.dtype import INT64
from glassnet.core.registry import function
from glassnet.core.shape import normalize_axes, size_of
from glassnet.errors import ShapeError
from glassnet.ops.comparison import equal, where
from glassnet.ops.declare import constant, function_formula
from glassnet.ops.indexing import take_along_axis
from glassnet.ops.reduction import joined, reduced_shape
from glassnet.ops.shaping import reshape

_argsort = constant(
    "argsort",
    value=lambda xp, x, *, axis: xp.argsort(x, axis=axis, stable=True),
    infer=lambda x, *, axis: (x.shape, INT64),
    reason="a position is a whole number",
    batch=lambda inputs, batched, attributes: _argsort(inputs[0], axis=attributes["axis"] + 1),
    formula=function_formula("argsort({0})"),
    analytic=False,
    source="definition",
    summary="The positions of the elements in rising order along an axis; equal ones stay in order.",
)


def _prepared(x: Any, axis: int | None, name: str) -> tuple[Any, int]:
    if axis is None:
        return reshape(x, (size_of(np.shape(x)),)), 0
    (place,) = normalize_axes(axis, np.ndim(x), name)
    return x, place


@function
def argsort(x: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Any:
    """The positions of the elements in rising order along `axis`; None: of all elements row by row.

    Equal elements stay in order whatever NumPy's `kind` and `stable` say, NaN comes last. Its
    derivative is zero: a position is a whole number.

    >>> argsort(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    x, place = _prepared(x, axis, "argsort")
    return _argsort(x, axis=place)


@function
def sort(x: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Any:
    """The elements in rising order along `axis`; None: all elements row by row.

    The derivative is the same permutation of the tangent. Kink: equal elements stay in order, and their
    derivatives with them, whatever NumPy's `kind` and `stable` say.

    >>> sort(np.array([3.0, 1.0, 2.0]))
    array([1., 2., 3.])
    """
    x, place = _prepared(x, axis, "sort")
    return take_along_axis(x, _argsort(x, axis=place), place)


@function
def median(x: Any, axis: int | Iterable[int] | None = None, keepdims: bool = False) -> Any:
    """The middle of the sorted elements over `axis`, the mean of the two middle ones of an even number.

    NaN where an element is NaN. Kinks as in `sort`. Raises ShapeError where there is no element.

    >>> float(median(np.array([7.0, 1.0, 2.0, 4.0])))
    3.0
    """
    axes = normalize_axes(axis, np.ndim(x), "median")
    rows = joined(x, axes)
    count = np.shape(rows)[-1]
    if count == 0:
        raise ShapeError(f"median of no elements: the axes {axes} of shape {np.shape(x)} are empty.")
    ordered = sort(rows)
    middle = ordered[..., (count - 1) // 2] / 2 + ordered[..., count // 2] / 2
    last = ordered[..., -1]
    result = where(equal(last, last), middle, last)
    return reshape(result, reduced_shape(np.shape(x), axes, keepdims))
