"""Weights in the layouts of Keras and PyTorch give what the equations in their documentation give."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import GRU, LSTM, Dense, Layer, Recurrent, SimpleRNN, from_keras, from_pytorch

INPUTS, UNITS = 2, 3
BLOCKS = {SimpleRNN: 1, LSTM: 4, GRU: 3}


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape) for shape in shapes]


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def one_step(kind: type, gate: Any, candidate: Any, h: np.ndarray, c: np.ndarray) -> np.ndarray:
    """h' where `gate(k)` is block k of the sum of both products, and `candidate(k, r)` that of a GRU."""
    if kind is SimpleRNN:
        return np.tanh(gate(0))
    if kind is LSTM:
        i, f, g, o = (gate(k) for k in range(4))
        return sigmoid(o) * np.tanh(sigmoid(f) * c + sigmoid(i) * np.tanh(g))
    reset, update, new = candidate
    u = sigmoid(gate(update))
    return u * h + (1 - u) * np.tanh(new(sigmoid(gate(reset))))


@pytest.mark.parametrize("kind", BLOCKS)
def test_pytorch(kind: type[Recurrent]) -> None:
    rows = BLOCKS[kind] * UNITS
    W, R, b, b_hidden = given = arrays((rows, INPUTS), (rows, UNITS), (rows,), (rows,))
    x, h, c = arrays((INPUTS,), (UNITS,), (UNITS,))
    ours, hidden = np.split(W @ x + b, BLOCKS[kind]), np.split(R @ h + b_hidden, BLOCKS[kind])
    expected = one_step(kind, lambda k: ours[k] + hidden[k], (0, 1, lambda r: ours[2] + r * hidden[2]), h, c)
    layer = kind(UNITS)
    state = (h, c)[: layer.states]
    np.testing.assert_allclose(layer.step(from_pytorch(layer, given), state, x)[0], expected, rtol=1e-13)


@pytest.mark.parametrize("kind", BLOCKS)
def test_keras(kind: type[Recurrent]) -> None:
    rows = BLOCKS[kind] * UNITS
    bias = (2, rows) if kind is GRU else (rows,)
    W, R, b = given = arrays((INPUTS, rows), (UNITS, rows), bias)
    x, h, c = arrays((INPUTS,), (UNITS,), (UNITS,))
    b, b_recurrent = b if kind is GRU else (b, np.zeros(rows))
    ours, hidden = np.split(x @ W + b, BLOCKS[kind]), np.split(h @ R + b_recurrent, BLOCKS[kind])
    expected = one_step(kind, lambda k: ours[k] + hidden[k], (1, 0, lambda r: ours[2] + r * hidden[2]), h, c)
    layer = kind(UNITS)
    state = (h, c)[: layer.states]
    np.testing.assert_allclose(layer.step(from_keras(layer, given), state, x)[0], expected, rtol=1e-13)


def test_the_gru_of_the_paper_from_keras() -> None:
    W, R, b = given = arrays((INPUTS, 3 * UNITS), (UNITS, 3 * UNITS), (3 * UNITS,))
    x, h = arrays((INPUTS,), (UNITS,))
    z, (u, r, n) = np.split(x @ W + b, 3), np.split(R, 3, axis=1)
    reset, update = sigmoid(z[1] + h @ r), sigmoid(z[0] + h @ u)
    expected = update * h + (1 - update) * np.tanh(z[2] + (reset * h) @ n)
    layer = GRU(UNITS, reset_after=False)
    np.testing.assert_allclose(layer.step(from_keras(layer, given), (h,), x)[0], expected, rtol=1e-13)


def test_layers_without_bias_take_two_arrays() -> None:
    W, R = arrays((4 * UNITS, INPUTS), (4 * UNITS, UNITS))
    layer = LSTM(UNITS, use_bias=False)
    here, there = from_pytorch(layer, [W, R]), from_keras(layer, [W.T, R.T])
    assert list(here) == list(there) == ["kernel", "recurrent"]
    for name, array in (("kernel", W), ("recurrent", R)):
        assert np.array_equal(here[name], array)
        assert np.array_equal(there[name], array)


@pytest.mark.parametrize(
    ("convert", "layer", "weights", "complaint"),
    [
        (
            from_keras,
            LSTM(1),
            arrays((4, 2), (4, 1), (4,)),
            "LSTM(1, tanh) takes arrays of Keras of the shapes (inputs, 4), (1, 4), (4,), but got (4, 2), "
            "(4, 1), (4,): give them in this order, for a layer of the same options.",
        ),
        (
            from_pytorch,
            GRU(1),
            arrays((3, 2), (3, 1)),
            "(3, inputs), (3, 1), (3,), (3,), but got (3, 2), (3, 1)",
        ),
        (from_pytorch, SimpleRNN(1), [], "but got none: give them"),
        (from_keras, GRU(1), None, "GRU(1, tanh) takes a list of 3 arrays of Keras, but got None."),
    ],
    ids=["transposed", "too few", "none", "no list"],
)
def test_arrays_of_other_shapes_are_refused(
    convert: Any, layer: Recurrent, weights: list[np.ndarray] | None, complaint: str
) -> None:
    with pytest.raises(ShapeError, match=re.escape(complaint)):
        convert(layer, weights)


@pytest.mark.parametrize(
    ("convert", "layer", "complaint"),
    [
        (
            from_pytorch,
            GRU(1, reset_after=False),
            "PyTorch's GRU has reset_after, GRU(1, reset_after=False) has not; leave out the option.",
        ),
        (
            from_keras,
            LSTM(1, peephole=True),
            "Keras's LSTM has no peephole, LSTM(1, peephole=True) has; leave out the option.",
        ),
        (
            from_pytorch,
            Dense(1),
            "The weights of PyTorch are for a recurrent layer, such as LSTM(32); got Dense(1).",
        ),
    ],
    ids=["reset_after", "peephole", "no recurrent layer"],
)
def test_layers_that_the_library_has_not_are_refused(convert: Any, layer: Layer, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        convert(layer, [])
