"""Products: turned, joined, made in the steps of a loop, and not made of rows that are all alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.function import compile_graph
from glassnet.compiler.passes import sink as sink_module
from glassnet.compiler.passes.expand import expand
from glassnet.compiler.passes.factor import factor
from glassnet.compiler.passes.flatten import flatten
from glassnet.compiler.passes.join import join
from glassnet.compiler.passes.simplify import simplify
from glassnet.compiler.passes.turn import turn
from glassnet.compiler.passes.vocabulary import LOOP
from glassnet.compiler.program import prepare
from glassnet.core.graph import Graph
from glassnet.interpret.reference import interpret
from glassnet.ops.matrix import contract
from glassnet.transforms.tracing import trace

RNG = np.random.default_rng(0)
X, H, W, B = (RNG.standard_normal(shape) for shape in ((5, 4, 6), (5, 4, 9), (9, 6), (9,)))


def ops(graph: Graph) -> str:
    """The names of its ops in order, without inputs and constants."""
    return " ".join(node.op.name for node in graph.nodes if node.op.name not in ("input", "constant"))


def same(changed: Graph, graph: Graph, inputs: list[Any]) -> None:
    """Asserts that both compute the same, and so does native code."""
    expected = interpret(graph, inputs)
    for results in (interpret(changed.verify(), inputs), compile_graph(graph)(inputs)):
        for got, true in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, true, rtol=1e-12, atol=1e-12)


def project(x: Any, w: Any) -> Any:
    return gnp.einsum("bpi,ui->bpu", x, w)


def spread(x: Any) -> Any:
    """(5, ...) -> (5, 4, ...), the same in every position."""
    return gnp.broadcast_to(x[:, None], (5, 4, *x.shape[1:]))


def products(graph: Graph) -> list[tuple[int, ...]]:
    """The shapes of its products."""
    return [node.shape for node in graph.nodes if node.op.name == "contract"]


# -- rows that are all alike, or only added up

FACTORED: list[tuple[Callable[..., Any], list[tuple[int, ...]]]] = [
    (lambda x, w: project(x, w).sum(1), [(5, 9)]),
    (lambda x, w: (project(x, w) + B).mean(1), [(5, 9)]),
    (lambda x, w: (project(x, w) + B + H).sum((0, 1)), [(9,)]),
    (lambda x, w: (project(x, w) + H[:, :1]).sum(1), [(5, 9)]),
    (lambda x, w: project(spread(x[:, 0]), w), [(5, 9)]),
    (lambda x, w: gnp.einsum("bpu,bpi->ui", spread(H[:, 0]), x) @ w.T, [(9, 6), (9, 9)]),
    (lambda x, w: spread(x[:, 0]).sum((0, 1)) + w[0], []),
    # what somebody else reads is made as it was, and so is what has too few columns, or pairs the axis
    (lambda x, w: (project(x, w), project(x, w).sum(1)), [(5, 4, 9)]),
    (lambda x, w: project(x, w[:7]).sum(1), [(5, 4, 7)]),
    (lambda x, w: gnp.einsum("bpi,bqi->bpq", x, x).sum((0, 1)) + w[0, 0], [(5, 4, 4)]),
]


@pytest.mark.parametrize(("function", "expected"), FACTORED, ids=range(len(FACTORED)))
def test_products_are_not_made_of_rows_that_are_alike_or_only_added_up(function, expected):
    graph, _ = trace(function, X, W)
    after = simplify(factor(simplify(expand(graph))))
    assert products(after) == expected
    same(after, graph, [X, W])


def test_the_mean_over_positions_takes_three_products_of_few_rows():
    def loss(w: Any, v: Any) -> Any:
        return (gnp.tanh(project(gnp.tanh(project(X, w)), v).mean(1)) ** 2).sum()

    v = RNG.standard_normal((8, 9))
    graph, _ = trace(gn.grad(loss, wrt=(0, 1)), W, v)
    rows = [int(np.prod(shape[:-1])) for shape in products(simplify(factor(simplify(expand(graph)))))]
    assert sorted(rows) == [5, 5, 8, 9, 20]  # 20 for the inner projection alone; the gradients have 8 and 9
    same(factor(graph), graph, [W, v])


# -- transposes of products

TURNED: list[tuple[Callable[..., Any], str]] = [
    (lambda x, w: gnp.swapaxes(project(x, w), 0, 1), "contract"),
    (lambda x, w: gnp.swapaxes(project(x, w) + B, 0, 1), "contract add"),
    (lambda x, w: (x[0] @ w.T).T, "getitem reshape contract"),
    (lambda x, w: gnp.swapaxes(project(x, w) + B, 1, 2), "contract add transpose"),  # b runs along the last
    (lambda x, w: gnp.swapaxes(project(x, w[:2]), 0, 1), "getitem contract transpose"),  # x is the larger
]


@pytest.mark.parametrize(("function", "expected"), TURNED, ids=range(len(TURNED)))
def test_the_transpose_of_a_product_is_a_product(function, expected):
    graph, _ = trace(function, X, W)
    after = turn(simplify(graph))
    assert ops(after) == expected
    same(after, graph, [X, W])


def test_a_transpose_of_a_product_that_others_read_is_a_copy():
    graph, _ = trace(lambda x, w: (project(x, w), gnp.swapaxes(project(x, w), 0, 1)), X, W)
    after = turn(simplify(graph))
    assert ops(after) == "contract transpose"
    same(after, graph, [X, W])


def test_a_stack_of_products_keeps_its_order():
    graph, _ = trace(lambda x: gnp.swapaxes(contract(x, x, "bpi,bqi->bpq"), 0, 1), X)
    assert ops(turn(simplify(graph))) == "contract transpose"


def test_an_update_follows_on_the_product_that_is_its_gradient():
    def total(w: Any, x: Any) -> Any:
        return gnp.tanh(x @ w.T).sum()

    graph, _ = trace(lambda w, x: w - 0.1 * gn.grad(total)(w, x), W, X[0])
    assert "transpose" not in ops(prepare(graph))
    same(prepare(graph), graph, [W, X[0]])


# -- sums of products


def joined(function: Callable[..., Any], *inputs: Any) -> Graph:
    graph, _ = trace(function, *inputs)
    after = join(simplify(flatten(simplify(expand(graph)))))
    same(after, graph, list(inputs))
    return after


def test_a_sum_of_products_is_one_product():
    x, h, r = X[0], H[0], RNG.standard_normal((9, 9))
    assert ops(joined(lambda x, h, w, r: x @ w.T + h @ r + B, x, h, W, r)).endswith("products add")
    assert ops(joined(lambda x, h, w, r: x @ w.T + (B + h @ r.T), x, h, W, r)).endswith("products add")
    three = joined(lambda x, h, w, r: x @ w.T + h @ r + gnp.tanh(h) @ r, x, h, W, r)
    assert len(three.outputs[0].inputs) == 6


def test_products_that_others_read_are_not_joined():
    def both(x: Any, h: Any, w: Any, r: Any) -> Any:
        product = x @ w.T
        return product + h @ r, gnp.tanh(product)

    assert "products" not in ops(joined(both, X[0], H[0], W, RNG.standard_normal((9, 9))))


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("columns", [2, 16, 70])
def test_joined_products_of_every_size_and_orientation(rows, columns, cpu):
    x, h = RNG.standard_normal((rows, 5)), RNG.standard_normal((7, rows))
    w, r = RNG.standard_normal((columns, 5)), RNG.standard_normal((7, columns))
    inputs = [x, w, h, r]
    graph, _ = trace(lambda x, w, h, r: gnp.tanh(0.1 * (x @ w.T + h.T @ r)), *inputs)
    expected = interpret(graph, inputs)[0]
    np.testing.assert_allclose(compile_graph(graph, cpu)(inputs)[0], expected, rtol=1e-11)
    single = [each.astype(np.float32) for each in inputs]
    graph, _ = trace(lambda x, w, h, r: gnp.tanh(0.1 * (x @ w.T + h.T @ r)), *single)
    np.testing.assert_allclose(compile_graph(graph, cpu)(single)[0], expected, rtol=1e-4, atol=1e-5)


# -- products that a loop makes itself


@pytest.fixture
def small_tables(monkeypatch):
    """Every table counts as large."""
    monkeypatch.setattr(sink_module, "_LARGE", 1)
    monkeypatch.setattr(sink_module, "_ROWS", 2)


def recurrent(bias: bool, order: str) -> Callable[..., Any]:
    """The last state of a recurrence whose projection is made before the loop."""

    def last(x: Any, w: Any, r: Any, b: Any) -> Any:
        z = gnp.einsum(order, x, w)
        z = z + b if bias else z
        return gn.scan(lambda h, row: (gnp.tanh(row + h @ r), None), np.zeros((4, 9)), z)[0]

    return last


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("order", ["tbi,ui->tbu", "bti,ui->tbu"])
def test_a_loop_makes_large_projections_itself(bias, order, small_tables, cpu):
    x = X if order.startswith("tb") else np.ascontiguousarray(X.swapaxes(0, 1))
    inputs = [x, W, RNG.standard_normal((9, 9)), B]
    graph, _ = trace(recurrent(bias, order), *inputs)
    prepared = prepare(graph)
    (loop,) = [node for node in prepared.nodes if node.op is LOOP]
    assert "contract" not in ops(prepared)
    assert ops(loop.attributes["body"]).split()[0] == "products"
    np.testing.assert_allclose(
        compile_graph(graph, cpu)(inputs)[0], interpret(graph, inputs)[0], rtol=1e-11, atol=1e-12
    )


def test_gradients_through_a_projection_in_the_loop(small_tables, cpu):
    inputs = [X, W, RNG.standard_normal((9, 9)), B]
    gradient = gn.grad(lambda *args: (recurrent(True, "tbi,ui->tbu")(*args) ** 2).sum(), wrt=(0, 1, 2, 3))
    graph, _ = trace(gradient, *inputs)
    for got, true in zip(compile_graph(graph, cpu)(inputs), interpret(graph, inputs), strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-10, atol=1e-10)


def test_a_small_projection_is_one_product_before_the_loop():
    graph, _ = trace(recurrent(True, "tbi,ui->tbu"), X, W, RNG.standard_normal((9, 9)), B)
    assert "contract" in ops(prepare(graph))


def test_a_projection_that_others_read_is_made_before_the_loop(small_tables):
    def both(x: Any, w: Any) -> Any:
        z = project(x, w)
        return gn.scan(lambda h, row: (h + row, None), np.zeros((4, 9)), z)[0], gnp.tanh(z)

    graph, _ = trace(both, X, W)
    assert "contract" in ops(prepare(graph))
    same(prepare(graph), graph, [X, W])
