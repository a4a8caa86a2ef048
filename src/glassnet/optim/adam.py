"""Adam and its relatives: steps scaled by running moments of the gradient.

In every recurrence m and v start at 0, t counts from 1, and the bias corrections are numbers worked out once
a step. Epsilon stands outside the root, next to the corrected sqrt(v).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import tree_map
from glassnet.errors import ConfigurationError
from glassnet.optim.hyperparameters import FRACTION, NOT_NEGATIVE, POSITIVE, require
from glassnet.optim.moments import bias_correction, norm, root_correction, running_mean, running_square
from glassnet.optim.optimizer import OPTIMIZERS, UpdateRule, scalar_like, with_decay, zeros_like
from glassnet.optim.schedules import Rate


@dataclass(frozen=True)
class MomentRule(UpdateRule):
    """Base of Adam's family: its hyperparameters, and a state of two moments."""

    learning_rate: Rate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "beta_1", "beta_2")
        require(self, POSITIVE, "epsilon")

    def init(self, parameters: Any) -> Any:
        """Both moments, zero."""
        return {"mean": zeros_like(parameters), "square": zeros_like(parameters)}

    def _moments(self, gradients: Any, state: Any) -> tuple[Any, Any]:
        """The new m and v."""
        mean = running_mean(state["mean"], gradients, self.beta_1)
        return mean, running_square(state["square"], gradients, self.beta_2)

    def _root(self, square: Any, spread: Any) -> Any:
        """sqrt(v / (1 - b2^t)) + epsilon, given `spread` = 1 / sqrt(1 - b2^t)."""
        return gnp.sqrt(square) * spread + self.epsilon


@dataclass(frozen=True)
class Adam(MomentRule):
    """Adam.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    w <- w - eta (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)

    Raises ConfigurationError for a learning rate or epsilon that is not positive, or a beta outside [0, 1).

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = Adam(0.1).update({"w": np.array(3.0)}, Adam().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.1

    Source: Kingma and Ba, ICLR (2015), algorithm 1.
    """

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 1."""
        mean, square = self._moments(gradients, state)
        rate = learning_rate / bias_correction(self.beta_1, step)
        spread = root_correction(self.beta_2, step)
        steps = tree_map(lambda m, v: rate * m / self._root(v, spread), mean, square)
        return steps, {"mean": mean, "square": square}


@dataclass(frozen=True)
class AdamW(MomentRule):
    """Adam with decoupled weight decay.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    w <- w - eta ((m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon) + lambda w)

    The decay is multiplied by the rate, as in PyTorch, Keras and optax; in the paper it is by the schedule's
    factor alone. Raises ConfigurationError as Adam does, and for a negative `weight_decay`.

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = AdamW(0.1, weight_decay=0.5).update({"w": np.array(3.0)}, AdamW().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.15

    Source: Loshchilov and Hutter, ICLR (2019), algorithm 2.
    """

    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, NOT_NEGATIVE, "weight_decay")

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        mean, square = self._moments(gradients, state)
        rate = learning_rate / bias_correction(self.beta_1, step)
        spread = root_correction(self.beta_2, step)
        steps = tree_map(lambda m, v: rate * m / self._root(v, spread), mean, square)
        steps = with_decay(steps, parameters, learning_rate, self.weight_decay)
        return steps, {"mean": mean, "square": square}


@dataclass(frozen=True)
class AMSGrad(MomentRule):
    """Adam whose second moment never shrinks.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  h <- max(h, v)
    w <- w - eta m / (sqrt(h) + epsilon)

    Without bias corrections, as in the paper; PyTorch and Keras keep Adam's. Raises ConfigurationError as
    Adam.

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = AMSGrad(beta_1=0.5, beta_2=0.75).update({"w": np.array(3.0)}, AMSGrad().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.1

    Source: Reddi, Kale and Kumar, ICLR (2018), algorithm 2.
    """

    def init(self, parameters: Any) -> Any:
        """Both moments and the largest second one, zero."""
        return {**super().init(parameters), "largest": zeros_like(parameters)}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        mean, square = self._moments(gradients, state)
        largest = tree_map(gnp.maximum, state["largest"], square)
        steps = tree_map(lambda m, h: learning_rate * m / self._root(h, 1.0), mean, largest)
        return steps, {"mean": mean, "square": square, "largest": largest}


@dataclass(frozen=True)
class Adamax(UpdateRule):
    """Adam in the infinity norm.

    m <- b1 m + (1 - b1) g;  u <- max(b2 u, |g|)
    w <- w - eta / (1 - b1^t) m / (u + epsilon)

    The paper has no epsilon; here it makes 0 / 0 a step of 0. Raises ConfigurationError as Adam does.

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = Adamax(0.1).update({"w": np.array(3.0)}, Adamax().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.1

    Source: Kingma and Ba, ICLR (2015), algorithm 2.
    """

    learning_rate: Rate = 0.002
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "beta_1", "beta_2")
        require(self, POSITIVE, "epsilon")

    def init(self, parameters: Any) -> Any:
        """The mean and the largest magnitude, zero."""
        return {"mean": zeros_like(parameters), "largest": zeros_like(parameters)}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        mean = running_mean(state["mean"], gradients, self.beta_1)
        largest = tree_map(lambda u, g: gnp.maximum(self.beta_2 * u, gnp.abs(g)), state["largest"], gradients)
        rate = learning_rate / bias_correction(self.beta_1, step)
        steps = tree_map(lambda m, u: rate * m / (u + self.epsilon), mean, largest)
        return steps, {"mean": mean, "largest": largest}


@dataclass(frozen=True)
class Nadam(MomentRule):
    """Adam with Nesterov's momentum, which warms up.

    mu_t = b1 (1 - 0.96^(psi t) / 2);  P_t = mu_1 ... mu_t  (psi is `momentum_decay`)
    m <- mu_t m + (1 - mu_t) g;  v <- b2 v + (1 - b2) g^2
    w <- w - eta (mu_{t+1} m / (1 - P_{t+1}) + (1 - mu_t) g / (1 - P_t)) / (sqrt(v / (1 - b2^t)) + epsilon)

    m is averaged with mu_t, as in the paper; PyTorch and Keras average it with b1. Raises ConfigurationError
    as Adam does, and for a negative `momentum_decay`.

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = Nadam(0.1, beta_1=0.0).update({"w": np.array(3.0)}, Nadam().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.1

    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop (2016), algorithm 2, with the
    schedule of mu of its section 2.
    """

    learning_rate: Rate = 0.002
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, NOT_NEGATIVE, "momentum_decay")

    def init(self, parameters: Any) -> Any:
        """Both moments, zero, and the product of the mu, 1."""
        return {**super().init(parameters), "product": scalar_like(parameters, 1.0)}

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        mu, later = self._momentum(step), self._momentum(step + 1)
        product = state["product"] * mu
        mean = running_mean(state["mean"], gradients, mu)
        square = running_square(state["square"], gradients, self.beta_2)
        past = learning_rate * later / (1.0 - product * later)
        present = learning_rate * (1.0 - mu) / (1.0 - product)
        spread = root_correction(self.beta_2, step)
        steps = tree_map(
            lambda m, g, v: (past * m + present * g) / self._root(v, spread), mean, gradients, square
        )
        return steps, {"mean": mean, "square": square, "product": product}

    def _momentum(self, step: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * gnp.exp(step * (self.momentum_decay * math.log(0.96))))


@dataclass(frozen=True)
class RAdam(MomentRule):
    """Adam that rectifies the variance of its first steps.

    r_inf = 2 / (1 - b2) - 1;  r_t = r_inf - 2 t b2^t / (1 - b2^t)
    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  m' = m / (1 - b1^t)
    r_t > 4:  w <- w - eta c m' / (sqrt(v / (1 - b2^t)) + epsilon),
              c = sqrt((r_t - 4) (r_t - 2) r_inf / ((r_inf - 4) (r_inf - 2) r_t))
    else:     w <- w - eta m'

    The threshold is the paper's 4; PyTorch's is 5. The paper has no epsilon. Raises ConfigurationError as
    Adam does, and for a beta_2 of at most 0.6, where r_inf <= 4 and no step is ever rectified.

    >>> w = {"w": np.array(1.0)}
    >>> steps, _ = RAdam(0.1).update({"w": np.array(3.0)}, RAdam().init(w), w, 1, 0.1)
    >>> round(steps["w"].item(), 6)
    0.3

    Source: Liu et al., ICLR (2020), algorithm 2.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta_2 <= 0.6:
            raise ConfigurationError(
                f"RAdam got beta_2={self.beta_2!r}; it takes a number above 0.6 and below 1."
            )

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        mean, square = self._moments(gradients, state)
        correction = bias_correction(self.beta_2, step)
        limit = 2.0 / (1.0 - self.beta_2) - 1.0
        length = limit - 2.0 * step * (1.0 - correction) / correction
        bounded = gnp.maximum(length, 4.0)  # where the rectification is 0
        rectification = gnp.sqrt(
            (bounded - 4.0) * (bounded - 2.0) * (limit / ((limit - 4.0) * (limit - 2.0))) / bounded
        )
        rate = learning_rate / bias_correction(self.beta_1, step)
        adaptive, plain = rate * rectification, gnp.where(length > 4.0, 0.0, rate)
        spread = root_correction(self.beta_2, step)
        steps = tree_map(lambda m, v: m * (adaptive / self._root(v, spread) + plain), mean, square)
        return steps, {"mean": mean, "square": square}


@dataclass(frozen=True)
class LAMB(MomentRule):
    """Adam with decoupled weight decay, each array's step as long as a fraction eta of the array.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    r = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon) + lambda w
    w <- w - eta (|w| / |r|) r        (the ratio is 1 where |w| or |r| is 0)

    A layer of the paper is one array here (weight and bias apart), its function phi the identity. Raises
    ConfigurationError as Adam does, and for a negative `weight_decay`.

    >>> w = {"w": np.array([3.0, 4.0])}
    >>> steps, _ = LAMB(0.1).update({"w": np.array([2.0, 0.0])}, LAMB().init(w), w, 1, 0.1)
    >>> steps["w"].round(6)
    array([0.5, 0. ])

    Source: You et al., ICLR (2020), algorithm 2.
    """

    epsilon: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, NOT_NEGATIVE, "weight_decay")

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step of algorithm 2."""
        mean, square = self._moments(gradients, state)
        scale, spread = 1.0 / bias_correction(self.beta_1, step), root_correction(self.beta_2, step)

        def move(w: Any, m: Any, v: Any) -> Any:
            direction = scale * m / self._root(v, spread)
            if self.weight_decay:
                direction = direction + self.weight_decay * w
            size, length = norm(w), norm(direction)
            ratio = gnp.where(length > 0, size / gnp.where(length > 0, length, 1.0), 1.0)
            return learning_rate * gnp.where(size > 0, ratio, 1.0) * direction

        return tree_map(move, parameters, mean, square), {"mean": mean, "square": square}


OPTIMIZERS.update(
    adam=Adam(), adamw=AdamW(), amsgrad=AMSGrad(), adamax=Adamax(), nadam=Nadam(), radam=RAdam(), lamb=LAMB()
)
