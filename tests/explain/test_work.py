"""Curriculum item 7: multiplications counted by hand, and what a backward pass computes once."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet.numpy as gnp
from glassnet.errors import DifferentiationError
from glassnet.explain import work


def L(W1, b1, W2, b2, x, d):
    z1 = W1 @ x + b1
    y1 = gnp.sigmoid(z1)
    z2 = W2 @ y1 + b2
    y2 = gnp.sigmoid(z2)
    error = y2 - d
    return (error * error).sum() / 2


def layers(inputs: int, hidden: int, outputs: int) -> list[np.ndarray]:
    shapes = [(hidden, inputs), (hidden,), (outputs, hidden), (outputs,), (inputs,), (outputs,)]
    return [np.zeros(shape) for shape in shapes]


PARAMETERS = ["W2", "b2", "W1", "b1"]


@pytest.mark.parametrize(("i", "h", "o"), [(3, 4, 2), (1, 1, 1), (5, 2, 7)])
def test_two_layers_by_hand(i: int, h: int, o: int) -> None:
    count = work(L, *layers(i, h, o), wrt=PARAMETERS)
    assert count.value == i * h + h * o + o + 1
    delta2 = 2 * o + 2 * o  # two factors of error * error; s (1 - s) and the product with it
    delta1 = delta2 + h * o + 2 * h
    alone = {"W2": delta2 + h * o, "b2": delta2, "W1": delta1 + i * h, "b1": delta1}
    assert count.alone == alone
    assert count.backward == delta1 + h * o + i * h
    # Forward: the slopes of both layers once; then for each number the way from it to the end.
    from_b2 = o + 2 * o + 1
    from_b1 = h + h * o + from_b2
    sweeps = i * h * (i * h + from_b1) + h * from_b1 + h * o * (h * o + from_b2) + o * from_b2
    assert count.forward == h + o + sweeps


def test_what_is_computed_once() -> None:
    count = work(L, *layers(3, 4, 2), wrt=PARAMETERS)
    everything, lower = tuple(PARAMETERS), ("W1", "b1")
    assert count.shared == {"error": everything, "y2": everything, "z2": everything, "y1": lower, "z1": lower}
    assert "    one backward pass               44" in str(count)
    assert "    dL/dz1      W1, b1" in str(count)


def test_sharing_saves_more_the_deeper_the_network() -> None:
    def deep(count: int):
        def f(w, x):
            for i in range(count):
                x = gnp.tanh(w[i] * x)
            return x

        return f

    # All derivatives in one pass grow with the depth; one pass for each of n weights would grow with n^2.
    one, two = (work(deep(n), np.zeros(n), np.zeros(()), wrt=["w"]).backward for n in (10, 20))
    assert two < 2.5 * one


def test_one_and_known_numbers_cost_nothing() -> None:
    count = work(lambda x: (x * 1.0 + np.ones(3) * 5.0).sum(), np.zeros(3))
    assert (count.value, count.backward, count.forward) == (0, 0, 0)


def test_an_argument_without_influence_costs_nothing() -> None:
    count = work(lambda a, b: a * a, np.zeros(()), np.zeros(()))
    assert count.alone == {"a": 0, "b": 0}
    assert count.forward == 2  # a da twice


def test_mistakes_are_one_sentence() -> None:
    with pytest.raises(DifferentiationError, match=r"has no argument 'v'; it has w\."):
        work(lambda w: w * w, np.zeros(()), wrt=["v"])
    with pytest.raises(DifferentiationError, match=r"returned \(3,\)"):
        work(lambda w: w * w, np.zeros(3))
