"""What a diagnosis looks at: the data, the network where it began and as it is, its last run; made once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import Key, permutation
from glassnet.core.tree import flatten
from glassnet.errors import GlassnetError
from glassnet.explain.diagnosis.neighbours import Neighbours
from glassnet.explain.diagnosis.passes import Pass, look_or_say
from glassnet.nn import Layer, Run
from glassnet.optim import Optimizer
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Model
from glassnet.train.last_fit import LastFit
from glassnet.train.naming import named
from glassnet.train.prediction import RowProgram
from glassnet.train.rows import Rows
from glassnet.train.setting import CHANCE, Setting
from glassnet.train.targets import Encoding

MOST_ROWS = 2000  # for outputs and neighbours
PASS_ROWS = 512  # for gradients row by row
_PASS_NUMBERS = 2**24  # of all rows' gradients together
LEARNABLE = 0.2  # of skill that the neighbours have and the network has not
GOOD_SKILL = 0.8  # of the way from the best constant answer to no mistake at all


@dataclass(frozen=True)
class Evidence:
    """All that verdicts are made of; every property is worked out once, when a verdict first asks for it.

    `start` is the model before the last run, `now` the model as it is; `rows` are all rows given, `held_out`
    further ones or None; `setting` is the network at the start of the run, for running it once more.
    """

    composition: Composition
    encoding: Encoding
    start: Model
    now: Model
    rows: Rows
    held_out: Rows | None
    last_fit: LastFit | None
    trained: bool
    setting: Setting

    # -- the passes

    @property
    def pass_rows(self) -> int:
        """So many rows that the gradients of all of them fit into memory."""
        size = sum(leaf.size for leaf in flatten(self.now[0])[0])
        return max(16, min(PASS_ROWS, _PASS_NUMBERS // max(size, 1)))

    def places(self, most: int) -> NDArray:
        """The numbers of at most so many rows, chosen by chance, ascending; fewer are a part of more."""
        rows = len(self.rows.x)
        return np.arange(rows) if rows <= most else np.sort(permutation(Key(0), rows)[:most])

    @cached_property
    def few(self) -> Rows:
        """Rows for gradients."""
        return self.rows.take(self.places(self.pass_rows))

    @cached_property
    def many(self) -> Rows:
        """Rows for outputs and neighbours."""
        return self.rows.take(self.places(MOST_ROWS))

    @cached_property
    def _first(self) -> tuple[Pass | None, str]:
        return look_or_say(self.composition, self.start, self.few.x, self.few.target)

    @cached_property
    def _last(self) -> tuple[Pass | None, str]:
        if self.now is self.start:
            return self._first
        return look_or_say(self.composition, self.now, self.few.x, self.few.target)

    @property
    def first(self) -> Pass | None:
        """The pass before the run; None where a layer does not take its values."""
        return self._first[0]

    @property
    def last(self) -> Pass | None:
        """The pass of the model as it is."""
        return self._last[0]

    @property
    def refusal(self) -> str:
        """What a layer says to the values that it does not take; empty where all do."""
        return self._last[1] or self._first[1]

    @property
    def passes(self) -> list[Pass]:
        """The passes there are, the later one first."""
        both = [self.last] if self.now is self.start else [self.last, self.first]
        return [each for each in both if each is not None]

    # -- the run

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimiser of the last run; None where there was no run, or one with a full-batch method."""
        chosen = self.last_fit and self.last_fit.optimizer
        return chosen if isinstance(chosen, Optimizer) else None

    @property
    def losses(self) -> list[float]:
        """The training loss of every epoch of the last run."""
        return self.last_fit.history.loss if self.last_fit else []

    @property
    def diverged(self) -> bool:
        """Whether the last run ended in a value that is not finite."""
        return self.last_fit is not None and self.last_fit.history.diverged

    @property
    def rate(self) -> float | None:
        """The largest learning rate of the last run."""
        if self.optimizer is None or self.last_fit is None:
            return None
        if isinstance(self.optimizer.learning_rate, (int, float)):
            return float(self.optimizer.learning_rate)
        return max(self.last_fit.history.learning_rate, default=None)

    @property
    def batch_rows(self) -> int:
        """The number of rows in a batch of the last run."""
        size = self.last_fit.batch_size if self.last_fit else None
        return len(self.rows.x) if size is None else min(size, len(self.rows.x))

    @cached_property
    def moved(self) -> dict[str, float]:
        """How far the run took each parameter array, relative to its size before, by name."""
        before, after = named(self.start[0]), named(self.now[0])
        return {name: _size(after[name] - was) / max(_size(was), 1e-12) for name, was in before.items()}

    # -- how good it is

    @cached_property
    def outputs(self) -> NDArray:
        """The outputs for `many`, probabilities for a classifier."""
        return self._outputs_of(self.many)

    @cached_property
    def truth(self) -> NDArray | None:
        """The number of each row's class (rows,) of `many`; None where rows have no single class."""
        return self.classes_of(self.many)

    def classes_of(self, rows: Rows) -> NDArray | None:
        """The number of each row's class; None where the loss or the targets know none."""
        target, loss = rows.target, self.composition.loss
        if loss.task != "classification" or len(self.encoding.output_shape) != 1:
            return None
        if target.dtype.kind == "i":
            return target if target.ndim == 1 else None
        if target.shape[-1] == 1:
            return (target[:, 0] > (0.0 if loss.targets == "signs" else 0.5)).astype(np.int64)
        return target.argmax(axis=-1) if self.encoding.class_count else None

    def chosen(self, output: NDArray) -> NDArray:
        """The class that each output says (rows,), as `classes_of` numbers them."""
        if output.shape[-1] == 1:
            middle = 0.0 if self.composition.loss.targets == "signs" else 0.5
            return (output[:, 0] >= middle).astype(np.int64)
        return output.argmax(axis=-1)

    @cached_property
    def skill(self) -> float:
        """How good the network is on its rows: see `skill_on`."""
        return self.skill_on(self.many, self.outputs)

    @cached_property
    def held_out_skill(self) -> float | None:
        """The same on the rows held out; None without any."""
        if self.held_out is None:
            return None
        return self.skill_on(self.held_out, self._outputs_of(self.held_out))

    def skill_on(self, rows: Rows, output: NDArray) -> float:
        """1 for no mistake, 0 for the best answer that is the same for every row; R2 for a regression."""
        truth = self.classes_of(rows)
        if truth is not None:
            common = np.bincount(truth).max() / len(truth)
            right = float(np.mean(self.chosen(output) == truth))
            return (right - common) / (1 - common) if common < 1 else right
        target = rows.target
        if self.composition.loss.task == "classification" and target.dtype.kind == "i":
            common = np.bincount(target.reshape(-1)).max() / target.size
            right = float(np.mean(output.argmax(axis=-1) == target))
            return (right - common) / (1 - common) if common < 1 else right
        spread = float(np.square(target - target.mean(axis=0), dtype=np.float64).sum())
        missed = float(np.square(target - output, dtype=np.float64).sum())
        return 1 - missed / spread if spread > 0 else 1.0 if missed == 0 else 0.0

    @property
    def good(self) -> bool:
        """Whether the network has learnt what there is; what looks odd in it does no harm then."""
        return self.trained and not self.diverged and self.skill >= GOOD_SKILL

    @property
    def unlearnt(self) -> bool:
        """Whether the nearest neighbours know the rows far better than the network does."""
        near = self.neighbours
        return near is not None and near.skill - self.skill > LEARNABLE

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """What the nearest other rows say of each row of `many`; None where rows are no plain numbers."""
        x = self.many.x.reshape(len(self.many.x), -1)
        if self.reads_symbols or len(x) < 40:
            return None
        truth = self.truth
        if truth is None and self.composition.loss.task == "classification":
            return None
        return Neighbours.of(x, self.many.target if truth is None else truth, truth is not None)

    @property
    def reads_symbols(self) -> bool:
        """Whether the inputs are numbers of words, which have no scale."""
        return self.leading.kind == "Embedding"

    @property
    def leading(self) -> Layer:
        """The first layer that is no container."""
        layer: Layer = self.composition.network
        while layer.parts:
            layer = next(iter(layer.parts.values()))
        return layer

    @cached_property
    def loss_at_start(self) -> float:
        """The loss that training reports, before its first step, over `few`."""
        return self._loss(self.first, self.start)

    @cached_property
    def loss_now(self) -> float:
        """The same for the model as it is."""
        return self._loss(self.last, self.now)

    @cached_property
    def loss_in_training(self) -> float:
        """The mean divergence as training sees it, with what layers drop, over `few`."""

        def of_one(parameters: Any, statistics: Any, x: Any, target: Any, number: Any) -> Any:
            key = Key(self.setting.seed).fold(CHANCE).at(number)
            chance = Run(training=True, key=key, weight=None, statistics=statistics)
            return self.composition.divergence(parameters, x, target, chance)

        numbers = np.arange(len(self.few.x), dtype=np.int32)
        with np.errstate(all="ignore"):
            each = RowProgram(of_one, "interpreter")(self.now, self.few.x, self.few.target, numbers)[0]
        return float(np.mean(each, dtype=np.float64))

    def held_out_loss(self) -> float:
        """The mean divergence on the rows held out."""
        assert self.held_out is not None  # asked by the caller
        with np.errstate(all="ignore"):
            each = RowProgram(self.composition.divergence_in_use, "interpreter")(
                self.now, self.held_out.x, self.held_out.target
            )[0]
        return float(np.mean(each, dtype=np.float64))

    def penalty(self, model: Model) -> float:
        """What regularisers add to the loss of a model."""
        return float(self.composition.penalty(model[0]))

    def parameters(self, layer: str, model: Model) -> Iterator[tuple[str, NDArray]]:
        """The arrays of one layer by name."""
        return ((n, array) for n, array in named(model[0]).items() if n.startswith(f"{layer}."))

    def _loss(self, seen: Pass | None, model: Model) -> float:
        if seen is None or not seen.finite:
            return math.nan
        total = np.mean if self.composition.reduction == "mean" else np.sum
        return float(total(seen.divergence, dtype=np.float64)) + self.penalty(model)

    def _outputs_of(self, rows: Rows) -> NDArray:
        with np.errstate(all="ignore"):
            try:
                return RowProgram(self.composition.output, "interpreter")(self.now, rows.x)[0]
            except GlassnetError:  # said by the verdict of values that are not finite
                return np.full((len(rows.x), *self.encoding.output_shape), np.nan)


def _size(array: NDArray) -> float:
    return float(np.sqrt(np.square(array, dtype=np.float64).sum()))
