"""The methods that NumPy's arrays have and a traced array shares: each is the function of its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from glassnet.core.registry import FUNCTIONS

if TYPE_CHECKING:
    from glassnet.core.trace import Array

Axis = int | Iterable[int] | None


class Methods:
    """x.sum(axis) for sum(x, axis), and so on; all return new arrays."""

    __slots__ = ()

    @property
    def T(self) -> Array:  # noqa: N802
        """The array with its axes reversed."""
        return FUNCTIONS["transpose"](self)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """The sum over `axis` (all axes by default)."""
        return FUNCTIONS["sum"](self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """The mean over `axis`."""
        return FUNCTIONS["mean"](self, axis, keepdims)

    def var(self, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Array:
        """The variance over `axis`, its sum divided by n - ddof."""
        return FUNCTIONS["var"](self, axis, ddof, keepdims)

    def std(self, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Array:
        """The standard deviation over `axis`."""
        return FUNCTIONS["std"](self, axis, ddof, keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """The product over `axis`."""
        return FUNCTIONS["prod"](self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """The largest element over `axis`."""
        return FUNCTIONS["max"](self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """The smallest element over `axis`."""
        return FUNCTIONS["min"](self, axis, keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """True where an element over `axis` is not zero."""
        return FUNCTIONS["any"](self, axis, keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Array:
        """True where every element over `axis` is not zero."""
        return FUNCTIONS["all"](self, axis, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Array:
        """The position of the largest element along `axis`."""
        return FUNCTIONS["argmax"](self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Array:
        """The position of the smallest element along `axis`."""
        return FUNCTIONS["argmin"](self, axis, keepdims)

    def argsort(self, axis: int | None = -1) -> Array:
        """The positions of the elements in rising order along `axis`."""
        return FUNCTIONS["argsort"](self, axis)

    def cumsum(self, axis: int | None = None) -> Array:
        """The sums of the first elements along `axis`."""
        return FUNCTIONS["cumsum"](self, axis)

    def cumprod(self, axis: int | None = None) -> Array:
        """The products of the first elements along `axis`."""
        return FUNCTIONS["cumprod"](self, axis)

    def take(self, indices: Any, axis: int | None = None) -> Array:
        """The elements at `indices` along `axis`."""
        return FUNCTIONS["take"](self, indices, axis)

    def dot(self, other: Any) -> Array:
        """NumPy's dot product with `other`."""
        return FUNCTIONS["dot"](self, other)

    def reshape(self, *shape: int | tuple[int, ...] | list[int]) -> Array:
        """The same elements in another shape, given as one sequence or as numbers."""
        return FUNCTIONS["reshape"](self, _one_sequence(shape))

    def flatten(self) -> Array:
        """All elements row by row in one dimension."""
        return FUNCTIONS["reshape"](self, (-1,))

    def ravel(self) -> Array:
        """All elements row by row in one dimension."""
        return FUNCTIONS["reshape"](self, (-1,))

    def squeeze(self, axis: Axis = None) -> Array:
        """The array without its axes of extent 1."""
        return FUNCTIONS["squeeze"](self, axis)

    def transpose(self, *axes: int | tuple[int, ...] | list[int] | None) -> Array:
        """The axes in the order `axes`, given as one sequence or as numbers; reversed by default."""
        return FUNCTIONS["transpose"](self, None if axes in ((), (None,)) else _one_sequence(axes))

    @property
    def mT(self) -> Array:  # noqa: N802
        """The array with its last two axes exchanged."""
        return FUNCTIONS["matrix_transpose"](self)

    def clip(self, min: Any = None, max: Any = None) -> Array:
        """The elements, raised to `min` and lowered to `max`."""
        return FUNCTIONS["clip"](self, min, max)

    def round(self, decimals: int = 0) -> Array:
        """The elements, rounded to `decimals` places."""
        return FUNCTIONS["round"](self, decimals)

    def swapaxes(self, axis1: int, axis2: int) -> Array:
        """The array with two axes exchanged."""
        return FUNCTIONS["swapaxes"](self, axis1, axis2)

    def repeat(self, repeats: int | Iterable[int], axis: int | None = None) -> Array:
        """Each element along `axis` as often as `repeats` says."""
        return FUNCTIONS["repeat"](self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """The diagonal over two axes."""
        return FUNCTIONS["diagonal"](self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """The sum of the diagonal over two axes."""
        return FUNCTIONS["trace"](self, offset, axis1, axis2)

    def nonzero(self) -> tuple[Array, ...]:
        """The positions of the elements that are not zero, one array for each axis."""
        return FUNCTIONS["nonzero"](self)

    def copy(self) -> Array:
        """The array itself: traced arrays never change."""
        return cast("Array", self)

    def astype(self, dtype: Any) -> Array:
        """The elements as another dtype; the derivative passes between floating ones."""
        return FUNCTIONS["astype"](self, dtype)


def _one_sequence(given: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        return tuple(cast("list[Any]", given[0]))
    return given
