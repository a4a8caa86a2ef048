"""A function of one example as a program over rows: native code for a piece of rows and for a single row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.tree import flatten
from glassnet.errors import DTypeError, GlassnetError, ShapeError
from glassnet.execute import Function, function, run
from glassnet.nn import Parameters
from glassnet.train.finite import all_finite
from glassnet.transforms.batch import vmap
from glassnet.transforms.tracing import trace

Model = tuple[Parameters, Parameters]  # parameters and statistics

PIECE_ROWS = 64  # whole vectors on every CPU; more rows gain nothing, and all of them must fit the cache
INTERPRETED_ROWS = 4096  # an interpreted piece: memory stays bounded
_ACROSS = {"batch_mean", "batch_size"}  # the ops whose value depends on the other rows
_FORMS_KEPT = 16


def looks_across(of_one: Callable[..., Any], model: Model, batch: Sequence[NDArray]) -> bool:
    """Whether what a function makes of an example depends on the other rows of the columns."""
    graph, _ = trace(of_one, *model, *(column[0] for column in batch))
    return any(node.op.name in _ACROSS for node in graph.nodes)


class RowProgram:
    """`of_one(parameters, statistics, *example)` for rows: results of shape (rows, ...).

    Rows run in pieces of PIECE_ROWS, the last one filled up, a single row alone: two programs, each compiled
    when it is first needed, so that equal calls give equal bits. Parameters are written when another model
    comes. Results that are not finite are asked of the interpreter again, for native code neither raises nor
    warns. Calls from several threads wait for each other.

    Raises what the function says of one example, with the row, where an op does not take its values.

    >>> program = RowProgram(lambda parameters, statistics, x: parameters["weight"] * x, "auto")
    >>> program(({"weight": np.array([2.0, 3.0])}, {}), np.ones((3, 2)))
    [array([[2., 3.],
           [2., 3.],
           [2., 3.]])]
    """

    def __init__(self, of_one: Callable[..., Any], engine: str) -> None:
        self._of_one, self._engine = of_one, engine
        self._pieces: dict[Any, _Piece] = {}
        self._looked = engine == "interpreter"
        self._lock = Lock()

    def __call__(self, model: Model, *batch: NDArray) -> list[NDArray]:
        """The results for all rows of the columns of `batch`."""
        rows = len(batch[0])
        with self._lock:
            if not self._looked:
                self._look(model, batch)
            if self._engine == "interpreter":
                size = INTERPRETED_ROWS
            elif rows == 1:
                return self._run(model, batch, 0, 1)
            else:
                size = PIECE_ROWS
            parts = [
                self._run(model, [column[i : i + size] for column in batch], i, size)
                for i in range(0, rows, size)
            ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _look(self, model: Model, batch: Sequence[NDArray]) -> None:
        """Leaves to the interpreter, which fills nothing up, what looks across the rows."""
        if looks_across(self._of_one, model, batch):
            self._engine = "interpreter"
        self._looked = True

    def _run(self, model: Model, batch: Sequence[NDArray], first: int, size: int) -> list[NDArray]:
        """The results of the rows from number `first` on."""
        rows = len(batch[0])
        if rows < size and self._engine != "interpreter":
            # Rows once more, and no zeros: what is valid once is valid again.
            batch = [np.resize(column, (size, *column.shape[1:])) for column in batch]
        form = tuple([(column.shape, column.dtype) for column in batch])
        piece = self._pieces.get(form) or self._trace(form, model, batch)
        try:
            results = piece.run(model, batch, self._engine)
        except (ShapeError, DTypeError):
            self._ask_each(model, batch, first)
            raise
        if piece.reason:
            self._engine = "interpreter"
        return [result[:rows] for result in results] if rows < size else results

    def _ask_each(self, model: Model, batch: Sequence[NDArray], first: int) -> None:
        """Raises what the function says of the first example that it does not take: it knows its layers."""
        for row, example in enumerate(zip(*batch, strict=True), first):
            try:
                self._of_one(*model, *example)
            except GlassnetError as error:
                raise type(error)(f"Row {row}: {error}") from None

    def _trace(self, form: Any, model: Model, batch: Sequence[NDArray]) -> _Piece:
        if len(self._pieces) >= _FORMS_KEPT:
            self._pieces.clear()
        of_many = vmap(self._of_one, in_axes=(None, None, *(0 for _ in batch)))
        graph, _ = trace(of_many, *model, *batch)
        self._pieces[form] = piece = _Piece(graph)
        return piece


class _Piece:
    """The program of rows of one form, and the model that it holds."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._function: Function | None = None
        self._model: Model | None = None
        self.reason: str | None = None

    def run(self, model: Model, batch: Sequence[NDArray], engine: str) -> list[NDArray]:
        """The results."""
        if self._function is None:
            self._function, self.reason = function(self._graph, engine)
        if model is not self._model:
            self._function.bind(flatten(model)[0])
            self._model = model
        results = self._function.rest(batch)
        if self.reason or all(map(all_finite, results)):
            return results
        return self._interpret(model, batch)

    def _interpret(self, model: Model, batch: Sequence[NDArray]) -> list[NDArray]:
        return run(self._graph, [*flatten(model)[0], *batch])
