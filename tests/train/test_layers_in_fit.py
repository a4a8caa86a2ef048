"""Layers with chance, statistics, regularisers and limits inside a run of fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key, permutation
from glassnet.errors import ConfigurationError

LABELS = np.arange(23) % 3
ENGINE: dict[str, Any] = {"engine": "interpreter"}


def classifier(*layers: gn.nn.Layer, **options: Any) -> gn.Network:
    return gn.Network([*layers, gn.Dense(3)], "cross_entropy", **{"seed": 7, "dtype": "float64"} | options)


def bits(net: gn.Network) -> bytes:
    return b"".join(array.tobytes() for array in [*net.parameters.values(), *net.statistics.values()])


# -- batch normalisation


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_running_statistics_are_those_of_the_real_rows(momentum: float, rows: np.ndarray) -> None:
    # 23 rows in batches of 5: the last batch has 3 rows, and 2 that only fill it up.
    net = classifier(gn.nn.BatchNorm(momentum=momentum))
    net.fit(rows, LABELS, epochs=2, batch_size=5, **ENGINE)
    mean, variance = np.zeros(3), np.ones(3)
    for epoch in range(2):
        order = permutation(Key(7).fold(2).at(epoch), 23)
        for start in range(0, 23, 5):
            batch = rows[order[start : start + 5]]
            mean = momentum * mean + (1 - momentum) * batch.mean(axis=0)
            variance = momentum * variance + (1 - momentum) * batch.var(axis=0)
    assert list(net.statistics) == ["batch_norm_1.mean", "batch_norm_1.variance"]
    np.testing.assert_allclose(net.statistics["batch_norm_1.mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(net.statistics["batch_norm_1.variance"], variance, rtol=1e-12)


def test_in_use_the_running_statistics_normalise(rows: np.ndarray) -> None:
    net = classifier(gn.nn.BatchNorm(epsilon=1e-3))
    net.fit(rows, LABELS, epochs=5, batch_size=8, **ENGINE)
    kept, own = net.statistics, net.parameters
    y = (rows - kept["batch_norm_1.mean"]) / np.sqrt(kept["batch_norm_1.variance"] + 1e-3)
    y = y * own["batch_norm_1.scale"] + own["batch_norm_1.shift"]
    z = y @ own["dense_2.weight"].T + own["dense_2.bias"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict_proba(rows), p, rtol=1e-12)
    # One row alone gives what it gives among others: nothing looks across the rows in use.
    np.testing.assert_allclose(net.predict_proba(rows[:1]), p[:1], rtol=1e-12)


def test_the_loss_in_training_is_that_of_the_batch_s_own_statistics(rows: np.ndarray) -> None:
    net = classifier(gn.nn.BatchNorm(epsilon=1e-3), input_shape=3)
    own = {name: array.copy() for name, array in net.parameters.items()}
    history = net.fit(rows, LABELS, epochs=1, batch_size=None, optimizer=gn.SGD(0.1), **ENGINE)

    def loss(weight: np.ndarray) -> float:
        y = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-3)
        z = y @ weight.T
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(23), LABELS]).mean())

    assert history.loss[0] == pytest.approx(loss(own["dense_2.weight"]), rel=1e-12)
    for place in np.ndindex(3, 3):
        h = np.zeros((3, 3))
        h[place] = 1e-4
        slopes = [
            (loss(own["dense_2.weight"] + k * h) - loss(own["dense_2.weight"] - k * h)) / (2e-4 * k)
            for k in (1, 2)
        ]
        step = (own["dense_2.weight"] - net.parameters["dense_2.weight"])[place] / 0.1
        assert step == pytest.approx((4 * slopes[0] - slopes[1]) / 3, abs=1e-9)


def test_a_second_fit_goes_on_with_the_statistics_and_a_file_keeps_them(
    rows: np.ndarray, tmp_path: Path
) -> None:
    options = {"batch_size": 5, "optimizer": gn.SGD(0.1), **ENGINE}
    whole, halves = (classifier(gn.nn.BatchNorm()) for _ in range(2))
    whole.fit(rows, LABELS, epochs=5, **options)
    halves.fit(rows, LABELS, epochs=2, **options)
    halves.save(tmp_path / "net.glass")
    loaded = gn.load(tmp_path / "net.glass")
    assert bits(loaded) == bits(halves)
    for net in (halves, loaded):
        net.fit(rows, LABELS, epochs=3, **options)
        assert bits(net) == bits(whole)


def test_rows_held_out_and_gradients_leave_the_statistics_alone(rows: np.ndarray) -> None:
    alone, watched = (classifier(gn.nn.BatchNorm()) for _ in range(2))
    alone.fit(rows, LABELS, epochs=3, **ENGINE)
    held_out = (100.0 + rows, LABELS)
    watched.fit(rows, LABELS, epochs=3, validation_data=held_out, metrics=["accuracy"], **ENGINE)
    watched.gradients(100.0 + rows, LABELS)
    watched.predict(100.0 + rows)
    assert bits(watched) == bits(alone)


# -- chance


def test_a_seed_decides_what_is_dropped(rows: np.ndarray) -> None:
    def trained(seed: int) -> bytes:
        net = classifier(gn.Dense(8, activation="relu"), gn.nn.Dropout(0.5), seed=seed, input_shape=3)
        # The same first weights and the same order of rows for every seed: only the masks may differ.
        net.parameters = {
            n: np.full(a.shape, 0.1) + np.arange(a.size).reshape(a.shape) / 50
            for n, a in net.parameters.items()
        }
        net.fit(rows, LABELS, epochs=2, batch_size=None, **ENGINE)
        return bits(net)

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_one_program_serves_every_seed(
    rows: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GLASSNET_CACHE", "on")
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path))
    programs = [
        classifier(gn.nn.Dropout(0.5), seed=seed).training_program(rows, LABELS, batch_size=None)
        for seed in (3, 2**64 - 1)
    ]
    assert [program.from_cache for program in programs] == [False, True]
    for seed, program in zip((3, 2**64 - 1), programs, strict=True):
        net = classifier(gn.nn.Dropout(0.5), seed=seed)
        history = net.fit(rows, LABELS, epochs=2, batch_size=None, **ENGINE)
        assert program.run_epochs(2) == pytest.approx(history.loss[-1], rel=1e-12)


def losses(net: gn.Network, rows: np.ndarray, *epochs: int) -> list[float]:
    """The losses of full batches at parameters that hardly move: what differs is what is dropped."""
    options = {"batch_size": None, "optimizer": gn.SGD(1e-12), **ENGINE}
    return [loss for count in epochs for loss in net.fit(rows, LABELS, epochs=count, **options).loss]


def test_every_epoch_draws_masks_of_its_own_and_a_resumed_run_goes_on_with_them(rows: np.ndarray) -> None:
    whole = losses(classifier(gn.nn.Dropout(0.5)), rows, 10)
    assert len(set(np.round(whole, 9))) == 10
    np.testing.assert_allclose(losses(classifier(gn.nn.Dropout(0.5)), rows, 5, 5), whole, rtol=1e-9)


def test_two_layers_of_one_kind_drop_differently(rows: np.ndarray) -> None:
    # Were the two masks one, a unit that survives the first would survive the second: as with one layer of
    # the same rate, whose output is doubled.
    twice = classifier(gn.nn.Dropout(0.5), gn.nn.Dropout(0.5))
    once = classifier(gn.nn.Dropout(0.5))
    assert losses(twice, 2 * rows, 1) != losses(once, 4 * rows, 1)
    named = classifier(gn.nn.Dropout(0.5, name="dropout_1"), gn.nn.Dropout(0.5, name="again"))
    assert losses(named, rows, 1) != losses(classifier(gn.nn.Dropout(0.75)), rows, 1)


def test_in_use_nothing_is_dropped(rows: np.ndarray) -> None:
    net = classifier(gn.nn.Dropout(0.9), gn.nn.GaussianNoise(5.0))
    net.fit(rows, LABELS, epochs=2, **ENGINE)
    z = rows @ net.parameters["dense_3.weight"].T + net.parameters["dense_3.bias"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict_proba(rows), p, rtol=1e-12)


# -- limits and regularisers of single layers


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_the_norm_of_the_weights_into_a_unit_stays_within_its_limit(engine: str, rows: np.ndarray) -> None:
    layers = [gn.Dense(4, activation="tanh", max_norm=0.5), gn.Dense(3)]
    net = gn.Network(layers, "cross_entropy", seed=7, dtype="float64")
    options = {"epochs": 20, "optimizer": gn.SGD(0.5), "engine": engine}
    net.fit(10 * rows, LABELS, **options)
    norms = np.linalg.norm(net.parameters["dense_1.weight"], axis=1)
    assert norms.max() <= 0.5 * (1 + 1e-12)
    assert norms.max() > 0.49  # the limit was reached
    assert np.linalg.norm(net.parameters["dense_2.weight"], axis=1).max() > 0.5


def test_a_limit_of_a_container_is_that_of_its_parts(rows: np.ndarray) -> None:
    inner = gn.nn.Sequential([gn.Dense(4, activation="tanh"), gn.Dense(4, max_norm=0.25)], max_norm=0.5)
    net = classifier(inner)
    net.fit(10 * rows, LABELS, epochs=20, optimizer=gn.SGD(0.5), **ENGINE)
    first, second = (net.parameters[f"sequential_1.dense_{i}.weight"] for i in (1, 2))
    assert 0.49 < np.linalg.norm(first, axis=1).max() <= 0.5 * (1 + 1e-12)
    assert 0.24 < np.linalg.norm(second, axis=1).max() <= 0.25 * (1 + 1e-12)


def test_a_regularizer_acts_on_its_own_layer_alone(rows: np.ndarray) -> None:
    def step(regularizer: Any) -> dict[str, np.ndarray]:
        net = classifier(gn.Dense(4, activation="tanh", regularizer=regularizer), input_shape=3)
        before = {name: array.copy() for name, array in net.parameters.items()}
        net.fit(rows, LABELS, epochs=1, batch_size=None, optimizer=gn.SGD(1.0), **ENGINE)
        return {name: before[name] - array for name, array in net.parameters.items()}

    start = classifier(gn.Dense(4, activation="tanh"), input_shape=3).parameters
    plain, decayed = step(None), step(gn.L2(0.1))
    for name, array in plain.items():
        extra = 0.1 * start[name] if name == "dense_1.weight" else 0.0
        np.testing.assert_allclose(decayed[name], array + extra, rtol=0, atol=1e-14)


def test_a_layer_without_parameters_takes_neither() -> None:
    for option in ({"regularizer": gn.L2(0.1)}, {"max_norm": 1.0}):
        layer = gn.nn.Dropout(0.5, **option)
        with pytest.raises(ConfigurationError, match=r"dropout_1, Dropout\(.*\), has no parameters for its"):
            classifier(layer, input_shape=3)
