"""Maxout: the largest of its pieces, and which of them the derivative goes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import Layer, Maxout, Run
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of


@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [
        (Maxout(3), (4,)),
        (Maxout(2, pieces=3, use_bias=False), (2, 4)),
        (Maxout(2, pieces=1, kernel_initializer="orthogonal"), (4,)),
    ],
    ids=str,
)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


@given(units=st.integers(1, 3), pieces=st.integers(1, 3), leading=st.lists(st.integers(1, 2), max_size=2))
def test_maxout_is_the_largest_of_its_pieces(units: int, pieces: int, leading: list[int]) -> None:
    layer, in_shape = Maxout(units, pieces), (*leading, 4)
    parameters, x = parameters_of(layer, in_shape), example_of(in_shape)
    y = layer(parameters, x)
    assert y.shape == layer.output_shape(in_shape)
    for i in range(units):
        z = [
            x @ parameters["weight"][row] + parameters["bias"][row]
            for row in range(i * pieces, (i + 1) * pieces)
        ]
        np.testing.assert_allclose(y[..., i], np.max(z, axis=0), rtol=1e-12)


def test_of_equal_pieces_the_first_takes_the_derivative() -> None:
    parameters = {"weight": np.ones((2, 1)), "bias": np.zeros(2)}
    gradient = gn.grad(lambda parameters: Maxout(1)(parameters, np.array([2.0])).sum())(parameters)
    assert np.array_equal(gradient["weight"], [[2.0], [0.0]])
    assert np.array_equal(gradient["bias"], [1.0, 0.0])


def test_two_pieces_keep_the_mean_square() -> None:
    # max^2 + min^2 = z_1^2 + z_2^2, and max and -min are alike: E max^2 = Var z = mean of x^2.
    parameters = Maxout(2000).init(Key(0), (500,), FLOAT64)
    x = np.random.default_rng(0).normal(size=500)
    assert np.square(Maxout(2000)(parameters, x)).mean() == pytest.approx(np.square(x).mean(), rel=0.1)


def test_maxout_shows_its_z() -> None:
    run = Run()
    layer = Maxout(2, pieces=3)
    layer(parameters_of(layer, (4,)), example_of((4,)), run)
    assert run.record.seen["z",].shape == (6,)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Maxout(0), ConfigurationError, "Maxout got units=0; it takes a whole number of 1 or more."),
        (
            lambda: Maxout(2, pieces=0),
            ConfigurationError,
            "Maxout got pieces=0; it takes a whole number of 1 or more.",
        ),
        (
            lambda: Maxout(2).init(Key(0), (), FLOAT64),
            ShapeError,
            "Maxout(2) takes vectors, but gets examples of shape (): reshape X to (rows, features).",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
