"""A reader of printed formulas: it knows how formulas are written, and nothing of how they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sympy

from glassnet.explain import Derivation, Partial

DIGITS = 40
TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?)|(\w+'?)|(<=|>=|==|!=|[-+*/^(),|<>]))")
FUNCTIONS = {
    "s": lambda z: 1 / (1 + sympy.exp(-z)),
    "relu": lambda z: sympy.Max(z, 0),
    "softplus": lambda z: sympy.log(1 + sympy.exp(z)),
    "max": sympy.Max,
    "min": sympy.Min,
    **{name: getattr(sympy, name) for name in ("exp", "log", "sin", "cos", "tanh", "sqrt", "sign", "pi")},
}


def to_sympy(text: str) -> str:
    """The formula in sympy's syntax: a space between operands is a product, bars are an absolute value."""
    result, position, ends_operand, open_brackets = "", 0, False, []
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        assert match is not None, text[position:]
        number, name, symbol = match.groups()
        keyword = name in ("if", "else")
        called = bool(name) and text[match.end() : match.end() + 1] == "("
        token = match.group().strip()
        closes_bar = symbol == "|" and bool(open_brackets) and open_brackets[-1] == "|"
        starts_operand = bool(number or (name and not keyword)) or (symbol in ("(", "|") and not closes_bar)
        if keyword:
            token = f" {name} "
        if ends_operand and starts_operand and not (symbol == "(" and text[match.start()] == "("):
            result += "*"
        if symbol in ("(", "|") and not closes_bar:
            open_brackets.append(symbol)
            result += "Abs(" if symbol == "|" else "("
        elif symbol == ")" or closes_bar:
            open_brackets.pop()
            result += ")"
        else:
            decimal = f"Float('{number}', {DIGITS})" if number and not number.isdigit() else token
            result += {"^": "**"}.get(token, decimal.replace("'", "_prime") if name else decimal)
        ends_operand = bool(number or (name and not called and not keyword)) or symbol == ")" or closes_bar
        position = match.end()
    assert not open_brackets, text
    return result


def evaluate(text: str, known: Mapping[str, Any]) -> Any:
    result = sympy.parse_expr(to_sympy(text), local_dict={**FUNCTIONS, **known})
    return result if result in (sympy.true, sympy.false) else sympy.N(result, DIGITS)


def value_of(derivation: Derivation, partial: Partial, at: Mapping[str, float]) -> float:
    """The number that a reader gets who works out the printed formulas at a point."""
    known: dict[str, Any] = {name: sympy.Float(value, DIGITS) for name, value in at.items()}
    for name, formula in derivation.definitions.items():
        if name.endswith("'(z)"):
            symbol = name.removesuffix("'(z)") + "_prime"
            known[symbol] = lambda z, formula=formula: evaluate(formula, {"z": z})
        else:
            known[name] = evaluate(formula, known)
    for case in partial.cases:
        conditions = case.condition.split(" and ") if case.condition else []
        if all(evaluate(condition, known) == sympy.true for condition in conditions):
            return float(evaluate(case.formula, known))
    raise AssertionError(f"no case of {partial} holds at {at}")


@pytest.fixture(scope="session")
def read() -> Callable[[Derivation, Partial, Mapping[str, float]], float]:
    return value_of


@pytest.fixture(scope="session")
def read_formula() -> Callable[[str, Mapping[str, Any]], Any]:
    return evaluate
