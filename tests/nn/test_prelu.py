"""PReLU: a slope for each channel, or one for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import Layer, PReLU
from tests.nn.gradients import check_form, check_layer, example_of


@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [(PReLU(), (4,)), (PReLU(initial_slope=-0.5, shared=True), (2, 3, 4))],
    ids=str,
)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


def test_prelu_has_a_slope_for_each_channel() -> None:
    x, slope = example_of((3, 2)), np.array([0.5, -0.1])
    assert np.array_equal(PReLU()({"slope": slope}, x), np.where(x > 0, x, slope * x))
    for layer, count in ((PReLU(0.1), 2), (PReLU(0.1, shared=True), 1)):
        slopes = layer.init(Key(0), (3, 2), FLOAT32)["slope"]
        assert slopes.dtype == FLOAT32
        assert np.array_equal(slopes, np.full(count, 0.1, FLOAT32))


def test_at_its_kink_prelu_has_the_slope_of_the_left_side() -> None:
    gradient = gn.grad(lambda x: PReLU()({"slope": np.array([0.3])}, x).sum())(np.zeros(1))
    assert np.array_equal(gradient, [0.3])


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: PReLU(float("inf")),
            ConfigurationError,
            "PReLU got initial_slope=inf; it takes a finite number.",
        ),
        (
            lambda: PReLU().init(Key(0), (), FLOAT64),
            ShapeError,
            "PReLU() takes examples (..., channels), but gets examples of shape (): reshape X to (rows, "
            "channels).",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
