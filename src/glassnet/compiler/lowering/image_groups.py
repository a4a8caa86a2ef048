"""A group of images as loops: block by block of the batch through all nests, and behind it the sums."""

from __future__ import annotations

from glassnet.compiler.loop_ir import Position
from glassnet.compiler.lowering.image_convolution import lower_convolution, lower_to_input
from glassnet.compiler.lowering.image_gradient import lower_to_kernel
from glassnet.compiler.lowering.image_pooling import lower_large_pool, lower_map
from glassnet.compiler.lowering.images import Group
from glassnet.compiler.lowering.nest import Block
from glassnet.compiler.passes.fuse import Kernel

_NESTS = {
    "map": lower_map,
    "pool": lower_large_pool,
    "convolution": lower_convolution,
    "to_input": lower_to_input,
    "to_kernel": lower_to_kernel,
}


def lower_images(block: Block, kernel: Kernel) -> None:
    """The loops of a group."""
    group = Group(block, kernel)
    group.clear()
    nests = [(_NESTS[nest.kind](group, nest), nest.late) for nest in group.nests]

    def one_block(number: Position) -> None:
        group.begin_block(number)
        for lower, late in nests:
            if not late:
                lower()

    group.b.loop(0, group.blocks, 1, one_block)
    for lower, late in nests:
        if late:
            lower()
    group.add_lanes()
