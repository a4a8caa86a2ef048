"""Work: how many instructions statements take, the measure of what is worth more than one thread."""

from __future__ import annotations

from collections.abc import Sequence

from glassnet.compiler.loop_ir import If, Instruction, Load, Loop, Statement, Store

_SLOW = {"div": 8, "sqrt": 8}  # instructions that take as long


def work(statements: Sequence[Statement]) -> int:
    """The number of instructions, a vector's counting one; loops of unknown length count one trip."""
    total = 0
    for statement in statements:
        match statement:
            case Instruction():
                total += _SLOW.get(statement.opcode, 1)
            case Load():  # elements that lie apart are loaded one by one
                total += statement.result.type.lanes if statement.stride != 1 else 1
            case Store():
                total += 1
            case Loop():
                total += trips(statement) * work(statement.body)
            case If():
                total += work(statement.body)
            case _:
                pass
    return total


def trips(loop: Loop) -> int:
    """How often the body is run, 1 where that is not known."""
    if isinstance(loop.start, int) and isinstance(loop.stop, int):
        return len(range(loop.start, loop.stop, loop.step))
    return 1
