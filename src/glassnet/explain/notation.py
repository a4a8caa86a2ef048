"""Expressions as text: each op's own template, with the parentheses that precedence needs and no others.

`Plain` writes what a keyboard has, `Unicode` what a book has; both on one line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from string import Formatter
from typing import Any
from unicodedata import normalize

from glassnet.core.op import ATOM, POWER, PRODUCT, SUM, Op
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
from glassnet.explain.products import Operand, as_product

SIGNED = SUM + 1  # how tightly a leading minus binds
_LARGEST_DENOMINATOR = 12  # beyond it a fraction reads better in decimals
PI = Fraction(repr(math.pi))

Text = tuple[str, int]  # the text and how tightly it binds


class Plain:
    """ASCII on one line: products side by side, powers with ^, a function's derivative with a prime.

    `(yhat - y) w5 s'(z) x1`: a space before a parenthesis means a product, none a function call. Arrays are
    multiplied element by element with *, and in the sense of matrices side by side.

    >>> Plain().write(Sum((Symbol("a"), Product(Fraction(-1, 2), (Symbol("b"),)))))
    'a - b / 2'
    """

    minus, times, dot, hadamard = "-", " * ", " * ", " * "

    def write(self, expression: Expression) -> str:
        """The expression as one line of text."""
        return self._text(expression)[0]

    # -- what the alphabet of a notation decides

    def name(self, name: str) -> str:
        """The name of a variable."""
        return name

    def function(self, name: str) -> str:
        """The name of a function."""
        return name

    def digits(self, digits: str) -> str:
        """A number without sign."""
        return digits

    def slope(self, output: str, name: str) -> str:
        """The derivative of one variable with respect to another."""
        return f"d{output}/d{name}"

    def prime(self, symbol: str) -> str:
        """The name of a function's derivative."""
        return f"{self.function(symbol)}'"

    def exponent(self, base: str, exponent: str) -> str:
        """A power."""
        return f"{base}^{exponent}"

    def sign(self, text: str) -> str:
        """A part of a template between its operands: signs of operations, comparisons, names of functions."""
        return text

    # -- expressions

    def _text(self, expression: Expression) -> Text:
        match expression:
            case Number(value):
                return self._number(value)
            case Symbol(name):
                return self.name(name), ATOM
            case Slope(output, name):
                return self.slope(output, name), ATOM
            case Ones(shape):
                return f"{self.function('ones')}({', '.join(map(str, shape))})", ATOM
            case Prime(op, argument):
                return f"{self.prime(str(op.formula.prime))}({self.write(argument)})", ATOM
            case Listing(items):
                return f"[{', '.join(map(self.write, items))}]", ATOM
            case Entry(array, index):
                return f"{self._within(array, ATOM)}[{', '.join(map(str, index))}]", ATOM
            case Sum(terms):
                return self._sum(terms), SUM
            case Chain(factors):
                return self._chain(factors), PRODUCT
            case Product():
                return self._product(expression)
            case Apply(op):
                return self._apply(expression), op.formula.precedence

    def _within(self, expression: Expression, least: int) -> str:
        text, precedence = self._text(expression)
        return f"({text})" if precedence < least else text

    def _factor(self, expression: Expression) -> str:
        return self._within(expression, PRODUCT + 1)

    def _number(self, value: Fraction) -> Text:
        if value < 0:
            return f"{self.minus}{self._number(-value)[0]}", SIGNED
        if value == PI:
            return self.name("pi"), ATOM
        if value.denominator == 1 and value < 10**15:
            return self.digits(str(value.numerator)), ATOM
        decimals = repr(float(value))
        if Fraction(decimals) != value and value.denominator <= _LARGEST_DENOMINATOR:
            return f"{self.digits(str(value.numerator))} / {self.digits(str(value.denominator))}", PRODUCT
        return self.digits(decimals), ATOM

    def _sum(self, terms: Sequence[Expression]) -> str:
        result = ""
        for term in terms:
            text = self._within(term, SUM)
            if not result:
                result = text
            elif text.startswith(self.minus):
                result += f" {self.minus} {text[1:]}"
            else:
                result += f" + {text}"
        return result

    def _chain(self, factors: Sequence[Expression]) -> str:
        result = self._edge(factors[0])
        for before, factor in pairwise(factors):
            both = shape_of(before) and shape_of(factor)
            result += f"{self.hadamard}{self._factor(factor)}" if both else f"{self.dot}{self._edge(factor)}"
        return result

    def _edge(self, factor: Expression) -> str:
        # Between dots a product needs no brackets; a quotient could be taken to go on behind the dot.
        text = self._within(factor, PRODUCT)
        return f"({text})" if " / " in text and self._text(factor)[1] == PRODUCT else text

    def _product(self, product: Product) -> Text:
        above, below = over_and_under(product)
        text = self._beside(above)
        if below:
            under = self._beside(below)
            text += f" / ({under})" if len(below) > 1 else f" / {under}"
        return (f"{self.minus}{text}", SIGNED) if product.coefficient < 0 else (text, PRODUCT)

    def _beside(self, factors: Sequence[Expression]) -> str:
        """Factors side by side: numbers first, arrays that multiply element by element behind them.

        A sign of multiplication stands where a digit would run into what is before it.
        """
        scalars = [x for x in factors if not shape_of(x)]
        arrays = [x for x in factors if shape_of(x)]
        # One array beside numbers needs no sign, and then the order is kept as well.
        groups = [scalars, arrays] if len(arrays) > 1 else [list(factors), []]
        return self.beside(
            *map(self._factor, groups[0]),
            *([self.hadamard.join(map(self._factor, groups[1]))] if groups[1] else []),
        )

    def beside(self, *factors: str) -> str:
        """Written factors side by side.

        >>> Plain().beside("x", "y"), Plain().beside("x", "2")
        ('x y', 'x * 2')
        """
        result = factors[0]
        for factor in factors[1:]:
            result += f"{self.times}{factor}" if factor[0].isdigit() else f" {factor}"
        return result

    def _apply(self, expression: Apply) -> str:
        op, arguments = expression.op, expression.arguments
        match op.name:
            case "multiply" if all(map(shape_of, arguments)):
                return self.hadamard.join(self._operand(op, i, x) for i, x in enumerate(arguments))
            case "multiply":
                return self.beside(*(self._operand(op, i, x) for i, x in enumerate(arguments)))
            case "contract":
                return self._contraction(expression)
            case "power" | "square":
                exponent = arguments[1] if op.name == "power" else Number(Fraction(2))
                return self.exponent(self._operand(op, 0, arguments[0]), self._within(exponent, POWER + 1))
            case "reshape":
                return f"{self.function('reshape')}({self.write(arguments[0])})"
            case "sum" if (axes := dict(expression.attributes).get("axes")) and shape_of(expression):
                along = ", ".join(map(str, axes))
                return f"{self.function('sum')}({self.write(arguments[0])}, axis={along})"
            case _:
                return self._by_template(op, arguments, dict(expression.attributes))

    def _contraction(self, expression: Apply) -> str:
        spec = dict(expression.attributes)["spec"]
        factors = as_product(spec)
        if factors is None:
            operands = ", ".join(map(self.write, expression.arguments))
            return f"{self.function('einsum')}({spec}, {operands})"
        return self.beside(*(self._oriented(expression.arguments[x.argument], x) for x in factors))

    def _oriented(self, x: Expression, operand: Operand) -> str:
        if operand.transposed and isinstance(x, Apply) and x.op.name == "transpose":
            return self._factor(x.arguments[0])
        return self.exponent(self._within(x, POWER + 1), "T") if operand.transposed else self._factor(x)

    def _by_template(self, op: Op, arguments: Sequence[Expression], attributes: dict[str, Any]) -> str:
        result = ""
        for text, name, _, _ in Formatter().parse(op.formula.template):
            result += self.sign(text)
            if name is None:
                continue
            if not name.isdigit():
                result += str(attributes[name])
                continue
            operand = self._operand(op, int(name), arguments[int(name)])
            # A minus stands alone only at the start, behind a bracket or behind a comma.
            loose = operand.startswith(self.minus) and result.strip() != ""
            loose = loose and not result.rstrip().endswith(("(", ",", "|"))
            # Bars inside bars could not be told apart.
            nested = result.endswith("|") and "|" in operand
            result += f"({operand})" if loose or nested else operand
        return result

    def _operand(self, op: Op, position: int, operand: Expression) -> str:
        text, precedence = self._text(operand)
        return f"({text})" if in_brackets(op, position, operand, precedence) else text


def over_and_under(product: Product) -> tuple[list[Expression], list[Expression]]:
    """The factors above and below the line, the size of the coefficient among them."""
    above, below = list(product.numerator), list(product.denominator)
    number = abs(product.coefficient)
    if number.denominator > _LARGEST_DENOMINATOR:
        return [Number(number), *above], below
    if number.numerator != 1 or not above:
        above.insert(0, Number(Fraction(number.numerator)))
    if number.denominator != 1:
        below.insert(0, Number(Fraction(number.denominator)))
    return above, below


def in_brackets(op: Op, position: int, operand: Expression, precedence: int) -> bool:
    """Whether an operand that binds with `precedence` needs brackets inside its op."""
    own = op.formula.precedence
    if own == ATOM and op.name not in _POSTFIX:  # the template brings its own brackets
        return False
    if own == ATOM:
        return precedence < ATOM
    return precedence < own or (precedence == own and _regroups(op, position, operand))


_POSTFIX = ("getitem", "gather", "inv", "pinv", "solve", "transpose")


def _regroups(op: Op, position: int, operand: Expression) -> bool:
    """Whether an operand that binds as tightly as its op would be read in another order if bare."""
    if op.formula.precedence == POWER:
        return True
    if op.name == "multiply":
        return not (isinstance(operand, Apply) and operand.op.name == "multiply")
    return position > 0 and op.name != "add"


# fmt: off
GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "lambda": "λ",
    "lambda_": "λ",
}
# fmt: on
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_RAISED = str.maketrans("0123456789-T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ")
_SIGNS = {"<=": "≤", ">=": "≥", "!=": "≠", "==": "=", "-": "−"}


def split_name(name: str) -> tuple[str, str, str]:
    """A name as stem, number and the rest: what is written large, small below, and behind.

    >>> split_name("w1"), split_name("yhat"), split_name("b_12"), split_name("W1[0, 2]")
    (('w', '1', ''), ('yhat', '', ''), ('b', '12', ''), ('W', '1', '[0, 2]'))
    """
    match = re.fullmatch(r"([A-Za-z_]*[A-Za-z])_?(\d*)(\[.*\])?", name)
    return (match[1], match[2], match[3] or "") if match else (name, "", "")


def hatted(stem: str) -> bool:
    """Whether the name is a letter and the word hat, as in yhat."""
    return len(stem) == 4 and stem.endswith("hat") and stem not in ("chat", "that", "what")


class Unicode(Plain):
    """The same line with Greek letters, hats, small digits and the signs of printed mathematics.

    >>> Unicode().write(Sum((Symbol("yhat"), Product(Fraction(-1), (Symbol("w1"),)))))
    'ŷ − w₁'
    """

    minus, times, dot, hadamard = "−", " × ", " · ", " ⊙ "

    def name(self, name: str) -> str:
        """w1 as w₁, yhat as ŷ, delta2 as δ₂."""
        stem, number, rest = split_name(name)
        if hatted(stem):
            stem = normalize("NFC", f"{stem[0]}\u0302")
        return f"{GREEK.get(stem, stem)}{number.translate(_LOWERED)}{rest}"

    def function(self, name: str) -> str:
        """The logistic function as σ."""
        return "σ" if name == "s" else name

    def digits(self, digits: str) -> str:
        """1e-12 with a minus sign of its own."""
        return digits.replace("-", "−")

    def slope(self, output: str, name: str) -> str:
        """∂f/∂w₁."""
        return f"∂{self.name(output)}/∂{self.name(name)}"

    def prime(self, symbol: str) -> str:
        """σ′."""
        return f"{self.function(symbol)}′"

    def exponent(self, base: str, exponent: str) -> str:
        """Whole numbers small above, other exponents behind a ^."""
        plain = exponent.strip("()").replace(self.minus, "-")
        return (
            f"{base}{plain.translate(_RAISED)}" if re.fullmatch(r"-?\d+|T", plain) else f"{base}^{exponent}"
        )

    def sign(self, text: str) -> str:
        """The template's signs in print."""
        text = re.sub(r"[<>!=]=|-", lambda match: _SIGNS[match[0]], text)
        return re.sub(r"\bs\(", "σ(", text).replace("^T", "ᵀ").replace("^−1", "⁻¹").replace("^+", "⁺")
