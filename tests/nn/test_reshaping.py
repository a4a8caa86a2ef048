"""Layers that arrange, resize or pass on what they get: shapes, values by NumPy, masks, and sentences."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.document import to_document
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    Activation,
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Flatten,
    Lambda,
    Layer,
    Permute,
    Reshape,
    Run,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPad1D,
    ZeroPad2D,
    ZeroPad3D,
)
from glassnet.nn.activations import LeakyReLU, RandomizedLeakyReLU
from tests.nn.gradients import check_form, check_layer, example_of

FIRST = "channels_first"
EVERY = [
    (Flatten(), (2, 3, 2)),
    (Flatten(), ()),
    (Reshape((3, 4)), (12,)),
    (Reshape((2, -1, 2)), (3, 4)),
    (Permute((2, 0, 1)), (2, 3, 4)),
    (ZeroPad1D((2, 1)), (3, 2)),
    (ZeroPad2D(((0, 1), 2), data_format=FIRST), (2, 3, 1)),
    (ZeroPad3D(1), (1, 2, 1, 2)),
    (Cropping1D(1), (4, 2)),
    (Cropping2D(((0, 1), (2, 0)), data_format=FIRST), (2, 3, 4)),
    (Cropping3D((1, 0, 1)), (3, 1, 3, 2)),
    (UpSampling1D(3), (2, 2)),
    (UpSampling2D((2, 3), data_format=FIRST), (2, 2, 1)),
    (UpSampling3D(), (1, 2, 1, 2)),
    (Activation("tanh"), (2, 3)),
    (Activation("softmax"), (4,)),
    (Activation(LeakyReLU(0.3)), (5,)),
]


@pytest.mark.parametrize(("layer", "in_shape"), EVERY, ids=repr)
def test_the_gradient_is_the_difference_quotient(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)


@pytest.mark.parametrize(
    ("layer", "in_shape"), [case for case in EVERY if "LeakyReLU" not in repr(case)], ids=repr
)
def test_form_and_batches(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_form(layer, in_shape)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Flatten(), lambda x: x.ravel()),
        (Reshape((-1, 2)), lambda x: x.reshape(-1, 2)),
        (Permute((1, 2, 0)), lambda x: x.transpose(1, 2, 0)),
        (ZeroPad2D((1, (0, 2))), lambda x: np.pad(x, [(1, 1), (0, 2), (0, 0)])),
        (ZeroPad2D(1, data_format=FIRST), lambda x: np.pad(x, [(0, 0), (1, 1), (1, 1)])),
        (Cropping2D((1, (0, 2))), lambda x: x[1:-1, :-2]),
        (Cropping2D(1, data_format=FIRST), lambda x: x[:, 1:-1, 1:-1]),
        (UpSampling2D((2, 3)), lambda x: x.repeat(2, axis=0).repeat(3, axis=1)),
        (UpSampling2D((2, 3), data_format=FIRST), lambda x: x.repeat(2, axis=1).repeat(3, axis=2)),
        (Activation("relu"), lambda x: np.maximum(x, 0.0)),
        (Lambda(gnp.sin), np.sin),
    ],
    ids=repr,
)
def test_values_are_numpy_s(layer: Layer, expected: Any) -> None:
    x = example_of((4, 3, 4))
    np.testing.assert_allclose(layer({}, x), expected(x), rtol=1e-15)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_a_reshape_with_one_gap_goes_back(extents: list[int], data: st.DataObject) -> None:
    gap = data.draw(st.integers(0, len(extents) - 1))
    asked = tuple(-1 if axis == gap else n for axis, n in enumerate(extents))
    x = np.arange(float(np.prod(extents)))
    y = Reshape(asked)({}, x)
    assert y.shape == tuple(extents) == Reshape(asked).output_shape(x.shape)
    assert np.array_equal(Flatten()({}, y), x)


# -- Activation and Lambda


def test_an_activation_hands_its_name_on() -> None:
    layer = Activation("softmax")
    assert layer.output_activation == "softmax"
    assert layer.with_output_activation("identity") == Activation("identity")
    assert layer.describe() == "Activation(softmax)"


def test_an_activation_with_chance_draws_in_training_alone() -> None:
    layer, x = Activation(RandomizedLeakyReLU(low=0.2, high=0.4)), np.array([-1.0, -1.0, 2.0])
    np.testing.assert_allclose(layer({}, x), [-0.3, -0.3, 2.0])
    first, second, kept = layer({}, x, Run(training=True, key=Key(0)))
    assert first != second
    assert -0.4 <= min(first, second) < max(first, second) <= -0.2
    assert kept == 2.0


def test_a_lambda_is_traced_for_its_shape_and_batched() -> None:
    layer = Lambda(lambda x: gnp.concatenate([gnp.sum(x, axis=0), x[0] * x[1]]))
    assert layer.output_shape((3, 4)) == (8,)
    check_layer(layer, (3, 4))
    X = example_of((5, 3, 4))
    batch = gn.vmap(lambda x: layer({}, x))(X)
    np.testing.assert_allclose(batch, np.hstack([X.sum(axis=1), X[:, 0] * X[:, 1]]), atol=1e-15)


def test_a_lambda_of_indices_says_its_shape() -> None:
    table = np.arange(6.0).reshape(3, 2)
    layer = Lambda(lambda indices: gnp.take(table, indices, axis=0), shape=[4, 2])
    assert layer.output_shape((4,)) == (4, 2) == layer({}, np.array([0, 2, 1, 0])).shape


def test_a_lambda_is_code_and_no_document() -> None:
    with pytest.raises(ConfigurationError, match="which is code of your own"):
        to_document(Lambda(lambda x: x), "the network")


# -- masks


@pytest.mark.parametrize(
    ("layer", "after"),
    [
        (Flatten(), None),
        (Reshape((2, 2, 2)), None),
        (Permute((1, 0)), None),
        (Permute((0, 1)), [True, True, True, False]),
        (ZeroPad1D((2, 1)), [True, True, True, True, True, False, False]),
        (ZeroPad1D(1, data_format=FIRST), [True, True, True, True, False, False]),
        (Cropping1D((1, 0)), [True, True, False]),
        (UpSampling1D(2), [True] * 6 + [False] * 2),
        (Activation("relu"), [True, True, True, False]),
        (Lambda(gnp.sin), [True, True, True, False]),
        (Lambda(lambda x: x[:2]), None),
    ],
    ids=repr,
)
def test_what_is_left_of_a_mask(layer: Any, after: list[bool] | None) -> None:
    run = Run()
    run.set_mask(np.array([True, True, True, False]))
    first = getattr(layer, "data_format", None) == FIRST
    y = layer({}, example_of((2, 4) if first else (4, 2)), run)
    if after is None:
        assert run.mask is None
    else:
        assert run.mask.tolist() == after
        assert y.shape[1 if first else 0] == len(after)


def test_an_image_leaves_no_mask_of_positions() -> None:
    for layer in (ZeroPad2D(), Cropping2D(), UpSampling2D()):
        run = Run()
        run.set_mask(np.array([True, True, True]))
        layer({}, np.ones((3, 3, 1)), run)
        assert run.mask is None


# -- sentences


@pytest.mark.parametrize(
    ("layer", "in_shape", "sentence"),
    [
        (
            Reshape((28, 28, 1)),
            (28, 27),
            "Reshape(28x28x1) takes examples of 784 numbers, but gets examples of shape (28, 27): these have "
            "756, so choose a shape of 756 numbers.",
        ),
        (Reshape((5, -1)), (12,), "takes examples of a multiple of 5 numbers"),
        (
            Permute((1, 0)),
            (2, 3, 4),
            "Permute(1x0) takes 2 axes, but gets examples of shape (2, 3, 4): give an order of 3 axes.",
        ),
        (
            Cropping2D(2),
            (4, 5, 1),
            "Cropping2D(2) takes examples larger than what it cuts off, but gets examples of shape "
            "(4, 5, 1): crop less.",
        ),
        (ZeroPad2D(1), (28, 28), "put Reshape((28, 28, 1)) in front of it."),
        (UpSampling1D(2), (3,), "put Reshape((3, 1)) in front of it."),
        (
            Lambda(lambda x: x @ np.ones((3, 3))),
            (5,),
            "Lambda(<lambda>) takes what its function takes, but gets examples of shape (5,): "
            "A product of arrays of shapes (5,) and (3, 3) pairs an axis of 5 with one of 3",
        ),
    ],
    ids=str,
)
def test_examples_that_do_not_fit(layer: Layer, in_shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        layer.init(Key(0), in_shape, FLOAT64)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Reshape((-1, -1)), "Reshape got shape=(-1, -1); it takes a tuple of positive whole numbers"),
        (lambda: Reshape(12), "Reshape got shape=12"),
        (lambda: Reshape((0, 2)), "Reshape got shape=(0, 2)"),
        (lambda: Permute((1, 2)), "it takes each of 0, 1, ... once, such as (1, 0)."),
        (lambda: Permute(()), "Permute got axes=()"),
        (lambda: Permute((0, True)), "Permute got axes=(0, True)"),
        (lambda: ZeroPad1D("same"), "ZeroPad1D got padding='same'; it takes a whole number of 0 or more, or"),
        (lambda: Cropping2D((1, 2, 3)), "for each of (height, width) a number or a pair (front, back)."),
        (lambda: UpSampling2D(0.5), "UpSampling2D got size=0.5"),
        (lambda: Activation("rleu"), "Activation got activation='rleu'"),
        (lambda: Lambda(3), "Lambda got function=3; it takes a function of one example, such as gnp.sin."),
        (lambda: Lambda(gnp.sin, shape=4), "Lambda got shape=4; it takes a tuple of whole numbers, such as"),
        (lambda: Lambda(gnp.sin, shape="4"), "Lambda got shape='4'"),
        (lambda: Lambda(gnp.sin, shape=(4, -1)), "Lambda got shape=(4, -1)"),
        (
            lambda: Lambda(lambda x: (x, x)).output_shape((3,)),
            "Lambda's function gives tuple for an example; a layer gives one array.",
        ),
    ],
)
def test_options_out_of_range(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        make()
