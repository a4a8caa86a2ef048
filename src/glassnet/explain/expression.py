"""Formulas as trees: what a person reads, between the nodes of a graph and the printed text.

Two expressions are equal when they are written alike. `Apply` is an op as the user called it; `Sum` and
`Product` are the flat forms that simplification brings +, -, * and / into; `Chain` is a product whose factors
stay apart, one an edge of the chain rule. Sums and products of arrays are taken element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from glassnet.core.op import Op
from glassnet.core.shape import Shape, broadcast_shapes


class _Operators:
    """+ and * for the value rules of ops that add and multiply: the formula of the result."""

    def __add__(self, other: Any) -> Expression:
        return added(self, other)

    def __radd__(self, other: Any) -> Expression:
        return added(other, self)

    def __mul__(self, other: Any) -> Expression:
        return chained(self, other)

    def __rmul__(self, other: Any) -> Expression:
        return chained(other, self)


@dataclass(frozen=True)
class Number(_Operators):
    """A number, exact in the decimals that it was written with; a truth value is 1 or 0."""

    value: Fraction


@dataclass(frozen=True)
class Symbol(_Operators):
    """A name: an argument of the function, a local variable of its body, or a value that was given one."""

    name: str
    shape: Shape = ()


@dataclass(frozen=True)
class Slope(_Operators):
    """A derivative that stands for itself: d output / d name."""

    output: str
    name: str
    shape: Shape = ()


@dataclass(frozen=True)
class Ones(_Operators):
    """An array of ones: what a number is multiplied with where it stands for each element of an array."""

    shape: Shape


@dataclass(frozen=True)
class Apply(_Operators):
    """An op applied to arguments; `shape` is that of the result, None where it follows from the arguments."""

    op: Op
    arguments: tuple[Expression, ...]
    attributes: tuple[tuple[str, Any], ...] = ()
    shape: Shape | None = None


@dataclass(frozen=True)
class Prime(_Operators):
    """The derivative of a function of one variable, not written out: s'(z)."""

    op: Op
    argument: Expression
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Listing(_Operators):
    """Elements side by side, [z1, z2]: what a function of arrays is applied to."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Entry(_Operators):
    """One element of what a function of arrays gives: softmax([z1, z2])[0]."""

    array: Expression
    index: tuple[int, ...]


@dataclass(frozen=True)
class Sum(_Operators):
    """The terms of a sum, in the order in which they are read."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Chain(_Operators):
    """The factors of a product one after the other, the outermost edge of a path first."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Product(_Operators):
    """A number times some factors over some others."""

    coefficient: Fraction
    numerator: tuple[Expression, ...]
    denominator: tuple[Expression, ...] = ()


Expression = (
    Number | Symbol | Slope | Ones | Apply | Prime | Listing | Entry | Sum | Chain | Product
)  # fmt: skip

ZERO, ONE = Number(Fraction(0)), Number(Fraction(1))


def literal(value: Any) -> Expression:
    """A NumPy number as people write it: the shortest decimals that give it back, a tenth for 0.1."""
    if value.dtype.kind == "b":
        return ONE if value else ZERO
    text = str(value.item() if value.dtype.kind == "i" else value[()])
    return Number(Fraction(text)) if text not in ("inf", "-inf", "nan") else Symbol(text)


def added(x: Any, y: Any) -> Expression:
    """x + y as one sum; 0 + x is x."""
    x, y = _expression(x), _expression(y)
    if x == ZERO or y == ZERO:
        return y if x == ZERO else x
    return Sum((x.terms if isinstance(x, Sum) else (x,)) + (y.terms if isinstance(y, Sum) else (y,)))


def chained(x: Any, y: Any) -> Expression:
    """x times y as one chain of factors; 1 x is x, 0 x is 0, and ones repeat nothing that has their shape."""
    x, y = _expression(x), _expression(y)
    if ZERO in (x, y):
        return ZERO
    factors = (x.factors if isinstance(x, Chain) else (x,)) + (y.factors if isinstance(y, Chain) else (y,))
    factors = tuple(factor for factor in factors if factor != ONE) or (ONE,)
    shapes = [shape_of(factor) for factor in factors if not isinstance(factor, Ones)]
    factors = tuple(x for x in factors if not (isinstance(x, Ones) and x.shape in shapes))
    return factors[0] if len(factors) == 1 else Chain(factors)


def _expression(x: Any) -> Expression:
    return x if isinstance(x, _Operators) else Number(Fraction(str(x)))  # type: ignore[return-value]


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside this one."""
    match expression:
        case Apply(_, arguments):
            return arguments
        case Prime(_, inner) | Entry(inner):
            return (inner,)
        case Sum(inner) | Chain(inner) | Listing(inner):
            return inner
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
        case Apply(op, arguments, attributes, shape):
            return Apply(op, tuple(map(change, arguments)), attributes, shape)
        case Prime(op, argument, attributes):
            return Prime(op, change(argument), attributes)
        case Entry(array, index):
            return Entry(change(array), index)
        case Sum(inner) | Chain(inner) | Listing(inner):
            return type(expression)(tuple(map(change, inner)))
        case Product(coefficient, numerator, denominator):
            return Product(coefficient, tuple(map(change, numerator)), tuple(map(change, denominator)))
        case _:
            return expression


def substitute(expression: Expression, values: Mapping[Expression, Expression]) -> Expression:
    """The same expression with other expressions in place of some of its parts."""
    if expression in values:
        return values[expression]
    return rebuild(expression, lambda child: substitute(child, values))


def side_by_side(expression: Expression) -> Expression:
    """The same expression with each chain as a product, not simplified."""
    inner = rebuild(expression, side_by_side)
    return Product(Fraction(1), inner.factors) if isinstance(inner, Chain) else inner


def leaves(expression: Expression) -> set[Expression]:
    """The names and slopes that occur in the expression."""
    if isinstance(expression, (Symbol, Slope)):
        return {expression}
    return set().union(*map(leaves, children(expression)))


def primes(expression: Expression) -> set[tuple[Op, tuple[tuple[str, Any], ...]]]:
    """The functions that occur with a prime, with their options."""
    inner = set().union(*map(primes, children(expression)))
    return inner | {(expression.op, expression.attributes)} if isinstance(expression, Prime) else inner


def shape_of(expression: Expression) -> Shape:
    """The shape of the array that the expression stands for; () for a number."""
    match expression:
        case Symbol() | Slope() | Ones():
            return expression.shape
        case Apply(shape=tuple() as shape):
            return shape
        case Listing() | Entry():
            return ()
        case _:
            return broadcast_shapes("a formula", *map(shape_of, children(expression)))
