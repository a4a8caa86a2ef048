"""The one door to the engines: picks the compiler or the interpreter, and says so once where it must fall back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.function import compile_graph
from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.step import Runner, StepGraph, TrainingData
from glassnet.errors import ConfigurationError, UncompilableError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.interpret.reference import interpret

ENGINES = ("auto", "compiled", "interpreter")
_said: set[str] = set()


class FallbackWarning(UserWarning):
    """The compiler did not take a graph and the interpreter runs it; the text gives the reason."""


def check_engine(engine: str) -> str:
    """`engine` itself if it is one; "auto" compiles and falls back, "compiled" insists."""
    if engine not in ENGINES:
        raise ConfigurationError(f"engine={engine!r} is not one of {', '.join(map(repr, ENGINES))}.")
    return engine


def run(graph: Graph, inputs: Sequence[Any], engine: str = "interpreter") -> list[Any]:
    """The outputs of `graph`. Graphs that run once or seldom are interpreted by default."""
    if check_engine(engine) == "interpreter":
        return interpret(graph, inputs)
    try:
        return compile_graph(graph)(inputs)
    except UncompilableError as reason:
        if engine == "compiled":
            raise
        _say_once(reason)
        return interpret(graph, inputs)


def runner(
    step: StepGraph, data: TrainingData, carried: list[NDArray], learning_rate: float, engine: str
) -> tuple[Runner, str | None]:
    """A runner of training epochs, and the reason where it is not the compiled one."""
    if check_engine(engine) == "interpreter":
        return ReferenceRunner(step, data, carried, learning_rate), "asked for"
    try:
        return CompiledRunner(step, data, carried, learning_rate), None
    except UncompilableError as reason:
        if engine == "compiled":
            raise
        _say_once(reason)
        return ReferenceRunner(step, data, carried, learning_rate), str(reason)


def _say_once(reason: UncompilableError) -> None:
    if str(reason) not in _said:
        _said.add(str(reason))
        warnings.warn(f"The interpreter runs this network: {reason}", FallbackWarning, stacklevel=3)
