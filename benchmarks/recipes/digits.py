"""Handwritten digits: images seen whole by a convolutional network, or read row by row by an LSTM."""

from __future__ import annotations

import numpy as np

import glassnet as gn
from glassnet.core.dtype import NDArray
from glassnet.data import load_digits
from glassnet.train.events import Listener
from recipes.task import Outcome, Task, fit, silent

SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # rows down, columns to the right


def shifted(images: NDArray, down: int, right: int) -> NDArray:
    """Images (rows, height, width) moved by some pixels; paper comes in from the edge."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:]
    into, of = _overlap(down, height), _overlap(-down, height)
    moved[:, into, _overlap(right, width)] = images[:, of, _overlap(-right, width)]
    return moved


def _overlap(by: int, size: int) -> slice:
    return slice(max(by, 0), size + min(by, 0))


def convolution(seed: int, listener: Listener = silent, epochs: int = 15, channels: int = 16) -> Outcome:
    """Accuracy in % on the held-out fifth; every training image stands there moved by a pixel as well."""
    digits = load_digits()
    training, test = digits.split()
    images = digits.images / 16.0
    X = np.concatenate([shifted(images[training], *shift) for shift in SHIFTS])
    y = np.tile(digits.labels[training], len(SHIFTS))
    layers = [
        *(gn.Conv2D(channels, 3, padding="same"), gn.BatchNorm(), gn.Activation("relu")),
        gn.MaxPool2D(2),
        *(gn.Conv2D(2 * channels, 3, padding="same"), gn.BatchNorm(), gn.Activation("relu")),
        *(gn.Flatten(), gn.Dropout(0.4), gn.Dense(10)),
    ]
    net = gn.Network(layers, loss="cross_entropy", seed=seed)
    rule = gn.Adam(gn.optim.OneCycle(5e-3))
    fit(net, X[..., None], y, listener, epochs=epochs, batch_size=64, optimizer=rule)
    accuracy = net.evaluate(images[test][..., None], digits.labels[test])["accuracy"]
    return Outcome(100 * accuracy, 98.5)


def row_by_row(seed: int, listener: Listener = silent, epochs: int = 40, units: int = 64) -> Outcome:
    """Accuracy in % on the held-out fifth; an image is a sequence of 8 rows of 8 pixels."""
    digits = load_digits()
    training, test = digits.split()
    images = digits.images / 16.0
    layers = [gn.LSTM(units), gn.Dropout(0.3), gn.Dense(10)]
    net = gn.Network(layers, loss="cross_entropy", seed=seed)
    rule = gn.chain(gn.ClipByGlobalNorm(1.0), gn.Adam(gn.optim.OneCycle(1e-2)))
    fit(net, images[training], digits.labels[training], listener, epochs=epochs, optimizer=rule)
    accuracy = net.evaluate(images[test], digits.labels[test])["accuracy"]
    return Outcome(100 * accuracy, 97.0)


TASKS = (
    Task("digits", "Conv2D 16, 32", "accuracy %", convolution, 2),
    Task("digit-rows", "LSTM 64", "accuracy %", row_by_row, 2),
)
