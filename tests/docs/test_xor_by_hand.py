"""Curriculum item 1: nine partial derivatives of a 2-2-1 network, as formulas and as numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp

PARAMETERS = ("w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3")
ARGUMENTS = ("x1", "x2", "y", *PARAMETERS)
Z1, Z2 = "w1 x1 + w2 x2 + b1", "w3 x1 + w4 x2 + b2"

SIGMOID = {
    "w1": f"(yhat - y) w5 s'({Z1}) x1",
    "w2": f"(yhat - y) w5 s'({Z1}) x2",
    "w3": f"(yhat - y) w6 s'({Z2}) x1",
    "w4": f"(yhat - y) w6 s'({Z2}) x2",
    "w5": f"(yhat - y) s({Z1})",
    "w6": f"(yhat - y) s({Z2})",
    "b1": f"(yhat - y) w5 s'({Z1})",
    "b2": f"(yhat - y) w6 s'({Z2})",
    "b3": "yhat - y",
}
RELU = {
    "w1": f"0 where {Z1} <= 0; (yhat - y) w5 x1 where {Z1} > 0",
    "w2": f"0 where {Z1} <= 0; (yhat - y) w5 x2 where {Z1} > 0",
    "w3": f"0 where {Z2} <= 0; (yhat - y) w6 x1 where {Z2} > 0",
    "w4": f"0 where {Z2} <= 0; (yhat - y) w6 x2 where {Z2} > 0",
    "w5": f"(yhat - y) relu({Z1})",
    "w6": f"(yhat - y) relu({Z2})",
    "b1": f"0 where {Z1} <= 0; (yhat - y) w5 where {Z1} > 0",
    "b2": f"0 where {Z2} <= 0; (yhat - y) w6 where {Z2} > 0",
    "b3": "yhat - y",
}

numbers = st.floats(-3, 3).map(lambda number: round(number, 3))
points = st.fixed_dictionaries(dict.fromkeys(ARGUMENTS, numbers))


def network(activation):
    def f(x1, x2, y, w1, w2, w3, w4, w5, w6, b1, b2, b3):
        yhat = w5 * activation(w1 * x1 + w2 * x2 + b1) + w6 * activation(w3 * x1 + w4 * x2 + b2) + b3
        return (yhat - y) ** 2 / 2

    return f


def by_hand(point: dict[str, float], activation, slope) -> dict[str, float]:
    """The nine derivatives as the textbook writes them."""
    x1, x2, y, w1, w2, w3, w4, w5, w6, b1, b2, b3 = (point[name] for name in ARGUMENTS)
    z1, z2 = w1 * x1 + w2 * x2 + b1, w3 * x1 + w4 * x2 + b2
    error = w5 * activation(z1) + w6 * activation(z2) + b3 - y
    delta1, delta2 = error * w5 * slope(z1), error * w6 * slope(z2)
    outer = (error * activation(z1), error * activation(z2))
    values = (delta1 * x1, delta1 * x2, delta2 * x1, delta2 * x2, *outer, delta1, delta2, error)
    return dict(zip(PARAMETERS, values, strict=True))


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize(
    ("activation", "formulas"), [(gnp.sigmoid, SIGMOID), (gnp.relu, RELU)], ids=["sigmoid", "relu"]
)
def test_the_nine_formulas(activation, formulas: dict[str, str]) -> None:
    derivation = gn.derive(network(activation), wrt=PARAMETERS)
    assert derivation.formula == "(yhat - y)^2 / 2"
    assert {name: partial.formula for name, partial in derivation.partials.items()} == formulas
    name = "s" if activation is gnp.sigmoid else "relu"
    assert derivation.definitions["yhat"] == f"w5 {name}({Z1}) + w6 {name}({Z2}) + b3"
    assert derivation.definitions.get("s'(z)", "") == ("s(z) (1 - s(z))" if name == "s" else "")


@given(points)
def test_the_nine_numbers_with_sigmoid(point: dict[str, float]) -> None:
    expected = by_hand(point, sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)))
    derivation = gn.derive(network(gnp.sigmoid), wrt=PARAMETERS, at=point)
    values = {name: partial.value for name, partial in derivation.partials.items()}
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(points)
def test_the_nine_numbers_with_relu(point: dict[str, float]) -> None:
    expected = by_hand(point, lambda z: max(z, 0.0), lambda z: float(z > 0))
    derivation = gn.derive(network(gnp.relu), wrt=PARAMETERS, at=point)
    values = {name: partial.value for name, partial in derivation.partials.items()}
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_weights_of_the_page_compute_exclusive_or() -> None:
    solution = dict(zip(PARAMETERS, (1.0, 1.0, 1.0, 1.0, 1.0, -2.0, 0.0, -1.0, 0.0), strict=True))
    for x1, x2, y in [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)]:
        assert network(gnp.relu)(x1, x2, y, **solution) == 0
