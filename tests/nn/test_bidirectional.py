"""Bidirectional: two directions, their merges and their masks."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.dtype import FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import GRU, LSTM, Bidirectional, Dense, Recurrent, Run, Sequential, SimpleRNN
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, example_of, parameters_of

MASK = np.array([True, True, False, True, False])
BY_HAND = {
    "concatenate": lambda a, b: np.concatenate([a, b], axis=-1),
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "average": lambda a, b: (a + b) / 2,
    "maximum": np.maximum,
}


@pytest.mark.parametrize("merge", BY_HAND)
@pytest.mark.parametrize("layer", [GRU(2), LSTM(2, return_sequences=True)], ids=str)
def test_gradient_form_and_value_of_every_merge(layer: Recurrent, merge: str) -> None:
    both, in_shape = Bidirectional(layer, merge=merge), (5, 3)
    check_layer(both, in_shape)
    check_form(both, in_shape)
    parameters, x = parameters_of(both, in_shape), example_of(in_shape)
    forth = layer(parameters["forward"], x)
    back = layer(parameters["backward"], x[::-1])
    if layer.return_sequences:
        back = back[::-1]
    np.testing.assert_allclose(both(parameters, x), BY_HAND[merge](forth, back), rtol=1e-13)


@pytest.mark.parametrize("layer", [SimpleRNN(2), LSTM(2), GRU(2)], ids=str)
def test_both_directions_see_the_mask(layer: Recurrent) -> None:
    both = Bidirectional(layer)
    every = Bidirectional(replace(layer, return_sequences=True))
    parameters, x = parameters_of(both, (5, 3)), example_of((5, 3))
    run = Run(record=Record(mask=MASK))
    np.testing.assert_allclose(both(parameters, x, run), both(parameters, x[MASK]), rtol=1e-13)
    assert run.mask is None
    run = Run(record=Record(mask=MASK))
    np.testing.assert_allclose(every(parameters, x, run)[MASK], every(parameters, x[MASK]), rtol=1e-13)
    assert run.mask is MASK
    check_layer(every, (5, 3), Run(record=Record(mask=MASK)))


def test_each_direction_has_parameters_and_penalty_of_its_own() -> None:
    both = Bidirectional(LSTM(2, regularizer=gn.L2(1.0)))
    parameters = both.init(Key(0), (5, 3), FLOAT64)
    assert list(parameters) == ["forward", "backward"]
    assert not np.allclose(parameters["forward"]["kernel"], parameters["backward"]["kernel"])
    squares = sum(
        np.square(own[name]).sum() for own in parameters.values() for name in ("kernel", "recurrent")
    )
    assert both.penalty(parameters) == pytest.approx(0.5 * squares)


def test_it_stacks_and_shows_both_directions() -> None:
    network = Sequential([Bidirectional(GRU(2, return_sequences=True), merge="add"), SimpleRNN(2), Dense(1)])
    check_form(network, (4, 3))
    run = Run()
    network(parameters_of(network, (4, 3)), example_of((4, 3)), run)
    assert run.record.seen["bidirectional_1", "backward"].shape == (4, 2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"layer": Dense(2)},
            "Bidirectional got layer=Dense(2); it takes a recurrent layer, such as LSTM(32).",
        ),
        (
            {"layer": GRU(2, go_backwards=True)},
            "Bidirectional got layer=GRU(2, go_backwards=True), but makes the way back itself: leave "
            "go_backwards out.",
        ),
        (
            {"layer": GRU(2), "merge": "sum"},
            "Bidirectional got merge='sum'; it takes one of concatenate, add, multiply, average, maximum.",
        ),
    ],
    ids=["layer", "direction", "merge"],
)
def test_wrong_options_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        Bidirectional(**options)


def test_examples_that_are_no_sequences_are_refused() -> None:
    complaint = (
        "Bidirectional(LSTM(2, tanh)) takes sequences (positions, inputs), but gets examples of shape (4,): "
        "reshape X to (rows, positions, inputs)."
    )
    with pytest.raises(ShapeError, match=re.escape(complaint)):
        Bidirectional(LSTM(2)).output_shape((4,))
