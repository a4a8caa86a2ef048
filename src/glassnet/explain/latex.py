"""Expressions as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from glassnet.explain.display import Display
from glassnet.explain.notation import GREEK, hatted, split_name

_NAMES = {letter: f"\\{name}" for name, letter in GREEK.items() if not name.endswith("_")}
_FUNCTIONS = (
    *("arccos", "arcsin", "arctan", "cos", "cosh", "det", "exp", "log"),
    *("max", "min", "sin", "sinh", "tan", "tanh"),
)
_SIGNS = {
    "<=": r"\le ",
    ">=": r"\ge ",
    "!=": r"\ne ",
    "==": "=",
    "·": r" \cdot ",
    "⊙": r" \odot ",
    "∂": r"\partial ",
    "′": r"\prime",
    "T": r"\mathsf{T}",
    "-": "-",
    "+": "+",
    "~": r"\lnot ",
    "&": r"\,\&\,",
    "^": r"\oplus ",
    "|": r"\mid ",
    ",": ", ",
}


class Latex(Display):
    r"""LaTeX for mathematics mode, with what amsmath has.

    >>> Latex().name("yhat"), Latex().name("w1"), Latex().fraction("a", "b")
    ('\\hat{y}', 'w_{1}', '\\frac{a}{b}')
    """

    apart = r" \, "

    def name(self, name: str) -> str:
        """w_{1}, \\hat{y}; names of several letters upright."""
        stem, number, rest = split_name(name)
        if hatted(stem):
            text = f"\\hat{{{stem[0]}}}"
        elif stem in GREEK:
            text = _NAMES[GREEK[stem]]
        else:
            text = stem if len(stem) == 1 else f"\\mathrm{{{_escaped(stem)}}}"
        return (
            text
            + (f"_{{{number}}}" if number else "")
            + (f"_{{{rest[1:-1]}}}" if rest and not number else rest)
        )

    def function(self, name: str) -> str:
        """\\sin, or an operator's name."""
        if name == "s":
            return r"\sigma"
        return f"\\{name}" if name in _FUNCTIONS else f"\\operatorname{{{_escaped(name)}}}"

    def number(self, digits: str) -> str:
        """The digits."""
        return digits

    def sign(self, sign: str) -> str:
        """The sign's command."""
        return _SIGNS.get(sign, sign)

    def word(self, word: str) -> str:
        """Upright, with spaces."""
        return f" \\;\\text{{{word}}}\\; "

    def fraction(self, above: str, below: str) -> str:
        """\\frac."""
        return f"\\frac{{{above}}}{{{below}}}"

    def raised(self, base: str, exponent: str) -> str:
        """A superscript; a base that has one gets braces."""
        return f"{{{base}}}^{{{exponent}}}"

    def root(self, text: str) -> str:
        """\\sqrt."""
        return f"\\sqrt{{{text}}}"

    def brackets(self, text: str, opening: str = "(", closing: str = ")") -> str:
        """\\left( ... \\right)."""
        return f"\\left{opening}{text}\\right{closing}"

    def cases(self, rows: Sequence[tuple[str, str]]) -> str:
        """The environment cases."""
        lines = [f"{value} & {_IF if where else _ELSE}{where}" for value, where in rows]
        return "\\begin{cases} " + r" \\ ".join(lines) + " \\end{cases}"

    def row(self, *parts: str) -> str:
        """Simply side by side."""
        return "".join(parts)


_IF, _ELSE = r"\text{if } ", r"\text{otherwise}"


def _escaped(text: str) -> str:
    return re.sub(r"([_#$%&{}])", r"\\\1", text)
