"""A network that knows its table: the columns' names, their scaling, and the target's units or classes."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from glassnet.data import Standardizer, Table, text_labels
from glassnet.errors import DataError, ModelFileError, NotFittedError
from glassnet.estimators.plan import Plan, plan_training
from glassnet.estimators.recipe import Recipe
from glassnet.explain import diagnosis
from glassnet.network import Network
from glassnet.nn.dense import Dense
from glassnet.persist import register_kind, write_model_file
from glassnet.train.events import Listener
from glassnet.train.history import History
from glassnet.train.metrics import mean_absolute_error, r2

_KIND = "tabular"
_NETWORK = "network."
_FARTHEST = 1e30  # standard deviations; NOTE: beyond about 1e38 a float32 is infinite


@dataclass(frozen=True)
class TabularModel:
    """A network over the named feature columns of a table, which predicts the column `target`.

    `inputs` scales the features. `outputs` scales the target of a regression, which is learnt standardised
    and predicted in its own units; it is None for classification.
    """

    network: Network
    features: tuple[str, ...]
    target: str
    inputs: Standardizer
    outputs: Standardizer | None

    @classmethod
    def untrained(cls, plan: Plan, recipe: Recipe) -> TabularModel:
        """The model that `recipe` makes for a plan; scaling comes from the plan's training rows alone.

        Two classes end in one unit with binary cross-entropy, more in one unit each with softmax
        cross-entropy, a quantity in one unit with the mean squared error.
        """
        outputs = None
        if plan.target.task == "regression":
            units, loss = 1, "mean_squared_error"
            outputs = Standardizer.fit(plan.target.values[plan.training, None])
        else:
            classes = len(np.unique(plan.target.values))
            units, loss = (1, "binary_cross_entropy") if classes == 2 else (classes, "cross_entropy")
        hidden = [Dense(width, activation=recipe.activation) for width in recipe.hidden]
        network = Network([*hidden, Dense(units)], loss=loss, seed=recipe.seed)
        inputs = Standardizer.fit(plan.X[plan.training])
        return cls(network, plan.features, plan.target_name, inputs, outputs)

    @property
    def classes(self) -> np.ndarray:
        """The labels of a classifier, ascending, in the order of its probabilities."""
        if self.network.classes is None:
            raise NotFittedError("This model knows no classes: it is not trained yet or predicts a quantity.")
        return self.network.classes

    def examples(self, plan: Plan, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The given rows of a plan as the network takes them: scaled features, labels or scaled values."""
        y = plan.target.values[rows]
        return self.inputs.apply(plan.X[rows]), y if self.outputs is None else self.outputs.apply(y[:, None])

    def fit(self, plan: Plan, recipe: Recipe, progress: Listener | bool = False) -> History:
        """Train the network on the plan's training rows and watch its validation rows."""
        validation = self.examples(plan, plan.validation) if len(plan.validation) else None
        return self.network.fit(
            *self.examples(plan, plan.training),
            epochs=recipe.epochs_for(len(plan.training)),
            batch_size=min(recipe.batch_size, len(plan.training)),
            optimizer=recipe.make_optimizer(),
            validation_data=validation,
            progress=progress,
        )

    def predict_table(self, table: Table, target: str | None = None) -> dict[str, np.ndarray]:
        """Columns of shape (rows,): `prediction`, and for classes `probability_CLASS` of each.

        Columns are found by name, in any order; the column `target`, the model's own unless given, may be
        among them and is not looked at. Raises `DataError` for a column that is missing or that the model
        does not know, and for unusable values.
        """
        X = self._inputs_of(table, target)
        if self.outputs is not None:
            return {"prediction": self._quantities(X, self.outputs)}
        probabilities = self.network.predict_proba(X)
        columns = {f"probability_{label}": probabilities[:, k] for k, label in enumerate(self.classes)}
        return {"prediction": self.network.predict(X)} | columns

    def evaluate_table(self, table: Table, target: str | None = None) -> dict[str, float]:
        """How well the column `target` of a table is predicted.

        For classes the `accuracy` and the `loss`; for a quantity `r2`, and `mae` in the units of the target.
        Raises `DataError` as `predict_table` does, and for a class that the model was not trained on.
        """
        name = self.target if target is None else target
        X = self._inputs_of(table, name)
        if self.outputs is None:
            return self.network.evaluate(X, self.labels(table, name))
        actual = self._numbers(table, name)
        predicted = self._quantities(X, self.outputs)
        return {"r2": r2(predicted, actual), "mae": mean_absolute_error(predicted, actual)}

    def diagnose_table(self, table: Table, target: str | None = None) -> diagnosis.Report:
        """Why the network learns, or does not, on a table: see `Network.diagnose`.

        Raises `DataError` as `evaluate_table` does.
        """
        name = self.target if target is None else target
        X = self._inputs_of(table, name)
        if self.outputs is None:
            return self.network.diagnose(X, self.labels(table, name))
        return self.network.diagnose(X, self.outputs.apply(self._numbers(table, name)[:, None]))

    def labels(self, table: Table, target: str) -> np.ndarray:
        """The column `target` in the type of the network's classes; `DataError` for a label that is none."""
        y, classes = table.target(target), self.classes
        if classes.dtype.kind == "i" and y.dtype.kind == "f" and np.all(y == np.floor(y)):
            y = y.astype(np.int64)
        labels = y if classes.dtype.kind == y.dtype.kind else text_labels(y)
        known = np.isin(labels.astype(str), classes.astype(str))
        if not known.all():
            row = int(np.argmin(known))
            raise DataError(
                f"{table.where(target, row)} holds {str(labels[row])!r}, "
                f"which is none of the model's classes {', '.join(map(str, classes[:20]))}."
            )
        return labels.astype(classes.dtype)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a file that `glassnet.load` reads; raises `ModelFileError`."""
        network, parameters = self.network.to_document()
        document = {"kind": _KIND, "features": list(self.features), "target": self.target, "network": network}
        arrays = {f"{_NETWORK}{name}": array for name, array in parameters.items()}
        arrays |= {"inputs.mean": self.inputs.mean, "inputs.scale": self.inputs.scale}
        if self.outputs is not None:
            arrays |= {"outputs.mean": self.outputs.mean, "outputs.scale": self.outputs.scale}
        write_model_file(path, document, arrays)

    def _numbers(self, table: Table, target: str) -> np.ndarray:
        """The column `target` as the quantity that it is."""
        actual = table.target(target)
        if actual.dtype.kind not in "if":
            raise DataError(f"{table.where(target)} holds no numbers, and the model predicts a quantity.")
        return actual

    def _inputs_of(self, table: Table, target: str | None) -> np.ndarray:
        table.require(self.features)
        unknown = [name for name in table.names if name not in (*self.features, self.target, target)]
        if unknown:
            raise DataError(
                f"{table.path} has the column {unknown[0]!r}, which the model was not trained on; remove it "
                f"so that the features {', '.join(map(repr, self.features[:12]))} are left."
            )
        Z = self.inputs.apply(table.features(self.features))
        if (np.abs(Z) > _FARTHEST).any():
            row, column = np.argwhere(np.abs(Z) > _FARTHEST)[0]
            raise DataError(
                f"{table.where(self.features[column], int(row))} is {abs(Z[row, column]):.0e} standard "
                "deviations from what the model was trained on; correct it or remove the row."
            )
        return Z

    def _quantities(self, X: np.ndarray, outputs: Standardizer) -> np.ndarray:
        """Predictions in the target's units, shape (rows,), for scaled features X."""
        return outputs.invert(self.network.predict(X).astype(np.float64).reshape(-1, 1))[:, 0]


def fit_table(
    table: Table, target: str, recipe: Recipe | None = None, progress: Listener | bool = False
) -> tuple[TabularModel, History, Plan]:
    """Learn to predict the column `target` of a table; the plan names the rows that were held out.

    >>> table = Table("squares", {"x": np.arange(50), "y": np.arange(50) ** 2})
    >>> model, history, plan = fit_table(table, "y", Recipe(epochs=2))
    >>> sorted(model.evaluate_table(table.take(plan.test)))
    ['mae', 'r2']
    """
    recipe = recipe or Recipe()
    plan = plan_training(table, target, recipe.seed)
    model = TabularModel.untrained(plan, recipe)
    return model, model.fit(plan, recipe, progress), plan


def _from_document(document: dict[str, Any], arrays: dict[str, np.ndarray]) -> TabularModel:
    parameters = {
        name.removeprefix(_NETWORK): array for name, array in arrays.items() if name.startswith(_NETWORK)
    }
    network = Network.from_document(document["network"], parameters)
    features, target = document["features"], document["target"]
    inputs = Standardizer(arrays["inputs.mean"], arrays["inputs.scale"])
    outputs = None
    if network.loss.task == "regression":
        outputs = Standardizer(arrays["outputs.mean"], arrays["outputs.scale"])
    names_are_text = isinstance(features, list) and all(isinstance(name, str) for name in [*features, target])
    shape = network.input_shape
    if not (
        names_are_text
        and inputs.mean.shape == inputs.scale.shape == (len(features),) == shape
        and (outputs is None or outputs.mean.shape == outputs.scale.shape == network.output_shape == (1,))
        and all(np.all(scaling.scale > 0) for scaling in (inputs, outputs) if scaling is not None)
    ):
        raise ModelFileError(
            "The model file does not describe a tabular model: its names, its scaling and a network "
            f"for inputs of shape {shape} do not fit together; train the model again."
        )
    return TabularModel(network, tuple(features), target, inputs, outputs)


register_kind(_KIND, _from_document)
