"""What comes out when one factor of the chain rule is wrong: the usual mistakes, from the right factors.

Every wrong value is the sum over the same paths with one kind of edge replaced, or over some of them only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from glassnet.explain.chain import Account
from glassnet.explain.influences import Path
from glassnet.explain.variables import Variable, element
from glassnet.transforms.derivatives import jacobian

Change = Callable[[str, str, float], float]  # (from, to, the edge's derivative) -> what is taken for it


@dataclass(frozen=True)
class Mistake:
    """A wrong derivative: the factor that is wrong in it, what was done, and the value that comes of it."""

    factor: str
    what: str
    value: float


def usual_mistakes(account: Account, variable: Variable, paths: Sequence[Path]) -> list[Mistake]:
    """The usual mistakes in dL/dvariable, of which `paths` are all paths; those that change nothing too."""
    edges = _Kinds(account)
    found = [Mistake("sign", "the sign is the wrong one", -_total(paths, _as_it_is))]
    found += edges.slopes(paths)
    found += edges.weights(paths)
    found += edges.inputs(paths)
    found += edges.errors(paths)
    found += _transposed_gradient(account, variable)
    found += _some_only(paths, 0, "time steps", "only {} is counted")
    found += _some_only(paths, 1, "paths", "only the way through {} is counted")
    found += _some_only(paths, -2, "paths", "only the way through {} is counted")
    return found


class _Kinds:
    """Edges by kind: a slope leads from z to y of a layer, a weight from y of one to z of the next."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.stages = {
            element(stage.title, index): (stage, index)
            for stage in account.chain.stages
            for index in np.ndindex(stage.after.shape)
        }

    def slopes(self, paths: Sequence[Path]) -> Iterator[Mistake]:
        """Slopes of activations: left out in a layer, or in all, or the value in their place."""
        layers = list(
            dict.fromkeys(
                self.stages[end][0].name
                for path in paths
                for start, end in zip(path.variables, path.variables[1:], strict=False)
                if self._is_slope(start, end)
            )
        )
        for layer in layers:
            what = f"the slope of the activation of {layer} is left out"
            yield Mistake("activation slope", what, _total(paths, self._without_slope([layer])))
            what = f"the value y of {layer} stands where the slope of its activation belongs"
            yield Mistake("activation slope", what, _total(paths, self._value_for_slope(layer)))
        if len(layers) > 1:
            what = "the slopes of all activations are left out"
            yield Mistake("activation slope", what, _total(paths, self._without_slope(layers)))

    def weights(self, paths: Sequence[Path]) -> Iterator[Mistake]:
        """Weights on the way back: left out, or W where its transpose belongs."""
        if any(self._is_weight(*ends) for path in paths for ends in _ends(path)):
            what = "the weights between the layers are left out"
            yield Mistake("weight", what, _total(paths, self._changed_weight(lambda _start, _end: 1.0)))
        if any(self._transposed(*ends) is not None for path in paths for ends in _ends(path)):
            what = "W stands where its transpose belongs on the way back"
            yield Mistake("transposed", what, _total(paths, self._changed_weight(self._transposed)))

    def inputs(self, paths: Sequence[Path]) -> Iterator[Mistake]:
        """dz/dw, which is what the weight multiplies, left out."""
        if all(self.stages[path.variables[1]][0].what == "z" for path in paths if len(path.edges) > 1):
            value = math.fsum(path.product / path.edges[0] for path in paths)
            yield Mistake("input", "the input that the weight multiplies is left out", value)

    def errors(self, paths: Sequence[Path]) -> Iterator[Mistake]:
        """The derivative of the loss: without the target, doubled, or with a slope that it contains."""
        composition, last = self.account.composition, self.account.chain.stages[-1].after
        output = np.asarray(composition.link(last)).reshape(-1)

        def changed(by: Callable[[int, float], float]) -> float:
            return math.fsum(
                math.prod(path.edges[:-1]) * by(self._place(path.variables[-2]), path.edges[-1])
                for path in paths
            )

        yield Mistake("delta", "the target d is left out of the error", changed(lambda i, _: output[i]))
        yield Mistake("delta", "the error is counted twice", changed(lambda _, error: 2.0 * error))
        if composition.loss.link:
            slopes = np.diag(np.asarray(jacobian(composition.link)(last)))
            what = f"the slope of the {composition.loss.link} is counted, which p - d contains already"
            yield Mistake("activation slope", what, changed(lambda i, error: error * slopes[i]))

    # -- kinds of edges

    def _is_slope(self, start: str, end: str) -> bool:
        return self._what(start) == "z" and self._what(end) == "y" and self._name(start) == self._name(end)

    def _is_weight(self, start: str, end: str) -> bool:
        return self._what(start) == "y" and self._what(end) == "z"

    def _without_slope(self, layers: Sequence[str]) -> Change:
        return lambda start, end, edge: (
            1.0 if self._is_slope(start, end) and self._name(end) in layers else edge
        )

    def _value_for_slope(self, layer: str) -> Change:
        return lambda start, end, edge: (
            self._value(end) if self._is_slope(start, end) and self._name(end) == layer else edge
        )

    def _changed_weight(self, by: Callable[[str, str], float | None]) -> Change:
        def change(start: str, end: str, edge: float) -> float:
            other = by(start, end) if self._is_weight(start, end) else None
            return edge if other is None else other

        return change

    def _transposed(self, start: str, end: str) -> float | None:
        """The weight in the transposed place; None where W is not square."""
        if not self._is_weight(start, end):
            return None
        matrix = self.stages[end][0].jacobian
        rows, columns = matrix.shape
        return float(matrix[self._place(start), self._place(end)]) if rows == columns > 1 else None

    def _what(self, name: str) -> str:
        return self.stages[name][0].what if name in self.stages else ""

    def _name(self, name: str) -> str:
        return self.stages[name][0].name

    def _value(self, name: str) -> float:
        stage, index = self.stages[name]
        return float(stage.after[index])

    def _place(self, name: str) -> int:
        stage, index = self.stages[name]
        return int(np.ravel_multi_index(index, stage.after.shape)) if index else 0


def _ends(path: Path) -> Iterator[tuple[str, str]]:
    return zip(path.variables, path.variables[1:], strict=False)


def _as_it_is(_start: str, _end: str, edge: float) -> float:
    return edge


def _total(paths: Sequence[Path], change: Change) -> float:
    """The sum over the paths of the products of their edges, each changed."""
    return math.fsum(
        math.prod(change(*ends, edge) for ends, edge in zip(_ends(path), path.edges, strict=True))
        for path in paths
    )


def _transposed_gradient(account: Account, variable: Variable) -> Iterator[Mistake]:
    gradient = account.gradients.get(variable.name)
    if gradient is None or gradient.ndim != 2:
        return
    row, column = variable.index
    if row != column and column < gradient.shape[0] and row < gradient.shape[1]:
        what = f"the gradient is transposed: this is dL/d{element(variable.name, (column, row))}"
        yield Mistake("transposed", what, float(gradient[column, row]))


def _some_only(paths: Sequence[Path], place: int, factor: str, what: str) -> Iterator[Mistake]:
    """The sums over the paths through one variable each, where there are several at this place."""
    groups: dict[str, list[float]] = {}
    for path in paths:
        groups.setdefault(path.variables[place], []).append(path.product)
    if len(groups) > 1:
        for name, products in groups.items():
            yield Mistake(factor, what.format(name), math.fsum(products))
