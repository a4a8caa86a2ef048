"""Levenberg-Marquardt: a damped Gauss-Newton method for sums of squares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassnet.optim.full_batch import (
    QUIET,
    FullBatchMethod,
    State,
    Vector,
    finite_start,
    own_array,
    starting_point,
)
from glassnet.optim.hyperparameters import POSITIVE, Kind, require
from glassnet.optim.problems import LeastSquaresProblem, Matrix, NormalEquationsProblem

AnyLeastSquares = LeastSquaresProblem | NormalEquationsProblem

SCALING = Kind("one of diagonal, identity", lambda name: name in ("diagonal", "identity"), str)
SMALLEST_DAMPING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LevenbergMarquardt(FullBatchMethod[AnyLeastSquares]):
    """Levenberg-Marquardt for F(x) = 1/2 r(x) . r(x): steps between Gauss-Newton and gradient descent.

    (J^T J + lambda D) p = -J^T r,   x <- x + p where that lowers F

    D is diagonal, by `scaling`: "diagonal", the largest diagonal of J^T J seen so far (1 where a parameter
    has had no influence), which makes the steps independent of the parameters' units; or "identity", times
    the largest diagonal element of the first J^T J. lambda starts at `damping` and follows Nielsen's rule by
    the gain ratio of actual to predicted decrease,

    rho = (F(x) - F(x + p)) / (1/2 |J p|^2 + lambda p^T D p)
    rho > 0:  lambda <- lambda max(1/3, 1 - (2 rho - 1)^3),  nu <- 2
    else:     lambda <- nu lambda,  nu <- 2 nu

    One iteration grows lambda until a step is taken, and has converged when lambda is so large that p no
    longer changes x. `value` is F and `gradient` J^T r. It solves by orthogonal triangles of [J r], never by
    J^T J, which squares the condition; cost: rows parameters^2. A problem that hands in J^T J and J^T r
    instead of J (`normal_equations`) is solved from these, with half the digits where they say little.

    Raises ConfigurationError for a damping that is not positive or an unknown scaling.

    >>> from glassnet.optim.problems import LeastSquares
    >>> valley = LeastSquares(lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
    >>> LevenbergMarquardt().minimize(valley, np.array([-1.2, 1.0])).point
    array([1., 1.])

    Source: Levenberg (1944); Marquardt (1963); Nielsen, Damping parameter in Marquardt's method, report
    IMM-REP-1999-05 (1999); Madsen, Nielsen and Tingleff, Methods for non-linear least squares problems
    (2004), algorithm 3.16; the running largest D is from More, The Levenberg-Marquardt algorithm (1978),
    section 6.
    """

    damping: float = 1e-3
    scaling: str = "diagonal"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, POSITIVE, "damping")
        require(self, SCALING, "scaling")

    def start(self, problem: AnyLeastSquares, point: Any) -> State:
        """The state at `point`, of one evaluation of the residuals and one of their Jacobian."""
        point = starting_point(point)
        residuals, value = _residuals(problem, point)
        finite_start(value)
        factor, gradient, curvature = _linearized(problem, point, residuals)
        finite_start(float(curvature.max(initial=0.0)))
        if self.scaling == "identity":
            curvature = np.full_like(curvature, curvature.max(initial=0.0))
        scale = np.where(curvature > 0, curvature, 1.0)
        memory = {"factor": factor, "scale": scale, "damping": float(self.damping)}
        return State(point, value, gradient, memory, 0, 1, self.reason_at(gradient))

    def iterate(self, problem: AnyLeastSquares, state: State) -> State:
        """One step that lowers F, with as many attempts as that takes."""
        if state.converged:
            return state
        factor, scale, damping = (state.memory[key] for key in ("factor", "scale", "damping"))
        growth, count = 2.0, 0
        while True:
            step, predicted = damped_step(factor, damping * scale)
            point = state.point + step
            if np.array_equal(point, state.point):
                return state.ended(count)
            point.flags.writeable = False
            count += 1
            residuals, value = _residuals(problem, point)
            if value < state.value:
                following, gradient, curvature = _linearized(problem, point, residuals)
                if np.isfinite(curvature).all():
                    break
            damping, growth = damping * growth, 2 * growth
        gain = (state.value - value) / predicted if predicted > 0 else 1.0
        damping *= max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3)  # beyond rho = 1 the factor is 1/3 anyway
        if self.scaling == "diagonal":
            scale = np.maximum(scale, curvature)
        return replace(
            state,
            point=point,
            value=value,
            gradient=gradient,
            memory={"factor": following, "scale": scale, "damping": max(SMALLEST_DAMPING, damping)},
            iterations=state.iterations + 1,
            evaluations=state.evaluations + count,
            reason=self.reason_at(gradient),
        )


def damped_step(factor: Matrix, damping: Vector) -> tuple[Vector, float]:
    """The step p of (J^T J + diag(damping)) p = -J^T r, and the decrease that the linear model predicts.

    `factor` is a matrix T with T^T T = [J r]^T [J r], shape (any, parameters + 1), such as the triangle of a
    QR factorisation of [J r]; `damping` is positive, shape (parameters,). Where T = [A b], p solves
    [A; sqrt(damping)] p = [-b; 0] by least squares.

    >>> step, decrease = damped_step(np.array([[1.0, -3.0]]), np.array([0.5]))     # J = [[1]], r = [-3]
    >>> step.round(12).tolist(), round(decrease, 12)
    ([2.0], 4.0)
    """
    size = damping.size
    triangle = _triangle(np.vstack([factor, np.diag([*np.sqrt(damping), 0.0])]))
    step: Vector = np.asarray(np.linalg.solve(triangle[:size, :size], -triangle[:size, size]), np.float64)
    linear = factor[:, :size] @ step
    return step, float(0.5 * (linear @ linear) + damping @ (step * step))


def _residuals(problem: AnyLeastSquares, point: Vector) -> tuple[Vector, float]:
    # Residuals that are not finite make the value infinite, so that the step is refused.
    with np.errstate(**QUIET):
        residuals = own_array("The vector of residuals", problem.residuals(point), (-1,))
        value = 0.5 * float(residuals @ residuals)
    return residuals, (value if math.isfinite(value) else math.inf)


def _linearized(problem: AnyLeastSquares, point: Vector, residuals: Vector) -> tuple[Matrix, Vector, Vector]:
    """The factor of `damped_step`, the gradient J^T r and the diagonal of J^T J (infinite: of no use)."""
    size = point.size
    with np.errstate(**QUIET):
        if isinstance(problem, NormalEquationsProblem):
            gram, gradient = problem.normal_equations(point)
            gram = own_array("The matrix J^T J", gram, (size, size))
            gradient = own_array("The vector J^T r", gradient, (size,))
            corner = np.atleast_2d(residuals @ residuals)
            matrix, root = np.block([[gram, gradient[:, None]], [gradient[None, :], corner]]), _square_root
            curvature = np.diagonal(gram)
        else:
            jacobian = problem.jacobian(point)
            jacobian = own_array("The Jacobian of the residuals", jacobian, (residuals.size, size))
            matrix, root = np.column_stack([jacobian, residuals]), _triangle
            gradient, curvature = jacobian.T @ residuals, np.square(jacobian).sum(axis=0)
    if not np.isfinite(matrix).all() or not np.isfinite(curvature).all():
        return matrix, gradient, np.full(size, np.inf)
    return root(matrix), gradient, curvature


def _triangle(matrix: Matrix) -> Matrix:
    triangle: Any = np.linalg.qr(matrix, mode="r")
    return triangle


def _square_root(gram: Matrix) -> Matrix:
    # A Cholesky factor would do, but networks have parameters that no residual depends on.
    eigenvalues, vectors = np.linalg.eigh(gram)
    return np.sqrt(np.maximum(eigenvalues, 0.0))[:, None] * vectors.T
