"""Whole epochs in native code: the shuffle, determinism, stopping, and memory that is its own."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.compiler import epoch as epoch_module
from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.jit import compile_function
from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.lowering.random import lower_shuffle
from glassnet.core.random import Key, permutation
from glassnet.core.step import TrainingData
from glassnet.errors import UncompilableError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.losses import cross_entropy
from glassnet.optim import SGD, Adam
from glassnet.train.program import build_step
from glassnet.transforms.batch import vmap

INF = math.inf


# -- the shuffle


@pytest.fixture(scope="module")
def shuffle():
    """(rows, key) -> the native order of the rows."""
    b = Builder("shuffle")
    order, words = (b.buffer(name, "i32", None, kind="argument", alignment=4) for name in ("order", "words"))
    count, stream, step, key0, key1 = (b.argument(name) for name in ("count", "stream", "step", "k0", "k1"))
    lower_shuffle(b, order, words, count, stream, step, (key0, key1))
    native = compile_function(b.finish())

    def run(rows: int, key: Key) -> np.ndarray:
        order, words = np.empty(rows, np.int32), np.empty(-(-rows // 4) * 4, np.int32)
        native(order.ctypes.data, words.ctypes.data, rows, key.stream, key.step, *key.words)
        return order

    return run


@settings(max_examples=300, derandomize=True, database=None)
@given(
    rows=st.integers(1, 300),
    seed=st.integers(0, 2**64 - 1),
    stream=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 2**32 - 1),
)
def test_the_native_shuffle_is_the_reference_permutation(shuffle, rows, seed, stream, epoch):
    key = Key(seed, stream, epoch)
    np.testing.assert_array_equal(shuffle(rows, key), permutation(key, rows))


def test_a_long_shuffle_too(shuffle):
    np.testing.assert_array_equal(shuffle(70_001, Key(5)), permutation(Key(5), 70_001))


# -- determinism


def bits(runner, run) -> bytes:
    """Everything that is carried, to the last bit."""
    return b"".join(array.tobytes() for array in runner.read(len(run.carried)))


def test_a_seed_decides_every_bit(training):
    results = set()
    for seed in (0, 0, 1):
        run = training([5, 9, 3], optimizer=Adam(0.01), rows=30, dtype="float32", seed=seed)
        runner = run.compiled()
        runner.run(0, 2)
        results.add(bits(runner, run))
    assert len(results) == 2


def test_epochs_may_be_run_one_by_one(training):
    run = training([5, 9, 3], optimizer=SGD(0.01, momentum=0.9), rows=30, dtype="float32")
    together, apart = run.compiled(), run.compiled()
    last = together.run(4, 3)
    losses = [apart.run(epoch) for epoch in (4, 5, 6)]
    assert last == losses[-1]
    assert bits(together, run) == bits(apart, run)


def test_runners_do_not_disturb_one_another(training):
    runs = [training([5, 9, 3], rows=30), training([5, 9, 3], rows=30, seed=1)]
    alone = []
    for run in runs:
        runner = run.compiled()
        runner.run(0, 3)
        alone.append(bits(runner, run))
    runners = [run.compiled() for run in runs]
    for epoch in range(3):
        for runner in runners:
            runner.run(epoch)
    assert [bits(runner, run) for runner, run in zip(runners, runs, strict=True)] == alone


def test_a_program_from_the_cache_gives_the_same_bits(training, monkeypatch, tmp_path):
    monkeypatch.setenv("GLASSNET_CACHE", "on")
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path))
    run = training([6, 7, 4], loss="cross_entropy", labels=True, optimizer=Adam(0.01), rows=30)
    first, second = run.compiled(), run.compiled()
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.run(0, 2) == second.run(0, 2)
    assert bits(first, run) == bits(second, run)


PROCESS = """
import hashlib, numpy as np
from glassnet.compiler.epoch import CompiledRunner
from glassnet.core.random import Key
from glassnet.core.step import TrainingData
from glassnet.losses.loss import LOSSES
from glassnet.nn.dense import Dense
from glassnet.optim import Adam
from glassnet.train.composition import Composition
from glassnet.train.program import build_step
from glassnet.train.setting import Setting
layers = [Dense(7, activation="relu"), Dense(4)]
composition = Composition.of(layers, LOSSES["cross_entropy"])
x = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
labels = np.arange(30, dtype=np.int32) % 4
setting = Setting(composition, composition.init(Key(0), (6,), x.dtype), 0, x.dtype, 0)
step = build_step(setting.loss(), Adam(0.01), *setting.model, (x, labels), 8, x.dtype, 4, True)
runner = CompiledRunner(step.graph, TrainingData((x, labels), Key(0)), step.arrays, 0.01)
runner.run(0, 3)
carried = b"".join(array.tobytes() for array in runner.read(len(step.arrays)))
print(runner.from_cache, hashlib.sha256(carried).hexdigest())
"""


def test_another_process_gives_the_same_bits(tmp_path):
    answers = []
    for number, cache in enumerate(("on", "on", "off")):
        environment = {**os.environ, "GLASSNET_CACHE": cache, "GLASSNET_CACHE_DIR": str(tmp_path)}
        environment["PYTHONHASHSEED"] = str(number)  # the order of sets must not reach the program
        command = [sys.executable, "-c", PROCESS]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        answers.append(done.stdout.split())
    assert [from_cache for from_cache, _ in answers] == ["False", "True", "False"]
    assert len({digest for _, digest in answers}) == 1
    assert len(answers[0][1]) == len(hashlib.sha256().hexdigest())


# -- stopping


@pytest.mark.parametrize("rows", [24, 20])
def test_a_loss_that_is_not_finite_stops_the_run(training, rows):
    # The square of 1e25 overflows float32 while its slope does not: were the run not stopped, it would go on
    # with parameters that are finite, in this epoch and in the next.
    run = training([3, 4, 2], activations=("tanh", "identity"), rows=rows, dtype="float32")
    run.data.columns[1][permutation(run.data.key.at(0), rows)[9]] = 1e25
    compiled, reference = run.compiled(), run.reference()
    assert compiled.run(0, 3) == reference.run(0, 3) == INF
    assert reference.steps_taken == 2
    for got, expected in zip(compiled.read(4), reference.read(4), strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_nan_in_the_data_is_seen(training):
    run = training([3, 4, 2], dtype="float32")
    run.data.columns[0][5, 1] = math.nan
    assert math.isnan(run.compiled().run(0, 2))
    assert math.isnan(run.reference().run(0, 2))


def test_the_learning_rate_is_that_of_the_steps_to_come(training):
    run = training([3, 4, 2])
    compiled, reference = run.compiled(), run.reference()
    for runner in (compiled, reference):
        runner.run(0)
        runner.learning_rate = 0.25
        runner.run(1)
    assert compiled.learning_rate == 0.25
    for got, expected in zip(compiled.read(4), reference.read(4), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [4, 10])
def test_every_example_of_a_run_has_a_number_of_its_own(batch_size):
    # An example's number is taken for its class, whose z is a tenth of it: the loss tells the mean number.
    x, z = np.ones((10, 1)), 0.1 * np.arange(64.0)

    def loss(parameters, statistics, columns, weight, key):
        each = vmap(lambda x, number: cross_entropy(parameters["w"] @ x, number))(columns[0], key.step)
        return (each.sum() / 10.0 if weight is None else (each * weight).sum() / weight.sum()), statistics

    weighted, shuffle = 10 % batch_size != 0, Key(0) if batch_size < 10 else None
    start = {"w": z[:, None]}
    made = build_step(loss, SGD(1e-12), start, {}, (x,), batch_size, x.dtype, None, weighted)
    assert made.graph.numbered
    for runner in (CompiledRunner, ReferenceRunner):
        for epoch, first_number in ((0, 0), (2, 7)):
            run = runner(made.graph, TrainingData((x,), shuffle, first_number), made.arrays, 1e-12)
            number = 10 * (np.log(np.exp(z).sum()) - run.run(epoch))
            assert number == pytest.approx(4.5 + epoch * (12 if weighted else 10) + first_number, rel=1e-9)


def test_a_schedule_gives_each_step_its_rate(training):
    for batch_size in (8, 24):
        run = training([3, 4, 2], batch_size=batch_size)
        step = replace(run.step, schedule=lambda steps: 0.5 / steps)
        runners = [replace(run, step=step).compiled(), replace(run, step=step).reference()]
        for runner in runners:
            runner.run(0, 2)
            runner.run_steps(2, 0, 2)
        assert (
            runners[0].rates_of(np.array([4]))
            == runners[1].rates_of(np.array([4]))
            == 0.125 * run.learning_rate
        )
        by_hand = run.reference()
        for number in range(runners[1].steps_taken):
            by_hand.learning_rate = run.learning_rate * 0.5 / (number + 1)
            by_hand.run_steps(number // by_hand.steps_per_epoch, number % by_hand.steps_per_epoch, 1)
        for runner in runners:
            for got, expected in zip(runner.read(4), by_hand.read(4), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_rows_in_a_fixed_order_are_one_batch(training):
    with pytest.raises(UncompilableError, match="fixed order are compiled for one full batch only"):
        training([3, 2], rows=24, batch_size=8, shuffled=False).compiled()
    whole = training([3, 2], rows=24, batch_size=24)
    assert whole.compiled().run(0, 2) == pytest.approx(whole.reference().run(0, 2), rel=1e-12)


# -- the process around it


def test_other_threads_run_meanwhile(training):
    run = training([64, 32, 10], rows=512, batch_size=32, dtype="float32", optimizer=SGD(1e-6))
    runner = run.compiled()
    start = time.perf_counter()
    runner.run(0, 200)
    epochs = max(1, round(200 * 0.5 / (time.perf_counter() - start)))  # about half a second
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        runner.run(0, epochs)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    time.sleep(0.02)  # if the call kept the lock, this would come back behind its end
    meanwhile = not done.is_set()
    thread.join()
    assert meanwhile


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by a call of Linux")
@pytest.mark.parametrize(
    "network",
    [
        {"units": [1, 1], "rows": 3, "batch_size": 1},
        {"units": [5, 9, 3], "rows": 20, "optimizer": Adam(0.01)},
        {"units": [17, 33, 7], "rows": 41, "loss": "cross_entropy", "labels": True, "batch_size": 10},
        {"units": [64, 16, 10], "rows": 32, "loss": "cross_entropy", "activations": ("relu",)},
        {"units": [3, 2, 70], "rows": 9, "batch_size": 9, "loss": "binary_cross_entropy"},
    ],
    ids=lambda network: "-".join(map(str, network["units"])),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_outside_its_memory_is_touched(
    training, cpu, monkeypatch, guarded_arena, guarded_copy, network, dtype
):
    run = training(**network, dtype=dtype)
    data = TrainingData(tuple(guarded_copy(column) for column in run.data.columns), run.data.key)
    monkeypatch.setattr(epoch_module, "Arena", guarded_arena)
    runner = replace(run, data=data).compiled(cpu)
    runner._order, runner._words = guarded_copy(runner._order), guarded_copy(runner._words)

    # in a process of its own, because touching a guarded page ends it
    process = multiprocessing.get_context("fork").Process(target=runner.run, args=(0, 2))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert runner.run(0, 2) == pytest.approx(run.reference().run(0, 2), rel=1e-4)
