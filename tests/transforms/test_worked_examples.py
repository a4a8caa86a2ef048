"""Published worked examples, to twelve digits; the numbers are in tests/data/worked_examples.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "worked_examples.json").read_text())


def line(start: float, stop: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.linspace(start, stop, int(np.prod(shape))).reshape(shape)


def close(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_the_expression_of_micrograd() -> None:
    def g(a: Any, b: Any) -> Any:
        c = a + b
        d = a * b + b**3
        c = c + c + 1
        c = c + 1 + c + (-a)
        d = d + d * 2 + gnp.relu(b + a)
        d = d + 3 * d + gnp.relu(b - a)
        f = (c - d) ** 2
        return f / 2 + 10 / f

    expected = EXAMPLES["micrograd"]
    value, slopes = gn.value_and_grad(g, wrt=(0, 1))(-4.0, 2.0)
    close(value, expected["g"])
    close(slopes, [expected["dg_da"], expected["dg_db"]])


def test_the_affine_layer() -> None:
    x, w, b = line(-0.1, 0.5, (2, 120)), line(-0.2, 0.3, (120, 3)), line(-0.3, 0.1, (3,))
    close(gnp.matmul(x, w) + b, EXAMPLES["affine_forward"]["out"])


X = line(-5.5, 4.5, (5, 3)).T
PARAMETERS = {
    "W1": line(-0.7, 0.3, (5, 50)),
    "b1": line(-0.1, 0.9, (50,)),
    "W2": line(-0.3, 0.4, (50, 7)),
    "b2": line(-0.9, 0.1, (7,)),
}
TARGET = np.eye(7)[EXAMPLES["two_layer"]["labels"]]


def scores(p: dict[str, Any]) -> Any:
    return gnp.relu(gnp.matmul(X, p["W1"]) + p["b1"]) @ p["W2"] + p["b2"]


def loss(p: dict[str, Any], strength: float) -> Any:
    penalty = gnp.sum(p["W1"] * p["W1"]) + gnp.sum(p["W2"] * p["W2"])
    return gnp.mean(gnp.softmax_cross_entropy(scores(p), TARGET)) + 0.5 * strength * penalty


def gradients_by_hand(strength: float) -> dict[str, np.ndarray]:
    z = X @ PARAMETERS["W1"] + PARAMETERS["b1"]
    y = np.where(z > 0, z, 0.0)
    out = np.exp(y @ PARAMETERS["W2"] + PARAMETERS["b2"])
    delta_2 = (out / out.sum(axis=1, keepdims=True) - TARGET) / len(X)
    delta_1 = delta_2 @ PARAMETERS["W2"].T * (z > 0)
    return {
        "W1": X.T @ delta_1 + strength * PARAMETERS["W1"],
        "b1": delta_1.sum(axis=0),
        "W2": y.T @ delta_2 + strength * PARAMETERS["W2"],
        "b2": delta_2.sum(axis=0),
    }


def test_the_scores_of_the_two_layer_network() -> None:
    close(scores(PARAMETERS), EXAMPLES["two_layer"]["scores"])


@pytest.mark.parametrize(("strength", "name"), [(0.0, "loss"), (1.0, "loss_regularised")])
def test_the_loss_of_the_two_layer_network_and_its_gradients(strength: float, name: str) -> None:
    value, gradients = gn.value_and_grad(loss)(PARAMETERS, strength)
    close(value, EXAMPLES["two_layer"][name])
    expected = gradients_by_hand(strength)
    assert list(gradients) == list(expected)
    for key, gradient in gradients.items():
        close(gradient, expected[key])
