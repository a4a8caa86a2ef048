"""Shaping, splitting, padding, diagonals, making arrays: NumPy's values, exact gradients, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import ConfigurationError, DTypeError, ShapeError

A = np.linspace(-1.0, 2.0, 24).reshape(2, 3, 4)
M = np.arange(12.0).reshape(3, 4) - 5
V = np.array([3.0, -1.0, 2.0, 0.5])

Call = Callable[[Any, Any], Any]

# Every call takes the module, NumPy or ours, and an array.
CALLS: list[tuple[np.ndarray, Call]] = [
    (A, lambda m, x: m.reshape(x, (4, -1))),
    (A, lambda m, x: m.reshape(x, (4, -1), order="F")),
    (A, lambda m, x: m.reshape(x, 24)),
    (A, lambda m, x: m.ravel(x)),
    (A, lambda m, x: m.ravel(x, order="F")),
    (A, lambda m, x: m.transpose(x, (1, -1, 0))),
    (A, lambda m, x: m.permute_dims(x, (2, 0, 1))),
    (A, lambda m, x: m.matrix_transpose(x)),
    (A, lambda m, x: m.swapaxes(x, 0, -1)),
    (A, lambda m, x: m.moveaxis(x, 0, -1)),
    (A, lambda m, x: m.moveaxis(x, (0, 2), (-1, 0))),
    (A, lambda m, x: m.broadcast_to(x, (2, 2, 3, 4))),
    (V, lambda m, x: m.broadcast_arrays(x, M)),
    (A, lambda m, x: m.expand_dims(x, (0, -1))),
    (A, lambda m, x: m.expand_dims(x, -2)),
    (A[:1, :, :1], lambda m, x: m.squeeze(x)),
    (A[:1, :, :1], lambda m, x: m.squeeze(x, axis=-1)),
    (A[:1, :, :1], lambda m, x: m.squeeze(x, axis=(0, 2))),
    (A, lambda m, x: m.concatenate([x, M[None], x], axis=0)),
    (A, lambda m, x: m.concatenate([x, M], axis=None)),
    (A, lambda m, x: m.concat([x, x], axis=-1)),
    (A, lambda m, x: m.stack([x, x], axis=1)),
    (A, lambda m, x: m.stack([x, 2 * x], axis=-1)),
    (np.array(2.0), lambda m, x: [m.atleast_1d(x), m.atleast_2d(x), m.atleast_3d(x)]),
    (V, lambda m, x: [m.atleast_1d(x), m.atleast_2d(x), m.atleast_3d(x)]),
    (M, lambda m, x: [m.atleast_2d(x), m.atleast_3d(x)]),
    (V, lambda m, x: [m.vstack([x, M]), m.hstack([x, x]), m.dstack([x, x]), m.column_stack([x, M.T])]),
    (M, lambda m, x: [m.vstack([x, x]), m.hstack([x, x]), m.dstack([x, x]), m.column_stack([x, x])]),
    (M, lambda m, x: [m.append(x, V), m.append(x, M, axis=1)]),
    (M, lambda m, x: m.block([[x, x], [np.ones((1, 8))]])),
    (V, lambda m, x: m.block([x, x])),
    (A, lambda m, x: m.split(x, 2, axis=-1)),
    (A, lambda m, x: m.split(x, [1, 3], axis=2)),
    (A, lambda m, x: m.array_split(x, 3, axis=2)),
    (V, lambda m, x: m.array_split(x, 6)),
    (V, lambda m, x: m.array_split(x, [1, 9])),
    (A, lambda m, x: [*m.vsplit(x, 2), *m.hsplit(x, 3), *m.dsplit(x, 2)]),
    (V, lambda m, x: m.hsplit(x, 2)),
    (V, lambda m, x: m.tile(x, 3)),
    (M, lambda m, x: m.tile(x, (2, 1, 2))),
    (A, lambda m, x: m.tile(x, (2, 2))),
    (M, lambda m, x: m.tile(x, 0)),
    (M, lambda m, x: m.repeat(x, 2)),
    (M, lambda m, x: m.repeat(x, 3, axis=0)),
    (M, lambda m, x: m.repeat(x, [1, 0, 2, 3], axis=-1)),
    (V, lambda m, x: m.repeat(x, [2])),
    (A, lambda m, x: m.flip(x)),
    (A, lambda m, x: m.flip(x, (0, -1))),
    (A, lambda m, x: [m.fliplr(x), m.flipud(x)]),
    (A, lambda m, x: m.roll(x, 5)),
    (A, lambda m, x: m.roll(x, -1, axis=1)),
    (A, lambda m, x: m.roll(x, (1, 2), axis=(0, -1))),
    (A, lambda m, x: m.roll(x, 1, axis=(1, 2))),
    (A, lambda m, x: [m.rot90(x, k) for k in range(-1, 5)]),
    (A, lambda m, x: m.rot90(x, 3, axes=(-1, 1))),
    (M, lambda m, x: m.pad(x, 1)),
    (M, lambda m, x: m.pad(x, (2, 1), constant_values=(-7, 9))),
    (M, lambda m, x: m.pad(x, ((0, 1), (2, 0)), constant_values=((1, 2), (3, 4)))),
    (M, lambda m, x: m.pad(x, ((1,), (2,)), mode="edge")),
    (M, lambda m, x: m.pad(x, ((2, 1), (3, 0)), mode="reflect")),
    (V, lambda m, x: m.pad(x, (7, 5), mode="reflect")),
    (M, lambda m, x: m.pad(x, 2, mode="symmetric")),
    (V, lambda m, x: m.pad(x, (5, 6), mode="wrap")),
    (A, lambda m, x: [m.diagonal(x), m.diagonal(x, 1, 1, 2), m.diagonal(x, -1, -1, 0)]),
    (M, lambda m, x: [m.diagonal(x, k) for k in (-4, -3, -2, 0, 3, 4)]),
    (V, lambda m, x: [m.diag(x), m.diag(x, 2), m.diag(x, -1)]),
    (M, lambda m, x: [m.diag(x), m.diag(x, -1), m.diagflat(x, 1)]),
    (A, lambda m, x: [m.trace(x), m.trace(x, 1, 2, 1), m.trace(x, -1, axis1=1, axis2=-1)]),
    (A, lambda m, x: [m.tril(x), m.tril(x, -1), m.triu(x), m.triu(x, 2)]),
    (np.array(2.5), lambda m, x: [m.full((2, 3), x), m.full_like(M, 3.5), m.ones_like(x), m.zeros_like(x)]),
    (V, lambda m, x: [m.full((2, 4), x), m.full_like(M, 1), m.ones_like(x, dtype=np.float32)]),
    (V, lambda m, x: m.meshgrid(x, V[:2], V[:3])),
    (V, lambda m, x: m.meshgrid(V[:3], x, indexing="ij")),
    (V, lambda m, x: m.meshgrid(x)),
]  # fmt: skip
NUMBERED = [pytest.param(x, call, id=str(i)) for i, (x, call) in enumerate(CALLS)]


def as_list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_values_and_dtypes_are_numpys(x: np.ndarray, call: Call, dtype: str) -> None:
    x = x.astype(dtype)
    for got, want in zip(as_list(call(gnp, x)), as_list(call(np, x)), strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_the_shapes_are_known_without_values(x: np.ndarray, call: Call) -> None:
    with tracing():
        results = as_list(call(gnp, placeholder(x.shape, x.dtype)))
    assert [(y.shape, y.dtype) for y in results] == [(y.shape, y.dtype) for y in as_list(call(np, x))]


@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_a_gradient_goes_back_to_where_the_value_came_from(x: np.ndarray, call: Call) -> None:
    # All of it is linear: y = J x, whose columns NumPy itself gives, up to what does not depend on x.
    def parts(m: Any, x: Any) -> Any:
        return m.concatenate([m.ravel(y) for y in as_list(call(m, x))])

    columns = [
        parts(np, x + step.reshape(x.shape)) - parts(np, x - step.reshape(x.shape)) for step in np.eye(x.size)
    ]
    got = gn.jacobian(lambda x: parts(gnp, x) * 1.0)(x)
    np.testing.assert_allclose(got.reshape(-1, x.size), np.stack(columns, -1) / 2, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_vmap_is_a_loop(x: np.ndarray, call: Call) -> None:
    batch = np.stack([x, x[..., ::-1] + 1 if x.ndim else x + 1])
    got = gn.vmap(lambda x: tuple(as_list(call(gnp, x))))(batch)
    for i, example in enumerate(batch):
        for all_examples, want in zip(got, as_list(call(np, example)), strict=True):
            np.testing.assert_array_equal(all_examples[i], want)


def test_unstack_undoes_stack() -> None:
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(gnp.stack(gnp.unstack(A, axis), axis), A)


def test_a_padding_value_carries_its_gradient() -> None:
    # Of a 3 x 4 matrix with a border of 1 there are 30 - 12 = 18 elements of the border.
    assert gn.grad(lambda c: gnp.pad(M, 1, constant_values=c).sum())(2.0) == 18.0


def test_an_array_of_nested_lists_holds_traced_numbers() -> None:
    def rotation(angle: Any) -> Any:
        c, s = gnp.cos(angle), gnp.sin(angle)
        return gnp.array([[c, -s], [s, c]])

    np.testing.assert_allclose(rotation(0.3) @ rotation(-0.3), np.eye(2), atol=1e-15)
    slope = gn.jacobian(rotation)(0.0)
    np.testing.assert_array_equal(slope, [[0.0, -1.0], [1.0, 0.0]])
    assert gn.vmap(lambda x: gnp.array([x, 1, [2.0][0]]))(V).shape == (4, 3)


def test_an_array_of_plain_numbers_is_numpys() -> None:
    for given in (2, [1, 2.5], [[True, False]], M, ((1, 2), (3, 4))):
        np.testing.assert_array_equal(gnp.array(given), np.array(given))
        assert gnp.array(given).dtype == np.array(given).dtype
    assert gnp.array([1, 2], dtype=gnp.float32).dtype == np.float32
    assert gnp.asarray(M) is M
    assert gnp.array(M) is not M
    assert gn.grad(lambda x: gnp.array(x, dtype=gnp.float32).sum())(V).dtype == np.float64


def test_arrays_of_numbers_are_numpys() -> None:
    pairs = [
        (gnp.zeros((2, 3)), np.zeros((2, 3))),
        (gnp.ones(3, np.int64), np.ones(3, np.int64)),
        (gnp.eye(2, 3, 1), np.eye(2, 3, 1)),
        (gnp.identity(3), np.identity(3)),
        (gnp.tri(3, 4, -1), np.tri(3, 4, -1)),
        (gnp.arange(5), np.arange(5)),
        (gnp.arange(1.0, 2.0, 0.25), np.arange(1.0, 2.0, 0.25)),
        (gnp.linspace(-1, 3, 7), np.linspace(-1, 3, 7)),
        (gnp.linspace(0.0, V, 3, endpoint=False), np.linspace(0.0, V, 3, endpoint=False)),
        (gnp.full((), 2), np.full((), 2)),
    ]
    for got, want in pairs:
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


@pytest.mark.parametrize(("num", "endpoint"), [(5, True), (5, False), (1, True), (0, True)])
def test_linspace_carries_gradients_to_both_ends(num: int, endpoint: bool) -> None:
    share = np.linspace(0.0, 1.0, num, endpoint)
    value, slope = gn.jvp(lambda a, b: gnp.linspace(a, b, num, endpoint), (1.0, 3.0), (1.0, 10.0))
    np.testing.assert_allclose(value, np.linspace(1.0, 3.0, num, endpoint), rtol=1e-15)
    np.testing.assert_allclose(slope, 1 + 9 * share, rtol=1e-15)


def test_an_equal_part_for_the_gradient_of_a_split() -> None:
    gradient = gn.grad(lambda x: (gnp.split(x, 2)[1] ** 2).sum())(V)
    np.testing.assert_array_equal(gradient, [0.0, 0.0, 4.0, 1.0])


def test_a_triangle_keeps_out_what_is_not_finite() -> None:
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    np.testing.assert_array_equal(gnp.tril(x), [[1.0, 0.0], [2.0, 3.0]])


@pytest.mark.parametrize(
    ("kind", "sentence", "call"),
    [
        (ShapeError, r"reshape cannot turn shape \(3, 4\) into \(5, -1\)", lambda: gnp.reshape(M, (5, -1))),
        (ConfigurationError, "reshape got order 'A'", lambda: gnp.reshape(M, 12, order="A")),
        (ShapeError, "transpose got axis 2 for an array of 2", lambda: gnp.transpose(M, (0, 2))),
        (ShapeError, r"axes \(0, 0\) for an array of 2", lambda: gnp.transpose(M, (0, 0))),
        (ShapeError, "at least 2 dimensions", lambda: gnp.matrix_transpose(V)),
        (ShapeError, "swapaxes got axis -3", lambda: gnp.swapaxes(M, 0, -3)),
        (ShapeError, "as many places as axes", lambda: gnp.moveaxis(A, (0, 1), 0)),
        (ShapeError, "expand_dims got axis 3 for an array of 3", lambda: gnp.expand_dims(M, 3)),
        (ShapeError, "drops axes of extent 1", lambda: gnp.squeeze(M, 0)),
        (ShapeError, "at least one array", lambda: gnp.concatenate([])),
        (ShapeError, "a scalar has none", lambda: gnp.concatenate([1.0, 2.0])),
        (ShapeError, r"concatenate got shapes \(3, 4\) and \(4,\)", lambda: gnp.concatenate([M, V])),
        (ShapeError, r"one shape; it got \(3, 4\) and \(4,\)", lambda: gnp.stack([M, V])),
        (ShapeError, "it got no array", lambda: gnp.stack([])),
        (ShapeError, "axis of 3 into 2 equal parts", lambda: gnp.split(M, 2)),
        (ConfigurationError, "got 0 sections", lambda: gnp.array_split(M, 0)),
        (ShapeError, "one for each of the 3 elements", lambda: gnp.repeat(M, [1, 2], axis=0)),
        (ShapeError, "got -1", lambda: gnp.repeat(M, -1)),
        (ShapeError, "flip got axis 2", lambda: gnp.flip(M, 2)),
        (ShapeError, "roll got axis 5", lambda: gnp.roll(M, 1, axis=5)),
        (ShapeError, "two different axes", lambda: gnp.rot90(M, axes=(1, -1))),
        (ShapeError, "plane of two axes", lambda: gnp.rot90(A, axes=(0, 1, 2))),
        (ConfigurationError, "mode='mean'", lambda: gnp.pad(M, 1, mode="mean")),
        (ShapeError, "0 wide or more", lambda: gnp.pad(M, -1)),
        (ShapeError, "a pair for each axis", lambda: gnp.pad(M, ((1, 1),) * 3)),
        (ShapeError, "empty axis", lambda: gnp.pad(np.zeros(0), 1, mode="edge")),
        (ShapeError, "diagonal needs at least 2", lambda: gnp.diagonal(V)),
        (ShapeError, "two different axes; it got 0 and -2", lambda: gnp.diagonal(M, 0, 0, -2)),
        (ShapeError, "a vector or a matrix", lambda: gnp.diag(A)),
        (ShapeError, r"tril takes matrices; it got shape \(4,\)", lambda: gnp.tril(V)),
        (ConfigurationError, "num=-1", lambda: gnp.linspace(0, 1, -1)),
        (ConfigurationError, "indexing='yx'", lambda: gnp.meshgrid(V, indexing="yx")),
        (DTypeError, "arange takes plain numbers", lambda: gn.grad(lambda x: gnp.arange(x).sum())(3.0)),
        (DTypeError, "elements of dtype <U1", lambda: gnp.array(["a"])),
    ],
)
def test_what_does_not_fit_gets_one_sentence(kind: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        call()
    assert str(caught.value).count(". ") == 0
