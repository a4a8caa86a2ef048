"""Rearrangements composed of the shaping ops: joining, splitting, repeating, padding, turning.

All of it is linear: a gradient goes back to the element that a value came from, summed where it was repeated.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from glassnet.core.registry import function
from glassnet.core.shape import normalize_axes
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.shaping import (
    broadcast_to,
    concatenate,
    expand_dims,
    one_axis,
    operand,
    ravel,
    reshape,
    transpose,
    whole_numbers,
)

Pairs = int | Sequence[Any]


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, index)


@function
def atleast_1d(x: Any) -> Any:
    """`x` with at least one axis.

    >>> atleast_1d(2.0)
    array([2.])
    """
    return reshape(x, 1) if np.ndim(x) == 0 else operand(x)


@function
def atleast_2d(x: Any) -> Any:
    """`x` with at least two axes: a vector becomes one row.

    >>> atleast_2d(np.zeros(3)).shape
    (1, 3)
    """
    x = atleast_1d(x)
    return expand_dims(x, 0) if x.ndim == 1 else x


@function
def atleast_3d(x: Any) -> Any:
    """`x` with at least three axes: a vector lies along the middle one, a matrix along the first two.

    >>> atleast_3d(np.zeros(3)).shape
    (1, 3, 1)
    """
    x = atleast_2d(x)
    return expand_dims(x, 2) if x.ndim == 2 else x


@function
def vstack(arrays: Sequence[Any]) -> Any:
    """Arrays on top of each other: along the first axis, a vector counting as one row.

    >>> vstack([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).shape
    (2, 2)
    """
    return concatenate([atleast_2d(x) for x in arrays])


@function
def hstack(arrays: Sequence[Any]) -> Any:
    """Arrays side by side: along the second axis, vectors along their only one.

    >>> hstack([np.array([1.0, 2.0]), np.array([3.0])])
    array([1., 2., 3.])
    """
    parts = [atleast_1d(x) for x in arrays]
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)


@function
def dstack(arrays: Sequence[Any]) -> Any:
    """Arrays behind each other: along the third axis.

    >>> dstack([np.zeros((2, 3)), np.ones((2, 3))]).shape
    (2, 3, 2)
    """
    return concatenate([atleast_3d(x) for x in arrays], 2)


@function
def column_stack(arrays: Sequence[Any]) -> Any:
    """Vectors as the columns of a matrix; matrices join side by side.

    >>> column_stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([[1., 3.],
           [2., 4.]])
    """
    return concatenate([reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in arrays], 1)


@function
def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """`x` with `values` joined to its end; without an axis both are flattened first.

    >>> append(np.array([1.0, 2.0]), 3.0)
    array([1., 2., 3.])
    """
    return concatenate([x, values], axis)


@function
def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """`x` cut along `axis`: into so many nearly equal parts, the longer ones first, or before given places.

    >>> [len(part) for part in array_split(np.arange(8), 3)]
    [3, 3, 2]
    """
    x = operand(x)
    place = one_axis(axis, x.ndim, "array_split")
    extent = x.shape[place]
    cuts = whole_numbers(indices_or_sections)
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections < 1:
            raise ConfigurationError(f"array_split got {indices_or_sections} sections; it makes 1 or more.")
        size, longer = divmod(extent, int(indices_or_sections))
        cuts = tuple(i * size + min(i, longer) for i in range(1, int(indices_or_sections)))
    return [x[_along(place, slice(a, b))] for a, b in zip([0, *cuts], [*cuts, extent], strict=True)]


@function
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """`x` cut along `axis` into so many equal parts, or before given places.

    >>> split(np.arange(6), [1, 4])
    [array([0]), array([1, 2, 3]), array([4, 5])]
    """
    x = operand(x)
    extent = x.shape[one_axis(axis, x.ndim, "split")]
    if isinstance(indices_or_sections, (int, np.integer)) and (
        indices_or_sections < 1 or extent % indices_or_sections
    ):
        raise ShapeError(
            f"split cannot cut an axis of {extent} into {indices_or_sections} equal parts; "
            "array_split makes unequal ones."
        )
    return array_split(x, indices_or_sections, axis)


@function
def vsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """`x` cut along its first axis, the inverse of `vstack`.

    >>> [part.shape for part in vsplit(np.zeros((4, 2)), 2)]
    [(2, 2), (2, 2)]
    """
    return split(x, indices_or_sections, 0)


@function
def hsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """`x` cut along its second axis (a vector along its only one), the inverse of `hstack`.

    >>> [part.shape for part in hsplit(np.zeros((4, 2)), 2)]
    [(4, 1), (4, 1)]
    """
    return split(x, indices_or_sections, 1 if np.ndim(x) > 1 else 0)


@function
def dsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """`x` cut along its third axis, the inverse of `dstack`.

    >>> [part.shape for part in dsplit(np.zeros((2, 2, 4)), 2)]
    [(2, 2, 2), (2, 2, 2)]
    """
    return split(x, indices_or_sections, 2)


@function
def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices of `x` along `axis`, the inverse of `stack`.

    >>> unstack(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    (array([1., 3.]), array([2., 4.]))
    """
    x = operand(x)
    place = one_axis(axis, x.ndim, "unstack")
    return tuple(x[_along(place, i)] for i in range(x.shape[place]))


@function
def tile(x: Any, reps: int | Sequence[int]) -> Any:
    """`x` laid side by side, `reps` times along each axis.

    >>> tile(np.array([1.0, 2.0]), 2)
    array([1., 2., 1., 2.])
    """
    counts = whole_numbers(reps)
    rank = max(np.ndim(x), len(counts))
    shape = (*(1,) * (rank - np.ndim(x)), *np.shape(x))
    counts = (*(1,) * (rank - len(counts)), *counts)
    apart = reshape(x, tuple(extent for pair in zip((1,) * rank, shape, strict=True) for extent in pair))
    repeated = broadcast_to(apart, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return reshape(repeated, tuple(count * extent for count, extent in zip(counts, shape, strict=True)))


@function
def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Any:
    """Each element of `x` repeated in place along `axis`: all alike, or each as its entry of `repeats` says.

    Without an axis the array is flattened first.

    >>> repeat(np.array([1.0, 2.0]), 2)
    array([1., 1., 2., 2.])
    """
    x = ravel(x) if axis is None else operand(x)
    place = one_axis(0 if axis is None else axis, x.ndim, "repeat")
    extent = x.shape[place]
    counts = np.atleast_1d(np.asarray(repeats))
    if counts.shape not in ((1,), (extent,)) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ShapeError(f"repeat needs one count, or one for each of the {extent} elements; got {repeats}.")
    if len(counts) == 1:
        count = int(counts[0])
        shape = (*x.shape[: place + 1], count, *x.shape[place + 1 :])
        together = broadcast_to(expand_dims(x, place + 1), shape)
        return reshape(together, (*x.shape[:place], extent * count, *x.shape[place + 1 :]))
    return x[_along(place, np.repeat(np.arange(int(extent)), counts))]


@function
def flip(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """`x` with the elements along `axis` in reverse order; None reverses all axes.

    >>> flip(np.array([1.0, 2.0, 3.0]))
    array([3., 2., 1.])
    """
    x = operand(x)
    axes = normalize_axes(axis, x.ndim, "flip")
    return x[tuple(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim))] if axes else x


@function
def fliplr(x: Any) -> Any:
    """`x` mirrored left to right: along its second axis.

    >>> fliplr(np.array([[1.0, 2.0]]))
    array([[2., 1.]])
    """
    return flip(x, 1)


@function
def flipud(x: Any) -> Any:
    """`x` mirrored up and down: along its first axis.

    >>> flipud(np.array([1.0, 2.0]))
    array([2., 1.])
    """
    return flip(x, 0)


@function
def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """`x` shifted along `axis`; what leaves at the end comes back at the front. None rolls the flat array.

    >>> roll(np.array([1.0, 2.0, 3.0]), 1)
    array([3., 1., 2.])
    """
    x = operand(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    for by, along in zip(*np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis)), strict=True):
        place = one_axis(along, x.ndim, "roll")
        start = -int(by) % max(x.shape[place], 1)
        if start:
            parts = [x[_along(place, slice(start, None))], x[_along(place, slice(0, start))]]
            x = concatenate(parts, place)
    return x


@function
def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """`x` turned by k quarters in the plane of two axes, from the first towards the second.

    >>> rot90(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[2., 4.],
           [1., 3.]])
    """
    rank = np.ndim(x)
    if len(axes) != 2:
        raise ShapeError(f"rot90 turns in the plane of two axes; it got {axes}.")
    first, second = (one_axis(axis, rank, "rot90") for axis in axes)
    if first == second:
        raise ShapeError(f"rot90 turns in the plane of two different axes; it got {axes}.")
    if k % 4 in (0, 2):
        return flip(x, (first, second)) if k % 4 else operand(x)
    order = list(range(rank))
    order[first], order[second] = second, first
    return transpose(flip(x, second), order) if k % 4 == 1 else flip(transpose(x, order), second)


def _pairs(given: Any, rank: int, name: str) -> list[tuple[Any, Any]]:
    # One entry for all, one pair for all axes, or one pair an axis, as in NumPy.
    entries = list(cast("Sequence[Any]", given)) if isinstance(given, (list, tuple)) else [given]
    if not any(isinstance(entry, (list, tuple)) for entry in entries):
        entries = [entries]
    pairs: list[tuple[Any, Any]] = [(entry[0], entry[-1]) for entry in entries if 1 <= len(entry) <= 2]
    pairs = pairs * rank if len(entries) == 1 else pairs
    if len(pairs) != rank:
        raise ShapeError(
            f"pad needs {name} as a number, a pair or a pair for each axis; got {given} for {rank} axes."
        )
    return pairs


@function
def pad(x: Any, pad_width: Pairs, mode: str = "constant", constant_values: Any = 0) -> Any:
    """`x` with borders: `pad_width` is one width, a pair (before, after), or a pair for each axis.

    `mode` is "constant" (filled with `constant_values`), "edge" (the outermost element), "reflect" (mirrored
    at it), "symmetric" (mirrored behind it) or "wrap" (periodic). The gradient of a border goes to the
    elements that it repeats.

    >>> pad(np.array([1.0, 2.0, 3.0]), (1, 2), mode="reflect")
    array([2., 1., 2., 3., 2., 1.])
    """
    x = operand(x)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ConfigurationError(
            f'pad got mode={mode!r}; it takes "constant", "edge", "reflect", "symmetric" and "wrap".'
        )
    widths = _pairs(pad_width, x.ndim, "the widths")
    fills = _pairs(constant_values, x.ndim, "the constants")
    for axis, (width, fill) in enumerate(zip(widths, fills, strict=True)):
        before, after = (operator.index(w) for w in width)
        if before < 0 or after < 0:
            raise ShapeError(f"pad got the widths {pad_width}; a border is 0 wide or more.")
        if before + after == 0:
            continue
        if mode == "constant":
            rest = [(*x.shape[:axis], w, *x.shape[axis + 1 :]) for w in (before, after)]
            front, back = (broadcast_to(operand(v), s) for v, s in zip(fill, rest, strict=True))
            x = concatenate([_as(front, x), x, _as(back, x)], axis)
        elif x.shape[axis] == 0:
            raise ShapeError(
                f'pad cannot repeat elements of an empty axis; mode="{mode}" needs at least one.'
            )
        else:
            # Where each element of the result comes from is NumPy's own answer for the row 0, 1, 2, ...
            places: Any = np.pad(np.arange(int(x.shape[axis])), (before, after), mode=cast("Any", mode))
            x = x[_along(axis, places)]
    return x


def _as(border: Any, x: Any) -> Any:
    # A plain border takes the dtype of what it surrounds, as in NumPy.
    return border if isinstance(border, Array) else border.astype(x.dtype)


@function
def block(arrays: Sequence[Any]) -> Any:
    """A matrix put together from a list of rows, each a list of blocks; or one row of blocks.

    >>> block([[np.eye(1), np.zeros((1, 1))], [np.ones((1, 2))]])
    array([[1., 0.],
           [1., 1.]])
    """
    if not all(isinstance(row, (list, tuple)) for row in arrays):
        return hstack(arrays)
    return concatenate([hstack([atleast_2d(x) for x in row]) for row in arrays])
