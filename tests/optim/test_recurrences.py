"""Ten steps of every optimiser against its recurrence, written out in NumPy from its paper.

Each recurrence works on one array w and yields it after each gradient; a tree is the same for every leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet import optim
from glassnet.core.tree import flatten, tree_map
from glassnet.optim import OPTIMIZERS, Optimizer

Array = np.ndarray
Recurrence = Callable[[Array, Iterable[Array]], Iterator[Array]]


def sgd(rate: float, mu: float = 0.0) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Sutskever et al. 2013, eqs. 1, 2
        v = np.zeros_like(w)
        for g in gradients:
            v = mu * v - rate * g
            w = w + v
            yield w

    return steps


def nesterov(rate: float, mu: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Bengio et al. 2013, eq. 7
        v = np.zeros_like(w)
        for g in gradients:
            before, v = v, mu * v - rate * g
            w = w - mu * before + (1 + mu) * v
            yield w

    return steps


def adagrad(rate: float, initial: float, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Duchi et al. 2011, eq. 1
        seen = []
        for g in gradients:
            seen.append(g)
            w = w - rate * g / (np.sqrt(initial + np.sum(np.square(seen), axis=0)) + epsilon)
            yield w

    return steps


def rmsprop(rate: float, rho: float, mu: float, centred: bool, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Graves 2013, eqs. 38 to 41
        n, a, delta = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
        for g in gradients:
            n = rho * n + (1 - rho) * g**2
            a = rho * a + (1 - rho) * g
            variance = np.maximum(n - a**2, 0) if centred else n
            delta = mu * delta - rate * g / (np.sqrt(variance) + epsilon)
            w = w + delta
            yield w

    return steps


def adadelta(rate: float, rho: float, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Zeiler 2012, algorithm 1
        square_g, square_x = np.zeros_like(w), np.zeros_like(w)
        for g in gradients:
            square_g = rho * square_g + (1 - rho) * g**2
            x = -np.sqrt(square_x + epsilon) / np.sqrt(square_g + epsilon) * g
            square_x = rho * square_x + (1 - rho) * x**2
            w = w + rate * x
            yield w

    return steps


def adam(
    rate: float, b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-8, decay: float = 0.0
) -> Recurrence:
    # Kingma and Ba 2015, algorithm 1; with decay Loshchilov and Hutter 2019, algorithm 2, lines 9 to 12
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:
        m, v = np.zeros_like(w), np.zeros_like(w)
        for t, g in enumerate(gradients, 1):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            w = w - rate * ((m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon) + decay * w)
            yield w

    return steps


def amsgrad(rate: float, b1: float, b2: float, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Reddi et al. 2018, algorithm 2
        m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
        for g in gradients:
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            largest = np.maximum(largest, v)
            w = w - rate * m / (np.sqrt(largest) + epsilon)
            yield w

    return steps


def adamax(rate: float, b1: float, b2: float, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Kingma and Ba 2015, algorithm 2
        m, u = np.zeros_like(w), np.zeros_like(w)
        for t, g in enumerate(gradients, 1):
            m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, np.abs(g))
            w = w - rate / (1 - b1**t) * m / (u + epsilon)
            yield w

    return steps


def nadam(rate: float, b1: float, b2: float, psi: float, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Dozat 2016, algorithm 2
        mu = [b1 * (1 - 0.5 * 0.96 ** (psi * t)) for t in range(1, 20)]
        m, n = np.zeros_like(w), np.zeros_like(w)
        for t, g in enumerate(gradients, 1):
            now, later = mu[t - 1], mu[t]
            m, n = now * m + (1 - now) * g, b2 * n + (1 - b2) * g**2
            ahead = later * m / (1 - np.prod(mu[: t + 1])) + (1 - now) * g / (1 - np.prod(mu[:t]))
            w = w - rate * ahead / (np.sqrt(n / (1 - b2**t)) + epsilon)
            yield w

    return steps


def radam(rate: float, b1: float, b2: float, epsilon: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Liu et al. 2020, algorithm 2
        m, v = np.zeros_like(w), np.zeros_like(w)
        limit = 2 / (1 - b2) - 1
        for t, g in enumerate(gradients, 1):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            mean, length = m / (1 - b1**t), limit - 2 * t * b2**t / (1 - b2**t)
            if length > 4:
                r = np.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
                w = w - rate * r * mean / (np.sqrt(v / (1 - b2**t)) + epsilon)
            else:
                w = w - rate * mean
            yield w

    return steps


def lamb(rate: float, b1: float, b2: float, epsilon: float, decay: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # You et al. 2020, algorithm 2
        m, v = np.zeros_like(w), np.zeros_like(w)
        for t, g in enumerate(gradients, 1):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon) + decay * w
            w = w - rate * np.linalg.norm(w.ravel()) / np.linalg.norm(r.ravel()) * r
            yield w

    return steps


def lion(rate: float, b1: float, b2: float, decay: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Chen et al. 2023, algorithm 2
        m = np.zeros_like(w)
        for g in gradients:
            w = w - rate * (np.sign(b1 * m + (1 - b1) * g) + decay * w)
            m = b2 * m + (1 - b2) * g
            yield w

    return steps


def rprop(first: float, growth: float, shrinkage: float, low: float, high: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Igel and Huesken 2000, iRprop-
        w, size, before = w.copy(), np.full_like(w, first), np.zeros_like(w)
        for gradient in gradients:
            g = gradient.copy()
            for i in np.ndindex(w.shape):  # element by element, as the paper states it
                if before[i] * g[i] > 0:
                    size[i] = min(size[i] * growth, high)
                elif before[i] * g[i] < 0:
                    size[i] = max(size[i] * shrinkage, low)
                    g[i] = 0
                w[i] -= np.sign(g[i]) * size[i]
            before = g
            yield w.copy()

    return steps


def muon(rate: float, mu: float, look_ahead: bool, decay: float) -> Recurrence:
    def steps(w: Array, gradients: Iterable[Array]) -> Iterator[Array]:  # Liu et al. 2025, section 2.2
        if w.ndim < 2:
            yield from adam(rate, decay=decay)(w, gradients)
            return
        momentum = np.zeros_like(w)
        for g in gradients:
            momentum = mu * momentum + g
            x = g + mu * momentum if look_ahead else momentum
            u, s, vt = np.linalg.svd(x, full_matrices=False)
            s = s / (np.linalg.norm(x) + 1e-7)
            for _ in range(5):  # the quintic acts on the singular values alone
                s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
            w = w - rate * (0.2 * np.sqrt(max(w.shape)) * (u * s) @ vt + decay * w)
            yield w

    return steps


CASES: dict[str, tuple[Optimizer, Recurrence]] = {
    "gradient descent": (gn.SGD(0.1), sgd(0.1)),
    "momentum": (gn.SGD(0.1, momentum=0.8), sgd(0.1, 0.8)),
    "nesterov": (gn.SGD(0.1, momentum=0.8, nesterov=True), nesterov(0.1, 0.8)),
    "perceptron": (optim.Perceptron(0.5), sgd(0.5)),
    "adagrad": (optim.Adagrad(0.05), adagrad(0.05, 0.0, 1e-10)),
    "adagrad, initial": (optim.Adagrad(0.05, 0.1, 1e-3), adagrad(0.05, 0.1, 1e-3)),
    "rmsprop": (optim.RMSprop(0.01), rmsprop(0.01, 0.9, 0.0, False, 1e-8)),
    "rmsprop, centred, momentum": (
        optim.RMSprop(0.01, 0.8, 0.7, centred=True, epsilon=1e-3),
        rmsprop(0.01, 0.8, 0.7, True, 1e-3),
    ),
    "adadelta": (optim.Adadelta(), adadelta(1.0, 0.95, 1e-6)),
    "adadelta, rate": (optim.Adadelta(0.3, 0.8, 1e-3), adadelta(0.3, 0.8, 1e-3)),
    "adam": (gn.Adam(0.05), adam(0.05)),
    "adam, other constants": (gn.Adam(0.05, 0.5, 0.9, 1e-3), adam(0.05, 0.5, 0.9, 1e-3)),
    "adam without moments": (gn.Adam(0.05, 0.0, 0.0, 1e-3), adam(0.05, 0.0, 0.0, 1e-3)),
    "adamw": (optim.AdamW(0.05, weight_decay=0.1), adam(0.05, decay=0.1)),
    "amsgrad": (optim.AMSGrad(0.05, 0.8, 0.9), amsgrad(0.05, 0.8, 0.9, 1e-8)),
    "adamax": (optim.Adamax(0.05, 0.8, 0.9), adamax(0.05, 0.8, 0.9, 1e-8)),
    "nadam": (optim.Nadam(0.05), nadam(0.05, 0.9, 0.999, 0.004, 1e-8)),
    "nadam, other constants": (
        optim.Nadam(0.05, 0.8, 0.9, 1e-3, 0.5),
        nadam(0.05, 0.8, 0.9, 0.5, 1e-3),
    ),
    "radam": (optim.RAdam(0.05), radam(0.05, 0.9, 0.999, 1e-8)),
    "radam, early": (optim.RAdam(0.05, 0.8, 0.85), radam(0.05, 0.8, 0.85, 1e-8)),
    "lamb": (optim.LAMB(0.05, weight_decay=0.1), lamb(0.05, 0.9, 0.999, 1e-6, 0.1)),
    "lion": (optim.Lion(0.05, weight_decay=0.1), lion(0.05, 0.9, 0.99, 0.1)),
    "rprop": (optim.Rprop(0.05), rprop(0.05, 1.2, 0.5, 1e-6, 50.0)),
    "rprop at its limits": (
        optim.Rprop(0.05, 1.5, 0.3, 0.02, 0.1),
        rprop(0.05, 1.5, 0.3, 0.02, 0.1),
    ),
    "muon": (optim.Muon(0.05), muon(0.05, 0.95, True, 0.0)),
    "muon, decay": (optim.Muon(0.05, 0.8, nesterov=False, weight_decay=0.1), muon(0.05, 0.8, False, 0.1)),
}


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_are_those_of_the_recurrence(
    case: str, parameters: Any, gradients: list[Any], run: Any, assert_equal: Any
) -> None:
    optimizer, recurrence = CASES[case]
    visited = run(optimizer, parameters, gradients, optimizer.learning_rate)
    for leaf, start in enumerate(flatten(parameters)[0]):
        expected = list(recurrence(start, [flatten(g)[0][leaf] for g in gradients]))
        assert len(expected) == len(visited)
        assert_equal([flatten(tree)[0][leaf] for tree in visited], expected)


@pytest.mark.parametrize("engine", ["interpreter", "compiled"])
@pytest.mark.parametrize("case", CASES)
def test_a_traced_step_gives_the_numbers_of_a_plain_one(
    case: str, engine: str, parameters: Any, gradients: list[Any], assert_equal: Any
) -> None:
    optimizer, _ = CASES[case]
    traced = gn.compile(optimizer.update, engine=engine)
    state = optimizer.init(parameters)
    for step, g in enumerate(gradients[:3], 1):
        expected = optimizer.update(g, state, parameters, float(step), 0.05)
        assert_equal(traced(g, state, parameters, float(step), 0.05), expected)
        state = expected[1]


def test_every_named_optimiser_is_one_of_the_cases_or_a_wrapper() -> None:
    tested = {type(optimizer) for optimizer, _ in CASES.values()}
    assert {type(optimizer) for optimizer in OPTIMIZERS.values()} - tested == {optim.SAM, optim.ScheduleFree}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_named_optimiser_goes_down_a_quadratic(name: str, parameters: Any) -> None:
    optimizer = OPTIMIZERS[name]

    def quadratic(tree: Any) -> tuple[float, Any]:
        return sum(float(np.sum(leaf**2)) / 2 for leaf in flatten(tree)[0]), tree

    state, point = optimizer.init(parameters), parameters
    for step in range(1, 101):
        _, point, state = optimizer.advance(quadratic, point, state, step, optimizer.learning_rate)
    assert quadratic(optimizer.evaluated(point, state))[0] < quadratic(parameters)[0]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_float32_stays_float32(name: str, parameters: Any) -> None:
    optimizer = OPTIMIZERS[name]
    small = tree_map(lambda w: w.astype(np.float32), parameters)
    step, rate = np.float32(1), np.float32(0.01)
    state = optimizer.init(small)
    assert {np.asarray(leaf).dtype for leaf in flatten(state)[0]} <= {np.dtype(np.float32)}
    results = optimizer.advance(lambda p: (np.float32(0), p), small, state, step, rate)[1:]
    assert {np.asarray(leaf).dtype for leaf in flatten(results)[0]} == {np.dtype(np.float32)}


def test_nesterov_is_the_gradient_at_the_point_ahead() -> None:
    # v <- mu v - eta f'(x + mu v); x <- x + v (Sutskever et al. 2013, equations 3 and 4), with w = x + mu v
    matrix, mu, rate = np.array([[3.0, 1.0], [1.0, 2.0]]), 0.8, 0.1
    x, v = np.array([1.0, -2.0]), np.zeros(2)
    optimizer = gn.SGD(rate, momentum=mu, nesterov=True)
    w = {"w": x}
    state = optimizer.init(w)
    for step in range(1, 11):
        _, w, state = optimizer.advance(lambda p: (0.0, {"w": matrix @ p["w"]}), w, state, step, rate)
        v = mu * v - rate * matrix @ (x + mu * v)
        x = x + v
        np.testing.assert_allclose(w["w"], x + mu * v, rtol=0, atol=1e-12)


def test_muon_takes_a_kernel_as_a_matrix_of_outputs() -> None:
    random = np.random.default_rng(0)
    kernel, g = random.normal(size=(3, 2, 2, 2)), random.normal(size=(3, 2, 2, 2))
    optimizer = optim.Muon(0.1)
    steps, flat = (
        optimizer.update({"w": b}, optimizer.init({"w": a}), {"w": a}, 1, 0.1)[0]["w"]
        for a, b in ((kernel, g), (kernel.reshape(3, 8), g.reshape(3, 8)))
    )
    np.testing.assert_array_equal(steps.reshape(3, 8), flat)


def test_muon_makes_singular_values_of_about_one() -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 12))
    found = np.linalg.svd(optim.orthogonal.orthogonalized(matrix), compute_uv=False)
    assert np.all((found > 0.65) & (found < 1.25))


def test_lamb_takes_the_plain_step_from_zero_and_at_zero() -> None:
    optimizer = optim.LAMB(0.1)
    zero, one = {"w": np.zeros(2)}, {"w": np.ones(2)}
    steps = optimizer.update(one, optimizer.init(zero), zero, 1, 0.1)[0]["w"]
    np.testing.assert_allclose(steps, 0.1, rtol=1e-5)
    np.testing.assert_array_equal(optimizer.update(zero, optimizer.init(one), one, 1, 0.1)[0]["w"], 0.0)


def test_rprop_sees_signs_of_gradients_whose_product_underflows() -> None:
    optimizer, w = optim.Rprop(0.1), {"w": np.zeros(1, np.float32)}
    state, tiny = optimizer.init(w), {"w": np.array([1e-30], np.float32)}
    for step, expected in ((1, 0.1), (2, 0.12)):
        steps, state = optimizer.update(tiny, state, w, step, np.float32(0.1))
        assert steps["w"][0] == pytest.approx(expected, rel=1e-6)


def test_the_first_step_of_adam_in_float32_has_the_length_of_the_rate() -> None:
    # 1 - 0.999 in float32 is wrong in the fifth digit; the correction must not be.
    w, g = {"w": np.array([1.0], np.float32)}, {"w": np.array([0.5], np.float32)}
    steps, _ = gn.Adam(0.25).update(g, gn.Adam().init(w), w, np.float32(1), np.float32(0.25))
    assert steps["w"][0] == pytest.approx(0.25, abs=1e-6)
