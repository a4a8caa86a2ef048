"""A reader of printed formulas: it knows how formulas are written, and nothing of how they are made."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from glassnet.explain import Derivation, Partial

DIGITS = 40
TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?)|(\w+'?)|(<=|>=|==|!=|[-+*/^(),|<>\[\]]))")


class Table:
    """Numbers in rows and columns; a vector is a column. @ is the product of matrices, * is by element."""

    __array_priority__ = 1.0

    def __init__(self, numbers: Any) -> None:
        numbers = np.array(numbers, dtype=object)
        self.numbers = numbers.reshape(-1, 1) if numbers.ndim < 2 else numbers

    def __add__(self, other: Any) -> Table:
        return Table(self.numbers + rows(other))

    def __sub__(self, other: Any) -> Table:
        return Table(self.numbers - rows(other))

    def __mul__(self, other: Any) -> Table:
        return Table(self.numbers * rows(other))

    def __truediv__(self, other: Any) -> Table:
        return Table(self.numbers / rows(other))

    def __matmul__(self, other: Any) -> Table:
        if not isinstance(other, Table) or 1 in (self.numbers.size, other.numbers.size):
            return self * other
        return Table(self.numbers @ other.numbers)

    def __lt__(self, other: Any) -> Table:
        return by_element(lambda x, y: x < y)(self, other)

    def __le__(self, other: Any) -> Table:
        return by_element(lambda x, y: x <= y)(self, other)

    def __gt__(self, other: Any) -> Table:
        return by_element(lambda x, y: x > y)(self, other)

    def __ge__(self, other: Any) -> Table:
        return by_element(lambda x, y: x >= y)(self, other)

    __rmul__ = __rmatmul__ = __mul__

    def __radd__(self, other: Any) -> Table:
        return self + other

    def __rsub__(self, other: Any) -> Table:
        return Table(rows(other) - self.numbers)

    def __neg__(self) -> Table:
        return Table(-self.numbers)

    def __pow__(self, exponent: Any) -> Table:
        return Table(self.numbers.T if exponent == "T" else self.numbers**exponent)


def rows(x: Any) -> Any:
    return x.numbers if isinstance(x, Table) else x


def softmax(z: Any) -> Any:
    powers = [sympy.exp(x) for x in (z.numbers.flat if isinstance(z, Table) else z)]
    shares = [power / sum(powers) for power in powers]
    return Table(shares) if isinstance(z, Table) else shares


def cross_entropy(p: Any, target: Any) -> Any:
    if isinstance(p, (Table, list)):
        pairs = zip(*(x.numbers.flat if isinstance(x, Table) else x for x in (p, target)), strict=True)
        return -sum(d * sympy.log(q) for q, d in pairs)
    return -(target * sympy.log(p) + (1 - target) * sympy.log(1 - p))


def by_element(f: Any) -> Any:
    def of_any(*arguments: Any) -> Any:
        if any(isinstance(x, Table) for x in arguments):
            spread = np.broadcast_arrays(*(np.array(rows(x), dtype=object) for x in arguments))
            values = [f(*parts) for parts in zip(*(x.flat for x in spread), strict=True)]
            return Table(np.array(values, dtype=object).reshape(spread[0].shape))
        return f(*arguments)

    return of_any


class Choices(ast.NodeTransformer):
    """Cases as a function of arrays, which takes each element from where it belongs."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.Call:
        self.generic_visit(node)
        return ast.Call(ast.Name("choose", ast.Load()), [node.test, node.body, node.orelse], [])


FUNCTIONS = {
    "choose": by_element(lambda condition, yes, no: yes if condition else no),
    "s": by_element(lambda z: 1 / (1 + sympy.exp(-z))),
    "relu": by_element(lambda z: sympy.Max(z, 0)),
    "softplus": by_element(lambda z: sympy.log(1 + sympy.exp(z))),
    "max": by_element(sympy.Max),
    "min": by_element(sympy.Min),
    "sum": lambda x: sum(x.numbers.flat) if isinstance(x, Table) else x,
    "ones": lambda *shape: Table(np.full(shape, sympy.Integer(1))),
    "softmax": softmax,
    "crossentropy": cross_entropy,
    **{
        name: by_element(getattr(sympy, name))
        for name in ("exp", "log", "sin", "cos", "tanh", "sqrt", "sign", "Abs")
    },
    "pi": sympy.pi,
}


def named(text: str, names: Mapping[str, str]) -> str:
    """The formula with a plain word in place of each name, the longest first: "dL/dW1[0, 1]" is one."""
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.\]]){re.escape(name)}(?![\w\[])", names[name], text)
    return text


def to_sympy(text: str, *, matrices: bool = False) -> str:
    """The formula in sympy's syntax: a space between operands is a product, bars are an absolute value."""
    beside = "@" if matrices else "*"
    result, position, ends_operand, open_brackets = "", 0, False, []
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        assert match is not None, text[position:]
        number, name, symbol = match.groups()
        keyword = name in ("if", "else")
        called = bool(name) and text[match.end() : match.end() + 1] == "("
        token = match.group().strip()
        closes_bar = symbol == "|" and bool(open_brackets) and open_brackets[-1] == "|"
        indexes = symbol == "[" and ends_operand
        starts_operand = bool(number or (name and not keyword)) or (
            symbol in ("(", "|", "[") and not closes_bar and not indexes
        )
        transposed = name == "T" and result.endswith("**")
        if keyword:
            token = f" {name} "
        if ends_operand and starts_operand and not (symbol == "(" and text[match.start()] == "("):
            result += beside
        if symbol in ("(", "|") and not closes_bar:
            open_brackets.append(symbol)
            result += "Abs(" if symbol == "|" else "("
        elif symbol == ")" or closes_bar:
            open_brackets.pop()
            result += ")"
        elif transposed:
            result += "'T'"
        else:
            decimal = f"Float('{number}', {DIGITS})" if number and not number.isdigit() else token
            result += {"^": "**"}.get(token, decimal.replace("'", "_prime") if name else decimal)
        ends_operand = (
            bool(number or (name and not called and not keyword)) or symbol in (")", "]") or closes_bar
        )
        position = match.end()
    assert not open_brackets, text
    return result


def evaluate(text: str, known: Mapping[str, Any], *, matrices: bool = False) -> Any:
    """The value of a printed formula, given those of the names in it."""
    words = {name: f"v_{i}" for i, name in enumerate(known) if not name.isidentifier()}
    scope = {words.get(name, name): value for name, value in known.items()}
    written = to_sympy(named(text, words), matrices=matrices)
    if matrices:
        written = ast.unparse(Choices().visit(ast.parse(written, mode="eval")))
    result = sympy.parse_expr(written, local_dict={**FUNCTIONS, **scope})
    if isinstance(result, Table) or result in (sympy.true, sympy.false):
        return result
    return sympy.N(result, DIGITS)


def precise(value: Any) -> Any:
    """A number, or an array of them, with more digits."""
    if np.ndim(value) == 0:
        return sympy.Float(float(value), DIGITS)
    return Table(
        [[sympy.Float(float(x), DIGITS) for x in row] for row in np.asarray(value).reshape(len(value), -1)]
    )


def all_known(derivation: Derivation, at: Mapping[str, Any], *, matrices: bool = False) -> dict[str, Any]:
    """The numbers of a point, and of all that the derivation defines."""
    known: dict[str, Any] = {name: precise(value) for name, value in at.items()}
    for name, formula in derivation.definitions.items():
        if name.endswith("'(z)"):
            symbol = name.removesuffix("'(z)") + "_prime"
            known[symbol] = by_element(lambda z, formula=formula: evaluate(formula, {"z": z}))
        else:
            known[name] = evaluate(formula, known, matrices=matrices)
    return known


def value_of(
    derivation: Derivation, partial: Partial, at: Mapping[str, Any], *, matrices: bool = False
) -> Any:
    """The number that a reader gets who works out the printed formulas at a point."""
    known = all_known(derivation, at, matrices=matrices)
    for case in partial.cases:
        conditions = case.condition.split(" and ") if case.condition else []
        if all(evaluate(condition, known) == sympy.true for condition in conditions):
            value = evaluate(case.formula, known, matrices=matrices)
            return value.numbers.astype(float) if isinstance(value, Table) else float(value)
    raise AssertionError(f"no case of {partial} holds at {at}")
