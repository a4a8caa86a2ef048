"""Divergences between prediction and target."""

from glassnet.losses.loss import (
    LOSSES,
    Loss,
    binary_cross_entropy,
    cross_entropy,
    half_squared_error,
    mean_squared_error,
    resolve,
)

__all__ = [
    "LOSSES",
    "Loss",
    "binary_cross_entropy",
    "cross_entropy",
    "half_squared_error",
    "mean_squared_error",
    "resolve",
]
