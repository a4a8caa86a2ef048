"""Networks that do not suit their data, and data that suits no network."""

from __future__ import annotations

from dataclasses import replace

import glassnet as gn
import glassnet.numpy as gnp
from corpus import data
from corpus.case import Broken, Recipe, all_right, balanced_accuracy, likelihood, rounded_accuracy
from corpus.healthy import relu_on_digits, tanh_on_friedman

BINARY = "binary_cross_entropy"
on_moons = Recipe((gn.Dense(24, activation="tanh"), gn.Dense(1)), data.moons, BINARY, gn.Adam(0.02))
convolution = Recipe(
    (
        gn.nn.Conv2D(8, 3, activation="relu"),
        gn.nn.MaxPool2D(2),
        gn.nn.Flatten(),
        gn.Dense(24, activation="relu"),
        gn.Dense(10),
    ),
    data.images,
    optimizer=gn.Adam(0.003),
    epochs=20,
)
on_clusters = Recipe((gn.Dense(16, activation="relu"), gn.Dense(3)), data.clusters, epochs=30)
sigmoid_on_digits = Recipe(
    (gn.Dense(32, activation="sigmoid"), gn.Dense(10)), data.digits, optimizer=gn.SGD(0.5), epochs=40
)


def few_rows() -> data.Data:
    """Forty rows of overlapping clusters to train on, of twenty features."""
    made = data.clusters(rows=600, features=20, spread=5.0)
    return replace(made, X=made.X[:40], y=made.y[:40])


LOSSES = [
    Broken(
        "squared error of class numbers",
        ("wrong_loss",),
        "use one output a class and cross_entropy",
        relu_on_digits,
        {
            "layers": (gn.Dense(48, activation="relu"), gn.Dense(24, activation="relu"), gn.Dense(1)),
            "loss": "mean_squared_error",
            "data": data.with_y(data.digits, lambda y: y.astype(float)),
            "measure": rounded_accuracy,
        },
    ),
    Broken(
        "yes-or-no loss for exclusive classes",
        ("wrong_loss",),
        "use cross_entropy with labels",
        replace(on_clusters, data=lambda: data.clusters(spread=2.5)),
        {
            "loss": BINARY,
            "data": data.with_y(lambda: data.clusters(spread=2.5), data.one_hot),
            "measure": all_right,
        },
        hurts=0.05,
    ),
    Broken(
        "softmax twice",
        ("repeated_output_activation",),
        "take the softmax out of the network; the loss contains it",
        convolution,
        {"layers": (*convolution.layers, gn.nn.Lambda(gnp.softmax))},
        hurts=0.05,
    ),
    Broken(
        "sigmoid twice",
        ("repeated_output_activation",),
        "take the sigmoid out of the network; the loss contains it",
        on_moons,
        {"layers": (*on_moons.layers, gn.nn.Lambda(gnp.sigmoid))},
    ),
    Broken(
        "tanh for values up to 100",
        ("output_range",),
        "end in an output without activation, or scale the targets",
        replace(tanh_on_friedman, optimizer=gn.Adam(0.01)),
        {
            "layers": (*tanh_on_friedman.layers[:-1], gn.Dense(1, activation="tanh")),
            "data": data.with_y(data.friedman, lambda y: 50 + 20 * y),
        },
    ),
]

INPUTS = [
    Broken(
        "a feature in another unit",
        ("input_scale",),
        "standardise the features",
        on_clusters,
        {"data": data.with_X(data.clusters, data.column_times(0, 1e4))},
    ),
    Broken(
        "pixels from 0 to 255 into sigmoids",
        ("input_scale",),
        "divide the pixels by 255",
        sigmoid_on_digits,
        {"data": data.with_X(data.digits, lambda X: 255 * X)},
    ),
    Broken(
        "targets around 5000",
        ("target_scale",),
        "standardise the targets",
        replace(tanh_on_friedman, optimizer=gn.Adam(0.01)),
        {"data": data.with_y(data.friedman, lambda y: 5000 + 1000 * y)},
    ),
    Broken(
        "a constant feature",
        ("constant_feature",),
        "leave the column out",
        tanh_on_friedman,
        {"data": data.with_X(data.friedman, data.constant_column(9, 3.0))},
        hurts=None,
    ),
]

ROWS = [
    Broken(
        "shuffled labels",
        ("random_labels",),
        "look for what mixed up the rows of X and y",
        relu_on_digits,
        {"data": data.with_y(data.digits, data.shuffled)},
        hurts=0.5,
    ),
    Broken(
        "a tenth of the labels wrong",
        ("mislabelled_rows",),
        "look at the rows with the largest gradients",
        on_clusters,
        {"data": data.with_y(data.clusters, data.flipped(0.1, 3))},
        hurts=0.05,
    ),
    Broken(
        "a rare class",
        ("class_imbalance",),
        'weigh the classes: class_weight="balanced"',
        Recipe(
            (gn.Dense(16, activation="relu"), gn.Dense(1)),
            data.rare_class,
            BINARY,
            gn.Adam(0.003),
            epochs=10,
            class_weight="balanced",
            measure=balanced_accuracy,
        ),
        {"class_weight": None},
    ),
    Broken(
        "a line where a bend is needed",
        ("underfitting",),
        "add a hidden layer",
        Recipe((gn.Dense(16, activation="tanh"), gn.Dense(1)), data.xor, BINARY, gn.Adam(0.02)),
        {"layers": (gn.Dense(1),)},
        hurts=0.3,
    ),
    Broken(
        "a large network for forty rows",
        ("overfitting",),
        "get more rows, or use fewer units, decay, dropout or early stopping",
        Recipe(
            (gn.Dense(3),),
            few_rows,
            optimizer=gn.AdamW(0.01, weight_decay=0.3),
            epochs=60,
            measure=likelihood,
        ),
        {
            "layers": (gn.Dense(256, activation="relu"), gn.Dense(256, activation="relu"), gn.Dense(3)),
            "optimizer": gn.Adam(0.01),
        },
        hurts=1.0,
    ),
]
