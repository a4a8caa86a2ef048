"""Functions for several threads: which loops are divided, what is private to a trip, where threads meet."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.compiler import jit
from glassnet.compiler.cpu import host_cpu
from glassnet.compiler.llvm import emit
from glassnet.compiler.loop_ir import (
    F64,
    I64,
    Barrier,
    Buffer,
    Builder,
    Constant,
    Function,
    If,
    Index,
    Loop,
    Statement,
    Store,
    Value,
    verify,
)
from glassnet.compiler.passes import divide as divide_module
from glassnet.compiler.passes.divide import PRIVATE_ELEMENTS, divide
from glassnet.compiler.passes.footprints import Access, apart, apart_between_trips
from glassnet.compiler.threads import Team
from glassnet.errors import VerificationError

SIZE = 64


@pytest.fixture(autouse=True)
def _every_loop_is_worth_it(monkeypatch):
    monkeypatch.setattr(divide_module, "WORTHWHILE", 0)


def outline(statements: tuple[Statement, ...]) -> list[Any]:
    """Barriers, divided loops ("divided"), loops that all run (lists) and what the first thread does."""
    lines: list[Any] = []
    for statement in statements:
        match statement:
            case Barrier():
                lines.append("barrier")
            case Loop():
                lines.append("divided" if statement.divided else outline(statement.body))
            case If():
                lines.append("first")
            case _:
                pass
    return lines


def divided(write: Callable[[Builder, Buffer, Buffer], Any], temporary: bool = False) -> Function | None:
    """What becomes of a function of two buffers x and y; y may be `temporary`."""
    b = Builder("f")
    x, y = b.buffer("x", "f64", SIZE, kind="argument"), b.buffer("y", "f64", SIZE)
    write(b, x, y)
    found = divide(b.finish(), [y] if temporary else [])
    if found:
        verify(found.function)
    return found.function if found else None


def moved(b: Builder, source: Buffer, target: Buffer, by: int = 0) -> None:
    """target[i + by] = source[i] in vectors of four."""
    b.loop(0, SIZE - 16, 4, lambda i: b.store(target, i + by, b.load(source, i, 4)))


# -- footprints


@st.composite
def access_pairs(draw: st.DrawFn) -> tuple[Access, Access, Loop, Value, dict[Value, range]]:
    """Two accesses in a loop over i, each with an inner variable of its own; the loop stands in another."""
    i, outer = Value("i", I64), Value("outer", I64)
    step = draw(st.integers(1, 4))
    loop = Loop(i, 0, step * draw(st.integers(2, 5)), step, (), (), (), (), ())
    ranges = {i: range(0, loop.stop, step), outer: range(draw(st.integers(1, 3)))}
    buffer = Buffer("x", "f64", None, kind="argument")
    distances = st.sampled_from((1, 2, 4, 8, 12, 24, -8))
    same = draw(distances)
    found: list[Access] = []
    for name in "ab":
        inner = Value(name, I64)
        ranges[inner] = range(0, draw(st.integers(1, 6)), draw(st.integers(1, 2)))
        terms = {(i, draw(st.one_of(st.just(same), distances))), (inner, draw(distances))}
        if draw(st.booleans()):
            terms.add((outer, 48))
        spans = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1, max_size=3))
        found.append(Access(buffer, frozenset(terms), tuple(spans), draw(st.booleans())))
    return found[0], found[1], loop, outer, ranges


def places(access: Access, known: dict[Value, int], ranges: dict[Value, range]) -> set[int]:
    """All elements touched while the values that are not known run over their ranges."""
    totals = {0}
    for value, by in access.terms:
        runs = (known[value],) if value in known else ranges[value]
        totals = {total + by * number for total in totals for number in runs}
    return {total + first + k for total in totals for first, count in access.spans for k in range(count)}


@settings(max_examples=1500, derandomize=True, database=None, deadline=None)
@given(access_pairs())
def test_what_is_said_to_be_apart_is(pair):
    a, b, loop, outer, ranges = pair
    inner = {value for access in (a, b) for value, _ in access.terms} - {loop.variable, outer}
    trips = ranges[loop.variable]
    same_trip, other_trip = apart(a, b, ranges), apart_between_trips(a, b, loop, inner, ranges)
    for o, one, other in itertools.product(ranges[outer], trips, trips):
        if same_trip if one == other else other_trip:
            mine = places(a, {loop.variable: one, outer: o}, ranges)
            assert not mine & places(b, {loop.variable: other, outer: o}, ranges)


# -- which loops are divided


def test_trips_that_share_nothing_are_divided():
    assert outline(divided(moved_from_x).body) == ["divided"]  # type: ignore[union-attr]


def moved_from_x(b: Builder, x: Buffer, y: Buffer) -> None:
    moved(b, x, y)


def test_columns_of_a_matrix_are_divided():
    def turned(b: Builder, x: Buffer, y: Buffer) -> None:
        # y (8, 8) = x transposed, a column of y at a time
        b.loop(
            0, 8, 1, lambda j: b.loop(0, 8, 1, lambda i: b.store(y, i * 8 + j, b.load(x, j * 8 + i))) and None
        )

    function = divided(turned)
    assert function is not None
    assert outline(function.body) == ["divided"]


@pytest.mark.parametrize(
    "write",
    [
        lambda b, x, y: b.loop(0, 60, 4, lambda i: b.store(y, i + 4, b.load(y, i, 4))),  # hands on
        lambda b, x, y: b.loop(0, 60, 2, lambda i: b.store(y, i, b.load(x, i, 4))),  # overlaps
        lambda b, x, y: b.loop(0, 64, 1, lambda i: b.store(y, 0, b.add(b.load(y, 0), b.load(x, i)))),  # sums
        lambda b, x, y: b.store(
            y, 0, b.loop(0, 64, 1, lambda i, s: [b.add(s, b.load(x, i))], [b.zero(F64)])[0]
        ),
        lambda b, x, y: b.loop(  # a place that is known when the program runs
            0, 64, 1, lambda i: b.store(y, Index.of(b.fptosi(b.load(x, i), "i64")), b.load(x, i))
        ),
    ],
)
def test_trips_that_meet_are_not_divided(write):
    assert divided(write) is None


def scratch(b: Builder, x: Buffer, y: Buffer) -> None:
    """x[i] = its square by way of y, which every trip fills anew."""

    def trip(i: Any) -> None:
        b.store(y, 0, b.load(x, i, 4))
        b.loop(0, 4, 1, lambda k: b.store(x, i + k, b.mul(b.load(y, k), b.load(y, k))))

    b.loop(0, 64, 4, trip)


def test_scratch_memory_is_private_to_a_thread():
    function = divided(scratch, temporary=True)
    assert function is not None
    assert outline(function.body) == ["divided"]
    assert {buffer.name for buffer in touched(function.body)} == {"x", "private_f64"}


def touched(statements: tuple[Statement, ...]) -> set[Buffer]:
    found: set[Buffer] = set()
    for statement in statements:
        if isinstance(statement, Store):
            found.add(statement.buffer)
        elif isinstance(statement, Loop | If):
            found |= touched(statement.body)
    return found


def read_behind(b: Builder, x: Buffer, y: Buffer) -> None:
    scratch(b, x, y)
    b.store(x, 0, b.load(y, 0))


def half_filled(b: Builder, x: Buffer, y: Buffer) -> None:
    def trip(i: Any) -> None:
        b.store(y, 0, b.load(x, i, 4), mask=3)  # the last element is of an earlier trip
        b.loop(0, 4, 1, lambda k: b.store(x, i + k, b.load(y, k)))

    b.loop(0, 64, 4, trip)


@pytest.mark.parametrize(("write", "temporary"), [(scratch, False), (read_behind, True), (half_filled, True)])
def test_memory_that_somebody_reads_later_is_not(write, temporary):
    function = divided(write, temporary)
    assert function is not None
    assert "divided" not in outline(function.body)  # only the loop within is
    assert {buffer.name for buffer in touched(function.body)} == {"x", "y"}


# -- where threads meet


def test_a_barrier_stands_where_one_reads_what_others_wrote():
    def there_and_back(b: Builder, x: Buffer, y: Buffer) -> None:
        moved(b, x, y)
        moved(b, y, x, 16)

    assert outline(divided(there_and_back).body) == ["divided", "barrier", "divided"]  # type: ignore[union-attr]


def test_none_stands_between_parts_that_do_not_meet():
    def two_parts(b: Builder, x: Buffer, y: Buffer) -> None:
        for first, last in ((0, 32), (32, 64)):
            b.loop(first, last, 4, lambda i: b.store(y, i, b.load(x, i, 4)))

    assert outline(divided(two_parts).body) == ["divided", "divided"]  # type: ignore[union-attr]


def test_the_first_thread_works_alone_on_what_is_not_divided():
    def scalar(b: Builder, x: Buffer, y: Buffer) -> None:
        b.store(x, 63, b.add(b.load(x, 63), 1.0))  # read by no trip below
        moved(b, x, y)
        b.store(y, 0, b.load(x, 0))

    assert outline(divided(scalar).body) == ["first", "divided", "barrier", "first"]  # type: ignore[union-attr]


def test_every_thread_computes_what_all_need():
    def scaled(b: Builder, x: Buffer, y: Buffer) -> None:
        factor = b.add(b.load(x, 63), 1.0)
        b.loop(0, 48, 4, lambda i: b.store(y, i, b.mul(b.load(x, i, 4), b.splat(factor, 4))))
        b.store(x, 63, factor)

    # the last store waits for all to have read what it overwrites
    assert outline(divided(scaled).body) == ["divided", "barrier", "first"]  # type: ignore[union-attr]


def test_the_trip_before_counts_too():
    def steps(b: Builder, x: Buffer, y: Buffer) -> None:
        def step(_: Any) -> None:
            moved(b, x, y)
            b.loop(0, 64, 8, lambda i: b.store(x, i, b.load(y, i, 8)))

        b.loop(0, b.argument("count"), 1, step)

    body = outline(divided(steps).body)  # type: ignore[union-attr]
    assert body == [["barrier", "divided", "barrier", "divided"]]


def test_trips_that_share_nothing_do_not_wait_for_one_another():
    def rows(b: Builder, x: Buffer, y: Buffer) -> None:
        # two trips are too few to be dealt out, so what is within them is
        b.loop(
            0, 64, 32, lambda r: b.loop(0, 32, 4, lambda i: b.store(y, r + i, b.load(x, r + i, 4))) and None
        )

    assert outline(divided(rows).body) == [["divided"]]  # type: ignore[union-attr]


def test_threads_may_not_miss_one_another():
    meeting = Buffer("meeting", "i64", None, kind="argument")
    with pytest.raises(VerificationError, match="a barrier stands where not all threads may come"):
        verify(Function("f", (), (meeting,), (Barrier(meeting),)))
    i, x = Value("i", I64), Buffer("x", "f64", 4, kind="argument")
    loop = Loop(i, 0, 4, 1, (), (), (Store(x, Index.of(i), Constant(F64, 1.0)),), (), (), None, divided=True)
    with pytest.raises(VerificationError, match="the loop cannot be divided among threads"):
        verify(Function("f", (), (x,), (loop,)))


# -- native


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8])
def test_every_trip_is_made_once_and_without_denormals(threads):
    b = Builder("f")
    x, y = (b.buffer(name, "f64", 100, kind="argument") for name in "xy")
    tiny = b.load(y, 0)

    def trip(i: Any) -> None:
        b.store(x, i, b.add(b.add(b.load(x, i), 1.0), b.mul(tiny, 0.5)))

    b.loop(0, 100, 1, trip)
    found = divide(b.finish(b.load(x, 99)), [])
    assert found is not None
    verify(found.function)
    cpu = host_cpu()
    parameters = [ctypes.c_void_p] * (3 + len(PRIVATE_ELEMENTS)) + [ctypes.c_int64] * 2
    native = jit.load(jit.compile_text(emit(found.function, cpu), cpu), "f", parameters, F64)
    numbers, smallest = np.zeros(100), np.full(100, 5e-324)

    def call(member: Any) -> float:
        own = [member.private] * len(PRIVATE_ELEMENTS)
        given = [array.ctypes.data for array in (numbers, smallest)]
        return native(*given, *own, member.meeting, *member.share)  # type: ignore[return-value]

    assert Team(threads, found.private).run(call) == 1.0
    np.testing.assert_array_equal(numbers, np.ones(100))
