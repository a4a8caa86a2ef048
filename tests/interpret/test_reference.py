from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.trace import Array
from glassnet.errors import ShapeError
from glassnet.interpret.reference import InterpretedGraph, interpret
from glassnet.transforms.tracing import trace

X, W = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(0, 2, 12).reshape(3, 4)


def network(x: Any, w: Any) -> Any:
    h = gnp.relu(gnp.matmul(x, w) - 0.5)
    return gnp.mean(gnp.softplus(h)), h


def test_a_traced_function_interprets_to_its_own_values() -> None:
    graph, _ = trace(network, X, W)
    for got, expected in zip(interpret(graph, [X, W]), network(X, W), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_gradient_is_a_graph_like_any_other() -> None:
    gradient = gn.grad(lambda x, w: network(x, w)[0], wrt=(0, 1))
    graph, _ = trace(gradient, X, W)
    assert graph.verify().outputs[0].value is None
    for got, expected in zip(interpret(graph, [X, W]), gradient(X, W), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-15)


def test_outputs_may_be_inputs_constants_or_repeated() -> None:
    graph, _ = trace(lambda x: (x, np.ones(2), x + 1, x + 1, x), 3.0)
    x, ones, first, second, again = interpret(graph, [3.0])
    assert x == again == 3.0
    np.testing.assert_array_equal(ones, [1.0, 1.0])
    assert first == second == 4.0


def test_a_value_is_dropped_after_its_last_use() -> None:
    # A chain of fifty steps: without dropping, fifty values would be alive at its end.
    alive: list[int] = []

    class Counting:
        """NumPy's namespace, but for a sine that counts the arrays alive."""

        asarray = staticmethod(np.asarray)

        @staticmethod
        def sin(x: Any) -> Any:
            return Tracked(np.sin(x.value), alive)

    graph, _ = trace(chain, 0.5)
    (out,) = interpret(graph, [Tracked(np.array(0.5), alive)], Counting)
    assert max(alive) <= 3  # the input, which the caller holds, the operand and the result
    expected = 0.5
    for _ in range(50):
        expected = np.sin(expected)
    assert out.value == expected


def read(x: Any, i: Any) -> Any:
    return gnp.take(gnp.square(x), i)  # the line that is named


def test_an_op_that_does_not_take_its_values_says_where() -> None:
    graph, _ = trace(read, X[0], np.array([0, 2]))
    sentence = (
        r"gather failed: index 3 is out of bounds .* \(line \d+ of .*gnp\.take.*# the line that is named\)"
    )
    with pytest.raises(ShapeError, match=sentence):
        interpret(graph, [X[0], np.array([0, 3])])


def test_the_first_inputs_may_be_bound() -> None:
    graph, _ = trace(network, X, W)
    interpreted = InterpretedGraph(graph)
    interpreted.bind([X])
    for w in (W, W + 1):
        for got, expected in zip(interpreted.rest([w]), interpreted([X, w]), strict=True):
            np.testing.assert_array_equal(got, expected)


class Tracked:
    """A value that records how many of its kind are alive when one is made."""

    count = 0

    def __init__(self, value: Any, alive: list[int]) -> None:
        self.value = value
        Tracked.count += 1
        alive.append(Tracked.count)

    def __del__(self) -> None:
        Tracked.count -= 1


def chain(x: Array) -> Array:
    for _ in range(50):
        x = gnp.sin(x)
    return x
