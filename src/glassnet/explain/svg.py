"""Influence diagrams as SVG: drawn here in full, with no font, style sheet or script from elsewhere.

The sign of a derivative shows in colour, in the stroke (solid or dashed) and in the arrow's head (full or
open), so that nothing is lost in black and white. Every box and edge has a title that says it in words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from unicodedata import combining, east_asian_width

from glassnet.explain.diagram_parts import Edge, Link, Variable, norm_or_number, slope
from glassnet.explain.layout import Box, arrange

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_CAPTION, _NUMBER, _NOTE = 13.0, 12.0, 12.0  # sizes of the letters
_LEADING = 1.35  # from line to line, in sizes
_PADDING, _MARGIN = 7.0, 14.0
_NARROWEST = 560.0  # the notes beneath are at least as wide
_LONGEST_NAME = 40
_POSITIVE, _NEGATIVE, _UNSIGNED = "#1f5fa8", "#b03010", "#555555"
_THINNEST, _THICKEST = 1.0, 4.5
_HALO = "#f6d96b"

# Advance widths of Helvetica in thousandths of the size, by width; bold letters take a tenth more.
_WIDTHS = {
    222: "ijl'‘’",
    260: "|",
    278: " !,./:;Ift[]\\",
    333: "()-`r·",
    355: '"',
    389: "*",
    500: "Jckvxyzs",
    556: "0123456789?_abdeghnopquL#$∂",
    584: "+<=>~−×",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1000: "→←…",
    1015: "@",
}
_WIDTH_OF = {character: width for width, characters in _WIDTHS.items() for character in characters}
_OTHER_WIDTH, _WIDE = 600, 1000
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no XML may have these


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a line of text in pixels; drawn text is set to it, whatever font there is."""
    thousandths = sum(_WIDTH_OF.get(character) or _width_of_other(character) for character in text)
    return thousandths / 1000 * size * (1.1 if bold else 1.0)


def _width_of_other(character: str) -> int:
    if combining(character):
        return 0
    return _WIDE if east_asian_width(character) in "WF" else _OTHER_WIDTH


def svg_text(
    title: str,
    description: str,
    variables: Sequence[Variable],
    edges: Mapping[Link, Edge],
    notes: Sequence[str],
    output: str,
) -> str:
    """The picture as the text of an SVG file: boxes and edges, a legend, and the notes beneath."""
    captions = {variable.name: _caption_lines(variable) for variable in variables}
    sizes = {name: _box_size(lines) for name, lines in captions.items()}
    labels = {link: _label_size(edge) for link, edge in edges.items()}
    layout = arrange(sizes, {variable.name: variable.column for variable in variables}, labels)
    dimmed = any(variable.highlighted for variable in variables)
    largest = max((abs(edge.derivative or 0.0) for edge in edges.values()), default=0.0)
    width = max(layout.width, _NARROWEST)
    shift = (width - layout.width) / 2
    canvas = _Canvas()
    with_routes = [(link, edge, layout.routes[link]) for link, edge in edges.items()]
    for _, edge, route in with_routes:
        if edge.highlighted:
            canvas.halo(edge, route, largest)
    for (start, end), edge, route in with_routes:
        label = f"{slope(end, start)} = {norm_or_number(edge.derivative, edge.is_norm, 6)}"
        canvas.edge(label, edge, route, largest, faint=dimmed and not edge.highlighted)
    for link, edge in edges.items():
        canvas.label(norm_or_number(edge.derivative, edge.is_norm, 3), layout.labels[link])
    for variable in variables:
        canvas.box(variable, captions[variable.name], layout.nodes[variable.name], output, faint=dimmed)
    body = canvas.take()
    height = canvas.legend(_legend(variables, edges, output), width, layout.height + 2 * _LEADING * _NOTE)
    height = canvas.paragraphs(notes, width, height + 0.6 * _NOTE)
    beneath = canvas.take()
    whole = f"{width + 2 * _MARGIN:.1f}", f"{height + 2 * _MARGIN:.1f}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole[0]}" height="{whole[1]}" '
            f'viewBox="0 0 {whole[0]} {whole[1]}" role="img" aria-label="{_safe(title)}" '
            f'font-family="{FONT}">',
            f"<title>{_safe(title)}</title>",
            f"<desc>{_safe(description)}</desc>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<g transform="translate({_MARGIN + shift:.1f} {_MARGIN})">',
            *body,
            "</g>",
            f'<g transform="translate({_MARGIN} {_MARGIN})">',
            *beneath,
            "</g>",
            "</svg>\n",
        )
    )


def _safe(text: str) -> str:
    """Text that no reader of XML or HTML takes for anything else."""
    return escape(_UNPRINTABLE.sub("\ufffd", text))


def _caption_lines(variable: Variable) -> tuple[str, ...]:
    name = " ".join(variable.caption.split())
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME // 2]}…{name[1 - _LONGEST_NAME // 2 :]}"
    value = f"→ {norm_or_number(variable.value, variable.is_norm)}"
    if variable.gradient is None:
        return name, value
    return name, value, f"← {norm_or_number(variable.gradient, variable.is_norm)}"


def _box_size(lines: Sequence[str]) -> tuple[float, float]:
    name, *numbers = lines
    widths = [text_width(name, _CAPTION, bold=True), *(text_width(line, _NUMBER) for line in numbers)]
    height = _LEADING * (_CAPTION + _NUMBER * len(numbers))
    return max(widths) + 2 * _PADDING, height + 2 * _PADDING - 4


def _label_size(edge: Edge) -> tuple[float, float]:
    width = text_width(norm_or_number(edge.derivative, edge.is_norm, 3), _NUMBER)
    return width + 6, _NUMBER * 1.2


def _legend(
    variables: Sequence[Variable], edges: Mapping[Link, Edge], output: str
) -> list[tuple[str, float]]:
    """What the signs of this diagram mean, each with the sign of the arrow that it speaks of."""
    samples = [("→ value", 0.0), (f"← ∂{output}/∂(variable)", 0.0)]
    if not all(edge.is_norm for edge in edges.values()):
        samples += [("positive", 1.0), ("negative", -1.0)]
    if any(part.is_norm for part in (*variables, *edges.values())):
        samples.append(("||norm|| of an array or a Jacobian", 0.0))
    return [*samples, ("thicker: larger", 0.0)]


class _Canvas:
    """Collects the elements of a picture, the ones behind first."""

    def __init__(self) -> None:
        self._elements: list[str] = []

    def take(self) -> list[str]:
        """What has been drawn since the last call."""
        elements, self._elements = self._elements, []
        return elements

    def halo(self, edge: Edge, route: Sequence[tuple[float, float, float]], largest: float) -> None:
        """The marker beneath an edge of a highlighted path."""
        curve = _curve(route, _head(_thickness(edge, largest)))
        self._elements.append(
            f'<path d="{curve}H{route[-1][1]:.1f}" fill="none" stroke="{_HALO}" stroke-width="10"/>'
        )

    def edge(
        self,
        title: str,
        edge: Edge,
        route: Sequence[tuple[float, float, float]],
        largest: float,
        *,
        faint: bool,
    ) -> None:
        """An arrow: thick for a large derivative, blue and solid or red and dashed for its sign."""
        derivative = edge.derivative
        colour, dashes, head = _UNSIGNED, "", _UNSIGNED
        if not edge.is_norm and derivative is not None and derivative > 0:
            colour = head = _POSITIVE
        elif not edge.is_norm and derivative is not None and derivative < 0:
            colour, dashes, head = _NEGATIVE, ' stroke-dasharray="7 4"', "white"
        elif derivative == 0:
            dashes = ' stroke-dasharray="1.5 4"'
        width = _thickness(edge, largest)
        length = _head(width)
        _, x, y = route[-1]
        half = length / 2.2
        opacity = ' opacity="0.4"' if faint else ""
        self._elements.append(
            f'<g stroke="{colour}"{opacity}><title>{_safe(title)}</title>'
            f'<path d="{_curve(route, length)}" fill="none" stroke-width="{width:.2f}"{dashes}/>'
            f'<path d="M{x:.1f} {y:.1f}l{-length:.1f} {-half:.1f}v{2 * half:.1f}z" fill="{head}"/></g>'
        )

    def label(self, text: str, box: Box) -> None:
        """The derivative on its edge, which it interrupts."""
        self._elements.append(
            f'<rect x="{box.x - text_width(text, _NUMBER) / 2 - 2:.1f}" y="{box.y - box.height / 2:.1f}" '
            f'width="{text_width(text, _NUMBER) + 4:.1f}" height="{box.height:.1f}" fill="white"/>'
        )
        self.text(text, box.x, box.y + 0.35 * _NUMBER, _NUMBER, anchor="middle")

    def box(self, variable: Variable, lines: Sequence[str], box: Box, output: str, *, faint: bool) -> None:
        """A variable: its name, its value and the derivative of the output with respect to it."""
        bold = variable.highlighted
        stroke, width = ("#999999", 1) if faint and not bold else ("black", 2.6 if bold else 1.2)
        corner = 3 if variable.is_norm else 10
        words = f"{variable.caption} = {norm_or_number(variable.value, variable.is_norm, 6)}"
        if variable.gradient is not None:
            size = norm_or_number(variable.gradient, variable.is_norm, 6)
            words += f", {slope(output, variable.name)} = {size}"
        top = box.y - box.height / 2
        self._elements.append(
            f'<g><title>{_safe(words)}</title><rect x="{box.left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="{corner}" fill="white" stroke="{stroke}" stroke-width="{width}"/>'
            "</g>"
        )
        y = top + _PADDING - 2 + _CAPTION
        self.text(lines[0], box.x, y, _CAPTION, anchor="middle", bold=True)
        for line in lines[1:]:
            y += _LEADING * _NUMBER
            self.text(line, box.x, y, _NUMBER, anchor="middle")

    def text(
        self, text: str, x: float, y: float, size: float, *, anchor: str = "start", bold: bool = False
    ) -> None:
        """One line of text at its measured width."""
        weight = ' font-weight="bold"' if bold else ""
        width = text_width(text, size, bold=bold)
        self._elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{weight} '
            f'textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs">{_safe(text)}</text>'
        )

    def legend(self, samples: Iterable[tuple[str, float]], width: float, y: float) -> float:
        """Words, those with a sign behind an arrow of that sign, in as many lines as they take.

        Returns the height at which it ends.
        """
        x = 0.0
        for words, sign in samples:
            arrow = 46 if sign else 0
            extent = arrow + text_width(words, _NOTE)
            if x and x + extent > width:
                x, y = 0.0, y + _LEADING * _NOTE
            if sign:
                self.edge(words, Edge(sign), [(x, x, y - 4), (x + 40, x + 40, y - 4)], 4.0, faint=False)
            self.text(words, x + arrow, y, _NOTE)
            x += extent + 22
        return y

    def paragraphs(self, notes: Iterable[str], width: float, y: float) -> float:
        """The notes, one below the other, broken where they are too long; the height at which they end."""
        for note in notes:
            for line in _wrapped(note, width):
                y += _LEADING * _NOTE
                self.text(line, 20.0 if line.startswith(" ") else 0.0, y, _NOTE)
        return y


def _thickness(edge: Edge, largest: float) -> float:
    share = math.sqrt(abs(edge.derivative or 0.0) / largest) if largest else 0.0
    return _THINNEST + (_THICKEST - _THINNEST) * (share if math.isfinite(share) else 1.0)


def _head(thickness: float) -> float:
    """The length of the arrow's head."""
    return 6 + 1.5 * thickness


def _curve(route: Sequence[tuple[float, float, float]], shorter: float) -> str:
    """The edge through its level pieces, with an S between each two; its end gives way to the head."""
    left, right, y = route[0]
    parts = [f"M{left:.1f} {y:.1f}H{right:.1f}"]
    for place, (start, end, height) in enumerate(route[1:], 2):
        back = shorter if place == len(route) else 0.0
        start, end = min(start, end - back), end - back
        middle = (right + start) / 2
        parts.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {height:.1f} {start:.1f} {height:.1f}H{end:.1f}")
        right, y = end, height
    return "".join(parts)


def _wrapped(note: str, width: float) -> list[str]:
    """The words of a note in lines that fit; a leading space, and all lines but the first, mean an indent."""
    indent = 20.0
    lines: list[str] = []
    line = " " if note.startswith(" ") else ""
    for word in _pieces(note, width - 2 * indent):
        longer = f"{line}{word}" if not line.strip() else f"{line} {word}"
        if line.strip() and text_width(longer, _NOTE) > width - indent:
            lines.append(line)
            longer = f" {word}"
        line = longer
    return [*lines, line] if line.strip() else lines


def _pieces(note: str, width: float) -> list[str]:
    """The words of a note, those cut that are wider than a line."""
    pieces: list[str] = []
    for word in note.split():
        piece = ""
        for character in word:
            if text_width(piece + character, _NOTE) > width:
                pieces.append(piece)
                piece = ""
            piece += character
        pieces.append(piece)
    return pieces
