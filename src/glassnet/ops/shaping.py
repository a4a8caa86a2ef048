"""Shaping: the same elements in another arrangement. All of it is linear; the transposes undo it."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import Formula
from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.shape import Shape, broadcast_shapes, size_of
from glassnet.errors import ShapeError
from glassnet.ops.declare import function_formula, linear

Batch = Sequence[Any]
_UNCHANGED = Formula("{0}")


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
def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """The elements of `x` in another shape; one extent may be -1 and follows from the rest.

    >>> reshape(np.arange(6), (2, -1)).shape
    (2, 3)
    """
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if -1 in wanted:
        known = size_of(tuple(extent for extent in wanted if extent != -1))
        total = size_of(np.shape(x))
        if wanted.count(-1) > 1 or known == 0 or total % known:
            raise ShapeError(f"reshape cannot turn shape {np.shape(x)} into {wanted}.")
        wanted = tuple(total // known if extent == -1 else extent for extent in wanted)
    return x if np.shape(x) == wanted else _reshape(x, shape=wanted)


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
    rank = np.ndim(x)
    order = tuple(reversed(range(rank))) if axes is None else tuple(axis % rank for axis in axes)
    if sorted(order) != list(range(rank)):
        raise ShapeError(f"transpose got the axes {axes} for an array of {rank} dimensions.")
    return x if order == tuple(range(rank)) else _transpose(x, axes=order)


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
def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """`x` repeated to `shape` by NumPy's rule.

    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    wanted = tuple(shape)
    return x if np.shape(x) == wanted else _broadcast_to(x, shape=wanted)


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
def concatenate(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays joined along an axis that they have.

    >>> concatenate([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    return _concatenate(*arrays, axis=axis % np.ndim(arrays[0]))


@function
def expand_dims(x: Any, axis: int) -> Any:
    """`x` with a new axis of extent 1 at position `axis`.

    >>> expand_dims(np.zeros(3), 0).shape
    (1, 3)
    """
    shape = list(np.shape(x))
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return reshape(x, tuple(shape))


@function
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis.

    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([[1., 2.],
           [3., 4.]])
    """
    return concatenate([expand_dims(x, axis) for x in arrays], axis)
