"""From rows, options and an optimiser to the training program that `fit` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from glassnet import optim
from glassnet.core.step import Runner, TrainingData
from glassnet.data import Source
from glassnet.errors import ConfigurationError, UncompilableError
from glassnet.execute import explain_step, runner
from glassnet.optim import LBFGS, ConjugateGradient, LevenbergMarquardt, Optimizer
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.train.full_batch import full_batch_program
from glassnet.train.options import require_whole
from glassnet.train.program import TrainingStep, build_step
from glassnet.train.rows import Rows
from glassnet.train.setting import Setting
from glassnet.train.tallies import RowTally
from glassnet.train.training import StreamedProgram, TrainingProgram, batches_of

FULL_BATCH: dict[str, FullBatchMethod[Any]] = {
    "lbfgs": LBFGS(),
    "conjugate_gradient": ConjugateGradient(),
    "levenberg_marquardt": LevenbergMarquardt(),
}


def resolve_optimizer(optimizer: Any) -> Optimizer | FullBatchMethod[Any]:
    """The optimiser or full-batch method that `fit` was given, by name or as it is."""
    if isinstance(optimizer, FullBatchMethod):
        return optimizer
    if isinstance(optimizer, str) and optimizer in FULL_BATCH:
        return FULL_BATCH[optimizer]
    return optim.resolve(optimizer)


def program_of(
    setting: Setting,
    rows: Rows,
    batch_size: int | None,
    optimizer: Optimizer | FullBatchMethod[Any],
    epochs: int,
    engine: str,
    threads: int | None = None,
    tallies: Sequence[RowTally] = (),
) -> TrainingProgram:
    """The training run over rows in memory; `tallies` are taken after every epoch where that is compiled."""
    if isinstance(optimizer, FullBatchMethod):
        return full_batch_program(setting, rows, optimizer, engine)
    count = len(rows.x)
    size = count if batch_size is None else min(require_whole("fit", "batch_size", batch_size, 1), count)
    tallies = tallies if engine in ("auto", "compiled") else ()
    columns, tallied = rows.columns(setting.composition.reduction), tuple(tally.columns for tally in tallies)
    data = TrainingData(columns, setting.shuffle if size < count else None, tallied=tallied)
    steps = epochs * -(-count // size)
    step = _step(setting, data, optimizer, size, steps, weighted=count % size != 0, tallies=tallies)
    threads = _threads(threads)
    made, reason = _runner(step, data, engine, threads)
    explain = partial(explain_step, step.graph, data.key is None, threads)
    return TrainingProgram(made, step.carried, setting.first_epoch, reason, explain)


def streamed_program_of(
    setting: Setting,
    source: Source,
    first: Rows,
    encode: Callable[[Any, Any], Rows],
    batch_size: int | None,
    optimizer: Optimizer | FullBatchMethod[Any],
    epochs: int,
    engine: str,
    threads: int | None = None,
) -> StreamedProgram:
    """The training run over the blocks of a source, of which `first` has the form."""
    if isinstance(optimizer, FullBatchMethod):
        raise ConfigurationError(
            f"{type(optimizer).__name__} needs all rows at once; train from a source with Adam or SGD."
        )
    size = require_whole("fit", "batch_size", source.block_rows if batch_size is None else batch_size, 1)
    batches = batches_of(source, size)

    def columns(X: Any, y: Any) -> tuple[Any, ...]:
        return encode(X, y).columns(setting.composition.reduction)

    data = TrainingData(first.columns(setting.composition.reduction), setting.shuffle)
    steps = None if batches is None else epochs * batches
    step = _step(setting, data, optimizer, size, steps, weighted=True)
    threads = _threads(threads)
    made, reason = runner(step.graph, data, step.arrays, step.learning_rate, engine, threads)
    explain = partial(explain_step, step.graph, False, threads)
    return StreamedProgram(
        made, step.carried, source, columns, setting.shuffle, size, setting.first_epoch, reason, explain
    )


def _runner(
    step: TrainingStep, data: TrainingData, engine: str, threads: int | None
) -> tuple[Runner, str | None]:
    graph = step.graph
    if graph.tallies:
        try:
            return runner(graph, data, step.arrays, step.learning_rate, "compiled", threads)
        except UncompilableError:  # the tallies may be to blame: what they sum up is measured without them
            graph, data = replace(graph, tallies=()), replace(data, tallied=())
    return runner(graph, data, step.arrays, step.learning_rate, engine, threads)


def _threads(threads: int | None) -> int | None:
    return None if threads is None else require_whole("fit", "threads", threads, 1)


def _step(
    setting: Setting,
    data: TrainingData,
    optimizer: Optimizer,
    size: int,
    total_steps: int | None,
    weighted: bool,
    tallies: Sequence[RowTally] = (),
) -> TrainingStep:
    return build_step(
        setting.loss(),
        optimizer,
        *setting.model,
        data.columns,
        size,
        setting.dtype,
        total_steps,
        weighted,
        setting.composition.constraint,
        tallies,
        setting.identity,
        setting.seed,
    )
