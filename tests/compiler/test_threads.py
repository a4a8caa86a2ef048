"""Several threads in one network: the same bits for any number of them, and a clean end whatever happens."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import signal
import sys
import time

import numpy as np
import pytest

import glassnet as gn
from glassnet.compiler import epoch as epoch_module
from glassnet.compiler import llvm
from glassnet.compiler.barrier import barrier_text
from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.passes import divide
from glassnet.compiler.threads import Team, requested_threads, thread_count
from glassnet.errors import ConfigurationError
from glassnet.optim import SGD, Adam

ROWS = 21
NETWORKS = {
    "dense": ([gn.Dense(35, activation="tanh"), gn.Dropout(0.3), gn.Dense(3)], (18,)),
    "convolved": (
        [gn.Conv2D(4, 3, activation="relu"), gn.MaxPool2D(2), gn.Flatten(), gn.Dense(3)],
        (8, 8, 2),
    ),
    "convolved with margins": (
        [
            gn.Conv2D(5, 3, padding="same", activation="relu"),
            gn.BatchNorm(),
            gn.AveragePool2D(2),
            gn.Conv2D(6, 3, strides=2, padding="same"),
            gn.Flatten(),
            gn.Dense(3),
        ],
        (8, 8, 2),
    ),
    "recurrent": ([gn.LSTM(6), gn.Dense(3)], (5, 4)),
    "attentive": (
        [gn.Residual([gn.LayerNorm(), gn.MultiHeadAttention(2)]), gn.Flatten(), gn.Dense(3)],
        (6, 8),
    ),
}


@pytest.fixture
def _divided(monkeypatch):
    """Every loop is divided that can be, however short."""
    monkeypatch.setattr(divide, "WORTHWHILE", 0)


def _late(architecture: str) -> str:
    """A barrier that threads leave at different times, some of them far behind the others."""
    where = "done:\nret void"
    text = barrier_text(architecture)
    assert where in text
    loiter = """done:
%clock = call i64 @llvm.readcyclecounter()
%mixed = mul i64 %clock, 6364136223846793005
%turns = lshr i64 %mixed, 52
br label %loiter
loiter:
%left = phi i64 [ %turns, %done ], [ %less, %loiter ]
%less = sub i64 %left, 1
%looked = load atomic i64, ptr %opened monotonic, align 8
%go.on = icmp sgt i64 %less, 0
br i1 %go.on, label %loiter, label %leave
leave:
ret void"""
    text = text.replace("%looked", "%looks.next").replace(where, loiter)
    return f"{text}\ndeclare i64 @llvm.readcyclecounter()"


# -- the same bits


@pytest.mark.usefixtures("_divided")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_any_number_of_threads_gives_the_same_bits(name, dtype, monkeypatch, tmp_path):
    monkeypatch.setenv("GLASSNET_CACHE", "on")  # two to four threads run one program
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(llvm, "barrier_text", _late)
    layers, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((ROWS, *shape)), rng.integers(0, 3, ROWS)
    net = gn.Network(layers, loss="cross_entropy", dtype=dtype)
    results: dict[int, set[bytes]] = {}
    for threads in (1, 2, 3, 4):
        for _ in range(10 if threads > 1 else 1):
            program = net.training_program(
                x, y, batch_size=8, optimizer=Adam(0.01), engine="compiled", threads=threads
            )
            program.run_epochs(2)
            found = b"".join(array.tobytes() for array in program.parameters)
            results.setdefault(threads, set()).add(found)
    assert len(results[1]) == 1
    assert results == dict.fromkeys((1, 2, 3, 4), results[1])


@pytest.mark.usefixtures("_divided")
def test_pieces_and_full_batches_too(training):
    for run in (
        training([9, 20, 3], rows=30, optimizer=Adam(0.01)),
        training([9, 20, 3], rows=30, batch_size=30),
    ):
        runners = [CompiledRunner(run.step, run.data, run.carried, 0.01, threads=n) for n in (1, 3)]
        assert [runner.threads for runner in runners] == [1, 3]
        for runner in runners:
            runner.run(0)
            runner.run_steps(1, 0, 1)
            runner.run(2, 2)
        one, three = (runner.read(len(run.carried)) for runner in runners)
        for first, second in zip(one, three, strict=True):
            np.testing.assert_array_equal(first, second)


def test_fit_gives_the_same_whatever_it_is_told():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((96, 64)), rng.integers(0, 3, 96)
    found = []
    for threads in (None, 1, 2):
        net = gn.Network([gn.Dense(64, activation="relu"), gn.Dense(3)], loss="cross_entropy", seed=1)
        net.fit(x, y, epochs=2, batch_size=48, threads=threads, progress=False)
        found.append(net.parameters["dense_1.weight"].tobytes())
    assert len(set(found)) == 1
    with pytest.raises(ConfigurationError, match="threads=0; it takes a whole number of 1 or more"):
        net.fit(x, y, threads=0)


# -- memory


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by a call of Linux")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a process with threads is forked, and well
@pytest.mark.usefixtures("_divided")
def test_nothing_outside_its_memory_is_touched_and_a_forked_process_has_threads(
    training, cpu, monkeypatch, guarded_arena
):
    monkeypatch.setattr(epoch_module, "Arena", guarded_arena)
    run = training([17, 33, 7], rows=41, loss="cross_entropy", labels=True, batch_size=10)
    runner = CompiledRunner(run.step, run.data, run.carried, run.learning_rate, cpu, threads=3)
    process = multiprocessing.get_context("fork").Process(target=runner.run, args=(0, 2))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert runner.run(0, 2) == pytest.approx(run.reference().run(0, 2), rel=1e-4)
    again = multiprocessing.get_context("fork").Process(target=runner.run, args=(2, 1))
    again.start()
    again.join()
    assert again.exitcode == 0


# -- ends


@pytest.mark.usefixtures("_divided")
def test_a_run_that_diverges_ends_for_all(training):
    run = training([5, 30, 3], activations=("identity",), rows=64, optimizer=SGD(1e60))
    one, three = (CompiledRunner(run.step, run.data, run.carried, 1e60, threads=n) for n in (1, 3))
    losses = [runner.run(0, 50) for runner in (one, three)]
    assert not any(map(math.isfinite, losses))
    assert one.steps_taken == three.steps_taken < 50
    assert not math.isfinite(three.run(50))  # and the threads are there for the next call


def test_ctrl_c_waits_until_all_are_back():
    team, back = Team(3, 0), []

    def call(member):
        if member.share[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        back.append(member)
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        team.run(call)
    assert len(back) == 3
    assert team.run(lambda member: float(member.share[0] == 0)) == 1.0


def test_nobody_goes_in_alone(monkeypatch):
    team, inside = Team(3, 0), []
    assert team.run(lambda member: 1.0) == 1.0  # all are waiting now

    def interrupted(task):
        raise KeyboardInterrupt

    class Interrupted:
        put = staticmethod(interrupted)

    monkeypatch.setattr(team, "_inboxes", [*team._inboxes[:2], Interrupted()])
    with pytest.raises(KeyboardInterrupt):
        team.run(lambda member: inside.append(member) or 1.0)
    monkeypatch.undo()
    assert team.run(lambda member: 2.0) == 2.0  # the two came home
    assert inside == []


def test_the_threads_end_with_the_team():
    team = Team(2, 0)
    team.run(lambda member: 1.0)
    threads = team._threads
    assert all(thread.is_alive() for thread in threads)
    del team
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


# -- how many


def test_the_work_of_a_step_decides(monkeypatch):
    monkeypatch.delenv("GLASSNET_THREADS", raising=False)
    monkeypatch.setattr("glassnet.compiler.threads.cores", lambda: 4)
    assert requested_threads(None) is None
    assert [thread_count(None, work) for work in (0, 10**6, 13 * 10**6, 10**9)] == [1, 1, 2, 4]
    monkeypatch.setattr("glassnet.compiler.threads.cores", lambda: 1)
    assert requested_threads(None) == 1


def test_the_environment_and_the_argument_overrule_it(monkeypatch):
    monkeypatch.setenv("GLASSNET_THREADS", "3")
    assert requested_threads(None) == 3
    assert requested_threads(2) == 2
    for wrong in ("0", "many", "-1"):
        monkeypatch.setenv("GLASSNET_THREADS", wrong)
        with pytest.raises(ConfigurationError, match="it takes a whole number of 1 or more"):
            requested_threads(None)


def test_a_small_network_has_one_program_of_one_thread(training):
    run = training([3, 4, 2])
    for threads in (None, 4):  # nothing in it is worth dividing
        runner = CompiledRunner(run.step, run.data, run.carried, 0.01, threads=threads)
        assert runner.threads == 1


@pytest.mark.usefixtures("_divided")
def test_the_report_shows_what_threads_do_together():
    net = gn.Network([gn.Dense(9, activation="tanh"), gn.Dense(3)], loss="cross_entropy")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 4)), rng.integers(0, 3, 16)
    alone, together = (net.training_program(x, y, batch_size=8, threads=n).explain() for n in (1, 2))
    assert "threads" not in [stage.name for stage in alone.stages]
    loops = sum(" divided:" in line for line in together["threads"].text.splitlines())
    assert loops > 0
    assert together["threads"].change.startswith(f"{loops} loops divided, ")
    assert " divided:" not in together["lower"].text
