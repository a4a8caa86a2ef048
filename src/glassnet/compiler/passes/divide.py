"""Divide: one function that several threads run together, each making its share of the trips of great loops.

A loop is divided where no trip touches what another trip writes; sums and other reductions are never taken
apart, so any number of threads gives the same bits. What else stores is left to the first thread, and what
everybody needs to know (bounds, conditions, numbers of the step) every thread computes for itself.
`passes.barriers` puts the threads in step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from glassnet.compiler.loop_ir import (
    I1,
    I64,
    Buffer,
    Constant,
    Function,
    If,
    Instruction,
    Load,
    Loop,
    Share,
    Statement,
    Store,
    Value,
)
from glassnet.compiler.loop_language import BITS
from glassnet.compiler.passes.barriers import Meetings, Roles
from glassnet.compiler.passes.footprints import accesses, apart_between_trips, made_in, ranges_of
from glassnet.compiler.passes.memory import size_in_bytes
from glassnet.compiler.passes.private import Path, PrivateBuffers
from glassnet.compiler.passes.work import trips, work

WORTHWHILE = 2_500  # instructions of a loop that is divided: less than half a microsecond, about a barrier
PRIVATE_ELEMENTS = ("f32", "f64", "i32", "i64")
_EVEN = 8  # trips that can be dealt out about evenly
_MOST = 0.8  # of a loop's work: so much of it has to be divided within it, or it is divided itself


@dataclass(frozen=True)
class Divided:
    """A function for several threads, and the bytes that each of them needs for itself."""

    function: Function
    private: int


def divide(function: Function, temporary: Collection[Buffer]) -> Divided | None:
    """The function for several threads, or None where no loop is worth dividing.

    It takes more pointers: a thread's own memory, once for each of PRIVATE_ELEMENTS, and the memory of the
    barrier; and more numbers: the thread's share. All arena buffers must have their places. `temporary` ones
    are not read from outside.
    """
    choice = _Choice(function, temporary)
    choice.body(function.body, ())
    if not choice.divided:
        return None
    own = max(map(_size, choice.divided.values()))
    private = {
        element: Buffer(f"private_{element}", element, own * 8 // BITS[element], kind="argument")
        for element in PRIVATE_ELEMENTS
    }
    meeting = Buffer("meeting", "i64", None, kind="argument")
    share = Share(Value("share_start", I64), Value("share_end", I64))
    is_first = Value("is_first", I1)
    loops = {
        loop: replace(loop, divided=True, body=_moved(loop.body, _places(buffers, private)))
        for loop, buffers in choice.divided.items()
    }
    roles = Roles(loops, choice.common, choice.free, choice.divided)
    body = Meetings(roles, meeting, is_first, choice.ranges).write(function)
    first = Instruction(is_first, "compare", (share.start, Constant(I64, 0)), ("eq",))
    shared = replace(
        function,
        arguments=(*function.arguments, share.start, share.end),
        buffers=(*function.buffers, *private.values(), meeting),
        body=(first, *body),
        share=share,
    )
    return Divided(shared, own)


class _Choice:
    """Which loops are divided, with the buffers that are private to their trips, and what holds such loops.

    Those of the latter that could be divided themselves are `free`, with such buffers too.
    """

    def __init__(self, function: Function, temporary: Collection[Buffer]) -> None:
        self.ranges = ranges_of(function.body)
        self.divided: dict[Loop, list[Buffer]] = {}
        self.common: set[Loop | If] = set()
        self.free: dict[Loop, list[Buffer]] = {}
        self._private = PrivateBuffers(function, temporary, self.ranges)

    def body(self, body: Sequence[Statement], around: Path) -> float:
        """Chooses in a body within these loops; the work in it that is divided."""
        found = 0.0
        for statement in body:
            if not isinstance(statement, Loop | If) or work([statement]) < WORTHWHILE:
                continue
            if isinstance(statement, Loop):
                inside = self._loop(statement, around)
            else:
                inside = self.body(statement.body, around)
            found += inside
            if inside and statement not in self.divided:
                self.common.add(statement)
        return found

    def _loop(self, loop: Loop, around: Path) -> float:
        total = work([loop])
        private = self._private_if_divisible(loop, around)
        if private is None or trips(loop) < _EVEN:
            before = set(self.divided)
            inside = trips(loop) * self.body(loop.body, (*around, loop))
            if private is None or inside >= _MOST * total:
                if private is not None:
                    self.free[loop] = private
                return inside
            for inner in self.divided.keys() - before:
                del self.divided[inner]
        self.divided[loop] = private
        return total

    def _private_if_divisible(self, loop: Loop, around: Path) -> list[Buffer] | None:
        """The buffers that each trip needs for itself, or None where trips depend on one another."""
        if not loop.static or loop.carried or loop.going is not None:
            return None
        inner = made_in(loop.body)
        found = accesses(loop.body)
        private: list[Buffer] = []
        for access in found:
            if not access.writes or access.buffer in private:
                continue
            if all(apart_between_trips(access, other, loop, inner, self.ranges) for other in found):
                continue
            if not self._private.holds(access.buffer, loop, around):
                return None
            private.append(access.buffer)
        return private


def _size(buffers: Iterable[Buffer]) -> int:
    return sum(map(size_in_bytes, buffers))


def _places(buffers: Sequence[Buffer], private: dict[str, Buffer]) -> dict[Buffer, tuple[Buffer, int]]:
    """For each buffer of a loop the private memory, and where in it the buffer begins, in its elements."""
    places: dict[Buffer, tuple[Buffer, int]] = {}
    begin = 0
    for buffer in buffers:
        places[buffer] = (private[buffer.element], begin * 8 // BITS[buffer.element])
        begin += size_in_bytes(buffer)
    return places


def _moved(body: Sequence[Statement], places: dict[Buffer, tuple[Buffer, int]]) -> tuple[Statement, ...]:
    """The statements with accesses to private buffers turned to where these lie."""
    moved: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop | If):
            statement = replace(statement, body=_moved(statement.body, places))
        elif isinstance(statement, Load | Store) and statement.buffer in places:
            buffer, begin = places[statement.buffer]
            statement = replace(statement, buffer=buffer, index=statement.index + begin)
        moved.append(statement)
    return tuple(moved)
