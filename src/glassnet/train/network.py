"""Network: layers, a loss, and the current parameters. The one object of glassnet that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from glassnet import losses, optim
from glassnet.core.dtype import DType, NDArray, floating
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.core.step import TrainingData
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError, DataError, ModelFileError, NotFittedError, ShapeError
from glassnet.execute import run, runner
from glassnet.losses import LOSSES, Loss
from glassnet.nn import Layer
from glassnet.optim import Optimizer
from glassnet.persist import register_kind, write_model_file
from glassnet.train import inspection
from glassnet.train.composition import Composition, NestedParameters
from glassnet.train.evaluation import Evaluator, divide
from glassnet.train.events import Listener
from glassnet.train.history import History
from glassnet.train.loop import TrainingProgram, listening, train
from glassnet.train.options import require_fraction, require_whole
from glassnet.train.program import build_step
from glassnet.train.targets import Encoding, as_numbers, as_rows, as_targets
from glassnet.transforms.derivatives import grad
from glassnet.transforms.tracing import trace

# What the seed is used for; each purpose has a stream of random numbers of its own.
_INITIALIZATION, _SHUFFLING, _VALIDATION = 1, 2, 3


class Network:
    """A feed-forward network: layers in a row, a loss, and the parameters that training changes.

    `layers` work on one example each, in order; `loss` is a name of `glassnet.losses` or a Loss. With
    "cross_entropy" the last layer gives one z a class and with "binary_cross_entropy" one z a yes-or-no
    output; the softmax or sigmoid belongs to the loss and may be written at the last layer or left out.
    `seed` decides the initial weights, the shuffles and the validation rows. `dtype` is "float32" or
    "float64", and all data is converted to it. Parameters are made when the number of inputs is known: from
    `input_shape`, or from the first data.

    Raises ConfigurationError for layers and a loss that do not fit, DTypeError for another dtype.

    >>> X = np.array([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
    >>> net = gn.Network([gn.Dense(8, activation="tanh"), gn.Dense(1)], loss="binary_cross_entropy", seed=0)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=400, optimizer=gn.Adam(0.05))
    >>> net.predict(X)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: str | Loss,
        seed: int = 0,
        dtype: str = "float32",
        input_shape: int | Shape | None = None,
    ) -> None:
        listed = isinstance(layers, Sequence) and len(layers) > 0
        if not listed or not all(isinstance(layer, Layer) for layer in layers):
            raise ConfigurationError(
                f"Network got layers={layers!r}; it takes a list of one or more layers, such as "
                "[Dense(32, activation='relu'), Dense(10)]."
            )
        self.layers = tuple(layers)
        self.loss = losses.resolve(loss)
        self.seed = require_whole("Network", "seed", seed, 0, 2**64 - 1)
        self.dtype: DType = floating(dtype, "Network")
        self.classes: NDArray | None = None
        self.input_shape: Shape | None = None
        self._composition = Composition.of(self.layers, self.loss)
        self._evaluator = Evaluator(self._composition)
        self._parameters: NestedParameters = ()
        self._epochs_trained = 0
        if input_shape is not None:
            sizes = input_shape if isinstance(input_shape, (tuple, list)) else (input_shape,)
            self._build(tuple(require_whole("Network", "input_shape", size, 1) for size in sizes))

    # -- training

    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 10,
        batch_size: int | None = 32,
        optimizer: str | Optimizer = "adam",
        validation_fraction: float = 0.0,
        validation_data: tuple[Any, Any] | None = None,
        progress: bool | Listener | None = None,
        engine: str = "auto",
    ) -> History:
        """Trains on rows X (rows, features) and targets y, from the present parameters on.

        y holds labels (rows,), one-hot or probability rows (rows, classes), or values (rows,) or
        (rows, outputs). `batch_size` None is the full batch; the last batch of an epoch may be short, and its
        gradient is the mean over the rows it has. Rows are shuffled every epoch unless the batch is full.
        `optimizer` is a name ("sgd", "momentum", "adam") or an Optimizer; its state starts afresh with every
        fit. `validation_fraction` sets rows aside, `validation_data` (X, y) brings its own. `progress` is
        None (a bar on a terminal, nothing elsewhere), True (a bar, or a few lines where no terminal is),
        False, or a listener of `glassnet.train.events`. `engine` is "auto", "compiled" or "interpreter".

        Returns the History. Ctrl-C ends the run, keeps the last finished epoch and says so in
        `history.stopped`. Raises DataError, ShapeError or ConfigurationError for input that does not fit,
        DivergedError when a loss or a parameter is not finite, UncompilableError where engine="compiled"
        cannot be had.

        >>> net = gn.Network([gn.Dense(1)], loss="mean_squared_error", seed=0)
        >>> history = net.fit([[1.0], [2.0]], [2.0, 4.0], epochs=300, optimizer=gn.SGD(0.1))
        >>> net.predict([[3.0]]).round(1)
        array([6.], dtype=float32)
        """
        epochs = require_whole("fit", "epochs", epochs, 1)
        fraction = require_fraction("fit", "validation_fraction", validation_fraction)
        rows, target = self._accept(X, y)
        held_out = None
        if validation_data is not None:
            held_out = self._validation_rows(validation_data, fraction)
        elif fraction:
            kept, aside = divide(len(rows), fraction, Key(self.seed).fold(_VALIDATION))
            held_out = rows[aside], target[aside]
            rows, target = rows[kept], target[kept]
        program = self._program(rows, target, batch_size, optim.resolve(optimizer), engine)
        history = History("accuracy" if self.loss.task == "classification" else "R2")
        validate = partial(self._validate, *held_out) if held_out else None
        with listening(progress) as listeners:
            train(program, epochs, history, self._keep, validate, listeners)
        return history

    def training_program(
        self,
        X: Any,
        y: Any,
        batch_size: int | None = 32,
        optimizer: str | Optimizer = "adam",
        engine: str = "auto",
    ) -> TrainingProgram:
        """The training run without the loop around it, for measuring and for loops of one's own.

        It starts from the present parameters and leaves them as they are; read `program.parameters`. Raises
        what `fit` raises for its arguments.
        """
        return self._program(*self._accept(X, y), batch_size, optim.resolve(optimizer), engine)

    # -- use

    def predict(self, X: Any) -> NDArray:
        """Labels (rows,) for a classifier, values (rows,) or (rows, outputs) for a regressor.

        A classifier of several yes-or-no outputs gives 0 or 1 for each, (rows, outputs).

        >>> net = gn.Network([gn.Dense(1)], loss="mean_squared_error", input_shape=2)
        >>> net.parameters = {"dense_1.weight": [[1.0, 2.0]], "dense_1.bias": [0.5]}
        >>> net.predict([[1.0, 1.0]])
        array([3.5], dtype=float32)
        """
        output = self._evaluator.output(self._parameters, self._rows(X))
        if self.loss.task == "classification":
            return self._encoding.decode(output)
        return output[:, 0] if output.shape[1:] == (1,) else output

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities (rows, classes), in the order of `classes`; (rows, outputs) for yes-or-no outputs."""
        if self.loss.task != "classification":
            raise ConfigurationError(
                f"predict_proba is for classifiers, and this network minimises {self.loss.name}; use predict."
            )
        output = self._evaluator.output(self._parameters, self._rows(X))
        return np.concatenate([1 - output, output], axis=1) if output.shape[1] == 1 else output

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """The mean "loss", and "accuracy" for a classifier, or "r2" and "mean_absolute_error"."""
        rows = self._rows(X)
        encoding = self._encoding
        target = encoding.encode(as_targets(y, len(rows)))
        return self._evaluator.figures(self._parameters, rows, target, encoding)

    # -- looking inside

    @property
    def parameters(self) -> dict[str, NDArray]:
        """The parameters by name: "dense_1.weight" (units, inputs), "dense_1.bias" (units,), ...; read-only.

        Assign a dict of the same names and shapes to replace them. Raises NotFittedError before there are
        any; assignment raises ConfigurationError for other names, ShapeError for other shapes and DataError
        for values that are not finite numbers.
        """
        self._require_built()
        named: dict[str, NDArray] = {}
        for name, array in zip(self.parameter_names, flatten(self._parameters)[0], strict=True):
            named[name] = array.view()
            named[name].flags.writeable = False
        return named

    @parameters.setter
    def parameters(self, values: Mapping[str, Any]) -> None:
        current = self.parameters
        if not isinstance(values, Mapping) or set(values) != set(current):
            got = ", ".join(map(str, values)) if isinstance(values, Mapping) else type(values).__name__
            raise ConfigurationError(f"The parameters are a dict with {', '.join(current)}; got {got}.")
        arrays: list[NDArray] = []
        for name, now in current.items():
            array = as_numbers(values[name], self.dtype, f"The parameter {name}").copy()
            if array.shape != now.shape:
                raise ShapeError(f"The parameter {name} has shape {now.shape}; got {array.shape}.")
            arrays.append(array)
        self._parameters = self._nest(arrays)

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameters in order."""
        return self._composition.parameter_names(self._parameters)

    def gradients(self, X: Any, y: Any, engine: str = "interpreter") -> dict[str, NDArray]:
        """The gradient of the mean loss over these rows, with the names and shapes of `parameters`.

        >>> net = gn.Network([gn.Dense(1)], loss="half_squared_error", input_shape=2)
        >>> net.parameters = {"dense_1.weight": [[1.0, 2.0]], "dense_1.bias": [0.5]}
        >>> net.gradients([[1.0, 1.0]], [3.0])["dense_1.bias"]
        array([0.5], dtype=float32)
        """
        rows = self._rows(X)
        target = self._encoding_for(as_targets(y, len(rows)), rows.shape[1:])[1]
        graph, _ = trace(grad(self._composition.mean_loss), self._parameters, rows, target)
        values = run(graph, [*flatten(self._parameters)[0], rows, target], engine)
        return dict(zip(self.parameter_names, values, strict=True))

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
        return inspection.trace_example(self._composition, self._parameters, rows[0], target[0])

    def certify(self, X: Any, y: Any, engine: str = "auto") -> inspection.Certificate:
        """Compares the gradient that training uses, on these rows, with differences of the loss in float64.

        Before the first fit the parameters are made for these rows; classes are not learnt from them.

        >>> net = gn.Network([gn.Dense(3)], loss="cross_entropy")
        >>> net.certify([[1.0, 2.0], [0.5, 0.25]], [0, 2]).largest_relative_error < 1e-5
        True
        """
        rows = as_rows(X, self.dtype)
        target = self._encoding_for(as_targets(y, len(rows)), rows.shape[1:])[1]
        self._build(rows.shape[1:])
        return inspection.certify(self._composition, self._parameters, rows, target, engine)

    def layer_table(self) -> list[tuple[str, str, Shape, int]]:
        """A row for each layer: name, description, output shape, number of parameters."""
        return self._composition.table(self._require_built(), self._parameters)

    @property
    def output_shape(self) -> Shape:
        """The shape of one example's output."""
        return self._composition.output_shape(self._require_built())

    # -- keeping

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the network to a model file: data, never code. The file is whole or not there at all.

        `gn.load(path)` reads it. Raises ModelFileError where it cannot be written, ConfigurationError for an
        activation or loss of your own, NotFittedError before there are parameters.
        """
        write_model_file(path, *self.to_document())

    def to_document(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """The network as plain data: a JSON document, and the parameters by name."""
        if LOSSES.get(self.loss.name) is not self.loss:
            raise ConfigurationError(
                f"The loss {self.loss.name} is your own, and a model file holds data, not code; "
                "save net.parameters, or use a loss by name."
            )
        document = {
            "kind": "network",
            "layers": [layer.to_document() for layer in self.layers],
            "loss": self.loss.name,
            "seed": self.seed,
            "dtype": str(self.dtype),
            "input_shape": list(self._require_built()),
            "classes": None if self.classes is None else self.classes.tolist(),
            "epochs_trained": self._epochs_trained,
        }
        return document, dict(self.parameters)

    @staticmethod
    def from_document(document: dict[str, Any], arrays: dict[str, NDArray]) -> Network:
        """The network that `to_document` wrote; a ModelFileError for anything else."""
        try:
            layers = [Layer.from_document(layer) for layer in document["layers"]]
            net = Network(
                layers, document["loss"], document["seed"], document["dtype"], tuple(document["input_shape"])
            )
            net.parameters = arrays
            net._epochs_trained = require_whole("Network", "epochs_trained", document["epochs_trained"], 0)
            if document["classes"] is not None:
                net.classes = np.array(document["classes"])
                count = Encoding(net.loss, net.output_shape, net.dtype).class_count
                if net.classes.shape != (count,):
                    raise DataError(f"it lists {len(net.classes)} classes for {count}")
        except KeyError as error:
            raise ModelFileError(f"The model file does not describe a network: it lacks {error}.") from None
        except ModelFileError:
            raise
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"The model file does not describe a network: {error}") from None
        return net

    def __repr__(self) -> str:
        return f"Network([{', '.join(layer.describe() for layer in self.layers)}], loss={self.loss.name!r})"

    # -- inner workings

    def _accept(self, X: Any, y: Any) -> tuple[NDArray, NDArray]:
        """Rows and encoded targets to train on; input shape and classes are learnt if both are good."""
        rows = as_rows(X, self.dtype)
        encoding, target = self._encoding_for(as_targets(y, len(rows)), rows.shape[1:])
        self._build(rows.shape[1:])
        self.classes = encoding.classes
        return rows, target

    def _build(self, input_shape: Shape) -> None:
        """Makes the parameters for this input shape unless they are there."""
        if self.input_shape is None:
            self._composition.output_shape(input_shape)
            key = Key(self.seed).fold(_INITIALIZATION)
            self._parameters = self._composition.init(key, input_shape, self.dtype)
            self.input_shape = input_shape

    def _require_built(self) -> Shape:
        if self.input_shape is None:
            raise NotFittedError(
                "This network has no parameters yet; call fit first, or give Network an input_shape."
            )
        return self.input_shape

    def _require_shape(self, input_shape: Shape) -> None:
        if self.input_shape not in (None, input_shape):
            raise ShapeError(
                f"X has rows of shape {input_shape}, but this network takes rows of shape {self.input_shape}."
            )

    def _rows(self, X: Any) -> NDArray:
        self._require_built()
        rows = as_rows(X, self.dtype)
        self._require_shape(rows.shape[1:])
        return rows

    @property
    def _encoding(self) -> Encoding:
        """How the network reads targets and names its outputs; NotFittedError before it knows its classes."""
        encoding = Encoding(self.loss, self.output_shape, self.dtype, self.classes)
        if encoding.class_count and self.classes is None:
            raise NotFittedError("This classifier does not know its classes yet; call fit first.")
        return encoding

    def _encoding_for(self, y: NDArray, input_shape: Shape) -> tuple[Encoding, NDArray]:
        """The encoding that is known, or else the one that y asks for; and y encoded."""
        self._require_shape(input_shape)
        shape = self._composition.output_shape(input_shape)
        if self.classes is None:
            encoding = Encoding.learn(y, self.loss, shape, self.dtype)
        else:
            encoding = Encoding(self.loss, shape, self.dtype, self.classes)
        return encoding, encoding.encode(y)

    def _nest(self, leaves: Sequence[NDArray]) -> NestedParameters:
        remaining = iter(leaves)
        return tuple({name: next(remaining) for name in own} for own in self._parameters)

    def _program(
        self, rows: NDArray, target: NDArray, batch_size: int | None, optimizer: Optimizer, engine: str
    ) -> TrainingProgram:
        size = len(rows)
        if batch_size is not None:
            size = min(require_whole("fit", "batch_size", batch_size, 1), size)
        step, carried = build_step(
            self._composition, optimizer, self._parameters, size, rows, target, self.dtype
        )
        key = Key(self.seed).fold(_SHUFFLING) if size < len(rows) else None
        made, reason = runner(step, TrainingData(rows, target, key), carried, optimizer.learning_rate, engine)
        return TrainingProgram(made, len(self.parameter_names), self._epochs_trained, reason)

    def _keep(self, leaves: Sequence[NDArray]) -> None:
        """Takes over the parameters of one more epoch."""
        self._parameters = self._nest(leaves)
        self._epochs_trained += 1

    def _validation_rows(self, given: tuple[Any, Any], fraction: float) -> tuple[NDArray, NDArray]:
        if fraction:
            raise ConfigurationError("fit got validation_data and validation_fraction; give one of them.")
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ConfigurationError("fit got validation_data that is no pair; it takes a tuple (X, y).")
        rows = as_rows(given[0], self.dtype, "validation X")
        self._require_shape(rows.shape[1:])
        return rows, self._encoding.encode(as_targets(given[1], len(rows), "validation y"), "validation y")

    def _validate(self, rows: NDArray, target: NDArray, leaves: Sequence[NDArray]) -> tuple[float, float]:
        figures = self._evaluator.figures(self._nest(leaves), rows, target, self._encoding)
        loss, score, *_ = figures.values()
        return loss, score


register_kind("network", Network.from_document)
