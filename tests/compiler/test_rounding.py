"""Rounding, quotients, remainders and bits, and the exact arithmetic of the loop language, against NumPy."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import glassnet.numpy as gnp
from glassnet.compiler import jit
from glassnet.compiler.function import compile_graph
from glassnet.compiler.loop_ir import Builder, Type
from glassnet.core.registry import OPS
from glassnet.transforms.tracing import trace

DTYPES = {"f32": np.float32, "f64": np.float64}
INF, NAN = np.inf, np.nan
ENDS = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30, INF, -INF, NAN)


QUOTIENTS = ("floor_divide", "remainder", "fmod")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders_are_exact(cpu, dtype):
    rng = np.random.default_rng(1)
    widest = 80 if dtype == np.float32 else 600
    wide = rng.choice([-1, 1], (2, 60)) * np.exp(rng.uniform(-widest, widest, (2, 60)))
    ends = np.array([grid.ravel() for grid in np.meshgrid(ENDS, ENDS)])
    whole = rng.integers(-40, 40, (2, 200))
    x, y = np.concatenate([wide, ends, whole, rng.uniform(-9, 9, (2, 200))], axis=1).astype(dtype)
    graph, _ = trace(lambda x, y: tuple(OPS[name](x, y) for name in QUOTIENTS), x, y)
    with np.errstate(all="ignore"):
        expected = [getattr(np, name)(x, y) for name in QUOTIENTS]
    got = compile_graph(graph, cpu)([x, y])
    # NumPy divides f32 in f32; here the quotient has one rounding
    np.testing.assert_allclose(got[0], expected[0], rtol=3e-7 if dtype == np.float32 else 0)
    np.testing.assert_array_equal(got[1:], expected[1:])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_whole_quotients_and_bits(cpu, dtype):
    info = np.iinfo(dtype)
    ends = (0, 1, -1, 2, -2, 7, -7, info.max, info.min)
    x, y = (np.array(grid.ravel(), dtype) for grid in np.meshgrid(ends, ends))
    names = (*QUOTIENTS, "bitwise_and", "bitwise_or", "bitwise_xor")

    def every(x: Any, y: Any) -> tuple[Any, ...]:
        return (*(OPS[name](x, y) for name in names), OPS["invert"](x), x**3, gnp.round(x // 8, -1))

    graph, _ = trace(every, x, y)
    with np.errstate(all="ignore"):
        expected = [*(getattr(np, name)(x, y) for name in names), ~x, x**3, np.round(x // 8, -1)]
    for got, wanted in zip(compile_graph(graph, cpu)([x, y]), expected, strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


HALVES = np.concatenate(
    [np.arange(-40, 40) / 8, [0.49999999999999994, 2.0**52 + 0.5, 2.0**60, -(2.0**23) - 1]]
)


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize(
    ("opcode", "exact"),
    [("floor", np.floor), ("ceil", np.ceil), ("round_to_zero", np.trunc), ("round_even", np.rint)],
)
def test_rounding_with_and_without_the_instruction(every_cpu, opcode, exact, element):
    x = np.resize(np.concatenate([HALVES, ENDS]), 112).astype(DTYPES[element])
    for cpu in every_cpu:
        b, lanes = Builder("f"), cpu.lanes(element)
        source, target = (b.buffer(name, element, x.size, kind="argument") for name in "xy")
        for i in range(0, x.size, lanes):
            b.store(target, i, getattr(b, opcode)(b.load(source, i, lanes)))
        y = np.empty_like(x)
        jit.compile_function(b.finish(), cpu)(x.ctypes.data, y.ctypes.data)
        np.testing.assert_array_equal(y, exact(x))
        np.testing.assert_array_equal(np.signbit(y[y == 0]), np.signbit(exact(x)[y == 0]))


def test_the_error_of_a_product_is_exact(cpu):
    rng = np.random.default_rng(2)
    for element, dtype in DTYPES.items():
        x, y = (rng.standard_normal(64) * np.exp(rng.uniform(-20, 20, 64)) for _ in "xy")
        x, y = x.astype(dtype), y.astype(dtype)
        b, lanes = Builder("f"), cpu.lanes(element)
        buffers = [b.buffer(name, element, 64, kind="argument") for name in "xyz"]
        for i in range(0, 64, lanes):
            one, other = (b.load(buffer, i, lanes) for buffer in buffers[:2])
            b.store(buffers[2], i, b.product_error(one, other))
        z = np.empty_like(x)
        jit.compile_function(b.finish(), cpu)(*(array.ctypes.data for array in (x, y, z)))
        with mpmath.workdps(60):
            for first, second, error in zip(x.tolist(), y.tolist(), z.tolist(), strict=True):
                exact = mpmath.mpf(first) * mpmath.mpf(second)
                assert exact - mpmath.mpf(float(dtype(first) * dtype(second))) == mpmath.mpf(error)


def test_any_lane_of_a_mask(cpu):
    for lanes in (1, 4, cpu.lanes("f32")):
        b = Builder("f")
        x = b.buffer("x", "f32", lanes, kind="argument")
        found = b.any(b.compare("gt", b.load(x, 0, lanes), 0.5))
        result = b.select(found, b.constant(1, Type("i64")), b.constant(0, Type("i64")))
        native = jit.compile_function(b.finish(result), cpu)
        for lane in range(lanes):
            array = np.zeros(lanes, np.float32)
            assert native(array.ctypes.data) == 0
            array[lane] = 1.0
            assert native(array.ctypes.data) == 1
