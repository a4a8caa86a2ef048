"""Groups: images that can be made one block of the batch after the other become one node with a graph inside.

A block is as many examples as a vector has lanes. Within a group a block goes through all of its ops before
the next one begins, so that what only the group needs stays in the cache. A sum over the batch, and whatever
ordinary values take part in between, ends a group.
"""

from __future__ import annotations

from glassnet.compiler.passes.image_ops import (
    FROM_IMAGES,
    IMAGES,
    TO_IMAGES,
    images_of,
    leaves_images,
    result_of,
)
from glassnet.compiler.passes.rewrite import make, uniform
from glassnet.compiler.passes.vocabulary import RELAY
from glassnet.core.graph import Graph, Node
from glassnet.core.registry import OPS

_CONVOLUTIONS = ("convolution", "transposed_convolution")
# Costly enough that computing them twice is worse than storing them once.
_COSTLY = frozenset(
    {"exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "sqrt", "divide", "erf", "sin", "cos"}
)


def group_images(graph: Graph) -> Graph:
    """The graph with its images in groups."""
    images = images_of(graph)
    return _Grouping(graph, images).run() if images else graph


def is_cheap(node: Node) -> bool:
    """Whether the elementwise node may be computed again wherever it is wanted."""
    return (node.op.broadcasts or node.op.name in ("cast", "convert")) and node.op.name not in _COSTLY


class _Grouping:
    def __init__(self, graph: Graph, images: set[Node]) -> None:
        self.graph, self.images = graph, images
        self.inputs, self.outputs = set(graph.inputs), set(graph.outputs)
        self.consumers = graph.consumers()
        self.grouped = {
            node
            for node in graph.nodes
            if node in images or (leaves_images(node) and any(x in images for x in node.inputs))
        }
        self.stage = self._stages()
        self._sink()
        self.asked = self._asked()
        self.replaced: dict[Node, Node] = {node: node for node in graph.inputs}
        self.matrices: dict[Node, Node] = {}  # images that an earlier group left as a matrix

    # -- which group a node belongs to

    def _stages(self) -> dict[Node, int]:
        """The number of the first group that a node can belong to, or can come behind."""
        stage: dict[Node, int] = {}
        for node in self.graph.nodes:
            stage[node] = 0
            for x in node.inputs:
                ends = x in self.grouped and (node not in self.grouped or x not in self.images)
                stage[node] = max(stage[node], stage[x] + ends)
        return stage

    def _sink(self) -> None:
        """Moves what is cheap, and entrances, to the group that first asks for it."""
        for node in reversed(self.graph.nodes):
            if node not in self.images or not (
                is_cheap(node) or node.op.name in ("to_images", "broadcast_to")
            ):
                continue
            if all(reader in self.grouped for reader in self.consumers[node]) and self.consumers[node]:
                self.stage[node] = min(self.stage[reader] for reader in self.consumers[node])

    def _is_made_again(self, x: Node) -> bool:
        """Whether later groups compute an image again: a mask, or what is cheap and made of one other image.

        Then only that other image is kept, which others ask for as well.
        """
        if x not in self.images or x.op is TO_IMAGES:
            return False
        if x.dtype.kind == "b" or x.op.name == "broadcast_to":
            return True
        readers = [reader for reader in self.consumers[x] if self.stage[reader] > self.stage[x]]
        whole = {source for source in x.inputs if source in self.images and source.shape == x.shape}
        if not is_cheap(x) or len(whole) != 1 or any(r.op.name in _CONVOLUTIONS for r in readers):
            return False
        source = whole.pop()
        return len(self.consumers[source]) > 1 or self._is_made_again(source)

    def _asked(self) -> set[Node]:
        """What groups are asked for by later groups, by ordinary nodes and as outputs."""
        asked = {node for node in self.outputs if node in self.grouped}

        def ask(x: Node, stage: int) -> None:
            if x not in self.grouped or self.stage[x] == stage:
                return
            if self._is_made_again(x):
                for source in x.inputs:
                    ask(source, stage)
            elif x.op is not TO_IMAGES:
                asked.add(x)

        for node in self.graph.nodes:
            for x in node.inputs:
                ask(x, self.stage[node] if node in self.grouped else -1)
        return asked

    # -- the graph anew

    def run(self) -> Graph:
        """The graph of groups."""
        members: dict[int, list[Node]] = {}
        for node in self.graph.nodes:
            if node in self.grouped:
                members.setdefault(self.stage[node], []).append(node)
        ordinary: dict[int, list[Node]] = {}
        for node in self.graph.nodes:
            if node not in self.grouped and node not in self.inputs:
                ordinary.setdefault(self.stage[node], []).append(node)
        for stage in range(max([*members, *ordinary], default=0) + 1):
            for node in ordinary.get(stage, []):
                inputs = tuple(self.replaced[x] for x in node.inputs)
                same = inputs == node.inputs
                self.replaced[node] = (
                    node
                    if same
                    else Node(
                        node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source
                    )
                )
            if stage in members:
                self._group(members[stage])
        outputs = [self.replaced[node] for node in self.graph.outputs]
        return Graph.of(self.graph.inputs, outputs, self.graph.input_names)

    def _group(self, members: list[Node]) -> None:
        inside: dict[Node, Node] = {}
        given: dict[Node, Node] = {}  # what the group is given: what stands for it in the body
        for node in members:
            if node.op is TO_IMAGES and not self._lies_across(node.inputs[0]):
                # the entrance is a copy of its own
                outer = self._outer(node)
                inside[node] = self._input(outer, given, image=True)
                continue
            operands = [self._operand(x, inside, given) for x in node.inputs]
            inside[node] = Node(
                node.op, tuple(operands), node.attributes, node.shape, node.dtype, node.value, node.source
            )
        mine = set(members)
        wanted = [node for node in members if node in self.asked and not self._is_matrix(node, mine)]
        body = Graph.of(
            given.values(), [inside[node] for node in wanted], [f"x{i}" for i in range(len(given))]
        )
        group = make(IMAGES, *given, body=body, like=members[0])
        for number, node in enumerate(wanted):
            result = result_of(group, number)
            self.replaced[node] = result
            if node.op is FROM_IMAGES:
                self.matrices[node.inputs[0]] = result
                if not self._deals(node, {node}):  # for those who cannot read it across
                    self.replaced[node] = make(RELAY, result, like=node)

    def _is_matrix(self, node: Node, mine: set[Node]) -> bool:
        """Whether an image is left as a matrix anyhow, which is as good for those who read it later."""
        readers = self.consumers[node]
        left = any(reader.op is FROM_IMAGES and reader in mine for reader in readers)
        return left and not any(reader.op.name in _CONVOLUTIONS for reader in readers if reader not in mine)

    def _outer(self, node: Node) -> Node:
        """An entrance as a node outside of all groups."""
        if node not in self.replaced:
            inputs = tuple(self.replaced[x] for x in node.inputs)
            self.replaced[node] = Node(
                node.op, inputs, node.attributes, node.shape, node.dtype, None, node.source
            )
        return self.replaced[node]

    def _operand(self, x: Node, inside: dict[Node, Node], given: dict[Node, Node]) -> Node:
        if x in inside:
            return inside[x]
        if uniform(x) is not None and not x.shape:
            return x
        if x.op is TO_IMAGES and x in self.images:
            return self._seen(x, inside, given)
        if self._is_made_again(x):
            operands = [self._operand(source, inside, given) for source in x.inputs]
            inside[x] = Node(x.op, tuple(operands), x.attributes, x.shape, x.dtype, None, x.source)
            return inside[x]
        if x in self.images and x not in self.replaced:
            matrix = self.matrices[x]
            reader = next(f for f in self.consumers[x] if f.op is FROM_IMAGES)
            order = reader.attributes["axes"]
            inside[x] = make(
                TO_IMAGES,
                self._input(matrix, given, image=False),
                shape=tuple(x.shape[axis] for axis in order),
                axes=tuple(order.index(axis) for axis in range(len(order))),
                like=x,
            )
            return inside[x]
        return self._input(self.replaced[x], given, image=x in self.images)

    def _seen(self, x: Node, inside: dict[Node, Node], given: dict[Node, Node]) -> Node:
        """An entrance that an earlier group has: here it is entered once more, which is no work."""
        if self._lies_across(x.inputs[0]):
            source = self._input(self.replaced[x.inputs[0]], given, image=False)
            inside[x] = Node(x.op, (source,), x.attributes, x.shape, x.dtype, None, x.source)
        else:
            inside[x] = self._input(self._outer(x), given, image=True)
        return inside[x]

    @staticmethod
    def _input(x: Node, given: dict[Node, Node], *, image: bool) -> Node:
        if x not in given:
            given[x] = Node(OPS["input"], (), {"image": image}, x.shape, x.dtype, None, x.source)
        return given[x]

    def _lies_across(self, x: Node) -> bool:
        """Whether a matrix (batch, features) can lie with the batch innermost, for all who deal with it.

        A product can make it so, and products and groups can read it so.
        """
        return len(x.shape) == 2 and x not in self.inputs and self._deals(x, {x})

    def _deals(self, x: Node, seen: set[Node]) -> bool:
        elementwise = x.op.broadcasts and x.op.name != "one_hot"
        if not elementwise and x.op.name != "contract" and x.op is not FROM_IMAGES:
            return False
        related = [source for source in x.inputs if elementwise and source.shape == x.shape]
        for reader in self.consumers[x]:
            if reader.op.broadcasts and reader.shape == x.shape:
                related.append(reader)
            elif reader.op.name not in ("contract", "to_images"):
                return False
        for other in related:
            if other not in seen:
                seen.add(other)
                if not self._deals(other, seen):
                    return False
        return x not in self.outputs
