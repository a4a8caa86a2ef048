"""What every optimiser is: a frozen description with a pure `init` and a pure `update`.

Update rules, transforms of gradients and wrappers are the same kind of thing. `update` turns gradients into
steps, which are subtracted from the parameters; it is traced into the training step and compiled with it. The
learning rate comes as an argument, so that one compiled program serves every rate and every schedule.

Parameters, gradients and steps are trees of one structure: {layer: {name: array}}, nested as one likes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from glassnet.core.packages import load_all
from glassnet.core.tree import flatten, tree_map
from glassnet.errors import ConfigurationError
from glassnet.optim.schedules import Rate, resolve_schedule

# parameters -> (loss, gradients)
ValueAndGrad = Callable[[Any], tuple[Any, Any]]

OPTIMIZERS: dict[str, Optimizer] = {}


class Optimizer(ABC):
    """Base of all optimisers, each a frozen dataclass of hyperparameters.

    One defines `update`, or `advance` if it evaluates gradients elsewhere than at the parameters.

    >>> steps, state = gn.SGD(0.1).update({"w": np.array(2.0)}, {}, {"w": np.array(1.0)}, 1, 0.1)
    >>> round(steps["w"].item(), 12)
    0.2
    """

    @property
    def learning_rate(self) -> Rate | None:
        """The rate, or the schedule that gives it; None for a transform that needs one beside it."""
        return None

    @abstractmethod
    def init(self, parameters: Any) -> Any:
        """The state before the first step: a dict of numbers and of trees like `parameters`."""

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """What is subtracted from `parameters`, and the new state; `step` counts from 1."""
        raise ConfigurationError(
            f"{type(self).__name__} evaluates gradients at points of its own, so that given gradients make "
            "no step of it; put it around the others."
        )

    def advance(
        self, value_and_grad: ValueAndGrad, parameters: Any, state: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any, Any]:
        """One step down the function `parameters` -> (loss, gradients): the loss, parameters and state."""
        value, gradients = value_and_grad(parameters)
        steps, state = self.update(gradients, state, parameters, step, learning_rate)
        return value, subtract(parameters, steps), state

    def evaluated(self, parameters: Any, state: Any) -> Any:
        """The parameters to predict with."""
        return parameters

    def with_learning_rate(self, rate: Rate) -> Self:
        """The same optimiser at another rate."""
        return cast("Self", replace(cast("Any", self), learning_rate=rate))

    @property
    def behind_rate(self) -> bool | None:
        """Its place in a chain: behind the member with the learning rate, before it (False), or either."""
        return None

    @property
    def has_update(self) -> bool:
        """Whether its steps follow from gradients at the parameters, so that `update` is defined."""
        return type(self).update is not Optimizer.update


@dataclass(frozen=True)
class UpdateRule(Optimizer):
    """Base of the optimisers that have a learning rate of their own."""

    learning_rate: Rate = 0.01  # pyright: ignore[reportIncompatibleMethodOverride]

    def __post_init__(self) -> None:
        # A function of the step becomes a schedule here, while the record is made.
        schedule = resolve_schedule(self.learning_rate, type(self).__name__)
        if callable(self.learning_rate):
            object.__setattr__(self, "learning_rate", schedule)


@dataclass(frozen=True)
class Wrapper(Optimizer):
    """Base of what goes around a whole optimiser; its state holds that of `inner` under this name."""

    inner: Optimizer

    outermost: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_optimizer(type(self).__name__, self.inner)
        if isinstance(self.inner, Wrapper) and self.inner.outermost:
            outer, inner = type(self).__name__, type(self.inner).__name__
            raise ConfigurationError(f"{outer} goes inside {inner}: write {inner}({outer}(...), ...).")

    @property
    def learning_rate(self) -> Rate | None:
        """That of `inner`."""
        return self.inner.learning_rate

    def with_learning_rate(self, rate: Rate) -> Self:
        """The same wrapper around `inner` at another rate."""
        return replace(self, inner=self.inner.with_learning_rate(rate))

    @property
    def has_update(self) -> bool:
        """Whether `update` is defined, here and inside."""
        return type(self).update is not Optimizer.update and self.inner.has_update

    def evaluated(self, parameters: Any, state: Any) -> Any:
        """The parameters that `inner` predicts with."""
        return self.inner.evaluated(parameters, state["inner"])


def require_optimizer(owner: str, inner: Any, update: bool = False) -> None:
    """ConfigurationError for an `inner` that is none, that has no rate, or (if wanted) no `update`."""
    if not isinstance(inner, Optimizer):
        raise ConfigurationError(f"{owner} got inner={inner!r}; it takes an optimiser such as SGD(0.1).")
    if inner.learning_rate is None:
        raise ConfigurationError(
            f"{owner} got {type(inner).__name__}, which has no learning rate; put an optimiser behind it, as "
            f"in chain({type(inner).__name__}(...), SGD(0.1))."
        )
    if update and not inner.has_update:
        name = type(inner).__name__
        raise ConfigurationError(
            f"{owner} got {name}, which evaluates gradients at points of its own; write {name}({owner}(...)) "
            "or leave one of them out."
        )


def subtract(parameters: Any, steps: Any) -> Any:
    """The parameters after the steps."""
    return tree_map(lambda w, s: w - s, parameters, steps)


def with_decay(steps: Any, parameters: Any, factor: Any, weight_decay: float) -> Any:
    """steps + factor weight_decay w; the steps themselves without a decay."""
    if not weight_decay:
        return steps
    decay = factor * weight_decay
    return tree_map(lambda s, w: s + decay * w, steps, parameters)


def zeros_like(parameters: Any) -> Any:
    """A tree of zeros like `parameters`."""
    return tree_map(np.zeros_like, parameters)


def scalar_like(parameters: Any, value: float) -> Any:
    """A number for a state, of the parameters' dtype."""
    leaves = flatten(parameters)[0]
    return np.full((), value, leaves[0].dtype if leaves else float)


def resolve(optimizer: str | Optimizer) -> Optimizer:
    """The optimiser of that name with its usual hyperparameters, or the optimiser itself.

    >>> resolve("adam")
    Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08)
    """
    if isinstance(optimizer, Optimizer):
        require_optimizer("Training", optimizer)
        return optimizer
    if str(optimizer) not in OPTIMIZERS:
        load_all("glassnet.optim")  # the modules of this package register their names when they are loaded
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ConfigurationError(
            f"optimizer={optimizer!r} is not one of {', '.join(sorted(OPTIMIZERS))}, "
            "nor an optimiser such as Adam(0.001)."
        )
    return OPTIMIZERS[optimizer]
