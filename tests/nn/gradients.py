"""What the tests of every layer check: derivatives, batches, shapes, and the layer as text and as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import glassnet as gn
from glassnet import nn
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key, normal
from glassnet.core.shape import Shape
from glassnet.core.tree import tree_map
from glassnet.nn import Layer, Parameters, Run


def parameters_of(layer: Layer, in_shape: Shape, seed: int = 11) -> Parameters:
    """Parameters in float64, moved off the zeros and ones that they may start with."""
    rng = np.random.default_rng(seed)
    made = layer.init(Key(seed), in_shape, FLOAT64)
    return tree_map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), made)


def example_of(in_shape: Shape, seed: int = 12) -> np.ndarray:
    """One example in float64."""
    return normal(Key(seed), in_shape)


def passing(layer: Layer, in_shape: Shape, run: Run | None) -> Any:
    """The layer as a function of parameters and one example; every call has a record of its own."""
    run = Run(statistics=layer.init_statistics(in_shape, FLOAT64)) if run is None else run

    def output(parameters: Parameters, x: Any) -> Any:
        return layer(parameters, x, replace(run, record=replace(run.record, kept={}, seen={})))

    return output


def check_layer(layer: Layer, in_shape: Shape, run: Run | None = None, x: np.ndarray | None = None) -> None:
    """The gradient with respect to parameters and x, by complex step or Richardson differences, in float64.

    `x` takes the place of an example of normal numbers; indices stay as they are.
    """
    x = example_of(in_shape) if x is None else x
    output = passing(layer, in_shape, run)
    assert gn.check_grads(output, parameters_of(layer, in_shape), x, order=1).passed


def check_form(layer: Layer, in_shape: Shape, run: Run | None = None) -> None:
    """A batch is a loop, `output_shape` is true, the dtype stays, and the layer is its text and its data."""
    parameters, X = parameters_of(layer, in_shape), example_of((3, *in_shape))
    output = passing(layer, in_shape, run)
    one_by_one = np.stack([output(parameters, x) for x in X])
    batch = gn.vmap(output, in_axes=(None, 0))(parameters, X)
    np.testing.assert_allclose(batch, one_by_one, rtol=1e-12, atol=1e-14)
    assert one_by_one.shape[1:] == layer.output_shape(in_shape)
    single = output(tree_map(lambda leaf: leaf.astype(FLOAT32), parameters), X[0].astype(FLOAT32))
    assert single.dtype == FLOAT32
    assert from_document(to_document(layer, "x")) == layer
    assert eval(repr(layer), dict(vars(nn))) == layer
