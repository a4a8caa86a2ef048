"""Expressions in two dimensions, with fraction lines, roots and raised exponents.

What LaTeX and MathML have in common; each adds how it writes the primitives.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from string import Formatter

from glassnet.core.op import ATOM, POWER, PRODUCT, SUM
from glassnet.explain.expression import (
    Apply,
    Chain,
    Entry,
    Expression,
    Listing,
    Number,
    Ones,
    Prime,
    Product,
    Slope,
    Sum,
    Symbol,
    shape_of,
)
from glassnet.explain.notation import PI, SIGNED, Text, in_brackets, over_and_under
from glassnet.explain.products import Operand, as_product

_FRACTION = PRODUCT + 5  # a fraction line needs no brackets in a product, and does below an exponent
_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|\d+|[<>!=]=|//|.)")
_WORDS = ("and", "or", "not", "xor", "mod")


class Display(ABC):
    """Base of the notations in two dimensions: how expressions are put together from a few primitives."""

    apart = ""  # between the factors of a product

    def write(self, expression: Expression) -> str:
        """The expression in this notation."""
        return self._text(expression)[0]

    @abstractmethod
    def name(self, name: str) -> str:
        """The name of a variable."""

    @abstractmethod
    def function(self, name: str) -> str:
        """The name of a function."""

    @abstractmethod
    def number(self, digits: str) -> str:
        """A number without sign."""

    @abstractmethod
    def sign(self, sign: str) -> str:
        """The sign of an operation or comparison, as in a template, or "·", "⊙", "′", "T" and "∂"."""

    @abstractmethod
    def word(self, word: str) -> str:
        """A word between formulas."""

    @abstractmethod
    def fraction(self, above: str, below: str) -> str:
        """One over the other."""

    @abstractmethod
    def raised(self, base: str, exponent: str) -> str:
        """A power."""

    @abstractmethod
    def root(self, text: str) -> str:
        """A square root."""

    @abstractmethod
    def brackets(self, text: str, opening: str = "(", closing: str = ")") -> str:
        """Brackets as high as what is inside."""

    @abstractmethod
    def cases(self, rows: Sequence[tuple[str, str]]) -> str:
        """Values, each with the condition under which it holds."""

    @abstractmethod
    def row(self, *parts: str) -> str:
        """Parts side by side as one."""

    # -- expressions

    def _text(self, expression: Expression) -> Text:
        match expression:
            case Number(value):
                return self._number(value)
            case Symbol(name):
                return self.name(name), ATOM
            case Slope(output, name):
                d = self.sign("∂")
                return self.fraction(d + self.name(output), d + self.name(name)), _FRACTION
            case Ones():
                return self.number("1"), ATOM
            case Prime(op, argument):
                prime = self.raised(self.function(str(op.formula.prime)), self.sign("′"))
                return self.row(prime, self.brackets(self.write(argument))), ATOM
            case Listing(items):
                return self.brackets(self.sign(",").join(map(self.write, items)), "[", "]"), ATOM
            case Entry(array, index):
                places = self.sign(",").join(self.number(str(i)) for i in index)
                return self.row(self._within(array, ATOM), self.brackets(places, "[", "]")), ATOM
            case Sum(terms):
                return self._sum(terms), SUM
            case Chain(factors):
                return self._chain(factors), PRODUCT
            case Product():
                return self._product(expression)
            case Apply():
                return self._apply(expression)

    def _within(self, expression: Expression, least: int) -> str:
        text, precedence = self._text(expression)
        return self.brackets(text) if precedence < least else text

    def _factor(self, expression: Expression) -> str:
        return self._within(expression, PRODUCT + 1)

    def _number(self, value: Fraction) -> Text:
        if value < 0:
            return self.sign("-") + self._number(-value)[0], SIGNED
        if value == PI:
            return self.name("pi"), ATOM
        if value.denominator == 1 and value < 10**15:
            return self.number(str(value.numerator)), ATOM
        decimals = repr(float(value))
        if Fraction(decimals) != value and value.denominator <= 12:
            above, below = self.number(str(value.numerator)), self.number(str(value.denominator))
            return self.fraction(above, below), _FRACTION
        if "e" not in decimals:
            return self.number(decimals), ATOM
        digits, exponent = decimals.split("e")
        power = self.raised(self.number("10"), self._number(Fraction(int(exponent)))[0])
        return (power if digits == "1" else self.number(digits) + self.sign("·") + power), _FRACTION

    def _sum(self, terms: Sequence[Expression]) -> str:
        result, minus = "", self.sign("-")
        for term in terms:
            text = self._within(term, SUM)
            result += text if not result or text.startswith(minus) else self.sign("+") + text
        return result

    def _chain(self, factors: Sequence[Expression]) -> str:
        result = self._within(factors[0], PRODUCT)
        for before, factor in pairwise(factors):
            both = shape_of(before) and shape_of(factor)
            result += self.sign("⊙" if both else "·") + self._within(factor, PRODUCT + 1 if both else PRODUCT)
        return result

    def _product(self, product: Product) -> Text:
        above, below = over_and_under(product)
        if below:
            top = self.write(above[0]) if len(above) == 1 else self._beside(above)
            bottom = self.write(below[0]) if len(below) == 1 else self._beside(below)
            text, precedence = self.fraction(top, bottom), _FRACTION
        else:
            text, precedence = self._beside(above), PRODUCT
        return (self.sign("-") + text, SIGNED) if product.coefficient < 0 else (text, precedence)

    def _beside(self, factors: Sequence[Expression]) -> str:
        scalars = [x for x in factors if not shape_of(x)]
        arrays = [x for x in factors if shape_of(x)]
        if len(arrays) < 2:
            scalars, arrays = list(factors), []
        parts = list(map(self._factor, scalars))
        if arrays:
            parts.append(self.sign("⊙").join(map(self._factor, arrays)))
        return self._joined(parts, [*scalars, *arrays[:1]])

    def _joined(self, parts: Sequence[str], expressions: Sequence[Expression]) -> str:
        result = parts[0]
        for part, expression in zip(parts[1:], expressions[1:], strict=True):
            # A digit would run into what stands before it.
            result += (self.sign("·") if _starts_with_digit(expression) else self.apart) + part
        return result

    def _apply(self, expression: Apply) -> Text:
        op, arguments = expression.op, expression.arguments
        match op.name:
            case "divide":
                return self.fraction(*map(self.write, arguments)), _FRACTION
            case "reciprocal":
                return self.fraction(self.number("1"), self.write(arguments[0])), _FRACTION
            case "power":
                return self.raised(self._within(arguments[0], POWER + 1), self.write(arguments[1])), POWER
            case "square":
                return self.raised(self._within(arguments[0], POWER + 1), self.number("2")), POWER
            case "exp2":
                return self.raised(self.number("2"), self.write(arguments[0])), POWER
            case "sqrt":
                return self.root(self.write(arguments[0])), ATOM
            case "abs":
                return self.brackets(self.write(arguments[0]), "|", "|"), ATOM
            case "where":
                condition, yes, no = map(self.write, arguments)
                return self.cases([(yes, condition), (no, "")]), ATOM
            case "transpose":
                return self.raised(self._within(arguments[0], POWER + 1), self.sign("T")), POWER
            case "inv":
                power = self._number(Fraction(-1))[0]
                return self.raised(self._within(arguments[0], POWER + 1), power), POWER
            case "multiply":
                parts = [self._operand(expression, i) for i in range(2)]
                if all(map(shape_of, arguments)):
                    return self.sign("⊙").join(parts), PRODUCT
                return self._joined(parts, arguments), PRODUCT
            case "contract":
                return self._contraction(expression)
            case "reshape":
                return self.row(self.function("reshape"), self.brackets(self.write(arguments[0]))), ATOM
            case _:
                return self._by_template(expression), op.formula.precedence

    def _operand(self, expression: Apply, position: int) -> str:
        operand = expression.arguments[position]
        text, precedence = self._text(operand)
        return self.brackets(text) if in_brackets(expression.op, position, operand, precedence) else text

    def _contraction(self, expression: Apply) -> Text:
        spec = dict(expression.attributes)["spec"]
        factors = as_product(spec)
        if factors is None:
            operands = self.sign(",").join(map(self.write, expression.arguments))
            return self.row(self.function("einsum"), self.brackets(self.word(spec) + operands)), ATOM
        parts = [self._oriented(expression.arguments[x.argument], x) for x in factors]
        return self._joined(parts, [expression.arguments[x.argument] for x in factors]), PRODUCT

    def _oriented(self, x: Expression, operand: Operand) -> str:
        if not operand.transposed:
            return self._factor(x)
        if isinstance(x, Apply) and x.op.name == "transpose":
            return self._factor(x.arguments[0])
        return self.raised(self._within(x, POWER + 1), self.sign("T"))

    def _by_template(self, expression: Apply) -> str:
        parts: list[str] = []
        pending: list[list[str]] = []  # what stands before each bracket that is open
        options = dict(expression.attributes)
        text = ""
        for literal, name, _, _ in (*Formatter().parse(expression.op.formula.template), ("", None, "", "")):
            text += literal
            if name is not None and not name.isdigit():
                text += str(options[name])
                continue
            for token in _TOKEN.findall(text.strip()):
                if token in "([":
                    pending.append(parts)
                    parts = []
                elif token in ")]":
                    inside = self.brackets("".join(parts), "(" if token == ")" else "[", token)
                    parts = pending.pop()
                    # What a function is called with belongs to its name.
                    parts.append(inside)
                else:
                    parts.append(self._token(token, text))
            text = ""
            if name is not None:
                parts.append(self._operand(expression, int(name)))
        return self.row(*parts)

    def _token(self, token: str, text: str) -> str:
        if token in _WORDS:
            return self.word(token)
        if token[0].isdigit():
            return self.number(token)
        return self.function(token) if token[0].isalpha() else self.sign(token)


def _starts_with_digit(expression: Expression) -> bool:
    match expression:
        case Number(value):
            return value >= 0
        case Product(coefficient, numerator, denominator):
            above, _ = over_and_under(Product(coefficient, numerator, denominator))
            return not denominator and _starts_with_digit(above[0])
        case Apply(op, (first, *_)) if op.name in ("multiply", "power", "square"):
            return _starts_with_digit(first)
        case Apply(op):
            return op.name == "exp2"
        case _:
            return False
