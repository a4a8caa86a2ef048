"""Expressions that were typed in, as functions. They are read, never run: no code is evaluated."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache, reduce
from inspect import Parameter, Signature, signature
from typing import Any

from glassnet.core.op import Elementwise
from glassnet.core.registry import FUNCTIONS, OPS
from glassnet.errors import DifferentiationError

_ALIASES = {
    "ln": "log",
    "s": "sigmoid",
    "sigma": "sigmoid",
    "σ": "sigmoid",
    "max": "maximum",
    "min": "minimum",
}
_COMPOSED = (
    *("elu", "gelu", "hard_sigmoid", "hard_tanh", "leaky_relu", "log_sigmoid", "mish"),
    *("relu6", "selu", "silu", "sinc"),
)
_FOLDED = ("max", "min")  # of any number of numbers
_NUMBERS = {"pi": math.pi, "π": math.pi, "e": math.e}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.USub: "negative",
    ast.UAdd: "positive",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
_TAKES = (
    "it takes numbers, names, + - * / ^ ( ), each product with its *, functions such as tanh(x), and cases "
    "such as (x if x > 0 else 0)"
)
_LONGEST, _DEEPEST = 2000, 100


def function_of(expression: str) -> Callable[..., Any]:
    """The function that an expression such as "a * tanh(w * x + b)" stands for.

    Its arguments are the names in it, in the order in which they appear, but for e and pi. ^ is the power, as
    on paper; functions are those of glassnet.numpy that work on numbers.

    Raises DifferentiationError for what is no such expression, with the place.

    >>> f = function_of("a * x^2 + pi")
    >>> f.__name__, round(float(f(2.0, 3.0)), 6)
    ('f', 21.141593)
    """
    if len(expression) > _LONGEST:
        raise DifferentiationError(
            f"The expression has {len(expression):,} characters; at most {_LONGEST:,} are read: write a "
            "function in Python."
        )
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DifferentiationError(f"{expression!r} is no expression{_place(error)}; {_TAKES}.") from None
    names: dict[str, None] = {}
    _check(tree, expression, names, _DEEPEST)

    def f(*values: Any) -> Any:
        return _value(tree, dict(zip(names, values, strict=True)) | _NUMBERS)

    f.__signature__ = _signature(names)  # type: ignore[attr-defined]
    return f


def _place(error: Exception) -> str:
    if not isinstance(error, SyntaxError) or not error.text or not error.offset:
        return ""
    rest = error.text[error.offset - 1 :].strip()
    return f" from {rest[:20].replace('**', '^')!r} on" if rest else ": it ends too early"


def _signature(names: Mapping[str, None]) -> Signature:
    return Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])


@cache
def _functions() -> dict[str, tuple[Callable[..., Any], int]]:
    """The functions of numbers by all their names, and how many numbers they take."""
    known: dict[str, tuple[Callable[..., Any], int]] = {name: (FUNCTIONS[name], 1) for name in _COMPOSED}
    for name, op in OPS.items():
        if isinstance(op.derivative, Elementwise):
            options = [x for x in signature(op.value).parameters.values() if x.kind is x.KEYWORD_ONLY]
            if not options:
                known[name] = op, len(op.derivative.partials)
    return known | {alias: known[name] for alias, name in _ALIASES.items()}


def _check(node: ast.AST, expression: str, names: dict[str, None], depth: int) -> None:
    """DifferentiationError for anything but arithmetic; `names` gains the variables in order."""
    if depth == 0:
        raise DifferentiationError(
            f"The expression nests more than {_DEEPEST} deep; write it in fewer brackets."
        )

    def check(*parts: ast.AST) -> None:
        for part in parts:
            _check(part, expression, names, depth - 1)

    match node:
        case ast.Constant(value) if type(value) in (int, float):
            return
        case ast.Name(name):
            if name not in _NUMBERS:
                names[name] = None
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            check(left, right)
        case ast.UnaryOp(operator, operand) if type(operator) in _OPERATORS:
            check(operand)
        case ast.Call(ast.Name(name), arguments, []):
            if name not in _functions():
                raise DifferentiationError(_unknown(name))
            takes = _functions()[name][1]
            if len(arguments) != takes and not (name in _FOLDED and arguments):
                raise DifferentiationError(
                    f"{name} takes {takes} argument{'s' if takes > 1 else ''} and has {len(arguments)} "
                    f"in {expression!r}."
                )
            check(*arguments)
        case ast.IfExp(ast.Compare(left, [operator], [right]), yes, no) if type(operator) in _OPERATORS:
            check(left, right, yes, no)
        case _:
            part = (ast.get_source_segment(expression.strip().replace("^", "**"), node) or "").replace(
                "**", "^"
            )
            raise DifferentiationError(f"{part!r} is not understood in {expression!r}; {_TAKES}.")


def _unknown(name: str) -> str:
    nearest = get_close_matches(name, _functions(), 1, 0.6)
    mend = f"the nearest is {nearest[0]}" if nearest else f"a product is written {name} * (...)"
    return f"There is no function {name!r}; {mend}."


def _value(node: Any, known: Mapping[str, Any]) -> Any:
    """The value of an expression that was checked."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return known[name]
        case ast.BinOp(ast.Name("e"), ast.Pow(), right):
            return OPS["exp"](_value(right, known))
        case ast.BinOp(left, operator, right):
            return OPS[_OPERATORS[type(operator)]](_value(left, known), _value(right, known))
        case ast.UnaryOp(operator, operand):
            return OPS[_OPERATORS[type(operator)]](_value(operand, known))
        case ast.Call(ast.Name(name), arguments):
            values = [_value(argument, known) for argument in arguments]
            f = _functions()[name][0]
            return reduce(f, values) if name in _FOLDED else f(*values)
        case ast.IfExp(ast.Compare(left, [operator], [right]), yes, no):
            condition = OPS[_OPERATORS[type(operator)]](_value(left, known), _value(right, known))
            return OPS["where"](condition, _value(yes, known), _value(no, known))
