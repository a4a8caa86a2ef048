"""Stores forwarded to loads: what may be remembered, what must be forgotten, and the same results always."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassnet.compiler import jit
from glassnet.compiler.loop_ir import Builder, Constant, Function, Load, Loop, Operand, Store, Type, verify
from glassnet.compiler.passes.forward import forward, walk

SIZE = 8


def count(function: Function, kind: type) -> int:
    return sum(isinstance(statement, kind) for statement in walk(function.body))


def test_a_stored_vector_is_not_loaded_again():
    b = Builder("f")
    x, y = b.buffer("x", "f32", SIZE), b.buffer("y", "f32", SIZE)
    b.store(x, 0, b.iota(4, "f32"))
    b.store(y, 0, b.load(x, 0, 4))
    b.store(y, 4, b.load(x, 2))  # an element of it
    function = forward(b.finish(), [x])
    verify(function)
    assert count(function, Load) == 0
    assert [statement.buffer for statement in walk(function.body) if isinstance(statement, Store)] == [y, y]


def test_only_temporary_stores_are_dropped():
    b = Builder("f")
    x, y = b.buffer("x", "f32", SIZE), b.buffer("y", "f32", SIZE)
    b.store(x, 0, Constant(Type("f32"), 1.0))
    b.store(y, 0, Constant(Type("f32"), 2.0))
    assert count(forward(b.finish(), [y]), Store) == 1
    assert count(forward(b.finish(), []), Store) == 2


def test_a_store_that_overlaps_is_remembered_instead():
    b = Builder("f")
    x, y = b.buffer("x", "f32", SIZE), b.buffer("y", "f32", SIZE)
    b.store(x, 0, b.iota(4, "f32"))
    b.store(x, 3, Constant(Type("f32"), 9.0))
    b.store(y, 0, b.load(x, 0, 4))
    assert count(forward(b.finish(), []), Load) == 1


def test_a_loop_forgets_what_it_writes():
    b = Builder("f")
    x = b.buffer("x", "f32", SIZE)
    b.store(x, 0, Constant(Type("f32"), 1.0))
    b.loop(0, 3, 1, lambda i: b.store(x, i, b.add(b.load(x, 0), 1.0)))
    function = forward(b.finish(b.load(x, 0)), [])
    assert count(function, Load) == 2  # in the body, and behind it


def test_a_straight_line_loop_carries_what_it_reads_and_overwrites():
    b = Builder("f")
    x, y = b.buffer("x", "f32", SIZE), b.buffer("y", "f32", SIZE)
    n = b.argument("n")

    def trip(_) -> None:
        b.store(y, 0, b.load(x, 1))  # an element, read before the whole is overwritten
        b.store(x, 0, b.add(b.load(x, 0, 4), 1.0))

    b.loop(0, n, 1, trip)
    function = forward(b.finish(), [])
    verify(function)
    (loop,) = (statement for statement in function.body if isinstance(statement, Loop))
    assert not any(isinstance(statement, Load) for statement in loop.body)
    assert [statement.buffer for statement in loop.body if isinstance(statement, Store)] == [y]
    assert [type(statement) for statement in function.body] == [Load, Loop, Store]


def test_a_loop_carries_nothing_that_another_access_splits_or_that_may_not_exist():
    def loads_inside(size: int | None, there: int) -> int:
        b = Builder("f")
        x = b.buffer("x", "f32", size, kind="argument", alignment=4)

        def trip(_) -> None:
            value = b.add(b.load(x, 0, 4), b.load(x, there, 4))
            b.store(x, 0, value)

        b.loop(0, b.argument("n"), 1, trip)
        (loop,) = (s for s in forward(b.finish(), []).body if isinstance(s, Loop))
        return sum(isinstance(statement, Load) for statement in loop.body)

    assert loads_inside(SIZE, 4) == 1  # the other half of the buffer stays where it is
    assert loads_inside(SIZE, 2) == 2
    assert loads_inside(None, 4) == 2


STEPS = st.tuples(
    st.sampled_from(("copy", "number", "masked", "loop", "variable", "if")),
    st.integers(0, 1),
    st.integers(0, 1),
    st.integers(0, SIZE - 4),
    st.integers(0, SIZE - 4),
    st.sampled_from((1, 4)),
)


def write(b: Builder, buffers: list[Any], steps: list[Any]) -> None:
    """One statement or loop for each step: source and target buffer, places, and lanes."""
    for kind, source, target, here, there, lanes in steps:
        a, c = buffers[source], buffers[target]

        def move(a=a, c=c, here=here, there=there, lanes=lanes, mask=None) -> None:
            value: Operand = b.add(b.load(a, here, lanes), 1.0)
            b.store(c, there, value, mask)

        match kind:
            case "copy":
                move()
            case "number":
                b.store(c, there, Constant(Type("f32", lanes), 5.0))
            case "masked":
                move(lanes=4, mask=3)
            case "loop":
                b.loop(0, 3, 1, lambda i, move=move: move())
            case "variable":
                b.loop(0, 4, 1, lambda i, a=a, c=c: b.store(c, i + 1, b.load(a, i)))
            case _:
                b.if_(b.compare("gt", b.load(a, here), 0.5), move)


@settings(max_examples=60, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=2, max_size=10))
def test_programs_do_the_same_with_and_without(steps):
    results = []
    for forwarded in (False, True):
        b = Builder("f")
        buffers = [b.buffer(name, "f32", SIZE, kind="argument", alignment=4) for name in "xy"]
        write(b, buffers, steps)
        function = b.finish()
        function = forward(function, []) if forwarded else function
        verify(function)
        x, y = np.arange(SIZE, dtype=np.float32) / 4, -np.arange(SIZE, dtype=np.float32)
        jit.compile_function(function)(x.ctypes.data, y.ctypes.data)
        results.append(np.concatenate([x, y]))
    np.testing.assert_array_equal(*results)
