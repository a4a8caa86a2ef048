"""Random sampling: pure functions of an explicit key.

Step and seed of a key are operands, its stream is an option of the op. So a traced step (the number of the
training step, or of the example under vmap) and a traced seed draw other numbers without another trace, and
one compiled program serves every seed. The generator itself is in `glassnet.core.random`; the ops are drawn
constants to every derivative, and what moves and stretches them (low and high, mean and std, scale) is
composed of differentiable ops around them.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np

from glassnet.core import random as generator
from glassnet.core.dtype import FLOAT64, INT64, DType, NDArray, floating
from glassnet.core.graph import Node
from glassnet.core.op import Op
from glassnet.core.random import Key
from glassnet.core.shape import Shape, broadcast_shapes, size_of
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, DTypeError, ShapeError
from glassnet.ops import special_values
from glassnet.ops.arithmetic import add, multiply, negative
from glassnet.ops.comparison import less, where
from glassnet.ops.declare import constant, function_formula
from glassnet.ops.exponential import log1p
from glassnet.ops.extremum import argmax
from glassnet.ops.shaping import broadcast_to, reshape

_WORDS = np.dtype(np.uint32)


def _sampler(name: str, draw: Callable[..., NDArray], *, source: str, summary: str, **facts: Any) -> Op:
    """Declares an op that fills `shape` from a key; `draw(key, shape, dtype, **attributes)`."""

    def value(
        xp: Any, step: Any, seed: Any, *, stream: int, shape: Shape, dtype: DType, **options: Any
    ) -> Any:
        # NOTE the generator computes with NumPy whatever `xp` is.
        steps = np.asarray(step)
        seeds = np.broadcast_to(np.asarray(seed), steps.shape)
        out = np.empty((*steps.shape, *shape), dtype)
        for place in np.ndindex(steps.shape):
            out[place] = draw(Key(int(seeds[place]), stream, int(steps[place])), shape, dtype, **options)
        return xp.asarray(out)

    def infer(step: Node, seed: Node, *, shape: Shape, dtype: DType, **_: Any) -> tuple[Shape, DType]:
        if seed.shape not in ((), step.shape):
            raise ShapeError(
                f"{name} takes one seed, or one for each step {step.shape}; it got {seed.shape}."
            )
        if seed.dtype.kind not in "iu":
            raise DTypeError(f"{name} takes whole numbers as seeds; it got {seed.dtype}.")
        return (*step.shape, *shape), dtype

    def batch(inputs: Sequence[Any], batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
        step, seed = inputs
        if batched[1]:
            inner = step.shape[batched[0] :]
            ones = (1,) * (len(inner) + 1 - len(seed.shape))
            seed = broadcast_to(reshape(seed, (*seed.shape, *ones)), (seed.shape[0], *inner))
            step = broadcast_to(step, seed.shape)
        return op(step, seed, **attributes)

    op = constant(
        name,
        value=value,
        infer=infer,
        batch=batch,
        reason="what is drawn depends on the key alone",
        formula=function_formula(f"{name}({{0}}, {{1}})"),
        analytic=False,
        source=source,
        summary=summary,
        **facts,
    )
    return op


def _draw_uniform(key: Key, shape: Shape, dtype: DType) -> NDArray:
    # NOTE the largest numbers below 1 would be rounded to 1 in float32.
    below = np.nextafter(dtype.type(1), dtype.type(0))
    return np.minimum(generator.uniform(key, shape, dtype=dtype), below)


def _draw_gumbel(key: Key, shape: Shape, dtype: DType) -> NDArray:
    words = generator.bits(key, size_of(shape)).reshape(shape).astype(np.float64)
    return -np.log(-np.log((words + 0.5) * 2.0**-32)).astype(
        dtype
    )  # the middles of 2^32 equal parts of (0, 1)


def _draw_integers(key: Key, shape: Shape, dtype: DType, *, low: int, high: int) -> NDArray:
    words = generator.bits(key, size_of(shape)).astype(np.uint64).reshape(shape)
    return low + ((words * np.uint64(high - low)) >> np.uint64(32)).astype(dtype)


def _draw_truncated(key: Key, shape: Shape, dtype: DType, *, low: float, high: float) -> NDArray:
    # z = sqrt(2) erfinv(erf(low / sqrt 2) + u (erf(high / sqrt 2) - erf(low / sqrt 2)))
    below, above = special_values.erf(np, np.array([low, high]) / math.sqrt(2))
    middles = generator.uniform(key, shape) + 2.0**-33
    drawn = math.sqrt(2) * special_values.erfinv(np, below + middles * (above - below))
    return np.clip(drawn, low, high).astype(dtype)


_PHILOX = "Salmon, Moraes, Dror and Shaw, SC 2011, section 4"

_bits = _sampler(
    "random_bits",
    lambda key, shape, dtype: generator.bits(key, size_of(shape)).reshape(shape),
    source=_PHILOX,
    summary="Random 32-bit words, by step of the key.",
)
_uniform = _sampler(
    "random_uniform",
    _draw_uniform,
    source=_PHILOX,
    summary="Uniform numbers in [0, 1) of 32 random bits, by step of the key.",
)
_normal = _sampler(
    "random_normal",
    lambda key, shape, dtype: generator.normal(key, shape, dtype),
    source="Box and Muller, Ann. Math. Statist. 29 (1958)",
    summary="Standard normal numbers, by step of the key.",
)
_gumbel = _sampler(
    "random_gumbel",
    _draw_gumbel,
    source="Gumbel (1954); the distribution function is exp(-exp(-x))",
    summary="Standard Gumbel numbers, by step of the key.",
)
_truncated_normal = _sampler(
    "random_truncated_normal",
    _draw_truncated,
    source="inversion of the distribution function: Devroye (1986), section II.2",
    summary="Standard normal numbers between low and high, by step of the key.",
)
_integers = _sampler(
    "random_integers",
    _draw_integers,
    source="Lemire, ACM Trans. Model. Comput. Simul. 29 (2019), section 3, without rejection",
    summary="Whole numbers from low up to high - 1, by step of the key.",
)
_permutation = _sampler(
    "random_permutation",
    lambda key, shape, dtype: generator.permutation(key, shape[0]),
    source="Fisher and Yates (1938)",
    summary="The numbers 0 .. n-1 in random order, by step of the key.",
)


def key(seed: Any) -> Key:
    """The key that a seed names; equal keys draw equal numbers.

    `key.fold(i)` is the i-th key that belongs to it, `key.at(step)` the same one at a step. Seed and step may
    be traced: a compiled function takes them as arguments. Raises ConfigurationError for a seed outside
    0 .. 2^64 - 1.

    >>> float(uniform(key(3))) == float(uniform(key(3))), float(uniform(key(3))) == float(uniform(key(4)))
    (True, False)
    >>> gn.vmap(lambda seed: uniform(key(seed)))(np.array([3, 4])) == [uniform(key(3)), uniform(key(4))]
    array([ True,  True])
    """
    if isinstance(seed, Array):
        return Key(seed)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ConfigurationError(
            f"A key takes a whole number from 0 to 2^64 - 1 as its seed; it got {seed!r}."
        )
    return Key(int(seed))


def split(key: Key, count: int = 2) -> tuple[Key, ...]:
    """`count` keys that draw independently of one another: key.fold(0), key.fold(1), ...

    >>> first, second = split(key(0))
    >>> first == second
    False
    """
    return tuple(key.fold(i) for i in range(count))


def _draw(op: Op, key: Key, shape: Shape, dtype: DType, **options: Any) -> Any:
    if not isinstance(key, Key):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DTypeError(
            f"Sampling takes a key, as glassnet.random.key(0) makes; it got {type(key).__name__}."
        )
    # a seed of 64 bits is held as int64, by its bits
    seed = np.uint64(key.seed).astype(INT64) if isinstance(key.seed, int) else key.seed
    return op(key.step, seed, stream=key.stream, shape=shape, dtype=dtype, **options)


def _extents(where: str, shape: Any) -> Shape:
    try:
        return tuple(map(index, shape)) if isinstance(shape, Iterable) else (index(shape),)
    except TypeError:
        raise ShapeError(f"{where} got shape={shape!r}; a shape is a whole number or several.") from None


def _common(where: str, shape: int | Sequence[int] | None, *parameters: Any) -> Shape:
    """The shape to draw: as asked for, or that of the parameters; these must fit it."""
    shapes = [np.shape(parameter) for parameter in parameters]
    if shape is None:
        return broadcast_shapes(where, *shapes)
    wanted = _extents(where, shape)
    if broadcast_shapes(where, wanted, *shapes) != wanted:
        raise ShapeError(f"{where} cannot fill shape {wanted} from parameters of shapes {shapes}.")
    return wanted


def _affine(noise: Any, shift: Any, factor: Any) -> Any:
    """shift + factor noise; a shift of 0 and a factor of 1 cost nothing."""
    if not (type(factor) in (int, float) and factor == 1):
        noise = multiply(factor, noise)
    return noise if type(shift) in (int, float) and shift == 0 else add(shift, noise)


def bits(key: Key, shape: int | Sequence[int] = ()) -> Any:
    """Random 32-bit words (uint32).

    >>> bits(key(0), 2)
    array([1713891541, 3781805453], dtype=uint32)
    """
    return _draw(_bits, key, _common("bits", shape), _WORDS)


def uniform(
    key: Key,
    shape: int | Sequence[int] | None = None,
    low: Any = 0.0,
    high: Any = 1.0,
    dtype: Any = FLOAT64,
) -> Any:
    """Uniform numbers low + (high - low) u, with u of 32 random bits in [0, 1).

    `low` and `high` may be arrays, and traced: the derivative passes to them with u held fixed. Without
    `shape` one number is drawn for each of their elements.

    >>> uniform(key(0), 3).round(3)
    array([0.399, 0.881, 0.736])
    """
    u = _draw(_uniform, key, _common("uniform", shape, low, high), floating(dtype, "uniform"))
    return _affine(u, low, high - low)


def normal(
    key: Key,
    shape: int | Sequence[int] | None = None,
    mean: Any = 0.0,
    std: Any = 1.0,
    dtype: Any = FLOAT64,
) -> Any:
    """Normal numbers mean + std z, with z standard normal by the transform of Box and Muller.

    `mean` and `std` may be arrays, and traced: the derivative passes to them with z held fixed (1 and z).
    Without `shape` one number is drawn for each of their elements.

    >>> normal(key(0), 3, mean=10.0).round(3)
    array([9.878, 9.602, 8.65 ])
    >>> gn.grad(lambda std: normal(key(0), 3, std=std).sum())(2.0) == normal(key(0), 3).sum()
    np.True_

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, section 2.4.
    """
    z = _draw(_normal, key, _common("normal", shape, mean, std), floating(dtype, "normal"))
    return _affine(z, mean, std)


def truncated_normal(
    key: Key,
    shape: int | Sequence[int] | None = None,
    low: float = -2.0,
    high: float = 2.0,
    mean: Any = 0.0,
    std: Any = 1.0,
    dtype: Any = FLOAT64,
) -> Any:
    """Normal numbers mean + std z whose z is between `low` and `high`, which are counted in std.

    `mean` and `std` are those before the cut; the derivative passes to them with z held fixed. Raises
    ConfigurationError for bounds between which hardly a normal number (one in a million) lies.

    >>> truncated_normal(key(0), 3, -1.0, 1.0).round(3)
    array([-0.174,  0.706,  0.415])
    """
    if not math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)) > 2e-6:
        raise ConfigurationError(
            f"truncated_normal needs bounds in std with some of the normal distribution between them; "
            f"it got low={low} and high={high}."
        )
    wanted = _common("truncated_normal", shape, mean, std)
    kind = floating(dtype, "truncated_normal")
    z = _draw(_truncated_normal, key, wanted, kind, low=float(low), high=float(high))
    return _affine(z, mean, std)


def exponential(
    key: Key, shape: int | Sequence[int] | None = None, scale: Any = 1.0, dtype: Any = FLOAT64
) -> Any:
    """Exponential numbers -scale log(1 - u) of mean `scale`; the derivative passes to `scale`.

    >>> exponential(key(0), 2).round(3)
    array([0.509, 2.125])
    """
    u = _draw(_uniform, key, _common("exponential", shape, scale), floating(dtype, "exponential"))
    return _affine(negative(log1p(negative(u))), 0, scale)


def gumbel(
    key: Key, shape: int | Sequence[int] | None = None, loc: Any = 0.0, scale: Any = 1.0, dtype: Any = FLOAT64
) -> Any:
    """Gumbel numbers loc + scale g, g = -log(-log u); the derivative passes to `loc` and `scale`.

    >>> gumbel(key(0), 2).round(3)
    array([0.085, 2.062])
    """
    noise = _draw(_gumbel, key, _common("gumbel", shape, loc, scale), floating(dtype, "gumbel"))
    return _affine(noise, loc, scale)


def bernoulli(key: Key, shape: int | Sequence[int] | None = None, probability: Any = 0.5) -> Any:
    """True with the given probability (an array gives one for each element), else False.

    Comparing has no derivative; for one that passes, relax the draw with `gumbel` and a sigmoid.

    >>> bernoulli(key(0), 4, probability=0.7)
    array([ True, False, False,  True])
    """
    u = _draw(_uniform, key, _common("bernoulli", shape, probability), FLOAT64)
    return less(u, probability)


def categorical(key: Key, logits: Any, shape: int | Sequence[int] = ()) -> Any:
    """Classes (int64) drawn with the probabilities softmax(logits): the largest of logits + Gumbel noise.

    Shapes: logits (..., classes) -> (*shape, ...): `shape` is the number of draws from each distribution.

    >>> categorical(key(0), np.log([0.1, 0.0001, 0.9]), 5)
    array([2, 2, 0, 2, 2])

    Source: Gumbel (1954); Maddison, Tarlow and Minka, "A* sampling", NIPS 2014, section 2.
    """
    extents = np.shape(logits)
    if not extents or extents[-1] == 0:
        raise ShapeError(f"categorical takes logits of shape (..., classes); it got {extents}.")
    noise = _draw(_gumbel, key, (*_common("categorical", shape), *extents), FLOAT64)
    return argmax(add(logits, noise), axis=-1)


def randint(key: Key, shape: int | Sequence[int], low: int, high: int) -> Any:
    """Whole numbers (int64) from `low` up to `high` - 1, floor(u (high - low)) of 32 random bits.

    No number is more than 2^-32 off its probability. Raises ConfigurationError for an empty range or one of
    more than 2^32 numbers.

    >>> randint(key(0), 5, 1, 7)
    array([3, 6, 5, 4, 6])
    """
    if not 0 < high - low <= 2**32:
        raise ConfigurationError(
            f"randint draws from low up to high - 1, of 1 to 2^32 numbers; it got low={low} and high={high}."
        )
    return _draw(_integers, key, _common("randint", shape), INT64, low=int(low), high=int(high))


def permutation(key: Key, count: int) -> Any:
    """The numbers 0 .. count-1 in random order (int64), each order equally likely; x[permutation] shuffles x.

    >>> permutation(key(0), 5)
    array([0, 1, 3, 2, 4])
    """
    if np.ndim(count):
        raise ShapeError("permutation takes a number of elements; x[permutation(key, len(x))] shuffles x.")
    return _draw(_permutation, key, (int(count),), INT64)


def dropout_mask(key: Key, shape: int | Sequence[int], rate: float, dtype: Any = FLOAT64) -> Any:
    """What dropout multiplies by: 0 with probability `rate`, else 1 / (1 - rate), of mean 1.

    Raises ConfigurationError for a rate outside 0 <= rate < 1.

    >>> dropout_mask(key(0), 4, 0.5)
    array([0., 2., 2., 2.])

    Source: Srivastava et al., JMLR 15 (2014), section 10.
    """
    if not 0 <= rate < 1:
        raise ConfigurationError(f"dropout_mask takes a rate with 0 <= rate < 1; it got {rate!r}.")
    dtype = floating(dtype, "dropout_mask")
    u = _draw(_uniform, key, _common("dropout_mask", shape), dtype)
    return where(less(u, rate), dtype.type(0), dtype.type(1 / (1 - rate)))
