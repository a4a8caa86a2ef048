"""The verifier: derivatives against calculations that share nothing with them, in float64.

Forward mode is compared with the complex step Im f(x + ih)/h where every op involved is analytic (no
cancellation, exact to rounding) and with fourth-order Richardson differences elsewhere. Reverse mode is
compared with forward mode by the dot-product test  y_bar . (J x_dot) = (y_bar J) . x_dot. Higher orders
check the derivative of the derivative. Never in float32: there a rule that is 5 % wrong passes.

Sources: Squire and Trapp, SIAM Review 40 (1998), equation 2; Richardson (1911); Griewank and Walther (2008),
section 3.3 for the dot-product identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray, is_floating
from glassnet.core.graph import ancestors
from glassnet.core.random import Key, normal
from glassnet.core.trace import as_array, tracing, variable
from glassnet.core.tree import flatten, unflatten
from glassnet.errors import DifferentiationError, VerificationError
from glassnet.transforms.derivatives import jvp, vjp

COMPLEX_STEP = 1e-30
RICHARDSON_STEP = 1e-3
TOLERANCES = {"complex step": 1e-12, "Richardson differences": 1e-8}


@dataclass(frozen=True)
class Comparison:
    """One comparison of the verifier: what was compared, the worst element, and the relative error."""

    what: str
    method: str
    order: int
    place: str
    expected: float
    got: float
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """True where the error is within the tolerance (a NaN never is)."""
        return bool(self.error <= self.tolerance)

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        return f"{verdict} order {self.order}  {self.what:<28} {self.method:<22} error {self.error:8.1e}" + (
            "" if self.passed else f"  at {self.place}: expected {self.expected!r}, got {self.got!r}"
        )


@dataclass(frozen=True)
class GradientReport:
    """All comparisons of one `check_grads`; its text is one line each."""

    comparisons: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        """True where every comparison passed."""
        return all(comparison.passed for comparison in self.comparisons)

    @property
    def largest_error(self) -> float:
        """The largest relative error of all comparisons."""
        return max(comparison.error for comparison in self.comparisons)

    def __str__(self) -> str:
        return "\n".join(map(str, self.comparisons))


def check_grads(f: Callable[..., Any], *args: Any, order: int = 2, seed: int = 0) -> GradientReport:
    """Certifies the derivatives of `f` at `args`, in both modes, up to `order`.

    Every floating argument is checked (computed in float64 whatever its dtype). The error of an array is
    max |got - expected| / max(1, max |expected|). Choose points away from kinks: at a kink the slope is a
    convention and a difference quotient is not.

    Returns a GradientReport; raises VerificationError with the worst element when a comparison fails, and
    DifferentiationError when there is no floating argument.

    >>> check_grads(lambda x: (x ** 3).sum(), np.array([1.0, 2.0])).passed
    True
    """
    leaves, structure = flatten(list(args))
    arrays = [np.asarray(leaf) for leaf in leaves]
    moving = [i for i, x in enumerate(arrays) if is_floating(x.dtype)]
    if not moving:
        raise DifferentiationError("check_grads needs at least one floating argument.")
    point = [arrays[i].astype(FLOAT64) for i in moving]

    def of_moving(*values: Any) -> Any:
        full: list[Any] = list(arrays)
        for i, value in zip(moving, values, strict=True):
            full[i] = value
        out, _ = flatten(f(*unflatten(structure, full)))
        return tuple(out)

    comparisons = _check(of_moving, point, order, 1, Key(seed, stream=0xC4EC))
    report = GradientReport(tuple(comparisons))
    if not report.passed:
        raise VerificationError(f"A derivative is wrong:\n{report}")
    return report


def _check(
    f: Callable[..., tuple[Any, ...]], point: Sequence[NDArray], order: int, level: int, key: Key
) -> list[Comparison]:
    directions = [normal(key.fold(i), x.shape) for i, x in enumerate(point)]
    _, tangents = jvp(f, point, directions)
    tangents = [np.asarray(x, FLOAT64) for x in tangents]
    expected, method = _directional(f, point, directions)
    comparisons = [
        _compare(f"forward mode, output {i}", method, level, want, got, TOLERANCES[method])
        for i, (want, got) in enumerate(zip(expected, tangents, strict=True))
    ]
    values, pull = vjp(f, *point)
    weights = [normal(key.fold(1000 + i), np.shape(x)) for i, x in enumerate(values)]
    cotangents = pull(tuple(weights))
    forward = np.array(sum(float(np.sum(w * t)) for w, t in zip(weights, tangents, strict=True)))
    reverse = np.array(sum(float(np.sum(c * d)) for c, d in zip(cotangents, directions, strict=True)))
    comparisons.append(_compare("reverse mode", "dot-product test", level, forward, reverse, 1e-11))
    if level < order:

        def slope(*values: Any) -> tuple[Any, ...]:
            return jvp(f, values, directions)[1]

        comparisons += _check(slope, point, order, level + 1, key.fold(7))
    return comparisons


def _directional(
    f: Callable[..., tuple[Any, ...]], point: Sequence[NDArray], directions: Sequence[NDArray]
) -> tuple[list[NDArray], str]:
    """d/dt f(x + t direction) at t = 0 by a calculation that uses values of f alone."""
    if _is_analytic(f, point):
        moved = [x + 1j * COMPLEX_STEP * d for x, d in zip(point, directions, strict=True)]
        return [np.imag(np.asarray(x)) / COMPLEX_STEP for x in f(*moved)], "complex step"

    def central(step: float) -> list[NDArray]:
        ahead = f(*(x + step * d for x, d in zip(point, directions, strict=True)))
        behind = f(*(x - step * d for x, d in zip(point, directions, strict=True)))
        return [(np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in zip(ahead, behind, strict=True)]

    coarse, fine = central(RICHARDSON_STEP), central(RICHARDSON_STEP / 2)
    return [(4 * b - a) / 3 for a, b in zip(coarse, fine, strict=True)], "Richardson differences"


def _is_analytic(f: Callable[..., tuple[Any, ...]], point: Sequence[NDArray]) -> bool:
    with tracing():
        variables = [variable(x) for x in point]
        nodes = [as_array(x).node for x in f(*variables)]
    oldest = min(x.node.serial for x in variables)
    return all(node.op.analytic for node in ancestors(nodes, oldest))


def _compare(what: str, method: str, order: int, want: NDArray, got: NDArray, tolerance: float) -> Comparison:
    want, got = np.asarray(want, FLOAT64), np.asarray(got, FLOAT64)
    if want.size == 0:
        return Comparison(what, method, order, "no element", 0.0, 0.0, 0.0, tolerance)
    difference = np.abs(got - want)
    difference = np.where(np.isnan(difference), np.inf, difference)
    worst = np.unravel_index(int(np.argmax(difference)), want.shape)
    error = float(difference[worst] / max(1.0, float(np.max(np.abs(want)))))
    place = f"element {tuple(int(i) for i in worst)}" if want.shape else "the scalar"
    return Comparison(what, method, order, place, float(want[worst]), float(got[worst]), error, tolerance)
