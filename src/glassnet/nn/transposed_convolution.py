"""Transposed convolution: what a convolution does to gradients, as a layer; it makes examples larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.activations import Activation
from glassnet.nn.convolution import KernelLayer
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import Parameters
from glassnet.nn.run import Run
from glassnet.nn.spatial import OverImages, OverSequences, OverVolumes, Pairs, PerAxis
from glassnet.ops.convolution import transposed_convolution


@dataclass(frozen=True, repr=False)
class TransposedConvolution(KernelLayer):
    """Base of the transposed convolutions: y = f(z) with z[i, o] = b[o] + sum of W[o, c, k] x[p, c].

    The sum goes over all c, p and k with strides p + dilation k - front = i along each spatial axis: every
    element of x spreads a kernel over z. Parameters: weight W (filters, channels, *kernel_size), bias b
    (filters,). Shapes: x (*space, channels) -> (*extents, filters), where an axis of n elements gets

        strides (n - 1) + dilation (kernel_size - 1) + 1 - front - back + output_padding

    elements, and strides n with padding "same". The padding is that of the convolution which this one
    transposes: it takes elements away. `output_padding` (less than the stride) adds elements at the end, and
    so chooses among the lengths of which a convolution with that stride makes n; "same" takes the longest,
    and no output_padding. Otherwise options and errors are those of Convolution, without groups; where the
    field disagrees, Keras gives strides n elements for "valid" kernels shorter than the stride. Masked
    positions of a sequence are zeros; a result counts where the position that its window starts from does.
    """

    filters: int
    kernel_size: PerAxis
    strides: PerAxis = 1
    padding: str | Pairs = "valid"
    output_padding: PerAxis = 0
    dilation: PerAxis = 1
    activation: str | Activation = "identity"
    use_bias: bool = True
    kernel_initializer: str | Initializer | None = None
    bias_initializer: str | Initializer = "zeros"
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_per_axis("output_padding", low=0)
        more = self.per_axis("output_padding")
        if any(n >= step for n, step in zip(more, self.steps, strict=True)):
            raise ConfigurationError(
                f"{self.kind} got output_padding={self.output_padding!r} and strides={self.strides!r}; along "
                "each axis it is less than the stride."
            )
        if self.padding == "same" and any(more):
            raise ConfigurationError(
                f'{self.kind} got output_padding={self.output_padding!r} with padding="same", which fixes '
                "the length; give the padding in numbers."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (filters, channels, *kernel_size) and bias (filters,)."""
        self.output_shape(in_shape)
        return self.fresh(key, self.split(in_shape)[1], dtype)

    def output_shape(self, in_shape: Shape) -> Shape:
        """(*extents, filters) for an example (*space, channels)."""
        extents = self._extents(self.split(in_shape)[0])
        if min(*in_shape, *extents) < 1:
            raise self.refuse(
                in_shape, "examples larger than its padding", "pad less, or take a larger kernel"
            )
        return self.join(extents, self.filters)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """y = f(z) for one example; masked positions count as zeros."""
        if run.mask is not None and self.rank == 1:
            (count,), _ = self.split(x.shape)
            (length,), (stride,) = self._extents((count,)), self.steps
            x = self.where_counting(run.mask, x, 0.0)
            # The last position makes the results up to length - 1, each one before `stride` fewer.
            behind = length - 1 - np.arange(length)
            self.place_mask(run, np.maximum(count - 1 - behind // stride, 0))
        else:
            run.set_mask(None)
        return super().forward(parameters, x, run)

    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z = W^T * x + b."""
        x = self.channels_first(x)  # (channels, *space)
        z = transposed_convolution(
            x,
            parameters["weight"],
            spec="c,oc->o",
            space=self._extents(x.shape[1:]),
            stride=self.steps,
            dilation=self.spread,
            low=tuple(front for front, _ in self._cut()),
        )
        return self.biased(parameters, z)

    def _cut(self) -> tuple[tuple[int, int], ...]:
        """How many elements the padding takes away in front and behind, along each axis."""
        if isinstance(self.margins, tuple):
            return self.margins
        totals = [max(0, span - step) for span, step in zip(self.span, self.steps, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)

    def _extents(self, space: Shape) -> Shape:
        if self.margins == "same":
            return tuple(step * n for n, step in zip(space, self.steps, strict=True))
        axes = zip(space, self.steps, self.span, self._cut(), self.per_axis("output_padding"), strict=True)
        return tuple(step * (n - 1) + span - sum(cut) + more for n, step, span, cut, more in axes)


@dataclass(frozen=True, repr=False)
class Conv1DTranspose(OverSequences, TransposedConvolution):
    """A transposed convolution over a sequence; options, formula and errors are those of its base.

    Parameters: weight (filters, channels, kernel_size), bias (filters,). Shapes: (positions, channels) ->
    (extents, filters). A mask goes through.

    >>> layer = gn.nn.Conv1DTranspose(1, 3, strides=2, use_bias=False)
    >>> layer({"weight": np.array([[[1.0, 2.0, 3.0]]])}, np.array([[1.0], [10.0]])).ravel()
    array([ 1.,  2., 13., 20., 30.])

    Source: Dumoulin and Visin, arXiv 1603.07285, chapter 4.
    """


@dataclass(frozen=True, repr=False)
class Conv2DTranspose(OverImages, TransposedConvolution):
    """A transposed convolution over an image; options, formula and errors are those of its base.

    Parameters: weight (filters, channels, kernel_height, kernel_width), bias (filters,). Shapes: (height,
    width, channels) -> (rows, columns, filters).

    >>> gn.nn.Conv2DTranspose(3, 5, strides=2, padding="same").output_shape((7, 7, 16))
    (14, 14, 3)
    >>> gn.nn.Conv2DTranspose(3, 3, strides=2, padding=1, output_padding=1).output_shape((7, 7, 16))
    (14, 14, 3)

    Source: Dumoulin and Visin, arXiv 1603.07285, chapter 4; Zeiler, Krishnan, Taylor and Fergus, CVPR (2010).
    """


@dataclass(frozen=True, repr=False)
class Conv3DTranspose(OverVolumes, TransposedConvolution):
    """A transposed convolution over a volume; options, formula and errors are those of its base.

    Parameters: weight (filters, channels, *kernel_size), bias (filters,). Shapes: (depth, height, width,
    channels) -> (*extents, filters).

    >>> gn.nn.Conv3DTranspose(2, 2, strides=2).output_shape((3, 4, 5, 1))
    (6, 8, 10, 2)

    Source: Dumoulin and Visin, arXiv 1603.07285, chapter 4.
    """
