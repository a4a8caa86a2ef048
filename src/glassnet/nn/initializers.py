"""Initial weights as functions of a key, a shape and a dtype.

The shape is (outputs, inputs), or (outputs, inputs, *kernel) for a convolution. With k the number of elements
of the kernel, fan_in = k inputs is what one output sees, fan_out = k outputs is what one input reaches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np

from glassnet import random
from glassnet.core.document import documented
from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key, bits, normal, uniform
from glassnet.core.shape import Shape, size_of
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.activations import Activation, gain, name_of
from glassnet.nn.checks import require_finite, require_positive

Initializer = Callable[[Key, Shape, DType], NDArray]

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "normal", "truncated_normal")
_CUT = 2.0  # standard deviations at which a truncated normal distribution ends
# Zero at zero, straight on the right, (nearly) flat on the left: half of the units pass their input on.
_RECTIFIERS = frozenset(
    {
        "relu",
        "relu6",
        "leaky_relu",
        "randomized_leaky_relu",
        "elu",
        "gelu",
        "gelu_tanh",
        "silu",
        "swish",
        "mish",
        "hard_silu",
    }
)


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of weights (outputs, inputs, *kernel).

    Raises ShapeError for a shape without outputs and inputs, and for one without elements.

    >>> fans((8, 3)), fans((8, 3, 5, 5))
    ((3, 8), (75, 200))
    """
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(f"Scaled initial weights have shape (outputs, inputs, *kernel); it got {shape}.")
    outputs, inputs, *kernel = shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


@documented
@dataclass(frozen=True)
class ConstantFill:
    """The same number everywhere: 0 or 1 for biases; for weights 0 shows why chance is needed.

    Raises ConfigurationError for a value that is not a finite number.

    >>> ConstantFill(0.5)(Key(0), (1, 2), np.dtype("float64"))
    array([[0.5, 0.5]])
    """

    value: float

    def __post_init__(self) -> None:
        require_finite(self, value=self.value)

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array; the key does not matter."""
        return np.full(shape, self.value, dtype)


@documented
@dataclass(frozen=True)
class Uniform:
    """Uniform in [low, high), whatever the shape.

    Raises ConfigurationError unless low < high.

    >>> Uniform(2.0, 3.0)(Key(0), (1, 2), np.dtype("float64")).round(3)
    array([[2.399, 2.881]])
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        require_finite(self, low=self.low, high=self.high)
        if not self.low < self.high:
            raise ConfigurationError(f"Uniform got low={self.low} and high={self.high}; low is below high.")

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array."""
        return uniform(key, shape, self.low, self.high, dtype)


@documented
@dataclass(frozen=True)
class Normal:
    """Normal of the given mean and standard deviation, whatever the shape.

    Raises ConfigurationError for a std that is not positive.

    >>> Normal(mean=10.0, std=1.0)(Key(0), (1, 2), np.dtype("float64")).round(3)
    array([[10.991,  9.075]])
    """

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        require_finite(self, mean=self.mean)
        require_positive(self, std=self.std)

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array."""
        return (self.mean + self.std * normal(key, shape)).astype(dtype)


@documented
@dataclass(frozen=True)
class TruncatedNormal:
    """Normal, without the tails beyond mean +- 2 std; `std` is that before the cut, 0.88 of it is left.

    Raises ConfigurationError for a std that is not positive.

    >>> bool((abs(TruncatedNormal(std=1.0)(Key(0), (50, 50), np.dtype("float64"))) <= 2.0).all())
    True
    """

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        require_finite(self, mean=self.mean)
        require_positive(self, std=self.std)

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array."""
        return (self.mean + self.std * _truncated(key, shape)).astype(dtype)


@documented
@dataclass(frozen=True)
class VarianceScaling:
    """Mean 0 and variance scale / fan, so that signals keep their size from layer to layer.

    `mode` says which fan: "fan_in" keeps the variance of z on the way forward, "fan_out" that of delta on the
    way back, "fan_avg" is their mean. `distribution` is "uniform", in +-sqrt(3 scale / fan), "normal" or
    "truncated_normal", without the tails beyond 2 standard deviations of the uncut distribution and of the
    same variance. The named ones, with their sources, are

        glorot_uniform, glorot_normal   scale 1, fan_avg   Glorot and Bengio, AISTATS (2010), equation 12
        he_uniform, he_normal           scale 2, fan_in    He, Zhang, Ren and Sun, ICCV (2015), equation 10
        lecun_uniform, lecun_normal     scale 1, fan_in    LeCun, Bottou, Orr and Müller (1998), equation 16

    Raises ConfigurationError for a scale that is not positive, an unknown mode or distribution; the call
    raises ShapeError for a shape that is not (outputs, inputs, *kernel).

    >>> weight = VarianceScaling(2.0, "fan_in", "normal")(Key(0), (400, 50), np.dtype("float64"))
    >>> round(float(weight.var() * 50), 1)
    2.0
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"

    def __post_init__(self) -> None:
        require_positive(self, scale=self.scale)
        for name, value, known in (
            ("mode", self.mode, _MODES),
            ("distribution", self.distribution, _DISTRIBUTIONS),
        ):
            if value not in known:
                raise ConfigurationError(
                    f"VarianceScaling got {name}={value!r}; it takes one of {', '.join(known)}."
                )

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array."""
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        if self.distribution == "uniform":
            limit = math.sqrt(3 * self.scale / fan)
            return uniform(key, shape, -limit, limit, dtype)
        std = math.sqrt(self.scale / fan)
        if self.distribution == "normal":
            return (std * normal(key, shape)).astype(dtype)
        return (std / _truncated_std() * _truncated(key, shape)).astype(dtype)

    def with_gain(self, activation: str | Activation) -> VarianceScaling:
        """The same with the standard deviation multiplied by the activation's gain.

        >>> lecun_uniform.with_gain("leaky_relu").scale == gain("leaky_relu") ** 2
        True
        """
        return replace(self, scale=self.scale * gain(activation) ** 2)


@documented
@dataclass(frozen=True)
class Orthogonal:
    """A random orthogonal matrix times `gain`: every vector keeps its length, times the gain.

    Shapes: (outputs, inputs, *kernel) is seen as (outputs, fan_in). Its rows are orthonormal where there are
    at most as many as columns, else its columns are. Q of the QR decomposition of a normal matrix, with R's
    diagonal made positive, so that every orthogonal matrix is equally likely.

    Raises ConfigurationError for a gain that is not positive; ShapeError as VarianceScaling does.

    >>> Q = Orthogonal()(Key(0), (3, 5), np.dtype("float64"))
    >>> np.allclose(Q @ Q.T, np.eye(3))
    True

    Source: Saxe, McClelland and Ganguli, ICLR (2014), section 3; Mezzadri, Notices AMS 54 (2007), section 5.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, gain=self.gain)

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array."""
        columns, rows = fans(shape)[0], shape[0]
        tall = (max(rows, columns), min(rows, columns))
        Q, R = np.linalg.qr(normal(key, tall))
        Q = Q * np.where(np.diagonal(R) < 0, -1.0, 1.0)
        return (self.gain * (Q if rows >= columns else Q.T)).astype(dtype).reshape(shape)


@documented
@dataclass(frozen=True)
class IdentityKernel:
    """`gain` times the identity: output i starts as input i.

    Shapes: in (outputs, inputs, *kernel) the ones stand at the kernel's middle element (k // 2), so that a
    convolution starts by handing its channels on. Raises ConfigurationError for a gain that is not a
    positive number; ShapeError as VarianceScaling does.

    >>> IdentityKernel(0.5)(Key(0), (2, 3), np.dtype("float64"))
    array([[0.5, 0. , 0. ],
           [0. , 0.5, 0. ]])

    Source: Le, Jaitly and Hinton, "A simple way to initialize recurrent networks" (2015), section 3.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, gain=self.gain)

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array; the key does not matter."""
        fans(shape)
        weight = np.zeros(shape, dtype)
        same = np.arange(min(shape[:2]))
        weight[(same, same, *(extent // 2 for extent in shape[2:]))] = self.gain
        return weight


@documented
@dataclass(frozen=True)
class Sparse:
    """Every unit sees `count` of its inputs, chosen at random, with normal weights; the others are zero.

    Where a unit has fewer inputs it sees them all. Shapes: (outputs, inputs, *kernel) is seen as (outputs,
    fan_in). Raises ConfigurationError for a count below 1 or a std that is not positive; ShapeError as
    VarianceScaling does.

    >>> np.count_nonzero(Sparse(2)(Key(0), (3, 7), np.dtype("float64")), axis=1)
    array([2, 2, 2])

    Source: Martens, ICML (2010), section 5.
    """

    count: int = 15
    std: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.count, Integral) or isinstance(self.count, bool) or self.count < 1:
            raise ConfigurationError(
                f"Sparse got count={self.count!r}; it takes a whole number of 1 or more."
            )
        object.__setattr__(self, "count", int(self.count))  # NumPy's integers do not go into a model file
        require_positive(self, std=self.std)

    def __call__(self, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """The initial array."""
        fan_in, _ = fans(shape)
        matrix = (shape[0], fan_in)
        order = np.argsort(bits(key.fold(0), size_of(matrix)).reshape(matrix), axis=1, kind="stable")
        seen = np.zeros(matrix, np.bool_)
        np.put_along_axis(seen, order[:, : self.count], True, axis=1)
        return np.where(seen, self.std * normal(key.fold(1), matrix), 0.0).astype(dtype).reshape(shape)


zeros = ConstantFill(0.0)
ones = ConstantFill(1.0)
glorot_uniform = VarianceScaling(1.0, "fan_avg", "uniform")
glorot_normal = VarianceScaling(1.0, "fan_avg", "normal")
he_uniform = VarianceScaling(2.0, "fan_in", "uniform")
he_normal = VarianceScaling(2.0, "fan_in", "normal")
lecun_uniform = VarianceScaling(1.0, "fan_in", "uniform")
lecun_normal = VarianceScaling(1.0, "fan_in", "normal")

INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": glorot_uniform,
    "he_uniform": he_uniform,
    "zeros": zeros,
    "ones": ones,
    "glorot_normal": glorot_normal,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "uniform": Uniform(),
    "normal": Normal(),
    "truncated_normal": TruncatedNormal(),
    "orthogonal": Orthogonal(),
    "identity": IdentityKernel(),
    "sparse": Sparse(),
}


def resolve(initializer: str | Initializer, owner: str) -> Initializer:
    """The initialiser of that name, or the initialiser itself; `owner` is the layer that the error names."""
    if callable(initializer):
        return initializer
    if not isinstance(initializer, str) or initializer not in INITIALIZERS:
        raise ConfigurationError(
            f"{owner} got the initializer {initializer!r}; it takes one of {', '.join(INITIALIZERS)}, "
            "or a function of (key, shape, dtype)."
        )
    return INITIALIZERS[initializer]


def default_for(activation: str | Activation) -> str:
    """The name of the initialiser for weights before this activation.

    "he_uniform" for the rectifiers (relu, leaky_relu, elu, gelu, silu, ...), "lecun_normal" for selu, whose
    fixed point needs it, "glorot_uniform" for the rest and for functions of one's own.

    >>> default_for("relu"), default_for("selu"), default_for("tanh")
    ('he_uniform', 'lecun_normal', 'glorot_uniform')
    """
    name = name_of(activation)
    if name == "selu":
        return "lecun_normal"
    return "he_uniform" if name in _RECTIFIERS else "glorot_uniform"


def for_kernel(
    initializer: str | Initializer | None, activation: str | Activation, owner: str
) -> Initializer:
    """The initialiser that was asked for, else the default for weights before `activation`."""
    return resolve(default_for(activation) if initializer is None else initializer, owner)


def _truncated(key: Key, shape: Shape) -> NDArray:
    return np.asarray(random.truncated_normal(key, shape, -_CUT, _CUT))


def _truncated_std() -> float:
    """What the cuts at +-c leave of a standard deviation of 1: sqrt(1 - 2 c phi(c) / erf(c / sqrt 2))."""
    density = math.exp(-0.5 * _CUT**2) / math.sqrt(2 * math.pi)
    return math.sqrt(1 - 2 * _CUT * density / math.erf(_CUT / math.sqrt(2)))
