"""Keras on its JAX backend: `model.fit`, jitted, one step at a time or an epoch's steps in one call."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import layers
import numpy as np
from cases import Case

from peers import Variants, threads

DISTRIBUTIONS = ("keras", "jax")


class Fit:
    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray, *, steps: int = 1) -> None:
        import keras

        keras.utils.set_random_seed(0)
        self.case, self.X, self.y = case, X, y
        inputs = x = keras.Input(case.row)
        for layer in case.layers:
            x = translate(layer, x)
        self.model = keras.Model(inputs, x)
        self.model.compile(
            optimizer=optimizer(case), loss=loss(case), jit_compile=True, steps_per_execution=steps
        )
        self.latest = float("nan")

    def run(self, calls: int) -> None:
        case = self.case
        history = self.model.fit(
            self.X,
            self.y,
            batch_size=case.batch,
            epochs=calls * case.epochs_per_call,
            shuffle=not case.full_batch,
            verbose=0,
        )
        self.latest = history.history["loss"][-1]

    def loss(self) -> float:
        return float(self.latest)


def optimizer(case: Case) -> Any:
    from keras import optimizers

    if case.optimizer == "adamw":
        return optimizers.AdamW(case.learning_rate, weight_decay=case.weight_decay)
    return {"sgd": optimizers.SGD, "adam": optimizers.Adam}[case.optimizer](case.learning_rate)


def loss(case: Case) -> Any:
    from keras import losses

    return {
        "mean_squared_error": losses.MeanSquaredError(),
        "cross_entropy": losses.SparseCategoricalCrossentropy(from_logits=True),
        "binary_cross_entropy": losses.BinaryCrossentropy(from_logits=True),
    }[case.loss]


def translate(layer: layers.Layer, x: Any) -> Any:
    from keras import layers as keras

    match layer:
        case layers.Dense(units, activation):
            return keras.Dense(units, activation=activation)(x)
        case layers.Dropout(rate):
            return keras.Dropout(rate)(x)
        case layers.Convolution(channels, size, padding):
            return keras.Conv2D(channels, size, padding=padding, activation="relu")(x)
        case layers.MaxPool(size):
            return keras.MaxPooling2D(size)(x)
        case layers.Flatten():
            return keras.Flatten()(x)
        case layers.LSTM(units):
            return keras.LSTM(units)(x)
        case layers.LayerNorm():
            return keras.LayerNormalization(epsilon=1e-5)(x)
        case layers.Attention(heads):
            return keras.MultiHeadAttention(heads, x.shape[-1] // heads)(x, x)
        case layers.Residual(inner):
            y = x
            for each in inner:
                y = translate(each, y)
            return keras.Add()([x, y])
        case layers.MeanPool():
            return keras.GlobalAveragePooling1D()(x)
    raise TypeError(f"Keras has no translation of {layer}")


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads() == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    fit = partial(Fit, case, X, y)
    chosen: Variants = {"fit": fit}
    if not case.full_batch and case.parameters < 10**6:
        chosen["fit, 8 steps per execution"] = partial(fit, steps=8)
    return chosen
