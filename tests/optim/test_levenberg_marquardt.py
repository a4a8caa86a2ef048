"""Levenberg-Marquardt: certified fits, the recurrence by normal equations, and awkward Jacobians."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DivergedError, DTypeError, ShapeError
from glassnet.optim.full_batch import State
from glassnet.optim.lbfgs import LBFGS
from glassnet.optim.levenberg_marquardt import LevenbergMarquardt, damped_step
from glassnet.optim.problems import LeastSquares

# NIST, Statistical Reference Datasets, nonlinear regression: https://www.itl.nist.gov/div898/strd/nls
MISRA1A = np.array(
    [
        (77.6, 10.07), (114.9, 14.73), (141.1, 17.94), (190.8, 23.93), (239.9, 29.61), (289.0, 35.18),
        (332.8, 40.02), (378.4, 44.82), (434.8, 50.76), (477.3, 55.05), (536.8, 61.01), (593.1, 66.40),
        (689.1, 75.47), (760.0, 81.78),
    ]
).T  # fmt: skip
THURBER = np.array(
    [
        (-3.067, 80.574), (-2.981, 84.248), (-2.921, 87.264), (-2.912, 87.195), (-2.840, 89.076),
        (-2.797, 89.608), (-2.702, 89.868), (-2.699, 90.101), (-2.633, 92.405), (-2.481, 95.854),
        (-2.363, 100.696), (-2.322, 101.060), (-1.501, 401.672), (-1.460, 390.724), (-1.274, 567.534),
        (-1.212, 635.316), (-1.100, 733.054), (-1.046, 759.087), (-0.915, 894.206), (-0.714, 990.785),
        (-0.566, 1090.109), (-0.545, 1080.914), (-0.400, 1122.643), (-0.309, 1178.351), (-0.109, 1260.531),
        (-0.103, 1273.514), (0.010, 1288.339), (0.119, 1327.543), (0.377, 1353.863), (0.790, 1414.509),
        (0.963, 1425.208), (1.006, 1421.384), (1.115, 1442.962), (1.572, 1464.350), (1.841, 1468.705),
        (2.047, 1447.894), (2.200, 1457.628),
    ]
).T  # fmt: skip
MGH09 = np.array(
    [
        (4.0, 0.1957), (2.0, 0.1947), (1.0, 0.1735), (0.5, 0.16), (0.25, 0.0844), (0.167, 0.0627),
        (0.125, 0.0456), (0.1, 0.0342), (0.0833, 0.0323), (0.0714, 0.0235), (0.0625, 0.0246),
    ]
).T  # fmt: skip


def misra1a(b: Any) -> Any:
    x, y = MISRA1A
    return b[0] * (1 - gnp.exp(-b[1] * x)) - y


def thurber(b: Any) -> Any:
    x, y = THURBER
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3) - y


def mgh09(b: Any) -> Any:
    x, y = MGH09
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]) - y


CERTIFIED: dict[Callable[[Any], Any], tuple[list[list[float]], list[float], float]] = {
    misra1a: (
        [[500.0, 1e-4], [250.0, 5e-4]],
        [2.3894212918e02, 5.5015643181e-04],
        1.2455138894e-01,
    ),
    thurber: (
        [[1000.0, 1000.0, 400.0, 40.0, 0.7, 0.3, 0.03], [1300.0, 1500.0, 500.0, 75.0, 1.0, 0.4, 0.05]],
        [
            1.2881396800e03,
            1.4910792535e03,
            5.8323836877e02,
            7.5416644291e01,
            9.6629502864e-01,
            3.9797285797e-01,
            4.9727297349e-02,
        ],
        5.6427082397e03,
    ),
    mgh09: (
        [[25.0, 39.0, 41.5, 39.0], [0.25, 0.39, 0.415, 0.39]],
        [1.9280693458e-01, 1.9128232873e-01, 1.2305650693e-01, 1.3606233068e-01],
        3.0750560385e-04,
    ),
}
VALLEY = LeastSquares(lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0], x[0] * x[1] - 0.5])
FLAT = "no component of the gradient exceeds the tolerance"


@pytest.mark.parametrize("scaling", ["diagonal", "identity"])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("model", CERTIFIED)
def test_the_certified_values_of_published_fits(
    model: Callable[[Any], Any], start: int, scaling: str
) -> None:
    starts, parameters, sum_of_squares = CERTIFIED[model]
    state = LevenbergMarquardt(scaling=scaling).minimize(LeastSquares(model), starts[start], 150)
    assert state.converged
    np.testing.assert_allclose(state.point, parameters, rtol=1e-7)
    assert 2 * state.value == pytest.approx(sum_of_squares, rel=1e-10)


@pytest.mark.parametrize("scaling", ["diagonal", "identity"])
@pytest.mark.parametrize("damping", [1e-8, 1.0])
def test_ten_iterations_are_those_of_the_recurrence(damping: float, scaling: str) -> None:
    # Madsen, Nielsen and Tingleff (2004), algorithm 3.16, each attempt an iteration, by normal equations.
    method = LevenbergMarquardt(damping, scaling)
    x = np.array([-1.2, 1.0])
    state = method.start(VALLEY, x)
    J = VALLEY.jacobian(x)
    D = np.diag(J.T @ J) if scaling == "diagonal" else np.full(2, np.diag(J.T @ J).max())
    accepted, attempts, mu, nu = 0, 0, damping, 2.0
    while accepted < 10:
        r, J = VALLEY.residuals(x), VALLEY.jacobian(x)
        h = np.linalg.solve(J.T @ J + mu * np.diag(D), -J.T @ r)
        attempts += 1
        new = VALLEY.residuals(x + h)
        gain = (r @ r - new @ new) / (h @ (mu * D * h - J.T @ r))
        if gain <= 0:
            mu, nu = mu * nu, 2 * nu
            continue
        accepted, x = accepted + 1, x + h
        mu, nu = mu * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
        J = VALLEY.jacobian(x)
        D = np.maximum(D, np.diag(J.T @ J)) if scaling == "diagonal" else D
        state = method.iterate(VALLEY, state)
        np.testing.assert_allclose(state.point, x, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(state.gradient, J.T @ new, rtol=1e-9, atol=1e-12)
        assert state.value == pytest.approx(new @ new / 2, rel=1e-12)
        assert (state.iterations, state.evaluations) == (accepted, 1 + attempts)
    if damping < 1:
        assert attempts > accepted  # steps have been refused


def test_a_step_solves_the_damped_normal_equations() -> None:
    random = np.random.default_rng(1)
    J, r, damping = random.normal(size=(9, 4)), random.normal(size=9), np.array([0.1, 2.0, 0.5, 1e-6])
    step, predicted = damped_step(np.column_stack([J, r]), damping)
    np.testing.assert_allclose(J.T @ (J @ step) + damping * step, -J.T @ r, rtol=0, atol=1e-13)
    linear = r + J @ step
    decrease = (r @ r - linear @ linear) / 2 - damping @ step**2 / 2
    assert predicted == pytest.approx(decrease + damping @ step**2 / 2, rel=1e-12)


def test_the_gradient_is_that_of_half_the_sum_of_squares() -> None:
    point = np.array([0.3, -0.7])
    value, gradient = gn.value_and_grad(lambda x: 0.5 * (gnp.stack(VALLEY.function(x)) ** 2).sum())(point)
    for found in (VALLEY.value_and_gradient(point), vars_of(LevenbergMarquardt().start(VALLEY, point))):
        assert found[0] == pytest.approx(value, rel=1e-14)
        np.testing.assert_allclose(found[1], gradient, rtol=1e-13)


def vars_of(state: State) -> tuple[float, np.ndarray]:
    return state.value, state.gradient


def test_the_same_problem_is_one_for_lbfgs() -> None:
    by_squares = LevenbergMarquardt().minimize(VALLEY, [-1.2, 1.0])
    by_value = LBFGS().minimize(VALLEY, [-1.2, 1.0])
    np.testing.assert_allclose(by_squares.point, by_value.point, rtol=0, atol=1e-7)


class Products:
    """The problem of J and r as products alone, as one sums them batch by batch."""

    def __init__(self, problem: LeastSquares) -> None:
        self.problem = problem

    def residuals(self, point: np.ndarray) -> np.ndarray:
        return self.problem.residuals(point)

    def normal_equations(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        J = self.problem.jacobian(point)
        return J.T @ J, J.T @ self.residuals(point)


def test_products_of_the_jacobian_serve_as_well_as_the_jacobian() -> None:
    for scaling in ("diagonal", "identity"):
        method = LevenbergMarquardt(scaling=scaling)
        whole, products = method.start(VALLEY, [-1.2, 1.0]), method.start(Products(VALLEY), [-1.2, 1.0])
        for _ in range(10):
            whole, products = method.iterate(VALLEY, whole), method.iterate(Products(VALLEY), products)
            np.testing.assert_allclose(products.point, whole.point, rtol=0, atol=1e-10)
    _, parameters, _ = CERTIFIED[misra1a]
    fit = LevenbergMarquardt().minimize(Products(LeastSquares(misra1a)), [250.0, 5e-4])
    np.testing.assert_allclose(fit.point, parameters, rtol=1e-6)


@pytest.mark.parametrize("wrap", [lambda problem: problem, Products], ids=["jacobian", "products"])
def test_parameters_without_influence_stay_where_they_are(wrap: Callable[[LeastSquares], Any]) -> None:
    problem = wrap(LeastSquares(lambda x: [x[0] - 2.0, x[0] * x[2] + 1.0, 0.5 * (x[0] - 2.0)]))
    state = LevenbergMarquardt().minimize(problem, [1.0, 5.0, 0.0])
    np.testing.assert_allclose(state.point, [2.0, 5.0, -0.5], rtol=0, atol=1e-8)


def test_fewer_residuals_than_parameters_are_made_zero() -> None:
    state = LevenbergMarquardt().minimize(LeastSquares(lambda x: [x[0] * x[1] + x[2] - 4.0]), [1.0, 1.0, 1.0])
    assert state.value < 1e-25


def test_the_diagonal_scaling_makes_the_units_of_the_parameters_irrelevant() -> None:
    units = np.array([1024.0, 2.0**-12])
    scaled = LeastSquares(lambda x: VALLEY.function(x * units))
    method = LevenbergMarquardt()
    plain, other = method.start(VALLEY, [-1.2, 1.0]), method.start(scaled, np.array([-1.2, 1.0]) / units)
    for _ in range(8):
        plain, other = method.iterate(VALLEY, plain), method.iterate(scaled, other)
        np.testing.assert_allclose(other.point * units, plain.point, rtol=1e-9)


def test_a_step_out_of_the_domain_is_refused() -> None:
    state = LevenbergMarquardt(1e-10).minimize(LeastSquares(lambda x: [gnp.log(x[0]) + 2.0]), [10.0])
    np.testing.assert_allclose(state.point, [np.exp(-2.0)], rtol=1e-12)


def test_a_run_that_goes_on_from_a_stored_state_takes_the_same_steps() -> None:
    method = LevenbergMarquardt()
    middle = method.minimize(VALLEY, [-1.2, 1.0], 4)
    stored = State(**pickle.loads(pickle.dumps(vars(middle))))
    expected, found = method.iterate(VALLEY, middle), method.iterate(VALLEY, stored)
    assert found.point.tobytes() == expected.point.tobytes()
    assert middle.point.tobytes() == stored.point.tobytes()  # nothing was written into the state


def test_the_end_is_at_a_flat_gradient_and_stays_there() -> None:
    state = LevenbergMarquardt(tolerance=1e-5).minimize(VALLEY, [-1.2, 1.0])
    assert state.reason == FLAT
    assert LevenbergMarquardt().iterate(VALLEY, state) is state
    assert LevenbergMarquardt().start(LeastSquares(lambda x: x - 1.0), [1.0, 1.0]).reason == FLAT


@pytest.mark.parametrize(
    ("call", "error", "what"),
    [
        (
            lambda: LevenbergMarquardt(0.0),
            ConfigurationError,
            "LevenbergMarquardt got damping=0.0; it takes a positive number",
        ),
        (lambda: LevenbergMarquardt(scaling="unit"), ConfigurationError, "takes one of diagonal, identity"),
        (
            lambda: LevenbergMarquardt().start(LeastSquares(lambda x: gnp.outer(x, x)), [1.0, 2.0]),
            ShapeError,
            r"vector of residuals has shape \(2, 2\)",
        ),
        (
            lambda: LevenbergMarquardt().start(LeastSquares(lambda x: x, lambda x: np.eye(3)), [1.0, 2.0]),
            ShapeError,
            r"Jacobian of the residuals has shape \(3, 3\); .*\(2 x 2\)",
        ),
        (
            lambda: LevenbergMarquardt().start(LeastSquares(lambda x: x * 1j), [1.0]),
            DTypeError,
            "vector of residuals holds complex128 values",
        ),
        (
            lambda: LevenbergMarquardt().start(LeastSquares(lambda x: gnp.log(x)), [-1.0]),
            DivergedError,
            "starting point is not finite",
        ),
        (
            lambda: LevenbergMarquardt().start(LeastSquares(lambda x: gnp.sqrt(x)), [0.0]),
            DivergedError,
            "its gradient at the starting point is not finite",
        ),
    ],
)
def test_ill_input_is_one_sentence(call: Callable[[], Any], error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what) as caught:
        call()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
