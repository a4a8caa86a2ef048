"""Any graph as a native function of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.compiler._llvm_binding import native_available
from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.jit import compile_function
from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.passes.forward import forward
from glassnet.compiler.program import finish_memory, plan_graph
from glassnet.compiler.stages import stage
from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.errors import ShapeError, UncompilableError


class CompiledGraph:
    """A graph compiled for one set of shapes; called with the inputs in order, it returns new arrays."""

    def __init__(self, graph: Graph, cpu: CPU | None = None) -> None:
        require_native()
        cpu = cpu or host_cpu()
        b = Builder("graph")
        self._plan = plan_graph(graph, b, cpu)
        lifetimes = stage("lower", self._plan.lower, b, cpu)
        size = stage("memory", finish_memory, b, lifetimes)
        self.loops = stage("forwarding", forward, b.finish(), lifetimes)
        self._native = compile_function(self.loops, cpu)
        self.from_cache = self._native.from_cache
        self._arena = Arena(size)
        for node in self._plan.constants:
            self._arena.write(self._plan.storage(node), node.value)
        # Where inputs are written and outputs read: what every call needs is worked out once.
        self._inputs = [self._arena.writer(self._plan.storage(node)) for node in self._plan.graph.inputs]
        self._outputs = [
            (self._arena.window(self._plan.storage(node)), made.shape, made.dtype)
            for node, made in zip(self._plan.graph.outputs, graph.outputs, strict=True)
        ]
        self._others = self._inputs

    def __call__(self, inputs: Sequence[Any]) -> list[NDArray]:
        """The outputs for these inputs; ShapeError where the graph was made for other shapes."""
        graph = self._plan.graph
        given = [np.asarray(array, node.dtype) for node, array in zip(graph.inputs, inputs, strict=True)]
        for name, node, array in zip(graph.input_names, graph.inputs, given, strict=True):
            if array.shape != node.shape:
                raise ShapeError(f"The graph takes {name} of shape {node.shape}; it got {array.shape}.")
        self.bind(given)
        return self.rest(())

    def bind(self, inputs: Sequence[NDArray]) -> None:
        """Writes the first inputs, which stay for every call of `rest`; their shapes are not checked."""
        self._others = self._inputs[len(inputs) :]
        for i, array in enumerate(inputs):
            self._inputs[i](array)

    def rest(self, inputs: Sequence[NDArray]) -> list[NDArray]:
        """The outputs for the bound inputs and these, the others; their shapes are not checked."""
        for i, array in enumerate(inputs):
            self._others[i](array)
        self._native.call(self._arena.address)
        return [window.reshape(shape).astype(dtype, "C") for window, shape, dtype in self._outputs]


def compile_graph(graph: Graph, cpu: CPU | None = None) -> CompiledGraph:
    """Compiles `graph`; UncompilableError says why where that is not possible."""
    return CompiledGraph(graph, cpu)


def require_native() -> None:
    """UncompilableError where this machine has no native code generator."""
    if reason := native_available():
        raise UncompilableError(reason)
