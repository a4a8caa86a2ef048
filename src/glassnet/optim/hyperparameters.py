"""What optimisers and schedules accept as hyperparameters, and the sentence for anything else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from glassnet.errors import ConfigurationError


@dataclass(frozen=True)
class Kind:
    """A set of numbers: which Python numbers belong to it, and its name in a sentence."""

    words: str
    accepts: Callable[[Any], bool]
    numbers: type = Real


POSITIVE = Kind("a positive number", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = Kind("a number of at least 0", lambda value: 0 <= value < math.inf)
FRACTION = Kind("a number of at least 0 and below 1", lambda value: 0 <= value < 1)
BETWEEN = Kind("a number above 0 and below 1", lambda value: 0 < value < 1)
AT_LEAST_ONE = Kind("a number of at least 1", lambda value: 1 <= value < math.inf)
WHOLE = Kind("a whole number of at least 1", lambda value: value >= 1, Integral)
COUNT = Kind("a whole number of at least 0", lambda value: value >= 0, Integral)


def require(options: Any, kind: Kind, *names: str) -> None:
    """ConfigurationError for the first of these fields of `options` whose value is not of the kind.

    >>> require(gn.SGD(0.1), POSITIVE, "learning_rate")
    """
    for name in names:
        if not belongs(getattr(options, name), kind):
            raise ConfigurationError(
                f"{type(options).__name__} got {name}={getattr(options, name)!r}; it takes {kind.words}."
            )


def belongs(value: Any, kind: Kind) -> bool:
    """True for a number of the kind; True and False are no numbers here.

    >>> belongs(0.5, FRACTION), belongs(True, WHOLE)
    (True, False)
    """
    return isinstance(value, kind.numbers) and not isinstance(value, bool) and bool(kind.accepts(value))
