"""Curriculum item 16: ten sigmoid slopes multiply to nearly nothing, ten ReLU slopes do not."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn

X = np.random.default_rng(0).normal(size=(64, 2))
Y = np.where(np.square(X).sum(axis=1) > 1.5, 1, 0)


def chain(activation: str, bias: float) -> gn.Network:
    layers = [gn.Dense(1, activation=activation) for _ in range(10)]
    net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=1)
    net.parameters = {name: [[1.0]] if name.endswith("weight") else [bias] for name in net.parameter_names}
    return net


def deep(activation: str, seed: int = 0) -> gn.Network:
    layers = [*(gn.Dense(16, activation=activation) for _ in range(10)), gn.Dense(1)]
    return gn.Network(
        layers, loss="binary_cross_entropy", seed=seed, dtype="float64", input_shape=2, classes=[0, 1]
    )


def test_ten_steepest_sigmoids_are_four_to_the_minus_ten() -> None:
    trace = chain("sigmoid", bias=-0.5).trace([0.5], [1.5])
    assert [layer.delta.item() for layer in trace.layers] == [-(4.0**-n) for n in range(10, 0, -1)]
    assert trace.input_gradient.item() == -(4.0**-10)


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.0])
def test_and_that_is_the_best_case(bias: float) -> None:
    trace = chain("sigmoid", bias).trace([0.5], [1.5])
    error = trace.layers[-1].y.item() - 1.5
    assert 0 < abs(trace.input_gradient.item()) < abs(error) * 4.0**-10


def test_ten_active_rectifiers_are_one() -> None:
    trace = chain("relu", bias=0.0).trace([0.5], [1.5])
    assert {layer.delta.item() for layer in trace.layers} == {-1.0}
    assert trace.input_gradient.item() == -1


@pytest.mark.parametrize("seed", range(3))
def test_layer_by_layer(seed: int) -> None:
    norms = {}
    for activation in ("sigmoid", "relu"):
        net = deep(activation, seed)
        traces = [net.trace(x, [label]) for x, label in zip(X[:16], Y[:16], strict=True)]
        norms[activation] = np.mean(
            [[np.linalg.norm(layer.delta) for layer in t.layers[:10]] for t in traces], axis=0
        )
    assert np.all(np.diff(np.log10(norms["sigmoid"])) > 0.4)
    assert norms["sigmoid"][0] < 1e-5 * norms["sigmoid"][-1]
    assert norms["relu"][0] > 0.05 * norms["relu"][-1]


@pytest.mark.parametrize("seed", range(3))
def test_a_sigmoid_layer_shrinks_what_its_matrix_makes_to_a_quarter_at_least(seed: int) -> None:
    net = deep("sigmoid", seed)
    trace = net.trace(X[0], [Y[0]])
    for k in range(1, 11):
        above = np.linalg.norm(trace[f"dense_{k + 1}"].delta)
        spectral = np.linalg.norm(net.parameters[f"dense_{k + 1}.weight"], ord=2)
        assert np.linalg.norm(trace[f"dense_{k}"].delta) <= spectral * above / 4


def test_the_first_layers_of_the_one_stand_still_and_those_of_the_other_learn() -> None:
    losses, moves = [], []
    for activation in ("sigmoid", "relu"):
        net = deep(activation)
        start = net.parameters["dense_1.weight"].copy()
        history = net.fit(X, Y, epochs=200, batch_size=16, optimizer=gn.SGD(0.1), progress=False)
        losses.append(history.loss[-1])
        moves.append(np.linalg.norm(net.parameters["dense_1.weight"] - start) / np.linalg.norm(start))
    share = Y.mean()
    undecided = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert losses[0] == pytest.approx(undecided, rel=0.02)
    assert losses[1] < 0.1
    assert moves[0] < 1e-4
    assert moves[1] > 0.1
