"""Training, use and measurement of a network; what it shows of itself stands above, in `glassnet.network`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import Any

from glassnet.core.dtype import NDArray
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.core.tree import flatten
from glassnet.data import Source
from glassnet.errors import ConfigurationError, DataError
from glassnet.execute import run
from glassnet.optim import SGD, LearningRateCurve, LearningRateFinder, Optimizer
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.persist import write_model_file
from glassnet.train import inspection
from glassnet.train.course import Measures
from glassnet.train.evaluation import Evaluator, divide
from glassnet.train.events import Listener
from glassnet.train.fitting import program_of, resolve_optimizer, streamed_program_of
from glassnet.train.history import History
from glassnet.train.last_fit import LastFit
from glassnet.train.loop import listening, train
from glassnet.train.measuring import Measuring
from glassnet.train.metrics import Metric, Task
from glassnet.train.metrics import resolve as resolve_metric
from glassnet.train.options import require_fraction, require_whole
from glassnet.train.plateau import follow_plateau
from glassnet.train.range_test import range_test
from glassnet.train.rows import Rows
from glassnet.train.setting import VALIDATION
from glassnet.train.state import NetworkState
from glassnet.train.stopping import StoppingRule, require_rules
from glassnet.train.summary import Summary
from glassnet.train.tallies import figures_of
from glassnet.train.targets import as_rows, as_targets
from glassnet.train.training import TrainingProgram
from glassnet.train.watching import Watch
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import grad
from glassnet.transforms.tracing import trace


class TrainableNetwork(NetworkState):
    """What a Network does with data: it is trained, used, measured, certified and kept."""

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
        threads: int | None = None,
        watch: bool = False,
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
        loss is their weighted mean (or sum). `validation_fraction` sets rows aside, `validation_data` (X, y)
        brings its own. `metrics` are measured after every epoch on the training rows, unless a source gives
        them, and on the validation rows.
        `stopping` is a rule or several: EarlyStopping, Convergence, TimeLimit. `progress` is None (a bar on a
        terminal, nothing elsewhere), True (a bar, or a few lines where no terminal is), False, or a listener
        of `glassnet.train.events`; `listeners` are further ones, told of batches too every `steps_per_event`
        steps; where none of them looks at each epoch, many epochs run in one native call. `engine` is "auto",
        "compiled" or "interpreter". `threads` make each compiled step together, with the same bits for any
        number of them, and fewer do while other programs want the cores; by default the environment's
        GLASSNET_THREADS, or else as many of this process's cores as the work of a step is worth, one below
        about a millisecond.

        With `watch` the run is looked at now and then, for about a twentieth of its time from its first half
        second on: `history.watched` has gradients, steps and dead units by layer, and listeners are Warned.

        Returns the History. Ctrl-C ends the run, keeps the last finished epoch (of epochs shorter than some
        hundredths of a second the last that were not lost with their native call) and says so in
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
        measured = self._metrics("fit", metrics)
        weights = sample_weight, class_weight
        rows, held_out = self._rows_of_run(X, y, fraction, validation_data, *weights)
        source = X if isinstance(X, Source) else None
        classifies = self._task == "classification"
        score = resolve_metric("accuracy" if classifies else "r2", self._task)
        history = History("accuracy" if classifies else "R2")
        # Who asks for the interpreter gets it for the figures too.
        evaluator = Evaluator(self._composition, engine) if engine == "interpreter" else self._evaluator
        at_hand = None if source is not None else rows
        measuring = Measuring(
            self._composition, evaluator, self._encoding, at_hand, held_out, measured, score
        )
        options = batch_size, chosen, epochs, engine, threads
        tallies = measuring.tallies(self._model)
        if source is not None:
            program = streamed_program_of(self._setting, source, rows, self._read, *options)
        else:
            program = program_of(self._setting, rows, *options, tallies)
        measures = Measures(
            partial(figures_of, tallies),
            measuring.figures if measuring.anything and not program.takes_tallies else None,
            measuring.gradient_norm,
            follow_plateau(chosen),
            lambda: measuring.fault(self._model),
        )
        self.last_fit = LastFit(
            chosen, batch_size, epochs, history, self._model, self._epochs_trained, rows.weight
        )
        with listening(progress, listeners) as told:
            if watch:
                told = [*told, Watch(self._composition, lambda: self._model, rows, history, told)]
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
        threads: int | None = None,
    ) -> TrainingProgram:
        """The training run without the loop around it, for measuring and for loops of one's own.

        It starts from the present parameters and leaves them as they are; read `program.parameters`.
        `epochs` is the length that schedules reckon with, `threads` make a step together. Raises what
        `fit` raises for its arguments.
        """
        rows = self._accept(X, y)
        chosen = resolve_optimizer(optimizer)
        return program_of(self._setting, rows, batch_size, chosen, epochs, engine, threads)

    def find_learning_rate(
        self,
        X: Any,
        y: Any,
        batch_size: int | None = 32,
        optimizer: str | Optimizer = "adam",
        finder: LearningRateFinder | None = None,
    ) -> LearningRateCurve:
        """The rate at which the loss falls fastest, by a range test: steps with growing rates.

        The parameters stay as they are; a rate that `optimizer` has plays no part. `finder` sets the range
        and the number of steps; the returned curve has `suggestion`, `rates`, `losses` (without what makes
        one batch harder than another) and `plot()`. Raises DataError where the loss falls at no rate,
        ConfigurationError for a method for full batches.

        >>> X = np.linspace(-1.0, 1.0, 40).reshape(-1, 1)
        >>> net = gn.Network([gn.Dense(1)], loss="mean_squared_error")
        >>> 0.01 < net.find_learning_rate(X, 2 * X, optimizer="sgd").suggestion < 1.0
        True

        Source: Smith, Cyclical learning rates for training neural networks, WACV (2017), section 3.3.
        """
        chosen, finder = resolve_optimizer(optimizer), finder or LearningRateFinder()
        if not isinstance(chosen, Optimizer):
            raise ConfigurationError(
                f"{type(chosen).__name__} finds the length of its steps itself; find_learning_rate is for "
                "optimisers with a rate, such as Adam or SGD."
            )
        moving, still = (
            self.training_program(X, y, batch_size, one.with_learning_rate(1.0), epochs=finder.steps)
            for one in (chosen, SGD())
        )
        return range_test(moving, still, finder)

    # -- use

    def predict(self, X: Any) -> NDArray:
        """Labels (rows,) for a classifier, values (rows,) or (rows, outputs) for a regressor.

        A classifier of several yes-or-no outputs gives 0 or 1 for each, (rows, outputs).

        The first prediction of a single row, and of several, compiles a program for it: some hundredths of a
        second for dense networks, some tenths for others, less from the object cache, and a tenth once a
        process to load the compiler. Equal calls give equal bits; rows predicted alone, together and by the
        interpreter agree up to rounding. What the compiler does not take the interpreter runs, and a
        FallbackWarning says so once.

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
        return self._reading.probabilities(self._evaluator.output(self._model, self._rows(X)))

    def evaluate(
        self, X: Any, y: Any, metrics: Sequence[str | Metric] | None = None, sample_weight: Any = None
    ) -> dict[str, float]:
        """The "loss", which is the (weighted) mean of the divergences alone, and each metric by name.

        Without `metrics`: "accuracy" for a classifier, "r2" and "mean_absolute_error" for a regressor.
        """
        if metrics is None:
            metrics = ("accuracy",) if self._task == "classification" else ("r2", "mean_absolute_error")
        measured = self._metrics("evaluate", metrics)
        rows = self._read(X, y, sample_weight)
        return self._evaluator.figures(
            self._model, rows.x, rows.target, self._encoding, measured, rows.weight
        )

    # -- looking inside

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
        shape, rows = self._require_built(), tuple(self.layer_table())
        trained, kept = (sum(leaf.size for leaf in flatten(part)[0]) for part in self._model)
        size = (trained + kept) * self.dtype.itemsize
        return Summary(shape, rows, self.loss.name, trained, kept, size)

    # -- keeping

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the network to a model file: data, never code. The file is whole or not there at all.

        `gn.load(path)` reads it, where layers and losses of your own are defined. Raises ModelFileError where
        it cannot be written, ConfigurationError for a function of your own, which is code, NotFittedError
        before there are parameters.
        """
        write_model_file(path, *self.to_document())

    # -- inner workings

    @property
    def _task(self) -> Task:
        return "classification" if self.loss.task == "classification" else "regression"

    def _metrics(self, owner: str, given: Any) -> list[Metric]:
        if not isinstance(given, (list, tuple)):
            raise ConfigurationError(f'{owner} got metrics={given!r}; it takes a list, such as ["accuracy"].')
        return [resolve_metric(metric, self._task) for metric in given]

    def _rows_of_run(
        self,
        X: Any,
        y: Any,
        fraction: float,
        validation_data: tuple[Any, Any] | None,
        sample_weight: Any,
        class_weight: Any,
    ) -> tuple[Rows, Rows | None]:
        """The rows to train on, of a source those of its first block, and the rows held out."""
        held_out: Rows | None = None
        if isinstance(X, Source):
            if y is not None or fraction or sample_weight is not None or class_weight is not None:
                raise ConfigurationError(
                    "fit got a source, which gives X and y itself; leave out y, weights and "
                    "validation_fraction, and give validation_data=(X, y)."
                )
            first = next(X.blocks(self._epochs_trained), None)
            if first is None:
                raise DataError("The source gave no block; give one with at least one row.")
            rows = self._accept(*first)
        else:
            rows = self._accept(X, y, sample_weight, class_weight)
            if fraction and validation_data is None:
                kept, aside = divide(len(rows.x), fraction, Key(self.seed).fold(VALIDATION))
                rows, held_out = rows.take(kept), rows.take(aside)
        if validation_data is not None:
            held_out = self._validation_rows(validation_data, fraction)
        return rows, held_out

    def _validation_rows(self, given: tuple[Any, Any], fraction: float) -> Rows:
        if fraction:
            raise ConfigurationError("fit got validation_data and validation_fraction; give one of them.")
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ConfigurationError("fit got validation_data that is no pair; it takes a tuple (X, y).")
        return self._read(*given, name="validation ")
