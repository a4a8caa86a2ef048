"""Einstein summation over any number of arrays: diagonals, then one contraction after another."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.ops.diagonal import diagonal
from glassnet.ops.matrix import product, sum_labels
from glassnet.ops.shaping import operand, transpose


@function
def einsum(subscripts: Any, *operands: Any, optimize: Any = True) -> Any:
    """The sum of products over labelled axes, "ij,jk->ik" for a matrix product.

    Every label that the output leaves out is summed; a label twice in one array takes its diagonal; "..."
    stands for axes that broadcast. Without "->" the output has the labels that occur once, in alphabetical
    order. Arrays may also alternate with lists of axis numbers, as in NumPy. Of more than two arrays those
    are multiplied first that leave the least to do, whatever NumPy's `optimize` says.

    >>> einsum("ij,ij->i", np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 4.])
    """
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists((subscripts, *operands))
    arrays = [operand(x) for x in operands]
    labels, out = _parse(subscripts.replace(" ", ""), [x.shape for x in arrays])
    terms: list[tuple[Any, str]] = []
    for i, (x, own) in enumerate(zip(arrays, labels, strict=True)):
        others = out + "".join(labels[:i] + labels[i + 1 :])
        terms.append(sum_labels(*_diagonals(x, own, subscripts), others))
    for group in _path(terms, out):
        chosen = [terms[i] for i in group]
        terms = [term for i, term in enumerate(terms) if i not in group]
        while len(chosen) > 1:
            (x, x_labels), (y, y_labels) = chosen[:2]
            needed = out + "".join(own for _, own in (*terms, *chosen[2:]))
            last = not terms and len(chosen) == 2
            kept = (
                out
                if last
                else "".join(label for label in dict.fromkeys(x_labels + y_labels) if label in needed)
            )
            chosen[:2] = [(product(x, y, x_labels, y_labels, kept), kept)]
        terms += chosen
    total, own = terms[0]
    result = transpose(total, [own.index(label) for label in out])
    # As in NumPy the result has the type of the arrays; a sum of small integers alone would be wider.
    dtype = np.result_type(*(x.dtype for x in arrays))
    return result if result.dtype == dtype else FUNCTIONS["astype"](result, dtype)


def _from_lists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    # x, [0, 1], y, [1, 2], [0, 2] says "ab,bc->ac".
    def text(numbers: Any) -> str:
        return "".join(
            "..." if n is Ellipsis else string.ascii_letters[26 + n if n < 26 else n - 26] for n in numbers
        )

    pairs = len(arguments) // 2
    subscripts = ",".join(text(numbers) for numbers in arguments[1 : 2 * pairs : 2])
    out = f"->{text(arguments[-1])}" if len(arguments) % 2 else ""
    return subscripts + out, arguments[: 2 * pairs : 2]


def _parse(subscripts: str, shapes: list[Shape]) -> tuple[list[str], str]:
    """The labels of each array and of the output, with letters of their own in place of "..."."""
    inputs, arrow, out = subscripts.partition("->")
    labels = inputs.split(",")
    if len(labels) != len(shapes):
        raise ShapeError(
            f"einsum got {len(shapes)} arrays for {subscripts!r}, which speaks of {len(labels)}."
        )
    named = subscripts.replace("...", "").replace("->", "").replace(",", "")
    if not set(named) <= set(string.ascii_letters):
        raise ConfigurationError(f"einsum got {subscripts!r}; labels are letters, and '...' stands for axes.")
    free = [letter for letter in string.ascii_letters if letter not in named]
    longest = ""
    for i, (own, shape) in enumerate(zip(labels, shapes, strict=True)):
        rest = len(shape) - len(own.replace("...", ""))
        if rest < 0 or (rest > 0 and "..." not in own):
            raise ShapeError(f"einsum got an array of shape {shape} for {own!r} in {subscripts!r}.")
        dots = "".join(reversed(free[:rest]))
        longest = dots if len(dots) > len(longest) else longest
        labels[i] = own.replace("...", dots)
    if not arrow:
        once = sorted(label for label in set(named) if "".join(labels).count(label) == 1)
        out = longest + "".join(once)
    elif "..." in out:
        out = out.replace("...", longest)
    if len(set(out)) != len(out) or not set(out) <= set("".join(labels)):
        raise ShapeError(f"einsum got {subscripts!r}; every label of the output comes once, from an input.")
    return labels, out


def _diagonals(x: Any, labels: str, subscripts: str) -> tuple[Any, str]:
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ShapeError(
                    f"einsum takes a diagonal over {label!r} in {subscripts!r}, but its axes have "
                    f"{x.shape[i]} and {x.shape[j]} elements."
                )
            x = diagonal(x, axis1=i, axis2=j)
            labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + label
    return x, labels


def _path(terms: list[tuple[Any, str]], out: str) -> list[tuple[int, ...]]:
    """Which terms to multiply at each step; the result joins the end of the list."""
    if len(terms) < 3:
        return [tuple(range(len(terms)))] if len(terms) == 2 else []
    spec = ",".join(own for _, own in terms) + "->" + out
    shapes = [np.broadcast_to(np.empty(()), x.shape) for x, _ in terms]
    return [tuple(group) for group in np.einsum_path(spec, *shapes, optimize="greedy")[0][1:]]
