"""Curriculum item 13: products, gates, and the networks that are made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal

numbers = st.floats(-4, 4)


def s(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@given(a=numbers, b=numbers, c=numbers)
def test_the_derivative_by_a_factor_is_the_product_of_the_others(a: float, b: float, c: float) -> None:
    assert gn.grad(lambda a, b: a * b, wrt=(0, 1))(a, b) == (b, a)
    slopes = gn.grad(lambda a, b, c: a * b * c, wrt=(0, 1, 2))(a, b, c)
    np.testing.assert_allclose(slopes, (b * c, a * c, a * b), rtol=1e-14)


def product_unit(seed: int = 0) -> gn.Network:
    gate = gn.nn.Multiply([gn.Dense(1), gn.Dense(1)])
    return gn.Network(gate, loss="half_squared_error", seed=seed, dtype="float64", input_shape=2)


def test_one_product_is_exclusive_or() -> None:
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
    net = product_unit()
    values = ([[1.0, -1.0]], [0.0], [[1.0, -1.0]], [0.0])
    net.parameters = dict(zip(net.parameter_names, values, strict=True))
    assert net.predict(X).tolist() == y.tolist()
    assert not any(gradient.any() for gradient in net.gradients(X, y).values())


def test_each_factor_gets_the_gradient_times_the_other() -> None:
    net, x = product_unit(seed=3), np.array([0.5, -2.0])
    first, b1, second, b2 = (net.parameters[name] for name in net.parameter_names)
    left, right = first @ x + b1, second @ x + b2
    error = left * right - 0.25
    gradients = net.trace(x, [0.25]).gradients
    expected = (np.outer(error * right, x), error * right, np.outer(error * left, x), error * left)
    for gradient, by_hand in zip(gradients.values(), expected, strict=True):
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-12)


@given(y=numbers, z=numbers)
def test_a_gate_passes_the_derivative_as_it_passes_the_value(y: float, z: float) -> None:
    dy, dz = gn.grad(lambda y, z: y * gnp.sigmoid(z), wrt=("y", "z"))(y, z)
    assert float(dy) == pytest.approx(s(z), rel=1e-12)
    assert float(dz) == pytest.approx(y * s(z) * (1 - s(z)), rel=1e-12, abs=1e-15)


def lstm_step(c: float, biases: tuple[float, ...]) -> tuple[float, np.ndarray]:
    """dc'/dc and dc'/d(biases of i, f, g, o) of one unit whose gates hear nothing but their biases."""
    layer, still = gn.LSTM(1), {"kernel": np.zeros((4, 1)), "recurrent": np.zeros((4, 1))}

    def cell(c, bias):
        state = np.zeros(1), gnp.reshape(c, (1,))
        return layer.step(still | {"bias": bias}, state, np.ones(1))[1][0]

    dc, dbias = gn.grad(cell, wrt=(0, 1))(c, np.array(biases))
    return float(dc), dbias


def test_the_numbers_of_the_page_for_the_lstm() -> None:
    dc, dbias = lstm_step(2.0, (0.0, math.log(3), math.atanh(0.5), 0.0))
    assert dc == pytest.approx(0.75, rel=1e-14)
    np.testing.assert_allclose(dbias, [0.125, 0.375, 0.375, 0], rtol=1e-14)


@given(c=numbers, i=numbers, f=numbers, g=numbers)
def test_the_lstm_cell_is_two_products(c: float, i: float, f: float, g: float) -> None:
    dc, dbias = lstm_step(c, (i, f, g, 0.0))
    candidate = math.tanh(g)
    expected = (s(i) * (1 - s(i)) * candidate, s(f) * (1 - s(f)) * c, s(i) * (1 - candidate**2), 0)
    assert dc == pytest.approx(s(f), rel=1e-12)
    np.testing.assert_allclose(dbias, expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_along_the_cell_the_forget_gates_multiply(steps: int) -> None:
    layer = gn.LSTM(1)
    gate = {
        "kernel": np.zeros((4, 1)),
        "recurrent": np.zeros((4, 1)),
        "bias": np.array([0, math.log(99), 0, 0]),
    }
    slope = gn.jacobian(lambda c: layer.unroll(gate, np.zeros((steps, 1)), (np.zeros(1), c))[1][1])(
        np.zeros(1)
    )
    assert slope.item() == pytest.approx(0.99**steps, rel=1e-12)


@given(h=numbers, u=numbers, n=numbers)
def test_the_gru_lies_between_old_and_new(h: float, u: float, n: float) -> None:
    layer = gn.GRU(1)
    still = {"kernel": np.zeros((3, 1)), "recurrent": np.zeros((3, 1)), "recurrent_bias": np.zeros(1)}

    def unit(h, bias):
        return layer.step(still | {"bias": bias}, (gnp.reshape(h, (1,)),), np.ones(1))[0][0]

    dh, dbias = gn.grad(unit, wrt=(0, 1))(h, np.array([0.0, u, n]))
    candidate = math.tanh(n)
    expected = (0, s(u) * (1 - s(u)) * (h - candidate), (1 - s(u)) * (1 - candidate**2))
    assert float(dh) == pytest.approx(s(u), rel=1e-12)
    np.testing.assert_allclose(dbias, expected, rtol=1e-11, atol=1e-15)


def test_attention_by_its_values_and_by_its_scores() -> None:
    scores, values = normal(Key(1, 0), (4,)), normal(Key(1, 1), (4,))

    def read(scores, values):
        keys, memory = gnp.reshape(scores, (4, 1)), gnp.reshape(values, (4, 1))
        return gn.nn.scaled_dot_product_attention(np.ones((1, 1)), keys, memory)[0, 0]

    weights = np.exp(scores) / np.exp(scores).sum()
    y = weights @ values
    by_score, by_value = gn.grad(read, wrt=(0, 1))(scores, values)
    assert float(read(scores, values)) == pytest.approx(y, rel=1e-12)
    np.testing.assert_allclose(by_value, weights, rtol=1e-12)
    np.testing.assert_allclose(by_score, weights * (values - y), rtol=1e-12)
