"""Convolution: one small kernel of weights at every place of a sequence, an image or a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn import initializers
from glassnet.nn.activations import Activation
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import ActivatedLayer, Parameters
from glassnet.nn.run import Run
from glassnet.nn.spatial import OverImages, OverSequences, OverVolumes, Pairs, PerAxis, WindowLayer


class KernelLayer(WindowLayer, ActivatedLayer):
    """Base of the layers with a kernel of weights, which convolve or transpose a convolution."""

    filters: int
    kernel_size: PerAxis
    strides: PerAxis
    dilation: PerAxis
    use_bias: bool
    kernel_initializer: str | Initializer | None
    bias_initializer: str | Initializer

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("filters")
        self.require_per_axis("kernel_size", "strides", "dilation")
        initializers.for_kernel(self.kernel_initializer, self.activation, self.kind)
        initializers.resolve(self.bias_initializer, self.kind)

    @property
    def window(self) -> Shape:
        """The kernel's size."""
        return self.per_axis("kernel_size")

    @property
    def steps(self) -> Shape:
        """The strides."""
        return self.per_axis("strides")

    @property
    def spread(self) -> Shape:
        """The dilation."""
        return self.per_axis("dilation")

    def fresh(self, key: Key, inputs: int, dtype: DType) -> Parameters:
        """Fresh weight (filters, inputs, *kernel_size) and bias (filters,)."""
        kernel = initializers.for_kernel(self.kernel_initializer, self.activation, self.kind)
        parameters = {"weight": kernel(key.fold(0), (self.filters, inputs, *self.window), dtype)}
        if self.use_bias:
            bias = initializers.resolve(self.bias_initializer, self.kind)
            parameters["bias"] = bias(key.fold(1), (self.filters, 1), dtype).reshape(self.filters)
        return parameters

    def biased(self, parameters: Parameters, z: Any) -> Any:
        """z + b in the order of `data_format`, from z (filters, *extents)."""
        if self.use_bias:
            z = z + gnp.reshape(parameters["bias"], (self.filters, *(1,) * self.rank))
        return self.restored(z)


@dataclass(frozen=True, repr=False)
class Convolution(KernelLayer):
    """Base of the convolutions: y = f(z) with z[p, o] = b[o] + sum over c, k of W[o, c, k] x[i, c].

    Here i = strides p + dilation k - front along each spatial axis, and x is 0 outside: the kernel is not
    flipped, as everywhere in networks. Parameters: weight W (filters, channels / groups, *kernel_size), bias
    b (filters,). Shapes: x (*space, channels) -> (*extents, filters), with floor((n + front + back -
    dilation (kernel_size - 1) - 1) / strides) + 1 extents along an axis of n elements.

    `kernel_size`, `strides` and `dilation` are numbers, or one for each axis. `padding` is "valid" (none),
    "same" (ceil(n / strides) extents; of an odd padding the larger half is at the end, TensorFlow's rule), a
    number, or for each axis a number or a pair (front, back). With `groups` the channels fall into that many
    parts which do not mix; groups = channels is the depthwise convolution, with filters / channels kernels
    for each. `kernel_initializer` is chosen for the activation as in Dense; its fan_in and fan_out are those
    of the shape of W. `data_format` is "channels_last" or "channels_first".

    Raises ConfigurationError for options out of range; ShapeError for examples of another rank, for channels
    that the groups do not divide, and where no window fits.
    """

    filters: int
    kernel_size: PerAxis
    strides: PerAxis = 1
    padding: str | Pairs = "valid"
    dilation: PerAxis = 1
    groups: int = 1
    activation: str | Activation = "identity"
    use_bias: bool = True
    kernel_initializer: str | Initializer | None = None
    bias_initializer: str | Initializer = "zeros"
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("groups")
        if self.filters % self.groups:
            raise ConfigurationError(
                f"{self.kind} got filters={self.filters} and groups={self.groups}; the groups share the "
                "filters evenly."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (filters, channels / groups, *kernel_size) and bias (filters,)."""
        self.output_shape(in_shape)
        _, channels = self.split(in_shape)
        return self.fresh(key, channels // self.groups, dtype)

    def output_shape(self, in_shape: Shape) -> Shape:
        """(*extents, filters) for an example (*space, channels)."""
        _, channels = self.split(in_shape)
        if channels < 1 or channels % self.groups:
            raise self.refuse(
                in_shape,
                f"channels in {self.groups} equal groups",
                f"choose groups that divide {channels}",
            )
        return self.join(self.sliding(in_shape).extents, self.filters)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """y = f(z) for one example; masked positions count as zeros."""
        mask = run.mask
        if mask is not None:
            run.set_mask(None)
            if self.rank == 1:
                x = self.where_counting(mask, x, 0.0)
                run.set_mask(self.mask_after(mask, self.sliding(x.shape)))
        return super().forward(parameters, x, run)

    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z = W * x + b."""
        z = gnp.conv(
            self.channels_first(x),  # (channels, *space)
            parameters["weight"],
            stride=self.steps,
            padding=self.margins,
            dilation=self.spread,
            groups=self.groups,
        )
        return self.biased(parameters, z)


@dataclass(frozen=True, repr=False)
class Conv1D(OverSequences, Convolution):
    """A convolution over the positions of a sequence; options, formula and errors are those of Convolution.

    Parameters: weight (filters, channels / groups, kernel_size), bias (filters,). Shapes: (positions,
    channels) -> (extents, filters). padding="causal" puts dilation (kernel_size - 1) zeros in front and none
    behind: no result sees a later position. A mask goes through: positions that do not count are zeros, and
    a result counts where both ends of its window do, the padding left aside.

    >>> layer = gn.nn.Conv1D(1, 2, padding="causal", use_bias=False)
    >>> layer({"weight": np.array([[[10.0, 1.0]]])}, np.array([[1.0], [2.0], [3.0]]))
    array([[ 1.],
           [12.],
           [23.]])

    Source: Waibel et al., IEEE Transactions on Acoustics, Speech, and Signal Processing 37 (1989).
    """

    words = ("valid", "same", "causal")


@dataclass(frozen=True, repr=False)
class Conv2D(OverImages, Convolution):
    """A convolution over the rows and columns of an image; see Convolution for options, formula and errors.

    Parameters: weight (filters, channels / groups, kernel_height, kernel_width), bias (filters,). Shapes:
    (height, width, channels) -> (rows, columns, filters).

    >>> layer = gn.nn.Conv2D(8, 3, strides=2, padding="same", activation="relu")
    >>> layer.output_shape((28, 28, 1))
    (14, 14, 8)
    >>> {name: array.shape for name, array in layer.init(gn.random.key(0), (28, 28, 1), np.float32).items()}
    {'weight': (8, 1, 3, 3), 'bias': (8,)}

    Source: LeCun et al., Neural Computation 1 (1989); Dumoulin and Visin, arXiv 1603.07285, chapter 2.
    """


@dataclass(frozen=True, repr=False)
class Conv3D(OverVolumes, Convolution):
    """A convolution over a volume, or over the frames of a film; see Convolution for options and errors.

    Parameters: weight (filters, channels / groups, *kernel_size), bias (filters,). Shapes: (depth, height,
    width, channels) -> (*extents, filters).

    >>> gn.nn.Conv3D(4, (1, 3, 3)).output_shape((8, 10, 10, 2))
    (8, 8, 8, 4)

    Source: Ji, Xu, Yang and Yu, IEEE Transactions on Pattern Analysis and Machine Intelligence 35 (2013),
    section 2.1.
    """
