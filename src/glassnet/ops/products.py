"""Products of arrays under NumPy's names, all of them contractions."""

from __future__ import annotations

import string
from typing import Any

from glassnet.core.registry import function
from glassnet.errors import ShapeError
from glassnet.ops.matrix import contract, product
from glassnet.ops.shaping import moveaxis, one_axis, operand, ravel, reshape, stack, whole_numbers


def _labels(rank: int, start: int = 0) -> str:
    return string.ascii_letters[start : start + rank]


@function
def dot(x: Any, y: Any) -> Any:
    """The sum over the last axis of x and the last but one of y; a scalar multiplies.

    For vectors x . y = sum_i x_i y_i. Stacks pair every matrix of x with every one of y (`matmul` pairs them
    one to one).

    >>> float(dot(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    x, y = operand(x), operand(y)
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return tensordot(x, y, (-1, max(y.ndim - 2, 0)))


@function
def vdot(x: Any, y: Any) -> Any:
    """The sum of the products of all elements: sum_i x_i y_i over the flattened arrays.

    >>> float(vdot(np.ones((2, 2)), np.full((2, 2), 3.0)))
    12.0
    """
    return contract(ravel(x), ravel(y), "i,i->")


@function
def inner(x: Any, y: Any) -> Any:
    """The sum over the last axes of both; a scalar multiplies.

    >>> inner(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    x, y = operand(x), operand(y)
    return x * y if x.ndim == 0 or y.ndim == 0 else tensordot(x, y, (-1, -1))


@function
def tensordot(x: Any, y: Any, axes: Any = 2) -> Any:
    """The sum over pairs of axes: the last `axes` of x and the first of y, or `axes` = (of x, of y).

    >>> tensordot(np.ones((2, 3, 4)), np.ones((3, 4, 5))).shape
    (2, 5)
    """
    x, y = operand(x), operand(y)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ShapeError(f"tensordot cannot sum over {axes} axes of shapes {x.shape} and {y.shape}.")
        axes = (range(x.ndim - axes, x.ndim), range(axes))
    of_x, of_y = (
        [one_axis(axis, z.ndim, "tensordot") for axis in whole_numbers(own)]
        for z, own in zip((x, y), axes, strict=True)
    )
    if len(of_x) != len(of_y):
        raise ShapeError(f"tensordot pairs axis with axis; it got {len(of_x)} of x and {len(of_y)} of y.")
    x_labels, own = _labels(x.ndim), list(_labels(y.ndim, x.ndim))
    for i, j in zip(of_x, of_y, strict=True):
        own[j] = x_labels[i]
    out = [label for label in (*x_labels, *own) if not (label in x_labels and label in own)]
    return contract(x, y, f"{x_labels},{''.join(own)}->{''.join(out)}")


@function
def kron(x: Any, y: Any) -> Any:
    """The Kronecker product: every element of x, times all of y.

    >>> kron(np.array([1.0, 10.0]), np.array([1.0, 2.0]))
    array([ 1.,  2., 10., 20.])
    """
    x, y = operand(x), operand(y)
    rank = max(x.ndim, y.ndim)
    x = reshape(x, (*(1,) * (rank - x.ndim), *x.shape))
    y = reshape(y, (*(1,) * (rank - y.ndim), *y.shape))
    of_x, of_y = _labels(rank), _labels(rank, rank)
    woven = "".join(a + b for a, b in zip(of_x, of_y, strict=True))
    apart = contract(x, y, f"{of_x},{of_y}->{woven}")
    return reshape(apart, tuple(m * n for m, n in zip(x.shape, y.shape, strict=True)))


@function
def cross(x: Any, y: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vector product in three dimensions, (x_2 y_3 - x_3 y_2, x_3 y_1 - x_1 y_3, x_1 y_2 - x_2 y_1).

    The vectors lie along `axisa` of x, `axisb` of y and `axisc` of the result, or along `axis` of all.

    >>> cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    array([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(operand(x), axisa, -1), moveaxis(operand(y), axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ShapeError(f"cross takes vectors of 3 elements; it got {x.shape[-1]} and {y.shape[-1]}.")
    (x1, x2, x3), (y1, y2, y3) = ([v[..., i] for i in range(3)] for v in (x, y))
    return moveaxis(stack([x2 * y3 - x3 * y2, x3 * y1 - x1 * y3, x1 * y2 - x2 * y1], -1), -1, axisc)


@function
def vecdot(x: Any, y: Any, axis: int = -1) -> Any:
    """The dot products of two stacks of vectors along `axis`: sum_i x_i y_i, the other axes broadcast.

    >>> vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    x, y = moveaxis(operand(x), axis, -1), moveaxis(operand(y), axis, -1)
    return _stacked("vecdot", x, y, "j", "j", "")


@function
def matvec(x: Any, y: Any) -> Any:
    """Every matrix of a stack times its vector: z_i = sum_j x_ij y_j.

    >>> matvec(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    return _stacked("matvec", operand(x), operand(y), "ij", "j", "i")


@function
def vecmat(x: Any, y: Any) -> Any:
    """Every vector of a stack times its matrix: z_k = sum_j x_j y_jk.

    >>> vecmat(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 3.0]]))
    array([1., 6.])
    """
    return _stacked("vecmat", operand(x), operand(y), "j", "jk", "k")


def _stacked(name: str, x: Any, y: Any, of_x: str, of_y: str, out: str) -> Any:
    m, n = x.ndim - len(of_x), y.ndim - len(of_y)
    if m < 0 or n < 0 or x.shape[m + of_x.index("j")] != y.shape[n + of_y.index("j")]:
        raise ShapeError(f"{name} got shapes {x.shape} and {y.shape}, which do not fit together.")
    stack = string.ascii_uppercase
    left, right, longest = (stack[len(stack) - count :] for count in (m, n, max(m, n)))
    return product(x, y, left + of_x, right + of_y, longest + out)
