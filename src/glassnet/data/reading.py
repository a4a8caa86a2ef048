"""Tables from files: CSV (commas, semicolons or tabs, found by itself) and Parquet."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.data._csv import decode_text, read_header, refuse_ragged_rows
from glassnet.data._polars import load_polars
from glassnet.data.tables import Table
from glassnet.errors import DataError


def read_table(path: str | PathLike[str]) -> Table:
    """The table in a CSV or Parquet file; which of the two it is, its first bytes say.

    A CSV file is UTF-8 text whose first line names the columns; commas, semicolons or tabs separate its
    values. A column is whole numbers, numbers, true/false, or else text; spaces around values and empty lines
    at the end do not count. Needs the extra `tables`.

    Raises `DataError` (file, line, column) for what is not a table, `MissingExtraError` without polars.

    >>> _ = Path("trees.csv").write_text("height;kind\\n1.5;elm\\n2;oak")
    >>> read_table("trees.csv").features(["height"])
    array([[1.5],
           [2. ]])
    """
    file = Path(path)
    data = _read_bytes(file)
    pl = load_polars(f"Reading {file}")
    if data.startswith(b"PAR1"):
        frame, separator = _read_parquet(pl, file, data), None
    else:
        frame, separator = _read_csv(pl, file, data)
    if frame.height == 0:
        raise DataError(f"{file} has a header but no rows; add rows of values below line 1.")
    return Table(file, {s.name: _as_array(pl, file, s) for s in frame.get_columns()}, separator=separator)


def _read_bytes(file: Path) -> bytes:
    if file.is_dir():
        raise DataError(f"{file} is a folder; give the path of one CSV or Parquet file.")
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"There is no file {file}; check the name and the folder.") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    if not data.strip():
        raise DataError(f"{file} is empty; expected a header line and rows of values below it.")
    return data


def _read_parquet(pl: Any, file: Path, data: bytes) -> Any:
    try:
        return pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{file} begins like a Parquet file but is damaged or cut short; write it again from its source."
        ) from error


def _read_csv(pl: Any, file: Path, data: bytes) -> tuple[Any, str]:
    text = decode_text(file, data)
    separator, names = read_header(file, text)
    try:
        frame = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or len(frame.columns) != len(names):
        refuse_ragged_rows(file, text, separator, names)
        raise DataError(
            f"{file} is not a well-formed CSV table; look for a quotation mark that is not closed "
            "or stands inside a value."
        )
    frame.columns = list(names)
    frame = frame.head(_last_row_with_a_value(pl, frame))
    if frame.height and frame[names[-1]].null_count():  # polars fills up short rows with nulls
        refuse_ragged_rows(file, text, separator, names)
    return frame, separator


def _last_row_with_a_value(pl: Any, frame: Any) -> int:
    has_value = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    return int(np.flatnonzero(has_value)[-1]) + 1 if has_value.any() else 0


def _as_array(pl: Any, file: Path, series: Any) -> np.ndarray:
    """The column as int64, float64, bool or text objects, whichever first takes all its values."""
    kind = series.dtype
    if kind.is_numeric():
        return series.to_numpy().astype(
            np.int64 if kind.is_integer() and not series.null_count() else np.float64
        )
    if kind == pl.Boolean:
        return series.to_numpy()
    try:
        text = series.cast(pl.String).str.strip_chars()
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{file}, column {series.name!r} holds values of type {kind}; keep only numbers and text."
        ) from error
    text = text.set(text == "", None)
    for number in (pl.Int64, pl.Float64):
        converted = text.cast(number, strict=False)
        if converted.null_count() == text.null_count():
            return converted.to_numpy()
    lower = text.str.to_lowercase()
    if lower.is_in(["true", "false"]).all() and not text.null_count():
        return (lower == "true").to_numpy()
    return text.to_numpy().astype(object)
