"""Curriculum item 10: any depth and width; the forward pass keeps z and y, the backward pass gives delta."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn


def test_the_numbers_worked_by_hand() -> None:
    net = gn.Network(
        [gn.Dense(2, activation="relu"), gn.Dense(1)],
        loss="half_squared_error",
        dtype="float64",
        input_shape=2,
    )
    net.parameters = {
        "dense_1.weight": [[1, 1], [1, 1]],
        "dense_1.bias": [0, -1],
        "dense_2.weight": [[1, -2]],
        "dense_2.bias": [0],
    }
    trace = net.trace([1.0, 1.0], [1.0])
    hidden, output = trace.layers
    assert [layer.tolist() for layer in (hidden.z, hidden.y, hidden.delta)] == [[2, 1], [2, 1], [-1, 2]]
    assert [layer.tolist() for layer in (output.z, output.y, output.delta)] == [[0], [0], [-1]]
    assert trace.loss == 0.5
    assert trace.input_gradient.tolist() == [1, 1]
    assert {name: gradient.tolist() for name, gradient in trace.gradients.items()} == {
        "dense_1.weight": [[-1, -1], [2, 2]],
        "dense_1.bias": [-1, 2],
        "dense_2.weight": [[-2, -1]],
        "dense_2.bias": [-1],
    }


@pytest.mark.parametrize("widths", [(2,), (3, 2), (5, 4, 3, 2), (7,) * 8], ids=str)
def test_the_recursion_of_the_page_holds_at_every_depth(widths: tuple[int, ...]) -> None:
    net = gn.Network(
        [gn.Dense(units, activation="tanh") for units in widths],
        loss="half_squared_error",
        seed=2,
        dtype="float64",
        input_shape=3,
    )
    x, target = np.array([0.5, -1.0, 2.0]), np.linspace(-1, 1, widths[-1])
    trace, parameters = net.trace(x, target), net.parameters
    before = [x, *(layer.y for layer in trace.layers)]
    back = trace.layers[-1].y - target
    for number in range(len(widths), 0, -1):
        layer, weight = trace[f"dense_{number}"], parameters[f"dense_{number}.weight"]
        z = weight @ before[number - 1] + parameters[f"dense_{number}.bias"]
        delta = back * (1 - layer.y**2)
        np.testing.assert_allclose(layer.z, z, rtol=1e-12)
        np.testing.assert_allclose(layer.y, np.tanh(z), rtol=1e-12)
        np.testing.assert_allclose(layer.delta, delta, rtol=1e-11)
        np.testing.assert_allclose(
            trace.gradients[f"dense_{number}.weight"], np.outer(delta, before[number - 1]), rtol=1e-11
        )
        np.testing.assert_allclose(trace.gradients[f"dense_{number}.bias"], delta, rtol=1e-11)
        back = delta @ weight
    np.testing.assert_allclose(trace.input_gradient, back, rtol=1e-11)
