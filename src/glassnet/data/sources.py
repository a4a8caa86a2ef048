"""Sources: rows for training, handed out in blocks, so that the whole of the data need never be in memory.

A source is a pure function of (data, key, epoch): asked again for an epoch, in this run or in one that was
resumed, it hands out the same blocks. `prefetch` prepares them while others are trained on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import Key, permutation
from glassnet.data._files import require_file
from glassnet.data.blocks import Block, as_array, require_count, require_finite, require_fitting
from glassnet.errors import ConfigurationError, DataError

BLOCK_ROWS = 4096
SHUFFLED = Key(0)
_ORDER_OF_BLOCKS, _ORDER_OF_ROWS = 0xB10C5, 0xB10C6  # streams that no other part of a run draws


class Source(ABC):
    """Blocks of rows, epoch by epoch.

    `block_rows` is the number of rows in every block but the last of an epoch, which may be short; a trainer
    wants it to be a multiple of the batch size. `rows` is the number of rows in an epoch where it is known.
    """

    block_rows: int
    rows: int | None

    @abstractmethod
    def blocks(self, epoch: int) -> Iterator[Block]:
        """The blocks (X, y) of an epoch, the same whenever it is asked for; the caller may change them."""


class StoredSource(Source):
    """Rows that lie somewhere and can be read in any order: every row comes once in an epoch.

    With a key the epochs are block shuffles: blocks of neighbouring rows come in random order, and within a
    block the rows do. Rows that lie far apart never meet in a batch, except as the places of the blocks move
    with the place of the short one; so data that is sorted (by class, by date) is to be shuffled once before
    it is stored. Without a key rows come in the order in which they lie.
    """

    def __init__(self, rows: int, block_rows: int, key: Key | None) -> None:
        owner = type(self).__name__
        if key is not None and not isinstance(key, Key):
            raise ConfigurationError(
                f"{owner} got key={key!r}; it takes a key, such as glassnet.random.key(0), "
                "or None for the order in which the rows lie."
            )
        self.rows, self.key, self._stored = rows, key, rows
        self.block_rows = require_count(owner, "block_rows", block_rows)

    @abstractmethod
    def read(self, start: int, stop: int) -> Block:
        """Rows start .. stop - 1 as they lie, without any that is NaN or infinite (DataError)."""

    def blocks(self, epoch: int) -> Iterator[Block]:
        """Copies of the blocks of an epoch: a block shuffle of its own, or the order of the rows."""
        key = None if self.key is None else self.key.at(epoch)
        for i, (start, stop) in enumerate(_spans(self._stored, self.block_rows, key)):
            X, y = self.read(start, stop)
            order = _order(key and key.fold(_ORDER_OF_ROWS).fold(i), stop - start)
            # Indexing copies: the disk is waited for here, where `prefetch` has its thread, not in training.
            yield np.ascontiguousarray(X[order]), np.ascontiguousarray(y[order])


def _spans(rows: int, block_rows: int, key: Key | None) -> list[tuple[int, int]]:
    """(start, stop) of every block in the order of an epoch; what `rows` leaves over is a short last one."""
    count = -(-rows // block_rows)
    order = _order(key and key.fold(_ORDER_OF_BLOCKS), count)
    lengths = np.full(count, block_rows)
    # The last one is the short one, wherever it lies: other rows every epoch, and other bounds of the blocks.
    lengths[order[-1]] = rows - (count - 1) * block_rows
    stops = np.cumsum(lengths)
    return list(zip((stops - lengths)[order].tolist(), stops[order].tolist(), strict=True))


def _order(key: Key | None, count: int) -> NDArray:
    return np.arange(count) if key is None else permutation(key, count)


class _ArrayPair(StoredSource):
    """X and y as arrays, in memory or on disk, of which a block at a time is looked at and copied."""

    def __init__(self, X: Any, y: Any, names: tuple[str, str], block_rows: int, key: Key | None) -> None:
        require_fitting(X, y, names)
        if 0 in X.shape:
            raise DataError(
                f"{names[0]} has shape {X.shape} and so holds no numbers; give at least one row and column."
            )
        super().__init__(X.shape[0], block_rows, key)
        self.X, self.y, self.names = X, y, names

    def read(self, start: int, stop: int) -> Block:
        """Views of rows start .. stop - 1, all finite."""
        X, y = np.asarray(self.X[start:stop]), np.asarray(self.y[start:stop])
        require_finite(X, self.names[0], start)
        require_finite(y, self.names[1], start)
        return X, y


class ArraySource(_ArrayPair):
    """Arrays as a source: in memory, `numpy.memmap`, or any that gives rows X[a:b] with shape and dtype.

    X is (rows, ...) of real numbers; y is (rows,) of labels or values, or (rows, outputs). No more than a
    block is copied at a time, and blocks keep the dtypes of X and y. With a key every epoch is a block
    shuffle (see StoredSource), with None it is the order of the rows.

    Raises ShapeError for y of another length than X, DataError for an empty X and for dtypes that are not
    numbers (or text, in y); `blocks` raises DataError with the row and column of a NaN or an infinity.

    >>> source = ArraySource(np.arange(10.0).reshape(5, 2), np.arange(5), block_rows=2)
    >>> [y.tolist() for X, y in source.blocks(epoch=0)], [y.tolist() for X, y in source.blocks(epoch=1)]
    ([[1, 2], [4, 3], [0]], [[3, 2], [0, 1], [4]])
    """

    def __init__(self, X: Any, y: Any, block_rows: int = BLOCK_ROWS, key: Key | None = SHUFFLED) -> None:
        super().__init__(_sliceable(X, "X"), _sliceable(y, "y"), ("X", "y"), block_rows, key)


class NpySource(_ArrayPair):
    """Two .npy files as a source, mapped into memory and never read as a whole.

    What holds of ArraySource holds of the arrays in the files. Raises DataError for a file that is missing,
    damaged or of another format, and for one that holds Python objects.

    >>> np.save("X.npy", np.eye(3))
    >>> np.save("y.npy", np.array(["a", "b", "c"]))
    >>> [y.tolist() for X, y in NpySource("X.npy", "y.npy", key=None).blocks(epoch=0)]
    [['a', 'b', 'c']]
    """

    def __init__(
        self,
        x_path: str | PathLike[str],
        y_path: str | PathLike[str],
        block_rows: int = BLOCK_ROWS,
        key: Key | None = SHUFFLED,
    ) -> None:
        names = str(Path(x_path)), str(Path(y_path))
        super().__init__(_open(x_path), _open(y_path), names, block_rows, key)


def _sliceable(values: Any, name: str) -> Any:
    has_rows = hasattr(values, "shape") and isinstance(getattr(values, "dtype", None), np.dtype)
    return values if has_rows else as_array(values, name)


def _open(path: str | PathLike[str]) -> NDArray:
    file = require_file(path, np.lib.format.MAGIC_PREFIX, ".npy")
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(
            f"{file} cannot be mapped into memory: it is cut short or holds Python objects; "
            "save the array again, as numbers."
        ) from error
