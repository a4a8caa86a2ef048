"""Formulas as trees: what a person reads, between the nodes of a graph and the printed text.

Two expressions are equal when they are written alike. `Apply` is an op as the user called it; `Sum` and
`Product` are the flat forms that simplification brings +, -, * and / into.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from glassnet.core.graph import Node
from glassnet.core.op import Op


@dataclass(frozen=True)
class Number:
    """A number, exact in the decimals that it was written with; a truth value is 1 or 0."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """A name: an argument of the function, or a local variable of its body."""

    name: str


@dataclass(frozen=True)
class Apply:
    """An op applied to arguments."""

    op: Op
    arguments: tuple[Expression, ...]
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Prime:
    """The derivative of a function of one variable, not written out: s'(z)."""

    op: Op
    argument: Expression
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Sum:
    """The terms of a sum, in the order in which they are read."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product:
    """A number times some factors over some others."""

    coefficient: Fraction
    numerator: tuple[Expression, ...]
    denominator: tuple[Expression, ...] = ()


Expression = Number | Symbol | Apply | Prime | Sum | Product

ZERO, ONE = Number(Fraction(0)), Number(Fraction(1))


def expression_of(node: Node, names: Mapping[Node, str], *, unfold: bool = False) -> Expression:
    """The formula of a node; nodes with a name read as that name (but for itself, where `unfold` is set)."""
    known: dict[Node, Expression] = {}

    def build(current: Node) -> Expression:
        if current not in known:
            named = current in names and not (unfold and current is node)
            known[current] = Symbol(names[current]) if named else _written_out(current, build)
        return known[current]

    return build(node)


def _written_out(node: Node, build: Callable[[Node], Expression]) -> Expression:
    if node.op.name == "constant":
        return _literal(node.value)
    if node.op.formula.template == "{0}":  # an op that leaves a scalar as it is
        return build(node.inputs[0])
    return Apply(node.op, tuple(build(x) for x in node.inputs), tuple(node.attributes.items()))


def _literal(value: Any) -> Expression:
    # The shortest decimals that give the number back: 0.1 is a tenth here, not its nearest binary fraction.
    text = str(value.item() if value.dtype.kind in "bi" else value[()])
    if value.dtype.kind == "b":
        return ONE if value else ZERO
    return Number(Fraction(text)) if text not in ("inf", "-inf", "nan") else Symbol(text)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside this one."""
    match expression:
        case Apply(_, arguments):
            return arguments
        case Prime(_, argument):
            return (argument,)
        case Sum(terms):
            return terms
        case Product(_, numerator, denominator):
            return numerator + denominator
        case _:
            return ()


def size(expression: Expression, limit: int) -> int:
    """How many symbols the expression takes when written out, counted up to `limit`."""
    count, pending = 0, [expression]
    while pending and count < limit:
        count += 1
        pending.extend(children(pending.pop()))
    return count


def rebuild(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The same expression with `change` applied to each of its children."""
    match expression:
        case Apply(op, arguments, attributes):
            return Apply(op, tuple(map(change, arguments)), attributes)
        case Prime(op, argument, attributes):
            return Prime(op, change(argument), attributes)
        case Sum(terms):
            return Sum(tuple(map(change, terms)))
        case Product(coefficient, numerator, denominator):
            return Product(coefficient, tuple(map(change, numerator)), tuple(map(change, denominator)))
        case _:
            return expression
