"""What a run tells: the order of events, batches on request, hooks, and what listeners may change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import ConfigurationError
from glassnet.train import BatchesFinished, EpochFinished, EpochStarted, Event, RunFinished, RunStarted

ENGINES = ["compiled", "interpreter"]
LABELS = np.arange(23) % 3


def network(**options: Any) -> gn.Network:
    layers = [gn.Dense(4, activation="tanh"), gn.Dense(3)]
    return gn.Network(layers, "cross_entropy", **{"seed": 7, "dtype": "float64"} | options)


def test_the_events_of_a_run_come_in_order(rows: np.ndarray) -> None:
    heard: list[Event] = []
    history = network().fit(
        rows,
        LABELS,
        epochs=2,
        batch_size=5,
        metrics=["accuracy"],
        validation_data=(rows, LABELS),
        listeners=[heard.append],
        steps_per_event=2,
        engine="interpreter",
    )
    epoch = [EpochStarted, BatchesFinished, BatchesFinished, BatchesFinished, EpochFinished]
    assert [type(event) for event in heard] == [RunStarted, *epoch, *epoch, RunFinished]
    batches = [event for event in heard if isinstance(event, BatchesFinished)]
    assert [(b.epoch, b.step, b.steps) for b in batches] == [(e, s, 5) for e in (1, 2) for s in (2, 4, 5)]
    finished = [event for event in heard if isinstance(event, EpochFinished)]
    for number, event in enumerate(finished):
        assert event.figures == {name: values[number] for name, values in history.figures.items()}
        assert event.learning_rate == history.learning_rate[number] == 0.001
        assert event.seconds > 0
    # The last batches of the epoch hold 3 rows of 23.
    for number, loss in enumerate(history.loss):
        parts = batches[3 * number : 3 * number + 3]
        assert loss == pytest.approx(np.average([b.loss for b in parts], weights=[10, 10, 3]), rel=1e-13)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, 2, 5, 99])
def test_telling_of_batches_changes_no_bit(steps: int, engine: str, rows: np.ndarray) -> None:
    # Adam counts, and dropout draws: both go on inside an epoch as if nobody listened.
    layers = [gn.Dense(4, activation="tanh"), gn.nn.Dropout(0.3), gn.Dense(3)]
    nets = [gn.Network(layers, "cross_entropy", seed=7) for _ in range(2)]
    options = {"epochs": 3, "batch_size": 5, "engine": engine}
    alone = nets[0].fit(rows, LABELS, **options)
    heard = nets[1].fit(rows, LABELS, listeners=[lambda event: None], steps_per_event=steps, **options)
    assert all(np.array_equal(a, nets[1].parameters[name]) for name, a in nets[0].parameters.items())
    np.testing.assert_allclose(heard.loss, alone.loss, rtol=1e-12)


def test_a_hook_in_ten_lines(rows: np.ndarray) -> None:
    class WeightNorms:
        """Follows the norm of every parameter over the epochs."""

        def __init__(self, net: gn.Network) -> None:
            self.net, self.norms = net, []

        def __call__(self, event: Event) -> None:
            if isinstance(event, EpochFinished):
                self.norms.append({n: np.linalg.norm(a) for n, a in self.net.parameters.items()})

    net = network()
    hook = WeightNorms(net)
    net.fit(rows, LABELS, epochs=4, listeners=[hook], engine="interpreter")
    assert len(hook.norms) == 4
    assert hook.norms[-1] == {n: np.linalg.norm(a) for n, a in net.parameters.items()}
    assert hook.norms[0] != hook.norms[-1]


def test_several_listeners_hear_in_the_order_given_behind_the_progress(rows: np.ndarray) -> None:
    told: list[str] = []
    listeners = [lambda event: told.append("first"), lambda event: told.append("second")]
    network().fit(
        rows,
        LABELS,
        epochs=1,
        progress=lambda event: told.append("progress"),
        listeners=listeners,
        engine="interpreter",
    )
    assert told == ["progress", "first", "second"] * 4


def test_batches_of_a_full_batch_method_are_its_iterations(rows: np.ndarray) -> None:
    heard: list[Event] = []
    options = {"listeners": [heard.append], "steps_per_event": 3, "engine": "interpreter"}
    history = network().fit(rows, LABELS, epochs=3, optimizer="lbfgs", **options)
    losses = [event.loss for event in heard if isinstance(event, BatchesFinished)]
    assert losses == history.loss
    assert len(losses) == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"listeners": print}, "fit got listeners=<built-in function print>; it takes a list of functions"),
        ({"listeners": [1]}, r"fit got listeners=\[1\]"),
        ({"steps_per_event": 0}, "fit got steps_per_event=0; it takes a whole number of 1 or more"),
        ({"progress": 3}, "fit got progress=3; it takes True, False, None or a function of one event"),
    ],
    ids=str,
)
def test_what_is_no_listener_is_refused(options: dict[str, Any], sentence: str, rows: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        network().fit(rows, LABELS, epochs=1, **options)


# -- schedules inside a run


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "schedule",
    [
        gn.optim.Cosine(0.2),
        gn.optim.Warmup(gn.optim.Polynomial(0.2, power=2.0), steps=4),
        gn.optim.OneCycle(0.2),
        gn.optim.Step(0.2, factor=0.5, steps=3),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_schedule_in_fit_equals_a_loop_by_hand(schedule: Any, engine: str, rows: np.ndarray) -> None:
    scheduled, by_hand = network(), network()
    options = {"epochs": 3, "batch_size": 10, "optimizer": gn.SGD(schedule), "engine": engine}
    history = scheduled.fit(rows, LABELS, **options)
    np.testing.assert_allclose(history.learning_rate, [schedule(step, 9) for step in (3.0, 6.0, 9.0)])
    program = by_hand.training_program(rows, LABELS, 10, gn.SGD(1.0), "interpreter")
    step = 0
    for _ in range(3):
        program.learning_rate = float(schedule(1.0 + step, 9))
        for _ in program.run_batches(1):
            step += 1
            program.learning_rate = float(schedule(1.0 + step, 9)) if step < 9 else 0.0
    assert step == 9
    for got, expected in zip(scheduled.parameters.values(), program.parameters, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plateau_lowers_the_rate_of_the_epochs_to_come(engine: str, rows: np.ndarray) -> None:
    # The rows held out say the opposite: their loss rises from the start.
    plateau = gn.optim.Plateau(0.1, factor=0.5, patience=2)
    options = {"batch_size": None, "engine": engine}
    net, by_hand = network(), network()
    aside = (rows, (LABELS + 1) % 3)
    history = net.fit(rows, LABELS, epochs=6, optimizer=gn.SGD(plateau), validation_data=aside, **options)
    assert (np.diff(history.validation_loss) > 0).all()
    rates = [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]
    assert history.learning_rate == pytest.approx(rates, rel=1e-12)
    for rate in rates:
        by_hand.fit(rows, LABELS, epochs=1, optimizer=gn.SGD(rate), **options)
    for name, array in net.parameters.items():
        np.testing.assert_allclose(array, by_hand.parameters[name], rtol=1e-12)


# -- the history


def test_a_history_has_a_value_for_every_epoch(rows: np.ndarray) -> None:
    net = network()
    history = net.fit(
        rows,
        LABELS,
        epochs=5,
        validation_data=(rows, LABELS),
        metrics=["accuracy", "log_loss", "roc_auc"],
        engine="interpreter",
    )
    names = ["accuracy", "log_loss", "roc_auc"]
    assert list(history.figures) == [
        "loss",
        *names,
        "validation_loss",
        *(f"validation_{name}" for name in names),
    ]
    assert {len(values) for values in history.figures.values()} == {5}
    assert history.epochs == len(history.learning_rate) == 5
    assert history.validation_score == history.figures["validation_accuracy"]
    assert str(history).startswith(f"5 epochs, loss {history.loss[0]:.4g} -> {history.loss[-1]:.4g}, valid")


def test_figures_are_those_of_the_predictions_by_hand(rows: np.ndarray) -> None:
    net, names = network(), ["accuracy", "log_loss", "brier_score", "top_2_accuracy"]
    history = net.fit(rows, LABELS, epochs=3, metrics=names, validation_data=(rows, LABELS))
    p = net.predict_proba(rows)
    of_class = p[np.arange(23), LABELS]
    by_hand = {
        "accuracy": np.mean(net.predict(rows) == LABELS),
        "log_loss": -np.log(of_class).mean(),
        "brier_score": ((p - np.eye(3)[LABELS]) ** 2).sum(axis=1).mean(),
        "top_2_accuracy": np.mean((p > of_class[:, None]).sum(axis=1) < 2),
    }
    for name, expected in by_hand.items():
        assert history.figures[name][-1] == pytest.approx(expected, rel=1e-12)
        assert history.figures[f"validation_{name}"][-1] == pytest.approx(expected, rel=1e-12)
    assert history.validation_loss[-1] == pytest.approx(by_hand["log_loss"], rel=1e-12)
