"""Memory: data is used where it lies if its layout allows, and copied once at most."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.dtype import FLOAT32
from glassnet.errors import DataError
from glassnet.train.targets import as_rows

X = np.linspace(-1.0, 1.0, 400_000, dtype=np.float32).reshape(4000, 100)
Y = np.arange(4000) % 10
LAYOUTS: dict[str, Callable[[], np.ndarray]] = {
    "columns": lambda: np.asfortranarray(X),
    "float64": lambda: X.astype(np.float64),
    "every other column": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    "whole numbers": lambda: np.ones(X.shape, np.uint8),
}


@pytest.fixture(autouse=True)
def _object_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What compiling takes is not measured: the second run finds its native code."""
    monkeypatch.delenv("GLASSNET_CACHE", raising=False)
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path))


def peak(f: Callable[[], Any]) -> float:
    """The largest memory of arrays and objects during f(), in units of X."""
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1] / X.nbytes
    finally:
        tracemalloc.stop()


def train(x: np.ndarray, **options: Any) -> Callable[[], Any]:
    net = gn.Network([gn.Dense(4, activation="relu"), gn.Dense(10)], loss="cross_entropy", input_shape=100)
    net.fit(x, Y, epochs=1, batch_size=100, **options)  # what is loaded and compiled once is not counted
    return lambda: net.fit(x, Y, epochs=2, batch_size=100, **options)


def test_rows_of_the_right_layout_are_used_where_they_lie() -> None:
    assert as_rows(X, FLOAT32) is X
    assert peak(lambda: as_rows(X, FLOAT32)) < 0.01
    assert peak(train(X)) < 0.25


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_another_layout_are_copied_once(layout: str) -> None:
    x = LAYOUTS[layout]()
    assert peak(lambda: as_rows(x, FLOAT32)) < 1.01
    assert peak(train(x)) < 1.25


def test_rows_that_are_set_aside_are_the_one_copy() -> None:
    assert peak(train(X, validation_fraction=0.1)) < 1.35


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_found_without_a_copy_too(wrong: float) -> None:
    x = X.copy()
    x[1234, 56] = wrong
    with pytest.raises(DataError, match=f"X holds {wrong} .*1234.*56"):
        as_rows(x, FLOAT32)
