"""Programs in the cache: found there, a graph needs no pass, and gives the same bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler import graph_program
from glassnet.compiler.function import CompiledGraph
from glassnet.core.dtype import FLOAT32
from glassnet.core.random import Key
from glassnet.errors import UncompilableError
from glassnet.transforms.tracing import trace

GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLASSNET_CACHE", "on")
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path))


def convolutional(x: Any) -> Any:
    network = gn.Sequential([gn.Conv2D(3, 3, activation="relu"), gn.MaxPool2D(2), gn.Flatten(), gn.Dense(2)])
    parameters = network.init(Key(0), (8, 8, 2), FLOAT32)
    return gn.vmap(lambda one: network(parameters, one))(x)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "products": (lambda w, x: gnp.tanh(x @ w).sum(axis=0), (np.eye(3), GENERATOR.standard_normal((5, 3)))),
    "images": (convolutional, (GENERATOR.standard_normal((16, 8, 8, 2)).astype(np.float32),)),
    "large constants": (lambda x: x + np.arange(60.0).reshape(6, 10), (np.ones((6, 10)),)),
    "constants that are no numbers": (lambda x: x * np.array([np.nan, np.inf, -0.0]), (np.ones(3),)),
    "whole numbers": (lambda x: (x * np.array([2**62, -1]), x > 0), (np.array([1, 5]),)),
    "a part of another output": (
        lambda x: (gnp.tanh(x), gnp.concatenate([np.zeros((2, 2)), gnp.tanh(x)])),
        (GENERATOR.random((2, 2)),),
    ),
    "a loop": (lambda x: gn.scan(lambda c, r: (0.5 * c + r, c), x[0], x)[1], (GENERATOR.random((7, 4)),)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_graph_from_the_cache_needs_no_pass_and_gives_the_same_bits(monkeypatch, name):
    f, arrays = CASES[name]
    graph, _ = trace(f, *arrays)
    first = CompiledGraph(graph)
    expected = first(arrays)

    def plan_again(*_: Any) -> None:
        raise AssertionError("planned a second time")

    monkeypatch.setattr(graph_program, "plan_graph", plan_again)
    second = CompiledGraph(trace(f, *arrays)[0])
    assert (first.from_cache, second.from_cache) == (False, True)
    for one, other in zip(expected, second(arrays), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_other_shapes_and_constants_are_other_programs():
    for number, (x, factor) in enumerate([(np.ones(3), 2.0), (np.ones(4), 2.0), (np.ones(3), 3.0)]):
        compiled = CompiledGraph(trace(lambda x, factor=factor: x * factor, x)[0])
        assert not compiled.from_cache, number
        np.testing.assert_array_equal(compiled([x])[0], x * factor)


def test_an_op_of_the_users_own_is_not_taken_for_ours():
    # kernels and programs in the cache are found by the names of ops
    graph, _ = trace(gnp.tanh, np.ones(3))
    CompiledGraph(graph)
    five = gn.custom(
        lambda x: 0 * x + 5, lambda out, x: 0 * x, elementwise=True, name="tanh", reason="it is called tanh"
    )
    with pytest.raises(UncompilableError, match="the op tanh is not one of glassnet's"):
        CompiledGraph(trace(five, np.ones(3))[0])
    with pytest.raises(UncompilableError, match="the op tanh is not one of glassnet's"):
        CompiledGraph(trace(lambda x: gn.scan(lambda c, r: (five(c) + r, c), x[0], x)[0], np.ones(3))[0])


def test_a_run_from_the_cache_loads_no_pass_and_no_lowering():
    script = """
import sys
import numpy as np
import glassnet as gn

net = gn.Network([gn.Dense(3, activation="tanh"), gn.Dense(1)], loss="mean_squared_error", seed=0)
net.fit(np.ones((8, 2)), np.ones(8), epochs=2, progress=False)
net.predict(np.ones((8, 2)))
loaded = {name.removeprefix("glassnet.compiler.") for name in sys.modules}
print(*sorted(loaded & {"program", "lowering", "explain", "rich", "cyclopts", "polars"}))
"""
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stdout.split() for run in runs] == [["lowering", "program"], []]
