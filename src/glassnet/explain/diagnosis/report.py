"""What a diagnosis says: verdicts, and the numbers of every layer for those who look."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SEVERITIES = ("note", "warning", "error")
_WIDTH = 100


@dataclass(frozen=True)
class Verdict:
    """One finding: what it is, one sentence that says it, its number, and what to change.

    `kind` is a word such as "dead_units"; `layer` the name of the layer, or None; `number` is compared with
    `threshold`, which has a `source`; `severity` is "note" (worth knowing), "warning" or "error" (nothing is
    learnt).
    """

    kind: str
    severity: str
    sentence: str
    number: float
    threshold: float
    source: str
    advice: str
    layer: str | None = None

    def __str__(self) -> str:
        head = f"{self.severity}: {self.sentence}"
        measure = f"{self.kind} {self.number:.3g}, threshold {self.threshold:.3g} ({self.source})"
        return "\n".join(
            [
                *textwrap.wrap(head, _WIDTH, subsequent_indent="  "),
                *textwrap.wrap(f"  do: {self.advice}", _WIDTH, subsequent_indent="      "),
                *textwrap.wrap(f"  [{measure}]", _WIDTH, subsequent_indent="   "),
            ]
        )


@dataclass(frozen=True)
class LayerNumbers:
    """One layer over the rows looked at; root mean squares, NaN where a layer has none of it.

    `delta` is the mean over the rows of the norm of the loss's derivative by z (or y), `slope` the mean of
    |f'(z)|; `dead` and `saturated` are shares of its units; `gradient_to_weight` is the norm of the gradient
    over that of the weights; `moved` how far the last fit took the weights, relative to where they began.
    """

    name: str
    y: float
    z: float
    delta: float
    slope: float
    dead: float
    saturated: float
    gradient_to_weight: float
    moved: float


_COLUMNS = ("y", "z", "delta", "slope", "dead", "saturated", "gradient_to_weight", "moved")
_HEADS = ("y", "z", "delta", "slope", "dead", "saturated", "gradient/weight", "moved")


@dataclass(frozen=True)
class Report:
    """The verdicts, causes before their symptoms, and the numbers of the layers; `print` shows all of it.

    `alarms` are the verdicts above a note, `healthy` says that there are none.
    """

    verdicts: tuple[Verdict, ...]
    layers: tuple[LayerNumbers, ...]
    rows: int

    @property
    def alarms(self) -> tuple[Verdict, ...]:
        """The verdicts that are warnings or errors."""
        return tuple(verdict for verdict in self.verdicts if verdict.severity != "note")

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.alarms

    @property
    def summary(self) -> str:
        """One sentence for all of it."""
        if self.healthy:
            return f"Nothing wrong is seen in this network on {self.rows} rows."
        count = len(self.alarms)
        others = f" and {count - 1} more finding{'s' if count > 2 else ''}" if count > 1 else ""
        return f"Mend this first: {self.alarms[0].kind.replace('_', ' ')}{others}."

    def __str__(self) -> str:
        parts = [self.summary, *(str(verdict) for verdict in self.verdicts)]
        return "\n\n".join([*parts, "\n".join(_aligned(self._table()))])

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li><b>{escape(v.severity)}</b>: {escape(v.sentence)}<br>{escape(v.advice)}<br>"
            f"<small>{escape(v.kind)} {v.number:.3g}, threshold {v.threshold:.3g} ({escape(v.source)})"
            "</small></li>"
            for v in self.verdicts
        )
        head, *rows = self._table()
        table = f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>" + "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        return f"<p>{escape(self.summary)}</p><ol>{items}</ol><table>{table}</table>"

    def _table(self) -> list[list[str]]:
        rows = [[layer.name, *(_cell(getattr(layer, name)) for name in _COLUMNS)] for layer in self.layers]
        return [["layer", *_HEADS], *rows]


def _cell(number: float) -> str:
    return "" if number != number else f"{number:.3g}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
