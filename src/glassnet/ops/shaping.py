"""Shaping: the same elements in another arrangement. All of it is linear; the transposes undo it."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import Formula
from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.shape import Shape, broadcast_shapes, normalize_axes, size_of
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.declare import function_formula, linear

Batch = Sequence[Any]
_UNCHANGED = Formula("{0}")


def operand(x: Any) -> Any:
    """`x` where it is an array, traced or plain; a number or a nested list becomes an array."""
    return x if is_array(x) else FUNCTIONS["array"](x)


def is_array(x: Any) -> bool:
    """True for arrays, traced or plain."""
    return isinstance(x, (Array, np.ndarray))


def whole_numbers(x: int | Sequence[int]) -> tuple[int, ...]:
    """A whole number, or several, as a tuple of Python's."""
    return (int(x),) if isinstance(x, (int, np.integer)) else tuple(operator.index(n) for n in x)


def one_axis(axis: int, rank: int, name: str) -> int:
    """`axis` counted from the front; `name` is the function that the error speaks of."""
    return normalize_axes(operator.index(axis), rank, name)[0]


def _reshape_infer(x: Node, *, shape: Shape) -> tuple[Shape, DType]:
    if size_of(shape) != size_of(x.shape):
        raise ShapeError(f"reshape cannot turn shape {x.shape} into {shape}: the numbers of elements differ.")
    return shape, x.dtype


_reshape = linear(
    "reshape",
    value=lambda xp, x, *, shape: xp.reshape(x, shape),
    infer=_reshape_infer,
    transpose=lambda position, cotangent, inputs, *, shape: reshape(cotangent, inputs[0].shape),
    batch=lambda inputs, batched, attributes: reshape(inputs[0], (len(inputs[0]), *attributes["shape"])),
    formula=_UNCHANGED,
    source="definition",
    summary="The same elements, row by row, in another shape.",
)


@function
def reshape(x: Any, shape: int | Sequence[int], order: str = "C") -> Any:
    """The elements of `x` in another shape; one extent may be -1 and follows from the rest.

    `order` is "C" (the last index runs fastest) or "F" (the first does).

    >>> reshape(np.arange(6), (2, -1)).shape
    (2, 3)
    """
    wanted = whole_numbers(shape)
    if order == "F":
        return transpose(reshape(transpose(x), wanted[::-1]))
    if order != "C":
        raise ConfigurationError(f'reshape got order {order!r}; it takes "C" and "F".')
    if -1 in wanted:
        known = size_of(tuple(extent for extent in wanted if extent != -1))
        total = size_of(np.shape(x))
        if wanted.count(-1) > 1 or known == 0 or total % known:
            raise ShapeError(f"reshape cannot turn shape {np.shape(x)} into {wanted}.")
        wanted = tuple(total // known if extent == -1 else extent for extent in wanted)
    x = operand(x)
    return x if x.shape == wanted else _reshape(x, shape=wanted)


@function
def ravel(x: Any, order: str = "C") -> Any:
    """All elements of `x` in one row.

    >>> ravel(np.array([[1.0, 2.0], [3.0, 4.0]]), order="F")
    array([1., 3., 2., 4.])
    """
    return reshape(x, (-1,) if size_of(np.shape(x)) else (0,), order)


def _transpose_infer(x: Node, *, axes: tuple[int, ...]) -> tuple[Shape, DType]:
    return tuple(x.shape[axis] for axis in axes), x.dtype


def _transpose_batch(inputs: Batch, _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    return transpose(inputs[0], (0, *(axis + 1 for axis in attributes["axes"])))


_transpose = linear(
    "transpose",
    value=lambda xp, x, *, axes: xp.permute_dims(x, axes),
    infer=_transpose_infer,
    transpose=lambda position, cotangent, inputs, *, axes: transpose(
        cotangent, tuple(int(i) for i in np.argsort(axes))
    ),
    batch=_transpose_batch,
    formula=Formula("{0}^T"),
    source="definition",
    summary="The axes in another order.",
)


@function
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes of `x` in the order `axes`; reversed by default.

    >>> transpose(np.zeros((2, 3))).shape
    (3, 2)
    """
    x = operand(x)
    if axes is None:
        order = tuple(reversed(range(x.ndim)))
    else:
        order = tuple(one_axis(axis, x.ndim, "transpose") for axis in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose got the axes {axes} for an array of {x.ndim} dimensions.")
    return x if order == tuple(range(x.ndim)) else _transpose(x, axes=order)


@function
def permute_dims(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes of `x` in the order `axes`: the array API's name for `transpose`.

    >>> permute_dims(np.zeros((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    return transpose(x, axes)


@function
def matrix_transpose(x: Any) -> Any:
    """Every matrix of a stack transposed: the last two axes change places.

    >>> matrix_transpose(np.zeros((5, 2, 3))).shape
    (5, 3, 2)
    """
    if np.ndim(x) < 2:
        raise ShapeError(f"matrix_transpose needs at least 2 dimensions; it got shape {np.shape(x)}.")
    return swapaxes(x, -1, -2)


@function
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """`x` with two axes exchanged.

    >>> swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    order = list(range(np.ndim(x)))
    i, j = one_axis(axis1, len(order), "swapaxes"), one_axis(axis2, len(order), "swapaxes")
    order[i], order[j] = j, i
    return transpose(x, order)


@function
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """`x` with the axes `source` at the places `destination`; the others keep their order.

    >>> moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    rank = np.ndim(x)
    lists = [
        [one_axis(axis, rank, "moveaxis") for axis in ((axes,) if isinstance(axes, int) else axes)]
        for axes in (source, destination)
    ]
    if any(len(set(axes)) != len(axes) for axes in lists) or len(lists[0]) != len(lists[1]):
        raise ShapeError(f"moveaxis needs as many places as axes, each once: got {source} and {destination}.")
    order = [axis for axis in range(rank) if axis not in lists[0]]
    for place, axis in sorted(zip(lists[1], lists[0], strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


def _broadcast_infer(x: Node, *, shape: Shape) -> tuple[Shape, DType]:
    if broadcast_shapes("broadcast_to", x.shape, shape) != shape:
        raise ShapeError(f"broadcast_to cannot spread shape {x.shape} over {shape}.")
    return shape, x.dtype


def _broadcast_batch(inputs: Batch, _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    x, shape = inputs[0], attributes["shape"]
    lead, rest = x.shape[0], x.shape[1:]
    aligned = reshape(x, (lead, *(1,) * (len(shape) - len(rest)), *rest))
    return broadcast_to(aligned, (lead, *shape))


_broadcast_to = linear(
    "broadcast_to",
    value=lambda xp, x, *, shape: xp.broadcast_to(x, shape),
    infer=_broadcast_infer,
    transpose=lambda position, cotangent, inputs, *, shape: sum_to(cotangent, inputs[0].shape),
    batch=_broadcast_batch,
    formula=_UNCHANGED,
    source="definition",
    summary="The array repeated along new axes and axes of extent 1.",
)


@function
def broadcast_to(x: Any, shape: int | Sequence[int]) -> Any:
    """`x` repeated to `shape` by NumPy's rule.

    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    wanted = whole_numbers(shape)
    x = operand(x)
    return x if x.shape == wanted else _broadcast_to(x, shape=wanted)


@function
def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """Arrays, each repeated to their common shape.

    >>> [x.shape for x in broadcast_arrays(np.zeros((2, 1)), np.zeros(3))]
    [(2, 3), (2, 3)]
    """
    shape = broadcast_shapes("broadcast_arrays", *(np.shape(x) for x in arrays))
    return tuple(broadcast_to(x, shape) for x in arrays)


def sum_to(x: Any, shape: Shape) -> Any:
    """The sum over what broadcasting repeated: the transpose of `broadcast_to`."""
    own = np.shape(x)
    if own == shape:
        return x
    lead = len(own) - len(shape)
    axes = tuple(i for i in range(len(own)) if i < lead or (shape[i - lead] == 1 and own[i] != 1))
    return reshape(FUNCTIONS["sum"](x, axes), shape) if axes else reshape(x, shape)


def _concatenate_infer(*inputs: Node, axis: int) -> tuple[Shape, DType]:
    first = inputs[0].shape
    for x in inputs:
        if len(x.shape) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(x.shape, first, strict=True)) if i != axis
        ):
            raise ShapeError(
                f"concatenate got shapes {first} and {x.shape}, which differ beside axis {axis}."
            )
    total = 0
    for x in inputs:
        total += x.shape[axis]
    return (*first[:axis], total, *first[axis + 1 :]), np.result_type(*(x.dtype for x in inputs))


def _concatenate_transpose(position: int, cotangent: Any, inputs: Batch, *, axis: int) -> Any:
    start = 0
    for x in inputs[:position]:
        start += x.shape[axis]
    stop = start + inputs[position].shape[axis]
    return cotangent[(slice(None),) * axis + (slice(start, stop),)]


def _concatenate_batch(inputs: Batch, batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    extent = next(len(x) for x, flag in zip(inputs, batched, strict=True) if flag)
    full = [
        x if flag else broadcast_to(x, (extent, *np.shape(x)))
        for x, flag in zip(inputs, batched, strict=True)
    ]
    return _concatenate(*full, axis=attributes["axis"] + 1)


_concatenate = linear(
    "concatenate",
    value=lambda xp, *arrays, axis: xp.concat(arrays, axis=axis),
    infer=_concatenate_infer,
    transpose=_concatenate_transpose,
    batch=_concatenate_batch,
    formula=function_formula("concatenate"),
    source="definition",
    summary="Arrays joined along one axis.",
)


@function
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays joined along an axis that they have; None joins all their elements in one row.

    >>> concatenate([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    parts = [operand(x) for x in arrays]
    if not parts:
        raise ShapeError("concatenate needs at least one array; the list is empty.")
    if axis is None:
        parts, axis = [ravel(x) for x in parts], 0
    if parts[0].ndim == 0:
        raise ShapeError("concatenate joins arrays along an axis, and a scalar has none; use stack([...]).")
    return _concatenate(*parts, axis=one_axis(axis, parts[0].ndim, "concatenate"))


@function
def concat(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays joined along an axis that they have: the array API's name for `concatenate`.

    >>> concat([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    return concatenate(arrays, axis)


@function
def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """`x` with new axes of extent 1 at the positions `axis` of the result.

    >>> expand_dims(np.zeros(3), 0).shape
    (1, 3)
    """
    listed = (axis,) if isinstance(axis, int) else tuple(axis)
    rank = np.ndim(x) + len(listed)
    places = normalize_axes(listed, rank, "expand_dims")
    extents = iter(np.shape(x))
    return reshape(x, tuple(1 if i in places else next(extents) for i in range(rank)))


@function
def squeeze(x: Any, axis: int | Iterable[int] | None = None) -> Any:
    """`x` without its axes of extent 1, or without those at `axis`.

    >>> squeeze(np.zeros((1, 3, 1)), axis=-1).shape
    (1, 3)
    """
    shape = np.shape(x)
    if axis is None:
        dropped = tuple(i for i, extent in enumerate(shape) if extent == 1)
    else:
        dropped = normalize_axes(axis, len(shape), "squeeze")
    if any(shape[i] != 1 for i in dropped):
        raise ShapeError(f"squeeze drops axes of extent 1; axis {axis} of shape {shape} has another.")
    return reshape(x, tuple(extent for i, extent in enumerate(shape) if i not in dropped))


@function
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis.

    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([[1., 2.],
           [3., 4.]])
    """
    parts = list(arrays)
    shapes = {np.shape(x) for x in parts}
    if len(shapes) != 1:
        found = " and ".join(map(str, sorted(shapes))) if shapes else "no array"
        raise ShapeError(f"stack needs arrays of one shape; it got {found}.")
    return concatenate([expand_dims(x, axis) for x in parts], axis)
