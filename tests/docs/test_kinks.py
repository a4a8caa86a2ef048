"""Curriculum item 14: at a kink a subgradient is taken where there is one, else a stated one-sided slope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.nn.activations import ELU, RandomizedLeakyReLU, hard_silu

SELU_LEFT, SELU_RIGHT = 1.7580993408473768, 1.0507009873554805
STEPS = np.geomspace(1e-7, 0.5, 200)

# function, place, what is taken, slope on the left, slope on the right
CONVEX = {
    "relu": (gnp.relu, 0.0, 0.0, 0.0, 1.0),
    "leaky_relu": (gnp.leaky_relu, 0.0, 0.01, 0.01, 1.0),
    "randomized_leaky_relu": (RandomizedLeakyReLU(), 0.0, 11 / 48, 11 / 48, 1.0),
    "abs": (gnp.abs, 0.0, 0.0, -1.0, 1.0),
    "relu6": (gnp.relu6, 0.0, 0.0, 0.0, 1.0),
    "hard_tanh": (gnp.hard_tanh, -1.0, 0.0, 0.0, 1.0),
    "hard_sigmoid": (gnp.hard_sigmoid, -3.0, 0.0, 0.0, 1 / 6),
    "elu": (gnp.elu, 0.0, 1.0, 1.0, 1.0),
    "elu, alpha = 0.5": (ELU(0.5), 0.0, 0.5, 0.5, 1.0),
}
NOT_CONVEX = {
    "selu": (gnp.selu, 0.0, SELU_LEFT, SELU_LEFT, SELU_RIGHT),
    "relu6": (gnp.relu6, 6.0, 0.0, 1.0, 0.0),
    "hard_tanh": (gnp.hard_tanh, 1.0, 0.0, 1.0, 0.0),
    "hard_sigmoid": (gnp.hard_sigmoid, 3.0, 0.0, 1 / 6, 0.0),
    "hard_silu, left": (hard_silu, -3.0, 0.0, 0.0, -0.5),
    "hard_silu, right": (hard_silu, 3.0, 1.0, 1.5, 1.0),
}
Kink = tuple[Callable[[Any], Any], float, float, float, float]


def secants(f: Callable[[Any], Any], a: float) -> tuple[np.ndarray, np.ndarray]:
    """The slopes of f between a and points on its left, and on its right."""
    return (f(a) - f(a - STEPS)) / STEPS, (f(a + STEPS) - f(a)) / STEPS


@pytest.mark.parametrize("kink", CONVEX.values(), ids=CONVEX)
def test_at_a_convex_kink_the_choice_is_a_subgradient(kink: Kink) -> None:
    f, a, taken, left, right = kink
    assert float(gn.grad(f)(a)) == pytest.approx(taken, abs=1e-15)
    before, after = secants(f, a)
    assert before.max() == pytest.approx(left, abs=1e-6)
    assert after.min() == pytest.approx(right, abs=1e-6)
    x = a + np.concatenate([-STEPS, STEPS])
    assert np.all(f(x) >= f(a) + taken * (x - a) - 1e-15)


@pytest.mark.parametrize("kink", NOT_CONVEX.values(), ids=NOT_CONVEX)
def test_where_there_is_none_the_choice_is_the_slope_of_one_side(kink: Kink) -> None:
    f, a, taken, left, right = kink
    before, after = secants(f, a)
    assert before[0] == pytest.approx(left, abs=1e-6)
    assert after[0] == pytest.approx(right, abs=1e-6)
    assert (
        before.max() > after.min()
    )  # no number is above all secants of one side and below those of the other
    assert taken in (left, right)
    assert float(gn.grad(f)(a)) == pytest.approx(taken, rel=1e-12, abs=1e-15)


def test_the_largest_of_one_two_three() -> None:
    assert gn.grad(gnp.max)(np.array([1.0, 2.0, 3.0])).tolist() == [0, 0, 1]


@given(x=arrays(np.float64, 4, elements=st.integers(-2, 2).map(float)))
def test_of_equal_largest_the_first_takes_it_all_and_that_is_a_subgradient(x: np.ndarray) -> None:
    g = gn.grad(gnp.max)(x)
    np.testing.assert_array_equal(g, np.arange(4) == x.argmax())
    elsewhere = x + np.random.default_rng(0).normal(size=(50, 4))
    assert np.all(elsewhere.max(axis=1) >= x.max() + (elsewhere - x) @ g - 1e-12)


def test_max_pooling_by_hand() -> None:
    x = np.array([[1.0, 5.0, 2.0, 3.0, 4.0]])
    pooled, back = gn.vjp(lambda x: gnp.max_pool(x, window=2, stride=1), x)
    assert pooled.tolist() == [[5, 5, 3, 4]]
    assert back(np.array([[1.0, 10.0, 100.0, 1000.0]]))[0].tolist() == [[0, 11, 0, 100, 1000]]


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 1), (3, 1), (3, 2), (4, 3)])
@given(x=arrays(np.float64, 9, elements=st.integers(-2, 2).map(float)))
def test_an_element_collects_from_every_window_that_it_wins(window: int, stride: int, x: np.ndarray) -> None:
    starts = range(0, 9 - window + 1, stride)
    cotangent = np.arange(1.0, len(starts) + 1)
    expected = np.zeros(9)
    for start, share in zip(starts, cotangent, strict=True):
        expected[start + x[start : start + window].argmax()] += share
    _, back = gn.vjp(lambda x: gnp.max_pool(x, window, stride), x[np.newaxis])
    np.testing.assert_array_equal(back(cotangent[np.newaxis])[0][0], expected)


def test_a_sum_of_choices_is_not_always_a_choice_for_the_sum() -> None:
    identity = gn.vmap(gn.grad(lambda x: gnp.relu(x) - gnp.relu(-x)))
    assert identity(np.array([-2.0, 0.0, 2.0])).tolist() == [1, 0, 1]


def test_an_example_on_the_kink_teaches_the_last_bias_alone() -> None:
    layers = [gn.Dense(3, activation="relu"), gn.Dense(1)]
    net = gn.Network(layers, loss="half_squared_error", seed=0, dtype="float64", input_shape=2)
    gradients = net.trace([0.0, 0.0], [1.0]).gradients
    assert gradients.pop("dense_2.bias").tolist() == [-1]
    assert not any(gradient.any() for gradient in gradients.values())
