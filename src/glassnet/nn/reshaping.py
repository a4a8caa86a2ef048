"""The same numbers in another form: flat, in another shape, with the axes in another order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.shape import Shape, size_of
from glassnet.errors import ConfigurationError
from glassnet.nn.checks import whole_numbers
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """All numbers of an example in one vector, row by row: the last axis runs fastest.

    No parameters. Shapes: (...) -> (product of the extents,); a single number becomes (1,).

    >>> gn.nn.Flatten()({}, np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 2., 3., 4.])

    Source: definition.
    """

    def output_shape(self, in_shape: Shape) -> Shape:
        """One axis with all elements."""
        return (size_of(in_shape),)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x as a vector."""
        run.set_mask(None)
        return gnp.reshape(x, self.output_shape(x.shape))


@dataclass(frozen=True, repr=False)
class Reshape(Layer):
    """The numbers of an example in another shape, row by row: the last axis runs fastest.

    No parameters. Shapes: (...) -> `shape`, of which one entry may be -1: it becomes what the others leave.

    Raises ConfigurationError for a shape that is not of whole numbers or has more than one -1; ShapeError
    for an example with another number of elements.

    >>> gn.nn.Reshape((28, 28, 1)).output_shape((784,)), gn.nn.Reshape((-1, 7)).output_shape((28, 2))
    ((28, 28, 1), (8, 7))

    Source: definition.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = whole_numbers(self.shape)
        if listed is None or any(n < 1 and n != -1 for n in listed) or listed.count(-1) > 1:
            raise ConfigurationError(
                f"Reshape got shape={self.shape!r}; it takes a tuple of positive whole numbers, of which one "
                "may be -1."
            )
        object.__setattr__(self, "shape", listed)

    def output_shape(self, in_shape: Shape) -> Shape:
        """`shape` without the -1."""
        count, known = size_of(in_shape), math.prod(n for n in self.shape if n != -1)
        if count % known or (-1 not in self.shape and count != known):
            raise self.refuse(
                in_shape,
                f"examples of {'a multiple of ' if -1 in self.shape else ''}{known} numbers",
                f"these have {count}, so choose a shape of {count} numbers",
            )
        return tuple(count // known if n == -1 else n for n in self.shape)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x in its new shape."""
        run.set_mask(None)
        return gnp.reshape(x, self.output_shape(x.shape))


@dataclass(frozen=True, repr=False)
class Permute(Layer):
    """The axes of an example in another order: axis i of y is axis axes[i] of x.

    No parameters. Shapes: y.shape[i] = x.shape[axes[i]]. The axes of one example are counted from 0, as
    NumPy's transpose does; Keras counts them from 1.

    Raises ConfigurationError unless `axes` has each of 0, 1, ... once; ShapeError for an example of another
    rank.

    >>> gn.nn.Permute((2, 0, 1)).output_shape((28, 20, 3))
    (3, 28, 20)

    Source: definition.
    """

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = whole_numbers(self.axes)
        if not listed or sorted(listed) != list(range(len(listed))):
            raise ConfigurationError(
                f"Permute got axes={self.axes!r}; it takes each of 0, 1, ... once, such as (1, 0)."
            )
        object.__setattr__(self, "axes", listed)

    def output_shape(self, in_shape: Shape) -> Shape:
        """The extents in their new order."""
        if len(in_shape) != len(self.axes):
            raise self.refuse(in_shape, f"{len(self.axes)} axes", f"give an order of {len(in_shape)} axes")
        return tuple(in_shape[axis] for axis in self.axes)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x with its axes in the new order; a mask goes on with the positions in front."""
        if self.axes[0] != 0:
            run.set_mask(None)
        return gnp.transpose(x, self.axes)
