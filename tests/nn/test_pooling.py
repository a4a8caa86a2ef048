"""Pooling against loops over every window, and what a mask takes out of it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalAveragePool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    Layer,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Run,
)
from glassnet.nn.pooling import Pooling
from tests.nn.gradients import check_form, check_layer, example_of

POOLS = [
    (MaxPool1D(), (6, 2)),
    (MaxPool1D(3, strides=2, padding="same"), (6, 2)),
    (MaxPool1D(3, strides=1, padding=(2, 1), data_format="channels_first"), (2, 5)),
    (MaxPool2D(2), (4, 5, 3)),
    (MaxPool2D((2, 3), strides=(1, 2), padding="same"), (3, 4, 2)),
    (MaxPool3D(2, strides=1), (2, 3, 3, 2)),
    (AveragePool1D(2), (5, 2)),
    (AveragePool1D(3, strides=1, padding="same", count_padding=True), (5, 2)),
    (AveragePool2D(3, strides=2, padding="same"), (4, 5, 2)),
    (AveragePool2D(2, padding=((1, 0), 1), data_format="channels_first"), (2, 4, 4)),
    (AveragePool3D((1, 2, 2), padding="same", count_padding=True), (2, 3, 3, 1)),
]
GLOBALS = [
    (GlobalMaxPool1D(), (5, 3)),
    (GlobalMaxPool2D(), (2, 3, 3)),
    (GlobalMaxPool3D(data_format="channels_first"), (2, 2, 3, 2)),
    (GlobalAveragePool1D(data_format="channels_first"), (3, 5)),
    (GlobalAveragePool2D(), (2, 3, 3)),
    (GlobalAveragePool3D(), (2, 3, 2, 2)),
]


def pooled(layer: Any, x: np.ndarray) -> np.ndarray:
    """Window by window; of the padding only its place is known."""
    x = x if layer.data_format == "channels_first" else np.moveaxis(x, -1, 0)
    space = x.shape[1:]

    def wide(value: Any) -> tuple[Any, ...]:
        return value if isinstance(value, tuple) else (value,) * len(space)

    window = wide(layer.pool_size)
    strides = window if layer.strides is None else wide(layer.strides)
    extents, fronts = [], []
    for axis, (n, k, s) in enumerate(zip(space, window, strides, strict=True)):
        if layer.padding == "same":
            extents.append(math.ceil(n / s))
            fronts.append(max((extents[-1] - 1) * s + k - n, 0) // 2)
            continue
        entry = 0 if layer.padding == "valid" else layer.padding
        if isinstance(entry, tuple) and len(space) > 1:
            entry = entry[axis]
        front, back = entry if isinstance(entry, tuple) else (entry, entry)
        extents.append((n + front + back - k) // s + 1)
        fronts.append(front)
    y = np.zeros((x.shape[0], *extents))
    for p in np.ndindex(*extents):
        starts = [s * at - front for s, at, front in zip(strides, p, fronts, strict=True)]
        seen = tuple(
            slice(max(start, 0), min(start + k, n)) for start, k, n in zip(starts, window, space, strict=True)
        )
        inside = x[(slice(None), *seen)].reshape(x.shape[0], -1)
        if isinstance(layer, (MaxPool1D, MaxPool2D, MaxPool3D)):
            y[(slice(None), *p)] = inside.max(axis=1)
        else:
            count = math.prod(window) if layer.count_padding else inside.shape[1]
            y[(slice(None), *p)] = inside.sum(axis=1) / count
    return y if layer.data_format == "channels_first" else np.moveaxis(y, 0, -1)


@pytest.mark.parametrize(("layer", "in_shape"), POOLS, ids=repr)
def test_pooling_is_one_number_of_each_window(layer: Layer, in_shape: tuple[int, ...]) -> None:
    x = example_of(in_shape) - 2.0  # mostly negative: zeros of the padding would win
    np.testing.assert_allclose(layer({}, x), pooled(layer, x), atol=1e-14)


@pytest.mark.parametrize(("layer", "in_shape"), GLOBALS, ids=repr)
def test_global_pooling_is_numpy_s(layer: Any, in_shape: tuple[int, ...]) -> None:
    x = example_of(in_shape)
    flat = (
        x.reshape(in_shape[0], -1) if layer.data_format == "channels_first" else x.reshape(-1, in_shape[-1]).T
    )
    expected = flat.max(axis=1) if "Max" in layer.kind else flat.mean(axis=1)
    np.testing.assert_allclose(layer({}, x), expected, atol=1e-15)


@pytest.mark.parametrize(("layer", "in_shape"), POOLS + GLOBALS, ids=repr)
def test_the_gradient_is_the_difference_quotient(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)


@pytest.mark.parametrize(("layer", "in_shape"), POOLS + GLOBALS, ids=repr)
def test_form_and_batches(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_form(layer, in_shape)


def test_of_equal_elements_the_first_takes_the_derivative() -> None:
    x = np.array([[3.0], [3.0], [1.0], [1.0]])
    for layer, expected in [(MaxPool1D(2), [1, 0, 1, 0]), (GlobalMaxPool1D(), [1, 0, 0, 0])]:
        slope = gn.grad(lambda x, layer=layer: layer({}, x).sum())(x)
        assert slope.ravel().tolist() == expected


# -- masks

LENGTH, SHORT = 9, 5


def masked(layer: Any, x: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, Any]:
    run = Run()
    run.set_mask(mask)
    first = layer.data_format == "channels_first"
    y = layer({}, x.T if first else x, run)
    return (y.T if first and y.ndim > 1 else y), run.mask


@pytest.mark.parametrize("filling", [np.nan, 1e9, -1e9])
@pytest.mark.parametrize(
    "layer",
    [
        MaxPool1D(2),
        MaxPool1D(3, strides=1, padding="same"),
        MaxPool1D(3, strides=2, padding=(0, 1), data_format="channels_first"),
        AveragePool1D(2),
        AveragePool1D(3, strides=1, padding="same"),
        AveragePool1D(3, strides=1, padding="same", count_padding=True),
        AveragePool1D(3, strides=2, padding=(1, 1), data_format="channels_first"),
    ],
    ids=repr,
)
def test_filling_at_the_end_of_a_sequence_changes_nothing(layer: Any, filling: float) -> None:
    x = example_of((SHORT, 2))
    filled = np.concatenate([x, np.full((LENGTH - SHORT, 2), filling)])
    alone = layer({}, x.T).T if layer.data_format == "channels_first" else layer({}, x)
    y, mask = masked(layer, filled, np.arange(LENGTH) < SHORT)
    assert mask.shape == y.shape[:1]
    np.testing.assert_allclose(y[mask], alone, atol=1e-14)
    assert not y[~mask].any()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("kind", [GlobalMaxPool1D, GlobalAveragePool1D])
def test_global_pooling_leaves_out_what_does_not_count(kind: Any, data_format: str) -> None:
    layer = kind(data_format=data_format)
    mask = np.array([False, True, True, False, True])
    x = np.where(mask[:, None], example_of((5, 3)), np.nan)
    y, after = masked(layer, x, mask)
    assert after is None
    np.testing.assert_allclose(y, replace(layer, data_format="channels_last")({}, x[mask]), atol=1e-15)
    assert masked(layer, x, np.zeros(5, bool))[0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "layer",
    [MaxPool1D(2), AveragePool1D(2, padding="same"), GlobalMaxPool1D(), GlobalAveragePool1D()],
    ids=repr,
)
@pytest.mark.parametrize("count", [0, 3])
def test_the_gradient_under_a_mask(layer: Layer, count: int) -> None:
    run = Run()
    run.set_mask(np.arange(5) < count)
    check_layer(layer, (5, 2), run)


@pytest.mark.parametrize("layer", [GlobalAveragePool1D(), AveragePool1D(3), MaxPool1D(3)], ids=repr)
def test_every_example_of_a_batch_has_a_mask_of_its_own(layer: Layer) -> None:
    X, lengths = example_of((3, 6, 2)), np.array([6, 4, 3])

    def output(x: Any, length: Any) -> Any:
        run = Run()
        run.set_mask(np.arange(6) < length)
        return layer({}, x, run)

    for y, x, length in zip(gn.vmap(output)(X, lengths), X, lengths, strict=True):
        alone = layer({}, x[:length])
        np.testing.assert_allclose(y[: len(alone)], alone, atol=1e-14)


def test_an_image_leaves_no_mask_of_positions() -> None:
    for layer in (MaxPool2D(2), AveragePool2D(2), GlobalMaxPool2D(), GlobalAveragePool2D()):
        run = Run()
        run.set_mask(np.array([True, False]))
        y = layer({}, np.ones((2, 2, 1)), run)
        assert run.mask is None
        assert y.ravel().tolist() == [1.0]


# -- shapes and options


@settings(max_examples=60)
@given(
    n=st.integers(1, 9),
    k=st.integers(1, 4),
    stride=st.one_of(st.none(), st.integers(1, 3)),
    padding=st.sampled_from(["valid", "same", 0, 1, (0, 1)]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
)
def test_output_shapes(n: int, k: int, stride: int | None, padding: Any, data_format: str) -> None:
    if padding in (1, (0, 1)) and k == 1:
        return  # refused, see below
    layer = MaxPool1D(k, stride, padding, data_format=data_format)
    shape = (n, 2) if data_format == "channels_last" else (2, n)
    try:
        expected = layer.output_shape(shape)
    except ShapeError:
        assert k > n
        return
    assert layer({}, np.ones(shape)).shape == expected
    assert AveragePool1D(k, stride, padding, data_format=data_format)({}, np.ones(shape)).shape == expected


@pytest.mark.parametrize(
    ("layer", "in_shape", "sentence"),
    [
        (MaxPool2D(2), (28, 28), "put Reshape((28, 28, 1)) in front of it."),
        (MaxPool1D(4), (3, 2), "needs 4 elements for one window along spatial axis 0, which has 3"),
        (
            GlobalMaxPool2D(),
            (3,),
            "GlobalMaxPool2D() takes images (height, width, channels), but gets examples of shape (3,): "
            "put Reshape((height, width, channels)) in front of it.",
        ),
        (GlobalAveragePool1D(), (0, 3), "takes one element or more along each axis"),
        (AveragePool1D(padding="same"), (0, 3), "takes one element or more along each axis"),
    ],
    ids=str,
)
def test_examples_that_do_not_fit(layer: Layer, in_shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        layer.init(Key(0), in_shape, FLOAT64)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"pool_size": 0},
            "MaxPool2D got pool_size=0; it takes a whole number of 1 or more, or a tuple of 2",
        ),
        ({"strides": (1, 2, 3)}, "MaxPool2D got strides=(1, 2, 3)"),
        ({"padding": "causal"}, "it takes 'valid', 'same', a whole number of 0 or more"),
        (
            {"padding": ((0, 2), 0)},
            "got padding=((0, 2), 0) and pool_size=2; the padding is less than the window, which otherwise "
            "sees nothing.",
        ),
        ({"data_format": None}, "it takes 'channels_last' or 'channels_first'."),
    ],
    ids=str,
)
def test_options_out_of_range(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        MaxPool2D(**options)


def test_the_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Pooling()
