"""Watching a run: what its gradients, steps and units are like, looked at now and then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Graph
from glassnet.core.tree import flatten
from glassnet.errors import GlassnetError
from glassnet.execute import run
from glassnet.nn import Run
from glassnet.nn.activations import name_of
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Model
from glassnet.train.events import EpochFinished, Event, Listener, RunStarted, Warned
from glassnet.train.history import History, Watched
from glassnet.train.naming import named
from glassnet.train.rows import Rows
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import grad
from glassnet.transforms.tracing import trace

WATCHED_ROWS = 64
_COST = 0.05  # of the training time; a look may take twice as long as the last one did
_FIRST_SECONDS = 0.5  # of training, before which no look is worth its time
_DEAD = 0.4  # Karpathy, Stanford CS231n notes
_LONGEST_STEP, _SHORTEST_STEP = 0.1, 1e-7  # of the weights; about 1e-3 is usual (ibid.)
_RISEN = 2.0  # times the least loss so far


class Watch:
    """A patient listener that looks at the model after an epoch, as often as a twentieth of the time allows.

    What it sees goes to `history.watched`; what is wrong is told to `listeners` as Warned, once for each kind
    and layer.
    """

    patient = True

    def __init__(
        self,
        composition: Composition,
        model: Callable[[], Model],
        rows: Rows,
        history: History,
        listeners: Sequence[Listener],
    ) -> None:
        few = rows.take(np.arange(min(WATCHED_ROWS, len(rows.x))))
        self._composition, self._model, self._columns = composition, model, (few.x, few.target)
        self._history, self._listeners = history, listeners
        self._before, self._epoch, self._steps = model()[0], 0, 1
        self._graph: Graph | None = None
        self._spent = 0.0
        self._told: set[tuple[str, str | None]] = set()

    def __call__(self, event: Event) -> None:
        """Looks after the last epoch that the model has seen, if that is affordable."""
        if isinstance(event, RunStarted):
            self._steps = event.steps_per_epoch or 1
        elif isinstance(event, EpochFinished) and event.epoch == self._history.epochs:
            trained = self._history.training_seconds
            if trained >= _FIRST_SECONDS and self._spent <= _COST * trained:
                begin = perf_counter()
                self._look(event)
                self._spent += perf_counter() - begin

    def _look(self, event: EpochFinished) -> None:
        model = self._model()
        try:
            slopes, dead = self._measured(model)
        except GlassnetError:  # values that a layer does not take: the run itself says so
            return
        steps = (event.epoch - self._epoch) * self._steps
        watched = Watched(event.epoch, slopes, _moved(self._before, model[0], steps), dead)
        self._before, self._epoch = model[0], event.epoch
        self._history.watched.append(watched)
        for kind, layer, sentence in _warnings(watched, self._history.loss):
            if (kind, layer) not in self._told:
                self._told.add((kind, layer))
                for listener in self._listeners:
                    listener(Warned(event.epoch, kind, layer, sentence))

    def _measured(self, model: Model) -> tuple[dict[str, float], dict[str, float]]:
        """The norm of each layer's gradient, and the share of dead units of each layer of rectifiers."""
        rectifiers = [n for n, part in self._composition.network.parts.items() if _rectifies(part)]

        def outputs(parameters: Any, statistics: Any, x: Any) -> list[Any]:
            shown = Run(statistics=statistics)
            self._composition.into_loss(parameters, x, shown)
            return [shown.record.seen[name,] for name in rectifiers]

        def both(parameters: Any, statistics: Any, x: Any, target: Any) -> Any:
            seen = vmap(outputs, in_axes=(None, None, 0))(parameters, statistics, x)
            return grad(self._composition.loss_in_use)(parameters, statistics, x, target), seen

        if self._graph is None:
            self._graph, _ = trace(both, *model, *self._columns)
        leaves = [leaf for part in model for leaf in flatten(part)[0]]
        with np.errstate(all="ignore"):
            values = run(self._graph, [*leaves, *self._columns], "interpreter")
        names = list(named(model[0]))
        slopes = _by_layer(dict(zip(names, values[: len(names)], strict=True)))
        dead = {
            name: float(np.mean(~y.reshape(-1, y.shape[-1]).any(axis=0)))
            for name, y in zip(rectifiers, values[len(names) :], strict=True)
        }
        return slopes, dead


def _rectifies(layer: Any) -> bool:
    return name_of(layer.output_activation) in ("relu", "relu6")


def _moved(before: Any, now: Any, steps: int) -> dict[str, float]:
    """How far a step took each layer, relative to its size: the way of some steps over their number."""
    was, after = named(before), named(now)
    sizes = _by_layer(was)
    ways = _by_layer({name: after[name] - was[name] for name in was})
    return {name: ways[name] / max(size, 1e-30) / max(steps, 1) for name, size in sizes.items()}


def _by_layer(arrays: dict[str, NDArray]) -> dict[str, float]:
    """The Euclidean norm of the arrays of each layer."""
    squares: dict[str, float] = {}
    for name, array in arrays.items():
        layer = name.split(".", 1)[0]
        squares[layer] = squares.get(layer, 0.0) + float(np.square(array, dtype=np.float64).sum())
    return {layer: math.sqrt(square) for layer, square in squares.items()}


def _warnings(watched: Watched, losses: Sequence[float]) -> Iterator[tuple[str, str | None, str]]:
    """What is wrong: kind, layer and sentence."""
    for layer, share in watched.dead.items():
        if share >= _DEAD:
            yield "dead_units", layer, f"{share:.0%} of the units of {layer} give 0 for every row."
    for layer, step in watched.update_to_weight.items():
        if step > _LONGEST_STEP:
            sentence = f"Each step moves {layer} by {step:.1g} of its size; about 0.001 is usual."
            yield "learning_rate_too_high", layer, sentence
        elif step < _SHORTEST_STEP:
            sentence = f"Each step moves {layer} by {step:.1g} of its size; about 0.001 is usual."
            yield "learning_rate_too_low", layer, sentence
    if losses[-1] > _RISEN * min(losses):
        sentence = f"The loss is {losses[-1]:.3g} and was {min(losses):.3g} before."
        yield "learning_rate_too_high", None, sentence
