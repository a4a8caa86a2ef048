"""vmap(f)(X)[i] = f(X[i]), alone and together with derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp

W = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
X = np.linspace(-2.0, 1.0, 12).reshape(4, 3)


def layer(w: Any, x: Any) -> Any:
    return gnp.tanh(gnp.matmul(w, x)).sum() + x[0]


def test_the_gradient_of_a_batch_is_the_sum_of_the_gradients_of_its_examples() -> None:
    batched = gn.vmap(layer, in_axes=(None, 0))
    whole = gn.grad(lambda w: gnp.sum(batched(w, X)))(W)
    each = gn.vmap(gn.grad(layer), in_axes=(None, 0))(W, X)
    assert each.shape == (4, 2, 3)
    np.testing.assert_allclose(whole, each.sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(each, [gn.grad(layer)(W, x) for x in X], rtol=1e-13)


@pytest.mark.parametrize("transform", [gn.jacobian, lambda f: gn.jacobian(f, mode="forward")])
def test_the_jacobian_of_every_example(transform: Any) -> None:
    each = gn.vmap(transform(gnp.softmax))(X)
    np.testing.assert_allclose(each, [gn.jacobian(gnp.softmax)(x) for x in X], rtol=1e-13, atol=1e-16)


def test_the_hessian_of_every_example() -> None:
    hessian = gn.jacobian(gn.grad(lambda x: gnp.logsumexp(x * x)))
    np.testing.assert_allclose(gn.vmap(hessian)(X), [hessian(x) for x in X], rtol=1e-12, atol=1e-15)


def test_a_batch_of_batches() -> None:
    all_pairs = gn.vmap(gn.vmap(lambda x, y: (x * y).sum(), in_axes=(None, 0)), in_axes=(0, None))
    np.testing.assert_allclose(all_pairs(X, X), X @ X.T, rtol=1e-14)


@pytest.mark.parametrize(("in_axis", "out_axis"), [(0, 0), (1, 0), (-1, 1), (0, -1)])
def test_axes_may_stand_anywhere(in_axis: int, out_axis: int) -> None:
    got = gn.vmap(lambda x: 2 * x, in_axes=in_axis, out_axes=out_axis)(X)
    np.testing.assert_array_equal(got, 2 * np.moveaxis(X, in_axis, out_axis))


def test_trees_in_and_out_and_results_that_do_not_depend_on_the_example() -> None:
    out = gn.vmap(lambda p, y: {"sum": p["x"] + y, "fixed": W}, in_axes=(0, None))({"x": X[:, 0]}, 1.0)
    np.testing.assert_array_equal(out["sum"], X[:, 0] + 1)
    np.testing.assert_array_equal(out["fixed"], np.stack([W] * 4))


def test_a_batch_without_examples() -> None:
    assert gn.vmap(lambda x: gnp.softmax(x))(np.zeros((0, 3))).shape == (0, 3)


def test_axes_may_be_trees_and_arguments_may_have_names() -> None:
    X = np.arange(6.0).reshape(3, 2)
    f = gn.vmap(
        lambda p, x: {"y": p["w"] * x.sum() + p["b"], "x": x}, ({"w": None, "b": 0}, 0), {"y": 0, "x": 1}
    )
    out = f({"b": np.ones(3), "w": 2.0}, X)
    np.testing.assert_array_equal(out["y"], 2 * X.sum(axis=1) + 1)
    np.testing.assert_array_equal(out["x"], X.T)
    np.testing.assert_array_equal(gn.vmap(lambda x, y: x - y)(X, y=X[::-1]), X - X[::-1])
