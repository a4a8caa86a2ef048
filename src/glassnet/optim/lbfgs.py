"""Limited-memory BFGS: a quasi-Newton method for many parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassnet.optim.descent import DescentMethod, first_length
from glassnet.optim.full_batch import State, Vector
from glassnet.optim.hyperparameters import WHOLE, require
from glassnet.optim.line_search import LineSearch, Trial

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LBFGS(DescentMethod):
    """L-BFGS: steps along -H g, with H an inverse Hessian made of the last `history` changes of the gradient.

    x_{k+1} = x_k - a_k H_k g_k,   s_k = x_{k+1} - x_k,   y_k = g_{k+1} - g_k,   rho_k = 1 / (y_k . s_k)
    H_{k+1} = (I - rho_k s_k y_k^T) H_k (I - rho_k y_k s_k^T) + rho_k s_k s_k^T

    started from (s . y / y . y) I of the newest pair and never formed: -H g takes two loops over the pairs,
    4 `history` products of vectors. a_k satisfies the strong Wolfe conditions, and a_k = 1 is tried first.
    Memory: 2 `history` vectors of shape (parameters,).

    Raises ConfigurationError for a history below 1.

    >>> from glassnet.optim.problems import Objective
    >>> bowl = Objective(lambda x: ((x - gnp.array([3.0, -1.0])) ** 2 * gnp.array([1.0, 10.0])).sum())
    >>> LBFGS().minimize(bowl, np.zeros(2)).point.round(6)
    array([ 3., -1.])

    Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5; Liu and Nocedal,
    Mathematical Programming 45 (1989).
    """

    history: int = 10
    line_search: LineSearch = field(default=LineSearch(curvature=0.9), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, WHOLE, "history")

    def initial_memory(self, gradient: Vector) -> dict[str, Any]:
        """No pairs: the first direction is down the gradient."""
        return {"steps": (), "changes": ()}

    def direction(self, state: State) -> tuple[Vector, float]:
        """-H g, of which the whole is tried first."""
        steps, changes = state.memory["steps"], state.memory["changes"]
        first = 1.0 if steps else first_length(state.gradient)
        return -inverse_hessian_product(state.gradient, steps, changes), first

    def memory_after(self, state: State, trial: Trial, direction: Vector, restarted: bool) -> dict[str, Any]:
        """The last `history` pairs."""
        steps, changes = ((), ()) if restarted else (state.memory["steps"], state.memory["changes"])
        step, change = trial.point - state.point, trial.gradient - state.gradient
        # The curvature condition makes s . y positive; where rounding undoes that, H would lose its sign.
        noise = EPSILON * math.sqrt(float(step @ step) * float(change @ change))
        if step @ change > noise:
            steps, changes = (*steps, step), (*changes, change)
        return {"steps": steps[-self.history :], "changes": changes[-self.history :]}


def inverse_hessian_product(
    gradient: Vector, steps: tuple[Vector, ...], changes: tuple[Vector, ...]
) -> Vector:
    """H g by the two-loop recursion; `steps` and `changes` are s and y, oldest first; H = I without them.

    >>> H_g = inverse_hessian_product(np.array([4.0, 1.0]), (np.array([1.0, 0.0]),), (np.array([2.0, 0.0]),))
    >>> H_g                                     # the curvature of 2 seen along the first axis halves both
    array([2. , 0.5])

    Source: Nocedal and Wright (2006), algorithm 7.4 and equation 7.20.
    """
    if not steps:
        return gradient
    pairs = list(zip(steps, changes, strict=True))
    product = gradient
    factors: list[float] = []
    for step, change in reversed(pairs):
        factors.append(float(step @ product) / float(step @ change))
        product = product - factors[-1] * change
    step, change = pairs[-1]
    product = (step @ change) / (change @ change) * product
    for (step, change), factor in zip(pairs, reversed(factors), strict=True):
        product = product + (factor - (change @ product) / (step @ change)) * step
    return product
