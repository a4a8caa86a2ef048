"""The nouns of the loop language: types, values, buffers, affine indices and statements, and how they print.

A function is a list of statements in static single assignment form: every value is made once and seen only
inside the body that makes it. Loops carry values from one trip to the next explicitly. Programs are made with
`glassnet.compiler.loop_ir.Builder` and checked with `glassnet.compiler.loop_ir.verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from glassnet.errors import VerificationError

BITS = {"i1": 1, "i32": 32, "f32": 32, "i64": 64, "f64": 64}
FLOATS = ("f32", "f64")
INTEGERS = ("i32", "i64")

PREDICATES = {
    "float": ("lt", "le", "gt", "ge", "eq", "ne"),
    "integer": ("lt", "le", "gt", "ge", "eq", "ne", "ult"),
}

# opcode: number of operands and the elements that it takes; the result has the operands' type
_ARITHMETIC: dict[str, tuple[int, tuple[str, ...]]] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "minimum", "maximum", "copysign"), (2, FLOATS)),
    **dict.fromkeys(("neg", "abs", "sqrt", "floor", "ceil", "round_even", "round_to_zero"), (1, FLOATS)),
    "product_error": (2, FLOATS),
    "fma": (3, FLOATS),
    **dict.fromkeys(("iadd", "isub", "imul", "idiv", "shl", "lshr", "ashr"), (2, INTEGERS)),
    **dict.fromkeys(("iand", "ior", "ixor"), (2, (*INTEGERS, "i1"))),
}
# opcode: the elements that it takes, those that it makes, and how the number of bits changes
_CONVERSIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "zext": (("i1", *INTEGERS), INTEGERS, "more"),
    "sext": (("i1", *INTEGERS), INTEGERS, "more"),
    "trunc": (INTEGERS, ("i1", *INTEGERS), "fewer"),
    "sitofp": (INTEGERS, FLOATS, "any"),
    "uitofp": (("i1", *INTEGERS), FLOATS, "any"),
    "fptosi": (FLOATS, INTEGERS, "any"),
    "bitcast": ((*FLOATS, *INTEGERS), (*FLOATS, *INTEGERS), "same"),
    "fpext": (FLOATS, FLOATS, "more"),
    "fptrunc": (FLOATS, FLOATS, "fewer"),
}


@dataclass(frozen=True, slots=True)
class Type:
    """A scalar (one lane) or a vector of `lanes` elements: f32, f64, i1, i32 or i64."""

    element: str
    lanes: int = 1

    def __post_init__(self) -> None:
        if self.element not in BITS or self.lanes < 1:
            raise VerificationError(
                f"{self.element}x{self.lanes} is no type: expected one of {', '.join(BITS)}."
            )

    def __str__(self) -> str:
        return self.element if self.lanes == 1 else f"{self.element}x{self.lanes}"

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.element in FLOATS

    def of(self, element: str) -> Type:
        """The type with the same number of lanes and another element."""
        return Type(element, self.lanes)


F32, F64, I1, I32, I64 = (Type(element) for element in ("f32", "f64", "i1", "i32", "i64"))


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """The result of a statement, a loop variable or a scalar argument; equal only to itself."""

    name: str
    type: Type

    def __str__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True, slots=True)
class Constant:
    """A number known while compiling, the same in every lane."""

    type: Type
    value: int | float

    def __str__(self) -> str:
        return f"{self.value!r}"


Operand = Value | Constant


@dataclass(slots=True, eq=False)
class Buffer:
    """`size` elements of memory: a piece of the arena, a pointer argument, or a table of constants.

    The size of a pointer argument may be unknown; a table (kind "constant") has its `content` and is only
    read. `alignment` and `offset` (from the start of the arena) are in bytes. The offset of an arena buffer
    is the one thing in the language that changes after it is made: the memory planner sets it once all
    lifetimes are known.
    """

    name: str
    element: str
    size: int | None
    alignment: int = 64
    kind: str = "arena"
    offset: int = 0
    content: tuple[int | float, ...] = ()

    def __post_init__(self) -> None:
        if self.element not in BITS or self.element == "i1":
            raise VerificationError(f"buffer {self.name} of {self.element}: expected f32, f64, i32 or i64.")
        if self.kind not in ("arena", "argument", "constant"):
            raise VerificationError(
                f"buffer {self.name} is {self.kind!r}: expected 'arena', 'argument' or 'constant'."
            )
        if len(self.content) != (self.size if self.kind == "constant" else 0):
            raise VerificationError(
                f"buffer {self.name} holds {len(self.content)} constants: expected "
                f"{self.size if self.kind == 'constant' else 'none'}."
            )
        if self.kind == "arena" and self.size is None:
            raise VerificationError(f"buffer {self.name} lies in the arena without a size: give it one.")


@dataclass(frozen=True, slots=True)
class Index:
    """An affine integer expression, constant + sum of coefficient * value, in elements of a buffer.

    Loop variables arrive as indices: `i * 64 + k + 3` is one. A runtime i64 value joins through `Index.of`.
    """

    terms: tuple[tuple[Value, int], ...] = ()
    constant: int = 0

    @staticmethod
    def of(expression: IndexLike) -> Index:
        """The index that stands for an integer, an i64 value or itself."""
        if isinstance(expression, Index):
            return expression
        if isinstance(expression, Value):
            if expression.type != I64:
                raise VerificationError(f"index {expression} is {expression.type}: convert it to i64.")
            return Index(((expression, 1),))
        return Index(constant=expression)

    def __add__(self, other: IndexLike) -> Index:
        other = Index.of(other)
        sums = dict(self.terms)
        for value, coefficient in other.terms:
            sums[value] = sums.get(value, 0) + coefficient
        return Index(tuple(term for term in sums.items() if term[1]), self.constant + other.constant)

    def __mul__(self, factor: int) -> Index:
        terms = tuple((value, coefficient * factor) for value, coefficient in self.terms if factor)
        return Index(terms, self.constant * factor)

    def __sub__(self, other: IndexLike) -> Index:
        return self + Index.of(other) * -1

    def __rsub__(self, other: IndexLike) -> Index:
        return self * -1 + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        parts = [value.name if factor == 1 else f"{value.name}*{factor}" for value, factor in self.terms]
        return " + ".join([*parts, str(self.constant)] if self.constant or not parts else parts)


IndexLike = Index | Value | int
Position = Index | int  # what a loop hands its body: a variable, or a number where the loop was written out


@dataclass(frozen=True, slots=True, eq=False)
class Instruction:
    """`result = opcode operands`; attributes are what is not a value (predicate, lane numbers, element)."""

    result: Value
    opcode: str
    operands: tuple[Operand, ...]
    attributes: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        words = ", ".join([*map(str, self.operands), *map(str, self.attributes)])
        return f"{self.result} = {self.opcode} {self.result.type} {words}".rstrip()


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Elements from memory, `stride` apart; only the first `mask` if given, the other lanes are zero."""

    result: Value
    buffer: Buffer
    index: Index
    mask: int | None = None
    stride: int = 1

    def __str__(self) -> str:
        first = "" if self.mask is None else f" first {self.mask}"
        apart = "" if self.stride == 1 else f" by {self.stride}"
        return f"{self.result} = load {self.result.type} {self.buffer.name}[{self.index}]{apart}{first}"


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """Consecutive elements into memory; only the first `mask` lanes if given."""

    buffer: Buffer
    index: Index
    value: Operand
    mask: int | None = None

    def __str__(self) -> str:
        first = "" if self.mask is None else f" first {self.mask}"
        return f"store {self.value.type} {self.value}, {self.buffer.name}[{self.index}]{first}"


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """`for variable in start..stop step step`: each trip hands `yields` to the next trip's `carried`.

    A trip behind which `going` does not hold is the last. The trips of a loop that is `divided` among threads
    are made by all of them together, each thread making those of its share, side by side.
    """

    variable: Value
    start: int | Value
    stop: int | Value
    step: int
    carried: tuple[Value, ...]
    inits: tuple[Operand, ...]
    body: tuple[Statement, ...]
    yields: tuple[Operand, ...]
    results: tuple[Value, ...]
    going: Operand | None = None
    divided: bool = False

    @property
    def static(self) -> bool:
        """Whether both bounds are known while compiling."""
        return isinstance(self.start, int) and isinstance(self.stop, int)

    def __str__(self) -> str:
        pairs = zip(self.carried, self.inits, strict=False)
        carry = ", ".join(f"{value} = {init}" for value, init in pairs)
        results = f"{', '.join(map(str, self.results))} = " if self.results else ""
        head = f"for {self.variable.name} in {self.start}..{self.stop} step {self.step}"
        divided = " divided" if self.divided else ""
        return f"{results}{head}{divided}{' carry ' + carry if carry else ''}:"


@dataclass(frozen=True, slots=True, eq=False)
class If:
    """`body`, run only if the condition (a scalar i1) holds; it can store but gives no values."""

    condition: Operand
    body: tuple[Statement, ...]

    def __str__(self) -> str:
        return f"if {self.condition}:"


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """Nobody goes on before all threads are here; `meeting` is the memory where they wait for one another."""

    meeting: Buffer

    def __str__(self) -> str:
        return f"barrier {self.meeting.name}"


Statement = Instruction | Load | Store | Loop | If | Barrier


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The part of every divided loop's trips that is a thread's: from `start` to `end`, in 2^-32 of all."""

    start: Value
    end: Value


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A native function: arena and pointer buffers, scalar arguments, statements, a scalar result or none.

    A function with a `share` is run by several threads at once; the share is two of its arguments.
    """

    name: str
    arguments: tuple[Value, ...]
    buffers: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    result: Operand | None = None
    flush_denormals: bool = True
    share: Share | None = None

    @property
    def pointers(self) -> tuple[Buffer, ...]:
        """The buffers that are pointer arguments, in the order of the call."""
        return tuple(buffer for buffer in self.buffers if buffer.kind == "argument")

    @property
    def uses_arena(self) -> bool:
        """Whether the first argument of the call is the arena."""
        return any(buffer.kind == "arena" for buffer in self.buffers)

    def __str__(self) -> str:
        return self.text()

    def text(self, note: Callable[[Statement], str] | None = None) -> str:
        """The function as text, with a comment in front of statements for which `note` has one."""
        buffers = [
            f"{b.kind} {b.name}: {b.element}[{'?' if b.size is None else b.size}]" for b in self.buffers
        ]
        arguments = [f"{value.name}: {value.type}" for value in self.arguments]
        result = [] if self.result is None else [f"  return {self.result.type} {self.result}"]
        return "\n".join(
            [
                f"function {self.name}({', '.join(buffers + arguments)}):",
                *_lines(self.body, "  ", note),
                *result,
            ]
        )


def _lines(
    body: tuple[Statement, ...], indent: str, note: Callable[[Statement], str] | None
) -> Iterator[str]:
    for statement in body:
        if note is not None and (comment := note(statement)):
            yield from (f"{indent}# {line}" for line in comment.splitlines())
        yield f"{indent}{statement}"
        if isinstance(statement, Loop | If):
            yield from _lines(statement.body, indent + "  ", note)
        if isinstance(statement, Loop) and statement.yields:
            yield f"{indent}  yield {', '.join(map(str, statement.yields))}"
        if isinstance(statement, Loop) and statement.going is not None:
            yield f"{indent}  while {statement.going}"


def result_type(opcode: str, types: tuple[Type, ...], attributes: tuple[str | int, ...]) -> Type:
    """The type that an instruction makes: the one place that knows what every opcode takes.

    Raises:
        VerificationError: the operands or attributes are not what the opcode takes.
    """
    if opcode in _ARITHMETIC:
        count, elements = _ARITHMETIC[opcode]
        _expect(len(types) == count, opcode, types, f"{count} operands")
        _expect(all(t == types[0] for t in types), opcode, types, "operands of one type")
        _expect(types[0].element in elements, opcode, types, f"elements {' or '.join(elements)}")
        return types[0]
    if opcode in _CONVERSIONS:
        takes, makes, change = _CONVERSIONS[opcode]
        element = str(attributes[0])
        _expect(types[0].element in takes and element in makes, opcode, types, f"{takes} and makes {makes}")
        before, after = BITS[types[0].element], BITS[element]
        fits = {"more": after > before, "fewer": after < before, "same": after == before, "any": True}[change]
        _expect(fits, opcode, types, f"{change} bits in {element}")
        return types[0].of(element)
    return _structural_type(opcode, types, attributes)


def _structural_type(opcode: str, types: tuple[Type, ...], attributes: tuple[str | int, ...]) -> Type:
    match opcode:
        case "compare":
            _expect(types[0] == types[1], opcode, types, "operands of one type")
            known = PREDICATES["float" if types[0].is_float else "integer"]
            _expect(attributes[0] in known, opcode, types, f"one of the predicates {', '.join(known)}")
            return types[0].of("i1")
        case "select":
            _expect(types[0] == types[1].of("i1"), opcode, types, "a mask with as many lanes as the values")
            _expect(types[1] == types[2], opcode, types, "two values of one type")
            return types[1]
        case "splat":
            _expect(types[0].lanes == 1, opcode, types, "a scalar")
            return Type(types[0].element, int(attributes[0]))
        case "iota":
            return Type(str(attributes[0]), int(attributes[1]))
        case "extract":
            inside = 0 <= int(attributes[0]) < types[0].lanes
            _expect(inside, opcode, types, f"a lane number below {types[0].lanes}, not {attributes[0]}")
            return Type(types[0].element)
        case "shuffle":
            _expect(types[0] == types[1], opcode, types, "operands of one type")
            inside = all(0 <= int(lane) < 2 * types[0].lanes for lane in attributes)
            _expect(inside, opcode, types, f"lane numbers below {2 * types[0].lanes}, not {attributes}")
            return Type(types[0].element, len(attributes))
        case "any":
            _expect(types[0].element == "i1" and types[0].lanes > 1, opcode, types, "a mask")
            return I1
        case "reduce_add":
            _expect(types[0].element != "i1" and types[0].lanes > 1, opcode, types, "a vector of numbers")
            return Type(types[0].element)
        case _:
            raise VerificationError(f"{opcode!r} is no opcode of the loop language.")


def _expect(holds: bool, opcode: str, types: tuple[Type, ...], expected: str) -> None:
    if not holds:
        raise VerificationError(f"{opcode} of ({', '.join(map(str, types))}): expected {expected}.")
