"""Linear algebra: NumPy's values, the identities that define each result, gradients by hand, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import ConfigurationError, MatrixError, ShapeError

L = gnp.linalg


def draw(stream: int, *shape: int) -> np.ndarray:
    return normal(Key(11, stream), shape)


A = draw(1, 3, 3)
STACK = draw(2, 2, 3, 3)
TALL, WIDE = draw(3, 5, 3), draw(4, 2, 4)
DEFINITE = STACK @ np.swapaxes(STACK, -1, -2) + np.eye(3)

Call = Callable[[Any, Any], Any]
CALLS: list[tuple[np.ndarray, Call]] = [
    *((x, lambda m, x: m.inv(x)) for x in (A, STACK, A[:0, :0])),
    *((x, lambda m, x: m.det(x)) for x in (A, STACK, A[:0, :0])),
    *((x, lambda m, x: m.slogdet(x)) for x in (A, STACK, STACK[:0])),
    *((x, lambda m, x: m.cholesky(x)) for x in (DEFINITE, DEFINITE[0], A[:0, :0])),
    *((x, lambda m, x: m.eigh(x)) for x in (DEFINITE, A + A.T)),
    *((x, lambda m, x: m.eigvalsh(x)) for x in (DEFINITE, A + A.T)),
    *((x, lambda m, x: m.svd(x, full_matrices=False)) for x in (TALL, WIDE, STACK)),
    *((x, lambda m, x: m.svd(x)) for x in (A, STACK)),
    *((x, lambda m, x: m.svdvals(x) if m is L else m.svd(x, compute_uv=False)) for x in (TALL, WIDE)),
    *((x, lambda m, x: m.qr(x)) for x in (A, STACK, TALL, WIDE)),
    *((x, lambda m, x: m.qr(x, mode="r")) for x in (TALL, WIDE)),
    *((x, lambda m, x: m.pinv(x)) for x in (A, TALL, WIDE, STACK)),
    *((STACK, lambda m, x, n=n: m.matrix_power(x, n)) for n in (-3, 0, 1, 2, 7)),
    (STACK, lambda m, x: m.matrix_transpose(x)),
    (A, lambda m, x: m.norm(x)),
    (STACK, lambda m, x: [m.trace(x), m.trace(x, offset=1), m.diagonal(x, offset=-1)]),
    (STACK, lambda m, x: m.solve(x, A)),
    (A, lambda m, x: m.solve(x, STACK)),
    (STACK, lambda m, x: m.solve(x, A[0])),
]
NUMBERED = [pytest.param(x, call, id=str(i)) for i, (x, call) in enumerate(CALLS)]


def as_list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_values_and_dtypes_are_numpys(x: np.ndarray, call: Call, dtype: str) -> None:
    x = x.astype(dtype)
    for got, want in zip(as_list(call(L, x)), as_list(call(np.linalg, x)), strict=True):
        tolerance = 1e-12 if dtype == "float64" else 1e-3
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
        assert got.dtype == want.dtype


@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_shapes_and_dtypes_are_known_without_values(x: np.ndarray, call: Call) -> None:
    with tracing():
        results = as_list(call(L, placeholder(x.shape, x.dtype)))
    assert [(y.shape, y.dtype) for y in results] == [(y.shape, y.dtype) for y in as_list(call(np.linalg, x))]


@pytest.mark.parametrize(("x", "call"), [p for p in NUMBERED if p.values[0].size])
def test_derivatives_agree_with_an_independent_calculation(x: np.ndarray, call: Call) -> None:
    report = gn.check_grads(lambda x: tuple(as_list(call(L, x))), x, tolerance=1e-9)
    assert report.largest_error <= 1e-9


@pytest.mark.parametrize(("x", "call"), NUMBERED)
def test_vmap_is_a_loop(x: np.ndarray, call: Call) -> None:
    batch = np.stack([x, 2 * x])
    got = gn.vmap(lambda x: tuple(as_list(call(L, x))))(batch)
    for i in range(2):
        for all_examples, want in zip(got, as_list(call(L, batch[i])), strict=True):
            np.testing.assert_allclose(all_examples[i], want, rtol=1e-13, atol=1e-13)


def test_whole_numbers_are_computed_in_float64() -> None:
    x = np.array([[2, 1], [1, 3]])
    for call in (L.inv, L.det, L.cholesky, L.eigvalsh, L.svdvals, L.pinv, lambda x: L.solve(x, x)):
        got = call(x)
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, call(x.astype(float)))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit_diagonal", [False, True])
def test_a_triangular_solve_reads_its_triangle_alone(lower: bool, unit_diagonal: bool) -> None:
    triangle = np.tril(STACK) if lower else np.triu(STACK)
    if unit_diagonal:
        triangle = triangle * (1 - np.eye(3)) + np.eye(3)
    b = draw(5, 3, 2)

    def solved(a: Any, b: Any) -> Any:
        return L.solve_triangular(a, b, lower=lower, unit_diagonal=unit_diagonal)

    np.testing.assert_allclose(triangle @ solved(STACK, b), np.stack([b, b]), atol=1e-12)
    assert gn.check_grads(solved, STACK, b).passed
    gradient = gn.grad(lambda a: (solved(a, b) ** 2).sum())(STACK)
    read = np.tri(3, dtype=bool) if lower else np.tri(3, dtype=bool).T
    read = read & ~np.eye(3, dtype=bool) if unit_diagonal else read
    np.testing.assert_array_equal(gradient != 0, np.broadcast_to(read, gradient.shape))


def test_gradients_by_hand() -> None:
    inverse = np.linalg.inv(A)
    # d log|det A| / dA = A^-T;  d trace(A^-1) / dA = -(A^-2)^T
    np.testing.assert_allclose(gn.grad(lambda a: L.slogdet(a)[1])(A), inverse.T, rtol=1e-12)
    np.testing.assert_allclose(
        gn.grad(lambda a: gnp.trace(L.inv(a)))(A), -(inverse @ inverse).T, rtol=1e-11, atol=1e-12
    )
    # d w_max / dA = v v^T and d s_max / dA = u v^T
    v = np.linalg.eigh(DEFINITE[0])[1]
    np.testing.assert_allclose(
        gn.grad(lambda a: L.eigvalsh(a)[-1])(DEFINITE[0]), np.outer(v[:, -1], v[:, -1]), atol=1e-13
    )
    u, _, vh = np.linalg.svd(TALL, full_matrices=False)
    np.testing.assert_allclose(gn.grad(lambda a: L.svdvals(a)[0])(TALL), np.outer(u[:, 0], vh[0]), atol=1e-13)
    np.testing.assert_allclose(gn.grad(lambda a: L.det(a))(np.array([[-1.5]])), [[1.0]])


def test_the_value_at_risk_of_a_quadratic_form_by_two_ways() -> None:
    # b^T S^-1 b through solve and through the Cholesky factor have one gradient.
    b = draw(6, 3)
    symmetric = DEFINITE[0]

    def by_solve(s: Any) -> Any:
        return gnp.dot(b, L.solve((s + s.T) / 2, b))

    def by_cholesky(s: Any) -> Any:
        return (L.solve_triangular(L.cholesky(s), b, lower=True) ** 2).sum()

    np.testing.assert_allclose(gn.grad(by_solve)(symmetric), gn.grad(by_cholesky)(symmetric), rtol=1e-11)
    np.testing.assert_allclose(
        gn.jacobian(gn.grad(by_solve))(symmetric), gn.jacobian(gn.grad(by_cholesky))(symmetric), rtol=1e-10
    )


def test_equal_eigenvalues_spoil_nothing_that_no_choice_of_basis_changes() -> None:
    x = np.diag([2.0, 2.0, 5.0])

    def of_matrix(a: Any) -> Any:
        # log A = V log(w) V^T hangs on no basis, and neither does its trace, log det A.
        w, v = L.eigh(a)
        return gnp.trace((v * gnp.log(w)) @ v.T)

    np.testing.assert_allclose(gn.grad(of_matrix)(x), np.linalg.inv(x), atol=1e-13)
    np.testing.assert_allclose(gn.grad(lambda a: L.svdvals(a).sum())(x), np.eye(3), atol=1e-13)
    np.testing.assert_allclose(gn.grad(lambda a: (L.eigvalsh(a) ** 2).sum())(np.eye(3)), 2 * np.eye(3))


def test_the_symmetric_part_counts() -> None:
    np.testing.assert_allclose(L.cholesky(np.array([[4.0, 4.0], [0.0, 2.0]])), [[2.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(L.cholesky(DEFINITE, upper=True), np.swapaxes(L.cholesky(DEFINITE), -1, -2))
    gradient = gn.grad(lambda a: (L.cholesky(a) * A).sum())(DEFINITE[0])
    np.testing.assert_allclose(gradient, gradient.T, rtol=1e-14)


def test_a_pseudoinverse_below_full_rank_keeps_its_rank() -> None:
    # Along matrices of rank one the derivative is that of the formula (u v^T)^+ = v u^T / (|u|^2 |v|^2).
    u, v = TALL[0], WIDE[0]
    np.testing.assert_allclose(L.pinv(np.outer(u, v)), np.linalg.pinv(np.outer(u, v)), atol=1e-14)

    def formula(u: Any) -> Any:
        return gnp.outer(v, u) / ((u * u).sum() * (v * v).sum())

    got = gn.jacobian(lambda u: L.pinv(gnp.outer(u, v), rcond=1e-10))(u)
    np.testing.assert_allclose(got, gn.jacobian(formula)(u), atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "sentence", "call"),
    [
        (MatrixError, "inv got a singular matrix", lambda: L.inv(np.ones((2, 2)))),
        (MatrixError, "solve got a singular matrix", lambda: L.solve(np.zeros((2, 2)), np.ones(2))),
        (MatrixError, "inv got a singular matrix", lambda: gn.grad(L.det)(np.zeros((2, 2)))),
        (MatrixError, "not positive definite", lambda: L.cholesky(-np.eye(2))),
        (MatrixError, "svd did not converge", lambda: L.svd(np.full((2, 2), np.nan))),
        (ShapeError, r"inv takes square matrices; it got shape \(5, 3\)", lambda: L.inv(TALL)),
        (ShapeError, r"det takes square matrices; it got shape \(3,\)", lambda: L.det(A[0])),
        (ShapeError, r"cholesky takes square matrices", lambda: L.cholesky(TALL)),
        (ShapeError, r"eigh takes square matrices", lambda: L.eigvalsh(TALL)),
        (ShapeError, r"slogdet takes square matrices", lambda: L.slogdet(TALL)),
        (ShapeError, r"matrix_power takes square matrices", lambda: L.matrix_power(TALL, 2)),
        (ShapeError, r"solve_triangular takes square", lambda: L.solve_triangular(TALL, A)),
        (ShapeError, r"svd takes matrices; it got shape \(3,\)", lambda: L.svdvals(A[0])),
        (ShapeError, r"qr takes matrices; it got shape \(3,\)", lambda: L.qr(A[0])),
        (ShapeError, r"pinv takes matrices; it got shape \(3,\)", lambda: L.pinv(A[0])),
        (ShapeError, r"shape \(3, 3\) and right sides of shape \(2, 4\)", lambda: L.solve(A, WIDE)),
        (ConfigurationError, "needs full_matrices=False", lambda: L.svd(TALL)),
        (ConfigurationError, "mode='complete'", lambda: L.qr(TALL, mode="complete")),
    ],
)
def test_what_does_not_fit_gets_one_sentence(kind: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(kind, match=sentence):
        call()


def test_an_error_under_a_transform_names_the_users_line() -> None:
    with pytest.raises(MatrixError, match=r"singular matrix.*test_linalg\.py.*L\.inv\(x\)"):
        gn.grad(lambda x: L.inv(x).sum())(np.ones((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        L.inv(np.ones((2, 2)))


def test_numpys_own_functions_take_traced_matrices() -> None:
    calls: list[Call] = [
        lambda m, x: m.linalg.solve(x, x[0]),
        lambda m, x: m.linalg.svd(x, full_matrices=False),
        lambda m, x: [m.linalg.trace(x), m.trace(x), m.linalg.diagonal(x)],
        lambda m, x: [m.matmul(x, x), m.einsum("bij,bjk->ik", x, x), m.stack([x, x]), m.pad(x, 1)],
    ]
    for call in calls:
        values = gn.jvp(lambda x, call=call: tuple(as_list(call(np, x))), (STACK,), (STACK,))[0]
        for got, want in zip(values, as_list(call(np, STACK)), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-14)


def test_what_is_not_there_says_so_by_name() -> None:
    with pytest.raises(AttributeError, match=r"glassnet\.numpy\.linalg has no 'lstsq'; the nearest is pinv"):
        _ = L.lstsq
    with pytest.raises(AttributeError, match="has no 'eig'; the nearest is eigh, for symmetric matrices"):
        _ = L.eig
