"""Convolution against sums written out in Python, against NumPy, and as the transpose of itself."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal
from glassnet.errors import ConfigurationError, GlassnetError, ShapeError
from glassnet.ops.convolution import convolution, transposed_convolution
from glassnet.transforms.tracing import trace

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "worked_examples.json").read_text())


def draw(stream: int, *shape: int) -> np.ndarray:
    return normal(Key(31, stream), shape)


def written_out(
    x: np.ndarray,
    w: np.ndarray,
    stride: tuple[int, ...],
    margins: list[tuple[int, int]],
    dilation: tuple[int, ...],
    groups: int,
) -> np.ndarray:
    """The definition, one product after the other, on an array that is padded for real."""
    x = np.pad(x, [(0, 0), *margins])
    channels, kernel = w.shape[1], w.shape[2:]
    extents = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:], kernel, stride, dilation, strict=True)
    ]
    out = np.zeros((w.shape[0], *extents))
    for place in np.ndindex(*out.shape):
        first = place[0] // (w.shape[0] // groups) * channels
        for tap in np.ndindex(channels, *kernel):
            i = [s * p + d * k for s, p, d, k in zip(stride, place[1:], dilation, tap[1:], strict=True)]
            out[place] += x[(first + tap[0], *i)] * w[(place[0], *tap)]
    return out


SETTINGS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], list[tuple[int, int]]]] = [
    ((2, 6), (3, 2, 3), {}, [(0, 0)]),
    ((2, 6), (3, 2, 2), {"stride": 2, "padding": 1}, [(1, 1)]),
    ((2, 7), (3, 2, 3), {"padding": [(2, 0)], "dilation": 2}, [(2, 0)]),
    ((4, 5, 6), (4, 2, 3, 2), {"stride": (2, 3), "padding": "same", "groups": 2}, [(1, 1), (0, 0)]),
    ((4, 5, 5), (8, 1, 3, 3), {"padding": [1, (0, 2)], "groups": 4}, [(1, 1), (0, 2)]),
    ((3, 5, 4), (2, 3, 2, 2), {"padding": "same", "dilation": (1, 3)}, [(0, 1), (1, 2)]),
    ((2, 4, 3, 5), (3, 2, 2, 3, 2), {"stride": (1, 2, 2), "padding": 1}, [(1, 1)] * 3),
]


@pytest.mark.parametrize(("x_shape", "w_shape", "options", "margins"), SETTINGS)
def test_conv_is_the_sum_written_out(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any], margins: Any
) -> None:
    rank = len(x_shape) - 1

    def each(name: str) -> tuple[int, ...]:
        value = options.get(name, 1)
        return (value,) * rank if isinstance(value, int) else value

    x, w = draw(1, *x_shape), draw(2, *w_shape)
    expected = written_out(x, w, each("stride"), margins, each("dilation"), options.get("groups", 1))
    np.testing.assert_allclose(gnp.conv(x, w, **options), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("x_shape", "w_shape", "options", "margins"), SETTINGS)
def test_the_derivatives_of_conv_agree_with_an_independent_calculation(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any], margins: Any
) -> None:
    report = gn.check_grads(
        lambda x, w: gnp.conv(gnp.sin(x), w * w, **options), draw(3, *x_shape), draw(4, *w_shape), order=3
    )
    assert report.largest_error <= 1e-9


@pytest.mark.parametrize(("x_shape", "w_shape", "options", "margins"), SETTINGS)
def test_conv_transpose_is_the_transpose_of_conv(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any], margins: Any
) -> None:
    w = draw(5, *w_shape)
    y = draw(6, *gnp.conv(np.zeros(x_shape), w, **options).shape)
    back = gnp.conv_transpose(y, w, **options)
    x = draw(7, *back.shape)
    forward = gnp.conv(x, w, **options)
    assert forward.shape == y.shape
    assert np.sum(forward * y) == pytest.approx(np.sum(x * back), rel=1e-12)
    assert gn.check_grads(lambda y, w: gnp.conv_transpose(y, w, **options), y, w).largest_error <= 1e-9


@pytest.mark.parametrize(
    ("count", "stride", "taps"), [*itertools.product((4, 5, 7), (1, 2, 3), (1, 2, 3, 4))]
)
def test_same_padding_gives_one_output_a_stride(count: int, stride: int, taps: int) -> None:
    w = np.ones((1, 1, taps))
    assert gnp.conv(np.ones((1, count)), w, stride, "same").shape == (1, -(-count // stride))
    assert gnp.conv_transpose(np.ones((1, count)), w, stride, "same").shape == (1, count * stride)


def line(start: float, stop: float, *shape: int) -> np.ndarray:
    return np.linspace(start, stop, int(np.prod(shape))).reshape(shape)


def test_the_published_convolution() -> None:
    x, w, b = line(-0.1, 0.5, 2, 3, 4, 4), line(-0.2, 0.3, 3, 3, 4, 4), line(-0.1, 0.2, 3, 1, 1)
    batched = gn.vmap(lambda x: gnp.conv(x, w, stride=2, padding=1) + b)
    np.testing.assert_allclose(batched(x), EXAMPLES["conv_forward"]["out"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_over_either_operand_is_a_loop_and_one_op(axes: tuple[int | None, int | None]) -> None:
    x, w = draw(8, 3, 4, 6), draw(9, 3, 4, 2, 3)

    def f(x: Any, w: Any) -> Any:
        return gnp.conv(x, w, stride=2, padding="same", groups=2)

    arguments = [a if axis == 0 else a[0] for a, axis in zip((x, w), axes, strict=True)]
    loop = [
        f(*(a if axis is None else a[i] for a, axis in zip(arguments, axes, strict=True))) for i in range(3)
    ]
    batched = gn.vmap(f, in_axes=axes)
    np.testing.assert_allclose(batched(*arguments), np.stack(loop), rtol=1e-12, atol=1e-13)
    ops = [node.op for node in trace(batched, *arguments)[0].nodes]
    assert ops.count(convolution) == 1


def test_gradients_of_examples_one_by_one() -> None:
    x, w = draw(10, 3, 2, 5), draw(11, 2, 2, 3)

    def loss(w: Any, x: Any) -> Any:
        return (gnp.tanh(gnp.conv(x, w, padding="same")) ** 2).sum()

    each = gn.vmap(gn.grad(loss), in_axes=(None, 0))(w, x)
    np.testing.assert_allclose(each, np.stack([gn.grad(loss)(w, x[i]) for i in range(3)]), rtol=1e-12)


def test_the_derivatives_of_a_convolution_are_convolutions() -> None:
    x, w = draw(12, 2, 5, 5), draw(13, 3, 2, 3, 3)
    graph, _ = trace(gn.grad(lambda x, w: gnp.conv(x, w, stride=2).sum(), wrt=(0, 1)), x, w)
    ops = [node.op for node in graph.nodes]
    assert ops.count(transposed_convolution) == 1
    assert ops.count(convolution) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_the_dtype_is_that_of_the_product(dtype: Any) -> None:
    x, w = np.ones((1, 4), dtype), np.ones((1, 1, 2), dtype)
    assert gnp.conv(x, w).dtype == dtype
    assert gnp.conv_transpose(x, w, stride=2).dtype == dtype


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_the_products_of_vectors_are_numpys(name: str, mode: str) -> None:
    ours, numpys = getattr(gnp, name), getattr(np, name)
    for n, k in itertools.product(range(1, 7), repeat=2):
        a, v = draw(14, n), draw(15, k)
        np.testing.assert_allclose(ours(a, v, mode), numpys(a, v, mode), rtol=1e-12, atol=1e-13)
        gn.check_grads(lambda a, v: ours(a, v, mode), a, v, tolerance=1e-9)
    assert ours([1, 2, 3], [0, 1], mode).tolist() == numpys([1, 2, 3], [0, 1], mode).tolist()


def test_numpys_own_function_works_on_a_traced_array() -> None:
    v = np.array([1.0, -2.0, 0.5])
    slope = gn.grad(lambda a: np.convolve(a, v).sum())(np.ones(4))
    np.testing.assert_allclose(slope, np.full(4, v.sum()))


X, W = np.ones((2, 5, 5)), np.ones((4, 2, 3, 3))
MISTAKES: list[tuple[type[GlassnetError], str, Any]] = [
    (ShapeError, r"3 channels in an array of shape \(3, 5, 5\)", lambda: gnp.conv(np.ones((3, 5, 5)), W)),
    (ShapeError, "vmap adds the axis of a batch", lambda: gnp.conv(np.ones((8, 2, 5, 5)), W)),
    (ShapeError, "1 to 3 spatial extents", lambda: gnp.conv(np.ones(5), np.ones(3))),
    (ShapeError, "has no taps", lambda: gnp.conv(X, np.ones((4, 2, 0, 3)))),
    (ShapeError, "needs 9 elements for one window along spatial axis 0", lambda: gnp.conv(X, W, dilation=4)),
    (ConfigurationError, "groups=3", lambda: gnp.conv(X, W, groups=3)),
    (ConfigurationError, "stride=0", lambda: gnp.conv(X, W, stride=0)),
    (ConfigurationError, r"dilation=\(1,\)", lambda: gnp.conv(X, W, dilation=(1,))),
    (ConfigurationError, "padding='full'", lambda: gnp.conv(X, W, padding="full")),
    (ConfigurationError, "padding=-1", lambda: gnp.conv(X, W, padding=-1)),
    (ConfigurationError, r"padding=\[1\]", lambda: gnp.conv(X, W, padding=[1])),
    (ShapeError, "2 channels in an array", lambda: gnp.conv_transpose(X, W)),
    (ShapeError, "leaves no elements", lambda: gnp.conv_transpose(np.ones((4, 1, 1)), W, padding=2)),
    (ShapeError, "pairs an axis of 2 with one of 3", lambda: _convolve(X, np.ones((4, 3, 3, 3)))),
    (ConfigurationError, "mode 'wrap'; it takes \"full\"", lambda: gnp.convolve([1.0], [1.0], "wrap")),
    (ShapeError, "two vectors with elements", lambda: gnp.correlate(np.ones(3), np.ones(0))),
    (ShapeError, "two vectors with elements", lambda: gnp.convolve(X, X)),
]


def _convolve(x: Any, w: Any) -> Any:
    sizes = {"stride": (1, 1), "dilation": (1, 1), "low": (0, 0)}
    return convolution(x, w, spec="c,oc->o", extents=(3, 3), **sizes)


@pytest.mark.parametrize(("kind", "words", "mistake"), MISTAKES)
def test_a_mistake_is_answered_in_one_sentence(kind: type[GlassnetError], words: str, mistake: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        mistake()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
