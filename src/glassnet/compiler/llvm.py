"""A function of the loop language as LLVM IR text.

Code generation takes tens of microseconds a line, so lines are the budget: no casts, no address arithmetic
that could be shared, no line for a constant. Addresses are computed where their last variable lives: the
pointer to `A[i*64 + k + 3]` moves by i once in the body of the i loop and by k in that of the k loop, and the
constant ends up in the instruction itself. Equal nests of loops are one function, called where they stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from glassnet.compiler.barrier import barrier_text
from glassnet.compiler.cpu import CPU
from glassnet.compiler.emulation import ROUNDINGS, product_error, rounding, split_product_error
from glassnet.compiler.llvm_text import (
    ELEMENTS,
    constant_text,
    iota_text,
    mask_text,
    suffix,
    table_text,
    type_text,
)
from glassnet.compiler.loop_language import (
    BITS,
    I64,
    Barrier,
    Buffer,
    Function,
    If,
    Index,
    Instruction,
    Load,
    Loop,
    Operand,
    Statement,
    Store,
    Type,
    Value,
)
from glassnet.compiler.passes.repeats import Repeat, repeats

_BINARY = {
    **{opcode: f"f{opcode}" for opcode in ("add", "sub", "mul", "div")},
    **{opcode: opcode[1:] for opcode in ("iadd", "isub", "imul", "iand", "ior", "ixor")},
    **{opcode: opcode for opcode in ("shl", "lshr", "ashr")},
    "idiv": "sdiv",
}
_INTRINSICS = {
    "abs": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "floor": "floor",
    "fma": "fma",
    "round_even": "roundeven",
    "round_to_zero": "trunc",
    "sqrt": "sqrt",
}
_CONVERSIONS = ("zext", "sext", "trunc", "sitofp", "uitofp", "fptosi", "bitcast", "fpext", "fptrunc")
_PREDICATES = {
    **{f"f{name}": f"fcmp o{name}" for name in ("lt", "le", "gt", "ge", "eq")},
    "fne": "fcmp une",  # true for NaN, so that NaN != NaN
    **{f"i{name}": f"icmp s{name}" for name in ("lt", "le", "gt", "ge")},
    **{f"i{name}": f"icmp {name}" for name in ("eq", "ne", "ult")},
}
_MXCSR_FLUSH = 0x8040  # flush results to zero (bit 15), read denormals as zero (bit 6)
_FPCR_FLUSH = 1 << 24


def emit(function: Function, cpu: CPU) -> str:
    """The text of a module with this one function, for a CPU.

    The native function takes the arena (if there are arena buffers), then the pointer arguments, then the
    scalars. It reads and writes denormal numbers as zero unless the function says otherwise, and leaves the
    processor's setting as it was.
    """
    return _Emitter(function, cpu).module()


@dataclass(slots=True)
class _Scope:
    """The lines of one body, and the pointers that have been computed in it."""

    lines: list[str] = field(default_factory=list)
    pointers: dict[tuple[str, Value | int, int, str], str] = field(default_factory=dict)


class _Emitter:
    """One walk over a function; each body has its own list of lines, so pointers can go in front of loops."""

    def __init__(self, function: Function, cpu: CPU, outer: _Emitter | None = None) -> None:
        self.function = function
        self.cpu = cpu
        self.outer = outer  # who calls this function, which is given every buffer then
        self.scopes = [_Scope()]
        self.depth: dict[Value, int] = {}  # the scope where an i64 value lives
        self.text: dict[Value, str] = {}
        self.declarations: dict[str, str] = {} if outer is None else outer.declarations
        self.repeats: dict[Loop, Repeat] = repeats(function) if outer is None else {}
        self.nests: dict[Function, list[str]] = {}  # the functions that are called here
        self.meets = False  # whether threads wait for one another
        self.block = "entry"
        self.count = 0

    # -- the frame

    def module(self) -> str:
        own = self.definition("")
        return "\n".join(
            [
                *(table_text(buffer) for buffer in self.function.buffers if buffer.kind == "constant"),
                *own,
                *(line for nest in self.nests.values() for line in nest),
                *(f"declare {signature}" for signature in self.declarations.values()),
                *([barrier_text(self.cpu.architecture)] if self.meets else []),
                f'attributes #0 = {{ nounwind "prefer-vector-width"="{self.cpu.vector_bits}" '
                f'"min-legal-vector-width"="{self.cpu.vector_bits}" }}',
                "",
            ]
        )

    def definition(self, linkage: str) -> list[str]:
        """The function and its body."""
        function = self.function
        parameters = ["ptr %arena"] if self.outer is None and function.uses_arena else []
        given = function.pointers if self.outer is None else function.buffers
        parameters += [f"ptr %arg.{buffer.name}" for buffer in given]
        for value in function.arguments:
            self.define(value, f"%arg.{value.name}")
            parameters.append(f"{type_text(value.type)} %arg.{value.name}")
        restore = self.flush_denormals() if function.flush_denormals else []
        self.body(function.body)
        result = "void" if function.result is None else self.typed(function.result)
        kind = "void" if function.result is None else type_text(function.result.type)
        return [
            f"define {linkage}{kind} @{function.name}({', '.join(parameters)}) #0 {{",
            "entry:",
            *self.scopes[0].lines,
            *restore,
            f"ret {result}",
            "}",
        ]

    def flush_denormals(self) -> list[str]:
        """Switch denormals off; the lines that put the setting back."""
        if self.cpu.architecture == "aarch64":
            self.declare("llvm.aarch64.get.fpcr", "i64", ())
            self.declare("llvm.aarch64.set.fpcr", "void", ("i64",))
            self.line("%fpcr = call i64 @llvm.aarch64.get.fpcr()")
            self.line(f"%flush = or i64 %fpcr, {_FPCR_FLUSH}")
            self.line("call void @llvm.aarch64.set.fpcr(i64 %flush)")
            return ["call void @llvm.aarch64.set.fpcr(i64 %fpcr)"]
        self.declare("llvm.x86.sse.stmxcsr", "void", ("ptr",))
        self.declare("llvm.x86.sse.ldmxcsr", "void", ("ptr",))
        self.line("%mxcsr = alloca i32")
        self.line("%flush = alloca i32")
        self.line("call void @llvm.x86.sse.stmxcsr(ptr %mxcsr)")
        self.line("%mxcsr.was = load i32, ptr %mxcsr")
        self.line(f"%mxcsr.new = or i32 %mxcsr.was, {_MXCSR_FLUSH}")
        self.line("store i32 %mxcsr.new, ptr %flush")
        self.line("call void @llvm.x86.sse.ldmxcsr(ptr %flush)")
        return ["call void @llvm.x86.sse.ldmxcsr(ptr %mxcsr)"]

    # -- lines and names

    def line(self, text: str) -> None:
        self.scopes[-1].lines.append(text)

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def define(self, value: Value, text: str) -> None:
        self.text[value] = text
        if value.type == I64:
            self.depth[value] = len(self.scopes) - 1

    def assign(self, value: Value, text: str) -> None:
        name = f"%{value.name}"
        self.define(value, name)
        self.scopes[-1].lines.append(f"{name} = {text}")

    def operand(self, operand: Operand | int) -> str:
        if isinstance(operand, Value):
            return self.text[operand]
        return str(operand) if isinstance(operand, int) else constant_text(operand)

    def typed(self, operand: Operand) -> str:
        return f"{type_text(operand.type)} {self.operand(operand)}"

    def declare(self, name: str, result: str, parameters: Sequence[str]) -> None:
        if name not in self.declarations:
            self.declarations[name] = f"{result} @{name}({', '.join(parameters)})"

    def call(self, name: str, result: str, operands: Sequence[str], types: Sequence[str]) -> str:
        self.declare(name, result, types)
        return f"{result} @{name}({', '.join(operands)})"

    # -- statements

    def body(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            match statement:
                case Instruction():
                    self.instruction(statement)
                case Load():
                    self.load(statement)
                case Store():
                    self.store(statement)
                case Loop():
                    self.loop(statement)
                case If():
                    self.branch(statement)
                case Barrier():
                    self.meets = True
                    self.line(f"call void @barrier(ptr {self.pointer(statement.meeting, Index())})")

    def instruction(self, line: Instruction) -> None:
        opcode, operands, result = line.opcode, line.operands, line.result
        if opcode == "iota":
            self.define(result, iota_text(result.type))
            return
        type, first = operands[0].type, self.typed(operands[0])
        if opcode in _BINARY:
            self.assign(result, f"{_BINARY[opcode]} {first}, {self.operand(operands[1])}")
        elif opcode == "fma" and not self.cpu.has_fma:
            # NOTE: llvm.fma without the instruction is a call of libm, a hundred times slower
            product = self.temporary(f"fmul {first}, {self.operand(operands[1])}")
            self.assign(result, f"fadd {type_text(type)} {product}, {self.operand(operands[2])}")
        elif opcode in ROUNDINGS and not self.cpu.has_rounding:
            self.assign(result, rounding(self, opcode, type, self.operand(operands[0])))
        elif opcode == "product_error":
            error = product_error if self.cpu.has_fma else split_product_error
            self.assign(result, error(self, type, *map(self.operand, operands)))
        elif opcode in _INTRINSICS:
            self.assign(result, self.intrinsic(_INTRINSICS[opcode], type, *map(self.operand, operands)))
        elif opcode in _CONVERSIONS:
            self.assign(result, f"{opcode} {first} to {type_text(result.type)}")
        elif opcode in ("minimum", "maximum"):
            predicate = "olt" if opcode == "minimum" else "ogt"
            mask = self.temporary(f"fcmp {predicate} {first}, {self.operand(operands[1])}")
            chosen = f"{first}, {self.typed(operands[1])}"
            self.assign(result, f"select {type_text(type.of('i1'))} {mask}, {chosen}")
        else:
            self.assign(result, self.structural(line, type, first))

    def temporary(self, text: str) -> str:
        """The name of a value that only the emitter knows."""
        name = self.fresh("%t")
        self.line(f"{name} = {text}")
        return name

    def intrinsic(self, name: str, type: Type, *operands: str) -> str:
        """A call whose operands and result have one type."""
        types = [type_text(type)] * len(operands)
        typed = [f"{types[0]} {operand}" for operand in operands]
        return "call " + self.call(f"llvm.{name}.{suffix(type)}", types[0], typed, types)

    def structural(self, line: Instruction, type: Type, first: str) -> str:
        operands = line.operands
        match line.opcode:
            case "neg":
                return f"fneg {first}"
            case "compare":
                predicate = _PREDICATES[f"{'f' if type.is_float else 'i'}{line.attributes[0]}"]
                return f"{predicate} {first}, {self.operand(operands[1])}"
            case "select":
                return f"select {first}, {self.typed(operands[1])}, {self.typed(operands[2])}"
            case "splat":
                one = f"<1 x {type_text(type)}>"
                single = self.temporary(f"bitcast {first} to {one}")
                mask = f"<{line.result.type.lanes} x i32> zeroinitializer"
                return f"shufflevector {one} {single}, {one} poison, {mask}"
            case "extract":
                return f"extractelement {first}, i64 {line.attributes[0]}"
            case "shuffle":
                lanes = ", ".join(f"i32 {lane}" for lane in line.attributes)
                mask = f"<{len(line.attributes)} x i32> <{lanes}>"
                return f"shufflevector {first}, {self.typed(operands[1])}, {mask}"
            case "any":
                bits = self.temporary(f"bitcast {first} to i{type.lanes}")
                return f"icmp ne i{type.lanes} {bits}, 0"
            case _:
                return self.sum_of_lanes(type, first)

    def sum_of_lanes(self, type: Type, vector: str) -> str:
        scalar, name = type_text(Type(type.element)), f"llvm.vector.reduce.{{}}.{suffix(type)}"
        if not type.is_float:
            return "call " + self.call(name.format("add"), scalar, [vector], [type_text(type)])
        start = f"{scalar} -0.0"
        types = [scalar, type_text(type)]
        # `reassoc` makes the sum a tree of fixed shape; without it the lanes are added one after another
        return "call reassoc " + self.call(name.format("fadd"), scalar, [start, vector], types)

    # -- memory

    def load(self, line: Load) -> None:
        pointer, type = self.pointer(line.buffer, line.index), line.result.type
        size, vector = BITS[type.element] // 8, type_text(type)
        if line.stride != 1:
            self.gather(line, pointer)
            return
        if line.mask is None:
            self.assign(line.result, f"load {vector}, ptr {pointer}, align {size}")
            return
        mask, types = mask_text(line.mask, type.lanes), ["ptr", "i32", type_text(type.of("i1")), vector]
        operands = [f"ptr {pointer}", f"i32 {size}", mask, f"{vector} zeroinitializer"]
        name = f"llvm.masked.load.{suffix(type)}.p0"
        self.assign(line.result, "call " + self.call(name, vector, operands, types))

    def gather(self, line: Load, pointer: str) -> None:
        """A load of elements that lie apart."""
        type = line.result.type
        vector, pointers = type_text(type), f"<{type.lanes} x ptr>"
        steps = ", ".join(f"i64 {lane * line.stride}" for lane in range(type.lanes))
        places = self.fresh("%t")
        self.line(
            f"{places} = getelementptr {ELEMENTS[type.element]}, ptr {pointer}, "
            f"<{type.lanes} x i64> <{steps}>"
        )
        mask = mask_text(type.lanes if line.mask is None else line.mask, type.lanes)
        types = [pointers, "i32", type_text(type.of("i1")), vector]
        operands = [
            f"{pointers} {places}",
            f"i32 {BITS[type.element] // 8}",
            mask,
            f"{vector} zeroinitializer",
        ]
        name = f"llvm.masked.gather.{suffix(type)}.v{type.lanes}p0"
        self.assign(line.result, "call " + self.call(name, vector, operands, types))

    def store(self, line: Store) -> None:
        pointer, type = self.pointer(line.buffer, line.index), line.value.type
        size = BITS[type.element] // 8
        if line.mask is None:
            self.line(f"store {self.typed(line.value)}, ptr {pointer}, align {size}")
            return
        types = [type_text(type), "ptr", "i32", type_text(type.of("i1"))]
        operands = [self.typed(line.value), f"ptr {pointer}", f"i32 {size}", mask_text(line.mask, type.lanes)]
        name = f"llvm.masked.store.{suffix(type)}.p0"
        self.line("call " + self.call(name, "void", operands, types))

    def pointer(self, buffer: Buffer, index: Index) -> str:
        """The address of an element: each term is added in the scope of its variable, outermost first."""
        element = ELEMENTS[buffer.element]
        pointer = f"%arg.{buffer.name}" if buffer.kind != "constant" else f"@{buffer.name}"
        if buffer.kind == "arena" and self.outer is None:
            pointer = self.advance(0, "%arena", buffer.offset, 1, "i8")
        for value, factor in sorted(index.terms, key=lambda term: (self.depth[term[0]], term[0].name)):
            pointer = self.advance(self.depth[value], pointer, value, factor, element)
        return self.advance(len(self.scopes) - 1, pointer, index.constant, 1, element)

    def advance(self, level: int, pointer: str, by: Value | int, factor: int, element: str) -> str:
        """`pointer` moved by `by` * `factor` elements, computed once in the scope of that level."""
        if by == 0:
            return pointer
        scope, key = self.scopes[level], (pointer, by, factor, element)
        if key not in scope.pointers:
            steps, unit = self.operand(by), element
            if factor > 1:
                unit = (
                    f"[{factor} x {element}]"  # the multiplication is part of the address: no line of its own
                )
            elif factor < 0:
                product = self.fresh("%t")
                scope.lines.append(f"{product} = mul i64 {steps}, {factor}")
                steps = product
            scope.pointers[key] = self.fresh("%p")
            scope.lines.append(f"{scope.pointers[key]} = getelementptr {unit}, ptr {pointer}, i64 {steps}")
        return scope.pointers[key]

    # -- control

    def nested(self, statements: Sequence[Statement], label: str, values: Sequence[Value] = ()) -> list[str]:
        """The lines of a body that starts with `label` and `values`; what it hoists goes to outer scopes."""
        self.scopes.append(_Scope())
        self.block = label
        for value in values:
            self.define(value, f"%{value.name}")
        self.body(statements)
        return self.scopes.pop().lines

    def repeat(self, nest: Repeat) -> None:
        """A call of the function that stands for one of several equal nests."""
        function = nest.function
        if function not in self.nests:
            self.nests[function] = _Emitter(function, self.cpu, self).definition("internal ")
        operands = [f"ptr {self.pointer(buffer, Index())}" for buffer in nest.buffers]
        operands += map(self.typed, nest.values)
        self.line(f"call void @{function.name}({', '.join(operands)})")

    def loop(self, line: Loop) -> None:
        if nest := self.repeats.get(line):
            self.repeat(nest)
            return
        before, label = self.block, self.fresh("")
        head, exit = f"head{label}", f"exit{label}"
        start, stop = self.share_of(line) if line.divided else map(self.operand, (line.start, line.stop))
        variable = f"%{line.variable.name}"
        inits = [self.operand(value) for value in line.inits]
        inner = self.nested(line.body, head, (line.variable, *line.carried))
        latch, lines = self.block, self.scopes[-1].lines
        yields = [self.operand(value) for value in line.yields]
        going = self.operand(line.going) if line.going is not None else ""
        if line.static and not line.divided:
            lines.append(f"br label %{head}")
        else:
            lines.append(f"%any{label} = icmp slt i64 {start}, {stop}")
            lines.append(f"br i1 %any{label}, label %{head}, label %{exit}")
        lines.append(f"{head}:")
        lines.append(f"{variable} = phi i64 [ {start}, %{before} ], [ %next{label}, %{latch} ]")
        for value, init, last in zip(line.carried, inits, yields, strict=True):
            source = f"[ {init}, %{before} ], [ {last}, %{latch} ]"
            lines.append(f"%{value.name} = phi {type_text(value.type)} {source}")
        lines += inner
        lines.append(f"%next{label} = add nsw i64 {variable}, {line.step}")
        again = f"%more{label}"
        lines.append(f"{again} = icmp slt i64 %next{label}, {stop}")
        if line.going is not None:
            again = f"%again{label}"
            lines.append(f"{again} = and i1 %more{label}, {going}")
        lines.append(f"br i1 {again}, label %{head}, label %{exit}")
        lines.append(f"{exit}:")
        self.block = exit
        for value, init, last in zip(line.results, inits, yields, strict=True):
            if line.static:
                self.define(value, last)
            else:
                self.assign(value, f"phi {type_text(value.type)} [ {init}, %{before} ], [ {last}, %{latch} ]")

    def share_of(self, line: Loop) -> tuple[str, str]:
        """Where a thread's trips of a divided loop begin and end: the share times their number, whole."""
        share = self.function.share
        assert share is not None  # the verifier has seen to it
        assert isinstance(line.start, int)
        assert isinstance(line.stop, int)
        trips = -(-(line.stop - line.start) // line.step)
        bounds: list[str] = []
        for part in (share.start, share.end):
            scaled, whole, moved, bound = (self.fresh("%t") for _ in range(4))
            self.line(f"{scaled} = mul i64 {self.operand(part)}, {trips}")
            self.line(f"{whole} = lshr i64 {scaled}, 32")
            self.line(f"{moved} = mul i64 {whole}, {line.step}")
            self.line(f"{bound} = add i64 {moved}, {line.start}")
            bounds.append(bound)
        return bounds[0], bounds[1]

    def branch(self, line: If) -> None:
        label, condition = self.fresh(""), self.operand(line.condition)
        inner = self.nested(line.body, f"then{label}")
        self.line(f"br i1 {condition}, label %then{label}, label %end{label}")
        self.scopes[-1].lines += [f"then{label}:", *inner, f"br label %end{label}", f"end{label}:"]
        self.block = f"end{label}"
