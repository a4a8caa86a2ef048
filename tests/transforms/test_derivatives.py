"""grad, jvp, vjp and jacobian: hand-worked numbers, nesting, and agreement of the modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DifferentiationError

X1, X2 = 1.5, 2.0


def close(got: Any, expected: Any, rtol: float = 1e-14) -> None:
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-14)


# Hand-worked Jacobians: outputs are rows, inputs are columns.


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (
            lambda x: [2 * x[0] + x[1], gnp.pi * x[1], -x[0] / x[1]],
            [[2, 1], [0, np.pi], [-1 / X2, X1 / X2**2]],
        ),
        (
            lambda w: [w[0] / w[1], -w[1], gnp.log(w[0])],
            [[1 / X2, -X1 / X2**2], [0, -1], [1 / X1, 0]],
        ),
    ],
)
def test_the_jacobian_of_any_function(f: Any, expected: Any, mode: str) -> None:
    close(gn.jacobian(f, mode=mode)(np.array([X1, X2])), expected)


def test_the_gradient_of_a_scalar_is_its_jacobian_transposed() -> None:
    def f(x: Any) -> Any:
        return x[0] * gnp.sin(x[1])

    x = np.array([X1, X2])
    close(gn.grad(f)(x), [np.sin(X2), X1 * np.cos(X2)])
    close(gn.jacobian(f)(x), gn.grad(f)(x))


def test_the_same_function_seen_two_ways() -> None:
    def f(x: Any, y: Any, a: Any, b: Any) -> Any:
        return 2 * a * x + b / y

    x, y, a, b = 3.0, 2.0, 5.0, 7.0
    close(gn.grad(f, wrt=("x", "y"))(x, y, a, b), [2 * a, -b / y**2])
    close(gn.grad(f, wrt=("a", "b"))(x, y, a, b), [2 * x, 1 / y])
    close(gn.grad(f, wrt="b")(x, y, a, b=b), 1 / y)


def test_a_derivative_with_respect_to_a_matrix_goes_row_by_row() -> None:
    x = np.array([3.0, 4.0])
    jacobian = gn.jacobian(lambda w: gnp.matmul(w, x))(np.array([[1.0, 2.0], [5.0, 6.0]]))
    assert jacobian.shape == (2, 2, 2)
    close(jacobian.reshape(2, 4), [[3, 4, 0, 0], [0, 0, 3, 4]])


def test_the_chain_rule_is_a_product_of_jacobians_outer_first() -> None:
    def g(x: Any) -> Any:
        return gnp.stack([x[0] + 2 * x[1], x[1], -x[0] + 3])

    def f(y: Any) -> Any:
        return y[0] - 2 * y[1] + y[2] / 4

    x = np.array([0.5, -1.0])
    outer, inner = gn.jacobian(f)(g(x)), gn.jacobian(g)(x)
    close(outer, [1, -2, 0.25])
    close(inner, [[1, 2], [0, 1], [-1, 0]])
    close(gn.jacobian(lambda x: f(g(x)))(x), outer @ inner)
    close(outer @ inner, [0.75, 0])
    with pytest.raises(ValueError, match="mismatch"):
        inner @ outer


def test_the_derivative_with_respect_to_the_input() -> None:
    w = np.array([[1.0, -2.0], [3.0, 0.5]])
    x = np.array([0.3, 0.7])
    close(gn.grad(lambda x: gnp.tanh(gnp.matmul(w, x)).sum())(x), (1 - np.tanh(w @ x) ** 2) @ w)


def test_a_scalar_of_an_affine_function() -> None:
    w, x, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.1, 0.2, 0.3]), np.array([1.0, -1.0])

    def divergence(w: Any, x: Any, b: Any) -> Any:
        z = gnp.matmul(w, x) + b
        return z[0] * z[0] + 3 * z[1]

    z = w @ x + b
    delta = np.array([2 * z[0], 3.0])
    dw, dx, db = gn.grad(divergence, wrt=(0, 1, 2))(w, x, b)
    close(dw, np.outer(delta, x))
    close(dx, delta @ w)
    close(db, delta)


def test_the_jacobian_of_softmax() -> None:
    z = np.array([0.2, -1.0, 0.5])
    y = np.exp(z) / np.exp(z).sum()
    close(gn.jacobian(gnp.softmax)(z), np.diag(y) - np.outer(y, y))


# Trees, names and what depends on nothing.


def test_a_tree_of_parameters_has_a_tree_of_gradients() -> None:
    parameters = {"w": np.array([1.0, 2.0]), "rest": [np.array(3.0), (np.array([4.0]), None)]}

    def f(p: Any, x: float) -> Any:
        return (p["w"] * x).sum() * p["rest"][0] + p["rest"][1][0][0] ** 2

    gradient = gn.grad(f)(parameters, 2.0)
    assert list(gradient) == ["w", "rest"]
    close(gradient["w"], [6, 6])
    close(gradient["rest"][0], 6)
    close(gradient["rest"][1][0], [8])
    assert gradient["rest"][1][1] is None
    assert gn.grad(lambda p, x: x * x)({}, 2.0) == {}


def test_what_depends_on_nothing_has_the_derivative_zero() -> None:
    x = np.ones(3)
    close(gn.grad(lambda x, y: y * 2, wrt=(0, 1))(x, 1.0)[0], np.zeros(3))
    close(gn.grad(lambda x: 4.0)(x), np.zeros(3))
    close(gn.jvp(lambda x: np.ones(2), (x,), (x,))[1], np.zeros(2))
    close(gn.jacobian(lambda x: np.ones(2))(x), np.zeros((2, 3)))
    close(gn.grad(lambda x: gnp.stop_gradient(x * x) * x)(3.0), 9.0)


def test_a_value_used_twice_adds_its_cotangents() -> None:
    # y = x^2 is used three times: d(y y + y)/dx = (2 y + 1) 2 x.
    def f(x: Any) -> Any:
        y = x * x
        return y * y + y

    close(gn.grad(f)(3.0), (2 * 9 + 1) * 6)


# Nesting.


def test_perturbations_of_nested_derivatives_are_not_confused() -> None:
    # d/dx [x d/dy (x y)] = d/dx x^2 = 2 x; d/dx [x d/dy (x + y)] = 1: here confusion gives 2.
    close(gn.grad(lambda x: x * gn.grad(lambda y: x * y)(2.0))(3.0), 6.0)
    close(gn.grad(lambda x: x * gn.grad(lambda y: x + y)(1.0))(1.0), 1.0)


@pytest.mark.parametrize("outer", ["grad", "jvp"])
@pytest.mark.parametrize("inner", ["grad", "jvp"])
def test_all_pairs_of_modes_nest(outer: str, inner: str) -> None:
    def derivative(mode: str, f: Any) -> Any:
        return gn.grad(f) if mode == "grad" else (lambda x: gn.jvp(f, (x,), (1.0,))[1])

    def f(x: Any) -> Any:
        return derivative(inner, lambda y: gnp.sin(x * y) * y)(x) * x

    # g(x, y) = sin(x y) + x y cos(x y); f(x) = x g(x, x), u = x^2:
    x = 0.7
    u = x * x
    expected = np.sin(u) + u * np.cos(u) + x * (4 * x * np.cos(u) - 2 * x * u * np.sin(u))
    close(derivative(outer, f)(x), expected, 1e-13)


def test_the_third_order() -> None:
    third = gn.grad(gn.grad(gn.grad(lambda x: gnp.exp(2 * x) + x**4)))
    close(third(0.5), 8 * np.exp(1.0) + 24 * 0.5)


def test_the_hessian_both_ways_and_its_symmetry() -> None:
    x = np.array([0.3, -0.8, 1.1])

    def f(x: Any) -> Any:
        return gnp.logsumexp(x * x) + x[0] * gnp.tanh(x[1] * x[2])

    hessian = gn.jacobian(gn.grad(f))(x)
    close(hessian, hessian.T, 1e-13)
    close(hessian, gn.jacobian(gn.jacobian(f, mode="forward"), mode="forward")(x), 1e-13)
    direction = np.array([1.0, 2.0, -1.0])
    close(gn.jvp(gn.grad(f), (x,), (direction,))[1], hessian @ direction, 1e-13)


def test_a_pullback_can_be_used_often_and_inside_another_transform() -> None:
    value, pull = gn.vjp(lambda x: (x * x, x.sum()), np.array([1.0, 3.0]))
    close(value[0], [1, 9])
    close(pull((np.array([1.0, 0.0]), 0.0))[0], [2, 0])
    close(pull((np.array([0.0, 1.0]), 5.0))[0], [5, 11])
    close(gn.jacobian(lambda c: pull((c, 0.0))[0])(np.ones(2)), np.diag([2.0, 6.0]))


def test_jacobian_says_what_it_takes() -> None:
    with pytest.raises(ConfigurationError, match='"auto", "forward" or "reverse"'):
        gn.jacobian(lambda x: x, mode="backward")
    with pytest.raises(DifferentiationError, match="stack or concatenate"):
        gn.jacobian(lambda x: [x[0], x])(np.ones(2))


@pytest.mark.parametrize("wrt", [0, 1, (0, 1)])
def test_forward_and_reverse_jacobians_agree(wrt: Any) -> None:
    def f(x: Any, w: Any) -> Any:
        return gnp.softmax(gnp.tanh(gnp.matmul(w, x)) * x[0])

    x, w = np.array([0.5, -1.0, 2.0]), np.linspace(-1.0, 1.0, 12).reshape(4, 3)
    forward = gn.jacobian(f, wrt=wrt, mode="forward")(x, w)
    reverse = gn.jacobian(f, wrt=wrt, mode="reverse")(x, w)
    pairs = zip(forward, reverse, strict=True) if isinstance(wrt, tuple) else [(forward, reverse)]
    for a, b in pairs:
        close(a, b, 1e-13)


def test_elements_taken_one_by_one_give_what_the_whole_array_gives() -> None:
    W = np.arange(1.0, 7.0).reshape(2, 3)

    def one_by_one(w: Any) -> Any:
        return w[0, 1] * w[1, -1] + (w[0] * w[1]).sum() + w[0, 1] ** 2 + w[()].sum() + w[1:].sum()

    def at_once(w: Any) -> Any:
        first, second = gnp.unstack(w)
        product = gnp.sum(first[1:2] * second[2:]) + gnp.dot(first, second) + gnp.sum(first[1:2] ** 2)
        return product + w.sum() + second.sum()

    close(gn.grad(one_by_one)(W), gn.grad(at_once)(W))
    close(gn.hessian(one_by_one)(W), gn.hessian(at_once)(W))
    close(gn.vmap(gn.grad(one_by_one))(W[None])[0], gn.grad(at_once)(W))


def test_the_keys_of_a_tangent_may_stand_in_another_order() -> None:
    def f(p: Any) -> Any:
        return p["u"] + 10 * p["w"]

    value, slope = gn.jvp(f, ({"u": 1.0, "w": 1.0},), ({"w": 1.0, "u": 2.0},))
    assert (value, slope) == (11.0, 12.0)
    both = gn.vjp(lambda x: {"u": x, "w": 10 * x}, 1.0)[1]
    assert both({"w": 1.0, "u": 2.0})[0] == 12.0


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_a_dict_of_results_has_a_dict_of_jacobians(mode: str) -> None:
    x = np.array([1.0, 2.0])
    found = gn.jacobian(lambda x: {"square": x * x, "sum": x.sum()}, mode=mode)(x)
    close(found["square"], np.diag(2 * x))
    close(found["sum"], np.ones(2))


def test_an_infinite_alternative_leaves_the_tangent_finite() -> None:
    keep = np.array([True, False])
    value, slope = gn.jvp(lambda x: gnp.where(keep, x, -np.inf), (np.ones(2),), (np.ones(2),))
    np.testing.assert_array_equal(value, [1.0, -np.inf])
    np.testing.assert_array_equal(slope, [1.0, 0.0])
