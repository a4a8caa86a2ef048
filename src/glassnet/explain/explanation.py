"""The explanation of one derivative: by example, by the units it acts through, and by path.

Every list adds up to the derivative, which the engine computes on its own; where it does not, an error says
so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.errors import VerificationError
from glassnet.explain.chain import Chain, follow
from glassnet.explain.influences import Path
from glassnet.explain.paths import LARGEST_JACOBIAN, Edges, Entry, Paths, largest_paths, merged
from glassnet.explain.variables import Variable, element, entries, read_variable
from glassnet.nn import Parameters, Run
from glassnet.nn.run import Record
from glassnet.train.composition import Composition
from glassnet.train.naming import named
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import grad

_TOLERANCE = 1e-9  # relative to the sum of the sizes of what is added
_ROUNDING = 1e-14  # absolute, for derivatives of size 1
_SHOWN = 8  # examples, units or time steps in the text


@dataclass(frozen=True)
class Explanation:
    """d of / d wrt, and the ways in which it is a sum.

    `examples` has the contribution of every row, in order, and `penalty` that of the regularisers; together
    they are `derivative`. The contribution of row `row`, the largest, is the sum of `steps` (by time step,
    where wrt is used at several), of `units` (through each element of the value that wrt enters, largest
    first), and of `paths`, the largest ones first, with `other_paths`, which the `number_of_others` that are
    not listed add up to.
    """

    of: str
    wrt: str
    derivative: float
    examples: tuple[float, ...]
    penalty: float
    row: int
    steps: tuple[Path, ...]
    units: tuple[Path, ...]
    paths: tuple[Path, ...]
    other_paths: float
    number_of_others: int

    def __str__(self) -> str:
        return "\n".join([f"d {self.of} / d {self.wrt} = {self.derivative:.6g}", *self._lines()])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def _lines(self) -> Iterator[str]:
        if len(self.examples) > 1 or self.penalty:
            yield "by example"
            rows = [(f"row {row}", value) for row, value in enumerate(self.examples)]
            yield from _listed([*rows, *([("penalty", self.penalty)] if self.penalty else [])], "examples")
        of_row = f", of row {self.row}" if len(self.examples) > 1 else ""
        if len(self.steps) > 1:
            yield f"by time step{of_row}"
            yield from _listed([(path.variables[0], path.product) for path in self.steps], "steps")
        if len(self.units) > 1:
            yield f"by the element that it enters{of_row}"
            yield from _listed([(path.variables[1], path.product) for path in self.units], "elements")
        yield f"by path{of_row}"
        if not self.paths:
            yield f"    {0:>13}  no path with a derivative other than 0 leads from {self.wrt} to {self.of}"
        for path in self.paths:
            yield f"    {path.product:>13.6g}  {' -> '.join(path.variables)}"
            yield f"    {'':>13}  = {_factors(path.edges)}"
        if self.number_of_others:
            plural = "s" if self.number_of_others > 1 else ""
            yield f"    {self.other_paths:>13.6g}  {self.number_of_others:,} other path{plural}"


def _factors(edges: Sequence[float]) -> str:
    texts = [f"{edge:.6g}" for edge in reversed(edges)]  # the outermost first, as in the chain rule
    return " * ".join(f"({text})" if text.startswith("-") else text for text in texts)


def _listed(contributions: Sequence[tuple[str, float]], what: str) -> Iterator[str]:
    """The largest contributions, largest first, and the rest in one line."""
    ordered = sorted(contributions, key=lambda one: -abs(one[1]))
    most = _SHOWN if len(ordered) > _SHOWN + 1 else len(ordered)
    for name, value in ordered[:most]:
        yield f"    {value:>13.6g}  {name}"
    if ordered[most:]:
        rest = math.fsum(value for _, value in ordered[most:])
        yield f"    {rest:>13.6g}  {len(ordered) - most:,} other {what}"


def explain_rows(
    composition: Composition,
    parameters: Parameters,
    statistics: Parameters,
    X: NDArray,
    target: NDArray,
    *,
    wrt: str,
    of: str = "loss",
    paths: int = 5,
) -> Explanation:
    """d of / d wrt over rows X, taken apart; computed in float64, with the network as it is used.

    dL/dw = sum over rows, and in each over all paths from w to L, of the product of the derivatives on the
    path's edges. `wrt` is an element of a parameter ("dense_1.weight[3, 5]"), of the input ("x[7]": moved in
    every row) or of a value between ("dense_1.z[2]", "dense_1.y[2]"); `of` is "loss" or an output such as
    "output[1]", of which rows take the mean (or sum) as the loss does. A path goes from element to element of
    the layers' values; a layer with a Jacobian of more than `LARGEST_JACOBIAN` elements ends the paths, whose
    last edge is then the derivative with respect to what they have reached. Shapes: X (rows, ...), target
    (rows, ...).

    Raises ConfigurationError for names and indices that are not there, VerificationError where the sums
    differ from the derivative by more than rounding.
    """
    parameters, statistics = (tree_map(_wide, tree) for tree in (parameters, statistics))
    question = _Question(composition, parameters, statistics, _wide(X), _wide(target), of)
    chain = question.chain(0)
    shapes = {name: leaf.shape for name, leaf in named(parameters).items()} | {"x": X.shape[1:]}
    shapes |= {stage.title: stage.after.shape for stage in chain.stages}
    variable = read_variable(wrt, shapes, "wrt")
    whole, each, penalty = question.derivatives(variable)
    row = int(np.argmax(np.abs(each)))
    chain = question.chain(row) if row else chain
    entered = entries(chain, variable)
    steps, units, found = _taken_apart(chain, variable, entered, paths, question.last_edges(row))
    about = f"d{of}/d{variable}"
    parts = [path.product for path in units]
    # A derivative that is 0 by cancelling inside a layer is the rounding of what arrives there.
    rounding = _ROUNDING * math.fsum(float(np.sum(np.abs(chain.after_bars[number]))) for number, _ in entered)
    sizes = [*parts, rounding / _TOLERANCE]
    _verify(f"The examples of {about}", [*each, penalty], whole, sizes)
    _verify(f"The elements of {about}", parts, each[row], sizes)
    _verify(f"The paths of {about}", [*(p.product for p in found.shown), found.others], each[row], sizes)
    ways = tuple(steps), tuple(units), found.shown, found.others, found.number_of_others
    return Explanation(of, str(variable), whole, tuple(each), penalty, row, *ways)


@dataclass(frozen=True)
class _Question:
    """What is asked of which rows, all of it in float64."""

    composition: Composition
    parameters: Parameters
    statistics: Parameters
    X: NDArray
    target: NDArray
    of: str

    @cached_property
    def goal(self) -> tuple[int, ...] | None:
        """The index of the output that is asked for; None for the loss."""
        if self.of == "loss":
            return None
        output = self.composition.output(self.parameters, self.statistics, self.X[0])
        return read_variable(self.of, {"output": np.shape(output)}, "of").index

    def end(self, last: Any, run: Run, target: Any) -> Any:
        """What is differentiated, from what goes into the loss."""
        if self.goal is None:
            return self.composition.divergence_of(last, target, run)
        return self.composition.link(last)[self.goal]

    def chain(self, row: int) -> Chain:
        """The way of one row through the network."""

        def end(last: Any, run: Run) -> Any:
            return self.end(last, run, self.target[row])

        return follow(self.composition, self.parameters, self.statistics, self.X[row], end)

    def last_edges(self, row: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The names at the end of every path, and the edge between them: the row's share in the batch."""
        if len(self.X) == 1:
            return (self.of,), ()
        share = 1.0 if self.composition.reduction == "sum" else 1.0 / len(self.X)
        return (f"{self.of} of row {row}", self.of), (share,)

    def derivatives(self, variable: Variable) -> tuple[float, list[float], float]:
        """The whole derivative in one backward pass, that of every row alone, and that of the penalty."""

        def of_row(by: Any, x: Any, target: Any) -> Any:
            x = x + by * variable.one_hot if variable.name == "x" else x
            probes = {place: by * variable.one_hot} if variable.name not in fixed else {}
            run = Run(statistics=self.statistics, record=Record(probes=probes))
            last = self.composition.into_loss(self._moved(variable, by), x, run)
            return self.end(last, run, target)

        def penalty(by: Any) -> Any:
            return self.composition.penalty(self._moved(variable, by)) + 0.0 * by

        def of_batch(by: Any) -> Any:
            each = vmap(of_row, in_axes=(None, 0, 0))(by, self.X, self.target)
            total = gnp.sum(each) * share
            return total if self.goal is not None else total + penalty(by)

        fixed = {"x", *named(self.parameters)}
        layer, _, what = variable.name.rpartition(".")
        place = (layer,) if what == "y" else (layer, what)
        zero, share = np.float64(0), math.prod(self.last_edges(0)[1])
        each = vmap(grad(of_row), in_axes=(None, 0, 0))(zero, self.X, self.target) * share
        own = 0.0 if self.goal is not None else float(grad(penalty)(zero))
        return float(grad(of_batch)(zero)), [float(value) for value in each], own

    def _moved(self, variable: Variable, by: Any) -> Parameters:
        """The parameters, with the variable moved where it is one of them."""
        leaves, structure = flatten(self.parameters)
        moved = [
            leaf + by * variable.one_hot if name == variable.name else leaf
            for name, leaf in zip(named(self.parameters), leaves, strict=True)
        ]
        return unflatten(structure, moved)


def _taken_apart(
    chain: Chain,
    variable: Variable,
    entered: Sequence[tuple[int, Sequence[Entry]]],
    most: int,
    last: tuple[tuple[str, ...], tuple[float, ...]],
) -> tuple[list[Path], list[Path], Paths]:
    """By time step, by element and by path; `last` is what stands at the end of each."""
    names, shares = last
    share = math.prod(shares)
    steps: list[Path] = []
    units: list[Path] = []
    searches: list[Paths] = []
    for number, ways in entered:
        bars = chain.after_bars[number].reshape(-1)
        if len(ways) > 1:
            steps += [Path((way.name, names[-1]), (float(way.slopes @ bars) * share,)) for way in ways]
        slopes = np.sum([way.slopes for way in ways], axis=0)
        for unit in np.flatnonzero(slopes * bars):
            edges = float(slopes[unit]), float(bars[unit]), *shares
            units.append(Path((str(variable), _name(chain, number, int(unit)), *names), edges))
        searches.append(largest_paths(_edges(chain, number), ways, most, names[0]))
    if chain.stages[-1].title == variable.name:
        bar = float(chain.after_bars[-1][variable.index])
        units.append(Path((str(variable), *names), (bar, *shares)))
        searches.append(Paths((Path((str(variable), names[0]), (bar,)),), 0.0, 0))
    found = merged(searches, most)
    shown = tuple(Path((*path.variables, *names[1:]), (*path.edges, *shares)) for path in found.shown)
    units.sort(key=lambda path: -abs(path.product))
    return steps, units, Paths(shown, found.others * share, found.number_of_others)


def _edges(chain: Chain, first: int) -> Edges:
    """The Jacobians from stage `first` on, up to one that is too large to be followed."""
    matrices: list[NDArray] = []
    for stage in chain.stages[first + 1 :]:
        diagonal = stage.diagonal
        if diagonal is None and stage.before.size * stage.after.size > LARGEST_JACOBIAN:
            break
        matrices.append(stage.jacobian if diagonal is None else diagonal)
    bars = chain.after_bars[first + len(matrices)].reshape(-1)
    return Edges(matrices, bars, lambda step, unit: _name(chain, first + step, unit))


def _name(chain: Chain, number: int, unit: int) -> str:
    stage = chain.stages[number]
    return element(stage.title, tuple(map(int, np.unravel_index(unit, stage.after.shape))))


def _verify(what: str, parts: Sequence[float], whole: float, sizes: Sequence[float]) -> None:
    total, size = math.fsum(parts), math.fsum(map(abs, (*parts, *sizes, whole)))
    if not abs(total - whole) <= _TOLERANCE * size:
        raise VerificationError(f"{what} add up to {total!r}, but the derivative is {whole!r}.")


def _wide(array: NDArray) -> NDArray:
    return array if array.dtype.kind in "biu" else array.astype(FLOAT64)
