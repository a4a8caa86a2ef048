"""Cholesky, QR, the symmetric eigenvalue problem and the singular value decomposition.

Of matrices and of stacks of them (the last two axes). A factorisation with several results is one op whose
result holds them on top of each other; the functions take it apart. Every op is declared by its differential.

Sources: Giles, An extended collection of matrix derivative results for forward and reverse mode (2008);
Seeger, Hetzel, Dai, Meissner and Lawrence, Auto-differentiating linear algebra (2017); Murray,
Differentiation of the Cholesky decomposition (2016); Walter and Lehmann, Algorithmic differentiation of
linear algebra functions with application in optimum experimental design (2010).
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import call
from glassnet.core.registry import function
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.comparison import where
from glassnet.ops.declare import differential, floating_dtype, on_floats
from glassnet.ops.diagonal import diagonal, tril
from glassnet.ops.linalg import NOT_FINITE, failing_as, solve, square, stacked
from glassnet.ops.shaping import concatenate, expand_dims, matrix_transpose, operand


def _symmetric(x: Any) -> Any:
    return (x + matrix_transpose(x)) * 0.5


def _symmetric_value(x: Any) -> Any:
    # x = (x + x^T) / 2 to the last digit where x is symmetric.
    return (x + x.mT) * 0.5


def _inverse_or_zero(x: Any) -> Any:
    # 1 / x, and 0 where x is 0.
    vanishes = x == 0
    one, zero = x.dtype.type(1), x.dtype.type(0)
    return where(vanishes, zero, one / where(vanishes, one, x))


def _cholesky_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    # dL = L phi(L^-1 dA L^-T), phi: the lower triangle with half the diagonal
    half = matrix_transpose(solve(out, _symmetric(tangents[0])))
    inner = solve(out, half)
    n = out.shape[-1]
    return out @ (inner * (np.tri(n) - 0.5 * np.eye(n)).astype(out.dtype))


_cholesky = differential(
    "cholesky",
    value=failing_as(
        "cholesky",
        lambda xp, x: xp.linalg.cholesky(_symmetric_value(x)),
        "{} got a matrix that is not positive definite.",
    ),
    infer=lambda x: (square("cholesky", x), floating_dtype(x.dtype)),
    formula_of_differential=_cholesky_differential,
    batch=stacked(lambda: _cholesky),
    formula=call("chol", prime=False),
    domain="positive definite matrices; of another the symmetric part is taken",
    analytic=False,  # LAPACK's routine for complex matrices takes conjugates
    source="Murray, Differentiation of the Cholesky decomposition (2016), equation 8",
    summary="The lower triangle L of A = L L^T.",
)


def _qr_infer(x: Node) -> tuple[Shape, DType]:
    if len(x.shape) < 2 or x.shape[-2] < x.shape[-1]:
        raise ShapeError(f"The op qr takes matrices with at least as many rows as columns; got {x.shape}.")
    *stack, rows, columns = x.shape
    return (*stack, rows + columns, columns), floating_dtype(x.dtype)


def _qr_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    # With M = Q^T dA R^-1 the skew part is W = low(M) - low(M)^T; dR = (M - W) R, dQ = dA R^-1 - Q (M - W).
    rows = out.shape[-2] - out.shape[-1]
    q, r = out[..., :rows, :], out[..., rows:, :]
    scaled = matrix_transpose(solve(matrix_transpose(r), matrix_transpose(tangents[0])))
    m = matrix_transpose(q) @ scaled
    low = tril(m, -1)
    upper = m - low + matrix_transpose(low)
    return concatenate([scaled - q @ upper, upper @ r], -2)


_qr = differential(
    "qr",
    value=on_floats(lambda xp, x: xp.concat(tuple(xp.linalg.qr(x)), axis=-2)),
    infer=_qr_infer,
    formula_of_differential=_qr_differential,
    batch=stacked(lambda: _qr),
    formula=call("qr", prime=False),
    domain="matrices of full column rank; the signs on the diagonal of R are held fixed",
    analytic=False,  # LAPACK's routine for complex matrices takes conjugates
    source="Walter and Lehmann, Algorithmic differentiation of linear algebra functions (2010), section 3.1",
    summary="Q with orthonormal columns above the upper triangle R of A = Q R.",
)


def _eigh_value(xp: Any, x: Any) -> Any:
    w, v = xp.linalg.eigh(_symmetric_value(x))
    return xp.concat((xp.expand_dims(w, -2), v), axis=-2)


def _eigh_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    # dw = diag(V^T dA V), dV = V (F o V^T dA V), F_ij = 1 / (w_j - w_i) and 0 between equal ones
    w, v = out[..., 0, :], out[..., 1:, :]
    turned = matrix_transpose(v) @ _symmetric(tangents[0]) @ v
    gaps = expand_dims(w, -2) - expand_dims(w, -1)
    w_dot = diagonal(turned, axis1=-2, axis2=-1)
    return concatenate([expand_dims(w_dot, -2), v @ (_inverse_or_zero(gaps) * turned)], -2)


def _eigh_infer(x: Node) -> tuple[Shape, DType]:
    *stack, n = square("eigh", x)[:-1]
    return (*stack, n + 1, n), floating_dtype(x.dtype)


_eigh = differential(
    "eigh",
    value=failing_as("eigh", _eigh_value, NOT_FINITE),
    infer=_eigh_infer,
    formula_of_differential=_eigh_differential,
    batch=stacked(lambda: _eigh),
    formula=call("eigh", prime=False),
    domain="distinct eigenvalues; of a matrix that is not symmetric the symmetric part is taken",
    analytic=False,  # LAPACK's routine for complex matrices takes conjugates
    source="Giles (2008), 3.1",
    summary="Each column an eigenvalue above its unit eigenvector, in ascending order.",
    note="Between equal eigenvalues the rotation is 0; what no choice of basis changes stays right.",
)


def _svd_value(xp: Any, x: Any) -> Any:
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return xp.concat((u, xp.expand_dims(s, -2), vh.mT), axis=-2)


def _svd_infer(x: Node) -> tuple[Shape, DType]:
    if len(x.shape) < 2:
        raise ShapeError(f"svd takes matrices; it got shape {x.shape}.")
    *stack, rows, columns = x.shape
    return (*stack, rows + 1 + columns, min(rows, columns)), floating_dtype(x.dtype)


def _svd_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    # With P = U^T dA V: ds = diag(P), dU = U (F o (P S + S P^T)) + (I - U U^T) dA V S^-1, and V alike.
    x_dot = tangents[0]
    rows, columns = x_dot.shape[-2:]
    u, s, v = out[..., :rows, :], out[..., rows : rows + 1, :], out[..., rows + 1 :, :]
    p = matrix_transpose(u) @ x_dot @ v
    s_column = matrix_transpose(s)
    f = _inverse_or_zero(s - s_column) * _inverse_or_zero(s + s_column)
    u_dot = u @ (f * (p * s + s_column * matrix_transpose(p)))
    v_dot = v @ (f * (s_column * p + matrix_transpose(p) * s))
    if rows > columns:
        u_dot = u_dot + (x_dot @ v - u @ p) * _inverse_or_zero(s)
    if columns > rows:
        v_dot = v_dot + (matrix_transpose(x_dot) @ u - v @ matrix_transpose(p)) * _inverse_or_zero(s)
    s_dot = expand_dims(diagonal(p, axis1=-2, axis2=-1), -2)
    return concatenate([u_dot, s_dot, v_dot], -2)


_svd = differential(
    "svd",
    value=failing_as("svd", _svd_value, NOT_FINITE),
    infer=_svd_infer,
    formula_of_differential=_svd_differential,
    batch=stacked(lambda: _svd),
    formula=call("svd", prime=False),
    domain="distinct singular values above 0",
    analytic=False,  # LAPACK's routine for complex matrices takes conjugates
    source="Giles (2008), 3.2; Seeger et al. (2017), section 3.4",
    summary="Each column u, s and v of one term of A = sum s u v^T, in descending order of s.",
    note="Between equal singular values the rotation is 0; what no choice of basis changes stays right.",
)


@function
def cholesky(a: Any, upper: bool = False) -> Any:
    """The lower triangle L with a positive diagonal and A = L L^T, or the `upper` triangle L^T.

    Of a matrix that is not symmetric the symmetric part (A + A^T) / 2 is taken, and the gradient is
    symmetric. Shapes: (..., n, n) -> (..., n, n). Raises MatrixError where A is not positive definite.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    lower = _cholesky(operand(a))
    return matrix_transpose(lower) if upper else lower


@function
def qr(a: Any, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and the upper triangle R with A = Q R; mode="r" gives R alone.

    The signs on the diagonal of R are LAPACK's and are held fixed by the derivative, which asks for full
    rank. Shapes, with k = min(m, n): (..., m, n) -> (..., m, k) and (..., k, n).

    >>> q, r = qr(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> np.allclose(q @ r, [[3.0, 1.0], [4.0, 2.0]])
    True
    """
    if mode not in ("reduced", "r"):
        raise ConfigurationError(
            f'qr got mode={mode!r}; it takes "reduced" and "r" (what "complete" adds is arbitrary).'
        )
    a = operand(a)
    if a.ndim < 2:
        raise ShapeError(f"qr takes matrices; it got shape {a.shape}.")
    rows, columns = a.shape[-2:]
    both = _qr(a if rows >= columns else a[..., :rows])
    q, r = both[..., :rows, :], both[..., rows:, :]
    if columns > rows:
        # The first columns settle Q; the others are turned by it.
        r = concatenate([r, matrix_transpose(q) @ a[..., rows:]], -1)
    return r if mode == "r" else (q, r)


@function
def eigh(a: Any) -> tuple[Any, Any]:
    """The eigenvalues w, ascending, and unit eigenvectors (the columns of V) of symmetric A = V diag(w) V^T.

    Of a matrix that is not symmetric the symmetric part (A + A^T) / 2 is taken, and the gradient is
    symmetric. The derivative of an eigenvector asks for distinct eigenvalues; between equal ones the rotation
    is taken as 0. The signs are LAPACK's and held fixed. Shapes: (..., n, n) -> (..., n) and (..., n, n).

    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]]))[0]
    array([1., 2.])
    """
    both = _eigh(operand(a))
    return both[..., 0, :], both[..., 1:, :]


@function
def eigvalsh(a: Any) -> Any:
    """The eigenvalues of symmetric matrices, ascending; dw_i = v_i^T dA v_i. Shapes: (..., n, n) -> (..., n).

    >>> eigvalsh(np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([-1.,  1.])
    """
    return eigh(a)[0]


@function
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, s and Vh with A = U diag(s) Vh: orthonormal columns, singular values descending, orthonormal rows.

    Shapes, with k = min(m, n): (..., m, n) -> (..., m, k), (..., k) and (..., k, n). A matrix that is not
    square needs full_matrices=False: the further columns of a full U or V are arbitrary. compute_uv=False
    gives s alone. The derivatives of U and V ask for distinct singular values above 0; between equal ones
    the rotation is taken as 0. The signs are LAPACK's and held fixed.

    >>> svd(np.array([[3.0, 0.0], [0.0, 4.0]]))[1]
    array([4., 3.])
    """
    a = operand(a)
    both = _svd(a)
    rows, columns = a.shape[-2:]
    s = both[..., rows, :]
    if not compute_uv:
        return s
    if full_matrices and rows != columns:
        raise ConfigurationError(
            f"svd of shape {a.shape} needs full_matrices=False: the further columns of U or V are arbitrary."
        )
    return both[..., :rows, :], s, matrix_transpose(both[..., rows + 1 :, :])


@function
def svdvals(a: Any) -> Any:
    """The singular values, descending; ds_i = u_i^T dA v_i. Shapes: (..., m, n) -> (..., min(m, n)).

    >>> svdvals(np.array([[3.0, 0.0], [0.0, -4.0]]))
    array([4., 3.])
    """
    return svd(a, compute_uv=False)
