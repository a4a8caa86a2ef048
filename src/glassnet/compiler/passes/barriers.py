"""Barriers: who runs which statement of a function for several threads, and where they wait for one another.

A divided loop is run by all, each a part; the loops around divided ones and the numbers that everybody needs
are run by all alike; every other statement by the first thread alone. A barrier stands before a statement
that touches what another thread may touch since the last barrier, where one of the two writes. In a loop
the statements of the trip before count as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from glassnet.compiler.loop_ir import (
    Barrier,
    Buffer,
    Function,
    If,
    Instruction,
    Load,
    Loop,
    Operand,
    Statement,
    Store,
    Value,
)
from glassnet.compiler.passes.footprints import Access, accesses, apart, made_in

_FIRST, _ALL, _PART = "first", "all", "part"  # who makes an access: one thread, each thread, each its part

Pending = dict[tuple[Access, str], None]  # what was touched since the last barrier, and by whom


@dataclass(frozen=True)
class Roles:
    """What becomes of loops: what a loop that is divided is replaced by, and which ones all threads run.

    The trips of a `free` loop, which is one of the latter, touch nothing that another trip writes but these
    buffers. The `private` buffers of a divided loop are each thread's own.
    """

    divided: Mapping[Loop, Loop]
    common: Collection[Loop | If]
    free: Mapping[Loop, Collection[Buffer]]
    private: Mapping[Loop, Collection[Buffer]]


class Meetings:
    """Writes the body of a function for several threads."""

    def __init__(self, roles: Roles, meeting: Buffer, is_first: Value, ranges: dict[Value, range]) -> None:
        self.roles, self.meeting, self.is_first, self.ranges = roles, meeting, is_first, ranges
        self._older: dict[Loop, dict[Value, Value]] = {}
        self._uses: dict[Statement, set[Value]] = {}
        self._touched: dict[Statement, list[Access]] = {}
        self._apart: dict[tuple[Access, Access], bool] = {}

    def write(self, function: Function) -> tuple[Statement, ...]:
        """The statements, with barriers."""
        needed = _values([function.result] if function.result is not None else [])
        return self.region(function.body, needed, {})[0]

    def region(
        self, body: Sequence[Statement], needed: set[Value], pending: Pending
    ) -> tuple[tuple[Statement, ...], Pending]:
        """A body that all threads run, of which all need these values; and what is pending behind it."""
        while True:
            region = _Region(self, needed, dict(pending))
            for statement, common in zip(body, self._common(body, needed), strict=True):
                region.add(statement, common)
            region.flush()
            if not region.missing:
                return tuple(region.written), region.pending
            needed = needed | region.missing

    def loop(self, loop: Loop, pending: Pending) -> tuple[Statement, Pending]:
        """A loop that all threads run."""
        needed = _values([*loop.yields, *([loop.going] if loop.going is not None else [])])
        older = self._older_values(loop)
        handed_on = self.roles.free.get(loop)  # None: all memory
        before = pending
        while True:
            body, behind = self.region(loop.body, needed, before)
            aged = {
                (access.aged(older), who): None
                for access, who in behind
                if handed_on is None or access.buffer in handed_on
            }
            if aged.keys() <= before.keys():
                return replace(loop, body=body), aged
            before = before | aged

    def _older_values(self, loop: Loop) -> dict[Value, Value]:
        """For each value of the loop one that stands for what it was in any trip before."""
        if loop not in self._older:
            own = {loop.variable, *loop.carried, *made_in(loop.body)}
            older = {value: Value(f"{value.name}.older", value.type) for value in own}
            self.ranges |= {older[value]: self.ranges[value] for value in own if value in self.ranges}
            self._older[loop] = older
        return self._older[loop]

    def _common(self, body: Sequence[Statement], needed: set[Value]) -> list[bool]:
        """For each statement whether all threads run it, for what it holds or for the values it makes."""
        wanted = set(needed)
        result: list[bool] = []
        for statement in reversed(body):
            match statement:
                case Instruction() | Load():
                    common = statement.result in wanted
                case Loop():
                    common = statement in self.roles.common or not wanted.isdisjoint(statement.results)
                case _:
                    common = statement in self.roles.common
            if common or statement in self.roles.divided:
                wanted |= self.uses(statement)
            result.append(common)
        return result[::-1]

    def uses(self, statement: Statement) -> set[Value]:
        """The values that a statement and its inner bodies use."""
        if statement not in self._uses:
            self._uses[statement] = _uses(statement)
        return self._uses[statement]

    def touched(self, statement: Statement) -> list[Access]:
        """What a statement accesses, beside memory that is a thread's own."""
        if statement not in self._touched:
            if isinstance(statement, Loop | If) and statement in self.roles.common:
                found = dict.fromkeys(x for inner in statement.body for x in self.touched(inner))
            else:
                private = self.roles.private.get(statement, ()) if isinstance(statement, Loop) else ()
                found = [x for x in accesses([statement]) if x.buffer not in private]
            self._touched[statement] = list(found)
        return self._touched[statement]

    def meet(self, a: Access, b: Access) -> bool:
        """Whether the two touch memory in common and one of them writes."""
        if not (a.writes or b.writes):
            return False
        if (a, b) not in self._apart:
            self._apart[a, b] = apart(a, b, self.ranges)
        return not self._apart[a, b]


@dataclass
class _Region:
    """A body as it is written: statements of the first thread are gathered until all have to go on."""

    meetings: Meetings
    needed: set[Value]
    pending: Pending
    written: list[Statement] = field(default_factory=list[Statement])
    alone: list[Statement] = field(default_factory=list[Statement])
    known_to_first: set[Value] = field(default_factory=set[Value])
    missing: set[Value] = field(default_factory=set[Value])  # what the first thread knew no more

    def add(self, statement: Statement, common: bool) -> None:
        """One more statement; `common` ones are for all threads."""
        roles = self.meetings.roles
        if isinstance(statement, Loop) and statement in roles.divided:
            self._wait_for(self.meetings.touched(statement), _PART)
            self.flush()
            self.written.append(roles.divided[statement])
        elif not common:
            self._wait_for(self.meetings.touched(statement), _FIRST)
            self.missing |= self.meetings.uses(statement) & self.known_to_first
            self.alone.append(statement)
        elif isinstance(statement, Loop) and statement in roles.free:
            self._wait_for(self.meetings.touched(statement), _PART)
            self.flush()
            self.written.append(self.meetings.loop(statement, {})[0])
        elif isinstance(statement, Loop):
            self.flush()
            loop, pending = self.meetings.loop(statement, self.pending)
            # a loop that may make no trip leaves what was pending as it is
            self.pending = pending if statement.static else pending | self.pending
            self.written.append(loop)
        elif isinstance(statement, If):
            self.flush()
            body, pending = self.meetings.region(statement.body, set(), self.pending)
            self.pending |= pending
            self.written.append(replace(statement, body=body))
        else:
            self._wait_for(self.meetings.touched(statement), _ALL)
            self.written.append(statement)

    def flush(self) -> None:
        """Ends what the first thread does by itself."""
        if self.alone:
            self.written.append(If(self.meetings.is_first, tuple(self.alone)))
            self.known_to_first |= made_in(self.alone)
            self.alone = []

    def _wait_for(self, touched: Iterable[Access], who: str) -> None:
        meet = self.meetings.meet
        if any(
            not (who == by == _FIRST) and meet(access, other)
            for access in touched
            for other, by in self.pending
        ):
            self.flush()
            self.written.append(Barrier(self.meetings.meeting))
            self.pending = {}
        self.pending |= {(access, who): None for access in touched}


def _values(operands: Iterable[Operand | int]) -> set[Value]:
    return {operand for operand in operands if isinstance(operand, Value)}


def _uses(statement: Statement) -> set[Value]:
    match statement:
        case Instruction():
            return _values(statement.operands)
        case Load():
            return {value for value, _ in statement.index.terms}
        case Store():
            return {value for value, _ in statement.index.terms} | _values([statement.value])
        case Loop():
            operands = [statement.start, statement.stop, *statement.inits, *statement.yields]
            going = [] if statement.going is None else [statement.going]
            return _values([*operands, *going]).union(*map(_uses, statement.body))
        case If():
            return _values([statement.condition]).union(*map(_uses, statement.body))
        case Barrier():
            return set()
