"""Network: layers, a loss, and the current parameters. The one object of glassnet that changes.

It stands above `train`, which changes it, and `explain`, which shows what is inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.errors import ShapeError
from glassnet.explain import diagnosis
from glassnet.persist import register_kind
from glassnet.train import inspection
from glassnet.train.network import TrainableNetwork
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

    def trace(self, x: Any, y: Any) -> inspection.Trace:
        """One example forward and back: every layer's z, y and delta, and the loss's derivatives.

        x is one example (features,) or one row (1, features); y is its target as `fit` takes it. For a
        classifier the last y is the probabilities. `print(net.trace(x, y))` shows all of it.
        """
        shape = self._require_built()
        rows = self._rows([x] if np.shape(x) == shape else x)
        if len(rows) != 1:
            raise ShapeError(f"trace follows one example, of shape {shape}; x holds {len(rows)} rows.")
        given = np.asarray(y)
        one_row = given.ndim == 0 or (given.shape == self.output_shape and given.dtype.kind not in "OU")
        target = self._encoding_for(as_targets([y] if one_row else y, 1), shape)[1]
        return inspection.trace_example(self._composition, *self._model, rows[0], target[0])

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


register_kind("network", Network.from_document)
