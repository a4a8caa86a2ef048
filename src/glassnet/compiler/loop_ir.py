"""The loop language between the graph and LLVM: `Builder` makes functions of it, `verify` checks them.

b = Builder("scale")
x = b.buffer("x", "f32", 1024, kind="argument")
b.loop(0, 1024, 16, lambda i: b.store(x, i, b.mul(b.load(x, i, 16), 2.0)))
print(b.finish())

function scale(argument x: f32[1024]):
  for i1 in 0..1024 step 16:
    %v1 = load f32x16 x[i1]
    %v2 = mul f32x16 %v1, 2.0
    store f32x16 %v2, x[i1]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from glassnet.compiler.loop_language import (
    F32,
    F64,
    I1,
    I32,
    I64,
    Barrier,
    Buffer,
    Constant,
    Function,
    If,
    Index,
    IndexLike,
    Instruction,
    Load,
    Loop,
    Operand,
    Position,
    Share,
    Statement,
    Store,
    Type,
    Value,
    result_type,
)
from glassnet.compiler.loop_verifier import verify
from glassnet.errors import VerificationError

__all__ = [
    "F32",
    "F64",
    "I1",
    "I32",
    "I64",
    "Barrier",
    "Buffer",
    "Builder",
    "Constant",
    "Function",
    "If",
    "Index",
    "IndexLike",
    "Instruction",
    "Load",
    "Loop",
    "Operand",
    "Position",
    "Share",
    "Statement",
    "Store",
    "Type",
    "Value",
    "verify",
]

Number = Operand | int | float

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Builder:
    """Writes one function, statement by statement, and names its values.

    Arithmetic takes values of one type; a Python number becomes a constant of the other operand's type. Every
    method raises `VerificationError` when the operands do not fit.
    """

    def __init__(self, name: str, flush_denormals: bool = True) -> None:
        self.name = name
        self.flush_denormals = flush_denormals
        self._names: set[str] = set()
        self._buffers: list[Buffer] = []
        self._arguments: list[Value] = []
        self._bodies: list[list[Statement]] = [[]]
        self._going: list[Operand | None] = [None]
        self._count = 0
        self._loops = 0

    # -- what the function is given and gives back

    def buffer(
        self, name: str, element: str, size: int | None, *, kind: str = "arena", alignment: int = 64
    ) -> Buffer:
        """A buffer of `size` elements: part of the arena, or with kind="argument" the next pointer."""
        self._claim(name)
        self._buffers.append(Buffer(name, element, size, alignment, kind))
        return self._buffers[-1]

    def table(self, name: str, element: str, content: Sequence[int | float]) -> Buffer:
        """A table of constants; asked for again by its name it is the same one."""
        for buffer in self._buffers:
            if buffer.name == name and buffer.content == tuple(content):
                return buffer
        self._claim(name)
        self._buffers.append(Buffer(name, element, len(content), 64, "constant", content=tuple(content)))
        return self._buffers[-1]

    def argument(self, name: str, type: Type = I64) -> Value:
        """The next scalar argument; scalars come after all pointers in the call."""
        if type not in (I64, F32, F64):
            raise VerificationError(f"argument {name} of {self.name} is {type}: expected i64, f32 or f64.")
        self._claim(name)
        self._arguments.append(Value(name, type))
        return self._arguments[-1]

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """The buffers so far."""
        return tuple(self._buffers)

    @property
    def position(self) -> tuple[int, int]:
        """The numbers of the last value and of the last loop so far."""
        return self._count, self._loops

    def unique(self) -> int:
        """A number that no value or buffer of this function has been named by."""
        self._count += 1
        return self._count

    def finish(self, result: Operand | None = None) -> Function:
        """The function as written so far, returning one scalar or nothing."""
        if len(self._bodies) > 1 or (result is not None and result.type.lanes > 1):
            raise VerificationError(f"function {self.name} must end outside its loops and return a scalar.")
        return Function(
            self.name,
            tuple(self._arguments),
            tuple(self._buffers),
            tuple(self._bodies[0]),
            result,
            self.flush_denormals,
        )

    # -- constants

    def constant(self, value: int | float, type: Type) -> Constant:
        """A number, the same in every lane."""
        return Constant(type, float(value) if type.is_float else int(value))

    def zero(self, type: Type) -> Constant:
        """Zero in every lane."""
        return self.constant(0, type)

    def iota(self, lanes: int, element: str) -> Value:
        """The vector (0, 1, ..., lanes - 1)."""
        return self._emit("iota", (), (element, lanes))

    # -- floating-point arithmetic

    def add(self, a: Number, b: Number) -> Value:
        """a + b."""
        return self._emit("add", (a, b))

    def sub(self, a: Number, b: Number) -> Value:
        """a - b."""
        return self._emit("sub", (a, b))

    def mul(self, a: Number, b: Number) -> Value:
        """a * b."""
        return self._emit("mul", (a, b))

    def div(self, a: Number, b: Number) -> Value:
        """a / b, correctly rounded."""
        return self._emit("div", (a, b))

    def fma(self, a: Number, b: Number, c: Number) -> Value:
        """a * b + c; rounded once where the CPU can, else twice."""
        return self._emit("fma", (a, b, c))

    def minimum(self, a: Number, b: Number) -> Value:
        """a < b ? a : b: a NaN in b is kept and a NaN in a is lost, so pass the data as b."""
        return self._emit("minimum", (a, b))

    def maximum(self, a: Number, b: Number) -> Value:
        """a > b ? a : b: a NaN in b is kept and a NaN in a is lost, so relu is `maximum(0, x)`."""
        return self._emit("maximum", (a, b))

    def copysign(self, a: Number, b: Number) -> Value:
        """The magnitude of a with the sign of b."""
        return self._emit("copysign", (a, b))

    def neg(self, a: Number) -> Value:
        """-a."""
        return self._emit("neg", (a,))

    def abs(self, a: Number) -> Value:
        """The magnitude of a."""
        return self._emit("abs", (a,))

    def sqrt(self, a: Number) -> Value:
        """The square root of a, correctly rounded."""
        return self._emit("sqrt", (a,))

    def floor(self, a: Number) -> Value:
        """The largest whole number that is not above a."""
        return self._emit("floor", (a,))

    def ceil(self, a: Number) -> Value:
        """The smallest whole number that is not below a."""
        return self._emit("ceil", (a,))

    def round_even(self, a: Number) -> Value:
        """The nearest whole number; halves go to the even one."""
        return self._emit("round_even", (a,))

    def round_to_zero(self, a: Number) -> Value:
        """The whole part of a."""
        return self._emit("round_to_zero", (a,))

    def product_error(self, a: Number, b: Number) -> Value:
        """What a * b loses by rounding: the product less the rounded product, exactly if it is normal."""
        return self._emit("product_error", (a, b))

    # -- integer arithmetic (wraps around) and logic (masks too)

    def iadd(self, a: Number, b: Number) -> Value:
        """a + b."""
        return self._emit("iadd", (a, b))

    def isub(self, a: Number, b: Number) -> Value:
        """a - b."""
        return self._emit("isub", (a, b))

    def imul(self, a: Number, b: Number) -> Value:
        """a * b."""
        return self._emit("imul", (a, b))

    def idiv(self, a: Number, b: Number) -> Value:
        """The whole part of a / b; a zero in b, or the least number by -1, stops the process."""
        return self._emit("idiv", (a, b))

    def iand(self, a: Number, b: Number) -> Value:
        """Bits set in both."""
        return self._emit("iand", (a, b))

    def ior(self, a: Number, b: Number) -> Value:
        """Bits set in either."""
        return self._emit("ior", (a, b))

    def ixor(self, a: Number, b: Number) -> Value:
        """Bits set in exactly one."""
        return self._emit("ixor", (a, b))

    def shl(self, a: Number, b: Number) -> Value:
        """a shifted left by b bits, fewer than the element has."""
        return self._emit("shl", (a, b))

    def lshr(self, a: Number, b: Number) -> Value:
        """a shifted right by b bits, zeros coming in."""
        return self._emit("lshr", (a, b))

    def ashr(self, a: Number, b: Number) -> Value:
        """a shifted right by b bits, the sign coming in."""
        return self._emit("ashr", (a, b))

    # -- conversions, lane by lane, to the named element

    def zext(self, a: Operand, element: str) -> Value:
        """An unsigned integer in more bits."""
        return self._emit("zext", (a,), (element,))

    def sext(self, a: Operand, element: str) -> Value:
        """A signed integer in more bits."""
        return self._emit("sext", (a,), (element,))

    def trunc(self, a: Operand, element: str) -> Value:
        """The low bits of an integer."""
        return self._emit("trunc", (a,), (element,))

    def sitofp(self, a: Operand, element: str) -> Value:
        """A signed integer as a floating-point number."""
        return self._emit("sitofp", (a,), (element,))

    def uitofp(self, a: Operand, element: str) -> Value:
        """An unsigned integer as a floating-point number."""
        return self._emit("uitofp", (a,), (element,))

    def fptosi(self, a: Operand, element: str) -> Value:
        """A floating-point number without its fraction, as a signed integer; undefined if it does not fit."""
        return self._emit("fptosi", (a,), (element,))

    def bitcast(self, a: Operand, element: str) -> Value:
        """The same bits, read as another element of the same size."""
        return self._emit("bitcast", (a,), (element,))

    def fpext(self, a: Operand, element: str) -> Value:
        """An f32 as an f64."""
        return self._emit("fpext", (a,), (element,))

    def fptrunc(self, a: Operand, element: str) -> Value:
        """An f64 rounded to an f32."""
        return self._emit("fptrunc", (a,), (element,))

    # -- comparison and lanes

    def compare(self, predicate: str, a: Number, b: Number) -> Value:
        """The mask of lanes where `a predicate b`: lt, le, gt, ge, eq, ne, and ult for unsigned integers.

        With a NaN every float predicate is false except ne, which is true.
        """
        return self._emit("compare", (a, b), (predicate,))

    def select(self, mask: Operand, a: Number, b: Number) -> Value:
        """a in the lanes where the mask holds, b in the others."""
        a, b = self._operands("select", (a, b))
        return self._emit("select", (mask, a, b))

    def any(self, mask: Operand) -> Operand:
        """True where any lane of the mask is."""
        return mask if mask.type.lanes == 1 else self._emit("any", (mask,))

    def splat(self, scalar: Operand, lanes: int) -> Operand:
        """The scalar in every lane."""
        if isinstance(scalar, Constant):
            return Constant(Type(scalar.type.element, lanes), scalar.value)
        return scalar if lanes == 1 else self._emit("splat", (scalar,), (lanes,))

    def extract(self, vector: Operand, lane: int) -> Value:
        """One lane as a scalar."""
        return self._emit("extract", (vector,), (lane,))

    def shuffle(self, a: Operand, b: Operand, lanes: Sequence[int]) -> Value:
        """The chosen lanes of a followed by b: number l is a[l], number lanes + l is b[l]."""
        return self._emit("shuffle", (a, b), tuple(lanes))

    def reduce_add(self, vector: Operand) -> Operand:
        """The sum of all lanes, added as a tree."""
        return vector if vector.type.lanes == 1 else self._emit("reduce_add", (vector,))

    def fold_lanes(self, vector: Operand, combine: Callable[[Operand, Operand], Operand]) -> Operand:
        """All lanes in one, by `combine` of halves: 2^k lanes in k steps."""
        lanes = vector.type.lanes
        while lanes > 2:
            lanes //= 2
            vector = combine(*(self.shuffle(vector, vector, range(k, k + lanes)) for k in (0, lanes)))
        return combine(self.extract(vector, 0), self.extract(vector, 1)) if lanes > 1 else vector

    def transpose_block(self, rows: Sequence[Operand]) -> list[Operand]:
        """The columns of a block held in registers: n rows of m lanes, 2 <= m <= n, both powers of two.

        Rows that lie m apart become one vector of n lanes, so that m x m blocks stand side by side in m
        vectors. log2(m) stages turn all of them at once; the stage of distance d swaps the off-diagonal
        quarters of every 2d x 2d block.
        """
        n, m = len(rows), rows[0].type.lanes
        uneven = any(row.type != rows[0].type for row in rows)
        if uneven or n & (n - 1) or m & (m - 1) or not 2 <= m <= n:
            raise VerificationError(
                f"transpose of {n} rows of {rows[0].type}: expected n rows of 2 to n lanes, both 2^k."
            )
        columns: list[Operand] = list(rows)
        while len(columns) > m:
            joined = range(2 * columns[0].type.lanes)
            columns = [
                self.shuffle(columns[i + r], columns[i + m + r], joined)
                for i in range(0, len(columns), 2 * m)
                for r in range(m)
            ]
        distance = m // 2
        while distance:
            low = [lane + n - distance if lane & distance else lane for lane in range(n)]
            high = [lane + n if lane & distance else lane + distance for lane in range(n)]
            for i in range(m):
                if not i & distance:
                    a, b = columns[i], columns[i + distance]
                    columns[i], columns[i + distance] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            distance //= 2
        return columns

    # -- memory

    def load(
        self, buffer: Buffer, index: IndexLike, lanes: int = 1, mask: int | None = None, stride: int = 1
    ) -> Value:
        """`lanes` elements, `stride` apart; with `mask` only the first `mask` are read, the rest is zero."""
        result = self._value(Type(buffer.element, lanes))
        stride = stride if lanes > 1 else 1
        self._bodies[-1].append(Load(result, buffer, Index.of(index), _partial(mask, lanes), stride))
        return result

    def load_splat(self, buffer: Buffer, index: IndexLike, lanes: int) -> Operand:
        """One element in every lane."""
        return self.splat(self.load(buffer, index), lanes)

    def store(self, buffer: Buffer, index: IndexLike, value: Operand, mask: int | None = None) -> None:
        """Write the lanes to consecutive elements; with `mask` only the first `mask` of them."""
        if value.type.element != buffer.element:
            raise VerificationError(f"store of {value.type} to {buffer.name}: expected {buffer.element}.")
        statement = Store(buffer, Index.of(index), value, _partial(mask, value.type.lanes))
        self._bodies[-1].append(statement)

    def value_of(self, index: IndexLike) -> Operand:
        """An index as an i64 value, for arithmetic."""
        index = Index.of(index)
        total: Operand = Constant(I64, index.constant)
        for value, factor in index.terms:
            term = value if factor == 1 else self.imul(value, factor)
            total = term if total == Constant(I64, 0) else self.iadd(term, total)
        return total

    # -- control

    def loop(
        self,
        start: int | Value,
        stop: int | Value,
        step: int,
        body: Callable[..., Sequence[Operand] | None],
        carry: Sequence[Operand] = (),
    ) -> tuple[Operand, ...]:
        """Run `body(i, *carried)` for i = start, start + step, ... below stop; it returns the next carried.

        Gives the carried values after the last trip. The loop variable is an `Index`; but a loop of one trip,
        known while compiling, is written out straight and i is then an int, and one of no trip is left out.
        """
        if step < 1:
            raise VerificationError(f"a loop in {self.name} has step {step}: expected 1 or more.")
        if isinstance(start, int) and isinstance(stop, int) and stop - start <= step:
            yields = tuple(body(start, *carry) or ()) if stop > start else tuple(carry)
            self._expect_types(yields, carry)
            return yields
        self._loops += 1
        variable = Value(f"i{self._loops}", I64)
        carried = tuple(self._value(init.type) for init in carry)
        statements, yields, going = self._body(lambda: body(Index.of(variable), *carried))
        self._expect_types(yields, carry)
        results = tuple(self._value(init.type) for init in carry)
        self._bodies[-1].append(
            Loop(variable, start, stop, step, carried, tuple(carry), statements, yields, results, going)
        )
        return results

    def go_on_if(self, condition: Operand) -> None:
        """Let this trip of the loop around be its last unless the scalar condition holds."""
        self._going[-1] = self._scalar_condition(condition, "another trip")

    def short_loop(
        self,
        start: int,
        stop: int,
        step: int,
        body: Callable[..., Sequence[Operand] | None],
        carry: Sequence[Operand] = (),
        trips: int = 4,
    ) -> tuple[Operand, ...]:
        """A loop that is written out where it has no more than `trips` trips; for bodies of a few lines."""
        if stop - start > trips * step:
            return self.loop(start, stop, step, body, carry)
        carried = tuple(carry)
        for i in range(start, stop, step):
            carried = tuple(body(i, *carried) or ())
        return carried

    def if_(self, condition: Operand, body: Callable[[], None]) -> None:
        """Run `body()` only where the scalar condition holds; values made inside stay inside."""
        condition = self._scalar_condition(condition, "an if")
        statements, *_ = self._body(body)
        self._bodies[-1].append(If(condition, statements))

    # -- inner workings

    def _body(
        self, write: Callable[[], Sequence[Operand] | None]
    ) -> tuple[tuple[Statement, ...], tuple[Operand, ...], Operand | None]:
        self._bodies.append([])
        self._going.append(None)
        yields = tuple(write() or ())
        return tuple(self._bodies.pop()), yields, self._going.pop()

    def _scalar_condition(self, condition: Operand, what: str) -> Operand:
        if condition.type != I1:
            raise VerificationError(
                f"the condition of {what} in {self.name} is {condition.type}: expected i1."
            )
        return condition

    def _expect_types(self, yields: Sequence[Operand], carry: Sequence[Operand]) -> None:
        got, expected = (", ".join(str(value.type) for value in values) for values in (yields, carry))
        if got != expected:
            raise VerificationError(
                f"a loop in {self.name} yields ({got}): expected its carried types ({expected})."
            )

    def _claim(self, name: str) -> None:
        if name in self._names or not _NAME.fullmatch(name):
            raise VerificationError(
                f"the name {name!r} in {self.name}: expected a new one of letters, digits, _ and ."
            )
        self._names.add(name)

    def _value(self, type: Type) -> Value:
        self._count += 1
        return Value(f"v{self._count}", type)

    def _emit(self, opcode: str, operands: Sequence[Number], attributes: tuple[str | int, ...] = ()) -> Value:
        checked = self._operands(opcode, operands)
        result = self._value(result_type(opcode, tuple(x.type for x in checked), attributes))
        self._bodies[-1].append(Instruction(result, opcode, checked, attributes))
        return result

    def _operands(self, opcode: str, operands: Sequence[Number]) -> tuple[Operand, ...]:
        types = [x.type for x in operands if isinstance(x, Value | Constant)]
        if operands and not types:
            raise VerificationError(f"{opcode} of plain numbers {operands}: make one of them a constant.")
        return tuple(x if isinstance(x, Value | Constant) else self.constant(x, types[0]) for x in operands)


def _partial(mask: int | None, lanes: int) -> int | None:
    if mask is None or mask == lanes:
        return None
    if not 0 < mask < lanes:
        raise VerificationError(f"a mask of {mask} valid lanes out of {lanes}: expected 1 to {lanes}.")
    return mask
