"""Indexing: x[...] as in NumPy, and taking along axes.

Two pairs of ops carry all of it, each the transpose of the other. A basic index (whole numbers, slices, None
and ...) is an attribute of `getitem` and `scatter`. Arrays of whole numbers are inputs of `gather` and
`put_add`, which see them on the leading axes: they may be traced, and batched.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from glassnet.core.dtype import BOOL, INT64, DType
from glassnet.core.graph import Node, describe
from glassnet.core.op import Formula
from glassnet.core.registry import function
from glassnet.core.shape import Shape, broadcast_shapes, normalize_axes, size_of
from glassnet.core.trace import Array
from glassnet.errors import ConcretizationError, ConfigurationError, DTypeError, ShapeError
from glassnet.ops.comparison import where as select
from glassnet.ops.declare import function_formula, linear
from glassnet.ops.shaping import broadcast_to, reshape, stack, transpose

Index = tuple[Any, ...]
Flags = Sequence[bool]
Attributes = Mapping[str, Any]


def _shape_at(shape: Shape, index: Index) -> Shape:
    # A broadcast view of one element has every shape at no cost: NumPy itself says what is left.
    try:
        return np.broadcast_to(np.empty(()), shape)[index].shape
    except IndexError as error:
        raise ShapeError(f"The index {index} does not fit the shape {shape}: {error}.") from None


def _scatter_value(xp: Any, x: Any, *, index: Index, shape: Shape) -> Any:
    out = xp.zeros(shape, dtype=x.dtype)
    out[index] = x  # NOTE in place; jax.numpy writes out.at[index].set(x)
    return out


_getitem = linear(
    "getitem",
    value=lambda xp, x, *, index: x[index],
    infer=lambda x, *, index: (_shape_at(x.shape, index), x.dtype),
    transpose=lambda position, cotangent, inputs, *, index: _scatter(
        cotangent, index=index, shape=inputs[0].shape
    ),
    batch=lambda inputs, batched, attributes: _getitem(inputs[0], index=(slice(None), *attributes["index"])),
    formula=Formula("{0}[{index}]"),
    source="definition",
    summary="The elements that a basic index selects.",
)


def _scatter_infer(x: Node, *, index: Index, shape: Shape) -> tuple[Shape, DType]:
    if _shape_at(shape, index) != x.shape:
        raise ShapeError(f"Values of shape {x.shape} do not fit the index {index} of shape {shape}.")
    return shape, x.dtype


def _scatter_batch(inputs: Sequence[Any], _batched: Flags, attributes: Attributes) -> Any:
    index, shape = attributes["index"], attributes["shape"]
    return _scatter(inputs[0], index=(slice(None), *index), shape=(len(inputs[0]), *shape))


_scatter = linear(
    "scatter",
    value=_scatter_value,
    infer=_scatter_infer,
    transpose=lambda position, cotangent, inputs, *, index, shape: _getitem(cotangent, index=index),
    batch=_scatter_batch,
    formula=function_formula("scatter({0})"),
    source="the transpose of indexing",
    summary="Zeros of the given shape with values at a basic index.",
)


def _index_shape(indices: Sequence[Node], shape: Shape) -> Shape:
    # The common shape of the index arrays, which replaces the leading axes of an array of this shape.
    for index in indices:
        if index.dtype.kind not in "iu":
            raise DTypeError(f"An index needs whole numbers; it got an array of dtype {index.dtype}.")
    if len(indices) > len(shape):
        raise ShapeError(f"An array of {len(shape)} dimensions got {len(indices)} indices.")
    return broadcast_shapes("indexing", *(index.shape for index in indices))


def _gather_infer(x: Node, *indices: Node) -> tuple[Shape, DType]:
    return (*_index_shape(indices, x.shape), *x.shape[len(indices) :]), x.dtype


def _put_add_infer(x: Node, *indices: Node, shape: Shape) -> tuple[Shape, DType]:
    expected = (*_index_shape(indices, shape), *shape[len(indices) :])
    if x.shape != expected:
        raise ShapeError(f"put_add got values of shape {x.shape} where the indices ask for {expected}.")
    return shape, x.dtype


def _flat_positions(xp: Any, indices: Sequence[Any], shape: Shape) -> Any:
    # The place of every indexed element in the array row by row, negative indices counted from the end.
    rest = size_of(shape[len(indices) :])
    flat: Any = 0
    for index, extent in zip(indices, shape, strict=False):
        index = xp.asarray(index).astype(INT64)
        if xp.any((index < -extent) | (index >= extent)):
            raise IndexError(f"an index is out of bounds for an axis of {extent} elements")
        flat = flat * extent + xp.where(index < 0, index + extent, index)
    return xp.expand_dims(flat, -1) * rest + xp.arange(rest)


def _put_add_value(xp: Any, x: Any, *indices: Any, shape: Shape) -> Any:
    out = xp.zeros(size_of(shape), dtype=x.dtype)
    # NOTE in place; jax.numpy writes out.at[positions].add(x). One flat index is five times faster than many.
    positions = _flat_positions(xp, indices, shape)
    xp.add.at(out, positions.reshape(-1), xp.reshape(x, (-1,)))
    return xp.reshape(out, shape)


def _index_rank(inputs: Sequence[Any], batched: Flags) -> int:
    # The number of dimensions that the indices of one example have in common.
    ranks = sorted(np.ndim(x) - flag for x, flag in zip(inputs[1:], batched[1:], strict=True))
    return ranks[-1]


def _batch_indices(inputs: Sequence[Any], batched: Flags, *, own: bool) -> tuple[int, list[Any]]:
    """The batch size and the index arrays, batch axis first; with `own` every example has its own array."""
    rank = _index_rank(inputs, batched)
    extent, aligned = 0, list[Any]()
    for index, flag in zip(inputs[1:], batched[1:], strict=True):
        if flag:
            extent, *rest = np.shape(index)
            index = reshape(index, (extent, *(1,) * (rank - len(rest)), *rest))
        aligned.append(index)
    if own:
        aligned.insert(0, np.arange(extent, dtype=INT64).reshape(extent, *(1,) * rank))
    return extent, aligned


def _lead(x: Any, axis: int, to: int) -> Any:
    """`x` with its axis number `axis` at position `to`."""
    order = [i for i in range(np.ndim(x)) if i != axis]
    order.insert(to, axis)
    return transpose(x, order)


def _gather_batch(inputs: Sequence[Any], batched: Flags, _attributes: Attributes) -> Any:
    x, *indices = inputs
    if True in batched[1:]:
        return gather(x, *_batch_indices(inputs, batched, own=batched[0])[1])
    # One index for the whole batch, whose axis stands behind the indexed ones meanwhile.
    return _lead(gather(_lead(x, 0, len(indices)), *indices), _index_rank(inputs, batched), 0)


def _put_add_batch(inputs: Sequence[Any], batched: Flags, attributes: Attributes) -> Any:
    (x, *indices), shape = inputs, attributes["shape"]
    if True in batched[1:]:
        extent, aligned = _batch_indices(inputs, batched, own=True)
        x = x if batched[0] else broadcast_to(x, (extent, *np.shape(x)))
        return put_add(x, *aligned, shape=(extent, *shape))
    count = len(indices)
    together = (*shape[:count], len(x), *shape[count:])
    return _lead(put_add(_lead(x, 0, _index_rank(inputs, batched)), *indices, shape=together), count, 0)


gather = linear(
    "gather",
    value=lambda xp, x, *indices: x[indices],
    infer=_gather_infer,
    transpose=lambda position, cotangent, inputs: put_add(cotangent, *inputs[1:], shape=inputs[0].shape),
    arguments=(0,),
    batch=_gather_batch,
    formula=function_formula("{0}[{1}]"),
    source="definition",
    summary="The elements at arrays of whole numbers, which index the leading axes and broadcast together.",
)
put_add = linear(
    "put_add",
    value=_put_add_value,
    infer=_put_add_infer,
    transpose=lambda position, cotangent, inputs, *, shape: gather(cotangent, *inputs[1:]),
    arguments=(0,),
    batch=_put_add_batch,
    formula=function_formula("scatter({0}, {1})"),
    source="the transpose of indexing: what is read more than once adds up",
    summary="Zeros of the given shape with values added at arrays of whole numbers.",
)


def operand(x: Any) -> Any:
    """`x` if it is traced, else as a plain array: what has a shape and a dtype."""
    return x if type(x) is Array else np.asarray(x)


def _is_slicing(part: Any) -> bool:
    return part is None or part is Ellipsis or isinstance(part, slice)


def _is_whole(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


@function
def nonzero(x: Any) -> tuple[Any, ...]:
    """The positions of the elements that are not zero: one array of whole numbers for each axis.

    How many there are depends on the values, so they must be known: inside vmap and compiled functions this
    raises ConcretizationError. Positions have no derivative.

    >>> nonzero(np.array([[3.0, 0.0], [0.0, 4.0]]))
    (array([0, 1]), array([0, 1]))
    """
    x = operand(x)
    if x.ndim == 0:
        raise ShapeError("nonzero needs an array of at least one dimension; a scalar has no positions.")
    if type(x) is Array and x.node.value is None:
        raise ConcretizationError(
            f"The number of nonzero elements is asked for where only the shape {list(x.shape)} is "
            f"known{describe(x.node.source)}; use where(condition, a, b) in place of nonzero or x[mask]."
        )
    return np.nonzero(x.value if type(x) is Array else x)


@function
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """x where the condition holds, else y; all three broadcast together.

    The derivative passes to x where the condition holds and to y elsewhere. With the condition alone it is
    `nonzero(condition)`.

    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ConfigurationError("where takes the condition alone, or the condition and both x and y.")
    return select(condition, x, y)


def _index_arrays(part: Any) -> tuple[list[Any], Shape | None]:
    """What one advanced part of an index means: arrays of whole numbers, and the shape of a mask."""
    items = cast("Sequence[Any]", part) if isinstance(part, (list, tuple)) else ()
    if any(type(item) is Array for item in items):
        part = stack(items)
    array = operand(part)
    if isinstance(part, (list, tuple)) and array.size == 0:
        array = array.astype(INT64)  # NumPy makes an empty list floating
    if array.dtype == BOOL and array.ndim:
        return list(nonzero(array)), array.shape
    if array.dtype.kind not in "iu":
        raise DTypeError(
            "An index takes whole numbers, slices, None, ..., arrays of whole numbers and masks; "
            f"it got {type(part).__name__} of dtype {array.dtype}."
        )
    return [array], None


def _advanced(x: Any, parts: Index) -> Any:
    """x[parts] with arrays among the parts: basic indexing, the indexed axes to the front, gather, back."""
    read: list[Any] = [part if _is_slicing(part) else _index_arrays(part) for part in parts]
    used = [0 if p is None or p is Ellipsis else len(p[0]) if isinstance(p, tuple) else 1 for p in read]
    free = x.ndim - int(np.sum(used))
    if free < 0 or [part is Ellipsis for part in parts].count(True) > 1:
        raise ShapeError(f"The index has {x.ndim - free} parts for an array of shape {x.shape}.")
    basic, places, indices = list[Any](), list[int](), list[Any]()
    runs, axis, beside = 0, 0, False
    for part, width in zip(read, used, strict=True):
        if isinstance(part, tuple):
            arrays, mask = cast("tuple[list[Any], Shape | None]", part)
            if mask is not None and mask != x.shape[axis : axis + width]:
                raise ShapeError(f"A mask of shape {mask} does not fit an array of shape {x.shape}.")
            runs += not beside
            places += range(len(basic), len(basic) + width)
            basic += [slice(None)] * width
            indices += arrays
        else:
            basic += [slice(None)] * free if part is Ellipsis else [part]
        axis += free if part is Ellipsis else width
        beside = isinstance(part, tuple)
    whole = all(part == slice(None) for part in basic)
    taken = x if whole else _getitem(x, index=tuple(basic))
    rest = [i for i in range(np.ndim(taken)) if i not in places]
    result = gather(transpose(taken, (*places, *rest)), *indices)
    # NumPy's rule: arrays side by side put their axes in their place, others in front.
    before = places[0] if runs == 1 else 0
    width = np.ndim(result) - len(rest)
    order = (*range(width, width + before), *range(width), *range(width + before, np.ndim(result)))
    return transpose(result, order)


@function
def getitem(x: Any, index: Any) -> Any:
    """x[index] as in NumPy: whole numbers, slices, None, ..., arrays of whole numbers, masks, all mixed.

    Its transpose puts values back into zeros; what an array of whole numbers reads more than once adds up.
    A mask must have known values, for they decide the shape of the result.

    >>> getitem(np.array([1.0, 5.0, 7.0]), [2, 0, 2])
    array([7., 1., 7.])
    """
    x = operand(x)
    parts = cast("Index", index if isinstance(index, tuple) else (index,))
    if all(_is_slicing(part) or _is_whole(part) for part in parts):
        return _getitem(x, index=tuple(int(part) if _is_whole(part) else part for part in parts))
    return _advanced(x, parts)


@function
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements of `x` at `indices` along `axis`; of all elements row by row where the axis is None.

    Shapes: x (..., n, ...), indices (k...) -> (..., k..., ...). Negative indices count from the end.

    >>> take(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0]), axis=1)
    array([[2., 2., 1.],
           [4., 4., 3.]])
    """
    x, indices = operand(x), operand(indices)
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"take needs whole numbers as indices; it got dtype {indices.dtype}.")
    if axis is None:
        return getitem(reshape(x, (x.size,)), indices)
    (place,) = normalize_axes(axis, x.ndim, "take")
    return getitem(x, ((slice(None),) * place + (indices,)))


@function
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """One element of `x` for each index: out[i, j, k] = x[i, indices[i, j, k], k] for axis 1.

    `x` and `indices` have as many dimensions, and broadcast together beside the axis. With axis None both
    are taken row by row.

    >>> take_along_axis(np.array([[5.0, 6.0], [7.0, 8.0]]), np.array([[1], [0]]), axis=1)
    array([[6.],
           [7.]])
    """
    x, indices = operand(x), operand(indices)
    if axis is None:
        x = reshape(x, (x.size,))
    if x.ndim != indices.ndim:
        raise ShapeError(
            f"take_along_axis needs as many dimensions in x as in indices: got {x.shape} and {indices.shape}."
        )
    (place,) = normalize_axes(0 if axis is None else axis, x.ndim, "take_along_axis")
    grid: list[Any] = [
        indices if i == place else np.arange(extent).reshape(extent, *(1,) * (x.ndim - 1 - i))
        for i, extent in enumerate(x.shape)
    ]
    return gather(x, *grid)
