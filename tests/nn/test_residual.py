"""Residual: the way around, with and without a projection."""

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
from glassnet.nn import BatchNorm, Dense, Layer, LayerNorm, Masking, PReLU, Residual, Run, Sequential
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

CASES = [
    (Residual((Dense(4),)), (4,)),
    (Residual((LayerNorm(), Dense(5, activation="tanh"), Dense(4))), (2, 4)),
    (Residual((Dense(3, activation="gelu"), Dense(2)), projection=Dense(2, use_bias=False)), (4,)),
    (Residual((Residual((PReLU(),)),), name="outer"), (3,)),
]


@pytest.mark.parametrize(("layer", "in_shape"), CASES, ids=str)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


def test_it_is_the_sum_of_both_ways() -> None:
    layer = Residual((Dense(3, activation="relu"), Dense(2)), projection=Dense(2))
    parameters, x = parameters_of(layer, (4,)), example_of((4,))
    assert list(parameters) == ["dense_1", "dense_2", "projection"]
    row = {name: parameters[name] for name in ("dense_1", "dense_2")}
    straight = Dense(2)(parameters["projection"], x)
    expected = straight + Sequential(layer.layers)(row, x)
    np.testing.assert_allclose(layer(parameters, x), expected, rtol=1e-12)


def test_with_zero_weights_the_derivative_passes_unchanged_through_any_depth() -> None:
    # dy/dx = I + df/dx, and df/dx = 0: the cure of vanishing gradients.
    zero = Dense(3, activation="sigmoid", kernel_initializer="zeros")
    network = Sequential([Residual((zero,)) for _ in range(20)])
    parameters = network.init(Key(0), (3,), FLOAT64)
    J = gn.jacobian(lambda x: network(parameters, x))(example_of((3,)))
    np.testing.assert_array_equal(J, np.eye(3))


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    positions=st.lists(st.integers(1, 3), max_size=2),
)
def test_output_shape_tells_the_truth(sizes: list[int], positions: list[int]) -> None:
    layer = Residual([Dense(size) for size in sizes], projection=Dense(sizes[-1]))
    in_shape = (*positions, 3)
    y = layer(layer.init(Key(0), in_shape, FLOAT64), np.ones(in_shape))
    assert y.shape == layer.output_shape(in_shape) == (*positions, sizes[-1])


def test_the_projection_draws_numbers_of_its_own_and_sees_the_mask_of_x() -> None:
    layer = Residual([Masking()], projection=Masking(9.0))
    mask = np.array([True, True, False])
    run = Run(record=Record(mask=mask))
    x = np.array([[0.0], [9.0], [1.0]])
    assert np.array_equal(layer({"masking_1": {}, "projection": {}}, x, run), [[0.0], [9.0], [0.0]])
    assert np.array_equal(run.mask, [False, True, False])  # as the row leaves it
    made = Residual([Dense(3)], projection=Dense(3)).init(Key(0), (3,), FLOAT64)
    assert not np.array_equal(made["dense_1"]["weight"], made["projection"]["weight"])


def test_statistics_of_row_and_projection() -> None:
    layer = Residual([Dense(2), BatchNorm()], projection=BatchNorm(momentum=0.0))
    statistics = layer.init_statistics((2,), FLOAT64)
    assert list(statistics) == ["batch_norm_2", "projection"]
    run = Run(training=True, statistics=statistics)
    layer(layer.init(Key(0), (2,), FLOAT64), np.array([3.0, 4.0]), run)
    assert np.array_equal(run.record.kept["projection", "mean"], [3.0, 4.0])
    assert ("batch_norm_2", "variance") in run.record.kept
    assert Residual([Dense(2)]).init_statistics((2,), FLOAT64) == {}


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: Residual(Dense(2)),
            ConfigurationError,
            "Residual got layers=Dense(2); it takes a list of one or more layers, such as "
            "[Dense(32, activation='relu'), Dense(32)].",
        ),
        (
            lambda: Residual([Dense(2)], projection="dense"),
            ConfigurationError,
            "Residual got projection='dense'; it takes a layer, such as Dense(32), or None.",
        ),
        (
            lambda: Residual([Dense(2, name="projection")], projection=Dense(2)),
            ConfigurationError,
            "Residual got a layer called 'projection' beside its projection; give it another name.",
        ),
        (
            lambda: Residual([Dense(2)]).init(Key(0), (3,), FLOAT64),
            ShapeError,
            "Residual(Dense(2, identity)) adds what its layers make of x, of shape (2,), to x itself, of "
            "shape (3,): give the two one shape, by the last layer's size or by projection=.",
        ),
        (
            lambda: Residual([Dense(2)], projection=Dense(1)).init(Key(0), (3,), FLOAT64),
            ShapeError,
            "Residual(Dense(2, identity)) adds what its layers make of x, of shape (2,), to its projection, "
            "of shape (1,): give the two one shape, by the last layer's size or by projection=.",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
