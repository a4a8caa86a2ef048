"""Curriculum item 19: forward, divergence, backward, update, until something stands still; sum or average."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import DivergedError

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0.0, 1.0, 1.0, 0.0])
POINTS = np.linspace(-1.0, 1.0, 20)
A = np.column_stack([POINTS, np.ones(20)])
D = 3 * POINTS + 1 + 0.3 * np.sin(9 * POINTS)
SOLUTION = np.linalg.lstsq(A, D)[0]


def two_layers() -> gn.Network:
    layers = [gn.Dense(3, activation="tanh"), gn.Dense(1)]
    return gn.Network(layers, loss="half_squared_error", seed=3, dtype="float64", input_shape=2)


def line(reduction: str = "mean") -> gn.Network:
    return gn.Network(
        [gn.Dense(1)], loss="half_squared_error", dtype="float64", input_shape=1, reduction=reduction
    )


def weights(net: gn.Network) -> np.ndarray:
    return np.append(net.parameters["dense_1.weight"][0], net.parameters["dense_1.bias"])


def by_hand(net: gn.Network, eta: float, epochs: int) -> list[np.ndarray]:
    W1, b1, W2, b2 = (array.copy() for array in net.parameters.values())
    for _ in range(epochs):
        Y1 = np.tanh(XOR @ W1.T + b1)
        delta2 = Y1 @ W2.T + b2 - Y[:, None]
        delta1 = (delta2 @ W2) * (1 - Y1**2)
        W2 -= eta / 4 * delta2.T @ Y1
        b2 -= eta / 4 * delta2.sum(axis=0)
        W1 -= eta / 4 * delta1.T @ XOR
        b1 -= eta / 4 * delta1.sum(axis=0)
    return [W1, b1, W2, b2]


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_ten_lines_by_hand_are_fit(engine: str) -> None:
    net, expected = two_layers(), by_hand(two_layers(), 0.5, 100)
    net.fit(XOR, Y, epochs=100, batch_size=None, optimizer=gn.SGD(0.5), progress=False, engine=engine)
    for got, want in zip(net.parameters.values(), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_the_loop_over_the_engines_own_gradients_is_fit_bit_for_bit() -> None:
    net, loop = two_layers(), two_layers()
    for _ in range(100):
        gradients = loop.gradients(XOR, Y)
        loop.parameters = {name: w - 0.5 * gradients[name] for name, w in loop.parameters.items()}
    net.fit(XOR, Y, epochs=100, batch_size=None, optimizer=gn.SGD(0.5), progress=False, engine="interpreter")
    for name, w in loop.parameters.items():
        np.testing.assert_array_equal(net.parameters[name], w)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (gn.Convergence(weights=1e-6), "the weights changed by"),
        (gn.Convergence(loss=1e-9), "the loss changed by"),
        (gn.Convergence(gradient=1e-6), "the norm of the gradient is"),
    ],
    ids=["weights", "loss", "gradient"],
)
def test_a_run_ends_where_it_stands_still(rule: gn.Convergence, reason: str) -> None:
    net = line()
    history = net.fit(
        POINTS[:, None],
        D,
        epochs=1000,
        batch_size=None,
        optimizer=gn.SGD(0.5),
        stopping=rule,
        progress=False,
    )
    assert history.stopped is not None
    assert reason in history.stopped
    assert 40 < history.epochs < 90
    np.testing.assert_allclose(weights(net), SOLUTION, atol=1e-4)


def test_small_steps_stand_still_far_from_the_solution() -> None:
    net = line()
    rule = gn.Convergence(weights=1e-4)
    history = net.fit(
        POINTS[:, None],
        D,
        epochs=5000,
        batch_size=None,
        optimizer=gn.SGD(0.005),
        stopping=rule,
        progress=False,
    )
    assert history.stopped is not None
    # The change of the slope is eta times its gradient, which is its error times the mean of x^2.
    change = 1e-4 * np.abs(weights(net)).max()
    distance = change / (0.005 * np.mean(POINTS**2))
    assert np.abs(weights(net) - SOLUTION).max() == pytest.approx(distance, rel=0.01)
    assert distance > 500 * change


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_limit_of_the_step_size_is_two_over_the_largest_second_derivative(reduction: str) -> None:
    hessian = A.T @ A / (20 if reduction == "mean" else 1)
    largest = 2 / np.linalg.eigvalsh(hessian).max()

    def run(eta: float) -> np.ndarray:
        net = line(reduction)
        net.fit(POINTS[:, None], D, epochs=5000, batch_size=None, optimizer=gn.SGD(eta), progress=False)
        return weights(net)

    np.testing.assert_allclose(run(0.95 * largest), SOLUTION, atol=1e-8)
    with pytest.raises(DivergedError):
        run(1.1 * largest)


def test_the_sum_takes_the_path_of_the_average_with_a_part_of_the_step_size() -> None:
    runs = []
    for reduction, eta in (("mean", 0.5), ("sum", 0.5 / 20)):
        net = line(reduction)
        history = net.fit(
            POINTS[:, None], D, epochs=30, batch_size=None, optimizer=gn.SGD(eta), progress=False
        )
        runs.append((weights(net), np.array(history.loss)))
    (mean, mean_loss), (total, total_loss) = runs
    np.testing.assert_allclose(mean, total, rtol=1e-12)
    np.testing.assert_allclose(20 * mean_loss, total_loss, rtol=1e-12)
