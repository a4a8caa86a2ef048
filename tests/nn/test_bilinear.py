"""Bilinear: all products of two features, of a pair or of one array with itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ShapeError
from glassnet.nn import Bilinear, Layer
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of


@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [
        (Bilinear(3), (4,)),
        (Bilinear(2, activation="tanh", use_bias=False), (3, 4)),
        (Bilinear(2, kernel_initializer="normal"), (2, 2, 3)),
    ],
    ids=str,
)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


@given(
    units=st.integers(1, 3),
    left=st.integers(1, 3),
    right=st.integers(1, 3),
    leading=st.lists(st.integers(1, 2), max_size=2),
)
def test_bilinear_of_a_pair_is_a_sum_of_products(
    units: int, left: int, right: int, leading: list[int]
) -> None:
    layer, shapes = Bilinear(units), ((*leading, left), (*leading, right))
    parameters = parameters_of(layer, shapes)
    assert parameters["weight"].shape == (units, left, right)
    u, v = example_of(shapes[0], 1), example_of(shapes[1], 2)
    y = layer(parameters, (u, v))
    assert y.shape == layer.output_shape(shapes)
    for place in np.ndindex(*leading):
        for k in range(units):
            z = parameters["bias"][k]
            for i in range(left):
                for j in range(right):
                    z += parameters["weight"][k, i, j] * u[place][i] * v[place][j]
            assert y[place][k] == pytest.approx(z, rel=1e-12)


def test_the_gradient_of_bilinear_with_respect_to_both_of_a_pair() -> None:
    layer = Bilinear(3, activation="sigmoid")
    parameters = parameters_of(layer, ((2,), (4,)))
    pair = (example_of((2,)), example_of((4,), 5))
    assert gn.check_grads(layer, parameters, pair, order=1).passed
    W, (u, v) = parameters["weight"], pair
    du, dv = gn.jacobian(lambda u, v: Bilinear(3)(parameters, (u, v)), wrt=(0, 1))(u, v)
    np.testing.assert_allclose(du, W @ v, rtol=1e-12)  # row k is W_k v
    np.testing.assert_allclose(dv, u @ W, rtol=1e-12)


def test_one_array_stands_for_both_of_a_pair() -> None:
    layer, x = Bilinear(2), example_of((3,))
    parameters = parameters_of(layer, (3,))
    np.testing.assert_array_equal(layer(parameters, x), layer(parameters, (x, x)))
    same = layer.init(Key(1), (3,), FLOAT64)["weight"]
    np.testing.assert_array_equal(layer.init(Key(1), ((3,), (3,)), FLOAT64)["weight"], same)
    assert same.shape == (2, 3, 3)
    assert np.abs(same).max() <= (6 / (9 + 2)) ** 0.5  # Glorot's bound for 9 products and 2 units


def test_a_pair_of_shapes_survives_the_document_of_the_layer() -> None:
    assert from_document(to_document(Bilinear(2, activation="relu"), "x")) == Bilinear(2, activation="relu")
    assert Bilinear(2, activation="relu").output_activation == "relu"
    assert Bilinear(2, activation="relu").with_output_activation("identity") == Bilinear(2)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: Bilinear(2).output_shape(((3, 4), (2, 4))),
            ShapeError,
            "Bilinear(2, identity) takes vectors, or pairs with equal leading axes, but gets examples of "
            "shape ((3, 4), (2, 4)): reshape them to (rows, ..., features).",
        ),
        (
            lambda: Bilinear(2).output_shape(()),
            ShapeError,
            "Bilinear(2, identity) takes vectors, or pairs with equal leading axes, but gets examples of "
            "shape (): reshape them to (rows, ..., features).",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
