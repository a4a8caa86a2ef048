"""Influence diagrams to look at: who influences whom, how much, and the sum over all paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.errors import ConfigurationError, DifferentiationError
from glassnet.explain.diagram_cells import (
    Cell,
    Influences,
    Value,
    block_jacobians,
    cells_of,
    locate,
    numbers_of,
)
from glassnet.explain.diagram_parts import Edge, Link, Route, Variable, norm_or_number, number, slope
from glassnet.explain.diagram_paths import Following, follow
from glassnet.explain.dot import dot_text
from glassnet.explain.layout import columns
from glassnet.explain.svg import svg_text

_MOST_OUTPUTS = 4096
_ROUTES_SHOWN = 8


@dataclass(frozen=True)
class Diagram:
    """An influence diagram: `variables` by name, and `edges` by (from, to); `output` is the last variable.

    `highlight` is what was chosen, `routes` its paths to the output, the largest contribution first, and
    `others` the number and the sum of those that are not among them. A notebook shows the picture.
    """

    output: str
    variables: Mapping[str, Variable]
    edges: Mapping[Link, Edge]
    highlight: str | None = None
    routes: tuple[Route, ...] = ()
    others: tuple[int, float] = (0, 0.0)
    total: float = 0.0

    @property
    def title(self) -> str:
        """What it shows."""
        inputs = [x.name for x in self.variables.values() if not any(x.name == end for _, end in self.edges)]
        return f"Influence diagram of {self.output} as a function of {', '.join(inputs)}"

    def svg(self) -> str:
        """The picture as SVG text, which stands alone: no font, style sheet or script from elsewhere."""
        return svg_text(
            self.title,
            self.text(),
            list(self.variables.values()),
            self.edges,
            self._sum_over_paths(),
            self.output,
        )

    def _repr_svg_(self) -> str:
        return self.svg()

    def dot(self) -> str:
        """The diagram in the DOT language, for Graphviz."""
        return dot_text(self.title, list(self.variables.values()), self.edges)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the picture to a file that ends in .svg, or the DOT text to one that ends in .dot or .gv.

        Raises ConfigurationError for another ending.
        """
        writers = {".svg": self.svg, ".dot": self.dot, ".gv": self.dot}
        ending = Path(path).suffix.lower()
        if ending not in writers:
            raise ConfigurationError(
                f"A diagram is saved as .svg, .dot or .gv, and the file is {Path(path).name!r}; change its "
                "ending."
            )
        Path(path).write_text(writers[ending](), encoding="utf-8")

    def text(self) -> str:
        """All that the picture shows, as lines of text."""
        lines = ["variables"]
        for name, part in self.variables.items():
            line = f"    {part.caption} = {norm_or_number(part.value, part.is_norm)}"
            if part.gradient is not None:
                gradient = norm_or_number(part.gradient, part.is_norm)
                line += f", {slope(self.output, name)} = {gradient}"
            lines.append(line)
        lines.append("edges")
        for (start, end), edge in self.edges.items():
            derivative = norm_or_number(edge.derivative, edge.is_norm)
            lines.append(f"    {start} → {end}: {slope(end, start)} = {derivative}")
        return "\n".join(
            [*lines, *(f"   {line}" if line[0] == " " else line for line in self._sum_over_paths())]
        )

    def __str__(self) -> str:
        return self.text()

    def _sum_over_paths(self) -> list[str]:
        """The derivative of the output by what was chosen, path by path; a space begins indented lines."""
        if self.highlight is None:
            return []
        is_norm = self.variables[self.highlight].is_norm or self.variables[self.output].is_norm
        what = f"{slope(self.output, self.highlight)} = {norm_or_number(self.total, is_norm)}"
        others, rest = self.others
        count = len(self.routes) + others
        if not self.routes:
            return [f"{what}: each of the {count} paths has a factor 0"]
        kind = " of products of Jacobians" if is_norm and count > 1 else ""
        lines = [f"{what}, along one path" if count == 1 else f"{what}, the sum{kind} over {count} paths"]
        for route in self.routes:
            by = " → ".join(route.variables)
            product = norm_or_number(route.contribution, is_norm)
            if len(route.factors or ()) > 1:
                first, *more = map(number, route.factors or ())
                more = [f"({factor})" if factor[0] == "−" else factor for factor in more]
                product = f"{' · '.join([first, *more])} = {product}"
            lines.append(f" {by}: {product}")
        if others:
            lines.append(f" {others} more, together: {norm_or_number(rest, is_norm)}")
        return lines


def draw(values: Sequence[Value], highlight: str | None) -> Diagram:
    """The diagram of these values, which are in the order in which they are made; the last is the output.

    It is called while their trace is open.
    """
    influences = Influences(values)
    output = influences.output
    if output.size > _MOST_OUTPUTS:
        raise DifferentiationError(
            f"diagram draws functions of at most {_MOST_OUTPUTS} numbers, but {output.name} has shape "
            f"{output.node.shape}; return a scalar, or some of its elements."
        )
    chosen = None
    if highlight is not None:
        by_name = {value.name: value for value in influences.totals}
        name, element = locate(highlight, {name: value.node.shape for name, value in by_name.items()})
        chosen = by_name[name], element
    cells = cells_of(influences, chosen)
    blocks = block_jacobians(influences, cells)
    names = [value.name for value in cells]
    links = [
        (source.name, value.name)
        for value in cells
        for source in influences.sources(value)
        if source in cells
    ]
    column = columns(names, links)
    following = None if chosen is None else follow(influences, cells, blocks, *chosen, _ROUTES_SHOWN)
    marked = following.marked if following else set()
    variables = {
        cell.name: _variable(cell, influences, column[value.name], marked)
        for value in cells
        for cell in cells[value]
    }
    edges = {
        (source.name, target.name): _edge(block, source, target, marked)
        for (source, target), block in blocks.items()
    }
    if following is None:
        return Diagram(output.name, variables, edges)
    return Diagram(output.name, variables, edges, *_written(following))


def _written(following: Following) -> tuple[str, tuple[Route, ...], tuple[int, float], float]:
    return following.name, following.routes, following.others, following.total


def _variable(cell: Cell, influences: Influences, column: int, marked: set[Cell]) -> Variable:
    value, is_norm = numbers_of(cell)
    total = influences.totals[cell.value][:, cell.elements]
    gradient = None
    if cell.value is not influences.output:
        gradient = float(total[0, 0]) if total.size == 1 else float(np.linalg.norm(total))
    whole = len(cell.elements) == cell.value.size and not cell.is_single
    shape = cell.value.node.shape if whole else None
    return Variable(cell.name, value, gradient, column, shape, is_norm, cell in marked)


def _edge(block: Any, source: Cell, target: Cell, marked: set[Cell]) -> Edge:
    is_norm = not (source.is_single and target.is_single)
    derivative = None
    if block is not None:
        derivative = float(np.linalg.norm(block)) if is_norm else float(block[0, 0])
    return Edge(derivative, is_norm, source in marked and target in marked)
