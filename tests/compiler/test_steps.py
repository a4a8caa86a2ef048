"""Training steps of every kind of network, run by the compiled program and by the reference, compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.epoch import CompiledRunner
from glassnet.core.random import Key
from glassnet.core.step import StepGraph, TrainingData
from glassnet.core.trace import placeholder
from glassnet.core.tree import tree_map
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.optim import Adam
from glassnet.transforms.tracing import trace

ROWS, BATCH, CLASSES = 20, 8, 3
Forward = Callable[[dict[str, Any], Any, Any], Any]  # parameters, one example, its key -> class scores


def dense(p: dict[str, Any], x: Any, key: Key) -> Any:
    h = gnp.tanh(p["w"] @ x + p["b"])
    return p["v"] @ (h * gn.random.dropout_mask(key, h.shape, 0.4, h.dtype))


def recurrent(p: dict[str, Any], x: Any, key: Key) -> Any:
    def cell(state: Any, row: Any) -> tuple[Any, Any]:
        h, c = state
        z = p["w"] @ row + p["u"] @ h + p["b"]
        i, f, g, o = (z[k * 5 : (k + 1) * 5] for k in range(4))
        c = gnp.sigmoid(f) * c + gnp.sigmoid(i) * gnp.tanh(g)
        h = gnp.sigmoid(o) * gnp.tanh(c)
        return (h, c), h

    zero = np.zeros(5, x.dtype)
    (h, _), outputs = gn.scan(cell, (zero, zero), x.reshape(4, 3))
    return p["v"] @ (h + outputs.mean(0))


def attentive(p: dict[str, Any], x: Any, key: Key) -> Any:
    x = x.reshape(4, 3) @ p["in"] + p["place"]
    centred = x - x.mean(-1, keepdims=True)
    y = centred / gnp.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * p["gain"]
    q, k, v = (gnp.einsum("pf,fhd->phd", y, p[name]) for name in "qkv")
    shares = gnp.softmax(gnp.einsum("phd,rhd->hpr", q, k) * 0.5)
    x = x + gnp.einsum("hpr,rhd->phd", shares, v).reshape(4, 6)
    return x.mean(0) @ p["out"]


def convolved(p: dict[str, Any], x: Any, key: Key) -> Any:
    y = gnp.conv(x.reshape(1, 3, 4), p["w"], padding="same") + p["b"]
    y = gnp.max_pool(gnp.leaky_relu(y, slope=0.1), 2, stride=1)
    return p["v"] @ y.reshape(24)


def embedded(p: dict[str, Any], x: Any, key: Key) -> Any:
    words = (abs(x) * 2.0).astype("int32")
    rows = gnp.take(p["table"], gnp.minimum(words, 6), axis=0)
    noise = gn.random.normal(key, rows.shape, std=0.1, dtype=rows.dtype)
    return p["v"] @ (rows + noise).max(0)


NETWORKS: dict[str, tuple[Forward, dict[str, tuple[int, ...]]]] = {
    "dense with dropout": (dense, {"w": (9, 12), "b": (9,), "v": (3, 9)}),
    "recurrent": (recurrent, {"w": (20, 3), "u": (20, 5), "b": (20,), "v": (3, 5)}),
    "attentive": (
        attentive,
        {
            "in": (3, 6),
            "place": (4, 6),
            "gain": (6,),
            "out": (6, 3),
            **dict.fromkeys("qkv", (6, 2, 3)),
        },
    ),
    "convolved": (convolved, {"w": (4, 1, 3, 3), "b": (4, 1, 1), "v": (3, 24)}),
    "embedded": (embedded, {"table": (7, 5), "v": (3, 5)}),
}


def runners(name: str, dtype: str, cpu: Any) -> tuple[CompiledRunner, ReferenceRunner, int]:
    forward, shapes = NETWORKS[name]
    rng = np.random.default_rng(0)
    parameters = {key: (0.5 * rng.standard_normal(shape)).astype(dtype) for key, shape in shapes.items()}
    x = rng.standard_normal((ROWS, 12)).astype(dtype)
    labels = rng.integers(0, CLASSES, ROWS).astype(np.int32)
    optimizer, number = Adam(0.01, epsilon=1e-3), np.dtype(dtype).type
    state = optimizer.init(parameters)

    def step(parameters: Any, state: Any, x: Any, labels: Any, weight: Any, count: Any, rate: Any) -> Any:
        def loss(parameters: Any) -> Any:
            def one(x: Any, label: Any, place: Any) -> Any:
                scores = forward(parameters, x, Key(7).at(count * 100.0 + place))
                return gnp.softmax_cross_entropy(scores, gnp.one_hot(label, CLASSES, scores.dtype))

            each = gn.vmap(one)(x, labels, np.arange(BATCH, dtype=dtype))
            return (each * weight).sum()

        total, gradient = gn.value_and_grad(loss)(parameters)
        steps, state = optimizer.update(gradient, state, parameters, count, rate)
        return total, tree_map(lambda w, s: w - s, parameters, steps), state

    batch = [
        placeholder(shape, np.dtype(kind)) for shape, kind in (((BATCH, 12), dtype), ((BATCH,), "int32"))
    ]
    graph, _ = trace(
        step, parameters, state, *batch, placeholder((BATCH,), np.dtype(dtype)), number(0), number(0)
    )
    carried = [np.asarray(leaf, dtype) for leaf in _leaves((parameters, state))]
    data = TrainingData((x, labels), Key(1))
    whole = StepGraph(graph, len(carried), 2, BATCH, True)
    return (
        CompiledRunner(whole, data, carried, 0.01, cpu),
        ReferenceRunner(whole, data, carried, 0.01),
        len(carried),
    )


def _leaves(tree: Any) -> list[Any]:
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (tuple, list)) else None
    return [tree] if parts is None else [leaf for part in parts for leaf in _leaves(part)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_as_the_reference_does(name, dtype, cpu):
    compiled, reference, count = runners(name, dtype, cpu)
    tolerance = 1e-9 if dtype == "float64" else 2e-4
    assert compiled.run(0, 3) == pytest.approx(reference.run(0, 3), rel=tolerance)
    for got, true in zip(compiled.read(count), reference.read(count), strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=tolerance * max(1.0, np.max(np.abs(true))))
