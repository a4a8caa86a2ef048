"""Convolution and pooling in native code, with their gradients, for every geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.function import compile_graph
from glassnet.compiler.program import prepare
from glassnet.errors import ShapeError
from glassnet.interpret.reference import interpret
from glassnet.transforms.tracing import trace

examples = settings(max_examples=25, derandomize=True, database=None, deadline=None)


def agree(function: Any, inputs: list[Any], cpu: Any = None, tolerance: float = 1e-11) -> None:
    graph, _ = trace(function, *inputs)
    expected = interpret(graph, inputs)
    native = compile_graph(graph, cpu)
    for results in (native(inputs), native(inputs), interpret(prepare(graph), inputs)):
        for got, true in zip(results, expected, strict=True):
            scale = max(1.0, np.max(np.abs(true)))
            np.testing.assert_allclose(got, true, rtol=0, atol=tolerance * scale)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))
    axes = [draw(st.tuples(*(st.integers(low, high) for low, high in limits))) for _ in range(rank)]
    return {
        "space": tuple(axis[0] for axis in axes),
        "taps": tuple(axis[1] for axis in axes),
        "stride": tuple(axis[2] for axis in axes),
        "dilation": tuple(axis[3] for axis in axes),
        "padding": [(axis[4], axis[5]) for axis in axes],
        "channels": draw(st.integers(1, 4)),
        "outputs": draw(st.integers(1, 6)),
        "batch": draw(st.integers(1, 3)),
    }


limits = ((1, 19), (1, 5), (1, 3), (1, 2), (0, 2), (0, 2))


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@examples
@given(geometries(), st.integers(0, 2))
def test_convolutions_and_their_gradients(cpus, geometry, tier):
    g = geometry
    x = drawn(0, g["batch"], g["channels"], *g["space"])
    w = drawn(1, g["outputs"], g["channels"], *g["taps"])
    options = {name: g[name] for name in ("stride", "padding", "dilation")}

    def total(x: Any, w: Any) -> Any:
        y = gn.vmap(lambda x: gnp.conv(x, w, **options))(x)
        return (y * y).sum()

    try:
        agree(gn.value_and_grad(total, wrt=(0, 1)), [x, w], cpus[tier % len(cpus)])
    except ShapeError:
        return


@examples
@given(geometries(), st.integers(0, 2))
def test_pools_and_their_gradients(cpus, geometry, tier):
    g = geometry
    x = drawn(0, g["batch"], g["channels"], *g["space"])
    options = {name: g[name] for name in ("stride", "padding", "dilation")}

    def total(x: Any) -> Any:
        largest = gn.vmap(lambda x: gnp.max_pool(x, g["taps"], **options))(x)
        mean = gn.vmap(lambda x: gnp.avg_pool(x, g["taps"], **options))(x)
        finite = gnp.where(largest > -100.0, largest, 0.0)  # a window may lie in the padding alone
        return (finite * finite).sum() + (mean * mean).sum()

    try:
        agree(gn.value_and_grad(total), [x], cpus[tier % len(cpus)])
    except ShapeError:
        return


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_convolutional_network(dtype, cpu):
    shapes = [(6, 1, 5, 5), (6, 1, 1), (8, 6, 3, 3), (8, 1, 1), (10, 72), (10,)]
    parameters = [0.3 * drawn(k, *shape).astype(dtype) for k, shape in enumerate(shapes)]
    x, labels = drawn(9, 4, 1, 14, 14).astype(dtype), np.array([3, 1, 9, 0], np.int32)

    def loss(parameters: Any, x: Any, labels: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = parameters

        def one(x: Any, label: Any) -> Any:
            y = gnp.max_pool(gnp.relu(gnp.conv(x, w1, padding="same") + b1), 2)
            y = gnp.avg_pool(gnp.relu(gnp.conv(y, w2) + b2), 3, stride=1)
            z = w3 @ y.reshape(72) + b3
            return gnp.softmax_cross_entropy(z, gnp.one_hot(label, 10, z.dtype))

        return gn.vmap(one)(x, labels).mean()

    graph, _ = trace(gn.value_and_grad(loss), parameters, x, labels)
    inputs = [*parameters, x, labels]
    results = compile_graph(graph, cpu)(inputs)
    tolerance = 1e-11 if dtype == "float64" else 1e-5
    for got, true in zip(results, interpret(graph, inputs), strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=tolerance * max(1.0, np.max(np.abs(true))))


@pytest.mark.parametrize(
    "function",
    [
        # a part of an input, of a product and of a flattened image, the first two read as images
        lambda x, m, k: gn.vmap(gnp.conv, in_axes=(0, None))(x[:, 16:].reshape(6, 2, 6, 6), k[2:6]),
        lambda x, m, k: gn.vmap(gnp.conv, in_axes=(0, None))((x @ m)[:, 16:].reshape(6, 2, 6, 6), k),
        lambda x, m, k: (
            gn.vmap(gnp.conv, in_axes=(0, None))(x[:, 16:].reshape(6, 2, 6, 6), k).reshape(6, 128)[
                1:5, 16:104
            ]
            @ m
        ),
    ],
)
def test_images_beside_slices_that_are_read_where_they_lie(function, cpu):
    x, m, k = drawn(0, 6, 88), drawn(1, 88, 88), drawn(2, 8, 2, 3, 3)
    loss = gn.value_and_grad(lambda operands: gnp.square(function(*operands)).sum())
    agree(lambda *operands: loss(operands), [x, m, k], cpu, tolerance=1e-10)
