"""The functions of glassnet.numpy: NumPy's names give NumPy's values, and ours say what does not fit."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import GlassnetError, ShapeError

A = np.linspace(-1.0, 2.0, 24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("left", "right"),
    [((4,), (4,)), ((3, 4), (4,)), ((3,), (3, 4)), ((3, 4), (4, 2)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (4,)),
     ((4,), (2, 4, 3)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((0, 3), (3, 2)), ((2, 0), (0, 3))],
)  # fmt: skip
def test_matmul_follows_numpy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    x = np.arange(np.prod(left), dtype=float).reshape(left) - 2
    y = np.arange(np.prod(right), dtype=float).reshape(right) - 3
    np.testing.assert_allclose(gnp.matmul(x, y), np.matmul(x, y), rtol=1e-14)


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda: gnp.sum(A, axis=(0, -1)), lambda: np.sum(A, axis=(0, -1))),
        (lambda: gnp.sum(A, keepdims=True), lambda: np.sum(A, keepdims=True)),
        (lambda: gnp.mean(A, axis=1), lambda: np.mean(A, axis=1)),
        (lambda: gnp.logsumexp(A, axis=-1), lambda: np.log(np.sum(np.exp(A), axis=-1))),
        (lambda: gnp.reshape(A, (4, -1)), lambda: np.reshape(A, (4, -1))),
        (lambda: gnp.reshape(A, 24), lambda: np.reshape(A, 24)),
        (lambda: gnp.transpose(A), lambda: np.transpose(A)),
        (lambda: gnp.transpose(A, (1, -1, 0)), lambda: np.transpose(A, (1, -1, 0))),
        (lambda: gnp.concatenate([A, A], axis=-1), lambda: np.concatenate([A, A], axis=-1)),
        (lambda: gnp.stack([A, A], axis=1), lambda: np.stack([A, A], axis=1)),
        (lambda: gnp.stack([A, A], axis=-1), lambda: np.stack([A, A], axis=-1)),
        (lambda: gnp.expand_dims(A, -2), lambda: np.expand_dims(A, -2)),
        (lambda: gnp.outer(A[0, 0], A[1, 0]), lambda: np.outer(A[0, 0], A[1, 0])),
        (lambda: gnp.contract(A, A, "bij,bkj->bik"), lambda: np.einsum("bij,bkj->bik", A, A)),
    ],
)
def test_a_function_of_numpys_name_has_numpys_value(ours: Any, numpys: Any) -> None:
    np.testing.assert_allclose(ours(), numpys(), rtol=1e-14)


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("at least one dimension", lambda: gnp.matmul(2.0, A)),
        (
            r"shapes \(2, 3, 4\) and \(3, 4, 2\) pairs an axis of 2 with one of 3",
            lambda: gnp.matmul(A, A.reshape(3, 4, 2)),
        ),
        (r"repeats a label", lambda: gnp.contract(A[0], A[0], "ii,ij->j")),
        (r"keep or pair every label", lambda: gnp.contract(A[0], A[0], "ij,ik->k")),
        (
            r"does not fit arrays of shapes \(3, 4\) and \(4,\)",
            lambda: gnp.contract(A[0], A[0, 0], "ij,jk->ik"),
        ),
        (r"reshape cannot turn shape \(2, 3, 4\) into \(5, 5\)", lambda: gnp.reshape(A, (5, 5))),
        (r"reshape cannot turn shape \(2, 3, 4\) into \(5, -1\)", lambda: gnp.reshape(A, (5, -1))),
        (r"axes \(0, 0, 1\) for an array of 3", lambda: gnp.transpose(A, (0, 0, 1))),
        (r"sum got axis 3 for an array of 3", lambda: gnp.sum(A, axis=3)),
        (r"same axis twice: \(1, -2\)", lambda: gnp.sum(A, axis=(1, -2))),
        (r"broadcast_to cannot spread shape \(3,\) over \(1,\)", lambda: gnp.broadcast_to(A[0, :, 0], (1,))),
        (r"concatenate got shapes \(2, 3, 4\) and \(3, 4\)", lambda: gnp.concatenate([A, A[0]])),
        (r"got \(3, 4\) and \(4,\)", lambda: gnp.softmax_cross_entropy(A[0], A[0, 0])),
        (r"axis of 3 with one of 4", lambda: gnp.contract(A, A.reshape(2, 4, 3), "bij,bij->b")),
    ],
)
def test_what_does_not_fit_gets_one_sentence(sentence: str, call: Any) -> None:
    with pytest.raises(ShapeError, match=sentence):
        call()


# Value and slope against sixty digits of mpmath, in the middle and in the tails.
ORACLES: dict[str, tuple[Any, list[float]]] = {
    "exp": (mpmath.exp, [-700.0, -1e-9, 0.3, 700.0]),
    "expm1": (mpmath.expm1, [-40.0, -1e-12, 1e-9, 5.0]),
    "log": (mpmath.log, [1e-300, 0.999, 1e300]),
    "log1p": (mpmath.log1p, [-0.999, -1e-12, 1e-15, 1e9]),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), [-700.0, -40.0, 0.0, 1.5]),
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), [-700.0, -40.0, 0.0, 1.5, 800.0]),
    "tanh": (mpmath.tanh, [-3.0, 1e-12, 0.5]),
    "sin": (mpmath.sin, [-2.0, 1e-9, 3.0]),
    "cos": (mpmath.cos, [-2.0, 1e-9, 3.0]),
    "sqrt": (mpmath.sqrt, [1e-300, 2.0, 1e300]),
}


@pytest.mark.parametrize("name", ORACLES)
def test_values_and_slopes_keep_their_digits_in_the_tails(name: str) -> None:
    oracle, points = ORACLES[name]
    f = getattr(gnp, name)
    with mpmath.workdps(60):
        for x in points:
            value, slope = gn.value_and_grad(lambda x: f(x))(x)
            assert float(value) == pytest.approx(float(oracle(mpmath.mpf(x))), rel=1e-14)
            exact = mpmath.diff(oracle, mpmath.mpf(x), h=mpmath.mpf(abs(x) or 1.0) * mpmath.mpf(10) ** -10)
            assert float(slope) == pytest.approx(float(exact), rel=1e-13)


def test_extreme_logits_neither_overflow_nor_lose_the_loss() -> None:
    z = np.array([1000.0, 0.0, -1000.0])
    np.testing.assert_allclose(gnp.softmax(z), [1, 0, 0])
    assert gnp.softmax_cross_entropy(z, np.array([0.0, 1.0, 0.0])) == 1000.0
    assert gnp.sigmoid_cross_entropy(-1000.0, 1.0) == 1000.0


def test_a_nan_stays_a_nan() -> None:
    assert np.isnan(gnp.relu(np.nan))
    assert np.isnan(gnp.sigmoid(np.nan))
    assert np.isnan(gnp.maximum(np.nan, 1.0))


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: m.sum(x, 0, dtype="float64"),
        lambda m, x: m.sum(x, axis=1, where=x > 0, initial=2.0),
        lambda m, x: m.prod(x, axis=2, where=x > 0, initial=3.0),
        lambda m, x: m.mean(x, 0, where=x > -0.5),
        lambda m, x: m.mean(x, dtype="float64"),
        lambda m, x: m.max(x, 1, where=x < 1, initial=-9.0),
        lambda m, x: m.min(x, 1, keepdims=True, where=x > 1, initial=9.0),
        lambda m, x: m.var(x, correction=1),
        lambda m, x: m.std(x, 0, correction=1),
        lambda m, x: m.cumsum(x, 0, "float64"),
        lambda m, x: m.cumprod(x, 0, dtype="float64"),
        lambda m, x: m.sort(x, 0, kind="stable"),
        lambda m, x: m.argsort(x, stable=True),
        lambda m, x: m.einsum("abc,abc->a", x, x, optimize=False),
        lambda m, x: m.sum(x, np.int64(1)),
        lambda m, x: m.round(m.linspace(0, 1, 5, dtype="float32"), 1),
        lambda m, x: m.float_power([1, 2], [0.5, 2]),
        lambda m, x: m.rad2deg([1.0, 2.0]),
        lambda m, x: x[m.newaxis].astype(m.float32),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpys_options_are_taken(call: Any, dtype: str) -> None:
    x = A.astype(dtype)
    got, want = call(gnp, x), call(np, x)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_the_options_of_a_reduction_carry_the_gradient() -> None:
    mask = A[0] > 0
    np.testing.assert_array_equal(gn.grad(lambda x: gnp.sum(x, where=mask))(A[0]), mask * 1.0)
    np.testing.assert_allclose(gn.grad(lambda x: gnp.mean(x, where=mask))(A[0]), mask / mask.sum())
    report = gn.check_grads(lambda x, i: gnp.prod(x, 1, where=mask, initial=i), A[0], 1.5)
    assert report.largest_error < 1e-11
    first = gn.grad(lambda x, i: gnp.max(x, initial=i), (0, 1))(np.array([1.0, 3.0]), 3.0)
    assert [np.asarray(slope).tolist() for slope in first] == [[0.0, 0.0], 1.0]
    assert float(gnp.max(np.zeros(0), initial=-1.0)) == -1.0


def test_softmax_runs_along_any_axis() -> None:
    y = gnp.softmax(A, axis=1)
    np.testing.assert_allclose(y.sum(axis=1), np.ones((2, 4)), rtol=1e-15)
    np.testing.assert_allclose(gnp.softmax(A, 0)[:, 1, 2], gnp.softmax(A[:, 1, 2]), rtol=1e-15)
    assert gn.check_grads(lambda x: gnp.softmax(x, axis=0), A[0]).largest_error < 1e-9


def test_a_constant_power_has_slope_0_at_0() -> None:
    slope = gn.grad(lambda x: x**0.0)
    assert float(slope(0.0)) == 0.0
    third = gn.grad(gn.grad(gn.grad(lambda x: x**2)))
    assert float(third(0.0)) == float(third(1.5)) == 0.0
    batched = gn.vmap(gn.grad(lambda x, n: x**n), (None, 0))(0.0, np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(batched, [0.0, 1.0, 0.0])


def test_a_product_with_two_zeros_passes_the_verifier() -> None:
    assert gn.check_grads(gnp.prod, np.array([0.0, 0.0, 3.0])).passed


def test_a_traced_array_has_numpys_methods() -> None:
    for call in (
        lambda x: x.clip(-0.5, 0.5), lambda x: x.swapaxes(0, 1), lambda x: x.repeat(2, 1), lambda x: x.mT,
        lambda x: x.trace(), lambda x: x.diagonal(1), lambda x: x.copy(), lambda x: x.round(1),
        lambda x: divmod(x, 2.0)[1], lambda x: divmod(2.0, x + 9.0)[1], lambda x: np.amax(x, 0),
        lambda x: np.around(x, 1),
    ):  # fmt: skip
        # jvp gives the value beside the slope.
        value, _ = gn.jvp(call, (A[0],), (A[0],))
        np.testing.assert_allclose(value, call(A[0]), rtol=1e-15)
    assert gn.grad(lambda x: x * round(x))(1.75) == 2.0


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        (r"^exp takes \(x\): too many positional arguments", lambda: gnp.exp(A, A)),
        (r"^exp takes \(x\): missing a required argument: 'x'", lambda: gnp.exp()),
        (r"^add takes \(x, y\): missing a required argument: 'y'", lambda: gnp.add(A)),
        (r"^sum got axis='a'; an axis is a whole number\.$", lambda: gnp.sum(A, "a")),
        (r"^arange got step=0", lambda: gnp.arange(0, 1, 0)),
        (r"^max with `where` needs `initial`", lambda: gnp.max(A, where=A > 0)),
        (r"has no attribute 'sort': the function is glassnet\.numpy\.sort", lambda: gn.grad(_sorted)(A)),
        (r"has no attribute 'flat': .* the nearest is ravel\.$", lambda: gn.grad(lambda x: x.flat)(A)),
        (r"no 'isclose'; the nearest is abs\(x - y\) < tolerance", lambda: gnp.isclose),
        (r"no 'diff'; the nearest is x\[1:\] - x\[:-1\]\.", lambda: gnp.diff),
    ],
)
def test_a_misuse_is_answered_in_one_sentence(sentence: str, call: Any) -> None:
    with pytest.raises((GlassnetError, AttributeError), match=sentence):
        call()


def _sorted(x: Any) -> Any:
    return x.sort().sum()
