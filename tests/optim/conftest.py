"""What the tests of optimisers share: a tree of parameters, gradients that change, and a run over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from glassnet.core.tree import flatten, tree_map
from glassnet.optim import Optimizer

STEPS = 10


@pytest.fixture
def parameters() -> dict[str, Any]:
    """A matrix taller than wide, vectors, and a dict in a dict."""
    random = np.random.default_rng(1)
    return {
        "dense_1": {"weight": random.normal(size=(4, 3)), "bias": random.normal(size=4)},
        "cell": {"gate": {"weight": random.normal(size=(2, 4)), "bias": random.normal(size=2)}},
    }


@pytest.fixture
def gradients(parameters: dict[str, Any]) -> list[Any]:
    """Of ten steps: they change signs, sizes differ by orders of magnitude, and one element is always 0."""
    random = np.random.default_rng(2)

    def draw(w: np.ndarray) -> np.ndarray:
        g = random.normal(size=w.shape) * 10.0 ** random.integers(-4, 2, size=w.shape)
        g[-1] *= w.ndim > 1
        return g

    return [tree_map(draw, parameters) for _ in range(STEPS)]


@pytest.fixture
def run() -> Callable[..., list[Any]]:
    """run(optimizer, parameters, gradients, rate): the parameters after each step on the given gradients."""

    def steps(optimizer: Optimizer, parameters: Any, gradients: Sequence[Any], rate: float) -> list[Any]:
        state = optimizer.init(parameters)
        visited = []
        for step, g in enumerate(gradients, 1):
            _, parameters, state = optimizer.advance(
                lambda _, g=g: (0.0, g), parameters, state, float(step), rate
            )
            visited.append(parameters)
        return visited

    return steps


@pytest.fixture
def assert_equal() -> Callable[..., None]:
    """assert_equal(got, expected): trees of one structure, equal to 1e-12."""

    def compare(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
        (found, form), (wanted, wanted_form) = flatten(got), flatten(expected)
        assert form == wanted_form
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

    return compare
