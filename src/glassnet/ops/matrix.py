"""Contraction: the one op behind matmul, dot, outer and tensordot.

`contract(x, y, spec)` multiplies and sums over labels, as in "bi,oi->bo": every label of the output comes
from an input, labels that are in both inputs but not in the output are summed. The op is closed under its own
transposes and under batching, so that nothing else is needed for any product of arrays.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import PRODUCT, Formula
from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.shape import Shape, size_of
from glassnet.errors import ShapeError
from glassnet.ops.declare import bilinear
from glassnet.ops.shaping import operand, ravel, reshape

_MISMATCH = "A product of arrays of shapes {} and {} pairs an axis of {} with one of {}; they must agree."


@lru_cache(maxsize=4096)
def split_spec(spec: str) -> tuple[str, str, str]:
    """The labels of x, of y and of the output."""
    inputs, out = spec.split("->")
    x, y = inputs.split(",")
    for labels in (x, y, out):
        if len(set(labels)) != len(labels):
            raise ShapeError(
                f"The contraction {spec!r} repeats a label within one array; take the diagonal first."
            )
    if not set(out) <= set(x + y) or (set(x) ^ set(y)) - set(out):
        raise ShapeError(f"The contraction {spec!r} must keep or pair every label; sum the others first.")
    return x, y, out


@lru_cache(maxsize=4096)
def _plan(spec: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]:
    # Both operands as stacks of matrices, (batch, rows, inner) and (batch, inner, columns).
    x, y, out = split_spec(spec)
    batch = [label for label in out if label in x and label in y]
    inner = [label for label in x if label in y and label not in out]
    rows = [label for label in out if label not in y]
    columns = [label for label in out if label not in x]
    order = [*batch, *rows, *columns]
    return (
        tuple(x.index(label) for label in (*batch, *rows, *inner)),
        tuple(y.index(label) for label in (*batch, *inner, *columns)),
        tuple(order.index(label) for label in out),
        len(batch),
        len(inner),
    )


def _packed(xp: Any, x: Any) -> Any:
    # NOTE a broadcast view, as the gradient of a sum is, NumPy multiplies without BLAS: many times slower.
    return xp.ascontiguousarray(x) if 0 in getattr(x, "strides", ()) else x


def _value(xp: Any, x: Any, y: Any, *, spec: str) -> Any:
    x_order, y_order, out_order, batch, inner = _plan(spec)
    x, y = xp.permute_dims(xp.asarray(x), x_order), xp.permute_dims(xp.asarray(y), y_order)
    stack, rows, sums = x.shape[:batch], x.shape[batch : x.ndim - inner], x.shape[x.ndim - inner :]
    columns = y.shape[batch + inner :]
    if y.shape[: batch + inner] != (*stack, *sums):  # of equal sizes they would multiply without complaint
        raise ValueError("the paired axes differ")
    product = xp.matmul(
        _packed(xp, xp.reshape(x, (*stack, size_of(rows), size_of(sums)))),
        _packed(xp, xp.reshape(y, (*stack, size_of(sums), size_of(columns)))),
    )
    return xp.permute_dims(xp.reshape(product, (*stack, *rows, *columns)), out_order)


def _infer(x: Node, y: Node, *, spec: str) -> tuple[Shape, DType]:
    x_labels, y_labels, out = split_spec(spec)
    if (len(x_labels), len(y_labels)) != (len(x.shape), len(y.shape)):
        raise ShapeError(f"The contraction {spec!r} does not fit arrays of shapes {x.shape} and {y.shape}.")
    extents = dict(zip(x_labels, x.shape, strict=True))
    for label, extent in zip(y_labels, y.shape, strict=True):
        if extents.setdefault(label, extent) != extent:
            raise ShapeError(_MISMATCH.format(x.shape, y.shape, extents[label], extent))
    return tuple(extents[label] for label in out), np.result_type(x.dtype, y.dtype)


def _left(cotangent: Any, x: Any, y: Any, *, spec: str) -> Any:
    x_labels, y_labels, out = split_spec(spec)
    return contract(cotangent, y, f"{out},{y_labels}->{x_labels}")


def _right(cotangent: Any, x: Any, y: Any, *, spec: str) -> Any:
    x_labels, y_labels, out = split_spec(spec)
    return contract(cotangent, x, f"{out},{x_labels}->{y_labels}")


def _batch(inputs: Sequence[Any], batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    x, y, out = split_spec(attributes["spec"])
    new = next(label for label in string.ascii_letters if label not in x + y)
    x, y = (new + x if batched[0] else x), (new + y if batched[1] else y)
    return contract(inputs[0], inputs[1], f"{x},{y}->{new}{out}")


_contract = bilinear(
    "contract",
    value=_value,
    infer=_infer,
    left=_left,
    right=_right,
    batch=_batch,
    formula=Formula("{0} {1}", PRODUCT),
    source="Einstein summation",
    summary="The sum over shared labels of the products of two arrays.",
)


def contract(x: Any, y: Any, spec: str) -> Any:
    """The sum over shared labels of products, "ij,jk->ik" for a matrix product.

    >>> contract(np.eye(2), np.array([3.0, 4.0]), "ij,j->i")
    array([3., 4.])
    """
    return _contract(x, y, spec=spec)


@function
def matmul(x: Any, y: Any) -> Any:
    """The matrix product, NumPy's `@`: vectors on either side count as one row or one column.

    >>> matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    x, y = operand(x), operand(y)
    m, n = x.ndim, y.ndim
    if m == 0 or n == 0:
        raise ShapeError("matmul needs arrays of at least one dimension; multiply by a scalar with *.")
    left, right, out = _matmul_labels(m, n)
    if x.shape[-1] == y.shape[-2 if n > 1 else 0] and m > 2 and n > 2 and x.shape[:-2] != y.shape[:-2]:
        return product(x, y, left, right, out)
    return _contract(x, y, spec=f"{left},{right}->{out}")


@lru_cache(maxsize=256)
def _matmul_labels(m: int, n: int) -> tuple[str, str, str]:
    # The axes of the stacks pair from the right.
    stack = string.ascii_uppercase
    left, right = stack[len(stack) - max(m - 2, 0) :], stack[len(stack) - max(n - 2, 0) :]
    longest = left if m > n else right
    return (
        left + ("ij" if m > 1 else "j"),
        right + ("jk" if n > 1 else "j"),
        longest + ("i" if m > 1 else "") + ("k" if n > 1 else ""),
    )


def product(x: Any, y: Any, x_labels: str, y_labels: str, out: str) -> Any:
    """`contract` for labels as they come: extents of 1 broadcast, labels of one array alone are summed."""
    extents = dict(zip(x_labels, x.shape, strict=True))
    for label, extent in zip(y_labels, y.shape, strict=True):
        if extents.get(label, 1) == 1:
            extents[label] = extent
        elif extent not in (1, extents[label]):
            raise ShapeError(_MISMATCH.format(x.shape, y.shape, extents[label], extent))
    x, x_labels = sum_labels(*_without_ones(x, x_labels, extents), y_labels + out)
    y, y_labels = sum_labels(*_without_ones(y, y_labels, extents), x_labels + out)
    x, x_labels = sum_labels(x, x_labels, y_labels + out)  # what y has as an extent of 1 is x's own now
    return _contract(x, y, spec=f"{x_labels},{y_labels}->{out}")


def _without_ones(x: Any, labels: str, extents: Mapping[str, int]) -> tuple[Any, str]:
    # An axis of 1 beside a longer one of the same label is left out: the product repeats what has no axis.
    kept = [label for label, extent in zip(labels, x.shape, strict=True) if extent == extents[label]]
    return reshape(x, tuple(extents[label] for label in kept)), "".join(kept)


def sum_labels(x: Any, labels: str, kept: str) -> tuple[Any, str]:
    """`x` summed over its labels that are not in `kept`, and the labels that are left."""
    axes = tuple(i for i, label in enumerate(labels) if label not in kept)
    if not axes:
        return x, labels
    return FUNCTIONS["sum"](x, axes), "".join(label for label in labels if label in kept)


@function
def outer(x: Any, y: Any) -> Any:
    """All products of an element of x with one of y, shape (x.size, y.size): z_ij = x_i y_j.

    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    return _contract(ravel(x), ravel(y), spec="i,j->ij")
