"""Parquet files as a source: the columns that training needs, a block of rows at a time, through polars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.core.random import Key
from glassnet.data._files import require_file
from glassnet.data._polars import load_polars
from glassnet.data.blocks import Block
from glassnet.data.sources import SHUFFLED, StoredSource
from glassnet.data.tables import Table
from glassnet.errors import ConfigurationError, DataError

PARQUET_BLOCK_ROWS = 65536  # a row group is decoded whole, even for a few of its rows


class ParquetSource(StoredSource):
    """A Parquet file as a source: y is the column `target`, X the columns `features` or all others.

    X is (rows, features) in float64, or float32 where every feature is; false is 0 and true is 1. y is
    (rows,): whole numbers, numbers, booleans or text. Only the row groups and columns that a block needs are
    read, but those groups as a whole: blocks much smaller than a row group are read slowly. With a key every
    epoch is a block shuffle (see StoredSource), with None it is the order of the file. Needs the extra
    `tables`.

    Raises DataError for what is not a Parquet file, a column that is missing, and features that are not
    numbers; `blocks` raises it with the column and row (counted from 1) of a value that is missing, NaN or
    infinite. MissingExtraError without polars.

    >>> import polars
    >>> polars.DataFrame({"height": [1.5, 2.0], "kind": ["elm", "oak"]}).write_parquet("trees.parquet")
    >>> source = ParquetSource("trees.parquet", target="kind", key=None)
    >>> next(source.blocks(epoch=0))
    (array([[1.5],
           [2. ]]), array(['elm', 'oak'], dtype='<U3'))
    """

    def __init__(
        self,
        path: str | PathLike[str],
        target: str,
        features: Sequence[str] | None = None,
        block_rows: int = PARQUET_BLOCK_ROWS,
        key: Key | None = SHUFFLED,
    ) -> None:
        file = require_file(path, b"PAR1", "Parquet")
        with _reading(file) as pl:
            # NOTE without glob=False a * or [ in the name of the file would be a pattern.
            scan = pl.scan_parquet(file, glob=False)
            schema = dict(scan.collect_schema())
            rows = scan.select(pl.len()).collect().item()
        self.path, self.target = file, target
        self.features = _chosen(file, list(schema), target, features)
        if rows == 0:
            raise DataError(f"{file} has columns but no rows; give at least one row.")
        kinds = [schema[name] for name in self.features]
        _require_numbers(pl, file, dict(zip(self.features, kinds, strict=True)))
        number = pl.Float32 if all(kind == pl.Float32 for kind in kinds) else pl.Float64
        y_kind = _target_kind(pl, file, target, schema[target])
        self._columns = scan.select(
            *(pl.col(name).cast(number) for name in self.features), pl.col(target).cast(y_kind)
        )
        super().__init__(rows, block_rows, key)

    def read(self, start: int, stop: int) -> Block:
        """Rows start .. stop - 1 from the file, no value missing."""
        with _reading(self.path):
            frame = self._columns.slice(start, stop - start).collect()
        X = frame.select(self.features).to_numpy(order="c")
        if not np.isfinite(X).all():  # missing values are NaN here; which of the two it is, the columns know
            for name in self.features:
                self._refuse_missing(frame[name], start)
        self._refuse_missing(frame[self.target], start)
        y = frame[self.target].to_numpy()
        return X, y.astype(str) if y.dtype == object else y

    def _refuse_missing(self, column: Any, start: int) -> None:
        bad = column.is_null()
        if column.dtype.is_float():
            bad = bad | ~column.is_finite().fill_null(value=False)
        if bad.any():
            row = int(bad.arg_max())
            value = "no value" if column[row] is None else column[row]
            raise DataError(
                f"{self.path}, column {column.name!r}, row {start + row + 1} holds {value}; "
                "fill it in or remove the row."
            )


@contextmanager
def _reading(file: Path) -> Iterator[Any]:
    """The polars module, whose errors become one DataError."""
    pl = load_polars(f"Reading {file}")
    try:
        yield pl
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{file} begins like a Parquet file but is damaged or cut short; write it again from its source."
        ) from error


def _chosen(file: Path, names: list[str], target: str, features: Sequence[str] | None) -> list[str]:
    """The names of the features; DataError for a name that is no column."""
    if isinstance(features, str):
        raise ConfigurationError(
            f"ParquetSource got features={features!r}; it takes a list of names, such as [{features!r}]."
        )
    chosen = [name for name in names if name != target] if features is None else list(features)
    Table(file, dict.fromkeys(names, np.empty(0))).require([target, *chosen])
    if not chosen or len({target, *chosen}) <= len(chosen):
        raise ConfigurationError(
            f"ParquetSource got target={target!r} and features={chosen}; "
            "it takes one or more features, each once and none of them the target."
        )
    return chosen


def _require_numbers(pl: Any, file: Path, kinds: dict[str, Any]) -> None:
    for name, kind in kinds.items():
        if not kind.is_numeric() and kind != pl.Boolean:
            raise DataError(
                f"{file}, column {name!r} holds values of type {kind} where numbers are expected; "
                "encode them as numbers, or leave the column out of the features."
            )


def _target_kind(pl: Any, file: Path, name: str, kind: Any) -> Any:
    """The polars type that a target is read as: its own, float64 for decimals, text for categories."""
    if kind.is_integer() or kind.is_float() or kind == pl.Boolean:
        return kind
    if kind.is_numeric():
        return pl.Float64
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return pl.String
    raise DataError(f"{file}, column {name!r} holds values of type {kind}; a target is numbers or text.")
