"""glassnet: a whole epoch is one native call of the training program."""

from __future__ import annotations

import numpy as np
from cases import Case

from peers import Variants

DISTRIBUTIONS = ("glassnet", "llvmlite")


class Program:
    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        import glassnet as gn

        *hidden, outputs = case.units[1:]
        layers = [*(gn.Dense(units, activation=case.activation) for units in hidden), gn.Dense(outputs)]
        optimizer = {"sgd": gn.SGD, "adam": gn.Adam}[case.optimizer](case.learning_rate)
        network = gn.Network(layers, loss=case.loss, seed=0)
        self.program = network.training_program(X, y, batch_size=case.batch, optimizer=optimizer)
        self.epochs_per_call = case.epochs_per_call

    def run(self, calls: int) -> None:
        for _ in range(calls):
            if self.epochs_per_call > 1:
                self.program.run_epochs(self.epochs_per_call)
            else:
                self.program.run_epoch()

    def loss(self) -> float:
        return float(self.program.run_epoch())


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    return {"one native call": lambda: Program(case, X, y)}
