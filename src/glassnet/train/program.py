"""The training step as one graph: forward, loss, backward and update, traced from pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import DType, NDArray
from glassnet.core.step import StepGraph
from glassnet.core.trace import placeholder
from glassnet.core.tree import flatten, unflatten
from glassnet.optim import Optimizer
from glassnet.train.composition import Composition, NestedParameters
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace


def build_step(
    composition: Composition,
    optimizer: Optimizer,
    parameters: NestedParameters,
    batch_size: int,
    x: NDArray,
    target: NDArray,
    dtype: DType,
) -> tuple[StepGraph, list[NDArray]]:
    """The step's graph for batches of these rows, and the carried arrays before the first step.

    The gradient is that of the mean divergence over the examples of the batch. Shapes: x (rows, ...),
    target (rows, ...); of both only shape and dtype are read.
    """
    leaves, structure = flatten((parameters, optimizer.init(parameters)))
    weighted = len(x) % batch_size != 0

    def step(carried: list[Any], x: Any, target: Any, weight: Any, count: Any, learning_rate: Any) -> Any:
        current, state = unflatten(structure, carried)

        def mean_loss(moving: NestedParameters) -> Any:
            total, weights = composition.loss_sum(moving, x, target, weight)
            return total / weights

        mean, gradients = value_and_grad(mean_loss)(current)
        total = mean * (gnp.sum(weight) if weight is not None else float(batch_size))
        return total, *flatten(optimizer.update(gradients, state, current, count, learning_rate))[0]

    names = [f"carried_{i}" for i in range(len(leaves))]
    names += ["x", "target", *(["weight"] if weighted else []), "step", "learning_rate"]
    graph, _ = trace(
        step,
        leaves,
        placeholder((batch_size, *x.shape[1:]), dtype),
        placeholder((batch_size, *target.shape[1:]), target.dtype),
        placeholder((batch_size,), dtype) if weighted else None,
        dtype.type(0),
        dtype.type(0),
        names=names,
    )
    carried = [np.array(leaf, dtype) for leaf in leaves]
    return StepGraph(graph, len(carried), batch_size, weighted), carried
