"""From what is to be derived to the derivation: the diagram, its steps, and the names that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from glassnet.core.graph import Node, ancestors
from glassnet.core.shape import size_of
from glassnet.core.trace import as_array
from glassnet.errors import ConfigurationError, DifferentiationError
from glassnet.explain.chain_rule import Diagram, Step, closed_forms, needed, prime_of, shared_slopes
from glassnet.explain.derivation import Derivation, Partial, cases_of
from glassnet.explain.expression import (
    ONE,
    ZERO,
    Expression,
    Number,
    Symbol,
    leaves,
    primes,
    substitute,
)
from glassnet.explain.reading import Elements, Reading, Whole
from glassnet.explain.simplify import simplify
from glassnet.explain.subject import Subject
from glassnet.transforms.transpose import pullback

Form = Literal["elements", "matrices"]
_MOST_ELEMENTS = 2000  # nobody reads more formulas than that

Meaning = dict[Expression, Expression]


@dataclass(frozen=True)
class _Place:
    """A variable, or an element of one: its node, the index of the element, and its derivative."""

    name: str
    node: Node
    index: tuple[int, ...] | None  # None is the whole array
    slope: Expression


@dataclass
class _Result:
    """What was found out about one result."""

    name: str
    node: Node
    index: tuple[int, ...]
    formula: Expression
    places: dict[str, _Place]  # all that could be asked for, by every name
    asked: list[_Place]
    steps: list[Step]
    closed: Meaning


class Writer:
    """Writes the derivation of one subject in one form; `given` are the numbers that the caller gave."""

    def __init__(self, subject: Subject, form: Form, given: Mapping[str, Any]) -> None:
        self.subject, self.given = subject, given
        taken = [*subject.inputs.values(), *subject.names.values(), *subject.spare.values()]
        self.reading: Reading = Whole(subject.deltas, taken)
        if form == "elements":
            self._require_readable()
            self.reading = Elements(subject.element_names)
        elif not subject.is_scalar:
            raise DifferentiationError(
                f"The matrix form is for functions with one number as result, and {subject.title} has "
                f'{len(self._results())}; use form="elements", which writes the Jacobian.'
            )
        inputs = {node: self.reading.symbols(name, node.shape) for node, name in subject.inputs.items()}
        self._diagram = Diagram(
            subject.results,
            self.reading,
            inputs,
            {**subject.inputs, **subject.names},
            subject.spare,
        )
        self._slopes: dict[tuple[str, Node], Any] = {}  # by result and variable, where they are known

    def _require_readable(self) -> None:
        nodes = ancestors(self.subject.results.values(), stop=self.subject.inputs)
        count = max(
            sum(size_of(node.shape) for node in self.subject.inputs), *(size_of(x.shape) for x in nodes)
        )
        if count > _MOST_ELEMENTS:
            raise DifferentiationError(
                f"{self.subject.title} works on {count:,} numbers at once, and nobody reads formulas of more "
                f'than {_MOST_ELEMENTS:,}; use form="matrices".'
            )

    def derivation(self, wrt: Any) -> Derivation:
        """The derivation with respect to the variables that `wrt` names."""
        walked = [(*each, self._walk(*each)) for each in self._results()]
        # Which nodes have a name is settled when the diagram has been walked from every result.
        meaning = self._meaning()
        results = [self._result(name, node, index, steps, wrt) for name, node, index, steps in walked]
        partials: dict[str, Partial] = {}
        closed: Meaning = {}
        for result in results:
            closed |= result.closed
            for place in result.asked:
                key = place.name if len(results) == 1 else f"{result.name}, {place.name}"
                partials[key] = self._partial(key, place, result)
        formulas = [case.expression for partial in partials.values() for case in partial.cases]
        formulas += [
            each for partial in partials.values() for case in partial.cases for each in case.assumptions
        ]
        asked = {partial.slope for partial in partials.values()}
        shared = {slope: closed[slope] for slope in needed(_names(formulas), closed) if slope not in asked}
        steps = [step for result in results for step in result.steps]
        functions: Meaning = {Symbol(result.name): result.formula for result in results}
        shown = [*functions.values(), *formulas, *shared.values(), *(step.chain for step in steps)]
        variables = {name: meaning[name] for name in needed(_names(shown), meaning) if name not in functions}
        shown += variables.values()
        jacobian = [[result.closed.get(place.slope, ZERO) for place in result.asked] for result in results]
        return Derivation(
            functions,
            variables,
            tuple(steps),
            partials,
            shared,
            _primes(shown),
            self._shown_numbers(shown, functions),
            tuple(map(tuple, jacobian)) if len(results) > 1 else (),
            self._constants(shown),
        )

    def _constants(self, shown: Iterable[Expression]) -> dict[str, Any]:
        if not isinstance(self.reading, Whole):
            return {}
        used = {leaf.name for leaf in _names(shown) if isinstance(leaf, Symbol)}
        return {name: value for name, value in self.reading.constants.items() if name in used}

    # -- one result

    def _results(self) -> list[tuple[str, Node, tuple[int, ...]]]:
        found: list[tuple[str, Node, tuple[int, ...]]] = []
        for name, node in self.subject.results.items():
            elements = self.subject.element_names(name, node.shape)
            found += [(elements[index], node, index) for index in np.ndindex(node.shape)]
        return found

    def _walk(self, name: str, node: Node, index: tuple[int, ...]) -> list[Step]:
        """All steps back from one result."""
        seed: Any = ONE
        if isinstance(self.reading, Elements):
            seed = np.full(node.shape, ZERO, object)
            seed[index] = ONE
        return self._diagram.steps(name, node, seed)

    def _result(self, name: str, node: Node, index: tuple[int, ...], steps: list[Step], wrt: Any) -> _Result:
        places = self._places(name)
        asked = self._asked(wrt, places)
        told = set(needed((place.slope for place in asked), {step.slope: step.chain for step in steps}))
        steps = [step for step in steps if step.slope in told]
        elements = isinstance(self.reading, Elements)
        closed = closed_forms(steps, [] if elements else shared_slopes(steps))
        formula = self._shown(self._diagram.formula(node))
        return _Result(
            name, node, index, formula[index] if elements else formula, places, asked, steps, closed
        )

    def _shown(self, formula: Any) -> Any:
        return formula if self.subject.written else self.reading.map(simplify, formula)

    def _meaning(self) -> Meaning:
        """What every name of a value stands for."""
        meaning: Meaning = {}
        for node in self._diagram.named:
            symbols = self.reading.symbols(self._diagram.names[node], node.shape)
            formula = self._shown(self._diagram.formulas[node])
            formula = self.reading.map(lambda _, part: part, symbols, formula)
            meaning |= zip(self.reading.parts(symbols), self.reading.parts(formula), strict=True)
        return meaning

    def _places(self, output: str) -> dict[str, _Place]:
        """All variables and their elements by name, as they were named and by their index."""
        places: dict[str, _Place] = {}
        for node in (*self._diagram.inputs, *self._diagram.named):
            name = self._diagram.names[node]
            names = [name, *(alias for alias, known in self.subject.aliases.items() if known == name)]
            slopes: Any = self.reading.slopes(output, name, node.shape)
            if isinstance(self.reading, Whole):
                places |= {each: _Place(name, node, None, slopes) for each in names}
                continue
            own = self.subject.element_names(name, node.shape)
            for index in np.ndindex(node.shape):
                place = _Place(own[index], node, index, slopes[index])
                by_index = [f"{each}[{', '.join(map(str, index))}]" for each in names]
                places |= dict.fromkeys([own[index], *by_index], place)
        return places

    def _asked(self, wrt: Any, places: Mapping[str, _Place]) -> list[_Place]:
        """The variables to differentiate with respect to."""
        inputs = list(self.subject.inputs.values())
        if wrt is None:
            meant = self.subject.parameters or inputs
            nodes = {node for node, name in self.subject.inputs.items() if name in meant}
            return list({place.slope: place for place in places.values() if place.node in nodes}.values())
        found: dict[Expression, _Place] = {}
        if not isinstance(wrt, (int, str, list, tuple)):
            raise ConfigurationError(
                f"derive got wrt={wrt!r}; it takes a name, a position, or several of them."
            )
        for which in (wrt,) if isinstance(wrt, (int, str)) else wrt:
            known = which
            if isinstance(which, int) and -len(inputs) <= which < len(inputs):
                known = inputs[which]
            chosen = [] if isinstance(known, int) else _by_name(known, places)
            if not chosen:
                names = dict.fromkeys(place.name for place in places.values())
                raise DifferentiationError(
                    f"wrt={which!r} is no variable of {self.subject.title}; it has {_listed(names)}."
                )
            found |= {place.slope: place for place in chosen}
        return list(found.values())

    # -- numbers

    @cached_property
    def _numbers(self) -> dict[str, Any]:
        """The numbers of all values with a name, as far as they are known."""
        subject, numbers = self.subject, {}
        if subject.is_known:
            nodes = [*self._diagram.inputs, *self._diagram.named]
            found = [(self._diagram.names[node], node.value) for node in nodes]
            found += [(name, node.value) for name, node in subject.results.items()]
        else:
            found = [(name, np.asarray(value)) for name, value in self.given.items()]
        for name, value in found:
            if isinstance(self.reading, Whole):
                numbers[name] = value if value.shape else float(value)
            else:
                elements = subject.element_names(name, value.shape)
                numbers |= {elements[index]: float(value[index]) for index in np.ndindex(value.shape)}
        return numbers

    def _slope_at(self, place: _Place, result: _Result) -> Any:
        """The number of a derivative, by the engine."""
        key = result.name, place.node
        if key not in self._slopes:
            one = np.zeros(result.node.shape, result.node.dtype)
            one[result.index] = 1
            (x_bar,) = pullback([result.node], [place.node], [as_array(one)])
            # NOTE + 0.0 turns -0.0 into 0.0, which is what a reader expects to see.
            self._slopes[key] = np.zeros(place.node.shape) if x_bar is None else as_array(x_bar).value + 0.0
        array = self._slopes[key]
        return array if place.index is None and array.shape else float(array[place.index or ()])

    def _partial(self, key: str, place: _Place, result: _Result) -> Partial:
        formula = result.closed.get(place.slope, ZERO)
        cases = cases_of(formula)
        value = self._slope_at(place, result) if self.subject.is_known and self.given else None
        numbers: Expression | None = None
        if isinstance(self.reading, Elements) and self.given and len(cases) == 1:
            known: dict[Expression, Any] = {Symbol(name): x for name, x in self._numbers.items()}
            if self.subject.is_known:
                slopes = {each.slope: each for each in result.places.values()}
                inside = leaves(formula) & slopes.keys()
                known |= {slope: self._slope_at(slopes[slope], result) for slope in inside}
            rounded = {leaf: Number(Fraction(f"{x:.6g}")) for leaf, x in known.items() if np.isfinite(x)}
            numbers = substitute(formula, rounded)
            numbers = numbers if self.subject.is_known else simplify(numbers)
        return Partial(key, place.slope, cases, value, numbers)

    def _shown_numbers(self, shown: Iterable[Expression], functions: Meaning) -> dict[str, Any]:
        if not self.given:
            return {}
        used = _names(shown) | set(functions)
        alone = {name for node, name in self.subject.inputs.items() if not node.shape}
        return {
            name: value
            for name, value in self._numbers.items()
            if name in alone or any(isinstance(leaf, Symbol) and leaf.name == name for leaf in used)
        }


def _names(expressions: Iterable[Expression]) -> set[Expression]:
    return set().union(*map(leaves, expressions))


def _primes(shown: Iterable[Expression]) -> Meaning:
    """The functions that are written with a prime, written out."""
    found = sorted(set().union(*map(primes, shown)), key=lambda pair: pair[0].name)
    return dict(prime_of(op, options) for op, options in found)


def _by_name(name: str, places: Mapping[str, _Place]) -> list[_Place]:
    """The places that a name means: a variable or an element, or all elements of an array."""
    name = re.sub(r"\s*,\s*", ", ", name.strip())
    if name in places:
        return [places[name]]
    return [place for known, place in places.items() if known.startswith(f"{name}[")]


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    listed = list(names)
    return ", ".join(listed if len(listed) <= 20 else [*listed[:19], f"... ({len(listed)} in all)"])
