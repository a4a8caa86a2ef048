"""Making arrays: out of numbers (plain arrays), or out of traced ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.registry import FUNCTIONS, function
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, DTypeError
from glassnet.ops.shaping import broadcast_to, is_array, operand, reshape, stack, whole_numbers

Extents = int | Sequence[int]


def _holds_traced(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_holds_traced(part) for part in cast("Sequence[Any]", x))
    return isinstance(x, Array)


@function
def array(x: Any, dtype: Any = None) -> Any:
    """An array of `x`: a number, an array, or nested lists of these, some of them traced.

    The gradient passes to every traced element.

    >>> gn.grad(lambda x: (array([[x, 1.0], [2.0, x * x]]) ** 2).sum())(3.0)
    array(114.)
    """
    if not _holds_traced(x):
        plain = np.array(x, dtype)
        if plain.dtype.kind not in "fibu":
            raise DTypeError(f"array holds numbers; it got elements of dtype {plain.dtype}.")
        return plain
    made = x if isinstance(x, Array) else stack([array(part) for part in x])
    return made if dtype is None or made.dtype == dtype else FUNCTIONS["astype"](made, dtype)


@function
def asarray(x: Any, dtype: Any = None) -> Any:
    """`x` itself where it is an array of that dtype, else an `array` made of it.

    >>> asarray([1.0, 2.0])
    array([1., 2.])
    """
    if is_array(x) and (dtype is None or x.dtype == dtype):
        return x
    return array(x, dtype)


@function
def zeros(shape: Extents, dtype: Any = FLOAT64) -> NDArray:
    """A plain array of zeros.

    >>> zeros((2, 2))
    array([[0., 0.],
           [0., 0.]])
    """
    return np.zeros(whole_numbers(shape), dtype)


@function
def ones(shape: Extents, dtype: Any = FLOAT64) -> NDArray:
    """A plain array of ones.

    >>> ones(3)
    array([1., 1., 1.])
    """
    return np.ones(whole_numbers(shape), dtype)


@function
def full(shape: Extents, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value`, a number or an array that broadcasts, repeated to `shape`; the gradient is summed back.

    >>> full((2, 2), 7.0)
    array([[7., 7.],
           [7., 7.]])
    """
    if isinstance(fill_value, Array):
        return broadcast_to(array(fill_value, dtype), whole_numbers(shape))
    return np.full(whole_numbers(shape), fill_value, dtype)


@function
def zeros_like(x: Any, dtype: Any = None) -> NDArray:
    """Zeros of the shape and dtype of `x`, a plain array: they depend on nothing.

    >>> zeros_like(np.array([1.0, 2.0]))
    array([0., 0.])
    """
    return full_like(x, 0, dtype)


@function
def ones_like(x: Any, dtype: Any = None) -> NDArray:
    """Ones of the shape and dtype of `x`, a plain array: they depend on nothing.

    >>> ones_like(np.array([3, 4]))
    array([1, 1])
    """
    return full_like(x, 1, dtype)


@function
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` repeated to the shape of `x`, in its dtype.

    >>> full_like(np.array([1.0, 2.0]), 9)
    array([9., 9.])
    """
    x = operand(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype)


@function
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = FLOAT64) -> NDArray:
    """Ones on the diagonal `k` (0 the main one, 1 the one above it), zeros elsewhere.

    >>> eye(2, 3, k=1)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    return np.eye(N, M, k, dtype)


@function
def identity(n: int, dtype: Any = FLOAT64) -> NDArray:
    """The identity matrix of n rows.

    >>> identity(2)
    array([[1., 0.],
           [0., 1.]])
    """
    return np.eye(n, dtype=dtype)


@function
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = FLOAT64) -> NDArray:
    """Ones on and below the diagonal `k`, zeros above it.

    >>> tri(2, 3)
    array([[1., 0., 0.],
           [1., 1., 0.]])
    """
    return np.tri(N, M, k, dtype)


@function
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> NDArray:
    """start, start + step, ... below `stop`; with one argument, the numbers from 0 below it.

    The number of elements hangs on the values: they are numbers, and a derivative does not pass.

    >>> arange(2, 8, 3)
    array([2, 5])
    """
    first, last = (0, start) if stop is None else (start, stop)
    if any(isinstance(x, Array) for x in (first, last, step)):
        raise DTypeError(
            "arange takes plain numbers, for its length hangs on them; write start + step * arange(n)."
        )
    if step == 0:
        raise ConfigurationError("arange got step=0; it takes steps up or down.")
    numbers: Any = np.arange  # the overloads know no argument of open type
    return numbers(first, last, step, dtype)


@function
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, *, dtype: Any = None) -> Any:
    """`num` numbers from `start` to `stop` at equal distances, along a new first axis.

    x_i = start + i (stop - start) / (num - 1); with endpoint=False the divisor is num and `stop` is left out.
    The gradient passes to both ends.

    >>> linspace(0.0, 1.0, 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if num < 0:
        raise ConfigurationError(f"linspace got num={num}; it makes 0 numbers or more.")
    if not (isinstance(start, Array) or isinstance(stop, Array)):
        return np.linspace(start, stop, num, endpoint, dtype=dtype)  # pyright: ignore[reportUnknownVariableType]
    start, stop = operand(start), operand(stop)
    difference = stop - start
    # NOTE two weights, not start + share * difference: at share 1 this is `stop` to the last digit.
    share = reshape(np.linspace(0.0, 1.0, num, endpoint), (num, *(1,) * difference.ndim))
    numbers = (1 - share) * start + share * stop
    return numbers if dtype is None else FUNCTIONS["astype"](numbers, dtype)


@function
def meshgrid(*vectors: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """The coordinates of a grid: each vector along its own axis, repeated along those of the others.

    `indexing` is "ij" (vector i along axis i) or "xy" (the first two change places).

    >>> [x.shape for x in meshgrid(np.zeros(2), np.zeros(3), indexing="ij")]
    [(2, 3), (2, 3)]
    """
    if indexing not in ("xy", "ij"):
        raise ConfigurationError(f'meshgrid got indexing={indexing!r}; it takes "xy" and "ij".')
    places = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[:2] = [1, 0]
    parts: list[Any] = []
    shape = [0] * len(vectors)
    for place, vector in zip(places, vectors, strict=True):
        own = [1] * len(vectors)
        own[place] = shape[place] = operand(vector).size
        parts.append(reshape(vector, own))
    return tuple(broadcast_to(x, shape) for x in parts)
