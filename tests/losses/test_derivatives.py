"""The gradient of every loss, with every option, against differences of fourth order in float64.

Over one and several outputs, positions in a row and in a map, with masks; and the formulas of delta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

import glassnet as gn
from glassnet import losses
from glassnet.losses import LOSSES, Loss

WEIGHTS = (0.5, 2.0, 1.0, 0.0, 3.0)  # of the classes, as many as there are

# Every loss at its defaults, and with each option at another value.
EXAMPLES: list[Loss] = [
    *(losses.LOSSES[name] for name in losses.LOSSES),
    losses.BinaryCrossEntropy(label_smoothing=0.1),
    losses.CrossEntropy(label_smoothing=0.1),
    losses.BinaryCrossEntropyFromProbabilities(label_smoothing=0.1, epsilon=1e-3),
    losses.CrossEntropyFromProbabilities(label_smoothing=0.1, epsilon=1e-3),
    losses.BinaryFocal(gamma=0.5, alpha=0.25),
    losses.BinaryFocal(gamma=0.0),
    losses.Focal(gamma=0.5),
    losses.Focal(alpha=WEIGHTS),
    losses.Huber(delta=0.3),
    losses.Quantile(0.9),
    losses.Poisson(log_rate=False),
]


def for_classes(loss: Loss, classes: int) -> Loss:
    """The loss with as many weights as there are classes."""
    weighted = isinstance(loss, losses.Focal) and loss.alpha is not None
    return replace(loss, alpha=WEIGHTS[:classes]) if weighted else loss


def prediction_for(loss: Loss, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """What the loss takes: probabilities, positive rates, or any numbers."""
    if loss.name == "cross_entropy_from_probabilities":
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1]) * 0.5 + 0.5 / shape[-1]
    if loss.name == "binary_cross_entropy_from_probabilities":
        return rng.uniform(0.2, 0.8, shape)
    if loss == losses.Poisson(log_rate=False):
        return rng.uniform(0.5, 3.0, shape)
    return rng.normal(0.0, 1.5, shape)


TARGETS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "values": lambda rng, shape: rng.normal(0.0, 1.5, shape),
    "counts": lambda rng, shape: rng.poisson(2.0, shape).astype(float),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "binary": lambda rng, shape: rng.uniform(0.0, 1.0, shape),
    "distribution": lambda rng, shape: rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
    "classes": lambda rng, shape: rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
}


def data_for(loss: Loss, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a target of that shape, further than 0.01 from every kink of the loss."""
    rng = np.random.default_rng(seed)
    while True:
        prediction, target = prediction_for(loss, rng, shape), TARGETS[loss.targets](rng, shape)
        if min(distances_to_kinks(loss, prediction, target), default=1.0) > 0.01:
            return prediction, target


def distances_to_kinks(loss: Loss, prediction: np.ndarray, target: np.ndarray) -> Iterator[float]:
    """How far each element, or pair of rivals, is from where the slope jumps."""
    if loss.name in ("mean_absolute_error", "quantile"):
        yield from np.abs(prediction - target).flat
    if isinstance(loss, losses.Huber):
        yield from np.abs(np.abs(prediction - target) - loss.delta).flat
    if loss.name in ("hinge", "squared_hinge"):
        yield from np.abs(1 - target * prediction).flat
    if loss.name == "perceptron":
        yield from np.abs(prediction).flat
    if loss.name == "multiclass_hinge" and prediction.shape[-1] > 1:
        terms = np.sort(prediction + 1 - target, axis=-1)
        yield from (terms[..., -1] - terms[..., -2]).flat


def differences(f: Callable[[np.ndarray], float], x: np.ndarray, step: float = 2e-4) -> np.ndarray:
    """The gradient of f at x by differences of fourth order."""
    slopes = np.empty_like(x)
    for place in np.ndindex(x.shape):
        along = np.zeros_like(x)
        along[place] = step
        near, far = f(x + along) - f(x - along), f(x + 2 * along) - f(x - 2 * along)
        slopes[place] = (8 * near - far) / (12 * step)
    return slopes


def gradient(loss: Loss, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return gn.grad(lambda x: loss.divergence(x, target, mask))(prediction)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()


def test_every_option_of_every_loss_is_among_the_examples() -> None:
    varied = {
        (loss.name, f.name) for loss in EXAMPLES for f in fields(loss) if getattr(loss, f.name) != f.default
    }
    assert varied == {(loss.name, f.name) for loss in LOSSES.values() for f in fields(loss)}


@pytest.mark.parametrize(
    ("positions", "masked"), [((), False), ((3,), False), ((3,), True), ((2, 2), True)], ids=str
)
@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("loss", EXAMPLES, ids=repr)
def test_the_gradient_agrees_with_differences_of_fourth_order(
    loss: Loss, outputs: int, positions: tuple[int, ...], masked: bool
) -> None:
    loss = for_classes(loss, outputs)
    prediction, target = data_for(loss, (*positions, outputs), seed=outputs)
    mask = np.arange(np.prod(positions)).reshape(positions) % 3 != 1 if masked else None
    expected = differences(lambda x: float(loss.divergence(x, target, mask)), prediction)
    got = gradient(loss, prediction, target, mask)
    assert got.shape == prediction.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("loss", EXAMPLES, ids=repr)
def test_both_modes_are_certified_to_second_order(loss: Loss) -> None:
    loss = for_classes(loss, 3)
    prediction, target = data_for(loss, (2, 3), seed=0)
    assert gn.check_grads(lambda x: loss.divergence(x, target), prediction, order=2).passed


DELTAS: dict[str, tuple[Loss, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "half squared": (losses.HalfSquaredError(), lambda y, d: y - d),
    "mean squared": (losses.MeanSquaredError(), lambda y, d: 2 * (y - d) / y.size),
    "mean absolute": (losses.MeanAbsoluteError(), lambda y, d: np.sign(y - d) / y.size),
    "huber": (losses.Huber(0.3), lambda y, d: np.clip(y - d, -0.3, 0.3)),
    "log cosh": (losses.LogCosh(), lambda y, d: np.tanh(y - d)),
    "quantile": (losses.Quantile(0.9), lambda y, d: np.where(y < d, -0.9, 0.1)),
    "log rate": (losses.Poisson(), lambda z, d: np.exp(z) - d),
    "rate": (losses.Poisson(log_rate=False), lambda y, d: 1 - d / y),
    "sigmoid": (losses.BinaryCrossEntropy(), lambda z, d: sigmoid(z) - d),
    "sigmoid, smoothed": (
        losses.BinaryCrossEntropy(label_smoothing=0.1), lambda z, d: sigmoid(z) - (0.9 * d + 0.05)
    ),
    "softmax": (losses.CrossEntropy(), lambda z, d: softmax(z) - d),
    "softmax, smoothed": (
        losses.CrossEntropy(label_smoothing=0.1), lambda z, d: softmax(z) - (0.9 * d + 0.1 / d.size)
    ),
    "KL": (losses.KLDivergence(), lambda z, d: softmax(z) - d),
    "probabilities": (losses.BinaryCrossEntropyFromProbabilities(), lambda p, d: (p - d) / (p * (1 - p))),
    "distribution": (losses.CrossEntropyFromProbabilities(), lambda p, d: -d / p),
    "hinge": (losses.Hinge(), lambda z, d: np.where(d * z < 1, -d, 0)),
    "squared hinge": (losses.SquaredHinge(), lambda z, d: -2 * d * np.maximum(0, 1 - d * z)),
    "perceptron": (losses.Perceptron(), lambda z, d: np.where(d * z < 0, -d, 0)),
}  # fmt: skip


@pytest.mark.parametrize("case", DELTAS)
def test_delta_is_what_the_documentation_says(case: str) -> None:
    loss, delta = DELTAS[case]
    prediction, target = data_for(loss, (4,), seed=3)
    np.testing.assert_allclose(
        gradient(loss, prediction, target, None), delta(prediction, target), rtol=1e-13
    )


def test_delta_of_the_focal_losses_is_what_the_documentation_says() -> None:
    z = np.array([0.5, -1.0, 2.0])
    p, d, gamma = softmax(z)[0], np.array([1.0, 0.0, 0.0]), 2.0
    slope = (1 - p) ** (gamma - 1) * (1 - p - gamma * p * np.log(p))
    np.testing.assert_allclose(
        gradient(losses.Focal(gamma), z, d, None), slope * (softmax(z) - d), rtol=1e-13
    )
    p = sigmoid(z)
    slope = (1 - p) ** gamma * (gamma * p * np.log(p) - (1 - p))
    got = gradient(losses.BinaryFocal(gamma), z, np.ones(3), None)
    np.testing.assert_allclose(got, slope, rtol=1e-13)


def test_delta_of_the_multiclass_hinge_is_the_best_rival_less_the_class() -> None:
    delta = gradient(losses.MulticlassHinge(), np.array([2.0, 1.5, -1.0]), np.array(0), None)
    assert delta.tolist() == [-1.0, 1.0, 0.0]
    delta = gradient(losses.MulticlassHinge(), np.array([2.0, 0.5, -1.0]), np.array(0), None)
    assert delta.tolist() == [0.0, 0.0, 0.0]


ZERO, ONE = np.zeros(1), np.ones(1)
KINKS = [
    (losses.MeanAbsoluteError(), ZERO, ZERO, 0.0),
    (losses.Quantile(0.9), ZERO, ZERO, 0.0),
    (losses.Huber(1.0), ONE, ZERO, 1.0),
    (losses.Huber(1.0), -ONE, ZERO, -1.0),
    (losses.LogCosh(), ZERO, ZERO, 0.0),
    (losses.Hinge(), ONE, ONE, 0.0),
    (losses.SquaredHinge(), ONE, ONE, 0.0),
    (losses.Perceptron(), ZERO, ONE, -1.0),
    (losses.Perceptron(), ZERO, -ONE, 1.0),
    (losses.CrossEntropyFromProbabilities(), ZERO, ONE, 0.0),
    (losses.CrossEntropyFromProbabilities(epsilon=0.25), ONE / 4, ONE, 0.0),
    (losses.BinaryCrossEntropyFromProbabilities(), ONE, ZERO, 0.0),
    (losses.BinaryCrossEntropyFromProbabilities(), ZERO, ONE, 0.0),
    (losses.Poisson(log_rate=False), ZERO, ZERO, 1.0),
]


@pytest.mark.parametrize(("loss", "prediction", "target", "slope"), KINKS, ids=str)
def test_the_slope_at_a_kink_is_the_documented_one(
    loss: Loss, prediction: np.ndarray, target: np.ndarray, slope: float
) -> None:
    assert gradient(loss, prediction, target, None).tolist() == [slope]


def test_of_rivals_at_the_margin_the_first_class_takes_the_derivative() -> None:
    delta = gradient(losses.MulticlassHinge(), np.array([0.0, 0.0, 0.0]), np.array(2), None)
    assert delta.tolist() == [1.0, 0.0, -1.0]


def test_the_gradient_of_a_batch_is_the_mean_of_the_gradients_of_its_examples() -> None:
    loss = losses.Focal()
    prediction, target = data_for(loss, (4, 3), seed=1)
    together = gn.grad(lambda z: gn.vmap(loss.divergence)(z, target).mean())(prediction)
    alone = [gradient(loss, z, d, None) / 4 for z, d in zip(prediction, target, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-14)
