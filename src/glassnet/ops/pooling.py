"""Pooling: the largest element or the mean of every sliding window over the last axes."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import itertools
import string
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from glassnet.core.dtype import DType, is_floating
from glassnet.core.graph import Node
from glassnet.core.registry import function
from glassnet.core.shape import Shape
from glassnet.errors import ShapeError
from glassnet.ops.convolution import convolution
from glassnet.ops.declare import differential, floating_dtype, function_formula
from glassnet.ops.extremum import argmax
from glassnet.ops.indexing import take_along_axis
from glassnet.ops.reduction import joined
from glassnet.ops.shaping import expand_dims, operand, reshape
from glassnet.ops.windows import Padding, PerAxis, Sliding, per_axis, read_windows, slide, windows


def _lowest(dtype: DType) -> Any:
    if is_floating(dtype):
        return -np.inf
    return np.iinfo(dtype).min if dtype.kind in "iu" else False


def _max_pool_value(xp: Any, x: Any, **geometry: Shape) -> Any:
    sliding = Sliding(**geometry)
    seen = read_windows(xp, x, sliding, _lowest(x.dtype))
    # Tap after tap: a maximum along the short last axes is several times slower.
    return reduce(xp.maximum, (seen[(..., *taps)] for taps in itertools.product(*map(range, sliding.window))))


def _max_pool_infer(x: Node, *, extents: Shape, **_: Shape) -> tuple[Shape, DType]:
    if len(x.shape) < len(extents):
        raise ShapeError(f"max_pool over {len(extents)} axes does not fit an array of shape {x.shape}.")
    return (*x.shape[: len(x.shape) - len(extents)], *extents), x.dtype


def _outside(x: Any, sliding: Sliding) -> Any:
    """-inf for the taps that lie in the padding, 0 for those on an element of x."""
    space = x.shape[len(x.shape) - len(sliding.window) :]
    return read_windows(np, np.zeros(space, x.dtype), sliding, -np.inf)


def _max_pool_differential(
    out: Any, inputs: Sequence[Any], tangents: Sequence[Any], **geometry: Shape
) -> Any:
    # d out[p] = d x at the first of the largest elements of window p
    sliding, rank = Sliding(**geometry), len(geometry["window"])
    seen = windows(inputs[0], **geometry) + _outside(inputs[0], sliding)
    last = tuple(range(len(seen.shape) - rank, len(seen.shape)))
    place = expand_dims(argmax(joined(seen, last), axis=-1), -1)
    moved = take_along_axis(joined(windows(tangents[0], **geometry), last), place)
    return reshape(moved, out.shape)


_max_pool = differential(
    "max_pool",
    value=_max_pool_value,
    infer=_max_pool_infer,
    formula_of_differential=_max_pool_differential,
    batch=lambda inputs, batched, attributes: _max_pool(inputs[0], **attributes),
    formula=function_formula("maxpool({0})"),
    kinks="the first of equal elements of a window, row by row, takes the derivative",
    analytic=False,
    source="Weng, Ahuja and Huang, IJCNN 1992",
    summary="The largest element of every window over the last axes.",
)


def _sliding(
    where: str, x: Any, window: PerAxis, stride: PerAxis | None, padding: Padding, dilation: PerAxis
) -> Sliding:
    shape = x.shape
    rank = len(shape) - 1 if isinstance(window, int) else len(window)
    if not 1 <= rank <= len(shape):
        raise ShapeError(
            f"{where} got a window of {window} for an array of shape {shape}; a number spans all axes but "
            "the first, a tuple as many of the last axes as it has entries."
        )
    taps = per_axis(window, rank, "window", where)
    return slide(where, shape[-rank:], taps, taps if stride is None else stride, padding, dilation)


@function
def max_pool(
    x: Any,
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "valid",
    dilation: PerAxis = 1,
) -> Any:
    """The largest element of every window; the padding is never it.

    out[..., p] = max over taps k of x[..., stride p + dilation k - front].

    Shapes: x (..., *space) -> (..., *extents). A number as `window` spans all axes but the first (the
    channels), a tuple the last axes. `stride` is the window by default; `padding` and `dilation` are those
    of `conv`. Kinks: the first of equal elements, row by row, takes the derivative. The largest of all
    elements of an axis is `max` over it.

    Raises ShapeError where no window fits, ConfigurationError for options out of range.

    >>> max_pool(np.array([[1.0, 5.0, 2.0, 3.0, 4.0]]), 2)
    array([[5., 3.]])

    Source: Weng, Ahuja and Huang, "Cresceptron", IJCNN 1992.
    """
    x = operand(x)
    sliding = _sliding("max_pool", x, window, stride, padding, dilation)
    return _max_pool(x, **sliding.attributes())


@function
def avg_pool(
    x: Any,
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "valid",
    dilation: PerAxis = 1,
    count_padding: bool = False,
) -> Any:
    """The mean of every window, over the elements that it sees.

    out[..., p] = (1 / n_p) sum over taps k of x[..., stride p + dilation k - front].

    Here n_p is the number of taps of window p on an element of x; with `count_padding` it is the number of
    all taps, as if the padding were zeros of the array (a window in the padding alone gives 0 either way).
    Shapes, options and errors as for `max_pool`. The mean of all elements of an axis is `mean` over it.

    >>> avg_pool(np.array([[1.0, 5.0, 2.0]]), 2, stride=1, padding=1)
    array([[1. , 3. , 3.5, 2. ]])
    >>> avg_pool(np.array([[1.0, 5.0, 2.0]]), 2, stride=1, padding=1, count_padding=True)
    array([[0.5, 3. , 3.5, 1. ]])

    Source: LeCun et al., Proceedings of the IEEE 86 (1998), section II.B.
    """
    x = operand(x)
    sliding = _sliding("avg_pool", x, window, stride, padding, dilation)
    rank, dtype = len(sliding.window), floating_dtype(x.dtype)
    geometry = sliding.attributes()
    kernel = np.ones(geometry.pop("window"), dtype)
    lead = string.ascii_lowercase[: len(x.shape) - rank]
    total = convolution(x, kernel, spec=f"{lead},->{lead}", **geometry)
    if count_padding:
        return total / kernel.size
    space = x.shape[len(x.shape) - rank :]
    counts = read_windows(np, np.ones(space, dtype), sliding).sum(axis=tuple(range(-rank, 0)))
    return total / np.maximum(counts, 1)
