"""SimpleRNN, LSTM and GRU against loops from the papers' equations; masks, cells, directions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key
from glassnet.core.tree import tree_map
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import GRU, LSTM, Dense, Layer, Masking, Recurrent, Run, Sequential, SimpleRNN
from glassnet.nn.activations import RandomizedLeakyReLU
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

INPUTS, UNITS = 2, 3
SIMPLE = SimpleRNN(UNITS)
CELLS = [SIMPLE, LSTM(UNITS), LSTM(UNITS, peephole=True), GRU(UNITS), GRU(UNITS, reset_after=False)]
OPTIONS = [
    SimpleRNN(UNITS, "softplus", use_bias=False, return_sequences=True),
    SimpleRNN(UNITS, go_backwards=True, recurrent_initializer="identity", kernel_initializer="normal"),
    LSTM(UNITS, use_bias=False, return_sequences=True, go_backwards=True, peephole=True),
    LSTM(UNITS, "softsign", recurrent_activation="softplus", unit_forget_bias=False),
    GRU(UNITS, use_bias=False, reset_after=False, return_sequences=True),
    GRU(UNITS, "softsign", recurrent_activation="softplus", go_backwards=True, bias_initializer="ones"),
    GRU(UNITS, use_bias=False, return_sequences=True),
]
MASK = np.array([False, True, False, True, True, False, False])


def sequences(layer: Recurrent, **options: Any) -> Recurrent:
    """The same layer with return_sequences."""
    return replace(layer, return_sequences=True, **options)


def masked(mask: Any, **options: Any) -> Run:
    return Run(record=Record(mask=mask), **options)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def by_the_papers(layer: Recurrent, parameters: dict[str, np.ndarray], X: np.ndarray) -> np.ndarray:
    """The outputs, gate by gate and position by position: an independent calculation."""
    W, R, b = (np.split(parameters[name], layer.gates) for name in ("kernel", "recurrent", "bias"))
    h = c = np.zeros(layer.units)
    outputs = []
    for x in X:
        z = [W[k] @ x + b[k] for k in range(layer.gates)]
        if isinstance(layer, SimpleRNN):
            h = np.tanh(z[0] + R[0] @ h)
        elif isinstance(layer, LSTM):
            p = np.split(parameters.get("peephole", np.zeros(3 * layer.units)), 3)
            i = sigmoid(z[0] + R[0] @ h + p[0] * c)
            f = sigmoid(z[1] + R[1] @ h + p[1] * c)
            c = f * c + i * np.tanh(z[2] + R[2] @ h)
            h = sigmoid(z[3] + R[3] @ h + p[2] * c) * np.tanh(c)
        else:
            r, u = sigmoid(z[0] + R[0] @ h), sigmoid(z[1] + R[1] @ h)
            after = layer.reset_after
            reset = r * (R[2] @ h + parameters["recurrent_bias"]) if after else R[2] @ (r * h)
            h = u * h + (1 - u) * np.tanh(z[2] + reset)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_the_gradient_through_time(layer: Recurrent, length: int) -> None:
    check_layer(layer, (length, INPUTS))


@pytest.mark.parametrize("layer", OPTIONS, ids=str)
def test_gradient_and_form_with_options(layer: Recurrent) -> None:
    check_layer(layer, (3, INPUTS))
    check_form(layer, (3, INPUTS))


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_gradient_and_form_with_a_mask(layer: Recurrent) -> None:
    for case in (layer, sequences(layer, go_backwards=True)):
        check_layer(case, (7, INPUTS), masked(MASK))
        check_form(case, (7, INPUTS), masked(MASK))


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_the_values_are_those_of_the_papers(layer: Recurrent) -> None:
    parameters, x = parameters_of(layer, (6, INPUTS)), example_of((6, INPUTS))
    expected = by_the_papers(layer, parameters, x)
    np.testing.assert_allclose(sequences(layer)(parameters, x), expected, rtol=1e-13)
    np.testing.assert_allclose(layer(parameters, x), expected[-1], rtol=1e-13)
    backwards = by_the_papers(layer, parameters, x[::-1])
    np.testing.assert_allclose(
        sequences(layer, go_backwards=True)(parameters, x), backwards[::-1], rtol=1e-13
    )


@given(positions=st.integers(0, 4), inputs=st.integers(1, 3), units=st.integers(1, 3), every=st.booleans())
def test_output_shape_is_true(positions: int, inputs: int, units: int, every: bool) -> None:
    layer = SimpleRNN(units, return_sequences=every)
    in_shape = (positions, inputs)
    assert layer(parameters_of(layer, in_shape), example_of(in_shape)).shape == layer.output_shape(in_shape)


# -- masks


def dyadic(layer: Recurrent, positions: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters and an example of few bits, so that W x is exact in whatever order it is summed."""
    coarse = lambda leaf: np.round(8 * leaf) / 8  # noqa: E731
    return tree_map(coarse, parameters_of(layer, (positions, INPUTS))), coarse(
        example_of((positions, INPUTS))
    )


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_a_masked_sequence_is_the_shorter_sequence_to_the_bit(layer: Recurrent, backwards: bool) -> None:
    layer = replace(layer, go_backwards=backwards)
    parameters, x = dyadic(layer, 7)
    short = layer(parameters, x[MASK])
    assert np.array_equal(layer(parameters, x, masked(MASK)), short)
    every = sequences(layer)(parameters, x, masked(MASK))
    assert np.array_equal(every[MASK], sequences(layer)(parameters, x[MASK]))
    assert np.array_equal(every[0 if backwards else -1], short)


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_masked_outputs_repeat_the_one_before(layer: Recurrent) -> None:
    parameters, x = parameters_of(layer, (7, INPUTS)), example_of((7, INPUTS))
    run = masked(MASK)
    y = sequences(layer)(parameters, x, run)
    assert run.mask is MASK
    assert not y[0].any()
    for t in (2, 5, 6):
        assert np.array_equal(y[t], y[t - 1])
    run = masked(MASK)
    assert np.array_equal(layer(parameters, x, run), y[-1])
    assert run.mask is None


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_a_sequence_without_a_position_that_counts_gives_zeros(layer: Recurrent) -> None:
    parameters, x = parameters_of(layer, (4, INPUTS)), example_of((4, INPUTS))
    assert not layer(parameters, x, masked(np.zeros(4, bool))).any()

    def total(parameters: Any) -> Any:
        return layer(parameters, x, masked(np.zeros(4, bool))).sum()

    assert not any(leaf.any() for leaf in gn.grad(total)(parameters).values())


def test_every_example_of_a_batch_has_a_mask_of_its_own() -> None:
    network = Sequential([Masking(), LSTM(UNITS, return_sequences=True), GRU(UNITS)])
    parameters = parameters_of(network, (5, INPUTS))
    X = example_of((3, 5, INPUTS))
    X[0, 2:] = 0.0
    X[1, 4:] = 0.0
    together = gn.vmap(network, in_axes=(None, 0))(parameters, X)
    for x, length, y in zip(X, (2, 4, 5), together, strict=True):
        np.testing.assert_allclose(y, network(parameters, x[:length]), rtol=1e-12)


# -- cells


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_steps_of_the_cell_are_the_walk(layer: Recurrent) -> None:
    parameters, x = parameters_of(layer, (4, INPUTS)), example_of((4, INPUTS))
    outputs, last = layer.unroll(parameters, x)
    state = layer.initial_state(FLOAT64)
    for t in range(4):
        state = layer.step(parameters, state, x[t])
        np.testing.assert_allclose(state[0], outputs[t], rtol=1e-13)
    for mine, walked in zip(state, last, strict=True):
        np.testing.assert_allclose(mine, walked, rtol=1e-13)


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_pieces_with_the_state_handed_on_are_the_whole(layer: Recurrent) -> None:
    parameters, x = parameters_of(layer, (6, INPUTS)), example_of((6, INPUTS))
    whole, last = layer.unroll(parameters, x)
    first, state = layer.unroll(parameters, x[:2])
    second, end = layer.unroll(parameters, x[2:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=1e-13)
    np.testing.assert_allclose(np.stack(end), np.stack(last), rtol=1e-13)


@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_the_gradient_with_respect_to_a_given_state(layer: Recurrent) -> None:
    parameters, x = parameters_of(layer, (3, INPUTS)), example_of((3, INPUTS))
    state = tuple(example_of((UNITS,), seed) for seed in range(layer.states))
    assert gn.check_grads(lambda state: layer.unroll(parameters, x, state), state, order=1).passed


def test_recurrent_layers_stack_and_their_gradients_too() -> None:
    network = Sequential(
        [LSTM(2, return_sequences=True), GRU(2, return_sequences=True), SimpleRNN(2), Dense(1)]
    )
    check_layer(network, (3, INPUTS))
    check_form(network, (3, INPUTS))


# -- gates


def test_the_derivative_along_the_cell_is_the_product_of_the_forget_gates() -> None:
    layer, positions = LSTM(1), 5
    parameters = parameters_of(layer, (positions, 1))
    parameters["recurrent"][:] = 0.0
    x, start = example_of((positions, 1)), np.array([0.7])
    forget = sigmoid(x @ parameters["kernel"][1:2].T + parameters["bias"][1])
    along = gn.grad(lambda c: layer.unroll(parameters, x, (np.zeros(1), c))[1][1].sum())(start)
    np.testing.assert_allclose(along, [np.prod(forget)], rtol=1e-13)


def test_an_open_and_a_shut_gate() -> None:
    """c' = c to the bit for f = 1 and i = 0; with the output gate shut nothing of it is seen."""
    layer = LSTM(1)
    zeros = {"kernel": np.zeros((4, 1)), "recurrent": np.zeros((4, 1))}
    x, state = np.array([5.0]), (np.array([0.0]), np.array([0.3]))
    h, c = layer.step({**zeros, "bias": np.array([-800.0, 800.0, 1.0, 800.0])}, state, x)
    assert (h, c) == (np.tanh(0.3), 0.3)
    h, c = layer.step({**zeros, "bias": np.array([-800.0, 800.0, 1.0, -800.0])}, state, x)
    assert (h, c) == (0.0, 0.3)


@pytest.mark.parametrize("reset_after", [False, True])
def test_an_open_update_gate_keeps_the_state(reset_after: bool) -> None:
    layer = GRU(1, reset_after=reset_after)
    parameters = parameters_of(layer, (1, 1)) | {"bias": np.array([0.0, 800.0, 0.0])}
    assert layer.step(parameters, (np.array([0.3]),), np.array([5.0])) == (np.array([0.3]),)


def test_the_two_forms_of_the_gru_agree_where_the_reset_gate_is_open() -> None:
    after, before = GRU(UNITS), GRU(UNITS, reset_after=False)
    parameters, x = parameters_of(after, (4, INPUTS)), example_of((4, INPUTS))
    parameters["bias"][:UNITS] = 800.0
    parameters["recurrent_bias"][:] = 0.0
    np.testing.assert_allclose(after(parameters, x), before(parameters, x), rtol=1e-13)
    parameters["bias"][:UNITS] = 0.0
    assert np.abs(after(parameters, x) - before(parameters, x)).max() > 1e-3


# -- fresh parameters


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("layer", CELLS, ids=str)
def test_fresh_parameters_come_in_blocks(layer: Recurrent, dtype: np.dtype) -> None:
    made = layer.init(Key(0), (4, INPUTS), dtype)
    assert {leaf.dtype for leaf in made.values()} == {dtype}
    assert made["kernel"].shape == (layer.gates * UNITS, INPUTS)
    blocks = np.split(made["recurrent"], layer.gates)
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(UNITS), atol=1e-6)
    assert all(not np.allclose(block, blocks[0]) for block in blocks[1:])
    kernels = np.split(made["kernel"], layer.gates)
    assert np.abs(made["kernel"]).max() <= np.sqrt(6 / (INPUTS + UNITS))
    assert all(not np.allclose(block, kernels[0]) for block in kernels[1:])


def test_the_names_of_the_parameters() -> None:
    def names(layer: Recurrent) -> list[str]:
        return list(layer.init(Key(0), (4, INPUTS), FLOAT64))

    assert names(SIMPLE) == names(LSTM(UNITS)) == names(GRU(UNITS, reset_after=False))
    assert names(SIMPLE) == ["kernel", "recurrent", "bias"]
    assert names(LSTM(UNITS, use_bias=False, peephole=True)) == ["kernel", "recurrent", "peephole"]
    assert names(GRU(UNITS)) == ["kernel", "recurrent", "bias", "recurrent_bias"]
    assert names(GRU(UNITS, use_bias=False)) == ["kernel", "recurrent"]


def test_the_forget_gate_starts_open() -> None:
    bias = LSTM(2).init(Key(0), (4, INPUTS), FLOAT64)["bias"]
    assert bias.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert not LSTM(2, unit_forget_bias=False).init(Key(0), (4, INPUTS), FLOAT64)["bias"].any()


# -- errors and text


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: LSTM(0), r"LSTM got units=0; it takes a whole number of 1 or more\."),
        (lambda: GRU(2, "tan"), r"GRU got activation='tan'; it takes one of identity, sigmoid, tanh"),
        (lambda: LSTM(2, recurrent_activation="tan"), r"LSTM, for its gates, got activation='tan'; it takes"),
        (
            lambda: GRU(2, recurrent_activation=RandomizedLeakyReLU()),
            r"GRU, for its gates, got .*without chance",
        ),
        (lambda: SimpleRNN(2, recurrent_initializer="qr"), r"SimpleRNN got the initializer 'qr'"),
    ],
    ids=range(5),
)
def test_wrong_options_are_refused(make: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make()


def test_a_random_activation_is_refused_by_name_too() -> None:
    complaint = (
        "SimpleRNN got activation='randomized_leaky_relu', which draws random numbers; inside the recurrence "
        "it takes activations without chance, such as 'leaky_relu'."
    )
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        SimpleRNN(2, "randomized_leaky_relu")


@pytest.mark.parametrize(
    ("layer", "in_shape", "complaint"),
    [
        (
            GRU(2),
            (2, 3, 4),
            "GRU(2, tanh) takes sequences (positions, inputs), but gets examples of shape (2, 3, 4): reshape "
            "X to (rows, positions, inputs).",
        ),
        (
            Sequential([LSTM(3), GRU(2)]),
            (5, 4),
            ", or let a recurrent layer in front return_sequences=True (lstm_1, LSTM(3, tanh), gives them).",
        ),
    ],
    ids=["images", "a last output"],
)
def test_examples_that_are_no_sequences_are_refused(
    layer: Layer, in_shape: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(ShapeError, match=re.escape(complaint)):
        layer.output_shape(in_shape)


def test_a_layer_reads_as_people_write_it() -> None:
    assert repr(LSTM(8, return_sequences=True, peephole=True)) == (
        "LSTM(8, return_sequences=True, peephole=True)"
    )
    assert SimpleRNN(8, "relu").describe() == "SimpleRNN(8, relu)"
