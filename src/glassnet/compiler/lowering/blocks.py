"""The ops that are lowered as blocks: each has loops of its own, over arrays of any rank."""

from __future__ import annotations

from collections.abc import Callable

from glassnet.compiler.lowering import (
    convolution,
    cumulative,
    extremum,
    image_entrance,
    indexing,
    random,
    shaping,
    windows,
)
from glassnet.compiler.lowering.nest import Block
from glassnet.core.graph import Node
from glassnet.errors import UncompilableError

BLOCKS: dict[str, Callable[[Block, Node], None]] = {
    **shaping.BLOCKS,
    **indexing.BLOCKS,
    **extremum.BLOCKS,
    **cumulative.BLOCKS,
    **image_entrance.BLOCKS,
    **random.BLOCKS,
    **windows.BLOCKS,
    **convolution.BLOCKS,
}


def lower_block(block: Block, node: Node) -> None:
    """The loops of one op; UncompilableError for an op that has none."""
    if node.op.name not in BLOCKS:
        shapes = [x.shape for x in node.inputs]
        raise UncompilableError(f"the op {node.op.name} on shapes {shapes} is not compiled yet.")
    BLOCKS[node.op.name](block, node)
