"""The one door to the engines: picks the compiler or the interpreter, and says so where it must fall back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.function import CompiledGraph, compile_graph
from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.step import Runner, StepGraph, TrainingData
from glassnet.core.trace import Array
from glassnet.core.tree import Structure, flatten, unflatten
from glassnet.errors import ConfigurationError, DTypeError, UncompilableError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.interpret.reference import interpret
from glassnet.transforms.tracing import trace

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


def compile(f: Callable[..., Any], engine: str = "auto") -> Callable[..., Any]:
    """`f` as compiled code, made on the first call for each form, shape and dtype of the arguments.

    Arguments and results are trees of arrays; a Python number counts as an array of float64, int64 or bool.
    `f` is traced by shape alone and not run again: it must be pure, and asking for a value (`if x > 0`,
    float(x)) is a ConcretizationError that names the line; use where, cond, scan or while_loop. What the
    compiler does not take the interpreter runs, and a FallbackWarning says so once (engine "auto");
    "compiled" insists, "interpreter" never compiles. Under another transform the trace is used itself.

    Raises ConfigurationError for an unknown engine, DTypeError for arguments that are no numbers.

    >>> slope = compile(gn.grad(lambda x: (x * x * x).sum()))
    >>> slope(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    check_engine(engine)
    programs: dict[Any, _Program] = {}

    @wraps(f)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten([list(args), kwargs])
        arrays = [leaf if isinstance(leaf, Array) else _numbers(leaf) for leaf in leaves]
        key = (structure, tuple((x.shape, x.dtype) for x in arrays))
        if key not in programs:
            programs[key] = _Program(f, structure, arrays, engine)
        return programs[key](arrays)

    return compiled


class _Program:
    """A function traced for one form of its arguments, and how to run it."""

    def __init__(
        self, f: Callable[..., Any], structure: Structure, arrays: Sequence[Any], engine: str
    ) -> None:
        def call(*leaves: Any) -> Any:
            args, kwargs = unflatten(structure, list(leaves))
            return f(*args, **kwargs)

        self.graph, self.form = trace(call, *arrays)
        self.engine = engine
        self.native: CompiledGraph | None = None

    def __call__(self, arrays: Sequence[Any]) -> Any:
        if any(isinstance(x, Array) for x in arrays):
            return unflatten(self.form, self.graph.apply(arrays))
        return unflatten(self.form, [np.array(x) for x in self._run(arrays)])

    def _run(self, arrays: Sequence[Any]) -> list[Any]:
        if self.native is None and self.engine != "interpreter":
            try:
                self.native = compile_graph(self.graph)
            except UncompilableError as reason:
                if self.engine == "compiled":
                    raise
                _say_once(reason, "function", stacklevel=5)
                self.engine = "interpreter"
        return self.native(arrays) if self.native is not None else interpret(self.graph, arrays)


def _numbers(leaf: Any) -> NDArray:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fibu":
        raise DTypeError(
            f"A compiled function takes numbers; it got {type(leaf).__name__} of dtype {array.dtype}: "
            "fix such an argument before, with functools.partial."
        )
    return array


def _say_once(reason: UncompilableError, what: str = "network", stacklevel: int = 3) -> None:
    if str(reason) not in _said:
        _said.add(str(reason))
        warnings.warn(f"The interpreter runs this {what}: {reason}", FallbackWarning, stacklevel=stacklevel)
