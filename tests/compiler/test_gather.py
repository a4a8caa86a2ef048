"""Rows of data of every rank reach the native step as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn

SHAPES = [(3,), (16,), (2, 3), (8, 8), (1, 5), (5, 1), (3, 16), (2, 3, 4), (4, 1, 17), (2, 2, 2, 3)]


def after_an_epoch(
    engine: str, X: Any, y: Any, batch_size: int | None, dtype: str = "float64", **options: Any
):
    """The loss and the parameters after an epoch over rows that all differ."""
    net = gn.Network(**options, seed=1, dtype=dtype)
    program = net.training_program(X, y, batch_size, gn.SGD(0.1), engine)
    return program.run_epoch(), program.parameters


@pytest.mark.parametrize("batch_size", [1, 4, None])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_example_of_any_rank_is_gathered_whole(shape: tuple[int, ...], batch_size: int | None) -> None:
    X = np.asarray(gn.random.normal(gn.random.key(0), (10, *shape)))
    y = np.arange(10) % 3
    options = {"layers": [gn.nn.Flatten(), gn.nn.Dense(3)], "loss": "cross_entropy"}
    loss, parameters = after_an_epoch("compiled", X, y, batch_size, **options)
    expected, reference = after_an_epoch("interpreter", X, y, batch_size, **options)
    assert loss == pytest.approx(expected, rel=1e-12)
    for array, other in zip(parameters, reference, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_with_positions_are_gathered_whole(dtype: str) -> None:
    key = gn.random.key(0)
    X = np.asarray(gn.random.normal(key.fold(0), (10, 5, 2)))
    for y, loss in (
        (np.asarray(gn.random.randint(key.fold(1), (10, 5), 0, 3)), "cross_entropy"),
        (np.asarray(gn.random.normal(key.fold(2), (10, 5, 3))), "mean_squared_error"),
    ):
        options = {"layers": [gn.nn.Dense(3)], "loss": loss, "dtype": dtype}
        found, parameters = after_an_epoch("compiled", X, y, 4, **options)
        expected, reference = after_an_epoch("interpreter", X, y, 4, **options)
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        assert found == pytest.approx(expected, rel=tolerance)
        for array, other in zip(parameters, reference, strict=True):
            np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)
