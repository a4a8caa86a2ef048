"""The one door to the engines: picks the compiler or the interpreter, and says so where it must fall back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial, wraps
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

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
_ASKED_FOR = "asked for"
_USER = 5  # the user's frame, seen from where the warning is given
_said: set[str] = set()

T = TypeVar("T")


class FallbackWarning(UserWarning):
    """The compiler did not take a graph and the interpreter runs it; the text gives the reason."""


@cache
def _compiler() -> ModuleType:
    # The one place that loads the compiler, when something is first compiled: a quarter of all modules.
    return import_module("glassnet.compiler")


def function(graph: Graph, engine: str) -> tuple[Callable[[Sequence[Any]], list[Any]], str | None]:
    """`graph` as a function from inputs to outputs, and the reason where it is not the compiled one.

    `engine` is "auto" (compiles, and falls back with a FallbackWarning, once a reason), "compiled" (raises
    UncompilableError instead) or "interpreter". Raises ConfigurationError for another.
    """
    return _choose_for(graph, engine, "network", _USER + 1)


def runner(
    step: StepGraph,
    data: TrainingData,
    carried: list[NDArray],
    learning_rate: float,
    engine: str,
    threads: int | None = None,
) -> tuple[Runner, str | None]:
    """A runner of training epochs, and the reason where it is not the compiled one; `engine` as above.

    `threads` make a step of the compiled one together; None leaves that to GLASSNET_THREADS, or to the work
    of a step.
    """
    return _choose(
        engine,
        lambda: _compiler().CompiledRunner(step, data, carried, learning_rate, threads=threads),
        lambda: ReferenceRunner(step, data, carried, learning_rate),
        "network",
        _USER,
    )


def run(graph: Graph, inputs: Sequence[Any], engine: str = "interpreter") -> list[Any]:
    """The outputs of `graph`. Graphs that run once or seldom are interpreted by default."""
    return function(graph, engine)[0](inputs)


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
    _check(engine)
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
        self.evaluate: Callable[[Sequence[Any]], list[Any]] | None = None

    def __call__(self, arrays: Sequence[Any]) -> Any:
        if any(isinstance(x, Array) for x in arrays):
            return unflatten(self.form, self.graph.apply(arrays))
        if self.evaluate is None:
            self.evaluate, _ = _choose_for(self.graph, self.engine, "function", _USER)
        return unflatten(self.form, [np.array(x) for x in self.evaluate(arrays)])


def _numbers(leaf: Any) -> NDArray:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fibu":
        raise DTypeError(
            f"A compiled function takes numbers; it got {type(leaf).__name__} of dtype {array.dtype}: "
            "fix such an argument before, with functools.partial."
        )
    return array


def _choose_for(
    graph: Graph, engine: str, what: str, user: int
) -> tuple[Callable[[Sequence[Any]], list[Any]], str | None]:
    return _choose(
        engine, lambda: _compiler().compile_graph(graph), lambda: partial(interpret, graph), what, user
    )


def _choose(
    engine: str, compiled: Callable[[], T], interpreted: Callable[[], T], what: str, user: int
) -> tuple[T, str | None]:
    _check(engine)
    if engine == "interpreter":
        return interpreted(), _ASKED_FOR
    try:
        return compiled(), None
    except UncompilableError as reason:
        if engine == "compiled":
            raise
        if str(reason) not in _said:
            _said.add(str(reason))
            warnings.warn(f"The interpreter runs this {what}: {reason}", FallbackWarning, stacklevel=user)
        return interpreted(), str(reason)


def _check(engine: str) -> None:
    if engine not in ENGINES:
        raise ConfigurationError(f"engine={engine!r} is not one of {', '.join(map(repr, ENGINES))}.")
