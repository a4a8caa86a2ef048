"""The gradient that the optimiser sees is the derivative of the loss that is reported, for every loss."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.losses import LOSSES, Loss

ROWS = 7
RATE = 0.25
REGULARIZERS: dict[str, Any] = {
    "none": None,
    "L1": gn.L1(0.03),
    "L2": gn.L2(0.1),
    "elastic": gn.Elastic(0.02, 0.1),
}
OF_PROBABILITIES = {
    "binary_cross_entropy_from_probabilities": "sigmoid",
    "cross_entropy_from_probabilities": "softmax",
}
NAMES = tuple(LOSSES)
Parameters = dict[str, np.ndarray]


def target_for(loss: Loss, outputs: int, rng: np.random.Generator) -> np.ndarray | None:
    """Targets of the kind that the loss takes, none where it does not take so few outputs."""
    if loss.targets in ("classes", "distribution") and outputs == 1:
        return None
    if loss.targets == "classes":
        return np.arange(ROWS) % outputs
    shape = (ROWS, outputs)
    return {
        "distribution": lambda: rng.dirichlet(np.ones(outputs), size=ROWS),
        "binary": lambda: rng.random(shape),
        "signs": lambda: np.sign(rng.normal(size=shape)),
        "counts": lambda: rng.poisson(2.0, shape).astype(float),
        "values": lambda: rng.normal(size=shape),
    }[loss.targets]()


CASES = [
    (name, outputs, weighted)
    for name, outputs, weighted in product(NAMES, (1, 2, 5), (False, True))
    if target_for(LOSSES[name], outputs, np.random.default_rng(0)) is not None
]


def reported_by_hand(
    net: gn.Network, x: np.ndarray, target: np.ndarray, weight: np.ndarray | None, reduction: str
) -> Callable[[Parameters], float]:
    """What `history.loss` shall say of these parameters: the definition, without the training program."""

    def activated(z: np.ndarray) -> np.ndarray:
        made = OF_PROBABILITIES.get(net.loss.name)
        return np.asarray(gn.vmap(gn.nn.activations.resolve(made, "a test"))(z)) if made else z

    def loss(parameters: Parameters) -> float:
        hidden = np.tanh(x @ parameters["dense_1.weight"].T + parameters["dense_1.bias"])
        last = activated(hidden @ parameters["dense_2.weight"].T + parameters["dense_2.bias"])
        each = np.array([float(net.loss.divergence(y, d)) for y, d in zip(last, target, strict=True)])
        penalty = sum(
            float(layer.regularizer.penalty({"weight": parameters[f"{name}.weight"]}))
            for name, layer in zip(("dense_1", "dense_2"), net.layers, strict=True)
            if layer.regularizer
        )
        weights = np.ones(ROWS) if weight is None else weight
        total = float(weights @ each)
        return (total if reduction == "sum" else total / weights.sum()) + penalty

    return loss


def slope(loss: Callable[[Parameters], float], at: Parameters, along: Parameters) -> float:
    """The derivative along a direction, by Richardson's differences of fourth order."""

    def difference(h: float) -> float:
        ahead, behind = ({n: a + s * along[n] for n, a in at.items()} for s in (h, -h))
        return (loss(ahead) - loss(behind)) / (2 * h)

    return (4 * difference(1e-4) - difference(2e-4)) / 3


@pytest.mark.parametrize(("name", "outputs", "weighted"), CASES)
def test_a_step_goes_down_the_derivative_of_the_reported_loss(
    name: str, outputs: int, weighted: bool
) -> None:
    number = CASES.index((name, outputs, weighted))
    rng = np.random.default_rng(number)
    reduction = ("mean", "sum")[number // 2 % 2]
    regularizer = list(REGULARIZERS.values())[number % len(REGULARIZERS)]
    layers = [
        gn.Dense(3, activation="tanh", regularizer=regularizer),
        gn.Dense(outputs, activation=OF_PROBABILITIES.get(name, "identity"), regularizer=REGULARIZERS["L2"]),
    ]
    net = gn.Network(layers, loss=name, seed=number, dtype="float64", input_shape=2, reduction=reduction)
    # Weights away from 0, where L1 has its kink; biases that are not 0.
    net.parameters = {n: np.sign(a + 0.5) * 0.2 + a for n, a in net.parameters.items()}
    x, target = rng.normal(size=(ROWS, 2)), target_for(net.loss, outputs, rng)
    assert target is not None
    weight = rng.uniform(0.1, 3.0, ROWS) if weighted else None
    before = {n: a.copy() for n, a in net.parameters.items()}
    history = net.fit(
        x,
        target,
        epochs=1,
        batch_size=None,
        optimizer=gn.SGD(RATE),
        sample_weight=weight,
        engine="interpreter",
    )
    loss = reported_by_hand(net, x, target, weight, reduction)
    assert history.loss[0] == pytest.approx(loss(before), rel=1e-13)
    gradient = {n: (before[n] - a) / RATE for n, a in net.parameters.items()}
    size = max(float(np.abs(g).max()) for g in gradient.values())
    for _ in range(4):
        along = {n: rng.normal(size=a.shape) for n, a in before.items()}
        step = sum(float(np.vdot(gradient[n], along[n])) for n in before)
        assert abs(step - slope(loss, before, along)) <= 1e-8 * max(1.0, size)


def test_every_loss_weighting_reduction_and_regularizer_occurs() -> None:
    assert {name for name, _, _ in CASES} == set(NAMES)
    seen = {(weighted, number // 2 % 2) for number, (_, _, weighted) in enumerate(CASES)}
    assert len(seen) == 4
    assert {number % len(REGULARIZERS) for number in range(len(CASES))} == set(range(len(REGULARIZERS)))
