"""Nests without a convolution: elementwise chains, pools and sums over images, a few places at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glassnet.compiler.loop_ir import Index, Operand, Position
from glassnet.compiler.lowering.images import Group, Spot
from glassnet.compiler.lowering.matrix import split
from glassnet.compiler.lowering.nest import over
from glassnet.compiler.passes.image_groups import is_cheap
from glassnet.compiler.passes.image_nests import Nest
from glassnet.compiler.passes.image_ops import FROM_IMAGES, WINDOW_PLACE

_AT_ONCE = 8  # fine places that are worked on together, where the nest is cheap


def lower_map(group: Group, nest: Nest) -> Callable[[], None]:
    """The loops of a nest of elementwise ops and pools: channels, rows, and pieces of a row."""
    b = group.b
    channels, rows, columns = nest.grid
    taps = len(group.spot(nest, 0, 0, 0, {}).taps) or 1
    costly = any(node.op.broadcasts and not is_cheap(node) for node in nest.nodes)
    width = max(1, min(columns, 1 if costly else _AT_ONCE // taps))

    def channel(c: Position) -> None:
        shared = group.shared(nest, c)

        def places(y: Position, x: Position, count: int, totals: Sequence[Operand]) -> list[Operand]:
            spots = [group.spot(nest, c, y, x + k, shared) for k in range(count)]
            return [b.add(old, new) for old, new in zip(totals, group.finish(nest, spots), strict=True)]

        def row(y: Position, *totals: Operand) -> Sequence[Operand]:
            if nest.looped:
                return b.loop(0, columns, 1, lambda x, *sums: window(y, x, sums), totals)
            start = 0
            for piece, times in split(columns, width):
                end = start + piece * times
                totals = b.loop(start, end, piece, lambda x, *sums, n=piece: places(y, x, n, sums), totals)
                start = end
            return totals

        def window(y: Position, x: Position, totals: Sequence[Operand]) -> Sequence[Operand]:
            """The fine places of a large window, one after the other."""
            whole = Spot(c, y, x, shared)

            def place(i: Position, j: Position, *sums: Operand) -> list[Operand]:
                down, across = nest.window or (1, 1)
                spot = Spot(c, Index.of(y) * down + i, Index.of(x) * across + j, shared)
                spot.whole, spot.tap = Spot(c, y, x, shared, dict(whole.known)), Index.of(i) * across + j
                return [b.add(old, new) for old, new in zip(sums, group.finish(nest, [spot]), strict=True)]

            return each_tap(group, nest, place, totals)

        zeros = [b.zero(group.vector)] * len(nest.sums)
        totals = b.loop(0, rows, 1, row, zeros)
        for node, total in zip(nest.sums, totals, strict=True):
            group.add(node, c, total, whole=True)

    return lambda: over(b, (channels,), channel)


def each_tap(
    group: Group, nest: Nest, place: Callable[..., Sequence[Operand]], carried: Sequence[Operand]
) -> Sequence[Operand]:
    """Runs `place(i, j, *carried)` for every tap of a window."""
    b, (down, across) = group.b, nest.window or (1, 1)
    return b.loop(
        0, down, 1, lambda i, *old: b.loop(0, across, 1, lambda j, *now: place(i, j, *now), old), carried
    )


def lower_large_pool(group: Group, nest: Nest) -> Callable[[], None]:
    """The largest, its place and the sum of windows too large for registers."""
    b, x = group.b, nest.nodes[0].inputs[0]
    down, across = nest.window or (1, 1)
    placed = any(node.op is WINDOW_PLACE for node in nest.nodes)
    place_type = group.vector.of("i64" if group.element == "f64" else "i32")

    def window(c: Position, y: Position, x0: Position) -> None:
        def value(i: Position, j: Position) -> Operand:
            return group.load(x, c, Index.of(y) * down + i, Index.of(x0) * across + j)

        def tap(i: Position, j: Position, best: Operand, where: Operand, total: Operand) -> list[Operand]:
            found = value(i, j)
            number = b.value_of(Index.of(i) * across + j)
            here = b.splat(number if place_type.element == "i64" else b.trunc(number, "i32"), group.lanes)
            larger = group.better(found, best, here, where, placed=placed)
            return [*larger, b.add(total, found)]

        start = [value(0, 0), b.zero(place_type), b.zero(group.vector)]
        found: dict[str, Operand] = dict(zip(_RESULTS, each_tap(group, nest, tap, start), strict=True))
        for node in nest.stores:
            made = node.inputs[0] if node.op is FROM_IMAGES else node
            group.store(node, Spot(c, y, x0, {}), found[made.op.name])

    return lambda: over(b, nest.grid, window)


_RESULTS: tuple[str, ...] = ("window_max", "window_place", "window_sum")
