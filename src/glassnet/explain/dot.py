"""Influence diagrams in the DOT language of Graphviz."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from glassnet.explain.diagram_parts import Edge, Link, Variable, norm_or_number


def dot_text(title: str, variables: Sequence[Variable], edges: Mapping[Link, Edge]) -> str:
    """The diagram as a digraph: the same numbers, signs by colour and by style, columns by rank.

    Source: The DOT language, graphviz.org.
    """
    lines = [f"digraph {_quoted(title)} {{", "  rankdir=LR; node [shape=box, style=rounded];"]
    by_column: dict[int, list[str]] = {}
    for variable in variables:
        label = [variable.caption, f"→ {norm_or_number(variable.value, variable.is_norm)}"]
        if variable.gradient is not None:
            label.append(f"← {norm_or_number(variable.gradient, variable.is_norm)}")
        width = ", penwidth=3" if variable.highlighted else ""
        lines.append(f"  {_quoted(variable.name)} [label={_quoted(*label)}{width}];")
        by_column.setdefault(variable.column, []).append(_quoted(variable.name))
    lines += [f"  {{rank=same; {'; '.join(names)};}}" for names in by_column.values()]
    largest = max((abs(edge.derivative or 0.0) for edge in edges.values()), default=0.0)
    for (start, end), edge in edges.items():
        lines.append(f"  {_quoted(start)} -> {_quoted(end)} [{_attributes(edge, largest)}];")
    return "\n".join([*lines, "}", ""])


def _attributes(edge: Edge, largest: float) -> str:
    derivative = edge.derivative or 0.0
    share = math.sqrt(abs(derivative) / largest) if largest else 0.0
    width = 1 + 3 * (share if math.isfinite(share) else 1.0)
    colour, style = "gray30", "dotted" if edge.derivative == 0 else "solid"
    if derivative and not edge.is_norm:
        colour, style = ("blue", "solid") if derivative > 0 else ("red3", "dashed")
    label = _quoted(norm_or_number(edge.derivative, edge.is_norm, 3))
    return f'label={label}, color="{colour}", style={style}, penwidth={width:.2f}'


def _quoted(*lines: str) -> str:
    """Lines of text as one quoted string, in which nothing is an escape sequence but the line breaks."""
    escaped = (
        "".join(character if character.isprintable() else "\ufffd" for character in line)
        .replace("\\", "\\\\")
        .replace('"', '\\"')
        for line in lines
    )
    return '"' + "\\n".join(escaped) + '"'
