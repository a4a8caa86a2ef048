"""Curriculum items 2, 3 and 4: Jacobians, of what with respect to what, and of a matrix row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp

numbers = st.floats(-4, 4).map(lambda number: round(number, 3))
positive = st.floats(0.25, 4).map(lambda number: round(number, 3))
MODES = ("forward", "reverse", "auto")


@pytest.mark.parametrize("mode", MODES)
@given(x1=numbers, x2=positive)
def test_the_jacobian_has_a_row_for_each_output(mode: str, x1: float, x2: float) -> None:
    jacobian = gn.jacobian(lambda x: [2 * x[0] + x[1], gnp.pi * x[1], -x[0] / x[1]], mode=mode)
    expected = [[2, 1], [0, math.pi], [-1 / x2, x1 / x2**2]]
    np.testing.assert_allclose(jacobian(np.array([x1, x2])), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@given(w1=positive, w2=positive)
def test_the_jacobian_with_respect_to_weights(mode: str, w1: float, w2: float) -> None:
    jacobian = gn.jacobian(lambda w: [w[0] / w[1], -w[1], gnp.log(w[0])], mode=mode)
    expected = [[1 / w2, -w1 / w2**2], [0, -1], [1 / w1, 0]]
    np.testing.assert_allclose(jacobian(np.array([w1, w2])), expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_a_scalar_is_its_one_row_transposed() -> None:
    x = np.array([3.0, 2.0, -1.0])

    def f(x):
        return x[0] ** 2 * x[1] + gnp.sin(x[2])

    (row,) = gn.jacobian(lambda x: [f(x)])(x)
    np.testing.assert_array_equal(gn.grad(f)(x), row)
    np.testing.assert_allclose(row, [12, 9, math.cos(-1)], rtol=1e-15)


def two_ways(x, y, a, b):
    return 2 * a * x + b / y


@given(x=numbers, y=positive, a=numbers, b=numbers)
def test_the_same_function_seen_two_ways(x: float, y: float, a: float, b: float) -> None:
    point = {"x": x, "y": y, "a": a, "b": b}
    data = gn.grad(two_ways, wrt=("x", "y"))(**point)
    parameters = gn.grad(two_ways, wrt=("a", "b"))(**point)
    np.testing.assert_allclose(data, [2 * a, -b / y**2], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(parameters, [2 * x, 1 / y], rtol=1e-12, atol=1e-12)


def test_the_same_function_seen_two_ways_as_formulas() -> None:
    formulas = {name: partial.formula for name, partial in gn.derive(two_ways).partials.items()}
    assert formulas == {"x": "2 a", "y": "-b / y^2", "a": "2 x", "b": "1 / y"}


@pytest.mark.parametrize("mode", MODES)
@given(x1=numbers, x2=numbers)
def test_with_respect_to_a_matrix_row_by_row(mode: str, x1: float, x2: float) -> None:
    x, W = np.array([x1, x2]), np.array([[1.0, 2.0], [3.0, 4.0]])
    jacobian = gn.jacobian(lambda W: W @ x, mode=mode)(W)
    assert jacobian.shape == (2, 2, 2)
    np.testing.assert_array_equal(jacobian.reshape(2, 4), [[x1, x2, 0, 0], [0, 0, x1, x2]])


@pytest.mark.parametrize("mode", MODES)
def test_a_matrix_of_any_shape_and_what_backpropagation_makes_of_it(mode: str) -> None:
    W, x, row = np.arange(12.0).reshape(4, 3), np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.0, -1.0, 3.0])
    jacobian = gn.jacobian(lambda W: W @ x, mode=mode)(W)
    np.testing.assert_array_equal(jacobian.reshape(4, 12), np.kron(np.eye(4), x))
    (back,) = gn.vjp(lambda W: W @ x, W)[1](row)
    np.testing.assert_array_equal(back, (row @ jacobian.reshape(4, 12)).reshape(4, 3))
    np.testing.assert_array_equal(back, np.outer(row, x))
