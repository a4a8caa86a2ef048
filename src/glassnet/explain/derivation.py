"""Derivations: the derivative of a scalar function as a formula in the user's own names.

Nothing here knows a derivative. The function is traced; each edge of its influence diagram carries the
derivative that the op declares; the derivative of one variable with respect to another is the sum over all
paths between them of the products of their edges, the outermost factor first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64
from glassnet.core.graph import Node, ancestors
from glassnet.core.op import Op
from glassnet.core.trace import as_array, placeholder, tracing, variable
from glassnet.errors import DifferentiationError, ShapeError
from glassnet.explain.expression import (
    ONE,
    ZERO,
    Expression,
    Number,
    Prime,
    Product,
    Sum,
    Symbol,
    children,
    expression_of,
    size,
)
from glassnet.explain.formula import render
from glassnet.explain.naming import assigned_names
from glassnet.explain.simplify import conditions, simplify, split
from glassnet.transforms.linearize import push
from glassnet.transforms.transpose import pullback

# Formulas are for people. Beyond these nobody reads on, and recursion over the formula would get too deep.
_DEEPEST, _LONGEST = 100, 2000


@dataclass(frozen=True)
class Case:
    """A formula and the condition under which it holds; an empty condition means everywhere."""

    formula: str
    condition: str = ""


@dataclass(frozen=True)
class Partial:
    """One partial derivative: its cases at the kinks, and its value where a point was given."""

    name: str
    cases: tuple[Case, ...]
    value: float | None = None

    @property
    def formula(self) -> str:
        """The formula, with the condition of each case behind it."""
        return "; ".join(f"{case.formula}{_where(case.condition)}" for case in self.cases)


@dataclass(frozen=True)
class Derivation:
    """A function, its derivatives and the definitions that they refer to, as formulas; `str` is `text()`.

    `partials` maps each variable's name to its `Partial`, `definitions` the local variables and the primed
    functions to what they stand for, `at` the names to the numbers of the point and of what follows from it.
    """

    name: str
    formula: str
    partials: Mapping[str, Partial]
    definitions: Mapping[str, str]
    at: Mapping[str, float]

    def text(self) -> str:
        """The derivation as lines of text: the function, its derivatives, the definitions, the numbers."""
        lines = [f"{self.name} = {self.formula}", ""]
        for partial in self.partials.values():
            lines += _case_lines(f"d{self.name}/d{partial.name}", partial.cases)
        if self.definitions:
            lines += ["", "where"]
            lines += [f"    {name} = {formula}" for name, formula in self.definitions.items()]
        if self.at:
            lines += ["", "at"]
            lines += [f"    {name} = {value:.10g}" for name, value in self.at.items()]
            lines += [f"    d{self.name}/d{p.name} = {p.value:.10g}" for p in self.partials.values()]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def _where(condition: str) -> str:
    return f" where {condition}" if condition else ""


def _case_lines(left: str, cases: Sequence[Case]) -> list[str]:
    width = max(len(case.formula) for case in cases)
    heads = [left] + [" " * len(left)] * (len(cases) - 1)
    return [
        f"{head} = {case.formula:{width}} {_where(case.condition)}".rstrip()
        for head, case in zip(heads, cases, strict=True)
    ]


def derive(
    f: Callable[..., Any],
    wrt: int | str | Sequence[int | str] | None = None,
    *,
    names: Sequence[str] | None = None,
    at: Mapping[str, float] | None = None,
) -> Derivation:
    """The derivatives of a scalar function of scalars as formulas, and as numbers at a point.

    df/dx = sum over all paths from x to f of the product of the derivatives on the path's edges.

    `wrt` names the variables (positions work too; by default all arguments); a local variable of f's body is
    one as well. Arguments are called as in f's signature, or by `names`; arguments with a default keep it. A
    value that f stores in a local variable reads as that variable. `at` gives a number to every argument; f
    may then branch on values, and the derivation is that of the branch taken. Kinks follow the conventions of
    the ops (relu'(0) = 0) and appear as cases.

    Raises DifferentiationError for a name that f does not have, for a missing number and for a function that
    is not scalar or is too long to be read, ShapeError where f makes an array on the way.

    >>> def f(x, y, w):
    ...     yhat = gnp.sigmoid(w * x)
    ...     return (yhat - y) ** 2 / 2
    >>> print(gn.derive(f, wrt="w", at={"x": 1.0, "y": 1.0, "w": 0.0}))
    f = (yhat - y)^2 / 2
    <BLANKLINE>
    df/dw = (yhat - y) s'(w x) x
    <BLANKLINE>
    where
        yhat = s(w x)
        s'(z) = s(z) (1 - s(z))
    <BLANKLINE>
    at
        x = 1
        y = 1
        w = 0
        yhat = 0.5
        f = 0.125
        df/dw = -0.125
    """
    title = getattr(f, "__name__", "f")
    title = title if title.isidentifier() else "f"  # not <lambda>
    arguments = tuple(names) if names is not None else _argument_names(title, f)
    point = _point(title, arguments, at)
    with tracing():
        made = {
            name: placeholder((), FLOAT64) if point is None else variable(np.float64(point[name]))
            for name in arguments
        }
        out = _scalar(title, f(*made.values()))
        diagram = _Diagram(title, out, {x.node: name for name, x in made.items()})
        chosen = _chosen(title, wrt, arguments, diagram)
        return _write(diagram, chosen, numbers=point is not None)


def _argument_names(title: str, f: Callable[..., Any]) -> tuple[str, ...]:
    required = [
        parameter
        for parameter in inspect.signature(f).parameters.values()
        if parameter.default is parameter.empty
    ]
    for parameter in required:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise DifferentiationError(
                f"derive cannot tell what to call the argument {parameter} of {title}; "
                'name the arguments, as in derive(f, names=("x", "y")).'
            )
    return tuple(parameter.name for parameter in required)


def _point(
    title: str, arguments: Sequence[str], at: Mapping[str, float] | None
) -> Mapping[str, float] | None:
    if at is None:
        return None
    unknown = [name for name in at if name not in arguments]
    missing = [name for name in arguments if name not in at]
    if unknown or missing:
        problem = f"gives a number to {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise DifferentiationError(
            f"at= {problem}; it needs one number for each argument of {title}: {', '.join(arguments)}."
        )
    return at


def _scalar(title: str, out: Any) -> Node:
    if np.shape(out) != ():
        raise DifferentiationError(
            f"derive explains scalar functions, but {title} returned shape {np.shape(out)}; "
            "return one of its elements, or use jacobian for the numbers."
        )
    return as_array(out).node


class _Diagram:
    """The influence diagram of one value: its nodes, their names and the derivative on each edge."""

    def __init__(self, title: str, out: Node, inputs: Mapping[Node, str]) -> None:
        self.title = title
        self.out = out
        self.inputs = inputs
        self.nodes = ancestors([out], stop=inputs)
        self._verify()
        between = [node for node in self.nodes if node not in inputs and node is not out]
        self.local = assigned_names(between, set(inputs.values()))
        self.names = {**inputs, **self.local}
        self.primed: dict[str, tuple[Op, Mapping[str, Any]]] = {}

    def _verify(self) -> None:
        depth: dict[Node, int] = {}
        for node in self.nodes:
            depth[node] = max((depth[x] + 1 for x in node.inputs if x in depth), default=0)
            if node.shape != ():
                line = f" (line {node.location[1]}: {node.source_line})" if node.location else ""
                raise ShapeError(
                    f"derive explains scalars, but {node.op.name} makes shape {node.shape} here{line}; "
                    "use grad or jacobian for arrays."
                )
        if depth[self.out] > _DEEPEST:
            raise DifferentiationError(
                f"derive writes formulas for people, but {self.title} is {depth[self.out]} operations deep "
                f"and {_DEEPEST} is the most; use grad for the numbers."
            )

    def formula(self, node: Node) -> Expression:
        """What a node stands for, as the user wrote it."""
        return self._readable(expression_of(node, self.names, unfold=True))

    def _readable(self, expression: Expression) -> Expression:
        if size(expression, _LONGEST) == _LONGEST:
            raise DifferentiationError(
                f"A formula of {self.title} has more than {_LONGEST} symbols when written out; store "
                "intermediate values in local variables, which then stand for themselves, or use grad."
            )
        return expression

    def edge(self, node: Node, position: int) -> Expression:
        """d node / d input at `position`, read from the op: written with a prime where it has one."""
        x_dot: list[Any] = [None] * len(node.inputs)
        x_dot[position] = as_array(node.inputs[position].dtype.type(1))
        slope = push(node, x_dot)
        if slope is None:
            return ZERO
        written_out = simplify(self._readable(expression_of(slope.node, self.names)))
        prime = node.op.formula.prime
        if prime is None or isinstance(written_out, Number) or conditions(written_out):
            return written_out
        self.primed[prime] = (node.op, node.attributes)
        argument = simplify(expression_of(node.inputs[0], self.names))
        return Prime(node.op, argument, tuple(node.attributes.items()))

    def derivatives(self, wrt: Iterable[Node]) -> dict[Node, Expression]:
        """d out / d node for each of `wrt`: over all paths, the sum of the products of their edges."""
        influencing = set(wrt)
        for node in self.nodes:
            if any(x in influencing for x in node.inputs):
                influencing.add(node)
        x_bar: dict[Node, Expression] = {self.out: ONE}
        for node in self._from_the_end():
            for position, x in enumerate(node.inputs):
                if x in influencing:
                    path = Product(Fraction(1), (x_bar[node], self.edge(node, position)))
                    total = Sum((x_bar[x], path)) if x in x_bar else path
                    x_bar[x] = simplify(self._readable(total))
        return {node: x_bar.get(node, ZERO) for node in wrt}

    def _from_the_end(self) -> list[Node]:
        """All nodes but the inputs, each before what it is made from, paths in reading order."""
        finished: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if node not in finished and node not in self.inputs:
                for x in reversed(node.inputs):
                    visit(x)
                finished[node] = None

        visit(self.out)
        return list(reversed(finished))


def _chosen(
    title: str, wrt: int | str | Sequence[int | str] | None, arguments: Sequence[str], diagram: _Diagram
) -> dict[str, Node]:
    """The variables to differentiate with respect to, by name."""
    nodes = {name: node for node, name in diagram.names.items()}
    asked = arguments if wrt is None else (wrt,) if isinstance(wrt, (int, str)) else wrt
    chosen: dict[str, Node] = {}
    for which in asked:
        known = -len(arguments) <= which < len(arguments) if isinstance(which, int) else which in nodes
        if not known:
            variables = ", ".join([*arguments, *diagram.local.values()])
            raise DifferentiationError(f"wrt={which!r} is no variable of {title}; it has {variables}.")
        name = arguments[which] if isinstance(which, int) else which
        chosen[name] = nodes[name]
    return chosen


def _write(diagram: _Diagram, chosen: Mapping[str, Node], *, numbers: bool) -> Derivation:
    title, formula = diagram.title, diagram.formula(diagram.out)
    slopes = diagram.derivatives(chosen.values())
    values: dict[str, float] = {}
    gradients: list[float | None] = [None] * len(chosen)
    if numbers:
        for node, name in diagram.names.items():
            values[name] = float(node.value)
        values[title] = float(diagram.out.value)
        one = as_array(np.ones((), diagram.out.dtype))
        pulled = pullback([diagram.out], list(chosen.values()), [one])
        # NOTE + 0.0 turns -0.0 into 0.0, which is what a reader expects to see.
        gradients = [0.0 if slope is None else float(slope) + 0.0 for slope in pulled]
    partials: dict[str, Partial] = {}
    for (name, node), value in zip(chosen.items(), gradients, strict=True):
        cases = tuple(
            Case(render(case), " and ".join(map(render, assumed))) for assumed, case in split(slopes[node])
        )
        partials[name] = Partial(name, cases, value)
    definitions = _definitions(diagram, [formula, *slopes.values()])
    return Derivation(title, render(formula), partials, definitions, values)


def _definitions(diagram: _Diagram, shown: Sequence[Expression]) -> dict[str, str]:
    """What the local variables in the shown formulas stand for, and the functions written with a prime."""
    used = set().union(*map(_symbols, shown))
    definitions: dict[str, str] = {}
    for node in reversed(diagram.nodes):  # a variable's own formula may use older ones
        if node in diagram.local and diagram.local[node] in used:
            written_out = diagram.formula(node)
            used |= _symbols(written_out)
            definitions[diagram.local[node]] = render(written_out)
    definitions = dict(reversed(definitions.items()))
    primes = set().union(*map(_primes, shown))
    for symbol, (op, attributes) in diagram.primed.items():
        if symbol in primes:
            z = placeholder((), FLOAT64)
            slope = push(op(z, **attributes).node, [as_array(np.float64(1))])
            definitions[f"{symbol}'(z)"] = render(simplify(expression_of(slope.node, {z.node: "z"})))
    return definitions


def _symbols(expression: Expression) -> set[str]:
    if isinstance(expression, Symbol):
        return {expression.name}
    return set().union(*map(_symbols, children(expression)))


def _primes(expression: Expression) -> set[str]:
    inner: set[str] = set().union(*map(_primes, children(expression)))
    return inner | {str(expression.op.formula.prime)} if isinstance(expression, Prime) else inner
