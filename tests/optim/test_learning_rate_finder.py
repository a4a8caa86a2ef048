"""The learning-rate finder: curves whose steepest descent is known, runs that explode, and the plot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from glassnet.errors import ConfigurationError, DataError, MissingExtraError, ShapeError
from glassnet.optim.finder import LearningRateFinder

FINDER = LearningRateFinder(1e-5, 10.0, steps=121)
BEST = 0.01
# Over x = log(rate / BEST) the loss is 1 / (1 + e^2x), a falling S with its steepest descent at x = 0.
LOSSES = 1 / (1 + (FINDER.rates / BEST) ** 2)


def test_the_rates_are_a_geometric_sequence_from_low_to_high() -> None:
    rates = LearningRateFinder(1e-6, 1.0, steps=50).rates
    assert rates.shape == (50,)
    assert (rates[0], rates[-1]) == (1e-6, 1.0)
    np.testing.assert_allclose(rates[1:] / rates[:-1], 1e6 ** (1 / 49), rtol=1e-12)


@pytest.mark.parametrize("window", [3, 9, 25])
def test_the_suggestion_is_where_the_loss_falls_fastest(window: int) -> None:
    finder = LearningRateFinder(1e-5, 10.0, steps=121, window=window)
    curve = finder.suggest(FINDER.rates, LOSSES)
    assert curve.suggestion == pytest.approx(BEST, rel=1e-12)  # it is one of the rates
    np.testing.assert_array_equal(curve.rates, FINDER.rates)
    np.testing.assert_array_equal(curve.losses, LOSSES)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_smoothed_away(seed: int) -> None:
    noisy = LOSSES + 0.02 * np.random.default_rng(seed).normal(size=121)
    assert BEST / 3 < FINDER.suggest(FINDER.rates, noisy).suggestion < 3 * BEST


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_the_loss_does_not_matter(scale: float) -> None:
    assert FINDER.suggest(FINDER.rates, scale * LOSSES).suggestion == pytest.approx(BEST, rel=1e-12)


@pytest.mark.parametrize("explosion", [[np.inf, 0.0], [np.nan, -5.0], [4.1, -5.0]], ids=str)
def test_what_comes_after_the_explosion_does_not_count(explosion: list[float]) -> None:
    # The collapse after it would be by far the steepest descent.
    losses = np.concatenate([LOSSES[:100], explosion])
    assert FINDER.calm_steps(losses) == 100
    assert FINDER.suggest(FINDER.rates[:102], losses).suggestion == pytest.approx(BEST, rel=1e-12)
    assert FINDER.suggest(FINDER.rates[:100], LOSSES[:100]).suggestion == pytest.approx(BEST, rel=1e-12)


def test_the_explosion_is_measured_by_the_first_loss() -> None:
    assert LearningRateFinder(explosion=2.0).calm_steps([3.0, 5.9, 6.1]) == 2
    assert LearningRateFinder(explosion=2.0).calm_steps([-3.0, -0.1, 0.1]) == 2
    assert LearningRateFinder().calm_steps([]) == 0
    assert LearningRateFinder().calm_steps([np.nan]) == 0


def test_gradient_descent_with_the_suggestion_is_stable_and_quick() -> None:
    # On 1/2 sum c w^2 gradient descent converges for rates below 2 / max c = 0.1.
    curvature = np.array([1.0, 5.0, 20.0])
    finder = LearningRateFinder(1e-4, 10.0, steps=60)
    w, losses = np.ones(3), []
    for rate in finder.rates:
        losses.append(0.5 * curvature @ w**2)
        w = w - rate * curvature * w
    suggestion = finder.suggest(finder.rates, losses).suggestion
    assert suggestion < 0.1
    w = (1 - suggestion * curvature) ** 200
    assert 0.5 * curvature @ w**2 < 0.01 * losses[0]


class Axes:
    def __init__(self) -> None:
        self.calls: dict[str, tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        def record(*args: Any, **options: Any) -> None:
            self.calls[name] = args

        return record


def test_the_plot_shows_the_run_and_marks_the_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = FINDER.suggest(FINDER.rates, LOSSES)
    axes = Axes()
    pyplot = ModuleType("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "subplots", lambda: (None, axes), raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", ModuleType("matplotlib"))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    assert curve.plot() is axes
    assert axes.calls["semilogx"] == (curve.rates, curve.losses)
    assert axes.calls["axvline"] == (curve.suggestion,)
    other = Axes()
    assert curve.plot(other) is other
    assert other.calls.keys() == axes.calls.keys()


def test_without_matplotlib_the_plot_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"plot .* needs .* pip install 'glassnet\[plots\]'$"):
        FINDER.suggest(FINDER.rates, LOSSES).plot()


@pytest.mark.parametrize(
    ("call", "error", "what"),
    [
        (lambda: LearningRateFinder(low=0.0), ConfigurationError, "low=0.0; it takes a positive number"),
        (
            lambda: LearningRateFinder(0.1, 0.1),
            ConfigurationError,
            "high=0.1; it takes a number above low=0.1",
        ),
        (lambda: LearningRateFinder(window=4), ConfigurationError, "window=4; it takes an odd number"),
        (lambda: LearningRateFinder(steps=8), ConfigurationError, "steps=8; .* at least window=9"),
        (
            lambda: LearningRateFinder(explosion=1.0),
            ConfigurationError,
            "explosion=1.0; it takes a number above 1",
        ),
        (
            lambda: FINDER.suggest(FINDER.rates, LOSSES[:-1]),
            ShapeError,
            r"rates of shape \(121,\) and losses of shape \(120,\)",
        ),
        (
            lambda: FINDER.suggest(FINDER.rates[:9], [1.0] * 8 + [np.nan]),
            DataError,
            "calm for 8 steps, and a slope is fitted to a window of 9; start from a lower rate",
        ),
        (
            lambda: FINDER.suggest(FINDER.rates, np.ones(121)),
            DataError,
            "The loss fell at no rate between 1e-05 and 10; try a wider range",
        ),
    ],
)
def test_ill_input_is_one_sentence(call: Callable[[], Any], error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what) as caught:
        call()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
