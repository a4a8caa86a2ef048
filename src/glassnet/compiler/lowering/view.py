"""Views: stored values as arrays with strides, which rearranging moves without touching an element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from glassnet.compiler.loop_ir import Buffer, Builder, Index, IndexLike, Operand, Position
from glassnet.compiler.passes.layout import Storage
from glassnet.compiler.passes.slices import Part
from glassnet.core.dtype import DType
from glassnet.core.shape import Shape
from glassnet.errors import UncompilableError


@dataclass(frozen=True)
class View:
    """An array in a buffer: element (i, j, ...) lies at start + i strides[0] + j strides[1] + ...

    A stride of 0 repeats an axis, a negative one walks it backwards.
    """

    buffer: Buffer
    dtype: DType
    start: Index
    shape: Shape
    strides: tuple[int, ...]

    @staticmethod
    def of(storage: Storage, shape: Shape, dtype: DType, *, contiguous: bool) -> View:
        """A value of this shape in its storage: without padding, or line by line along the last axis."""
        if storage.transposed:
            if len(shape) != 2:
                raise UncompilableError("reading a value across its lines is not compiled yet.")
            return View(storage.buffer, dtype, storage.start, shape, (1, storage.line))
        strides: list[int] = []
        step = 1
        for number, extent in enumerate(reversed(shape)):
            strides.append(step)
            step = storage.line if number == 0 and not contiguous else step * extent
        return View(storage.buffer, dtype, storage.start, shape, tuple(reversed(strides)))

    # -- other arrangements of the same elements

    def transpose(self, axes: Sequence[int]) -> View:
        """The axes in this order."""
        return self._with([(self.shape[axis], self.strides[axis]) for axis in axes])

    def broadcast(self, shape: Shape) -> View:
        """Repeated along new axes and axes of extent 1."""
        lead = len(shape) - len(self.shape)
        own = [(1, 0)] * lead + list(zip(self.shape, self.strides, strict=True))
        return self._with(
            [(wanted, stride if n == wanted else 0) for wanted, (n, stride) in zip(shape, own, strict=True)]
        )

    def part(self, parts: Sequence[Part]) -> View:
        """One slice of each axis."""
        start = self.start
        axes: list[tuple[int, int]] = []
        for (first, count, step), stride in zip(parts, self.strides, strict=True):
            start = start + first * stride
            axes.append((count, step * stride))
        return replace(self._with(axes), start=start)

    def windows(self, extents: Shape, taps: Shape, stride: Shape, dilation: Shape) -> View:
        """What windows see of the last axes, as axes (..., *extents, *taps)."""
        rank = len(extents)
        axes = list(zip(self.shape, self.strides, strict=True))
        space = self.strides[len(axes) - rank :]
        outer = [(n, s * step) for n, s, step in zip(extents, space, stride, strict=True)]
        inner = [(n, s * step) for n, s, step in zip(taps, space, dilation, strict=True)]
        return self._with([*axes[: len(axes) - rank], *outer, *inner])

    def drop(self, axis: int, place: Position) -> View:
        """The array at one place of an axis."""
        start = self.start + Index.of(place) * self.strides[axis]
        axes = list(zip(self.shape, self.strides, strict=True))
        return replace(self._with([*axes[:axis], *axes[axis + 1 :]]), start=start)

    def _with(self, axes: Sequence[tuple[int, int]]) -> View:
        return replace(self, shape=tuple(n for n, _ in axes), strides=tuple(s for _, s in axes))

    # -- elements

    def place(self, indices: Sequence[IndexLike]) -> Index:
        """Where the element at these indices lies."""
        total = self.start
        for index, stride in zip(indices, self.strides, strict=True):
            total = total + Index.of(index) * stride
        return total

    def load(
        self,
        b: Builder,
        indices: Sequence[Position],
        lanes: int = 1,
        valid: int | None = None,
        axis: int = -1,
    ) -> Operand:
        """`lanes` elements from these indices on along an axis, of which the first `valid` are read."""
        stride, place = (self.strides[axis] if self.strides else 0), self.place(indices)
        if lanes == 1 or stride == 0:
            value: Operand = b.splat(b.load(self.buffer, place), lanes)
        else:
            value = b.load(self.buffer, place, lanes, valid, stride)
        return b.compare("ne", value, 0) if self.dtype.kind == "b" else value

    def store(
        self, b: Builder, indices: Sequence[Position], value: Operand, valid: int | None = None
    ) -> None:
        """Writes elements from these indices on along the last axis, the first `valid` of them."""
        if value.type.element == "i1":
            whole = value.type.of(self.buffer.element)
            value = b.select(value, b.constant(1, whole), b.zero(whole))
        b.store(self.buffer, self.place(indices), value, valid)
