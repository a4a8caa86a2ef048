"""The optimisers against recurrences written out in NumPy, and against published steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import glassnet as gn
from glassnet import optim
from glassnet.errors import ConfigurationError
from glassnet.optim import OPTIMIZERS, Optimizer

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "worked_examples.json").read_text())
STEPS = 10
X = np.array([[1.0, -2.0], [0.5, 1.0], [-1.5, 0.25]])
Y = np.array([1.0, -1.0, 2.0])


def line(start: float, stop: float) -> np.ndarray:
    return np.linspace(start, stop, 20).reshape(4, 5)


def gradient(w: np.ndarray) -> np.ndarray:
    """Of the mean over the rows of (w0 x0 + w1 x1 + w2 - d)^2 / 2."""
    design = np.column_stack([X, np.ones(3)])
    return design.T @ (design @ w - Y) / 3


def sgd(w: np.ndarray, rate: float) -> Iterator[np.ndarray]:
    while True:
        w = w - rate * gradient(w)
        yield w


def momentum(w: np.ndarray, rate: float, mu: float) -> Iterator[np.ndarray]:
    v = np.zeros_like(w)
    while True:
        v = mu * v - rate * gradient(w)
        w = w + v
        yield w


def adam(w: np.ndarray, rate: float, b1: float, b2: float, epsilon: float) -> Iterator[np.ndarray]:
    m, v, t = np.zeros_like(w), np.zeros_like(w), 0
    while True:
        t, g = t + 1, gradient(w)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = w - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon)
        yield w


START = np.array([0.3, -0.2, 0.1])
CASES = {
    "sgd": (gn.SGD(0.1), lambda: sgd(START, 0.1)),
    "momentum": (gn.SGD(0.1, momentum=0.8), lambda: momentum(START, 0.1, 0.8)),
    "adam": (gn.Adam(0.05), lambda: adam(START, 0.05, 0.9, 0.999, 1e-8)),
    "adam, other constants": (gn.Adam(0.05, 0.5, 0.9, 1e-3), lambda: adam(START, 0.05, 0.5, 0.9, 1e-3)),
    "adam without a mean": (gn.Adam(0.05, beta_1=0.0), lambda: adam(START, 0.05, 0.0, 0.999, 1e-8)),
}


@pytest.mark.parametrize("case", CASES)
def test_ten_updates_are_those_of_the_recurrence(case: str) -> None:
    optimizer, recurrence = CASES[case]
    parameters = {"w": START}
    state = optimizer.init(parameters)
    for step, expected in zip(range(1, STEPS + 1), recurrence(), strict=False):
        gradients = {"w": gradient(parameters["w"])}
        parameters, state = optimizer.update(gradients, state, parameters, step, optimizer.learning_rate)
        np.testing.assert_allclose(parameters["w"], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
@pytest.mark.parametrize("case", CASES)
def test_ten_training_steps_are_those_of_the_recurrence(case: str, engine: str) -> None:
    optimizer, recurrence = CASES[case]
    net = gn.Network([gn.Dense(1)], loss="half_squared_error", dtype="float64", input_shape=2)
    net.parameters = {"dense_1.weight": START[None, :2], "dense_1.bias": START[2:]}
    program = net.training_program(X, Y, batch_size=None, optimizer=optimizer, engine=engine)
    for _, expected in zip(range(STEPS), recurrence(), strict=False):
        program.run_epoch()
        weight, bias = program.parameters
        np.testing.assert_allclose([*weight[0], *bias], expected, rtol=0, atol=1e-12)


def test_a_published_step_with_momentum() -> None:
    expected = EXAMPLES["momentum"]
    w, state = gn.SGD(1e-3, momentum=0.9).update(
        {"w": line(-0.6, 0.4)}, {"velocity": {"w": line(0.6, 0.9)}}, {"w": line(-0.4, 0.6)}, 1, 1e-3
    )
    np.testing.assert_allclose(w["w"], expected["next_w"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(state["velocity"]["w"], expected["velocity"], rtol=0, atol=1e-12)


def test_a_published_step_of_adam() -> None:
    moments = {"mean": {"w": line(0.6, 0.9)}, "square": {"w": line(0.7, 0.5)}}
    w, _ = gn.Adam(1e-2).update({"w": line(-0.6, 0.4)}, moments, {"w": line(-0.4, 0.6)}, 6, 1e-2)
    np.testing.assert_allclose(w["w"], EXAMPLES["adam"]["next_w"], rtol=0, atol=1e-12)


def test_the_first_step_of_adam_in_float32_has_the_length_of_the_rate() -> None:
    # 1 - 0.999 in float32 is wrong in the fifth digit; the correction must not be.
    w = {"w": np.array([1.0], np.float32)}
    g = {"w": np.array([0.5], np.float32)}
    moved, _ = gn.Adam(0.25).update(g, gn.Adam().init(w), w, np.float32(1), np.float32(0.25))
    assert moved["w"][0] == pytest.approx(0.75, abs=1e-6)


def test_the_state_has_the_structure_of_the_parameters() -> None:
    parameters = ({"weight": np.ones((2, 3), np.float32)}, {})
    assert gn.SGD(0.1).init(parameters) == {}
    for state in (gn.SGD(0.1, momentum=0.9).init(parameters), gn.Adam().init(parameters)):
        for entry in state.values():
            assert entry[1] == {}
            assert entry[0]["weight"].dtype == np.float32
            assert not entry[0]["weight"].any()


def test_an_optimiser_is_found_by_name_or_is_itself() -> None:
    mine = gn.Adam(0.5)
    assert optim.resolve(mine) is mine
    assert {name: optim.resolve(name) for name in OPTIMIZERS} == {
        "sgd": gn.SGD(0.01),
        "momentum": gn.SGD(0.01, momentum=0.9),
        "adam": gn.Adam(0.001),
    }


@pytest.mark.parametrize("name", ["adamw", None, gn.Adam], ids=repr)
def test_an_unknown_optimiser_is_refused_with_the_list_of_known_ones(name: object) -> None:
    with pytest.raises(ConfigurationError, match=r"is not one of sgd, momentum, adam, nor .* Adam\(0\.001\)"):
        optim.resolve(name)


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "fast", None], ids=repr)
@pytest.mark.parametrize("kind", [gn.SGD, gn.Adam])
def test_a_learning_rate_that_is_not_positive_is_refused(kind: type[Optimizer], rate: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__} got learning_rate=.*a positive number"):
        kind(rate)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (
            lambda: gn.SGD(0.1, momentum=1.0),
            "SGD got momentum=1.0; it takes a number of at least 0 and below 1",
        ),
        (lambda: gn.SGD(0.1, momentum=-0.1), "SGD got momentum=-0.1"),
        (lambda: gn.Adam(beta_1=1.5), "Adam got beta_1=1.5"),
        (lambda: gn.Adam(beta_2=float("nan")), "Adam got beta_2=nan"),
        (lambda: gn.Adam(epsilon=0.0), "Adam got epsilon=0.0; it takes a positive number"),
    ],
    ids=["momentum 1", "momentum below 0", "beta_1", "beta_2", "epsilon"],
)
def test_other_constants_out_of_range_are_refused(make: object, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        make()
