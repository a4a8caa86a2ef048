"""The losses: values by hand, derivatives against independent calculations, targets of the wrong shape."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import glassnet as gn
from glassnet import losses
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.losses import LOSSES

Z = np.array([0.5, -1.0, 2.0])
DISTRIBUTION = np.array([0.2, 0.3, 0.5])


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def binary(z: np.ndarray, d: np.ndarray) -> float:
    p = sigmoid(z)
    return float(-np.sum((1 - d) * np.log(1 - p) + d * np.log(p)))


BY_HAND: dict[str, tuple[Callable, Callable]] = {
    "half_squared_error": (lambda y, d: 0.5 * np.sum((y - d) ** 2), lambda y, d: y - d),
    "mean_squared_error": (lambda y, d: np.mean((y - d) ** 2), lambda y, d: 2 * (y - d) / y.size),
    "binary_cross_entropy": (binary, lambda z, d: sigmoid(z) - d),
    "cross_entropy": (lambda z, d: -np.sum(d * np.log(softmax(z))), lambda z, d: softmax(z) - d),
}


def test_every_loss_is_worked_by_hand() -> None:
    assert BY_HAND.keys() == LOSSES.keys()


@pytest.mark.parametrize("target", [np.array([0.0, 0.0, 1.0]), DISTRIBUTION], ids=["one-hot", "distribution"])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_delta_agree_with_the_formula_by_hand(name: str, target: np.ndarray) -> None:
    value, delta = gn.value_and_grad(LOSSES[name].divergence)(Z, target)
    by_hand, slope = BY_HAND[name]
    assert value == pytest.approx(by_hand(Z, target), rel=1e-14)
    np.testing.assert_allclose(delta, slope(Z, target), rtol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_the_derivatives_are_certified_to_second_order(name: str) -> None:
    assert gn.check_grads(lambda z: LOSSES[name].divergence(z, DISTRIBUTION), Z, order=2).passed


def test_the_numbers_of_the_formulas() -> None:
    y, d = np.array([1.0, 2.0]), np.array([0.0, 4.0])
    assert losses.half_squared_error(y, d) == 2.5
    assert losses.mean_squared_error(y, d) == 2.5
    assert losses.binary_cross_entropy(np.zeros(2), np.array([0.0, 1.0])) == pytest.approx(2 * math.log(2))
    assert losses.cross_entropy(np.zeros(4), np.eye(4)[1]) == pytest.approx(math.log(4))


@pytest.mark.parametrize(("name", "value"), [("cross_entropy", 2000.0), ("binary_cross_entropy", 2000.0)])
def test_a_certain_and_wrong_prediction_costs_its_distance_and_not_infinity(name: str, value: float) -> None:
    z, target = np.array([1000.0, -1000.0]), np.array([0.0, 1.0])
    assert LOSSES[name].divergence(z, target) == value


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_would_broadcast_are_refused(name: str) -> None:
    with pytest.raises(
        ShapeError, match=rf"{name} compares .*\(3,\) with a target of shape \(3, 1\); reshape"
    ):
        LOSSES[name].divergence(Z, DISTRIBUTION[:, None])


def test_a_loss_is_found_by_name_or_is_itself() -> None:
    loss = losses.resolve("cross_entropy")
    assert loss is LOSSES["cross_entropy"] is losses.resolve(loss)


@pytest.mark.parametrize("name", ["mse", None, ["cross_entropy"]], ids=repr)
def test_an_unknown_loss_is_refused_with_the_list_of_known_ones(name: object) -> None:
    with pytest.raises(
        ConfigurationError, match="is not one of half_squared_error, mean_squared_error, binary"
    ):
        losses.resolve(name)
