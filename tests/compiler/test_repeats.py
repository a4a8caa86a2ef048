"""Equal nests of loops are one function: which ones are, and the same results as without."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet as gn
from glassnet.compiler import jit, llvm
from glassnet.compiler.cpu import host_cpu
from glassnet.compiler.llvm import emit
from glassnet.compiler.loop_ir import F64, Buffer, Builder, Function, Loop, Operand, Position, verify
from glassnet.compiler.passes import repeats as repeats_module
from glassnet.compiler.passes.repeats import repeats
from glassnet.core.tree import flatten

SIZE = 64


def nest(
    b: Builder,
    source: Buffer,
    target: Buffer,
    scale: Operand | float = 2.0,
    terms: int = 9,
    trips: int = SIZE,
) -> None:
    """target = scale * source + 1 + 2 + ..., long enough for a function of its own."""

    def body(i: Position) -> None:
        value = b.mul(b.load(source, i), scale)
        for number in range(terms):
            value = b.add(value, 1.0 + number)
        b.store(target, i, value)

    b.loop(0, trips, 1, body)


def buffers(b: Builder, names: str) -> list[Buffer]:
    return [b.buffer(name, "f64", SIZE, kind="argument") for name in names]


def groups(function: Function) -> list[int]:
    """How many nests each shared function stands for, in their order."""
    verify(function)
    return list(Counter(repeat.function for repeat in repeats(function).values()).values())


def test_nests_that_differ_in_memory_and_values_alone_are_one():
    b = Builder("f")
    x, y, z = buffers(b, "xyz")
    scale = b.argument("scale", F64)
    nest(b, x, y, scale)
    nest(b, y, z, b.mul(scale, 3.0))
    nest(b, x, y, 2.0)
    function = b.finish()
    assert groups(function) == [2]  # a constant scale is another nest
    assert emit(function, host_cpu()).count("call void @nest0") == 2
    data, made = np.arange(SIZE, dtype=np.float64), np.zeros((2, SIZE))
    native = jit.compile_function(function)
    native(data.ctypes.data, made[0].ctypes.data, made[1].ctypes.data, 0.5)
    np.testing.assert_array_equal(made[1], (0.5 * data + 45) * 1.5 + 45)
    np.testing.assert_array_equal(made[0], 2.0 * data + 45)


def different(b: Builder, x: Buffer, y: Buffer, z: Buffer, kind: str) -> None:
    """A nest like `nest(b, x, y)` but for one thing."""
    match kind:
        case "constant":
            nest(b, x, y, 3.0)
        case "trips":
            nest(b, x, y, trips=SIZE - 1)
        case "length":
            nest(b, x, y, terms=10)
        case "same buffer":
            nest(b, x, x)
        case _:  # the value of an outer loop, where the other has a buffer's
            b.loop(0, 2, 1, lambda i: nest(b, x, y, b.load(z, i)))


@pytest.mark.parametrize("kind", ["constant", "trips", "length", "same buffer", "outer value"])
def test_other_differences_keep_nests_apart(kind):
    b = Builder("f")
    x, y, z = buffers(b, "xyz")
    nest(b, x, y)
    different(b, x, y, z, kind)
    assert groups(b.finish()) == []


def test_a_nest_that_is_no_work_is_no_call():
    b = Builder("f")
    x, y = buffers(b, "xy")
    nest(b, x, y, trips=2)
    nest(b, y, x, trips=2)
    assert groups(b.finish()) == []


def test_the_outermost_of_equal_nests_is_the_function():
    b = Builder("f")
    x, y = buffers(b, "xy")
    for source, target in ((x, y), (y, x)):
        b.loop(0, 4, 1, lambda _, s=source, t=target: nest(b, s, t))
    function = b.finish()
    assert groups(function) == [2]
    assert all(loop in function.body for loop in repeats(function))


@settings(max_examples=25, derandomize=True, database=None, deadline=None)
@given(calls=st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.booleans()), min_size=2, max_size=6))
def test_the_results_are_those_without_functions(calls):
    b = Builder("f")
    places = [*buffers(b, "xyz"), b.buffer("arena", "f64", SIZE)]
    scale = b.argument("scale", F64)
    nest(b, places[0], places[3])  # nothing is read before it is written
    for source, target, given_scale in calls:
        nest(b, places[source], places[target], scale if given_scale else 2.0)
    function = b.finish()
    verify(function)
    made = []
    for shared in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not shared:
                patch.setattr(llvm, "repeats", lambda function: dict[Loop, object]())
            native = jit.compile_function(function)
        data, arena = np.arange(3.0 * SIZE).reshape(3, SIZE), np.zeros(SIZE + 8)
        address = -(-arena.ctypes.data // 64) * 64
        native(address, *(row.ctypes.data for row in data), 0.25)
        made.append(data)
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_deep_network_learns_the_same(monkeypatch, threads):
    X = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    runs = []
    for worthwhile in (repeats_module._WORTHWHILE, 10**9):
        monkeypatch.setattr(repeats_module, "_WORTHWHILE", worthwhile)
        monkeypatch.setenv("GLASSNET_CACHE", "off")
        layers = [gn.Dense(32, activation="tanh") for _ in range(4)]
        net = gn.Network([*layers, gn.Dense(2)], loss="cross_entropy", seed=0)
        program = net.training_program(X, y, engine="compiled", threads=threads)
        program.run_epochs(3)
        runs.append(flatten(program.parameters)[0])
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)
