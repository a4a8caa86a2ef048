"""Sinusoidal and learned positions: the paper's formula, its properties, and sequences that are too long."""

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
from glassnet.nn import Layer, LearnedPositions, Run, Sequential, SinusoidalPositions
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of

CASES = [
    (SinusoidalPositions(), (4, 6)),
    (SinusoidalPositions(base=50.0), (3, 5)),
    (LearnedPositions(4), (4, 3)),
    (LearnedPositions(7, initializer="normal"), (2, 3)),
]


@pytest.mark.parametrize(("layer", "in_shape"), CASES, ids=str)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


@given(positions=st.integers(1, 9), features=st.integers(1, 7), base=st.floats(2.0, 1e5))
def test_the_waves_are_those_of_the_paper(positions: int, features: int, base: float) -> None:
    e = SinusoidalPositions(base).encoding(positions, features)
    for p in range(positions):
        for i in range((features + 1) // 2):
            angle = p / base ** (2 * i / features)
            np.testing.assert_allclose(e[p, 2 * i], np.sin(angle), rtol=1e-9, atol=1e-12)
            if 2 * i + 1 < features:
                np.testing.assert_allclose(e[p, 2 * i + 1], np.cos(angle), rtol=1e-9, atol=1e-12)


def test_a_step_along_the_sequence_is_one_rotation_wherever_it_is_taken() -> None:
    # e_(p + k) is a linear function of e_p, the reason that the paper gives for choosing waves.
    e = SinusoidalPositions(100.0).encoding(20, 6)
    step, *_ = np.linalg.lstsq(e[:10], e[3:13], rcond=None)
    np.testing.assert_allclose(e[7:17] @ step, e[10:20], atol=1e-9)


def test_with_positions_attention_tells_orders_apart() -> None:
    plain, placed = gn.MultiHeadAttention(1), Sequential([SinusoidalPositions(), gn.MultiHeadAttention(1)])
    own, x = plain.init(Key(0), (3, 4), FLOAT64), example_of((3, 4))
    parameters = {"sinusoidal_positions_1": {}, "multi_head_attention_2": own}
    order = [2, 1, 0]
    assert np.allclose(plain(own, x[order]), plain(own, x)[order])
    assert not np.allclose(placed(parameters, x[order]), placed(parameters, x)[order])


def test_a_shorter_sequence_takes_the_first_rows_and_only_those_learn() -> None:
    layer = LearnedPositions(4)
    parameters, x = layer.init(Key(0), (4, 2), FLOAT64), example_of((3, 2))
    assert parameters["weight"].shape == (4, 2)
    np.testing.assert_array_equal(layer(parameters, x), x + parameters["weight"][:3])
    slopes = gn.grad(lambda parameters: layer(parameters, x).sum())(parameters)
    assert slopes["weight"].tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]


def test_the_mask_goes_on() -> None:
    mask = np.array([True, False])
    for layer in (SinusoidalPositions(), LearnedPositions(2)):
        run = Run(record=Record(mask=mask))
        layer(layer.init(Key(0), (2, 3), FLOAT64), np.ones((2, 3)), run)
        assert run.mask is mask


TOO_LONG = (
    "LearnedPositions(4) takes sequences of at most 4 positions, but gets examples of shape (5, 2): give it "
    "length=5 or more, or cut the sequences."
)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: gn.Network([LearnedPositions(4)], loss="half_squared_error", input_shape=(5, 2)),
            ShapeError,
            TOO_LONG,
        ),
        # One row of positions must not be broadcast over a longer sequence.
        (
            lambda: LearnedPositions(1)({"weight": np.ones((1, 2))}, np.ones((5, 2))),
            ShapeError,
            TOO_LONG.replace("(4)", "(1)").replace("most 4", "most 1"),
        ),
        (
            lambda: SinusoidalPositions().output_shape((3,)),
            ShapeError,
            "SinusoidalPositions() takes sequences (positions, features), but gets examples of shape (3,): "
            "reshape X to (rows, positions, features), or put an Embedding in front.",
        ),
        (
            lambda: SinusoidalPositions(0.0),
            ConfigurationError,
            "SinusoidalPositions got base=0.0; it takes a positive number.",
        ),
        (
            lambda: LearnedPositions(0),
            ConfigurationError,
            "LearnedPositions got length=0; it takes a whole number of 1 or more.",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
