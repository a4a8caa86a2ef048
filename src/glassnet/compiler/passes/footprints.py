"""Footprints: which elements of which buffers statements read and write, and when two of them never meet.

The place of an access is a sum: a number, and variables of loops times the distances that they step over. Two
accesses are apart where the ranges of their places are. They are also apart where both stay inside lines of M
elements, whichever these are, and their ranges along a line are: M is tried for every distance that occurs
(between lines, channels, images).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from glassnet.compiler.loop_ir import Buffer, If, Instruction, Load, Loop, Statement, Store, Value
from glassnet.compiler.passes.memory import size_in_bytes

Ranges = Mapping[Value, range]  # what the variable of each loop with known bounds runs over
Terms = frozenset[tuple[Value, int]]


@dataclass(frozen=True)
class Access:
    """Accesses to a buffer: for each (first, count) of spans `count` elements from `terms` + `first` on."""

    buffer: Buffer
    terms: Terms
    spans: tuple[tuple[int, int], ...]
    writes: bool

    def aged(self, older: Mapping[Value, Value]) -> Access:
        """The same access in an earlier trip of a loop, where its values were others."""
        return replace(self, terms=frozenset((older.get(value, value), by) for value, by in self.terms))


def accesses(statements: Sequence[Statement]) -> list[Access]:
    """What the statements access, inner bodies included; places that differ by a number are one access."""
    spans: dict[tuple[Buffer, Terms, bool], dict[tuple[int, int], None]] = {}
    for access in _memory(statements):
        read = isinstance(access, Load)
        lanes = access.mask or (access.result if read else access.value).type.lanes
        reach = (lanes - 1) * (access.stride if read else 1)
        key = (access.buffer, frozenset(access.index.terms), not read)
        spans.setdefault(key, {})[access.index.constant + min(reach, 0), abs(reach) + 1] = None
    return [Access(buffer, terms, tuple(found), writes) for (buffer, terms, writes), found in spans.items()]


def _memory(statements: Sequence[Statement]) -> Iterator[Load | Store]:
    for statement in statements:
        if isinstance(statement, Loop | If):
            yield from _memory(statement.body)
        elif isinstance(statement, Load | Store):
            yield statement


def made_in(statements: Sequence[Statement]) -> set[Value]:
    """The values that the statements define, those of inner bodies included."""
    made: set[Value] = set()
    for statement in statements:
        if isinstance(statement, Instruction | Load):
            made.add(statement.result)
        elif isinstance(statement, Loop | If):
            made |= made_in(statement.body)
        if isinstance(statement, Loop):
            made |= {statement.variable, *statement.carried, *statement.results}
    return made


def ranges_of(statements: Sequence[Statement]) -> dict[Value, range]:
    """The ranges of the variables of all loops with known bounds."""
    ranges: dict[Value, range] = {}
    for statement in statements:
        if isinstance(statement, Loop | If):
            ranges |= ranges_of(statement.body)
        if isinstance(statement, Loop):
            start, stop = statement.start, statement.stop
            if isinstance(start, int) and isinstance(stop, int):
                ranges[statement.variable] = range(start, stop, statement.step)
    return ranges


def apart(a: Access, b: Access, ranges: Ranges) -> bool:
    """Whether the two never touch an element in common. A value that both have is the same in both."""
    if a.buffer is not b.buffer:
        return not _share_bytes(a.buffer, b.buffer)
    common = a.terms & b.terms
    if any(value in {other for other, _ in b.terms} for value, _ in a.terms - common):
        common = frozenset()  # one value with two factors
    for modulus in _distances(a, b):
        first, second = (_window(x, x.terms - common, modulus, ranges) for x in (a, b))
        if first and second and (first[1] < second[0] or second[1] < first[0]):
            return True
    return False


def apart_between_trips(a: Access, b: Access, loop: Loop, inner: Collection[Value], ranges: Ranges) -> bool:
    """Whether `a` in one trip of a loop and `b` in another never touch an element in common.

    `inner` are the values that the body makes: each trip has its own.
    """
    if a.buffer is not b.buffer:
        return not _share_bytes(a.buffer, b.buffer)
    step, other = (dict(x.terms).get(loop.variable, 0) for x in (a, b))
    fixed, same = (
        {(value, by) for value, by in x.terms if value not in inner and value is not loop.variable}
        for x in (a, b)
    )
    if not step or step != other or fixed != same:
        return False
    for modulus in _distances(a, b):
        if modulus and step % modulus == 0:
            continue  # trips that are whole lines apart look the same along a line
        first, second = (_window(x, x.terms - fixed, modulus, ranges, loop.variable) for x in (a, b))
        if first and second and max(first[1] - second[0], second[1] - first[0]) < abs(step) * loop.step:
            return True
    return False


def _distances(a: Access, b: Access) -> list[int]:
    """0 for places as they are, and the lengths of lines to be tried."""
    firsts = sorted({first for first, _ in (*a.spans, *b.spans)})
    steps = {abs(by) for _, by in (*a.terms, *b.terms)} | {y - x for x, y in pairwise(firsts)}
    return [0, *sorted(steps - {1})]


def _window(
    access: Access, terms: Terms, modulus: int, ranges: Ranges, trip: Value | None = None
) -> tuple[int, int] | None:
    """The first and last place that the access can reach, with `modulus` along a line that it never leaves.

    `trip` is a variable that counts as 0 in the result, though not for leaving a line. None is for no such
    window.
    """
    low = high = moved_low = moved_high = 0
    for value, by in terms:
        if modulus and by % modulus == 0:
            continue
        if value is trip and not modulus:
            continue
        if value not in ranges:
            return None
        ends = sorted(by * end for end in (ranges[value][0], ranges[value][-1]))
        low, high = low + ends[0], high + ends[1]
        if value is trip:
            moved_low, moved_high = ends
    begins: list[int] = []
    stops: list[int] = []
    for first, count in access.spans:
        start = (first + low) % modulus if modulus else first + low
        stop = start + high - low + count - 1
        if modulus and stop >= modulus:
            return None
        begins.append(start - moved_low)
        stops.append(stop - moved_high)
    return min(begins), max(stops)


def _share_bytes(a: Buffer, b: Buffer) -> bool:
    """Whether two buffers lie in the same memory; only those of the arena can."""
    if a.kind != "arena" or b.kind != "arena":
        return False
    return a.offset < b.offset + size_in_bytes(b) and b.offset < a.offset + size_in_bytes(a)
