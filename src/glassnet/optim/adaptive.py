"""Steps divided by the size of past gradients, element by element: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.optim.hyperparameters import FRACTION, NOT_NEGATIVE, POSITIVE, require
from glassnet.optim.moments import running_mean, running_square
from glassnet.optim.optimizer import OPTIMIZERS, UpdateRule, zeros_like
from glassnet.optim.schedules import Rate


@dataclass(frozen=True)
class Adagrad(UpdateRule):
    """Adagrad: the rate of each element shrinks with the squares it has seen.

    s <- s + g^2;  w <- w - eta g / (sqrt(s) + epsilon)

    s starts at `initial` (TensorFlow's usual value is 0.1, PyTorch's 0); epsilon stands outside the root.
    Raises ConfigurationError for a learning rate or epsilon that is not positive, or a negative `initial`.

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = Adagrad(0.1).update({"w": np.array(3.0)}, Adagrad().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.1

    Source: Duchi, Hazan and Singer, JMLR 12 (2011), equation 1 with a diagonal matrix.
    """

    learning_rate: Rate = 0.01
    initial: float = 0.0
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, NOT_NEGATIVE, "initial")
        require(self, POSITIVE, "epsilon")

    def init(self, parameters: Any) -> Any:
        """The sum of squares, at its initial value."""
        return {"squares": tree_map(lambda zero: zero + self.initial, zeros_like(parameters))}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step, divided by the root of the sum of squares."""
        squares = tree_map(lambda s, g: s + g * g, state["squares"], gradients)
        steps = tree_map(lambda g, s: learning_rate * g / (gnp.sqrt(s) + self.epsilon), gradients, squares)
        return steps, {"squares": squares}


@dataclass(frozen=True)
class RMSprop(UpdateRule):
    """RMSprop: steps divided by the root of a running mean of squares; centred, with momentum if asked for.

    s <- rho s + (1 - rho) g^2;  d = g / (sqrt(s) + epsilon);  w <- w - eta d
    centred:   a <- rho a + (1 - rho) g;  d = g / (sqrt(s - a^2) + epsilon)
    momentum:  u <- mu u + eta d;  w <- w - u

    Epsilon stands outside the root (Graves has it inside); there is no bias correction; u contains the rate.
    Raises ConfigurationError for a learning rate or epsilon that is not positive, or a decay or momentum
    outside [0, 1).

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = RMSprop(0.1, decay=0.75).update({"w": np.array(3.0)}, RMSprop().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.2

    Source: Tieleman and Hinton, "Neural networks for machine learning", lecture 6e (2012); Graves,
    arXiv:1308.0850 (2013), equations 38 to 41, centred and with momentum.
    """

    learning_rate: Rate = 0.001
    decay: float = 0.9
    momentum: float = 0.0
    centred: bool = False
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "decay", "momentum")
        require(self, POSITIVE, "epsilon")

    def init(self, parameters: Any) -> Any:
        """The running means that the options ask for, and the velocity u, zero."""
        names = ["square"] + ["mean"] * self.centred + ["velocity"] * bool(self.momentum)
        return {name: zeros_like(parameters) for name in names}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step, divided by the root of the running mean of squares."""
        new = {"square": running_square(state["square"], gradients, self.decay)}
        variance = new["square"]
        if self.centred:
            new["mean"] = running_mean(state["mean"], gradients, self.decay)
            # s >= a^2 but for rounding
            variance = tree_map(lambda s, a: gnp.maximum(s - a * a, 0.0), variance, new["mean"])
        steps = tree_map(lambda g, s: learning_rate * g / (gnp.sqrt(s) + self.epsilon), gradients, variance)
        if self.momentum:
            steps = tree_map(lambda u, d: self.momentum * u + d, state["velocity"], steps)
            new["velocity"] = steps
        return steps, new


@dataclass(frozen=True)
class Adadelta(UpdateRule):
    """Adadelta: steps in the units of the parameters, from running means of squared gradients and steps.

    s <- rho s + (1 - rho) g^2;  d = sqrt(q + epsilon) / sqrt(s + epsilon) g
    q <- rho q + (1 - rho) d^2;  w <- w - eta d

    Epsilon stands inside both roots; eta = 1 is the paper's rule. Raises ConfigurationError for a learning
    rate or epsilon that is not positive, or a decay outside [0, 1).

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = Adadelta(decay=0.75, epsilon=0.25).update(
    ...     {"w": np.array(1.0)}, Adadelta().init(w), w, 1, 1.0)
    >>> round(steps["w"].item(), 6)
    0.707107

    Source: Zeiler, arXiv:1212.5701 (2012), algorithm 1.
    """

    learning_rate: Rate = 1.0
    decay: float = 0.95
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "decay")
        require(self, POSITIVE, "epsilon")

    def init(self, parameters: Any) -> Any:
        """Both running means of squares, zero."""
        return {"square": zeros_like(parameters), "square_of_steps": zeros_like(parameters)}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 1."""
        square = running_square(state["square"], gradients, self.decay)
        moves = tree_map(
            lambda g, s, q: gnp.sqrt(q + self.epsilon) / gnp.sqrt(s + self.epsilon) * g,
            gradients,
            square,
            state["square_of_steps"],
        )
        square_of_steps = running_square(state["square_of_steps"], moves, self.decay)
        steps = tree_map(lambda d: learning_rate * d, moves)
        return steps, {"square": square, "square_of_steps": square_of_steps}


OPTIMIZERS.update(adagrad=Adagrad(), rmsprop=RMSprop(), adadelta=Adadelta())
