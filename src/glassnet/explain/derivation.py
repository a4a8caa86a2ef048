"""What a derivation holds: the function, the steps of the chain rule, the derivatives, and the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glassnet.explain import page
from glassnet.explain.chain_rule import Step
from glassnet.explain.expression import Expression, Number, Symbol, side_by_side
from glassnet.explain.latex import Latex
from glassnet.explain.mathml import MathML
from glassnet.explain.notation import Plain, Unicode
from glassnet.explain.simplify import split

_PLAIN = Plain()


@dataclass(frozen=True)
class Case:
    """A formula and what is assumed for it, comparisons that all hold; none means everywhere."""

    expression: Expression
    assumptions: tuple[Expression, ...] = ()

    @property
    def formula(self) -> str:
        """The formula in ASCII."""
        return _PLAIN.write(self.expression)

    @property
    def condition(self) -> str:
        """The condition in ASCII; empty where the formula holds everywhere."""
        return " and ".join(map(_PLAIN.write, self.assumptions))


@dataclass(frozen=True)
class Partial:
    """One partial derivative: its cases at the kinks, and its value where all numbers were given.

    `slope` is what it is called; `numbers` is its formula with the numbers of the point put in, as far as
    they were given.
    """

    name: str
    slope: Expression
    cases: tuple[Case, ...]
    value: Any = None
    numbers: Expression | None = None

    @property
    def formula(self) -> str:
        """The formula in ASCII, with the condition of each case behind it."""
        return "; ".join(
            f"{case.formula} where {case.condition}" if case.assumptions else case.formula
            for case in self.cases
        )


@dataclass(frozen=True)
class Derivation:
    """A function and its derivatives as formulas, from the chain rule on; `str` is `text()`.

    `functions` maps the name of each result to its formula, `variables` the values with a name to what they
    stand for, in the order of the computation. `steps` are those of the chain rule, from the end. `partials`
    maps each variable's name to its `Partial`; several results make it the names of both, "f[0], x".
    `shared` are derivatives that these formulas refer to, `primes` the functions written with a prime. `at`
    maps names to the numbers of the point and of what follows from it, `constants` those of arrays that are
    fixed in the function. `jacobian` has the derivatives of several results, a row for each.

    In a notebook it shows itself as HTML with MathML.
    """

    functions: Mapping[Expression, Expression]
    variables: Mapping[Expression, Expression]
    steps: tuple[Step, ...]
    partials: Mapping[str, Partial]
    shared: Mapping[Expression, Expression]
    primes: Mapping[Expression, Expression]
    at: Mapping[str, Any]
    jacobian: tuple[tuple[Expression, ...], ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """The name of the function."""
        return _PLAIN.write(next(iter(self.functions)))

    @property
    def formula(self) -> str:
        """The function's formula in ASCII."""
        return _PLAIN.write(next(iter(self.functions.values())))

    @property
    def definitions(self) -> dict[str, str]:
        """In ASCII what names in the formulas stand for: values, primed functions, derivatives.

        Each uses none but those before it.
        """
        meant = {**self.variables, **self.primes, **self.shared}
        return {_PLAIN.write(name): _PLAIN.write(expression) for name, expression in meant.items()}

    def text(self, *, steps: bool = True, ascii: bool = False) -> str:
        """The derivation as lines of text; without `steps` the results alone, `ascii` with what keys have.

        >>> print(gn.derive("x * sin(x)").text(ascii=True))
        f = x sin(x)
        <BLANKLINE>
        df/dx = sin(x) + x cos(x)
        """
        return page.as_text(self.sections(steps=steps), Plain() if ascii else Unicode())

    def latex(self, *, steps: bool = True) -> str:
        r"""The derivation as LaTeX: one environment `align*` for each section, with amsmath.

        >>> print(gn.derive("a / b", wrt="b").latex())
        \begin{align*}
        f &= \frac{a}{b}
        \end{align*}
        \begin{align*}
        \frac{\partial f}{\partial b} &= -\frac{a}{{b}^{2}}
        \end{align*}
        """
        return page.as_latex(self.sections(steps=steps), Latex())

    def mathml(self, *, steps: bool = True) -> str:
        """The derivation as one MathML element, a table of its equations."""
        return page.as_mathml(self.sections(steps=steps), MathML())

    def html(self, *, steps: bool = True) -> str:
        """The derivation as a fragment of HTML: headings, and the equations as MathML."""
        return page.as_html(self.sections(steps=steps), MathML())

    def sections(self, *, steps: bool = True) -> list[page.Section]:
        """The derivation as headings and equations, which every notation writes in its own way."""
        results = [page.Row(partial.slope, _rights(partial.cases)) for partial in self.partials.values()]
        if self.jacobian and all(len(partial.cases) == 1 for partial in self.partials.values()):
            results = []  # the matrix says it all
        shared = [page.Row(slope, ((expression, ()),)) for slope, expression in self.shared.items()]
        fixed = [page.Row(Symbol(name), value=value) for name, value in self.constants.items()]
        sections = [
            page.Section("", _rows(self.functions)),
            page.Section("where", [*_rows(self.variables), *fixed]),
        ]
        told = {partial.slope for partial in self.partials.values()}
        if steps and any(
            side_by_side(step.chain) != step.simplified or step.slope not in told for step in self.steps
        ):
            chain = [page.Row(step.slope, ((step.chain, ()),)) for step in self.steps]
            sections += [
                page.Section("chain rule, from the end", chain),
                page.Section("simplified", [*shared, *results]),
            ]
        else:
            sections.append(page.Section("", [*shared, *results]))
        if self.jacobian:
            sections.append(page.Section("Jacobian, a row for each result", [], self.jacobian))
        primes = [page.Row(prime, _rights(cases_of(slope))) for prime, slope in self.primes.items()]
        sections.append(page.Section("with", primes))
        sections.append(page.Section("at", self._numbers()))
        return [section for section in sections if section.rows or section.matrix]

    def _numbers(self) -> list[page.Row]:
        rows = [page.Row(Symbol(name), value=value) for name, value in self.at.items()]
        for partial in self.partials.values():
            shown = () if partial.numbers is None else ((partial.numbers, ()),)
            if shown or partial.value is not None:
                known = isinstance(partial.numbers, Number) and partial.value is not None
                rows.append(page.Row(partial.slope, () if known else shown, partial.value))
        return rows

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_latex_(self) -> str:
        return self.latex()


def cases_of(formula: Expression) -> tuple[Case, ...]:
    """The formula, case by case at its kinks."""
    return tuple(Case(case, assumed) for assumed, case in split(formula))


def _rights(cases: Sequence[Case]) -> tuple[page.Right, ...]:
    return tuple((case.expression, case.assumptions) for case in cases)


def _rows(meaning: Mapping[Expression, Expression]) -> list[page.Row]:
    return [page.Row(left, ((right, ()),)) for left, right in meaning.items()]
