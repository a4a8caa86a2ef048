"""The one door to the engines: picks the compiler or the interpreter, and says so where it must fall back."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache, update_wrapper
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.step import Runner, StepGraph, TrainingData
from glassnet.core.trace import Array
from glassnet.core.tree import Structure, flatten, paths, unflatten
from glassnet.errors import ConfigurationError, DTypeError, UncompilableError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.interpret.reference import InterpretedGraph
from glassnet.transforms.tracing import argument_names, trace

ENGINES = ("auto", "compiled", "interpreter")
_ASKED_FOR = "asked for"
_EXPLAIN = ".explain"  # a part of the compiler that is loaded only where somebody looks on
_said: set[str] = set()

if TYPE_CHECKING:
    from glassnet.compiler.report import ProgramReport

T = TypeVar("T")


class Function(Protocol):
    """A graph ready to run: from all inputs to the outputs, or with the first inputs kept between calls."""

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs."""
        ...

    def bind(self, inputs: Sequence[Any]) -> None:
        """Keeps the first inputs for every call of `rest`."""
        ...

    def rest(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for the bound inputs and these, the others, of the graph's shapes and dtypes."""
        ...


class FallbackWarning(UserWarning):
    """The compiler did not take a graph and the interpreter runs it; the text gives the reason."""


@cache
def _compiler(part: str = "") -> ModuleType:
    # The one place that loads the compiler, when something is first compiled: a quarter of all modules.
    return import_module(f"glassnet.compiler{part}")


def function(graph: Graph, engine: str, what: str = "network") -> tuple[Function, str | None]:
    """`graph` as a function from inputs to outputs, and the reason where it is not the compiled one.

    `engine` is "auto" (compiles, and falls back with a FallbackWarning, once a reason), "compiled" (raises
    UncompilableError instead) or "interpreter". `what` the warning calls the graph. Raises
    ConfigurationError for another engine.
    """
    _dump(engine, lambda: _compiler(_EXPLAIN).explain_graph(graph))
    return _choose(engine, lambda: _compiler().compile_graph(graph), lambda: InterpretedGraph(graph), what)


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
    _dump(engine, lambda: explain_step(step, data.key is None, threads))
    return _choose(
        engine,
        lambda: _compiler().CompiledRunner(step, data, carried, learning_rate, threads=threads),
        lambda: ReferenceRunner(step, data, carried, learning_rate),
        "network",
    )


def run(graph: Graph, inputs: Sequence[Any], engine: str = "interpreter") -> list[Any]:
    """The outputs of `graph`. Graphs that run once or seldom are interpreted by default."""
    return function(graph, engine)[0](inputs)


def explain_step(step: StepGraph, gathered_once: bool, threads: int | None = None) -> ProgramReport:
    """The stages of the compiler from a training step to native epochs; all rows in one batch if `once`."""
    return _compiler(_EXPLAIN).explain_epoch(step, gathered_once, threads=threads)


def compile(f: Callable[..., Any], engine: str = "auto") -> CompiledFunction:
    """`f` as compiled code, made on the first call for each form, shape and dtype of the arguments.

    Arguments and results are trees of arrays; a Python number counts as an array of float64, int64 or bool.
    `f` is traced by shape alone and not run again: it must be pure, and asking for a value (`if x > 0`,
    float(x)) is a ConcretizationError that names the line; use where, cond, scan or while_loop. What the
    compiler does not take the interpreter runs, and a FallbackWarning says so once (engine "auto");
    "compiled" insists, "interpreter" never compiles. Under another transform the trace is used itself.
    `compile(f).explain(*args)` reports every stage of the compiler for such arguments.

    Raises ConfigurationError for an unknown engine, DTypeError for arguments that are no numbers.

    >>> slope = compile(gn.grad(lambda x: (x * x * x).sum()))
    >>> slope(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    return CompiledFunction(f, engine)


class CompiledFunction:
    """What `compile` makes of a function: call it, or ask it to `explain` what becomes of it."""

    def __init__(self, f: Callable[..., Any], engine: str) -> None:
        _check(engine)
        self._f, self._engine = f, engine
        self._programs: dict[Any, _Program] = {}
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value of the function."""
        program, arrays = self._program(args, kwargs)
        return program(arrays)

    def explain(self, *args: Any, **kwargs: Any) -> ProgramReport:
        """The stages from the function of such arguments to machine code; `print` shows them all.

        The graph as traced with the user's lines, what each pass changed, kernels, memory, loops, LLVM text,
        assembly. Arguments the compiler refuses give a report with the reason. Raises what the call raises.

        >>> report = compile(lambda x: 1.0 * x + 0.0).explain(np.array([1.0, 2.0]))
        >>> print(report["simplify"].change)
        5 -> 1 nodes: multiply -> input, add -> input
        """
        return _compiler(_EXPLAIN).explain_graph(self._program(args, kwargs)[0].graph)

    def _program(self, args: Any, kwargs: Any) -> tuple[_Program, list[Any]]:
        leaves, structure = flatten([list(args), kwargs])
        arrays = [leaf if isinstance(leaf, Array) else _numbers(leaf) for leaf in leaves]
        key = (structure, tuple((x.shape, x.dtype) for x in arrays))
        if key not in self._programs:
            self._programs[key] = _Program(self._f, structure, arrays, self._engine)
        return self._programs[key], arrays


class _Program:
    """A function traced for one form of its arguments, and how to run it."""

    def __init__(
        self, f: Callable[..., Any], structure: Structure, arrays: Sequence[Any], engine: str
    ) -> None:
        def call(*leaves: Any) -> Any:
            args, kwargs = unflatten(structure, list(leaves))
            return f(*args, **kwargs)

        self.graph, self.form = trace(call, *arrays, names=_names(f, structure))
        self.engine = engine
        self.evaluate: Function | None = None

    def __call__(self, arrays: Sequence[Any]) -> Any:
        if any(isinstance(x, Array) for x in arrays):
            return unflatten(self.form, self.graph.apply(arrays))
        if self.evaluate is None:
            self.evaluate, _ = function(self.graph, self.engine, "function")
        return unflatten(self.form, [np.array(x) for x in self.evaluate(arrays)])


def _names(f: Callable[..., Any], structure: Structure) -> list[str]:
    """What the leaves of the arguments are called: "x", or "parameters.weight" within a tree."""
    positional, keywords = structure.children
    names = [*argument_names(f, len(positional.children)), *keywords.keys]
    children = (*positional.children, *keywords.children)
    return [path for name, child in zip(names, children, strict=True) for path in paths(child, name)]


def _numbers(leaf: Any) -> NDArray:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fibu":
        raise DTypeError(
            f"A compiled function takes numbers; it got {type(leaf).__name__} of dtype {array.dtype}: "
            "fix such an argument before, with functools.partial."
        )
    return array


def _dump(engine: str, explain: Callable[[], ProgramReport]) -> None:
    """Writes the stages of a program that shall be compiled to the folder that GLASSNET_DUMP names."""
    if (folder := os.environ.get("GLASSNET_DUMP")) and engine != "interpreter":
        explain().write(Path(folder))


def _choose(
    engine: str, compiled: Callable[[], T], interpreted: Callable[[], T], what: str
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
            warnings.warn(f"The interpreter runs this {what}: {reason}", FallbackWarning, _users_level())
        return interpreted(), str(reason)


def _users_level() -> int:
    """How far the caller is from the user's code, as `warnings.warn` counts frames."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "")[:9] == "glassnet.":
        level, frame = level + 1, frame.f_back
    return level


def _check(engine: str) -> None:
    if engine not in ENGINES:
        raise ConfigurationError(f"engine={engine!r} is not one of {', '.join(map(repr, ENGINES))}.")
