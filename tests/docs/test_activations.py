"""Curriculum item 11: every activation and its slope, any of them per layer, one of the user's own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.nn.activations import ACTIVATIONS, RandomizedLeakyReLU

PAGE = Path(__file__).resolve().parents[2] / "docs" / "curriculum" / "11_activations.md"
VECTOR = {"softmax", "log_softmax", "sparsemax"}


def s(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def cdf(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2


def softplus(z: float) -> float:
    return math.log1p(math.exp(z))


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
ROOT = math.sqrt(2 / math.pi)


def u(z: float) -> float:
    return ROOT * (z + 0.044715 * z**3)


# The two columns of the page's table, away from the kinks.
CLOSED: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "identity": (lambda z: z, lambda z: 1),
    "sigmoid": (s, lambda z: s(z) * (1 - s(z))),
    "tanh": (lambda z: 2 * s(2 * z) - 1, lambda z: 1 - math.tanh(z) ** 2),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "relu": (lambda z: max(0, z), lambda z: float(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1 if z > 0 else 0.01),
    "randomized_leaky_relu": (lambda z: z if z > 0 else 11 / 48 * z, lambda z: 1 if z > 0 else 11 / 48),
    "relu6": (lambda z: min(max(0, z), 6), lambda z: float(0 < z < 6)),
    "elu": (lambda z: z if z > 0 else math.expm1(z), lambda z: 1 if z > 0 else math.exp(z)),
    "selu": (
        lambda z: SCALE * (z if z > 0 else ALPHA * math.expm1(z)),
        lambda z: SCALE * (1 if z > 0 else ALPHA * math.exp(z)),
    ),
    "softplus": (softplus, s),
    "gelu": (
        lambda z: z * cdf(z),
        lambda z: cdf(z) + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    ),
    "gelu_tanh": (
        lambda z: z * s(2 * u(z)),
        lambda z: s(2 * u(z)) + 2 * z * ROOT * (1 + 3 * 0.044715 * z * z) * s(2 * u(z)) * (1 - s(2 * u(z))),
    ),
    "silu": (lambda z: z * s(z), lambda z: s(z) * (1 + z * (1 - s(z)))),
    "mish": (
        lambda z: z * math.tanh(softplus(z)),
        lambda z: math.tanh(softplus(z)) + z * s(z) * (1 - math.tanh(softplus(z)) ** 2),
    ),
    "hard_sigmoid": (lambda z: min(max(z / 6 + 0.5, 0), 1), lambda z: (-3 < z < 3) / 6),
    "hard_tanh": (lambda z: min(max(z, -1), 1), lambda z: float(-1 < z < 1)),
    "hard_silu": (
        lambda z: z * min(max(z / 6 + 0.5, 0), 1),
        lambda z: (2 * z + 3) / 6 if -3 < z < 3 else float(z > 0),
    ),
    "exponential": (math.exp, math.exp),
    "gaussian": (lambda z: math.exp(-z * z), lambda z: -2 * z * math.exp(-z * z)),
    "sine": (math.sin, math.cos),
    "square": (lambda z: z * z, lambda z: 2 * z),
}
CLOSED["swish"] = CLOSED["silu"]
KINKS = np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0])

points = st.floats(-8, 8).filter(lambda z: np.abs(KINKS - z).min() > 1e-6)


def test_the_table_of_the_page_has_every_activation() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert named == set(ACTIVATIONS) == set(CLOSED) | VECTOR


@pytest.mark.parametrize("name", CLOSED)
@given(z=points)
def test_value_and_slope_are_those_of_the_table(name: str, z: float) -> None:
    value, slope = gn.value_and_grad(ACTIVATIONS[name])(np.float64(z))
    f, df = CLOSED[name]
    assert float(value) == pytest.approx(f(z), rel=1e-11, abs=1e-13)
    assert float(slope) == pytest.approx(df(z), rel=1e-11, abs=1e-13)


@given(z=st.floats(-700, 700))
def test_the_slope_of_the_sigmoid_is_at_most_a_quarter(z: float) -> None:
    slope = float(gn.grad(gnp.sigmoid)(z))
    assert 0 <= slope <= 0.25
    assert 0.25 - slope == pytest.approx((float(gnp.sigmoid(z)) - 0.5) ** 2, rel=1e-9, abs=1e-16)


def test_the_slope_of_the_sigmoid_is_a_quarter_at_zero() -> None:
    assert float(gn.grad(gnp.sigmoid)(0.0)) == 0.25


def test_a_randomised_slope_is_drawn_in_training_and_its_mean_used_after() -> None:
    activation, z = RandomizedLeakyReLU(), np.full(4000, -1.0)
    drawn = -activation.draw(z, gn.random.key(3))
    assert drawn.min() >= 1 / 8
    assert drawn.max() < 1 / 3
    deviation = (1 / 3 - 1 / 8) / math.sqrt(12 * drawn.size)
    assert abs(drawn.mean() - 11 / 48) < 4 * deviation
    np.testing.assert_allclose(-activation(z), 11 / 48, rtol=1e-15)


@pytest.mark.parametrize("names", [("tanh", "silu", "gelu"), ("sine", "mish", "elu"), ("softplus",) * 3])
def test_any_activation_in_any_layer(names: tuple[str, ...]) -> None:
    layers = [*(gn.Dense(3, activation=name) for name in names), gn.Dense(1)]
    net = gn.Network(layers, loss="half_squared_error", seed=1, dtype="float64", input_shape=2)
    trace = net.trace([1.0, -2.0], [0.5])
    for number, name in enumerate(names, start=1):
        layer, above = trace[f"dense_{number}"], f"dense_{number + 1}"
        slope = np.array([CLOSED[name][1](z) for z in layer.z])
        back = trace[above].delta @ net.parameters[f"{above}.weight"]
        np.testing.assert_allclose(layer.delta, back * slope, rtol=1e-10)


def bent_identity(z):
    return (gnp.sqrt(gnp.square(z) + 1) - 1) / 2 + z


@given(z=st.floats(-50, 50))
def test_a_function_of_ones_own_brings_its_slope(z: float) -> None:
    slope = float(gn.grad(bent_identity)(z))
    assert slope == pytest.approx(z / (2 * math.sqrt(z * z + 1)) + 1, rel=1e-12)


@pytest.mark.parametrize("engine", ["interpreter", "compiled"])
def test_a_network_trains_with_it(engine: str) -> None:
    layers = [gn.Dense(3, activation=bent_identity), gn.Dense(1)]
    net = gn.Network(layers, loss="half_squared_error", seed=0, input_shape=2)
    X, y = np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([0.5, 1.0])
    assert net.certify(X, y, engine).largest_relative_error < 1e-5
    history = net.fit(X, y, epochs=50, optimizer=gn.Adam(0.02), engine=engine, progress=False)
    assert history.loss[-1] < history.loss[0] / 10
