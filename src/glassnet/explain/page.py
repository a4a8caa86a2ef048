"""A derivation on the page: sections of equations, written as text, LaTeX, MathML or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.expression import Expression, size
from glassnet.explain.latex import Latex
from glassnet.explain.mathml import MathML
from glassnet.explain.notation import Plain

Right = tuple[Expression, tuple[Expression, ...]]  # a formula, and the conditions under which it holds
_LONGEST_WITH_NUMBERS = 60  # symbols; longer formulas are not shown again with numbers
_LARGEST_MATRIX = 100  # numbers


@dataclass(frozen=True)
class Row:
    """One equation: what it is about, what that equals (case by case), and its number where it is known."""

    left: Expression
    rights: tuple[Right, ...] = ()
    value: Any = None


@dataclass(frozen=True)
class Section:
    """A heading, which may be empty, and equations or a matrix of formulas."""

    heading: str
    rows: Sequence[Row]
    matrix: tuple[tuple[Expression, ...], ...] = ()


def as_text(sections: Sequence[Section], notation: Plain) -> str:
    """Lines of text, the equals signs of cases under one another."""
    blocks: list[str] = []
    for section in sections:
        lines: list[str] = []
        for row in section.rows:
            lines += _text_lines(row, notation)
        if section.matrix:
            lines += _text_matrix([[notation.write(x) for x in row] for row in section.matrix])
        if section.heading:
            lines = [section.heading, *(f"    {line}" for line in lines)]
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks)


def _text_lines(row: Row, notation: Plain) -> list[str]:
    left = notation.write(row.left)
    formulas = [notation.write(formula) for formula, _ in _shown(row)]
    width = max(map(len, formulas), default=0)
    lines: list[str] = []
    for place, (formula, (_, assumed)) in enumerate(zip(formulas, _shown(row), strict=True)):
        where = f"  where {' and '.join(map(notation.write, assumed))}" if assumed else ""
        head = left if place == 0 else " " * len(left)
        lines.append(f"{head} = {formula:{width}}{where}")
    if row.value is not None:
        number = f" = {notation.sign(_number(row.value))}"
        before = lines.pop().rstrip() if lines else left
        lines += (before + number).replace("\n", "\n" + " " * (len(before) + 3)).splitlines()
    return lines


def _text_matrix(cells: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        f"[ {'   '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} ]"
        for row in cells
    ]


def _shown(row: Row) -> Sequence[Right]:
    if row.value is None:
        return row.rights
    return [right for right in row.rights if size(right[0], _LONGEST_WITH_NUMBERS) < _LONGEST_WITH_NUMBERS]


def _number(value: Any) -> str:
    if np.ndim(value) == 0:
        return f"{float(value):.10g}"
    return np.array2string(np.asarray(value) + 0.0, precision=6, threshold=24, edgeitems=3)


def as_latex(sections: Sequence[Section], notation: Latex) -> str:
    """One environment `align*` a section, its heading before it."""
    blocks: list[str] = []
    for section in sections:
        lines: list[str] = []
        for row in section.rows:
            lines += _latex_lines(row, notation)
        block = "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}" if lines else ""
        if section.matrix:
            rows = " \\\\ ".join(" & ".join(map(notation.write, row)) for row in section.matrix)
            block += f"\\begin{{align*}}\n\\begin{{bmatrix}} {rows} \\end{{bmatrix}}\n\\end{{align*}}"
        blocks.append(f"\\text{{{section.heading}}}\n{block}" if section.heading else block)
    return "\n".join(blocks)


def _latex_lines(row: Row, notation: Latex) -> list[str]:
    left = notation.write(row.left)
    shown = _shown(row)
    if len(shown) > 1:
        cases = [(notation.write(formula), _conditions(assumed, notation)) for formula, assumed in shown]
        line = f"{left} &= {notation.cases(cases)}"
    elif shown:
        line = f"{left} &= {notation.write(shown[0][0])}"
    else:
        line = f"{left} &"
    return [line if row.value is None else f"{line} = {_latex_value(row.value)}"]


def _conditions(assumed: Sequence[Expression], notation: Latex | MathML) -> str:
    return notation.word("and").join(map(notation.write, assumed))


def _latex_value(value: Any) -> str:
    if np.ndim(value) == 0:
        return _number(value)
    rows = _as_rows(value)
    if rows is None:
        return f"\\text{{an array of shape {np.shape(value)}}}"
    cells = " \\\\ ".join(" & ".join(f"{x:.6g}" for x in row) for row in rows)
    return f"\\begin{{bmatrix}} {cells} \\end{{bmatrix}}"


def _as_rows(value: Any) -> NDArray | None:
    """A small array as rows of numbers, a vector as a column; None for one that is not to be printed."""
    array = np.asarray(value) + 0.0
    if array.ndim > 2 or array.size > _LARGEST_MATRIX:
        return None
    return array[:, None] if array.ndim == 1 else array


# NOTE browsers have dropped the attribute columnalign of MathML.
_LEFT, _RIGHT = '<mtd style="text-align: left">', '<mtd style="text-align: right">'


def as_mathml(sections: Sequence[Section], notation: MathML) -> str:
    """One MathML element."""
    rows = "".join(_mathml_rows(section, notation) for section in sections)
    return f'<math><mtable displaystyle="true">{rows}</mtable></math>'


def as_html(sections: Sequence[Section], notation: MathML) -> str:
    """Headings and MathML in one `div`."""
    parts = [
        (f"<h4>{escape(section.heading)}</h4>" if section.heading else "") + as_mathml([section], notation)
        for section in sections
    ]
    return f'<div class="glassnet-derivation">{"".join(parts)}</div>'


def _mathml_rows(section: Section, notation: MathML) -> str:
    lines = [_mathml_row(row, notation) for row in section.rows]
    if section.matrix:
        cells = "".join(
            f"<mtr>{''.join(f'<mtd>{notation.write(x)}</mtd>' for x in row)}</mtr>" for row in section.matrix
        )
        matrix = notation.brackets(f"<mtable>{cells}</mtable>", "[", "]")
        lines.append(f"<mtr><mtd></mtd>{_LEFT}{matrix}</mtd></mtr>")
    return "".join(lines)


def _mathml_row(row: Row, notation: MathML) -> str:
    shown, equals = _shown(row), notation.sign("=")
    right = ""
    if len(shown) > 1:
        cases = [(notation.write(formula), _conditions(assumed, notation)) for formula, assumed in shown]
        right = equals + notation.cases(cases)
    elif shown:
        right = equals + notation.write(shown[0][0])
    if row.value is not None:
        right += equals + _mathml_value(row.value, notation)
    return f"<mtr>{_RIGHT}{notation.write(row.left)}</mtd>{_LEFT}{right}</mtd></mtr>"


def _mathml_value(value: Any, notation: MathML) -> str:
    if np.ndim(value) == 0:
        return f"<mn>{_number(value)}</mn>"
    rows = _as_rows(value)
    if rows is None:
        return f"<mtext>an array of shape {np.shape(value)}</mtext>"
    cells = "".join(f"<mtr>{''.join(f'<mtd><mn>{x:.6g}</mn></mtd>' for x in row)}</mtr>" for row in rows)
    return notation.brackets(f"<mtable>{cells}</mtable>", "[", "]")
