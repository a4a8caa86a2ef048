"""When a run ends before its epochs are over: rules that look at it after every epoch.

A rule is a frozen description; `watch()` makes what follows one run. Several rules may watch one run: the
first that has a reason ends it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import ConfigurationError
from glassnet.train.options import require_whole


@dataclass(frozen=True)
class Standing:
    """How a run stands after an epoch.

    `figures` has "loss" and what else was measured, "validation_loss" for one. `parameters` are those after
    the epoch; `gradient_norm()` works out the Euclidean norm of the gradient of the loss over all training
    rows at them.
    """

    epoch: int
    figures: Mapping[str, float]
    seconds: float
    parameters: Sequence[NDArray]
    gradient_norm: Callable[[], float]


class Watch(ABC):
    """A rule at work on one run."""

    @abstractmethod
    def look(self, standing: Standing) -> str | None:
        """One sentence that says why the run shall end now, or None."""

    def best(self) -> int | None:
        """The epoch whose parameters the run shall end with, where they are not the last."""
        return None


class StoppingRule(ABC):
    """Base of the rules, each a frozen dataclass.

    A rule whose watch asks for figures and seconds alone may say that it does not look inside: it is then
    asked about several epochs at a time, after all of them have run.
    """

    @property
    def looks_inside(self) -> bool:
        """Whether a watch asks for the parameters, or the gradient, after every epoch."""
        return True

    @abstractmethod
    def watch(self) -> Watch:
        """A fresh watch over a run."""


def _require_at_least_zero(owner: str, name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < math.inf:
        raise ConfigurationError(f"{owner} got {name}={value!r}; it takes a number of at least 0.")


@dataclass(frozen=True)
class EarlyStopping(StoppingRule):
    """Ends a run when a figure has not become better for `patience` epochs, and brings its best weights back.

    `monitor` is "validation_loss" or another name of `history.figures`; `better` is "lower" or "higher" (by
    default "lower" for losses and errors, "higher" else); a change of up to `minimum_change` counts as none.

    >>> gn.EarlyStopping(patience=5).monitor
    'validation_loss'

    Source: Prechelt, "Early stopping - but when?", Neural Networks: Tricks of the Trade (1998), section 2.
    """

    patience: int = 10
    monitor: str = "validation_loss"
    minimum_change: float = 0.0
    restore_best: bool = True
    better: str | None = None

    def __post_init__(self) -> None:
        require_whole("EarlyStopping", "patience", self.patience, 1)
        _require_at_least_zero("EarlyStopping", "minimum_change", self.minimum_change)
        if self.better not in (None, "lower", "higher"):
            raise ConfigurationError(
                f'EarlyStopping got better={self.better!r}; it takes "lower", "higher" or None.'
            )

    @property
    def looks_inside(self) -> bool:
        """No: a figure is enough."""
        return False

    def watch(self) -> Watch:
        """A fresh watch over a run."""
        return _Patience(self)


class _Patience(Watch):
    def __init__(self, rule: EarlyStopping) -> None:
        self._rule = rule
        falls = ("loss", "error", "brier", "ece")
        lower = rule.better == "lower" if rule.better else any(word in rule.monitor for word in falls)
        self._sign = 1.0 if lower else -1.0
        self._value, self._epoch = math.inf, 0

    def look(self, standing: Standing) -> str | None:
        rule = self._rule
        if rule.monitor not in standing.figures:
            raise ConfigurationError(
                f"EarlyStopping watches {rule.monitor!r}, but this run has {', '.join(standing.figures)}; "
                "give fit validation rows or metrics, or watch one of these."
            )
        value = self._sign * standing.figures[rule.monitor]
        if value < self._value - rule.minimum_change:
            self._value, self._epoch = value, standing.epoch
        elif standing.epoch - self._epoch >= rule.patience:
            kept = f"; the weights of epoch {self._epoch} are kept" if rule.restore_best else ""
            return (
                f"Stopped after epoch {standing.epoch}: {rule.monitor.replace('_', ' ')} was best in epoch "
                f"{self._epoch} ({self._sign * self._value:.4g}){kept}."
            )
        return None

    def best(self) -> int | None:
        return self._epoch if self._rule.restore_best and self._epoch else None


@dataclass(frozen=True)
class TimeLimit(StoppingRule):
    """Ends a run after the epoch in which `seconds` of training and validation have passed.

    >>> gn.TimeLimit(60.0).seconds
    60.0
    """

    seconds: float

    def __post_init__(self) -> None:
        _require_at_least_zero("TimeLimit", "seconds", self.seconds)

    @property
    def looks_inside(self) -> bool:
        """No: the clock is enough."""
        return False

    def watch(self) -> Watch:
        """A fresh watch over a run."""
        return _Clock(self.seconds)


class _Clock(Watch):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def look(self, standing: Standing) -> str | None:
        if standing.seconds < self._seconds:
            return None
        return f"Stopped after epoch {standing.epoch}: the time limit of {self._seconds:g} s was reached."


@dataclass(frozen=True)
class Convergence(StoppingRule):
    """Ends a run when it stands still: by its weights, its loss or the norm of its gradient.

    `weights`: the largest change of a parameter in one epoch, relative to max(1, largest parameter), is at
    most this. `loss`: the loss changed by at most this in each of the last `epochs` epochs. `gradient`: the
    Euclidean norm of the gradient of the loss over all training rows is at most this (worked out after every
    epoch, at the cost of a pass). What is None is not asked; one that holds is enough.

    >>> gn.Convergence(weights=1e-6)
    Convergence(weights=1e-06, loss=None, gradient=None, epochs=1)

    Source: Dennis and Schnabel, Numerical Methods for Unconstrained Optimization (1983), section 7.2.
    """

    weights: float | None = None
    loss: float | None = None
    gradient: float | None = None
    epochs: int = 1

    def __post_init__(self) -> None:
        limits = {"weights": self.weights, "loss": self.loss, "gradient": self.gradient}
        given = {name: value for name, value in limits.items() if value is not None}
        if not given:
            raise ConfigurationError(
                "Convergence got no limit; give one of weights=, loss= or gradient=, such as weights=1e-6."
            )
        for name, value in given.items():
            _require_at_least_zero("Convergence", name, value)
        require_whole("Convergence", "epochs", self.epochs, 1)

    @property
    def looks_inside(self) -> bool:
        """Where weights or the gradient are asked for; the loss is a figure."""
        return self.weights is not None or self.gradient is not None

    def watch(self) -> Watch:
        """A fresh watch over a run."""
        return _Rest(self)


class _Rest(Watch):
    def __init__(self, rule: Convergence) -> None:
        self._rule = rule
        self._parameters: Sequence[NDArray] | None = None
        self._loss, self._quiet = math.inf, 0

    def look(self, standing: Standing) -> str | None:
        rule, after = self._rule, f"Converged after epoch {standing.epoch}:"
        before = self._parameters
        if rule.weights is not None:
            self._parameters = [np.array(array) for array in standing.parameters]
        if rule.weights is not None and before is not None:
            change = _largest([now - old for now, old in zip(standing.parameters, before, strict=True)])
            change /= max(1.0, _largest(standing.parameters))
            if change <= rule.weights:
                return f"{after} the weights changed by {change:.2g} at most."
        loss = standing.figures["loss"]
        if rule.loss is not None:
            self._quiet = self._quiet + 1 if abs(loss - self._loss) <= rule.loss else 0
            change, self._loss = abs(loss - self._loss), loss
            if self._quiet >= rule.epochs:
                return f"{after} the loss changed by {change:.2g}."
        if rule.gradient is not None and (norm := standing.gradient_norm()) <= rule.gradient:
            return f"{after} the norm of the gradient is {norm:.2g}."
        return None


def _largest(arrays: Sequence[NDArray]) -> float:
    return max((float(np.max(np.abs(array), initial=0.0)) for array in arrays), default=0.0)


def require_rules(given: Any) -> tuple[StoppingRule, ...]:
    """The rules that `stopping` stands for: None, one rule or several."""
    rules = () if given is None else tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for rule in rules:
        if not isinstance(rule, StoppingRule):
            raise ConfigurationError(
                f"fit got stopping={rule!r}; it takes a rule such as EarlyStopping(patience=10), or a list."
            )
    return rules
