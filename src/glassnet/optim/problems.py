"""Problems for the full-batch methods, made of functions that glassnet differentiates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from glassnet.core.tree import flatten, paths, unflatten
from glassnet.errors import DTypeError, ShapeError
from glassnet.optim.full_batch import Vector
from glassnet.transforms.derivatives import jacobian, value_and_grad

Matrix = NDArray[np.float64]


class LeastSquaresProblem(Protocol):
    """What Levenberg-Marquardt minimises: 1/2 sum of the squares of a vector of residuals."""

    def residuals(self, point: Vector, /) -> Vector:
        """The residuals r at `point`, shape (rows,)."""
        ...

    def jacobian(self, point: Vector, /) -> Matrix:
        """J[i, j] = d r_i / d x_j at `point`, shape (rows, parameters)."""
        ...


@runtime_checkable
class NormalEquationsProblem(Protocol):
    """The same for more rows than memory holds: products of J, summed over the rows batch by batch."""

    def residuals(self, point: Vector, /) -> Vector:
        """The residuals r at `point`, shape (rows,)."""
        ...

    def normal_equations(self, point: Vector, /) -> tuple[Matrix, Vector]:
        """J^T J at `point`, shape (parameters, parameters), and J^T r, shape (parameters,)."""
        ...


@dataclass(frozen=True)
class Objective:
    """A scalar function of a flat vector; its gradient is glassnet's.

    >>> Objective(lambda x: (x * x).sum()).value_and_gradient(np.array([1.0, 2.0]))
    (5.0, array([2., 4.]))
    """

    function: Callable[[Any], Any]

    def value_and_gradient(self, point: Vector) -> tuple[float, Vector]:
        """The value at `point`, shape (parameters,), and its gradient, same shape."""
        value, gradient = value_and_grad(self.function)(point)
        return float(value), gradient


@dataclass(frozen=True)
class LeastSquares:
    """F(x) = 1/2 r(x) . r(x), with gradient J^T r, for a function r from a flat vector to residuals.

    The Jacobian J is glassnet's, or that of the function `derivative`, shape (rows, parameters). For the mean
    over n examples of sum (y - d)^2 the residuals are sqrt(2 / n) (y - d), all outputs in one vector.

    >>> line = LeastSquares(lambda w: w[0] * np.array([1.0, 2.0]) - np.array([3.0, 5.0]))
    >>> line.residuals(np.array([1.0])), line.jacobian(np.array([1.0])).ravel()
    (array([-2., -3.]), array([1., 2.]))
    >>> line.value_and_gradient(np.array([1.0]))
    (6.5, array([-8.]))
    """

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any] | None = None

    def residuals(self, point: Vector) -> Vector:
        """r at `point`, shape (rows,)."""
        return np.asarray(self.function(point))

    def jacobian(self, point: Vector) -> Matrix:
        """J at `point`, shape (rows, parameters)."""
        return np.asarray((self.derivative or jacobian(self.function))(point))

    def value_and_gradient(self, point: Vector) -> tuple[float, Vector]:
        """1/2 r . r and J^T r at `point`: what L-BFGS and conjugate gradients need of the same problem."""
        residuals = self.residuals(point)
        return 0.5 * float(residuals @ residuals), self.jacobian(point).T @ residuals


def flatten_parameters(tree: Any) -> tuple[Vector, Callable[[Any], Any]]:
    """All parameters of a tree in one float64 vector, and the function that makes such a tree of a vector.

    Leaf by leaf in the tree's order, each row by row. The tree that comes back has the shapes and the dtypes
    of `tree`; of a traced vector it is a traced tree, so that a loss of the tree is differentiated by the
    vector. The gradient by a tree is a tree of the same structure and flattens to the gradient by the vector.

    Raises DTypeError for a leaf that is not floating; what comes back raises ShapeError for a vector of
    another length.

    >>> vector, restore = flatten_parameters({"w": np.array([[1.0, 2.0]]), "b": np.array(3.0)})
    >>> vector
    array([1., 2., 3.])
    >>> restore(2 * vector)
    {'w': array([[2., 4.]]), 'b': array(6.)}
    """
    leaves, structure = flatten(tree)
    leaves = [np.asarray(leaf) for leaf in leaves]
    for leaf, path in zip(leaves, paths(structure, "parameters"), strict=True):
        if leaf.dtype.kind != "f":
            raise DTypeError(f"{path} holds {leaf.dtype} values; a parameter is a floating number.")
    ends = np.cumsum([0, *(leaf.size for leaf in leaves)]).tolist()

    def restore(vector: Any) -> Any:
        if np.shape(vector) != (ends[-1],):
            raise ShapeError(
                f"A vector of {ends[-1]} parameters was expected; this one has shape {np.shape(vector)}."
            )
        parts = [
            vector[start:end].reshape(leaf.shape).astype(leaf.dtype)
            for leaf, start, end in zip(leaves, ends, ends[1:], strict=False)
        ]
        return unflatten(structure, parts)

    return np.concatenate([np.zeros(0), *(leaf.ravel() for leaf in leaves)], dtype=np.float64), restore
