"""Curriculum items 5, 8 and 9: products of Jacobians in their order, inputs, scalars of affine functions."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal


def g(x):
    return [x[0] + 2 * x[1], x[1], -x[0] + 3]


def f(u):
    return u[0] - 2 * u[1] + u[2] / 4


def test_the_numbers_of_the_page() -> None:
    x = np.array([1.0, 2.0])
    inner, outer = gn.jacobian(g)(x), gn.jacobian(lambda u: [f(u)])(np.array(g(x)))
    np.testing.assert_array_equal(inner, [[1, 2], [0, 1], [-1, 0]])
    np.testing.assert_array_equal(outer, [[1, -2, 0.25]])
    np.testing.assert_array_equal(outer @ inner, [[0.75, 0]])
    np.testing.assert_array_equal(gn.grad(lambda x: f(g(x)))(x), [0.75, 0])
    with pytest.raises(ValueError, match="mismatch"):
        inner @ outer


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_three_is_the_product_of_three_jacobians_outer_first(seed: int) -> None:
    A, B, C, X = (
        normal(Key(seed, stream), shape) for stream, shape in enumerate([(2, 4), (4, 5), (5, 3), (3,)])
    )

    def inner(x):
        return gnp.sin(C @ x)

    def middle(h):
        return gnp.tanh(B @ h)

    def outer(g):
        return gnp.exp(A @ g)

    h = inner(X)
    factors = [gn.jacobian(outer)(middle(h)), gn.jacobian(middle)(h), gn.jacobian(inner)(X)]
    assert [factor.shape for factor in factors] == [(2, 4), (4, 5), (5, 3)]
    whole = gn.jacobian(lambda x: outer(middle(inner(x))))(X)
    np.testing.assert_allclose(factors[0] @ factors[1] @ factors[2], whole, rtol=1e-11, atol=1e-13)
    # From the left a row travels to the input, from the right a column to the output.
    row, column = np.array([1.0, -2.0]), np.array([0.5, 0.0, 1.0])
    (back,) = gn.vjp(lambda x: outer(middle(inner(x))), X)[1](row)
    np.testing.assert_allclose(back, row @ whole, rtol=1e-11, atol=1e-13)
    _, ahead = gn.jvp(lambda x: outer(middle(inner(x))), (X,), (column,))
    np.testing.assert_allclose(ahead, whole @ column, rtol=1e-11, atol=1e-13)


def scalar(z):
    return gnp.sin(z[0]) * z[1] + z[1] ** 2 + gnp.exp(z[2])


@pytest.mark.parametrize("seed", range(3))
def test_a_scalar_of_an_affine_function(seed: int) -> None:
    W, x, b = (normal(Key(seed, stream), shape) for stream, shape in enumerate([(3, 4), (4,), (3,)]))
    row = gn.jacobian(lambda z: [scalar(z)])(W @ x + b)
    assert row.shape == (1, 3)
    dW, dx, db = gn.grad(lambda W, x, b: scalar(W @ x + b), wrt=(0, 1, 2))(W, x, b)
    derivative = x.reshape(4, 1) @ row
    assert derivative.shape == W.T.shape
    assert dW.shape == W.shape
    np.testing.assert_allclose(dW, derivative.T, rtol=1e-12)
    np.testing.assert_allclose(dx, (row @ W)[0], rtol=1e-12)
    np.testing.assert_allclose(db, row[0], rtol=1e-12)


@pytest.mark.parametrize("activation", [gnp.tanh, gnp.sigmoid, gnp.softplus])
def test_the_derivative_with_respect_to_the_input_is_one_product_more(activation) -> None:
    W, b, x, d = (normal(Key(5, stream), shape) for stream, shape in enumerate([(2, 3), (2,), (3,), (2,)]))

    def loss(W, b, x):
        error = activation(W @ x + b) - d
        return (error * error).sum() / 2

    dW, db, dx = gn.grad(loss, wrt=("W", "b", "x"))(W, b, x)
    np.testing.assert_allclose(dx, db @ W, rtol=1e-12)
    np.testing.assert_allclose(dW, np.outer(db, x), rtol=1e-12)
    assert loss(W, b, x - 0.01 * dx) < loss(W, b, x)
