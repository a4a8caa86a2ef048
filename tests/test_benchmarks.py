from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.transforms.tracing import trace

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FRAMEWORKS = {
    "glassnet": "glassnet",
    "jax": "jax",
    "torch": "torch",
    "torch.compile": "torch",
    "keras": "keras",
    "sklearn": "sklearn",
}


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_every_case_is_named_by_its_key_and_described_by_its_title(benchmark_module) -> None:
    cases = benchmark_module("cases").CASES
    assert all(name == case.name for name, case in cases.items())
    assert cases["xor"].title == "2-2-1 tanh, batch 4, gradient descent"
    assert cases["digits-adam"].title == "64-128-64-10, batch 32, Adam"
    assert cases["digits-adam"].steps_per_call == 56  # 1,792 rows in batches of 32
    assert cases["xor"].steps_per_call == cases["xor"].epochs_per_call


def test_every_case_has_the_rows_that_it_announces(benchmark_module) -> None:
    samples = benchmark_module("samples").samples
    for case in benchmark_module("cases").CASES.values():
        X, y = samples(case)
        assert X.shape == (case.rows, *case.row)
        assert X.dtype == np.float32
        if case.loss == "cross_entropy":
            assert y.dtype == np.int64
            assert set(y) == set(range(case.outputs))
        else:
            assert y.shape == (case.rows, case.outputs)
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


def test_the_memory_that_a_training_has_to_hold(benchmark_module) -> None:
    cases = benchmark_module("memory").CASES
    assert cases["dense"].parameters == 669_706
    assert cases["lenet"].parameters == 61_706
    assert cases["dense"].state_bytes == 3 * 4 * 669_706
    assert cases["dense"].activation_bytes == 4 * 128 * (784 + 512 + 512 + 10)
    assert cases["lenet"].data_bytes == 10_000 * (4 * 784 + 8)
    assert benchmark_module("memory").peak() > 2**24


def test_a_difference_passes_only_where_the_example_amplifies_rounding(benchmark_module) -> None:
    equality = benchmark_module("equality")
    x = np.linspace(1.0, 2.0, 50)
    steady, _ = trace(lambda x: gnp.exp(x) * 0.1, x)
    shaky, _ = trace(lambda x: (x + 1e6) - 1e6, x)
    for graph, passes in ((steady, False), (shaky, True)):
        expected = graph.evaluate([x], np)
        wrong = [array + 1e-11 for array in expected]

        def again(rng: np.random.Generator, graph: Any = graph) -> list[Any]:
            return equality.moved(graph, [x], rng)

        assert equality.agree(expected, expected, "float64", again)[0]
        assert equality.agree(wrong, expected, "float64", again)[0] is passes
        assert not equality.agree([array + 1e-6 for array in expected], expected, "float64", again)[0]


def test_generated_networks_are_equal_on_both_engines(benchmark_module) -> None:
    answer, complaint = benchmark_module("equality").ask("networks", 0, 3)
    assert complaint == ""
    assert sum(answer["counts"].values()) >= 3
