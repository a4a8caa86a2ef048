"""Random sampling from explicit keys: equal keys draw equal numbers, in any order and on any machine.

    import glassnet as gn
    key = gn.random.key(0)
    noise, mask = gn.random.split(key)
    gn.random.normal(noise, (3, 2)), gn.random.dropout_mask(mask, (3, 2), rate=0.5)

Nothing here keeps a state. Take another key for every draw: `split`, `key.fold(i)` for the i-th purpose,
`key.at(step)` for the numbers of a step, which may be traced. What is drawn is a constant to derivatives,
what moves and stretches it (mean and std) is not.
"""

from __future__ import annotations

from typing import Any

from glassnet.core.random import Key
from glassnet.core.registry import missing
from glassnet.ops.random import (
    bernoulli,
    bits,
    categorical,
    dropout_mask,
    exponential,
    gumbel,
    key,
    normal,
    permutation,
    randint,
    split,
    truncated_normal,
    uniform,
)

__all__ = [
    "Key",
    "bernoulli",
    "bits",
    "categorical",
    "dropout_mask",
    "exponential",
    "gumbel",
    "key",
    "normal",
    "permutation",
    "randint",
    "split",
    "truncated_normal",
    "uniform",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(missing(name, __all__, __name__))
