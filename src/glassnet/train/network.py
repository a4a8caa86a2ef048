"""Network: layers, a loss, and the current parameters. The one object of glassnet that changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from glassnet import losses, optim
from glassnet.core.dtype import DType, NDArray, floating
from glassnet.core.graph import Graph
from glassnet.core.random import Key, permutation
from glassnet.core.shape import Shape
from glassnet.core.step import TrainingData
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError, DataError, ModelFileError, NotFittedError, ShapeError
from glassnet.execute import check_engine, run, runner
from glassnet.losses import Loss
from glassnet.nn import Layer
from glassnet.optim import Optimizer
from glassnet.persist import register_kind, write_model_file
from glassnet.train import inspection, metrics
from glassnet.train.events import Listener
from glassnet.train.history import History
from glassnet.train.loop import TrainingProgram, train
from glassnet.train.program import NestedParameters, build_step, forward, instance_loss, loss_sum
from glassnet.train.progress import ProgressBar
from glassnet.train.targets import Encoding, as_rows
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace

# What the seed is used for; each purpose has a stream of random numbers of its own.
_INITIALIZATION, _SHUFFLING, _VALIDATION = 1, 2, 3
_PREDICTION_ROWS = 4096  # more are predicted piece by piece, so that memory stays bounded


class Network:
    """A feed-forward network: layers in a row, a loss, and the parameters that training changes.

    `layers` work on one example each, in order; `loss` is a name of `glassnet.losses` or a Loss. With
    "cross_entropy" the last layer gives one z a class and with "binary_cross_entropy" one z a yes-or-no
    output; the softmax or sigmoid belongs to the loss and may be written at the last layer or left out.
    `seed` decides the initial weights, the shuffles and the validation rows. `dtype` is "float32" or
    "float64". Parameters are made when the number of inputs is known: from `input_shape`, or from the first
    data.

    Raises ConfigurationError for layers and a loss that do not fit.

    >>> X = np.array([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
    >>> net = gn.Network([gn.Dense(8, activation="tanh"), gn.Dense(1)], loss="binary_cross_entropy", seed=0)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=400, optimizer=gn.Adam(0.05), progress=False)
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
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            raise ConfigurationError(
                "Network takes a list of one or more layers, such as [Dense(32, activation='relu'), Dense(10)]."
            )
        if not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise ConfigurationError(f"Network got seed={seed!r}; it takes a whole number from 0 to 2**64 - 1.")
        self.layers = tuple(layers)
        self.loss = losses.resolve(loss)
        self.seed = seed
        self.dtype: DType = floating(dtype, "Network")
        self.classes: NDArray | None = None
        self.input_shape: Shape | None = None
        self._fused = _fuse_output(self.layers, self.loss)
        self._names = _layer_names(self.layers)
        self._parameters: NestedParameters = ()
        self._epochs_trained = 0
        self._graphs: dict[Any, Graph] = {}
        if input_shape is not None:
            self._build((input_shape,) if isinstance(input_shape, int) else tuple(input_shape))

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
        progress: bool | Listener = True,
        engine: str = "auto",
    ) -> History:
        """Trains on rows X (rows, features) and targets y, from the present parameters on.

        y holds labels (rows,), one-hot or probability rows (rows, classes), or values (rows,) or
        (rows, outputs). `batch_size` None is the full batch; the last batch of an epoch may be short, and its
        gradient is the mean over the rows it has. Rows are shuffled every epoch unless the batch is full.
        `optimizer` is a name ("sgd", "momentum", "adam") or an Optimizer; its state starts afresh with every
        fit. `validation_fraction` sets rows aside, `validation_data` brings its own. `progress` is True (a
        bar), False, or any listener of `glassnet.train.events`. `engine` is "auto", "compiled" or
        "interpreter".

        Returns the History. Ctrl-C ends the run, keeps the last finished epoch and says so in
        `history.stopped`. Raises DataError, ShapeError or ConfigurationError for input that does not fit and
        DivergedError when a loss is not finite.
        """
        if not isinstance(epochs, int) or epochs < 1:
            raise ConfigurationError(f"fit got epochs={epochs!r}; it takes a whole number of 1 or more.")
        rows = as_rows(X, self.dtype)
        self._build(rows.shape[1:])
        self._learn_encoding(y)
        target = self._encoding.encode(y, len(rows))
        rows, target, held_out = self._set_aside(rows, target, validation_fraction, validation_data)
        program = self._program(rows, target, batch_size, optim.resolve(optimizer), engine)
        history = History("accuracy" if self.loss.task == "classification" else "R2")

        def keep(parameters: Sequence[NDArray]) -> None:
            self._parameters = self._nest(parameters)
            self._epochs_trained = program.epochs_run

        def validate(_: Sequence[NDArray]) -> tuple[float, float]:
            figures = self._figures(*held_out)  # type: ignore[misc]  # called only where rows are held out
            return figures["loss"], figures["accuracy" if "accuracy" in figures else "r2"]

        run_training = (program, epochs, history, keep, validate if held_out else None)
        if progress is True:
            with ProgressBar() as bar:
                train(*run_training, [bar])
        else:
            train(*run_training, [progress] if progress else [])
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

        It starts from the present parameters and leaves them as they are; read `program.parameters`.
        """
        rows = as_rows(X, self.dtype)
        self._build(rows.shape[1:])
        self._learn_encoding(y)
        target = self._encoding.encode(y, len(rows))
        return self._program(rows, target, batch_size, optim.resolve(optimizer), engine)

    # -- use

    def predict(self, X: Any) -> NDArray:
        """Labels for a classifier (rows,), values for a regressor: (rows,) for one output, else (rows, outputs)."""
        output = self._forward(self._rows(X))
        if self.loss.task == "classification":
            return self._encoding.decode(output)
        return output[:, 0] if output.shape[1:] == (1,) else output

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities (rows, classes); for several yes-or-no outputs (rows, outputs)."""
        if self.loss.task != "classification":
            raise ConfigurationError(f"predict_proba is for classifiers; this network minimises {self.loss.name}.")
        output = self._forward(self._rows(X))
        if self.loss.link == "sigmoid" and output.shape[1] == 1:
            return np.concatenate([1 - output, output], axis=1)
        return output

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """The mean loss, and accuracy for a classifier or R2 and mean absolute error for a regressor."""
        rows = self._rows(X)
        return self._figures(rows, self._encoding.encode(y, len(rows)))

    # -- looking inside

    @property
    def parameters(self) -> dict[str, NDArray]:
        """The parameters by name: "dense_1.weight" (units, inputs), "dense_1.bias" (units,), ...; read-only.

        Assign a dict of the same names and shapes to replace them.
        """
        self._require_built()
        named: dict[str, NDArray] = {}
        for name, array in zip(self.parameter_names, flatten(self._parameters)[0], strict=True):
            named[name] = array.view()
            named[name].flags.writeable = False
        return named

    @parameters.setter
    def parameters(self, values: Mapping[str, Any]) -> None:
        self._require_built()
        current = self.parameters
        if set(values) != set(current):
            raise ConfigurationError(f"The parameters are {', '.join(current)}; got {', '.join(values)}.")
        arrays: list[NDArray] = []
        for name, now in current.items():
            array = np.array(values[name], self.dtype)
            if array.shape != now.shape:
                raise ShapeError(f"The parameter {name} has shape {now.shape}; got {array.shape}.")
            arrays.append(array)
        self._parameters = self._nest(arrays)

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameters in order."""
        return inspection.nested_names(self._names, self._parameters)

    def gradients(self, X: Any, y: Any, engine: str = "interpreter") -> dict[str, NDArray]:
        """The gradient of the mean loss over these rows, with the names and shapes of `parameters`."""
        rows = self._rows(X)
        target = self._encoding_for(y).encode(y, len(rows))
        leaves, _ = flatten(self._parameters)
        graph, _ = trace(
            lambda p, x, t: value_and_grad(self._mean_loss(self.dtype))(p, x, t)[1], self._parameters, rows, target
        )
        return dict(zip(self.parameter_names, run(graph, [*leaves, rows, target], engine), strict=True))

    def trace(self, x: Any, y: Any) -> inspection.Trace:
        """One example forward and back: every layer's z, y and delta, the gradients, and the loss's slope in x."""
        rows = self._rows(np.asarray(x)[None] if np.ndim(x) == len(self.input_shape or ()) else x)
        if len(rows) != 1:
            raise ShapeError(f"trace follows one example; it got {len(rows)}.")
        y = [y] if np.ndim(y) < 1 or np.shape(y) == self.output_shape else y
        target = self._encoding_for(y).encode(y, 1)[0]
        if target.dtype.kind == "i":
            target = np.eye(self.output_shape[0], dtype=self.dtype)[target]
        return inspection.trace_example(self._named_output(), self._names, self._parameters, self.loss, rows[0], target)

    def certify(self, X: Any, y: Any, engine: str = "auto") -> inspection.Certificate:
        """Compares the compiled gradient on these rows with differences of the loss in float64."""
        rows = as_rows(X, self.dtype)
        self._build(rows.shape[1:])
        target = self._encoding_for(y).encode(y, len(rows))
        return inspection.certify(
            self._mean_loss, self._parameters, self.parameter_names, rows, target, check_engine(engine)
        )

    def layer_table(self) -> list[tuple[str, str, Shape, int]]:
        """A row for each layer: name, description, output shape, number of parameters."""
        shape = self._require_built()
        table: list[tuple[str, str, Shape, int]] = []
        for name, layer, own in zip(self._names, self._named_output(), self._parameters, strict=True):
            shape = layer.output_shape(shape)
            table.append((name, layer.describe(), shape, sum(array.size for array in own.values())))
        return table

    @property
    def output_shape(self) -> Shape:
        """The shape of one example's output."""
        shape = self._require_built()
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    # -- keeping

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the network to a model file: data, never code. The file is whole or not there at all."""
        write_model_file(path, *self.to_document())

    def to_document(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """The network as plain data: a JSON document, and the parameters by name."""
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
            net.classes = None if document["classes"] is None else np.array(document["classes"])
            net._epochs_trained = int(document["epochs_trained"])
        except (KeyError, TypeError, ConfigurationError, ShapeError) as error:
            raise ModelFileError(f"The model file does not describe a network: {error}") from None
        return net

    def __repr__(self) -> str:
        return f"Network([{', '.join(layer.describe() for layer in self.layers)}], loss={self.loss.name!r})"

    # -- inner workings

    def _build(self, input_shape: Shape) -> None:
        """Makes the parameters for this input shape, or checks that it is the one there is."""
        if self.input_shape is None:
            shape, parameters, key = input_shape, [], Key(self.seed).fold(_INITIALIZATION)
            for number, layer in enumerate(self.layers):
                parameters.append(layer.init(key.fold(number), shape, self.dtype))
                shape = layer.output_shape(shape)
            self.input_shape, self._parameters = input_shape, tuple(parameters)
        elif self.input_shape != input_shape:
            raise ShapeError(
                f"The rows have shape {input_shape}, but this network takes rows of shape {self.input_shape}."
            )

    def _require_built(self) -> Shape:
        if self.input_shape is None:
            raise NotFittedError("This network has no parameters yet: call fit first, or give Network an input_shape.")
        return self.input_shape

    def _rows(self, X: Any) -> NDArray:
        self._require_built()
        rows = as_rows(X, self.dtype)
        self._build(rows.shape[1:])
        return rows

    @property
    def _encoding(self) -> Encoding:
        if self.loss.link == "softmax" and self.classes is None:
            raise NotFittedError("This classifier does not know its classes yet: call fit first.")
        return Encoding(self.loss, self.output_shape, self.dtype, self.classes)

    def _encoding_for(self, y: Any) -> Encoding:
        return Encoding.learn(y, self.loss, self.output_shape, self.dtype, self.classes)

    def _learn_encoding(self, y: Any) -> None:
        self.classes = self._encoding_for(y).classes

    def _nest(self, leaves: Sequence[NDArray]) -> NestedParameters:
        remaining = iter(leaves)
        return tuple({name: next(remaining) for name in own} for own in self._parameters)

    def _mean_loss(self, dtype: DType) -> Callable[..., Any]:
        divergence = instance_loss(self._fused, self.loss, self.output_shape[0], dtype)

        def mean_loss(parameters: NestedParameters, x: Any, target: Any) -> Any:
            total, count = loss_sum(divergence, parameters, x, target)
            return total / count

        return mean_loss

    def _program(
        self, rows: NDArray, target: NDArray, batch_size: int | None, optimizer: Optimizer, engine: str
    ) -> TrainingProgram:
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ConfigurationError(
                f"fit got batch_size={batch_size!r}; it takes a whole number of 1 or more, or None for all rows."
            )
        size = min(batch_size or len(rows), len(rows))
        divergence = instance_loss(self._fused, self.loss, self.output_shape[0], self.dtype)
        step, carried, _ = build_step(
            divergence, optimizer, self._parameters, size, len(rows), rows.shape[1:], target, self.dtype
        )
        key = Key(self.seed).fold(_SHUFFLING) if size < len(rows) else None
        made, reason = runner(step, TrainingData(rows, target, key), carried, optimizer.learning_rate, engine)
        return TrainingProgram(made, len(self.parameter_names), self._epochs_trained, reason)

    def _set_aside(
        self, rows: NDArray, target: NDArray, fraction: float, given: tuple[Any, Any] | None
    ) -> tuple[NDArray, NDArray, tuple[NDArray, NDArray] | None]:
        if given is not None:
            held_rows = as_rows(given[0], self.dtype, "validation X")
            self._build(held_rows.shape[1:])
            return rows, target, (held_rows, self._encoding.encode(given[1], len(held_rows)))
        if not 0 <= fraction < 1:
            raise ConfigurationError(f"fit got validation_fraction={fraction!r}; it takes a number from 0 up to 1.")
        held = round(fraction * len(rows))
        if fraction and not 0 < held < len(rows):
            raise DataError(f"validation_fraction={fraction} of {len(rows)} rows leaves no rows on one side.")
        if not held:
            return rows, target, None
        order = permutation(Key(self.seed).fold(_VALIDATION), len(rows))
        kept, aside = np.sort(order[held:]), np.sort(order[:held])
        return rows[kept], target[kept], (rows[aside], target[aside])

    def _named_output(self) -> tuple[Layer, ...]:
        """The layers with the output activation that the loss implies made explicit."""
        if not self.loss.link:
            return self.layers
        last = self._fused[-1]
        return (*self._fused[:-1], last.with_activation(self.loss.link))

    def _forward(self, rows: NDArray) -> NDArray:
        """The outputs (probabilities for a classifier) of all rows."""
        layers = self._named_output()
        pieces = [rows[i : i + _PREDICTION_ROWS] for i in range(0, len(rows), _PREDICTION_ROWS)]
        return np.concatenate([self._run("forward", lambda p, x: forward(layers, p, x), piece) for piece in pieces])

    def _figures(self, rows: NDArray, target: NDArray) -> dict[str, float]:
        divergence = instance_loss(self._fused, self.loss, self.output_shape[0], self.dtype)
        loss = float(np.mean(self._run("divergence", divergence, rows, target), dtype=np.float64))
        output = self._forward(rows)
        if self.loss.task == "regression":
            return {
                "loss": loss,
                "r2": metrics.r2(output, target),
                "mean_absolute_error": metrics.mean_absolute_error(output, target),
            }
        encoding = self._encoding
        if target.ndim == 1:
            assert encoding.classes is not None  # labels are encoded by classes that are known
            actual = encoding.classes[target]
        else:
            actual = encoding.decode(target)
        return {"loss": loss, "accuracy": metrics.accuracy(encoding.decode(output), actual)}

    def _run(self, what: str, of_one_example: Callable[..., Any], *batch: NDArray) -> NDArray:
        """A function of (parameters, example...) over a batch; its graph is traced once a batch shape."""
        known = (what, *((array.shape, array.dtype) for array in batch))
        if known not in self._graphs:
            axes = (None, *(0 for _ in batch))
            graph, _ = trace(vmap(of_one_example, in_axes=axes), self._parameters, *batch)
            self._graphs[known] = graph
        return run(self._graphs[known], [*flatten(self._parameters)[0], *batch])[0]


def _layer_names(layers: Sequence[Layer]) -> list[str]:
    return [f"{type(layer).__name__.lower()}_{number}" for number, layer in enumerate(layers, 1)]


def _fuse_output(layers: Sequence[Layer], loss: Loss) -> tuple[Layer, ...]:
    """The layers with the last activation left to the loss, where the loss contains it."""
    *inner, last = layers
    if loss.link is None:
        return tuple(layers)
    if last.activation_name not in ("identity", loss.link):
        raise ConfigurationError(
            f"The loss {loss.name} contains the output activation {loss.link}, but the last layer is {last.describe()}; "
            f'give it activation="{loss.link}" or none.'
        )
    return (*inner, last.with_activation("identity"))


register_kind("network", Network.from_document)
