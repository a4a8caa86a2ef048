"""The training step as one graph: forward, loss, backward and update, traced from pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import INT32, DType, NDArray
from glassnet.core.shape import Shape
from glassnet.core.step import StepGraph
from glassnet.core.trace import placeholder
from glassnet.core.tree import Structure, flatten, unflatten
from glassnet.losses.loss import Loss
from glassnet.nn.layer import Layer
from glassnet.optim.optimizer import Optimizer
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace

NestedParameters = tuple[dict[str, Any], ...]


def forward(layers: Sequence[Layer], parameters: NestedParameters, x: Any) -> Any:
    """The network's output for one example x."""
    for layer, own in zip(layers, parameters, strict=True):
        x = layer(own, x)
    return x


def instance_loss(
    layers: Sequence[Layer], loss: Loss, outputs: int, dtype: DType
) -> Callable[[NestedParameters, Any, Any], Any]:
    """The divergence of one example as a function of (parameters, x, target).

    `layers` end in z where the loss contains the output activation. A target that is a whole number is a
    class label.
    """

    def divergence(parameters: NestedParameters, x: Any, target: Any) -> Any:
        if target.dtype.kind == "i":
            target = gnp.one_hot(target, outputs, dtype)
        return loss.divergence(forward(layers, parameters, x), target)

    return divergence


def loss_sum(
    divergence: Callable[[NestedParameters, Any, Any], Any],
    parameters: NestedParameters,
    x: Any,
    target: Any,
    weight: Any = None,
) -> tuple[Any, Any]:
    """The sum of the divergences of a batch, weighted if weights are given, and the sum of the weights."""
    each = vmap(divergence, in_axes=(None, 0, 0))(parameters, x, target)
    if weight is None:
        return gnp.sum(each), float(x.shape[0])
    return gnp.sum(each * weight), gnp.sum(weight)


def build_step(
    divergence: Callable[[NestedParameters, Any, Any], Any],
    optimizer: Optimizer,
    parameters: NestedParameters,
    batch_size: int,
    rows: int,
    x_shape: Shape,
    target: NDArray,
    dtype: DType,
) -> tuple[StepGraph, list[NDArray], Structure]:
    """The step's graph, the carried arrays before the first step, and the structure of what is carried.

    The gradient is that of the mean divergence over the examples of the batch.
    """
    carried_leaves, structure = flatten((parameters, optimizer.init(parameters)))
    weighted = rows % batch_size != 0
    target_dtype = INT32 if target.dtype.kind == "i" else dtype

    def step(carried: list[Any], x: Any, target: Any, weight: Any, count: Any, learning_rate: Any) -> Any:
        current, state = unflatten(structure, carried)

        def mean_loss(moving: NestedParameters) -> Any:
            total, weights = loss_sum(divergence, moving, x, target, weight)
            return total / weights

        mean, gradients = value_and_grad(mean_loss)(current)
        total = mean * (gnp.sum(weight) if weight is not None else float(batch_size))
        return total, *flatten(optimizer.update(gradients, state, current, count, learning_rate))[0]

    names = [f"carried_{i}" for i in range(len(carried_leaves))]
    names += ["x", "target", *(["weight"] if weighted else []), "step", "learning_rate"]
    graph, _ = trace(
        step,
        carried_leaves,
        placeholder((batch_size, *x_shape), dtype),
        placeholder((batch_size, *target.shape[1:]), target_dtype),
        placeholder((batch_size,), dtype) if weighted else None,
        dtype.type(0),
        dtype.type(0),
        names=names,
    )
    step_graph = StepGraph(graph, len(carried_leaves), batch_size, weighted)
    return step_graph, [np.array(leaf, dtype) for leaf in carried_leaves], structure
