"""Any graph as a native function of arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.compiler._llvm_binding import native_available
from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.jit import load
from glassnet.compiler.passes.layout import Storage
from glassnet.compiler.passes.uncompiled import refuse_foreign
from glassnet.compiler.records import Constants, cached_program, constants_of, storage_of
from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.errors import ShapeError, UncompilableError


@dataclass
class GraphMemory:
    """All that has to be known of a function's memory to call it."""

    size: int
    inputs: Sequence[Storage]
    outputs: Sequence[Storage]
    constants: Constants

    @staticmethod
    def of(document: dict[str, Any]) -> GraphMemory:
        """What a record in the cache says."""
        return GraphMemory(
            document["size"],
            [storage_of(entry) for entry in document["inputs"]],
            [storage_of(entry) for entry in document["outputs"]],
            constants_of(document["constants"]),
        )


class CompiledGraph:
    """A graph compiled for one set of shapes; called with the inputs in order, it returns new arrays."""

    def __init__(self, graph: Graph, cpu: CPU | None = None) -> None:
        require_native()
        refuse_foreign(graph)
        cpu = cpu or host_cpu()

        form = f"graph {graph.signature()}"
        found = cached_program(form, cpu, "graph_program", "GraphProgram", graph, cpu)
        document, image, self.from_cache = found
        memory = GraphMemory.of(document)
        self._graph = graph
        self._arena = Arena(memory.size)
        for storage, values in memory.constants:
            self._arena.write(storage, np.array(values))
        self._native = load(image, "graph", [ctypes.c_void_p])
        # Where inputs are written and outputs read: what every call needs is worked out once.
        self._inputs = [self._arena.writer(storage) for storage in memory.inputs]
        self._outputs = [
            (self._arena.window(storage), made.shape, made.dtype)
            for storage, made in zip(memory.outputs, graph.outputs, strict=True)
        ]
        self._others = self._inputs

    def __call__(self, inputs: Sequence[Any]) -> list[NDArray]:
        """The outputs for these inputs; ShapeError where the graph was made for other shapes."""
        graph = self._graph
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
