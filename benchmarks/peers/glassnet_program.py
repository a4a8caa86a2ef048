"""glassnet: a whole epoch is one native call of the training program."""

from __future__ import annotations

from typing import Any

import layers
import numpy as np
from cases import Case

from peers import Variants

DISTRIBUTIONS = ("glassnet", "llvmlite")


class Program:
    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        import glassnet as gn

        network = gn.Network([translate(layer) for layer in case.layers], loss=case.loss, seed=0)
        self.program = network.training_program(X, y, batch_size=case.batch, optimizer=optimizer(case))
        if self.program.reason is not None:
            raise RuntimeError(f"the interpreter runs: {self.program.reason}")
        self.epochs_per_call = case.epochs_per_call

    def run(self, calls: int) -> None:
        for _ in range(calls):
            self.program.run_epochs(self.epochs_per_call)

    def loss(self) -> float:
        return float(self.program.run_epoch())


def optimizer(case: Case) -> Any:
    import glassnet as gn

    if case.optimizer == "adamw":
        return gn.AdamW(case.learning_rate, weight_decay=case.weight_decay)
    return {"sgd": gn.SGD, "adam": gn.Adam}[case.optimizer](case.learning_rate)


def translate(layer: layers.Layer) -> Any:
    import glassnet as gn

    match layer:
        case layers.Dense(units, activation):
            return gn.Dense(units, activation=activation or "identity")
        case layers.Dropout(rate):
            return gn.Dropout(rate)
        case layers.Convolution(channels, size, padding):
            return gn.Conv2D(channels, size, padding=padding, activation="relu")
        case layers.MaxPool(size):
            return gn.MaxPool2D(size)
        case layers.Flatten():
            return gn.Flatten()
        case layers.LSTM(units):
            return gn.LSTM(units)
        case layers.LayerNorm():
            return gn.LayerNorm()
        case layers.Attention(heads):
            return gn.MultiHeadAttention(heads)
        case layers.Residual(inner):
            return gn.Residual([translate(each) for each in inner])
        case layers.MeanPool():
            return gn.GlobalAveragePool1D()
    raise TypeError(f"glassnet has no translation of {layer}")


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    return {"one native call": lambda: Program(case, X, y)}
