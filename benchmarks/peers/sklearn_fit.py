"""scikit-learn's own fit loop, kept from stopping early."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from cases import METHODS, Case

from peers import NotExpressibleError, Variants

DISTRIBUTIONS = ("scikit-learn", "numpy")
NEVER = 10**9


class Fit:
    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        # It warns after every fit that reaches max_iter, which is how every fit here ends.
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert case.dense is not None
        self.case = case
        self.X = X
        self.y = y.ravel()  # it wants a single output without an axis
        network: Any = MLPRegressor if case.loss == "mean_squared_error" else MLPClassifier
        self.network = network(
            hidden_layer_sizes=[layer.units for layer in case.dense[:-1]],
            activation=case.dense[0].activation,
            solver=case.optimizer,
            alpha=0.0,
            batch_size=case.batch,
            learning_rate_init=case.learning_rate,
            momentum=0.0,
            shuffle=not case.full_batch,
            tol=1e-30,
            n_iter_no_change=NEVER,
            warm_start=True,  # a fit goes on from the last one
            random_state=0,
        )

    def run(self, calls: int) -> None:
        self.network.set_params(max_iter=calls * self.case.epochs_per_call).fit(self.X, self.y)

    def loss(self) -> float:
        # Its squared error is halved, the other systems' is not.
        scale = 2.0 if self.case.loss == "mean_squared_error" else 1.0
        return scale * float(self.network.loss_)


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    lacks = ["networks that are not dense"] if case.dense is None else []
    lacks += [METHODS[case.optimizer]] if case.optimizer == "adamw" else []
    lacks += ["dropout"] if case.dropout else []
    if lacks:
        raise NotExpressibleError(f"MLPClassifier lacks {' and '.join(lacks)}")
    return {"fit": lambda: Fit(case, X, y)}
