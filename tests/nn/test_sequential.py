"""Sequential: names, shared layers, shapes on the way, and where something does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import Run

FLOAT64 = np.dtype("float64")


def test_it_is_one_layer_after_the_other() -> None:
    first, second = gn.Dense(4, activation="tanh"), gn.Dense(2, activation="softmax")
    row = gn.Sequential([first, second])
    parameters, x = row.init(Key(0), (3,), FLOAT64), np.array([1.0, -2.0, 0.5])
    expected = second(parameters["dense_2"], first(parameters["dense_1"], x))
    assert np.array_equal(row(parameters, x), expected)
    assert row.shapes((3,)) == [(4,), (2,)]
    assert row.output_shape((3,)) == (2,)
    assert row.output_activation == "softmax"


def test_names_are_of_the_kind_and_place_or_the_layer_s_own() -> None:
    row = gn.Sequential([gn.Dense(4), gn.nn.LayerNorm(), gn.Dense(4, name="middle"), gn.Dense(2)])
    assert row.names == ["dense_1", "layer_norm_2", "middle", "dense_4"]
    assert list(row.init(Key(0), (3,), FLOAT64)) == row.names
    assert list(row.parts) == row.names


def test_two_layers_of_one_kind_begin_differently() -> None:
    made = gn.Sequential([gn.Dense(3), gn.Dense(3)]).init(Key(0), (3,), FLOAT64)
    assert not np.isin(made["dense_1"]["weight"], made["dense_2"]["weight"]).any()


def test_a_name_that_stands_twice_is_one_layer_with_one_gradient() -> None:
    shared = gn.Dense(3, activation="tanh", name="again")
    row = gn.Sequential([shared, gn.Dense(3), shared])
    parameters = row.init(Key(0), (3,), FLOAT64)
    assert list(parameters) == ["again", "dense_2"]
    x = np.array([0.5, -1.0, 2.0])

    def apart(one: Any, other: Any) -> Any:
        middle = gn.Dense(3)(parameters["dense_2"], shared(one, x))
        return shared(other, middle).sum()

    whole = gn.grad(lambda p: row(p, x).sum())(parameters)
    parts = gn.grad(apart, (0, 1))(parameters["again"], parameters["again"])
    for name in ("weight", "bias"):
        np.testing.assert_allclose(whole["again"][name], parts[0][name] + parts[1][name], rtol=1e-13)


def test_statistics_are_those_of_the_layers_that_keep_any() -> None:
    row = gn.Sequential([gn.Dense(4), gn.nn.BatchNorm(), gn.Sequential([gn.nn.BatchNorm()])])
    kept = row.init_statistics((3,), FLOAT64)
    assert {name: list(own) for name, own in kept.items()} == {
        "batch_norm_2": ["mean", "variance"],
        "sequential_3": ["batch_norm_1"],
    }
    assert gn.Sequential([gn.Dense(4)]).init_statistics((3,), FLOAT64) == {}


def test_each_layer_draws_and_shows_under_its_own_name() -> None:
    row = gn.Sequential([gn.nn.Dropout(0.5), gn.nn.Dropout(0.5, name="second"), gn.Dense(2)])
    parameters = row.init(Key(0), (50,), FLOAT64)
    run = Run(training=True, key=Key(3))
    row(parameters, np.ones(50), run)
    seen = run.record.seen
    assert set(seen) == {("dropout_1",), ("second",), ("dense_3", "z"), ("dense_3",)}
    first, both = np.asarray(seen["dropout_1",]), np.asarray(seen["second",])
    assert set(first) == {0.0, 2.0}
    assert set(both) == {0.0, 4.0}  # four times where both kept it: they did not draw the same


def test_the_last_activation_can_be_replaced() -> None:
    row = gn.Sequential([gn.Dense(4, activation="relu"), gn.Dense(2, activation="softmax")])
    assert row.with_output_activation("identity") == gn.Sequential(
        [gn.Dense(4, activation="relu"), gn.Dense(2)]
    )


@pytest.mark.parametrize("layers", [[], None, gn.Dense(2), [gn.Dense(2), "relu"], "dense"], ids=repr)
def test_what_is_no_row_of_layers_is_refused(layers: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Sequential got layers=.*; it takes a list of one or more"):
        gn.Sequential(layers)


def test_two_different_layers_of_one_name_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Sequential got two different layers called 'a', .* different names"
    ):
        gn.Sequential([gn.Dense(2, name="a"), gn.Dense(3, name="a")])


def test_a_shape_that_does_not_fit_is_named_with_the_layer_and_what_came_before() -> None:
    row = gn.Sequential([gn.Dense(4), gn.nn.GRU(3), gn.Dense(2)])
    sentence = r"Layer 2, gru_2: GRU\(3, tanh\) takes .* shape \(4,\): .* \(dense_1, .*, gives them\)\."
    for call in (row.output_shape, row.shapes, lambda shape: row.init(Key(0), shape, FLOAT64)):
        with pytest.raises(ShapeError, match=sentence) as caught:
            call((3,))
        assert str(caught.value).count(".") == 1
