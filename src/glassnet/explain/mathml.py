"""Expressions as MathML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from glassnet.explain.display import Display
from glassnet.explain.notation import GREEK, hatted, split_name

_SIGNS = {"-": "−", "<=": "≤", ">=": "≥", "!=": "≠", "==": "="}


class MathML(Display):
    """MathML Core, which browsers show; names are escaped.

    >>> MathML().name("b1")
    '<msub><mi>b</mi><mn>1</mn></msub>'
    """

    apart = '<mo>&#x2062;</mo><mspace width="0.17em"/>'  # times, which is heard and not seen

    def name(self, name: str) -> str:
        """An identifier, with its number below."""
        stem, number, rest = split_name(name)
        letters = GREEK.get(stem, escape(stem))
        text = f"<mover><mi>{stem[0]}</mi><mo>^</mo></mover>" if hatted(stem) else f"<mi>{letters}</mi>"
        text = f"<msub>{text}<mn>{number}</mn></msub>" if number else text
        return f"<mrow>{text}<mtext>{escape(rest)}</mtext></mrow>" if rest else text

    def function(self, name: str) -> str:
        """An identifier."""
        return f"<mi>{'σ' if name == 's' else escape(name)}</mi>"

    def number(self, digits: str) -> str:
        """A number."""
        return f"<mn>{digits}</mn>"

    def sign(self, sign: str) -> str:
        """An operator."""
        return f"<mo>{escape(_SIGNS.get(sign, sign))}</mo>"

    def word(self, word: str) -> str:
        """A text with spaces."""
        return f"<mtext>&#xa0;{escape(word)}&#xa0;</mtext>"

    def fraction(self, above: str, below: str) -> str:
        """A fraction."""
        return f"<mfrac>{self.row(above)}{self.row(below)}</mfrac>"

    def raised(self, base: str, exponent: str) -> str:
        """A superscript."""
        return f"<msup>{self.row(base)}{self.row(exponent)}</msup>"

    def root(self, text: str) -> str:
        """A square root."""
        return f"<msqrt>{text}</msqrt>"

    def brackets(self, text: str, opening: str = "(", closing: str = ")") -> str:
        """Brackets around a row."""
        return f"<mrow><mo>{opening}</mo>{text}<mo>{closing}</mo></mrow>"

    def cases(self, rows: Sequence[tuple[str, str]]) -> str:
        """A table behind a brace."""
        lines = [
            (value, self.word("if") + where if where else self.word("otherwise")) for value, where in rows
        ]
        cells = "".join(f"<mtr><mtd>{value}</mtd><mtd>{where}</mtd></mtr>" for value, where in lines)
        return f"<mrow><mo>{{</mo><mtable>{cells}</mtable></mrow>"

    def row(self, *parts: str) -> str:
        """A row, which counts as one."""
        return f"<mrow>{''.join(parts)}</mrow>"
