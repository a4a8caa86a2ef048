"""Curriculum item 20: how many instances a step looks at, and what it makes of their gradient."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
STEEPNESS = np.array([1.0, 25.0])
# What the page says: the best of the rates, and the steps until the value stays below 0.01 (None: over 300).
BEST: dict[str, tuple[Callable[[float], gn.optim.Optimizer], float, int | None]] = {
    "gradient descent": (gn.SGD, 0.03, 133),
    "Nesterov": (lambda rate: gn.SGD(rate, momentum=0.9, nesterov=True), 0.01, 56),
    "Adagrad": (gn.Adagrad, 10.0, 5),
    "RMSprop": (gn.RMSprop, 0.03, 287),
    "Adadelta": (gn.Adadelta, 10.0, None),
    "Adam": (gn.Adam, 1.0, 79),
    "AMSGrad": (gn.AMSGrad, 0.1, 80),
    "Nadam": (gn.Nadam, 0.3, 60),
    "Adamax": (gn.Adamax, 1.0, 64),
    "RAdam": (gn.RAdam, 0.1, None),
    "Rprop": (gn.Rprop, 0.3, 18),
}


def path(rule: gn.optim.Optimizer, steps: int, scale: float = 1.0) -> np.ndarray:
    """The points visited in the valley, its second weight measured in other units by `scale`."""
    factor = np.array([1.0, scale])
    w = {"w": np.array([8.0, 2.0]) * factor}
    state, visited = rule.init(w), [w["w"]]
    for step in range(1, steps + 1):
        gradient = {"w": STEEPNESS * w["w"] / factor**2}
        moves, state = rule.update(gradient, state, w, step, rule.learning_rate)
        w = {"w": w["w"] - moves["w"]}
        visited.append(w["w"])
    return np.array(visited) / factor


def values(rule: gn.optim.Optimizer) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return (STEEPNESS * path(rule, 300) ** 2).sum(axis=1) / 2


def steps_needed(heights: np.ndarray) -> int | None:
    above = np.flatnonzero(~(heights < 0.01))
    return None if above[-1] == 300 else int(above[-1]) + 1


@pytest.mark.parametrize("name", BEST)
def test_each_rule_of_the_page_has_the_best_of_the_rates(name: str) -> None:
    rule, best, expected = BEST[name]
    heights = {rate: values(rule(rate)) for rate in RATES}
    assert steps_needed(heights[best]) == expected
    if expected is None:
        assert np.nanmin([h[-1] for h in heights.values()]) == heights[best][-1]
    else:
        assert all((steps_needed(h) or 301) >= expected for h in heights.values())


def test_gradient_descent_shrinks_by_the_factor_of_theory() -> None:
    visited = path(gn.SGD(2 / 26), 50)
    np.testing.assert_allclose(np.abs(visited[1:] / visited[:-1]), 24 / 26, rtol=1e-12)


def test_the_best_momentum_shrinks_by_the_root_of_the_condition() -> None:
    distances = np.linalg.norm(path(gn.SGD(4 / 36, momentum=4 / 9), 120), axis=1)
    # A double root: the distance falls like t (2/3)^t.
    assert (distances[120] / distances[60]) ** (1 / 60) == pytest.approx(2 / 3, abs=0.012)


@pytest.mark.parametrize("rule", [gn.SGD(0.03), gn.SGD(0.03, momentum=0.9), gn.Adam(0.3), gn.Adagrad(1.0)])
def test_units_of_a_weight_matter_to_the_slope_alone(rule: gn.optim.Optimizer) -> None:
    """Rules that divide by the size of the gradient move by eta, whatever a weight is measured in."""
    first = path(rule, 1)[1] - path(rule, 1)[0]
    scaled = path(rule, 1, scale=0.1)[1] - path(rule, 1, scale=0.1)[0]
    grows = scaled[1] / first[1]
    assert grows == pytest.approx(100.0 if isinstance(rule, gn.SGD) else 10.0, rel=1e-6)
    assert scaled[0] == first[0]


@pytest.mark.parametrize("rule", [gn.ConjugateGradient(), gn.LBFGS()])
def test_methods_for_full_batches_end_at_the_minimum(rule: gn.optim.FullBatchMethod) -> None:
    problem = gn.optim.Objective(lambda w: gnp.sum(STEEPNESS * w**2) / 2)
    assert rule.minimize(problem, np.array([8.0, 2.0]), iterations=15).value < 1e-12


def noisy_points() -> tuple[np.ndarray, np.ndarray]:
    key = gn.random.key(0)
    X = gn.random.normal(key.fold(0), (64, 2)) * [1.0, 0.5]
    return X, X @ [2.0, -1.0] + 0.5 * gn.random.normal(key.fold(1), (64,))


def fit(batch_size: int, epochs: int, rate: float | gn.optim.Schedule = 0.05) -> gn.Network:
    layer = gn.Dense(1, use_bias=False, kernel_initializer="zeros")
    net = gn.Network([layer], loss="half_squared_error", dtype="float64", input_shape=2)
    X, d = noisy_points()
    net.fit(X, d, epochs=epochs, batch_size=batch_size, optimizer=gn.SGD(rate), progress=False)
    return net


def test_the_gradient_of_a_batch_is_that_of_the_loss_plus_noise_that_its_size_averages() -> None:
    X, d = noisy_points()
    each = fit(64, epochs=1).gradients(X[:12], d[:12], per_example=True)["dense_1.weight"][:, 0]
    variance = each.var(axis=0)
    for size in (1, 2, 3):
        batches = np.array([each[list(rows)].mean(axis=0) for rows in combinations(range(12), size)])
        np.testing.assert_allclose(batches.mean(axis=0), each.mean(axis=0), rtol=1e-12)
        # Drawn without putting back: the variance of the mean has the factor (T - B) / (T - 1).
        np.testing.assert_allclose(batches.var(axis=0), variance / size * (12 - size) / 11, rtol=1e-12)


def test_single_instances_are_first_and_then_circle_until_the_rate_falls() -> None:
    X, d = noisy_points()
    solution = np.linalg.lstsq(X, d)[0]

    def distance(net: gn.Network) -> float:
        return float(np.linalg.norm(net.parameters["dense_1.weight"][0] - solution))

    early = [distance(fit(size, epochs=5)) for size in (1, 8, 64)]
    assert early == sorted(early)
    assert early[0] < early[2] / 10
    assert distance(fit(1, epochs=400)) > distance(fit(8, epochs=400))
    assert distance(fit(1, epochs=400, rate=gn.optim.Exponential(0.05, factor=0.001))) < 0.001
