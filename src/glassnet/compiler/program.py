"""From a graph to the loops of a function, stage by stage.

graph -> loops, agree, expand, simplify, images, sliding, factor, turn, flatten, join
      -> fuse -> layout -> lowering -> memory
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder
from glassnet.compiler.lowering.blocks import lower_block
from glassnet.compiler.lowering.image_groups import lower_images
from glassnet.compiler.lowering.matrix import lower_contraction
from glassnet.compiler.lowering.nest import Block
from glassnet.compiler.lowering.reduction import lower_columns, lower_rows
from glassnet.compiler.lowering.scan import BodyPlan, Planner, lower_loop
from glassnet.compiler.lowering.shaping import lower_copy
from glassnet.compiler.passes.advance import advance
from glassnet.compiler.passes.elements import ELEMENTS, element_of
from glassnet.compiler.passes.expand import expand
from glassnet.compiler.passes.factor import factor
from glassnet.compiler.passes.flatten import flatten
from glassnet.compiler.passes.fuse import Kernel, fuse
from glassnet.compiler.passes.hoist import hoist
from glassnet.compiler.passes.image_groups import group_images
from glassnet.compiler.passes.image_layout import ImageStorage, plan_images
from glassnet.compiler.passes.images import arrange
from glassnet.compiler.passes.join import join
from glassnet.compiler.passes.layout import Layout, Storage, plan_layout
from glassnet.compiler.passes.loops import lift_constants, map_bodies, split_loops, tidy_loops
from glassnet.compiler.passes.memory import plan_memory
from glassnet.compiler.passes.pieces import plan_pieces
from glassnet.compiler.passes.rearrange import rearrange
from glassnet.compiler.passes.recall import recall
from glassnet.compiler.passes.relay import relay
from glassnet.compiler.passes.simplify import simplify
from glassnet.compiler.passes.sink import sink
from glassnet.compiler.passes.sliding import slide
from glassnet.compiler.passes.turn import turn
from glassnet.compiler.passes.types import agree
from glassnet.compiler.passes.uncompiled import refuse_uncompiled
from glassnet.compiler.passes.values import Values
from glassnet.compiler.passes.vocabulary import LOOP
from glassnet.compiler.stages import loops_of, stage
from glassnet.core.graph import Graph, Node


@dataclass
class Plan:
    """A graph on its way into one function: its kernels, and where every value lies."""

    graph: Graph
    values: Values
    layout: Layout
    padding: Mapping[str, int]
    persistent: set[Buffer] = field(
        default_factory=set[Buffer]
    )  # memory of kernels that is not lent to others

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

    @property
    def constant_values(self) -> list[tuple[Storage, list[float]]]:
        """Where they lie, and their elements."""
        return [(self.storage(node), node.value.ravel().tolist()) for node in self.constants]

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
            known = set(b.buffers)
            self.lower_kernel(b, kernel, cpu)
            for node in (*kernel.reads, *kernel.writes):
                for storage in self.layout.places(node):
                    touch(storage.buffer, number)
                if node in self.layout.copies:
                    touch(self.layout.copies[node].buffer, number)
            for buffer in b.buffers:
                if buffer not in known and buffer.kind == "arena" and buffer not in self.persistent:
                    touch(buffer, number)
        return lifetimes

    def lower_kernel(self, b: Builder, kernel: Kernel, cpu: CPU) -> None:
        """Emits the loops of one kernel."""
        with loops_of(kernel, b):
            self._lower_kernel(b, kernel, cpu)

    def _lower_kernel(self, b: Builder, kernel: Kernel, cpu: CPU) -> None:
        match kernel.kind:
            case "contraction":
                lower_contraction(b, self.values, self.layout, kernel, cpu)
            case "rows":
                lower_rows(b, self.values, self.layout, kernel, cpu)
            case "columns":
                lower_columns(b, self.values, self.layout, kernel, cpu)
            case "block":
                block = self._block(b, cpu)
                if kernel.nodes[0].op is LOOP:
                    lower_loop(block, kernel, self._plan_body(b, cpu))
                else:
                    lower_block(block, kernel.nodes[0])
            case "images":
                lower_images(self._block(b, cpu), kernel)
            case _:
                lower_copy(b, self.layout, kernel, cpu)

    def _block(self, b: Builder, cpu: CPU) -> Block:
        return Block(b, self.values, self.layout, cpu, self.padding, self.persistent)

    def _plan_body(self, b: Builder, cpu: CPU) -> Planner:
        def planner(
            body: Graph,
            given: Mapping[Node, Storage],
            placed: Mapping[int, Storage],
            overwrites: Mapping[int, int],
        ) -> BodyPlan:
            plan = plan_prepared(
                body, b, cpu, self.padding, overwrites=overwrites, given=given, placed=placed
            )
            made = {plan.values.base(node) for node in plan.graph.outputs} | plan.layout.within_others
            return BodyPlan(
                plan.kernels, made, plan.values.root, lambda kernel: plan.lower_kernel(b, kernel, cpu)
            )

        return planner


def prepare(graph: Graph) -> Graph:
    """The graph as kernels take it."""
    graph = stage("arrange", arrange, _expanded(graph))
    graph = stage("images", group_images, stage("simplify", simplify, graph))
    graph = stage("simplify", simplify, stage("slide", slide, graph))
    refuse_uncompiled(graph)
    return stage("constants", lift_constants, _flattened(_tidied(graph)))


def _expanded(graph: Graph) -> Graph:
    graph = stage("scans", split_loops, graph, lambda body: simplify(slide(_expanded(body))))
    graph = stage("types", agree, graph)
    graph = stage("expand", expand, graph)
    return stage("simplify", simplify, graph)


def _tidied(graph: Graph) -> Graph:
    graph = stage("simplify", simplify, stage("factor", factor, graph))
    if any(node.op is LOOP for node in graph.nodes):
        graph = stage("loops", tidy_loops, graph)
        graph = stage("bodies", map_bodies, graph, simplify)
        graph = stage("simplify", simplify, stage("hoist", hoist, stage("simplify", simplify, graph)))
        graph = stage("simplify", simplify, stage("recall", recall, graph))
        graph = stage("advance", advance, graph)
        graph = stage("sink", sink, stage("turn", turn, graph))
    return stage("simplify", simplify, graph)


def _flattened(graph: Graph) -> Graph:
    graph = stage("bodies", map_bodies, graph, lambda body: _flattened(_tidied(body)))
    graph = stage("simplify", simplify, stage("flatten", flatten, stage("turn", turn, graph)))
    return stage("rearrange", rearrange, stage("join", join, graph))


def plan_graph(
    graph: Graph, b: Builder, cpu: CPU, fixed: Iterable[int] = (), overwrites: Mapping[int, int] | None = None
) -> Plan:
    """The plan of `graph`: `fixed` inputs lie row by row, outputs overwrite inputs (all by number)."""
    graph = prepare(graph)
    return plan_prepared(graph, b, cpu, paddings(graph, cpu), fixed=fixed, overwrites=overwrites or {})


def plan_prepared(
    graph: Graph,
    b: Builder,
    cpu: CPU,
    padding: Mapping[str, int],
    *,
    fixed: Iterable[int] = (),
    overwrites: Mapping[int, int],
    given: Mapping[Node, Storage] | None = None,
    placed: Mapping[int, Storage] | None = None,
) -> Plan:
    """The plan of a graph as `prepare` makes it.

    Inputs that are `given` a storage keep it, and outputs that are `placed` (by number) are computed there.
    """
    # NOTE not in a loop's body: what its steps share is copied once, so copies would be counted too often
    free = given is None
    given, placed = given or {}, placed or {}
    while True:
        values = Values(graph, padding)
        same_memory, stuck = _same_memory(graph, values, overwrites)
        outputs, displaced = _placed_outputs(graph, values, placed, same_memory)
        kernels, conflicts = stage("fuse", fuse, graph, values, same_memory)
        stuck += [number for number in overwrites if values.base(graph.outputs[number]) in conflicts]
        stuck += displaced
        stuck += [number for number, node in enumerate(graph.outputs) if values.is_part(values.base(node))]
        unfit = values.unfit_operands()
        if not stuck and not unfit:
            break
        graph = stage("relay", relay, graph, unfit, stuck)
    plain = [graph.inputs[i] for i in fixed]
    images = plan_images(graph, values, b, {element: cpu.lanes(element) for element in ELEMENTS.values()})
    placed_already = {**given, **outputs, **images}
    pieces = plan_pieces(kernels, values, b, padding, placed_already, same_memory)
    placed_already |= pieces.storages
    layout = stage(
        "layout", plan_layout, kernels, values, b, padding, plain, same_memory, placed_already, free=free
    )
    layout.others, layout.written = pieces.others, pieces.written
    return Plan(graph, values, layout, padding)


def paddings(graph: Graph, cpu: CPU) -> dict[str, int]:
    """To how many elements lines are filled up: whole vectors of each type that the graph computes in."""
    lanes = {element: cpu.lanes(element) for element in ELEMENTS.values()}
    widest = max((lanes[element] for element in _computed(graph)), default=1)
    # a kernel of a narrow type reads as many elements of a wide one at a time
    return {element: max(count, widest) for element, count in lanes.items()}


def _computed(graph: Graph) -> set[str]:
    """The elements that the graph computes."""
    inputs = set(graph.inputs)
    made = [node for node in graph.nodes if node not in inputs and node.inputs]
    inner = [_computed(node.attributes["body"]) for node in made if node.op is LOOP]
    return {element_of(node.dtype) for node in made}.union(*inner)


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


def _placed_outputs(
    graph: Graph, values: Values, placed: Mapping[int, Storage], same_memory: Mapping[Node, Node]
) -> tuple[dict[Node, Storage], list[int]]:
    """The storages of outputs that are computed in their places, and the numbers of those that cannot be."""
    outputs: dict[Node, Storage] = {}
    displaced: list[int] = []
    for number, storage in placed.items():
        made = values.base(graph.outputs[number])
        matrix = len(graph.outputs[number].shape) < 2 or values.storage(made) == "matrix"
        if not values.is_computed(made) or made in outputs or made in same_memory or not matrix:
            displaced.append(number)
        else:
            outputs[made] = storage
    return outputs, displaced


def finish_memory(b: Builder, lifetimes: Mapping[Buffer, tuple[int, int]]) -> int:
    """Places all buffers of the arena; the arena's size in bytes."""
    persistent = [buffer for buffer in b.buffers if buffer.kind == "arena" and buffer not in lifetimes]
    return plan_memory(persistent, lifetimes)
