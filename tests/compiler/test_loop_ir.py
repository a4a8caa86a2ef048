"""The loop language: what the builder writes, what it refuses, and what the verifier finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glassnet.compiler.loop_ir import (
    F32,
    I1,
    I64,
    Buffer,
    Builder,
    Constant,
    Index,
    Instruction,
    Load,
    Loop,
    Type,
    Value,
    verify,
)
from glassnet.errors import VerificationError

V = Type("f32", 8)


def test_a_function_prints_as_it_reads():
    b = Builder("sum")
    x = b.buffer("x", "f32", 64, kind="argument")
    y = b.buffer("y", "f32", 5)
    (total,) = b.loop(0, 64, 8, lambda i, a: [b.add(a, b.load(x, i, 8))], [b.zero(V)])
    b.store(y, 0, b.mul(total, 2.0), mask=5)
    assert str(b.finish(b.reduce_add(total))) == (
        "function sum(argument x: f32[64], arena y: f32[5]):\n"
        "  %v4 = for i1 in 0..64 step 8 carry %v1 = 0.0:\n"
        "    %v2 = load f32x8 x[i1]\n"
        "    %v3 = add f32x8 %v1, %v2\n"
        "    yield %v3\n"
        "  %v5 = mul f32x8 %v4, 2.0\n"
        "  store f32x8 %v5, y[0] first 5\n"
        "  %v6 = reduce_add f32 %v4\n"
        "  return f32 %v6"
    )


def test_indices_are_affine():
    i, k = Value("i", I64), Value("k", I64)
    row = Index.of(i) * 64
    assert str(row + k + 3) == "i*64 + k + 3"
    assert str(5 - (row + k) + k) == "i*-64 + 5"
    assert row + k - row == Index.of(k)
    assert 2 * (row + 1) == Index(((i, 128),), 2)
    assert (row + k) * 0 == Index()


def test_a_loop_of_one_trip_is_straight_code_and_of_none_is_nothing():
    b = Builder("f")
    seen: list[object] = []

    def body(i: Index, a: Value) -> list[Value]:
        seen.append(i)
        return [b.add(a, 1.0)]

    start = b.constant(3.0, F32)
    (once,) = b.loop(4, 12, 8, body, [start])
    (never,) = b.loop(4, 4, 1, body, [start])
    assert seen == [4]
    assert never is start
    assert str(b.finish(once)).splitlines()[1] == "  %v1 = add f32 3.0, 1.0"


def test_numbers_become_constants_of_the_other_operand():
    b = Builder("f")
    x = b.buffer("x", "i32", 8)
    b.iadd(3, b.load(x, 0, 8))
    added = b.finish().body[-1]
    assert isinstance(added, Instruction)
    assert added.operands[0] == Constant(Type("i32", 8), 3)


def _float_vector(b: Builder) -> Value:
    return b.load(b.buffer("x", "f32", 8), 0, 8)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda b, x: b.iadd(x, x), "expected elements i32 or i64"),
        (lambda b, x: b.add(x, b.extract(x, 0)), "expected operands of one type"),
        (lambda b, x: b.add(1.0, 2.0), "plain numbers"),
        (lambda b, x: b.compare("ult", x, x), "one of the predicates lt"),
        (lambda b, x: b.select(x, x, x), "a mask with as many lanes"),
        (lambda b, x: b.extract(x, 8), "a lane number below 8, not 8"),
        (lambda b, x: b.shuffle(x, x, [0, 16]), "lane numbers below 16"),
        (lambda b, x: b.bitcast(x, "i64"), "same bits in i64"),
        (lambda b, x: b.fpext(x, "f32"), "more bits in f32"),
        (lambda b, x: b.splat(x, 4), "expected a scalar"),
        (lambda b, x: b.transpose_block([x] * 4), "expected n rows"),
        (lambda b, x: b.store(b.buffer("n", "i32", 8), 0, x), "expected i32"),
        (lambda b, x: b.store(b.buffer("y", "f32", 8), 0, x, mask=9), "expected 1 to 8"),
        (lambda b, x: b.load(b.buffer("y", "f32", 8), b.extract(x, 0)), "convert it to i64"),
        (lambda b, x: b.loop(0, 8, 0, lambda i: None), "expected 1 or more"),
        (lambda b, x: b.loop(0, 8, 1, lambda i, a: [], [x]), "expected its carried types (f32x8)"),
        (lambda b, x: b.loop(0, 1, 1, lambda i, a: [], [x]), "expected its carried types (f32x8)"),
        (lambda b, x: b.if_(x, lambda: None), "expected i1"),
        (lambda b, x: b.loop(0, 2, 1, lambda i: b.go_on_if(x)), "another trip in f is f32x8: expected i1"),
        (lambda b, x: b.buffer("x", "f32", 8), "'x' in f"),
        (lambda b, x: b.buffer("a b", "f32", 8), "expected a new one of letters"),
        (lambda b, x: b.buffer("y", "f32", None), "without a size"),
        (lambda b, x: b.argument("n", V), "expected i64, f32 or f64"),
        (lambda b, x: b.finish(x), "return a scalar"),
    ],
)
def test_the_builder_refuses(write, reason):
    b = Builder("f")
    x = _float_vector(b)
    with pytest.raises(VerificationError) as error:
        write(b, x)
    assert reason in str(error.value)


def _read(index_of, *, lanes=8, mask=None, size: int | None = 64, stop: int | Value = 64) -> None:
    b = Builder("f")
    x = b.buffer("x", "f32", size, kind="argument")
    b.loop(0, stop, 8, lambda i: b.load(x, index_of(i), lanes, mask) and None)
    verify(b.finish())


def test_accesses_inside_their_buffer_pass():
    _read(lambda i: i)
    _read(lambda i: 56 - i)
    _read(lambda i: i + 3, mask=5)
    _read(lambda i: i + 1000, size=None)


@pytest.mark.parametrize(
    ("index_of", "interval"),
    [(lambda i: i + 1, "1 to 64"), (lambda i: 55 - i, "-1 to 62"), (lambda i: i * 2, "0 to 119")],
)
def test_an_access_outside_its_buffer_is_found(index_of, interval):
    with pytest.raises(
        VerificationError, match=rf"elements {interval} leave x of 64 elements in f, at `%v1 = load"
    ):
        _read(index_of)


def test_a_value_is_seen_only_inside_the_body_that_makes_it():
    b = Builder("f")
    x = b.buffer("x", "f32", 64)
    leaked: list[Value] = []
    b.loop(0, 64, 8, lambda i: leaked.append(b.load(x, i, 8)))
    b.store(x, 0, leaked[0])
    with pytest.raises(
        VerificationError, match="%v1 is used where it is not defined in f, at `store f32x8 %v1"
    ):
        verify(b.finish())


def _summing_loop() -> tuple[Builder, Loop]:
    b = Builder("f")
    b.loop(0, 4, 1, lambda i, a: [b.add(a, 1.0)], [b.zero(F32)])
    (loop,) = b.finish().body
    assert isinstance(loop, Loop)
    return b, loop


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inits": (Constant(V, 0.0),)}, "does not carry the same types"),
        ({"yields": ()}, "does not carry the same types"),
        ({"step": 0}, "step 0 is not positive"),
        ({"stop": 0}, "makes no trip"),
        ({"stop": Value("n", I64)}, "%n is used where it is not defined"),
        ({"yields": (Value("v9", F32),)}, "%v9 is used where it is not defined"),
        ({"results": (Value("v1", F32),)}, "%v1 is defined twice"),
        ({"going": Value("v9", I1)}, "%v9 is used where it is not defined"),
        ({"going": Constant(F32, 1.0)}, "the condition of another trip is not i1"),
    ],
)
def test_a_damaged_loop_is_found(change, reason):
    b, loop = _summing_loop()
    function = b.finish()
    verify(function)
    with pytest.raises(VerificationError, match=reason):
        verify(replace(function, body=(replace(loop, **change),)))


def test_a_damaged_instruction_is_found():
    b = Builder("f")
    _float_vector(b)
    load = b.finish().body[0]
    assert isinstance(load, Load)
    wrong = Instruction(Value("v2", F32), "add", (load.result, load.result))
    with pytest.raises(VerificationError, match="add makes f32x8, not f32, in f, at `%v2 = add"):
        verify(replace(b.finish(), body=(load, wrong)))
    unknown = Instruction(Value("v2", V), "multiply", (load.result,))
    with pytest.raises(VerificationError, match="'multiply' is no opcode"):
        verify(replace(b.finish(), body=(load, unknown)))


def test_buffers_are_aligned_and_known():
    b = Builder("f")
    x = b.buffer("x", "f32", 8)
    b.load(x, 0)
    verify(b.finish())
    x.offset = 32
    with pytest.raises(VerificationError, match="lies at byte 32: expected a multiple of 64"):
        verify(b.finish())
    x.offset = 64
    with pytest.raises(VerificationError, match="not one of the function's"):
        verify(replace(b.finish(), buffers=()))
    with pytest.raises(VerificationError, match="aligned to 12 bytes"):
        verify(replace(b.finish(), buffers=(Buffer("y", "f32", 8, 12),)))
