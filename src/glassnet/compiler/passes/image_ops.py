"""The ops of images, which the compiler alone knows: pooling taken apart, and groups that run block by block.

An image here is a value of shape (batch, channels, *space) that lies with its batch innermost. Like all ops
these have values: the interpreter runs a graph that holds them.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from glassnet.compiler.passes.vocabulary import compiler_op
from glassnet.core.dtype import DType
from glassnet.core.graph import Graph, Node
from glassnet.core.shape import Shape
from glassnet.ops.windows import Sliding, overlap_add, read_windows


def place_dtype(dtype: DType) -> DType:
    """The whole numbers that fill as many bits as the dtype: one place a lane."""
    return np.dtype(np.int64 if dtype.itemsize == 8 else np.int32)


def _sliding(window: Shape, extents: Shape) -> Sliding:
    rank = len(window)
    return Sliding(extents, window, window, (1,) * rank, (0,) * rank)


def _seen(xp: Any, x: Any, window: Shape, extents: Shape) -> Any:
    """What windows side by side see: (..., *extents, taps)."""
    seen = read_windows(xp, x, _sliding(window, extents))
    return xp.reshape(seen, (*seen.shape[: x.ndim], -1))


def _pooled(x: Node, *, window: Shape, extents: Shape) -> tuple[Shape, DType]:
    return (*x.shape[: len(x.shape) - len(extents)], *extents), x.dtype


def _placed(x: Node, *, window: Shape, extents: Shape) -> tuple[Shape, DType]:
    return _pooled(x, window=window, extents=extents)[0], place_dtype(x.dtype)


def _spread(y: Node, *_: Node, window: Shape, space: Shape) -> tuple[Shape, DType]:
    return (*y.shape[: len(y.shape) - len(space)], *space), y.dtype


def _put_back(xp: Any, taps: Any, window: Shape, space: Shape) -> Any:
    """The transpose of `_seen`, from (taps, ..., *extents)."""
    rank = len(space)
    extents, lead = taps.shape[taps.ndim - rank :], taps.shape[1 : taps.ndim - rank]
    apart = xp.reshape(xp.moveaxis(taps, 0, len(lead)), (*lead, *window, *extents))
    return overlap_add(xp, apart, _sliding(window, extents), space)


def _unpooled(xp: Any, y: Any, place: Any, *, window: Shape, space: Shape) -> Any:
    taps = xp.reshape(xp.arange(int(np.prod(window))), (-1, *(1,) * y.ndim))
    return _put_back(xp, xp.where(place == taps, y, xp.zeros_like(y)), window, space)


def _repeated(xp: Any, y: Any, *, window: Shape, space: Shape) -> Any:
    return _put_back(xp, xp.broadcast_to(y, (int(np.prod(window)), *y.shape)), window, space)


# Windows lie side by side from the first element on: the largest of each, the number of the first tap that
# has it, and the sum. What no window sees is left out, and zero on the way back.
WINDOW_MAX = compiler_op(
    "window_max", lambda xp, x, **windows: xp.max(_seen(xp, x, **windows), axis=-1), _pooled
)
WINDOW_PLACE = compiler_op(
    "window_place",
    lambda xp, x, **windows: xp.astype(xp.argmax(_seen(xp, x, **windows), axis=-1), place_dtype(x.dtype)),
    _placed,
)
WINDOW_SUM = compiler_op(
    "window_sum", lambda xp, x, **windows: xp.sum(_seen(xp, x, **windows), axis=-1), _pooled
)
# unpool(y, place): y at that place of its window, 0 at the others; repeat(y): y at all places of its window.
UNPOOL = compiler_op("unpool", _unpooled, _spread)
REPEAT = compiler_op("repeat", _repeated, _spread)

# Any array whose first axis is the batch as an image: transpose(reshape(x, shape), axes).
TO_IMAGES = compiler_op(
    "to_images",
    lambda xp, x, *, shape, axes: xp.permute_dims(xp.reshape(x, shape), axes),
    lambda x, *, shape, axes: (tuple(shape[axis] for axis in axes), x.dtype),
)
# An image as a matrix (batch, all else): reshape(transpose(x, axes), (batch, ...)).
FROM_IMAGES = compiler_op(
    "from_images",
    lambda xp, x, *, axes: xp.reshape(xp.permute_dims(x, axes), (x.shape[0], -1)),
    lambda x, *, axes: ((x.shape[0], int(np.prod(x.shape[1:]))), x.dtype),
)


def _run(xp: Any, *inputs: Any, body: Graph) -> list[Any]:
    return body.evaluate(inputs, xp)


# A graph that runs block by block of its images, and the results of it, which are nodes of their own.
IMAGES = compiler_op("images", _run, lambda *inputs, body: ((), inputs[0].dtype))
RESULT = compiler_op(
    "images_result",
    lambda xp, results, *, number, shape, dtype: results[number],
    lambda x, *, number, shape, dtype: (shape, np.dtype(dtype)),
)


def result_of(group: Node, number: int) -> Node:
    """One result of a group."""
    made = group.attributes["body"].outputs[number]
    attributes = {"number": number, "shape": made.shape, "dtype": made.dtype.name}
    return Node(RESULT, (group,), attributes, made.shape, made.dtype, None, made.source)


def is_image_result(node: Node) -> bool:
    """Whether the node is a result that lies as an image."""
    return node.op is RESULT and _made(node) in images_of(node.inputs[0].attributes["body"])


def matrices_across(group: Node, results: Iterable[Node]) -> list[Node]:
    """The matrices (batch, features) that a group reads or makes as images: they lie feature by feature."""
    body = group.attributes["body"]
    read = {node.inputs[0] for node in body.nodes if node.op is TO_IMAGES}
    found = [outer for outer, given in zip(group.inputs, body.inputs, strict=True) if given in read]
    return found + [node for node in results if node.op is RESULT and _made(node).op is FROM_IMAGES]


def _made(result: Node) -> Node:
    return result.inputs[0].attributes["body"].outputs[result.attributes["number"]]


def images_of(graph: Graph) -> set[Node]:
    """The images of an arranged graph, or of the body of a group."""
    images: set[Node] = set()
    for node in (*graph.inputs, *graph.nodes):
        given = node.op.name == "input" and node.attributes.get("image")
        made_of_images = any(x in images for x in node.inputs)
        if node.op is TO_IMAGES or given or (made_of_images and not leaves_images(node)):
            images.add(node)
    return images


def leaves_images(node: Node) -> bool:
    """Whether an op takes images to an ordinary value: a matrix, a sum over the batch, a gradient."""
    if node.op is FROM_IMAGES or node.op is IMAGES:
        return True
    if node.op.name == "sum":
        return 0 in node.attributes["axes"]
    return node.op.name == "convolution" and node.attributes["spec"] == TO_KERNEL


# The products of a convolution's forward pass, of its way back to the input, and to the kernel.
FORWARD, TO_INPUT, TO_KERNEL = "bc,oc->bo", "bo,oc->bc", "bc,bo->oc"
