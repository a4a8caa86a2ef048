"""The losses: numbers by hand, extremes against mpmath, positions and masks, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import losses
from glassnet.errors import DataError, ShapeError
from glassnet.losses import LOSSES, Loss

Z = np.array([0.5, -1.0, 2.0])
DISTRIBUTION = np.array([0.2, 0.3, 0.5])
LOG_2 = math.log(2)

# Loss, prediction, target, divergence: each can be worked out on paper.
BY_HAND: list[tuple[Loss, list[float], Any, float]] = [
    (losses.HalfSquaredError(), [1, 2], [0, 4], 2.5),
    (losses.MeanSquaredError(), [1, 2], [0, 4], 2.5),
    (losses.MeanAbsoluteError(), [1, 2], [0, 4], 1.5),
    (losses.Huber(), [0.5, 4], [0, 1], 0.125 + 2.5),
    (losses.Huber(delta=2), [1, 4], [0, 0], 0.5 + 6),
    (losses.LogCosh(), [0, 1], [0, 1], 0),
    (losses.LogCosh(), [LOG_2], [0], math.log(1.25)),  # cosh(log 2) = (2 + 1/2) / 2
    (losses.LogCosh(), [4 * LOG_2], [0], math.log(8 + 1 / 32)),
    (losses.Quantile(), [1, 2], [0, 4], 0.5 + 1),
    (losses.Quantile(0.9), [1, 2], [0, 4], 0.1 + 1.8),
    (losses.Poisson(), [0, LOG_2], [2, 1], 1 + 2 - LOG_2),
    (losses.Poisson(log_rate=False), [1, 2], [2, 1], 1 + 2 - LOG_2),
    (losses.BinaryCrossEntropy(), [0, 0], [0, 1], 2 * LOG_2),
    (losses.BinaryCrossEntropy(), [math.log(3)], [1], math.log(4 / 3)),  # p = 3/4
    (losses.BinaryCrossEntropy(0.5), [math.log(3)], [1], 0.75 * math.log(4 / 3) + 0.25 * math.log(4)),
    (losses.CrossEntropy(), [0, 0, 0, 0], [0, 1, 0, 0], math.log(4)),
    (losses.CrossEntropy(), [0, math.log(3)], 1, math.log(4 / 3)),
    (losses.CrossEntropy(0.5), [0, math.log(3)], 1, 0.75 * math.log(4 / 3) + 0.25 * math.log(4)),
    (losses.KLDivergence(), [0, 0], [0.25, 0.75], 0.75 * math.log(3) - LOG_2),
    (losses.KLDivergence(), [0, math.log(3)], [0.25, 0.75], 0),
    (losses.KLDivergence(), [0, 0], [0, 1], LOG_2),
    (losses.BinaryCrossEntropyFromProbabilities(), [0.25, 0.5], [0, 1], math.log(4 / 3) + LOG_2),
    (losses.BinaryCrossEntropyFromProbabilities(0.5), [0.25], [0], math.log(4) - 0.75 * math.log(3)),
    (losses.BinaryCrossEntropyFromProbabilities(epsilon=0.25), [0], [1], math.log(4)),
    (losses.CrossEntropyFromProbabilities(), [0.25, 0.75], 0, math.log(4)),
    (losses.CrossEntropyFromProbabilities(0.5), [0.25, 0.75], 1, 0.75 * math.log(4 / 3) + 0.25 * math.log(4)),
    (losses.CrossEntropyFromProbabilities(epsilon=0.125), [0, 1], [1, 0], math.log(8)),
    (losses.Hinge(), [0.25, -3], [1, -1], 0.75),
    (losses.Hinge(), [-2, 3], [1, -1], 3 + 4),
    (losses.SquaredHinge(), [0.5, 1], [1, -1], 0.25 + 4),
    (losses.MulticlassHinge(), [2, 1.5, -1], 0, 0.5),
    (losses.MulticlassHinge(), [2, 1.5, -1], 2, 4),
    (losses.MulticlassHinge(), [2, 0.5, -1], [1, 0, 0], 0),
    (losses.Perceptron(), [0.5, 2], [1, -1], 2),
    (losses.BinaryFocal(), [0, 0], [0, 1], LOG_2 / 2),
    (losses.BinaryFocal(2, 0.25), [math.log(3), 0], [1, 0], 0.25 * math.log(4 / 3) / 16 + 0.75 * LOG_2 / 4),
    (losses.BinaryFocal(0), [math.log(3)], [1], math.log(4 / 3)),
    (losses.Focal(), [0, math.log(3)], 1, math.log(4 / 3) / 16),
    (losses.Focal(), [0, math.log(3)], [0.5, 0.5], (math.log(4 / 3) / 16 + math.log(4) * 9 / 16) / 2),
    (losses.Focal(1, (1, 8)), [0, math.log(3)], 1, 8 * math.log(4 / 3) / 4),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "prediction", "target", "expected"), BY_HAND, ids=str)
def test_the_value_agrees_with_that_worked_by_hand(
    loss: Loss, prediction: list[float], target: Any, expected: float
) -> None:
    target = np.asarray(target, float if isinstance(target, list) else int)
    got = loss.divergence(np.array(prediction, float), target)
    assert np.shape(got) == ()
    assert got == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_every_loss_is_worked_by_hand() -> None:
    assert {loss.name for loss, *_ in BY_HAND} == set(LOSSES)


# -- extremes

HUGE = np.array([1000.0, -1000.0, 0.0])
LINKED = ["binary_cross_entropy", "cross_entropy", "kl_divergence", "binary_focal", "focal"]


def sigmoid_mp(z: Any) -> Any:
    return 1 / (1 + mpmath.exp(-z))


def softmax_mp(z: np.ndarray) -> list[Any]:
    e = [mpmath.exp(mpmath.mpf(float(x))) for x in z]
    return [x / sum(e) for x in e]


def in_many_digits(name: str, z: np.ndarray, d: np.ndarray) -> float:
    """The formulas as they stand, with 1000 digits in place of care."""
    with mpmath.workdps(1000):
        if LOSSES[name].link == "softmax":
            p, q = softmax_mp(z), d
        else:
            z = [mpmath.mpf(float(x)) for x in z]
            p, q = [sigmoid_mp(x) for x in z] + [sigmoid_mp(-x) for x in z], [*d, *(1 - d)]
        power = 2 if "focal" in name else 0
        total = -sum(float(w) * (1 - x) ** power * mpmath.log(x) for x, w in zip(p, q, strict=True) if w)
        if name == "kl_divergence":
            total += sum(w * math.log(w) for w in d if w)
        return float(total)


@pytest.mark.parametrize("target", [[0, 1, 0], [1, 0, 0], [0.0, 0.5, 0.5]], ids=str)
@pytest.mark.parametrize("z", [HUGE, -HUGE, HUGE / 25, HUGE + 1e5], ids=str)
@pytest.mark.parametrize("name", LINKED)
def test_extreme_logits_give_what_many_digits_give(name: str, z: np.ndarray, target: list[float]) -> None:
    d = np.array(target, float)
    value, delta = gn.value_and_grad(LOSSES[name].divergence)(z, d)
    assert value == pytest.approx(in_many_digits(name, z, d), rel=1e-12, abs=1e-12)
    assert np.isfinite(delta).all()


@pytest.mark.parametrize("name", ["binary_focal", "focal"])
def test_what_is_known_too_well_for_1_minus_p_keeps_its_digits(name: str) -> None:
    z, d = np.array([60.0, 0.0]), np.array([1.0, 0.0])
    z = z[:1] if name == "binary_focal" else z
    value = LOSSES[name].divergence(z, d[: z.size])
    with mpmath.workdps(100):
        p = sigmoid_mp(mpmath.mpf(60))
        expected = float(-((1 - p) ** 2) * mpmath.log(p))
    assert expected < 1e-70
    assert value == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("error", [1e-9, -1e-3, 0.5, 1 - 1e-12, 1.0, -3.0, 20.0, 1000.0])
def test_log_cosh_keeps_its_digits_from_end_to_end(error: float) -> None:
    value, slope = gn.value_and_grad(losses.log_cosh)(np.array([error]), np.zeros(1))
    with mpmath.workdps(60):
        expected = mpmath.log(mpmath.cosh(mpmath.mpf(error)))
        tanh = mpmath.tanh(mpmath.mpf(error))
    assert value == pytest.approx(float(expected), rel=1e-14, abs=0)
    assert slope[0] == pytest.approx(float(tanh), rel=1e-14, abs=0)


@pytest.mark.parametrize("z", [HUGE, -HUGE], ids=str)
@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"poisson"}))
def test_no_extreme_prediction_is_not_finite(name: str, z: np.ndarray) -> None:
    target = np.array([1.0, -1.0, 1.0]) if LOSSES[name].targets == "signs" else DISTRIBUTION
    value, slope = gn.value_and_grad(LOSSES[name].divergence)(z, target)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_a_certain_and_wrong_prediction_costs_its_distance_and_not_infinity() -> None:
    z, target = np.array([1000.0, -1000.0]), np.array([0.0, 1.0])
    assert losses.cross_entropy(z, target) == 2000.0
    assert losses.binary_cross_entropy(z, target) == 2000.0
    assert losses.perceptron(z, 2 * target - 1) == 2000.0


def test_a_rate_of_zero_costs_nothing_where_nothing_was_counted() -> None:
    assert losses.poisson(np.zeros(1), np.zeros(1), log_rate=False) == 0.0


# -- relations


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (losses.Focal(0.0), losses.CrossEntropy()),
        (losses.BinaryFocal(0.0), losses.BinaryCrossEntropy()),
        (losses.Huber(1e3), losses.HalfSquaredError()),
    ],
    ids=str,
)
def test_one_loss_is_a_special_case_of_another(one: Loss, other: Loss) -> None:
    expected = gn.value_and_grad(other.divergence)(Z, DISTRIBUTION)
    got = gn.value_and_grad(one.divergence)(Z, DISTRIBUTION)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-13)


@pytest.mark.parametrize(
    ("fused", "plain", "link"),
    [
        ("cross_entropy", "cross_entropy_from_probabilities", gnp.softmax),
        ("binary_cross_entropy", "binary_cross_entropy_from_probabilities", gnp.sigmoid),
    ],
)
def test_from_probabilities_is_the_same_after_the_link(
    fused: str, plain: str, link: Callable[[Any], Any]
) -> None:
    expected = gn.value_and_grad(LOSSES[fused].divergence)(Z, DISTRIBUTION)
    got = gn.value_and_grad(lambda z: LOSSES[plain].divergence(link(z), DISTRIBUTION))(Z)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-13)


def test_the_pinball_loss_is_least_at_the_quantile() -> None:
    values = np.arange(1.0, 11.0)
    price = [
        sum(losses.quantile(np.array([y]), values[i : i + 1], quantile=0.75) for i in range(10))
        for y in values
    ]
    assert values[int(np.argmin(price))] == 8.0  # the first with at least 3/4 of the values at or below


def test_a_step_on_the_perceptron_loss_is_rosenblatt_s_rule() -> None:
    X, d = np.array([[1.0, 2.0], [3.0, -1.0], [-1.0, -1.0]]), np.array([[1.0], [-1.0], [1.0]])
    w = np.array([0.5, 0.5])
    step = -gn.grad(lambda w: gnp.sum(gn.vmap(losses.perceptron)(gnp.matmul(X, w)[:, None], d)))(w)
    # Row 0 is right; rows 1 and 2 are mistakes: -1 * (3, -1) + 1 * (-1, -1).
    assert step.tolist() == [-4.0, 0.0]


# -- positions and masks


@pytest.mark.parametrize("positions", [(4,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_positions_are_averaged_and_a_mask_leaves_some_out(name: str, positions: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    y, d = rng.uniform(0.1, 0.9, (*positions, 3)), rng.dirichlet(np.ones(3), positions)
    divergence = LOSSES[name].divergence
    each = np.array([divergence(y[place], d[place]) for place in np.ndindex(positions)])
    assert divergence(y, d) == pytest.approx(each.mean(), rel=1e-14)
    mask = np.arange(each.size) % 3 != 0
    assert divergence(y, d, mask.reshape(positions)) == pytest.approx(each[mask].mean(), rel=1e-14)
    assert divergence(y, d, mask.reshape(positions).astype(float)) == divergence(
        y, d, mask.reshape(positions)
    )
    value, slope = gn.value_and_grad(lambda x: divergence(x, d, np.zeros(positions)))(y)
    assert value == 0.0
    assert not slope.any()


@pytest.mark.parametrize("name", LOSSES)
def test_what_stands_behind_a_mask_changes_nothing(name: str) -> None:
    y, d = np.full((2, 3), 0.25), np.full((2, 3), 1 / 3)
    other = y.copy()
    other[1] = 0.75
    masked = gn.value_and_grad(lambda x: LOSSES[name].divergence(x, d, np.array([1, 0])))
    (value, slope), (value_of_other, slope_of_other) = masked(y), masked(other)
    assert value == value_of_other
    assert slope.tolist() == slope_of_other.tolist()
    assert not slope[1].any()


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].targets == "classes"])
def test_indices_of_classes_stand_for_indicator_vectors(name: str) -> None:
    z, labels = np.random.default_rng(0).dirichlet(np.ones(4), 5), np.array([0, 3, 1, 1, 2])
    divergence = LOSSES[name].divergence
    assert divergence(z, labels) == divergence(z, np.eye(4)[labels])
    assert divergence(z[0], 3) == divergence(z[0], np.eye(4)[3])
    assert gn.vmap(divergence)(z, labels).tolist() == gn.vmap(divergence)(z, np.eye(4)[labels]).tolist()


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].link == "softmax"])
def test_what_all_logits_have_in_common_costs_no_digits_in_float32(name: str) -> None:
    z, divergence = np.array([0.0, 0.5, -3.0], np.float32), LOSSES[name].divergence
    target = DISTRIBUTION if LOSSES[name].targets == "distribution" else np.array(1)
    expected = float(divergence(z, target))
    assert divergence(z + np.float32(16384), target) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32(name: str) -> None:
    y, d = np.full((2, 3), 0.25, np.float32), np.full((2, 3), 1 / 3, np.float32)
    value, slope = gn.value_and_grad(LOSSES[name].divergence)(y, d, np.ones(2, np.float32))
    assert (value.dtype, slope.dtype) == (np.float32, np.float32)


# -- refusals


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].targets == "classes"])
def test_a_class_that_does_not_exist_is_refused_unless_it_is_masked(name: str) -> None:
    divergence, p = LOSSES[name].divergence, np.full((2, 3), 1 / 3)
    with pytest.raises(DataError, match=rf"^{name} got the class 3 for 3 classes; give indices from 0 to 2"):
        divergence(p[0], np.array(3))
    with pytest.raises(DataError, match=r"the class -1 at position 1 for 3 classes"):
        divergence(p, np.array([2, -1]))
    assert divergence(p, np.array([2, -1]), np.array([1, 0])) == divergence(p[0], np.array(2))


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_would_broadcast_are_refused(name: str) -> None:
    divergence = LOSSES[name].divergence
    with pytest.raises(
        ShapeError,
        match=rf"^{name} compares a prediction of shape \(3,\) with a target of shape \(3, 1\); "
        r"reshape the target to \(3,\)\.$",
    ):
        divergence(Z, DISTRIBUTION[:, None])
    with pytest.raises(ShapeError, match=r"target of shape \(2,\); give a target of shape \(3,\)\.$"):
        divergence(Z, DISTRIBUTION[:2])
    with pytest.raises(
        ShapeError, match=rf"^{name} got a mask of shape \(3,\) for .* \(2, 3\); .* shape \(2,\)"
    ):
        divergence(np.ones((2, 3)), np.ones((2, 3)), np.ones(3))
    with pytest.raises(ShapeError, match=rf"^{name} compares .* single number; reshape .* to \(1,\)\.$"):
        divergence(np.float64(1.0), np.float64(1.0))
