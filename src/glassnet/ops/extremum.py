"""The largest and the smallest: where they are, what they are, and how far they lie apart."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import INT64, DType
from glassnet.core.graph import Node
from glassnet.core.registry import function
from glassnet.core.shape import Shape, normalize_axes, size_of
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.arithmetic import maximum, minimum
from glassnet.ops.comparison import where as select
from glassnet.ops.creation import full
from glassnet.ops.declare import constant, differential, function_formula
from glassnet.ops.indexing import take_along_axis
from glassnet.ops.reduction import Axis, batch_axes, count_of, joined, reduced_shape
from glassnet.ops.shaping import expand_dims, operand, reshape


def _not_empty(name: str, shape: Shape, axes: tuple[int, ...]) -> None:
    if count_of(shape, axes) == 0 and size_of(reduced_shape(shape, axes, keepdims=False)):
        raise ShapeError(f"{name} of no elements: the axes {axes} of shape {shape} are empty.")


def _place(name: str, adjective: str) -> Any:
    def infer(x: Node, *, axis: int) -> tuple[Shape, DType]:
        _not_empty(name, x.shape, (axis,))
        return reduced_shape(x.shape, (axis,), keepdims=False), INT64

    def batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
        return op(inputs[0], axis=attributes["axis"] + 1)

    op = constant(
        name,
        value=lambda xp, x, *, axis: getattr(xp, name)(x, axis=axis),
        infer=infer,
        reason="a position is a whole number",
        batch=batch,
        formula=function_formula(name + "({0})"),
        analytic=False,
        source="definition",
        summary=f"The position of the {adjective} element along an axis, the first of equal ones.",
    )
    return op


_argmax = _place("argmax", "largest")
_argmin = _place("argmin", "smallest")


def _extremum(name: str, adjective: str, place: Any) -> Any:
    def infer(x: Node, *, axes: tuple[int, ...], keepdims: bool) -> tuple[Shape, DType]:
        normalize_axes(axes, len(x.shape), name)
        _not_empty(name, x.shape, axes)
        return reduced_shape(x.shape, axes, keepdims), x.dtype

    def formula_of_differential(
        out: Any, inputs: Sequence[Any], tangents: Sequence[Any], *, axes: tuple[int, ...], keepdims: bool
    ) -> Any:
        rows = joined(inputs[0], axes)
        taken = place(rows, axis=len(rows.shape) - 1)
        slope = take_along_axis(joined(tangents[0], axes), expand_dims(taken, -1))
        return reshape(slope, reduced_shape(inputs[0].shape, axes, keepdims))

    op = differential(
        name,
        value=lambda xp, x, *, axes, keepdims: getattr(xp, name)(x, axis=axes, keepdims=keepdims),
        infer=infer,
        formula_of_differential=formula_of_differential,
        batch=batch_axes(lambda: op),
        formula=function_formula(name + "({0})"),
        kinks="of equal elements the first takes the derivative: 1 for it, 0 for the others",
        analytic=False,
        source="definition",
        summary=f"The {adjective} element over the given axes.",
    )
    return op


_max = _extremum("max", "largest", _argmax)
_min = _extremum("min", "smallest", _argmin)


def _position(op: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    shape = np.shape(x)
    if axis is None:
        places = op(reshape(x, (size_of(shape),)), axis=0)
        return reshape(places, (1,) * len(shape)) if keepdims else places
    (place,) = normalize_axes(axis, len(shape), op.name)
    places = op(x, axis=place)
    return expand_dims(places, place) if keepdims else places


@function
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The position of the largest element along `axis`, the first of equal ones; None: row by row.

    Its derivative is zero: a position is a whole number. Raises ShapeError where there is no element.

    >>> int(argmax(np.array([3.0, 7.0, 7.0])))
    1
    """
    return _position(_argmax, x, axis, keepdims)


@function
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The position of the smallest element along `axis`, the first of equal ones; None: row by row.

    Its derivative is zero: a position is a whole number. Raises ShapeError where there is no element.

    >>> int(argmin(np.array([3.0, 7.0, -1.0])))
    2
    """
    return _position(_argmin, x, axis, keepdims)


def _with_first(op: Any, of_two: Any, x: Any, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Any:
    if where is not None:
        if initial is None:
            raise ConfigurationError(f"{op.name} with `where` needs `initial`, for a mask may leave nothing.")
        x = select(where, x, initial)
    axes = normalize_axes(axis, np.ndim(x), op.name)
    if initial is None:
        return op(x, axes=axes, keepdims=keepdims)
    if count_of(np.shape(x), axes) == 0:
        return full(reduced_shape(np.shape(x), axes, keepdims), initial, operand(x).dtype)
    return of_two(initial, op(x, axes=axes, keepdims=keepdims))


@function
def max(x: Any, axis: Axis = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Any:
    """The largest element over `axis`; None means of all elements.

    `initial` counts as one element more, in front; those where the mask `where` is False do not count.

    Kink: of equal elements the first takes the derivative, 1 for it and 0 for the others. A NaN is the
    largest of all. Raises ShapeError where there is no element.

    >>> max(np.array([[1.0, 4.0], [5.0, 2.0]]), axis=1)
    array([4., 5.])
    """
    return _with_first(_max, maximum, x, axis, keepdims, initial, where)


@function
def min(x: Any, axis: Axis = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Any:
    """The smallest element over `axis`; None means of all elements.

    `initial` counts as one element more, in front; those where the mask `where` is False do not count.

    Kink: of equal elements the first takes the derivative, 1 for it and 0 for the others. A NaN is the
    smallest of all. Raises ShapeError where there is no element.

    >>> min(np.array([[1.0, 4.0], [5.0, 2.0]]), axis=1)
    array([1., 2.])
    """
    return _with_first(_min, minimum, x, axis, keepdims, initial, where)


amax = max
amin = min


@function
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The range over `axis`: the largest element less the smallest, with their kinks.

    >>> float(ptp(np.array([3.0, -1.0, 2.0])))
    4.0
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)
