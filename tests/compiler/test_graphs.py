"""Generated graphs: every pass keeps their meaning; native code computes the same or says why it cannot."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import glassnet.numpy as gnp
from glassnet.compiler import function as function_module
from glassnet.compiler.function import compile_graph
from glassnet.compiler.passes.expand import expand
from glassnet.compiler.passes.simplify import simplify
from glassnet.core.graph import Graph
from glassnet.errors import ShapeError, UncompilableError
from glassnet.interpret.reference import interpret
from glassnet.ops.comparison import one_hot
from glassnet.ops.matrix import contract
from glassnet.transforms.tracing import trace

examples = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# Bounded, or nearly so: what is compared is the compiler, not the conditioning of the graph.
UNARY: dict[str, Callable[[Any], Any]] = {
    "tanh": gnp.tanh,
    "sigmoid": gnp.sigmoid,
    "softplus": gnp.softplus,
    "relu": gnp.relu,
    "leaky_relu": lambda x: gnp.leaky_relu(x, slope=0.1),
    "negative": lambda x: -x,
    "abs": gnp.abs,
    "square": gnp.square,
    "power": lambda x: x**3,
    "sqrt": lambda x: gnp.sqrt(gnp.abs(x) + 1.0),
    "log": lambda x: gnp.log(gnp.abs(x) + 0.5),
    "log1p": lambda x: gnp.log1p(gnp.abs(x)),
    "exp": lambda x: gnp.exp(gnp.tanh(x)),
    "expm1": lambda x: gnp.expm1(gnp.tanh(x)),
    "sign": lambda x: gnp.sign(x + 0.123),
    "where": lambda x: gnp.where(x > 0.3, x, 2.0),
    "scale": lambda x: 3.0 * x / 4.0 - 0.0,
    "sum": lambda x: x.sum(),
    "rows": lambda x: x.sum(-1),
    "rows kept": lambda x: x.sum(-1, keepdims=True),
    "columns": lambda x: x.sum(0),
    "columns kept": lambda x: x.sum(0, keepdims=True),
    "mean": gnp.mean,
    "softmax": gnp.softmax,
    "logsumexp": lambda x: gnp.logsumexp(x, axis=-1),
    "flat": lambda x: x.reshape(x.size),
    "upright": lambda x: x.reshape(x.size, 1),
    "lying": lambda x: x.reshape(1, x.size),
    "spread": lambda x: gnp.broadcast_to(x, (3, *x.shape)) if x.ndim < 2 else x,
    "transpose": lambda x: x.T,
    "turned": lambda x: gnp.moveaxis(x, 0, -1),
    "swapped": lambda x: gnp.swapaxes(x, 0, 1),
    "reversed": lambda x: x[::-1],
    "every second": lambda x: x[..., ::2],
    "first": lambda x: x[0],
    "new axis": lambda x: x[:, None],
    "halves": lambda x: gnp.concatenate([x[1:], x[:1] * 2.0]),
    "doubled": lambda x: gnp.concatenate([x, x], -1),
    "padded": lambda x: gnp.pad(x, 1),
    "middle sum": lambda x: x.sum(1),
    "outer sum": lambda x: x.sum((0, -1)),
    "centred": lambda x: x - x.mean(0, keepdims=True),
    "normed": lambda x: x / gnp.sqrt((x * x).mean(-1, keepdims=True) + 1.0),
    "largest": lambda x: x.max(-1),
    "smallest kept": lambda x: x.min(0, keepdims=True),
    "place of largest": lambda x: x.argmax(-1) + 0.5,
    "cumulated": lambda x: gnp.cumsum(x, -1),
    "cumulated down": lambda x: gnp.cumsum(x, 0),
    "counted": lambda x: (x > 0).sum(0) * 1.0,
    "where positive": lambda x: gnp.any(x > 0.5, axis=-1) * 1.0,
    "rows taken": lambda x: gnp.take(x, np.array([0, -1, 0]), axis=0),
    "spread in front": lambda x: gnp.broadcast_to(x, (2, *x.shape)),
    "softmax in front": lambda x: gnp.softmax(x, axis=0),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "multiply-add": lambda x, y: x * y + y,
    "multiply-subtract": lambda x, y: y - x * y,
    "divide": lambda x, y: x / (1.0 + y * y),
    "maximum": gnp.maximum,
    "minimum": gnp.minimum,
    "where": lambda x, y: gnp.where(x > 0.3, y, 0.5),
    "matmul": lambda x, y: x @ y,
    "transposed matmul": lambda x, y: x.T @ y,
    "matmul transposed": lambda x, y: x @ y.T,
    "result transposed": lambda x, y: contract(x, y, "ij,jk->ki"),
    "outer": lambda x, y: contract(x, y, "i,j->ij"),
    "each by each": lambda x, y: gnp.einsum("a...,b...->ab...", x, y),
    "stacked": lambda x, y: gnp.einsum("bij,bkj->bik", x, y),
    "stacked across": lambda x, y: gnp.einsum("bij,bik->kbj", x, y),
    "together": lambda x, y: gnp.einsum("bpf,of->bpo", x, y),
    "cross-entropy": lambda x, y: gnp.softmax_cross_entropy(x, gnp.abs(y)),
    "binary cross-entropy": lambda x, y: gnp.sigmoid_cross_entropy(x, gnp.sigmoid(y)),
}
EXTENTS = (1, 2, 3, 8, 17)
LARGEST = 20_000  # elements of a generated array


@st.composite
def graphs(draw: st.DrawFn, dtypes: tuple[str, ...]) -> tuple[Graph, list[Any]]:
    """A graph of a handful of ops over arrays of up to three dimensions and more, and its inputs."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    extent = st.sampled_from(draw(st.lists(st.sampled_from(EXTENTS), min_size=1, max_size=2)))
    shapes = draw(st.lists(st.lists(extent, max_size=3), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    labels = rng.integers(0, 4, draw(extent)).astype(np.int32)
    choices: tuple[Any, ...] = (*UNARY.values(), *BINARY.values(), lambda labels: one_hot(labels, 4, dtype))
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, len(choices) - 1), st.integers(0, 9), st.integers(0, 9)),
            min_size=1,
            max_size=7,
        )
    )
    wanted = draw(st.integers(1, 3))

    def compute(*arrays: Any) -> tuple[Any, ...]:
        *known, classes = arrays
        for number, first, second in steps:
            x, y = known[-1 - first % len(known)], known[-1 - second % len(known)]
            try:
                if number < len(UNARY):
                    known.append(choices[number](x))
                elif number < len(choices) - 1:
                    known.append(choices[number](x, y))
                else:
                    known.append(choices[number](classes))
            except ShapeError:
                continue
            if known[-1].size > LARGEST or known[-1].size == 0:
                known.pop()
        return tuple(known[-wanted:])

    graph, _ = trace(compute, *inputs, labels)
    return graph, [*inputs, labels]


def assert_same(got: list[Any], expected: list[Any], dtype: np.dtype[Any]) -> None:
    """Equal to rounding, measured at the largest element of each array."""
    share = 1e-3 if dtype == np.float32 else 1e-9
    for one, other in zip(got, expected, strict=True):
        assert one.shape == np.shape(other)
        scale = max(1.0, np.max(np.abs(other)))
        np.testing.assert_allclose(one, other, rtol=0, atol=share * scale)


@examples
@given(graphs(("float64",)))
def test_passes_keep_the_meaning(case):
    graph, inputs = case
    expected = interpret(graph, inputs)
    try:
        expanded = expand(graph).verify()
    except UncompilableError as reason:
        assert_one_sentence(reason)
        return
    assert_same(interpret(expanded, inputs), expected, np.dtype(np.float64))
    simplified = simplify(expanded).verify()
    assert_same(interpret(simplified, inputs), expected, np.dtype(np.float64))
    assert len(simplify(simplified).nodes) == len(simplified.nodes)


@examples
@given(graphs(("float32", "float64")), st.integers(0, 2))
def test_native_code_computes_the_same_or_says_why_not(cpus, case, tier):
    graph, inputs = case
    expected = interpret(graph, inputs)
    try:
        native = compile_graph(graph, cpus[tier % len(cpus)])
    except UncompilableError as reason:
        event(str(reason)[:40])
        assert_one_sentence(reason)
        return
    event("compiled")
    for _ in range(2):  # the arena keeps what the first call left
        assert_same(native(inputs), expected, inputs[0].dtype)


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by a call of Linux")
def test_nothing_outside_its_memory_is_touched(cpu, monkeypatch, guarded_arena):
    monkeypatch.setattr(function_module, "Arena", guarded_arena)
    programs: list[tuple[Any, list[Any]]] = []

    @settings(examples, max_examples=60)
    @given(graphs(("float32", "float64")))
    def compile_one(case: Any) -> None:
        graph, inputs = case
        with contextlib.suppress(UncompilableError):
            programs.append((compile_graph(graph, cpu), inputs))

    compile_one()

    def run() -> None:
        for native, inputs in programs:
            native(inputs)

    # in a process of its own, because touching a guarded page ends it
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == 0


def assert_one_sentence(reason: UncompilableError) -> None:
    text = str(reason)
    assert text.endswith(".")
    assert "\n" not in text
