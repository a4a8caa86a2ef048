"""Regularisers: numbers by hand, derivatives, what counts as a bias, documents; and max_norm."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.document import from_document, to_document
from glassnet.errors import ConfigurationError
from glassnet.losses import L1, L2, Elastic, Regularizer, max_norm

LAYER = {"weight": np.array([[3.0, -1.0], [0.5, 2.0]]), "bias": np.array([2.0, -4.0])}
NESTED = {
    "query": {"weight": np.array([[2.0]]), "bias": np.array([7.0])},
    "normalisation": {"scale": np.array([5.0]), "shift": np.array([6.0])},
    "recurrent_bias": np.array([8.0]),
    "embedding": np.array([[-1.0], [1.0]]),
}
ALL = [
    L1(0.3),
    L2(0.3),
    Elastic(0.3, 0.7),
    L1(0.3, biases=True),
    L2(0.3, biases=True),
    Elastic(0.0, 0.7, True),
]


@pytest.mark.parametrize(
    ("regularizer", "parameters", "expected"),
    [
        (L1(0.1), LAYER, 0.65),
        (L1(0.1, biases=True), LAYER, 1.25),
        (L2(0.1), LAYER, 0.7125),  # (9 + 1 + 0.25 + 4) / 20
        (L2(0.1, biases=True), LAYER, 1.7125),
        (Elastic(0.1, 0.1), LAYER, 0.65 + 0.7125),
        (L1(1.0), NESTED, 4.0),
        (L2(1.0), NESTED, 3.0),
        (L1(1.0, biases=True), NESTED, 30.0),
        (L2(1.0), {}, 0.0),
        (L2(1.0), {"bias": np.ones(2)}, 0.0),
        (L2(0.0), LAYER, 0.0),
    ],
    ids=str,
)
def test_the_penalty_agrees_with_that_worked_by_hand(
    regularizer: Regularizer, parameters: dict[str, Any], expected: float
) -> None:
    assert regularizer.penalty(parameters) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("regularizer", ALL, ids=repr)
def test_the_derivative_is_certified_to_second_order(regularizer: Regularizer) -> None:
    assert gn.check_grads(regularizer.penalty, LAYER).passed


@pytest.mark.parametrize("biases", [False, True])
def test_the_derivatives_are_the_documented_ones(biases: bool) -> None:
    for regularizer, slope in ((L1(0.3, biases), np.sign), (L2(0.3, biases), np.asarray)):
        gradient = gn.grad(regularizer.penalty)(LAYER)
        np.testing.assert_allclose(gradient["weight"], 0.3 * slope(LAYER["weight"]), rtol=1e-15)
        np.testing.assert_allclose(gradient["bias"], 0.3 * biases * slope(LAYER["bias"]), rtol=1e-15)


def test_the_slope_of_l1_at_zero_is_zero() -> None:
    assert gn.grad(L1(1.0).penalty)({"weight": np.array([0.0, -2.0])})["weight"].tolist() == [0.0, -1.0]


def test_a_step_on_l2_shrinks_every_weight_by_one_factor() -> None:
    gradient = gn.grad(L2(0.5).penalty)(LAYER)["weight"]
    np.testing.assert_allclose(LAYER["weight"] - 0.1 * gradient, 0.95 * LAYER["weight"], rtol=1e-15)


def test_float32_stays_float32() -> None:
    assert Elastic().penalty({"weight": np.ones((2, 2), np.float32)}).dtype == np.float32


@pytest.mark.parametrize("regularizer", ALL, ids=repr)
def test_a_regularizer_survives_its_document(regularizer: Regularizer) -> None:
    document = json.loads(json.dumps(to_document(regularizer, "the layer")))
    assert document["type"] == type(regularizer).__name__
    assert from_document(document) == regularizer


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        (L1, {"strength": -1}, r"^L1 got strength=-1; it takes a number of at least 0\.$"),
        (L2, {"strength": math.nan}, "^L2 got strength=nan"),
        (L2, {"strength": "big"}, "^L2 got strength='big'"),
        (Elastic, {"l1": math.inf}, "^Elastic got l1=inf"),
        (Elastic, {"l2": -0.1}, "^Elastic got l2=-0.1"),
        (L2, {"biases": "no"}, r"^L2 got biases='no'; it takes True or False\.$"),
    ],
    ids=str,
)
def test_an_option_out_of_its_range_is_refused(
    kind: type[Regularizer], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        kind(**options)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0), st.sampled_from([(3,), (3, 4), (3, 2, 2, 2)]))
def test_max_norm_projects_each_unit_onto_the_ball(seed: int, limit: float, shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(seed).normal(0.0, 2.0, shape)
    weights[0] = 0.0
    projected = np.asarray(max_norm(weights, limit))
    for before, after in zip(weights.reshape(3, -1), projected.reshape(3, -1), strict=True):
        norm = np.linalg.norm(before)
        if norm <= limit * (1 - 1e-12):
            assert after.tobytes() == before.tobytes()
        else:
            np.testing.assert_allclose(after, before * limit / norm, rtol=1e-13)


@pytest.mark.parametrize("limit", [0, -1.0, math.nan, None])
def test_max_norm_takes_a_positive_limit(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^max_norm got limit=.*; it takes a number above 0\.$"):
        max_norm(np.ones((2, 2)), limit)
