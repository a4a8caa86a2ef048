"""Sorting: NumPy's order, and the permutation of the derivative."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ShapeError

A = np.random.default_rng(8).uniform(-2, 2, (3, 4, 5))
TIES = np.array([[2.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, -1.0]])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_sorting_follows_numpy(axis: int | None, dtype: str) -> None:
    x = np.abs(A * 3).astype(dtype)
    for ours, numpys in (
        (gnp.sort(x, axis), np.sort(x, axis)),
        (gnp.argsort(x, axis), np.argsort(x, axis, stable=True)),
    ):
        assert (ours.shape, ours.dtype) == (numpys.shape, numpys.dtype)
        np.testing.assert_array_equal(ours, numpys)


def test_the_derivative_is_the_permutation() -> None:
    x = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(gn.jacobian(gnp.sort)(x), [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(
        gn.grad(lambda x: (gnp.sort(x) * np.array([1.0, 10.0, 100.0])).sum())(x), [100, 1, 10]
    )


def test_equal_elements_stay_in_order_and_their_derivatives_with_them() -> None:
    np.testing.assert_array_equal(gnp.argsort(TIES), [[1, 3, 0, 2], [3, 0, 1, 2]])
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    slopes = gn.grad(lambda x: (gnp.sort(x) * weights).sum())(TIES)
    np.testing.assert_array_equal(slopes, [[3, 1, 4, 2], [2, 3, 4, 1]])


def test_nan_comes_last() -> None:
    x = np.array([np.nan, 2.0, 1.0])
    np.testing.assert_array_equal(gnp.sort(x), np.sort(x))
    np.testing.assert_array_equal(gnp.argsort(x), [2, 1, 0])


def test_sorting_under_vmap_and_by_shape() -> None:
    for axis in (None, 0, -1):
        np.testing.assert_array_equal(
            gn.vmap(lambda x, a=axis: gnp.sort(x, a))(A), np.stack([np.sort(x, axis) for x in A])
        )
        slopes = gn.vmap(gn.grad(lambda x, a=axis: (gnp.sort(x, a)[0] ** 3).sum()))(A)
        loop = np.stack([gn.grad(lambda x, a=axis: (gnp.sort(x, a)[0] ** 3).sum())(x) for x in A])
        np.testing.assert_allclose(slopes, loop, rtol=1e-14)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two() -> None:
    x = np.array([7.0, 1.0, 2.0, 4.0])
    assert gnp.median(x) == 3.0
    np.testing.assert_array_equal(gn.grad(gnp.median)(x), [0, 0, 0.5, 0.5])
    np.testing.assert_array_equal(gn.grad(gnp.median)(x[:3]), [0, 0, 1])


def test_sorting_nothing_and_a_scalar() -> None:
    assert gnp.sort(np.zeros((2, 0))).shape == (2, 0)
    assert gn.grad(lambda x: gnp.sort(x, 0).sum())(np.zeros((0, 2))).shape == (0, 2)
    assert gnp.sort(2.0, None).shape == (1,)
    with pytest.raises(ShapeError, match="sort got axis -1 for an array of 0 dimensions"):
        gnp.sort(2.0)
