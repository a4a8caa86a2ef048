from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

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
    assert lines[3] == "  %2: float64[] = constant 1.0"
    assert lines[4].startswith("  %3: float64[3] = add(%1, %2)")
    assert lines[5] == "  return %3"


def test_attributes_are_printed() -> None:
    graph = trace(lambda x: gnp.sum(x, axis=1), np.ones((2, 3)))[0]
    assert "sum(input_0; axes=(1,), keepdims=False)" in str(graph)


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
