"""Evaluates a graph node by node over any array-API namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.core.graph import Graph, Node
from glassnet.core.places import clear_error
from glassnet.errors import GlassnetError


def interpret(graph: Graph, inputs: Sequence[Any], xp: Any = np) -> list[Any]:
    """The outputs of `graph` for these inputs, each op computed by its own value rule.

    With NumPy this is the oracle that every other engine is compared with. A value is dropped after its
    last use, so memory is bounded by what is alive. An op that does not take its values (an index outside
    its axis) raises ShapeError or DTypeError with the op and the user's line.
    """

    def step(node: Node, arguments: list[Any]) -> Any:
        if node.op.name == "constant":
            return xp.asarray(node.value)
        try:
            return node.op.value(xp, *arguments, **node.attributes)
        except GlassnetError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise clear_error(error, node.op, node.inputs, node.attributes, node.source) from None

    return graph.run(inputs, step)


class InterpretedGraph:
    """A graph behind the face of a compiled one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._bound: Sequence[Any] = ()

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs."""
        return interpret(self._graph, inputs)

    def bind(self, inputs: Sequence[Any]) -> None:
        """Keeps the first inputs for every call of `rest`."""
        self._bound = inputs

    def rest(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for the bound inputs and these, the others."""
        return interpret(self._graph, [*self._bound, *inputs])
