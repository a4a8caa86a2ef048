"""Networks of many kinds that learn what their data has to give."""

from __future__ import annotations

import glassnet as gn
from corpus import data
from corpus.case import Healthy, Recipe
from glassnet import nn

BINARY, SQUARED = "binary_cross_entropy", "mean_squared_error"

# The broken ones change these.
relu_on_digits = Recipe(
    (gn.Dense(48, activation="relu"), gn.Dense(24, activation="relu"), gn.Dense(10)),
    data.digits,
    optimizer=gn.Adam(0.002),
    epochs=30,
)
relu_on_spirals = Recipe(
    (gn.Dense(32, activation="relu"), gn.Dense(32, activation="relu"), gn.Dense(3)), data.spirals, epochs=60
)
tanh_on_friedman = Recipe(
    (gn.Dense(32, activation="tanh"), gn.Dense(16, activation="tanh"), gn.Dense(1)),
    data.friedman,
    loss=SQUARED,
    optimizer=gn.SGD(0.1),
    epochs=100,
)


def hidden(units: int, activation: str = "relu") -> gn.Dense:
    """A hidden layer."""
    return gn.Dense(units, activation=activation)


POINTS = [
    Healthy("linear regression", Recipe((gn.Dense(1),), data.linear, SQUARED, gn.SGD(0.05)), 0.98),
    Healthy("softmax regression", Recipe((gn.Dense(3),), data.clusters), 0.9),
    Healthy(
        "logistic regression of overlapping clusters",
        Recipe((gn.Dense(1),), lambda: data.clusters(spread=2.5, classes=2), BINARY),
        0.75,
    ),
    Healthy(
        "tanh on a square",
        Recipe((hidden(8, "tanh"), gn.Dense(1)), data.xor, BINARY, gn.Adam(0.03), epochs=80),
        0.95,
    ),
    Healthy("tanh on moons", Recipe((hidden(16, "tanh"), gn.Dense(1)), data.moons, BINARY), 0.95),
    Healthy("two softmax outputs on moons", Recipe((hidden(32), gn.Dense(2)), data.moons, epochs=30), 0.95),
    Healthy("rectifiers on spirals", relu_on_spirals, 0.95),
    Healthy(
        "a wide layer on spirals",
        Recipe((hidden(512, "tanh"), gn.Dense(3)), data.spirals, optimizer=gn.Adam(0.02), epochs=60),
        0.95,
    ),
]

TABLES = [
    Healthy(
        "rectifiers on a table",
        Recipe((hidden(16), hidden(8), gn.Dense(1)), data.friedman, SQUARED, gn.Adam(0.005), epochs=60),
        0.85,
    ),
    Healthy(
        "tanh with momentum",
        Recipe(
            (hidden(24, "tanh"), gn.Dense(1)), data.friedman, SQUARED, gn.SGD(0.02, momentum=0.9), epochs=60
        ),
        0.9,
    ),
    Healthy(
        "L-BFGS",
        Recipe((hidden(8, "tanh"), gn.Dense(1)), data.friedman, SQUARED, gn.LBFGS(), 60, None),
        0.9,
    ),
    Healthy(
        "Huber's loss with elu",
        Recipe((hidden(32, "elu"), gn.Dense(1)), data.friedman, "huber", epochs=50),
        0.9,
    ),
    Healthy(
        "batch normalisation on a table",
        Recipe(
            (gn.Dense(32), nn.BatchNorm(), nn.Activation("relu"), gn.Dense(1)),
            data.friedman,
            SQUARED,
            epochs=50,
        ),
        0.85,
    ),
    Healthy(
        "a mild penalty",
        Recipe(
            (
                gn.Dense(32, activation="tanh", regularizer=gn.L2(1e-4)),
                gn.Dense(1, regularizer=gn.L2(1e-4)),
            ),
            data.friedman,
            SQUARED,
            epochs=60,
        ),
        0.9,
    ),
    Healthy(
        "three outputs",
        Recipe((hidden(48, "tanh"), gn.Dense(3)), data.three_outputs, SQUARED, epochs=60),
        0.85,
    ),
    Healthy("four yes-or-no outputs", Recipe((hidden(16), gn.Dense(4)), data.yes_or_no, BINARY), 0.9),
    Healthy(
        "counts",
        Recipe(
            (hidden(16, "tanh"), gn.Dense(1, activation="exponential")),
            data.counts,
            gn.losses.Poisson(log_rate=False),
            epochs=20,
        ),
        0.5,
    ),
]

IMAGES = [
    Healthy("rectifiers on digits", relu_on_digits, 0.93),
    Healthy(
        "sigmoids on digits",
        Recipe((hidden(32, "sigmoid"), gn.Dense(10)), data.digits, optimizer=gn.Adam(0.01), epochs=30),
        0.93,
    ),
    Healthy(
        "dropout on digits",
        Recipe((hidden(96), nn.Dropout(0.3), gn.Dense(10)), data.digits, optimizer=gn.Adam(0.003), epochs=20),
        0.93,
    ),
    Healthy(
        "six selu layers",
        Recipe(
            (*[hidden(32, "selu") for _ in range(6)], gn.Dense(10)),
            data.digits,
            optimizer=gn.Adam(0.001),
            epochs=14,
        ),
        0.92,
    ),
    Healthy(
        "eight residual blocks",
        Recipe(
            (
                hidden(24),
                *[nn.Residual([nn.LayerNorm(), hidden(24), gn.Dense(24)]) for _ in range(8)],
                gn.Dense(10),
            ),
            data.digits,
            optimizer=gn.Adam(0.002),
            epochs=15,
        ),
        0.92,
    ),
    Healthy(
        "convolution and pooling",
        Recipe(
            (nn.Conv2D(8, 3, activation="relu"), nn.MaxPool2D(2), nn.Flatten(), gn.Dense(10)),
            data.images,
            optimizer=gn.Adam(0.005),
            epochs=20,
        ),
        0.92,
    ),
    Healthy(
        "convolution with batch normalisation",
        Recipe(
            (
                nn.Conv2D(8, 3, padding="same"),
                nn.BatchNorm(),
                nn.Activation("relu"),
                nn.Conv2D(16, 3, strides=2, activation="relu"),
                nn.Flatten(),
                gn.Dense(10),
            ),
            data.images,
            optimizer=gn.AdamW(0.003),
            epochs=10,
        ),
        0.92,
    ),
]

SEQUENCES = [
    Healthy(
        "LSTM",
        Recipe((nn.LSTM(16), gn.Dense(3)), lambda: data.waves(rows=1200), epochs=15),
        0.9,
    ),
    Healthy(
        "GRU",
        Recipe((nn.GRU(12), gn.Dense(1)), data.moving_mean, SQUARED),
        0.9,
    ),
    Healthy(
        "simple recurrence",
        Recipe((nn.SimpleRNN(16), gn.Dense(1)), data.moving_mean, SQUARED, gn.Adam(0.005)),
        0.9,
    ),
    Healthy(
        "convolution over steps",
        Recipe(
            (nn.Conv1D(12, 5, activation="relu"), nn.GlobalMaxPool1D(), gn.Dense(3)), data.waves, epochs=60
        ),
        0.9,
    ),
    Healthy(
        "attention over tokens",
        Recipe(
            (
                nn.Embedding(5, 16),
                nn.Residual([nn.MultiHeadAttention(2)]),
                nn.LayerNorm(),
                nn.GlobalAveragePool1D(),
                hidden(16),
                gn.Dense(1),
            ),
            data.tokens,
            BINARY,
            gn.Adam(0.005),
            epochs=20,
        ),
        0.9,
    ),
    Healthy(
        "bidirectional GRU over tokens",
        Recipe(
            (nn.Embedding(5, 8), nn.Bidirectional(nn.GRU(12)), gn.Dense(1)), data.tokens, BINARY, epochs=25
        ),
        0.9,
    ),
]

HEALTHY: list[Healthy] = [*POINTS, *TABLES, *IMAGES, *SEQUENCES]
