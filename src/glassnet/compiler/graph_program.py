"""Any graph written as a native function."""

from __future__ import annotations

from glassnet.compiler.cpu import CPU
from glassnet.compiler.function import GraphMemory
from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.passes.forward import forward
from glassnet.compiler.program import finish_memory, plan_graph
from glassnet.compiler.stages import stage
from glassnet.core.graph import Graph


class GraphProgram:
    """A graph as a native function without arguments: the arrays lie in the arena."""

    def __init__(self, graph: Graph, cpu: CPU) -> None:
        b = Builder("graph")
        plan = plan_graph(graph, b, cpu)
        lifetimes = stage("lower", plan.lower, b, cpu)
        size = stage("memory", finish_memory, b, lifetimes)
        self.loops = stage("forwarding", forward, b.finish(), lifetimes)
        self.memory = GraphMemory(
            size,
            [plan.storage(node) for node in plan.graph.inputs],
            [plan.storage(node) for node in plan.graph.outputs],
            plan.constant_values,
        )
