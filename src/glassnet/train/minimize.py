"""Training any function of parameters and examples: networks of several inputs and outputs among them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import INT32, DType, NDArray, floating
from glassnet.core.random import Key
from glassnet.core.step import TrainingData
from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.errors import ConfigurationError, DataError, ShapeError
from glassnet.execute import runner
from glassnet.nn import Run
from glassnet.optim import Optimizer
from glassnet.train.course import Measures
from glassnet.train.events import Listener
from glassnet.train.fitting import resolve_optimizer
from glassnet.train.history import History
from glassnet.train.loop import listening, train
from glassnet.train.options import require_whole
from glassnet.train.plateau import follow_plateau
from glassnet.train.program import BatchLoss, build_step
from glassnet.train.setting import CHANCE, SHUFFLING
from glassnet.train.stopping import StoppingRule, require_rules
from glassnet.train.training import TrainingProgram
from glassnet.transforms.batch import vmap


def minimize(
    divergence: Callable[..., Any],
    parameters: Any,
    data: Any,
    optimizer: str | Optimizer = "adam",
    epochs: int = 10,
    batch_size: int | None = 32,
    seed: int = 0,
    dtype: str = "float64",
    penalty: Callable[[Any], Any] | None = None,
    stopping: StoppingRule | Sequence[StoppingRule] | None = None,
    listeners: Sequence[Listener] = (),
    progress: bool | Listener | None = None,
    engine: str = "auto",
) -> tuple[Any, History]:
    """Trains the parameters of a function: goes down the mean of divergence(parameters, *example).

    loss = 1/T sum_t divergence(parameters, *example_t) + penalty(parameters)

    `divergence` is a traced function of ONE example that returns a scalar; where it has an argument `run`, it
    is told of training and chance there, and hands it to layers: layer(parameters, x, run.inside("name")).
    `parameters` is a tree of arrays; `data` an array or a tuple of arrays or of trees of arrays, all with
    rows first: their parts are the example's arguments. Whole numbers stay whole (indices of classes), all
    else becomes `dtype`. The other arguments are those of `Network.fit`.

    Returns the trained parameters and the History. Layers that keep statistics of batches (BatchNorm) need a
    Network. Raises ShapeError for parts of different numbers of rows, DataError for no rows and values that
    are not finite, DivergedError when a loss or a parameter is not finite.

    >>> x = np.linspace(-1.0, 1.0, 20)
    >>> line, history = gn.minimize(
    ...     lambda p, x, d: gnp.square(p["a"] * x + p["b"] - d), {"a": 0.0, "b": 0.0}, (x, 3 * x + 1),
    ...     optimizer=gn.SGD(0.3), epochs=200, batch_size=None, engine="interpreter")
    >>> round(float(line["a"]), 4), round(float(line["b"]), 4)
    (3.0, 1.0)
    """
    epochs = require_whole("minimize", "epochs", epochs, 1)
    seed = require_whole("minimize", "seed", seed, 0, 2**64 - 1)
    kind = floating(dtype, "minimize")
    chosen = resolve_optimizer(optimizer)
    if not isinstance(chosen, Optimizer):
        raise ConfigurationError(
            f"minimize got {type(chosen).__name__}, which works on flat vectors: call its own minimize."
        )
    columns, structure = _columns(data, kind)
    rows = len(columns[0])
    size = rows if batch_size is None else min(require_whole("minimize", "batch_size", batch_size, 1), rows)
    start = tree_map(lambda leaf: np.array(leaf, kind), parameters)
    loss = _batch_loss(divergence, structure, penalty)
    weighted, steps = rows % size != 0, epochs * -(-rows // size)
    step = build_step(loss, chosen, start, {}, columns, size, kind, steps, weighted, seed=seed)
    shuffle = Key(seed).fold(SHUFFLING) if size < rows else None
    made, reason = runner(step.graph, TrainingData(columns, shuffle), step.arrays, step.learning_rate, engine)
    program = TrainingProgram(made, step.carried, 0, reason)
    kept = [start]
    history = History("loss")
    measures = Measures(lambda sums: {}, None, _no_norm, follow_plateau(chosen), _fault)
    with listening(progress, listeners) as told:
        train(
            program,
            epochs,
            history,
            lambda model: kept.append(model[0]),
            measures,
            told,
            require_rules(stopping),
        )
    return kept[-1], history


def _columns(data: Any, dtype: DType) -> tuple[tuple[NDArray, ...], Any]:
    leaves, structure = flatten(data if isinstance(data, tuple) else (data,))
    columns = tuple(_column(np.asarray(leaf), dtype, i) for i, leaf in enumerate(leaves))
    counts = [len(column) for column in columns]
    if not columns or 0 in counts:
        raise DataError("minimize got data without rows; give arrays with at least one row each.")
    if len(set(counts)) > 1:
        raise ShapeError(f"minimize got arrays with {counts} rows; each takes one row an example.")
    return columns, structure


def _column(array: NDArray, dtype: DType, position: int) -> NDArray:
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise DataError(
            f"minimize got data whose array {position} has dtype {array.dtype} and shape {array.shape}; it "
            "takes arrays of numbers with one row an example."
        )
    wanted = INT32 if array.dtype.kind in "iu" else dtype
    column = np.ascontiguousarray(array, wanted)
    if not np.isfinite(column).all():
        place = tuple(np.argwhere(~np.isfinite(column))[0].tolist())
        raise DataError(f"minimize got data whose array {position} holds {array[place]} at {place}; mend it.")
    return column


def _batch_loss(
    divergence: Callable[..., Any], structure: Any, penalty: Callable[[Any], Any] | None
) -> BatchLoss:
    try:
        told = "run" in inspect.signature(divergence).parameters
    except (TypeError, ValueError):
        told = False  # a function without a signature

    def loss(parameters: Any, statistics: Any, columns: Any, weight: Any, key: Key | None) -> tuple[Any, Any]:
        assert key is not None  # build_step gives one
        chance = key.fold(CHANCE)

        def of_one(columns: Any, weight: Any, number: Any) -> Any:
            run = Run(training=True, key=chance.at(number), weight=weight)
            options = {"run": run} if told else {}
            value = divergence(parameters, *unflatten(structure, list(columns)), **options)
            if np.shape(value) != ():
                raise ShapeError(
                    f"The divergence of one example is a scalar; this one has shape {np.shape(value)}: "
                    "sum it over the outputs."
                )
            if run.record.kept:
                raise ConfigurationError(
                    "A layer keeps statistics of batches, which minimize does not carry; use a Network."
                )
            return value

        each = vmap(of_one)(list(columns), weight, chance.step)
        rows = float(each.shape[0]) if weight is None else gnp.sum(weight)
        mean = gnp.sum(each if weight is None else each * weight) / rows
        return (mean if penalty is None else mean + penalty(parameters)), statistics

    return loss


def _fault() -> tuple[str, str]:
    return "the divergence of an example is not finite at these parameters", "start from others"


def _no_norm(_model: Any) -> float:
    raise ConfigurationError("minimize does not work out the norm of the gradient; stop by weights or loss.")
