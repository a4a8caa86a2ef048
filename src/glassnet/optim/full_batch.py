"""Methods for full batches: a problem, the state between two iterations, and what every method shares.

They run outside the training graph, in float64 on one flat vector of parameters, and see the network only
through the functions handed in. An iteration is a pure function of the state, and the state is a record of
arrays: a run that goes on from a stored state takes the same steps bit for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from glassnet.errors import DivergedError, DTypeError, ShapeError
from glassnet.optim.hyperparameters import NOT_NEGATIVE, require

Vector = NDArray[np.float64]

FLAT = "no component of the gradient exceeds the tolerance"
EXHAUSTED = "no step lowers the value as it should"

# A trial step may be far too long: its value is not finite then, which refuses it, and is no news.
QUIET: dict[str, Any] = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}


class Problem(Protocol):
    """What is minimised: a scalar function of a flat vector, with its gradient."""

    def value_and_gradient(self, point: Vector, /) -> tuple[float, Vector]:
        """The value at `point`, shape (parameters,), and the gradient of that very value, same shape."""
        ...


ProblemType = TypeVar("ProblemType", contravariant=True)


@dataclass(frozen=True, eq=False)
class State:
    """Where a method stands after an iteration: a record of arrays, enough to go on from.

    `point` and `gradient` have shape (parameters,) and are read-only; `gradient` is that of `value`.
    `memory` is the method's own tree of arrays and numbers. `evaluations` counts the points at which the
    problem was evaluated; `reason` says in words why the method has ended, empty while it has not.
    """

    point: Vector
    value: float
    gradient: Vector
    memory: dict[str, Any] = field(repr=False)
    iterations: int = 0
    evaluations: int = 0
    reason: str = ""

    @property
    def converged(self) -> bool:
        """Whether no further step is possible: the gradient is flat, or no step lowers the value."""
        return bool(self.reason)

    def ended(self, evaluations: int) -> State:
        """This state once every step has been tried in vain, at the cost of `evaluations`."""
        return replace(self, evaluations=self.evaluations + evaluations, reason=EXHAUSTED)


@dataclass(frozen=True)
class FullBatchMethod(ABC, Generic[ProblemType]):
    """A method that minimises over the whole training set: hyperparameters, checked when it is made.

    It has converged where no component of the gradient exceeds `tolerance` in magnitude (0: where the
    gradient is 0), or where no step lowers the value within the precision of the arithmetic. The value never
    rises.

    Raises ConfigurationError for a negative tolerance.
    """

    tolerance: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        require(self, NOT_NEGATIVE, "tolerance")

    @abstractmethod
    def start(self, problem: ProblemType, point: Any) -> State:
        """The state before the first iteration, at `point`, any real vector of shape (parameters,).

        Raises ShapeError and DTypeError when `point` or what the problem returns is no such vector, and
        DivergedError when the value or the gradient at the starting point is not finite.
        """

    @abstractmethod
    def iterate(self, problem: ProblemType, state: State) -> State:
        """The state after one more iteration; a state that has converged comes back as it is."""

    def minimize(self, problem: ProblemType, point: Any, iterations: int = 1000) -> State:
        """The state after at most `iterations` iterations from `point`, fewer where it converges before."""
        state = self.start(problem, point)
        while not state.converged and state.iterations < iterations:
            state = self.iterate(problem, state)
        return state

    def reason_at(self, gradient: Vector) -> str:
        """Why the method ends at a point with this gradient; empty where it goes on."""
        return FLAT if np.max(np.abs(gradient), initial=0.0) <= self.tolerance else ""


def own_array(what: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A read-only float64 copy of a real array of this shape; a length of -1 is free."""
    # NOTE: always a copy. A compiled program hands out its buffers and overwrites them at the next call.
    given = np.asarray(value)
    if given.dtype.kind not in "fiu":
        raise DTypeError(f"{what} holds {given.dtype} values; a full-batch method takes real numbers.")
    fits = given.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, given.shape, strict=True)
    )
    if not fits:
        lengths = " x ".join("any" if length < 0 else str(length) for length in shape)
        expected = f"{len(shape)} axes ({lengths})" if shape else "a scalar"
        raise ShapeError(
            f"{what} has shape {given.shape}; a full-batch method expected {expected}, "
            "with all parameters in one flat vector (see flatten_parameters)."
        )
    own = np.array(given, np.float64)
    own.flags.writeable = False
    return own


def starting_point(point: Any) -> Vector:
    """The point to start from, as a vector of our own."""
    return own_array("The starting point", point, (-1,))


def evaluate(problem: Problem, point: Vector) -> tuple[float, Vector]:
    """The checked value and gradient at `point`; where either is not finite, the value is infinite."""
    with np.errstate(**QUIET):
        value, gradient = problem.value_and_gradient(point)
    value = float(own_array("The value of the problem", value, ()))
    gradient = own_array("The gradient of the problem", gradient, point.shape)
    finite = math.isfinite(value) and bool(np.isfinite(gradient).all())
    return (value if finite else math.inf), gradient


def finite_start(value: float) -> None:
    """Raise DivergedError where the value at the starting point is not finite."""
    if not math.isfinite(value):
        raise DivergedError(
            "The value or its gradient at the starting point is not finite; "
            "start from other parameters, or look for non-finite numbers in the data."
        )
