"""Kernels that need not be: maps that follow one another, and copies of pieces into a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.cpu import CPU
from glassnet.compiler.function import compile_graph
from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.program import Plan, plan_graph
from glassnet.interpret.reference import interpret
from glassnet.transforms.tracing import trace

RNG = np.random.default_rng(0)
X, Y, Z = (RNG.standard_normal((6, 32)) for _ in range(3))


def plan(function: Callable[..., Any], cpu: CPU, *inputs: Any, **options: Any) -> Plan:
    """How a function is computed, once native code has been found to compute it."""
    graph, _ = trace(function, *inputs)
    for got, true in zip(compile_graph(graph, cpu)(inputs), interpret(graph, inputs), strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-12, atol=1e-12)
    return plan_graph(graph, Builder("graph"), cpu, **options)


def kinds(made: Plan) -> list[str]:
    return [kernel.kind for kernel in made.kernels if kernel.kind != "copy"]


def written(made: Plan) -> list[set[int]]:
    """Which operands of each concatenation are in their places before it."""
    wholes = [kernel.anchor for kernel in made.kernels if kernel.kind == "block" and kernel.anchor]
    return [made.layout.written.get(whole, set()) for whole in wholes if whole.op.name == "concatenate"]


# -- maps


def test_maps_that_follow_one_another_are_one_kernel(cpu):
    def function(x: Any, y: Any, z: Any) -> Any:
        a, b, c = gnp.tanh(x), gnp.exp(y), gnp.sigmoid(z)
        return a * b, a + b * c

    assert kinds(plan(function, cpu, X, Y, Z)) == ["rows"]


def test_a_map_waits_for_a_product_between(cpu):
    def function(x: Any, y: Any) -> Any:
        a = gnp.tanh(x)
        return gnp.exp(a @ y.T @ y) * a

    assert kinds(plan(function, cpu, X, Y)) == ["rows", "contraction", "contraction"]


def test_a_map_that_reads_rows_of_another_comes_behind_it(cpu):
    x = RNG.standard_normal((32, 32))
    assert len(kinds(plan(lambda x: gnp.tanh(x) * gnp.exp(x + gnp.tanh(x)[3:4]), cpu, x))) == 2


def test_an_input_is_not_overwritten_before_others_have_read_it(cpu):
    def function(x: Any, y: Any) -> Any:
        a = gnp.tanh(y)
        total = (gnp.exp(a) * x).sum(0)
        return x - a, total

    made = plan(function, cpu, X, Y, overwrites={0: 0})
    (update,) = [n for n, kernel in enumerate(made.kernels) if made.graph.outputs[0] in kernel.writes]
    readers = [n for n, kernel in enumerate(made.kernels) if made.graph.inputs[0] in kernel.reads]
    assert max(readers) <= update


# -- pieces of a whole


def test_what_is_computed_is_written_in_its_place(cpu):
    width = cpu.lanes("f64")
    a, b = RNG.standard_normal((6, 2 * width)), RNG.standard_normal((6, width))
    made = plan(lambda a, b: gnp.concatenate([gnp.tanh(a), gnp.exp(b)], 1), cpu, a, b)
    assert written(made) == [{0, 1}]


def test_a_piece_that_begins_within_a_vector_is_copied(cpu):
    width = cpu.lanes("f64")
    a, b = RNG.standard_normal((6, width + 1)), RNG.standard_normal((6, width))
    made = plan(lambda a, b: gnp.concatenate([gnp.tanh(a), gnp.exp(b)], 1), cpu, a, b)
    assert written(made) == [set()]


def test_the_last_piece_may_end_within_a_vector(cpu):
    width = cpu.lanes("f64")
    a, b = RNG.standard_normal((6, width)), RNG.standard_normal((6, width + 1))
    made = plan(lambda a, b: gnp.concatenate([gnp.tanh(a), gnp.exp(b)], 1), cpu, a, b)
    assert written(made) == [{0, 1}]


def test_inputs_and_slices_are_copied_into_the_whole(cpu):
    made = plan(lambda x, y: gnp.concatenate([x, gnp.tanh(y), gnp.tanh(y)[:, :16]], 1), cpu, X, Y)
    assert written(made) == [{1}]


def test_pieces_below_each_other(cpu):
    made = plan(lambda x, y: gnp.concatenate([gnp.tanh(x), y, gnp.exp(y)[:3], x @ y.T @ y]), cpu, X, Y)
    assert written(made) == [{0, 3}]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_piece_of_two_wholes_is_written_in_both(axis, cpu):
    def function(x: Any, y: Any, z: Any) -> Any:
        a, b, c = gnp.tanh(x), gnp.exp(y), gnp.tanh(z)
        return gnp.concatenate([a, b], axis), gnp.concatenate([c, a, a], axis), a * 2.0

    assert written(plan(function, cpu, X, Y, Z)) == [{0, 1}, {0, 1, 2}]


def test_pieces_of_a_row_of_a_table_move_with_the_steps_of_a_loop(cpu):
    def function(x: Any, y: Any) -> Any:
        def step(c: Any, row: Any) -> Any:
            same = gnp.tanh(y)  # the same in every step, and so made before the first
            return c + row, gnp.concatenate([gnp.exp(c), same, row * c], 1)

        return gn.scan(step, y, gnp.stack([x, y, 2.0 * x, x - y]))

    plan(function, cpu, X, Y)
    plan(gn.grad(lambda x, y: (function(x, y)[1] ** 2).sum(), wrt=(0, 1)), cpu, X, Y)
