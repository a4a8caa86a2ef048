"""Sliding windows: the arrangement behind convolution and pooling.

Along each of the last axes window p reads at tap k the element

    i = stride p + dilation k - low

and finds nothing where i lies outside: that is the padding, which is never stored as data. A `windows` op
lays these elements out, `fold` adds them back where they came from; each is the transpose of the other.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.declare import function_formula, linear

PerAxis = int | Sequence[int]
Padding = str | int | Sequence[int | tuple[int, int]]


@dataclass(frozen=True)
class Sliding:
    """How windows slide over some axes; every field has one entry an axis.

    `extents` are the numbers of windows, `window` those of taps, `low` the padding in front of an axis. What
    is behind it follows from the extents.
    """

    extents: Shape
    window: Shape
    stride: Shape
    dilation: Shape
    low: Shape

    def attributes(self) -> dict[str, Shape]:
        """The fields as attributes of an op."""
        return dict(vars(self))

    def lengths(self) -> Shape:
        """How far the windows reach along each axis, the padding in front included."""
        return tuple(
            s * (p - 1) + d * (k - 1) + 1
            for p, k, s, d in zip(self.extents, self.window, self.stride, self.dilation, strict=True)
        )


def read_windows(xp: Any, x: Any, sliding: Sliding, fill: Any = 0) -> Any:
    """The windows of x (..., *space) as (..., *extents, *window), with `fill` where there is nothing.

    NOTE a view without copies, which NumPy has and jax.numpy has not.
    """
    rank = len(sliding.window)
    lead, space = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
    margins = [
        (low, max(0, length - low - extent))
        for low, length, extent in zip(sliding.low, sliding.lengths(), space, strict=True)
    ]
    if any(margin != (0, 0) for margin in margins):
        x = xp.pad(x, [(0, 0)] * len(lead) + margins, constant_values=fill)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(sliding.window, sliding.dilation, strict=True))
    every = xp.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(len(lead), x.ndim)))
    steps = [slice(0, s * (p - 1) + 1, s) for p, s in zip(sliding.extents, sliding.stride, strict=True)]
    return every[(..., *steps, *(slice(None, None, d) for d in sliding.dilation))]


def overlap_add(xp: Any, y: Any, sliding: Sliding, space: Shape) -> Any:
    """The transpose of `read_windows`, from y (..., *window, *extents): what lands on one element adds up."""
    rank = len(space)
    lengths = (
        max(low + extent, length)
        for low, extent, length in zip(sliding.low, space, sliding.lengths(), strict=True)
    )
    out = xp.zeros((*y.shape[: y.ndim - 2 * rank], *lengths), dtype=y.dtype)
    lead = (slice(None),) * (y.ndim - 2 * rank)
    for taps in itertools.product(*map(range, sliding.window)):
        place = (
            slice(d * k, d * k + s * (p - 1) + 1, s)
            for k, p, s, d in zip(taps, sliding.extents, sliding.stride, sliding.dilation, strict=True)
        )
        out[(*lead, *place)] += y[(*lead, *taps)]
    return out[(*lead, *(slice(low, low + extent) for low, extent in zip(sliding.low, space, strict=True)))]


def _fold_value(xp: Any, y: Any, *, space: Shape, **sliding: Shape) -> Any:
    rank = len(space)
    lead = tuple(range(y.ndim - 2 * rank))
    windows_first = (*lead, *range(y.ndim - rank, y.ndim), *range(len(lead), y.ndim - rank))
    return overlap_add(xp, xp.permute_dims(y, windows_first), Sliding(**sliding), space)


def _windows_infer(x: Node, *, extents: Shape, window: Shape, **_: Shape) -> tuple[Shape, DType]:
    if len(x.shape) < len(window):
        raise ShapeError(f"Windows over {len(window)} axes do not fit an array of shape {x.shape}.")
    return (*x.shape[: len(x.shape) - len(window)], *extents, *window), x.dtype


def _fold_infer(y: Node, *, space: Shape, extents: Shape, window: Shape, **_: Shape) -> tuple[Shape, DType]:
    lead = y.shape[: len(y.shape) - 2 * len(space)]
    if y.shape != (*lead, *extents, *window):
        raise ShapeError(f"fold got shape {y.shape} for {extents} windows of {window}.")
    return (*lead, *space), y.dtype


windows = linear(
    "windows",
    value=lambda xp, x, **sliding: read_windows(xp, x, Sliding(**sliding)),
    infer=_windows_infer,
    transpose=lambda position, cotangent, inputs, **sliding: fold(
        cotangent, space=inputs[0].shape[-len(sliding["window"]) :], **sliding
    ),
    batch=lambda inputs, batched, attributes: windows(inputs[0], **attributes),
    formula=function_formula("windows({0})"),
    source="the arrangement known as im2col: Chellapilla, Puri and Simard, IWFHR 2006",
    summary="What sliding windows see over the last axes, zero outside: (..., *extents, *window).",
)
fold = linear(
    "fold",
    value=_fold_value,
    infer=_fold_infer,
    transpose=lambda position, cotangent, inputs, *, space, **sliding: windows(cotangent, **sliding),
    batch=lambda inputs, batched, attributes: fold(inputs[0], **attributes),
    formula=function_formula("fold({0})"),
    source="the transpose of windows",
    summary="What sliding windows hold, added up at the elements that they see.",
)


def per_axis(value: PerAxis, rank: int, name: str, where: str) -> Shape:
    """`value` as one positive whole number for each of `rank` axes."""
    listed = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(listed) != rank or any(not isinstance(v, int) or v < 1 for v in listed):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"{where} got {name}={value!r}; it takes a positive whole number, or one for each of {rank} axes."
        )
    return listed


def margins_of(padding: Padding, rank: int, where: str) -> tuple[tuple[int, int], ...]:
    """`padding` in numbers, (front, back) for each axis; "same" must be resolved before."""
    if padding == "valid":
        padding = 0
    entries: list[Any] = [padding] * rank if isinstance(padding, (int, str)) else list(padding)
    pairs = [(entry, entry) if isinstance(entry, int) else entry for entry in entries]
    for pair in pairs:
        whole = isinstance(pair, tuple) and all(isinstance(n, int) and n >= 0 for n in cast("Any", pair))
        if not whole or len(pair) != 2 or len(pairs) != rank:
            raise ConfigurationError(
                f'{where} got padding={padding!r}; it takes "valid", "same", a whole number >= 0, '
                f"or for each of {rank} axes a number or a pair (front, back)."
            )
    return tuple(pairs)


def slide(
    where: str,
    space: Shape,
    window: Shape,
    stride: PerAxis = 1,
    padding: Padding = "valid",
    dilation: PerAxis = 1,
) -> Sliding:
    """The windows that fit along axes of these extents; `where` is the function that errors speak of.

    With padding (front, back) there are floor((n + front + back - dilation (window - 1) - 1) / stride) + 1
    of them along an axis of n elements. "valid" is no padding; "same" is what ceil(n / stride) windows need,
    half of it in front, the odd one behind.
    """
    rank = len(window)
    steps, spread = per_axis(stride, rank, "stride", where), per_axis(dilation, rank, "dilation", where)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(window, spread, strict=True))
    if padding == "same":
        totals = (
            max(0, (-(-n // s) - 1) * s + span - n) for n, s, span in zip(space, steps, spans, strict=True)
        )
        margins = tuple((total // 2, total - total // 2) for total in totals)
    else:
        margins = margins_of(padding, rank, where)
    extents: list[int] = []
    for axis, (n, margin, span, s) in enumerate(zip(space, margins, spans, steps, strict=True)):
        room = n + margin[0] + margin[1] - span
        if room < 0:
            raise ShapeError(
                f"{where} needs {span} elements for one window along spatial axis {axis}, which has {n} "
                f"and a padding of {margin}; pad more or take a smaller window."
            )
        extents.append(room // s + 1)
    return Sliding(tuple(extents), window, steps, spread, tuple(front for front, _ in margins))


def sliding_of(attributes: Mapping[str, Any], window: Shape) -> Sliding:
    """The sliding of an op whose window is an operand of its own."""
    return Sliding(
        attributes["extents"], window, attributes["stride"], attributes["dilation"], attributes["low"]
    )
