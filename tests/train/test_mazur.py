"""Mazur's worked example, whole: forward values, gradients, one step, ten thousand steps, to twelve digits.

The published error after one update, 0.291027924, is what an update layer by layer gives, where the hidden
deltas already see the new second layer. All weights move together here: 0.29102777369.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn

X, TARGET, RATE = [[0.05, 0.10]], [[0.01, 0.99]], 0.5
WRONG_AFTER_1 = 0.29102792390544


def close(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_the_forward_values(mazur: dict[str, Any], mazur_network: gn.Network) -> None:
    hidden, output = mazur_network.trace(X[0], TARGET[0]).layers
    published = [mazur[name] for name in ("net_h1", "out_h1", "out_h2", "net_o1", "out_o1", "out_o2")]
    got = [hidden.z[0], *hidden.y, output.z[0], *output.y]
    np.testing.assert_allclose(got, published, rtol=0, atol=5e-10)  # it prints nine digits
    close(hidden.z, [0.3775, 0.3925])
    close(hidden.y, 1 / (1 + np.exp([-0.3775, -0.3925])))


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_the_gradients(mazur: dict[str, Any], mazur_network: gn.Network, engine: str) -> None:
    gradients = mazur_network.gradients(X, TARGET, engine=engine)
    close(gradients["dense_1.weight"], mazur["dW1"])
    close(gradients["dense_1.bias"], mazur["db1"])
    close(gradients["dense_2.weight"], mazur["dW2"])
    close(gradients["dense_2.bias"], mazur["db2"])


def test_the_trace_has_the_gradients_the_deltas_and_the_slope_in_x(
    mazur: dict[str, Any], mazur_network: gn.Network
) -> None:
    trace = mazur_network.trace(X[0], TARGET[0])
    hidden, output = trace.layers
    assert trace.loss == pytest.approx(mazur["E"], abs=1e-15)
    close(trace.gradients["dense_1.weight"], mazur["dW1"])
    close(trace.gradients["dense_2.weight"], mazur["dW2"])
    # The delta of a layer is the gradient of its bias.
    close(hidden.delta, mazur["db1"])
    close(output.delta, mazur["db2"])
    close(trace.input_gradient, np.array(mazur["db1"]) @ [[0.15, 0.20], [0.25, 0.30]])


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_one_step_with_the_biases(mazur: dict[str, Any], mazur_network: gn.Network, engine: str) -> None:
    history = mazur_network.fit(X, TARGET, epochs=1, optimizer=gn.SGD(RATE), engine=engine)
    close(history.loss, [mazur["E"]])
    moved, expected = mazur_network.parameters, mazur["with_bias_update"]
    close(moved["dense_1.weight"], mazur["W1_new"])
    close(moved["dense_2.weight"], mazur["W2_new"])
    close(moved["dense_1.bias"], expected["b1"])
    close(moved["dense_2.bias"], expected["b2"])
    close(mazur_network.evaluate(X, TARGET)["loss"], expected["E_after_1"])


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_ten_thousand_steps_with_the_biases(
    mazur: dict[str, Any], mazur_network: gn.Network, engine: str
) -> None:
    history = mazur_network.fit(X, TARGET, epochs=10_000, optimizer=gn.SGD(RATE), engine=engine)
    assert (history.epochs, history.engine) == (10_000, engine)
    close(mazur_network.evaluate(X, TARGET)["loss"], mazur["with_bias_update"]["E_after_10000"])


def test_the_steps_of_the_page_which_leave_the_biases(
    mazur: dict[str, Any], mazur_network: gn.Network
) -> None:
    x, d = np.array(X[0]), np.array(TARGET[0])
    start = mazur_network.parameters
    b1, b2 = start["dense_1.bias"], start["dense_2.bias"]
    w1, w2 = start["dense_1.weight"], start["dense_2.weight"]

    def output(w1: Any, w2: Any) -> Any:
        return gn.numpy.sigmoid(w2 @ gn.numpy.sigmoid(w1 @ x + b1) + b2)

    def loss(w1: Any, w2: Any) -> Any:
        return gn.numpy.sum(gn.numpy.square(output(w1, w2) - d)) / 2

    slope = gn.grad(loss, wrt=(0, 1))
    d1, d2 = slope(w1, w2)
    w1, w2 = w1 - RATE * d1, w2 - RATE * d2
    close(w1, mazur["W1_new"])
    close(w2, mazur["W2_new"])
    close(loss(w1, w2), mazur["E_after_1"])

    # The trap of the published number: the hidden deltas go back through the new second layer.
    hidden, last = mazur_network.trace(x, d).layers
    late = np.outer(last.delta @ w2 * hidden.y * (1 - hidden.y), x)
    assert abs(loss(start["dense_1.weight"] - RATE * late, w2) - WRONG_AFTER_1) < 1e-12

    # On to 10,000 with a formula by hand, which the engine agrees with where both are known.
    for step in range(2, 10_001):
        y1 = 1 / (1 + np.exp(-(w1 @ x + b1)))
        y2 = 1 / (1 + np.exp(-(w2 @ y1 + b2)))
        delta_2 = (y2 - d) * y2 * (1 - y2)
        delta_1 = delta_2 @ w2 * y1 * (1 - y1)
        if step % 1000 == 0:
            np.testing.assert_allclose(slope(w1, w2)[0], np.outer(delta_1, x), rtol=1e-12)
            np.testing.assert_allclose(slope(w1, w2)[1], np.outer(delta_2, y1), rtol=1e-12)
        w1, w2 = w1 - RATE * np.outer(delta_1, x), w2 - RATE * np.outer(delta_2, y1)
        if step == 9_999:
            close(loss(w1, w2), mazur["E_after_9999"])
    close(loss(w1, w2), mazur["E_after_10000"])
    close(output(w1, w2), mazur["out_after_10000"])
