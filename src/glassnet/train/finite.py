"""Whether numbers are finite."""

from __future__ import annotations

from math import isfinite

import numpy as np

from glassnet.core.dtype import NDArray


def all_finite(array: NDArray) -> bool:
    """Whether all numbers of a floating array are finite.

    The sum of their squares is finite only where all of them are; where it is not they are looked at.

    >>> all_finite(np.array([1e30, -1e30], np.float32)), all_finite(np.array([0.0, np.nan]))
    (True, False)
    """
    return isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
