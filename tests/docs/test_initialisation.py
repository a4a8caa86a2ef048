"""Curriculum item 17: all zeros gives outputs that ignore x and hidden units that never differ."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
OR = np.array([0.0, 1.0, 1.0, 1.0])


def network(kernel_initializer: str, activation: str = "sigmoid") -> gn.Network:
    layers = [
        gn.Dense(3, activation=activation, kernel_initializer=kernel_initializer),
        gn.Dense(1, kernel_initializer=kernel_initializer),
    ]
    return gn.Network(layers, loss="half_squared_error", seed=0, dtype="float64", input_shape=2)


def train(net: gn.Network, epochs: int) -> None:
    net.fit(X, OR, epochs=epochs, batch_size=4, optimizer=gn.SGD(0.5), progress=False)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_zeros_give_an_output_that_does_not_depend_on_x(activation: str) -> None:
    net = network("zeros", activation)
    assert len(set(net.predict(X).tolist())) == 1
    assert net.trace(X[1], [1.0]).input_gradient.tolist() == [0.0, 0.0]
    assert not net.gradients(X, OR)["dense_1.weight"].any()


def test_zeros_give_hidden_units_that_never_differ() -> None:
    net = network("zeros")
    for _ in range(5):
        train(net, epochs=100)
        weight, bias = net.parameters["dense_1.weight"], net.parameters["dense_1.bias"]
        assert weight.any()
        assert (weight == weight[0]).all()
        assert (bias == bias[0]).all()


def test_with_tanh_zeros_never_move_the_first_layer() -> None:
    net = network("zeros", "tanh")
    train(net, epochs=100)
    assert not net.parameters["dense_1.weight"].any()
    assert net.predict(X) == pytest.approx([0.75] * 4)  # the mean of the targets is all that is left to learn


@pytest.mark.parametrize("scheme", ["glorot_uniform", "he_uniform"])
def test_random_schemes_tell_inputs_and_units_apart(scheme: str) -> None:
    net = network(scheme)
    assert len(set(net.predict(X).round(6))) == 4
    train(net, epochs=500)
    assert len(np.unique(net.parameters["dense_1.weight"].round(6), axis=0)) == 3
