"""Formulas made shorter by a table of named rewrites, and split into cases at their kinks.

Each rule takes an expression whose children are simplified already and returns a shorter one, or None where
it has nothing to say. Rules never cancel a factor that could be zero: x / x stays.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache

from glassnet.core.op import Bilinear, Linear
from glassnet.core.registry import OPS
from glassnet.explain.expression import (
    ONE,
    ZERO,
    Apply,
    Chain,
    Expression,
    Number,
    Ones,
    Product,
    Slope,
    Sum,
    children,
    rebuild,
    shape_of,
)
from glassnet.ops.matrix import split_spec

Rule = Callable[[Expression], Expression | None]

_COMPARE = {
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
}
_OPPOSITE = {
    "less": "greater_equal",
    "less_equal": "greater",
    "greater": "less_equal",
    "greater_equal": "less",
    "equal": "not_equal",
    "not_equal": "equal",
}
_CANONICAL = ("greater", "greater_equal", "equal")
_SAME_SIGN = ("relu", "leaky_relu")  # positive just where their argument is
_MOST_CONDITIONS = 3  # two to this power lines are as many cases as anyone reads


@lru_cache(maxsize=4096)  # one derivation simplifies the same parts again and again
def simplify(expression: Expression) -> Expression:
    """The expression after all rules, innermost first, until none applies."""
    current = rebuild(expression, simplify)
    for rule in RULES.values():
        shorter = rule(current)
        if shorter is not None and shorter != current:
            return simplify(shorter)
    return current


def _applied(expression: Expression, *names: str) -> tuple[Expression, ...] | None:
    """The arguments of `expression` if it is one of these ops."""
    if isinstance(expression, Apply) and expression.op.name in names:
        return expression.arguments
    return None


def _chain(expression: Expression) -> Expression | None:
    return Product(Fraction(1), expression.factors) if isinstance(expression, Chain) else None


def _difference(expression: Expression) -> Expression | None:
    if (pair := _applied(expression, "add")) is not None:
        return Sum(pair)
    if (pair := _applied(expression, "subtract")) is not None:
        return Sum((pair[0], Product(Fraction(-1), (pair[1],))))
    return None


def _quotient(expression: Expression) -> Expression | None:
    if (pair := _applied(expression, "multiply")) is not None:
        return Product(Fraction(1), pair)
    if (pair := _applied(expression, "divide")) is not None:
        return Product(Fraction(1), (pair[0],), (pair[1],))
    if (single := _applied(expression, "negative")) is not None:
        return Product(Fraction(-1), single)
    return None


def _square(expression: Expression) -> Expression | None:
    single = _applied(expression, "square")
    return None if single is None else _power(single[0], 2)


def _power(base: Expression, exponent: int) -> Expression:
    return Apply(OPS["power"], (base, Number(Fraction(exponent))))


def _trivial_power(expression: Expression) -> Expression | None:
    match _applied(expression, "power"):
        case (base, Number(exponent)) if exponent == 1:
            return base
        case (_, Number(exponent)) if exponent == 0:
            return ONE
        case (Number(base), Number(exponent)) if base and exponent.denominator == 1 and abs(exponent) < 64:
            return Number(base**exponent.numerator)
        case _:
            return None


def _signed(term: Expression) -> tuple[Fraction, Expression]:
    """A term as a number times something."""
    match term:
        case Number(value):
            return value, ONE
        case Product(coefficient, numerator, denominator):
            return coefficient, _product(Fraction(1), numerator, denominator)
        case _:
            return Fraction(1), term


def _collect_terms(expression: Expression) -> Expression | None:
    if not isinstance(expression, Sum):
        return None
    totals: dict[Expression, Fraction] = {}
    for term in expression.terms:
        for coefficient, rest in map(_signed, term.terms if isinstance(term, Sum) else (term,)):
            totals[rest] = totals.get(rest, Fraction(0)) + coefficient
    terms = tuple(_product(total, (rest,), ()) for rest, total in totals.items() if total)
    if len(terms) < 2:
        return terms[0] if terms else ZERO
    return Sum(terms)


def _common_slope(expression: Expression) -> Expression | None:
    """A derivative that all terms begin with, once before the sum of the rest."""
    if not isinstance(expression, Sum):
        return None
    products = [_as_product(term) for term in expression.terms]
    for slope in products[0].numerator:
        if isinstance(slope, Slope) and all(slope in product.numerator for product in products):
            rest = tuple(_without(product, slope) for product in products)
            return Product(Fraction(1), (slope, Sum(rest)))
    return None


def _without(product: Product, factor: Expression) -> Expression:
    place = product.numerator.index(factor)
    left = product.numerator[:place] + product.numerator[place + 1 :]
    return _product(product.coefficient, left, product.denominator)


def _product(
    coefficient: Fraction, numerator: tuple[Expression, ...], denominator: tuple[Expression, ...]
) -> Expression:
    """A product without needless parts: 1 a -> a, and numbers alone -> a number."""
    factors = tuple(factor for factor in numerator if factor != ONE)
    if not denominator and not factors:
        return Number(coefficient)
    if not denominator and len(factors) == 1 and coefficient == 1:
        return factors[0]
    if not denominator and len(factors) == 1 and isinstance(inner := factors[0], Product):
        return Product(coefficient * inner.coefficient, inner.numerator, inner.denominator)
    return Product(coefficient, factors, denominator)


def _collect_factors(expression: Expression) -> Expression | None:
    if not isinstance(expression, Product) or ZERO in expression.denominator:
        return None  # a division by zero stays visible
    coefficient = expression.coefficient
    above: list[Expression] = []
    below: list[Expression] = []
    for factor in expression.numerator:
        inner = _as_product(factor)
        coefficient *= inner.coefficient
        above += inner.numerator
        below += inner.denominator
    for factor in expression.denominator:
        inner = _as_product(factor)
        coefficient /= inner.coefficient
        above += inner.denominator
        below += inner.numerator
    if coefficient == 0:
        return ZERO
    return _product(coefficient, tuple(_powers(above)), tuple(_powers(below)))


def _as_product(factor: Expression) -> Product:
    match factor:
        case Product():
            return factor
        case Number(value):
            return Product(value, ())
        case _:
            return Product(Fraction(1), (factor,))


def _powers(factors: Iterable[Expression]) -> Iterator[Expression]:
    """Equal factors as one power: a a -> a^2, a a^2 -> a^3."""
    exponents: dict[Expression, int] = {}
    for factor in factors:
        base, exponent = factor, 1
        match _applied(factor, "power"):
            case (inner, Number(value)) if value.denominator == 1 and value > 0:
                base, exponent = inner, value.numerator
            case _:
                pass
        exponents[base] = exponents.get(base, 0) + exponent
    return (base if exponent == 1 else _power(base, exponent) for base, exponent in exponents.items())


def _needless_ones(expression: Expression) -> Expression | None:
    """Ones that only repeat what stands beside something of their shape."""
    if not isinstance(expression, Product):
        return None
    for place, factor in enumerate(expression.numerator):
        rest = expression.numerator[:place] + expression.numerator[place + 1 :]
        left = Product(expression.coefficient, rest, expression.denominator)
        if isinstance(factor, Ones) and shape_of(left) == factor.shape:
            return left
    return None


def _scaling(expression: Expression) -> Expression | None:
    """A product of an array with a number, which a contraction without labels on one side is."""
    match expression:
        case Apply(op, arguments, attributes) if op.name == "contract":
            x, y, _ = split_spec(dict(attributes)["spec"])
            return None if x and y else Product(Fraction(1), arguments)
        case _:
            return None


def _transposed_product(expression: Expression) -> Expression | None:
    """Transposes inside and outside of a product of matrices, as the order of its labels."""
    match expression:
        case Apply(op, (Apply() as product,), _, shape) if op.name == "transpose" and _is_matrix(product):
            if product.op.name != "contract":
                return None
            x, y, out = split_spec(dict(product.attributes)["spec"])
            spec = f"{x},{y}->{out[::-1]}"
        case Apply(op, arguments, attributes, shape) if op.name == "contract":
            x, y, out = split_spec(dict(attributes)["spec"])
            labels = [
                own[::-1] if _is_transpose(a) else own for a, own in zip(arguments, (x, y), strict=True)
            ]
            spec, product = f"{','.join(labels)}->{out}", expression
        case _:
            return None
    inner = tuple(children(a)[0] if _is_transpose(a) else a for a in product.arguments)
    return Apply(product.op, inner if product is expression else product.arguments, (("spec", spec),), shape)


def _is_matrix(expression: Expression) -> bool:
    return len(shape_of(expression)) == 2


def _is_transpose(expression: Expression) -> bool:
    return isinstance(expression, Apply) and expression.op.name == "transpose" and _is_matrix(expression)


def _linear_in_zero(expression: Expression) -> Expression | None:
    if not isinstance(expression, Apply):
        return None
    zeros = [argument == ZERO for argument in expression.arguments]
    rule = expression.op.derivative
    vanishes = isinstance(rule, Bilinear) and any(zeros)
    if isinstance(rule, Linear) and rule.arguments is None:
        vanishes = all(zeros)
    return ZERO if vanishes else None


def _transposed_twice(expression: Expression) -> Expression | None:
    match expression:
        case Apply(op, (Apply(inner, (x,)),)) if (
            op.name == inner.name == "transpose" and len(shape_of(x)) == 2
        ):
            return x
        case _:
            return None


def _known_comparison(expression: Expression) -> Expression | None:
    match _applied(expression, *_COMPARE):
        case (Number(left), Number(right)) if isinstance(expression, Apply):
            return ONE if _COMPARE[expression.op.name](left, right) else ZERO
        case _:
            return None


def _same_sign(expression: Expression) -> Expression | None:
    match _applied(expression, "greater"):
        case (Apply(op, (argument,)), Number(threshold)) if op.name in _SAME_SIGN and threshold == 0:
            return Apply(OPS["greater"], (argument, ZERO))
        case _:
            return None


def _selection(expression: Expression) -> Expression | None:
    arguments = _applied(expression, "where")
    if arguments is None:
        return None
    condition, yes, no = arguments
    if yes == no:
        return yes
    if isinstance(condition, Number):
        return yes if condition.value else no
    if isinstance(condition, Apply) and condition.op.name in _OPPOSITE.keys() - _CANONICAL:
        return Apply(OPS["where"], (opposite(condition), no, yes))
    return None


RULES: dict[str, Rule] = {
    "a · b -> 1 a b": _chain,
    "a - b -> a + (-1) b": _difference,
    "a / b -> 1 a / b, -a -> (-1) a": _quotient,
    "square(a) -> a^2": _square,
    "a^1 -> a, a^0 -> 1": _trivial_power,
    "0 + a -> a, a + a -> 2 a": _collect_terms,
    "df/dy a + df/dy b -> df/dy (a + b)": _common_slope,
    "1 a -> a, 0 a -> 0, 2 a / 2 -> a, a a -> a^2": _collect_factors,
    "a ones -> a, beside what has their shape": _needless_ones,
    "(A^T)^T -> A": _transposed_twice,
    "(A B)^T -> B^T A^T": _transposed_product,
    "contract(2, A) -> 2 A": _scaling,
    "A 0 -> 0, sum(0) -> 0": _linear_in_zero,
    "2 > 1 -> true": _known_comparison,
    "relu(a) > 0 -> a > 0": _same_sign,
    "(b if a < c else d) -> (d if a >= c else b), (a if true else b) -> a": _selection,
}


def opposite(condition: Apply) -> Apply:
    """The comparison that holds just where this one does not."""
    return Apply(OPS[_OPPOSITE[condition.op.name]], condition.arguments)


def conditions(expression: Expression) -> list[Apply]:
    """The comparisons that select between values in the expression, outermost first, each once."""
    found: dict[Apply, None] = {}
    match _applied(expression, "where"):
        case (Apply() as condition, _, _) if condition.op.name in _COMPARE:
            found[condition] = None
        case _:
            pass
    for child in children(expression):
        found.update(dict.fromkeys(conditions(child)))
    return list(found)


def split(expression: Expression) -> list[tuple[tuple[Apply, ...], Expression]]:
    """The expression as cases: (conditions that all hold, expression). More than a few stay inside."""
    found = conditions(expression)
    if not found or len(found) > _MOST_CONDITIONS:
        return [((), expression)]
    first = found[0]
    return [
        ((assumption, *others), case)
        for truth, assumption in ((ZERO, opposite(first)), (ONE, first))
        for others, case in split(simplify(_assume(expression, first, truth)))
    ]


def _assume(expression: Expression, condition: Apply, truth: Number) -> Expression:
    if expression == condition:
        return truth
    return rebuild(expression, lambda child: _assume(child, condition, truth))
