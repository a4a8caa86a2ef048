"""Shapes: broadcasting and axes, with sentences for what does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index

from glassnet.errors import ShapeError

Shape = tuple[int, ...]


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The common shape of `shapes` by NumPy's rule; `name` is the op that the error speaks of."""
    rank = max((len(shape) for shape in shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for position, size in enumerate(shape, rank - len(shape)):
            if result[position] == 1:
                result[position] = size
            elif size not in (1, result[position]):
                listed = " and ".join(str(shape) for shape in shapes)
                raise ShapeError(f"{name} got operands of shapes {listed}, which do not broadcast together.")
    return tuple(result)


def normalize_axes(axes: int | Iterable[int] | None, rank: int, name: str) -> tuple[int, ...]:
    """`axes` as sorted non-negative numbers; None means all of them."""
    if axes is None:
        return tuple(range(rank))
    try:
        # A NumPy integer is a number too, but no `int`.
        listed = tuple(map(index, axes)) if isinstance(axes, Iterable) else (index(axes),)
    except TypeError:
        raise ShapeError(f"{name} got axis={axes!r}; an axis is a whole number.") from None
    result: list[int] = []
    for axis in listed:
        if not -rank <= axis < rank:
            raise ShapeError(f"{name} got axis {axis} for an array of {rank} dimensions.")
        result.append(axis % rank)
    if len(set(result)) != len(result):
        raise ShapeError(f"{name} got the same axis twice: {listed}.")
    return tuple(sorted(result))


def size_of(shape: Shape) -> int:
    """The number of elements of an array of this shape."""
    total = 1
    for extent in shape:
        total *= extent
    return total
