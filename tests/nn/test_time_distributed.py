"""TimeDistributed: a loop over positions, with chance, masks and shown values in their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    BatchNorm,
    Bilinear,
    Dense,
    Dropout,
    Embedding,
    GroupNorm,
    Layer,
    Parallel,
    Run,
    Sequential,
    TimeDistributed,
)
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

CASES = [
    (TimeDistributed(Dense(2, activation="tanh")), (3, 4)),
    (TimeDistributed(Sequential((GroupNorm(1), Dense(2)))), (3, 2, 4)),
    (TimeDistributed(TimeDistributed(Bilinear(2))), (2, 3, 2)),
]
TRAINING = Run(training=True, key=Key(5))


@pytest.mark.parametrize(("layer", "in_shape"), CASES, ids=str)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


@given(positions=st.integers(1, 4), leading=st.lists(st.integers(1, 2), max_size=1))
def test_it_is_a_loop_over_positions(positions: int, leading: list[int]) -> None:
    inner = Sequential([GroupNorm(1), Dense(2)])
    layer, in_shape = TimeDistributed(inner), (positions, *leading, 3)
    parameters, x = parameters_of(layer, in_shape), example_of(in_shape)
    y = layer(parameters, x)
    assert y.shape == layer.output_shape(in_shape)
    loop = [inner(parameters["sequential_1"], x_t) for x_t in x]
    np.testing.assert_allclose(y, np.stack(loop), rtol=1e-12)


def test_chance_is_drawn_anew_at_every_position_of_every_example() -> None:
    layer, X = TimeDistributed(Dropout(0.5)), np.ones((4, 3, 16))
    key = Key(5)

    def one(x: Any, number: Any) -> Any:
        return layer({"dropout_1": {}}, x, Run(training=True, key=key.at(number)))

    Y = gn.vmap(one)(X, np.arange(4, dtype=np.int32))
    assert len({row.tobytes() for example in Y for row in example}) == 12
    assert np.array_equal(Y[2], layer({"dropout_1": {}}, X[2], replace(TRAINING, key=key.at(2))))
    check_layer(layer, (3, 4), TRAINING)


def test_values_are_shown_and_probed_by_position() -> None:
    layer = TimeDistributed(Dense(2))
    parameters, x = parameters_of(layer, (3, 4)), example_of((3, 4))
    run = Run()
    y = layer(parameters, x, run)
    assert set(run.record.seen) == {("dense_1", "z"), ("dense_1",)}
    np.testing.assert_array_equal(run.record.seen["dense_1", "z"], y)

    def probed(probe: Any) -> Any:
        return (layer(parameters, x, Run(record=Record(probes={("dense_1", "z"): probe}))) ** 2).sum()

    delta = gn.grad(probed)(np.zeros((3, 2)))
    np.testing.assert_allclose(delta, 2 * y, rtol=1e-12)


def test_shown_values_can_leave_an_outer_transform() -> None:
    layer, X = TimeDistributed(Dense(2)), example_of((2, 3, 4))
    parameters = parameters_of(layer, (3, 4))

    def one(x: Any) -> Any:
        run = Run()
        return layer(parameters, x, run), run.record.seen["dense_1", "z"]

    Y, Z = gn.vmap(one)(X)
    np.testing.assert_array_equal(Y, Z)


def test_the_mask_is_kept_and_the_layer_does_not_see_it() -> None:
    mask = np.array([True, True, False])
    run = Run(record=Record(mask=mask))
    words = TimeDistributed(Embedding(5, 2, mask_index=0))
    words(words.init(Key(0), (3, 3), FLOAT64), np.ones((3, 3)), run)
    assert run.mask is mask


def test_the_last_activation_is_the_layer_s() -> None:
    layer = TimeDistributed(Dense(2, activation="softmax"))
    assert layer.output_activation == "softmax"
    assert layer.with_output_activation("identity") == TimeDistributed(Dense(2))
    assert layer.describe() == "TimeDistributed(Dense(2, softmax))"


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: TimeDistributed([Dense(2)]),
            ConfigurationError,
            "TimeDistributed got layer=[Dense(2)]; it takes one layer, such as Dense(32).",
        ),
        (
            lambda: TimeDistributed(Parallel([BatchNorm()])).init(Key(0), (3, 2), FLOAT64),
            ConfigurationError,
            "TimeDistributed(Parallel(BatchNorm())) would take statistics of the positions for those of the "
            "batch; leave the BatchNorm out of it, which treats positions alike on its own, or take "
            "LayerNorm.",
        ),
        (
            lambda: TimeDistributed(Dense(2)).init(Key(0), (), FLOAT64),
            ShapeError,
            "TimeDistributed(Dense(2, identity)) takes sequences (positions, ...), but gets examples of "
            "shape (): reshape X to (rows, positions, ...).",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
