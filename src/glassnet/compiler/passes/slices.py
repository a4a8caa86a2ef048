"""Slices: every basic index becomes one slice an axis, and slices of what was put together find their part.

An op that runs a graph lays its results side by side and slices them apart again; so do their derivatives.
The rules below undo that, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glassnet.compiler.passes.rewrite import Rule, make
from glassnet.compiler.passes.vocabulary import TAKEN
from glassnet.core.graph import Node
from glassnet.core.shape import Shape, size_of
from glassnet.core.trace import constant

Part = tuple[int, int, int]  # first element, how many, step


def parts_of(node: Node) -> list[Part]:
    """What a `getitem` reads or a `scatter` writes along each axis; its index has one slice an axis."""
    whole = node.inputs[0].shape if node.op.name == "getitem" else node.attributes["shape"]
    found: list[Part] = []
    for part, extent in zip(node.attributes["index"], whole, strict=True):
        reach = range(*part.indices(extent))
        found.append((reach.start, len(reach), reach.step))
    return found


def slices(parts: Sequence[Part]) -> tuple[slice, ...]:
    """Those parts as an index."""
    found: list[slice] = []
    for start, count, step in parts:
        stop = start + count * step
        found.append(slice(start, stop if stop >= 0 else None, step))
    return tuple(found)


def taken(x: Node, parts: Sequence[Part], like: Node) -> Node:
    """The parts of x."""
    return make("getitem", x, index=slices(parts), like=like)


def _by_slices(index: tuple[object, ...], shape: Shape) -> tuple[slice, ...] | None:
    """The index with one slice for each axis, or None where it has that form already."""
    own = tuple(part for part in index if part is not None)
    if Ellipsis in own:
        place = own.index(Ellipsis)
        own = (*own[:place], *(slice(None),) * (len(shape) - len(own) + 1), *own[place + 1 :])
    own = (*own, *(slice(None),) * (len(shape) - len(own)))
    parts: list[Part] = []
    for part, extent in zip(own, shape, strict=True):
        if isinstance(part, slice):
            reach = range(*part.indices(extent))
            parts.append((reach.start, len(reach), reach.step))
        else:
            place = int(part)  # type: ignore[call-overload]
            parts.append((place + extent if place < 0 else place, 1, 1))
    found = slices(parts)
    return None if found == index else found


def canonical_getitem(node: Node) -> Node | None:
    """x[1, ..., None] -> reshape(x[1:2, :])."""
    index = _by_slices(node.attributes["index"], node.inputs[0].shape)
    if index is None:
        return None
    part = make("getitem", node.inputs[0], index=index, like=node)
    return part if part.shape == node.shape else make("reshape", part, shape=node.shape, like=node)


def canonical_scatter(node: Node) -> Node | None:
    """scatter(x, [1, ..., None]) -> scatter(reshape(x), [1:2, :])."""
    x, shape = node.inputs[0], node.attributes["shape"]
    index = _by_slices(node.attributes["index"], shape)
    if index is None:
        return None
    own = tuple(len(range(*part.indices(extent))) for part, extent in zip(index, shape, strict=True))
    values = x if x.shape == own else make("reshape", x, shape=own, like=node)
    return make("scatter", values, index=index, shape=shape, like=node)


def _getitem(node: Node) -> Node | None:
    x = node.inputs[0]
    parts = parts_of(node)
    if node.shape == x.shape and all(start == 0 and step == 1 for start, _, step in parts):
        return x  # x[:] -> x
    rules = {
        "getitem": _of_getitem,
        "concatenate": _of_concatenate,
        "scatter": _of_scatter,
        "add": _of_sum,
        "transpose": _of_transpose,
    }
    rule = rules.get(x.op.name)
    return rule(node, x, parts) if rule else None


def _of_getitem(node: Node, x: Node, parts: Sequence[Part]) -> Node | None:
    # x[a][b] -> x[c]
    joined = [
        (first + start * step, count, step * stride)
        for (first, _, step), (start, count, stride) in zip(parts_of(x), parts, strict=True)
    ]
    return taken(x.inputs[0], joined, node)


def _of_concatenate(node: Node, x: Node, parts: Sequence[Part]) -> Node | None:
    # concatenate(..., y, ...)[within y] -> y[...]
    axis = x.attributes["axis"]
    start, count, step = parts[axis]
    last, begin = start + (count - 1) * step, 0
    for piece in x.inputs:
        end = begin + piece.shape[axis]
        if begin <= min(start, last) and max(start, last) < end:
            inner = [*parts]
            inner[axis] = (start - begin, count, step)
            return taken(piece, inner, node)
        begin = end
    # concatenate(x, y)[:n] where some pieces are not read -> the same of fewer pieces
    return _of_fewer(node, x, parts)


def _of_fewer(node: Node, x: Node, parts: Sequence[Part]) -> Node | None:
    axis = x.attributes["axis"]
    start, count, step = parts[axis]
    if step != 1 or node.shape[axis] in (0, x.shape[axis]):
        return None
    pieces: list[Node] = []
    begin = 0
    for piece in x.inputs:
        extent = piece.shape[axis]
        low, high = max(start, begin) - begin, min(start + count, begin + extent) - begin
        if low < high:
            inner = [*parts]
            inner[axis] = (low, high - low, 1)
            pieces.append(taken(piece, inner, node))
        begin += extent
    return make("concatenate", *pieces, axis=axis, like=node)


def _of_scatter(node: Node, x: Node, parts: Sequence[Part]) -> Node | None:
    written = parts_of(x)
    if written == list(parts):
        return x.inputs[0]  # scatter(x, a)[a] -> x
    pairs = zip(written, parts, strict=True)
    if any(_places(a).isdisjoint(_places(b)) for a, b in pairs):
        return constant(np.zeros(node.shape, node.dtype))  # scatter(x, a)[b] -> 0
    return None


def _places(part: Part) -> set[int]:
    start, count, step = part
    return set(range(start, start + count * step, step))


def _of_sum(node: Node, x: Node, parts: Sequence[Part]) -> Node | None:
    # (scatter(x) + y)[a] -> scatter(x)[a] + y[a]
    if not any(y.op.name in ("scatter", "concatenate") for y in x.inputs):
        return None
    if any(y.shape != x.shape for y in x.inputs):
        return None
    return make("add", *(taken(y, parts, node) for y in x.inputs), like=node)


def sum_of_parts(node: Node) -> Node | None:
    """scatter(x, a) + scatter(y, b) -> concatenate(x, y), a and b side by side and together all there is."""
    pieces = _pieces(node, None)
    if pieces is None or len(pieces[1]) < 2:
        return None
    axis, found = pieces
    found.sort(key=lambda piece: piece[0])
    end = 0
    for start, x in found:
        if start != end:
            return None
        end = start + x.shape[axis]
    return (
        make("concatenate", *(x for _, x in found), axis=axis, like=node) if end == node.shape[axis] else None
    )


def _pieces(node: Node, axis: int | None) -> tuple[int, list[tuple[int, Node]]] | None:
    """What a sum of scatters writes, and where along their one axis; None where it is no such sum."""
    if node.op.name == "add" and all(x.shape == node.shape for x in node.inputs):
        first = _pieces(node.inputs[0], axis)
        second = _pieces(node.inputs[1], first[0]) if first else None
        return (first[0], first[1] + second[1]) if first and second else None
    if node.op.name != "scatter":
        return None
    x = node.inputs[0]
    cut = [i for i, (part, n) in enumerate(zip(parts_of(node), node.shape, strict=True)) if part != (0, n, 1)]
    if len(cut) != 1 or axis not in (None, cut[0]) or parts_of(node)[cut[0]][2] != 1:
        return None
    return cut[0], [(parts_of(node)[cut[0]][0], x)]


def _of_transpose(node: Node, x: Node, parts: Sequence[Part]) -> Node | None:
    # transpose(x)[a] -> transpose(x[b]) where that is less to turn
    if size_of(node.shape) == size_of(x.shape):
        return None
    axes = x.attributes["axes"]
    inner = [parts[axes.index(axis)] for axis in range(len(axes))]
    return make("transpose", taken(x.inputs[0], inner, node), axes=axes, like=node)


def _transpose(node: Node) -> Node | None:
    x, axes = node.inputs[0], node.attributes["axes"]
    long = [axis for axis in axes if x.shape[axis] > 1]
    if long == sorted(long):  # only axes of extent 1 move
        return make("reshape", x, shape=node.shape, like=node)
    if x.op.name == "transpose":  # transpose(transpose(x)) -> transpose(x)
        first = x.attributes["axes"]
        return make("transpose", x.inputs[0], axes=tuple(first[axis] for axis in axes), like=node)
    if x.op.name == "scatter":  # transpose(scatter(x, a)) -> scatter(transpose(x), b)
        parts = parts_of(x)
        turned = make("transpose", x.inputs[0], axes=axes, like=node)
        return make("scatter", turned, index=slices([parts[i] for i in axes]), shape=node.shape, like=node)
    return None


def _scatter(node: Node) -> Node | None:
    x = node.inputs[0]
    if node.shape == x.shape and all(start == 0 and step == 1 for start, _, step in parts_of(node)):
        return x  # everything is written, in order
    return None


def _concatenate(node: Node) -> Node | None:
    before = _states_before(node)
    if before is not None:
        return before
    pieces = [x for x in node.inputs if 0 not in x.shape]
    if len(pieces) == 1:
        return pieces[0]  # concatenate(x) -> x
    if not pieces or len(pieces) == len(node.inputs):
        return None
    return make("concatenate", *pieces, axis=node.attributes["axis"], like=node)  # without empty pieces


def _states_before(node: Node) -> Node | None:
    # concatenate(first carry, carries after each step) -> the table of a loop that holds both
    if len(node.inputs) != 2 or node.attributes["axis"] != 0:
        return None
    first, later = node.inputs
    if later.op.name != "getitem" or later.inputs[0].op is not TAKEN:
        return None
    table, (rows, *rest) = later.inputs[0], parts_of(later)
    loop, part = table.inputs[0], table.attributes["part"]
    whole = rows[::2] == (1, 1) and all(
        part == (0, n, 1) for part, n in zip(rest, table.shape[1:], strict=True)
    )
    if not whole or part >= loop.attributes["carries"] or first.shape != (1, *table.shape[1:]):
        return None
    if not _is_reshaped(first, loop.inputs[part]):
        return None
    return taken(table, [(0, rows[1] + 1, 1), *rest], node)


def _is_reshaped(x: Node, source: Node) -> bool:
    """True where x has the very elements of `source`."""
    if x.op.name == source.op.name == "constant":
        return x.dtype == source.dtype and x.value.tobytes() == source.value.tobytes()
    while x.op.name == "reshape":
        x = x.inputs[0]
    while source.op.name == "reshape":
        source = source.inputs[0]
    return x is source


SLICE_RULES: dict[str, tuple[Rule, ...]] = {
    "getitem": (canonical_getitem, _getitem),
    "scatter": (canonical_scatter, _scatter),
    "concatenate": (_concatenate,),
    "transpose": (_transpose,),
}
