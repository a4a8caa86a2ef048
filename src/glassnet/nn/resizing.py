"""More or fewer elements along the spatial axes: zeros around, a frame cut off, every element repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.shape import Shape
from glassnet.nn.layer import Parameters
from glassnet.nn.run import Run
from glassnet.nn.spatial import OverImages, OverSequences, OverVolumes, Pairs, PerAxis, SpatialLayer


@dataclass(frozen=True, repr=False)
class ZeroPadding(SpatialLayer):
    """Base of the layers that put zeros around the space.

    No parameters. Shapes: (*space, channels) -> (*(n + front + back), channels). `padding` is a whole
    number, or for each axis a number or a pair (front, back). Where a sequence has a mask, zeros in front
    count if the first position does, and zeros behind if the last does. Raises ConfigurationError for
    another padding; ShapeError for examples of another rank.
    """

    padding: Pairs = 1
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_pairs("padding")

    def output_shape(self, in_shape: Shape) -> Shape:
        """(*(n + front + back), channels) for an example (*space, channels)."""
        space, channels = self.split(in_shape)
        return self.join(
            tuple(n + sum(pair) for n, pair in zip(space, self.pairs("padding"), strict=True)), channels
        )

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x with zeros around."""
        pairs = self.pairs("padding")
        if run.mask is not None:
            (count, *_), (front, back) = self.split(x.shape)[0], pairs[0]
            self.place_mask(run, np.clip(np.arange(-front, count + back), 0, count - 1))
        return gnp.pad(x, self.join(pairs, (0, 0)))


@dataclass(frozen=True, repr=False)
class Cropping(SpatialLayer):
    """Base of the layers that cut elements off the ends of the spatial axes.

    No parameters. Shapes: (*space, channels) -> (*(n - front - back), channels). `cropping` is a whole
    number, or for each axis a number or a pair (front, back). Raises ConfigurationError for another cropping;
    ShapeError for examples of another rank, or of which nothing is left.
    """

    cropping: Pairs = 1
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_pairs("cropping")

    def output_shape(self, in_shape: Shape) -> Shape:
        """(*(n - front - back), channels) for an example (*space, channels)."""
        space, channels = self.split(in_shape)
        left = tuple(n - sum(pair) for n, pair in zip(space, self.pairs("cropping"), strict=True))
        if min(left) < 1:
            raise self.refuse(in_shape, "examples larger than what it cuts off", "crop less")
        return self.join(left, channels)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """What is left of x."""
        space, _ = self.split(x.shape)
        kept = tuple(slice(f, n - b) for n, (f, b) in zip(space, self.pairs("cropping"), strict=True))
        self.place_mask(run, kept[0])
        return x[self.join(kept, slice(None))]


@dataclass(frozen=True, repr=False)
class UpSampling(SpatialLayer):
    """Base of the layers that repeat every element: the nearest neighbour of each new place.

    No parameters. Shapes: (*space, channels) -> (*(n size), channels). `size` is a whole number, or one for
    each axis. Raises ConfigurationError for another size; ShapeError for examples of another rank.
    """

    size: PerAxis = 2
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_per_axis("size")

    def output_shape(self, in_shape: Shape) -> Shape:
        """(*(n size), channels) for an example (*space, channels)."""
        space, channels = self.split(in_shape)
        return self.join(
            tuple(n * size for n, size in zip(space, self.per_axis("size"), strict=True)), channels
        )

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x with every element repeated."""
        times = self.join(self.per_axis("size"), 1)
        self.place_mask(run, np.repeat(np.arange(self.split(x.shape)[0][0]), self.per_axis("size")[0]))
        # One axis of length 1 behind each, spread to what is repeated.
        apart = gnp.reshape(x, tuple(n for extent in x.shape for n in (extent, 1)))
        wide = gnp.broadcast_to(apart, tuple(n for pair in zip(x.shape, times, strict=True) for n in pair))
        return gnp.reshape(wide, self.output_shape(x.shape))


@dataclass(frozen=True, repr=False)
class ZeroPad1D(OverSequences, ZeroPadding):
    """Zeros around a sequence; options and errors are those of ZeroPadding.

    No parameters. Shapes: (positions, channels) -> (*(n + front + back), channels).

    >>> gn.nn.ZeroPad1D((2, 1))({}, np.array([[1.0], [2.0]])).ravel()
    array([0., 0., 1., 2., 0.])

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class ZeroPad2D(OverImages, ZeroPadding):
    """Zeros around an image; options and errors are those of ZeroPadding.

    No parameters. Shapes: (height, width, channels) -> (*(n + front + back), channels).

    >>> gn.nn.ZeroPad2D(((0, 1), 2)).output_shape((28, 28, 3))
    (29, 32, 3)

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class ZeroPad3D(OverVolumes, ZeroPadding):
    """Zeros around a volume; options and errors are those of ZeroPadding.

    No parameters. Shapes: (depth, height, width, channels) -> (*(n + front + back), channels).

    >>> gn.nn.ZeroPad3D((0, 1, 1)).output_shape((8, 10, 10, 3))
    (8, 12, 12, 3)

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class Cropping1D(OverSequences, Cropping):
    """A sequence without a frame; options and errors are those of Cropping.

    No parameters. Shapes: (positions, channels) -> (*(n - front - back), channels).

    >>> gn.nn.Cropping1D((1, 0))({}, np.array([[1.0], [2.0], [3.0]])).ravel()
    array([2., 3.])

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class Cropping2D(OverImages, Cropping):
    """An image without a frame; options and errors are those of Cropping.

    No parameters. Shapes: (height, width, channels) -> (*(n - front - back), channels).

    >>> gn.nn.Cropping2D(((0, 1), 2)).output_shape((28, 28, 3))
    (27, 24, 3)

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class Cropping3D(OverVolumes, Cropping):
    """A volume without a frame; options and errors are those of Cropping.

    No parameters. Shapes: (depth, height, width, channels) -> (*(n - front - back), channels).

    >>> gn.nn.Cropping3D((0, 1, 1)).output_shape((8, 10, 10, 3))
    (8, 8, 8, 3)

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class UpSampling1D(OverSequences, UpSampling):
    """Every element of a sequence repeated `size` times along each axis; see UpSampling.

    No parameters. Shapes: (positions, channels) -> (*(n size), channels).

    >>> gn.nn.UpSampling1D(3)({}, np.array([[1.0], [2.0]])).ravel()
    array([1., 1., 1., 2., 2., 2.])

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class UpSampling2D(OverImages, UpSampling):
    """Every element of an image repeated `size` times along each axis; see UpSampling.

    No parameters. Shapes: (height, width, channels) -> (*(n size), channels).

    >>> gn.nn.UpSampling2D((1, 2))({}, np.array([[[1.0], [2.0]], [[3.0], [4.0]]]))[..., 0]
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])

    Source: definition.
    """


@dataclass(frozen=True, repr=False)
class UpSampling3D(OverVolumes, UpSampling):
    """Every element of a volume repeated `size` times along each axis; see UpSampling.

    No parameters. Shapes: (depth, height, width, channels) -> (*(n size), channels).

    >>> gn.nn.UpSampling3D().output_shape((4, 5, 6, 1))
    (8, 10, 12, 1)

    Source: definition.
    """
