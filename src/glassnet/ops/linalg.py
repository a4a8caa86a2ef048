"""Inverses, linear systems and determinants, of matrices and of stacks of them (the last two axes).

Every op is declared by its differential, written with products and solves; forward mode reads it as it
stands and reverse mode transposes it.

Source: Giles, An extended collection of matrix derivative results for forward and reverse mode (2008).
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import operator
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import Formula, call
from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.shape import Shape, broadcast_shapes
from glassnet.errors import MatrixError, ShapeError
from glassnet.ops import diagonal as diagonals
from glassnet.ops.declare import differential, floating_dtype, function_formula, linear, on_floats
from glassnet.ops.diagonal import tril, triu
from glassnet.ops.einsum import einsum
from glassnet.ops.shaping import broadcast_to, expand_dims, matrix_transpose, operand, reshape, sum_to

_SINGULAR = "{} got a singular matrix; it needs one that has an inverse."
NOT_FINITE = "{} did not converge; the matrix holds values that are not finite."


def failing_as(name: str, value: Callable[..., Any], failure: str) -> Callable[..., Any]:
    """The value rule `value`, with NumPy's failures as a `MatrixError` that says `failure`."""

    def rule(xp: Any, *matrices: Any, **attributes: Any) -> Any:
        try:
            return value(xp, *matrices, **attributes)
        except np.linalg.LinAlgError:
            raise MatrixError(failure.format(name)) from None

    return on_floats(rule)


def square(name: str, x: Any) -> Shape:
    """The shape of a stack of square matrices; an error of op `name` for other arrays."""
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name} takes square matrices; it got shape {x.shape}.")
    return x.shape


def stacked(op: Callable[[], Any]) -> Callable[..., Any]:
    """The batch rule of an op on stacks of matrices: one more leading axis is taken as it is."""

    def batch(inputs: Sequence[Any], _batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
        return op()(inputs[0], **attributes)

    return batch


def _pairing(x: Any, y: Any) -> Any:
    # trace(x y) of every pair of matrices: only the diagonal of the product is worked out.
    return FUNCTIONS["sum"](matrix_transpose(x) * y, axis=(-2, -1))


_inv = differential(
    "inv",
    value=failing_as("inv", lambda xp, x: xp.linalg.inv(x), _SINGULAR),
    infer=lambda x: (square("inv", x), floating_dtype(x.dtype)),
    formula_of_differential=lambda out, inputs, tangents: -(out @ tangents[0] @ out),
    batch=stacked(lambda: _inv),
    formula=Formula("{0}^-1"),
    domain="invertible matrices",
    source="Giles (2008), 2.2.3: d(A^-1) = -A^-1 dA A^-1",
    summary="The inverse of every matrix.",
)


def _solve_infer(a: Node, b: Node) -> tuple[Shape, DType]:
    square("solve", a)
    if len(b.shape) < 2 or b.shape[-2] != a.shape[-1]:
        raise ShapeError(f"solve got a matrix of shape {a.shape} and right sides of shape {b.shape}.")
    return (*broadcast_shapes("solve", a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), floating_dtype(
        a.dtype, b.dtype
    )


def _solve_transpose(position: int, cotangent: Any, inputs: Sequence[Any]) -> Any:
    return sum_to(_solve(matrix_transpose(inputs[0]), cotangent), inputs[1].shape)


def _solve_batch(inputs: Sequence[Any], batched: Sequence[bool], _attributes: Mapping[str, Any]) -> Any:
    rank = max(np.ndim(x) - flag for x, flag in zip(inputs, batched, strict=True))
    aligned = [
        reshape(x, (x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:])) if flag else x
        for x, flag in zip(inputs, batched, strict=True)
    ]
    return _solve(*aligned)


_solve = linear(
    "solve",
    value=failing_as("solve", lambda xp, a, b: xp.linalg.solve(a, b), _SINGULAR),
    infer=_solve_infer,
    transpose=_solve_transpose,
    arguments=(1,),
    rest=lambda out, inputs, tangents: -_solve(inputs[0], tangents[0] @ out),
    batch=_solve_batch,
    formula=function_formula("{0}^-1 {1}"),
    domain="invertible matrices",
    source="Giles (2008), 2.3.1: A dX = dB - dA X",
    summary="The X of A X = B for every pair of matrices.",
)

_det = differential(
    "det",
    value=on_floats(lambda xp, x: xp.linalg.det(x)),
    infer=lambda x: (square("det", x)[:-2], floating_dtype(x.dtype)),
    formula_of_differential=lambda out, inputs, tangents: out * _pairing(_inv(inputs[0]), tangents[0]),
    batch=stacked(lambda: _det),
    formula=call("det", prime=False),
    domain="the derivative asks for an invertible matrix",
    source="Jacobi's formula; Giles (2008), 2.2.4",
    summary="The determinant of every matrix.",
)


def _slogdet_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
    slope = _pairing(_inv(inputs[0]), tangents[0])
    return expand_dims(slope, -1) * np.array([0, 1], out.dtype)


_slogdet = differential(
    "slogdet",
    value=on_floats(lambda xp, x: xp.stack(tuple(xp.linalg.slogdet(x)), axis=-1)),
    infer=lambda x: ((*square("slogdet", x)[:-2], 2), floating_dtype(x.dtype)),
    formula_of_differential=_slogdet_differential,
    batch=stacked(lambda: _slogdet),
    formula=call("slogdet", prime=False),
    domain="the derivative asks for an invertible matrix",
    analytic=False,  # the value rule takes the size of a number
    source="Giles (2008), 2.2.4: d log|det A| = trace(A^-1 dA); the sign is constant",
    summary="The sign of the determinant and the log of its size, side by side.",
)


def _pinv_differential(out: Any, inputs: Sequence[Any], tangents: Sequence[Any], *, rcond: float) -> Any:
    # dP = -P dA P + P P^T dA^T (I - A P) + (I - P A) dA^T P^T P
    x, x_dot = inputs[0], tangents[0]
    turned = matrix_transpose(x_dot)
    left = out @ matrix_transpose(out) @ turned
    right = turned @ matrix_transpose(out) @ out
    return left - left @ x @ out + right - out @ (x @ right) - out @ x_dot @ out


def _pinv_infer(x: Node, *, rcond: float) -> tuple[Shape, DType]:
    if len(x.shape) < 2:
        raise ShapeError(f"pinv takes matrices; it got shape {x.shape}.")
    return (*x.shape[:-2], x.shape[-1], x.shape[-2]), floating_dtype(x.dtype)


_pinv = differential(
    "pinv",
    value=failing_as("pinv", lambda xp, x, *, rcond: xp.linalg.pinv(x, rtol=rcond), NOT_FINITE),
    infer=_pinv_infer,
    formula_of_differential=_pinv_differential,
    batch=stacked(lambda: _pinv),
    formula=Formula("{0}^+"),
    domain="matrices around which the rank is constant",
    analytic=False,  # the value rule goes through singular values
    source="Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973), theorem 4.3",
    summary="The Moore-Penrose inverse of every matrix.",
)


@function
def inv(a: Any) -> Any:
    """The inverse of every matrix: A A^-1 = I.

    Shapes: (..., n, n) -> (..., n, n). Raises MatrixError for a singular matrix. To solve A x = b use
    `solve`, which loses fewer digits.

    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return _inv(operand(a))


@function
def solve(a: Any, b: Any) -> Any:
    """The solution x of A x = b; b is one vector, or the columns of a matrix or of a stack of them.

    Shapes: (..., n, n) and (n,) or (..., n, k) -> (..., n) or (..., n, k); the leading axes broadcast.
    Raises MatrixError for a singular matrix.

    >>> solve(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([4.0, 8.0]))
    array([1., 2.])
    """
    a, b = operand(a), operand(b)
    return _solve(a, reshape(b, (*b.shape, 1)))[..., 0] if b.ndim == 1 else _solve(a, b)


@function
def solve_triangular(a: Any, b: Any, lower: bool = False, unit_diagonal: bool = False) -> Any:
    """The solution x of T x = b, T the upper (or `lower`) triangle of A; what is outside T is not read.

    `unit_diagonal` takes ones for the diagonal of T. Shapes as in `solve`. Raises MatrixError for a zero on
    the diagonal.

    >>> solve_triangular(np.array([[2.0, 1.0], [9.0, 4.0]]), np.array([4.0, 8.0]))
    array([1., 2.])
    """
    a = operand(a)
    square("solve_triangular", a)
    outside = int(unit_diagonal)
    triangle = tril(a, -outside) if lower else triu(a, outside)
    if unit_diagonal:
        triangle = triangle + np.eye(a.shape[-1], dtype=a.dtype)
    return solve(triangle, b)


@function
def det(a: Any) -> Any:
    """The determinant of every matrix; d det A = det A trace(A^-1 dA).

    Shapes: (..., n, n) -> (...). The derivative asks for an invertible matrix.

    >>> round(float(det(np.array([[2.0, 1.0], [0.0, 4.0]]))), 12)
    8.0
    """
    return _det(operand(a))


@function
def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign of the determinant and the log of its size, which neither overflow nor underflow.

    det A = sign exp(logabsdet); d logabsdet = trace(A^-1 dA), and the sign is constant.
    Shapes: (..., n, n) -> (...) twice.

    >>> sign, logabsdet = slogdet(np.diag([-2.0, 1.0]))
    >>> float(sign), round(float(logabsdet), 4)
    (-1.0, 0.6931)
    """
    both = _slogdet(operand(a))
    return both[..., 0], both[..., 1]


@function
def pinv(a: Any, rcond: float = 1e-15) -> Any:
    """The Moore-Penrose inverse: singular values up to `rcond` times the largest count as 0.

    pinv(A) b is the shortest x with the least |A x - b|. Shapes: (..., m, n) -> (..., n, m).

    >>> pinv(np.array([[2.0], [0.0]]))
    array([[0.5, 0. ]])
    """
    return _pinv(operand(a), rcond=rcond)


@function
def matrix_power(a: Any, n: int) -> Any:
    """The product of n copies of A, by repeated squaring; of -n copies of the inverse for a negative n.

    >>> matrix_power(np.array([[1.0, 1.0], [0.0, 1.0]]), 5)
    array([[1., 5.],
           [0., 1.]])
    """
    a = operand(a)
    square("matrix_power", a)
    exponent = operator.index(n)
    if exponent < 0:
        a, exponent = inv(a), -exponent
    result: Any = None
    while exponent:
        if exponent % 2:
            result = a if result is None else result @ a
        exponent //= 2
        a = a @ a if exponent else a
    return broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) if result is None else result


@function
def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of a chain of matrices in the order that costs least; the ends may be vectors.

    >>> multi_dot([np.ones((2, 3)), np.ones((3, 4)), np.ones(4)])
    array([12., 12.])
    """
    parts = [operand(x) for x in arrays]
    ends = (0, len(parts) - 1)
    if len(parts) < 2 or any(x.ndim != 2 and not (x.ndim == 1 and i in ends) for i, x in enumerate(parts)):
        raise ShapeError(
            "multi_dot takes two or more matrices, vectors at the ends; "
            f"it got shapes {[x.shape for x in parts]}."
        )
    letters = string.ascii_letters
    labels = [letters[i : i + 2] for i in range(len(parts))]
    if parts[0].ndim == 1:
        labels[0] = labels[0][1:]
    if parts[-1].ndim == 1:
        labels[-1] = labels[-1][:1]
    ending = labels[-1][1:]
    return einsum(f"{','.join(labels)}->{labels[0][:-1]}{ending}", *parts)


def diagonal(a: Any, offset: int = 0) -> Any:
    """The diagonal `offset` of every matrix: `numpy.diagonal` over the last two axes.

    >>> diagonal(np.arange(9).reshape(3, 3), offset=-1)
    array([3, 7])
    """
    return diagonals.diagonal(a, offset, -2, -1)


def trace(a: Any, offset: int = 0) -> Any:
    """The sum over the diagonal `offset` of every matrix: `numpy.trace` over the last two axes.

    >>> trace(np.ones((5, 2, 2)))
    array([2., 2., 2., 2., 2.])
    """
    return diagonals.trace(a, offset, -2, -1)


# NumPy has two functions of each name: those of numpy.linalg take the last two axes.
FUNCTIONS["linalg.diagonal"] = diagonal
FUNCTIONS["linalg.trace"] = trace
