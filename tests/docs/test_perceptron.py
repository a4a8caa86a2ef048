"""Curriculum item 21: the perceptron's rule, online and in batches, and logistic regression as one layer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.train.events import BatchesFinished, Event

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
SIGNS = np.array([-1.0, 1.0, 1.0, -1.0])
UNTIL_RIGHT = gn.Convergence(weights=0.0)


def perceptron(inputs: int = 2) -> gn.Network:
    layer = gn.Dense(1, kernel_initializer="zeros")
    return gn.Network([layer], loss="perceptron", dtype="float64", input_shape=inputs)


def separable(seed: int, inputs: int = 2) -> tuple[np.ndarray, np.ndarray, float]:
    """Points, their signs, and Novikoff's bound (R / margin)^2 for the hyperplane that made them."""
    key = gn.random.key(seed)
    X = 2 * gn.random.uniform(key.fold(0), (200, inputs)) - 1
    plane = gn.random.normal(key.fold(1), (inputs + 1,))
    plane[-1] *= 0.2
    extended = np.column_stack([X, np.ones(200)])
    distance = extended @ plane / np.linalg.norm(plane)
    kept = np.abs(distance) > 0.05
    radius = np.linalg.norm(extended[kept], axis=1).max()
    return X[kept], np.sign(distance[kept]), float((radius / np.abs(distance[kept]).min()) ** 2)


@pytest.mark.parametrize("inputs", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_novikoffs_bound_holds_for_the_online_rule(seed: int, inputs: int) -> None:
    X, d, bound = separable(seed, inputs)
    mistakes = [1]  # the first step, from weights of zero, is a mistake without a loss

    def count(event: Event) -> None:
        if isinstance(event, BatchesFinished):
            mistakes.append(int(event.loss > 0))

    net = perceptron(inputs)
    history = net.fit(
        X,
        d,
        epochs=int(bound) + 2,
        batch_size=1,
        optimizer="perceptron",
        stopping=UNTIL_RIGHT,
        listeners=[count],
        steps_per_event=1,
        progress=False,
    )
    assert history.stopped is not None
    assert sum(mistakes) <= bound
    assert net.evaluate(X, d)["accuracy"] == 1.0


def test_a_step_adds_the_instance_where_it_is_wrong_and_nothing_else() -> None:
    net = gn.Network([gn.Dense(1)], loss="perceptron", dtype="float64", input_shape=2, classes=[-1.0, 1.0])
    net.parameters = {"dense_1.weight": [[1.0, -1.0]], "dense_1.bias": [0.5]}
    step = {"epochs": 1, "batch_size": 1, "optimizer": "perceptron", "progress": False}
    net.fit([[2.0, 1.0]], [1.0], **step)  # z = 1.5: right
    assert net.parameters["dense_1.weight"].tolist() == [[1.0, -1.0]]
    net.fit([[2.0, 1.0]], [-1.0], **step)
    assert net.parameters["dense_1.weight"].tolist() == [[-1.0, -2.0]]
    assert net.parameters["dense_1.bias"].tolist() == [-0.5]


@pytest.mark.parametrize("seed", range(3))
def test_the_batch_perceptron_ends_without_mistakes(seed: int) -> None:
    X, d, _ = separable(seed)
    net = perceptron()
    history = net.fit(
        X,
        d,
        epochs=20000,
        batch_size=None,
        optimizer="perceptron",
        stopping=UNTIL_RIGHT,
        progress=False,
    )
    assert history.stopped is not None
    assert history.loss[-1] == 0.0
    assert net.evaluate(X, d)["accuracy"] == 1.0


@pytest.mark.parametrize("start", [(1.0, 0.0, 0.0), (-2.0, 0.5, 1.0), (0.25, 3.0, -1.5)], ids=str)
def test_on_xor_the_weights_go_round_in_a_cycle(start: tuple[float, float, float]) -> None:
    net = perceptron()
    net.parameters = {"dense_1.weight": [start[:2]], "dense_1.bias": [start[2]]}
    program = net.training_program(CORNERS, SIGNS, batch_size=None, optimizer="perceptron")
    seen: list[tuple[float, ...]] = []
    for _ in range(60):
        program.run_epoch()
        w, b = program.parameters
        seen.append((*w[0].tolist(), *b.tolist()))
        assert np.any(SIGNS * (CORNERS @ w[0] + b) <= 0)  # no line separates them
    # Steps are multiples of 1/4, so that floating point repeats a state exactly.
    assert seen[-1] in seen[-20:-1]
    assert np.abs(seen[-20:]).max() <= 1.0


def newton(A: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Iteratively reweighted least squares."""
    w = np.zeros(A.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-A @ w))
        w = w + np.linalg.solve(A.T @ (A * (p * (1 - p))[:, None]), A.T @ (labels - p))
    return w


@pytest.mark.parametrize(
    ("optimizer", "epochs"), [(gn.SGD(4.0), 500), (gn.LBFGS(), 50)], ids=["gradient descent", "L-BFGS"]
)
def test_one_layer_with_cross_entropy_is_logistic_regression(optimizer, epochs: int) -> None:
    key = gn.random.key(1)
    X = gn.random.normal(key.fold(0), (200, 3))
    p = gnp.sigmoid(X @ [1.0, -2.0, 0.5] + 0.3)
    labels = (gn.random.uniform(key.fold(1), (200,)) < p).astype(int)
    net = gn.Network([gn.Dense(1)], loss="binary_cross_entropy", dtype="float64")
    net.fit(X, labels, epochs=epochs, batch_size=None, optimizer=optimizer, progress=False)
    got = np.append(net.parameters["dense_1.weight"][0], net.parameters["dense_1.bias"])
    np.testing.assert_allclose(got, newton(np.column_stack([X, np.ones(200)]), labels), atol=1e-6)


def test_on_separable_points_the_logistic_weights_grow_without_end() -> None:
    X, d, _ = separable(seed=0)
    net = gn.Network([gn.Dense(1)], loss="binary_cross_entropy", dtype="float64", input_shape=2)
    program = net.training_program(X, d > 0, batch_size=None, optimizer=gn.SGD(4.0))
    sizes = []
    for epochs in (1000, 1000, 2000, 4000, 8000):  # each as many as all before it
        program.run_epochs(epochs)
        sizes.append(np.linalg.norm(program.parameters[0]))
    growth = np.diff(sizes)
    assert all(later > 0.9 * before for before, later in pairwise(growth))
