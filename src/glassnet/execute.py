"""The one door to the engines: picks the compiler or the interpreter, and says so where it must fall back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.function import compile_graph
from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.step import Runner, StepGraph, TrainingData
from glassnet.errors import ConfigurationError, UncompilableError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.interpret.reference import interpret

ENGINES = ("auto", "compiled", "interpreter")
_ASKED_FOR = "asked for"
_USER = 5  # the caller of a method of Network, seen from where the warning is given
_said: set[str] = set()

T = TypeVar("T")


class FallbackWarning(UserWarning):
    """The compiler did not take a graph and the interpreter runs it; the text gives the reason."""


def function(graph: Graph, engine: str) -> tuple[Callable[[Sequence[Any]], list[Any]], str | None]:
    """`graph` as a function from inputs to outputs, and the reason where it is not the compiled one.

    `engine` is "auto" (compiles, and falls back with a FallbackWarning, once a reason), "compiled" (raises
    UncompilableError instead) or "interpreter". Raises ConfigurationError for another.
    """
    return _choose(engine, lambda: compile_graph(graph), lambda: partial(interpret, graph))


def runner(
    step: StepGraph, data: TrainingData, carried: list[NDArray], learning_rate: float, engine: str
) -> tuple[Runner, str | None]:
    """A runner of training epochs, and the reason where it is not the compiled one; `engine` as above."""
    return _choose(
        engine,
        lambda: CompiledRunner(step, data, carried, learning_rate),
        lambda: ReferenceRunner(step, data, carried, learning_rate),
    )


def run(graph: Graph, inputs: Sequence[Any], engine: str = "interpreter") -> list[Any]:
    """The outputs of `graph`. Graphs that run once or seldom are interpreted by default."""
    return function(graph, engine)[0](inputs)


def _choose(engine: str, compiled: Callable[[], T], interpreted: Callable[[], T]) -> tuple[T, str | None]:
    if engine not in ENGINES:
        raise ConfigurationError(f"engine={engine!r} is not one of {', '.join(map(repr, ENGINES))}.")
    if engine == "interpreter":
        return interpreted(), _ASKED_FOR
    try:
        return compiled(), None
    except UncompilableError as reason:
        if engine == "compiled":
            raise
        if str(reason) not in _said:
            _said.add(str(reason))
            warnings.warn(f"The interpreter runs this network: {reason}", FallbackWarning, stacklevel=_USER)
        return interpreted(), str(reason)
