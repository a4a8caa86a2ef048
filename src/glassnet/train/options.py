"""The checks of options that several calls take."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from glassnet.errors import ConfigurationError


def require_whole(owner: str, name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an int where it is a whole number from `low` up to `high`, else a ConfigurationError.

    >>> require_whole("fit", "epochs", np.int64(3), 1)
    3
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or int(value) < low or (high is not None and int(value) > high):
        limit = f"of {low} or more" if high is None else f"from {low} to {high}"
        raise ConfigurationError(f"{owner} got {name}={value!r}; it takes a whole number {limit}.")
    return int(value)


def require_fraction(owner: str, name: str, value: Any) -> float:
    """`value` as a float where it is a number of at least 0 and below 1, else a ConfigurationError.

    >>> require_fraction("fit", "validation_fraction", 0)
    0.0
    """
    if not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ConfigurationError(
            f"{owner} got {name}={value!r}; it takes a number of at least 0 and below 1."
        )
    return float(value)
