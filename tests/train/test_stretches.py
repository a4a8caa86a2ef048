"""Epochs in stretches of one native call: the same run, to the last bit, as epochs one by one."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import DivergedError
from glassnet.train import EpochFinished, Event, course
from glassnet.train.history import History
from glassnet.train.training import TrainingProgram

ENGINES = ["compiled", "interpreter"]
X = np.random.default_rng(5).normal(size=(37, 3)).astype(np.float32)
LABELS = np.arange(37) % 3
ASIDE = (X[::2] + 0.5, LABELS[::2])


@pytest.fixture(autouse=True, params=[2, 7, 1000])
def longest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of exactly so many epochs, however fast they are."""
    monkeypatch.setattr(course, "STRETCH_SECONDS", 1e6)
    monkeypatch.setattr(course, "_MOST_EPOCHS", request.param)


def network(*layers: gn.nn.Layer) -> gn.Network:
    return gn.Network([gn.Dense(5, activation="tanh"), *layers, gn.Dense(3)], "cross_entropy", seed=3)


def attentive(event: Event) -> None:
    """A listener that may look at the network after every epoch, so that they run one by one."""


def both(make: Any = network, **options: Any) -> tuple[list[gn.Network], list[History]]:
    """The same run in stretches and one by one."""
    nets = [make(), make()]
    histories = [
        net.fit(X, LABELS, **{"epochs": 23, "batch_size": 8} | options, listeners=listeners)
        for net, listeners in zip(nets, ([], [attentive]), strict=True)
    ]
    return nets, histories


def assert_the_same(nets: list[gn.Network], histories: list[History]) -> None:
    """Every bit of the parameters, the statistics and the history."""
    for values in ("parameters", "statistics"):
        left, right = (getattr(net, values) for net in nets)
        assert all(np.array_equal(array, right[name]) for name, array in left.items())
    for what in ("figures", "learning_rate", "stopped", "best_epoch"):
        assert getattr(histories[0], what) == getattr(histories[1], what)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch_size", [8, 37, None])
@pytest.mark.parametrize(
    "layers",
    [(), (gn.nn.Dropout(0.3),), (gn.nn.BatchNorm(),)],
    ids=["plain", "dropout", "batch statistics"],
)
def test_stretches_change_no_bit(layers: Any, batch_size: int | None, engine: str) -> None:
    optimizer = gn.Adam(gn.optim.Cosine(0.02))
    nets, histories = both(
        lambda: network(*layers), batch_size=batch_size, optimizer=optimizer, engine=engine
    )
    assert_the_same(nets, histories)
    assert histories[0].epochs == 23


def test_epochs_of_a_stretch_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    recorded = TrainingProgram.run_recorded

    def counted(program: TrainingProgram, epochs: int) -> Any:
        calls.append(epochs)
        return recorded(program, epochs)

    monkeypatch.setattr(TrainingProgram, "run_recorded", counted)
    history = network().fit(X, LABELS, epochs=23)
    assert sum(calls) == history.epochs - 1  # the first one is run alone
    assert len(set(calls[:-1])) <= 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "rule",
    [
        gn.EarlyStopping(patience=3, monitor="loss", minimum_change=0.05),
        gn.EarlyStopping(patience=3, monitor="loss", minimum_change=0.05, restore_best=False),
        gn.EarlyStopping(patience=4, monitor="loss", better="higher"),
        gn.Convergence(loss=0.1, epochs=2),
    ],
    ids=str,
)
def test_a_rule_ends_the_run_at_the_same_epoch_with_the_same_weights(rule: Any, engine: str) -> None:
    optimizer = gn.SGD(0.3, momentum=0.8)
    nets, histories = both(epochs=60, stopping=rule, optimizer=optimizer, engine=engine)
    assert_the_same(nets, histories)
    assert 1 < histories[0].epochs < 60


MEASURED = {"validation_data": ASIDE, "metrics": ["accuracy", "f1_macro"]}


@pytest.mark.parametrize(
    "rule",
    [
        gn.EarlyStopping(patience=2),
        gn.EarlyStopping(patience=2, monitor="validation_f1_macro", restore_best=False),
        [gn.EarlyStopping(patience=30), gn.Convergence(loss=0.05, epochs=2)],
    ],
    ids=["loss", "metric", "two rules"],
)
@pytest.mark.parametrize("layers", [(), (gn.nn.BatchNorm(), gn.nn.Dropout(0.2))], ids=["plain", "layers"])
def test_what_is_measured_ends_the_run_at_the_same_epoch(rule: Any, layers: Any) -> None:
    options = {"epochs": 40, "stopping": rule, "optimizer": gn.Adam(0.1)}
    nets, histories = both(lambda: network(*layers), **options, **MEASURED)
    assert_the_same(nets, histories)
    assert 1 < histories[0].epochs < 40
    names = ["loss", "accuracy", "f1_macro", "validation_loss", "validation_accuracy", "validation_f1_macro"]
    assert list(histories[0].figures) == names


def test_a_plateau_of_the_validation_loss_inside_a_stretch() -> None:
    plateau = gn.optim.Plateau(0.2, factor=0.5, patience=1)
    nets, histories = both(optimizer=gn.Adam(plateau), **MEASURED)
    assert_the_same(nets, histories)
    assert len(set(histories[0].learning_rate)) > 2


def test_averages_are_what_is_measured_and_kept() -> None:
    average = gn.optim.EMA(gn.Adam(0.05), 0.9)
    nets, histories = both(optimizer=average, **MEASURED)
    assert_the_same(nets, histories)
    measured = nets[0].evaluate(*ASIDE)
    assert histories[0].validation_loss[-1] == pytest.approx(measured["loss"], rel=1e-5)


def test_an_epoch_in_pieces_is_measured_alike() -> None:
    _, histories = both(**MEASURED)
    pieces = network()
    history = pieces.fit(X, LABELS, 23, 8, steps_per_event=2, **MEASURED)
    for name, figures in histories[0].figures.items():
        np.testing.assert_allclose(history.figures[name], figures, rtol=1e-12)


def test_a_run_over_again_gives_the_same_bits_by_several_threads() -> None:
    rule = gn.EarlyStopping(patience=3)
    (net, _), histories = both(stopping=rule, **MEASURED)
    together = network()
    history = together.fit(X, LABELS, 23, 8, threads=2, stopping=rule, **MEASURED)
    assert_the_same([net, together], [histories[0], history])


def test_the_best_weights_of_a_run_that_goes_on_are_brought_back() -> None:
    rule = gn.EarlyStopping(patience=100, monitor="loss")
    nets, histories = both(stopping=rule, optimizer=gn.SGD(2.0))  # the loss goes up and down
    assert_the_same(nets, histories)
    assert histories[0].best_epoch == 1 + int(np.argmin(histories[0].loss)) < 23


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plateau_inside_a_stretch_changes_the_rate_from_there_on(engine: str) -> None:
    plateau = gn.optim.Plateau(1.5, factor=0.5, patience=1)
    nets, histories = both(optimizer=gn.SGD(plateau), engine=engine)
    assert_the_same(nets, histories)
    assert len(set(histories[0].learning_rate)) > 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_says_the_same_and_keeps_the_same(engine: str) -> None:
    def regression() -> gn.Network:
        return gn.Network([gn.Dense(1)], "mean_squared_error", seed=1)

    found: list[tuple[str, dict[str, np.ndarray]]] = []
    for listeners in ([], [attentive]):
        net = regression()
        with pytest.raises(DivergedError) as caught:
            net.fit(X, X @ [1.0, 2.0, 3.0], 99, 8, gn.SGD(1.2), listeners=listeners, engine=engine)
        found.append((str(caught.value), net.parameters))
    assert found[0][0] == found[1][0]
    assert all(np.array_equal(a, found[1][1][name]) for name, a in found[0][1].items())
    assert "of epoch 1 " not in found[0][0]


def test_ctrl_c_keeps_the_last_stretch_that_was_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = TrainingProgram.run_recorded
    calls: list[int] = []

    def interrupted(program: TrainingProgram, epochs: int) -> Any:
        done = recorded(program, epochs)
        calls.append(epochs)
        if len(calls) == 2 or epochs > 20:
            signal.raise_signal(signal.SIGINT)  # inside the native call
        return done

    monkeypatch.setattr(TrainingProgram, "run_recorded", interrupted)
    net, expected = network(), network()
    history = net.fit(X, LABELS, epochs=23)
    done = history.epochs
    assert done == 1 + sum(calls[:-1])
    assert history.stopped == f"Interrupted: the parameters after epoch {done} of 23 are kept."
    monkeypatch.undo()
    expected.fit(X, LABELS, epochs=done)
    assert all(np.array_equal(a, expected.parameters[name]) for name, a in net.parameters.items())
    # and the run can go on from there as if it had never gone further
    net.fit(X, LABELS, epochs=2)
    expected.fit(X, LABELS, epochs=2)
    assert all(np.array_equal(a, expected.parameters[name]) for name, a in net.parameters.items())


def test_a_patient_listener_hears_of_every_epoch_in_order() -> None:
    class Patient:
        """Writes down what it hears."""

        patient = True

        def __init__(self) -> None:
            self.heard: list[Event] = []

        def __call__(self, event: Event) -> None:
            self.heard.append(event)

    listeners = [Patient(), Patient()]
    network().fit(X, LABELS, epochs=9, listeners=[listeners[0]])
    network().fit(X, LABELS, epochs=9, listeners=[listeners[1], attentive])
    told = [[(type(event), getattr(event, "epoch", 0)) for event in one.heard] for one in listeners]
    assert told[0] == told[1]
    losses = [[event.loss for event in one.heard if isinstance(event, EpochFinished)] for one in listeners]
    assert losses[0] == losses[1]
