"""Hessians, their products with vectors, and Gauss-Newton products, against hand-worked numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import DifferentiationError, DTypeError

X = np.array([0.5, -1.0, 2.0])
A = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 4.0]])


def quadratic(x: Any) -> Any:
    return 0.5 * (x * gnp.matmul(A, x)).sum()


def test_the_hessian_of_a_quadratic_form_is_its_matrix() -> None:
    np.testing.assert_allclose(gn.hessian(quadratic)(X), A, rtol=1e-15)
    np.testing.assert_allclose(gn.hvp(quadratic, (X,), (X,)), A @ X, rtol=1e-15)
    np.testing.assert_array_equal(gn.hessian(lambda x: x.sum())(X), np.zeros((3, 3)))


def f(x: Any, y: Any) -> Any:
    return x[0] * x[1] * y + y**3 * x[2]


def test_several_arguments_have_blocks() -> None:
    (xx, xy), (yx, yy) = gn.hessian(f, wrt=("x", "y"))(X, 2.0)
    np.testing.assert_allclose(xx, [[0, 2, 0], [2, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(xy, [-1.0, 0.5, 12.0])
    np.testing.assert_allclose(yx, xy)
    np.testing.assert_allclose(yy, 6 * 2.0 * 2.0)
    by_x, by_y = gn.hvp(f, (X, 2.0), (X, 1.0))
    np.testing.assert_allclose(by_x, xx @ X + xy)
    np.testing.assert_allclose(by_y, xy @ X + yy)


def test_a_tree_has_a_tree_of_rows_of_blocks() -> None:
    hessian = gn.hessian(lambda p: p["a"] * p["b"][0] ** 2)({"a": 1.0, "b": (3.0,)})
    assert hessian == {"a": {"a": 0.0, "b": (6.0,)}, "b": ({"a": 6.0, "b": (2.0,)},)}


def test_a_matrix_argument_goes_row_by_row() -> None:
    hessian = gn.hessian(lambda w: w[0, 0] * w[1, 1] - w[0, 1] * w[1, 0])(np.ones((2, 2)))
    assert hessian.shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(
        hessian.reshape(4, 4), [[0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0]]
    )


def test_they_nest_and_batch() -> None:
    def g(x: Any) -> Any:
        return gnp.logsumexp(x * x)

    batch = np.stack([X, -2 * X])
    np.testing.assert_allclose(
        gn.vmap(gn.hessian(g))(batch), [gn.hessian(g)(x) for x in batch], rtol=1e-13, atol=1e-15
    )
    third = gn.jacobian(gn.hessian(g))(X)
    np.testing.assert_allclose(third, np.transpose(third, (2, 0, 1)), rtol=1e-12, atol=1e-13)
    trace = gn.grad(lambda x: gnp.trace(gn.hessian(g)(x)))(X)
    np.testing.assert_allclose(trace, np.einsum("iij->j", third), rtol=1e-12)
    products = gn.vmap(lambda v: gn.hvp(g, (X,), (v,)))(np.eye(3))
    np.testing.assert_allclose(products, gn.hessian(g)(X), rtol=1e-13, atol=1e-15)


def test_the_gauss_newton_product_is_j_transposed_h_j() -> None:
    target = np.array([1.0, 0.0, 0.5, -1.0])

    def model(x: Any) -> Any:
        return gnp.concatenate([gnp.tanh(x), (x * x)[:1]])

    def loss(y: Any) -> Any:
        return gnp.logsumexp(y - target)

    v = np.array([1.0, -2.0, 0.5])
    jacobian, hessian = gn.jacobian(model)(X), gn.hessian(loss)(model(X))
    np.testing.assert_allclose(
        gn.gauss_newton_product(model, loss, (X,), (v,)), jacobian.T @ hessian @ jacobian @ v, rtol=1e-13
    )
    # Of a linear model it is the Hessian; here with two arguments and a tree between.
    product = gn.gauss_newton_product(
        lambda x, y: {"z": x * 2.0 + y}, lambda out: (out["z"] ** 2).sum(), (X, X), (v, 0 * v)
    )
    np.testing.assert_allclose(product, [8 * v, 4 * v])


def test_gradients_of_single_examples_come_from_vmap_of_grad() -> None:
    def loss(parameters: Any, x: Any, d: Any) -> Any:
        return ((gnp.matmul(parameters["w"], x) + parameters["b"] - d) ** 2).sum()

    parameters = {"w": A, "b": X}
    xs, ds = np.linspace(-1.0, 1.0, 12).reshape(4, 3), np.ones((4, 3))
    each = gn.vmap(gn.grad(loss), in_axes=(None, 0, 0))(parameters, xs, ds)
    for i in range(4):
        error = A @ xs[i] + X - 1.0
        np.testing.assert_allclose(each["w"][i], 2 * np.outer(error, xs[i]), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(each["b"][i], 2 * error, rtol=1e-13, atol=1e-15)


def test_the_mistakes_are_those_of_grad() -> None:
    with pytest.raises(DifferentiationError, match=r"needs a scalar.*jacobian.*vjp"):
        gn.hessian(lambda x: x)(X)
    with pytest.raises(DTypeError, match="int64"):
        gn.hessian(quadratic)(np.array([1, 2, 3]))
    with pytest.raises(
        DifferentiationError, match=r"wrt='z' names no argument of f; its arguments are x, y\."
    ):
        gn.hessian(f, wrt="z")(X, 1.0)
