"""Checks that the losses and regularisers share: shapes that fit, options in their range.

The values of targets (probabilities in [0, 1], signs) are checked where data come in, once, and not at every
step of a training run; indices of classes also where a loss is called with plain arrays.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from glassnet.errors import ConfigurationError, ShapeError


def same_shape(name: str, prediction: Any, target: Any, mask: Any = None) -> None:
    """ShapeError unless `target` has the shape of `prediction`, and `mask` that of its positions."""
    # NOTE never broadcast here: (n,) against (n, 1) would silently compare everything with everything.
    shape, other = np.shape(prediction), np.shape(target)
    if not shape:
        raise ShapeError(
            f"{name} compares predictions of shape (outputs,) or (..., outputs), and got a single number; "
            "reshape prediction and target to (1,)."
        )
    if shape != other:
        mend = "reshape the target to" if math.prod(shape) == math.prod(other) else "give a target of shape"
        raise ShapeError(
            f"{name} compares a prediction of shape {shape} with a target of shape {other}; {mend} {shape}."
        )
    if mask is not None and np.shape(mask) != shape[:-1]:
        raise ShapeError(
            f"{name} got a mask of shape {np.shape(mask)} for a prediction of shape {shape}; "
            f"give a mask of shape {shape[:-1]}, 1 for each position that counts."
        )


def is_flag(owner: str, option: str, value: Any) -> None:
    """ConfigurationError unless value is True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{owner} got {option}={value!r}; it takes True or False.")


def in_range(
    owner: str, option: str, value: Any, low: float, high: float = math.inf, *, or_low: bool = False
) -> None:
    """ConfigurationError unless low < value < high; with `or_low`, low itself passes too."""
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not (low < number < high or (or_low and number == low)):
        bounds = f"{'of at least' if or_low else 'above'} {low:g}"
        if high < math.inf:
            bounds += f" and below {high:g}"
        raise ConfigurationError(f"{owner} got {option}={value!r}; it takes a number {bounds}.")
