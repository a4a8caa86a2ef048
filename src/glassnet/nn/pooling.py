"""Pooling: the largest element or the mean of every window, or of everything, channel by channel."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.layer import Parameters
from glassnet.nn.run import Run
from glassnet.nn.spatial import (
    OverImages,
    OverSequences,
    OverVolumes,
    Pairs,
    PerAxis,
    SpatialLayer,
    WindowLayer,
)


@dataclass(frozen=True, repr=False)
class Pooling(WindowLayer):
    """Base of the layers that make one number of every window of `pool_size` elements, channel by channel.

    No parameters. Shapes: (*space, channels) -> (*extents, channels). `strides` is `pool_size` unless given;
    both are numbers, or one for each axis. `padding` is "valid" (none), "same" (ceil(n / strides) extents; of
    an odd padding the larger half is at the end, TensorFlow's rule), or less than `pool_size` in numbers: for
    all axes, or for each axis a number or a pair (front, back).

    Raises ConfigurationError for options out of range; ShapeError for examples of another rank, and where no
    window fits.
    """

    pool_size: PerAxis = 2
    strides: PerAxis | None = None
    padding: str | Pairs = "valid"
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_per_axis("pool_size", *(("strides",) if self.strides is not None else ()))
        margins = self.margins
        if isinstance(margins, tuple) and any(
            max(pair) >= taps for pair, taps in zip(margins, self.window, strict=True)
        ):
            raise ConfigurationError(
                f"{self.kind} got padding={self.padding!r} and pool_size={self.pool_size!r}; the padding is "
                "less than the window, which otherwise sees nothing."
            )

    @property
    def window(self) -> Shape:
        """The pool's size."""
        return self.per_axis("pool_size")

    @property
    def steps(self) -> Shape:
        """The strides."""
        return self.window if self.strides is None else self.per_axis("strides")

    def output_shape(self, in_shape: Shape) -> Shape:
        """(*extents, channels) for an example (*space, channels)."""
        return self.join(self.sliding(in_shape).extents, self.split(in_shape)[1])

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """One number of every window, of the positions that count; 0 where the result does not count."""
        mask = run.mask
        if mask is None or self.rank > 1:
            run.set_mask(None)
            return self.restored(self.pooled(self.channels_first(x)))
        after = self.mask_after(mask, self.sliding(x.shape))
        run.set_mask(after)
        y = self.restored(self.pooled_of(mask, self.channels_first(x)))
        return self.where_counting(after, y, 0.0)

    @abstractmethod
    def pooled(self, x: Any) -> Any:
        """One number of every window of x (channels, *space)."""

    @abstractmethod
    def pooled_of(self, mask: Any, x: Any) -> Any:
        """The same of x (channels, positions), where only the positions of the mask are in a window."""


class MaxPooling(Pooling):
    """Base of the layers that take the largest element of every window; the padding is never it.

    Of equal elements the first, row by row, takes the derivative.
    """

    def pooled(self, x: Any) -> Any:
        """The maxima."""
        return gnp.max_pool(x, self.window, self.steps, self.margins)

    def pooled_of(self, mask: Any, x: Any) -> Any:
        """The maxima, the lowest number of all where there is none."""
        return self.pooled(gnp.where(mask, x, _lowest(x)))


@dataclass(frozen=True, repr=False)
class AveragePooling(Pooling):
    """Base of the layers that take the mean of every window.

    The mean is over the elements of the example that a window sees; with `count_padding`, where the field
    disagrees, it is over all taps, as if the padding were zeros of the example.
    """

    count_padding: bool = False

    def pooled(self, x: Any) -> Any:
        """The means."""
        return gnp.avg_pool(x, self.window, self.steps, self.margins, count_padding=self.count_padding)

    def pooled_of(self, mask: Any, x: Any) -> Any:
        """The means of what the mask leaves."""
        y = self.pooled(gnp.where(mask, x, 0.0))
        if self.count_padding:
            return y
        share = self.pooled(gnp.reshape(gnp.astype(mask, x.dtype), (1, -1)))  # of a window that counts
        return y / gnp.where(share > 0, share, 1.0)


class GlobalPooling(SpatialLayer):
    """Base of the layers that make one number of each channel; positions that a mask takes out are left out.

    No parameters. Shapes: (*space, channels) -> (channels,). A sequence without any position that counts
    gives 0. Raises ShapeError for examples of another rank or without elements.
    """

    def output_shape(self, in_shape: Shape) -> Shape:
        """(channels,) for an example (*space, channels)."""
        space, channels = self.split(in_shape)
        if min(space) < 1:
            raise self.refuse(
                in_shape, "one element or more along each axis", "crop or pool less in front of it"
            )
        return (channels,)


@dataclass(frozen=True, repr=False)
class GlobalMaxPooling(GlobalPooling):
    """Base of the layers that take the largest element of each channel; of equal ones the first moves it."""

    data_format: str = "channels_last"

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The maxima (channels,)."""
        mask = run.mask
        run.set_mask(None)
        if mask is None or self.rank > 1:
            return gnp.max(x, axis=self.space_axes)
        y = gnp.max(self.where_counting(mask, x, _lowest(x)), axis=self.space_axes)
        return gnp.where(gnp.any(mask), y, 0.0)


@dataclass(frozen=True, repr=False)
class GlobalAveragePooling(GlobalPooling):
    """Base of the layers that take the mean of each channel."""

    data_format: str = "channels_last"

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The means (channels,)."""
        mask = run.mask
        run.set_mask(None)
        if mask is None or self.rank > 1:
            return gnp.mean(x, axis=self.space_axes)
        count = gnp.sum(gnp.astype(mask, x.dtype))
        return gnp.sum(self.where_counting(mask, x, 0.0), axis=self.space_axes) / gnp.maximum(count, 1.0)


def _lowest(x: Any) -> float:
    """What loses against every other number. NOTE not -inf, of which 0 times is NaN in a derivative."""
    return float(np.finfo(x.dtype).min)


@dataclass(frozen=True, repr=False)
class MaxPool1D(OverSequences, MaxPooling):
    """The largest element of every window of a sequence; options and errors are those of Pooling.

    No parameters. Shapes: (positions, channels) -> (extents, channels). A mask goes through: a
    result counts where both ends of its window do, the padding left aside.

    >>> layer = gn.nn.MaxPool1D(2)
    >>> layer({}, np.array([[1.0], [5.0], [2.0], [3.0], [4.0]]))
    array([[5.],
           [3.]])

    Source: Weng, Ahuja and Huang, "Cresceptron", IJCNN (1992).
    """


@dataclass(frozen=True, repr=False)
class MaxPool2D(OverImages, MaxPooling):
    """The largest element of every window of an image; options and errors are those of Pooling.

    No parameters. Shapes: (height, width, channels) -> (rows, columns, channels).

    >>> gn.nn.MaxPool2D(2)({}, np.arange(16.0).reshape(4, 4, 1))[..., 0]
    array([[ 5.,  7.],
           [13., 15.]])

    Source: Weng, Ahuja and Huang, "Cresceptron", IJCNN (1992).
    """


@dataclass(frozen=True, repr=False)
class MaxPool3D(OverVolumes, MaxPooling):
    """The largest element of every window of a volume; options and errors are those of Pooling.

    No parameters. Shapes: (depth, height, width, channels) -> (*extents, channels).

    >>> gn.nn.MaxPool3D((1, 2, 2)).output_shape((8, 10, 10, 3))
    (8, 5, 5, 3)

    Source: Weng, Ahuja and Huang, "Cresceptron", IJCNN (1992).
    """


@dataclass(frozen=True, repr=False)
class AveragePool1D(OverSequences, AveragePooling):
    """The mean of every window of a sequence; options and errors are those of Pooling.

    No parameters. Shapes: (positions, channels) -> (extents, channels). A mask goes through: a
    result counts where both ends of its window do, the padding left aside. See AveragePooling for
    `count_padding`.

    >>> x = np.array([[1.0], [5.0], [2.0]])
    >>> gn.nn.AveragePool1D(2, strides=1, padding="same")({}, x).ravel()
    array([3. , 3.5, 2. ])
    >>> gn.nn.AveragePool1D(2, strides=1, padding="same", count_padding=True)({}, x).ravel()
    array([3. , 3.5, 1. ])

    Source: LeCun et al., Proceedings of the IEEE 86 (1998), section II.B.
    """


@dataclass(frozen=True, repr=False)
class AveragePool2D(OverImages, AveragePooling):
    """The mean of every window of an image; options and errors are those of Pooling.

    No parameters. Shapes: (height, width, channels) -> (rows, columns, channels).

    >>> gn.nn.AveragePool2D(2)({}, np.arange(16.0).reshape(4, 4, 1))[..., 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])

    Source: LeCun et al., Proceedings of the IEEE 86 (1998), section II.B.
    """


@dataclass(frozen=True, repr=False)
class AveragePool3D(OverVolumes, AveragePooling):
    """The mean of every window of a volume; options and errors are those of Pooling.

    No parameters. Shapes: (depth, height, width, channels) -> (*extents, channels).

    >>> gn.nn.AveragePool3D(2, padding="same").output_shape((7, 10, 10, 3))
    (4, 5, 5, 3)

    Source: LeCun et al., Proceedings of the IEEE 86 (1998), section II.B.
    """


@dataclass(frozen=True, repr=False)
class GlobalMaxPool1D(OverSequences, GlobalMaxPooling):
    """The largest element of each channel of a sequence.

    No parameters. Shapes: (positions, channels) -> (channels,). Only positions that the mask lets count
    take part; without any the result is 0.

    >>> gn.nn.GlobalMaxPool1D()({}, np.array([[1.0, 5.0], [2.0, 3.0]]))
    array([2., 5.])

    Source: Oquab, Bottou, Laptev and Sivic, CVPR (2015), section 3.2.
    """


@dataclass(frozen=True, repr=False)
class GlobalMaxPool2D(OverImages, GlobalMaxPooling):
    """The largest element of each channel of an image.

    No parameters. Shapes: (height, width, channels) -> (channels,).

    >>> gn.nn.GlobalMaxPool2D()({}, np.arange(8.0).reshape(2, 2, 2))
    array([6., 7.])

    Source: Oquab, Bottou, Laptev and Sivic, CVPR (2015), section 3.2.
    """


@dataclass(frozen=True, repr=False)
class GlobalMaxPool3D(OverVolumes, GlobalMaxPooling):
    """The largest element of each channel of a volume.

    No parameters. Shapes: (depth, height, width, channels) -> (channels,).

    >>> gn.nn.GlobalMaxPool3D()({}, np.arange(16.0).reshape(2, 2, 2, 2))
    array([14., 15.])

    Source: Oquab, Bottou, Laptev and Sivic, CVPR (2015), section 3.2.
    """


@dataclass(frozen=True, repr=False)
class GlobalAveragePool1D(OverSequences, GlobalAveragePooling):
    """The mean of each channel of a sequence.

    No parameters. Shapes: (positions, channels) -> (channels,). Only positions that the mask lets count
    take part; without any the result is 0.

    >>> gn.nn.GlobalAveragePool1D()({}, np.array([[1.0, 5.0], [2.0, 3.0]]))
    array([1.5, 4. ])

    Source: Lin, Chen and Yan, "Network in network", ICLR (2014), section 3.2.
    """


@dataclass(frozen=True, repr=False)
class GlobalAveragePool2D(OverImages, GlobalAveragePooling):
    """The mean of each channel of an image.

    No parameters. Shapes: (height, width, channels) -> (channels,).

    >>> gn.nn.GlobalAveragePool2D()({}, np.arange(8.0).reshape(2, 2, 2))
    array([3., 4.])

    Source: Lin, Chen and Yan, "Network in network", ICLR (2014), section 3.2.
    """


@dataclass(frozen=True, repr=False)
class GlobalAveragePool3D(OverVolumes, GlobalAveragePooling):
    """The mean of each channel of a volume.

    No parameters. Shapes: (depth, height, width, channels) -> (channels,).

    >>> gn.nn.GlobalAveragePool3D()({}, np.arange(16.0).reshape(2, 2, 2, 2))
    array([7., 8.])

    Source: Lin, Chen and Yan, "Network in network", ICLR (2014), section 3.2.
    """
