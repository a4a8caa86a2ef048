"""Sources that a function of the user's makes: rows from a database, a simulation, files of any kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from glassnet.core.dtype import NDArray
from glassnet.data.blocks import Block, as_array, rebatch, require_count, require_finite, require_fitting
from glassnet.data.sources import BLOCK_ROWS, Source
from glassnet.errors import ConfigurationError, DataError, ShapeError


class GeneratorSource(Source):
    """Blocks from a function: `factory(epoch)` gives an iterator of pairs (X, y) of arrays.

    A pair is a block of any number of rows, X (rows, ...) and y (rows,) or (rows, outputs); with
    `examples=True` it is one example without the axis of rows. They are copied, so that a generator may use
    its arrays again, and regrouped to blocks of `block_rows`. Order and randomness are the factory's own:
    for a run that can be repeated and resumed it has to be a function of the epoch. `rows` ends an epoch
    after that many rows, for iterators that have no end.

    Raises ConfigurationError for what is not a function of one argument; `blocks` raises ShapeError or
    DataError for pairs that do not fit one another or those before, for NaN and infinity, and for an epoch
    without rows or with fewer than `rows`.

    >>> def squares(epoch):
    ...     for x in gn.random.uniform(gn.random.key(0).at(epoch), (5,)):
    ...         yield [x], x**2
    >>> source = GeneratorSource(squares, block_rows=3, examples=True)
    >>> [X.shape for X, y in source.blocks(epoch=0)]
    [(3, 1), (2, 1)]
    """

    def __init__(
        self,
        factory: Callable[[int], Iterable[Any]],
        block_rows: int = BLOCK_ROWS,
        rows: int | None = None,
        examples: bool = False,
    ) -> None:
        _require_factory(factory)
        self.factory, self.examples = factory, examples
        self.block_rows = require_count("GeneratorSource", "block_rows", block_rows)
        self.rows = None if rows is None else require_count("GeneratorSource", "rows", rows)

    def blocks(self, epoch: int) -> Iterator[Block]:
        """The blocks of `factory(epoch)`, regrouped and checked."""
        return rebatch(self._checked(epoch), self.block_rows)

    def _checked(self, epoch: int) -> Iterator[Block]:
        """The pairs as blocks, up to `rows`."""
        pairs = self.factory(epoch)
        if not isinstance(pairs, Iterable):
            raise DataError(
                f"The factory gave a {type(pairs).__name__} for epoch {epoch}; "
                "it has to give an iterator of pairs (X, y), as a function with yield does."
            )
        count, shapes = 0, None
        for i, pair in enumerate(pairs):
            unit = f"{'example' if self.examples else 'block'} {i}"
            names = f"X of {unit}", f"y of {unit}"
            X, y = _arrays(pair, names, self.examples)
            require_fitting(X, y, names)
            shapes = shapes or (X.shape[1:], y.shape[1:])
            for values, name, shape in zip((X, y), names, shapes, strict=True):
                if values.shape[1:] != shape:
                    raise ShapeError(
                        f"{name} has rows of shape {values.shape[1:]} and those before have rows of shape "
                        f"{shape}; give all rows of an epoch one shape."
                    )
                require_finite(values, name, count)
            kept = len(X) if self.rows is None else min(len(X), self.rows - count)
            yield X[:kept], y[:kept]
            count += kept
            if count == self.rows:
                return
        if not count or self.rows:
            raise DataError(
                f"The generator ended after {count} rows of epoch {epoch}, where it has to give "
                f"{self.rows or 'one or more'}; the factory has to make a new generator for every epoch."
            )


def _require_factory(factory: Any) -> None:
    if not callable(factory):
        raise ConfigurationError(
            f"GeneratorSource got a {type(factory).__name__}, which can be gone through only once; "
            "give the function that makes it, of one argument, the epoch."
        )
    try:
        inspect.signature(factory).bind(0)
    except TypeError:
        raise ConfigurationError(
            f"GeneratorSource calls the factory with one argument, the epoch, and {factory!r} does not take "
            "that; write def factory(epoch)."
        ) from None
    except ValueError:  # some callables written in C have no signature to look at
        return


def _arrays(pair: Any, names: tuple[str, str], is_example: bool) -> tuple[NDArray, NDArray]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        got = f"{len(pair)} parts" if isinstance(pair, (tuple, list)) else f"a {type(pair).__name__}"
        raise DataError(f"The generator gave {got} in place of {names[0]}; it has to give pairs (X, y).")
    # NOTE copied: the generator may refill its arrays while these wait for their turn.
    X, y = (as_array(values, name).copy() for values, name in zip(pair, names, strict=True))
    return (X[None], y[None]) if is_example else (X, y)
