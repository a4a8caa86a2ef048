"""Where images lie: block by block of the batch, a block by channel, row and column, the batch innermost.

Each place holds one vector, an example a lane. Around a plane lie as many zeros as the convolutions that read
it reach beyond its edges; they are never written. A matrix (batch, features) that lies feature by feature is
an image too: its blocks are pieces of its lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glassnet.compiler.loop_ir import Buffer, Builder, Index, IndexLike
from glassnet.compiler.passes.image_ops import (
    FORWARD,
    IMAGES,
    REPEAT,
    RESULT,
    TO_IMAGES,
    TO_KERNEL,
    UNPOOL,
    is_image_result,
)
from glassnet.compiler.passes.layout import Storage, element_of
from glassnet.compiler.passes.values import Values
from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape

Margin = tuple[int, int, int, int]  # zeros above, below, left and right of a plane
_NONE = (0, 0, 0, 0)


def planes(shape: Shape) -> tuple[int, int, int]:
    """(channels, rows, columns) of an image's shape; a sequence is one row."""
    _, channels, *space = shape
    return (channels, 1, space[0]) if len(space) == 1 else (channels, space[0], space[1])


def lanes_for(batch: int, widest: int) -> int:
    """Examples in a block: as many as a vector has lanes, or the next power of two where there are fewer."""
    return min(widest, 1 << (batch - 1).bit_length())


@dataclass(frozen=True)
class Lanes:
    """An image in a buffer: the vector of (block, channel, row, column) lies at start + their strides."""

    buffer: Buffer
    start: int
    strides: tuple[int, int, int, int]
    extents: tuple[int, int, int]  # channels, rows, columns

    def at(self, block: IndexLike, channel: IndexLike, row: IndexLike, column: IndexLike) -> Index:
        """Where the vector lies; along an axis of extent 1 there is one place for all."""
        total = Index.of(self.start) + Index.of(block) * self.strides[0]
        places = zip(self.extents, self.strides[1:], (channel, row, column), strict=True)
        for extent, stride, place in places:
            if extent > 1:
                total = total + Index.of(place) * stride
        return total


@dataclass
class ImageStorage(Storage):
    """The memory of an image of the graph; `axes` are those of the array that is written into it."""

    image: Lanes = field(kw_only=True)
    batch: int = field(kw_only=True)
    lanes: int = field(kw_only=True)
    margin: Margin = field(kw_only=True)
    axes: tuple[int, ...] = field(kw_only=True)
    whole: Shape = field(kw_only=True)  # the shape of that array
    spills: bool = field(kw_only=True)  # whether there are places that are never written

    @property
    def persistent(self) -> bool:
        """Whether the memory must not be lent: its zeros are written once, before the first call."""
        return self.spills or any(self.margin)

    def write(self, flat: NDArray, array: NDArray) -> None:
        """Copies an array into the elements of the buffer."""
        whole = np.transpose(np.reshape(array, self.whole), self.axes)
        whole = np.reshape(whole, (self.batch, *self.image.extents))
        step = flat.itemsize
        for begin in range(0, self.batch, self.lanes):
            part = whole[begin : begin + self.lanes]
            first = self.image.start + begin // self.lanes * self.image.strides[0]
            strides = [step, *(stride * step for stride in self.image.strides[1:])]
            lying = np.lib.stride_tricks.as_strided(flat[first:], part.shape, strides)
            lying[...] = part


def image_storage(
    node: Node, margin: Margin, builder: Builder, name: str, lanes: int, blocks: int | None = None
) -> ImageStorage:
    """Fresh memory for an image, or for the array that is an image's entrance; `blocks` is all of them."""
    entrance = node.op is TO_IMAGES
    whole = node.attributes["shape"] if entrance else node.shape
    axes = node.attributes["axes"] if entrance else tuple(range(len(node.shape)))
    batch, (channels, rows, columns) = node.shape[0], planes(node.shape)
    above, below, left, right = margin
    extents = {"channel": channels, "row": above + rows + below, "column": left + columns + right}
    names = ["batch", "channel", "row", "column"] if len(whole) == 4 else ["batch", "channel", "column"]
    order = [
        names[axes.index(axis)] for axis in range(len(axes))
    ]  # as the array has them: it is read in runs
    order = [n for n in order if n != "batch"]
    if "row" not in order:
        order.insert(0, "row")
    strides: dict[str, int] = {}
    step = lanes
    for name_of_axis in reversed(order):
        strides[name_of_axis] = step
        step *= extents[name_of_axis]
    count = -(-batch // lanes) if blocks is None else blocks
    buffer = builder.buffer(name, element_of(node.dtype), count * step)
    start = above * strides["row"] + left * strides["column"]
    image = Lanes(
        buffer,
        start,
        (step if count > 1 else 0, strides["channel"], strides["row"], strides["column"]),
        (channels, rows, columns),
    )
    shape = (batch, channels * rows * columns)
    return ImageStorage(
        buffer,
        shape,
        lanes,
        image=image,
        batch=batch,
        lanes=lanes,
        margin=margin,
        axes=axes,
        whole=whole,
        spills=has_spills(node),
    )


def has_spills(node: Node) -> bool:
    """Whether some places of what goes back through a pool lie outside all windows."""
    if node.op is RESULT:
        node = node.inputs[0].attributes["body"].outputs[node.attributes["number"]]
    if node.op is not UNPOOL and node.op is not REPEAT:
        return False
    rank = len(node.attributes["window"])
    extents = node.inputs[0].shape[2:]
    covered = tuple(n * w for n, w in zip(extents, node.attributes["window"], strict=True))
    return covered != node.shape[len(node.shape) - rank :]


def matrix_image(storage: Storage, shape: Shape, axes: Sequence[int], lanes: int) -> Lanes:
    """The image transpose(reshape(m, shape), axes) of a matrix m that lies feature by feature."""
    assert storage.transposed  # the layout sees to that
    features: dict[int, int] = {}
    step = storage.line
    for axis in reversed(range(1, len(shape))):
        features[axis] = step
        step *= shape[axis]
    strides = [features[axis] for axis in axes[1:]]
    if len(strides) == 2:
        strides.insert(1, 0)
    extents = planes(tuple(shape[axis] for axis in axes))
    start = storage.start.constant
    return Lanes(storage.buffer, start, (lanes, strides[0], strides[1], strides[2]), extents)


def margins_within(body: Graph) -> dict[Node, Margin]:
    """How far the convolutions of a group reach beyond the edges of what they read."""
    result: dict[Node, Margin] = {}
    for node in body.nodes:
        if node.op.name != "convolution" or node.attributes["spec"] not in (FORWARD, TO_KERNEL):
            continue
        x, w = node.inputs
        low, extents = node.attributes["low"], node.attributes["extents"]
        taps = w.shape[len(w.shape) - len(low) :]
        space = x.shape[len(x.shape) - len(low) :]
        reach = [
            (before, max(0, count + window - 1 - before - extent))
            for before, count, window, extent in zip(low, extents, taps, space, strict=True)
        ]
        (above, below), (left, right) = reach if len(reach) == 2 else [(0, 0), *reach]
        result[x] = _larger(result.get(x, _NONE), (above, below, left, right))
    return result


def margins_of(graph: Graph) -> dict[Node, Margin]:
    """The zeros around every image that lies in memory between groups."""
    result: dict[Node, Margin] = {}
    within = {node: margins_within(node.attributes["body"]) for node in graph.nodes if node.op is IMAGES}

    def add(node: Node, margin: Margin | None) -> None:
        result[node] = _larger(result.get(node, _NONE), margin or _NONE)

    for group, inside in within.items():
        for outer, given in zip(group.inputs, group.attributes["body"].inputs, strict=True):
            add(outer, inside.get(given))
    for node in graph.nodes:
        if node.op is RESULT:
            group = node.inputs[0]
            made = group.attributes["body"].outputs[node.attributes["number"]]
            add(node, within[group].get(made))
    return result


def _larger(one: Margin, other: Margin) -> Margin:
    above, below, left, right = map(max, one, other)
    return above, below, left, right


def plan_images(
    graph: Graph, values: Values, builder: Builder, widest: Mapping[str, int]
) -> dict[Node, Storage]:
    """The memory of the images that lie between groups, and of the inputs that are read as images alone."""
    margins = margins_of(graph)
    floats = {node.dtype for node in graph.nodes if is_image_result(node) or node.op is TO_IMAGES}
    most = min((widest[element_of(dtype)] for dtype in floats if dtype.kind == "f"), default=1)
    result: dict[Node, Storage] = {}
    for node in (*graph.inputs, *graph.nodes):
        entrance = values.entrances.get(node)
        lies = entrance or (node.op is TO_IMAGES and values.base(node) is node) or is_image_result(node)
        if lies:
            image = entrance or node
            lanes = lanes_for(image.shape[0], most)
            name = f"{node.op.name}_{builder.unique()}"
            result[node] = image_storage(image, margins.get(image, _NONE), builder, name, lanes)
    return result
