"""Full-batch methods through fit: what they minimise is what is reported, and what they do not take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import ConfigurationError
from glassnet.losses import LOSSES
from glassnet.train import EpochFinished, Event

METHODS = ["lbfgs", "conjugate_gradient", "levenberg_marquardt"]
ENGINE: dict[str, Any] = {"engine": "interpreter"}
X = np.random.default_rng(3).normal(size=(12, 2))
WEIGHT = np.random.default_rng(4).uniform(0.2, 2.0, 12)
VALUES = np.random.default_rng(5).normal(size=(12, 2))


def network(loss: str, outputs: int, **options: Any) -> gn.Network:
    layers = [gn.Dense(3, activation="tanh"), gn.Dense(outputs, activation=options.pop("last", "identity"))]
    return gn.Network(layers, loss, **{"seed": 7, "dtype": "float64"} | options)


def target_for(loss: str) -> np.ndarray:
    kind = LOSSES[loss].targets
    if kind == "classes":
        return np.arange(12) % 2
    first = np.random.default_rng(6).random(12)
    columns = np.column_stack([first, 1 - first])
    return {"values": VALUES, "signs": np.sign(VALUES), "counts": np.abs(VALUES).round()}.get(kind, columns)


@pytest.mark.parametrize("method", ["lbfgs", "conjugate_gradient"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_and_is_the_loss_of_the_new_parameters(loss: str, method: str) -> None:
    last = (
        {"binary": "sigmoid", "classes": "softmax"}[LOSSES[loss].targets] if "_from_" in loss else "identity"
    )
    y, chooses = target_for(loss), LOSSES[loss].targets in ("classes", "distribution")
    net = network(loss, 2, last=last, input_shape=2, classes=[0, 1] if chooses else None)
    before = net.evaluate(X, y, sample_weight=WEIGHT)["loss"]
    history = net.fit(X, y, epochs=4, optimizer=method, sample_weight=WEIGHT, **ENGINE)
    assert history.learning_rate == [1.0] * history.epochs
    assert (np.diff([before, *history.loss]) <= 0).all()
    assert history.loss[-1] == pytest.approx(net.evaluate(X, y, sample_weight=WEIGHT)["loss"], rel=1e-12)
    # On a loss of many kinks a method for smooth functions may end where it stands.
    assert history.loss[-1] < before or loss in ("mean_absolute_error", "quantile")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("loss", ["half_squared_error", "mean_squared_error"])
def test_levenberg_marquardt_minimises_the_loss_that_is_reported(
    loss: str, outputs: int, reduction: str, weighted: bool
) -> None:
    # It reports half its sum of squares.
    y, weight = VALUES[:, :outputs], WEIGHT if weighted else None
    options = {"optimizer": "levenberg_marquardt", "sample_weight": weight, **ENGINE}
    total = 1.0 if reduction == "mean" else 12.0 if weight is None else float(weight.sum())
    net = network(loss, outputs, reduction=reduction)
    history = net.fit(X, y, epochs=8, **options)
    expected = total * net.evaluate(X, y, sample_weight=weight)["loss"]
    assert history.loss[-1] == pytest.approx(expected, rel=1e-12)
    # A line through weighted rows is found in one stroke.
    straight = gn.Network([gn.Dense(outputs)], loss, dtype="float64", reduction=reduction)
    straight.fit(X, y, epochs=20, **options)
    root = np.sqrt(np.ones(12) if weight is None else weight)[:, None]
    best, *_ = np.linalg.lstsq(root * np.column_stack([X, np.ones(12)]), root * y)
    np.testing.assert_allclose(straight.parameters["dense_1.weight"], best[:2].T, rtol=1e-8)
    np.testing.assert_allclose(straight.parameters["dense_1.bias"], best[2], rtol=1e-8)


def test_positions_are_residuals_too() -> None:
    x = np.random.default_rng(0).normal(size=(6, 4, 2))
    y = np.random.default_rng(1).normal(size=(6, 4, 2))
    net = gn.Network([gn.Dense(2)], "mean_squared_error", dtype="float64")
    history = net.fit(x, y, epochs=6, optimizer="levenberg_marquardt", **ENGINE)
    design = np.column_stack([x.reshape(-1, 2), np.ones(24)])
    best, *_ = np.linalg.lstsq(design, y.reshape(-1, 2))
    np.testing.assert_allclose(net.parameters["dense_1.weight"], best[:2].T, rtol=1e-8)
    assert history.loss[-1] == pytest.approx(np.mean((design @ best - y.reshape(-1, 2)) ** 2), rel=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_problem_is_solved_and_the_run_ends_there(method: str) -> None:
    net = gn.Network([gn.Dense(1)], "mean_squared_error", dtype="float64")
    y = X @ [2.0, -1.0] + 0.5 + 0.1 * VALUES[:, 0]
    history = net.fit(X, y, epochs=500, optimizer=method, **ENGINE)
    best, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(12)]), y)
    np.testing.assert_allclose(net.parameters["dense_1.weight"][0], best[:2], rtol=1e-6)
    assert history.epochs < 500
    assert history.stopped is not None
    assert history.stopped.startswith(f"Ended after epoch {history.epochs}: no ")


def test_compiled_and_interpreted_iterations_agree() -> None:
    losses = [
        network("mean_squared_error", 2).fit(X, VALUES, epochs=5, optimizer="lbfgs", engine=engine).loss
        for engine in ("compiled", "interpreter")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


def test_options_of_fit_hold_for_full_batch_methods_too() -> None:
    heard: list[Event] = []
    history = network("mean_squared_error", 2).fit(
        X,
        VALUES,
        epochs=30,
        optimizer=gn.LBFGS(history=3),
        validation_fraction=0.25,
        metrics=["r2"],
        stopping=gn.EarlyStopping(patience=2),
        listeners=[heard.append],
        **ENGINE,
    )
    assert len(history.figures["validation_r2"]) == history.epochs
    assert sum(isinstance(event, EpochFinished) for event in heard) == history.epochs
    assert history.best_epoch == int(np.argmin(history.validation_loss)) + 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (gn.nn.BatchNorm(), "keeps statistics of batches; use LayerNorm for BatchNorm, or train with Adam"),
        (gn.nn.Dropout(0.5), "draws random numbers in training; leave it out, or train with Adam or SGD"),
        (gn.nn.GaussianNoise(0.1), "draws random numbers in training"),
        (gn.Dense(3, max_norm=1.0), "has a max_norm; give it a regularizer instead, or train with Adam"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_network_whose_loss_is_no_function_of_its_parameters_is_refused(
    layer: gn.nn.Layer, sentence: str, method: str
) -> None:
    net = gn.Network([layer, gn.Dense(2)], "mean_squared_error")
    with pytest.raises(ConfigurationError, match=sentence):
        net.fit(X, VALUES, optimizer=method, **ENGINE)


@pytest.mark.parametrize(
    ("loss", "regularizer"),
    [("huber", None), ("mean_squared_error", gn.L2(0.1))],
    ids=["loss", "regularizer"],
)
def test_levenberg_marquardt_takes_sums_of_squares_alone(loss: str, regularizer: Any) -> None:
    net = gn.Network([gn.Dense(2, regularizer=regularizer)], loss)
    sentence = (
        'LevenbergMarquardt minimises half a sum of squares; give the network loss="half_squared_error"'
    )
    with pytest.raises(ConfigurationError, match=sentence):
        net.fit(X, VALUES, optimizer="levenberg_marquardt", **ENGINE)


def test_a_mask_takes_residuals_away_and_is_refused() -> None:
    x = np.ones((4, 3, 2))
    x[:, 2] = 0.0  # positions of zeros alone do not count
    net = gn.Network([gn.nn.Masking(), gn.Dense(1)], "mean_squared_error", dtype="float64")
    with pytest.raises(ConfigurationError, match=r"LevenbergMarquardt takes every output .* masks"):
        net.fit(x, np.ones((4, 3, 1)), optimizer="levenberg_marquardt", **ENGINE)


def test_minimize_names_the_method_s_own() -> None:
    with pytest.raises(
        ConfigurationError, match="minimize got LBFGS, which works on flat vectors: call its own"
    ):
        gn.minimize(lambda p, x: p * x, 1.0, X[:, 0], optimizer="lbfgs")
