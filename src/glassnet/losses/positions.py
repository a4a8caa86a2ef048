"""Examples with several positions: what becomes of their divergences, and of classes given by number."""

from __future__ import annotations

from typing import Any

import numpy as np

import glassnet.numpy as gnp


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


def as_distribution(z: Any, target: Any) -> Any:
    """Indices of classes as indicator vectors; what has the rank of z already is handed on.

    Shapes: z (..., classes), target (...) whole numbers or (..., classes) -> (..., classes).

    >>> as_distribution(np.zeros((2, 3)), np.array([2, 0]))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    target = gnp.asarray(target)
    if target.dtype.kind in "iu" and target.ndim == np.ndim(z) - 1:
        return gnp.one_hot(target, z.shape[-1], z.dtype)
    return target
