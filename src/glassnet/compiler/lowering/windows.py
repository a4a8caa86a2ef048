"""What windows see, laid out; the largest of it; and its way back."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from glassnet.compiler.loop_ir import Operand, Position
from glassnet.compiler.lowering import arithmetic
from glassnet.compiler.lowering.extremum import summed
from glassnet.compiler.lowering.indexing import clear
from glassnet.compiler.lowering.nest import Block, along, copy, over
from glassnet.compiler.lowering.view import View
from glassnet.core.graph import Node

_UNROLLED = 9  # taps that are written out


def _seen(view: View, node: Node) -> View:
    a = node.attributes
    return view.windows(a["extents"], a["window"], a["stride"], a["dilation"])


def _windows(block: Block, node: Node) -> None:
    copy(block.b, _seen(block.view(node.inputs[0]), node), block.view(node), block.lanes(node))


def _fold(block: Block, node: Node) -> None:
    b, lanes, source, target = block.b, block.lanes(node), block.view(node.inputs[0]), block.view(node)
    clear(b, target, lanes)
    a = node.attributes
    rank = len(a["window"])
    spans = [d * (k - 1) + 1 for k, d in zip(a["window"], a["dilation"], strict=True)]
    if all(span <= step for span, step in zip(spans, a["stride"], strict=True)):
        copy(b, source, _seen(target, node), lanes)  # no two windows see one element
        return
    seen = _seen(target, node)
    order = [*range(len(seen.shape) - 2 * rank, len(seen.shape) - rank)]
    lead = [*range(len(seen.shape) - 2 * rank)]
    taps = [*range(len(seen.shape) - rank, len(seen.shape))]
    source, seen = (view.transpose([*taps, *lead, *order]) for view in (source, seen))
    lanes = lanes if seen.strides[-1] == 1 else 1

    def line(*at: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            there = [*at, j]
            total, value = (view.load(b, there, lanes, valid) for view in (seen, source))
            seen.store(b, there, arithmetic.LOWERINGS["add"](b, node, total, value), valid)

        along(b, seen.shape[-1], lanes, piece)

    over(b, seen.shape[:-1], line)


def _max_pool(block: Block, node: Node) -> None:
    b, lanes, target = block.b, block.lanes(node), block.view(node)
    seen = _seen(block.view(node.inputs[0]), node)
    window = node.attributes["window"]
    last = len(node.shape) - 1
    larger = arithmetic.LOWERINGS["maximum"]

    def line(*at: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            def tap(*taps: Position) -> Operand:
                return seen.load(b, [*at, j, *taps], lanes, valid, axis=last)

            first, *others = itertools.product(*map(range, window))
            total = tap(*first)
            if len(others) < _UNROLLED:
                for taps in others:
                    total = larger(b, node, total, tap(*taps))
            else:
                total = summed(b, window, lambda *taps, total: larger(b, node, total, tap(*taps)), total)
            target.store(b, [*at, j], total, valid)

        along(b, node.shape[-1], lanes, piece)

    over(b, node.shape[:-1], line)


BLOCKS: dict[str, Callable[[Block, Node], None]] = {
    "windows": _windows,
    "fold": _fold,
    "max_pool": _max_pool,
}
