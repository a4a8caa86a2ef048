"""L-BFGS and conjugate gradients: recurrences written out independently, conditions, and published minima."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import losses
from glassnet.errors import ConfigurationError, DivergedError, DTypeError, ShapeError
from glassnet.optim.conjugate_gradient import CONJUGACIES, ConjugateGradient
from glassnet.optim.descent import DescentMethod
from glassnet.optim.full_batch import FullBatchMethod, State
from glassnet.optim.lbfgs import LBFGS
from glassnet.optim.line_search import LineSearch
from glassnet.optim.problems import Objective, flatten_parameters


@dataclass
class Plain:
    """A problem of two NumPy functions."""

    value: Callable[[np.ndarray], float]
    gradient: Callable[[np.ndarray], np.ndarray]

    def value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        return self.value(point), self.gradient(point)


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


CURVATURES = np.linspace(1.0, 8.0, 12)
TARGET = np.cos(np.arange(12.0))
QUARTIC = Plain(
    lambda x: float(0.5 * x @ (CURVATURES * x) + (x**4).sum() / 4 - TARGET @ x),
    lambda x: CURVATURES * x + x**3 - TARGET,
)
METHODS: list[DescentMethod] = [
    LBFGS(),
    LBFGS(3),
    *(ConjugateGradient(name) for name in CONJUGACIES),
    ConjugateGradient("polak_ribiere", restart=math.inf),
    ConjugateGradient("fletcher_reeves", restart=math.inf),
]


def states(method: FullBatchMethod[Any], problem: Any, point: Any, count: int) -> list[State]:
    found = [method.start(problem, point)]
    while len(found) <= count and not found[-1].converged:
        found.append(method.iterate(problem, found[-1]))
    return found


# --- Independent recurrences: Nocedal and Wright (2006), with the choices that LineSearch documents.


def cubic(a: tuple[float, ...], b: tuple[float, ...]) -> float | None:
    """The minimum of the cubic through (position, value, slope) twice, in Hermite form on [0, 1]."""
    width, rise = b[0] - a[0], b[1] - a[1]
    start, end = a[2] * width, b[2] * width
    c2, c3 = 3 * rise - 2 * start - end, start + end - 2 * rise
    root = c2**2 - 3 * c3 * start
    if root < 0:
        return None
    if c2 > 0:  # the form of the quadratic formula without cancellation
        return a[0] - width * start / (c2 + math.sqrt(root))
    return a[0] + width * (math.sqrt(root) - c2) / (3 * c3)


def wolfe_length(phi: Callable[[float], tuple[float, float]], length: float, c1: float, c2: float) -> float:
    """Algorithms 3.5 and 3.6."""
    zero = (0.0, *phi(0.0))
    before = zero
    while True:
        here = (length, *phi(length))
        decreases = here[1] <= zero[1] + c1 * length * zero[2]
        if decreases and abs(here[2]) <= c2 * abs(zero[2]):
            return length
        if not decreases or (before is not zero and here[1] >= before[1]):
            low, high = before, here
            break
        if here[2] >= 0:
            low, high = here, before
            break
        guess = cubic(before, here)
        length = 10 * length if guess is None else min(max(guess, 2 * length), 10 * length)
        before = here
    while True:
        left, right = min(low[0], high[0]), max(low[0], high[0])
        width = right - left
        guess = cubic(low, high)
        length = (
            (left + right) / 2 if guess is None else min(max(guess, left + width / 10), right - width / 10)
        )
        here = (length, *phi(length))
        decreases = here[1] <= zero[1] + c1 * length * zero[2]
        if decreases and abs(here[2]) <= c2 * abs(zero[2]):
            return length
        if not decreases or here[1] >= low[1]:
            high = here
        else:
            high = low if here[2] * (high[0] - low[0]) >= 0 else high
            low = here


def line(problem: Plain, x: np.ndarray, p: np.ndarray) -> Callable[[float], tuple[float, float]]:
    return lambda a: (problem.value(x + a * p), float(problem.gradient(x + a * p) @ p))


def lbfgs(problem: Plain, x: np.ndarray, history: int) -> Iterator[np.ndarray]:
    """Algorithm 7.5 with H written out as a matrix: equations 7.16 to 7.20 instead of the two loops."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    while True:
        g = problem.gradient(x)
        H = np.eye(x.size)
        if pairs:
            s, y = pairs[-1]
            H = (s @ y) / (y @ y) * H
        for s, y in pairs:
            V = np.eye(x.size) - np.outer(y, s) / (y @ s)
            H = V.T @ H @ V + np.outer(s, s) / (y @ s)
        first = 1.0 if pairs else min(1.0, 1 / np.linalg.norm(g))
        p = -H @ g
        following = x + wolfe_length(line(problem, x, p), first, 1e-4, 0.9) * p
        pairs = [*pairs, (following - x, problem.gradient(following) - g)][-history:]
        x = following
        yield x


def conjugate_gradient(problem: Plain, x: np.ndarray, beta: Any, restart: float) -> Iterator[np.ndarray]:
    """Algorithm 5.4 with the restart of equation 5.52."""
    g = problem.gradient(x)
    p, length = -g, min(1.0, 1 / np.linalg.norm(g))
    while True:
        length = wolfe_length(line(problem, x, p), length, 1e-4, 0.1)
        x = x + length * p
        old, g = g, problem.gradient(x)
        far = abs(g @ old) / (g @ g) >= restart
        p = -g + (0.0 if far else beta(g, old, p)) * p
        yield x


BETAS = {
    "polak_ribiere": lambda g, old, p: max(0.0, g @ (g - old) / (old @ old)),
    "fletcher_reeves": lambda g, old, p: g @ g / (old @ old),
    "hestenes_stiefel": lambda g, old, p: g @ (g - old) / ((g - old) @ p),
}


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("history", [1, 3, 20])
def test_ten_iterations_of_lbfgs_are_those_of_the_recurrence(history: int, scale: float) -> None:
    start = scale * np.sin(np.arange(12.0))
    expected = lbfgs(QUARTIC, start, history)
    found = states(LBFGS(history), QUARTIC, start, 10)
    assert len(found) == 11
    for state in found[1:]:
        np.testing.assert_allclose(state.point, next(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("restart", [0.1, math.inf])
@pytest.mark.parametrize("name", CONJUGACIES)
def test_ten_iterations_of_conjugate_gradients_are_those_of_the_recurrence(
    name: str, restart: float, scale: float
) -> None:
    start = scale * np.sin(np.arange(12.0))
    expected = conjugate_gradient(QUARTIC, start, BETAS[name], restart)
    found = states(ConjugateGradient(name, restart), QUARTIC, start, 10)
    assert len(found) == 11
    for state in found[1:]:
        np.testing.assert_allclose(state.point, next(expected), rtol=1e-12, atol=1e-12)


# --- Minima


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("method", METHODS[:-1], ids=repr)
def test_the_minimum_of_the_rosenbrock_function(method: DescentMethod, size: int) -> None:
    start = np.resize([-1.2, 1.0], size)
    state = method.minimize(Objective(rosenbrock), start, 1500)
    assert state.converged
    np.testing.assert_allclose(state.point, np.ones(size), rtol=0, atol=1e-10)
    assert state.value < 1e-20


def test_restarts_keep_fletcher_reeves_from_crawling() -> None:
    # Powell, Restart procedures for the conjugate gradient method (1977).
    start, problem = np.resize([-1.2, 1.0], 10), Objective(rosenbrock)
    crawling, restarted = (
        ConjugateGradient("fletcher_reeves", restart).minimize(problem, start, 300)
        for restart in (math.inf, 0.1)
    )
    assert crawling.value > 1.0
    assert restarted.value < 1e-20


@pytest.mark.parametrize("name", CONJUGACIES)
def test_conjugate_gradients_end_on_a_quadratic_after_as_many_steps_as_there_are_parameters(
    name: str,
) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    A = rotation * [1.0, 2.0, 3.0, 5.0, 8.0, 13.0] @ rotation.T
    b = np.arange(1.0, 7.0)
    quadratic = Plain(lambda x: float(0.5 * x @ A @ x - b @ x), lambda x: A @ x - b)
    method = ConjugateGradient(name, line_search=LineSearch(1e-6, 1e-5))
    errors = [
        np.linalg.norm(state.point - np.linalg.solve(A, b))
        for state in states(method, quadratic, np.zeros(6), 6)
    ]
    assert errors[5] > 1e-3
    assert errors[6] < 1e-9


def test_lbfgs_is_superlinear_while_it_remembers_everything() -> None:
    A = np.diag([1.0, 2.0, 5.0, 10.0])  # the minimum is 0 at 0
    problem = Plain(lambda x: float(0.5 * x @ A @ x + (x**4).sum() / 4), lambda x: A @ x + x**3)
    found = states(LBFGS(50), problem, [2.0, -1.0, 1.5, 2.0], 30)
    errors = [float(np.linalg.norm(state.point)) for state in found]
    early, middle, late = ((errors[k + 10] / errors[k]) ** 0.1 for k in (0, 10, 20))  # of the mean step
    assert early > 10 * middle > 100 * late
    assert late < 1e-3


# --- The line search


@pytest.mark.parametrize("start", [[-1.2, 1.0, -1.2, 1.0], [5.0, -3.0, 2.0, 9.0]], ids=["near", "far"])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_each_accepted_step_satisfies_the_strong_wolfe_conditions(
    method: DescentMethod, start: list[float]
) -> None:
    found = states(method, Objective(rosenbrock), start, 60)
    assert len(found) > 20
    c1, c2 = method.line_search.sufficient_decrease, method.line_search.curvature
    for before, after in pairwise(found):
        if after.iterations == before.iterations:  # no step: the end
            continue
        step = after.point - before.point
        slope = before.gradient @ step
        rounding = 1e-12 * np.abs(before.gradient) @ np.abs(step) + 1e-15 * before.value
        assert slope < 0
        assert after.value <= before.value + c1 * slope + rounding
        assert abs(after.gradient @ step) <= c2 * abs(slope) + rounding


def more_thuente(number: int) -> tuple[Callable[[Any], Any], float]:
    if number == 1:
        return lambda a: -a / (a * a + 2.0), 1e-3
    if number == 2:
        return lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, 0.1
    return (
        lambda a: (
            gnp.where(a <= 0.99, 1 - a, gnp.where(a >= 1.01, a - 1, (a - 1) ** 2 / 0.02 + 0.005))
            + 2 * 0.99 / (39 * math.pi) * gnp.sin(39 * math.pi / 2 * a)
        ),
        0.1,
    )


@pytest.mark.parametrize("first", [1e-3, 1e-1, 10.0, 1e3])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_line_search_on_the_functions_of_more_and_thuente(number: int, first: float) -> None:
    # More and Thuente, Line search algorithms with guaranteed sufficient decrease (1994), section 5.
    phi, c1 = more_thuente(number)
    c2 = 0.11
    problem = Objective(lambda x: phi(x[0]))
    state = LBFGS().start(problem, [0.0])
    trial, count = LineSearch(c1, c2).search(problem, state, np.ones(1), first)
    assert trial is not None
    assert count <= 30
    value, gradient = gn.value_and_grad(phi)(np.array(trial.length))
    assert (trial.value, trial.slope) == (value, gradient)
    slope = gn.grad(phi)(np.array(0.0))
    assert value <= state.value + c1 * trial.length * slope
    assert abs(gradient) <= c2 * abs(slope)
    expected = wolfe_length(lambda a: gn.value_and_grad(phi)(np.array(a)), first, c1, c2)
    assert trial.length == pytest.approx(expected, rel=1e-6)


def test_a_step_out_of_the_domain_is_refused_and_halved() -> None:
    barrier = Objective(lambda x: -gnp.log(1 - x[0]) - gnp.log(x[0]))
    for method in (LBFGS(), ConjugateGradient()):
        np.testing.assert_allclose(method.minimize(barrier, [0.999]).point, [0.5], rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_value_that_falls_without_end_ends_the_run(method: DescentMethod) -> None:
    state = method.minimize(Plain(lambda x: float(-x[0]), lambda x: np.array([-1.0])), [0.0])
    assert state.converged
    assert state.point == [0.0]
    assert state.evaluations == 1 + method.line_search.evaluations


def test_a_spoilt_memory_is_forgotten_and_the_gradient_followed() -> None:
    problem = Objective(rosenbrock)
    state = states(LBFGS(), problem, [-1.2, 1.0], 5)[-1]
    spoilt = replace(state, memory={"steps": (np.ones(2),), "changes": (-np.ones(2),)})  # H is negative
    after = LBFGS().iterate(problem, spoilt)
    assert after.value < state.value
    assert len(after.memory["steps"]) == 1
    step = after.point - state.point
    assert step @ -state.gradient == pytest.approx(np.linalg.norm(step) * np.linalg.norm(state.gradient))


# --- What every full-batch method promises


@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize(
    "name", ["half_squared_error", "mean_squared_error", "binary_cross_entropy", "cross_entropy"]
)
def test_the_gradient_is_that_of_the_very_value_that_is_reported(name: str, outputs: int) -> None:
    # scikit-learn's L-BFGS for k outputs once followed a gradient k times that of its loss (issue 8349).
    random = np.random.default_rng(outputs)
    X, D = random.normal(size=(6, 3)), np.eye(outputs)[random.integers(outputs, size=6)]
    tree = {
        "hidden": {"weight": random.normal(size=(4, 3)), "bias": np.zeros(4)},
        "out": np.ones((outputs, 4)),
    }
    vector, restore = flatten_parameters(tree)

    def loss(parameters: Any) -> Any:
        hidden = gnp.tanh(X @ parameters["hidden"]["weight"].T + parameters["hidden"]["bias"])
        return gn.vmap(getattr(losses, name))(hidden @ parameters["out"].T, D).mean()

    problem = Objective(lambda point: loss(restore(point)))
    for method in (LBFGS(), ConjugateGradient()):
        state = method.minimize(problem, vector, 3)
        assert state.value == loss(restore(state.point))

        def value(change: np.ndarray, state: State = state, method: Any = method) -> float:
            return method.start(problem, state.point + change).value

        for i, h in enumerate(1e-3 * np.eye(vector.size)):
            slope = (8 * (value(h) - value(-h)) - value(2 * h) + value(-2 * h)) / (12e-3)
            assert state.gradient[i] == pytest.approx(slope, rel=0, abs=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_run_that_goes_on_from_a_stored_state_takes_the_same_steps(method: DescentMethod) -> None:
    problem = Objective(rosenbrock)
    whole = states(method, problem, [-1.2, 1.0, 0.3], 12)
    stored = pickle.loads(pickle.dumps(vars(whole[5])))
    state = State(**stored)
    for expected in whole[6:]:
        state = method.iterate(problem, state)
        assert state.point.tobytes() == expected.point.tobytes()
        assert state.evaluations == expected.evaluations


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_problem_may_reuse_its_buffers_and_is_asked_as_often_as_is_counted(method: DescentMethod) -> None:
    buffer, calls = np.zeros(12), []

    def value_and_gradient(point: np.ndarray) -> tuple[float, np.ndarray]:
        calls.append(point)
        buffer[:] = QUARTIC.gradient(point)
        return QUARTIC.value(point), buffer

    reusing = Plain(QUARTIC.value, QUARTIC.gradient)
    reusing.value_and_gradient = value_and_gradient
    found = states(method, reusing, np.ones(12), 8)
    assert found[-1].point.tobytes() == states(method, QUARTIC, np.ones(12), 8)[-1].point.tobytes()
    assert found[-1].evaluations == len(calls)
    assert not any(point.flags.writeable for point in calls)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_end_is_at_a_flat_gradient_and_stays_there(method: DescentMethod) -> None:
    state = method.start(QUARTIC, LBFGS().minimize(QUARTIC, np.zeros(12)).point)
    tolerant = replace(method, tolerance=1e-6).minimize(QUARTIC, np.ones(12))
    assert tolerant.reason == "no component of the gradient exceeds the tolerance"
    assert 1e-15 < np.abs(tolerant.gradient).max() <= 1e-6
    assert method.iterate(QUARTIC, tolerant) is tolerant
    flat = method.start(Objective(lambda x: (x * x).sum()), np.zeros(3))
    assert flat.converged
    assert flat.evaluations == 1
    assert method.minimize(QUARTIC, state.point).value <= state.value


def test_iterations_are_limited() -> None:
    state = LBFGS().minimize(QUARTIC, np.ones(12), 3)
    assert (state.iterations, state.converged) == (3, False)
    assert LBFGS().minimize(QUARTIC, np.ones(12), 0).evaluations == 1


def test_parameters_flatten_and_come_back_with_their_shapes_and_types() -> None:
    tree = ({"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([7.0, 8.0])}, [], None)
    vector, restore = flatten_parameters(tree)
    assert vector.dtype == np.float64
    assert vector.tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
    back = restore(vector)
    np.testing.assert_array_equal(back[0]["weight"], tree[0]["weight"])
    assert (back[0]["weight"].dtype, back[0]["bias"].dtype) == (np.float32, np.float64)
    assert back[1:] == ([], None)
    assert flatten_parameters({})[0].shape == (0,)


def test_the_gradient_by_a_tree_flattens_to_the_gradient_by_the_vector() -> None:
    tree = {"w": np.array([[0.3, -0.2], [0.1, 0.5]]), "b": np.array(0.7)}
    vector, restore = flatten_parameters(tree)

    def function(p: Any) -> Any:
        return gnp.tanh(p["w"] @ p["w"] + p["b"]).sum()

    by_tree, _ = flatten_parameters(gn.grad(function)(tree))
    np.testing.assert_allclose(gn.grad(lambda v: function(restore(v)))(vector), by_tree, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "error", "what"),
    [
        (
            lambda: LBFGS().start(QUARTIC, np.ones((2, 6))),
            ShapeError,
            r"starting point has shape \(2, 6\).*flat",
        ),
        (lambda: LBFGS().start(QUARTIC, ["a", "b"]), DTypeError, r"starting point holds <U1 values"),
        (lambda: LBFGS().start(QUARTIC, np.ones(2) * 1j), DTypeError, "holds complex128 values"),
        (
            lambda: LBFGS().start(Plain(lambda x: 1.0, lambda x: np.ones(3)), np.ones(2)),
            ShapeError,
            r"gradient of the problem has shape \(3,\).*expected 1 axes \(2\)",
        ),
        (
            lambda: LBFGS().start(Plain(lambda x: x, lambda x: x), np.ones(1)),
            ShapeError,
            r"value of the problem has shape \(1,\).*expected a scalar",
        ),
        (
            lambda: ConjugateGradient().start(Plain(lambda x: math.nan, lambda x: x), np.ones(1)),
            DivergedError,
            "at the starting point is not finite; start from other parameters",
        ),
        (
            lambda: ConjugateGradient().start(Plain(lambda x: 1.0, lambda x: x * math.inf), np.ones(1)),
            DivergedError,
            "its gradient at the starting point is not finite",
        ),
        (lambda: LBFGS(0), ConfigurationError, "LBFGS got history=0; it takes a whole number of at least 1"),
        (lambda: LBFGS(2.5), ConfigurationError, "LBFGS got history=2.5"),
        (lambda: LBFGS(tolerance=-1.0), ConfigurationError, "LBFGS got tolerance=-1.0; .* at least 0"),
        (
            lambda: LBFGS(line_search=0.9),
            ConfigurationError,
            "LBFGS got line_search=0.9; it takes a LineSearch",
        ),
        (lambda: ConjugateGradient("daniel"), ConfigurationError, "it takes one of polak_ribiere, fletcher"),
        (
            lambda: ConjugateGradient(restart=0.0),
            ConfigurationError,
            "restart=0.0; it takes a positive number",
        ),
        (
            lambda: ConjugateGradient(line_search=LineSearch()),
            ConfigurationError,
            "it takes a LineSearch with curvature below 0.5",
        ),
        (lambda: LineSearch(0.0), ConfigurationError, "sufficient_decrease=0.0; it takes a number above 0"),
        (
            lambda: LineSearch(0.2, 0.1),
            ConfigurationError,
            "curvature=0.1; it takes a number above sufficient_decrease=0.2 and below 1",
        ),
        (lambda: LineSearch(evaluations=0), ConfigurationError, "LineSearch got evaluations=0"),
        (
            lambda: flatten_parameters({"w": [np.arange(3)]}),
            DTypeError,
            r"parameters\['w'\]\[0\] holds int64",
        ),
        (
            lambda: flatten_parameters({"w": np.ones(3)})[1](np.ones(4)),
            ShapeError,
            r"vector of 3 parameters was expected; this one has shape \(4,\)",
        ),
    ],
)
def test_ill_input_is_one_sentence(call: Callable[[], Any], error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what) as caught:
        call()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
