"""Gradient descent, plain, with momentum, with Nesterov's look ahead; and the rule of the perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glassnet.core.tree import tree_map
from glassnet.errors import ConfigurationError
from glassnet.optim.hyperparameters import FRACTION, require
from glassnet.optim.optimizer import OPTIMIZERS, UpdateRule, zeros_like
from glassnet.optim.schedules import Rate


@dataclass(frozen=True)
class SGD(UpdateRule):
    """Gradient descent, with momentum if asked for.

    u <- mu u + eta g;  w <- w - u             (mu = 0: w <- w - eta g)
    u <- mu u + eta g;  w <- w - (mu u + eta g)   with `nesterov`

    The batch size of the run makes it batch, mini-batch or stochastic gradient descent. The velocity v = -u
    contains the rate, as in the sources; PyTorch's does not, which differs while the rate changes. Nesterov's
    method takes the gradient at w + mu v: the parameters carried here are that point, so that one gradient a
    step suffices. Raises ConfigurationError for a learning rate that is not positive, a momentum outside
    [0, 1), or `nesterov` without momentum.

    >>> steps, state = SGD(0.1, momentum=0.9).update(
    ...     {"w": np.array(2.0)}, {"velocity": {"w": np.array(0.5)}}, {"w": np.array(1.0)}, 1, 0.1)
    >>> round(steps["w"].item(), 12)
    0.65

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), equation 9; Sutskever, Martens, Dahl and
    Hinton, ICML (2013), equations 1 to 4; Bengio, Boulanger-Lewandowski and Pascanu, ICASSP (2013),
    equation 7.
    """

    learning_rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "momentum")
        if self.nesterov and not self.momentum:
            raise ConfigurationError("SGD got nesterov=True without momentum; give it one, such as 0.9.")

    def init(self, parameters: Any) -> Any:
        """u = -v, zero; without momentum there is no state."""
        return {"velocity": zeros_like(parameters)} if self.momentum else {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step down the gradient."""
        if not self.momentum:
            return tree_map(lambda g: learning_rate * g, gradients), state

        def accelerate(u: Any, g: Any) -> Any:
            return self.momentum * u + learning_rate * g

        velocity = tree_map(accelerate, state["velocity"], gradients)
        steps = tree_map(accelerate, velocity, gradients) if self.nesterov else velocity
        return steps, {"velocity": velocity}


@dataclass(frozen=True)
class Perceptron(UpdateRule):
    """The perceptron rule for a batch: gradient steps on the loss "perceptron", max(0, -d z) with d = +-1.

    w <- w + eta mean over the batch of d x where d z <= 0     (minus the gradient of that loss)

    With batches of one example this is the online rule. It needs linear outputs (activation identity) and
    targets -1 and 1. That loss counts z = 0 as a mistake, with the derivative -d, so that weights of 0 learn.
    The rate scales the weights and changes no decision of a network started at weights scaled alike. Raises
    ConfigurationError for a learning rate that is not positive.

    >>> Perceptron().update({"w": np.array(-3.0)}, {}, {"w": np.array(1.0)}, 1, 1.0)[0]["w"].item()
    -3.0

    Source: Rosenblatt, "Principles of neurodynamics" (1962), section 5; Duda, Hart and Stork, "Pattern
    classification" (2001), section 5.5, algorithm 3 (sum in place of mean).
    """

    learning_rate: Rate = 1.0

    def init(self, parameters: Any) -> Any:
        """No state."""
        return {}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """The rate times the gradient."""
        return tree_map(lambda g: learning_rate * g, gradients), state


OPTIMIZERS.update(
    gd=SGD(),
    sgd=SGD(),
    momentum=SGD(0.01, momentum=0.9),
    nesterov=SGD(0.01, momentum=0.9, nesterov=True),
    perceptron=Perceptron(),
)
