"""Dense: shapes, initial weights, and the numbers of one layer by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.document import from_document, to_document
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ModelFileError, ShapeError
from glassnet.nn.activations import ACTIVATIONS, leaky_relu

FLOAT64 = np.dtype("float64")


@pytest.mark.parametrize("dtype", [np.dtype("float32"), FLOAT64], ids=str)
def test_the_parameters_have_the_layer_s_shapes_and_dtype(dtype: np.dtype) -> None:
    made = gn.Dense(3).init(Key(0), (5,), dtype)
    assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
        "weight": ((3, 5), dtype),
        "bias": ((3,), dtype),
    }
    assert not made["bias"].any()


@pytest.mark.parametrize(
    ("activation", "limit"),
    [
        ("relu", math.sqrt(6 / 50)),
        ("leaky_relu", math.sqrt(6 / 50)),
        ("tanh", math.sqrt(6 / 150)),
        ("identity", math.sqrt(6 / 150)),
        ("softmax", math.sqrt(6 / 150)),
    ],
)
def test_weights_fill_the_interval_of_he_or_glorot_and_stay_inside(activation: str, limit: float) -> None:
    weight = gn.Dense(100, activation=activation).init(Key(1), (50,), FLOAT64)["weight"]
    assert 0.99 * limit < np.abs(weight).max() <= limit
    assert abs(weight.mean()) < 0.03 * limit
    assert weight.var() == pytest.approx(limit**2 / 3, rel=0.05)


def test_the_initializer_can_be_chosen() -> None:
    key, layer = (
        Key(1),
        gn.Dense(4, activation="relu", kernel_initializer="zeros", bias_initializer="he_uniform"),
    )
    made = layer.init(key, (3,), FLOAT64)
    assert not made["weight"].any()
    assert made["bias"].all()
    glorot = gn.Dense(4, activation="relu", kernel_initializer="glorot_uniform").init(key, (3,), FLOAT64)
    assert np.array_equal(glorot["weight"], gn.Dense(4).init(key, (3,), FLOAT64)["weight"])


def test_weights_are_a_function_of_the_key() -> None:
    layer = gn.Dense(4)
    first, again, other = (layer.init(Key(seed), (3,), FLOAT64)["weight"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.isin(first, other).any()


def test_the_numbers_of_one_layer() -> None:
    parameters = {"weight": np.array([[1.0, -2.0], [0.5, 0.25]]), "bias": np.array([0.5, -1.0])}
    x = np.array([1.0, 2.0])
    assert gn.Dense(2).pre_activation(parameters, x).tolist() == [-2.5, 0.0]
    assert gn.Dense(2, activation="relu")(parameters, x).tolist() == [0.0, 0.0]
    assert gn.Dense(2, activation="leaky_relu")(parameters, x).tolist() == [-0.025, 0.0]
    assert gn.Dense(2, activation=lambda z: 2.0 * z)(parameters, x).tolist() == [-5.0, 0.0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_keeps_the_shape_and_has_a_certified_derivative(name: str) -> None:
    z = np.array([-1.5, -0.25, 0.5, 2.0])
    assert ACTIVATIONS[name](z).shape == z.shape
    assert gn.check_grads(ACTIVATIONS[name], z).passed


def test_the_slope_of_leaky_relu_at_zero_is_its_slope_below() -> None:
    assert gn.grad(leaky_relu)(0.0) == 0.01


@pytest.mark.parametrize("units", [0, -1, 2.0, "3", True, None], ids=repr)
def test_units_that_are_no_positive_whole_number_are_refused(units: object) -> None:
    with pytest.raises(
        ConfigurationError, match=r"Dense got units=.*; it takes a whole number of 1 or more\."
    ):
        gn.Dense(units)


def test_units_may_come_from_numpy() -> None:
    assert type(gn.Dense(np.int64(3)).units) is int


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"activation": "rleu"}, "identity, sigmoid, tanh, relu, leaky_relu, softmax, .*or a function"),
        ({"activation": None}, "identity, sigmoid"),
        ({"kernel_initializer": "xavier"}, "glorot_uniform, he_uniform, zeros"),
        ({"bias_initializer": 0}, "glorot_uniform, he_uniform, zeros"),
    ],
    ids=str,
)
def test_unknown_names_are_refused_with_the_list_of_known_ones(options: dict, known: str) -> None:
    with pytest.raises(ConfigurationError, match=known):
        gn.Dense(2, **options)


def test_an_example_that_is_a_single_number_is_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"Dense\(2, tanh\) takes vectors, but gets examples of shape \(\): reshape X"
    ):
        gn.Dense(2, activation="tanh").init(Key(0), (), FLOAT64)


def test_leading_axes_are_positions_each_treated_alike() -> None:
    layer = gn.Dense(2, activation="tanh", bias_initializer="he_uniform")
    parameters = layer.init(Key(0), (3, 5), FLOAT64)
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    assert layer.output_shape((4, 3, 5)) == (4, 3, 2)
    together = layer(parameters, x)
    for place in np.ndindex(4, 3):
        np.testing.assert_allclose(together[place], layer(parameters, x[place]), rtol=1e-14)


def test_a_bias_can_be_left_out() -> None:
    layer = gn.Dense(2, use_bias=False)
    parameters = layer.init(Key(0), (3,), FLOAT64)
    assert list(parameters) == ["weight"]
    x = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(layer(parameters, x), parameters["weight"] @ x, rtol=1e-15)


@pytest.mark.parametrize(
    ("activation", "text"),
    [
        ("relu", "Dense(2, relu)"),
        (gnp.sin, "Dense(2, sin)"),
        (partial(gnp.maximum, 0.1), "Dense(2, partial)"),
    ],
    ids=["named", "function", "object"],
)
def test_a_layer_reads_as_people_write_it(activation: object, text: str) -> None:
    assert gn.Dense(2, activation=activation).describe() == text


def test_a_layer_survives_its_document() -> None:
    layer = gn.Dense(
        7, activation="tanh", kernel_initializer="he_uniform", regularizer=gn.L2(0.1), max_norm=2
    )
    assert from_document(to_document(layer, "the test")) == layer


def test_a_function_of_the_user_s_own_is_no_document() -> None:
    def mine(z: np.ndarray) -> np.ndarray:
        return 2 * z

    with pytest.raises(
        ConfigurationError, match=r"Dense\(activation\) holds mine, which is code of your own"
    ):
        to_document(gn.Dense(2, activation=mine), "the test")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"type": "Dens", "units": 2}, "type 'Dens', which this glassnet does not know; the nearest .*Dense"),
        ({"type": None, "units": 2}, "type None"),
        ({"type": "Dense"}, "describes its Dense wrongly: .*units"),
        ({"type": "Dense", "units": 2, "colour": "red"}, "describes its Dense wrongly: .*colour"),
        ({"type": "Dense", "units": -2}, "describes its Dense wrongly: Dense got units=-2"),
    ],
    ids=str,
)
def test_a_document_of_no_layer_is_refused(document: dict, complaint: str) -> None:
    with pytest.raises(ModelFileError, match=complaint):
        from_document(document)
