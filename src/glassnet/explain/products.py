"""Contractions as products of matrices: which operand stands where, and which is transposed."""

from __future__ import annotations

from dataclasses import dataclass

from glassnet.ops.matrix import split_spec


@dataclass(frozen=True)
class Operand:
    """One factor of a product of matrices: the position of the argument, and whether it is transposed."""

    argument: int
    transposed: bool = False


def as_product(spec: str) -> tuple[Operand, Operand] | None:
    """The contraction of two vectors or matrices as a product, vectors being columns; None for other ones.

    W x is "ij,j->i", the transposed W times delta "i,ij->j", and the outer product delta times the transposed
    y "i,j->ij".

    >>> as_product("i,ij->j")
    (Operand(argument=1, transposed=True), Operand(argument=0, transposed=False))
    """
    x, y, out = split_spec(spec)
    labels = (x, y)
    if not x or not y:
        return Operand(0), Operand(1)
    summed = [label for label in x if label in y and label not in out]
    if len(x) > 2 or len(y) > 2 or len(summed) > 1 or set(x) & set(y) & set(out):
        return None
    if not summed:
        if len(out) != 2:
            return None
        first = 0 if out[0] == x else 1
        return Operand(first), Operand(1 - first, transposed=True)
    (inner,) = summed
    if not out:
        return Operand(0, transposed=True), Operand(1)
    # The matrix stands first where a vector is the other factor, else what has the rows of the result.
    first = 0 if (len(x) == 2 and len(y) == 1) or (len(x) == len(y) and out[0] in x) else 1
    left, right = labels[first], labels[1 - first]
    return (
        Operand(first, transposed=left[-1] != inner),
        Operand(1 - first, transposed=len(right) == 2 and right[0] != inner),
    )
