"""How a run ends before its time: Ctrl-C and divergence keep the last finished epoch and say so."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import DivergedError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.train import EpochFinished, Event, RunFinished

ENGINES = ["compiled", "interpreter"]
X = np.linspace(-1.0, 1.0, 20).reshape(10, 2)
Y = X @ [2.0, 1.0]
OPTIONS: dict[str, Any] = {"batch_size": 4, "optimizer": gn.SGD(0.05)}


def network(dtype: str = "float32") -> gn.Network:
    return gn.Network([gn.Dense(3, activation="relu"), gn.Dense(1)], loss="mean_squared_error", dtype=dtype)


def copies(net: gn.Network) -> list[np.ndarray]:
    return [array.copy() for array in net.parameters.values()]


def same(got: gn.Network, expected: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(got.parameters.values(), expected, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_control_c_between_epochs_keeps_what_was_reached(engine: str) -> None:
    expected = network()
    expected.fit(X, Y, epochs=3, engine=engine, **OPTIONS)
    heard: list[Event] = []

    def interrupt(event: Event) -> None:
        heard.append(event)
        if isinstance(event, EpochFinished) and event.epoch == 3:
            raise KeyboardInterrupt

    net = network()
    history = net.fit(X, Y, epochs=9, engine=engine, progress=interrupt, **OPTIONS)
    assert history.stopped == "Interrupted: the parameters after epoch 3 of 9 are kept."
    assert (history.epochs, len(history.loss)) == (3, 3)
    assert heard[-1] == RunFinished(3, history.training_seconds, history.stopped)
    assert str(history).endswith("(Interrupted: the parameters after epoch 3 of 9 are kept.)")
    assert same(net, copies(expected))
    # It can go on from there, as if nothing had been.
    expected.fit(X, Y, epochs=1, engine=engine, **OPTIONS)
    net.fit(X, Y, epochs=1, engine=engine, **OPTIONS)
    assert same(net, copies(expected))


class InterruptedRunner(ReferenceRunner):
    """Ctrl-C comes in the middle of an epoch, when some of its steps are done."""

    interrupted_epoch: int

    def run(self, first_epoch: int, epochs: int = 1) -> float:
        loss = super().run(first_epoch, epochs)
        if first_epoch == self.interrupted_epoch:
            raise KeyboardInterrupt
        return loss


@pytest.mark.parametrize(
    ("epoch", "sentence"),
    [
        (2, "Interrupted: the parameters after epoch 2 of 9 are kept."),
        (0, "Interrupted: no epoch was finished and the parameters are as before."),
    ],
)
def test_control_c_inside_an_epoch_throws_that_epoch_away(
    epoch: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = network()
    expected.training_program(X, Y)  # makes the first parameters
    if epoch:
        expected.fit(X, Y, epochs=epoch, engine="interpreter", **OPTIONS)
    monkeypatch.setattr(InterruptedRunner, "interrupted_epoch", epoch, raising=False)
    monkeypatch.setattr("glassnet.execute.ReferenceRunner", InterruptedRunner)
    net = network()
    history = net.fit(X, Y, epochs=9, engine="interpreter", validation_data=(X, Y), **OPTIONS)
    assert history.stopped == sentence
    assert len(history.loss) == len(history.validation_loss) == epoch
    assert same(net, copies(expected))


@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_is_an_error_and_keeps_the_last_good_epoch(engine: str) -> None:
    net, heard, kept = network(), [], []

    def listen(event: Event) -> None:
        heard.append(event)
        kept[:] = copies(net)

    with pytest.raises(DivergedError) as caught:
        net.fit(X, Y, epochs=50, engine=engine, optimizer=gn.SGD(1e6), progress=listen)
    done = sum(isinstance(event, EpochFinished) for event in heard)
    assert done > 0
    said = rf"in step 1 of epoch {done + 1} \(dense_\d\.\w+ (has grown to .*|is not finite either)\); "
    assert re.search(f"{said}the parameters after epoch {done} are kept: try", str(caught.value))
    assert str(caught.value).endswith(
        "a learning rate ten times smaller, clipping by global norm, or standardised inputs."
    )
    assert heard[-1].stopped == str(caught.value)
    assert same(net, kept)
    assert all(np.isfinite(array).all() for array in net.parameters.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_that_leaves_the_numbers_shows_in_its_own_epoch(engine: str) -> None:
    # The loss of the epoch is finite: it was computed before the step that overflows.
    net = network()
    net.training_program(X, Y)
    before = copies(net)
    sentence = r"Step 1, the last of epoch 1, made dense_1\.weight (inf|nan); no epoch was finished and the"
    with pytest.raises(DivergedError, match=sentence):
        net.fit(X, 100 * Y, epochs=5, batch_size=None, engine=engine, optimizer=gn.SGD(1e38))
    assert same(net, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_that_overflows_inside_an_epoch_stops_it(engine: str) -> None:
    net = network()
    net.training_program(X, Y)
    before = copies(net)
    with pytest.raises(DivergedError, match=r"The loss became (inf|nan) in step 2 of epoch 1 .*; no epoch"):
        net.fit(X, Y, epochs=5, batch_size=1, engine=engine, optimizer=gn.SGD(1e30))
    assert same(net, before)


def test_another_error_of_a_listener_is_the_caller_s_and_the_epoch_is_kept() -> None:
    expected = network()
    expected.fit(X, Y, epochs=1, **OPTIONS)

    def fail(event: Event) -> None:
        if isinstance(event, EpochFinished):
            raise RuntimeError("the listener's own")

    net = network()
    with pytest.raises(RuntimeError, match="the listener's own"):
        net.fit(X, Y, epochs=3, progress=fail, **OPTIONS)
    assert same(net, copies(expected))
