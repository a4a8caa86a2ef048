"""Indexing: NumPy's rules for every mixture of parts, and transposes that add up what is read twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import ConcretizationError, ConfigurationError, DTypeError, GlassnetError, ShapeError

A = np.random.default_rng(5).uniform(-2, 2, (3, 4, 5))
ROWS, COLUMN = np.array([2, 0, 2]), np.array([[1], [-1]])
MASK = A[:, :, 0] > 0

# Parts of an index side by side and apart, in front and behind, with every kind between them.
INDICES: dict[str, Any] = {
    "a number": 1,
    "a negative number": -1,
    "a NumPy number": np.int32(2),
    "numbers and slices": (slice(None, None, -1), 2, slice(1, None, 2)),
    "dots and None": (Ellipsis, None, 0),
    "nothing": (),
    "an array": ROWS,
    "a list": [0, 2, 2, 1],
    "an empty list": [],
    "negative numbers in an array": np.array([-1, -3]),
    "an array of no dimensions": np.array(1),
    "two dimensions": np.array([[0, 1], [2, 2]]),
    "unsigned and small": np.array([2, 0], np.uint8),
    "an array behind": (slice(None), ROWS),
    "two arrays": (ROWS, np.array([3, 3, 0])),
    "two arrays that broadcast": (COLUMN, ROWS),
    "two arrays behind": (slice(None), COLUMN, ROWS),
    "two arrays apart": (ROWS, slice(None), np.array([4, 0, 1])),
    "apart by None": (ROWS, None, np.array([3, 0, 1])),
    "apart by dots for no axis": (slice(None), ROWS, Ellipsis, np.array([4, 0, 1])),
    "a number beside an array": (slice(None), 1, ROWS),
    "a number apart from an array": (0, slice(None), ROWS),
    "an array behind dots": (Ellipsis, ROWS),
    "None in front": (None, ROWS, slice(1, 3)),
    "everything": (slice(None, None, -1), None, ROWS, Ellipsis),
    "all axes": (ROWS, np.array([0, 1, 3]), np.array([4, 4, 0])),
    "a mask of all axes": A > 0,
    "a mask of two axes": MASK,
    "a mask behind": (slice(None), A[0] > 0),
    "a mask of one axis": (slice(None), np.array([True, False, True, True])),
    "a mask beside an array": (np.array([True, False, True]), np.array([1, 3])),
    "a mask that is false": np.zeros((3, 4), bool),
    "a mask and dots": (Ellipsis, np.array([True, False, True, True, False])),
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_selects_what_numpy_selects(name: str) -> None:
    index = INDICES[name]
    np.testing.assert_array_equal(gnp.take(A, [0], 0)[0], A[0])
    seen: list[Any] = []
    gn.grad(lambda x: (seen.append(x[index].value), x.sum())[1])(A)
    np.testing.assert_array_equal(seen[0], A[index])
    with tracing():
        traced = placeholder(A.shape, A.dtype)[index]
    assert (traced.shape, traced.dtype) == (A[index].shape, A.dtype)


@pytest.mark.parametrize("name", INDICES)
def test_the_slope_of_an_index_is_certified(name: str) -> None:
    index = INDICES[name]
    gn.check_grads(lambda x: x[index] ** 2, A)


@pytest.mark.parametrize("name", INDICES)
def test_the_transpose_adds_up_what_is_read_twice(name: str) -> None:
    index = INDICES[name]
    weights = np.random.default_rng(6).uniform(size=A[index].shape)
    expected = np.zeros_like(A)
    np.add.at(expected, index, weights)
    np.testing.assert_allclose(gn.grad(lambda x: (x[index] * weights).sum())(A), expected, rtol=1e-14)


@pytest.mark.parametrize("name", INDICES)
def test_vmap_over_the_array_is_a_loop(name: str) -> None:
    index = INDICES[name]
    X = np.stack([A, -A, A + 1])
    np.testing.assert_array_equal(gn.vmap(lambda x: x[index])(X), np.stack([x[index] for x in X]))


@pytest.mark.parametrize("name", INDICES)
def test_scatter_is_assignment_and_scatter_add_its_sum(name: str) -> None:
    index = INDICES[name]
    values = np.random.default_rng(7).uniform(size=A[index].shape)
    assigned, added = A.copy(), A.copy()
    assigned[index] = values
    np.add.at(added, index, values)
    np.testing.assert_array_equal(gnp.scatter(A, index, values), assigned)
    np.testing.assert_allclose(gnp.scatter_add(A, index, values), added, rtol=1e-14)
    gn.check_grads(lambda x, v: gnp.scatter(x, index, v) ** 2, A, values)
    gn.check_grads(lambda x, v: gnp.scatter_add(x, index, v) ** 2, A, values)


def test_an_index_may_be_traced_and_batched() -> None:
    X, rows = np.stack([A, A * 2]), np.array([[2, 0, 2], [1, 1, 0]])

    def pick(x: Any, i: Any) -> Any:
        return x[i, 1:, i + 1]

    loop = np.stack([x[i, 1:, i + 1] for x, i in zip(X, rows, strict=True)])
    np.testing.assert_array_equal(gn.vmap(pick)(X, rows), loop)
    # One array for the whole batch: what all examples read of it adds up.
    expected = np.zeros_like(A)
    for i in rows:
        np.add.at(expected, (i, slice(1, None), i + 1), 1.0)
    slopes = gn.grad(lambda x: gn.vmap(pick, (None, 0))(x, rows).sum())(A)
    np.testing.assert_array_equal(slopes, expected)
    # A label of each example picks its own logit; the gradient is one-hot.
    labels = np.array([3, 0, 1])
    slopes = gn.vmap(gn.grad(lambda z, label: z[label] * 2.0), (0, 0))(A[:, :, 0], labels)
    np.testing.assert_array_equal(slopes, 2.0 * (np.arange(4) == labels[:, None]))


def test_scatter_under_vmap_is_a_loop() -> None:
    X, rows, values = np.stack([A[0], A[1]]), np.array([[2, 0, 2], [1, 1, 0]]), np.stack([A[0, :3], A[1, :3]])
    for f in (gnp.scatter, gnp.scatter_add):
        both = gn.vmap(f)(X, rows, values)
        np.testing.assert_array_equal(both, np.stack([f(*row) for row in zip(X, rows, values, strict=True)]))
        own = gn.vmap(f, (None, 0, None))(A[0], rows, values[0])
        np.testing.assert_array_equal(own, np.stack([f(A[0], i, values[0]) for i in rows]))
        shared = gn.vmap(f, (0, None, 0))(X, rows[0], values)
        np.testing.assert_array_equal(shared, np.stack([f(X[b], rows[0], values[b]) for b in range(2)]))


def test_of_values_written_to_one_place_the_last_stays() -> None:
    x, values = np.zeros(3), np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(gnp.scatter(x, [1, 1, 0], values), [3.0, 2.0, 0.0])
    slopes = gn.grad(lambda x, v: gnp.scatter(x, [1, 1, 0], v).sum(), (0, 1))(x, values)
    np.testing.assert_array_equal(slopes[0], [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(slopes[1], [0.0, 1.0, 1.0])


def test_values_broadcast_and_numbers_adopt_the_dtype() -> None:
    x = np.ones((2, 3), np.float32)
    for f, expected in ((gnp.scatter, 5.0), (gnp.scatter_add, 6.0)):
        result = f(x, (slice(None), [0, 2]), 5.0)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, [[expected, 1, expected]] * 2)


def test_take_follows_numpy() -> None:
    for axis in (None, 0, 1, -1):
        for indices in (1, [0, 2], np.array([[0, -1], [2, 2]]), np.array([], int)):
            np.testing.assert_array_equal(gnp.take(A, indices, axis), np.take(A, indices, axis))
        gn.check_grads(lambda x, a=axis: gnp.take(x, [2, 2, 0], a) ** 2, A)
    picked = gn.vmap(lambda x, i: gnp.take(x, i, 1))(np.stack([A, -A]), np.array([[0, 3], [1, 1]]))
    np.testing.assert_array_equal(picked, np.stack([A[:, [0, 3]], -A[:, [1, 1]]]))


def test_take_along_axis_follows_numpy() -> None:
    for axis in (0, 1, -1):
        order = np.argsort(A, axis=axis)
        np.testing.assert_array_equal(gnp.take_along_axis(A, order, axis), np.take_along_axis(A, order, axis))
        gn.check_grads(lambda x, a=axis, o=order: gnp.take_along_axis(x, o, a) ** 2, A)
    one = np.array([[[0, 2]]])
    np.testing.assert_array_equal(gnp.take_along_axis(A, one, -1), np.take_along_axis(A, one, -1))
    np.testing.assert_array_equal(gnp.take_along_axis(A, ROWS, None), np.take_along_axis(A, ROWS, None))


def test_nonzero_and_where_of_a_condition_are_numpys() -> None:
    for f in (gnp.nonzero, gnp.where):
        for ours, numpys in zip(f(MASK), np.nonzero(MASK), strict=True):
            np.testing.assert_array_equal(ours, numpys)
    # With known values a mask works under a transform, as in x[x > 0].
    np.testing.assert_array_equal(gn.grad(lambda x: (x[x > 0] ** 2).sum())(A), np.where(A > 0, 2 * A, 0))
    np.testing.assert_array_equal(gn.grad(lambda x: x[gnp.where(x > 0)].sum())(A), A > 0)


def test_where_only_the_shape_is_known_a_mask_says_what_to_use_instead() -> None:
    for f in (lambda x: x[x > 0], lambda x: gnp.nonzero(x)[0], lambda x: gnp.where(x > 0)[0]):
        with pytest.raises(
            ConcretizationError, match=r"shape \[4, 5\] is known.*use where\(condition, a, b\)"
        ):
            gn.vmap(f)(A)


@pytest.mark.parametrize(
    ("kind", "sentence", "call"),
    [
        (ShapeError, r"index \(3,\) does not fit the shape \(3, 4, 5\)", lambda x: x[3]),
        (ShapeError, "out of bounds", lambda x: x[[0, 3]]),
        (ShapeError, "out of bounds", lambda x: gnp.scatter_add(x, [-4], 1.0)),
        (ShapeError, "4 parts for an array of shape", lambda x: x[ROWS, ROWS, ROWS, 0]),
        (ShapeError, "parts for an array of shape", lambda x: x[..., ROWS, ...]),
        (ShapeError, r"mask of shape \(4,\) does not fit", lambda x: x[np.ones(4, bool)]),
        (ShapeError, r"indexing got operands of shapes \(3,\) and \(2,\)", lambda x: x[ROWS, ROWS[:2]]),
        (ShapeError, "scalar has no positions", lambda x: gnp.nonzero(x[0, 0, 0])),
        (ShapeError, "as many dimensions", lambda x: gnp.take_along_axis(x, ROWS, 0)),
        (ShapeError, "take got axis 3", lambda x: gnp.take(x, ROWS, 3)),
        (
            ShapeError,
            r"scatter got operands of shapes \(2,\) and \(3,\)",
            lambda x: gnp.scatter(x, (ROWS, 0, 0), np.ones(2)),
        ),
        (DTypeError, "got float of dtype float64", lambda x: x[1.0]),
        (DTypeError, "got Array of dtype float64", lambda x: x[x[0, 0, 0]]),
        (DTypeError, "got bool of dtype bool", lambda x: x[True]),
        (
            ShapeError,
            r"values of shape \(2, 1\) for an index that selects shape \(1,\)",
            lambda x: gnp.scatter(x, ([0], 0, 0), x[:2, :1, 0]),
        ),
        (DTypeError, "got str", lambda x: x["a"]),
        (DTypeError, "take needs whole numbers", lambda x: gnp.take(x, [0.5])),
        (DTypeError, "whole numbers; it got an array of dtype float64", lambda x: gnp.take_along_axis(x, x)),
        (ConfigurationError, "the condition alone, or", lambda x: gnp.where(x > 0, x)),
    ],
)
def test_an_index_that_does_not_fit_gets_one_sentence(
    kind: type[GlassnetError], sentence: str, call: Any
) -> None:
    with pytest.raises(kind, match=sentence):
        gn.grad(lambda x: (x[0] + call(x)).sum())(A)


def test_a_mask_as_an_index_keeps_the_gradient_of_a_sum_of_losses() -> None:
    # Two ways to leave out examples agree: the mask as an index, and as a factor.
    def chosen(x: Any) -> Any:
        return (gnp.exp(x)[MASK]).sum()

    def weighted(x: Any) -> Any:
        return (gnp.exp(x) * MASK[..., None]).sum()

    np.testing.assert_allclose(gn.grad(chosen)(A), gn.grad(weighted)(A), rtol=1e-14)
