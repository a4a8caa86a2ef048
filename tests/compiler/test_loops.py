"""Loops in native code: recurrences, forwards and backwards, and what leaves the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.function import compile_graph
from glassnet.compiler.passes.vocabulary import LOOP
from glassnet.compiler.program import prepare
from glassnet.core.graph import Graph, Node
from glassnet.core.registry import OPS
from glassnet.interpret.reference import interpret
from glassnet.transforms.tracing import trace

RNG = np.random.default_rng(0)


def array(*shape: int, dtype: str = "float64") -> np.ndarray:
    return (0.5 * RNG.standard_normal(shape)).astype(dtype)


def simple(h: Any, x: Any, w: Any, u: Any, b: Any) -> tuple[Any, Any]:
    h = gnp.tanh(w @ x + u @ h + b)
    return h, h


def lstm(state: Any, x: Any, w: Any, u: Any, b: Any) -> tuple[Any, Any]:
    h, c = state
    z = w @ x + u @ h + b
    units = h.shape[0]
    i, f, g, o = (z[k * units : (k + 1) * units] for k in range(4))
    c = gnp.sigmoid(f) * c + gnp.sigmoid(i) * gnp.tanh(g)
    h = gnp.sigmoid(o) * gnp.tanh(c)
    return (h, c), h


def gru(h: Any, x: Any, w: Any, u: Any, b: Any) -> tuple[Any, Any]:
    units = h.shape[0]
    z, own = w @ x + b, u @ h
    update = gnp.sigmoid(z[:units] + own[:units])
    reset = gnp.sigmoid(z[units : 2 * units] + own[units : 2 * units])
    new = gnp.tanh(z[2 * units :] + reset * own[2 * units :])
    h = update * h + (1.0 - update) * new
    return h, h


CELLS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "simple": (simple, 1, 1),
    "lstm": (lstm, 4, 2),
    "gru": (gru, 3, 1),
}


def network(name: str, units: int) -> Callable[..., Any]:
    """The loss of a recurrent layer on a batch of sequences (batch, steps, features)."""
    cell, _, states = CELLS[name]

    def one(w: Any, u: Any, b: Any, x: Any) -> Any:
        zero = np.zeros(units, w.dtype)
        init = zero if states == 1 else (zero, zero)
        last, outputs = gn.scan(lambda state, row: cell(state, row, w, u, b), init, x)
        h = last if states == 1 else last[0]
        return (h * h).sum() + (outputs[:, 0] * 0.5).sum()

    return lambda w, u, b, x: gn.vmap(one, (None, None, None, 0))(w, u, b, x).sum()


def weights(name: str, units: int, inputs: int, dtype: str) -> list[np.ndarray]:
    gates = CELLS[name][1]
    return [
        array(gates * units, inputs, dtype=dtype),
        array(gates * units, units, dtype=dtype),
        array(gates * units, dtype=dtype),
    ]


def agree(
    function: Callable[..., Any], inputs: list[Any], cpu: Any = None, tolerance: float = 1e-11
) -> Graph:
    graph, _ = trace(function, *inputs)
    native, expected = compile_graph(graph, cpu), interpret(graph, inputs)
    for _ in range(2):  # the arena keeps what the first call left
        for got, true in zip(native(inputs), expected, strict=True):
            assert (got.shape, got.dtype) == (np.shape(true), true.dtype)
            scale = max(1.0, np.max(np.abs(true)))
            np.testing.assert_allclose(got, true, rtol=0, atol=tolerance * scale)
    prepared = prepare(graph)
    for got, true in zip(interpret(prepared, inputs), expected, strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=tolerance * max(1.0, np.max(np.abs(true))))
    return prepared


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("units", "inputs", "steps", "batch"), [(5, 3, 7, 4), (16, 8, 3, 2), (1, 1, 2, 1), (20, 17, 1, 9)]
)
@pytest.mark.parametrize("name", CELLS)
def test_recurrent_layers_and_their_gradients(name, units, inputs, steps, batch, dtype, cpu):
    parameters = weights(name, units, inputs, dtype)
    x = array(batch, steps, inputs, dtype=dtype)
    gradient = gn.value_and_grad(network(name, units), wrt=(0, 1, 2))
    agree(gradient, [*parameters, x], cpu, 1e-11 if dtype == "float64" else 1e-4)


def loops(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op is LOOP]


@pytest.mark.parametrize("name", CELLS)
def test_gradients_of_weights_are_products_over_time_behind_the_loop(name):
    parameters = weights(name, 5, 3, "float64")
    prepared = agree(gn.grad(network(name, 5), wrt=(0, 1, 2)), [*parameters, array(4, 6, 3)])
    forward, backward = loops(prepared)
    assert not forward.attributes["reverse"]
    assert backward.attributes["reverse"]
    assert backward.attributes["carries"] == CELLS[name][2]
    shapes = {parameter.shape for parameter in parameters}
    assert not shapes & {
        node.shape for node in backward.attributes["body"].nodes if node.op.name == "contract"
    }


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x: gn.scan(lambda c, row: (c + row, c * row), 0.0, x), [array(5)]),
        (lambda x: gn.scan(lambda c, row: (c + row, c * row), 0.0, x, reverse=True), [array(5)]),
        (
            lambda x, y: gn.scan(lambda c, rows: (c * rows[0] + rows[1], None), np.ones((3, 4)), (x, y)),
            [array(6, 3, 4), array(6, 4)],
        ),
        (
            lambda x: gn.scan(lambda c, row: ((c[1], c[0] + row), row), (np.zeros(2), np.ones(2)), x),
            [array(7, 2)],
        ),
        (lambda x: gn.scan(lambda c, row: (c, row * c), np.full((2, 1), 3.0), x), [array(4, 2, 1)]),
        (lambda x: gn.scan(lambda c, _: (c * 0.5 + x, c.sum()), x, None, length=6), [array(3, 2, 5)]),
        (lambda x: gn.scan(lambda i, row: (i + 1, row * i), 0, x), [array(5, 3)]),
        (lambda x: gn.scan(lambda c, row: (c, x[0]), 1.0, x), [array(5, 3)]),
        (
            lambda x: gn.scan(lambda c, row: (gn.scan(lambda d, e: (d * e, d), c, row)[0], c), np.ones(3), x),
            [array(4, 2, 3)],
        ),
        (
            lambda x: gn.scan(
                lambda c, row: (c @ c.T * 0.1 + row, c[:, ::-1] + np.arange(3.0)), np.eye(3), x
            ),
            [array(4, 3, 3)],
        ),
        (
            lambda x: gn.scan(
                lambda c, row: (c + gnp.take(x, row, 0), row), np.zeros(2), np.array([2, 0, -1])
            ),
            [array(5, 2)],
        ),
        (lambda x: gn.scan(lambda c, row: (c, row), 1.0, x)[1], [array(1, 3)]),
    ],
    ids=range(12),
)
def test_loops_of_every_kind(function, inputs, cpu):
    agree(function, inputs, cpu)
    agree(gn.grad(lambda *xs: sum((part * part).sum() for part in _leaves(function(*xs)))), inputs, cpu)


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [] if tree is None or tree.dtype.kind != "f" else [tree]


def test_second_derivatives_of_a_loop():
    def total(w: Any, x: Any) -> Any:
        return gn.scan(lambda h, row: (gnp.tanh(w * h + row), None), np.zeros(3), x)[0].sum()

    agree(gn.hessian(total), [array(3), array(4, 3)])
    agree(lambda w, x: gn.jvp(lambda w: total(w, x), (w,), (w,)), [array(3), array(4, 3)])


def test_a_checkpoint_is_computed_in_its_place():
    def total(w: Any, x: Any) -> Any:
        return gn.checkpoint(lambda x: gnp.tanh(w @ x) * x)(x).sum()

    prepared = agree(gn.value_and_grad(total), [array(4, 4), array(4)])
    assert sum(node.op.name == "tanh" for node in prepared.nodes) == 1


def bodies(graph: Graph) -> list[set[str]]:
    """The ops in the bodies of its loops."""
    return [{node.op.name for node in loop.attributes["body"].nodes} for loop in loops(graph)]


def test_what_every_step_would_make_alike_is_made_before_the_loop():
    def total(w: Any, x: Any) -> Any:
        return gn.scan(lambda h, row: (gnp.tanh(h * gnp.exp(w).T[0] + row), None), np.zeros(3), x)[0].sum()

    prepared = agree(gn.value_and_grad(total, wrt=(0, 1)), [array(3, 3), array(4, 3)])
    assert not any("exp" in body for body in bodies(prepared))
    assert sum(node.op.name == "exp" for node in prepared.nodes) == 1


def test_the_gradient_of_a_last_row_is_where_the_backward_loop_begins():
    def last(w: Any, x: Any) -> Any:
        return gn.scan(lambda h, row: 2 * (gnp.tanh(w * h + row),), np.zeros(3), x)[1][-1].sum()

    prepared = agree(gn.grad(last), [array(3), array(4, 3)])
    assert all(node.op.name != "scatter" for node in prepared.nodes)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_gradient_of_any_row_reaches_all_before_it(place, cpu):
    def one(w: Any, x: Any) -> Any:
        return (
            gn.scan(lambda h, row: 2 * (gnp.tanh(w * h + row),), w, x, reverse=place == 1)[1][place] ** 2
        ).sum()

    agree(gn.grad(one, wrt=(0, 1)), [array(3), array(4, 3)], cpu)


def test_a_row_that_is_added_and_read_elsewhere_stays_a_row(cpu):
    def function(x: Any, y: Any) -> Any:
        rows = OPS["scatter"](y, index=(slice(0, 1), slice(0, 3)), shape=(4, 3))
        return gn.scan(lambda c, row: (c + row[0] + row[1], row[0] * row[1]), x[0], (rows, x))

    agree(function, [array(4, 3), array(1, 3)], cpu)


def test_states_that_are_asked_for_begin_where_the_loop_does(cpu):
    def function(x: Any, y: Any) -> Any:
        rows = OPS["scatter"](y, index=(slice(0, 1), slice(0, 3)), shape=(4, 3))
        return gn.scan(lambda c, row: (gnp.tanh(c + row), c), x[0], rows)

    agree(function, [array(4, 3), array(1, 3)], cpu)
    agree(
        gn.grad(lambda x, y: sum((part**2).sum() for part in function(x, y)), wrt=(0, 1)),
        [array(4, 3), array(1, 3)],
        cpu,
    )


def test_gates_are_handed_out_once_and_written_in_their_places():
    parameters = weights("lstm", 16, 8, "float32")
    prepared = agree(
        gn.grad(network("lstm", 16), wrt=(0, 1, 2)),
        [*parameters, array(4, 6, 8, dtype="float32")],
        None,
        1e-4,
    )
    outputs = [loop.attributes["body"].outputs for loop in loops(prepared)]
    assert all(len(set(each)) == len(each) for each in outputs)
