"""Four small tables, against scikit-learn's MLP: the same rows, the same folds, a small grid for each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

import glassnet as gn
from glassnet.core.dtype import NDArray
from glassnet.data import Standardizer
from glassnet.train.events import Listener
from recipes.task import Outcome, Task, fit, silent

FOLDS = 5
SOLVERS = ("lbfgs", "adam")  # of scikit-learn

Rows = tuple[NDArray, NDArray]  # X (rows, columns) standardised, y (rows,)
Model = Callable[[Rows, NDArray], NDArray]  # trained on rows, what it predicts for others


def folds(y: NDArray, key: gn.random.Key) -> NDArray:
    """The number of the fold, 0 to 4, of each row; every class is spread evenly over them."""
    labels = y if y.dtype.kind == "i" else np.zeros(len(y))
    order = np.asarray(gn.random.permutation(key, len(labels)))
    order = order[np.argsort(labels[order], kind="stable")]
    numbers = np.empty(len(labels), np.int64)
    numbers[order] = np.arange(len(labels)) % FOLDS
    return numbers


def divergence(y: NDArray, predicted: NDArray) -> float:
    """Mean cross-entropy of probabilities (rows, classes), or mean squared error of values (rows,)."""
    if predicted.ndim == 1:
        return float(np.mean((y - predicted) ** 2))
    given = predicted[np.arange(len(y)), y].astype(np.float64)
    return -float(np.mean(np.log(np.maximum(given, 1e-15))))


def score(y: NDArray, predicted: NDArray) -> float:
    """Accuracy of probabilities, or the coefficient of determination R2 of values, in %."""
    if predicted.ndim == 1:
        return 100 - 100 * float(np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2))
    return 100 * float(np.mean(np.argmax(predicted, axis=1) == y))


@dataclass(frozen=True)
class Choice:
    """One point of the grid: hidden units, their activation, and the decay of the weights."""

    hidden: int
    activation: str
    decay: float


GRID = tuple(Choice(*point) for point in product((16, 64), ("tanh", "relu"), (1e-3, 1e-2, 1e-1)))


def of_glassnet(choice: Choice, classifies: bool, seed: int, listener: Listener = silent) -> Model:
    """One hidden layer, trained by L-BFGS."""

    def trained(rows: Rows, X: NDArray) -> NDArray:
        price = gn.L2(choice.decay)
        outputs = len(np.unique(rows[1])) if classifies else 1
        layers = [
            gn.Dense(choice.hidden, activation=choice.activation, regularizer=price),
            gn.Dense(outputs, regularizer=price),
        ]
        net = gn.Network(layers, loss="cross_entropy" if classifies else "mean_squared_error", seed=seed)
        fit(net, *rows, listener, epochs=200, batch_size=None, optimizer=gn.LBFGS())
        return net.predict_proba(X) if classifies else net.predict(X)

    return trained


def of_scikit_learn(choice: Choice, solver: str, classifies: bool, seed: int) -> Model:
    """The same network in scikit-learn, whose alpha is the decay times the rows."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    def trained(rows: Rows, X: NDArray) -> NDArray:
        kind = MLPClassifier if classifies else MLPRegressor
        model = kind(
            hidden_layer_sizes=(choice.hidden,),
            activation=choice.activation,
            alpha=choice.decay * len(rows[0]),
            solver=solver,
            max_iter=1000,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(*rows)
        return np.asarray(model.predict_proba(X) if isinstance(model, MLPClassifier) else model.predict(X))

    return trained


def best(models: Iterable[Model], rows: Rows, key: gn.random.Key) -> Model:
    """The model with the least mean divergence in a cross-validation on these rows."""
    X, y = rows
    fold = folds(y, key)

    def cross_validated(model: Model) -> float:
        # NOTE not the accuracy: on a hundred rows most of a grid ties in it.
        parts = [(fold != i, fold == i) for i in range(FOLDS)]
        return float(np.mean([divergence(y[b], model((X[a], y[a]), X[b])) for a, b in parts]))

    return min(models, key=cross_validated)


def table(name: str, seed: int, listener: Listener = silent, grid: Sequence[Choice] = GRID) -> Outcome:
    """Accuracy or R2 in % on a held-out fifth: seeds 0 to 4 hold out each row of the table once."""
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    classifies = y.dtype.kind == "i"
    key = gn.random.key(seed // FOLDS)
    held_out = folds(y, key.fold(0)) == seed % FOLDS
    scaling = Standardizer.fit(X[~held_out])
    y = y if classifies else (y - y[~held_out].mean()) / y[~held_out].std()
    rows = scaling.apply(X[~held_out]), y[~held_out]
    ours = [of_glassnet(choice, classifies, seed, listener) for choice in grid]
    theirs = [of_scikit_learn(*point, classifies, seed) for point in product(grid, SOLVERS)]

    def reached(models: Iterable[Model]) -> float:
        chosen = best(models, rows, key.fold(1 + seed))
        return score(y[held_out], chosen(rows, scaling.apply(X[held_out])))

    return Outcome(reached(ours), reached(theirs))


TASKS = tuple(
    Task(name, "Dense 16 or 64", measure, partial(table, load), 1, needs="sklearn")
    for name, load, measure in (
        ("breast-cancer", "breast_cancer", "accuracy %"),
        ("wine", "wine", "accuracy %"),
        ("iris", "iris", "accuracy %"),
        ("diabetes", "diabetes", "R2 %"),
    )
)
