"""The report, the order of its verdicts, and the numbers behind them against hand-worked ones."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
from glassnet.explain.diagnosis.diagnosing import evidence_of
from glassnet.explain.diagnosis.neighbours import Neighbours
from glassnet.explain.diagnosis.probes import probe
from glassnet.explain.diagnosis.rate import largest_curvature, noise_scale

X = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]] * 5)
Y = X @ [1.0, -1.0] + 0.5 + np.tile([0.25, -0.25], 10)


@pytest.fixture
def line() -> gn.Network:
    net = gn.Network([gn.Dense(1)], "half_squared_error", dtype="float64", input_shape=2)
    net.parameters = {"dense_1.weight": [[0.5, 0.0]], "dense_1.bias": [0.0]}
    return net


def test_the_largest_curvature_of_a_quadratic_loss(line: gn.Network) -> None:
    A = np.c_[X, np.ones(len(X))]
    expected = np.linalg.eigvalsh(A.T @ A / len(X)).max()
    assert largest_curvature(evidence_of(line, X, Y, None)) == pytest.approx(expected, rel=1e-6)


def test_the_noise_scale_is_that_of_the_rows_gradients(line: gn.Network) -> None:
    each = line.gradients(X, Y, per_example=True)
    rows = np.concatenate([array.reshape(len(X), -1) for array in each.values()], axis=1)
    covariance, mean = np.cov(rows.T), rows.mean(axis=0)
    signal = mean @ mean - np.trace(covariance) / len(X)
    expected = np.trace(covariance) / signal
    assert noise_scale(evidence_of(line, X, Y, None)) == pytest.approx(expected, rel=1e-9)


def test_the_pass_has_the_delta_of_the_trace() -> None:
    net = gn.Network([gn.Dense(3, "tanh"), gn.Dense(2)], "cross_entropy", seed=3, classes=[0, 1])
    net.fit(X, (Y > 0).astype(int), epochs=1, progress=False)
    seen = evidence_of(net, X, (Y > 0).astype(int), None).last
    assert seen is not None
    trace = net.trace(X[4], int(Y[4] > 0))
    for layer in seen.layers:
        np.testing.assert_allclose(layer.delta[4], trace[layer.name].delta, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(layer.z[4], trace[layer.name].z, rtol=1e-5)
    length = sum(float(np.square(g).sum()) for g in trace.gradients.values())
    assert seen.squares[4].sum() == pytest.approx(length, rel=1e-5)


def test_causes_come_before_symptoms_and_alarms_before_notes() -> None:
    rng = np.random.default_rng(0)
    points = np.c_[1000 * rng.normal(size=(200, 3)), np.full(200, 2.0), np.zeros(200)]
    net = gn.Network([gn.Dense(8, "tanh"), gn.Dense(1)], "binary_cross_entropy")
    report = net.diagnose(points, (points[:, 0] > 0).astype(int))
    found = [verdict.kind for verdict in report.verdicts]
    assert found[:2] == ["constant_feature", "input_scale"]
    assert "saturated_units" in found[2:]
    severities = [verdict.severity == "note" for verdict in report.verdicts]
    assert severities == sorted(severities)
    assert not report.healthy


def test_a_report_shows_itself(line: gn.Network) -> None:
    report = line.diagnose(X, Y)
    assert report.healthy
    text = str(report)
    assert text.startswith("Nothing wrong is seen in this network on 20 rows.")
    assert "dense_1" in text
    assert max(map(len, text.splitlines())) <= 110
    html = report._repr_html_()
    assert html.count("<tr>") == 2
    for verdict in report.verdicts:
        assert verdict.sentence.endswith(".")
        assert verdict.source
        assert verdict.advice


def test_a_network_from_a_file_is_diagnosed_from_its_seed(tmp_path) -> None:
    layers = [gn.Dense(4, "tanh", kernel_initializer="zeros"), gn.Dense(2, kernel_initializer="zeros")]
    net = gn.Network(layers, "cross_entropy")
    net.fit(X, (Y > 0).astype(int), epochs=3, progress=False)
    net.save(tmp_path / "net.glass")
    report = gn.load(tmp_path / "net.glass").diagnose(X, (Y > 0).astype(int))
    assert report.alarms[0].kind == "symmetric_units"


def test_neighbours_of_labels_without_meaning_know_nothing() -> None:
    rng = np.random.default_rng(0)
    near = Neighbours.of(rng.normal(size=(500, 3)), rng.integers(0, 2, 500), True)
    assert abs(near.skill) < 4 * near.error


def test_the_weights_of_the_run_are_those_of_its_repetition() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 2))
    labels = (points[:, 0] > 1.2).astype(int)
    net = gn.Network([gn.Dense(8, "relu"), gn.Dense(1)], "binary_cross_entropy")
    net.fit(points, labels, epochs=20, optimizer=gn.Adam(0.02), class_weight="balanced", progress=False)
    assert net.last_fit is not None
    evidence = evidence_of(net, points, labels, None)
    assert evidence.rows.weight is net.last_fit.weight
    again = probe(evidence, gn.Adam(0.02))
    assert list(again.losses) == pytest.approx(net.last_fit.history.loss, rel=1e-5)
