"""CSV text as Python's own reader sees it: the header, the separator, and the line of every mistake.

The values are read by polars, which is fast but does not say where a mistake is. These functions walk the
text a second time, only to name the place.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from glassnet.errors import DataError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def decode_text(path: Path, data: bytes) -> str:
    """The text of a CSV file; `DataError` where the bytes are not UTF-8 text."""
    if b"\0" in data[:65536] or data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise DataError(
            f"{path} is a binary file, not a table; "
            "give a CSV file (UTF-8 text with a header line) or a Parquet file."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line} is not UTF-8 text; save the table again as CSV with UTF-8 encoding."
        ) from error


def read_header(path: Path, text: str) -> tuple[str, tuple[str, ...]]:
    """The separator and the column names without spaces around; `DataError` for empty or repeated names."""
    separator, names = ",", ()
    for candidate in _SEPARATORS:
        _, fields = next(_records(text, candidate), (1, []))
        if len(fields) > len(names):
            separator, names = candidate, tuple(name.strip() for name in fields)
    if not any(names):
        raise DataError(f"{path} is empty; expected a header line and rows of values below it.")
    if "" in names:
        raise DataError(
            f"{path}, line 1: column {names.index('') + 1} has no name; "
            "name every column in the header line, or save the table without its index."
        )
    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise DataError(
            f"{path}, line 1: the column name {repeated!r} stands twice in the header; "
            "give every column a name of its own."
        )
    return separator, names


def refuse_ragged_rows(path: Path, text: str, separator: str, names: tuple[str, ...]) -> None:
    """Raise `DataError` for the first row that has more or fewer values than the header has names."""
    rows = _records(text, separator)
    next(rows)
    for row, (line, fields) in enumerate(rows, start=1):
        if fields and len(fields) != len(names):
            raise DataError(
                f"{path}, row {row} (line {line}): expected {len(names)} values separated by "
                f"{_SEPARATORS[separator]}, one for each name in the header, and found {len(fields)}; "
                "correct the row."
            )


def line_of_row(path: Path, separator: str, row: int) -> int:
    """The line, counted from 1, at which row `row` of a CSV file begins, counted from 0 below the header."""
    rows = _records(path.read_bytes().decode("utf-8-sig"), separator)
    return next(line for i, (line, _) in enumerate(rows) if i == row + 1)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, values) of every record from the header on; a blank line is a record without values."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    line, in_table = 1, False
    try:
        for fields in reader:
            in_table = in_table or bool(fields)
            if in_table:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error:  # what csv cannot read, polars refuses too
        return
