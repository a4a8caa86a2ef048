"""Rules that end a run: the best weights come back, what stands still ends, the clock, a listener's wish."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import ConfigurationError, DivergedError
from glassnet.train import EpochFinished, Event, StopTraining, stopping
from glassnet.train.events import BatchesFinished, EpochStarted

X = np.linspace(-1.0, 1.0, 40).reshape(20, 2)
Y = X @ [2.0, 1.0]
LABELS = np.arange(20) % 2
ENGINE: dict[str, Any] = {"engine": "interpreter"}


def network(**options: Any) -> gn.Network:
    layers = [gn.Dense(3, activation="tanh"), gn.Dense(1)]
    return gn.Network(layers, **{"loss": "mean_squared_error", "dtype": "float64"} | options)


def same(one: gn.Network, other: gn.Network) -> bool:
    return all(np.array_equal(a, other.parameters[name]) for name, a in one.parameters.items())


# -- early stopping


def overfitting() -> tuple[gn.Network, dict[str, Any]]:
    """A run whose validation loss turns: the rows held out say the opposite of those it learns."""
    options = {"batch_size": None, "optimizer": gn.SGD(0.1), **ENGINE}
    # From weights that are far too large the loss on both falls at first.
    net = network()
    net.training_program(X, Y)
    net.parameters = {name: 4 * a for name, a in net.parameters.items()}
    return net, {**options, "validation_data": (X, -0.5 * Y)}


def test_the_weights_of_the_best_epoch_come_back() -> None:
    net, options = overfitting()
    history = net.fit(X, Y, epochs=200, stopping=gn.EarlyStopping(patience=4), **options)
    best = int(np.argmin(history.validation_loss)) + 1
    assert 1 < best < history.epochs == best + 4
    assert history.best_epoch == best
    low = f"{min(history.validation_loss):.4g}"
    assert history.stopped == (
        f"Stopped after epoch {best + 4}: validation loss was best in epoch {best} ({low}); "
        f"the weights of epoch {best} are kept."
    )
    shorter, options = overfitting()
    shorter.fit(X, Y, epochs=best, **options)
    assert same(net, shorter)
    assert np.array_equal(net.predict(X), shorter.predict(X))
    assert net.evaluate(X, -0.5 * Y)["loss"] == min(history.validation_loss)


def test_the_best_weights_come_back_after_a_complete_run_too() -> None:
    net, options = overfitting()
    history = net.fit(X, Y, epochs=12, stopping=gn.EarlyStopping(patience=50), **options)
    assert history.stopped is None
    assert history.best_epoch == int(np.argmin(history.validation_loss)) + 1 < 12
    assert net.evaluate(X, -0.5 * Y)["loss"] == min(history.validation_loss)


def test_the_last_weights_stay_where_one_wants_them() -> None:
    net, options = overfitting()
    rule = gn.EarlyStopping(patience=4, restore_best=False)
    history = net.fit(X, Y, epochs=200, stopping=rule, **options)
    assert history.best_epoch is None
    assert net.evaluate(X, -0.5 * Y)["loss"] == history.validation_loss[-1] > min(history.validation_loss)
    assert history.stopped is not None
    assert history.stopped.endswith(f"({min(history.validation_loss):.4g}).")


def feed(rule: gn.EarlyStopping, values: list[float]) -> tuple[int, int | None]:
    """After how many epochs the rule ends a run with these figures (0: it does not), and its best epoch."""
    watch = rule.watch()
    for epoch, value in enumerate(values, 1):
        standing = stopping.Standing(epoch, {rule.monitor: value}, 0.0, [], lambda: 0.0)
        if watch.look(standing):
            return epoch, watch.best()
    return 0, watch.best()


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"patience": 2}, [3, 2, 2, 2, 1], (4, 2)),
        ({"patience": 2}, [3, 2, 2, 1, 1], (0, 4)),
        ({"patience": 1}, [1, 2], (2, 1)),
        ({"patience": 2, "minimum_change": 0.5}, [3, 2.6, 2.5, 1], (3, 1)),
        ({"patience": 1, "monitor": "validation_accuracy"}, [0.5, 0.6, 0.6], (3, 2)),
        ({"patience": 1, "monitor": "mean_absolute_error"}, [2, 1, 1.5], (3, 2)),
        ({"patience": 1, "monitor": "mine", "better": "lower"}, [2, 1, 1.5], (3, 2)),
        ({"patience": 2}, [float("nan"), 5, 5, 5], (4, 2)),
    ],
    ids=str,
)
def test_patience_by_hand(options: dict[str, Any], values: list[float], expected: tuple[int, int]) -> None:
    assert feed(gn.EarlyStopping(**options), values) == expected


def test_a_metric_can_be_watched(rows: np.ndarray) -> None:
    net = gn.Network([gn.Dense(3)], "cross_entropy", dtype="float64")
    rule = gn.EarlyStopping(patience=3, monitor="balanced_accuracy")
    metrics = ["balanced_accuracy"]
    history = net.fit(rows, np.arange(23) % 3, epochs=200, metrics=metrics, stopping=rule, **ENGINE)
    best = int(np.argmax(history.figures["balanced_accuracy"])) + 1
    assert history.best_epoch == best
    assert history.epochs == best + 3
    assert net.evaluate(rows, np.arange(23) % 3, metrics)["balanced_accuracy"] == pytest.approx(
        history.figures["balanced_accuracy"][best - 1]
    )


def test_a_figure_that_the_run_has_not_is_named() -> None:
    with pytest.raises(
        ConfigurationError, match="EarlyStopping watches 'validation_loss', but this run has loss; give"
    ):
        network().fit(X, Y, epochs=2, stopping=gn.EarlyStopping(), **ENGINE)


# -- convergence


def test_weights_that_stand_still_end_the_run() -> None:
    net = gn.Network([gn.Dense(1)], "mean_squared_error", dtype="float64")
    options = {"batch_size": None, "optimizer": gn.SGD(0.5), **ENGINE}
    history = net.fit(X, Y, epochs=5000, stopping=gn.Convergence(weights=1e-5), **options)
    assert history.epochs < 5000
    assert history.stopped is not None
    assert history.stopped.startswith(f"Converged after epoch {history.epochs}: the weights changed by ")
    before = {name: a.copy() for name, a in net.parameters.items()}
    net.fit(X, Y, epochs=1, **options)
    largest = max(1.0, *(float(np.abs(a).max()) for a in before.values()))
    change = max(float(np.abs(a - before[name]).max()) for name, a in net.parameters.items())
    assert change <= 1e-5 * largest  # one more epoch moves no further


def test_a_loss_that_stands_still_ends_the_run() -> None:
    options = {"batch_size": None, "optimizer": gn.SGD(0.2), **ENGINE}
    history = network().fit(X, Y, epochs=5000, stopping=gn.Convergence(loss=1e-4, epochs=3), **options)
    changes = np.abs(np.diff(history.loss))
    quiet = changes <= 1e-4
    assert quiet[-3:].all()
    assert not any(quiet[i : i + 3].all() for i in range(len(quiet) - 3))
    assert (
        history.stopped == f"Converged after epoch {history.epochs}: the loss changed by {changes[-1]:.2g}."
    )


@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 2.0, 20)], ids=["plain", "weighted"])
def test_a_gradient_that_vanishes_ends_the_run(weight: np.ndarray | None) -> None:
    net = network(reduction="sum")
    options = {"batch_size": None, "optimizer": gn.SGD(0.01), "sample_weight": weight, **ENGINE}
    history = net.fit(X, Y, epochs=5000, stopping=gn.Convergence(gradient=0.1), **options)
    assert history.stopped is not None
    assert history.stopped.startswith(f"Converged after epoch {history.epochs}: the norm of the gradient is ")
    each = net.gradients(X, Y, per_example=True)
    scale = np.ones(20) if weight is None else weight
    gradient = np.concatenate([np.tensordot(scale, g, 1).ravel() for g in each.values()])
    assert 0.09 < np.linalg.norm(gradient) <= 0.1
    assert f"is {np.linalg.norm(gradient):.2g}." in history.stopped


def test_one_of_several_rules_is_enough() -> None:
    rules = [gn.EarlyStopping(patience=500, monitor="loss"), gn.Convergence(loss=1e9)]
    history = network().fit(X, Y, epochs=9, stopping=rules, **ENGINE)
    assert history.epochs == 2
    assert history.best_epoch is not None


# -- the clock, and a listener


def test_the_run_ends_after_the_epoch_in_which_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count()
    monkeypatch.setattr("glassnet.train.course.perf_counter", lambda: float(next(clock)))
    history = network().fit(X, Y, epochs=50, stopping=gn.TimeLimit(9.0), **ENGINE)
    # The clock is read once before the run, and twice and once more in every epoch.
    assert history.epochs == 3
    assert history.stopped == "Stopped after epoch 3: the time limit of 9 s was reached."
    assert history.training_seconds == 3.0


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_a_listener_can_end_the_run_between_epochs(engine: str) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, EpochFinished) and event.epoch == 2:
            raise StopTraining("That is enough.")

    net, expected = network(), network()
    history = net.fit(X, Y, epochs=9, listeners=[stop], engine=engine)
    expected.fit(X, Y, epochs=2, engine=engine)
    assert (history.epochs, history.stopped) == (2, "That is enough.")
    assert same(net, expected)


def test_a_listener_can_end_the_run_inside_an_epoch_and_what_was_learnt_stays() -> None:
    def stop(event: Event) -> None:
        if isinstance(event, BatchesFinished) and (event.epoch, event.step) == (2, 3):
            raise StopTraining

    net, expected = network(), network()
    options = {"batch_size": 4, "optimizer": gn.SGD(0.1), **ENGINE}
    history = net.fit(X, Y, epochs=9, listeners=[stop], steps_per_event=1, **options)
    assert (history.epochs, history.stopped) == (1, "A listener ended the run after epoch 1.")
    program = expected.training_program(X, Y, 4, gn.SGD(0.1), "interpreter")
    program.run_epoch()
    pieces = program.run_batches(1)
    for _ in range(3):
        next(pieces)
    for got, wanted in zip(net.parameters.values(), program.parameters, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_wish_to_stop_keeps_nothing_that_is_not_finite() -> None:
    def stop(event: Event) -> None:
        if isinstance(event, BatchesFinished):
            raise StopTraining

    net = network(dtype="float32")
    net.training_program(X, Y)
    before = {name: a.copy() for name, a in net.parameters.items()}
    net.fit(X, 100 * Y, optimizer=gn.SGD(1e38), listeners=[stop], steps_per_event=1, **ENGINE)
    assert all(np.array_equal(a, before[name]) for name, a in net.parameters.items())


def test_a_listener_that_ends_the_run_leaves_the_best_weights() -> None:
    def stop(event: Event) -> None:
        if isinstance(event, EpochStarted) and event.epoch == 30:
            raise StopTraining

    net, options = overfitting()
    rule = gn.EarlyStopping(patience=100)
    history = net.fit(X, Y, epochs=99, listeners=[stop], stopping=rule, **options)
    assert history.epochs == 29
    assert history.best_epoch == int(np.argmin(history.validation_loss)) + 1 < 29
    assert net.evaluate(X, -0.5 * Y)["loss"] == min(history.validation_loss)


def test_control_c_leaves_the_best_weights_and_says_so() -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, EpochFinished) and event.epoch == 30:
            raise KeyboardInterrupt

    net, options = overfitting()
    rule = gn.EarlyStopping(patience=100)
    history = net.fit(X, Y, epochs=99, listeners=[interrupt], stopping=rule, **options)
    best = int(np.argmin(history.validation_loss)) + 1
    assert history.stopped == f"Interrupted: the best parameters, those after epoch {best} of 99, are kept."
    assert net.evaluate(X, -0.5 * Y)["loss"] == min(history.validation_loss)


def test_a_run_that_diverged_keeps_its_last_finite_epoch_whatever_was_best() -> None:
    net, kept = network(dtype="float32"), []

    def listen(event: Event) -> None:
        if isinstance(event, EpochFinished):
            kept.append({name: a.copy() for name, a in net.parameters.items()})

    rule = gn.EarlyStopping(patience=100, monitor="loss")
    with pytest.raises(DivergedError):
        net.fit(X, Y, epochs=99, optimizer=gn.SGD(1e6), listeners=[listen], stopping=rule, **ENGINE)
    assert all(np.array_equal(a, kept[-1][name]) for name, a in net.parameters.items())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: gn.EarlyStopping(patience=0), "EarlyStopping got patience=0; it takes a whole number of 1"),
        (
            lambda: gn.EarlyStopping(minimum_change=-1),
            "got minimum_change=-1; it takes a number of at least 0",
        ),
        (lambda: gn.EarlyStopping(better="up"), 'better=\'up\'; it takes "lower", "higher" or None'),
        (lambda: gn.TimeLimit(-1.0), "TimeLimit got seconds=-1.0"),
        (lambda: gn.TimeLimit(float("inf")), "TimeLimit got seconds=inf"),
        (lambda: gn.Convergence(), "Convergence got no limit; give one of weights=, loss= or gradient="),
        (lambda: gn.Convergence(weights=-1e-3), "Convergence got weights=-0.001"),
        (lambda: gn.Convergence(loss=1.0, epochs=0), "Convergence got epochs=0"),
        (
            lambda: network().fit(X, Y, stopping="early"),
            "fit got stopping='early'; it takes a rule such as EarlyStopping",
        ),
        (lambda: network().fit(X, Y, stopping=[gn.TimeLimit]), "fit got stopping=<class"),
    ],
)
def test_rules_that_cannot_be_are_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()
