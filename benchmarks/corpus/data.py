"""Data for the cases, each set a function of its seed, and the ways in which data is spoilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.data import load_digits

Rng = np.random.Generator


@dataclass(frozen=True)
class Data:
    """Rows X (rows, ...) with targets y to train on, and rows held out."""

    X: NDArray
    y: NDArray
    X_held_out: NDArray
    y_held_out: NDArray


def divided(X: NDArray, y: NDArray, held_out: int) -> Data:
    """The last rows held out."""
    return Data(X[:-held_out], y[:-held_out], X[-held_out:], y[-held_out:])


def standardised(X: NDArray) -> NDArray:
    """Every column with mean 0 and variance 1."""
    return (X - X.mean(0)) / X.std(0)


# -- points in the plane


def xor(rows: int = 400) -> Data:
    """Points in a square, (rows, 2); the label says whether the signs of the coordinates differ."""
    X = np.random.default_rng(1).uniform(-1, 1, (rows, 2))
    return divided(X, (X[:, 0] * X[:, 1] < 0).astype(np.int64), rows // 4)


def moons(rows: int = 600, noise: float = 0.15) -> Data:
    """Two half-circles that reach into each other, (rows, 2), labels 0 and 1."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, rows)
    angle = np.pi * rng.random(rows)
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    X[y == 1] = [1.0, 0.5] - X[y == 1]
    return divided(standardised(X + noise * rng.normal(size=X.shape)), y, rows // 3)


def spirals(rows: int = 900, noise: float = 0.05) -> Data:
    """Three arms of a spiral, (rows, 2), labels 0 to 2."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, rows)
    radius = np.sqrt(rng.random(rows))
    angle = 4.0 * radius + 2 * np.pi * y / 3
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return divided(2 * X + noise * rng.normal(size=X.shape), y, rows // 3)


# -- tables


def clusters(rows: int = 600, features: int = 4, spread: float = 1.0, classes: int = 3) -> Data:
    """Normal clusters around centres at random, (rows, features), one a class."""
    rng = np.random.default_rng(4)
    centres = 2.0 * rng.normal(size=(classes, features))
    y = rng.integers(0, classes, rows)
    return divided(standardised(centres[y] + spread * rng.normal(size=(rows, features))), y, rows // 3)


def rare_class(rows: int = 3000, share: float = 0.03) -> Data:
    """Two clusters that overlap, (rows, 4); the second has a small share of the rows."""
    rng = np.random.default_rng(5)
    y = (rng.random(rows) < share).astype(np.int64)
    return divided(rng.normal(size=(rows, 4)) + 0.9 * y[:, None], y, rows // 2)


def linear(rows: int = 400) -> Data:
    """y = 1.5 x1 - 2 x2 + 0.5 x3 + 1 with a little noise, (rows, 5)."""
    rng = np.random.default_rng(6)
    X = rng.normal(size=(rows, 5))
    return divided(X, X @ [1.5, -2.0, 0.5, 0.0, 0.0] + 1 + 0.1 * rng.normal(size=rows), rows // 4)


def friedman(rows: int = 900, noise: float = 0.3) -> Data:
    """Friedman's first function of five of ten features, (rows, 10); features and target standardised.

    Source: Friedman, Annals of Statistics 19 (1991), section 4.
    """
    rng = np.random.default_rng(7)
    X = rng.random((rows, 10))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return divided(standardised(X), standardised(y + noise * rng.normal(size=rows)), rows // 3)


def three_outputs(rows: int = 900) -> Data:
    """Three smooth functions of five features, (rows, 5) -> (rows, 3)."""
    X = np.random.default_rng(8).normal(size=(rows, 5))
    y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] * X[:, 3], np.tanh(X[:, 4] - X[:, 0])])
    return divided(X, standardised(y), rows // 3)


def yes_or_no(rows: int = 900) -> Data:
    """Four yes-or-no outputs of six features, (rows, 6) -> (rows, 4)."""
    rng = np.random.default_rng(9)
    X = rng.normal(size=(rows, 6))
    return divided(X, (X @ rng.normal(size=(6, 4)) + 0.2 > 0).astype(np.float64), rows // 3)


def counts(rows: int = 900) -> Data:
    """Counts with a rate that depends on three features, (rows, 3)."""
    rng = np.random.default_rng(10)
    X = rng.normal(size=(rows, 3))
    return divided(X, rng.poisson(np.exp(1.2 + 0.6 * X[:, 0] - 0.4 * X[:, 1])).astype(np.float64), rows // 3)


# -- images


def digits(rows: int = 1797) -> Data:
    """Handwritten digits as rows of 64 pixels from 0 to 1."""
    loaded = load_digits()
    order = np.random.default_rng(11).permutation(len(loaded.labels))[:rows]
    return divided(loaded.images[order].reshape(rows, 64) / 16.0, loaded.labels[order], rows // 3)


def images() -> Data:
    """Handwritten digits as images (8, 8, 1) of pixels from 0 to 1."""
    data = digits()
    return replace(data, X=data.X.reshape(-1, 8, 8, 1), X_held_out=data.X_held_out.reshape(-1, 8, 8, 1))


# -- sequences


def waves(rows: int = 450, steps: int = 24) -> Data:
    """Noisy waves (rows, steps, 1) with one of three frequencies, which is the label."""
    rng = np.random.default_rng(12)
    y = rng.integers(0, 3, rows)
    angle = (0.3 + 0.3 * y[:, None]) * np.arange(steps) + 2 * np.pi * rng.random((rows, 1))
    return divided((np.sin(angle) + 0.2 * rng.normal(size=angle.shape))[..., None], y, rows // 3)


def remembered(rows: int = 600, steps: int = 30) -> Data:
    """Noise (rows, steps, 2); the label says which sign the first step's second number, 1 or -1, has."""
    rng = np.random.default_rng(13)
    X = rng.normal(size=(rows, steps, 2)) * [1.0, 0.0]
    X[:, 0, 1] = rng.choice([-1.0, 1.0], rows)
    return divided(X, (X[:, 0, 1] > 0).astype(np.int64), rows // 3)


def moving_mean(rows: int = 600, steps: int = 12) -> Data:
    """Sequences (rows, steps, 1); the target is a sum that forgets: each step counts 0.8 of the next."""
    X = np.random.default_rng(14).normal(size=(rows, steps, 1))
    return divided(X, standardised(X[..., 0] @ 0.8 ** np.arange(steps)[::-1]), rows // 3)


def tokens(rows: int = 900, steps: int = 10) -> Data:
    """Tokens 0 to 4 (rows, steps); the label says which of 0 and 1 occurs more often (0 where equal)."""
    X = np.random.default_rng(15).integers(0, 5, (rows, steps))
    y = ((X == 1).sum(1) > (X == 0).sum(1)).astype(np.int64)
    return divided(X, y, rows // 3)


# -- spoilt


def with_X(data: Callable[[], Data], change: Callable[[NDArray], NDArray]) -> Callable[[], Data]:  # noqa: N802
    """The same with other inputs."""

    def changed() -> Data:
        made = data()
        return replace(made, X=change(made.X), X_held_out=change(made.X_held_out))

    return changed


def with_y(data: Callable[[], Data], change: Callable[[NDArray], NDArray]) -> Callable[[], Data]:
    """The same with other targets."""

    def changed() -> Data:
        made = data()
        return replace(made, y=change(made.y), y_held_out=change(made.y_held_out))

    return changed


def column_times(column: int, factor: float) -> Callable[[NDArray], NDArray]:
    """One column in another unit."""
    return lambda X: X * np.where(np.arange(X.shape[1]) == column, factor, 1.0)


def constant_column(column: int, value: float) -> Callable[[NDArray], NDArray]:
    """One column the same in every row."""
    return lambda X: np.where(np.arange(X.shape[1]) == column, value, X)


def shuffled(y: NDArray) -> NDArray:
    """The targets of other rows."""
    return np.random.default_rng(16).permutation(y)


def flipped(share: float, classes: int) -> Callable[[NDArray], NDArray]:
    """A share of the labels replaced by another one."""

    def change(y: NDArray) -> NDArray:
        rng = np.random.default_rng(17)
        wrong = rng.permutation(len(y))[: round(share * len(y))]
        spoilt = y.copy()
        spoilt[wrong] = (y[wrong] + rng.integers(1, classes, len(wrong))) % classes
        return spoilt

    return change


def one_hot(y: NDArray) -> NDArray:
    """Rows of zeros with a one in the place of the class."""
    return np.eye(int(y.max()) + 1)[y]
