"""Convolutions and transposed convolutions against loops over every output element and every tap."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Layer,
    Run,
)
from glassnet.nn.convolution import Convolution
from glassnet.nn.initializers import Normal
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

CONVOLUTIONS = [
    (Conv1D(3, 2), (6, 2)),
    (Conv1D(4, 3, strides=2, padding="same", activation="tanh"), (8, 3)),
    (Conv1D(2, 3, padding="causal", dilation=2, use_bias=False), (7, 2)),
    (Conv1D(2, 3, padding=(2, 1)), (5, 1)),
    (Conv2D(4, 3), (5, 6, 2)),
    (Conv2D(2, (2, 3), strides=(2, 1), padding="same", kernel_initializer="he_uniform"), (5, 4, 2)),
    (Conv2D(4, 2, dilation=(1, 2), groups=2), (5, 5, 4)),
    (Conv2D(6, 3, groups=3, padding=1), (4, 4, 3)),  # depthwise, two kernels for each channel
    (Conv2D(2, 2, strides=2, padding=((1, 0), 2), data_format="channels_first"), (3, 4, 5)),
    (Conv2D(3, 1, activation="softmax"), (2, 3, 2)),
    (Conv3D(2, 2, padding="same", strides=(1, 2, 1)), (2, 3, 3, 2)),
]
TRANSPOSED = [
    (Conv1DTranspose(2, 3), (4, 2)),
    (Conv1DTranspose(2, 3, strides=3, padding=1, output_padding=2, activation="tanh"), (4, 3)),
    (Conv2DTranspose(2, 3, strides=2, padding="same"), (3, 4, 2)),
    (Conv2DTranspose(2, 2, strides=3, padding="same", use_bias=False), (3, 2, 1)),
    (Conv2DTranspose(3, (3, 2), strides=(2, 1), padding=(1, 0), output_padding=(1, 0)), (3, 3, 2)),
    (Conv2DTranspose(2, 2, dilation=2, data_format="channels_first"), (2, 3, 3)),
    (Conv3DTranspose(2, 2, strides=(1, 2, 2)), (2, 2, 2, 1)),
]
EVERY = CONVOLUTIONS + TRANSPOSED


def margins_of(layer: Any, space: tuple[int, ...], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Front and back, with TensorFlow's rule for "same"."""
    margins = []
    spans = [
        d * (k - 1) + 1 for k, d in zip(wide(layer, "kernel_size"), wide(layer, "dilation"), strict=True)
    ]
    for axis, (n, span, step) in enumerate(zip(space, spans, strides, strict=True)):
        total = max((-(-n // step) - 1) * step + span - n, 0)
        if layer.padding in ("valid", "same", "causal"):
            named = {"valid": (0, 0), "same": (total // 2, total - total // 2), "causal": (span - 1, 0)}
            margins.append(named[layer.padding])
        elif isinstance(layer.padding, int):
            margins.append((layer.padding, layer.padding))
        else:
            entry = layer.padding if len(space) == 1 else layer.padding[axis]
            margins.append(entry if isinstance(entry, tuple) else (entry, entry))
    return margins


def wide(layer: Any, name: str) -> tuple[int, ...]:
    value = getattr(layer, name)
    rank = int(re.findall(r"(\d)D", layer.kind)[0])
    return value if isinstance(value, tuple) else (value,) * rank


def convolved(layer: Any, parameters: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """z of a convolution, one product at a time."""
    x = x if layer.data_format == "channels_first" else np.moveaxis(x, -1, 0)
    weight, strides, dilation = parameters["weight"], wide(layer, "strides"), wide(layer, "dilation")
    margins = margins_of(layer, x.shape[1:], strides)
    padded = np.pad(x, [(0, 0), *margins])
    taps = weight.shape[2:]
    extents = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(padded.shape[1:], taps, strides, dilation, strict=True)
    ]
    z = np.zeros((layer.filters, *extents))
    for o, c, p, k in itertools.product(
        range(layer.filters), range(weight.shape[1]), np.ndindex(*extents), np.ndindex(*taps)
    ):
        place = (s * at + d * tap for s, at, d, tap in zip(strides, p, dilation, k, strict=True))
        channel = o // (layer.filters // layer.groups) * weight.shape[1] + c
        z[(o, *p)] += weight[(o, c, *k)] * padded[(channel, *place)]
    return finished(layer, parameters, z)


def spread(layer: Any, parameters: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """z of a transposed convolution: everything spread, then the margins cut away."""
    x = x if layer.data_format == "channels_first" else np.moveaxis(x, -1, 0)
    weight, strides, dilation = parameters["weight"], wide(layer, "strides"), wide(layer, "dilation")
    taps, more = weight.shape[2:], wide(layer, "output_padding")
    full = np.zeros(
        (
            layer.filters,
            *(
                # room for what output_padding and "same" add behind
                s * (n - 1) + d * (k - 1) + 1 + s
                for n, k, s, d in zip(x.shape[1:], taps, strides, dilation, strict=True)
            ),
        )
    )
    for o, c, p, k in itertools.product(
        range(layer.filters), range(x.shape[0]), np.ndindex(*x.shape[1:]), np.ndindex(*taps)
    ):
        place = (s * at + d * tap for s, at, d, tap in zip(strides, p, dilation, k, strict=True))
        full[(o, *place)] += weight[(o, c, *k)] * x[(c, *p)]
    cut = []
    for axis, (n, k, s, d) in enumerate(zip(x.shape[1:], taps, strides, dilation, strict=True)):
        bare = s * (n - 1) + d * (k - 1) + 1
        if layer.padding == "same":
            front = max(bare - s * n, 0) // 2
            cut.append(slice(front, front + s * n))
        else:
            front, back = margins_of(layer, x.shape[1:], strides)[axis]
            cut.append(slice(front, bare - back + more[axis]))
    return finished(layer, parameters, full[(slice(None), *cut)])


def finished(layer: Any, parameters: dict[str, Any], z: np.ndarray) -> np.ndarray:
    if layer.use_bias:
        z = z + parameters["bias"].reshape(-1, *(1,) * (z.ndim - 1))
    return z if layer.data_format == "channels_first" else np.moveaxis(z, 0, -1)


@pytest.mark.parametrize(("layer", "in_shape"), CONVOLUTIONS, ids=repr)
def test_a_convolution_is_its_sum(layer: Convolution, in_shape: tuple[int, ...]) -> None:
    parameters, x = parameters_of(layer, in_shape), example_of(in_shape)
    plain = replace(layer, activation="identity")
    np.testing.assert_allclose(plain(parameters, x), convolved(layer, parameters, x), atol=1e-13)


@pytest.mark.parametrize(("layer", "in_shape"), TRANSPOSED, ids=repr)
def test_a_transposed_convolution_is_its_sum(layer: Any, in_shape: tuple[int, ...]) -> None:
    parameters, x = parameters_of(layer, in_shape), example_of(in_shape)
    plain = replace(layer, activation="identity")
    np.testing.assert_allclose(plain(parameters, x), spread(layer, parameters, x), atol=1e-13)


@pytest.mark.parametrize(("layer", "in_shape"), EVERY, ids=repr)
def test_the_gradient_is_the_difference_quotient(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)


@pytest.mark.parametrize(("layer", "in_shape"), EVERY, ids=repr)
def test_form_and_batches(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_form(layer, in_shape)


def test_a_filter_that_looks_for_edges_by_hand() -> None:
    # A step from 0 to 1 between columns 1 and 2; the kernel (-1, 1) answers there alone.
    image = np.repeat([[0.0, 0.0, 1.0, 1.0]], 3, axis=0)[..., None]
    layer = Conv2D(1, (1, 2), use_bias=False)
    edges = layer({"weight": np.array([[[[-1.0, 1.0]]]])}, image)[..., 0]
    assert edges.tolist() == [[0.0, 1.0, 0.0]] * 3


def test_same_padding_puts_the_larger_half_behind() -> None:
    parameters = {"weight": np.array([[[1.0, 10.0]]])}
    x = np.array([[1.0], [2.0], [3.0]])
    assert Conv1D(1, 2, padding="same", use_bias=False)(parameters, x).ravel().tolist() == [21.0, 32.0, 3.0]


@pytest.mark.parametrize("dilation", [1, 3])
def test_a_causal_result_sees_no_later_position(dilation: int) -> None:
    layer = Conv1D(2, 3, padding="causal", dilation=dilation)
    parameters, x = parameters_of(layer, (9, 2)), example_of((9, 2))
    jacobian = gn.jacobian(lambda x: layer(parameters, x))(x)  # (9, 2, 9, 2)
    later = np.triu(np.ones((9, 9), bool), 1)
    seen = np.abs(jacobian).sum(axis=(1, 3)) > 0
    assert not seen[later].any()
    assert seen.diagonal().all()


@pytest.mark.parametrize(
    ("padding", "options"), [("same", {}), ("valid", {}), (1, {"output_padding": 1}), ((0, 2), {})], ids=str
)
def test_a_transposed_convolution_is_the_transpose(padding: Any, options: dict[str, int]) -> None:
    # u . conv(v) = conv^T(u) . v, where v has the length that the transposed layer makes of u's.
    up = Conv1DTranspose(3, 3, strides=2, padding=padding, use_bias=False, **options)
    u = example_of((4, 2))
    length, _ = up.output_shape(u.shape)
    down = Conv1D(2, 3, strides=2, padding=padding, use_bias=False)
    v = example_of((length, 3), seed=1)
    weight = parameters_of(up, u.shape)["weight"]  # (3, 2, taps)
    there = down({"weight": weight.transpose(1, 0, 2)}, v)
    assert there.shape == u.shape
    assert np.sum(u * there) == pytest.approx(np.sum(up({"weight": weight}, u) * v), rel=1e-12)


def test_the_two_orders_of_the_axes_agree() -> None:
    x = example_of((5, 4, 2))
    for layer in (Conv2D(4, 2, strides=2, groups=2, padding="same"), Conv2DTranspose(3, 3, strides=2)):
        parameters, swapped = parameters_of(layer, x.shape), replace(layer, data_format="channels_first")
        moved = swapped(parameters, np.moveaxis(x, -1, 0))
        np.testing.assert_array_equal(np.moveaxis(moved, 0, -1), layer(parameters, x))


def test_initial_weights_count_the_kernel_in_their_fans() -> None:
    weight = Conv2D(64, 5, activation="relu").init(Key(0), (9, 9, 8), FLOAT64)["weight"]
    limit = np.sqrt(6 / (8 * 5 * 5))
    assert weight.shape == (64, 8, 5, 5)
    assert 0.99 * limit < np.abs(weight).max() <= limit
    grouped = Conv2D(64, 5, groups=4, activation="relu").init(Key(0), (9, 9, 8), FLOAT64)["weight"]
    assert grouped.shape == (64, 2, 5, 5)
    assert 0.99 * 2 * limit < np.abs(grouped).max() <= 2 * limit


# -- masks


@pytest.mark.parametrize(
    "layer",
    [
        *(
            Conv1D(2, 3, padding=padding, strides=strides)
            for padding in ("valid", "causal")
            for strides in (1, 2)
        ),
        Conv1D(2, 3, padding="same"),
        Conv1D(2, 3, padding="same", dilation=2, data_format="channels_first"),
        Conv1D(2, 3, padding=(1, 0), strides=3),
        *(Conv1DTranspose(2, 3, strides=strides, padding=1) for strides in (1, 2)),
        Conv1DTranspose(2, 2, strides=2, output_padding=1),
        Conv1DTranspose(2, 2, strides=2, padding="same", data_format="channels_first"),
    ],
    ids=repr,
)
def test_filling_at_the_end_of_a_sequence_changes_nothing(layer: Any) -> None:
    first = layer.data_format == "channels_first"
    short, length = 5, 9
    x = example_of((short, 2))
    filled = np.concatenate([x, np.full((length - short, 2), np.nan)])
    parameters = parameters_of(layer, (2, length) if first else (length, 2))
    alone = layer(parameters, x.T if first else x)
    run = Run()
    run.set_mask(np.arange(length) < short)
    y = layer(parameters, filled.T if first else filled, run)
    alone, y = (alone.T, y.T) if first else (alone, y)
    assert run.mask.shape == y.shape[:1]
    assert run.mask.sum() == len(alone) < len(y)
    np.testing.assert_allclose(y[run.mask], alone, atol=1e-13)


def test_every_example_of_a_batch_has_a_mask_of_its_own() -> None:
    layer = Conv1D(2, 3, strides=2)
    parameters, X, lengths = parameters_of(layer, (9, 2)), example_of((3, 9, 2)), np.array([9, 5, 3])

    def output(x: Any, length: Any) -> Any:
        run = Run()
        run.set_mask(np.arange(9) < length)
        return layer(parameters, x, run), run.mask

    batch, masks = gn.vmap(output)(X, lengths)
    assert masks.sum(axis=1).tolist() == [4, 2, 1]
    for y, mask, x, length in zip(batch, masks, X, lengths, strict=True):
        np.testing.assert_allclose(y[mask], layer(parameters, x[:length]), atol=1e-13)


def test_windows_that_reach_into_filling_in_front_do_not_count() -> None:
    run = Run()
    run.set_mask(np.array([False, False, True, True, True, True]))
    Conv1D(1, 3)(parameters_of(Conv1D(1, 3), (6, 1)), np.ones((6, 1)), run)
    assert run.mask.tolist() == [False, False, True, True]


@pytest.mark.parametrize("layer", [Conv1D(2, 3, padding="same", strides=2), Conv1DTranspose(2, 3, strides=2)])
def test_the_gradient_under_a_mask(layer: Layer) -> None:
    run = Run()
    run.set_mask(np.array([True, True, True, False, False]))
    check_layer(layer, (5, 2), run)


def test_an_image_leaves_no_mask_of_positions() -> None:
    for layer in (Conv2D(1, 2), Conv2DTranspose(1, 2)):
        run = Run()
        run.set_mask(np.array([True, True]))
        layer(parameters_of(layer, (2, 2, 1)), np.ones((2, 2, 1)), run)
        assert run.mask is None


# -- shapes and options


@settings(max_examples=60)
@given(
    n=st.integers(1, 9),
    k=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same", "causal", 2, (0, 3)]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
)
def test_output_shapes(n: int, k: int, stride: int, dilation: int, padding: Any, data_format: str) -> None:
    options = {"strides": stride, "dilation": dilation, "data_format": data_format}
    shape = (n, 2) if data_format == "channels_last" else (2, n)
    layers: list[Any] = [Conv1D(3, k, padding=padding, **options)]
    if padding != "causal":
        layers.append(Conv1DTranspose(3, k, padding=padding, **options))
    for layer in layers:
        try:
            expected = layer.output_shape(shape)
        except ShapeError:
            with pytest.raises(ShapeError):
                layer.init(Key(0), shape, FLOAT64)
            continue
        assert layer(layer.init(Key(0), shape, FLOAT64), np.ones(shape)).shape == expected


def test_keras_lengths_of_transposed_convolutions() -> None:
    assert Conv2DTranspose(1, 3, strides=2, padding="same").output_shape((5, 6, 1)) == (10, 12, 1)
    assert Conv2DTranspose(1, 3, strides=2).output_shape((5, 6, 1)) == (11, 13, 1)


@pytest.mark.parametrize(
    ("layer", "in_shape", "sentence"),
    [
        (
            Conv2D(8, 3),
            (28, 28),
            "Conv2D(8, 3, identity) takes images (height, width, channels), but gets examples of shape "
            "(28, 28): put Reshape((28, 28, 1)) in front of it.",
        ),
        (
            Conv2D(8, 3, data_format="channels_first"),
            (784,),
            "takes images (channels, height, width), but gets examples of shape (784,): "
            "put Reshape((channels, height, width)) in front of it.",
        ),
        (Conv1D(8, 3), (3,), "put Reshape((3, 1)) in front of it."),
        (Conv3D(8, 3), (3, 4, 4), "takes volumes (depth, height, width, channels)"),
        (
            Conv2D(8, 5),
            (3, 9, 1),
            "needs 5 elements for one window along spatial axis 0, which has 3 and a padding of (0, 0); "
            "pad more or take a smaller window.",
        ),
        (
            Conv2D(6, 1, groups=3),
            (4, 4, 4),
            "takes channels in 3 equal groups, but gets examples of shape (4, 4, 4): choose groups that "
            "divide 4.",
        ),
        (Conv2D(6, 1, padding="same"), (0, 4, 1), "takes one element or more along each axis"),
        (Conv1DTranspose(1, 3, padding=2), (1, 1), "takes examples larger than its padding"),
        (Conv1DTranspose(1, 3), (0, 1), "takes examples larger than its padding"),
    ],
    ids=str,
)
def test_examples_that_do_not_fit(layer: Layer, in_shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        layer.init(Key(0), in_shape, FLOAT64)


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        (Conv1D, {"padding": "casual"}, "Conv1D got padding='casual'; it takes 'valid', 'same', 'causal', a"),
        (Conv2D, {"padding": "causal"}, "Conv2D got padding='causal'; it takes 'valid', 'same', a whole"),
        (Conv2D, {"padding": -1}, "or for each of (height, width) a number or a pair (front, back)."),
        (Conv2D, {"padding": ((0, 1),)}, "Conv2D got padding=((0, 1),)"),
        (Conv1D, {"padding": (1, -1)}, "Conv1D got padding=(1, -1)"),
        (Conv2D, {"kernel_size": (3, 3, 3)}, "it takes a whole number of 1 or more, or a tuple of 2 for"),
        (Conv2D, {"kernel_size": 2.5}, "Conv2D got kernel_size=2.5"),
        (Conv2D, {"strides": 0}, "Conv2D got strides=0"),
        (Conv2D, {"dilation": (1, True)}, "Conv2D got dilation=(1, True)"),
        (Conv2D, {"filters": 0}, "Conv2D got filters=0; it takes a whole number of 1 or more."),
        (Conv2D, {"groups": 3}, "got filters=4 and groups=3; the groups share the filters evenly."),
        (Conv2D, {"data_format": "NCHW"}, "it takes 'channels_last' or 'channels_first'."),
        (Conv2D, {"activation": "rleu"}, "Conv2D got activation='rleu'"),
        (Conv2D, {"kernel_initializer": "he"}, "Conv2D got the initializer 'he'"),
        (Conv2D, {"bias_initializer": 0}, "Conv2D got the initializer 0"),
        (Conv2DTranspose, {"output_padding": 1}, "along each axis it is less than the stride."),
        (Conv2DTranspose, {"strides": 2, "output_padding": -1}, "it takes a whole number of 0 or more"),
        (
            Conv2DTranspose,
            {"strides": 2, "output_padding": 1, "padding": "same"},
            'got output_padding=1 with padding="same", which fixes the length; give the padding in numbers.',
        ),
    ],
    ids=str,
)
def test_options_out_of_range(kind: Any, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        kind(**{"filters": 4, "kernel_size": 3, **options})


def test_options_from_numpy_and_lists_are_plain() -> None:
    layer = Conv2D(np.int64(4), [np.int32(3), 2], padding=[[0, 1], np.int64(2)])
    assert repr(layer) == "Conv2D(4, (3, 2), padding=((0, 1), 2))"


def test_an_initialiser_with_options_goes_into_a_document() -> None:
    layer = Conv2D(2, 2, kernel_initializer=Normal(std=0.1))
    assert from_document(to_document(layer, "x")) == layer


def test_the_base_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Convolution(1, 1)
