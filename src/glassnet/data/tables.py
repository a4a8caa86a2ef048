"""Tables: named columns of equal length, with the questions that training and prediction ask of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glassnet.data._csv import line_of_row
from glassnet.errors import DataError

_LARGEST = 1e100  # NOTE: far beyond any measurement, and its square is still a float64.


@dataclass(frozen=True)
class Table:
    """Named columns from a file (or from memory, then `path` is just a name), each of shape (rows,).

    A column is int64, float64, bool, or an object array of text; a missing value is NaN among numbers and
    None elsewhere. `separator` is that of a CSV file, so that errors can name the line; else None.
    """

    path: Path | str
    columns: Mapping[str, np.ndarray]
    separator: str | None = field(default=None, kw_only=True)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, rows: np.ndarray) -> Table:
        """The table of the given rows alone; it no longer knows their lines in the file."""
        return Table(self.path, {name: column[rows] for name, column in self.columns.items()})

    def where(self, name: str, row: int | None = None) -> str:
        """The place of a column, or of its value in a row counted from 0, as an error names it."""
        place = f"{self.path}, column {name!r}"
        if row is None:
            return place
        if self.separator is None:
            return f"{place}, row {row + 1}"
        return f"{place}, row {row + 1} (line {line_of_row(Path(self.path), self.separator, row)})"

    def require(self, names: Sequence[str]) -> None:
        """Raise `DataError` unless every name is a column; the sentence lists the columns that there are."""
        missing = [name for name in names if name not in self.columns]
        if not missing:
            return
        close = difflib.get_close_matches(missing[0], self.names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if all(_is_number(name) for name in self.names):
            hint += " (is the header line missing?)"
        raise DataError(
            f"{self.path} has no column {_listed(missing)}; "
            f"its columns are {_listed(self.names)}{hint or '.'}"
        )

    def target(self, name: str) -> np.ndarray:
        """The column `name`, shape (rows,), in its own type; `DataError` where a value is missing."""
        self.require([name])
        column = self.columns[name]
        self._refuse_missing(name)
        return column.astype(str) if column.dtype == object else column

    def features(self, names: Sequence[str]) -> np.ndarray:
        """The columns `names` as float64, shape (rows, columns); false is 0 and true is 1.

        Raises `DataError` for the first column that is absent or holds text, and for the first value that is
        missing, NaN, infinite or beyond 1e100.
        """
        self.require(names)
        for name in names:
            self._refuse_text(name)
            self._refuse_missing(name)
        return np.column_stack([self.columns[name].astype(np.float64) for name in names])

    def _refuse_text(self, name: str) -> None:
        column = self.columns[name]
        if column.dtype.kind not in "OU":
            return
        for row, value in enumerate(column):
            if isinstance(value, str) and not _is_number(value):
                raise DataError(
                    f"{self.where(name, row)} holds the text {str(value)!r} where a number is expected; "
                    f"{_mend_for(value)}."
                )

    def _refuse_missing(self, name: str) -> None:
        column = self.columns[name]
        if column.dtype.kind not in "fO":
            return
        missing = (
            np.array([value is None for value in column]) if column.dtype == object else np.isnan(column)
        )
        if missing.any():
            raise DataError(
                f"{self.where(name, int(missing.argmax()))}: the value is missing"
                f"{'' if column.dtype == object else ' or NaN'}; fill it in or remove the row."
            )
        if column.dtype.kind == "f" and (np.abs(column) > _LARGEST).any():
            row = int((np.abs(column) > _LARGEST).argmax())
            raise DataError(
                f"{self.where(name, row)} holds {column[row]}, too large to compute with; "
                "correct it or remove the row."
            )


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _mend_for(value: str) -> str:
    if "," in value and _is_number(value.replace(",", ".", 1)):
        return "write numbers with a decimal point"
    return "correct it, encode the column as numbers, or remove the column"


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
