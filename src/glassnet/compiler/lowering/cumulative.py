"""Sums and products of the first elements along an axis."""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.loop_ir import Operand, Position
from glassnet.compiler.lowering import arithmetic
from glassnet.compiler.lowering.nest import Block, along, over
from glassnet.compiler.passes.elements import value_type
from glassnet.core.graph import Node


def _along(block: Block, node: Node) -> None:
    b, axis = block.b, node.attributes["axis"]
    step = arithmetic.LOWERINGS["add" if node.op.name == "cumsum" else "multiply"]
    order = [*(k for k in range(len(node.shape)) if k != axis), axis]
    source, target = block.view(node.inputs[0]).transpose(order), block.view(node).transpose(order)
    wide = axis < len(node.shape) - 1
    lanes = block.lanes(node) if wide else 1
    *lead, extent, steps = target.shape if wide else (*target.shape[:-1], 1, target.shape[-1])
    start = b.constant(0 if node.op.name == "cumsum" else 1, value_type(node.dtype, lanes))

    def line(*at: Position) -> None:
        def piece(j: Position, valid: int) -> None:
            place = [*at, j] if wide else [*at]

            def turn(k: Position, total: Operand) -> list[Operand]:
                value = source.load(b, [*place, k], lanes, valid, axis=len(place) - 1)
                total = step(b, node, total, value)
                target.store(b, [*place, k], total, valid)
                return [total]

            b.loop(0, steps, 1, turn, [start])

        along(b, extent, lanes, piece)

    over(b, tuple(lead), line)


BLOCKS: dict[str, Callable[[Block, Node], None]] = {"cumsum": _along, "cumprod": _along}
