"""Networks that are alike share one traced step and one native program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.train import RunStarted, program

X = np.random.default_rng(1).normal(size=(40, 4))
LABELS = np.arange(40) % 3


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every step that is traced."""
    calls: list[int] = []
    trace = program._traced

    def counted(*args: Any) -> Any:
        calls.append(1)
        return trace(*args)

    monkeypatch.setattr(program, "_traced", counted)
    monkeypatch.setattr(program, "_steps", {})
    return calls


def network(*layers: gn.nn.Layer, seed: int = 0, **options: Any) -> gn.Network:
    return gn.Network(
        [gn.Dense(5, activation="tanh"), *layers, gn.Dense(3)], "cross_entropy", seed, **options
    )


def fitted(net: gn.Network, **options: Any) -> gn.Network:
    net.fit(X, LABELS, **{"epochs": 2, "batch_size": 16} | options)
    return net


def test_the_next_fit_traces_nothing_and_compiles_nothing(traced: list[int]) -> None:
    first = fitted(network())
    heard: list[Any] = []
    fitted(first, epochs=7, listeners=[heard.append])
    fitted(network(seed=5))
    fitted(network(), optimizer=gn.Adam())
    assert len(traced) == 1
    assert isinstance(heard[0], RunStarted)
    assert heard[0].from_cache


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 8},
        {"optimizer": gn.Adam(beta_1=0.8)},
        {"optimizer": "sgd"},
        {"metrics": ["accuracy"]},
        {"validation_data": (X, LABELS)},
        {"sample_weight": np.arange(40)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_changes_the_step_is_traced_anew(options: dict[str, Any], traced: list[int]) -> None:
    fitted(network())
    fitted(network(), **options)
    assert len(traced) == 2


@pytest.mark.parametrize(
    "other",
    [
        network(gn.Dense(5)),
        network(dtype="float64"),
        network(reduction="sum"),
        gn.Network([gn.Dense(5, activation="relu"), gn.Dense(3)], "cross_entropy"),
        gn.Network(
            [gn.Dense(5, activation="tanh"), gn.Dense(3)], gn.losses.CrossEntropy(label_smoothing=0.1)
        ),
    ],
    ids=str,
)
def test_another_network_is_traced_anew(other: gn.Network, traced: list[int]) -> None:
    fitted(network())
    fitted(other)
    assert len(traced) == 2


def test_one_step_serves_all_seeds(traced: list[int]) -> None:
    nets = [fitted(network(gn.nn.Dropout(0.5), seed=seed)) for seed in (0, 1, 0)]
    assert len(traced) == 1
    weights = [net.parameters["dense_1.weight"] for net in nets]
    assert np.array_equal(weights[0], weights[2])
    assert not np.array_equal(weights[0], weights[1])


def test_a_function_of_one_s_own_may_change_its_mind(traced: list[int]) -> None:
    scale = [1.0]
    net = network(gn.Dense(4, activation=lambda z: gnp.tanh(scale[0] * z)), input_shape=4)
    start = {name: array.copy() for name, array in net.parameters.items()}
    found: list[np.ndarray] = []
    for scale[0] in (1.0, 3.0):
        net.parameters = start
        found.append(fitted(net).parameters["dense_1.weight"])
    assert len(traced) == 2
    assert not np.array_equal(found[0], found[1])
