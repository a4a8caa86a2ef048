"""The systems that are compared, one module each.

A module has `DISTRIBUTIONS`, the packages whose versions are reported, and
`variants(case, X, y) -> {name: build}`, where `build()` returns a `Trainer` and raises `ImportError` if the
framework is missing; `variants` raises `NotExpressibleError` where the framework has no such network. The
worker builds each variant and goes on with the fastest. Frameworks are imported inside functions: a module
must import where its framework is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

PEERS: dict[str, str] = {
    "glassnet": "peers.glassnet_program",
    "jax": "peers.jax_scan",
    "torch": "peers.torch_eager",
    "torch.compile": "peers.torch_compile",
    "keras": "peers.keras_fit",
    "sklearn": "peers.sklearn_fit",
    "numpy": "peers.numpy_by_hand",
}
PEAK = {"peak": "peers.fma_peak"}  # no system: how long the multiply-adds of a step last at the CPU's peak


class NotExpressibleError(Exception):
    """A framework has no such network or method; the text says what it lacks."""


class Trainer(Protocol):
    """A network in training; each call is `case.steps_per_call` steps."""

    def run(self, calls: int) -> None:
        """Train and return when the last update is done."""
        ...

    def loss(self) -> float:
        """Return the mean training loss of the latest call or epoch; it is asked for outside the clock."""
        ...


Variants = dict[str, Callable[[], Trainer]]


def threads() -> int:
    """The threads that a system shall use: one for each core that its process is held to."""
    return int(os.environ["OMP_NUM_THREADS"])
