"""vmap: a function of one example becomes a function of a batch, op by op.

The function is traced once on an example of which only the shape is known. Then every node that depends on
the example is applied again with a leading batch axis: elementwise ops align their ranks, the others say in
their declaration how their attributes shift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glassnet.core.graph import Graph, Node
from glassnet.core.op import Enclosing
from glassnet.core.trace import Array, as_array, placeholder, release, tracing
from glassnet.core.tree import Structure, flatten, leaf_count, unflatten
from glassnet.errors import ShapeError
from glassnet.ops.shaping import broadcast_to, reshape, transpose
from glassnet.transforms.tracing import replay


def batch_node(node: Node, inputs: Sequence[Array], batched: Sequence[bool]) -> Array:
    """One node's op applied to inputs of which those flagged carry a leading batch axis."""
    if isinstance(node.op.derivative, Enclosing):
        return node.op.derivative.batch(batch_graph, inputs, batched, node.attributes)
    if node.op.batch is not None:
        return node.op.batch(inputs, batched, node.attributes)
    rank = len(node.shape)
    aligned: list[Array] = []
    for x, flag, example in zip(inputs, batched, node.inputs, strict=True):
        missing = rank - len(example.shape)
        if flag and missing:
            x = reshape(x, (x.shape[0], *(1,) * missing, *example.shape))
        aligned.append(x)
    return node.op(*aligned, **node.attributes)


def batch(outputs: Sequence[Node], examples: Mapping[Node, Array]) -> list[Array]:
    """`outputs` with a leading axis, given the batches that stand for the nodes in `examples`.

    What does not depend on an example is repeated along the new axis.
    """
    extent = next(iter(examples.values())).shape[0]
    known = replay(outputs, examples, batch_node)
    return [
        known[node] if node in known else broadcast_to(Array(node), (extent, *node.shape)) for node in outputs
    ]


def batch_graph(graph: Graph, batched: Sequence[bool], extent: int) -> Graph:
    """A graph of batches: the inputs flagged in `batched` and all outputs gain a leading axis."""
    with tracing():
        pairs = zip(graph.inputs, batched, strict=True)
        examples = {x: placeholder((extent, *x.shape), x.dtype) for x, flag in pairs if flag}
        outputs = [as_array(x).node for x in batch(graph.outputs, examples)]
    return Graph.of((examples[x].node if x in examples else x for x in graph.inputs), outputs)


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """`f`, which takes one example, as a function of a batch of examples.

    vmap(f)(X)[i] = f(X[i]). `in_axes` is one axis for all arguments or a tuple with one entry an argument;
    None holds an argument fixed for the whole batch. An entry applies to every array of its argument, or is
    itself a tree with an entry for each part; arguments given by name have axis 0. `out_axes` is one axis
    for all results, or a tree of them in the same way.
    Inside `f` the example has a shape but no value: use where(...) instead of `if`.

    Raises ShapeError when the batch sizes differ or no argument has a batch axis.

    >>> vmap(lambda w, x: (w * x).sum(), in_axes=(None, 0))(np.array([1.0, 2.0]), np.eye(2))
    array([1., 2.])

    Source: Bradbury et al., JAX (2018), the transform of that name.
    """

    listed = isinstance(in_axes, (tuple, list))

    @wraps(f)
    def batched(*args: Any, **kwargs: Any) -> Any:
        axes: tuple[int | None, ...] = tuple(in_axes) if listed else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ShapeError(f"vmap got {len(args)} arguments and in_axes for {len(axes)}.")
        with tracing():
            examples: dict[Node, Array] = {}
            call: list[Any] = []
            for argument, axis in zip((*args, kwargs), (*axes, 0), strict=True):
                leaves, structure = flatten(argument)
                pairs = zip(leaves, _spread_axes(axis, structure, "in_axes"), strict=True)
                call.append(unflatten(structure, [_example(leaf, i, examples) for leaf, i in pairs]))
            extents = {x.shape[0] for x in examples.values()}
            if len(extents) != 1:
                found = sorted(extents) if extents else "none"
                raise ShapeError(f"vmap needs one batch size for all arguments; it found {found}.")
            leaves, structure = flatten(f(*call[:-1], **call[-1]))
            batches = batch([as_array(leaf).node for leaf in leaves], examples)
            pairs = zip(batches, _spread_axes(out_axes, structure, "out_axes"), strict=True)
            results = [_move_first(x, axis) for x, axis in pairs]
        return unflatten(structure, [release(x) for x in results])

    return batched


def _spread_axes(axes: Any, structure: Structure, name: str) -> list[int | None]:
    """One axis for each leaf, of axes that are given for whole parts of the tree."""
    if axes is None or isinstance(axes, int):
        return [axes] * leaf_count(structure)
    _, own = flatten(axes)
    parts: Any = axes
    if own.kind == "dict" and set(own.keys) == set(structure.keys):
        parts = [axes[key] for key in structure.keys]
    elif own.kind not in ("tuple", "list") or len(own.children) != len(structure.children):
        raise ShapeError(
            f"{name} of vmap holds axes (whole numbers or None) or trees of them that fit the arrays; "
            f"it got {axes!r}."
        )
    pairs = zip(parts, structure.children, strict=True)
    return [axis for part, child in pairs for axis in _spread_axes(part, child, name)]


def _example(leaf: Any, axis: int | None, examples: dict[Node, Array]) -> Any:
    if axis is None:
        return leaf
    x = as_array(leaf)
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"vmap got axis {axis} for an array of shape {x.shape}.")
    axis %= x.ndim
    order = (axis, *(i for i in range(x.ndim) if i != axis))
    moved = transpose(x, order)
    example = placeholder(moved.shape[1:], moved.dtype)
    examples[example.node] = moved
    return example


def _move_first(x: Array, axis: int | None) -> Array:
    if axis is None or not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"vmap got out_axes={axis} for a batch of results of shape {x.shape}.")
    axis %= x.ndim
    order = tuple(int(i) for i in np.insert(np.arange(1, x.ndim), axis, 0))
    return transpose(x, order)
