"""A run that watches itself sees what happens, changes nothing, and warns once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.nn.initializers import ConstantFill
from glassnet.train import watching
from glassnet.train.events import Warned

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4))
Y = (X[:, 0] > 0).astype(int)


def fitted(listeners: list[Any], watch: bool = True, **options: Any) -> tuple[gn.Network, Any]:
    net = gn.Network([gn.Dense(8, "relu", **options), gn.Dense(1)], "binary_cross_entropy", seed=0)
    history = net.fit(
        X, Y, epochs=40, optimizer=gn.SGD(0.1), listeners=listeners, watch=watch, progress=False
    )
    return net, history


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look is affordable."""
    monkeypatch.setattr(watching, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(watching, "_COST", np.inf)


@pytest.mark.usefixtures("always")
def test_watching_changes_nothing_and_says_what_the_network_says() -> None:
    net, history = fitted([lambda event: None])  # not patient: epochs run one by one
    still, unwatched = fitted([], watch=False)
    assert not unwatched.watched
    assert history.loss == unwatched.loss
    assert all(np.array_equal(still.parameters[name], now) for name, now in net.parameters.items())
    assert [watched.epoch for watched in history.watched] == list(range(1, 41))
    slopes = net.gradients(X, Y)
    expected = np.hypot(*(np.linalg.norm(slopes[f"dense_1.{name}"]) for name in ("weight", "bias")))
    assert history.watched[-1].gradient_norms["dense_1"] == pytest.approx(expected, rel=1e-5)
    # two steps an epoch, each 0.1 of a gradient: the way over the steps is the size of a step
    step = history.watched[-1].update_to_weight["dense_1"]
    size = np.hypot(*(np.linalg.norm(net.parameters[f"dense_1.{name}"]) for name in ("weight", "bias")))
    assert step == pytest.approx(0.1 * expected / size, rel=0.3)


@pytest.mark.usefixtures("always")
def test_what_is_wrong_is_told_once() -> None:
    told: list[Any] = []
    _, history = fitted([told.append], bias_initializer=ConstantFill(-30.0))
    warned = [event for event in told if isinstance(event, Warned)]
    assert [(event.kind, event.layer) for event in warned if event.kind == "dead_units"] == [
        ("dead_units", "dense_1")
    ]
    assert len({(event.kind, event.layer) for event in warned}) == len(warned)
    assert history.watched[-1].dead == {"dense_1": 1.0}


def test_a_run_too_short_to_be_watched_is_not() -> None:
    _, history = fitted([])
    assert history.watched == []
