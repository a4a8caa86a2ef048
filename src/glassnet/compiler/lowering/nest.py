"""Nests of loops over arrays of any rank, and the one that copies: most rearrangements copy a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder, Operand, Position
from glassnet.compiler.lowering.view import View
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.layout import Layout
from glassnet.compiler.passes.values import Values
from glassnet.core.graph import Node
from glassnet.core.shape import Shape


@dataclass
class Block:
    """What a block is lowered with: the builder, and where the values of the graph lie."""

    b: Builder
    values: Values
    layout: Layout
    cpu: CPU
    padding: Mapping[str, int]  # to how many elements lines are filled up
    persistent: set[Buffer] = field(default_factory=set[Buffer])  # memory that may not be lent to others

    def view(self, node: Node) -> View:
        """A value of the graph as an array in memory."""
        base = self.values.base(node)
        storage = self.layout.storages[base]
        return View.of(storage, node.shape, node.dtype, contiguous=self.values.is_contiguous(base))

    def lanes(self, node: Node) -> int:
        """How many elements of the node's dtype a vector holds."""
        return self.cpu.lanes(element_of(node.dtype))

    def scratch(self, element: str, size: int) -> Buffer:
        """Memory of this block alone, whole vectors of it."""
        width = self.cpu.lanes(element)
        return self.b.buffer(f"scratch_{self.b.unique()}", element, -(-size // width) * width)


def over(b: Builder, extents: Shape, body: Callable[..., None], taken: tuple[Position, ...] = ()) -> None:
    """Runs `body(*indices)` for every index of these extents, the last running fastest."""
    if len(taken) == len(extents):
        body(*taken)
        return
    b.loop(0, extents[len(taken)], 1, lambda i: over(b, extents, body, (*taken, i)))


def along(b: Builder, extent: int, lanes: int, body: Callable[[Position, int], None]) -> None:
    """Runs `body(start, valid)` for pieces of `lanes` elements; the last may have fewer valid ones."""
    whole = extent // lanes * lanes
    b.loop(0, whole, lanes, lambda j: body(j, lanes))
    if whole < extent:
        body(whole, extent - whole)


def copy(b: Builder, source: View, target: View, lanes: int) -> None:
    """target[...] = source[...], of one shape; in vectors where the target's last axis is consecutive."""
    source, target = _merged(source, target)
    if not target.shape:
        target.store(b, [], source.load(b, []))
        return
    if target.strides[-1] != 1:
        lanes = 1
    *lead, extent = target.shape

    def line(*indices: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            target.store(b, [*indices, j], source.load(b, [*indices, j], lanes, valid), valid)

        along(b, extent, lanes, piece)

    over(b, tuple(lead), line)


def fill(b: Builder, target: View, value: Operand, lanes: int) -> None:
    """target[...] = one number, in every lane of `value`."""
    *lead, extent = target.shape or (1,)
    strides = target.strides or (1,)
    target = View(target.buffer, target.dtype, target.start, (*lead, extent), strides)

    def line(*indices: Position) -> None:
        along(b, extent, lanes, lambda j, valid: target.store(b, [*indices, j], value, valid))

    over(b, tuple(lead), line)


def _merged(source: View, target: View) -> tuple[View, View]:
    """Both with axes of extent 1 left out, and axes that are one in both taken together."""
    axes: list[tuple[int, int, int]] = []
    for extent, *steps in zip(target.shape, source.strides, target.strides, strict=True):
        if extent == 1:
            continue
        if axes and all(before == step * extent for before, step in zip(axes[-1][1:], steps, strict=True)):
            axes[-1] = (axes[-1][0] * extent, steps[0], steps[1])
        else:
            axes.append((extent, steps[0], steps[1]))
    shape = tuple(axis[0] for axis in axes)
    return (
        View(source.buffer, source.dtype, source.start, shape, tuple(axis[1] for axis in axes)),
        View(target.buffer, target.dtype, target.start, shape, tuple(axis[2] for axis in axes)),
    )


def reshaped(view: View, extents: Shape) -> View:
    """The view with axes that its own are made of by taking neighbours together (see `finer`)."""
    axes = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n > 1]
    strides: list[int] = []
    for extent in reversed(extents):
        if extent == 1:
            strides.append(1)
            continue
        count, stride = axes.pop()
        strides.append(stride)
        if count > extent:
            axes.append((count // extent, stride * extent))
    return View(view.buffer, view.dtype, view.start, extents, tuple(reversed(strides)))


def finer(one: Shape, other: Shape) -> Shape | None:
    """Extents that both shapes are made of by taking neighbours together, or None."""
    extents: list[int] = []
    left, right = [n for n in one if n > 1], [n for n in other if n > 1]
    while left and right:
        a, c = left.pop(), right.pop()
        small, large = min(a, c), max(a, c)
        if large % small:
            return None
        extents.append(small)
        if large > small:
            (left if a > c else right).append(large // small)
    return tuple(reversed(extents))
