"""Chains: the steps of one member are the gradients of the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from glassnet.errors import ConfigurationError
from glassnet.optim.optimizer import Optimizer, Wrapper
from glassnet.optim.schedules import Rate


@dataclass(frozen=True)
class Chain(Optimizer):
    """Optimisers and transforms in a row: each gets what the one before made of the gradients.

    At most one member has a learning rate, and the chain has that one. Transforms of gradients stand before
    it, transforms of its steps (LayerRates, decoupled WeightDecay) behind it. Raises ConfigurationError
    otherwise.

    >>> rule = chain(gn.optim.ClipByGlobalNorm(1.0), gn.SGD(0.1))
    >>> w = {"w": np.array([0.0, 0.0])}
    >>> rule.update({"w": np.array([30.0, 40.0])}, rule.init(w), w, 1, 0.1)[0]["w"].round(12)
    array([0.06, 0.08])
    """

    members: tuple[Optimizer, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise ConfigurationError("A chain needs members, as in chain(ClipByGlobalNorm(1.0), SGD(0.1)).")
        for member in self.members:
            self._require_member(member)
        rated = [i for i, member in enumerate(self.members) if member.learning_rate is not None]
        if len(rated) > 1:
            names = " and ".join(type(self.members[i]).__name__ for i in rated)
            raise ConfigurationError(
                f"A chain takes one optimiser with a learning rate, and {names} have one; leave one."
            )
        for i, member in enumerate(self.members):
            if rated and member.behind_rate is not None and member.behind_rate != (i > rated[0]):
                place = "behind" if member.behind_rate else "before"
                raise ConfigurationError(
                    f"{type(member).__name__} belongs {place} {type(self.members[rated[0]]).__name__} "
                    "in a chain; change their order."
                )

    @staticmethod
    def _require_member(member: Any) -> None:
        if not isinstance(member, Optimizer):
            raise ConfigurationError(
                f"A chain got {member!r}; its members are optimisers and transforms, as in "
                "chain(ClipByGlobalNorm(1.0), SGD(0.1))."
            )
        if isinstance(member, Wrapper):
            name = type(member).__name__
            raise ConfigurationError(f"{name} goes around a chain, not into it: write {name}(chain(...)).")

    @property
    def learning_rate(self) -> Rate | None:
        """That of the member that has one."""
        return next((m.learning_rate for m in self.members if m.learning_rate is not None), None)

    def with_learning_rate(self, rate: Rate) -> Self:
        """The same chain with its optimiser at another rate."""
        return replace(
            self,
            members=tuple(
                member if member.learning_rate is None else member.with_learning_rate(rate)
                for member in self.members
            ),
        )

    def init(self, parameters: Any) -> Any:
        """The members' states, by number and name."""
        return {name: member.init(parameters) for name, member in self._named()}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One member after the other."""
        new = {}
        for name, member in self._named():
            gradients, new[name] = member.update(gradients, state[name], parameters, step, learning_rate)
        return gradients, new

    def _named(self) -> list[tuple[str, Optimizer]]:
        return [
            (f"{number}_{type(member).__name__}", member) for number, member in enumerate(self.members, 1)
        ]


def chain(*members: Optimizer) -> Chain:
    """The optimisers and transforms in a row, as one optimiser; see Chain.

    >>> chain(gn.SGD(0.1), gn.optim.WeightDecay(0.01)).learning_rate
    0.1
    """
    return Chain(members)
