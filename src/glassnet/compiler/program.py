"""From a graph to the loops of a function, stage by stage.

graph -> agree -> expand -> simplify -> images -> flatten -> fuse -> layout -> lowering (loops) -> memory
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder
from glassnet.compiler.lowering.blocks import lower_block
from glassnet.compiler.lowering.image_groups import lower_images
from glassnet.compiler.lowering.matrix import lower_contraction
from glassnet.compiler.lowering.nest import Block
from glassnet.compiler.lowering.reduction import lower_columns, lower_rows
from glassnet.compiler.lowering.shaping import lower_copy
from glassnet.compiler.passes.expand import expand
from glassnet.compiler.passes.flatten import flatten
from glassnet.compiler.passes.fuse import Kernel, fuse
from glassnet.compiler.passes.image_groups import group_images
from glassnet.compiler.passes.image_layout import ImageStorage, plan_images
from glassnet.compiler.passes.images import arrange
from glassnet.compiler.passes.layout import ELEMENTS, Layout, Storage, element_of, plan_layout
from glassnet.compiler.passes.memory import plan_memory
from glassnet.compiler.passes.relay import relay
from glassnet.compiler.passes.simplify import simplify
from glassnet.compiler.passes.types import agree
from glassnet.compiler.passes.uncompiled import refuse_uncompiled
from glassnet.compiler.passes.values import Values
from glassnet.core.graph import Graph, Node


@dataclass
class Plan:
    """A graph on its way into one function: its kernels, and where every value lies."""

    graph: Graph
    values: Values
    layout: Layout

    @property
    def kernels(self) -> list[Kernel]:
        """The kernels in order of execution."""
        return self.layout.kernels

    def storage(self, node: Node) -> Storage:
        """Where an input or output lies."""
        return self.layout.storages[self.values.base(node)]

    @property
    def constants(self) -> list[Node]:
        """The constant arrays that somebody has to write into the arena before the first call."""
        return [node for node in self.layout.storages if node.op.name == "constant"]

    def lower(self, b: Builder, cpu: CPU) -> dict[Buffer, tuple[int, int]]:
        """Emits every kernel's loops; the lifetimes of the buffers that only kernels see."""
        lifetimes: dict[Buffer, tuple[int, int]] = {}
        kept = {self.storage(node).buffer for node in (*self.graph.inputs, *self.graph.outputs)}
        kept |= {self.layout.storages[node].buffer for node in self.constants}
        kept |= {
            storage.buffer
            for storage in self.layout.storages.values()
            if isinstance(storage, ImageStorage) and storage.persistent
        }

        def touch(buffer: Buffer, number: int) -> None:
            if buffer not in kept:
                lifetimes[buffer] = (lifetimes.get(buffer, (number, number))[0], number)

        for number, kernel in enumerate(self.kernels):
            scratch = self._lower_kernel(b, kernel, cpu)
            for node in (*kernel.reads, *kernel.writes):
                touch(self.layout.storages[node].buffer, number)
                if node in self.layout.copies:
                    touch(self.layout.copies[node].buffer, number)
            for buffer in scratch:
                touch(buffer, number)
        return lifetimes

    def _lower_kernel(self, b: Builder, kernel: Kernel, cpu: CPU) -> list[Buffer]:
        known = set(b.buffers)
        block = Block(b, self.values, self.layout, cpu)
        match kernel.kind:
            case "contraction":
                lower_contraction(b, self.values, self.layout, kernel, cpu)
            case "rows":
                lower_rows(b, self.values, self.layout, kernel, cpu)
            case "columns":
                lower_columns(b, self.values, self.layout, kernel, cpu)
            case "block":
                lower_block(block, kernel.nodes[0])
            case "images":
                lower_images(block, kernel)
            case _:
                lower_copy(b, self.layout, kernel, cpu)
        known.update(block.persistent)
        return [buffer for buffer in b.buffers if buffer not in known]


def prepare(graph: Graph) -> Graph:
    """The graph as kernels take it."""
    graph = group_images(simplify(arrange(simplify(expand(agree(graph))))))
    refuse_uncompiled(graph)
    return simplify(flatten(graph))


def plan_graph(
    graph: Graph, b: Builder, cpu: CPU, fixed: Iterable[int] = (), overwrites: Mapping[int, int] | None = None
) -> Plan:
    """The plan of `graph`: `fixed` inputs lie row by row, outputs overwrite inputs (all by number)."""
    graph, overwrites = prepare(graph), overwrites or {}
    while True:
        values = Values(graph)
        same_memory, stuck = _same_memory(graph, values, overwrites)
        kernels, conflicts = fuse(graph, values, same_memory)
        stuck += [number for number in overwrites if values.base(graph.outputs[number]) in conflicts]
        unfit = values.unfit_operands()
        if not stuck and not unfit:
            break
        graph = relay(graph, unfit, stuck)
    lanes = {element: cpu.lanes(element) for element in ELEMENTS.values()}
    images = plan_images(graph, values, b, lanes)
    batch = [graph.inputs[i] for i in fixed]
    layout = plan_layout(kernels, values, b, paddings(graph, cpu), batch, same_memory, images)
    return Plan(graph, values, layout)


def paddings(graph: Graph, cpu: CPU) -> dict[str, int]:
    """To how many elements lines are filled up: whole vectors of each type that the graph computes in."""
    lanes = {element: cpu.lanes(element) for element in ELEMENTS.values()}
    inputs = set(graph.inputs)
    computed = {element_of(node.dtype) for node in graph.nodes if node not in inputs and node.inputs}
    widest = max((lanes[element] for element in computed), default=1)
    # a kernel of a narrow type reads as many elements of a wide one at a time
    return {element: max(count, widest) for element, count in lanes.items()}


def _same_memory(
    graph: Graph, values: Values, overwrites: Mapping[int, int]
) -> tuple[dict[Node, Node], list[int]]:
    """Which output takes the memory of which input, and the numbers of outputs that cannot."""
    same_memory: dict[Node, Node] = {}
    stuck: list[int] = []
    for output, source in overwrites.items():
        made, given = values.base(graph.outputs[output]), graph.inputs[source]
        if made is given:
            continue
        if made in same_memory:
            stuck.append(output)
        else:
            same_memory[made] = given
    return same_memory, stuck


def finish_memory(b: Builder, lifetimes: Mapping[Buffer, tuple[int, int]]) -> int:
    """Places all buffers of the arena; the arena's size in bytes."""
    persistent = [buffer for buffer in b.buffers if buffer.kind == "arena" and buffer not in lifetimes]
    return plan_memory(persistent, lifetimes)
