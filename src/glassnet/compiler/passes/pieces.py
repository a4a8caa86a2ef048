"""Pieces: what is laid side by side with others is written into its place in the whole as it is made.

A value that is computed element by element, or as a product, is stored from registers, so a second place
costs a store and no copy. Its place in the first whole is its own storage; in others it is written too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.passes.elements import element_of
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Storage, storage_for
from glassnet.compiler.passes.values import Values, lines_of
from glassnet.core.graph import Node
from glassnet.core.shape import size_of


@dataclass
class Pieces:
    """Storages of wholes and of pieces within them, where else a value is written, and what that spares.

    `written` has the numbers of the operands of a concatenation that nobody has to copy.
    """

    storages: dict[Node, Storage] = field(default_factory=dict[Node, Storage])
    others: dict[Node, list[Storage]] = field(default_factory=dict[Node, list[Storage]])
    written: dict[Node, set[int]] = field(default_factory=dict[Node, set[int]])


def plan_pieces(
    kernels: Sequence[Kernel],
    values: Values,
    b: Builder,
    padding: Mapping[str, int],
    placed: Mapping[Node, Storage],
    same_memory: Mapping[Node, Node],
) -> Pieces:
    """Storages for concatenations and their pieces; what is `placed` or overwrites an input keeps its own."""
    pieces = Pieces()
    if any(kernel.kind == "images" for kernel in kernels):
        return pieces  # NOTE a matrix between images may lie column by column, which pieces cannot
    from_registers = [kernel for kernel in kernels if kernel.kind in ("rows", "columns", "contraction")]
    stored = {node for kernel in from_registers for node in kernel.nodes}
    taken = {*placed, *same_memory}
    for kernel in kernels:
        whole = kernel.anchor
        if whole is None or whole.op.name != "concatenate" or whole in same_memory:
            continue
        found = {n: x for n, x in enumerate(map(values.base, whole.inputs)) if x in stored}
        places = {n: place for n, place in _places(whole, values, padding) if n in found}
        if not places:
            continue
        storage = placed.get(whole)
        if storage is None:
            name = f"{whole.op.name}_{b.unique()}"
            storage = pieces.storages[whole] = storage_for(whole, values, b, padding, name, False, True)
        pieces.written[whole] = set(places)
        for n, (line, column) in places.items():
            x, offset = found[n], line * storage.line + column
            piece = Storage(storage.buffer, lines_of(x), storage.line, offset=offset, within=storage)
            if x in taken:
                pieces.others.setdefault(x, []).append(piece)
            else:
                pieces.storages[x] = piece
                taken.add(x)
    return pieces


def _places(whole: Node, values: Values, padding: Mapping[str, int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """The numbers of the operands that can be written in their places, and the line and column of each."""
    axis, start = whole.attributes["axis"], 0
    width, last = padding[element_of(whole.dtype)], axis == len(whole.shape) - 1
    if values.storage(whole) != "matrix" or (axis and not last):
        return
    for n, x in enumerate(whole.inputs):
        base, end = values.base(x), start + x.shape[axis]
        lines = lines_of(x)
        fits = values.storage(base) == "matrix" and lines_of(base) == lines and lines[0] > 1
        # whole vectors are written, so no other piece may begin within the last one
        if last and (start % width or (end % width and end < whole.shape[axis])):
            fits = False
        if fits:
            yield n, (0, start) if last else (start * size_of(x.shape[1:-1]), 0)
        start = end
