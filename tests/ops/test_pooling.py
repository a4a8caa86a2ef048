"""Pooling against a loop over windows, its ties, its padding, and sliding windows themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal
from glassnet.errors import ConfigurationError, GlassnetError, ShapeError
from glassnet.ops.windows import fold, windows

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "worked_examples.json").read_text())


def draw(stream: int, *shape: int) -> np.ndarray:
    return normal(Key(32, stream), shape)


def line(start: float, stop: float, *shape: int) -> np.ndarray:
    return np.linspace(start, stop, int(np.prod(shape))).reshape(shape)


def each_window(x: np.ndarray, options: dict[str, Any], margins: list[tuple[int, int]], reduce: Any) -> Any:
    """`reduce` of every window of an array of shape (channels, *space) that is padded with NaN for real."""
    rank = x.ndim - 1

    def each(name: str, default: Any) -> tuple[int, ...]:
        value = options.get(name, default)
        return (value,) * rank if isinstance(value, int) else value

    taps, dilation = each("window", None), each("dilation", 1)
    stride = each("stride", taps)
    x = np.pad(x, [(0, 0), *margins], constant_values=np.nan)
    extents = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[1:], taps, stride, dilation, strict=True)
    ]
    out = np.empty((x.shape[0], *extents))
    for place in np.ndindex(*out.shape):
        cut = tuple(
            slice(s * p, s * p + d * (k - 1) + 1, d)
            for p, k, s, d in zip(place[1:], taps, stride, dilation, strict=True)
        )
        out[place] = reduce(x[(place[0], *cut)])
    return out


SETTINGS: list[tuple[tuple[int, ...], dict[str, Any], list[tuple[int, int]]]] = [
    ((2, 6), {"window": 2}, [(0, 0)]),
    ((2, 7), {"window": 3, "stride": 2, "padding": "same"}, [(1, 1)]),
    ((3, 5, 6), {"window": (2, 3)}, [(0, 0), (0, 0)]),
    ((2, 5, 5), {"window": 3, "stride": 1, "padding": 1}, [(1, 1), (1, 1)]),
    ((2, 6, 5), {"window": 2, "stride": (1, 2), "dilation": 2, "padding": [0, (1, 0)]}, [(0, 0), (1, 0)]),
    ((2, 4, 4, 3), {"window": 2, "stride": 2, "padding": "same"}, [(0, 0), (0, 0), (0, 1)]),
]


@pytest.mark.parametrize(("shape", "options", "margins"), SETTINGS)
def test_pooling_is_a_loop_over_windows(
    shape: tuple[int, ...], options: dict[str, Any], margins: Any
) -> None:
    x = draw(1, *shape)
    np.testing.assert_array_equal(gnp.max_pool(x, **options), each_window(x, options, margins, np.nanmax))
    mean = each_window(x, options, margins, np.nanmean)
    np.testing.assert_allclose(gnp.avg_pool(x, **options), mean, rtol=1e-13, atol=1e-14)
    counted = each_window(x, options, margins, lambda seen: np.nansum(seen) / seen.size)
    got = gnp.avg_pool(x, **options, count_padding=True)
    np.testing.assert_allclose(got, counted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("shape", "options", "margins"), SETTINGS)
def test_the_derivatives_of_pooling(shape: tuple[int, ...], options: dict[str, Any], margins: Any) -> None:
    x = draw(2, *shape)
    for pool in (gnp.max_pool, gnp.avg_pool):
        report = gn.check_grads(lambda x, pool=pool: pool(x * x * x, **options), x, tolerance=1e-9)
        assert report.largest_error <= 1e-9


def test_the_published_pooling() -> None:
    x = line(-0.3, 0.4, 2, 3, 4, 4)
    out = gn.vmap(lambda x: gnp.max_pool(x, 2))(x)
    assert out.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(out.reshape(-1)[[0, -1]], EXAMPLES["max_pool"]["first_and_last"], rtol=1e-12)
    # The same windows, cut with reshape.
    np.testing.assert_array_equal(out, x.reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5)))


def test_the_first_of_equal_elements_takes_the_derivative_row_by_row() -> None:
    slope = gn.grad(lambda x: gnp.max_pool(x, (2, 2)).sum())
    np.testing.assert_array_equal(
        slope(np.array([[0.0, 3.0, 5.0, 5.0], [3.0, 3.0, 5.0, 1.0]])),
        [[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]],
    )


def test_an_element_that_is_the_largest_of_several_windows_takes_the_derivative_of_each() -> None:
    x = np.array([[1.0, 4.0, 2.0, 0.0]])
    weights = np.array([[1.0, 10.0, 100.0]])
    slope = gn.grad(lambda x: (weights * gnp.max_pool(x, 2, stride=1)).sum())(x)
    np.testing.assert_array_equal(slope, [[0.0, 11.0, 100.0, 0.0]])


def test_padding_is_never_the_largest_and_takes_no_derivative() -> None:
    x = np.array([[-5.0, -7.0, -6.0]])
    np.testing.assert_array_equal(gnp.max_pool(x, 3, stride=1, padding=1), [[-5.0, -5.0, -6.0]])
    slope = gn.grad(lambda x: gnp.max_pool(x, 3, stride=1, padding=1).sum())(x)
    np.testing.assert_array_equal(slope, [[2.0, 0.0, 1.0]])


def test_a_window_in_the_padding_alone() -> None:
    options: dict[str, Any] = {"window": (1,), "stride": 2, "padding": 2}
    np.testing.assert_array_equal(gnp.avg_pool(np.array([3.0]), **options), [0.0, 3.0, 0.0])
    np.testing.assert_array_equal(gnp.max_pool(np.array([3.0]), **options), [-np.inf, 3.0, -np.inf])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32])
def test_max_pool_keeps_the_dtype_and_avg_pool_is_floating(dtype: Any) -> None:
    x = np.array([[0, 1, 1]]).astype(dtype)
    largest = gnp.max_pool(x, 2, stride=1, padding=1)
    assert largest.dtype == dtype
    assert largest.tolist() == [[0, 1, 1, 1]]
    mean = gnp.avg_pool(x, 2, stride=1)
    assert mean.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert mean.tolist() == [[0.5, 1.0]]


def test_a_tuple_pools_the_last_axes_of_any_number() -> None:
    x = draw(3, 2, 3, 4, 6)
    for pool in (gnp.max_pool, gnp.avg_pool):
        got = pool(x, (2, 3))
        assert got.shape == (2, 3, 2, 2)
        np.testing.assert_allclose(got[1], gn.vmap(lambda x, pool=pool: pool(x, (2, 3)))(x[1]), rtol=1e-13)


def test_fold_is_the_transpose_of_windows() -> None:
    sliding = {"extents": (3, 2), "window": (2, 3), "stride": (2, 1), "dilation": (1, 2), "low": (1, 1)}
    x, y = draw(4, 2, 5, 5), draw(5, 2, 3, 2, 2, 3)
    left = float(np.sum(windows(x, **sliding) * y))
    assert left == pytest.approx(float(np.sum(x * fold(y, space=(5, 5), **sliding))), rel=1e-13)


MISTAKES: list[tuple[type[GlassnetError], str, Any]] = [
    (ShapeError, "needs 4 elements for one window", lambda: gnp.max_pool(np.ones((2, 3)), 4)),
    (ShapeError, r"window of 2 for an array of shape \(3,\)", lambda: gnp.max_pool(np.ones(3), 2)),
    (ShapeError, "as many of the last axes", lambda: gnp.avg_pool(np.ones(3), (2, 2))),
    (ConfigurationError, "window=0", lambda: gnp.avg_pool(np.ones((2, 3)), 0)),
    (ConfigurationError, "stride=-1", lambda: gnp.max_pool(np.ones((2, 3)), 2, stride=-1)),
    (ConfigurationError, "padding='edge'", lambda: gnp.max_pool(np.ones((2, 3)), 2, padding="edge")),
]


@pytest.mark.parametrize(("kind", "words", "mistake"), MISTAKES)
def test_a_mistake_is_answered_in_one_sentence(kind: type[GlassnetError], words: str, mistake: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        mistake()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
