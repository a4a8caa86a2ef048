"""Vector functions against mpmath and NumPy, on every vector width of this machine."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler import jit, llvm
from glassnet.compiler._llvm_binding import binding
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.function import compile_graph
from glassnet.compiler.loop_ir import Builder, Function, verify
from glassnet.compiler.lowering import trigonometric
from glassnet.compiler.lowering.evaluate import FUNCTIONS, LOWERINGS
from glassnet.core.op import Constant
from glassnet.core.registry import OPS
from glassnet.interpret.reference import interpret
from glassnet.transforms.cases import cases
from glassnet.transforms.tracing import trace

DTYPES = {"f32": np.float32, "f64": np.float64}
DIGITS = {"f32": 23, "f64": 52}
COUNT = 160  # arguments of each function
INF, NAN, PI = np.inf, np.nan, np.pi


# -- where each function is looked at: pieces of the line for f32 and f64


def even(low: float, high: float) -> Callable[..., np.ndarray]:
    """Numbers spread evenly."""
    return lambda rng, element, count: rng.uniform(low, high, count)


def reach(low: float, high: float, single: float | None = None) -> Callable[..., np.ndarray]:
    """Likewise; in f32 up to `single`, with `low` drawn in by the same share."""
    share = 1.0 if single is None else single / high
    return lambda rng, element, count: rng.uniform(low, high, count) * (share if element == "f32" else 1.0)


def powers_of_e(low: float, high: float, *, signed: bool = True) -> Callable[..., np.ndarray]:
    """e to numbers spread evenly, of either sign; a range of 700 is one of 85 in f32."""

    def draw(rng: np.random.Generator, element: str, count: int) -> np.ndarray:
        ends = np.clip((low, high), *((-80.0, 85.0) if element == "f32" else (-700.0, 700.0)))
        size = np.exp(rng.uniform(*ends, count))
        return size * rng.choice([-1.0, 1.0], count) if signed else size

    return draw


def near(points: Any) -> Callable[..., np.ndarray]:
    """Numbers beside these points, from far to next to them."""
    return lambda rng, element, count: rng.choice(points, count) + powers_of_e(-30, -1)(rng, element, count)


SMALL, WIDE, POSITIVE = powers_of_e(-40, 0), powers_of_e(-700, 700), powers_of_e(-700, 700, signed=False)
TURNS = near(np.arange(-600, 600) * PI / 2)
LINE = (SMALL, even(-2, 2), even(-20, 20))
INSIDE = (
    even(-1, 1),
    powers_of_e(-40, -0.01),
    lambda *a: np.clip(near([-1.0, 1.0])(*a), -0.999999, 0.999999),
)
LARGER = (lambda *a: 1 + powers_of_e(-10, 80, signed=False)(*a), lambda *a: 1 + np.abs(SMALL(*a)))


class Expected:
    """One function: its exact value, units in the last place allowed in f32 and f64, and its arguments."""

    def __init__(self, exact: Callable[..., Any], f32: float, f64: float, *columns: Any) -> None:
        self.exact, self.ulps, self.columns = exact, {"f32": f32, "f64": f64}, columns


def of_one(exact: Callable[..., Any], f32: float, f64: float, *pieces: Callable[..., np.ndarray]) -> Expected:
    """The expectation for a function of one argument."""
    return Expected(exact, f32, f64, pieces)


def cube_root(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


EXPECTED = {
    "exp": of_one(mpmath.exp, 2, 2, *LINE, reach(-707, 707, 87)),
    "exp2": of_one(lambda x: mpmath.mpf(2) ** x, 2, 2, *LINE, reach(-1020, 1020, 125)),
    "expm1": of_one(mpmath.expm1, 3, 4, *LINE, reach(-707, 707, 87)),
    "log": of_one(mpmath.log, 2, 2, POSITIVE, near([1.0]), even(0.3, 3)),
    "log2": of_one(lambda x: mpmath.log(x, 2), 2, 2, POSITIVE, near([1.0]), even(0.3, 3)),
    "log10": of_one(mpmath.log10, 2, 2, POSITIVE, near([1.0]), even(0.3, 3)),
    "log1p": of_one(mpmath.log1p, 2, 2, POSITIVE, powers_of_e(-40, -0.01), even(-0.99, 3)),
    "tanh": of_one(mpmath.tanh, 3, 3, *LINE),
    "sigmoid": of_one(lambda x: 1 / (1 + mpmath.exp(-x)), 3, 3, *LINE, reach(-707, 707, 86)),
    "softplus": of_one(lambda x: mpmath.log1p(mpmath.exp(x)), 3, 3, *LINE, reach(-707, 707, 86)),
    "sin": of_one(mpmath.sin, 1.5, 1, *LINE, WIDE, TURNS, even(-(2.0**20), 2.0**20)),
    "cos": of_one(mpmath.cos, 1.5, 1, *LINE, WIDE, TURNS, even(-(2.0**20), 2.0**20)),
    "tan": of_one(mpmath.tan, 3, 2, *LINE, WIDE, TURNS, even(-(2.0**20), 2.0**20)),
    "cosine_of_turns": of_one(lambda t: mpmath.cos(2 * mpmath.pi * t), 1, 2, even(0, 1)),
    "sine_of_turns": of_one(lambda t: mpmath.sin(2 * mpmath.pi * t), 1, 2, even(0, 1), SMALL),
    "arcsin": of_one(mpmath.asin, 2.5, 2.5, *INSIDE),
    "arccos": of_one(mpmath.acos, 1.5, 1.5, *INSIDE),
    "arctan": of_one(mpmath.atan, 2, 2, *LINE, WIDE),
    "sinh": of_one(mpmath.sinh, 2, 2, *LINE, reach(-709, 709, 88)),
    "cosh": of_one(mpmath.cosh, 2, 2, *LINE, reach(-709, 709, 88)),
    "arcsinh": of_one(mpmath.asinh, 2, 2, *LINE, WIDE, powers_of_e(5, 25)),
    "arccosh": of_one(mpmath.acosh, 2.5, 2.5, *LARGER),
    "arctanh": of_one(mpmath.atanh, 2.5, 2.5, *INSIDE),
    "cbrt": of_one(cube_root, 1.5, 1.5, *LINE, WIDE),
    "erf": of_one(mpmath.erf, 2, 2.5, *LINE, even(-6, 6)),
    "erfc": of_one(mpmath.erfc, 4, 4, *LINE, even(-6, 6), reach(0, 26, 9)),
    "erfinv": of_one(mpmath.erfinv, 1, 3, *INSIDE),
    "gamma": of_one(
        mpmath.gamma, 1, 7, SMALL, even(0, 5), reach(0, 170, 34), lambda *a: 0.4 - even(0, 20)(*a) // 1
    ),
    "gammaln": of_one(lambda x: mpmath.re(mpmath.loggamma(x)), 1, 3, POSITIVE, even(0, 40), near([1.0, 2.0])),
    "arctan2": Expected(mpmath.atan2, 2, 2, (even(-9, 9), WIDE, SMALL), (even(-9, 9), WIDE, WIDE)),
    "hypot": Expected(mpmath.hypot, 1, 1, (even(-9, 9), WIDE, SMALL), (even(-9, 9), WIDE, WIDE)),
    "power": Expected(
        mpmath.power,
        *(1, 2),
        (even(0, 3), even(0, 100), POSITIVE, lambda *a: 1 + SMALL(*a) / 1e4),
        (even(-50, 50), even(-5, 5), even(-1, 1), even(-1e5, 1e5)),
    ),
    "logaddexp": Expected(
        lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)), 2, 2, (even(0, 20),), (even(-20, 20),)
    ),
    "logaddexp2": Expected(
        lambda x, y: mpmath.log(mpmath.mpf(2) ** x + mpmath.mpf(2) ** y, 2),
        2,
        2,
        (even(0, 20),),
        (even(-20, 20),),
    ),
    "xlogy": Expected(lambda x, y: x * mpmath.log(y), 2.5, 2.5, (even(-20, 20),), (POSITIVE,)),
}


def program(name: str, columns: int, size: int, element: str, lanes: int) -> Function:
    """The function of every element; there are whole vectors of them."""
    b = Builder(name)
    *sources, target = (b.buffer(f"x{k}", element, size, kind="argument") for k in range(columns + 1))

    def vector(i: Any) -> None:
        b.store(target, i, FUNCTIONS[name](b, *(b.load(source, i, lanes) for source in sources)))

    b.loop(0, size, lanes, vector)
    verify(b.finish())
    return b.finish()


def apply(name: str, cpu: CPU, lanes: int, *columns: np.ndarray) -> np.ndarray:
    """What the compiled function makes of these arguments."""
    element = "f32" if columns[0].dtype == np.float32 else "f64"
    y = np.empty_like(columns[0])
    native = jit.compile_function(program(name, len(columns), y.size, element, lanes), cpu)
    native(*(x.ctypes.data for x in columns), y.ctypes.data)
    return y


@functools.cache
def sample(name: str, element: str) -> tuple[list[np.ndarray], list[mpmath.mpf]]:
    """Arguments from every piece of the line, and the exact values."""
    rng = np.random.default_rng(0)
    columns = []
    for pieces in EXPECTED[name].columns:
        share = COUNT // len(pieces)
        drawn = [piece(rng, element, share) for piece in pieces]
        columns.append(np.resize(np.concatenate(drawn), COUNT).astype(DTYPES[element]))
    with mpmath.workdps(50):
        rows = zip(*columns, strict=True)
        return columns, [EXPECTED[name].exact(*(mpmath.mpf(float(x)) for x in row)) for row in rows]


def units_off(got: float, exact: mpmath.mpf, element: str) -> float:
    """The error in units of the last place; of the smallest normal number where the value is below it."""
    info = np.finfo(DTYPES[element])
    with mpmath.workdps(50):
        if abs(exact) > float(info.max):
            return 0.0 if np.isinf(got) and np.sign(got) == mpmath.sign(exact) else INF
        if abs(exact) < float(info.tiny):
            return float(abs(mpmath.mpf(float(got)) - exact) / float(info.tiny))
        unit = mpmath.mpf(2) ** (mpmath.floor(mpmath.log(abs(exact), 2)) - DIGITS[element])
        return float(abs(mpmath.mpf(float(got)) - exact) / unit)


def test_every_function_has_its_expectation():
    assert EXPECTED.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("name", EXPECTED)
def test_accuracy_in_units_of_the_last_place(cpu, name, element):
    columns, exact = sample(name, element)
    y = apply(name, cpu, cpu.lanes(element), *columns)
    errors = [units_off(got, true, element) for got, true in zip(y, exact, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= EXPECTED[name].ulps[element], (
        f"{name}({[x[worst] for x in columns]}) = {y[worst]!r}"
    )


def test_a_checker_that_sees_wrong_values():
    assert units_off(1.0, mpmath.mpf(1), "f64") == 0
    assert units_off(1.0 + 2.0**-52, mpmath.mpf(1), "f64") == 1
    assert units_off(np.inf, mpmath.mpf(1), "f32") == INF
    assert units_off(1.0, mpmath.mpf(2) ** 2000, "f64") == INF


SPECIAL = {  # arguments and values
    "exp": ((0, -0.0, INF, -INF, NAN, 1e4, -1e4), (1, 1, INF, 0, NAN, INF, 0)),
    "exp2": ((0, 3, -2, INF, -INF, NAN, 1e4, -1e4), (1, 8, 0.25, INF, 0, NAN, INF, 0)),
    "expm1": ((0, INF, -INF, NAN, 1e4, -1e4), (0, INF, -1, NAN, INF, -1)),
    "log": ((1, 0, -0.0, -1, INF, -INF, NAN), (0, -INF, -INF, NAN, INF, NAN, NAN)),
    "log2": ((8, 0.5, 1, 0, -1, INF, NAN), (3, -1, 0, -INF, NAN, INF, NAN)),
    "log10": ((1, 0, -1, INF, NAN), (0, -INF, NAN, INF, NAN)),
    "log1p": ((0, -0.0, -1, -2, INF, -INF, NAN), (0, -0.0, -INF, NAN, INF, NAN, NAN)),
    "tanh": ((0, -0.0, INF, -INF, NAN, 1e4, -1e4), (0, -0.0, 1, -1, NAN, 1, -1)),
    "sigmoid": ((0, INF, -INF, NAN, 1e4, -1e4), (0.5, 1, 0, NAN, 1, 0)),
    "softplus": ((INF, -INF, NAN, 1e4, -1e4), (INF, 0, NAN, 1e4, 0)),
    "sin": ((0, -0.0, INF, -INF, NAN), (0, -0.0, NAN, NAN, NAN)),
    "cos": ((0, -0.0, INF, -INF, NAN), (1, 1, NAN, NAN, NAN)),
    "tan": ((0, -0.0, INF, -INF, NAN), (0, -0.0, NAN, NAN, NAN)),
    "arcsin": ((0, -0.0, 1, -1, 1.5, -2, NAN), (0, -0.0, PI / 2, -PI / 2, NAN, NAN, NAN)),
    "arccos": ((1, 0, -1, 1.5, -2, NAN), (0, PI / 2, PI, NAN, NAN, NAN)),
    "arctan": ((0, -0.0, INF, -INF, NAN), (0, -0.0, PI / 2, -PI / 2, NAN)),
    "sinh": ((0, -0.0, INF, -INF, NAN, 1e4), (0, -0.0, INF, -INF, NAN, INF)),
    "cosh": ((0, INF, -INF, NAN, -1e4), (1, INF, INF, NAN, INF)),
    "arcsinh": ((0, -0.0, INF, -INF, NAN), (0, -0.0, INF, -INF, NAN)),
    "arccosh": ((1, INF, 0.5, -3, -INF, NAN), (0, INF, NAN, NAN, NAN, NAN)),
    "arctanh": ((0, -0.0, 1, -1, 1.5, -2, NAN), (0, -0.0, INF, -INF, NAN, NAN, NAN)),
    "cbrt": ((0, -0.0, 27, -8, INF, -INF, NAN), (0, -0.0, 3, -2, INF, -INF, NAN)),
    "erf": ((0, -0.0, INF, -INF, NAN, 1e4, -1e4), (0, -0.0, 1, -1, NAN, 1, -1)),
    "erfc": ((0, INF, -INF, NAN, 1e4, -1e4), (1, 0, 2, NAN, 0, 2)),
    "erfinv": ((0, -0.0, 1, -1, 2, NAN), (0, -0.0, INF, -INF, NAN, NAN)),
    "gamma": ((0, -0.0, 5, -1, -2, INF, -INF, NAN, 200), (INF, -INF, 24, NAN, NAN, INF, NAN, NAN, INF)),
    "gammaln": ((1, 2, 0, -1, INF, NAN), (0, 0, INF, INF, INF, NAN)),
}


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(cpu, name, element):
    x, expected = (np.resize(np.array(numbers, DTYPES[element]), 16) for numbers in SPECIAL[name])
    y = apply(name, cpu, cpu.lanes(element), x)
    np.testing.assert_array_equal(y, expected)
    zeros = (expected == 0) & np.signbit(x)
    if name in (
        "log1p",
        "tanh",
        "sin",
        "tan",
        "arcsin",
        "arctan",
        "sinh",
        "arcsinh",
        "arctanh",
        "cbrt",
        "erf",
    ):
        np.testing.assert_array_equal(np.signbit(y[zeros]), np.signbit(expected[zeros]))


ENDS = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30, INF, -INF, NAN)


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("name", ["power", "arctan2", "hypot", "logaddexp", "logaddexp2"])
def test_pairs_of_special_values_are_those_of_numpy(cpu, name, element):
    grids = np.meshgrid(ENDS, ENDS)
    x, y = (np.resize(grid, 240).astype(DTYPES[element]) for grid in grids)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, y)
    got = apply(name, cpu, cpu.lanes(element), x, y)
    resolution = np.finfo(x.dtype).eps
    absolute = resolution if name.startswith("log") else 0.0  # near its zeros
    np.testing.assert_allclose(got, expected, rtol=4 * resolution, atol=absolute)
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize("element", DTYPES)
def test_the_ends_of_the_range(cpu, element):
    info = np.finfo(DTYPES[element])
    largest = np.nextafter(np.log(info.max), DTYPES[element](0))
    x = np.full(16, largest)
    assert np.isfinite(apply("exp", cpu, 4, x)).all()
    assert np.isinf(apply("exp", cpu, 4, x * DTYPES[element](1.001))).all()
    assert np.isfinite(apply("expm1", cpu, 4, x)).all()
    # sinh and cosh are finite for a little longer than exp
    beyond = x + DTYPES[element](0.69)
    for name in ("sinh", "cosh"):
        assert np.isfinite(apply(name, cpu, 4, beyond)).all()
    top, bottom = np.full(16, info.max), np.full(16, info.tiny)
    for name in ("log", "log2", "log10", "log1p", "arcsinh", "arccosh", "cbrt"):
        expected = getattr(np, name)(top)
        np.testing.assert_allclose(apply(name, cpu, 4, top), expected, rtol=4 * info.eps)
    for name in ("log", "log2", "log10", "cbrt"):
        np.testing.assert_allclose(apply(name, cpu, 4, bottom), getattr(np, name)(bottom), rtol=4 * info.eps)
    for name in ("tanh", "sin", "tan", "arcsin", "arctan", "sinh", "arcsinh"):
        np.testing.assert_array_equal(apply(name, cpu, 4, 4 * bottom), 4 * bottom)


@pytest.mark.parametrize(
    ("element", "x"), [("f64", 6381956970095103 * 2.0**797), ("f32", 16367173 * 2.0**72)]
)
def test_the_worst_angles(cpu, element, x):
    # of all finite numbers the one next to a multiple of pi/2: 2^-61 and 2^-30 from it
    with mpmath.workdps(400):
        exact = mpmath.cos(mpmath.mpf(x))
    got = apply("cos", cpu, cpu.lanes(element), np.full(16, x, DTYPES[element]))
    assert abs(exact) < (1e-18 if element == "f64" else 1e-8)
    assert units_off(got[0], exact, element) <= 1.5


@pytest.mark.parametrize("name", EXPECTED)
def test_any_number_of_lanes_gives_the_same_bits(name):
    columns = sample(name, "f32")[0]
    values = [apply(name, host_cpu(), lanes, *columns) for lanes in (1, 4, 32)]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


def calls(text: str, cpu: CPU) -> list[str]:
    """The calls in the machine code of LLVM IR text."""
    assembly = jit._target_machine(cpu, 1).emit_assembly(binding().parse_assembly(text))
    return re.findall(r"^\s*(?:callq?|bl\s|jmpq?\s+\*).*", assembly, re.MULTILINE)


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_nothing_calls_the_c_library(every_cpu, name, element):
    for cpu in every_cpu:
        lanes = cpu.lanes(element)
        text = llvm.emit(program(name, len(EXPECTED[name].columns), 4 * lanes, element, lanes), cpu)
        assert not calls(text, cpu)


def test_a_call_of_the_c_library_is_seen():
    sine = "call double @llvm.sin.f64(double %x)"
    text = f"define double @f(double %x) {{\n%y = {sine}\nret double %y\n}}\n"
    text += "declare double @llvm.sin.f64(double)\n"
    assert calls(text.replace("ret double %y", "%z = fadd double %y, 1.0\nret double %z"), host_cpu())


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_polygamma(cpu, element, order):
    pieces = (even(0.01, 40), even(1.3, 1.6), lambda *a: 0.4 - even(0, 9)(*a) // 1)
    rng = np.random.default_rng(3)
    x = np.concatenate([piece(rng, element, 16) for piece in pieces]).astype(DTYPES[element])
    graph, _ = trace(lambda x: gnp.polygamma(order, x), x)
    (got,) = compile_graph(graph, cpu)([x])
    with mpmath.workdps(40):
        exact = [mpmath.polygamma(order, mpmath.mpf(float(value))) for value in x]
    # of digamma next to its zero the absolute error counts
    errors = [units_off(y, true, element) * min(1, abs(true)) for y, true in zip(got, exact, strict=True)]
    assert max(errors) <= (1 if element == "f32" else 8)


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_sinc(cpu, element, order):
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-9, 9, 12), [0.0, 1e-9, -30.0, 1e4]]).astype(DTYPES[element])
    graph, _ = trace(lambda u: OPS["unnormalized_sinc"](u, order=order), x)
    (got,) = compile_graph(graph, cpu)([x])
    with mpmath.workdps(30):
        exact = [
            mpmath.diff(lambda u: mpmath.sinc(u), mpmath.mpf(float(u)), order) if order else mpmath.sinc(u)
            for u in x.tolist()
        ]
    np.testing.assert_allclose(got, [float(y) for y in exact], rtol=0, atol=2 * np.finfo(x.dtype).eps)


def test_functions_with_loops_of_their_own_in_every_kind_of_kernel(cpu):
    rng = np.random.default_rng(5)
    x, w, r = rng.standard_normal((9, 5)), 1e7 * rng.standard_normal((5, 19)), rng.standard_normal(19)

    def everywhere(x: Any, w: Any, r: Any) -> tuple[Any, ...]:
        z = x @ w + r
        return gnp.sin(z), gnp.cos(z).sum(0), gnp.tan(r), gnp.fmod(z, 1e-9).sum(1), gnp.sin(z.sum())

    graph, _ = trace(everywhere, x, w, r)
    got, expected = compile_graph(graph, cpu)([x, w, r]), interpret(graph, [x, w, r])
    z = x @ w + r
    for one, other, allowed in zip(got, expected, (1e-6, 1e-5, 1e-12, 1e-7, 1e-5), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=allowed)
    assert np.abs(z).max() > trigonometric.LARGE


DIFFERENTIABLE = sorted(
    name
    for name in LOWERINGS.keys() & OPS.keys()
    if OPS[name].broadcasts and name != "where" and not isinstance(OPS[name].derivative, Constant)
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_compile(name, dtype):
    case = next(case for case in cases(name) if all(x.size for x in case.inputs))
    moving = tuple(case.moving())

    def total(*inputs: Any) -> Any:
        return (OPS[name](*inputs, **case.attributes) * dtype(1)).sum()

    inputs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in case.inputs]
    graph, _ = trace(gn.grad(total, wrt=moving), *inputs)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for got, expected in zip(compile_graph(graph)(inputs), interpret(graph, inputs), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
