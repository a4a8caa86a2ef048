"""The learning-rate finder on networks: a suggestion that trains, without the noise of the batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import ConfigurationError, DataError
from glassnet.optim import LearningRateFinder

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=50)


def regression(**options: Any) -> gn.Network:
    layers = [gn.Dense(16, activation="relu"), gn.Dense(1)]
    return gn.Network(layers, "mean_squared_error", **options)


@pytest.mark.parametrize("batch_size", [32, 5, None])
@pytest.mark.parametrize("seed", range(3))
def test_noisy_rows_of_a_small_table(seed: int, batch_size: int | None) -> None:
    # Rates of 0.003 to 0.1 are good for Adam here; the rows that a batch has by chance say nothing of it.
    curve = regression(seed=seed).find_learning_rate(X, Y, batch_size, "adam")
    assert 0.03 / 30 < curve.suggestion < 0.03 * 30
    assert len(curve.rates) == len(curve.losses) <= 100


@pytest.mark.parametrize(("optimizer", "good"), [("adam", 0.01), ("sgd", 0.5), ("momentum", 0.1)])
def test_digits(optimizer: str, good: float) -> None:
    digits = gn.data.load_digits()
    x = digits.images.reshape(-1, 64) / 16.0
    layers = [gn.Dense(32, activation="relu"), gn.Dense(10)]
    net = gn.Network(layers, "cross_entropy")
    curve = net.find_learning_rate(x, digits.labels, optimizer=optimizer)
    assert good / 30 < curve.suggestion < good * 30
    chosen = gn.optim.OPTIMIZERS[optimizer].with_learning_rate(curve.suggestion)
    assert net.fit(x, digits.labels, epochs=5, optimizer=chosen).loss[-1] < 0.5


def test_the_network_stays_as_it_is_and_the_optimiser_s_own_rate_plays_no_part() -> None:
    net = regression(input_shape=3)
    before = {name: a.copy() for name, a in net.parameters.items()}
    curves = [
        net.find_learning_rate(X, Y, optimizer=gn.Adam(rate)) for rate in (1e-6, 1.0, gn.optim.Cosine(0.1))
    ]
    assert len({curve.suggestion for curve in curves}) == 1
    assert all(np.array_equal(a, before[name]) for name, a in net.parameters.items())


def test_at_rates_that_change_nothing_the_curve_is_flat() -> None:
    # Batches differ from one another by far more; the curve shows what the rates do, and nothing else.
    net = regression(dtype="float64")
    curve = net.find_learning_rate(X, Y, 5, "sgd")
    quiet = curve.losses[curve.rates < 1e-5]
    assert len(quiet) > 5
    of_batches = [piece.loss for piece in net.training_program(X, Y, 5, gn.SGD(1e-9)).run_batches(1)]
    assert np.ptp(quiet) < 0.01 * np.std(of_batches)


def test_the_curve_ends_where_the_loss_explodes() -> None:
    finder = LearningRateFinder(low=1e-4, high=1e4, steps=50)
    curve = regression().find_learning_rate(X, Y, optimizer="sgd", finder=finder)
    assert len(curve.losses) < 50
    assert curve.suggestion < 1.0


def test_what_has_no_rate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="LBFGS finds the length of its steps itself"):
        regression().find_learning_rate(X, Y, optimizer="lbfgs")


def test_a_loss_that_falls_nowhere_is_an_error() -> None:
    net = gn.Network([gn.Dense(1, use_bias=False)], "mean_squared_error", dtype="float64", input_shape=3)
    net.parameters = {"dense_1.weight": np.zeros((1, 3))}
    with pytest.raises(DataError, match="The loss fell at no rate between"):
        net.find_learning_rate(X, np.zeros(50), optimizer="sgd")
