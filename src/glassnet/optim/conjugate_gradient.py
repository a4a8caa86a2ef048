"""Nonlinear conjugate gradients: three vectors of memory, for the largest networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from glassnet.optim.descent import DescentMethod, first_length
from glassnet.optim.full_batch import State, Vector
from glassnet.optim.hyperparameters import Kind, require
from glassnet.optim.line_search import LineSearch, Trial


def _ratio(numerator: float, denominator: float) -> float:
    # The denominators are positive but for rounding and underflow, where beta = 0 restarts.
    return numerator / denominator if denominator > 0 else 0.0


def _fletcher_reeves(new: Vector, old: Vector, direction: Vector) -> float:
    return _ratio(float(new @ new), float(old @ old))


def _polak_ribiere(new: Vector, old: Vector, direction: Vector) -> float:
    return max(0.0, _ratio(float(new @ (new - old)), float(old @ old)))


def _hestenes_stiefel(new: Vector, old: Vector, direction: Vector) -> float:
    change = new - old
    return _ratio(float(new @ change), float(direction @ change))


CONJUGACIES: dict[str, Callable[[Vector, Vector, Vector], float]] = {
    "polak_ribiere": _polak_ribiere,
    "fletcher_reeves": _fletcher_reeves,
    "hestenes_stiefel": _hestenes_stiefel,
}

CONJUGACY = Kind(f"one of {', '.join(CONJUGACIES)}", lambda name: name in CONJUGACIES, str)
EXACT_ENOUGH = Kind(
    "a LineSearch with curvature below 0.5", lambda search: search.curvature < 0.5, LineSearch
)


@dataclass(frozen=True)
class ConjugateGradient(DescentMethod):
    """Nonlinear conjugate gradients: x_{k+1} = x_k + a_k p_k,   p_{k+1} = -g_{k+1} + beta_{k+1} p_k.

    beta by name, with y = g_{k+1} - g_k:

        "polak_ribiere"       max(0, g_{k+1} . y / g_k . g_k)      (the form called PR+)
        "fletcher_reeves"     g_{k+1} . g_{k+1} / g_k . g_k
        "hestenes_stiefel"    g_{k+1} . y / p_k . y

    Restart (beta = 0) where |g_{k+1} . g_k| >= `restart` g_{k+1} . g_{k+1}, that is, where two gradients in a
    row are far from orthogonal (infinity turns this off), and where p_{k+1} would not descend. a_k satisfies
    the strong Wolfe conditions; the first length tried is that of the last step. On a quadratic of n
    parameters with exact line searches, all three reach the minimum in n steps.

    Raises ConfigurationError for an unknown beta, a restart that is not positive, or a line search with
    curvature of 1/2 or more, for which Fletcher-Reeves directions need not descend.

    >>> from glassnet.optim.problems import Objective
    >>> bowl = Objective(lambda x: ((x - gnp.array([3.0, -1.0])) ** 2 * gnp.array([1.0, 10.0])).sum())
    >>> ConjugateGradient("fletcher_reeves").minimize(bowl, np.zeros(2)).point.round(6)
    array([ 3., -1.])

    Source: Nocedal and Wright, Numerical Optimization (2006), algorithm 5.4, equations 5.44 to 5.46, 5.52 and
    lemma 5.6; Fletcher and Reeves (1964); Polak and Ribiere (1969); Hestenes and Stiefel (1952); the restart
    is that of Powell, Mathematical Programming 12 (1977).
    """

    conjugacy: str = "polak_ribiere"
    restart: float = 0.1
    line_search: LineSearch = field(default=LineSearch(curvature=0.1), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, CONJUGACY, "conjugacy")
        require(self, Kind("a positive number, or infinity", lambda value: value > 0), "restart")
        require(self, EXACT_ENOUGH, "line_search")

    def initial_memory(self, gradient: Vector) -> dict[str, Any]:
        """The first direction is down the gradient."""
        return {"direction": -gradient, "length": first_length(gradient)}

    def direction(self, state: State) -> tuple[Vector, float]:
        """The direction that the last iteration has left, and the length that it took."""
        return state.memory["direction"], state.memory["length"]

    def memory_after(self, state: State, trial: Trial, direction: Vector, restarted: bool) -> dict[str, Any]:
        """The next direction, and the length of this step."""
        new, old = trial.gradient, state.gradient
        following = -new
        if abs(float(new @ old)) < self.restart * float(new @ new):
            following = CONJUGACIES[self.conjugacy](new, old, direction) * direction - new
        return {"direction": following if following @ new < 0 else -new, "length": trial.length}
