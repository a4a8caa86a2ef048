"""Traces and worked solutions: Mazur's example to the published digits, Jacobians, layers of every kind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn

WRONG_AFTER_1 = 0.291027924  # published; the hidden layer was updated with the new output layer
X, TARGET, RATE = [0.05, 0.10], [0.01, 0.99], 0.5


@pytest.fixture(scope="module")
def mazur() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "data" / "worked_examples.json"
    return json.loads(path.read_text())["mazur"]


@pytest.fixture
def net() -> gn.Network:
    layers = [gn.Dense(2, activation="sigmoid"), gn.Dense(2, activation="sigmoid")]
    net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=2)
    net.parameters = {
        "dense_1.weight": [[0.15, 0.20], [0.25, 0.30]],
        "dense_1.bias": [0.35, 0.35],
        "dense_2.weight": [[0.40, 0.45], [0.50, 0.55]],
        "dense_2.bias": [0.60, 0.60],
    }
    return net


def numbers(text: str) -> dict[str, float]:
    """What every line of a worked solution says that its left side is."""
    lines = [line.strip() for line in text.splitlines() if " = " in line]
    pairs = (re.split(r" = | <- ", line) for line in lines)
    forward_and_back = {parts[0]: parts[-1] for parts in pairs if "<-" not in parts[0]}
    return {name: float(value) for name, value in forward_and_back.items() if "'" not in name}


def test_the_worked_solution_of_mazur_has_the_published_numbers(
    net: gn.Network, mazur: dict[str, Any]
) -> None:
    solution = net.trace(X, TARGET).worked(digits=12)
    worked = numbers(solution)
    published = {"z1_1": "net_h1", "y1_1": "out_h1", "y1_2": "out_h2"}
    published |= {"z2_1": "net_o1", "y2_1": "out_o1", "y2_2": "out_o2"}
    for name, label in published.items():
        assert worked[name] == pytest.approx(mazur[label], abs=5e-10), name  # it prints nine digits
    assert worked["L"] == pytest.approx(mazur["E"], rel=1e-11)
    for layer in (1, 2):
        for j in (1, 2):
            assert worked[f"delta{layer}_{j}"] == pytest.approx(mazur[f"db{layer}"][j - 1], rel=1e-9)
            for i in (1, 2):
                exact = mazur[f"dW{layer}"][j - 1][i - 1]
                assert worked[f"dL/dw{layer}_{j}{i}"] == pytest.approx(exact, rel=1e-9)
    for line in (
        "z1_1 = w1_11 x_1 + w1_12 x_2 + b1_1 = 0.15 * 0.05 + 0.2 * 0.1 + 0.35 = 0.3775",
        "y1_1 = s(z1_1) = s(0.3775) = 0.593269992107",
        "s'(z) = s(z) (1 - s(z))",
        "dL/dy2_1 = y2_1 - d_1 = 0.751365069552 - 0.01 = 0.741365069552",
    ):
        assert f"    {line}\n" in solution


def test_the_update_of_mazur_moves_all_weights_together(net: gn.Network, mazur: dict[str, Any]) -> None:
    updated = net.trace(X, TARGET).worked(RATE, digits=12).split("Update")[1]
    new = {line.split(" <- ")[0].strip(): float(line.split(" = ")[-1]) for line in updated.splitlines()[1:]}
    weights = {f"dense_{k}.weight": [[new[f"w{k}_{j}{i}"] for i in (1, 2)] for j in (1, 2)] for k in (1, 2)}
    for k in (1, 2):
        np.testing.assert_allclose(weights[f"dense_{k}.weight"], mazur[f"W{k}_new"], rtol=1e-11)
    net.parameters = {**net.parameters, **weights}  # the page leaves the biases as they are
    after = net.trace(X, TARGET).loss
    assert after == pytest.approx(mazur["E_after_1"], abs=1e-11)
    assert after == pytest.approx(0.29102777369, abs=1e-11)
    assert abs(after - WRONG_AFTER_1) > 1e-7


def test_jacobians_of_the_layers_multiply_to_that_of_the_network() -> None:
    layers = [gn.Dense(4, activation="tanh"), gn.Dense(3, activation="softmax"), gn.Dense(2)]
    net = gn.Network(layers, "half_squared_error", dtype="float64", input_shape=2, seed=1)
    x, d = np.array([0.5, -1.0]), np.array([1.0, 0.0])
    first, second, last = (layer.jacobian for layer in net.trace(x, d, jacobians=True).layers)
    assert first is not None
    assert second is not None
    assert last is not None
    step = 1e-3
    for column in range(2):
        moved = np.eye(2)[column] * step
        at = {h: net.predict((x + h * moved)[None])[0] for h in (-2, -1, 1, 2)}
        slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
        np.testing.assert_allclose((last @ second @ first)[:, column], slope, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second.sum(axis=0), 0.0, atol=1e-15)  # softmax rows sum to 1
    assert net.trace(x, d).layers[0].jacobian is None


def test_y_bar_and_delta_are_the_backward_recursion_through_a_vector_activation() -> None:
    layers = [gn.Dense(3, activation="softmax"), gn.Dense(2)]
    net = gn.Network(layers, "mean_squared_error", dtype="float64", input_shape=2, seed=3)
    first, last = net.trace([0.25, 2.0], [1.0, -1.0]).layers
    assert first.y_bar is not None
    np.testing.assert_allclose(first.y_bar, last.delta @ net.parameters["dense_2.weight"], rtol=1e-13)
    slopes = np.diag(first.y) - np.outer(first.y, first.y)
    np.testing.assert_allclose(first.delta, slopes @ first.y_bar, rtol=1e-13)
    worked = numbers(net.trace([0.25, 2.0], [1.0, -1.0]).worked(digits=15))
    np.testing.assert_allclose([worked[f"delta1_{j}"] for j in (1, 2, 3)], first.delta, rtol=1e-13)


def test_large_layers_are_folded_and_other_layers_stand_as_values() -> None:
    layers = [gn.nn.Reshape((20, 2)), gn.nn.GRU(3), gn.Dense(50, activation="relu"), gn.Dense(3)]
    net = gn.Network(layers, "cross_entropy", dtype="float64", input_shape=40, classes=[0, 1, 2])
    trace = net.trace(np.linspace(-1.0, 1.0, 40), 2)
    lines = trace.worked(0.1).splitlines()
    assert len(lines) < 110
    assert sum(line == "    ..." for line in lines) > 5
    assert any(line.startswith("    y2 = [") for line in lines)
    assert any(line.startswith("    dL/dy2 = [") for line in lines)
    assert any("w3_50,3 y2_3" in line for line in lines)
    p = trace["dense_4"].y
    assert f"    delta4_3 = p4_3 - d_3 = {p[2]:.6g} - 1 = {trace['dense_4'].delta[2]:.6g}" in lines


def test_a_loss_that_is_no_half_square_shows_its_derivative_as_a_number() -> None:
    net = gn.Network([gn.Dense(1)], "mean_squared_error", dtype="float64", input_shape=1)
    net.parameters = {"dense_1.weight": [[2.0]], "dense_1.bias": [0.0]}
    assert "    delta1_1 = 2\n" in net.trace([1.0], [1.0]).worked()  # 2 (2 - 1), not y - d


def test_z_of_a_layer_with_pieces_has_its_own_columns() -> None:
    net = gn.Network(
        [gn.nn.Maxout(2, pieces=3)], "half_squared_error", dtype="float64", input_shape=2, seed=1
    )
    trace = net.trace([1.0, -2.0], [0.0, 0.0], jacobians=True)
    (layer,) = trace.layers
    assert layer.z is not None
    assert layer.jacobian is not None
    np.testing.assert_array_equal(layer.y, layer.z.reshape(2, 3).max(axis=1))
    largest = layer.z.reshape(2, 3).argmax(axis=1) + np.array([0, 3])
    np.testing.assert_array_equal(np.flatnonzero(layer.delta), largest)
    weight = net.parameters["maxout_1.weight"].reshape(6, 2)
    np.testing.assert_allclose(layer.jacobian, weight[largest], rtol=1e-14)
    assert len(str(trace).splitlines()) == 7


def test_an_activation_without_a_name_is_f() -> None:
    layers = [gn.Dense(1, activation=lambda z: gn.numpy.tanh(z) * z)]
    net = gn.Network(layers, "half_squared_error", dtype="float64", input_shape=1)
    net.parameters = {"dense_1.weight": [[2.0]], "dense_1.bias": [0.0]}
    worked = net.trace([1.0], [0.0]).worked()
    assert f"    y1_1 = f(z1_1) = f(2) = {2 * np.tanh(2):.6g}\n" in worked
    slope = np.tanh(2) + 2 * (1 - np.tanh(2) ** 2)
    assert f"delta1_1 = dL/dy1_1 f'(z1_1) = {2 * np.tanh(2):.6g} * {slope:.6g} = " in worked


def test_a_trace_shows_itself_as_a_table() -> None:
    net = gn.Network([gn.Dense(1, activation="tanh")], "half_squared_error", input_shape=1)
    html = net.trace([1.0], [1.0])._repr_html_()
    assert html.count("<tr>") == html.count("</tr>") == 7
    assert "<th>dense_1</th>" in html


def test_a_shared_layer_has_a_trace_for_each_place() -> None:
    shared = gn.Dense(2, activation="tanh", name="twice")
    net = gn.Network([shared, shared], "half_squared_error", dtype="float64", input_shape=2, seed=5)
    trace = net.trace([0.5, -0.25], [0.0, 1.0])
    first, second = trace.layers
    assert first.y_bar is not None
    np.testing.assert_allclose(first.y_bar, second.delta @ net.parameters["twice.weight"], rtol=1e-13)
    both = np.outer(first.delta, [0.5, -0.25]) + np.outer(second.delta, first.y)
    np.testing.assert_allclose(trace.gradients["twice.weight"], both, rtol=1e-13)
    assert trace["twice"] is second
    worked = trace.worked(digits=12)
    assert "z2_1 = w1_11 y1_1 + w1_12 y1_2 + b1_1 = " in worked
    assert "dL/dw1_21 = delta1_2 x_1 + delta2_2 y1_1 = " in worked
    assert numbers(worked)["dL/dw1_21"] == pytest.approx(both[1, 0], rel=1e-10)
