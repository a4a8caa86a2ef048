"""The training step as one graph: forward, loss, backward and update, traced from pure functions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassnet.core.document import identity_of
from glassnet.core.dtype import INT32, INT64, DType, NDArray
from glassnet.core.graph import Graph, ancestors
from glassnet.core.random import Key
from glassnet.core.step import StepGraph, Tally
from glassnet.core.trace import Array, placeholder
from glassnet.core.tree import Structure, flatten, unflatten
from glassnet.errors import ConfigurationError
from glassnet.nn import Parameters
from glassnet.optim import Optimizer
from glassnet.optim.schedules import Schedule
from glassnet.train.tallies import RowTally
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import value_and_grad
from glassnet.transforms.tracing import trace

# (parameters, statistics, columns, weight, key) -> loss of the batch, new statistics; the key has a step for
# each example, whose random numbers it gives; without a key nothing may be drawn
BatchLoss = Callable[[Any, Parameters, Sequence[Any], Any, Key | None], tuple[Any, Parameters]]


@dataclass(frozen=True)
class Carried:
    """What the arrays that a run carries from step to step are: (parameters, optimiser state, statistics).

    Behind these, where the step draws random numbers, comes the seed, which stays the same.
    """

    structure: Structure
    count: int
    evaluated: Callable[[Any, Any], Any]

    def model(self, arrays: Sequence[Any]) -> tuple[Any, Parameters]:
        """The parameters to predict with, and the statistics."""
        parameters, state, statistics = unflatten(self.structure, list(arrays[: self.count]))
        return self.evaluated(parameters, state), statistics


@dataclass(frozen=True)
class TrainingStep:
    """A step graph, the carried arrays before the first step, and what they are.

    `learning_rate` is what the rate of every step is multiplied by: the rate itself, unless a schedule gives
    it.
    """

    graph: StepGraph
    arrays: list[NDArray]
    carried: Carried
    learning_rate: float


def build_step(
    loss: BatchLoss,
    optimizer: Optimizer,
    parameters: Any,
    statistics: Parameters,
    columns: Sequence[NDArray],
    batch_size: int,
    dtype: DType,
    total_steps: int | None,
    weighted: bool,
    constrain: Callable[[Any], Any] | None = None,
    tallies: Sequence[RowTally] = (),
    identity: Hashable | None = None,
    seed: int = 0,
) -> TrainingStep:
    """The step for batches of these columns, whose shapes and dtypes alone are read.

    `loss` is what the optimiser goes down and what is reported. `constrain` projects the parameters after
    every update. `tallies` are taken of the evaluated parameters after every epoch. `total_steps` are those
    of the whole run, for schedules; None where nobody knows. `identity` is what decides `loss` and
    `constrain`: a step that was traced before is taken from memory. `seed` is that of the run's random
    numbers: no part of the graph, so one program serves all seeds.
    """
    leaves, structure = flatten((parameters, optimizer.init(parameters), statistics))
    carried = [np.array(leaf, dtype) for leaf in leaves]
    kept = Carried(structure, len(carried), optimizer.evaluated)

    def make() -> StepGraph:
        batch = [placeholder((batch_size, *column.shape[1:]), column.dtype) for column in columns]
        taken = tuple(_tally(tally, kept, carried) for tally in tallies)
        graph, numbered = _traced(loss, optimizer, structure, carried, batch, dtype, weighted, constrain)
        return StepGraph(
            graph, len(carried) + numbered, len(columns), batch_size, weighted, numbered, None, taken
        )

    identities = (identity, identity_of(optimizer), *(tally.identity for tally in tallies))
    forms = tuple((x.shape[1:], x.dtype) for x in columns), tuple(x.shape for x in carried)
    key = (identities, structure, forms, batch_size, dtype, weighted)
    graph = make() if None in identities else _recalled(key, make)
    schedule, rate = None, optimizer.learning_rate
    if isinstance(rate, Schedule):
        schedule, rate = _rates_of(rate, total_steps), 1.0
    assert rate is not None  # optim.resolve has refused it
    assert not callable(rate)  # a function has become a schedule
    chance = [np.array(np.uint64(seed).astype(INT64))] if graph.numbered else []
    return TrainingStep(replace(graph, schedule=schedule), [*carried, *chance], kept, float(rate))


_steps: dict[Hashable, StepGraph] = {}
_STEPS_KEPT = 32


def _recalled(key: Hashable, make: Callable[[], StepGraph]) -> StepGraph:
    """The step of that key, from memory if it is there."""
    if key not in _steps:
        while len(_steps) >= _STEPS_KEPT:
            _steps.pop(next(iter(_steps)), None)
        _steps[key] = make()
    return _steps[key]


def _traced(
    loss: BatchLoss,
    optimizer: Optimizer,
    structure: Structure,
    carried: Sequence[NDArray],
    batch: Sequence[Array],
    dtype: DType,
    weighted: bool,
    constrain: Callable[[Any], Any] | None,
) -> tuple[Graph, bool]:
    """The graph of the step, and whether it draws random numbers."""
    (batch_size, *_) = batch[0].shape

    def step(
        carried: list[Any],
        seed: Any,
        columns: list[Any],
        weight: Any,
        numbers: Any,
        count: Any,
        learning_rate: Any,
    ) -> Any:
        current, state, old = unflatten(structure, carried)
        kept: list[Parameters] = []
        key = Key(seed).at(numbers)

        def both(moving: Any) -> tuple[Any, Any]:
            evaluate = value_and_grad(lambda p: loss(p, old, columns, weight, key), has_aux=True)
            (value, new), gradients = evaluate(moving)
            kept.append(new)
            return value, gradients

        value, current, state = optimizer.advance(both, current, state, count, learning_rate)
        if constrain is not None:
            current = constrain(current)
        rows = float(batch_size) if weight is None else weight.sum()
        # A rule that looks at the loss more than once keeps the statistics of its first look.
        return value * rows, *flatten((current, state, kept[0]))[0], seed

    names = [f"carried_{i}" for i in range(len(carried))] + ["seed"]
    names += [f"data_{i}" for i in range(len(batch))]
    names += [*(["weight"] if weighted else []), "numbers", "step", "learning_rate"]
    graph, _ = trace(
        step,
        carried,
        placeholder((), INT64),
        batch,
        placeholder((batch_size,), dtype) if weighted else None,
        placeholder((batch_size,), INT32),
        dtype.type(0),
        dtype.type(0),
        names=names,
    )
    numbered = depends_on(graph, -3)
    return (graph if numbered else _without_chance(graph, len(carried))), numbered


def _tally(tally: RowTally, kept: Carried, carried: Sequence[NDArray]) -> Tally:
    """The tally's graph, which reads what it needs of the carried arrays."""
    columns = [placeholder((tally.block_rows, *x.shape[1:]), x.dtype) for x in tally.columns]
    graph, _ = trace(lambda carried, columns: tally.sums(*kept.model(carried), *columns), carried, columns)
    needed = set(ancestors(graph.outputs))
    read = tuple(i for i in range(len(carried)) if graph.inputs[i] in needed)
    inputs = [*(graph.inputs[i] for i in read), *graph.inputs[len(carried) :]]
    return Tally(Graph.of(inputs, graph.outputs), read, len(columns) - 1, tally.block_rows)


def _rates_of(schedule: Schedule, total_steps: int | None) -> Callable[[NDArray], NDArray]:
    """The schedule as a function of many steps; raises what it raises for a run of `total_steps`."""

    def rates(steps: NDArray) -> NDArray:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # refused below, with its step
            each = vmap(lambda step: schedule(step, total_steps))(steps)
        each = np.broadcast_to(np.asarray(each, np.float64), steps.shape)
        wrong = ~((each >= 0) & (each < np.inf))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise ConfigurationError(
                f"The schedule {type(schedule).__name__} gives the rate {each[first]:g} in step "
                f"{steps[first]:.0f}; a rate is a finite number of at least 0: bound the schedule there."
            )
        return each

    rates(np.ones(1))
    return rates


def depends_on(graph: Graph, position: int) -> bool:
    """Whether the outputs of a graph depend on the input at that position."""
    return graph.inputs[position] in set(ancestors(graph.outputs))


def _without_chance(graph: Graph, seed: int) -> Graph:
    """The graph of a step that draws no random numbers, without the numbers and the seed at that position."""
    kept = [i for i in range(len(graph.inputs)) if i not in (seed, len(graph.inputs) - 3)]
    return Graph.of([graph.inputs[i] for i in kept], graph.outputs[:-1], [graph.input_names[i] for i in kept])
