"""Compose: shared weights, several parts, shapes found by tracing, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.document import to_document
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import (
    BatchNorm,
    Compose,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LearnedPositions,
    MultiHeadAttention,
    Run,
    Sequential,
)
from tests.nn.gradients import check_layer, example_of, parameters_of


def gated(layers: Any, x: Any) -> Any:
    return layers.gate(x) * layers.value(x)


def twins(layers: Any, x: Any) -> Any:
    a, b = x
    return layers.head(gnp.abs(layers.encoder(a) - layers.encoder(b)))


GATE = Compose(gated, gate=Dense(2, activation="sigmoid"), value=Dense(2))
TWINS = Compose(twins, encoder=Dense(3, activation="tanh"), head=Dense(1))


@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [
        (GATE, (3,)),
        (TWINS, (2, 4)),
        (Compose(lambda layers, x: x + layers.inner(layers.inner(x)), inner=GATE), (2,)),
        (Sequential([Dense(2), GATE, Dense(1)]), (3,)),
    ],
    ids=["gate", "twins", "nested", "in a row"],
)
def test_gradient_batch_shape_and_dtype(layer: gn.Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    parameters, X = parameters_of(layer, in_shape), example_of((3, *in_shape))
    one_by_one = np.stack([layer(parameters, x) for x in X])
    np.testing.assert_allclose(gn.vmap(layer, in_axes=(None, 0))(parameters, X), one_by_one, rtol=1e-12)
    assert one_by_one.shape[1:] == layer.output_shape(in_shape)
    single = layer(layer.init(Key(0), in_shape, FLOAT32), X[0].astype(FLOAT32))
    assert single.dtype == FLOAT32


def test_it_is_the_function_of_its_layers() -> None:
    parameters, x = parameters_of(GATE, (3,)), example_of((3,))
    assert list(parameters) == ["gate", "value"]
    gate, value = (parameters[name]["weight"] @ x + parameters[name]["bias"] for name in ("gate", "value"))
    np.testing.assert_allclose(GATE(parameters, x), value / (1 + np.exp(-gate)), rtol=1e-12)


def test_the_derivative_of_shared_weights_is_the_sum_over_the_calls() -> None:
    parameters, x = parameters_of(TWINS, (2, 4)), example_of((2, 4))

    def apart(first: Any, second: Any) -> Any:
        encoder, head = TWINS.layers["encoder"], TWINS.layers["head"]
        return head(parameters["head"], gnp.abs(encoder(first, x[0]) - encoder(second, x[1])))[0]

    first, second = gn.grad(apart, wrt=(0, 1))(parameters["encoder"], parameters["encoder"])
    shared = gn.grad(lambda parameters: TWINS(parameters, x)[0])(parameters)["encoder"]
    np.testing.assert_allclose(shared["weight"], first["weight"] + second["weight"], rtol=1e-12)
    np.testing.assert_allclose(shared["bias"], first["bias"] + second["bias"], rtol=1e-12)


@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=2), rows=st.integers(1, 3))
def test_every_layer_gets_parameters_for_what_the_function_hands_it(sizes: list[int], rows: int) -> None:
    def function(layers: Any, x: Any) -> Any:
        image, table = x
        seen = layers.eye(image)
        return layers.head(gnp.concatenate([gnp.ravel(seen), layers.table(table)]))

    layer = Compose(function, eye=Conv2D(sizes[0], 2), table=Dense(sizes[1]), head=Dense(2))
    in_shape = ((rows + 1, 3, 2), (5,))
    parameters = layer.init(Key(0), in_shape, FLOAT64)
    assert parameters["eye"]["weight"].shape == (sizes[0], 2, 2, 2)
    assert parameters["table"]["weight"].shape == (sizes[1], 5)
    assert parameters["head"]["weight"].shape == (2, rows * 2 * sizes[0] + sizes[1])
    y = layer(parameters, tuple(example_of(shape) for shape in in_shape))
    assert y.shape == layer.output_shape(in_shape) == (2,)


def test_an_encoder_hands_its_memory_and_its_mask_to_a_decoder() -> None:
    def function(layers: Any, x: Any, run: Run) -> Any:
        source, target = x
        memory = layers.source(source)
        mask = run.mask
        return layers.attention((layers.target(target), memory, mask))

    parts = {"source": Embedding(4, 4, mask_index=0), "target": Embedding(3, 4)}
    layer = Compose(function, attention=MultiHeadAttention(2), **parts)
    assert layer.output_shape(((5,), (3,))) == (3, 4)
    parameters = layer.init(Key(0), ((5,), (3,)), FLOAT64)
    target = np.array([1, 2, 0])
    long, short = (np.array(words) for words in ([2, 1, 3, 0, 0], [2, 1, 3]))
    both = [layer(parameters, (source, target)) for source in (long, short)]
    np.testing.assert_allclose(*both, rtol=1e-12)


def test_a_second_call_draws_numbers_of_its_own() -> None:
    layer = Compose(lambda layers, x: gnp.stack([layers.noise(x), layers.noise(x)]), noise=Dropout(0.5))
    first, second = layer({"noise": {}}, np.ones(64), Run(training=True, key=Key(0)))
    assert not np.array_equal(first, second)
    once = Compose(lambda layers, x: layers.noise(x), noise=Dropout(0.5))
    np.testing.assert_array_equal(once({"noise": {}}, np.ones(64), Run(training=True, key=Key(0))), first)


def test_statistics_stand_under_the_layers_name() -> None:
    layer = Compose(
        lambda layers, x: layers.norm(layers.dense(x)), dense=Dense(2), norm=BatchNorm(momentum=0.0)
    )
    statistics = layer.init_statistics((3,), FLOAT64)
    assert list(statistics) == ["norm"]
    run = Run(training=True, statistics=statistics)
    parameters, x = parameters_of(layer, (3,)), example_of((3,))
    layer(parameters, x, run)
    expected = Dense(2)(parameters["dense"], x)
    np.testing.assert_allclose(run.record.kept["norm", "mean"], expected, rtol=1e-12)


def test_in_a_network_it_trains_and_its_parts_are_regularised_and_constrained() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2, 2))
    y = np.sum(np.abs(X[:, 0] - X[:, 1]), axis=1)
    encoder, head = Dense(4, regularizer=gn.L2(1e-3)), Dense(1, max_norm=1.5)
    net = gn.Network([Compose(twins, encoder=encoder, head=head)], loss="mean_squared_error", seed=0)
    net.fit(X, y, epochs=30, batch_size=20, optimizer=gn.Adam(0.02), engine="interpreter")
    assert net.evaluate(X, y)["loss"] < 0.1 * np.var(y)
    parameters = net.parameters
    assert list(parameters) == [
        f"compose_1.{part}.{name}" for part in ("encoder", "head") for name in ("weight", "bias")
    ]
    assert np.linalg.norm(parameters["compose_1.head.weight"]) <= 1.5 + 1e-6
    tree = {"encoder": {"weight": np.full((1, 2), 3.0)}, "head": {"weight": np.ones((1, 1))}}
    np.testing.assert_allclose(Compose(twins, encoder=encoder, head=head).penalty(tree), 0.5e-3 * 18)


def test_text_and_equality() -> None:
    assert repr(GATE) == "Compose(gated, gate=Dense(2, activation='sigmoid'), value=Dense(2))"
    assert GATE.describe() == "Compose(gated, gate=Dense(2, sigmoid), value=Dense(2, identity))"
    same = Compose(gated, gate=Dense(2, activation="sigmoid"), value=Dense(2))
    assert same == GATE
    assert hash(same) == hash(GATE)
    assert Compose(gated, gate=Dense(2), value=Dense(2)) != GATE
    assert Compose(gated, name="gate_1", gate=Dense(2), value=Dense(2)).name == "gate_1"


def compose_of(function: Any, **layers: Any) -> Any:
    return Compose(function, **layers).init(Key(0), (5, 2), FLOAT64)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: Compose(3),
            ConfigurationError,
            "Compose got function=3; it takes a function of layers and one example, such as lambda layers, "
            "x: layers.head(layers.encoder(x)).",
        ),
        (
            lambda: Compose(gated, gate=Dense(2), value="dense"),
            ConfigurationError,
            "Compose got value='dense'; it takes layers by name, such as value=Dense(8).",
        ),
        (
            lambda: compose_of(gated, gate=Dense(2), value=Dense(2), rest=Flatten()),
            ConfigurationError,
            "Compose(gated, gate=Dense(2, identity), value=Dense(2, identity), rest=Flatten()) never calls "
            "rest; call every layer, or leave it out.",
        ),
        (
            lambda: compose_of(gated, gate=Dense(2)),
            AttributeError,
            "Compose has no layer 'value'; it has gate.",
        ),
        (
            lambda: to_document(GATE, "the network"),
            ConfigurationError,
            "Compose(function) holds gated, which is code of your own, and a model file holds data; save "
            "net.parameters, or use what glassnet knows by name.",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == sentence


def pair(layers: Any, x: Any) -> Any:
    return layers.a(x), x


def two_widths(layers: Any, x: Any) -> Any:
    return gnp.sum(layers.a(x)) + gnp.sum(layers.a(x[:, :1]))


@pytest.mark.parametrize(
    ("function", "layer", "error", "sentence"),
    [
        (
            pair,
            Dense(1),
            ConfigurationError,
            "The function of Compose(pair, a=Dense(1, identity)) gives tuple for an example; a layer gives "
            "one array.",
        ),
        (
            two_widths,
            Dense(1),
            ShapeError,
            "Compose(two_widths, a=Dense(1, identity)) calls a with examples of shapes (5, 2) and (5, 1), "
            "for which it needs different parameters; call it with one shape, or take two layers.",
        ),
        (
            lambda layers, x: layers.a(x),
            LearnedPositions(4),
            ShapeError,
            "Compose, a: LearnedPositions(4) takes sequences of at most 4 positions, but gets examples of "
            "shape (5, 2): give it length=5 or more, or cut the sequences",
        ),
    ],
)
def test_what_the_function_does_wrong_is_one_sentence(
    function: Any, layer: gn.Layer, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        compose_of(function, a=layer)
    assert str(caught.value).startswith(sentence)  # the user's line may follow
    assert "\n" not in str(caught.value)
