"""Embedding and Masking: the rows that are read, the mask that is left, indices that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import glassnet as gn
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, DataError, GlassnetError, ShapeError
from glassnet.nn import Embedding, Layer, Masking, Parallel, Residual, Run, Sequential, TimeDistributed
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, parameters_of

TABLE = np.arange(8.0).reshape(4, 2)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_the_rows_at_the_indices_whatever_their_type(dtype: Any) -> None:
    x = np.array([[3, 0], [1, 3]], dtype)
    y = Embedding(4, 2)({"weight": TABLE}, x)
    assert np.array_equal(y, TABLE[[[3, 0], [1, 3]]])
    assert y.dtype == FLOAT64
    batched = gn.vmap(lambda x: Embedding(4, 2)({"weight": TABLE.astype(FLOAT32)}, x))(x)
    assert np.array_equal(batched, y)
    assert batched.dtype == FLOAT32


@given(shape=st.lists(st.integers(1, 3), max_size=3), units=st.integers(1, 3))
def test_output_shape_tells_the_truth(shape: list[int], units: int) -> None:
    layer = Embedding(4, units)
    y = layer(layer.init(Key(0), tuple(shape), FLOAT64), np.zeros(shape))
    assert y.shape == layer.output_shape(tuple(shape)) == (*shape, units)


@pytest.mark.parametrize("mask_index", [None, 0])
def test_the_gradient_adds_to_the_rows_that_were_read(mask_index: int | None) -> None:
    layer, x = Embedding(4, 2, mask_index=mask_index), np.array([2, 2, 0])
    check_layer(layer, (3,), x=x)
    gradient = gn.grad(lambda weight: layer({"weight": weight}, x).sum())(TABLE)
    assert np.array_equal(gradient, [[1, 1], [0, 0], [2, 2], [0, 0]])


def test_floating_indices_have_no_derivative() -> None:
    gradient = gn.grad(lambda x: Embedding(4, 2)({"weight": TABLE}, x).sum())(np.array([1.0, 2.0]))
    assert np.array_equal(gradient, [0.0, 0.0])


def test_it_is_the_product_with_one_hot_vectors() -> None:
    layer, x = Embedding(4, 2), np.array([3, 1, 3])
    dense = {"weight": TABLE.T, "bias": np.zeros(2)}
    assert np.array_equal(layer({"weight": TABLE}, x), gn.Dense(2)(dense, np.eye(4)[x]))


def test_the_index_that_fills_up_is_masked() -> None:
    layer, X = Embedding(4, 2, mask_index=0), np.array([[3, 1, 0], [2, 0, 0]])

    def one(x: Any) -> Any:
        run = Run()
        return layer({"weight": TABLE}, x, run), run.mask

    Y, mask = gn.vmap(one)(X)
    assert np.array_equal(mask, X != 0)
    assert np.array_equal(Y, TABLE[X])
    assert np.array_equal(one(X[0].astype(FLOAT32))[1], mask[0])


def test_initial_rows_and_the_options_as_data() -> None:
    layer = Embedding(50, 20, mask_index=np.int64(3))
    weight = layer.init(Key(0), (7,), FLOAT32)["weight"]
    assert weight.shape == (50, 20)
    assert weight.dtype == FLOAT32
    assert 0.049 < np.abs(weight).max() <= 0.05
    assert to_document(layer, "x") == {"type": "Embedding", "vocabulary": 50, "units": 20, "mask_index": 3}
    assert from_document(to_document(layer, "x")) == layer
    assert repr(layer) == "Embedding(50, 20, mask_index=3)"
    normal = Embedding(50, 20, initializer="normal").init(Key(0), (7,), FLOAT32)["weight"]
    assert np.abs(normal).max() > 0.1


@pytest.mark.parametrize(
    ("x", "index", "at"),
    [
        (np.array([0, 4, 9]), "4", " at position 1"),
        (np.array([[0.0, 1.0], [-1.0, 2.0]]), "-1.0", " at position (1, 0)"),
        (np.array([0.5]), "0.5", " at position 0"),
        (np.array([np.nan]), "nan", " at position 0"),
        (np.array(4), "4", ""),
    ],
)
def test_an_index_outside_the_vocabulary_is_one_sentence_with_its_place(
    x: np.ndarray, index: str, at: str
) -> None:
    with pytest.raises(DataError) as caught:
        Embedding(4, 2)({"weight": TABLE}, x)
    assert str(caught.value) == (
        f"Embedding(4, 2) got the index {index}{at}; it takes whole numbers from 0 to 3: enlarge the "
        "vocabulary, or give unknown words an index in it."
    )


@pytest.mark.parametrize(
    "around",
    [
        lambda words: Sequential([words]),
        lambda words: Parallel([Embedding(9, 2), words]),
        lambda words: Residual([Embedding(9, 2)], projection=words),
        lambda words: Residual([words]),
        TimeDistributed,
    ],
    ids=["Sequential", "Parallel", "projection", "Residual", "TimeDistributed"],
)
def test_layers_around_it_ask_it(around: Any) -> None:
    around(Embedding(4, 2)).check(np.array([[0, 3]]))
    with pytest.raises(DataError, match=r"^Embedding\(4, 2\) got the index 4 at position \(0, 1\)"):
        around(Embedding(4, 2)).check(np.array([[0, 4]]))


@pytest.mark.parametrize(
    "x", [np.array([[4]]), np.array([[-1]]), np.array([[1.5]]), np.array([[np.nan]])], ids=str
)
def test_where_values_are_not_known_reading_the_table_refuses_it(x: np.ndarray) -> None:
    with pytest.raises(GlassnetError, match="index 4 is out of bounds"):
        gn.vmap(lambda x: Embedding(4, 2)({"weight": TABLE}, x))(x)


def test_masking_tells_positions_by_their_value() -> None:
    x = np.array([[1.0, -1.0], [-1.0, -1.0], [-1.0, 2.0], [3.0, 3.0]])
    run = Run(record=Record(mask=np.array([True, True, True, False])))
    y = Masking(-1.0)({}, x, run)
    assert np.array_equal(run.mask, [True, False, True, False])
    assert np.array_equal(y, x * run.mask[:, None])


@given(x=arrays(FLOAT64, (4, 2), elements=st.sampled_from([0.0, 1.0])))
def test_masking_alone_masks_rows_of_zeros(x: np.ndarray) -> None:
    run = Run()
    assert np.array_equal(Masking()({}, x, run), x)
    assert np.array_equal(run.mask, x.any(axis=1))


def test_masking_passes_the_derivative_where_it_counts() -> None:
    x = np.array([[1.0, 2.0], [0.5, 0.5], [3.0, 4.0]])
    assert np.array_equal(gn.grad(lambda x: Masking(0.5)({}, x).sum())(x), [[1, 1], [0, 0], [1, 1]])
    check_layer(Masking(), (3, 2))
    check_form(Masking(), (3, 2))
    check_form(Masking(-1.0), (3, 2))


def test_the_mask_goes_through_a_network() -> None:
    network = Sequential([Embedding(4, 2, mask_index=0), gn.Dense(3)])
    run = Run()
    network(parameters_of(network, (3,)), np.array([1, 2, 0]), run)
    assert np.array_equal(run.mask, [True, True, False])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Embedding(0, 2), "Embedding got vocabulary=0; it takes a whole number of 1 or more."),
        (lambda: Embedding(4, 2.5), "Embedding got units=2.5; it takes a whole number of 1 or more."),
        (
            lambda: Embedding(4, 2, mask_index=4),
            "Embedding got mask_index=4; it takes one of the vocabulary, from 0 to 3.",
        ),
        (
            lambda: Embedding(4, 2, mask_index=-1),
            "Embedding got mask_index=-1; it takes a whole number of 0 or more.",
        ),
        (lambda: Masking(float("nan")), "Masking got value=nan; it takes a finite number."),
    ],
)
def test_wrong_options_are_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            Embedding(4, 2, mask_index=0),
            "Embedding(4, 2, 0) takes with mask_index sequences (positions,), but gets examples of shape "
            "(3, 2, 2): leave mask_index out.",
        ),
        (
            Masking(),
            "Masking() takes sequences (positions, features), but gets examples of shape (3, 2, 2): reshape "
            "X to (rows, positions, features).",
        ),
    ],
    ids=str,
)
def test_wrong_shapes_are_one_sentence(layer: Layer, sentence: str) -> None:
    with pytest.raises(ShapeError) as caught:
        layer.init(Key(0), (3, 2, 2), FLOAT64)
    assert str(caught.value) == sentence
