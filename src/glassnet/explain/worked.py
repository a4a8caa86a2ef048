"""The worked solution of one example: every equation of the two passes, with the numbers put in.

Numbers come from the engine, the formula of an activation and of its slope from the op's declaration; a term
is written down here, never computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.trace import as_array, placeholder, tracing
from glassnet.explain.chain import Account, Stage, elementwise
from glassnet.explain.deriving import derive
from glassnet.nn import Dense
from glassnet.nn.layer import activation_name

_MOST = 5  # units, or terms of a sum, that are all written down
_FIRST = 2  # of more than those, besides the last one

Term = Sequence[tuple[str, float]] | None  # factors by name, each with its number; None is "..."
_Above = tuple[int, Stage, NDArray] | None  # the number of the layer above, its z and its delta


def worked_solution(account: Account, learning_rate: float | None, digits: int) -> str:
    """The text: the forward pass, the loss, the backward pass, and with a learning rate the update."""
    writer = _Writer(account, digits)
    lines = ["Forward", *writer.forward(), "Loss", *writer.loss(), "Backward", *writer.backward()]
    if learning_rate is not None:
        lines += [f"Update, learning rate {learning_rate:g}", *writer.update(learning_rate)]
    return "\n".join(lines)


class _Writer:
    """Writes the equations of one account; layers and units count from 1."""

    def __init__(self, account: Account, digits: int) -> None:
        self.account = account
        self.composition, self.chain = account.composition, account.chain
        self.target, self.gradients, self.digits = account.target, account.gradients, digits
        bars = iter(account.chain.after_bars)
        self.layers: list[tuple[int, Sequence[Stage], list[NDArray]]] = [
            (number, stages, [next(bars) for _ in stages])
            for number, stages in enumerate(account.chain.layers, 1)
        ]
        # A layer that stands twice has its parameters once, named after its first place.
        self.first = {stages[0].name: number for number, stages, _ in reversed(self.layers)}

    # -- forward

    def forward(self) -> Iterator[str]:
        """z and y of every layer, and what the loss makes of the last z."""
        for number, stages, _ in self.layers:
            yield f"  {stages[0].name}: {stages[0].layer.describe()}"
            if not _is_plain(stages):
                yield f"    y{number} = {self._array(stages[-1].after)}"
                continue
            affine = stages[0]
            yield from _each(affine.after.size, partial(self._affine, number, affine))
            if len(stages) > 1:
                f, z, y = stages[1].activation, stages[1].before, stages[1].after
                yield from self._activations(f, f"z{number}", f"y{number}", z, y)
        number, stages, _ = self.layers[-1]
        link = self.composition.loss.link
        if link:
            yield f"  {link}, which belongs to the loss"
            before, z = f"{stages[-1].what}{number}", stages[-1].after
            yield from self._activations(self.composition.link, before, f"p{number}", z, self.account.output)

    def _affine(self, number: int, stage: Stage, unit: int) -> str:
        weight, before = stage.own["weight"], stage.before
        terms: list[Term] = [
            None
            if i is None
            else [(_weight(self.first[stage.name], unit, i), weight[unit, i]), (_input(number, i), before[i])]
            for i in _folded(before.size)
        ]
        if "bias" in stage.own:
            terms.append([(f"b{self.first[stage.name]}_{unit + 1}", stage.own["bias"][unit])])
        return self._equation(f"z{number}_{unit + 1}", terms, stage.after[unit])

    def _activations(self, function: Any, z: str, y: str, before: NDArray, after: NDArray) -> Iterator[str]:
        symbol = _symbol(function)

        def line(unit: int) -> str:
            left, value = f"{y}_{unit + 1}", self._number(after.flat[unit])
            if symbol is None:  # a vector activation: each output sees every z
                return f"    {left} = {activation_name(function)}({z})_{unit + 1} = {value}"
            number = self._number(before.flat[unit])
            return f"    {left} = {symbol}({z}_{unit + 1}) = {symbol}({number}) = {value}"

        yield from _each(before.size, line)

    # -- the loss

    def loss(self) -> Iterator[str]:
        """The divergence, and its terms where it is the sum over the outputs."""
        loss, last = self.composition.loss, self.chain.stages[-1].after
        terms: list[float] = []
        if self.target.shape == last.shape and last.ndim == 1 and 1 < last.size <= _MOST:
            each = [slice(unit, unit + 1) for unit in range(last.size)]
            terms = [float(loss.divergence(last[one], self.target[one])) for one in each]
        parts = ""
        # Some losses are means, or see all outputs at once: then there are no terms to show.
        if terms and np.isclose(sum(terms), self.chain.value, rtol=1e-6):
            parts = f" = {' + '.join(map(self._bracketed, terms))}"
        yield f"    L = {loss.name}{f': {loss.formula}' if loss.formula else ''}"
        yield f"    L{parts} = {self._number(self.chain.value)}"

    # -- backward

    def backward(self) -> Iterator[str]:
        """dL/dy, delta = dL/dz and the gradients, from the last layer to the first."""
        above: _Above = None
        for number, stages, bars in reversed(self.layers):
            yield f"  {stages[0].name}"
            plain = _is_plain(stages)
            name = f"dL/dy{number}" if not plain or len(stages) > 1 else f"delta{number}"
            if plain:
                yield from _each(bars[-1].size, partial(self._arriving, name, bars[-1], above))
                if len(stages) > 1:
                    yield from self._deltas(number, stages[1], bars)
                yield from self._gradient_lines(number, stages[0])
            else:
                yield f"    {name} = {self._array(bars[-1])}"
            above = (number, stages[0], bars[0]) if plain else None
        yield "  x"
        yield from _each(self.chain.x.size, partial(self._arriving, "dL/dx", self.chain.x_bar, above))

    def _arriving(self, name: str, bar: NDArray, above: _Above, unit: int) -> str:
        """A derivative that arrives from the layer above, or from the loss, where no terms are shown."""
        left, value = f"{name}_{unit + 1}", bar.flat[unit]
        if above is None:
            return self._from_loss(left, unit, bar)
        number, stage, delta = above
        weight = stage.own["weight"]
        terms: list[Term] = [
            None
            if j is None
            else [
                (f"delta{number}_{j + 1}", delta[j]),
                (_weight(self.first[stage.name], j, unit), weight[j, unit]),
            ]
            for j in _folded(delta.size)
        ]
        return self._equation(left, terms, value)

    def _from_loss(self, left: str, unit: int, bar: NDArray) -> str:
        """The loss's own derivative: written as y - d where it is that, and as its number elsewhere."""
        y, d, value = self.account.output, self.account.desired, self._number(bar.flat[unit])
        if bar is not self.layers[-1][2][-1] or y.shape != d.shape or not np.allclose(bar, y - d):
            return f"    {left} = {value}"
        number, stages, _ = self.layers[-1]
        letter = "p" if self.composition.loss.link else stages[-1].what
        numbers = f"{self._number(y.flat[unit])} - {self._bracketed(d.flat[unit])}"
        return f"    {left} = {letter}{number}_{unit + 1} - d_{unit + 1} = {numbers} = {value}"

    def _deltas(self, number: int, stage: Stage, bars: Sequence[NDArray]) -> Iterator[str]:
        symbol, slopes = _symbol(stage.activation), stage.diagonal
        if stage.activation is not None and symbol is not None:
            yield f"    {_slope_formula(stage.activation, symbol)}"
        matrix = stage.jacobian if slopes is None else np.empty((0, 0))

        def line(unit: int) -> str:
            z = f"z{number}_{unit + 1}"
            if slopes is not None:
                factors = [(f"dL/dy{number}_{unit + 1}", bars[1][unit]), (f"{symbol}'({z})", slopes[unit])]
                return self._equation(f"delta{number}_{unit + 1}", [factors], bars[0][unit])
            terms: list[Term] = [
                None
                if j is None
                else [(f"dL/dy{number}_{j + 1}", bars[1][j]), (f"dy{number}_{j + 1}/d{z}", matrix[j, unit])]
                for j in _folded(stage.after.size)
            ]
            return self._equation(f"delta{number}_{unit + 1}", terms, bars[0][unit])

        yield from _each(stage.before.size, line)

    def _gradient_lines(self, number: int, stage: Stage) -> Iterator[str]:
        places = [
            (place, stages[0], bars[0]) for place, stages, bars in self.layers if stages[0].name == stage.name
        ]
        if number != self.first[stage.name] or any(one.before.ndim != 1 for _, one, _ in places):
            return
        for element in _elements(number, stage):
            if element is None:
                yield "    ..."
                continue
            name, leaf, index = element
            terms: list[Term] = []
            for place, one, delta in places:
                factors = [(f"delta{place}_{index[0] + 1}", delta[index[0]])]
                if leaf == "weight":
                    factors.append((_input(place, index[1]), one.before[index[1]]))
                terms.append(factors)
            yield self._equation(f"dL/d{name}", terms, self.gradients[f"{stage.name}.{leaf}"][index])

    # -- update

    def update(self, rate: float) -> Iterator[str]:
        """Every parameter that is written down, after one step of gradient descent."""
        for number, stages, _ in self.layers:
            if not _is_plain(stages) or number != self.first[stages[0].name]:
                continue
            for element in _elements(number, stages[0]):
                if element is None:
                    yield "    ..."
                    continue
                name, leaf, index = element
                old, slope = stages[0].own[leaf][index], self.gradients[f"{stages[0].name}.{leaf}"][index]
                numbers = f"{self._number(old)} - {rate:g} * {self._bracketed(slope)}"
                new = self._number(old - rate * slope)
                yield f"    {name} <- {name} - {rate:g} dL/d{name} = {numbers} = {new}"

    # -- text

    def _equation(self, left: str, terms: Sequence[Term], value: float) -> str:
        """left = the terms = the terms in numbers = value."""
        names = " + ".join("..." if term is None else " ".join(name for name, _ in term) for term in terms)
        products = ("..." if term is None else self._times(term, place) for place, term in enumerate(terms))
        sides = [left, names, " + ".join(products), self._number(value)]
        return "    " + " = ".join(dict.fromkeys(sides))

    def _times(self, term: Sequence[tuple[str, float]], place: int) -> str:
        """The factors in numbers; a minus at the very front needs no brackets."""
        (_, first), *others = term
        written = [self._bracketed(first) if place else self._number(first)]
        return " * ".join(written + [self._bracketed(value) for _, value in others])

    def _bracketed(self, value: float) -> str:
        text = self._number(value)
        return f"({text})" if text.startswith("-") else text

    def _number(self, value: float) -> str:
        return f"{float(value) + 0.0:.{self.digits}g}"

    def _array(self, values: NDArray) -> str:
        shown = [self._number(values.flat[i]) if i is not None else "..." for i in _folded(values.size)]
        shape = f" ({' x '.join(map(str, values.shape))})" if values.ndim > 1 else ""
        return f"[{' '.join(shown)}]{shape}"


def _is_plain(stages: Sequence[Stage]) -> bool:
    """Whether the layer is written out: z = W x + b for one vector x."""
    return isinstance(stages[0].layer, Dense) and stages[0].what == "z" and stages[0].before.ndim == 1


def _folded(size: int) -> list[int | None]:
    """The numbers 0, 1, ... that are written down, with None for those that are left out."""
    return list(range(size)) if size <= _MOST else [*range(_FIRST), None, size - 1]


def _each(size: int, write: Callable[[int], str]) -> Iterator[str]:
    for unit in _folded(size):
        yield "    ..." if unit is None else write(unit)


def _weight(number: int, unit: int, source: int) -> str:
    between = "," if max(unit, source) > 8 else ""  # w2_1,12 is not w2_11,2
    return f"w{number}_{unit + 1}{between}{source + 1}"


def _input(number: int, index: int) -> str:
    return f"x_{index + 1}" if number == 1 else f"y{number - 1}_{index + 1}"


def _elements(number: int, stage: Stage) -> Iterator[tuple[str, str, tuple[int, ...]] | None]:
    """The parameters that are written down: (name, array, index)."""
    units, sources = stage.own["weight"].shape
    for unit in _folded(units):
        if unit is None:
            yield None
            continue
        for source in _folded(sources):
            yield None if source is None else (_weight(number, unit, source), "weight", (unit, source))
        if "bias" in stage.own:
            yield f"b{number}_{unit + 1}", "bias", (unit,)


def _symbol(function: Callable[[Any], Any] | None) -> str | None:
    """How a function of one number is written, from its op's declaration; None for a vector function."""
    if function is None or not elementwise(function):
        return None
    with tracing():
        z = placeholder((), FLOAT64)
        y = as_array(function(z)).node
    prime = y.op.formula.prime if y.inputs == (z.node,) else None
    name = prime or activation_name(function)
    return name if name.isidentifier() else "f"  # not <lambda>


def _slope_formula(function: Callable[[Any], Any], symbol: str) -> str:
    """f'(z) as a formula, from the declaration."""
    slope = derive(function, names=("z",))
    left = f"{symbol}'(z)"
    return f"{left} = {slope.definitions.get(left, slope.partials['z'].formula)}"
