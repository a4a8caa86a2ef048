"""Tallies: after every epoch the sums over rows of what the model makes of them, on every vector width."""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import replace

import numpy as np
import pytest

import glassnet.numpy as gnp
from glassnet.compiler import epoch as epoch_module
from glassnet.core.step import Tally, TrainingData
from glassnet.core.trace import placeholder
from glassnet.optim import Adam
from glassnet.transforms.tracing import trace

ROWS = 21
UNITS = [5, 9, 3]


def sums(weights, bias, x, weight):
    """A number, a vector and a matrix of sums over rows; weights (9, 5), bias (9,), x (rows, 5)."""
    y = gnp.tanh(x @ weights.T + bias)
    return (y.sum(axis=1) * weight).sum(), gnp.tensordot(weight, y, 1), (x * weight[:, None]).T @ y


@pytest.fixture
def tallied(training):
    """dtype, rows in a block -> a run with two tallies, and the numbers of the arrays that they read."""

    def make(dtype: str, block: int):
        run = training(UNITS, rows=20, optimizer=Adam(0.01), dtype=dtype)
        shapes = [array.shape for array in run.carried]
        read = (shapes.index((9, 5)), shapes.index((9,)))
        kind = np.dtype(dtype)
        rng = np.random.default_rng(8)
        x, weight = rng.normal(size=(ROWS, 5)).astype(kind), rng.random(ROWS).astype(kind)
        given = [run.carried[i] for i in read]
        graph, _ = trace(sums, *given, placeholder((block, 5), kind), placeholder((block,), kind))
        step = replace(run.step, tallies=(Tally(graph, read, 1, block),) * 2)
        data = TrainingData(run.data.columns, run.data.key, tallied=((x, weight), (x[:7], weight[:7])))
        return replace(run, step=step, data=data), read

    return make


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block", [1, 7, 8, 21, 64])
def test_a_tally_is_the_sums_over_its_rows_at_the_end_of_every_epoch(tallied, cpu, dtype, block):
    run, read = tallied(dtype, block)
    records = run.compiled(cpu).run_recorded(0, 3)
    assert records.shape == (3, 1 + 2 * (1 + 9 + 45))
    apart = run.compiled(cpu)
    for epoch, record in enumerate(records):
        assert apart.run(epoch) == record[0]
        np.testing.assert_array_equal(apart.sums, record[1:])
        carried = apart.read(len(run.carried))
        expected = [
            part.ravel()
            for x, weight in run.data.tallied
            for part in map(np.asarray, sums(*(carried[i] for i in read), x, weight))
        ]
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(record[1:], np.concatenate(expected), rtol=tolerance, atol=tolerance)


def test_a_tally_changes_no_bit_of_the_training(tallied):
    run, _ = tallied("float32", 8)
    plain = replace(run, step=replace(run.step, tallies=()), data=replace(run.data, tallied=()))
    runners = [run.compiled(), plain.compiled()]
    losses = [runner.run(0, 3) for runner in runners]
    assert losses[0] == losses[1]
    for one, other in zip(*(runner.read(len(run.carried)) for runner in runners), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by a call of Linux")
def test_a_tally_stays_within_its_memory(tallied, cpu, monkeypatch, guarded_arena, guarded_copy):
    run, _ = tallied("float32", 8)
    columns = tuple(tuple(guarded_copy(column) for column in part) for part in run.data.tallied)
    monkeypatch.setattr(epoch_module, "Arena", guarded_arena)
    runner = replace(run, data=replace(run.data, tallied=columns)).compiled(cpu)
    # in a process of its own, because touching a guarded page ends it
    process = multiprocessing.get_context("fork").Process(target=runner.run, args=(0, 2))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_a_run_brought_back_goes_the_same_way_again(tallied):
    run, _ = tallied("float32", 8)
    runner = run.compiled()
    runner.run(0, 2)
    before = runner.snapshot()
    first = runner.run_recorded(2, 3)
    runner.restore(before)
    np.testing.assert_array_equal(runner.run_recorded(2, 3), first)
    assert runner.steps_taken == 5 * runner.steps_per_epoch
