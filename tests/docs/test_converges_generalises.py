"""Curriculum item 24: learning curves, early stopping, and calibration before and after a remedy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.train import metrics
from glassnet.train.history import History

DIGITS = gn.data.load_digits()
X, Y = DIGITS.images.reshape(-1, 64) / 16, DIGITS.labels
REST, TRAINING = gn.data.stratified_split(Y, 0.055, seed=0)
TEST, VALIDATION = (REST[part] for part in gn.data.stratified_split(Y[REST], 0.117, seed=1))


def train(seed: int, stopping: gn.EarlyStopping | None = None) -> tuple[gn.Network, History]:
    layers = [gn.Dense(20, activation="relu"), gn.Dense(10)]
    net = gn.Network(layers, loss="cross_entropy", seed=seed)
    history = net.fit(
        X[TRAINING],
        Y[TRAINING],
        epochs=300,
        batch_size=20,
        optimizer=gn.Adam(0.01),
        validation_data=(X[VALIDATION], Y[VALIDATION]),
        stopping=stopping,
        progress=False,
    )
    return net, history


def logits(net: gn.Network, rows: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(net.predict_proba(X[rows]).astype(float), 1e-30))


def mean_loss(z: np.ndarray, rows: np.ndarray, T: float) -> float:
    return metrics.log_loss(gnp.softmax(z / T), Y[rows])


def temperature(net: gn.Network) -> float:
    def divergence(parameters, z, label):
        return gn.losses.cross_entropy(z / gnp.exp(parameters["log_T"]), label)

    found, _ = gn.minimize(
        divergence,
        {"log_T": 0.0},
        (logits(net, VALIDATION), Y[VALIDATION]),
        gn.Rprop(0.1),
        epochs=60,
        batch_size=None,
        progress=False,
        engine="interpreter",
    )
    return float(np.exp(found["log_T"]))


@dataclass
class Outcome:
    """Two runs from one start: to the end, and stopped early."""

    full: gn.Network
    history: History
    early: gn.Network
    its_history: History


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [Outcome(*train(seed), *train(seed, gn.EarlyStopping(patience=20))) for seed in range(3)]


def test_the_parts_do_not_overlap() -> None:
    assert sorted([*TRAINING, *VALIDATION, *TEST]) == list(range(len(Y)))
    assert (len(TRAINING), len(VALIDATION), len(TEST)) == (100, 199, 1498)


def test_the_training_loss_vanishes_while_the_validation_loss_turns(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        curve = outcome.history.validation_loss
        assert outcome.history.loss[-1] < 0.001
        assert 20 < int(np.argmin(curve)) + 1 < 100
        assert curve[-1] > 1.1 * min(curve)


def test_early_stopping_brings_back_the_best_epoch(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        history = outcome.its_history
        best = int(np.argmin(outcome.history.validation_loss)) + 1
        assert history.best_epoch == best
        assert history.epochs == best + 20
        kept = outcome.early.evaluate(X[VALIDATION], Y[VALIDATION])["loss"]
        assert kept == pytest.approx(min(history.validation_loss), rel=1e-5)
        final, stopped = (net.evaluate(X[TEST], Y[TEST]) for net in (outcome.full, outcome.early))
        assert stopped["loss"] < final["loss"]
        assert abs(stopped["accuracy"] - final["accuracy"]) < 0.02


def test_the_temperature_is_the_minimum_on_the_validation_rows(outcomes: list[Outcome]) -> None:
    net = outcomes[0].full
    T, z = temperature(net), logits(net, VALIDATION)
    assert 1.2 < T < 3
    at_minimum = mean_loss(z, VALIDATION, T)
    assert at_minimum < min(mean_loss(z, VALIDATION, T * factor) for factor in (0.98, 1.02))
    np.testing.assert_array_equal((z / T).argmax(axis=1), z.argmax(axis=1))


def test_both_remedies_bring_the_probabilities_nearer_to_the_truth(outcomes: list[Outcome]) -> None:
    errors, losses = [], []
    for outcome in outcomes:
        z = logits(outcome.full, TEST)
        tables = [
            gnp.softmax(z),
            gnp.softmax(z / temperature(outcome.full)),
            outcome.early.predict_proba(X[TEST]),
        ]
        errors.append([metrics.expected_calibration_error(table, Y[TEST]) for table in tables])
        losses.append([metrics.log_loss(table, Y[TEST]) for table in tables])
        assert tables[0].max(axis=1).mean() - np.mean(z.argmax(axis=1) == Y[TEST]) > 0.02  # too sure
    before, cooled, early = np.mean(errors, axis=0)
    assert before > 0.04
    assert cooled < 0.7 * before
    assert early < 0.7 * before
    assert np.all(np.array(losses)[:, 1:] < np.array(losses)[:, :1])


def test_the_calibration_error_is_the_weighted_gap_of_the_reliability_curve(outcomes: list[Outcome]) -> None:
    p = outcomes[0].full.predict_proba(X[TEST])
    confidence, right = p.max(axis=1), p.argmax(axis=1) == Y[TEST]
    bins = np.ceil(confidence * 10)
    gaps = [
        np.mean(bins == m) * abs(right[bins == m].mean() - confidence[bins == m].mean())
        for m in np.unique(bins)
    ]
    assert metrics.expected_calibration_error(p, Y[TEST]) == pytest.approx(np.sum(gaps), rel=1e-5)
