"""The verifier: derivatives against calculations that share nothing with them, in float64.

The function is traced once. Its trace must agree with the function itself at a nearby point. Forward mode is
compared with the complex step Im f(x + ih)/h where every op involved is analytic (no cancellation, exact to
rounding) and with Richardson differences elsewhere. Reverse mode is compared with forward mode by the
dot-product test  y_bar . (J x_dot) = (y_bar J) . x_dot. Higher orders do the same with the slope in place of
the function. Never in float32: there a rule that is 5 % wrong passes.

Sources: Squire and Trapp, SIAM Review 40 (1998), equation 2; Richardson (1911); Griewank and Walther (2008),
section 3.3 for the dot-product identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray, is_floating
from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.random import Key, normal
from glassnet.core.trace import as_array, tracing, variable
from glassnet.core.tree import flatten, paths, unflatten
from glassnet.errors import ConfigurationError, DifferentiationError, VerificationError
from glassnet.transforms.linearize import pushforward
from glassnet.transforms.tracing import substitute
from glassnet.transforms.transpose import pullback

COMPLEX_STEP = 1e-30
RICHARDSON_STEP = 2e-4  # short, for a kink within reach spoils the quotient; rounding costs 1e-11
NEARBY_STEP = 1e-6
NEGLIGIBLE = 1e-50  # of a slope that is 0 the complex step leaves about the square of its step

# What each method can tell apart, as a relative error: rounding alone, but for the differences.
TOLERANCES = {
    "the function itself": 1e-12,
    "complex step": 1e-11,
    "Richardson differences": 1e-8,
    "dot-product test": 1e-11,
}


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
        line = f"order {self.order}  {self.what:<22} against {self.method:<24} error {self.error:7.1e}"
        if self.passed:
            return f"ok    {line}"
        return (
            f"WRONG {line} (limit {self.tolerance:.0e}), worst at {self.place}: "
            f"expected {self.expected:.15g}, got {self.got:.15g}"
        )


@dataclass(frozen=True)
class GradientReport:
    """All comparisons of one `check_grads`; its text is one line each and a verdict."""

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
        total, wrong = len(self.comparisons), sum(not comparison.passed for comparison in self.comparisons)
        verdict = f"{wrong} of {total} comparisons failed" if wrong else f"all {total} comparisons passed"
        listed = "\n".join(map(str, self.comparisons))
        return f"{listed}\n{verdict}; the largest relative error is {self.largest_error:.1e}"


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    seed: int = 0,
    tolerance: float | None = None,
    reverse: bool = True,
) -> GradientReport:
    """Certifies the derivatives of `f` at `args`, in both modes, up to `order`.

    Every floating argument is checked (computed in float64 whatever its dtype). The error of an array is
    max |got - expected| / max(|expected|, |value|), the largest elements of each. `tolerance` is the largest
    error that passes; by default what each method can tell apart (1e-11 for the complex step, 1e-8 for
    differences). Choose points away from kinks: at a kink the slope is a convention and a difference
    quotient is not. `reverse=False` leaves reverse mode out, for what has none. Where an error is found,
    lines follow with one element of one input moving alone, and say to which it belongs.

    Returns a GradientReport; raises VerificationError with the worst elements when a comparison fails,
    DifferentiationError when there is no floating argument, ConfigurationError for an order below 1.

    >>> check_grads(lambda x: (x ** 3).sum(), np.array([1.0, 2.0])).passed
    True
    """
    if order < 1 or order != int(order):
        raise ConfigurationError(f"check_grads got order {order}; the lowest is 1, the first derivatives.")
    leaves, structure = flatten(list(args))
    arrays = [np.asarray(leaf) for leaf in leaves]
    moving = [i for i, x in enumerate(arrays) if is_floating(x.dtype)]
    if not moving:
        raise DifferentiationError("check_grads needs at least one floating argument.")
    point = [arrays[i].astype(FLOAT64) for i in moving]

    def of_moving(values: Sequence[Any]) -> list[Any]:
        full: list[Any] = list(arrays)
        for i, value in zip(moving, values, strict=True):
            full[i] = value
        return flatten(f(*unflatten(structure, full)))[0]

    named = [path for i, form in enumerate(structure.children) for path in paths(form, str(i))]
    verifier = _Verifier(of_moving, point, [named[i] for i in moving], seed, tolerance, reverse)
    if not any(is_floating(node.dtype) for node in verifier.outputs):
        raise DifferentiationError("check_grads needs a function with at least one floating result.")
    for number, node in enumerate(verifier.outputs):
        if not np.all(np.isfinite(np.asarray(node.value))):
            raise VerificationError(
                f"check_grads needs a point where the function is finite; output {number} is {node.value}."
            )
    report = GradientReport(tuple(verifier.compare(order)))
    if not report.passed:
        untrue = any(not comparison.passed and comparison.order == 0 for comparison in report.comparisons)
        found = (
            "The function takes numbers out of its trace (as float(x) does), and its derivative misses them"
            if untrue
            else "A derivative is wrong"
        )
        raise VerificationError(f"{found}:\n{report}")
    return report


class _Verifier:
    """One function at one point: its trace, and the comparisons made with it."""

    def __init__(
        self,
        f: Callable[[Sequence[Any]], list[Any]],
        point: Sequence[NDArray],
        names: Sequence[str],
        seed: int,
        tolerance: float | None,
        reverse: bool,
    ) -> None:
        self.f = f
        self.point = point
        self.names = names
        self.key = Key(seed, stream=0xC4EC)
        self.tolerance = tolerance
        self.reverse = reverse
        with tracing():
            variables = [variable(x) for x in point]
            self.outputs = [as_array(x).node for x in f(variables)]
        self.variables = [x.node for x in variables]

    def compare(self, order: int) -> list[Comparison]:
        """The comparisons of all orders; the slope of one order is the function of the next."""
        result = self._trace_is_faithful()
        outputs = self.outputs
        for level in range(1, order + 1):
            directions = self._random(level, self.variables)
            with tracing():
                slopes = pushforward(outputs, dict(zip(self.variables, directions, strict=True)))
            known = [
                0.0 * node.value if x is None else as_array(x).node.value
                for node, x in zip(outputs, slopes, strict=True)
            ]
            compared = self._forward(level, outputs, directions, known)
            if self.reverse:
                compared.append(self._reverse(level, outputs, directions, known))
            result += compared
            if not all(comparison.passed for comparison in compared):
                result += self._input_by_input(level, outputs, directions)
            outputs = [as_array(x).node for x in slopes if x is not None]
        return result

    def _random(self, stream: int, nodes: Sequence[Node]) -> list[NDArray]:
        return [normal(self.key.fold(1000 * stream + i), node.shape) for i, node in enumerate(nodes)]

    def _moved(self, directions: Sequence[NDArray], step: complex) -> list[NDArray]:
        return [x + step * direction for x, direction in zip(self.point, directions, strict=True)]

    def _values(self, outputs: Sequence[Node], inputs: Sequence[NDArray]) -> list[NDArray]:
        replaced = substitute(outputs, dict(zip(self.variables, inputs, strict=True)))
        return [np.asarray(x) + 0.0 for x in replaced]  # booleans count as numbers

    def _trace_is_faithful(self) -> list[Comparison]:
        # A function that takes numbers out of the trace (float(x)) shows here: its trace does not move.
        nearby = self._moved(self._random(0, self.variables), NEARBY_STEP)
        pairs = zip(self.f(nearby), self._values(self.outputs, nearby), strict=True)
        return [
            self._comparison(f"trace, output {i}", "the function itself", 0, want, got, want)
            for i, (want, got) in enumerate(pairs)
        ]

    def _forward(
        self, level: int, outputs: Sequence[Node], directions: Sequence[NDArray], slopes: Sequence[Any]
    ) -> list[Comparison]:
        expected, method = self._directional(outputs, directions)
        return [
            self._comparison(f"forward mode, output {i}", method, level, want, got, node.value)
            for i, (want, got, node) in enumerate(zip(expected, slopes, outputs, strict=True))
        ]

    def _reverse(
        self, level: int, outputs: Sequence[Node], directions: Sequence[NDArray], slopes: Sequence[Any]
    ) -> Comparison:
        weights = self._random(-level, outputs)
        with tracing():
            cotangents = pullback(outputs, self.variables, weights)
        products = [w * np.asarray(x) for w, x in zip(weights, slopes, strict=True)]
        forward, reverse = 0.0, 0.0
        for product in products:
            forward += float(np.sum(product))
        for x_bar, direction in zip(cotangents, directions, strict=True):
            if x_bar is not None:
                reverse += float(np.sum(as_array(x_bar).node.value * direction))
        # Terms of either sign may cancel: the error is held against their size.
        size = np.array([float(np.sum(np.abs(product))) for product in products])
        return self._comparison(
            "reverse mode", "dot-product test", level, np.array(forward), np.array(reverse), size
        )

    def _input_by_input(
        self, level: int, outputs: Sequence[Node], directions: Sequence[NDArray]
    ) -> list[Comparison]:
        """The failing comparisons of one order with one element moving, which names the culprit."""
        result: list[Comparison] = []
        for number, direction in enumerate(directions):
            place = f"input {self.names[number]}"
            failed = self._failures(level, outputs, number, direction)
            suspects = np.arange(direction.size)
            while failed and suspects.size > 1:
                middle = suspects.size // 2
                for half in (suspects[:middle], suspects[middle:]):
                    found = self._failures(level, outputs, number, _restricted(direction, half))
                    if found:
                        break
                if not found:  # wrong only where several elements move together
                    break
                suspects, failed = half, found
            if failed and suspects.size == 1 and direction.shape:
                index = tuple(map(int, np.unravel_index(int(suspects[0]), direction.shape)))
                unit = _restricted(np.ones(direction.shape), suspects)
                failed = self._failures(level, outputs, number, unit) or failed
                place = f"{place} element {index}"
            result += [replace(comparison, what=f"{comparison.what}, {place}") for comparison in failed]
        return result

    def _failures(
        self, level: int, outputs: Sequence[Node], number: int, direction: NDArray
    ) -> list[Comparison]:
        """The comparisons that fail where input `number` alone moves, along `direction`."""
        alone = [direction if i == number else 0.0 * x for i, x in enumerate(self.point)]
        with tracing():
            slopes = pushforward(outputs, {self.variables[number]: direction})
        known = [
            np.zeros(node.shape) if slope is None else as_array(slope).node.value
            for node, slope in zip(outputs, slopes, strict=True)
        ]
        compared = self._forward(level, outputs, alone, known)
        if self.reverse:
            compared.append(self._reverse(level, outputs, alone, known))
        return [comparison for comparison in compared if not comparison.passed]

    def _directional(
        self, outputs: Sequence[Node], directions: Sequence[NDArray]
    ) -> tuple[list[NDArray], str]:
        """d/dt f(x + t direction) at t = 0 by a calculation that uses values of f alone."""
        oldest = min(node.serial for node in self.variables)
        if all(_is_analytic(node) for node in ancestors(outputs, oldest)):
            moved = self._values(outputs, self._moved(directions, 1j * COMPLEX_STEP))
            return [np.imag(x) / COMPLEX_STEP for x in moved], "complex step"

        def central(step: float) -> list[NDArray]:
            ahead = self._values(outputs, self._moved(directions, step))
            behind = self._values(outputs, self._moved(directions, -step))
            return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]

        # Three steps cancel the errors in step^2 and step^4.
        rows = zip(*(central(RICHARDSON_STEP / n) for n in (1, 2, 4)), strict=True)
        return [(a - 20 * b + 64 * c) / 45 for a, b, c in rows], "Richardson differences"

    def _comparison(self, what: str, method: str, order: int, want: Any, got: Any, value: Any) -> Comparison:
        want, got = np.asarray(want, FLOAT64), np.asarray(got, FLOAT64)
        tolerance = TOLERANCES[method] if self.tolerance is None else self.tolerance
        if want.size == 0:
            return Comparison(what, method, order, "no element", 0.0, 0.0, 0.0, tolerance)
        difference = np.abs(got - want)
        difference = np.where(np.isnan(difference), np.inf, difference)
        worst = np.unravel_index(int(np.argmax(difference)), want.shape)
        scale = max(float(np.max(np.abs(want))), float(np.max(np.abs(value), initial=0.0)))
        error = float(difference[worst]) / (scale if scale > NEGLIGIBLE else 1.0)
        place = f"element {tuple(int(i) for i in worst)}" if want.shape else "the scalar"
        return Comparison(what, method, order, place, float(want[worst]), float(got[worst]), error, tolerance)


def _restricted(direction: NDArray, elements: NDArray) -> NDArray:
    result = np.zeros(direction.size)
    result[elements] = direction.reshape(-1)[elements]
    return result.reshape(direction.shape)


def _is_analytic(node: Node) -> bool:
    bodies = [x for x in node.attributes.values() if isinstance(x, Graph)]
    return node.op.analytic and all(_is_analytic(inner) for body in bodies for inner in body.nodes)
