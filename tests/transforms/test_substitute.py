"""A graph's nodes computed again on other values, and graphs put into one another."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet.numpy as gnp
from glassnet.core.graph import Graph
from glassnet.core.trace import Array, placeholder, tracing
from glassnet.interpret.reference import interpret
from glassnet.transforms.tracing import substitute, trace

X, Y = np.array([1.0, 2.0]), np.array([0.5, -0.5])
GRAPH, _ = trace(lambda x, y: (gnp.exp(x) * y + 3.0, y), X, Y)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_plain_replacements_give_plain_values_of_any_dtype(dtype: type) -> None:
    x, y = X.astype(dtype) * (1 + 1j if dtype is np.complex128 else 1), Y.astype(dtype)
    out, second = substitute(GRAPH.outputs, dict(zip(GRAPH.inputs, (x, y), strict=True)))
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, np.exp(x) * y + 3.0)
    assert second is y


def test_traced_replacements_put_one_graph_into_another() -> None:
    with tracing():
        z = placeholder((2,), X.dtype)
        outer = gnp.sin(z)
        out, _ = substitute(GRAPH.outputs, dict(zip(GRAPH.inputs, (outer, z), strict=True)))
    assert type(out) is Array
    (value,) = interpret(Graph.of([z.node], [out.node]).verify(), [Y])
    np.testing.assert_array_equal(value, np.exp(np.sin(Y)) * Y + 3.0)


def test_what_depends_on_no_replacement_stays_itself() -> None:
    x, y = GRAPH.inputs
    (kept,) = substitute([x], {y: Y})
    assert type(kept) is Array
    assert kept.node is x


def test_trace_flattens_arguments_and_keeps_the_form_of_the_result() -> None:
    graph, form = trace(lambda p, s: {"out": [p["w"] * s]}, {"w": X}, 2.0, names=["w", "s"])
    assert [node.shape for node in graph.inputs] == [(2,), ()]
    assert graph.input_names == ("w", "s")
    assert form.kind == "dict"
    assert graph.verify() is graph
