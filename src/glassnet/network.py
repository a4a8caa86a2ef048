"""Network: layers, a loss, and the current parameters. The one object of glassnet that changes.

It stands above `train`, which changes it, and `explain`, which shows what is inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet import explain
from glassnet.core.dtype import NDArray
from glassnet.errors import ShapeError
from glassnet.explain import diagnosis
from glassnet.persist import register_kind
from glassnet.train.network import TrainableNetwork
from glassnet.train.options import require_whole
from glassnet.train.targets import as_targets


class Network(TrainableNetwork):
    """Layers in a row, a loss, and the parameters that training changes.

    `layers` work on one example each, in order (or one layer, such as a Sequential or a Compose); `loss` is
    a name of `glassnet.losses` or a Loss. With "cross_entropy" the last layer gives one z a class and with
    "binary_cross_entropy" one z a yes-or-no output; the softmax or sigmoid belongs to the loss and may be
    written at the last layer or left out. `seed` decides the initial weights, the shuffles, the validation
    rows and what layers draw in training. `dtype` is "float32" or "float64", and all data is converted to
    it. `reduction` "mean" or "sum" says what the loss of a batch is of its examples. `classes` lists the
    labels in the order of the outputs, where the first data shall not decide them. Parameters are made when
    the shape of the inputs is known: from `input_shape`, or from the first data.

    Raises ConfigurationError for layers and a loss that do not fit, DTypeError for another dtype.

    >>> X = np.array([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
    >>> net = gn.Network([gn.Dense(8, activation="tanh"), gn.Dense(1)], loss="binary_cross_entropy", seed=0)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=400, optimizer=gn.Adam(0.05))
    >>> net.predict(X)
    array([0, 1, 1, 0])
    """

    def trace(self, x: Any, y: Any, *, jacobians: bool = False) -> explain.Trace:
        """One example forward and back: every layer's z, y and delta, and the loss's derivatives.

        x is one example (features,) or one row (1, features); y is its target as `fit` takes it. For a
        classifier the last y is the probabilities. With `jacobians` every layer has dy/dx as well.
        `print(net.trace(x, y))` shows all of it, `net.trace(x, y).worked(0.5)` is the worked solution, with
        an update by the learning rate 0.5.

        >>> net = gn.Network([gn.Dense(1)], loss="half_squared_error", dtype="float64", input_shape=2)
        >>> net.parameters = {"dense_1.weight": [[1.0, 2.0]], "dense_1.bias": [0.5]}
        >>> print(net.trace([3.0, -1.0], 2.5))
        x = [ 3. -1.]
        dense_1: z     = [ 1.5]
                 y     = [ 1.5]
                 delta = [-1. ]
        loss = 0.5
        dloss/dx = [-1. -2.]
        """
        rows = self._examples(x)
        if len(rows) != 1:
            shape = self.input_shape
            raise ShapeError(f"trace follows one example, of shape {shape}; x holds {len(rows)} rows.")
        target = self._targets(y, rows)
        return explain.trace_example(self._composition, *self._model, rows[0], target[0], jacobians=jacobians)

    def explain(self, x: Any, y: Any, wrt: str, *, of: str = "loss", paths: int = 5) -> explain.Explanation:
        """One derivative taken apart: by example, by the units that it acts through, and path by path.

        dL/dw = sum over the examples, and in each over all paths from w to L, of the product of the
        derivatives on the path's edges. `wrt` is an element of a parameter ("dense_1.weight[3, 5]"), of the
        input ("x[7]") or of a layer's z or y ("dense_1.z[2]"), counted from 0; `of` is "loss" or an output
        such as "output[1]". x is one example or several rows, y the targets. The `paths` largest are listed,
        and the rest as one sum; computed in float64.

        Raises ConfigurationError for a name or an index that is not there, VerificationError where a sum
        differs from the derivative by more than rounding.

        >>> layers = [gn.Dense(2, activation="relu"), gn.Dense(1)]
        >>> net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=1)
        >>> net.parameters = {"dense_1.weight": [[1.0], [3.0]], "dense_1.bias": [0.0, 0.0],
        ...                   "dense_2.weight": [[2.0, 1.0]], "dense_2.bias": [0.0]}
        >>> print(net.explain([2.0], [9.0], wrt="x[0]"))
        d loss / d x[0] = 5
        by the element that it enters
                        3  dense_1.z[1]
                        2  dense_1.z[0]
        by path
                        3  x[0] -> dense_1.z[1] -> dense_1.y[1] -> dense_2.z[0] -> loss
                           = 1 * 1 * 1 * 3
                        2  x[0] -> dense_1.z[0] -> dense_1.y[0] -> dense_2.z[0] -> loss
                           = 1 * 2 * 1 * 1
        """
        require_whole("explain", "paths", paths, 1)
        rows = self._examples(x)
        target = self._targets(y, rows)
        return explain.explain_rows(
            self._composition, *self._model, rows, target, wrt=wrt, of=of, paths=paths
        )

    def diagram(
        self, x: Any, y: Any, *, highlight: str | None = None, units: int | None = None
    ) -> explain.Diagram:
        """The influence diagram of one example: what acts on what, with values, derivatives and paths.

        Variables are x, the y of every layer and the loss; of a large layer the `units` (4) elements with the
        largest |dloss/dy y| are drawn, the others in one box. `highlight` names a parameter's element, such
        as "dense_1.weight[0, 1]": its paths are drawn out and summed up. A notebook shows the picture;
        `.save("network.svg")`, `.dot()` and `.text()` give it elsewhere.

        >>> net = gn.Network([gn.Dense(1)], loss="half_squared_error", dtype="float64", input_shape=2)
        >>> net.parameters = {"dense_1.weight": [[1.0, 2.0]], "dense_1.bias": [0.5]}
        >>> net.diagram([3.0, -1.0], 2.5, highlight="dense_1.weight[0, 1]").total
        1.0
        """
        return explain.diagram(self, x, y, highlight=highlight, units=units)

    def diagnose(self, X: Any, y: Any, validation_data: tuple[Any, Any] | None = None) -> diagnosis.Report:
        """Why the network learns, or does not: verdicts with evidence and advice, causes first.

        X and y are what `fit` was given, `validation_data` (X, y) rows that it was not trained on. The
        network may be untrained, trained or diverged, and stays as it is. `print` shows the report;
        `report.verdicts` have a kind, a severity, a sentence and an advice, `report.layers` the numbers.

        >>> X = np.linspace(-1.0, 1.0, 64).reshape(-1, 1)
        >>> net = gn.Network([gn.Dense(4, "tanh"), gn.Dense(1)], loss="mean_squared_error", seed=0)
        >>> history = net.fit(X, X**2, epochs=20, optimizer=gn.SGD(1e-4))
        >>> net.diagnose(X, X**2).alarms[0].kind
        'learning_rate_too_low'
        """
        return diagnosis.diagnose(self, X, y, validation_data)

    def _examples(self, x: Any) -> NDArray:
        """One example, or several rows, as rows."""
        return self._rows([x] if np.shape(x) == self._require_built() else x)

    def _targets(self, y: Any, rows: NDArray) -> NDArray:
        """The encoded targets of these rows; the target of one row may stand alone."""
        given = np.asarray(y)
        alone = given.ndim == 0 or (given.shape == self.output_shape and given.dtype.kind not in "OU")
        targets = as_targets([y] if alone and len(rows) == 1 else y, len(rows))
        return self._encoding_for(targets, rows.shape[1:])[1]


register_kind("network", Network.from_document)
