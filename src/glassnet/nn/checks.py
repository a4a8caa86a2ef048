"""Checks of numeric options that layers, activations and initialisers share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from glassnet.errors import ConfigurationError


def require_finite(owner: object, **options: Any) -> None:
    """ConfigurationError, which names the class of `owner`, unless all options are finite numbers."""
    for name, value in options.items():
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            raise ConfigurationError(
                f"{type(owner).__name__} got {name}={value!r}; it takes a finite number."
            )


def require_positive(owner: object, **options: Any) -> None:
    """ConfigurationError, which names the class of `owner`, unless all options are positive and finite."""
    require_finite(owner, **options)
    for name, value in options.items():
        if value <= 0:
            raise ConfigurationError(
                f"{type(owner).__name__} got {name}={value!r}; it takes a positive number."
            )


def whole_numbers(entries: Any) -> tuple[int, ...] | None:
    """`entries` as Python's integers; None where they are anything else."""
    if not isinstance(entries, (list, tuple)) or not all(
        isinstance(n, Integral) and not isinstance(n, bool)
        for n in entries  # pyright: ignore[reportUnknownVariableType]
    ):
        return None
    return tuple(map(int, entries))  # pyright: ignore[reportUnknownArgumentType]
