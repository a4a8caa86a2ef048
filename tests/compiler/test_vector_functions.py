"""exp, log and their kin against mpmath, on every vector width of this machine."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
import pytest

from glassnet.compiler import jit
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.loop_ir import Builder, verify
from glassnet.compiler.lowering import exponential, special, trigonometric

DTYPES = {"f32": np.float32, "f64": np.float64}
TOLERANCE = {"f32": 3e-7, "f64": 4e-15}
EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "cos": mpmath.cos,
    "sin": mpmath.sin,
}
# Those that the compiler knows as ops alone: a function of the builder and the numbers.
OPS = {
    **{name: special.LOWERINGS[name] for name in ("erf", "erfc")},
    **{name: trigonometric.LOWERINGS[name] for name in ("cos", "sin")},
}
INF, NAN = np.inf, np.nan
SPECIAL = {  # arguments and values
    "exp": ((0, -0.0, INF, -INF, NAN, 1e4, -1e4), (1, 1, INF, 0, NAN, INF, 0)),
    "expm1": ((0, INF, -INF, NAN, 1e4, -1e4), (0, INF, -1, NAN, INF, -1)),
    "log": ((1, 0, -0.0, -1, INF, -INF, NAN), (0, -INF, -INF, NAN, INF, NAN, NAN)),
    "log1p": ((0, -0.0, -1, -2, INF, -INF, NAN), (0, -0.0, -INF, NAN, INF, NAN, NAN)),
    "tanh": ((0, -0.0, INF, -INF, NAN, 1e4, -1e4), (0, -0.0, 1, -1, NAN, 1, -1)),
    "sigmoid": ((0, INF, -INF, NAN, 1e4, -1e4), (0.5, 1, 0, NAN, 1, 0)),
    "softplus": ((INF, -INF, NAN, 1e4, -1e4), (INF, 0, NAN, 1e4, 0)),
    "exp2": ((0, -0.0, 3, -2, INF, -INF, NAN, 1e4, -1e4), (1, 1, 8, 0.25, INF, 0, NAN, INF, 0)),
    "erf": ((0, -0.0, INF, -INF, NAN, 1e4, -1e4), (0, -0.0, 1, -1, NAN, 1, -1)),
    "erfc": ((0, INF, -INF, NAN, 1e4, -1e4), (1, 0, 2, NAN, 0, 2)),
    "cos": ((0, -0.0, INF, NAN, 2e6, -1e30), (1, 1, NAN, NAN, NAN, NAN)),
    "sin": ((0, -0.0, INF, NAN, 2e6, -1e30), (0, -0.0, NAN, NAN, NAN, NAN)),
}


def apply(name: str, x: np.ndarray, cpu: CPU, lanes: int) -> np.ndarray:
    """The compiled function of every element; x has whole vectors."""
    b, element = Builder(name), "f32" if x.dtype == np.float32 else "f64"
    source, target = (b.buffer(which, element, x.size, kind="argument") for which in ("x", "y"))
    function = functools.partial(_call, name)
    b.loop(0, x.size, lanes, lambda i: b.store(target, i, function(b, b.load(source, i, lanes))))
    verify(b.finish())
    y = np.empty_like(x)
    jit.compile_function(b.finish(), cpu)(x.ctypes.data, y.ctypes.data)
    return y


def _call(name: str, b: Builder, x: Any) -> Any:
    return OPS[name](b, None, x) if name in OPS else getattr(exponential, name)(b, x)


@functools.cache
def sample(name: str, element: str) -> tuple[np.ndarray, list[mpmath.mpf]]:
    """512 arguments with normal values, near 0, near 1 and over the whole range; and the exact values."""
    rng = np.random.default_rng(0)
    widest = 87.0 if element == "f32" else 707.0
    widest = {"exp2": widest / 0.7, "erfc": 0.85 * widest**0.5, "cos": 1.6e6, "sin": 1.6e6}.get(name, widest)
    near_zero = rng.choice([-1, 1], 128) * np.exp(rng.uniform(-40, 0, 128))
    if name == "log":
        pieces = [np.exp(rng.uniform(-widest, widest, 256)), 1 + near_zero / 2, rng.uniform(0.3, 3, 128)]
    elif name == "log1p":
        pieces = [np.exp(rng.uniform(-80, widest, 256)), near_zero * 0.999, rng.uniform(-0.99, 3, 128)]
    else:
        pieces = [
            rng.uniform(-widest, widest, 128),
            near_zero,
            rng.uniform(-2, 2, 128),
            rng.uniform(-20, 20, 128) * min(1, widest / 20),
        ]
    x = np.concatenate(pieces).astype(DTYPES[element])
    x = x[x != 1] if name == "log" else x
    x = np.resize(x, 512)
    with mpmath.workdps(40):
        return x, [EXACT[name](mpmath.mpf(float(value))) for value in x]


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_relative_accuracy(cpu, name, element):
    x, exact = sample(name, element)
    y = apply(name, x, cpu, cpu.lanes(element))
    with mpmath.workdps(40):
        errors = [float(abs(mpmath.mpf(float(got)) / true - 1)) for got, true in zip(y, exact, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= TOLERANCE[element], f"{name}({x[worst]!r}) = {y[worst]!r}"


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(cpu, name, element):
    x, expected = (np.resize(np.array(numbers, DTYPES[element]), 16) for numbers in SPECIAL[name])
    y = apply(name, x, cpu, cpu.lanes(element))
    np.testing.assert_array_equal(y, expected)
    zeros = expected == 0
    if name in ("log1p", "tanh", "erf", "sin"):
        np.testing.assert_array_equal(np.signbit(y[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize("element", DTYPES)
def test_the_ends_of_the_range(cpu, element):
    info = np.finfo(DTYPES[element])
    largest = np.nextafter(np.log(info.max), DTYPES[element](0))
    x = np.full(16, largest)
    assert np.isfinite(apply("exp", x, cpu, 4)).all()
    assert np.isinf(apply("exp", x * DTYPES[element](1.001), cpu, 4)).all()
    assert np.isfinite(apply("expm1", x, cpu, 4)).all()
    top = np.full(16, info.max)
    np.testing.assert_allclose(apply("log1p", top, cpu, 4), np.log(top), rtol=TOLERANCE[element])
    np.testing.assert_allclose(apply("log", top, cpu, 4), np.log(top), rtol=TOLERANCE[element])
    bottom = np.full(16, info.tiny)
    np.testing.assert_allclose(apply("log", bottom, cpu, 4), np.log(bottom), rtol=TOLERANCE[element])
    np.testing.assert_array_equal(apply("tanh", 4 * bottom, cpu, 4), 4 * bottom)


@pytest.mark.parametrize("name", EXACT)
def test_any_number_of_lanes_gives_the_same_bits(name):
    x = sample(name, "f32")[0]
    values = [apply(name, x, host_cpu(), lanes) for lanes in (1, 4, 32)]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


def test_coefficients_are_those_of_the_fit():
    with mpmath.workdps(60):
        reduced = mpmath.log(2) / 2
        widest = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2
        fits = [
            (exponential.EXPM1_F32, _expm1_remainder, -reduced, reduced, 1e-9),
            (exponential.EXPM1_F64, _expm1_remainder, -reduced, reduced, 1e-14),
            (exponential.ATANH_F32, _atanh_remainder, 0, widest, 1e-9),
            (exponential.ATANH_F64, _atanh_remainder, 0, widest, 1e-14),
        ]
        for coefficients, function, low, high, tolerance in fits:
            fitted = mpmath.chebyfit(function, [low, high], len(coefficients))[::-1]
            np.testing.assert_allclose(coefficients, [float(c) for c in fitted], rtol=tolerance)


def _expm1_remainder(r: mpmath.mpf) -> mpmath.mpf:
    return (mpmath.expm1(r) - r) / r**2 if r else mpmath.mpf("0.5")


def _atanh_remainder(z: mpmath.mpf) -> mpmath.mpf:
    s = mpmath.sqrt(z)
    return 2 * (mpmath.atanh(s) - s) / s**3
