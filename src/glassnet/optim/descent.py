"""The methods that choose a direction and search along it for a step: what L-BFGS and CG share."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glassnet.optim.full_batch import (
    FullBatchMethod,
    Problem,
    State,
    Vector,
    evaluate,
    finite_start,
    starting_point,
)
from glassnet.optim.hyperparameters import Kind, require
from glassnet.optim.line_search import LineSearch, Trial


@dataclass(frozen=True)
class DescentMethod(FullBatchMethod[Problem]):
    """x_{k+1} = x_k + a_k p_k, with a_k from the line search and p_k from the method.

    Where no step is found along p_k, the line search tries -g_k once, and the method forgets what it has
    seen; where that gives no step either, it has converged.
    """

    line_search: LineSearch = field(default=LineSearch(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, Kind("a LineSearch", lambda _: True, LineSearch), "line_search")

    @abstractmethod
    def initial_memory(self, gradient: Vector) -> dict[str, Any]:
        """The memory before the first iteration."""

    @abstractmethod
    def direction(self, state: State) -> tuple[Vector, float]:
        """The direction p_k, shape (parameters,), and the first length to try along it."""

    @abstractmethod
    def memory_after(self, state: State, trial: Trial, direction: Vector, restarted: bool) -> dict[str, Any]:
        """The memory after the step from `state` to `trial` along `direction`."""

    def start(self, problem: Problem, point: Any) -> State:
        """The state at `point`, of one evaluation."""
        point = starting_point(point)
        value, gradient = evaluate(problem, point)
        finite_start(value)
        return State(point, value, gradient, self.initial_memory(gradient), 0, 1, self.reason_at(gradient))

    def iterate(self, problem: Problem, state: State) -> State:
        """One step along the method's direction."""
        if state.converged:
            return state
        steepest = -state.gradient
        direction, first = self.direction(state)
        restarted = not direction @ state.gradient < 0  # rounding can spoil a direction
        if restarted:
            direction, first = steepest, first_length(state.gradient)
        trial, count = self.line_search.search(problem, state, direction, first)
        if trial is None and not np.array_equal(direction, steepest):
            direction, restarted = steepest, True
            trial, more = self.line_search.search(problem, state, steepest, first_length(state.gradient))
            count += more
        if trial is None:
            return state.ended(count)
        return replace(
            state,
            point=trial.point,
            value=trial.value,
            gradient=trial.gradient,
            memory=self.memory_after(state, trial, direction, restarted),
            iterations=state.iterations + 1,
            evaluations=state.evaluations + count,
            reason=self.reason_at(trial.gradient),
        )


def first_length(gradient: Vector) -> float:
    """The first length to try down a gradient of which nothing else is known: a step no longer than 1."""
    return 1.0 / max(1.0, math.sqrt(float(gradient @ gradient)))
