"""Parallel, Add, Multiply: the merges, their derivatives, names of parameters, masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    Add,
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    Layer,
    Multiply,
    Parallel,
    PReLU,
    Run,
    Sequential,
)
from glassnet.nn.parallel import MERGES
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

TWO = (Dense(3, activation="tanh"), Sequential((Dense(2), Dense(3))))


@pytest.mark.parametrize("merge", MERGES)
def test_gradient_and_form_of_every_merge(merge: str) -> None:
    for layer, in_shape in ((Parallel(TWO, merge=merge), (4,)), (Parallel(TWO, merge), (2, 4))):
        check_layer(layer, in_shape)
        check_form(layer, in_shape)


@pytest.mark.parametrize("layer", [Add(TWO), Multiply(TWO), Multiply(TWO, name="gate")], ids=str)
def test_gradient_and_form_of_the_named_merges(layer: Layer) -> None:
    check_layer(layer, (4,))
    check_form(layer, (4,))


def test_the_merges_are_what_they_say() -> None:
    parameters, x = parameters_of(Parallel(TWO), (4,)), example_of((4,))
    u, v = (layer(parameters[name], x) for name, layer in Parallel(TWO).parts.items())
    expected = {
        "concatenate": np.concatenate([u, v]),
        "add": u + v,
        "multiply": u * v,
        "average": (u + v) / 2,
        "maximum": np.maximum(u, v),
    }
    assert expected.keys() == MERGES.keys()
    for merge, y in expected.items():
        np.testing.assert_array_equal(Parallel(TWO, merge=merge)(parameters, x), y)
    np.testing.assert_array_equal(Add(TWO)(parameters, x), u + v)
    np.testing.assert_array_equal(Multiply(TWO)(parameters, x), u * v)


def test_a_product_passes_to_each_factor_the_other_times_the_derivative() -> None:
    # o = y_1 y_2: do/dy_1 = y_2. With y_k = b_k (zero weights), do/db_1 = b_2 and do/db_2 = b_1.
    layer = Multiply([Dense(2), Dense(2)])
    parameters = {
        "dense_1": {"weight": np.zeros((2, 1)), "bias": np.array([3.0, 5.0])},
        "dense_2": {"weight": np.zeros((2, 1)), "bias": np.array([-2.0, 0.0])},
    }
    gradient = gn.grad(lambda parameters: layer(parameters, np.ones(1)).sum())(parameters)
    assert np.array_equal(gradient["dense_1"]["bias"], [-2.0, 0.0])
    assert np.array_equal(gradient["dense_2"]["bias"], [3.0, 5.0])


def test_of_equal_branches_the_maximum_passes_to_the_first() -> None:
    layer = Parallel([PReLU(name="first"), PReLU(name="second")], merge="maximum")
    parameters = layer.init(Key(0), (1,), FLOAT64)
    gradient = gn.grad(lambda parameters: layer(parameters, np.array([-2.0])).sum())(parameters)
    assert (gradient["first"]["slope"], gradient["second"]["slope"]) == ([-2.0], [0.0])


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), leading=st.lists(st.integers(1, 3), max_size=2)
)
def test_concatenated_the_last_axes_add_up(sizes: list[int], leading: list[int]) -> None:
    layer, in_shape = Parallel([Dense(size) for size in sizes]), (*leading, 2)
    y = layer(layer.init(Key(0), in_shape, FLOAT64), np.ones(in_shape))
    assert y.shape == layer.output_shape(in_shape) == (*leading, sum(sizes))


def test_branches_have_parameters_and_chance_of_their_own_unless_they_share_a_name() -> None:
    apart = Parallel([Dense(2), Dense(2)]).init(Key(0), (3,), FLOAT64)
    assert list(apart) == ["dense_1", "dense_2"]
    assert not np.array_equal(apart["dense_1"]["weight"], apart["dense_2"]["weight"])
    shared = Add([Dense(2, name="both"), Dense(2, name="both")])
    parameters = shared.init(Key(0), (3,), FLOAT64)
    assert list(parameters) == ["both"]
    x = example_of((3,))
    np.testing.assert_allclose(shared(parameters, x), 2 * Dense(2)(parameters["both"], x), rtol=1e-12)
    run = Run(training=True, key=Key(0))
    drawn = Parallel([Dropout(0.5), Dropout(0.5)])({"dropout_1": {}, "dropout_2": {}}, np.ones(32), run)
    assert not np.array_equal(drawn[:32], drawn[32:])


def test_statistics_stand_under_the_names_of_their_branches() -> None:
    layer = Parallel([Dense(2), Sequential([BatchNorm(momentum=0.0)], name="row")])
    statistics = layer.init_statistics((2,), FLOAT64)
    assert list(statistics) == ["row"]
    run = Run(training=True, statistics=statistics)
    layer(layer.init(Key(0), (2,), FLOAT64), np.array([3.0, 4.0]), run)
    assert np.array_equal(run.record.kept["row", "batch_norm_1", "mean"], [3.0, 4.0])


def test_every_branch_sees_the_mask_and_a_position_counts_where_all_say_so() -> None:
    same = np.array([True, True, False])
    run = Run(record=Record(mask=same))
    Add([Dense(2), Dense(2)])(parameters_of(Add([Dense(2), Dense(2)]), (3, 2)), np.ones((3, 2)), run)
    assert run.mask is same
    words = Parallel([Embedding(5, 2, mask_index=0), Embedding(5, 3, mask_index=4), Embedding(5, 1)])
    words(parameters_of(words, (3,)), np.array([0, 1, 4]), run)
    assert np.array_equal(run.mask, [False, True, False])


def test_the_values_of_the_branches_are_shown() -> None:
    run = Run()
    layer = Multiply(TWO)
    layer(parameters_of(layer, (4,)), example_of((4,)), run)
    assert {("dense_1",), ("sequential_2",), ("dense_1", "z"), ("sequential_2", "dense_2")} <= set(
        run.record.seen
    )


def test_regularisers_of_the_parts_count() -> None:
    class Sum:
        def penalty(self, parameters: Any) -> Any:
            return sum(leaf.sum() for leaf in flatten(parameters)[0])

    layer = Add([Dense(2, regularizer=Sum()), Dense(2)])
    parameters = layer.init(Key(0), (3,), FLOAT64)
    assert layer.penalty(parameters) == parameters["dense_1"]["weight"].sum()


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: Parallel(TWO, merge="sum"),
            ConfigurationError,
            "Parallel got merge='sum'; it takes one of concatenate, add, multiply, average, maximum.",
        ),
        (
            lambda: Add([]),
            ConfigurationError,
            "Add got layers=[]; it takes a list of one or more layers, such as [Dense(32, "
            "activation='relu'), Dense(32)].",
        ),
        (
            lambda: Multiply([Dense(2, name="a"), Dense(3, name="a")]),
            ConfigurationError,
            "Multiply got two different layers called 'a', Dense(2, name='a') and Dense(3, name='a'); give "
            "them different names.",
        ),
        (
            lambda: Add([Dense(2), Dense(1)]).init(Key(0), (3,), FLOAT64),
            ShapeError,
            "Add(Dense(2, identity), Dense(1, identity)) with merge='add' takes branches of one shape, but "
            "for examples of shape (3,) they give dense_1 (2,), dense_2 (1,): give their last layers equal "
            "sizes.",
        ),
        (
            lambda: Parallel([Dense(3), Embedding(9, 2)]).output_shape((3,)),
            ShapeError,
            "Parallel(Dense(3, identity), Embedding(9, 2)) with merge='concatenate' takes branches of one "
            "shape but for the last axis, but for examples of shape (3,) they give dense_1 (3,), "
            "embedding_2 (3, 2): give their last layers equal sizes.",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence
