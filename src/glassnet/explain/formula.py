"""Expressions as text: each op's own template, with the parentheses that precedence needs and no others."""

from __future__ import annotations

import math
from fractions import Fraction
from string import Formatter

from glassnet.core.op import ATOM, POWER, PRODUCT, SUM, Op
from glassnet.explain.expression import Apply, Expression, Number, Prime, Product, Sum, Symbol

_SIGNED = SUM + 1  # how tightly a leading minus binds
_NAMED_NUMBERS = {Fraction(repr(math.pi)): "pi"}
_LARGEST_DENOMINATOR = 12  # beyond it a fraction reads better in decimals

Text = tuple[str, int]  # the text and how tightly it binds


def render(expression: Expression) -> str:
    """The expression as one line of text.

    Products are written side by side, powers with ^, and the derivative of a named function with a prime:
    `(yhat - y) w5 s'(z) x1`. A space before a parenthesis means a product, none a function call.
    """
    return _text(expression)[0]


def _text(expression: Expression) -> Text:
    match expression:
        case Number(value):
            return _number(value)
        case Symbol(name):
            return name, ATOM
        case Prime(op, argument):
            return f"{op.formula.prime}'({render(argument)})", ATOM
        case Sum(terms):
            return _sum(terms), SUM
        case Product():
            return _product(expression)
        case Apply(op, arguments, attributes):
            return _apply(op, arguments, dict(attributes)), op.formula.precedence


def _number(value: Fraction) -> Text:
    if value < 0:
        return f"-{_number(-value)[0]}", _SIGNED
    if value in _NAMED_NUMBERS:
        return _NAMED_NUMBERS[value], ATOM
    if value.denominator == 1 and value < 10**15:
        return str(value.numerator), ATOM
    decimals = repr(float(value))
    if Fraction(decimals) != value and value.denominator <= _LARGEST_DENOMINATOR:
        return f"{value.numerator} / {value.denominator}", PRODUCT
    return decimals, ATOM


def _sum(terms: tuple[Expression, ...]) -> str:
    result = ""
    for term in terms:
        text, precedence = _text(term)
        text = f"({text})" if precedence < SUM else text
        if not result:
            result = text
        elif text.startswith("-"):
            result += f" - {text[1:]}"
        else:
            result += f" + {text}"
    return result


def _product(product: Product) -> Text:
    size = abs(product.coefficient)
    above, below = list(map(_factor, product.numerator)), list(map(_factor, product.denominator))
    if size.denominator <= _LARGEST_DENOMINATOR:
        over, under = Fraction(size.numerator), Fraction(size.denominator)
    else:
        over, under = size, Fraction(1)
    if over != 1 or not above:
        above.insert(0, _number(over)[0])
    if under != 1:
        below.insert(0, _number(under)[0])
    text = beside(*above)
    if below:
        text += f" / ({beside(*below)})" if len(below) > 1 else f" / {below[0]}"
    return (f"-{text}", _SIGNED) if product.coefficient < 0 else (text, PRODUCT)


def _factor(expression: Expression) -> str:
    text, precedence = _text(expression)
    return f"({text})" if precedence <= PRODUCT else text


def beside(*factors: str) -> str:
    """Factors side by side, with a * where a digit would run into what stands before it.

    >>> beside("x", "y"), beside("x", "2")
    ('x y', 'x * 2')
    """
    result = factors[0]
    for factor in factors[1:]:
        result += f" * {factor}" if factor[0].isdigit() else f" {factor}"
    return result


def _apply(op: Op, arguments: tuple[Expression, ...], attributes: dict[str, object]) -> str:
    if op.formula.template == "{0} {1}":
        return beside(*(_operand(op, position, x) for position, x in enumerate(arguments)))
    result = ""
    for literal, name, _, _ in Formatter().parse(op.formula.template):
        result += literal
        if name is None:
            continue
        if not name.isdigit():
            result += str(attributes[name])
            continue
        text = _operand(op, int(name), arguments[int(name)])
        # A minus stands alone only at the start, behind a bracket or behind a comma.
        loose = (
            text.startswith("-") and result.strip() != "" and not result.rstrip().endswith(("(", ",", "|"))
        )
        # Bars inside bars could not be told apart.
        nested = result.endswith("|") and "|" in text
        result += f"({text})" if loose or nested else text
    return result


def _operand(op: Op, position: int, operand: Expression) -> str:
    text, precedence = _text(operand)
    own = op.formula.precedence
    if own == ATOM:  # the template brings its own brackets
        return text
    return (
        f"({text})" if precedence < own or (precedence == own and _regroups(op, position, operand)) else text
    )


def _regroups(op: Op, position: int, operand: Expression) -> bool:
    """Whether an operand that binds as tightly as its op would be read in another order if bare."""
    if op.formula.precedence == POWER:
        return True
    if op.name == "multiply":
        return not (isinstance(operand, Apply) and operand.op.name == "multiply")
    return position > 0 and op.name != "add"
