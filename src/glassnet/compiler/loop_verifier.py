"""The verifier of the loop language: it trusts no builder and checks a function from its statements alone."""

from __future__ import annotations

from collections.abc import Sequence

from glassnet.compiler.loop_language import (
    BITS,
    I1,
    I64,
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
    result_type,
)
from glassnet.errors import VerificationError


def verify(function: Function) -> None:
    """Check a function: values defined before use, types, loops, alignment, every access inside its buffer.

    An access is proved by the interval of its affine index over the trips of its loops; where a runtime value
    or a buffer of unknown size takes part there is nothing to prove.

    Raises:
        VerificationError: what is wrong, with the line.
    """
    for buffer in function.buffers:
        _check_alignment(buffer)
    checker = _Checker(function)
    checker.body(function.body)
    if function.result is not None:
        checker.uses(f"return {function.result}", [function.result])


def _check_alignment(buffer: Buffer) -> None:
    size, alignment = BITS[buffer.element] // 8, buffer.alignment
    if alignment & (alignment - 1) or alignment < size:
        raise VerificationError(
            f"buffer {buffer.name} is aligned to {alignment} bytes: expected a power of two, {size} or more."
        )
    if buffer.offset % alignment or buffer.offset < 0:
        raise VerificationError(
            f"buffer {buffer.name} lies at byte {buffer.offset}: expected a multiple of {alignment}."
        )


class _Checker:
    """One walk over a function: the values in scope, and the range of each static loop variable."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.buffers = set(function.buffers)
        self.names: set[str] = set()
        self.scope: set[Value] = set()
        self.ranges: dict[Value, tuple[int, int]] = {}  # first and last value of a loop variable
        self.alone = function.share is None  # whether other threads may be elsewhere
        for value in function.arguments:
            self.define(f"function {function.name}", value)

    def fail(self, line: object, reason: str) -> VerificationError:
        return VerificationError(f"{reason} in {self.function.name}, at `{line}`.")

    def define(self, line: object, value: Value) -> None:
        if value.name in self.names:
            raise self.fail(line, f"{value} is defined twice")
        self.names.add(value.name)
        self.scope.add(value)

    def uses(self, line: object, operands: Sequence[Operand]) -> None:
        for operand in operands:
            if isinstance(operand, Value) and operand not in self.scope:
                raise self.fail(line, f"{operand} is used where it is not defined")

    def body(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            match statement:
                case Instruction():
                    self.instruction(statement)
                case Load():
                    self.access(statement, statement.result)
                    self.define(statement, statement.result)
                case Store():
                    self.uses(statement, [statement.value])
                    if statement.buffer.kind == "constant":
                        raise self.fail(statement, f"the table {statement.buffer.name} is written")
                    self.access(statement, statement.value)
                case Loop():
                    self.loop(statement)
                case If():
                    self.uses(statement, [statement.condition])
                    if statement.condition.type != I1:
                        raise self.fail(statement, "the condition is not i1")
                    self.nested(statement.body)
                case Barrier():
                    if statement.meeting not in self.buffers or self.alone:
                        raise self.fail(statement, "a barrier stands where not all threads may come")

    def instruction(self, line: Instruction) -> None:
        self.uses(line, line.operands)
        try:
            made = result_type(line.opcode, tuple(x.type for x in line.operands), line.attributes)
        except VerificationError as error:
            raise self.fail(line, str(error).rstrip(".")) from None
        if made != line.result.type:
            raise self.fail(line, f"{line.opcode} makes {made}, not {line.result.type},")
        self.define(line, line.result)

    def nested(self, statements: Sequence[Statement]) -> None:
        outside, alone = set(self.scope), self.alone
        self.alone = True
        self.body(statements)
        self.scope, self.alone = outside, alone

    def loop(self, line: Loop) -> None:
        self.uses(line, [*line.inits, *(x for x in (line.start, line.stop) if isinstance(x, Value))])
        groups = (line.inits, line.carried, line.yields, line.results)
        if len({tuple(x.type for x in group) for group in groups}) > 1:
            raise self.fail(line, "the loop does not carry the same types in, round and out")
        if line.step < 1:
            raise self.fail(line, f"the step {line.step} is not positive")
        if any(isinstance(x, Value) and x.type != I64 for x in (line.start, line.stop)):
            raise self.fail(line, "a bound of the loop is not i64")
        if line.divided and (not line.static or line.carried or line.going is not None or self.alone):
            raise self.fail(line, "the loop cannot be divided among threads")
        outside, alone = set(self.scope), self.alone
        self.alone |= line.divided
        for value in (line.variable, *line.carried):
            self.define(line, value)
        if isinstance(line.start, int) and isinstance(line.stop, int):
            if line.start >= line.stop:
                raise self.fail(line, "the loop makes no trip")
            last = line.start + (line.stop - 1 - line.start) // line.step * line.step
            self.ranges[line.variable] = (line.start, last)
        self.body(line.body)
        self.uses(f"yield {', '.join(map(str, line.yields))}", line.yields)
        if line.going is not None:
            self.uses(f"while {line.going}", [line.going])
            if line.going.type != I1:
                raise self.fail(line, "the condition of another trip is not i1")
        self.scope, self.alone = outside, alone
        for value in line.results:
            self.define(line, value)

    def access(self, line: Load | Store, value: Operand) -> None:
        buffer, lanes = line.buffer, value.type.lanes if line.mask is None else line.mask
        if buffer not in self.buffers:
            raise self.fail(line, f"buffer {buffer.name} is not one of the function's")
        if value.type.element != buffer.element:
            raise self.fail(line, f"buffer {buffer.name} holds {buffer.element}, not {value.type.element},")
        self.uses(line, [variable for variable, _ in line.index.terms])
        if buffer.size is None or any(variable not in self.ranges for variable, _ in line.index.terms):
            return
        low = high = line.index.constant
        for variable, factor in line.index.terms:
            ends = [factor * end for end in self.ranges[variable]]
            low, high = low + min(ends), high + max(ends)
        reach = (lanes - 1) * (line.stride if isinstance(line, Load) else 1)
        low, high = low + min(reach, 0), high + max(reach, 0)
        if low < 0 or high >= buffer.size:
            raise self.fail(line, f"elements {low} to {high} leave {buffer.name} of {buffer.size} elements")
