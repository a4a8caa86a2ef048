"""What is measured after every epoch of a run: figures of its rows and of those set aside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from glassnet.core.dtype import FLOAT64
from glassnet.core.graph import Graph
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError
from glassnet.execute import run
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Evaluator, Model
from glassnet.train.inspection import first_fault
from glassnet.train.metrics import Metric
from glassnet.train.rows import Rows
from glassnet.train.tallies import RowTally, tally_of
from glassnet.train.targets import Encoding
from glassnet.transforms.derivatives import grad
from glassnet.transforms.tracing import trace


class Measuring:
    """The figures of a network on the rows of a run; `rows` is None where a source streams them.

    `metrics` are measured on both sets of rows, `score` on those held out alone.
    """

    def __init__(
        self,
        composition: Composition,
        evaluator: Evaluator,
        encoding: Encoding,
        rows: Rows | None,
        held_out: Rows | None,
        metrics: Sequence[Metric],
        score: Metric,
    ) -> None:
        if metrics and rows is None and held_out is None:
            raise ConfigurationError(
                "fit got metrics and a source, whose rows are gone when an epoch is over; give "
                "validation_data=(X, y) to measure them on."
            )
        self._composition, self._evaluator, self._encoding = composition, evaluator, encoding
        self._rows, self._held_out, self._metrics = rows, held_out, list(metrics)
        self._shown = self._metrics if score.name in [m.name for m in metrics] else [score, *metrics]
        self._gradient: Graph | None = None

    @property
    def anything(self) -> bool:
        """Whether there is anything to measure."""
        return self._held_out is not None or bool(self._rows is not None and self._metrics)

    def tallies(self, model: Model) -> tuple[RowTally, ...]:
        """The figures as tallies for the training program; none where not all of them are sums over rows."""
        if self._rows is None:
            return ()  # a source runs block by block
        own = partial(tally_of, self._composition, model, self._encoding)
        made: list[RowTally | None] = []
        if self._metrics:
            made.append(own(self._rows, self._metrics, loss=False))
        if self._held_out is not None:
            made.append(own(self._held_out, self._shown, loss=True, prefix="validation_"))
        found = tuple(tally for tally in made if tally is not None)
        return found if len(found) == len(made) else ()

    def figures(self, model: Model) -> dict[str, float]:
        """What is known of a model besides the training loss, by name."""
        figures: dict[str, float] = {}
        if self._rows is not None:
            rows = self._rows
            figures |= self._evaluator.measure(
                model, rows.x, rows.target, self._encoding, self._metrics, rows.weight
            )
        if self._held_out is not None:
            rows = self._held_out
            measured = self._evaluator.figures(
                model, rows.x, rows.target, self._encoding, self._shown, rows.weight
            )
            figures |= {f"validation_{name}": value for name, value in measured.items()}
        return figures

    def fault(self, model: Model) -> tuple[str, str]:
        """What a model that has not trained makes of the training rows that is not finite, and the mend."""
        found = None if self._rows is None else first_fault(self._composition, *model, self._rows.x)
        if found is None:
            what = "the loss of the outputs is not finite"
            return what, "try standardised inputs and targets, or smaller initial weights"
        return (
            f"the output of {found} of the training rows",
            "keep what it takes where its value is finite, or standardise the inputs",
        )

    def gradient_norm(self, model: Model) -> float:
        """The Euclidean norm of the gradient of the loss over all training rows."""
        if self._rows is None:
            raise ConfigurationError("Convergence by gradient needs all rows in memory, not a source.")
        columns = self._rows.columns(self._composition.reduction)
        if self._gradient is None:
            self._gradient, _ = trace(grad(self._composition.loss_in_use), *model, *columns)
        slopes = run(self._gradient, [*flatten(model)[0], *columns])
        return math.sqrt(sum(float(np.square(g, dtype=FLOAT64).sum()) for g in slopes))
