"""Reductions: NumPy's values over dtypes, axes and keepdims, and slopes where a rule could divide by zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import ConfigurationError, GlassnetError, ShapeError
from glassnet.ops.norms import norm

A = np.random.default_rng(3).uniform(-2, 2, (2, 3, 4))
FULL = [
    "sum",
    "mean",
    "var",
    "std",
    "prod",
    "max",
    "min",
    "amax",
    "amin",
    "any",
    "all",
    "ptp",
    "median",
    "average",
]
FULL += ["count_nonzero", "nansum", "nanmean"]
ALONG = ["cumsum", "cumprod"]
PLACES = ["argmax", "argmin"]
DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
SMOOTH = ["sum", "mean", "var", "std", "prod", "max", "min", "ptp", "median", "average", "nansum", "nanmean"]


def array_of(dtype: str) -> np.ndarray:
    return (
        np.abs(np.round(A * 2)).astype(dtype)
        if dtype in ("bool", "uint8", "int32", "int64")
        else A.astype(dtype)
    )


def same(ours: Any, numpys: Any, rtol: float = 1e-14) -> None:
    ours, numpys = np.asarray(ours), np.asarray(numpys)
    assert (ours.shape, ours.dtype) == (numpys.shape, numpys.dtype)
    np.testing.assert_allclose(ours, numpys, rtol=rtol if ours.dtype != np.float32 else 1e-5, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FULL)
def test_a_reduction_follows_numpy_over_axes_and_keepdims(name: str, dtype: str) -> None:
    if name == "ptp" and dtype == "bool":
        pytest.skip("NumPy subtracts no truth values")
    x = array_of(dtype)
    for axis in (None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2), ()):
        if axis == () and name in ("median", "nanmean"):
            continue  # NumPy reads the empty tuple as None there
        for keepdims in (False, True):
            ours, numpys = getattr(gnp, name), getattr(np, name)
            same(ours(x, axis, keepdims=keepdims), numpys(x, axis=axis, keepdims=keepdims))
            with tracing():
                traced = ours(placeholder(x.shape, x.dtype), axis, keepdims=keepdims)
            value = np.asarray(ours(x, axis, keepdims=keepdims))
            assert (traced.shape, traced.dtype) == (value.shape, value.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ALONG, *PLACES])
def test_a_function_along_one_axis_follows_numpy(name: str, dtype: str) -> None:
    x = array_of(dtype)
    for axis in (None, 0, 1, -1, -3):
        same(getattr(gnp, name)(x, axis), getattr(np, name)(x, axis=axis))
        if name in PLACES:
            same(getattr(gnp, name)(x, axis, keepdims=True), getattr(np, name)(x, axis=axis, keepdims=True))


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_over_axes_are_certified(name: str) -> None:
    for axis, keepdims in ((None, False), (1, False), (-1, True), ((0, 2), False)):
        gn.check_grads(
            lambda x, a=axis, k=keepdims: getattr(gnp, name)(x, a, keepdims=k) ** 2, A, tolerance=1e-7
        )


@pytest.mark.parametrize("name", [*ALONG, "sort"])
def test_derivatives_along_an_axis_are_certified(name: str) -> None:
    for axis in (None, 0, -1):
        gn.check_grads(lambda x, a=axis: getattr(gnp, name)(x, a) ** 2, A, tolerance=1e-7)


@pytest.mark.parametrize("name", [*SMOOTH, *ALONG, *PLACES, "sort", "argsort", "any", "all", "count_nonzero"])
def test_vmap_is_a_loop(name: str) -> None:
    f = getattr(gnp, name)
    for axis in (None, 0, -1):
        same(gn.vmap(lambda x, a=axis: f(x, a))(A), np.stack([f(x, axis) for x in A]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("var", {"ddof": 1}),
        ("std", {"ddof": 1, "axis": 0}),
        ("var", {"ddof": 0.5, "axis": (1, 2), "keepdims": True}),
    ],
)
def test_the_divisor_of_a_variance(name: str, options: dict[str, Any]) -> None:
    same(getattr(gnp, name)(A, **options), getattr(np, name)(A, **options))


def test_a_weighted_average_follows_numpy_and_slopes_to_its_weights() -> None:
    for weights, axis in ((np.array([1.0, 2.0, 3.0]), 1), (np.abs(A) + 1, (0, 2)), (np.abs(A) + 1, None)):
        same(gnp.average(A, axis, weights), np.average(A, axis=axis, weights=weights))
        gn.check_grads(lambda x, w, a=axis: gnp.average(x, a, w), A, weights)


def test_a_product_with_zeros_has_the_products_of_the_others_as_its_slope() -> None:
    np.testing.assert_array_equal(gn.grad(gnp.prod)(np.array([2.0, 0.0, 5.0])), [0.0, 10.0, 0.0])
    np.testing.assert_array_equal(gn.grad(gnp.prod)(np.array([0.0, 0.0, 5.0])), [0.0, 0.0, 0.0])
    # d^2 (x y z) / dx dy = z: the second order survives two zeros.
    second = gn.jacobian(gn.grad(gnp.prod))(np.array([0.0, 0.0, 5.0]))
    np.testing.assert_array_equal(second, [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_running_products_with_zeros_have_exact_jacobians() -> None:
    x = np.array([2.0, 0.0, 3.0, 0.0, 4.0])
    expected = [[np.prod(np.delete(x[: k + 1], i)) if i <= k else 0.0 for i in range(5)] for k in range(5)]
    np.testing.assert_array_equal(gn.jacobian(gnp.cumprod)(x), expected)
    np.testing.assert_array_equal(gn.jacobian(lambda x: gnp.cumsum(x))(x), np.tril(np.ones((5, 5))))


def test_where_all_elements_are_equal_a_standard_deviation_has_no_slope() -> None:
    x = np.full(3, 1.5)
    assert gnp.std(x) == 0.0
    np.testing.assert_array_equal(gn.grad(gnp.std)(x), np.zeros(3))
    np.testing.assert_array_equal(gn.jacobian(gn.grad(gnp.std))(x), np.zeros((3, 3)))


def test_of_equal_elements_the_first_takes_the_derivative() -> None:
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]])
    np.testing.assert_array_equal(gn.grad(lambda x: x.max(axis=1).sum())(x), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(gn.grad(lambda x: gnp.min(-x, axis=0).sum())(x), [[0, -1, -1], [-1, 0, 0]])
    np.testing.assert_array_equal(gn.grad(lambda x: gnp.max(x))(x), [[0, 1, 0], [0, 0, 0]])


def test_a_nan_spreads_or_is_left_out() -> None:
    x = np.array([[1.0, np.nan], [3.0, 4.0]])
    for name in ("max", "min", "median", "sum", "var", "std"):
        same(getattr(gnp, name)(x, axis=1), getattr(np, name)(x, axis=1))
    np.testing.assert_array_equal(gnp.nansum(x, axis=0), np.nansum(x, axis=0))
    np.testing.assert_array_equal(gn.grad(gnp.nanmean)(x), [[1 / 3, 0], [1 / 3, 1 / 3]])


@pytest.mark.parametrize("order", [None, 1, 2, 3, 2.5, np.inf, -np.inf, 0, -1])
def test_vector_norms_follow_numpy(order: Any) -> None:
    for axis, keepdims in ((0, False), (-1, True), (1, False)):
        same(norm(A, order, axis, keepdims), np.linalg.norm(A, order, axis, keepdims))
    same(norm(A[0, 0], order), np.linalg.norm(A[0, 0], order))
    same(norm(np.arange(1, 4), order), np.linalg.norm(np.arange(1, 4), order))
    if order != 0:
        gn.check_grads(lambda x: norm(x, order, -1), A, tolerance=1e-7)


@pytest.mark.parametrize("order", [None, "fro", 1, -1, 2, -2, np.inf, -np.inf, "nuc"])
def test_matrix_norms_follow_numpy(order: Any) -> None:
    for axis, keepdims in (((0, 1), False), ((-1, 0), True), ((2, 1), False)):
        same(norm(A, order, axis, keepdims), np.linalg.norm(A, order, axis, keepdims), 1e-13)
        gn.check_grads(lambda x, a=axis: norm(x, order, a), A, tolerance=1e-7)
    same(norm(A[0], order), np.linalg.norm(A[0], order), 1e-13)
    same(norm(A), np.linalg.norm(A))


@pytest.mark.parametrize("order", [None, 1, 2, 3, np.inf])
def test_at_the_zero_vector_the_slope_of_a_norm_is_zero(order: Any) -> None:
    assert norm(np.zeros(3), order) == 0.0
    np.testing.assert_array_equal(gn.grad(lambda x: norm(x, order))(np.zeros(3)), np.zeros(3))


def test_float32_stays_float32() -> None:
    x = A.astype(np.float32)
    for order in (None, 1, 3, 0, np.inf):
        assert norm(x, order, 0).dtype == np.float32
    for name in SMOOTH:
        assert gn.grad(getattr(gnp, name))(x).dtype == np.float32


def test_nothing_has_a_sum_and_a_product_but_no_largest() -> None:
    empty = np.zeros((0, 3))
    assert (gnp.sum(empty), gnp.prod(empty)) == (0.0, 1.0)
    assert gn.grad(lambda x: gnp.prod(x, 0).sum())(empty).shape == (0, 3)
    assert gnp.max(empty, axis=1).shape == (0,)
    for f in (gnp.max, gnp.min, gnp.argmax, gnp.argmin, gnp.median):
        with pytest.raises(ShapeError, match="of no elements"):
            f(empty)
        with pytest.raises(ShapeError, match="of no elements"):
            gn.grad(lambda x, f=f: f(x))(empty)


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("max got axis 3 for an array of 3", lambda: gnp.max(A, axis=3)),
        ("prod got the same axis twice", lambda: gnp.prod(A, axis=(0, -3))),
        ("cumprod got axis -4", lambda: gnp.cumprod(A, axis=-4)),
        (r"weights of shape \(4,\) for an array of shape \(2, 3, 4\)", lambda: gnp.average(A, 0, np.ones(4))),
        ("one axis for vectors and two for matrices", lambda: norm(A, None, (0, 1, 2))),
        ("norm needs an axis", lambda: norm(A, 2)),
    ],
)
def test_what_does_not_fit_gets_one_sentence(sentence: str, call: Any) -> None:
    with pytest.raises(ShapeError, match=sentence):
        call()


def test_an_unknown_order_of_a_norm_lists_the_known_ones() -> None:
    for order, axis in (("max", 0), ("max", (0, 1)), (3, (0, 1))):
        with pytest.raises(ConfigurationError, match="it takes"):
            norm(A, order, axis)


def test_methods_are_the_functions_of_their_names() -> None:
    calls: list[tuple[Any, Any]] = [
        *((lambda x, n=n: getattr(x, n)(), lambda x, n=n: getattr(np, n)(x)) for n in (
            "sum", "mean", "var", "std", "prod", "max", "min", "any", "all", "argmax", "argmin", "cumsum",
            "cumprod", "ravel", "squeeze", "transpose", "argsort",
        )),
        *((lambda x, n=n: getattr(x, n)(axis=1), lambda x, n=n: getattr(np, n)(x, axis=1)) for n in (
            "sum", "mean", "var", "std", "prod", "max", "min", "any", "all", "argmax", "argmin",
        )),
        (lambda x: x.flatten(), lambda x: x.flatten()),
        (lambda x: x.T, lambda x: x.T),
        (lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1)),
        (lambda x: x.reshape([4, 6]), lambda x: x.reshape([4, 6])),
        (lambda x: x.transpose(1, 0, 2), lambda x: x.transpose(1, 0, 2)),
        (lambda x: x.transpose((2, 0, 1)), lambda x: x.transpose((2, 0, 1))),
        (lambda x: x.take([1, 0], axis=1), lambda x: x.take([1, 0], axis=1)),
        (lambda x: x.dot(np.arange(4.0)), lambda x: x.dot(np.arange(4.0))),
        (lambda x: x.astype("float32"), lambda x: x.astype("float32")),
    ]  # fmt: skip
    for ours, numpys in calls:
        seen: list[Any] = []
        gn.value_and_grad(lambda x, f=ours, seen=seen: (seen.append(f(x).value), x.sum())[1])(A)
        same(seen[0], numpys(A))


def test_numpys_own_reductions_work_on_traced_arrays() -> None:
    for name in ("sum", "mean", "std", "prod", "max", "median", "sort", "cumsum"):
        got, expected = (
            gn.grad(lambda x, f=f: (f(x, axis=1) ** 2).sum())(A)
            for f in (getattr(np, name), getattr(gnp, name))
        )
        np.testing.assert_array_equal(got, expected)


def test_every_error_is_one_of_ours() -> None:
    for name in ("sum", "std", "prod", "max", "argmax", "cumsum", "sort", "median"):
        f = getattr(gnp, name)
        with pytest.raises(GlassnetError, match="axis 7"):
            gn.grad(lambda x, f=f: f(x, axis=7))(A)
