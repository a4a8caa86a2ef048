"""The activations by name. Any function over `glassnet.numpy` can stand in their place.

Most are functions of `glassnet.numpy`. Those with an option are frozen dataclasses that can be called, and
their names stand for the option's default.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet import random
from glassnet.core.document import documented
from glassnet.core.dtype import NDArray
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.checks import require_positive

Activation = Callable[[Any], Any]


def identity(z: Any) -> Any:
    """y = z.

    >>> identity(2.0)
    2.0
    """
    return z


@documented
@dataclass(frozen=True)
class LeakyReLU:
    """z where z > 0, else slope z; the slope at 0 is `slope`, that of the left side.

    Raises ConfigurationError for a slope that is not positive; a slope of 0 is relu.

    >>> LeakyReLU(0.2)(np.array([-2.0, 3.0]))
    array([-0.4,  3. ])

    Source: Maas, Hannun and Ng, ICML workshop (2013).
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        require_positive(self, slope=self.slope)

    def __call__(self, z: Any) -> Any:
        """f(z), element by element."""
        return gnp.leaky_relu(z, slope=self.slope)


class RandomActivation(ABC):
    """Base of the activations with chance in them: training draws, everything else takes a fixed function."""

    @abstractmethod
    def __call__(self, z: Any) -> Any:
        """The function used outside training."""

    @abstractmethod
    def draw(self, z: Any, key: Key) -> Any:
        """The function used in training, with random numbers of `key`; take another key for every call."""


@documented
@dataclass(frozen=True)
class RandomizedLeakyReLU(RandomActivation):
    """z where z > 0, else a z; training draws a from [low, high) for every element, use takes their mean.

    The slope at 0 is that of the left side, a. A drawn a is a constant to derivatives. Raises
    ConfigurationError unless 0 < low <= high.

    >>> activation = RandomizedLeakyReLU(low=0.25, high=0.75)
    >>> activation(np.array([-2.0, 3.0]))
    array([-1.,  3.])
    >>> activation.draw(np.array([-2.0, -2.0, 3.0]), gn.random.key(0)).round(3)
    array([-0.899, -1.381,  3.   ])

    Source: Xu, Wang, Chen and Li, "Empirical evaluation of rectified activations" (2015), section 2.4.
    """

    low: float = 1 / 8
    high: float = 1 / 3

    def __post_init__(self) -> None:
        require_positive(self, low=self.low, high=self.high)
        if self.low > self.high:
            raise ConfigurationError(
                f"RandomizedLeakyReLU got low={self.low} above high={self.high}; exchange them."
            )

    def __call__(self, z: Any) -> Any:
        """The leaky ReLU of the mean slope."""
        return gnp.leaky_relu(z, slope=(self.low + self.high) / 2)

    def draw(self, z: Any, key: Key) -> Any:
        """A leaky ReLU with a slope drawn for every element of z."""
        slope = random.uniform(key, np.shape(z), self.low, self.high, dtype=z.dtype)
        return gnp.where(z > 0, z, slope * z)


@documented
@dataclass(frozen=True)
class ELU:
    """z where z > 0, else alpha (exp(z) - 1); the slope at 0 is alpha, that of the left side.

    Raises ConfigurationError for an alpha that is not positive.

    >>> ELU(0.5)(np.array([-1.0, 2.0])).round(4)
    array([-0.3161,  2.    ])

    Source: Clevert, Unterthiner and Hochreiter, ICLR (2016), equation 15.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, alpha=self.alpha)

    def __call__(self, z: Any) -> Any:
        """f(z), element by element."""
        return gnp.elu(z, self.alpha)


leaky_relu = LeakyReLU()
randomized_leaky_relu = RandomizedLeakyReLU()
elu = ELU()


def gelu_tanh(z: Any) -> Any:
    """The approximation of gelu by a tanh, z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2.

    At most 5e-4 off the exact gelu. There are no kinks.

    >>> round(float(gelu_tanh(np.float64(1.0))), 6), round(float(gnp.gelu(1.0)), 6)
    (0.841192, 0.841345)

    Source: Hendrycks and Gimpel (2016), section 2.
    """
    # (1 + tanh u) / 2 is the sigmoid of 2 u, which does not cancel for negative z.
    return z * gnp.sigmoid(math.sqrt(8 / math.pi) * (z + 0.044715 * z * z * z))


def hard_silu(z: Any) -> Any:
    """silu in three pieces, z min(max(z / 6 + 1/2, 0), 1).

    Kinks: the slope is 0 at -3 and 1 at 3, those of the flat and of the straight side.

    >>> hard_silu(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([-0.   ,  0.   ,  1.125,  4.   ])

    Source: Howard et al., ICCV (2019), section 5.2.
    """
    return z * gnp.hard_sigmoid(z)


def gaussian(z: Any) -> Any:
    """exp(-z^2), 1 at 0 and falling to both sides; there are no kinks.

    >>> gaussian(np.array([0.0, 1.0])).round(4)
    array([1.    , 0.3679])

    Source: Broomhead and Lowe, Complex Systems 2 (1988).
    """
    return gnp.exp(-gnp.square(z))


def log_softmax(z: Any) -> Any:
    """The logarithm of softmax along the last axis, z_i - log sum_j exp(z_j); nothing overflows.

    The shape is that of z; there are no kinks.

    >>> log_softmax(np.array([1000.0, 1000.0])).round(4)
    array([-0.6931, -0.6931])

    Source: Bridle, NIPS (1989).
    """
    # Relative to the largest: of two large numbers the difference would have lost its digits.
    relative = z - gnp.stop_gradient(gnp.max(z, axis=-1, keepdims=True))
    return relative - gnp.logsumexp(relative, axis=-1, keepdims=True)


def sparsemax(z: Any) -> Any:
    """The point of the probability simplex nearest to z, along the last axis: max(z - tau, 0), with zeros.

    tau makes the elements sum to 1. The shape is that of z. On the support S the derivative is
    dy_i = dz_i - mean of dz over S, elsewhere 0; at a kink z_i = tau element i counts as outside.

    >>> sparsemax(np.array([1.0, 0.5, -1.0]))
    array([0.75, 0.25, 0.  ])

    Source: Martins and Astudillo, ICML (2016), algorithm 1 and equation 7.
    """
    fixed = gnp.stop_gradient(z)
    # Element i is in the support where the excess of all others over it is less than the sum of 1. It takes
    # the square of the length in memory, and no sorting.
    excess = gnp.relu(gnp.expand_dims(fixed, -2) - gnp.expand_dims(fixed, -1))  # (..., i, j): z_j over z_i
    support = gnp.sum(excess, axis=-1) < 1
    count = gnp.sum(gnp.where(support, gnp.ones_like(z), 0.0), axis=-1, keepdims=True)
    tau = (gnp.sum(gnp.where(support, z, 0.0), axis=-1, keepdims=True) - 1) / count
    return gnp.relu(z - tau)


def maxout(z: Any) -> Any:
    """The largest of the last axis, whose elements are the pieces of one unit.

    Shapes: (..., pieces) -> (...). Of equal elements the first takes the derivative. Raises ShapeError for a
    single number. It drops an axis, and so has no name among the activations: a layer provides the pieces.

    >>> maxout(np.array([[1.0, 4.0], [5.0, 2.0]]))
    array([4., 5.])

    Source: Goodfellow et al., ICML (2013), equation 2.
    """
    if not np.shape(z):
        raise ShapeError("maxout takes z of shape (..., pieces); it got a single number.")
    return gnp.max(z, axis=-1)


ACTIVATIONS: dict[str, Activation] = {
    "identity": identity,
    "sigmoid": gnp.sigmoid,
    "tanh": gnp.tanh,
    "relu": gnp.relu,
    "leaky_relu": leaky_relu,
    "softmax": gnp.softmax,
    "randomized_leaky_relu": randomized_leaky_relu,
    "relu6": gnp.relu6,
    "elu": elu,
    "selu": gnp.selu,
    "gelu": gnp.gelu,
    "gelu_tanh": gelu_tanh,
    "silu": gnp.silu,
    "swish": gnp.silu,
    "mish": gnp.mish,
    "softplus": gnp.softplus,
    "softsign": gnp.softsign,
    "hard_sigmoid": gnp.hard_sigmoid,
    "hard_tanh": gnp.hard_tanh,
    "hard_silu": hard_silu,
    "exponential": gnp.exp,
    "gaussian": gaussian,
    "sine": gnp.sin,
    "square": gnp.square,
    "log_softmax": log_softmax,
    "sparsemax": sparsemax,
}
_WITH_OPTIONS = (LeakyReLU, RandomizedLeakyReLU, ELU)
_OF_VECTORS = frozenset({"softmax", "log_softmax", "sparsemax"})
_CONVENTIONAL_GAINS = {"sigmoid": 1.0, "tanh": 5 / 3}


def resolve(activation: str | Activation, owner: str) -> Activation:
    """The function of that name, or the function itself; `owner` is the layer that the error names."""
    if callable(activation):
        return activation
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ConfigurationError(
            f"{owner} got activation={activation!r}; it takes one of {', '.join(ACTIVATIONS)}, or a function."
        )
    return ACTIVATIONS[activation]


def name_of(activation: str | Activation) -> str | None:
    """The name in ACTIVATIONS of a function or of a kind with options; None for a function of one's own.

    >>> name_of(LeakyReLU(0.2)), name_of(gnp.relu), name_of(lambda z: z)
    ('leaky_relu', 'relu', None)
    """
    if isinstance(activation, str):
        return activation
    for name, known in ACTIVATIONS.items():
        if known is activation or (isinstance(known, _WITH_OPTIONS) and type(known) is type(activation)):
            return name
    return None


def gain(activation: str | Activation) -> float:
    """The factor on the standard deviation of weights 1 / sqrt(inputs) that keeps the variance of z.

    gain^2 = 1 / E[f(z)^2] for standard normal z: sqrt(2) for relu, sqrt(2 / (1 + slope^2)) for leaky_relu,
    1 for identity and for selu, whose fixed point it is (some libraries take 3/4, which leaves it). Two
    follow custom instead: sigmoid 1, tanh 5/3. So do softmax and its kin, functions of a whole
    vector: 1. A random activation counts with the function used outside training. For a function of one's
    own f must act element by element. Raises ConfigurationError for an unknown name, or an f that is 0, or
    not finite, nearly everywhere.

    >>> round(gain("relu") ** 2, 12), round(gain("selu"), 6), round(gain(lambda z: 3 * z), 12)
    (2.0, 1.0, 0.333333333333)

    Source: He, Zhang, Ren and Sun, ICCV (2015), section 2.2; Klambauer et al., NIPS (2017), section 2.
    """
    function = resolve(activation, "gain")
    name = name_of(activation)
    if name in _OF_VECTORS:
        return 1.0
    if name in _CONVENTIONAL_GAINS:
        return _CONVENTIONAL_GAINS[name]
    moment = _mean_square(function)
    if not 0 < moment < math.inf:
        raise ConfigurationError(
            f"gain needs an activation whose mean square for normal z is positive and finite; it is {moment}."
        )
    return 1 / math.sqrt(moment)


def _mean_square(function: Activation) -> float:
    """E[f(z)^2] for standard normal z, by the trapezoidal rule.

    NOTE the rule converges faster than any power of its step for smooth f, and 0, where rectifiers bend, is
    one of its points; beyond 12 the density is below 1e-31.
    """
    z: NDArray = np.arange(-12.0, 12.0 + 1 / 128, 1 / 64)
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return float(np.sum(np.square(function(z)) * density) / 64)
