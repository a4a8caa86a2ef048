"""Weights of rows and of classes: a weight of 2 is the row twice, a weight of 0 is no row at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key, permutation
from glassnet.errors import ConfigurationError, DataError, GlassnetError, ShapeError

ENGINES = ["compiled", "interpreter"]
LABELS = np.arange(23) % 3
WHOLE: dict[str, Any] = {"batch_size": None, "optimizer": gn.SGD(0.1), "epochs": 3}


def network(reduction: str = "mean", loss: str = "cross_entropy", outputs: int = 3) -> gn.Network:
    layers = [gn.Dense(4, activation="tanh", regularizer=gn.L2(0.01)), gn.Dense(outputs)]
    return gn.Network(layers, loss=loss, seed=7, dtype="float64", reduction=reduction, classes=classes(loss))


def classes(loss: str) -> list[int] | None:
    return [0, 1, 2] if loss == "cross_entropy" else None


def same_run(one: gn.Network, other: gn.Network, figures: tuple[list[float], list[float]]) -> None:
    np.testing.assert_allclose(*figures, rtol=1e-12)
    for name, array in one.parameters.items():
        np.testing.assert_allclose(array, other.parameters[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_weight_of_2_is_the_row_twice_and_of_0_is_no_row(
    reduction: str, engine: str, rows: np.ndarray
) -> None:
    times = np.arange(23) % 3  # 0, 1 or 2
    repeated = np.repeat(np.arange(23), times)
    weighted, longer = network(reduction), network(reduction)
    options = WHOLE | {"engine": engine, "optimizer": gn.SGD(0.1 if reduction == "mean" else 0.005)}
    figures = (
        weighted.fit(rows, LABELS[::-1], sample_weight=times, **options).loss,
        longer.fit(rows[repeated], LABELS[::-1][repeated], **options).loss,
    )
    same_run(weighted, longer, figures)


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_figures_are_weighted_like_the_loss(loss: str, rows: np.ndarray) -> None:
    outputs, y = (3, LABELS) if loss == "cross_entropy" else (1, rows[:, 0])
    metrics = ["accuracy", "log_loss"] if loss == "cross_entropy" else ["r2", "mean_absolute_error"]
    times = 1 + np.arange(23) % 2
    repeated = np.repeat(np.arange(23), times)
    net = network(loss=loss, outputs=outputs)
    history = net.fit(rows, y, sample_weight=times, metrics=metrics, **WHOLE)
    expected = net.evaluate(rows[repeated], y[repeated], metrics)
    assert net.evaluate(rows, y, metrics, sample_weight=times) == pytest.approx(expected, rel=1e-12)
    for name in metrics:
        assert history.figures[name][-1] == pytest.approx(expected[name], rel=1e-12)


def test_in_a_mini_batch_a_weight_multiplies_the_row(rows: np.ndarray) -> None:
    # The mean of a batch is over its rows, and the weights have mean 1 over all data.
    y = rows @ [1.0, -2.0, 0.5]
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 23)
    net = gn.Network([gn.Dense(1)], loss="half_squared_error", seed=7, dtype="float64", input_shape=3)
    w, b = net.parameters["dense_1.weight"][0].copy(), 0.0
    order = permutation(Key(7).fold(2).at(0), 23)
    for batch in (order[:10], order[10:20], order[20:]):
        error = (rows[batch] @ w + b - y[batch]) * weight[batch] / weight.mean()
        w, b = w - 0.1 * rows[batch].T @ error / len(batch), b - 0.1 * error.mean()
    net.fit(rows, y, epochs=1, batch_size=10, optimizer=gn.SGD(0.1), sample_weight=weight)
    np.testing.assert_allclose(net.parameters["dense_1.weight"][0], w, rtol=1e-12)
    np.testing.assert_allclose(net.parameters["dense_1.bias"], b, rtol=1e-12)


def test_the_scale_of_the_weights_does_not_matter_to_a_mean(rows: np.ndarray) -> None:
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 23)
    one, other = network(), network()
    figures = (
        one.fit(rows, LABELS, sample_weight=weight, **WHOLE).loss,
        other.fit(rows, LABELS, sample_weight=1e3 * weight, **WHOLE).loss,
    )
    same_run(one, other, figures)


def test_a_sum_is_the_mean_times_the_rows(rows: np.ndarray) -> None:
    layers = [gn.Dense(4, activation="tanh"), gn.Dense(3)]
    mean, total = (
        gn.Network(layers, "cross_entropy", seed=7, dtype="float64", reduction=reduction)
        for reduction in ("mean", "sum")
    )
    options = WHOLE | {"optimizer": gn.SGD(0.1 / 23)}
    by_mean, by_sum = mean.fit(rows, LABELS, **WHOLE).loss, total.fit(rows, LABELS, **options).loss
    same_run(mean, total, ([23 * loss for loss in by_mean], by_sum))
    for name, gradient in total.gradients(rows, LABELS).items():
        np.testing.assert_allclose(gradient, 23 * mean.gradients(rows, LABELS)[name], rtol=1e-10, atol=1e-14)


# -- classes


def test_balanced_classes_weigh_as_much_as_one_another(rows: np.ndarray) -> None:
    y = np.array([0] * 15 + [1] * 6 + [2] * 2)
    by_name, by_hand, by_row = network(), network(), network()
    counts = np.array([15, 6, 2])
    weights = 23 / (3 * counts)
    losses = [
        by_name.fit(rows, y, class_weight="balanced", **WHOLE).loss,
        by_hand.fit(rows, y, class_weight=dict(enumerate(weights)), **WHOLE).loss,
        by_row.fit(rows, y, sample_weight=weights[y], **WHOLE).loss,
    ]
    same_run(by_name, by_hand, (losses[0], losses[1]))
    same_run(by_name, by_row, (losses[0], losses[2]))


def test_weights_of_rows_and_classes_multiply(rows: np.ndarray) -> None:
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 23)
    both, by_row = network(), network()
    figures = (
        both.fit(rows, LABELS, sample_weight=weight, class_weight={1: 3.0}, **WHOLE).loss,
        by_row.fit(rows, LABELS, sample_weight=weight * np.array([1.0, 3.0, 1.0])[LABELS], **WHOLE).loss,
    )
    same_run(both, by_row, figures)


def test_rows_set_aside_keep_their_weights(rows: np.ndarray) -> None:
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 23)
    net = network()
    history = net.fit(rows, LABELS, sample_weight=weight, validation_fraction=0.3, **WHOLE)
    order = permutation(Key(7).fold(3), 23)
    aside = np.sort(order[:7])
    expected = net.evaluate(rows[aside], LABELS[aside], sample_weight=weight[aside])
    assert history.validation_loss[-1] == pytest.approx(expected["loss"], rel=1e-13)
    assert history.validation_score[-1] == pytest.approx(expected["accuracy"], rel=1e-13)


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"sample_weight": [1.0]}, ShapeError, r"sample_weight has shape \(1,\); it takes one .* of 23 rows"),
        ({"sample_weight": np.ones((23, 1))}, ShapeError, r"sample_weight has shape \(23, 1\)"),
        (
            {"sample_weight": [-1.0] * 23},
            DataError,
            r"sample_weight holds -1\.0 in row 0; weights are 0 or more",
        ),
        ({"sample_weight": [np.nan] * 23}, DataError, "sample_weight holds nan in row 0"),
        ({"sample_weight": np.zeros(23)}, DataError, "All 23 rows .* have the weight 0"),
        (
            {"class_weight": "even"},
            ConfigurationError,
            "class_weight='even'; it takes \"balanced\" or a dict",
        ),
        ({"class_weight": {7: 1.0}}, ConfigurationError, "class_weight={7: 1.0}; .* the classes are 0, 1, 2"),
        ({"class_weight": {1: -1.0}}, ConfigurationError, "weights are 0 or more"),
        ({"class_weight": {1: "a"}}, DataError, "class_weight holds 'a' in row 1"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, DataError, "have the weight 0"),
    ],
    ids=str,
)
def test_weights_that_cannot_be_are_refused_in_one_sentence(
    options: dict[str, Any], kind: type[GlassnetError], sentence: str, rows: np.ndarray
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        network().fit(rows, LABELS, epochs=1, **options)
    assert "\n" not in str(caught.value)


def test_class_weights_are_for_labels(rows: np.ndarray) -> None:
    net = network(loss="mean_squared_error", outputs=1)
    with pytest.raises(ConfigurationError, match="class_weight is for classifiers with one label a row"):
        net.fit(rows, rows[:, 0], class_weight={0: 2.0})
