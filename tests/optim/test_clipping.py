"""Clipping: never longer than allowed, the direction kept, small gradients untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet import optim
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError

SHAPES = {"matrix": (3, 4), "kernel": (2, 3, 2), "vector": (5,), "number": ()}
limits = st.floats(1e-3, 1e3)


def draw(seed: int, scale: float) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {name: scale * np.asarray(random.normal(size=shape)) for name, shape in SHAPES.items()}


def clip(rule: optim.Optimizer, gradients: Any, parameters: Any = None) -> Any:
    return rule.update(gradients, rule.init(parameters), parameters, 1, 0.1)[0]


def length(arrays: list[Any]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(array)) for array in arrays)))


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), limits)
def test_by_value_is_numpys_clip(seed: int, scale: float, limit: float) -> None:
    gradients = draw(seed, scale)
    for name, clipped in clip(optim.ClipByValue(limit), gradients).items():
        np.testing.assert_array_equal(clipped, np.clip(gradients[name], -limit, limit))


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), limits)
def test_by_norm_bounds_each_array_and_keeps_its_direction(seed: int, scale: float, limit: float) -> None:
    gradients = draw(seed, scale)
    for name, clipped in clip(optim.ClipByNorm(limit), gradients).items():
        full = length([gradients[name]])
        np.testing.assert_allclose(clipped, gradients[name] * min(1, limit / full), rtol=1e-12)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), limits)
def test_by_global_norm_bounds_all_arrays_together(seed: int, scale: float, limit: float) -> None:
    gradients = draw(seed, scale)
    clipped = clip(optim.ClipByGlobalNorm(limit), gradients)
    full = length(flatten(gradients)[0])
    assert length(flatten(clipped)[0]) == pytest.approx(min(full, limit), rel=1e-12)
    for name in SHAPES:
        np.testing.assert_allclose(clipped[name] * max(1, full / limit), gradients[name], rtol=1e-12)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(1e-3, 1.0))
def test_adaptive_clipping_bounds_each_unit_by_its_weights(seed: int, scale: float, limit: float) -> None:
    gradients, weights = draw(seed, scale), draw(seed + 1, 1.0)
    weights["matrix"][0] = 0.0  # a unit without weights has those of the floor
    rule = optim.AdaptiveClip(limit, floor=0.01)
    clipped = clip(rule, gradients, weights)
    for name in SHAPES:
        triple = clipped[name], gradients[name], weights[name]
        for got, g, w in zip(*triple, strict=True) if name in ("matrix", "kernel") else [triple]:
            allowed = limit * max(length([w]), 0.01)
            np.testing.assert_allclose(got, g * min(1, allowed / length([g])), rtol=1e-12)


@pytest.mark.parametrize(
    "rule", [optim.ClipByValue(1.0), optim.ClipByNorm(1.0), optim.ClipByGlobalNorm(1.0), optim.AdaptiveClip()]
)
def test_a_gradient_of_zero_stays(rule: optim.Optimizer) -> None:
    zero = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    for clipped in flatten(clip(rule, zero, zero))[0]:
        assert not np.any(clipped)


@pytest.mark.parametrize("kind", [optim.ClipByValue, optim.ClipByNorm, optim.ClipByGlobalNorm])
@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), "much", None, True], ids=repr)
def test_a_limit_that_is_not_positive_is_refused(kind: Any, limit: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"{kind.__name__} got limit=.*; it takes a positive number"
    ):
        kind(limit)


def test_the_floor_of_adaptive_clipping_is_positive() -> None:
    with pytest.raises(ConfigurationError, match="AdaptiveClip got floor=0; it takes a positive number"):
        optim.AdaptiveClip(floor=0)
