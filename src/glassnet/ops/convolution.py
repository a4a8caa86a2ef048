"""Convolution, as networks use the word: the cross-correlation of an array with a kernel.

Along every spatial axis the element i of the input, the tap k of the kernel and the element p of the output
meet where

    i = stride p + dilation k - low.

The three play symmetric parts: an op sums over two of them. `convolution` gives p from i and k, and also the
gradient of the kernel, k from i and p, where stride and dilation change places. `transposed_convolution`
gives i from p and k. The two ops are closed under all their derivatives, of any order.

The other axes are named as in `contract`: spec "c,oc->o" sums over the channels c. Labels of further axes
make a batch of either operand, or of both, so that the ops are closed under batching as well.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.registry import OPS, function
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.declare import bilinear, function_formula
from glassnet.ops.matrix import split_spec
from glassnet.ops.shaping import operand, reshape
from glassnet.ops.windows import (
    Padding,
    PerAxis,
    Sliding,
    margins_of,
    overlap_add,
    per_axis,
    read_windows,
    slide,
    sliding_of,
)

_OUTPUTS, _TAPS = "PQRSTU", "KLMNOA"  # labels of the spatial axes; those of a spec are small letters


def _value(xp: Any, x: Any, w: Any, *, spec: str, **geometry: Shape) -> Any:
    x_labels, w_labels, out = split_spec(spec)
    rank = len(geometry["extents"])
    outputs, taps = _OUTPUTS[:rank], _TAPS[:rank]
    seen = read_windows(xp, x, sliding_of(geometry, w.shape[w.ndim - rank :]))
    full = f"{w_labels}{taps},{x_labels}{outputs}{taps}->{out}{outputs}"
    return OPS["contract"].value(xp, w, seen, spec=full)


def _transposed_value(xp: Any, y: Any, w: Any, *, spec: str, space: Shape, **geometry: Shape) -> Any:
    y_labels, w_labels, out = split_spec(spec)
    rank = len(space)
    outputs, taps = _OUTPUTS[:rank], _TAPS[:rank]
    full = f"{w_labels}{taps},{y_labels}{outputs}->{out}{taps}{outputs}"
    spread = OPS["contract"].value(xp, w, y, spec=full)
    window = w.shape[w.ndim - rank :]
    sliding = Sliding(y.shape[y.ndim - rank :], window, **geometry)
    return overlap_add(xp, spread, sliding, space)


def _labelled_shape(name: str, x: Node, w: Node, spec: str, rank: int) -> Shape:
    """The extents of the output's labels, if those of the operands agree."""
    x_labels, w_labels, out = split_spec(spec)
    if (len(x_labels) + rank, len(w_labels) + rank) != (len(x.shape), len(w.shape)):
        raise ShapeError(
            f"{name} over {rank} spatial axes with {spec!r} does not fit shapes {x.shape} and {w.shape}."
        )
    extents = dict(zip(x_labels, x.shape, strict=False))
    for label, extent in zip(w_labels, w.shape, strict=False):
        if extents.setdefault(label, extent) != extent:
            raise ShapeError(
                f"{name} of shapes {x.shape} and {w.shape} pairs an axis of {extents[label]} "
                f"with one of {extent}; they must agree."
            )
    return tuple(extents[label] for label in out)


def _infer(x: Node, w: Node, *, spec: str, extents: Shape, **_: Shape) -> tuple[Shape, DType]:
    named = _labelled_shape("convolution", x, w, spec, len(extents))
    return (*named, *extents), np.result_type(x.dtype, w.dtype)


def _transposed_infer(y: Node, w: Node, *, spec: str, space: Shape, **_: Shape) -> tuple[Shape, DType]:
    named = _labelled_shape("transposed_convolution", y, w, spec, len(space))
    return (*named, *space), np.result_type(y.dtype, w.dtype)


def _to_input(cotangent: Any, x: Any, w: Any, *, spec: str, extents: Shape, **geometry: Shape) -> Any:
    x_labels, w_labels, out = split_spec(spec)
    space = x.shape[len(x_labels) :]
    return transposed_convolution(cotangent, w, spec=f"{out},{w_labels}->{x_labels}", space=space, **geometry)


def _to_kernel(
    cotangent: Any,
    x: Any,
    w: Any,
    *,
    spec: str,
    extents: Shape,
    stride: Shape,
    dilation: Shape,
    low: Shape,
) -> Any:
    x_labels, w_labels, out = split_spec(spec)
    return convolution(
        x,
        cotangent,
        spec=f"{x_labels},{out}->{w_labels}",
        extents=w.shape[len(w_labels) :],
        stride=dilation,
        dilation=stride,
        low=low,
    )


def _transposed_to_input(
    cotangent: Any, y: Any, w: Any, *, spec: str, space: Shape, **geometry: Shape
) -> Any:
    y_labels, w_labels, out = split_spec(spec)
    extents = y.shape[len(y_labels) :]
    return convolution(cotangent, w, spec=f"{out},{w_labels}->{y_labels}", extents=extents, **geometry)


def _transposed_to_kernel(
    cotangent: Any,
    y: Any,
    w: Any,
    *,
    spec: str,
    space: Shape,
    stride: Shape,
    dilation: Shape,
    low: Shape,
) -> Any:
    y_labels, w_labels, out = split_spec(spec)
    return convolution(
        cotangent,
        y,
        spec=f"{out},{y_labels}->{w_labels}",
        extents=w.shape[len(w_labels) :],
        stride=dilation,
        dilation=stride,
        low=low,
    )


def _with_batch_label(spec: str, batched: Sequence[bool]) -> str:
    x, w, out = split_spec(spec)
    new = next(label for label in string.ascii_lowercase if label not in x + w)
    return f"{new if batched[0] else ''}{x},{new if batched[1] else ''}{w}->{new}{out}"


def _batch(inputs: Sequence[Any], batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    options = {**attributes, "spec": _with_batch_label(attributes["spec"], batched)}
    return convolution(*inputs, **options)


def _transposed_batch(inputs: Sequence[Any], batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    options = {**attributes, "spec": _with_batch_label(attributes["spec"], batched)}
    return transposed_convolution(*inputs, **options)


convolution = bilinear(
    "convolution",
    value=_value,
    infer=_infer,
    left=_to_input,
    right=_to_kernel,
    batch=_batch,
    formula=function_formula("conv({0}, {1})"),
    source="Dumoulin and Visin, arXiv 1603.07285, chapter 2",
    summary="out[p] = sum over taps k and shared labels of x[stride p + dilation k - low] w[k].",
)
transposed_convolution = bilinear(
    "transposed_convolution",
    value=_transposed_value,
    infer=_transposed_infer,
    left=_transposed_to_input,
    right=_transposed_to_kernel,
    batch=_transposed_batch,
    formula=function_formula("conv^T({0}, {1})"),
    source="Dumoulin and Visin, arXiv 1603.07285, chapter 4",
    summary="x[i] = sum of y[p] w[k] over all p and k with stride p + dilation k - low = i.",
)


def _checked(where: str, x: Any, w: Any, groups: int, channel_axis: int) -> tuple[Shape, Shape]:
    """The shapes of one example and of a kernel that fit; `channel_axis` of w meets the channels of x."""
    x_shape, w_shape = x.shape, w.shape
    rank = len(w_shape) - 2
    if not 1 <= rank <= 3:
        raise ShapeError(
            f"{where} takes a kernel of shape (channels, channels / groups, 1 to 3 spatial extents); "
            f"it got {w_shape}."
        )
    if len(x_shape) != rank + 1:
        raise ShapeError(
            f"{where} with a kernel of shape {w_shape} takes one example of shape (channels, {rank} spatial "
            f"extents); it got {x_shape}, and vmap adds the axis of a batch."
        )
    if 0 in w_shape[2:]:
        raise ShapeError(f"{where} got a kernel of shape {w_shape}, which has no taps.")
    if groups < 1 or w_shape[0] % groups:
        raise ConfigurationError(
            f"{where} got groups={groups}; it takes a positive divisor of the kernel's "
            f"first extent {w_shape[0]}."
        )
    needed = w_shape[0] if channel_axis == 0 else w_shape[1] * groups
    if x_shape[0] != needed:
        raise ShapeError(
            f"{where} got {x_shape[0]} channels in an array of shape {x_shape}, but a kernel of shape "
            f"{w_shape} with groups={groups} takes {needed}."
        )
    return x_shape, w_shape


def _grouped(x: Any, w: Any, groups: int) -> tuple[Any, Any]:
    """Both operands with an axis for the groups in front."""
    x_shape, w_shape = x.shape, w.shape
    return (
        reshape(x, (groups, x_shape[0] // groups, *x_shape[1:])),
        reshape(w, (groups, w_shape[0] // groups, *w_shape[1:])),
    )


@function
def conv(
    x: Any, w: Any, stride: PerAxis = 1, padding: Padding = "valid", dilation: PerAxis = 1, groups: int = 1
) -> Any:
    """The convolution of networks (a cross-correlation: the kernel is not flipped) of one example.

    out[o, p] = sum over c, k of x[c, stride p + dilation k - front] w[o, c, k], where x is 0 outside.

    Shapes: x (channels, *space), w (out, channels / groups, *taps) -> (out, *extents), with one to three
    spatial axes. `stride` and `dilation` are numbers, or one for each axis; `padding` is "valid" (none),
    "same" (ceil(n / stride) outputs), a number, or for each axis a number or a pair (front, back). With
    `groups` the channels fall into that many parts which do not mix; groups = channels is depthwise. A
    batch is vmap's: `gn.vmap(gnp.conv, in_axes=(0, None))(X, w)`.

    Raises ShapeError for operands that do not fit, ConfigurationError for options out of range.

    >>> conv(np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[[1.0, -1.0]]]))
    array([[-1., -2., -4.]])
    >>> conv(np.ones((1, 5, 5)), np.ones((2, 1, 3, 3)), stride=2, padding="same")[0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])

    Source: Dumoulin and Visin, "A guide to convolution arithmetic", arXiv 1603.07285, chapter 2.
    """
    x, w = operand(x), operand(w)
    x_shape, w_shape = _checked("conv", x, w, groups, channel_axis=1)
    sliding = slide("conv", x_shape[1:], w_shape[2:], stride, padding, dilation)
    options = {"extents": sliding.extents, **_geometry(sliding)}
    if groups == 1:
        return convolution(x, w, spec="c,oc->o", **options)
    out = convolution(*_grouped(x, w, groups), spec="gc,goc->go", **options)
    return reshape(out, (w_shape[0], *sliding.extents))


def _geometry(sliding: Sliding) -> dict[str, Shape]:
    return {"stride": sliding.stride, "dilation": sliding.dilation, "low": sliding.low}


@function
def conv_transpose(
    y: Any, w: Any, stride: PerAxis = 1, padding: Padding = "valid", dilation: PerAxis = 1, groups: int = 1
) -> Any:
    """The transpose of `conv` with the same kernel and options: from its outputs' shape to its inputs'.

    x[c, i] = sum of y[o, p] w[o, c, k] over all o, p, k with stride p + dilation k - front = i.

    Shapes: y (out, *extents), w (out, channels / groups, *taps) -> (channels, *space). Along an axis of p
    elements the result has stride (p - 1) + dilation (k - 1) + 1 - front - back of them, and stride p with
    padding "same". Options and errors as for `conv`.

    >>> conv_transpose(np.array([[1.0, 10.0]]), np.array([[[1.0, 2.0, 3.0]]]), stride=2)
    array([[ 1.,  2., 13., 20., 30.]])

    Source: Dumoulin and Visin, arXiv 1603.07285, chapter 4.
    """
    y, w = operand(y), operand(w)
    y_shape, w_shape = _checked("conv_transpose", y, w, groups, channel_axis=0)
    counts, window = y_shape[1:], w_shape[2:]
    rank = len(window)
    steps, spread = (
        per_axis(stride, rank, "stride", "conv_transpose"),
        per_axis(dilation, rank, "dilation", "conv_transpose"),
    )
    if padding == "same":
        space = tuple(p * s for p, s in zip(counts, steps, strict=True))
    else:
        bare = Sliding(counts, window, steps, spread, (0,) * rank).lengths()
        margins = margins_of(padding, rank, "conv_transpose")
        space = tuple(n - front - back for n, (front, back) in zip(bare, margins, strict=True))
    if min(*counts, *space) < 1:
        raise ShapeError(
            f"conv_transpose of an array of shape {y_shape} with padding={padding!r} leaves no elements; "
            "pad less."
        )
    sliding = slide("conv_transpose", space, window, stride, padding, dilation)
    if groups == 1:
        return transposed_convolution(y, w, spec="o,oc->c", space=space, **_geometry(sliding))
    out = transposed_convolution(
        *_grouped(y, w, groups), spec="go,goc->gc", space=space, **_geometry(sliding)
    )
    return reshape(out, (groups * w_shape[1], *space))


@function
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """NumPy's convolution of two vectors, sum over j of a[j] v[n - j]: here the second one is flipped.

    `mode` "full" gives all a.size + v.size - 1 sums, "same" the middle ones as many as the longer vector
    has, "valid" those without padding. Raises ShapeError for anything but two vectors with elements,
    ConfigurationError for another mode.

    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]))
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    a, v = operand(a), operand(v)
    longer, shorter = (a, v) if a.size >= v.size else (v, a)
    return _one_dimensional("convolve", longer, shorter[::-1], mode)


@function
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """NumPy's correlation of two vectors, sum over j of a[n + j] v[j].

    Modes and errors as for `convolve`; a longer second vector gives the result in reverse order.

    >>> correlate(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]), "full")
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    a, v = operand(a), operand(v)
    if v.size > a.size:
        return _one_dimensional("correlate", v, a, mode)[::-1]
    return _one_dimensional("correlate", a, v, mode)


def _one_dimensional(where: str, a: Any, v: Any, mode: str) -> Any:
    n, k = a.size, v.size
    if a.ndim != 1 or v.ndim != 1 or k == 0:
        raise ShapeError(f"{where} takes two vectors with elements; it got shapes {a.shape} and {v.shape}.")
    front = k // 2
    margins = {"full": (k - 1, k - 1), "same": (front, k - 1 - front), "valid": (0, 0)}
    if mode not in margins:
        raise ConfigurationError(f'{where} got mode {mode!r}; it takes "full", "same" or "valid".')
    sliding = slide(where, (n,), (k,), padding=[margins[mode]])
    return convolution(a, v, spec=",->", extents=sliding.extents, **_geometry(sliding))
