"""Elementwise functions: NumPy's values and types, mpmath's digits, declared slopes at the special points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.dtype import FLOAT64, is_floating
from glassnet.core.random import Key, uniform
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import DTypeError, ShapeError


def draw(stream: int, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    return uniform(Key(77, stream), shape, low, high)


ANY, UNIT, POSITIVE, ABOVE_ONE = (-3.0, 3.0), (-0.95, 0.95), (0.1, 5.0), (1.1, 5.0)
UNARY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("absolute", "positive", "cbrt", "exp2", "sinc", "floor", "ceil", "trunc", "fix"), ANY),
    **dict.fromkeys(("rint", "round", "around", "isnan", "isinf", "isfinite", "signbit", "logical_not"), ANY),
    **dict.fromkeys(("sinh", "cosh", "tan", "arcsinh", "arctan", "asinh", "atan", "nan_to_num"), ANY),
    **dict.fromkeys(("deg2rad", "rad2deg", "degrees", "radians"), ANY),
    **dict.fromkeys(("arcsin", "arccos", "arctanh", "asin", "acos", "atanh"), UNIT),
    **dict.fromkeys(("log2", "log10", "reciprocal"), POSITIVE),
    **dict.fromkeys(("arccosh", "acosh"), ABOVE_ONE),
}
BINARY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("hypot", "arctan2", "atan2", "logaddexp", "logaddexp2", "copysign", "heaviside"), ANY),
    **dict.fromkeys(("fmax", "fmin", "logical_and", "logical_or", "logical_xor"), ANY),
    **dict.fromkeys(("remainder", "mod", "fmod", "floor_divide", "divmod", "float_power", "pow"), POSITIVE),
}
PAIRS = [((3, 4), (3, 4)), ((2, 1, 3), (4, 1)), ((), (3,)), ((3, 0), (1,)), ((), ())]


def matches(ours: Any, numpys: Any) -> None:
    for got, want in zip(*((x if isinstance(x, tuple) else (x,)) for x in (ours, numpys)), strict=True):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=5e-7 if got.dtype == np.float32 else 1e-14, atol=1e-300)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_array_is_numpys(name: str, dtype: str) -> None:
    for shape in [(3, 4), (), (0, 2)]:
        x = draw(1, shape, *UNARY[name]).astype(dtype)
        matches(getattr(gnp, name)(x), getattr(np, name)(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_a_function_of_two_arrays_is_numpys_and_broadcasts(name: str, dtype: str) -> None:
    for left, right in PAIRS:
        x, y = (draw(i, s, *BINARY[name]).astype(dtype) for i, s in enumerate((left, right)))
        matches(getattr(gnp, name)(x, y), getattr(np, name)(x, y))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_integers_stay_whole_where_numpy_keeps_them_and_count_as_float64_elsewhere(
    name: str, dtype: str
) -> None:
    inputs = (np.array([1, 3, 2]), np.array([1, 2, 2]))[: 1 if name in UNARY else 2]
    if UNARY.get(name) == UNIT:
        inputs = (np.array([0, 0, 0]),)
    arrays = [x.astype(dtype) for x in inputs]
    got, want = getattr(gnp, name)(*arrays), getattr(np, name)(*arrays)
    with tracing():
        traced = getattr(gnp, name)(*(placeholder(x.shape, x.dtype) for x in arrays))
    for ours, theirs, by_shape in zip(
        *((x if isinstance(x, tuple) else (x,)) for x in (got, want, traced)), strict=True
    ):
        expected = FLOAT64 if is_floating(theirs.dtype) else theirs.dtype
        assert ours.dtype == by_shape.dtype == expected
        if is_floating(ours.dtype):
            theirs = getattr(np, name)(*(x.astype(float) for x in arrays))
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_masks_combine_as_in_numpy(name: str) -> None:
    a, b = np.array([True, True, False]), np.array([[True], [False]])
    for x, y in [(a, b), (a.astype(int) * 6, b.astype(np.int8) * 3)]:
        matches(getattr(gnp, name)(x, y), getattr(np, name)(x, y))
    matches(gnp.invert(a), ~a)
    matches(gnp.invert(a.astype(np.int16)), ~a.astype(np.int16))


SPECIAL_POINTS = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 2.5, -2.5])


@pytest.mark.parametrize(
    "name",
    ["isnan", "isinf", "isfinite", "signbit", "nan_to_num", "fmax", "fmin", "copysign", "round", "clip"],
)
def test_nan_infinity_and_signed_zero_go_as_in_numpy(name: str) -> None:
    more = {"fmax": (1.0,), "fmin": (1.0,), "copysign": (-1.0,), "clip": (-1.0, 1.0)}.get(name, ())
    got, want = (getattr(module, name)(SPECIAL_POINTS, *more) for module in (gnp, np))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize("decimals", [-1, 0, 2])
def test_round_takes_decimals(decimals: int) -> None:
    for x in (draw(3, (3, 4), -30.0, 30.0), np.array([15, 25, -7])):
        matches(gnp.round(x, decimals), np.round(x, decimals))


def test_nan_to_num_takes_its_replacements_and_leaves_integers_alone() -> None:
    got = gnp.nan_to_num(SPECIAL_POINTS, 7.0, posinf=8.0, neginf=9.0)
    np.testing.assert_array_equal(got, np.nan_to_num(SPECIAL_POINTS, nan=7.0, posinf=8.0, neginf=9.0))
    assert gnp.nan_to_num(np.arange(3)).dtype == np.arange(3).dtype
    np.testing.assert_array_equal(
        gn.grad(lambda x: gnp.nan_to_num(x).sum())(SPECIAL_POINTS), np.isfinite(SPECIAL_POINTS)
    )


X = np.array([-2.0, -1.0, 0.3, 1.0, 4.0])


def test_clip_takes_one_bound_or_two_or_none_under_either_name() -> None:
    np.testing.assert_array_equal(gnp.clip(X, -1, 1), np.clip(X, -1, 1))
    np.testing.assert_array_equal(gnp.clip(X, a_max=1.0), np.clip(X, None, 1.0))
    np.testing.assert_array_equal(gnp.clip(X, min=0.0), np.clip(X, 0.0, None))
    np.testing.assert_array_equal(gnp.clip(X), X)
    np.testing.assert_array_equal(gnp.clip(X, 1.0, -1.0), np.clip(X, 1.0, -1.0))


@pytest.mark.parametrize("bounds", [{"a_min": -1.0, "a_max": 1.0}, {"min": -1.0}, {"max": 1.0}])
def test_clip_passes_strictly_inside(bounds: dict[str, float]) -> None:
    low, high = (
        bounds.get("a_min", bounds.get("min", -np.inf)),
        bounds.get("a_max", bounds.get("max", np.inf)),
    )
    slopes = gn.grad(lambda x: gnp.clip(x, **bounds).sum())(X)
    np.testing.assert_array_equal(slopes, (low < X) & (high > X))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])
def test_the_slopes_of_clip_add_up_to_one(low: float, high: float) -> None:
    slopes = gn.grad(lambda *x: gnp.clip(*x).sum(), (0, 1, 2))(X, np.full(5, low), np.full(5, high))
    np.testing.assert_array_equal(slopes[0] + slopes[1] + slopes[2], np.ones(5))


ERF_SLOPE = 2 / np.sqrt(np.pi)
POINTS: dict[str, tuple[float, float]] = {
    "erf": (-6.0, 6.0), "erfc": (-6.0, 26.0), "erfinv": (-0.999, 0.999), "gamma": (0.01, 170.0),
    "gammaln": (0.01, 40.0), "digamma": (0.01, 30.0), "log_sigmoid": (-40.0, 40.0), "entr": (0.0, 3.0),
    "softsign": (-1e8, 1e8), "logaddexp": (-3.0, 3.0), "arccosh": (1.0001, 9.0), "arctanh": (-0.999, 0.999),
    "log10": (0.001, 9.0), "cbrt": (0.01, 9.0), "tan": (-1.5, 1.5), "arcsin": (-0.999, 0.999),
}  # fmt: skip
ORACLES: dict[str, Callable[..., Any]] = {
    "gammaln": mpmath.loggamma,
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "entr": lambda x: -x * mpmath.log(x),
    "softsign": lambda x: x / (1 + abs(x)),
    "logaddexp": lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(mpmath.mpf("0.7"))),
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "arcsin": mpmath.asin,
    "cbrt": lambda x: mpmath.power(x, mpmath.mpf(1) / 3),
}


@pytest.mark.parametrize("name", POINTS)
def test_values_and_slopes_have_the_digits_of_mpmath(name: str) -> None:
    oracle = ORACLES.get(name) or getattr(mpmath, name)
    f = getattr(gnp, name)
    extra = (np.float64(0.7),) if name == "logaddexp" else ()
    with mpmath.workdps(50):
        for x in draw(5, (40,), *POINTS[name]):
            at = mpmath.mpf(float(x))
            value, slope = gn.value_and_grad(lambda x: f(x, *extra))(x)
            assert float(value) == pytest.approx(float(oracle(at)), rel=3e-15, abs=1e-16)
            assert float(slope) == pytest.approx(
                float(mpmath.diff(oracle, at, h=1e-15)), rel=1e-12, abs=1e-300
            )


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_polygamma_has_the_digits_of_mpmath_on_both_sides_of_zero(order: int) -> None:
    for x in [*draw(6, (25,), 0.01, 30.0), *draw(7, (15,), -6.0, 0.0)]:
        want = mpmath.polygamma(order, mpmath.mpf(float(x)))
        assert float(gnp.polygamma(order, x)) == pytest.approx(float(want), rel=3e-15, abs=1e-13)


@pytest.mark.parametrize("name", ["gamma", "gammaln"])
def test_the_gamma_function_is_reflected_below_zero(name: str) -> None:
    for x in draw(8, (40,), -12.0, 0.0):
        exact = mpmath.gamma(mpmath.mpf(float(x)))
        want = exact if name == "gamma" else mpmath.log(abs(exact))
        assert float(getattr(gnp, name)(x)) == pytest.approx(float(want), rel=1e-14, abs=3e-15)


def test_the_special_functions_keep_relative_accuracy_in_their_tails_and_at_their_zeros() -> None:
    with mpmath.workdps(40):
        for name, oracle, points in [
            ("erf", mpmath.erf, (1e-300, -1e-9)),
            ("erfc", mpmath.erfc, (5.0, 26.5)),
            ("erfinv", mpmath.erfinv, (1e-200, 1 - 1e-15, -0.5)),
            ("gammaln", mpmath.loggamma, (1 + 1e-9, 2 - 1e-12, 1e-280, 1e300)),
            ("digamma", mpmath.digamma, (1.4616321449683622, 1e-280, 1e300)),
        ]:
            for x in points:
                want = float(oracle(mpmath.mpf(x)))
                assert float(getattr(gnp, name)(np.float64(x))) == pytest.approx(want, rel=2e-15, abs=0)


def test_the_special_functions_at_their_poles_and_at_infinity() -> None:
    ends = np.array([-np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(gnp.erf(ends), [-1, 1, np.nan])
    np.testing.assert_array_equal(gnp.erfc(ends), [2, 0, np.nan])
    np.testing.assert_array_equal(gnp.erfinv(np.array([-1.0, 1.0, 1.5])), [-np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(
        gnp.gamma(np.array([0.0, -0.0, -1.0, 5.0, 172.0])), [np.inf, -np.inf, np.nan, 24, np.inf]
    )
    np.testing.assert_array_equal(
        gnp.gammaln(np.array([0.0, -3.0, 1.0, np.inf])), [np.inf, np.inf, 0, np.inf]
    )
    np.testing.assert_array_equal(gnp.polygamma(1, np.array([0.0, -2.0, np.inf])), [np.nan, np.nan, 0])


@pytest.mark.parametrize("name", ["erf", "erfc", "erfinv", "gamma", "gammaln", "digamma"])
def test_a_special_function_keeps_float32_and_takes_integers(name: str) -> None:
    f = getattr(gnp, name)
    x = draw(9, (5,), 0.1, 0.9)
    assert f(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(f(x.astype(np.float32)), f(x), rtol=2e-6)
    assert f(np.array([1], np.int8)).dtype == f(True).dtype == FLOAT64
    np.testing.assert_array_equal(f(1), f(1.0))


def nth_derivative(f: Callable[[Any], Any], order: int) -> Callable[[Any], Any]:
    return f if order == 0 else gn.grad(nth_derivative(f, order - 1))


@pytest.mark.parametrize("order", range(6))
def test_sinc_has_derivatives_of_every_order_at_zero_and_away_from_it(order: int) -> None:
    derivative = nth_derivative(gnp.sinc, order)
    # At 0 the even ones are (-1)^(n/2) pi^n / (n + 1), the odd ones 0.
    at_zero = 0.0 if order % 2 else (-1) ** (order // 2) * np.pi**order / (order + 1)
    assert float(derivative(0.0)) == pytest.approx(at_zero, rel=1e-14, abs=1e-14)
    with mpmath.workdps(60):
        for x in (1e-8, 0.01, -0.4, 1.3, 2.6, -7.7):
            want = mpmath.diff(lambda t: mpmath.sincpi(t), mpmath.mpf(x), order, h=mpmath.mpf("1e-8"))
            assert float(derivative(x)) == pytest.approx(float(want), rel=1e-12, abs=1e-13 * np.pi**order)


def test_fmod_counts_the_whole_quotient_where_division_rounds_up() -> None:
    x, y = 3.0 - 2**-51, 0.3
    exact = [int(mpmath.floor(mpmath.mpf(a) / mpmath.mpf(b))) for a, b in [(x, y), (-x, y)]]
    assert float(gn.grad(gnp.fmod, 1)(x, y)) == -exact[0]
    assert float(gn.grad(gnp.remainder, 1)(-x, y)) == -exact[1]


def test_the_slopes_of_remainder_have_the_signs_of_its_quadrants() -> None:
    for x, y in [(5.5, 2.0), (-5.5, 2.0), (5.5, -2.0), (-5.5, -2.0)]:
        for f, whole in [(gnp.remainder, np.floor), (gnp.fmod, np.trunc)]:
            assert [float(s) for s in gn.grad(f, (0, 1))(x, y)] == [1.0, -whole(x / y)]


def test_xlogy_and_entr_at_zero() -> None:
    assert float(gnp.xlogy(0.0, 0.0)) == 0.0
    assert float(gn.grad(gnp.xlogy, 1)(0.0, 0.0)) == 0.0
    assert float(gn.grad(gnp.xlogy)(0.0, 2.0)) == pytest.approx(np.log(2.0))
    # The mixed second derivative is 1 / y, at x = 0 as well.
    assert float(gn.grad(lambda x: gn.grad(gnp.xlogy, 1)(x, 4.0))(0.0)) == 0.25
    np.testing.assert_array_equal(gnp.entr(np.array([0.0, 1.0])), [0.0, 0.0])


def test_fmax_and_fmin_give_the_derivative_to_the_one_that_is_a_number() -> None:
    for f in (gnp.fmax, gnp.fmin):
        assert [float(s) for s in gn.grad(f, (0, 1))(np.nan, 1.0)] == [0.0, 1.0]
        assert [float(s) for s in gn.grad(f, (0, 1))(1.0, np.nan)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("target", "slope"), [("float32", 1.0), ("float64", 1.0), ("int64", 0.0), ("bool", 0.0)]
)
def test_the_derivative_passes_between_floating_types_only(target: str, slope: float) -> None:
    for own in (np.float32, np.float64):
        x = np.array([1.5, -2.5], own)
        assert gnp.astype(x, target).dtype == target
        got = gn.grad(lambda x: gnp.astype(gnp.astype(x, target), "float64").sum())(x)
        assert got.dtype == own
        np.testing.assert_array_equal(got, [slope, slope])


# Activations: formula in mpmath; at a kink the stated slope.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "selu": lambda x: mpmath.mpf("1.0507009873554805") * (
        x if x > 0 else mpmath.mpf("1.6732632423543772") * mpmath.expm1(x)
    ),
    "softsign": lambda x: x / (1 + abs(x)),
    "relu6": lambda x: min(max(x, 0), 6),
    "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0), 1),
    "hard_tanh": lambda x: min(max(x, -1), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_follows_its_formula_with_a_certified_slope(name: str) -> None:
    f, oracle = getattr(gnp, name), ACTIVATIONS[name]
    x = np.array([-30.0, -8.0, -2.2, -0.4, 0.3, 0.8, 2.6, 7.5, 30.0])
    with mpmath.workdps(60):
        np.testing.assert_allclose(f(x), [float(oracle(mpmath.mpf(t))) for t in x], rtol=1e-13)
        slopes = [float(mpmath.diff(oracle, mpmath.mpf(t), h=1e-20)) for t in x]
    np.testing.assert_allclose(gn.grad(lambda x: f(x).sum())(x), slopes, rtol=1e-12, atol=1e-15)
    assert gn.check_grads(f, x[2:7], tolerance=1e-9).passed
    assert f(x.astype(np.float32)).dtype == np.float32
    assert gn.grad(lambda x: f(x).sum())(x.astype(np.float32)).dtype == np.float32
    assert np.isnan(f(np.nan))


@pytest.mark.parametrize(
    ("name", "kinks"),
    [
        ("elu", {0.0: 1.0}),
        ("selu", {0.0: 1.0507009873554805 * 1.6732632423543772}),
        ("relu6", {0.0: 0.0, 6.0: 0.0}),
        ("hard_sigmoid", {-3.0: 0.0, 3.0: 0.0}),
        ("hard_tanh", {-1.0: 0.0, 1.0: 0.0}),
    ],
)
def test_an_activation_has_the_stated_slope_at_its_kinks(name: str, kinks: dict[float, float]) -> None:
    for x, slope in kinks.items():
        assert float(gn.grad(getattr(gnp, name))(x)) == slope


def test_large_arguments_neither_overflow_nor_spoil_the_slope() -> None:
    for name in ("elu", "selu", "gelu", "silu", "mish", "log_sigmoid", "softsign"):
        for x in (-1e3, 1e3):
            assert np.isfinite(gn.grad(getattr(gnp, name))(x))
    assert float(gn.grad(gnp.hypot)(3e200, 4e200)) == pytest.approx(0.6)
    np.testing.assert_allclose(gn.grad(lambda x: gnp.logaddexp(x, 0.0).sum())(np.array([-1e3, 1e3])), [0, 1])


UFUNCS = [
    *(np.cbrt, np.exp2, np.sinh, np.cosh, np.tan, np.arcsinh, np.arctan, np.deg2rad, np.rad2deg, np.degrees),
    *(np.radians, np.absolute, np.fabs, np.positive, np.reciprocal, np.log2, np.log10, np.floor, np.rint),
    *(np.hypot, np.arctan2, np.logaddexp, np.logaddexp2, np.copysign, np.heaviside, np.fmax, np.fmin, np.mod),
    *(np.fmod, np.floor_divide, np.float_power, np.logical_and, np.isnan, np.signbit, np.divmod),
]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_numpys_function_works_on_a_traced_array(ufunc: np.ufunc) -> None:
    x, y = draw(10, (3,), 0.3, 2.0), draw(11, (3,), 0.3, 2.0)
    inputs = (x, y)[: ufunc.nin]
    seen: list[Any] = []

    def f(*traced: Any) -> Any:
        out = ufunc(*traced)
        seen.extend(out if isinstance(out, tuple) else (out,))
        return (seen[-1] * 1.0).sum()

    gn.grad(f)(*inputs)
    want = ufunc(*inputs)
    for got, expected in zip(seen, want if isinstance(want, tuple) else (want,), strict=True):
        np.testing.assert_allclose(got.value, expected, rtol=1e-14)


def test_operators_on_traced_arrays_are_numpys() -> None:
    x = np.array([-3.5, 1.0, 7.25])

    def f(x: Any) -> Any:
        inside = (x > -5) & ~(x == 1.0) | (x < -9)
        assert inside.value.tolist() == [True, False, True]
        assert (True ^ inside).value.tolist() == [False, True, False]
        np.testing.assert_array_equal((x // 2).value, x.value // 2)
        np.testing.assert_array_equal((9.0 // x).value, 9.0 // x.value)
        np.testing.assert_array_equal((9.0 % x).value, 9.0 % x.value)
        return gnp.where(inside, x % 2.0, 0.0).sum()

    np.testing.assert_array_equal(gn.grad(f)(x), [1, 0, 1])


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (ShapeError, r"hypot got operands of shapes \(2,\) and \(3,\)", lambda: gnp.hypot(X[:2], X[:3])),
        (ShapeError, r"clip got operands of shapes", lambda: gnp.clip(X[:2], X[:3], 1.0)),
        (DTypeError, r"clip got one bound twice", lambda: gnp.clip(X, 0.0, min=1.0)),
        (
            DTypeError,
            r"bitwise_and works on booleans and integers; it got float64",
            lambda: gnp.bitwise_and(X, X),
        ),
        (DTypeError, r"invert works on booleans and integers", lambda: gnp.invert(X)),
        (DTypeError, r"astype got dtype complex128", lambda: gnp.astype(X, complex)),
        (ShapeError, r"polygamma got the order 0.5", lambda: gnp.polygamma(0.5, X)),
        (ShapeError, r"polygamma got the order -1", lambda: gnp.polygamma(-1, X)),
    ],
)
def test_what_does_not_fit_gets_one_sentence(error: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(error, match=sentence):
        call()
