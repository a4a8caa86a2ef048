"""Network: layers, a loss, and the current parameters. The one object of glassnet that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from glassnet import losses
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import DType, NDArray, floating
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.core.tree import flatten, unflatten
from glassnet.data import Source
from glassnet.errors import ConfigurationError, DataError, ModelFileError, NotFittedError, ShapeError
from glassnet.execute import run
from glassnet.losses import Loss
from glassnet.nn import Layer, Parameters
from glassnet.optim import Optimizer
from glassnet.optim.finder import LearningRateCurve, LearningRateFinder
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.persist import register_kind, write_model_file
from glassnet.train import inspection
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Evaluator, Model, divide
from glassnet.train.events import Listener
from glassnet.train.fitting import (
    INITIALIZATION,
    VALIDATION,
    Rows,
    Setting,
    program_of,
    resolve_optimizer,
    streamed_program_of,
    weights_of,
)
from glassnet.train.history import History
from glassnet.train.loop import Measures, listening, train
from glassnet.train.metrics import Metric
from glassnet.train.metrics import resolve as resolve_metric
from glassnet.train.naming import named
from glassnet.train.options import require_fraction, require_whole
from glassnet.train.plateau import follow_plateau
from glassnet.train.stopping import StoppingRule, require_rules
from glassnet.train.summary import Summary
from glassnet.train.targets import Encoding, as_numbers, as_rows, as_targets
from glassnet.train.training import TrainingProgram
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import grad
from glassnet.transforms.tracing import trace


class Network:
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

    def __init__(
        self,
        layers: Sequence[Layer] | Layer,
        loss: str | Loss,
        seed: int = 0,
        dtype: str = "float32",
        input_shape: int | Shape | None = None,
        reduction: str = "mean",
        classes: Sequence[Any] | None = None,
    ) -> None:
        listed = (layers,) if isinstance(layers, Layer) else layers
        if not isinstance(listed, Sequence) or not listed or not all(isinstance(x, Layer) for x in listed):
            raise ConfigurationError(
                f"Network got layers={layers!r}; it takes a list of one or more layers, such as "
                "[Dense(32, activation='relu'), Dense(10)]."
            )
        if reduction not in ("mean", "sum"):
            raise ConfigurationError(f'Network got reduction={reduction!r}; it takes "mean" or "sum".')
        self.layers = tuple(listed)
        self.loss = losses.resolve(loss)
        self.seed = require_whole("Network", "seed", seed, 0, 2**64 - 1)
        self.dtype: DType = floating(dtype, "Network")
        self.classes: NDArray | None = None if classes is None else np.asarray(classes)
        self.input_shape: Shape | None = None
        self._composition = Composition.of(self.layers, self.loss, reduction)
        self._evaluator = Evaluator(self._composition)
        self._model: Model = ({}, {})
        self._epochs_trained = 0
        if input_shape is not None:
            sizes = input_shape if isinstance(input_shape, (tuple, list)) else (input_shape,)
            self._build(tuple(require_whole("Network", "input_shape", size, 1) for size in sizes))

    # -- training

    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 10,
        batch_size: int | None = 32,
        optimizer: str | Optimizer | FullBatchMethod[Any] = "adam",
        validation_fraction: float = 0.0,
        validation_data: tuple[Any, Any] | None = None,
        progress: bool | Listener | None = None,
        engine: str = "auto",
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        metrics: Sequence[str | Metric] = (),
        stopping: StoppingRule | Sequence[StoppingRule] | None = None,
        listeners: Sequence[Listener] = (),
        steps_per_event: int | None = None,
    ) -> History:
        """Trains on rows X (rows, ...) and targets y, from the present parameters on.

        y holds labels (rows,), one-hot or probability rows (rows, classes), or values (rows,) or
        (rows, outputs); a sequence network takes labels (rows, positions). X may be a source of blocks of
        rows (`glassnet.data`), larger than memory; y is left out then. `batch_size` None is the full batch;
        the last batch of an epoch may be short, and its gradient is the mean over the rows it has. Rows are
        shuffled every epoch unless the batch is full.

        `optimizer` is a name, an Optimizer (chained, clipped, with a schedule as its rate), or a method for
        full batches such as LBFGS(), of which an epoch is one iteration; its state starts afresh with every
        fit. `sample_weight` (rows,) and `class_weight` (a dict, or "balanced") weigh the divergences; the
        loss is their weighted mean. `validation_fraction` sets rows aside, `validation_data` (X, y) brings
        its own. `metrics` are measured after every epoch on the training and the validation rows.
        `stopping` is a rule or several: EarlyStopping, Convergence, TimeLimit. `progress` is None (a bar on a
        terminal, nothing elsewhere), True (a bar, or a few lines where no terminal is), False, or a listener
        of `glassnet.train.events`; `listeners` are further ones, told of batches too every `steps_per_event`
        steps. `engine` is "auto", "compiled" or "interpreter".

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
        rules = require_rules(stopping)
        chosen = resolve_optimizer(optimizer)
        if steps_per_event is not None:
            require_whole("fit", "steps_per_event", steps_per_event, 1)
        measured = [resolve_metric(metric, self.loss.task) for metric in metrics]
        held_out: Rows | None = None
        rows: Rows | None = None
        if isinstance(X, Source):
            if y is not None or fraction or sample_weight is not None or class_weight is not None:
                raise ConfigurationError(
                    "fit got a source, which gives X and y itself; leave out y, weights and "
                    "validation_fraction, and give validation_data=(X, y)."
                )
            program = self._streamed(X, batch_size, chosen, epochs, engine)
        else:
            rows = self._accept(X, y, sample_weight, class_weight)
            if fraction and validation_data is None:
                kept, aside = divide(len(rows.x), fraction, Key(self.seed).fold(VALIDATION))
                rows, held_out = rows.take(kept), rows.take(aside)
            program = program_of(self._setting, rows, batch_size, chosen, epochs, engine)
        if validation_data is not None:
            held_out = self._validation_rows(validation_data, fraction)
        score = resolve_metric("accuracy" if self.loss.task == "classification" else "r2", self.loss.task)
        history = History("accuracy" if self.loss.task == "classification" else "R2")
        measures = Measures(
            partial(self._figures, rows, held_out, measured, score),
            partial(self._gradient_norm, rows),
            follow_plateau(chosen),
        )
        with listening(progress, listeners) as told:
            train(program, epochs, history, self._keep, measures, told, rules, steps_per_event)
        self._epochs_trained += history.epochs
        return history

    def training_program(
        self,
        X: Any,
        y: Any,
        batch_size: int | None = 32,
        optimizer: str | Optimizer | FullBatchMethod[Any] = "adam",
        engine: str = "auto",
        epochs: int = 1,
    ) -> TrainingProgram:
        """The training run without the loop around it, for measuring and for loops of one's own.

        It starts from the present parameters and leaves them as they are; read `program.parameters`.
        `epochs` is the length that schedules reckon with. Raises what `fit` raises for its arguments.
        """
        rows = self._accept(X, y)
        return program_of(self._setting, rows, batch_size, resolve_optimizer(optimizer), epochs, engine)

    def find_learning_rate(
        self,
        X: Any,
        y: Any,
        batch_size: int | None = 32,
        optimizer: str | Optimizer = "adam",
        finder: LearningRateFinder | None = None,
    ) -> LearningRateCurve:
        """The rate at which the loss falls fastest, by a range test: steps with growing rates.

        The parameters stay as they are. `finder` sets the range and the number of steps; the returned curve
        has `suggestion`, `rates`, `losses` and `plot()`. Raises DataError where the loss falls at no rate.

        Source: Smith, Cyclical learning rates for training neural networks, WACV (2017), section 3.3.
        """
        finder = finder or LearningRateFinder()
        program = self.training_program(X, y, batch_size, optimizer, epochs=finder.steps)
        losses: list[float] = []
        while len(losses) < finder.steps and finder.calm_steps(losses) == len(losses):
            # The rate of a piece is set before the piece is run: batches come one by one.
            program.learning_rate = float(finder.rates[len(losses)])
            for _, loss in program.run_batches(1):
                losses.append(loss)
                if len(losses) == finder.steps or finder.calm_steps(losses) < len(losses):
                    break
                program.learning_rate = float(finder.rates[len(losses)])
        return finder.suggest(finder.rates[: len(losses)], losses)

    # -- use

    def predict(self, X: Any) -> NDArray:
        """Labels (rows,) for a classifier, values (rows,) or (rows, outputs) for a regressor.

        A classifier of several yes-or-no outputs gives 0 or 1 for each, (rows, outputs).

        >>> net = gn.Network([gn.Dense(1)], loss="mean_squared_error", input_shape=2)
        >>> net.parameters = {"dense_1.weight": [[1.0, 2.0]], "dense_1.bias": [0.5]}
        >>> net.predict([[1.0, 1.0]])
        array([3.5], dtype=float32)
        """
        output = self._evaluator.output(self._model, self._rows(X))
        if self.loss.task == "classification":
            return self._encoding.decode(output)
        return output[..., 0] if output.shape[-1:] == (1,) and output.ndim > 1 else output

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities (rows, classes), in the order of `classes`; (rows, outputs) for yes-or-no outputs."""
        if self.loss.task != "classification":
            raise ConfigurationError(
                f"predict_proba is for classifiers, and this network minimises {self.loss.name}; use predict."
            )
        encoding = Encoding(self.loss, self.output_shape, self.dtype, self.classes)
        return encoding.probabilities(self._evaluator.output(self._model, self._rows(X)))

    def evaluate(
        self, X: Any, y: Any, metrics: Sequence[str | Metric] | None = None, sample_weight: Any = None
    ) -> dict[str, float]:
        """The mean "loss" and each metric by name.

        Without `metrics`: "accuracy" for a classifier, "r2" and "mean_absolute_error" for a regressor.
        """
        if metrics is None:
            classifies = self.loss.task == "classification"
            metrics = ("accuracy",) if classifies else ("r2", "mean_absolute_error")
        rows = self._rows(X)
        encoding = self._encoding
        raw = as_targets(y, len(rows))
        target = encoding.encode(raw)
        weight = weights_of(encoding, target, raw, sample_weight, None, self.dtype)
        measured = [resolve_metric(metric, self.loss.task) for metric in metrics]
        return self._evaluator.figures(self._model, rows, target, encoding, measured, weight)

    # -- looking inside

    @property
    def parameters(self) -> dict[str, NDArray]:
        """The parameters by name: "dense_1.weight" (units, inputs), "dense_1.bias" (units,), ...; read-only.

        Assign a dict of the same names and shapes to replace them. Raises NotFittedError before there are
        any; assignment raises ConfigurationError for other names, ShapeError for other shapes and DataError
        for values that are not finite numbers.
        """
        self._require_built()
        return _read_only(self._model[0])

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
        parameters, statistics = self._model
        self._model = unflatten(flatten(parameters)[1], arrays), statistics

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameters in order."""
        return list(named(self._model[0]))

    @property
    def statistics(self) -> dict[str, NDArray]:
        """What layers keep besides parameters, by name: "batch_norm_2.mean", ...; read-only."""
        self._require_built()
        return _read_only(self._model[1])

    def gradients(
        self, X: Any, y: Any, engine: str = "interpreter", per_example: bool = False
    ) -> dict[str, NDArray]:
        """The gradient of the loss over these rows, with the names and shapes of `parameters`.

        The network is taken as it is used: nothing is dropped, the statistics are as they are. With
        `per_example` each array has one row an example, the gradient of its divergence: (rows, *shape).

        >>> net = gn.Network([gn.Dense(1)], loss="half_squared_error", input_shape=2)
        >>> net.parameters = {"dense_1.weight": [[1.0, 2.0]], "dense_1.bias": [0.5]}
        >>> net.gradients([[1.0, 1.0]], [3.0])["dense_1.bias"]
        array([0.5], dtype=float32)
        """
        rows = self._rows(X)
        target = self._encoding_for(as_targets(y, len(rows)), rows.shape[1:])[1]
        of_rows = grad(self._composition.loss_in_use)
        if per_example:
            of_rows = vmap(grad(self._composition.divergence_in_use), in_axes=(None, None, 0, 0))
        graph, _ = trace(of_rows, *self._model, rows, target)
        values = run(graph, [*flatten(self._model)[0], rows, target], engine)
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
        return inspection.trace_example(self._composition, *self._model, rows[0], target[0])

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
        return inspection.certify(self._composition, *self._model, rows, target, engine)

    def layer_table(self) -> list[tuple[str, str, Shape, int]]:
        """A row for each layer: name, description, output shape, number of parameters."""
        return self._composition.table(self._require_built(), self._model[0])

    def summary(self) -> Summary:
        """The layers, their output shapes and numbers of parameters, as a table that shows itself.

        >>> layers = [gn.Dense(3, activation="relu"), gn.Dense(1)]
        >>> gn.Network(layers, "mean_squared_error", input_shape=2).summary()
        input 2, loss mean_squared_error
        -----------------------------------------------
        layer    kind                output  parameters
        -----------------------------------------------
        dense_1  Dense(3, relu)      3                9
        dense_2  Dense(1, identity)  1                4
        -----------------------------------------------
        13 parameters, 0.1 KiB
        """
        counts = [sum(leaf.size for leaf in flatten(part)[0]) for part in self._model]
        rows = tuple(self.layer_table())
        size = sum(counts) * self.dtype.itemsize
        return Summary(self._require_built(), rows, self.loss.name, *counts, size)

    @property
    def output_shape(self) -> Shape:
        """The shape of one example's output."""
        return self._composition.output_shape(self._require_built())

    # -- keeping

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the network to a model file: data, never code. The file is whole or not there at all.

        `gn.load(path)` reads it, where layers and losses of your own are defined. Raises ModelFileError where
        it cannot be written, ConfigurationError for a function of your own, which is code, NotFittedError
        before there are parameters.
        """
        write_model_file(path, *self.to_document())

    def to_document(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """The network as plain data: a JSON document, and the parameters by name."""
        document = {
            "kind": "network",
            "layers": to_document(self.layers, "this network"),
            "loss": self.loss.to_document(),
            "seed": self.seed,
            "dtype": str(self.dtype),
            "reduction": self._composition.reduction,
            "input_shape": list(self._require_built()),
            "classes": None if self.classes is None else self.classes.tolist(),
            "epochs_trained": self._epochs_trained,
        }
        return document, self.parameters | self.statistics

    @staticmethod
    def from_document(document: dict[str, Any], arrays: dict[str, NDArray]) -> Network:
        """The network that `to_document` wrote; a ModelFileError for anything else."""
        try:
            net = Network(
                from_document(document["layers"]),
                Loss.from_document(document["loss"]),
                document["seed"],
                document["dtype"],
                tuple(document["input_shape"]),
                document.get("reduction", "mean"),  # NOTE files of the first format have none
            )
            kept = set(net.statistics)
            net.parameters = {name: array for name, array in arrays.items() if name not in kept}
            net._set_statistics({name: arrays[name] for name in kept})
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

    @property
    def _setting(self) -> Setting:
        return Setting(self._composition, self._model, self.seed, self.dtype, self._epochs_trained)

    def _accept(self, X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Rows:
        """Rows to train on; input shape and classes are learnt if all is good."""
        rows = as_rows(X, self.dtype)
        if y is None:
            raise ConfigurationError("fit got X and no y; give the targets, or a source that holds both.")
        raw = as_targets(y, len(rows))
        encoding, target = self._encoding_for(raw, rows.shape[1:])
        weight = weights_of(encoding, target, raw, sample_weight, class_weight, self.dtype)
        self._composition.network.check(rows)
        self._build(rows.shape[1:])
        self.classes = encoding.classes
        return Rows(rows, target, weight)

    def _build(self, input_shape: Shape) -> None:
        """Makes the parameters for this input shape unless they are there."""
        if self.input_shape is None:
            self._composition.output_shape(input_shape)
            key = Key(self.seed).fold(INITIALIZATION)
            self._model = self._composition.init(key, input_shape, self.dtype)
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
        self._composition.network.check(rows)
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

    def _streamed(
        self,
        source: Source,
        batch_size: int | None,
        optimizer: Optimizer | FullBatchMethod[Any],
        epochs: int,
        engine: str,
    ) -> TrainingProgram:
        blocks = source.blocks(self._epochs_trained)
        first = next(blocks, None)
        if first is None:
            raise DataError("The source gave no block; give one with at least one row.")
        rows = self._accept(*first)

        def encode(X: Any, y: Any) -> Rows:
            block = self._rows(X)
            return Rows(block, self._encoding.encode(as_targets(y, len(block))))

        return streamed_program_of(self._setting, source, rows, encode, batch_size, optimizer, epochs, engine)

    def _keep(self, model: Model) -> None:
        """Takes over the parameters and statistics of one more epoch."""
        self._model = model

    def _set_statistics(self, arrays: Mapping[str, NDArray]) -> None:
        parameters, statistics = self._model
        leaves = [
            as_numbers(arrays[name], self.dtype, name).reshape(now.shape)
            for name, now in named(statistics).items()
        ]
        self._model = parameters, unflatten(flatten(statistics)[1], leaves)

    def _validation_rows(self, given: tuple[Any, Any], fraction: float) -> Rows:
        if fraction:
            raise ConfigurationError("fit got validation_data and validation_fraction; give one of them.")
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ConfigurationError("fit got validation_data that is no pair; it takes a tuple (X, y).")
        rows = as_rows(given[0], self.dtype, "validation X")
        self._require_shape(rows.shape[1:])
        target = self._encoding.encode(as_targets(given[1], len(rows), "validation y"), "validation y")
        return Rows(rows, target)

    def _figures(
        self,
        rows: Rows | None,
        held_out: Rows | None,
        metrics: Sequence[Metric],
        score: Metric,
        model: Model,
    ) -> dict[str, float]:
        """What is measured after an epoch, besides the training loss."""
        figures: dict[str, float] = {}
        if metrics and rows is not None:
            measured = self._evaluator.figures(
                model, rows.x, rows.target, self._encoding, metrics, rows.weight
            )
            figures |= {name: value for name, value in measured.items() if name != "loss"}
        if held_out is not None:
            shown = list(metrics) if score.name in [m.name for m in metrics] else [score, *metrics]
            measured = self._evaluator.figures(
                model, held_out.x, held_out.target, self._encoding, shown, held_out.weight
            )
            figures |= {f"validation_{name}": value for name, value in measured.items()}
        return figures

    def _gradient_norm(self, rows: Rows | None, model: Model) -> float:
        if rows is None:
            raise ConfigurationError("Convergence by gradient needs all rows in memory, not a source.")
        graph, _ = trace(grad(self._composition.loss_in_use), *model, rows.x, rows.target)
        gradients = run(graph, [*flatten(model)[0], rows.x, rows.target])
        return float(np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients)))


def _read_only(tree: Parameters) -> dict[str, NDArray]:
    views = {name: array.view() for name, array in named(tree).items()}
    for array in views.values():
        array.flags.writeable = False
    return views


register_kind("network", Network.from_document)
