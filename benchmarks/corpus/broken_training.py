"""Networks broken by how they start and how they are trained."""

from __future__ import annotations

from dataclasses import replace

import glassnet as gn
from corpus import data
from corpus.case import Broken, Recipe
from corpus.healthy import relu_on_digits, relu_on_spirals, tanh_on_friedman
from glassnet.nn.initializers import ConstantFill, Initializer, Normal, Orthogonal


def deep(
    count: int, units: int, activation: str, initializer: Initializer | None = None
) -> tuple[gn.nn.Layer, ...]:
    """Hidden layers of equal width, and ten outputs."""
    hidden = gn.Dense(units, activation=activation, kernel_initializer=initializer)
    return (*(hidden for _ in range(count)), gn.Dense(10))


STARTS = [
    Broken(
        "zero initialisation",
        ("symmetric_units",),
        "start the weights at random",
        relu_on_spirals,
        {
            "layers": (
                gn.Dense(32, activation="relu", kernel_initializer="zeros"),
                gn.Dense(32, activation="relu", kernel_initializer="zeros"),
                gn.Dense(3, kernel_initializer="zeros"),
            )
        },
    ),
    Broken(
        "constant initialisation",
        ("symmetric_units",),
        "start the weights at random",
        tanh_on_friedman,
        {
            "layers": (
                gn.Dense(32, activation="tanh", kernel_initializer=ConstantFill(0.1)),
                gn.Dense(16, activation="tanh", kernel_initializer=ConstantFill(0.1)),
                gn.Dense(1),
            )
        },
    ),
    Broken(
        "twelve sigmoid layers",
        ("vanishing_gradients",),
        "use relu, or residual connections",
        Recipe(deep(12, 32, "relu"), data.digits, optimizer=gn.Adam(0.001)),
        {"layers": deep(12, 32, "sigmoid")},
        hurts=0.5,
    ),
    Broken(
        "saturated tanh",
        ("saturated_units", "large_weights"),
        "start with weights in proportion to 1 / sqrt(fan)",
        Recipe(deep(2, 48, "tanh"), data.digits, optimizer=gn.SGD(0.05)),
        {"layers": deep(2, 48, "tanh", Normal(std=3.0))},
    ),
    Broken(
        "exploding relu layers",
        ("exploding_gradients", "large_weights"),
        "start with He's weights, or normalise between the layers",
        Recipe(deep(10, 32, "relu"), data.digits, optimizer=gn.Adam(0.001)),
        {"layers": deep(10, 32, "relu", Normal(std=1.0))},
    ),
    Broken(
        "dead rectifiers",
        ("dead_units",),
        "start the biases at zero",
        relu_on_digits,
        {
            "layers": (
                gn.Dense(48, activation="relu", bias_initializer=ConstantFill(-10.0)),
                gn.Dense(24, activation="relu"),
                gn.Dense(10),
            )
        },
        hurts=0.5,
    ),
    Broken(
        "exploding recurrence",
        ("exploding_gradients",),
        "start the recurrent weights orthogonal with gain 1, or clip the gradient",
        Recipe(
            (gn.nn.SimpleRNN(24, activation="relu"), gn.Dense(3)),
            data.waves,
            optimizer=gn.Adam(0.003),
            epochs=60,
        ),
        {
            "layers": (
                gn.nn.SimpleRNN(24, activation="relu", recurrent_initializer=Orthogonal(2.0)),
                gn.Dense(3),
            )
        },
    ),
    Broken(
        "vanishing recurrence",
        ("vanishing_gradients",),
        "use an LSTM or GRU, or start the recurrent weights orthogonal with gain 1",
        Recipe((gn.nn.SimpleRNN(16), gn.Dense(1)), data.remembered, "binary_cross_entropy"),
        {"layers": (gn.nn.SimpleRNN(16, recurrent_initializer=Orthogonal(0.3)), gn.Dense(1))},
        hurts=0.3,
    ),
]

STEPS = [
    Broken(
        "Adam's rate 100 times too high",
        ("learning_rate_too_high",),
        "lower the learning rate",
        relu_on_digits,
        {"optimizer": gn.Adam(0.2)},
        hurts=0.3,
    ),
    Broken(
        "gradient descent that diverges",
        ("learning_rate_too_high",),
        "lower the learning rate",
        tanh_on_friedman,
        {"optimizer": gn.SGD(5.0)},
        hurts=0.5,
    ),
    Broken(
        "rate 100 times too low",
        ("learning_rate_too_low",),
        "raise the learning rate",
        relu_on_digits,
        {"optimizer": gn.Adam(2e-5)},
        hurts=0.3,
    ),
    Broken(
        "momentum of 0.999",
        ("momentum_too_high", "learning_rate_too_high"),
        "lower the momentum, or the rate with it",
        replace(tanh_on_friedman, optimizer=gn.SGD(0.02, momentum=0.9)),
        {"optimizer": gn.SGD(0.02, momentum=0.999)},
    ),
    Broken(
        "one row a step",
        ("batch_too_small", "learning_rate_too_high"),
        "make the batch larger, or the rate smaller",
        replace(tanh_on_friedman, data=lambda: data.friedman(noise=2.0), optimizer=gn.SGD(0.1), epochs=30),
        {"batch_size": 1},
    ),
    Broken(
        "frozen layer",
        ("frozen_layer",),
        "take the layer out of Freeze",
        relu_on_spirals,
        {"optimizer": gn.Freeze(gn.Adam(0.01), ("dense_1", "dense_2"))},
    ),
    Broken(
        "penalty too strong",
        ("too_much_regularization",),
        "lower the strength of the regulariser",
        relu_on_spirals,
        {
            "layers": (
                gn.Dense(32, activation="relu", regularizer=gn.L2(0.3)),
                gn.Dense(32, activation="relu", regularizer=gn.L2(0.3)),
                gn.Dense(3, regularizer=gn.L2(0.3)),
            )
        },
    ),
    Broken(
        "dropout of 0.9",
        ("dropout_too_high",),
        "drop half or less",
        relu_on_spirals,
        {
            "layers": (
                gn.Dense(32, activation="relu"),
                gn.nn.Dropout(0.9),
                gn.Dense(32, activation="relu"),
                gn.nn.Dropout(0.9),
                gn.Dense(3),
            )
        },
    ),
]
