from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.graph import Graph, Node
from glassnet.core.op import Constant
from glassnet.core.registry import OPS, register
from glassnet.errors import VerificationError
from glassnet.transforms.tracing import trace


def two_steps() -> Graph:
    return trace(lambda x, y: gnp.tanh(x * y) + 1.0, np.ones(3), np.ones(3), names=["x", "y"])[0]


def test_a_graph_prints_as_a_program_with_the_lines_it_came_from() -> None:
    lines = str(two_steps()).splitlines()
    assert lines[0] == "graph(x: float64[3], y: float64[3])"
    assert lines[1].startswith("  %0: float64[3] = multiply(x, y)  # test_graph.py:")
    assert lines[1].endswith('gnp.tanh(x * y) + 1.0, np.ones(3), np.ones(3), names=["x", "y"])[0]')
    assert lines[2].startswith("  %1: float64[3] = tanh(%0)")
    assert lines[3] == "  %2: float64[]  = constant 1.0"
    assert lines[4].startswith("  %3: float64[3] = add(%1, %2)")
    assert lines[5] == "  return %3"


def test_attributes_are_printed() -> None:
    graph = trace(lambda x: gnp.sum(x, axis=1), np.ones((2, 3)))[0]
    assert "sum(input_0; axes=(1,), keepdims=False)" in str(graph)


def test_the_columns_stand_in_line_and_a_body_is_printed_beneath_its_op() -> None:
    def drift(start: Any, steps: Any) -> Any:
        return gn.scan(lambda total, x: (total + gnp.sin(x), None), start, steps)[0]

    lines = str(gn.graph(drift, 0.0, np.ones(3))).splitlines()
    assert lines[0] == "graph(start: float64[], steps: float64[3])"
    assert lines[1].startswith("  %0: float64[3, 1] = scan(start, steps; carries=1, rows=1, length=3)")
    assert lines[2] == "      body = graph(input_0: float64[], input_1: float64[])"
    assert lines[3].startswith("        %0: float64[] = sin(input_1)")
    assert lines[4].startswith("        %1: float64[] = add(input_0, %0)  # test_graph.py:")
    assert lines[5] == "        return %1"
    assert len({line.index(" = ") for line in (lines[1], *lines[6:-1])}) == 1


def test_the_graph_of_a_function_follows_its_values_and_names_its_arguments() -> None:
    def f(p: Any, kind: str, power: int) -> Any:
        y = p["w"][0] * p["b"]
        return y**power if y.sum() > 0 and kind == "power" else -y

    graph = gn.graph(f, {"w": [np.ones(2)], "b": 2.0}, "power", 3)
    assert graph.input_names == ("p['w'][0]", "p['b']")
    assert [node.op.name for node in graph.nodes if node.inputs and node not in graph.inputs] == [
        "multiply",
        "power",
    ]
    assert gn.graph(max, 1.0, 2.0).input_names == ("input_0", "input_1")  # it has no signature


def test_a_graph_runs_on_values_and_goes_into_another() -> None:
    graph = two_steps()
    x, y = np.array([0.1, 0.2, 0.3]), np.array([1.0, -1.0, 2.0])
    (value,) = graph.evaluate([x, y], np)
    np.testing.assert_array_equal(value, np.tanh(x * y) + 1.0)
    np.testing.assert_array_equal(graph.apply([x, y])[0], value)
    slope = gn.grad(lambda x: graph.apply([x, y])[0].sum())(x)
    np.testing.assert_allclose(slope, y * (1 - np.tanh(x * y) ** 2), rtol=1e-14)


def test_the_signature_tells_bodies_apart() -> None:
    def signature(body: Any) -> str:
        return trace(lambda x: gn.scan(body, 0.0, x)[0], np.ones(3))[0].signature()

    first, again = signature(lambda c, x: (c + x, None)), signature(lambda c, x: (c + x, None))
    assert first == again != signature(lambda c, x: (c * x, None))


def test_what_lies_beneath_the_inputs_is_cut_off() -> None:
    graph = two_steps()
    product = graph.nodes[2]
    assert product.op.name == "multiply"
    upper = Graph.of([product], graph.outputs, ["z"]).verify()
    assert [node.op.name for node in upper.nodes] == ["multiply", "tanh", "constant", "add"]


def test_consumers_are_who_reads_a_node() -> None:
    graph = trace(lambda x: x * x + x, 2.0)[0]
    (x,) = graph.inputs
    readers = graph.consumers()
    assert [node.op.name for node in readers[x]] == ["multiply", "add"]
    assert readers[graph.outputs[0]] == []


def test_map_nodes_rewrites_and_keeps_the_inputs() -> None:
    def swap(node: Node, inputs: tuple[Node, ...]) -> Node:
        op = OPS["sin"] if node.op.name == "tanh" else node.op
        return Node(op, inputs, node.attributes, node.shape, node.dtype, node.value)

    graph = two_steps()
    rewritten = graph.map_nodes(swap).verify()
    assert rewritten.inputs == graph.inputs
    assert [node.op.name for node in rewritten.nodes if node.inputs] == ["multiply", "sin", "add"]


def test_a_sound_graph_verifies_as_itself() -> None:
    graph = two_steps()
    assert graph.verify() is graph


def test_a_node_against_its_shape_rule_is_refused() -> None:
    graph = two_steps()
    wrong = Node(OPS["tanh"], (graph.inputs[0],), {}, (4,), graph.inputs[0].dtype)
    with pytest.raises(VerificationError, match=r"shape rule, which gives float64\[3\]"):
        Graph.of(graph.inputs, [wrong]).verify()


def test_a_leaf_that_is_no_input_is_refused() -> None:
    graph = two_steps()
    with pytest.raises(VerificationError, match="neither input nor constant"):
        Graph.of(graph.inputs[:1], graph.outputs).verify()


def test_nodes_out_of_order_are_refused() -> None:
    graph = two_steps()
    with pytest.raises(VerificationError, match="out of order"):
        replace(graph, nodes=graph.nodes[::-1]).verify()


def test_a_name_is_registered_once() -> None:
    with pytest.raises(VerificationError, match="declared once"):
        register(replace(OPS["tanh"], derivative=Constant("a copy")))
