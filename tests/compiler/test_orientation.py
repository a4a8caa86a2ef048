"""Which way matrices lie: any way gives the same numbers, and the way that is chosen saves work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import glassnet.numpy as gnp
from glassnet.compiler.cpu import host_cpu
from glassnet.compiler.function import compile_graph
from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.passes import orientation
from glassnet.compiler.passes.orientation import Orientation
from glassnet.compiler.program import Plan, plan_graph
from glassnet.core.step import StepGraph
from glassnet.interpret.reference import interpret
from glassnet.ops.comparison import one_hot
from glassnet.optim import SGD, Adam
from glassnet.transforms.tracing import trace

examples = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def ways(monkeypatch) -> dict[str, Any]:
    """Turns every class that may be turned by the toss of a coin; the seed is set by the test."""
    chosen: dict[str, Any] = {"seed": 0, "turned": 0}

    def toss(self: Orientation) -> None:
        rng = np.random.default_rng(chosen["seed"])
        for node in orientation._Neighbours(self).kernels:  # the free classes
            self._ways[node] = bool(rng.integers(2))
            chosen["turned"] += self._ways[node]

    monkeypatch.setattr(Orientation, "_improve", toss)
    monkeypatch.setattr(orientation, "_met_outside", lambda values, same_memory: set())
    return chosen


# -- any way


@examples
@given(
    units=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    loss=st.sampled_from([("half_squared_error", False), ("cross_entropy", False), ("cross_entropy", True)]),
    activations=st.lists(st.sampled_from(["tanh", "relu", "softmax"]), min_size=1, max_size=3),
    batch_size=st.integers(2, 40),
    seed=st.integers(0, 2**20),
)
def test_training_gives_the_same_numbers_whichever_way_matrices_lie(
    training, cpus, ways, units, loss, activations, batch_size, seed
):
    ways["seed"] = seed
    run = training(
        units,
        activations=activations,
        loss=loss[0],
        labels=loss[1],
        optimizer=Adam(0.01, epsilon=1e-3) if seed % 2 else SGD(0.02),
        batch_size=batch_size,
        rows=41,
        seed=seed,
    )
    compiled, reference = run.compiled(cpus[seed % len(cpus)]), run.reference()
    assert compiled.run(0, 2) == pytest.approx(reference.run(0, 2), rel=1e-10, abs=1e-13)
    count = len(run.carried)
    for got, true in zip(compiled.read(count), reference.read(count), strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=1e-10 * max(1e-3, np.max(np.abs(true))))


LABELS = np.arange(19, dtype=np.int32) * 5 % 7
FUNCTIONS = {
    "sums along rows": lambda x, y: (x * y).sum(axis=1),
    "sums over rows": lambda x, y: gnp.exp(x * y).sum(axis=0),
    "means removed": lambda x, y: (x - x.mean(axis=1, keepdims=True)) * (y - y.mean(axis=0)),
    "softmax": lambda x, y: gnp.softmax(x) @ y.T,
    "two reductions of a row": lambda x, y: (
        x * (x.sum(axis=1, keepdims=True) + gnp.max(y, axis=1, keepdims=True))
    ),
    "labels": lambda x, y: (gnp.log(gnp.softmax(x)) * one_hot(LABELS, 7, np.dtype(np.float64))).sum(axis=1),
    "a mask": lambda x, y: gnp.where(x > y, x, 0.0).sum(axis=1),
    "a column with lines of its own": lambda x, y: (x * (x @ y.T)[:, :1]).sum(axis=1, keepdims=True) * y,
    "a bias on either side": lambda x, y: (x @ y.T + x[:, 0]) @ (x @ y.T + y[:, :1]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_the_same_numbers_whichever_way_matrices_lie(ways, cpu, name):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 19, 7))
    graph, _ = trace(FUNCTIONS[name], x, y)
    (expected,) = interpret(graph, [x, y])
    for seed in range(6):
        ways["seed"] = seed
        (got,) = compile_graph(graph, cpu)([x, y])
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_the_coin_turns_sums_along_rows(ways):
    x = np.ones((19, 7))
    graph, _ = trace(lambda x: gnp.softmax(gnp.tanh(x) * 2.0), x)
    for ways["seed"] in range(4):
        compile_graph(graph)
    assert ways["turned"]


# -- the chosen way


def planned(step: StepGraph) -> Plan:
    batch = range(step.carried, len(step.graph.inputs))
    overwrites = {1 + i: i for i in range(step.carried)}
    return plan_graph(step.graph, Builder("step"), host_cpu(), fixed=batch, overwrites=overwrites)


def copied(plan: Plan) -> list[tuple[int, int]]:
    """The shapes of what is copied the other way round."""
    return [storage.shape for storage in plan.layout.copies.values()]


def test_few_classes_of_many_rows_lie_in_lanes_along_the_rows(training):
    run = training(
        [64, 32, 10],
        activations=["relu"],
        loss="cross_entropy",
        labels=True,
        batch_size=32,
        rows=64,
        dtype="float32",
    )
    plan = planned(run.step)
    (softmax,) = [kernel for kernel in plan.kernels if kernel.kind == "rows" and kernel.space == (32, 10)]
    matrices = [node for node in softmax.writes if node.shape == (32, 10)]
    assert matrices
    assert all(plan.layout.storages[node].transposed for node in matrices)


def test_the_smaller_operand_of_a_layer_is_copied(training):
    # The products of the second layer want one copy: of its weights, or of what goes in or out.
    run = training([40, 300, 200, 90], loss="half_squared_error", batch_size=32, rows=64, dtype="float32")
    plan = planned(run.step)
    assert copied(plan)
    assert all(rows * columns <= 32 * 300 for rows, columns in copied(plan))


def test_the_first_layer_needs_no_copy(training):
    run = training([40, 50], loss="half_squared_error", batch_size=64, rows=64, dtype="float32")
    assert copied(planned(run.step)) == []


def test_what_comes_from_outside_is_not_turned():
    x, w = np.ones((64, 3), np.float32), np.ones((3, 5), np.float32)
    graph, _ = trace(lambda x, w: gnp.softmax(x @ w), x, w)
    plan = plan_graph(graph, Builder("graph"), host_cpu())
    assert not any(plan.storage(node).transposed for node in (*graph.inputs[:1], *plan.graph.outputs))


def test_what_fills_no_vector_is_left_alone(training):
    # Four rows of two units are as short either way; turned, their sums would only cost more instructions.
    run = training([2, 2, 1], batch_size=4, rows=4, shuffled=False, dtype="float32")
    storages = planned(run.step).layout.storages
    assert not any(storage.transposed for node, storage in storages.items() if node.shape[:1] == (4,))
