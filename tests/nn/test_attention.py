"""Attention: values by hand, masks, causality, cross attention, and a whole transformer block."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    Dense,
    Embedding,
    GlobalAveragePool1D,
    LayerNorm,
    Masking,
    MultiHeadAttention,
    Residual,
    Run,
    Sequential,
    SinusoidalPositions,
    scaled_dot_product_attention,
)
from glassnet.nn.attention import attention_weights
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

BLOCK = Sequential(
    [
        Residual([LayerNorm(), MultiHeadAttention(2)]),
        Residual([LayerNorm(), Dense(5, activation="gelu"), Dense(4)]),
    ]
)
CASES = [
    (MultiHeadAttention(1), (3, 2), None),
    (MultiHeadAttention(2), (3, 4), None),
    (MultiHeadAttention(3, units=5, key_units=2, use_bias=False), (2, 4), None),
    (MultiHeadAttention(2, causal=True, kernel_initializer="orthogonal"), (4, 4), None),
    (MultiHeadAttention(2, dropout=0.4), (3, 4), Run(training=True, key=Key(3))),
    (MultiHeadAttention(2), (3, 4), Run(record=Record(mask=np.array([True, False, True])))),
    (MultiHeadAttention(2, causal=True), (3, 4), Run(record=Record(mask=np.array([False, True, True])))),
    (MultiHeadAttention(2), (2, 4), Run(record=Record(mask=np.array([False, False])))),
    (BLOCK, (3, 4), None),
]


@pytest.mark.parametrize(("layer", "in_shape", "run"), CASES, ids=[str(case[0]) for case in CASES])
def test_gradient_and_form(layer: gn.Layer, in_shape: tuple[int, ...], run: Run | None) -> None:
    check_layer(layer, in_shape, run)
    check_form(layer, in_shape, run)


@pytest.mark.parametrize("mask", [None, [True, False, True], [False, False, False]], ids=str)
def test_gradient_and_batch_of_cross_attention(mask: list[bool] | None) -> None:
    layer = MultiHeadAttention(2, units=3)
    parameters = parameters_of(layer, ((2, 4), (3, 5)))
    counts = None if mask is None else np.array(mask)

    def output(parameters: Any, queries: Any, memory: Any) -> Any:
        return layer(parameters, (queries, memory, counts))

    queries, memory = example_of((6, 2, 4)), example_of((6, 3, 5), seed=1)
    assert gn.check_grads(output, parameters, queries[0], memory[0], order=1).passed
    batch = gn.vmap(output, in_axes=(None, 0, 0))(parameters, queries, memory)
    one_by_one = [output(parameters, *pair) for pair in zip(queries, memory, strict=True)]
    np.testing.assert_allclose(batch, one_by_one, rtol=1e-12)
    assert batch.shape[1:] == layer.output_shape(((2, 4), (3, 5))) == (2, 3)


def by_hand(
    parameters: Any, heads: int, queries: np.ndarray, memory: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Vaswani et al., section 3.2, with a loop over heads, queries and keys."""
    q, k, v = (
        x @ parameters[name].T + parameters[f"{name}_bias"]
        for name, x in (("query", queries), ("key", memory), ("value", memory))
    )
    width = q.shape[1] // heads
    read = np.zeros_like(q)
    for block in (slice(head * width, (head + 1) * width) for head in range(heads)):
        for i in range(len(q)):
            e = {j: np.exp(q[i, block] @ k[j, block] / np.sqrt(width)) for j in np.flatnonzero(seen[i])}
            for j, e_j in e.items():
                read[i, block] += e_j / sum(e.values()) * v[j, block]
    return read @ parameters["output"].T + parameters["output_bias"]


@given(
    heads=st.integers(1, 3),
    sizes=st.tuples(*[st.integers(1, 4)] * 4),
    bits=st.lists(st.booleans(), min_size=4, max_size=4),
    causal=st.booleans(),
)
def test_values_are_those_of_the_loop(
    heads: int, sizes: tuple[int, int, int, int], bits: list[bool], causal: bool
) -> None:
    positions, features, key_units, units = sizes
    layer = MultiHeadAttention(heads, units=units, key_units=key_units, causal=causal)
    parameters, x = parameters_of(layer, (positions, features)), example_of((positions, features))
    mask = np.array(bits[:positions])
    seen = mask & (np.tri(positions, dtype=bool) if causal else True)
    expected = by_hand(parameters, heads, x, x, np.broadcast_to(seen, (positions, positions)))
    y = layer(parameters, x, Run(record=Record(mask=mask)))
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-13)
    assert y.shape == layer.output_shape(x.shape) == (positions, units)


def test_cross_attention_is_that_of_the_loop() -> None:
    layer = MultiHeadAttention(2)
    queries, memory = example_of((3, 4)), example_of((5, 6), seed=5)
    parameters = parameters_of(layer, (queries.shape, memory.shape))
    mask = np.array([True, True, False, True, False])
    expected = by_hand(parameters, 2, queries, memory, np.broadcast_to(mask, (3, 5)))
    np.testing.assert_allclose(layer(parameters, (queries, memory, mask)), expected, rtol=1e-12)
    everything = by_hand(parameters, 2, queries, memory, np.ones((3, 5)))
    np.testing.assert_allclose(layer(parameters, (queries, memory)), everything, rtol=1e-12)
    # The mask of the run is that of the queries: it takes nothing out of the memory and goes on.
    run = Run(record=Record(mask=np.array([True, False, True])))
    np.testing.assert_allclose(layer(parameters, (queries, memory), run), everything, rtol=1e-12)
    assert run.mask.tolist() == [True, False, True]


def test_numbers_worked_by_hand() -> None:
    # Scores 2 ln 3 / sqrt 4 = ln 3 and 0: weights 3/4 and 1/4.
    query, key = np.array([[2.0, 0.0, 0.0, 0.0]]), np.array([[log(3), 0.0, 0.0, 0.0], [0.0, 9.0, 9.0, 9.0]])
    np.testing.assert_allclose(attention_weights(query, key), [[0.75, 0.25]], rtol=1e-15)
    y = scaled_dot_product_attention(query, key, np.array([[4.0, 0.0], [0.0, 8.0]]))
    np.testing.assert_allclose(y, [[3.0, 2.0]], rtol=1e-15)


def test_large_scores_do_not_overflow_in_either_precision() -> None:
    for dtype in (FLOAT32, FLOAT64):
        query = np.array([[3e4], [-3e4]], dtype)
        weights = attention_weights(
            query, np.array([[1.0], [2.0], [3.0]], dtype), np.array([True, True, False])
        )
        assert weights.dtype == dtype
        assert weights.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_position_that_sees_nothing_reads_zeros_and_gives_no_nan() -> None:
    layer = MultiHeadAttention(2)
    parameters, x = parameters_of(layer, (3, 4)), example_of((3, 4))
    run = Run(record=Record(mask=np.zeros(3, bool)))
    y = layer(parameters, x, run)
    np.testing.assert_array_equal(y, np.tile(parameters["output_bias"], (3, 1)))
    # Left padding with causality: the padded position sees neither itself nor anything before it.
    causal = MultiHeadAttention(2, causal=True)
    y = causal(parameters, x, Run(record=Record(mask=np.array([False, True, True]))))
    np.testing.assert_array_equal(y[0], parameters["output_bias"])
    assert np.isfinite(y).all()


def test_causal_attention_never_sees_the_future_and_masked_keys_are_never_seen() -> None:
    layer = MultiHeadAttention(2, causal=True)
    parameters, x = parameters_of(layer, (4, 4)), example_of((4, 4))
    J = gn.jacobian(lambda x: layer(parameters, x))(x)  # (positions, units, positions, features)
    seen = np.any(J != 0, axis=(1, 3))
    assert seen.tolist() == np.tri(4, dtype=bool).tolist()
    plain, mask = MultiHeadAttention(2), np.array([True, False, True, True])

    def masked(x: Any) -> Any:
        return plain(parameters, x, Run(record=Record(mask=mask)))

    J = gn.jacobian(masked)(x)
    others = np.any(J != 0, axis=(1, 3)) & ~np.eye(4, dtype=bool)
    assert others.any(axis=0).tolist() == mask.tolist()


def test_without_positions_it_sees_a_set_and_padding_changes_nothing() -> None:
    layer = MultiHeadAttention(2)
    parameters, x = parameters_of(layer, (4, 4)), example_of((4, 4))
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(layer(parameters, x[order]), layer(parameters, x)[order], rtol=1e-12)
    padded = np.concatenate([x, np.full((2, 4), 1e6)])
    run = Run(record=Record(mask=np.array([True] * 4 + [False] * 2)))
    np.testing.assert_allclose(layer(parameters, padded, run)[:4], layer(parameters, x), rtol=1e-12)


def test_the_weights_can_be_watched_and_are_a_distribution() -> None:
    layer, run = MultiHeadAttention(2, name="reader"), Run()
    layer(parameters_of(layer, (3, 4)), example_of((3, 4)), run)
    weights = run.record.seen["weights",]
    assert weights.shape == (2, 3, 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-14)


def test_dropout_drops_weights_in_training_only_and_keeps_their_mean() -> None:
    layer = MultiHeadAttention(1, use_bias=False, dropout=0.5)
    one = np.ones((1, 1))
    parameters = {"query": 0 * one, "key": one, "value": one, "output": one}
    x = np.full((2, 1), 6.0)  # each weight is 1/2 and is dropped or doubled: y is 0, 6 or 12
    assert layer(parameters, x).tolist() == [[6.0], [6.0]]
    drawn = [layer(parameters, x, Run(training=True, key=Key(0, step=step))) for step in range(400)]
    assert set(np.ravel(drawn)) == {0.0, 6.0, 12.0}
    assert abs(np.mean(drawn) - 6.0) < 0.6  # four standard errors of 6 / sqrt(2 * 800)
    with pytest.raises(ConfigurationError, match="draws random numbers in training and was given no key"):
        layer(parameters, x, Run(training=True))


def test_regularisers_leave_the_biases_out() -> None:
    layer = MultiHeadAttention(1, regularizer=gn.L2(2.0))
    parameters = layer.init(Key(0), (2, 2), FLOAT64)
    parameters |= {name: np.ones(2) for name in parameters if name.endswith("_bias")}
    squares = sum(np.sum(parameters[name] ** 2) for name in ("query", "key", "value", "output"))
    np.testing.assert_allclose(layer.penalty(parameters), squares, rtol=1e-14)


def test_a_transformer_learns_whether_a_word_comes_before_another() -> None:
    # Words 1 and 2 among others, padded with 0; the class is their order, which needs the positions.
    rng = np.random.default_rng(0)
    X = np.array([[*rng.permutation(np.arange(1, 7)), 0] for _ in range(512)])
    y = np.argmax(X == 1, axis=1) < np.argmax(X == 2, axis=1)
    net = gn.Network(
        [
            Embedding(7, 8, mask_index=0),
            SinusoidalPositions(),
            Residual([LayerNorm(), MultiHeadAttention(2)]),
            Residual([LayerNorm(), Dense(16, activation="gelu"), Dense(8)]),
            GlobalAveragePool1D(),
            Dense(2),
        ],
        loss="cross_entropy",
        seed=0,
    )
    net.fit(
        X[:384], y[:384].astype(int), epochs=20, batch_size=32, optimizer=gn.Adam(0.01), engine="interpreter"
    )
    assert np.mean(net.predict(X[384:]) == y[384:]) > 0.95


def test_the_mask_of_a_masking_layer_reaches_the_attention() -> None:
    network = Sequential([Masking(), MultiHeadAttention(2)])
    parameters, x = parameters_of(network, (4, 4)), example_of((4, 4))
    x[2:] = 0.0
    short = network(parameters, x[:2])
    np.testing.assert_allclose(network(parameters, x)[:2], short, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: MultiHeadAttention(0),
            ConfigurationError,
            "MultiHeadAttention got heads=0; it takes a whole number of 1 or more.",
        ),
        (
            lambda: MultiHeadAttention(2, key_units=1.5),
            ConfigurationError,
            "MultiHeadAttention got key_units=1.5; it takes a whole number of 1 or more.",
        ),
        (
            lambda: MultiHeadAttention(2, dropout=1.0),
            ConfigurationError,
            "MultiHeadAttention got dropout=1.0; it takes a number with 0 <= dropout < 1.",
        ),
        (
            lambda: MultiHeadAttention(3).output_shape((5, 8)),
            ShapeError,
            "MultiHeadAttention(3) takes sequences whose features 3 heads divide, but gets examples of shape "
            "(5, 8): take a number of heads that does, give key_units=, or put a Dense in front.",
        ),
        (
            lambda: MultiHeadAttention(2).init(Key(0), (5,), FLOAT32),
            ShapeError,
            "MultiHeadAttention(2) takes sequences (positions, features) or a pair of such, but gets "
            "examples of shape (5,): reshape X to (rows, positions, features), or put an Embedding in front.",
        ),
        (
            lambda: MultiHeadAttention(2, causal=True).output_shape(((5, 4), (6, 4))),
            ConfigurationError,
            "MultiHeadAttention got causal=True for a pair of queries and memory, whose positions have no "
            "common order; leave causal out, or mask the memory.",
        ),
        (
            lambda: MultiHeadAttention(2)({}, (np.ones((2, 2)),)),
            ShapeError,
            "MultiHeadAttention got 1 arrays; it takes one sequence, or queries and memory, or those two and "
            "the memory's mask.",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence


def test_an_unknown_initialiser_is_refused_with_the_layer_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^MultiHeadAttention got the initializer 'best'; it takes"):
        MultiHeadAttention(2, kernel_initializer="best")
