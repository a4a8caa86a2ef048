"""The adding problem: of fifty numbers in a row, two are marked, and their sum is asked for at the end."""

from __future__ import annotations

from functools import partial

import numpy as np

import glassnet as gn
from glassnet.core.dtype import NDArray
from glassnet.train.events import Listener
from recipes.task import Outcome, Task, fit, silent

TARGET = 0.01  # who always answers 1, the mean of the sum, is at 1/6


def sequences(key: gn.random.Key, rows: int, length: int) -> tuple[NDArray, NDArray]:
    """Numbers uniform in [0, 1] beside marks, X (rows, length, 2), and sums y (rows,).

    One mark is in the first half and one in the second, so that the two are never one.

    Source: Hochreiter and Schmidhuber, Neural Computation 9 (1997), section 5.4; this form, with numbers in
    [0, 1] and a plain sum, is that of Le, Jaitly and Hinton, arXiv:1504.00941 (2015), section 4.1.
    """
    numbers = np.asarray(gn.random.uniform(key.fold(0), (rows, length)))
    places = np.asarray(gn.random.uniform(key.fold(1), (rows, 2))) * (length // 2)
    marks = np.zeros((rows, length))
    for half in (0, 1):
        marks[np.arange(rows), places[:, half].astype(np.int64) + half * (length - length // 2)] = 1.0
    return np.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=1)


def adding(
    layer: type[gn.LSTM] | type[gn.GRU],
    seed: int,
    listener: Listener = silent,
    length: int = 50,
    rows: int = 10_000,
    epochs: int = 10,
    units: int = 32,
) -> Outcome:
    """Mean squared error on 2,000 sequences of their own."""
    key = gn.random.key(seed)
    X, y = sequences(key.fold(0), rows, length)
    net = gn.Network([layer(units), gn.Dense(1)], loss="mean_squared_error", seed=seed)
    rule = gn.chain(gn.ClipByGlobalNorm(1.0), gn.Adam(gn.optim.OneCycle(1e-2)))
    fit(net, X, y, listener, epochs=epochs, batch_size=50, optimizer=rule)
    error = net.evaluate(*sequences(key.fold(1), 2000, length))["loss"]
    return Outcome(error, TARGET)


TASKS = tuple(
    Task(
        f"adding-{name.lower()}",
        f"{name} 32",
        "squared error",
        partial(adding, layer),
        5,
        is_error=True,
    )
    for name, layer in (("LSTM", gn.LSTM), ("GRU", gn.GRU))
)
