"""Metrics: numbers by hand, the edges, weights, what is refused, and scikit-learn's figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.train.metrics import (
    METRICS,
    Metric,
    accuracy,
    balanced_accuracy,
    brier_score,
    confusion_matrix,
    expected_calibration_error,
    f1,
    log_loss,
    mean_absolute_error,
    precision,
    r2,
    recall,
    reliability_curve,
    resolve,
    roc_auc,
    root_mean_squared_error,
    top_k_accuracy,
)

# 3 rows of class 0, 4 of class 1, 3 of class 2
ACTUAL = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
PREDICTED = np.array([0, 0, 1, 1, 1, 2, 0, 2, 0, 2])

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


def example(needs: str, seed: int = 0) -> Case:
    """Predictions, targets and weights of 40 rows for a metric that needs that."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, 40).astype(float)
    if needs == "values":
        return rng.normal(size=(40, 2)), rng.normal(size=(40, 2)), weights
    actual = rng.permutation(np.arange(40) % 2)
    if needs == "labels":
        return rng.integers(0, 2, 40), actual, weights
    return rng.dirichlet([1.0, 1.0], 40), actual, weights


# -- labels


def test_the_confusion_matrix_by_hand() -> None:
    assert confusion_matrix(PREDICTED, ACTUAL).tolist() == [[2, 1, 0], [1, 2, 1], [1, 0, 2]]
    weighted = confusion_matrix(["a", "b", "b"], ["a", "a", "b"], weights=[0.5, 2.0, 3.0])
    assert weighted.tolist() == [[0.5, 2.0], [0.0, 3.0]]
    reordered = confusion_matrix(["a", "b", "b"], ["a", "a", "b"], labels=["c", "b", "a"])
    assert reordered.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 1]]
    with pytest.raises(DataError, match=r"got the label 'b', which is not in labels=\['a'\]"):
        confusion_matrix(["a"], ["b"], labels=["a"])


def test_figures_of_labels_by_hand() -> None:
    assert accuracy(PREDICTED, ACTUAL) == 6 / 10
    assert balanced_accuracy(PREDICTED, ACTUAL) == pytest.approx((2 / 3 + 2 / 4 + 2 / 3) / 3, rel=1e-15)
    assert precision(PREDICTED, ACTUAL, average="macro") == pytest.approx(
        (2 / 4 + 2 / 3 + 2 / 3) / 3, rel=1e-15
    )
    assert recall(PREDICTED, ACTUAL, average="weighted") == pytest.approx(6 / 10, rel=1e-15)
    each = np.array([2 * 2 / (3 + 4), 2 * 2 / (4 + 3), 2 * 2 / (3 + 3)])
    assert f1(PREDICTED, ACTUAL, average="macro") == pytest.approx(each.mean(), rel=1e-15)
    assert f1(PREDICTED, ACTUAL, average="weighted") == pytest.approx(each @ [0.3, 0.4, 0.3], rel=1e-15)
    assert f1(PREDICTED, ACTUAL, average="micro") == 6 / 10


def test_binary_figures_are_those_of_the_positive_class() -> None:
    predicted, actual = np.array(["yes", "yes", "no", "no"]), np.array(["yes", "no", "yes", "yes"])
    assert precision(predicted, actual, positive="yes") == 1 / 2
    assert recall(predicted, actual, positive="yes") == 1 / 3
    assert f1(predicted, actual, positive="yes") == pytest.approx(2 / 5, rel=1e-15)
    assert f1(predicted, actual, positive="no") == 0
    assert f1(predicted, actual) == f1(predicted, actual, positive="yes")  # the greater label
    assert f1(predicted == "yes", actual == "yes") == pytest.approx(2 / 5, rel=1e-15)


def test_a_class_that_never_occurs_or_is_never_predicted_counts_zero() -> None:
    none, some = np.zeros(3, int), np.array([0, 1, 1])
    assert [f(none, some) for f in (precision, recall, f1)] == [0, 0, 0]
    assert [f(some, none) for f in (precision, recall, f1)] == [0, 0, 0]
    assert [f(none, none) for f in (precision, recall, f1)] == [0, 0, 0]
    assert recall(some, none, average="macro") == pytest.approx((1 / 3 + 0) / 2)
    assert balanced_accuracy(some, none) == pytest.approx(1 / 3)  # over the classes that occur


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (
            lambda: f1(PREDICTED, ACTUAL),
            DataError,
            r'average="binary" takes two classes and got 3; .*f1_macro',
        ),
        (lambda: f1([2, 3], [2, 2], positive=1), DataError, "the classes 2, 3, and positive=1 is neither"),
        (lambda: f1(["no"], ["no"]), DataError, "got the class 'no' alone, which may be the positive one or"),
        (
            lambda: recall([1], [1], average="mean"),
            ConfigurationError,
            "takes one of binary, macro, micro, we",
        ),
        (lambda: accuracy(["1"], [1]), DataError, "predicted str32 with actual int64 labels"),
    ],
)
def test_labels_that_cannot_be_judged_are_refused(
    call: Callable[[], float], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        call()


# -- probabilities


def test_log_loss_and_brier_score_by_hand() -> None:
    table = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    assert log_loss(table, [1, 1]) == pytest.approx(math.log(4) / 2, rel=1e-15)
    assert brier_score(table, [1, 1]) == pytest.approx((0.25 + 0.5625 + 0.0625) / 2, rel=1e-15)
    assert brier_score(table, [0, 2], weights=[3, 1]) == pytest.approx((3 * 0.375 + 2) / 4, rel=1e-15)


@pytest.mark.parametrize("metric", [log_loss, brier_score, roc_auc, expected_calibration_error])
def test_one_column_is_the_probability_of_class_1(metric: Callable[..., float]) -> None:
    table, actual, weights = example("probabilities")
    expected = metric(table, actual, weights)
    assert metric(table[:, 1], actual, weights) == pytest.approx(expected, rel=1e-14)
    assert metric(table[:, 1:], actual.astype(bool), weights) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_of_0_for_what_happens_costs_much_but_not_everything(dtype: type) -> None:
    assert log_loss(np.array([0.0], dtype), [1]) == pytest.approx(-math.log(np.finfo(dtype).eps), rel=1e-15)
    assert log_loss(np.array([0, 1]), [0, 1]) == 0


def test_top_k_counts_the_first_of_equal_probabilities_as_larger() -> None:
    table = np.array([[0.4, 0.2, 0.2, 0.2]] * 4)
    shares = [top_k_accuracy(table, [0, 1, 2, 3], k=k) for k in (1, 2, 3, 4)]
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert top_k_accuracy(table, [0, 1, 2, 3], weights=[1, 1, 2, 4], k=2) == 0.25


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=2, max_size=12))
def test_roc_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool, int]]) -> None:
    scores, actual, weights = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [
        (w * v, 1.0 if s > t else 0.5 if s == t else 0.0)
        for s, d, w in rows
        for t, e, v in rows
        if d and not e
    ]
    total = sum(weight for weight, _ in pairs)
    if total == 0:
        with pytest.raises(DataError, match=r"roc_auc is undefined|weights that are all zero"):
            roc_auc(scores, actual, weights)
    else:
        expected = sum(weight * order for weight, order in pairs) / total
        assert roc_auc(scores, actual, weights) == pytest.approx(expected, rel=1e-12)


def test_roc_auc_of_several_classes_is_the_mean_of_each_against_the_rest() -> None:
    table = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [0.1, 0.6, 0.3]])
    # Class 0 is in order in all 3 pairs, class 1 (rows 1 and 3) in all 4, class 2 in all 3 (0.4 on top).
    assert roc_auc(table, [0, 1, 2, 1]) == 1.0
    # With the last two rows exchanged: class 1 wins 1 + 1/2 of its 4 pairs, class 2 wins 1 + 1/2 of its 3.
    assert roc_auc(table, [0, 1, 1, 2]) == pytest.approx((1 + 1.5 / 4 + 1.5 / 3) / 3, rel=1e-15)


def test_roc_auc_of_one_class_is_undefined_and_says_so() -> None:
    with pytest.raises(
        DataError, match=r"undefined, as no row is of class 0 \(of 2\); give rows of every cl"
    ):
        roc_auc([0.2, 0.3], [1, 1])


def test_the_reliability_curve_by_hand() -> None:
    # Chosen: class 1 with 0.9 (right), 0.8 (wrong); class 0 with 0.8 (right), 0.6 (wrong).
    curve = reliability_curve(np.array([0.9, 0.8, 0.2, 0.4]), [1, 0, 0, 1], bins=4)
    assert curve.confidence == pytest.approx([0.6, (0.9 + 0.8 + 0.8) / 3])
    assert curve.accuracy == pytest.approx([0.0, 2 / 3])
    assert curve.share.tolist() == [0.25, 0.75]
    expected = 0.25 * 0.6 + 0.75 * abs(2 / 3 - 2.5 / 3)
    assert expected_calibration_error(np.array([0.9, 0.8, 0.2, 0.4]), [1, 0, 0, 1], bins=4) == pytest.approx(
        expected
    )


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    curve = reliability_curve(np.array([0.75, 0.751, 1.0]), [1, 1, 1], bins=4)
    assert curve.confidence == pytest.approx([0.75, 0.8755])


def test_a_calibrated_network_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=100_000)
    honest = (rng.uniform(size=p.size) < p).astype(int)
    assert expected_calibration_error(p, honest) < 0.01
    assert expected_calibration_error(p, (p > 0.5).astype(int)) > 0.2


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (
            lambda: log_loss([[0.5, 2.0]], [1]),
            DataError,
            r"got 2\.0 in row 0; it takes probabilities in \[0, 1\]",
        ),
        (
            lambda: log_loss([[0.5, 0.5], [0.5, 0.2]], [1, 1]),
            DataError,
            r"sum to 0\.7 in row 1; they sum to 1",
        ),
        (lambda: roc_auc([0.1, math.nan], [0, 1]), DataError, r"got nan in row 1; it takes finite scores"),
        (
            lambda: brier_score([0.1], [2]),
            DataError,
            r"class 2 in row 0, and there are probabilities for 0 \.\. 1",
        ),
        (lambda: brier_score([0.1], [1.0]), DataError, "as whole numbers .*; it got float64 values"),
        (lambda: brier_score([0.1], [[1]]), ShapeError, r"shape \(1,\) and actual classes of shape \(1, 1\)"),
        (lambda: log_loss(np.zeros((0, 2)), np.zeros(0, int)), DataError, "got no rows"),
        (lambda: top_k_accuracy([[0.5, 0.5]], [1], k=3), ConfigurationError, "got k=3 for 2 classes"),
        (lambda: reliability_curve([0.5], [1], bins=0), ConfigurationError, "got bins=0"),
    ],
)
def test_probabilities_that_cannot_be_judged_are_refused(
    call: Callable[[], Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        call()


# -- values


def test_figures_of_values_by_hand() -> None:
    predicted, actual = np.array([1.0, 2.0, 6.0]), np.array([1.0, 4.0, 4.0])
    assert r2(predicted, actual) == pytest.approx(1 - 8 / 6, rel=1e-15)
    assert mean_absolute_error(predicted, actual) == pytest.approx(4 / 3, rel=1e-15)
    assert root_mean_squared_error(predicted, actual) == pytest.approx(math.sqrt(8 / 3), rel=1e-15)
    # Two outputs: the second is predicted exactly.
    both = (np.stack([predicted, actual], axis=1), np.stack([actual, actual], axis=1))
    assert r2(*both) == pytest.approx((1 - 8 / 6 + 1) / 2, rel=1e-15)
    assert root_mean_squared_error(*both) == pytest.approx(math.sqrt(8 / 6), rel=1e-15)


def test_predicting_the_mean_has_r2_0() -> None:
    actual, weights = np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 2.0])
    assert r2(np.full(3, 3.0), actual) == 0
    assert r2(np.full(3, 3.75), actual, weights) == 0


@pytest.mark.parametrize("constant", [0.1, 3.0, 1e9 / 7])
def test_constant_targets_have_r2_1_where_predicted_exactly_and_else_0(constant: float) -> None:
    actual = np.full(1001, constant)
    assert r2(actual, actual) == 1
    assert r2(actual + 1e-6 * constant, actual) == 0


def test_float32_is_summed_in_float64() -> None:
    actual = np.tile(np.array([0.0, 2.0], np.float32), 50_000) + np.float32(4096)
    assert r2(actual + np.float32(0.5), actual) == pytest.approx(0.75, rel=1e-12)


# -- all of them


@pytest.mark.parametrize(
    "name", [name for name in METRICS if name not in ("top_3_accuracy", "top_5_accuracy")]
)
def test_whole_weights_are_repeated_rows(name: str) -> None:
    metric = METRICS[name]
    predicted, actual, weights = example(metric.needs)
    rows = np.repeat(np.arange(40), weights.astype(int))
    expected = metric(predicted[rows], actual[rows])
    assert metric(predicted, actual, weights) == pytest.approx(expected, rel=1e-12)
    assert metric(predicted, actual, 7 * weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "name", [name for name, metric in METRICS.items() if metric.task == "classification"]
)
def test_positions_count_alike_each_with_its_row_s_weight(name: str) -> None:
    metric, rng = METRICS[name], np.random.default_rng(0)
    classes = 2 if name in ("precision", "recall", "f1") else 6
    actual, labels = rng.permutation(np.arange(60) % classes), rng.integers(0, classes, 60)
    flat = labels if metric.needs == "labels" else rng.dirichlet(np.ones(classes), 60)
    weights = rng.uniform(size=20)
    positions = metric(flat.reshape(20, 3, *flat.shape[1:]), actual.reshape(20, 3), weights)
    assert positions == pytest.approx(metric(flat, actual, np.repeat(weights, 3)), rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_is_best(name: str) -> None:
    metric = METRICS[name]
    if metric.needs == "probabilities":
        actual = np.arange(60) % 6
        right, wrong = np.eye(6)[actual], np.eye(6)[(actual + 1) % 6]
    else:
        actual = np.arange(60) % 2 if metric.needs == "labels" else np.arange(60.0)
        right, wrong = actual, actual[::-1]
    assert metric(right, actual) == (1.0 if metric.better == "higher" else 0.0)
    if not name.startswith("top_"):
        assert metric.is_better(metric(right, actual), than=metric(wrong, actual))
    assert not metric.is_better(math.nan, than=0.0)


@pytest.mark.parametrize("metric", [accuracy, f1, r2, mean_absolute_error, root_mean_squared_error])
def test_predictions_and_targets_never_broadcast(metric: Callable[..., float]) -> None:
    with pytest.raises(ShapeError, match=r"of shape \(3,\) with targets of shape \(3, 1\)"):
        metric(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(DataError, match="got no rows"):
        metric(np.zeros(0), np.zeros(0))


@pytest.mark.parametrize(
    ("weights", "error", "complaint"),
    [
        ([1.0], ShapeError, r"weights of shape \(1,\) for 2 rows"),
        ([1.0, -1.0], DataError, r"the weight -1\.0 in row 1; weights are finite and 0 or more"),
        ([math.nan, 1.0], DataError, "the weight nan in row 0"),
        ([0.0, 0.0], DataError, "weights that are all zero"),
    ],
)
@pytest.mark.parametrize("metric", [accuracy, log_loss, r2])
def test_weights_that_cannot_be_are_refused(
    metric: Callable[..., float], weights: list[float], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        metric([0, 1], [0, 1], weights=weights)


# -- the registry


def test_metrics_resolve_by_name_and_as_functions() -> None:
    assert resolve("r2", "regression") is METRICS["r2"]
    assert resolve(METRICS["f1"], "classification") is METRICS["f1"]

    def largest_error(predicted: np.ndarray, actual: np.ndarray) -> np.float64:
        return np.max(np.abs(predicted - actual))

    own = resolve(largest_error, "regression")
    assert (own.name, own.needs, own.better, own.task) == ("largest_error", "values", "higher", "regression")
    assert own(np.array([1.0, 5.0]), np.array([2.0, 2.0])) == 3.0
    assert resolve(partial(f1, average="micro"), "classification").needs == "labels"


@pytest.mark.parametrize(
    ("metric", "task", "complaint"),
    [
        ("acuracy", "classification", r"'acuracy' is not one of accuracy, .*, nor a function"),
        (3, "regression", "metric 3 is not one of r2, mean_absolute_error, root_mean_squared_error, nor"),
        (
            "accuracy",
            "regression",
            "accuracy is for classification and the network's loss for regression; take",
        ),
        (METRICS["r2"], "classification", "r2 is for regression"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(metric: Any, task: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        resolve(metric, task)


@pytest.mark.parametrize("options", [{"needs": "scores"}, {"needs": "labels", "better": "up"}], ids=str)
def test_a_metric_with_an_unknown_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"Metric mine got .*; it takes one of"):
        Metric("mine", function=accuracy, **options)


# -- scikit-learn as an oracle


SAME_AS_SKLEARN = {
    "accuracy": ("accuracy_score", {}),
    "balanced_accuracy": ("balanced_accuracy_score", {}),
    **{
        f"{name}{'' if average == 'binary' else '_' + average}": (f"{theirs}_score", {"average": average})
        for name, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1"))
        for average in ("binary", "macro", "micro", "weighted")
    },
    "roc_auc": ("roc_auc_score", {}),
    "log_loss": ("log_loss", {}),
    "brier_score": ("brier_score_loss", {}),
    "r2": ("r2_score", {}),
    "mean_absolute_error": ("mean_absolute_error", {}),
}


@pytest.mark.parametrize("name", SAME_AS_SKLEARN)
@pytest.mark.parametrize("seed", range(5))
def test_two_classes_and_values_as_scikit_learn_has_them(name: str, seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    theirs, options = SAME_AS_SKLEARN[name]
    metric = METRICS[name]
    predicted, actual, weights = example(metric.needs, seed)
    if metric.needs == "probabilities":
        predicted = predicted[:, 1].round(1)  # rounded: ties
    for weight in (None, weights):
        expected = getattr(sklearn, theirs)(actual, predicted, sample_weight=weight, **options)
        assert metric(predicted, actual, weight) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_many_classes_as_scikit_learn_has_them(seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    actual, labels = rng.permutation(np.arange(60) % 4), rng.integers(0, 4, 60)
    table, weights = rng.dirichlet(np.ones(4), 60), rng.uniform(0.1, 2, 60)
    for name, (theirs, options) in SAME_AS_SKLEARN.items():
        metric = METRICS[name]
        if metric.needs == "values" or options.get("average") == "binary":
            continue
        own = labels if metric.needs == "labels" else table
        if name == "roc_auc":
            options = {"multi_class": "ovr", "average": "macro"}
        expected = getattr(sklearn, theirs)(actual, own, sample_weight=weights, **options)
        assert metric(own, actual, weights) == pytest.approx(expected, rel=1e-12), name
    for k in (1, 2, 3):
        expected = sklearn.top_k_accuracy_score(actual, table, k=k, sample_weight=weights)
        assert top_k_accuracy(table, actual, weights, k=k) == pytest.approx(expected, rel=1e-12)
    expected = sklearn.confusion_matrix(actual, labels, sample_weight=weights)
    np.testing.assert_allclose(confusion_matrix(labels, actual, weights), expected, rtol=1e-12)
    assert root_mean_squared_error(table, table[::-1], weights) == pytest.approx(
        math.sqrt(sklearn.mean_squared_error(table[::-1], table, sample_weight=weights)), rel=1e-12
    )
