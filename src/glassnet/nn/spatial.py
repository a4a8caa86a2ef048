"""What the layers over space share: the order of the axes, options for each axis, sliding windows, masks.

An example has one to three spatial axes and one axis of channels: a sequence (positions, channels), an image
(height, width, channels), a volume (depth, height, width, channels).
"""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.layer import Layer
from glassnet.nn.run import Run
from glassnet.ops.windows import Sliding, slide

PerAxis = int | tuple[int, ...]
Pairs = int | tuple[int | tuple[int, int], ...]

_FORMATS = ("channels_last", "channels_first")


class SpatialLayer(Layer):
    """Base of the layers over one, two or three spatial axes.

    `data_format` is "channels_last" for examples (*space, channels), "channels_first" for (channels, *space).
    """

    data_format: str  # NOTE not a dataclass: a field here would stand before the subclass's own

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data_format not in _FORMATS:
            raise ConfigurationError(
                f"{self.kind} got data_format={self.data_format!r}; it takes "
                f"{' or '.join(map(repr, _FORMATS))}."
            )

    @property
    @abstractmethod
    def axes(self) -> tuple[str, ...]:
        """The names of the spatial axes."""

    @property
    @abstractmethod
    def examples(self) -> str:
        """What examples with such axes are called."""

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    # -- the order of the axes

    @property
    def space_axes(self) -> Shape:
        """The spatial axes of an example."""
        first = int(self.data_format == "channels_first")
        return tuple(range(first, first + self.rank))

    def split(self, in_shape: Shape) -> tuple[Shape, int]:
        """The extents of the spatial axes and the number of channels; ShapeError for other examples."""
        if len(in_shape) != self.rank + 1:
            names = ", ".join(self.join(self.axes, "channels"))
            target = self.join(in_shape, 1) if len(in_shape) == self.rank else f"({names})"
            raise self.refuse(in_shape, f"{self.examples} ({names})", f"put Reshape({target}) in front of it")
        if self.data_format == "channels_first":
            return in_shape[1:], in_shape[0]
        return in_shape[:-1], in_shape[-1]

    def join(self, space: tuple[Any, ...], channels: Any) -> tuple[Any, ...]:
        """What belongs to the spatial axes and to the channels, in the order of `data_format`."""
        return (channels, *space) if self.data_format == "channels_first" else (*space, channels)

    def channels_first(self, x: Any) -> Any:
        """x as (channels, *space)."""
        return x if self.data_format == "channels_first" else gnp.moveaxis(x, -1, 0)

    def restored(self, y: Any) -> Any:
        """y (channels, *space) in the order of `data_format`."""
        return y if self.data_format == "channels_first" else gnp.moveaxis(y, 0, -1)

    # -- options for each axis

    def per_axis(self, name: str) -> tuple[Any, ...]:
        """The option with one entry for each spatial axis."""
        value = getattr(self, name)
        if self.rank == 1 and _is_pair(value):
            return (value,)
        return value if isinstance(value, tuple) else (value,) * self.rank

    def pairs(self, name: str) -> tuple[tuple[int, int], ...]:
        """The option as (front, back) for each spatial axis."""
        return tuple(entry if isinstance(entry, tuple) else (entry, entry) for entry in self.per_axis(name))

    def require_per_axis(self, *names: str, low: int = 1) -> None:
        """ConfigurationError unless the options are whole numbers from `low` on, one or one for each axis."""
        for name in names:
            value = _plain(getattr(self, name))
            object.__setattr__(self, name, value)
            listed = self.per_axis(name)
            if len(listed) != self.rank or not all(_is_whole(n, low) for n in listed):
                raise ConfigurationError(
                    f"{self.kind} got {name}={value!r}; it takes a whole number of {low} or more, or a tuple "
                    f"of {self.rank} for ({', '.join(self.axes)})."
                )

    def require_pairs(self, name: str, *words: str) -> None:
        """ConfigurationError unless the option is one of `words`, a whole number, or pairs for each axis."""
        value = _plain(getattr(self, name))
        object.__setattr__(self, name, value)
        if value in words:
            return
        pairs = self.pairs(name)
        if len(pairs) != self.rank or not all(_is_pair(pair) for pair in pairs):
            raise ConfigurationError(
                f"{self.kind} got {name}={value!r}; it takes {''.join(f'{word!r}, ' for word in words)}"
                f"a whole number of 0 or more, or for each of ({', '.join(self.axes)}) a number or a pair "
                "(front, back)."
            )

    # -- masks, which only sequences have

    def where_counting(self, mask: Any, x: Any, otherwise: float) -> Any:
        """x at the positions that count, another number at the rest."""
        return gnp.where(gnp.reshape(mask, self.join(mask.shape, 1)), x, otherwise)

    def place_mask(self, run: Run, positions: Any) -> None:
        """Each position of the result counts where that of the input with the given number does."""
        if run.mask is not None:
            run.set_mask(run.mask[positions] if self.rank == 1 else None)


class WindowLayer(SpatialLayer):
    """Base of the layers that slide a window over space.

    Along an axis of n elements, window p reads at tap k the element strides p + dilation k - front. `padding`
    is "valid" (none), "same" (ceil(n / strides) windows; the larger half of an odd padding is at the end,
    TensorFlow's rule), a number, or for each axis a number or a pair (front, back).

    Positions that a mask takes out of a sequence are padding. A result counts where both ends of its window
    do, the padding left aside: so a sequence gives the same with and without filling at its end.
    """

    padding: str | Pairs
    words = ("valid", "same")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_pairs("padding", *self.words)

    @property
    @abstractmethod
    def window(self) -> Shape:
        """The number of taps along each axis."""

    @property
    @abstractmethod
    def steps(self) -> Shape:
        """The distance between windows along each axis."""

    @property
    def spread(self) -> Shape:
        """The distance between taps along each axis."""
        return (1,) * self.rank

    @property
    def span(self) -> Shape:
        """The number of elements from the first tap of a window to its last."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.window, self.spread, strict=True))

    @property
    def margins(self) -> str | tuple[tuple[int, int], ...]:
        """The padding in numbers, or "same"."""
        if self.padding == "causal":
            return tuple((span - 1, 0) for span in self.span)
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        return "same" if self.padding == "same" else self.pairs("padding")

    def sliding(self, in_shape: Shape) -> Sliding:
        """The windows over an example; ShapeError where none fits."""
        space, _ = self.split(in_shape)
        if min(space) < 1:
            raise self.refuse(
                in_shape, "one element or more along each axis", "crop or pool less in front of it"
            )
        return slide(self.describe(), space, self.window, self.steps, self.margins, self.spread)

    def mask_after(self, mask: Any, sliding: Sliding) -> Any:
        """Which of the windows over a sequence count."""
        last = mask.shape[0] - 1
        margins = self.margins
        reach = 0 if isinstance(margins, str) else self.span[0] - 1 - sum(margins[0])
        first = self.steps[0] * np.arange(sliding.extents[0])
        ends = np.clip(first + reach, 0, last)
        return gnp.logical_and(mask[np.minimum(first, last)], mask[ends])


class OverSequences(SpatialLayer):
    """One spatial axis."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Positions."""
        return ("positions",)

    @property
    def examples(self) -> str:
        """Sequences."""
        return "sequences"


class OverImages(SpatialLayer):
    """Two spatial axes."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Height and width."""
        return "height", "width"

    @property
    def examples(self) -> str:
        """Images."""
        return "images"


class OverVolumes(SpatialLayer):
    """Three spatial axes."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Depth, height and width."""
        return "depth", "height", "width"

    @property
    def examples(self) -> str:
        """Volumes."""
        return "volumes"


def _plain(value: Any) -> Any:
    """`value` as it goes into a model file: tuples for lists, Python's integers for NumPy's."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(entry) for entry in value)  # pyright: ignore[reportUnknownVariableType]
    return int(value) if _is_whole(value) else value


def _is_whole(value: Any, low: int = 0) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= low


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_whole(n) for n in value)
