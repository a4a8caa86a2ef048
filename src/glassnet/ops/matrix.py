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
from glassnet.core.registry import function
from glassnet.core.shape import Shape, size_of
from glassnet.errors import ShapeError
from glassnet.ops.declare import bilinear


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


def _value(xp: Any, x: Any, y: Any, *, spec: str) -> Any:
    x_order, y_order, out_order, batch, inner = _plan(spec)
    x, y = xp.permute_dims(xp.asarray(x), x_order), xp.permute_dims(xp.asarray(y), y_order)
    stack, rows, sums = x.shape[:batch], x.shape[batch : x.ndim - inner], x.shape[x.ndim - inner :]
    columns = y.shape[batch + inner :]
    if y.shape[: batch + inner] != (*stack, *sums):  # of equal sizes they would multiply without complaint
        raise ValueError("the paired axes differ")
    product = xp.matmul(
        xp.reshape(x, (*stack, size_of(rows), size_of(sums))),
        xp.reshape(y, (*stack, size_of(sums), size_of(columns))),
    )
    return xp.permute_dims(xp.reshape(product, (*stack, *rows, *columns)), out_order)


def _infer(x: Node, y: Node, *, spec: str) -> tuple[Shape, DType]:
    x_labels, y_labels, out = split_spec(spec)
    if (len(x_labels), len(y_labels)) != (len(x.shape), len(y.shape)):
        raise ShapeError(f"The contraction {spec!r} does not fit arrays of shapes {x.shape} and {y.shape}.")
    extents = dict(zip(x_labels, x.shape, strict=True))
    for label, extent in zip(y_labels, y.shape, strict=True):
        if extents.setdefault(label, extent) != extent:
            raise ShapeError(
                f"A product of arrays of shapes {x.shape} and {y.shape} pairs an axis of {extents[label]} "
                f"with one of {extent}; they must agree."
            )
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
    m, n = np.ndim(x), np.ndim(y)
    if m == 0 or n == 0:
        raise ShapeError("matmul needs arrays of at least one dimension; multiply by a scalar with *.")
    if m > 2 and n > 2 and (m != n or np.shape(x)[:-2] != np.shape(y)[:-2]):
        raise ShapeError(
            f"matmul got stacks of shapes {np.shape(x)} and {np.shape(y)}; the leading axes must agree."
        )
    stack = "abcdefgh"[: max(m, n) - 2] if max(m, n) > 2 else ""
    left = (stack if m > 2 else "") + ("ij" if m > 1 else "j")
    right = (stack if n > 2 else "") + ("jk" if n > 1 else "j")
    out = stack + ("i" if m > 1 else "") + ("k" if n > 1 else "")
    return _contract(x, y, spec=f"{left},{right}->{out}")


@function
def outer(x: Any, y: Any) -> Any:
    """All products of an element of the vector x with one of the vector y, shape (x.size, y.size).

    >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    return _contract(x, y, spec="i,j->ij")
