"""Every verdict on a network with that fault, and its silence on the healthy twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import DivergedError
from glassnet.explain.diagnosis import Report
from glassnet.nn.initializers import ConstantFill, Normal, Orthogonal

RNG = np.random.default_rng(7)
CENTRES = 2.5 * RNG.normal(size=(3, 6))
LABELS = RNG.integers(0, 3, 400)
POINTS = CENTRES[LABELS] + RNG.normal(size=(400, 6))
CURVE = RNG.normal(size=(300, 3))
HEIGHTS = np.sin(CURVE[:, 0]) + 0.5 * CURVE[:, 1]
WALKS = RNG.normal(size=(200, 24, 2))
SIGNS = (WALKS[:, -1, 0] > 0).astype(int)
SQUARE = RNG.normal(size=(300, 2))
XOR = (SQUARE[:, 0] * SQUARE[:, 1] > 0).astype(int)


def kinds(
    layers: list[Any],
    X: Any,
    y: Any,
    loss: str = "cross_entropy",
    optimizer: Any = None,
    validation: Any = None,
    **options: Any,
) -> list[str]:
    """The kinds of the alarms, causes first, after a run that may diverge."""
    return [
        verdict.kind for verdict in diagnosed(layers, X, y, loss, optimizer, validation, **options).alarms
    ]


def diagnosed(
    layers: list[Any],
    X: Any,
    y: Any,
    loss: str = "cross_entropy",
    optimizer: Any = None,
    validation: Any = None,
    **options: Any,
) -> Report:
    net = gn.Network(layers, loss=loss, seed=1)
    options = {"epochs": 20, "progress": False, "validation_data": validation} | options
    try:
        net.fit(X, y, optimizer=optimizer or gn.Adam(0.01), **options)
    except DivergedError:
        assert net.last_fit is not None
        assert net.last_fit.history.diverged
    before = net.parameters
    report = net.diagnose(X, y, validation_data=validation)
    assert all(np.array_equal(before[name], now) for name, now in net.parameters.items())
    return report


def classifier(units: int = 16, activation: str = "relu", **options: Any) -> list[Any]:
    return [gn.Dense(units, activation, **options), gn.Dense(3)]


def regressor(activation: str = "identity") -> list[Any]:
    return [gn.Dense(16, "tanh"), gn.Dense(1, activation)]


def test_healthy_networks_raise_no_alarm() -> None:
    held_out = POINTS[300:], LABELS[300:]
    assert kinds(classifier(), POINTS[:300], LABELS[:300], validation=held_out) == []
    assert kinds(regressor(), CURVE, HEIGHTS, "mean_squared_error", epochs=60) == []
    assert kinds([gn.LSTM(8), gn.Dense(1)], WALKS, SIGNS, "binary_cross_entropy") == []
    zeros = [gn.Dense(3, kernel_initializer="zeros")]  # the output layer of a convex problem may start at 0
    assert kinds(zeros, POINTS, LABELS) == []


def test_units_that_start_equal() -> None:
    equal = [gn.Dense(8, "tanh", kernel_initializer=ConstantFill(0.5)) for _ in range(2)]
    assert kinds([*equal, gn.Dense(3)], POINTS, LABELS)[0] == "symmetric_units"
    assert kinds([*equal[:1], gn.Dense(3)], POINTS, LABELS)[:1] != [
        "symmetric_units"
    ]  # the output tells apart


def test_weights_of_a_wrong_size() -> None:
    large = classifier(32, "tanh", kernel_initializer=Normal(std=5.0))
    assert kinds(large, POINTS, LABELS)[0] == "large_weights"
    small = [gn.Dense(32, "tanh", kernel_initializer=Normal(std=0.01)) for _ in range(6)]
    assert kinds([*small, gn.Dense(3)], POINTS, LABELS)[0] == "large_weights"


def test_gradients_across_layers() -> None:
    deep = [gn.Dense(16, "sigmoid") for _ in range(10)]
    report = diagnosed([*deep, gn.Dense(3)], POINTS, LABELS)
    verdict = report.alarms[0]
    assert verdict.kind == "vanishing_gradients"
    assert verdict.layer == "dense_1"
    # each sigmoid layer multiplies by a slope of at most 1/4 and weights of gain about 1
    assert verdict.number < 0.3**9
    assert "exploding_gradients" not in kinds(classifier(), POINTS, LABELS)


def test_gradients_through_time() -> None:
    growing = gn.SimpleRNN(8, "relu", recurrent_initializer=Orthogonal(gain=3.0))
    assert kinds([growing, gn.Dense(1)], WALKS, SIGNS, "binary_cross_entropy")[0] == "exploding_gradients"
    steady = gn.SimpleRNN(8, "tanh")
    assert kinds([steady, gn.Dense(1)], WALKS, SIGNS, "binary_cross_entropy") == []
    first = (WALKS[:, 0, 0] > 0).astype(int)
    fading = gn.SimpleRNN(8, "tanh", recurrent_initializer=Orthogonal(gain=0.3))
    assert kinds([fading, gn.Dense(1)], WALKS, first, "binary_cross_entropy")[0] == "vanishing_gradients"


def test_dead_and_saturated_units() -> None:
    report = diagnosed(classifier(bias_initializer=ConstantFill(-30.0)), POINTS, LABELS)
    assert report.alarms[0].kind == "dead_units"
    assert report.alarms[0].number == report.layers[0].dead == 1.0
    flat = classifier(activation="tanh", bias_initializer=ConstantFill(30.0))
    assert kinds(flat, POINTS, LABELS)[0] == "saturated_units"


def test_a_frozen_layer_is_named() -> None:
    optimizer = gn.Freeze(gn.Adam(0.01), ("dense_1",))
    report = diagnosed(classifier(), POINTS, LABELS, optimizer=optimizer)
    assert [(v.kind, v.layer) for v in report.alarms] == [("frozen_layer", "dense_1")]
    assert report.layers[0].moved == 0.0 < report.layers[1].moved


@pytest.mark.parametrize("rate", [1.0, 30.0])
def test_a_rate_too_high_settles_or_diverges(rate: float) -> None:
    found = kinds(regressor(), CURVE, HEIGHTS, "mean_squared_error", gn.SGD(rate))
    assert found[0] == "learning_rate_too_high"


def test_a_rate_too_low() -> None:
    assert kinds(classifier(), POINTS, LABELS, optimizer=gn.Adam(1e-5))[0] == "learning_rate_too_low"


def test_momentum_and_noise_are_told_from_the_rate() -> None:
    swinging = gn.SGD(0.05, momentum=0.998)
    assert kinds(regressor(), CURVE, HEIGHTS, "mean_squared_error", swinging)[0] == "momentum_too_high"
    noisy = HEIGHTS + RNG.normal(size=300)
    single = kinds(regressor(), CURVE, noisy, "mean_squared_error", gn.SGD(0.2), batch_size=1)
    assert single[0] == "batch_too_small"
    assert "batch_too_small" not in kinds(regressor(), CURVE, noisy, "mean_squared_error", gn.SGD(0.2))


def test_features() -> None:
    scaled = POINTS * np.array([1, 1, 1e4, 1, 1, 1])
    assert kinds(classifier(), scaled, LABELS)[0] == "input_scale"
    assert kinds([gn.BatchNorm(), *classifier()], scaled, LABELS) == []
    assert kinds(classifier(), np.c_[POINTS, np.full(400, 3.0)], LABELS) == ["constant_feature"]
    assert kinds(classifier(), np.c_[POINTS, np.zeros(400)], LABELS) == []  # without any effect
    assert kinds(classifier(), np.c_[POINTS, -2 * POINTS[:, 1]], LABELS) == ["duplicate_feature"]


def test_targets_and_outputs() -> None:
    squared = "mean_squared_error"
    assert kinds(regressor(), CURVE, 1000 * HEIGHTS + 5000, squared)[0] == "target_scale"
    assert kinds(regressor("tanh"), CURVE, 30 * HEIGHTS, squared)[0] == "output_range"
    assert kinds(regressor("tanh"), CURVE, HEIGHTS / 3, squared) == []


def test_losses() -> None:
    one_hot = np.eye(3)[LABELS]
    assert kinds([gn.Dense(1)], POINTS, LABELS.astype(float), "mean_squared_error")[0] == "wrong_loss"
    assert kinds(classifier(), POINTS, one_hot, "mean_squared_error")[0] == "wrong_loss"
    assert kinds(classifier(), POINTS, one_hot, "binary_cross_entropy")[0] == "wrong_loss"
    assert kinds(classifier(), POINTS, one_hot) == []
    twice = [*classifier(), gn.Lambda(gnp.softmax)]
    assert kinds(twice, POINTS, LABELS)[0] == "repeated_output_activation"


def test_labels() -> None:
    shuffled = RNG.permutation(LABELS)
    held_out = POINTS[300:], shuffled[300:]
    found = kinds(classifier(64), POINTS[:300], shuffled[:300], validation=held_out, epochs=60)
    assert found[0] == "random_labels"
    flipped = LABELS.copy()
    flipped[::10] = (flipped[::10] + 1) % 3
    report = diagnosed(classifier(), POINTS, flipped)
    assert [v.kind for v in report.alarms] == ["mislabelled_rows"]
    assert report.alarms[0].number == pytest.approx(0.1, abs=0.02)
    rare = np.r_[RNG.normal(size=(380, 2)), RNG.normal(size=(12, 2)) + 1.5]
    seldom = np.repeat([0, 1], [380, 12])
    small = [gn.Dense(8, "relu"), gn.Dense(1)]
    assert kinds(small, rare, seldom, "binary_cross_entropy")[0] == "class_imbalance"


def test_too_little_and_too_much() -> None:
    assert kinds([gn.Dense(1)], SQUARE, XOR, "binary_cross_entropy") == ["underfitting"]
    bent = [gn.Dense(32, "relu"), gn.Dense(1)]
    assert kinds(bent, SQUARE, XOR, "binary_cross_entropy", epochs=60) == []
    few, many = RNG.normal(size=(30, 20)), RNG.normal(size=(100, 20))
    noise = RNG.normal(size=130)
    wide = [gn.Dense(64, "relu"), gn.Dense(1)]
    held_out = many, many[:, 0] + noise[30:]
    found = kinds(wide, few, few[:, 0] + noise[:30], "mean_squared_error", epochs=200, validation=held_out)
    assert found == ["overfitting"]


def test_what_holds_a_network_back() -> None:
    heavy = [gn.Dense(16, "relu", regularizer=gn.L2(5.0)), gn.Dense(3, regularizer=gn.L2(5.0))]
    assert kinds(heavy, POINTS, LABELS)[0] == "too_much_regularization"
    drowned = [gn.Dense(16, "relu"), gn.Dropout(0.95), gn.Dense(3)]
    assert kinds(drowned, POINTS, LABELS)[0] == "dropout_too_high"


def test_a_value_that_is_not_finite_is_found_where_it_arises() -> None:
    report = diagnosed([gn.Dense(8), gn.Lambda(gnp.log), gn.Dense(3)], POINTS, LABELS)
    assert [(v.kind, v.layer) for v in report.alarms] == [("non_finite", "lambda_2")]
