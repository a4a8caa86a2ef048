"""Curriculum item 18: every divergence and its derivative, mean and sum, and the price on parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal

PAGE = Path(__file__).resolve().parents[2] / "docs" / "curriculum" / "18_losses.md"
LOSSES = {
    name: loss for name, loss in gn.losses.LOSSES.items() if type(loss).__module__.startswith("glassnet.")
}
Array = np.ndarray[Any, Any]

Z = normal(Key(18, 0), (40, 3)) * 2
VALUES, CLASS = normal(Key(18, 1), (40, 3)), np.eye(3)[np.arange(40) % 3]
SIGNS, COUNTS = np.where(VALUES > 0, 1.0, -1.0), np.floor(np.abs(3 * VALUES))
BINARY, POSITIVE = (SIGNS + 1) / 2, np.ones((40, 3))


def s(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    return np.exp(z) / np.exp(z).sum()


def huber(e: Array) -> Array:
    return np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5)


def focal(z: Array, d: Array) -> tuple[float, Array]:
    p = softmax(z)
    right = p @ d
    return (
        -((1 - right) ** 2) * np.log(right),
        (1 - right) * (1 - right - 2 * right * np.log(right)) * (p - d),
    )


def multiclass_hinge(z: Array, d: Array) -> tuple[float, Array]:
    rivals = z + 1 - d
    return rivals.max() - z @ d, np.eye(3)[rivals.argmax()] - d


Closed = Callable[[Array, Array], tuple[float, Array]]  # (prediction, target) -> divergence, derivative
# The two columns of the page's table, the predictions and the targets.
CLOSED: dict[str, tuple[Closed, Array, Array]] = {
    "half_squared_error": (lambda y, d: (((y - d) ** 2).sum() / 2, y - d), Z, VALUES),
    "mean_squared_error": (lambda y, d: (((y - d) ** 2).mean(), 2 * (y - d) / 3), Z, VALUES),
    "mean_absolute_error": (lambda y, d: (np.abs(y - d).mean(), np.sign(y - d) / 3), Z, VALUES),
    "huber": (lambda y, d: (huber(y - d).sum(), np.clip(y - d, -1, 1)), Z, VALUES),
    "log_cosh": (lambda y, d: (np.log(np.cosh(y - d)).sum(), np.tanh(y - d)), Z, VALUES),
    "quantile": (
        lambda y, d: (0.5 * np.abs(y - d).sum(), np.where(y < d, -0.5, 0.5)),
        Z,
        VALUES,
    ),
    "poisson": (lambda z, d: ((np.exp(z) - d * z).sum(), np.exp(z) - d), Z, COUNTS),
    "binary_cross_entropy": (
        lambda z, d: (-((1 - d) * np.log(1 - s(z)) + d * np.log(s(z))).sum(), s(z) - d),
        Z,
        BINARY,
    ),
    "binary_focal": (
        lambda z, d: (
            -((1 - s(z)) ** 2 * np.log(s(z))).sum(),
            (1 - s(z)) ** 2 * (2 * s(z) * np.log(s(z)) - (1 - s(z))),
        ),
        Z,
        POSITIVE,
    ),
    "cross_entropy": (lambda z, d: (-d @ np.log(softmax(z)), softmax(z) - d), Z, CLASS),
    "focal": (focal, Z, CLASS),
    "kl_divergence": (
        lambda z, d: (d @ (np.log(d) - np.log(softmax(z))), softmax(z) - d),
        Z,
        np.apply_along_axis(softmax, 1, VALUES),
    ),
    "binary_cross_entropy_from_probabilities": (
        lambda y, d: (-((1 - d) * np.log(1 - y) + d * np.log(y)).sum(), (y - d) / (y * (1 - y))),
        s(Z),
        BINARY,
    ),
    "cross_entropy_from_probabilities": (
        lambda y, d: (-d @ np.log(y), -d / y),
        np.apply_along_axis(softmax, 1, Z),
        CLASS,
    ),
    "hinge": (lambda z, d: (np.maximum(0, 1 - d * z).sum(), np.where(d * z < 1, -d, 0)), Z, SIGNS),
    "squared_hinge": (
        lambda z, d: ((np.maximum(0, 1 - d * z) ** 2).sum(), -2 * d * np.maximum(0, 1 - d * z)),
        Z,
        SIGNS,
    ),
    "multiclass_hinge": (multiclass_hinge, Z, CLASS),
    "perceptron": (lambda z, d: (np.maximum(0, -d * z).sum(), np.where(d * z <= 0, -d, 0)), Z, SIGNS),
}


def test_the_table_of_the_page_has_every_loss() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(LOSSES) == sorted(CLOSED)


@pytest.mark.parametrize("name", CLOSED)
def test_divergence_and_derivative_are_those_of_the_table(name: str) -> None:
    closed, predictions, targets = CLOSED[name]
    divergence = LOSSES[name].divergence
    for prediction, target in zip(predictions, targets, strict=True):
        value, slope = gn.value_and_grad(divergence)(prediction, target)
        expected, derivative = closed(prediction, target)
        assert float(value) == pytest.approx(expected, rel=1e-10, abs=1e-12)
        np.testing.assert_allclose(slope, derivative, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "prediction", "target", "expected"),
    [
        ("mean_absolute_error", 0.0, 0.0, 0.0),
        ("quantile", 0.0, 0.0, 0.0),
        ("hinge", 1.0, 1.0, 0.0),
        ("hinge", -1.0, -1.0, 0.0),
        ("squared_hinge", 1.0, 1.0, 0.0),
        ("perceptron", 0.0, 1.0, -1.0),
        ("perceptron", 0.0, -1.0, 1.0),
    ],
)
def test_at_the_kinks(name: str, prediction: float, target: float, expected: float) -> None:
    slope = gn.grad(LOSSES[name].divergence)(np.array([prediction]), np.array([target]))
    assert slope.tolist() == [expected]


@pytest.mark.parametrize(("name", "output"), [("binary_cross_entropy", s), ("cross_entropy", softmax)])
def test_a_network_shows_p_as_its_output_and_p_minus_d_as_its_delta(name: str, output: Any) -> None:
    net = gn.Network([gn.Dense(3)], name, seed=1, dtype="float64", input_shape=2)
    target = np.array([0.0, 1.0, 0.0])
    layer = net.trace([0.5, -1.0], target)["dense_1"]
    assert layer.z is not None
    np.testing.assert_allclose(layer.y, output(layer.z), rtol=1e-12)
    np.testing.assert_allclose(layer.delta, layer.y - target, rtol=1e-12)


def test_a_sure_mistake_pulls_through_cross_entropy_and_not_through_squares() -> None:
    z, d = np.array([-9.0]), np.array([1.0])
    half_square = LOSSES["half_squared_error"].divergence
    p = s(z)
    assert gn.grad(LOSSES["binary_cross_entropy"].divergence)(z, d) == pytest.approx(p - d, rel=1e-12)
    slope = gn.grad(lambda z: half_square(gnp.sigmoid(z), d))(z)
    assert slope == pytest.approx((p - d) * p * (1 - p), rel=1e-10)


def test_cross_entropy_and_kl_divergence_differ_by_the_entropy_of_the_target() -> None:
    target = softmax(VALUES[0])
    entropy = -target @ np.log(target)
    for z in Z:
        kl, ce = (LOSSES[name].divergence(z, target) for name in ("kl_divergence", "cross_entropy"))
        assert float(ce - kl) == pytest.approx(entropy, rel=1e-11)
    assert abs(float(LOSSES["kl_divergence"].divergence(np.log(target), target))) < 1e-15


@pytest.mark.parametrize("q", [0.3, 0.5, 0.7])
def test_a_constant_is_best_at_the_quantile(q: float) -> None:
    targets = np.sort(VALUES[:, 0])
    divergence = gn.losses.Quantile(q).divergence

    def slope(y: float) -> float:
        return sum(gn.grad(divergence)(np.array([y]), np.array([d])).item() for d in targets)

    place = int(q * 40)  # so many targets lie below the best constant
    assert slope(targets[place - 1] - 1e-9) < 1e-9
    assert slope(targets[place] + 1e-9) > -1e-9
    middle = (targets[place - 1] + targets[place]) / 2
    assert slope(middle) == pytest.approx(0, abs=1e-9)


X, Y = np.array([[1.0], [2.0], [-1.0]]), np.array([1.0, 0.0, 2.0])


def network(reduction: str = "mean", **options: Any) -> gn.Network:
    layers = [gn.Dense(1, **options)]
    net = gn.Network(layers, "half_squared_error", dtype="float64", input_shape=1, reduction=reduction)
    net.parameters = {"dense_1.weight": [[2.0]], "dense_1.bias": [-3.0]}
    return net


def test_mean_or_sum_over_the_instances() -> None:
    each = network().gradients(X, Y, per_example=True)["dense_1.weight"]
    assert each.ravel().tolist() == [-2, 2, 7]
    assert network("mean").gradients(X, Y)["dense_1.weight"].item() == pytest.approx(7 / 3, rel=1e-15)
    assert network("sum").gradients(X, Y)["dense_1.weight"].item() == 7


PRICES = {
    gn.L1(0.1): (0.1 * 2, 0.1, 0.0),
    gn.L1(0.1, biases=True): (0.1 * (2 + 3), 0.1, -0.1),
    gn.L2(0.1): (0.05 * 4, 0.2, 0.0),
    gn.L2(0.1, biases=True): (0.05 * (4 + 9), 0.2, -0.3),
    gn.Elastic(0.1, 0.2): (0.1 * 2 + 0.1 * 4, 0.1 + 0.4, 0.0),
    gn.Elastic(0.1, 0.2, biases=True): (0.1 * 5 + 0.1 * 13, 0.1 + 0.4, -0.1 - 0.6),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("regularizer", PRICES, ids=str)
def test_the_price_on_the_parameters_is_paid_once(regularizer: Any, reduction: str) -> None:
    price, by_weight, by_bias = PRICES[regularizer]
    plain, priced = network(reduction), network(reduction, regularizer=regularizer)
    for name, extra in (("dense_1.weight", by_weight), ("dense_1.bias", by_bias)):
        difference = priced.gradients(X, Y)[name] - plain.gradients(X, Y)[name]
        assert difference.item() == pytest.approx(extra, rel=1e-12, abs=1e-14)
    assert priced.certify(X, Y).largest_relative_error < 1e-9
    evaluated = priced.evaluate(X, Y)["loss"]
    assert evaluated == 9
    history = priced.fit(X, Y, epochs=1, batch_size=None, optimizer=gn.SGD(0.01), progress=False)
    divergences = evaluated if reduction == "mean" else 3 * evaluated
    assert history.loss[0] == pytest.approx(divergences + price, rel=1e-14)
