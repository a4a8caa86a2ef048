"""Examples with several positions: what becomes of their divergences, and of classes given by number."""

from __future__ import annotations

from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import NDArray
from glassnet.core.trace import Array
from glassnet.errors import DataError


def mean_over_positions(each: Any, mask: Any = None) -> Any:
    """The mean of the divergences `each` of the positions, so that long and short sequences compare.

    Shapes: each and mask (...) -> scalar. With a mask, the mean over the positions where it is not 0; where
    it is 0 everywhere, 0. What stands at the other positions, even NaN, does not show in the value.

    >>> float(mean_over_positions(np.array([1.0, 3.0, 100.0]), np.array([1, 1, 0])))
    2.0
    """
    if mask is None:
        return gnp.mean(each) if np.ndim(each) else each
    counts = gnp.not_equal(mask, 0)
    total = gnp.sum(gnp.where(counts, each, 0.0))
    number = gnp.sum(gnp.where(counts, gnp.ones_like(each), 0.0))
    return total / gnp.maximum(number, 1.0)


def as_distribution(name: str, z: Any, target: Any, mask: Any = None) -> Any:
    """Indices of classes as indicator vectors; what has the rank of z already is handed on.

    Shapes: z (..., classes), target (...) whole numbers or (..., classes), mask (...) -> (..., classes).
    Raises DataError, which names the loss, for an index outside the classes where its value is known and the
    mask counts it.

    >>> as_distribution("cross_entropy", np.zeros((2, 3)), np.array([2, 0]))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    target = gnp.asarray(target)
    if target.dtype.kind in "iu" and target.ndim == np.ndim(z) - 1:
        _require_classes(name, _known(target), z.shape[-1], _known(mask))
        return gnp.one_hot(target, z.shape[-1], z.dtype)
    return target


def _require_classes(name: str, index: NDArray | None, classes: int, counts: NDArray | None) -> None:
    # NOTE the indicator vector of a class that does not exist is all zeros, and would cost nothing.
    if index is None or (counts is not None and counts.shape != index.shape):
        return
    wrong = np.argwhere(((index < 0) | (index >= classes)) & (counts is None or counts != 0))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        at = f" at position {place[0] if len(place) == 1 else place}" if place else ""
        raise DataError(
            f"{name} got the class {index[place]}{at} for {classes} classes; give indices from 0 to "
            f"{classes - 1}, or end the network in more outputs."
        )


def _known(x: Any) -> NDArray | None:
    """The values of x; None where there is no x, or inside a trace, where its values are not known."""
    if type(x) is Array:
        return x.node.value
    return None if x is None else np.asarray(x)
