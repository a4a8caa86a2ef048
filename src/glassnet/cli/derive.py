"""`glassnet derive`: the derivative of an expression, step by step."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from glassnet import explain
from glassnet.errors import ConfigurationError


def derive(
    expression: str,
    /,
    *,
    wrt: Annotated[str | None, Parameter(alias="-w")] = None,
    at: str | None = None,
    form: Literal["text", "ascii", "latex", "mathml", "html"] = "text",
    steps: bool = True,
) -> None:
    """Derive an expression: the chain rule from the end, the derivatives as formulas, and their numbers.

    Parameters
    ----------
    expression
        Such as "a * tanh(w * x + b)": numbers, names, + - * / ^, functions, (x if x > 0 else 0).
    wrt
        The variables to differentiate with respect to, such as w,b; by default all.
    at
        Numbers to put in, such as w=1,x=2.
    form
        How to write it: text, ascii, latex, mathml or html.
    steps
        The steps of the chain rule as well as the results.
    """
    point = None if at is None else _point(at)
    names = None if wrt is None else [name.strip() for name in wrt.split(",") if name.strip()]
    derivation = explain.derive(expression, names, at=point)
    match form:
        case "text" | "ascii":
            print(derivation.text(steps=steps, ascii=form == "ascii"))
        case "latex":
            print(derivation.latex(steps=steps))
        case "mathml":
            print(derivation.mathml(steps=steps))
        case "html":
            print(derivation.html(steps=steps))


def _point(text: str) -> dict[str, float]:
    """The numbers in "w=1, x=2" by name."""
    point: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        try:
            point[name] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ConfigurationError(f"--at got {part.strip()!r} where it takes name=number, as in w=1,x=2.")
    return point
