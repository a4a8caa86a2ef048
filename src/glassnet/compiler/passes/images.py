"""Images: convolutions and what goes with them are written for values (batch, channels, *space).

Layers see examples with the channels last, and ops see them first, so a graph is full of transposes. Here
each value that hangs together with a convolution becomes one node of shape (batch, channels, *space), an
image; the transposes around it only say which axis is which, and vanish. What enters and leaves goes through
`to_images` and `from_images`. A flattened image is a matrix (batch, features) whose columns are the image's
places in another order, which costs nothing where the batch lies innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glassnet.compiler.passes.image_ops import (
    FORWARD,
    FROM_IMAGES,
    REPEAT,
    TO_IMAGES,
    TO_INPUT,
    TO_KERNEL,
    UNPOOL,
    WINDOW_MAX,
    WINDOW_PLACE,
    WINDOW_SUM,
)
from glassnet.compiler.passes.pools import behind_pool, name_pools, side_by_side
from glassnet.compiler.passes.rewrite import apply_rules, make, number, uniform
from glassnet.core.graph import Graph, Node
from glassnet.core.op import Op
from glassnet.core.shape import Shape, size_of
from glassnet.ops.matrix import split_spec

_CONVERSIONS = ("cast", "convert")


@dataclass(frozen=True)
class Arrangement:
    """A value of the graph as an image: its axis k is axis `axes[k]` of the image, or a new one (None).

    Axes of the image that are not listed have extent 1.
    """

    image: Node
    axes: tuple[int | None, ...]


def arrange(graph: Graph) -> Graph:
    """The graph with images where there are convolutions."""
    if not any(_kind(node) for node in graph.nodes):
        return graph
    return _Arranger(name_pools(narrow(graph))).run()


def narrow(graph: Graph) -> Graph:
    """The graph with elementwise ops in front of the broadcasts of their operands, where that is less work.

    What a batch shares is computed once then, not once an example.
    """

    def rule(node: Node) -> Node | None:
        operands = [x.inputs[0] if x.op.name == "broadcast_to" else x for x in node.inputs]
        if not node.op.broadcasts or tuple(operands) == node.inputs:
            return None
        shape = np.broadcast_shapes(*(x.shape for x in operands))
        if size_of(shape) == size_of(node.shape):
            return None
        small = make(node.op, *operands, like=node, **node.attributes)
        return make("broadcast_to", small, shape=node.shape, like=node)

    names = {node.op.name for node in graph.nodes if node.op.broadcasts}
    return apply_rules(graph, dict.fromkeys(names, (rule,)))


def _kind(node: Node) -> str | None:
    """FORWARD, TO_INPUT or TO_KERNEL for a convolution of a batch that works on images, else None."""
    if node.op.name not in ("convolution", "transposed_convolution"):
        return None
    attributes = node.attributes
    rank = len(attributes["stride"])
    plain = all(n == 1 for name in ("stride", "dilation") for n in attributes[name])
    if not plain or rank > 2 or node.dtype.kind != "f" or any(x.dtype != node.dtype for x in node.inputs):
        return None
    x, w, out = split_spec(attributes["spec"])
    if len(x) != 2 or len(w) != 2 or len(out) != 2 or len(set(x + w)) != 3:
        return None
    if node.inputs[0].shape[0] == 1:
        return None  # an example alone fills no lanes
    batch, own = x
    if node.op.name == "transposed_convolution":
        fits = out == batch + w[1] and w[0] == own
        return TO_INPUT if fits else None
    if out == batch + w[0] and w[1] == own:
        return FORWARD
    return TO_KERNEL if w[0] == batch and out == w[1] + own else None


class _Arranger:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        first = next(node for node in graph.nodes if _kind(node))
        self.dtype, self.batch = first.dtype, first.inputs[0].shape[0]
        self.inputs = set(graph.inputs)
        self.plain: dict[Node, Node] = {}  # what stands for a node as an ordinary value
        self.arranged: dict[Node, Arrangement] = {}
        self.made: dict[object, Node] = {}
        self.rules: dict[str, Callable[[Node], bool]] = {
            "convolution": self._convolution,
            "transposed_convolution": self._convolution,
            "max_pool": self._max_pool,
            "window_place": self._window_place,
            "unpool": self._unpool,
            "transpose": self._transpose,
            "reshape": self._reshape,
            "broadcast_to": self._broadcast,
            "sum": self._sum,
            "max": self._max,
        }

    def run(self) -> Graph:
        """The arranged graph."""
        for node in self.graph.nodes:
            if node in self.inputs or node.op.name == "constant":
                self.plain[node] = node
                continue
            elementwise = node.op.broadcasts or node.op.name in _CONVERSIONS
            rule = self._elementwise if elementwise else self.rules.get(node.op.name)
            if rule is None or not rule(node):
                operands = tuple(self.ordinary(x) for x in node.inputs)
                self.plain[node] = node
                if operands != node.inputs:
                    self.plain[node] = Node(
                        node.op, operands, node.attributes, node.shape, node.dtype, None, node.source
                    )
        outputs = [self.ordinary(x) for x in self.graph.outputs]
        return Graph.of(self.graph.inputs, outputs, self.graph.input_names)

    # -- from one world into the other

    def ordinary(self, node: Node) -> Node:
        """The node as an ordinary value."""
        if node not in self.plain:
            place = self.arranged[node]
            self.plain[node] = self._left(place, node.shape, node)
        return self.plain[node]

    def _left(self, place: Arrangement, shape: Shape, like: Node) -> Node:
        image = place.image
        rest = [axis for axis in range(len(image.shape)) if axis not in place.axes]
        order = [axis for axis in place.axes if axis is not None] + rest
        first = [0, *(axis for axis in order if axis != 0)]  # a matrix has the batch as its rows
        matrix = self._once(FROM_IMAGES, image, axes=tuple(first), like=like)
        if first == order:
            return self._once("reshape", matrix, shape=shape, like=like) if matrix.shape != shape else matrix
        apart = make("reshape", matrix, shape=tuple(image.shape[axis] for axis in first), like=like)
        moved = make("transpose", apart, axes=tuple(first.index(axis) for axis in order), like=like)
        return moved if moved.shape == shape else make("reshape", moved, shape=shape, like=like)

    def image(self, node: Node, axes: Sequence[int | None] | None = None, rank: int = 0) -> Node:
        """The node as an image of that rank, whose axis k becomes axis axes[k]; extents of 1 are put in."""
        axes = tuple(axes) if axes is not None else tuple(range(len(node.shape)))
        rank = rank or len(axes)
        if node in self.arranged:
            place = self.arranged[node]
            if place.axes == axes and len(place.image.shape) == rank:
                return place.image
        return self._entered(self.ordinary(node), axes, rank)

    def _entered(self, x: Node, axes: tuple[int | None, ...], rank: int) -> Node:
        listed = [axis for axis in axes if axis is not None]
        new = [axis for axis in range(rank) if axis not in listed]
        kept = tuple(extent for extent, axis in zip(x.shape, axes, strict=True) if axis is not None)
        shape, order = (*kept, *(1,) * len(new)), [[*listed, *new].index(axis) for axis in range(rank)]
        while True:  # through what only rearranges
            if x.op.name == "transpose" and x.shape == shape:
                moved = x.attributes["axes"]
                shape, order = x.inputs[0].shape, [moved[axis] for axis in order]
            elif x.op.name != "reshape" or x.inputs[0].shape[:1] != shape[:1]:
                break
            x = x.inputs[0]
        if x.shape != shape and len(x.shape) != 2:
            x = make("reshape", x, shape=shape, like=x)
        return self._once(TO_IMAGES, x, shape=shape, axes=tuple(order), like=x)

    def _once(self, op: str | Op, *inputs: Node, like: Node, **attributes: object) -> Node:
        """The node of that op; made before, it is the same."""
        name = op if isinstance(op, str) else op.name
        key = (name, inputs, tuple(sorted((k, str(v)) for k, v in attributes.items())))
        if key not in self.made:
            self.made[key] = make(op, *inputs, like=like, **attributes)
        return self.made[key]

    def _put(self, node: Node, image: Node, axes: Sequence[int | None] | None = None) -> bool:
        self.arranged[node] = Arrangement(image, tuple(range(len(image.shape)) if axes is None else axes))
        return True

    # -- the ops

    def _convolution(self, node: Node) -> bool:
        kind, attributes = _kind(node), {**node.attributes, "spec": _kind(node)}
        if kind is None or node.dtype != self.dtype:
            return self._sum_of_windows(node)
        x, w = node.inputs
        if kind == TO_KERNEL:
            self.plain[node] = make(node.op, self.image(x), self.image(w), like=node, **attributes)
            return True
        return self._put(node, make(node.op, self.image(x), self.ordinary(w), like=node, **attributes))

    def _sum_of_windows(self, node: Node) -> bool:
        """A convolution of every channel with a kernel of ones, or what goes back through it."""
        x, w = node.inputs
        attributes, factor = node.attributes, uniform(w)
        x_labels, w_labels, out = split_spec(attributes["spec"])
        back = node.op.name == "transposed_convolution"
        space = attributes["space"] if back else x.shape[2:]
        windows = {**attributes, "extents": attributes.get("extents", x.shape[2:])}
        fits = factor is not None and not w_labels and x_labels == out and self._is_batch(x, len(space))
        if not fits or not side_by_side(space, windows, w.shape):
            return False
        if size_of(w.shape) == 1:
            image = self.image(x)
        elif back:
            image = make(REPEAT, self.image(x), window=w.shape, space=space, like=node)
        else:
            image = make(WINDOW_SUM, self.image(x), window=w.shape, extents=windows["extents"], like=node)
        if factor is not None and factor != 1:
            image = make("multiply", number(factor, node.dtype), image, like=node)
        return self._put(node, image)

    def _is_batch(self, x: Node, rank: int) -> bool:
        """Whether x is a batch of images with that many spatial axes."""
        return len(x.shape) == rank + 2 <= 4 and x.shape[0] == self.batch and x.dtype == self.dtype

    def _max_pool(self, node: Node) -> bool:
        x, attributes = node.inputs[0], node.attributes
        window, extents = attributes["window"], attributes["extents"]
        if not self._is_batch(x, len(window)) or not side_by_side(x.shape[2:], attributes, window):
            return False
        return self._put(node, self._largest(self.image(x), window, extents, node))

    def _largest(self, image: Node, window: Shape, extents: Shape, like: Node) -> Node:
        if size_of(window) == 1:
            return image
        return self._once(WINDOW_MAX, image, window=tuple(window), extents=tuple(extents), like=like)

    def _window_place(self, node: Node) -> bool:
        x = node.inputs[0]
        if not self._is_batch(x, len(node.attributes["window"])):
            return False
        return self._put(node, self._once(WINDOW_PLACE, self.image(x), like=node, **node.attributes))

    def _unpool(self, node: Node) -> bool:
        y, place = node.inputs
        if place not in self.arranged:
            return False
        if size_of(node.attributes["window"]) == 1:
            return self._put(node, self.image(y))
        return self._put(node, make(UNPOOL, self.image(y), self.image(place), like=node, **node.attributes))

    def _transpose(self, node: Node) -> bool:
        place = self.arranged.get(node.inputs[0])
        if place is None:
            return False
        axes = tuple(place.axes[axis] for axis in node.attributes["axes"])
        self.arranged[node] = Arrangement(place.image, axes)
        return True

    def _reshape(self, node: Node) -> bool:
        x = node.inputs[0]
        place = self.arranged.get(x)
        if place is None:
            return False
        if [n for n in x.shape if n > 1] != [n for n in node.shape if n > 1]:
            self.plain[node] = self._left(place, node.shape, node)
            return True
        listed = [axis for n, axis in zip(x.shape, place.axes, strict=True) if n > 1]
        free = [axis for axis in range(len(place.image.shape)) if axis not in listed]
        axes = [listed.pop(0) if n > 1 else free.pop(0) if free else None for n in node.shape]
        self.arranged[node] = Arrangement(place.image, tuple(axes))
        return True

    def _broadcast(self, node: Node) -> bool:
        x = node.inputs[0]
        place = self.arranged.get(x)
        if place is None or len(x.shape) != len(node.shape):
            return False
        shape = list(place.image.shape)
        for axis, extent in zip(place.axes, node.shape, strict=True):
            if axis is not None:
                shape[axis] = extent
            elif extent > 1:
                return False
        return self._put(node, make("broadcast_to", place.image, shape=tuple(shape), like=node), place.axes)

    def _elementwise(self, node: Node) -> bool:
        whole = [x for x in node.inputs if x in self.arranged and x.shape == node.shape]
        if not whole or (node.dtype.kind != "b" and node.dtype != self.dtype):
            return False
        place = self.arranged[whole[0]]
        operands = [self._operand(x, place) for x in node.inputs]
        image = make(node.op, *operands, like=node, **node.attributes)
        return self._put(node, behind_pool(image, self._once), place.axes)

    def _operand(self, x: Node, place: Arrangement) -> Node:
        """An operand of an elementwise op in the order of an image."""
        while x.op.name == "broadcast_to" and x not in self.arranged:
            x = x.inputs[0]
        fill = uniform(x)
        if fill is not None:
            return number(fill, x.dtype)
        rank = len(place.image.shape)
        axes = place.axes[len(place.axes) - len(x.shape) :]
        own = self.arranged.get(x)
        if own and len(own.image.shape) == rank:
            pairs = zip(x.shape, own.axes, axes, strict=True)
            if all(extent == 1 or one == other for extent, one, other in pairs):
                return own.image
        varying = [axis for extent, axis in zip(x.shape, axes, strict=True) if extent > 1]
        if 0 in varying:
            return self.image(x, axes, rank)
        plain = self.ordinary(x)
        if len(varying) > 1 and varying != sorted(v for v in varying if v is not None):
            order = sorted(range(len(axes)), key=lambda k: -1 if axes[k] is None else int(axes[k] or 0))
            plain = make("transpose", plain, axes=tuple(order), like=x)
        extents = {axis: extent for extent, axis in zip(x.shape, axes, strict=True) if extent > 1}
        shape = tuple(extents.get(axis, 1) for axis in range(rank)) if varying else ()
        return plain if plain.shape == shape else make("reshape", plain, shape=shape, like=x)

    def _sum(self, node: Node) -> bool:
        place = self.arranged.get(node.inputs[0])
        if place is None or node.dtype != place.image.dtype:
            return False
        image, rank = place.image, len(place.image.shape)
        space = tuple(range(2, rank))
        taken = {place.axes[axis] for axis in node.attributes["axes"]}
        if any(image.shape[axis] > 1 and axis not in taken for axis in space):
            return False
        if 0 not in taken:
            if 1 in taken:
                return False
            return self._put(node, *self._over_space("sum", node, place, space))
        while image.op is UNPOOL or image.op is REPEAT:
            # sum(unpool(y)) -> sum(y), sum(repeat(y)) -> taps sum(y)
            if image.op is REPEAT:
                taps = number(size_of(image.attributes["window"]), image.dtype)
                image = make("multiply", taps, image.inputs[0], like=node)
            else:
                image = image.inputs[0]
        total = make("sum", image, axes=(0, *space), keepdims=False, like=node)
        if 1 in taken:
            total = make("sum", total, axes=(0,), keepdims=False, like=node)
        self.plain[node] = make("reshape", total, shape=node.shape, like=node)
        return True

    def _max(self, node: Node) -> bool:
        x = node.inputs[0]
        place = self.arranged.get(x)
        if place is None or place.image.dtype != self.dtype:
            return False
        space = tuple(range(2, len(place.image.shape)))
        taken = {place.axes[axis] for axis in node.attributes["axes"]}
        if not taken <= set(space) or any(
            place.image.shape[axis] > 1 and axis not in taken for axis in space
        ):
            return False
        return self._put(node, *self._over_space("max", node, place, space))

    def _over_space(
        self, op: str, node: Node, place: Arrangement, space: Shape
    ) -> tuple[Node, tuple[int | None, ...]]:
        """A reduction over all spatial axes, which stay with extent 1 in the image."""
        image = place.image
        if size_of(image.shape[2:]) == 1:
            reduced = image
        elif op == "sum":
            reduced = make("sum", image, axes=space, keepdims=True, like=node)
        else:
            window = image.shape[2:]
            reduced = self._largest(image, window, (1,) * len(window), node)
        if node.attributes["keepdims"]:
            return reduced, place.axes
        return reduced, tuple(a for k, a in enumerate(place.axes) if k not in node.attributes["axes"])
