"""Repeats: nests of loops that differ in their memory alone are compiled once, as one function for all.

Twenty equal layers, or the four projections of attention, are twenty or four times the same loops. Code
generation takes far longer than all else, so one nest is written as a function of its buffers and of the
values from outside, and called wherever one of them stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from glassnet.compiler.loop_language import (
    Barrier,
    Buffer,
    Constant,
    Function,
    If,
    Index,
    Instruction,
    Load,
    Loop,
    Operand,
    Statement,
    Store,
    Value,
)
from glassnet.compiler.passes.work import work

_WORTHWHILE = 500  # instructions that a call has to make, so that its own handful is nothing
_LONG = 12  # statements; what is shorter is compiled sooner than a function


@dataclass(frozen=True, slots=True)
class Repeat:
    """One of several equal nests: the function for all of them, and what it is given here."""

    function: Function
    buffers: tuple[Buffer, ...]
    values: tuple[Value, ...]


def repeats(function: Function) -> dict[Loop, Repeat]:
    """The outermost loops that have an equal; each group has one function."""
    shapes: dict[Loop, int] = {}
    for statement in function.body:
        _shape(statement, shapes)
    alike = Counter(shapes.values())
    groups: dict[Any, list[tuple[Loop, _Form]]] = {}
    for loop in _outermost(function.body, {loop for loop, shape in shapes.items() if alike[shape] > 1}):
        form = _Form(function)
        groups.setdefault(form.statement(loop), []).append((loop, form))
    found: dict[Loop, Repeat] = {}
    for number, group in enumerate(group for group in groups.values() if len(group) > 1):
        loop, form = group[0]
        arguments, buffers = tuple(form.values), tuple(form.buffers)
        nest = Function(f"nest{number}", arguments, buffers, (loop,), None, False, function.share)
        for each, its in group:
            found[each] = Repeat(nest, tuple(its.buffers), tuple(its.values))
    return found


def _outermost(statements: Sequence[Statement], alike: set[Loop]) -> Iterator[Loop]:
    for statement in statements:
        if isinstance(statement, Loop) and statement in alike and work([statement]) >= _WORTHWHILE:
            yield statement
        elif isinstance(statement, Loop | If):
            yield from _outermost(statement.body, alike)


def _shape(statement: Statement, shapes: dict[Loop, int]) -> tuple[int, int, bool]:
    """A number that equal statements share, how many they are, and whether threads meet in them.

    Loops that could be a function of their own are noted with their number.
    """
    match statement:
        case Instruction():
            return hash((statement.opcode, statement.result.type, statement.attributes)), 1, False
        case Load():
            place = statement.index.constant, len(statement.index.terms)
            return hash((statement.result.type, place, statement.mask, statement.stride)), 1, False
        case Store():
            place = statement.index.constant, len(statement.index.terms)
            return hash((statement.value.type, place, statement.mask)), 1, False
        case Barrier():
            return 0, 1, True
        case Loop() | If():
            parts = [_shape(inner, shapes) for inner in statement.body]
            length, meets = 1 + sum(part[1] for part in parts), any(part[2] for part in parts)
            inner = tuple(part[0] for part in parts)
            if isinstance(statement, If):
                return hash(inner), length, meets
            bounds = tuple(x if isinstance(x, int) else None for x in (statement.start, statement.stop))
            shape = hash((inner, bounds, statement.step, len(statement.carried), statement.divided))
            if length >= _LONG and not meets and not statement.carried:
                shapes[statement] = shape
            return shape, length, meets


class _Form:
    """A nest with its values and buffers numbered in the order of their first use: equal for equal nests."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.numbers: dict[Value | Buffer, int] = {}
        self.values: list[Value] = []  # those from outside
        self.buffers: list[Buffer] = []  # those that a function is given: tables are everybody's

    def statement(self, statement: Statement) -> tuple[Any, ...]:
        match statement:
            case Instruction(result, opcode, operands, attributes):
                return opcode, attributes, tuple(map(self.operand, operands)), self.made(result)
            case Load(result, buffer, index, mask, stride):
                return self.place(buffer, index), mask, stride, self.made(result)
            case Store(buffer, index, value, mask):
                return self.place(buffer, index), mask, self.operand(value)
            case If(condition, body):
                return self.operand(condition), tuple(map(self.statement, body))
            case Loop():
                return self.loop(statement)
            case Barrier():
                return ()  # in no nest that is looked at

    def loop(self, loop: Loop) -> tuple[Any, ...]:
        outside: list[int | Operand] = [loop.start, loop.stop, *loop.inits]
        if loop.divided and self.function.share is not None:
            outside += [self.function.share.start, self.function.share.end]
        given = tuple(x if isinstance(x, int) else self.operand(x) for x in outside)
        made = tuple(map(self.made, (loop.variable, *loop.carried)))
        body = tuple(map(self.statement, loop.body))
        kept = [*loop.yields, *([] if loop.going is None else [loop.going])]
        last = tuple(map(self.operand, kept)), tuple(map(self.made, loop.results))
        return given, loop.step, loop.divided, made, body, last

    def made(self, value: Value) -> Any:
        self.numbers[value] = len(self.numbers)
        return value.type

    def operand(self, operand: Operand) -> Any:
        if isinstance(operand, Constant):
            return operand
        if operand not in self.numbers:
            self.values.append(operand)
            return self.made(operand), "given"
        return self.numbers[operand]

    def place(self, buffer: Buffer, index: Index) -> tuple[Any, ...]:
        terms = tuple((self.operand(value), factor) for value, factor in index.terms)
        if buffer.kind == "constant":
            return buffer, terms, index.constant
        if buffer not in self.numbers:
            self.buffers.append(buffer)
            self.numbers[buffer] = len(self.numbers)
        return self.numbers[buffer], buffer.element, terms, index.constant
