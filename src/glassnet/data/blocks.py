"""Blocks: some rows of X together with their y; what may stand in them, and how they are regrouped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import ConfigurationError, DataError, ShapeError

Block = tuple[NDArray, NDArray]
"""X, shape (rows, ...), and y, shape (rows,) or (rows, outputs)."""


def rebatch(blocks: Iterable[Block], rows: int) -> Iterator[Block]:
    """Regroup blocks of any sizes to blocks of `rows` rows, in the same order; the last may be short.

    What is left of one block is carried to the next, and empty blocks are passed over. A block that needs no
    joining is handed on as a view. Raises ConfigurationError for `rows` below 1.

    >>> three = [(np.ones((n, 2)), np.zeros(n)) for n in (3, 1, 4)]
    >>> [len(y) for _, y in rebatch(three, 5)]
    [5, 3]
    """
    require_count("rebatch", "rows", rows)
    return _regrouped(blocks, rows)


def _regrouped(blocks: Iterable[Block], rows: int) -> Iterator[Block]:
    carried: list[Block] = []
    missing = rows  # in the block that is being put together
    for X, y in blocks:
        start = 0
        while len(y) - start >= missing:
            stop = start + missing
            yield _joined([*carried, (X[start:stop], y[start:stop])])
            carried, missing, start = [], rows, stop
        if start < len(y):
            carried.append((X[start:], y[start:]))
            missing -= len(y) - start
    if carried:
        yield _joined(carried)


def _joined(pieces: list[Block]) -> Block:
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate([X for X, _ in pieces]), np.concatenate([y for _, y in pieces])


def require_fitting(X: Any, y: Any, names: tuple[str, str]) -> None:
    """Raise where arrays cannot be rows and their targets: ShapeError for shapes, DataError for types.

    X is (rows, ...) of real numbers, y is (rows,) or (rows, outputs) of real numbers or text; `names` are
    what errors call the two. Only shapes and types are looked at, no value.
    """
    for values, name, kinds in ((X, names[0], "fiub"), (y, names[1], "fiubU")):
        if values.dtype.kind not in kinds:
            text = " or text" if "U" in kinds else ""
            raise DataError(
                f"{name} holds values of dtype {values.dtype}; it takes real numbers{text}: "
                f"convert it, as with .astype({'str' if text else 'np.float32'})."
            )
    if len(X.shape) < 2:
        raise ShapeError(
            f"{names[0]} has shape {X.shape}; it takes one row an example, shape (rows, features): "
            "write .reshape(-1, 1) for one feature."
        )
    if len(y.shape) == 0 or y.shape[0] != X.shape[0]:
        got = f"has {y.shape[0]} rows" if y.shape else "is a single value"
        raise ShapeError(
            f"{names[1]} {got} and {names[0]} has {X.shape[0]}; give one value (or row) for each row of X."
        )


def require_finite(values: NDArray, name: str, first_row: int) -> None:
    """Raise DataError for the first NaN or infinity; values[0] is row `first_row` of the source."""
    if values.dtype.kind != "f":
        return
    finite = np.isfinite(values)
    if not finite.all():
        row, *column = (int(i) for i in np.unravel_index(finite.argmin(), values.shape))
        where = f"row {first_row + row}" + (f", column {', '.join(map(str, column))}" if column else "")
        raise DataError(
            f"{name} holds {values[row, *column]} in {where} (counted from 0); remove or replace it."
        )


def as_array(values: Any, name: str) -> NDArray:
    """`values` as an array; ShapeError for rows of different lengths."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ShapeError(f"{name} has rows of different lengths; give all rows one length.") from None


def require_count(owner: str, name: str, value: Any) -> int:
    """`value` as an int where it is a whole number of at least 1, else a ConfigurationError."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise ConfigurationError(f"{owner} got {name}={value!r}; it takes a whole number of 1 or more.")
    return int(value)
