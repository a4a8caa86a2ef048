from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.transforms.tracing import trace

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FRAMEWORKS = {"glassnet": "glassnet", "jax": "jax", "torch": "torch", "sklearn": "sklearn"}


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_every_case_is_named_by_its_key_and_described_by_its_title(benchmark_module) -> None:
    cases = benchmark_module("cases").CASES
    assert all(name == case.name for name, case in cases.items())
    assert cases["xor"].title == "2-2-1, batch 4, gradient descent"
    assert cases["digits-adam"].title == "64-128-64-10, batch 32, Adam"
    assert cases["digits-adam"].steps_per_call == 56  # 1,792 rows in batches of 32
    assert cases["xor"].steps_per_call == cases["xor"].epochs_per_call


def test_every_case_has_the_rows_that_it_announces(benchmark_module) -> None:
    samples = benchmark_module("samples").samples
    for case in benchmark_module("cases").CASES.values():
        X, y = samples(case)
        assert X.shape == (case.rows, case.units[0])
        assert X.dtype == np.float32
        if case.loss == "cross_entropy":
            assert y.dtype == np.int64
            assert set(y) == set(range(case.units[-1]))
        else:
            assert y.shape == (case.rows, case.units[-1])
            assert y.dtype == np.float32


def test_a_case_that_cannot_be_run_fairly_is_refused(benchmark_module) -> None:
    case = benchmark_module("cases").CASES["digits-32"]
    with pytest.raises(ValueError, match="do not divide into batches of 5"):
        replace(case, batch=5)
    with pytest.raises(ValueError, match="need a batch of all 1792 rows"):
        replace(case, epochs_per_call=2)


def test_the_eager_function_has_twenty_operations(benchmark_module) -> None:
    eager = benchmark_module("eager")
    graph, _ = trace(lambda x: eager.twenty(x, gnp), np.float64(0.7))
    assert sum(node.op.name not in ("input", "constant") for node in graph.nodes) == 20


def test_the_eager_worker_answers_with_its_gradients_and_a_time_for_each_input(benchmark_module) -> None:
    eager = benchmark_module("eager")
    process, greeting = eager.start("glassnet")
    slope = gn.grad(lambda x: eager.twenty(x, gnp))(0.7)
    assert greeting["values"][0] == float(slope)
    times = eager.ask(process)
    process.communicate()
    assert len(times) == len(eager.INPUTS)
    assert min(times) > 0


def test_every_peer_module_imports_without_its_framework(benchmark_module) -> None:
    peers = benchmark_module("peers").PEERS
    assert set(peers) == {*FRAMEWORKS, "numpy"}
    for path in peers.values():
        module = benchmark_module(path)
        assert callable(module.variants)
        assert module.DISTRIBUTIONS


@pytest.mark.parametrize("peer", FRAMEWORKS)
def test_a_worker_without_its_framework_says_so_and_ends(peer: str) -> None:
    worker = BENCHMARKS / "worker.py"
    missing = (
        f"import runpy, sys; sys.modules['{FRAMEWORKS[peer]}'] = None; "
        f"sys.argv = ['worker.py', '{peer}', 'xor']; runpy.run_path({str(worker)!r}, run_name='__main__')"
    )
    finished = subprocess.run(
        [sys.executable, "-c", missing],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = finished.stdout.splitlines()
    assert json.loads(line)["skipped"] == f"{FRAMEWORKS[peer]} is not installed"
