"""Layers that learn at other rates, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.errors import ConfigurationError
from glassnet.optim.hyperparameters import POSITIVE, belongs
from glassnet.optim.optimizer import Optimizer, ValueAndGrad, Wrapper
from glassnet.optim.parts import combine, dotted_names, matches, require_known, select


@dataclass(frozen=True)
class LayerRates(Optimizer):
    """Multiplies the steps of some parameters, behind an optimiser in a chain: rates of their own.

    s <- factor s, with the factor of the last name given that fits; parameters without one keep theirs.

    A name is a layer ("dense_1"), a parameter ("dense_1.bias"), or a pattern of them ("*.bias"). Raises
    ConfigurationError for a factor that is not positive (Freeze leaves parameters alone), and at the start of
    training for a name that no parameter has.

    >>> w = {"dense_1": {"bias": np.array(1.0)}, "dense_2": {"bias": np.array(1.0)}}
    >>> LayerRates({"dense_1": 0.5}).update(w, {}, w, 1, 0.1)[0]["dense_1"]["bias"].item()
    0.5
    """

    factors: Mapping[str, float] = field(hash=False)  # a dict has no hash, an optimiser has one

    def __post_init__(self) -> None:
        for name, factor in self.factors.items():
            if not belongs(factor, POSITIVE):
                raise ConfigurationError(
                    f"LayerRates got the factor {factor!r} for {name!r}; it takes a positive number "
                    f"(Freeze(..., {name!r}) keeps parameters as they are)."
                )

    def init(self, parameters: Any) -> Any:
        """No state; the names are compared with those of the parameters here."""
        require_known("LayerRates", self.factors, parameters)
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The steps, each multiplied by its factor."""
        leaves, structure = flatten(gradients)
        factors = [self._factor(name) for name in dotted_names(gradients)]
        scaled = [
            leaf if factor == 1 else factor * leaf for factor, leaf in zip(factors, leaves, strict=True)
        ]
        return unflatten(structure, scaled), state

    @property
    def behind_rate(self) -> bool:
        """Behind: an adaptive rule would undo the factor of a gradient."""
        return True

    def _factor(self, name: str) -> float:
        fitting = [factor for pattern, factor in self.factors.items() if matches(name, pattern)]
        return fitting[-1] if fitting else 1.0


@dataclass(frozen=True)
class Freeze(Wrapper):
    """Keeps some parameters as they are: `inner` sees only the others, in its norms and in its state.

    The names are those of LayerRates. Raises ConfigurationError at the start of training for a name that no
    parameter has, or where no parameter is left to train.

    >>> w = {"dense_1": {"weight": np.array(1.0)}, "dense_2": {"weight": np.array(1.0)}}
    >>> steps, _ = Freeze(gn.SGD(0.5), ("dense_1",)).update(w, {"inner": {}}, w, 1, 0.5)
    >>> float(steps["dense_1"]["weight"]), float(steps["dense_2"]["weight"])
    (0.0, 0.5)
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.names, (tuple, list)) or not all(isinstance(name, str) for name in self.names):
            raise ConfigurationError(
                f"Freeze got names={self.names!r}; it takes a tuple of names, as ('dense_1', '*.bias')."
            )

    def init(self, parameters: Any) -> Any:
        """The state of `inner` for the parameters that are trained."""
        require_known("Freeze", self.names, parameters)
        kept = self._trained(parameters)
        if not any(kept):
            raise ConfigurationError(f"Freeze got names={self.names!r}, which leave no parameter to train.")
        return {"inner": self.inner.init(select(parameters, kept))}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The steps of `inner`, and zeros for the frozen parameters."""
        kept = self._trained(parameters)
        steps, inner = self.inner.update(
            select(gradients, kept), state["inner"], select(parameters, kept), step, learning_rate
        )
        return combine(kept, steps, tree_map(lambda w: w * 0.0, parameters)), {"inner": inner}

    def advance(
        self, value_and_grad: ValueAndGrad, parameters: Any, state: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any, Any]:
        """One step of `inner` on the function of the trained parameters alone."""
        kept = self._trained(parameters)

        def partial(trained: Any) -> tuple[Any, Any]:
            value, gradients = value_and_grad(combine(kept, trained, parameters))
            return value, select(gradients, kept)

        value, trained, inner = self.inner.advance(
            partial, select(parameters, kept), state["inner"], step, learning_rate
        )
        return value, combine(kept, trained, parameters), {"inner": inner}

    def evaluated(self, parameters: Any, state: Any) -> Any:
        """What `inner` predicts with, and the frozen parameters."""
        kept = self._trained(parameters)
        trained = self.inner.evaluated(select(parameters, kept), state["inner"])
        return combine(kept, trained, parameters)

    def _trained(self, parameters: Any) -> list[bool]:
        """For each leaf, whether it is trained."""
        return [
            not any(matches(name, pattern) for pattern in self.names) for name in dotted_names(parameters)
        ]
