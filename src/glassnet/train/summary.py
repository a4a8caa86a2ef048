"""What a network is made of, as a table."""

from __future__ import annotations

from dataclasses import dataclass

from glassnet.core.shape import Shape

_HEAD = ("layer", "kind", "output", "parameters")


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a network with their output shapes and numbers of parameters; it shows itself as text.

    `rows` has (name, description, output shape, number of parameters) for each layer; `parameters` and
    `statistics` are the numbers of all values that training changes and that layers keep besides.
    """

    input_shape: Shape
    rows: tuple[tuple[str, str, Shape, int], ...]
    loss: str
    parameters: int
    statistics: int
    bytes: int

    def __repr__(self) -> str:
        body = [(n, d, " x ".join(map(str, s)) or "1", f"{count:,}") for n, d, s, count in self.rows]
        table = [_HEAD, *body]
        widths = [max(len(row[i]) for row in table) for i in range(len(_HEAD))]
        lines = [
            "  ".join(
                [
                    *(cell.ljust(w) for cell, w in zip(row[:3], widths[:3], strict=True)),
                    row[3].rjust(widths[3]),
                ]
            )
            for row in table
        ]
        rule = "-" * len(lines[0])
        total = f"{self.parameters:,} parameters"
        if self.statistics:
            total += f" and {self.statistics:,} statistics"
        size = self.bytes / 1024
        shown = f"{size:.1f} KiB" if size < 1024 else f"{size / 1024:.1f} MiB"
        entry = f"input {' x '.join(map(str, self.input_shape)) or '1'}, loss {self.loss}"
        return "\n".join([entry, rule, lines[0], rule, *lines[1:], rule, f"{total}, {shown}"])
