"""What a traced array does, and the sentence that each misuse gets."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.dtype import floating
from glassnet.core.trace import Array, placeholder, tracing, variable
from glassnet.errors import (
    ConcretizationError,
    DifferentiationError,
    DTypeError,
    GlassnetError,
    LeakError,
    ShapeError,
)

X = np.array([0.5, -1.5, 2.0])


def slope_of_sum(f: Any, x: np.ndarray = X) -> np.ndarray:
    return gn.grad(lambda x: gnp.sum(f(x)))(x)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: 2 + x - 1, 1.0),
        (lambda x: 1 - x, -1.0),
        (lambda x: 3 * x / 2, 1.5),
        (lambda x: 1 / (x * x), -2 / X**3),
        (lambda x: -x + +x, 0.0),
        (lambda x: x**2, 2 * X),
        (lambda x: 2.0**x, np.log(2) * 2**X),
        (abs, np.sign(X)),
        (lambda x: np.ones((2, 3)) @ x, 2.0),
        (lambda x: x @ np.ones((3, 2)), 2.0),
        (lambda x: x.reshape(3, 1).T * x, 2 * X),
        (lambda x: x[::-1][0] * x[0], [2.0, 0.0, 0.5]),
        (lambda x: np.float64(2.0) * x, 2.0),
        (lambda x: X * x, X),
    ],
)
def test_an_operator_is_the_op_of_its_name(f: Any, expected: Any) -> None:
    np.testing.assert_allclose(slope_of_sum(f), np.broadcast_to(expected, (3,)), rtol=1e-14)


@pytest.mark.parametrize(
    ("ufunc", "name"),
    [
        (np.tanh, "tanh"),
        (np.exp, "exp"),
        (np.absolute, "abs"),
        (np.true_divide, "divide"),
        (np.maximum, "maximum"),
    ],
)
def test_numpys_own_functions_work_on_traced_arrays(ufunc: np.ufunc, name: str) -> None:
    others = (X + 1,) * (ufunc.nin - 1)
    ours = getattr(gnp, name)
    np.testing.assert_array_equal(
        slope_of_sum(lambda x: ufunc(x, *others)), slope_of_sum(lambda x: ours(x, *others))
    )


@pytest.mark.parametrize("call", [lambda x: np.add.reduce(x), lambda x: np.nextafter(x, x)])
def test_a_numpy_function_that_is_no_op_says_so(call: Any) -> None:
    with pytest.raises(DTypeError, match=r"does not work on a traced array.*glassnet\.numpy"):
        slope_of_sum(call)


def stored(x: Any) -> Any:
    out = np.zeros(3)
    out[0] = x[0]
    return out.sum()


def added_in_place(x: Any) -> Any:
    out = np.zeros(3)
    out += x
    return out.sum()


@pytest.mark.parametrize(
    "f",
    [
        lambda np, x: np.sum(x * x),
        lambda np, x: np.mean(x, axis=0, keepdims=True)[0],
        lambda np, x: np.concatenate([x, 2 * x])[4] + np.stack([x, x], axis=1)[2, 0],
        lambda np, x: np.where(x > 0, x, -x).sum(),
        lambda np, x: np.dot(x, x) + np.max(x) - np.clip(x, -1.0, 1.0).sum(),
        lambda np, x: np.linalg.norm(x) * np.reshape(x, (3, 1))[1, 0],
    ],
)
def test_numpys_functions_of_arrays_are_ours_of_the_same_name(f: Any) -> None:
    np.testing.assert_allclose(gn.grad(lambda x: f(np, x))(X), gn.grad(lambda x: f(gnp, x))(X), rtol=1e-15)


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        (r"numpy\.percentile .*has no 'percentile'; the nearest is sort", lambda x: np.percentile(x, 3)),
        (r"numpy\.fft\.fft does not work on a traced array", lambda x: np.fft.fft(x)),
        (r"numpy\.sum .*in this form.*keyword argument 'out'", lambda x: np.sum(x, out=np.zeros(()))),
        (
            r"numpy\.add\.reduce .*glassnet\.numpy\.add\(\.\.\.\) gives a new array",
            lambda x: np.add.reduce(x),
        ),
        (r"numpy\.add\(\.\.\., out=\.\.\.\) does not work", added_in_place),
        (r"asked for the numbers of a traced array \(line .*stack\(", lambda x: np.array([x[0], x[1]])),
    ],
)
def test_a_numpy_function_that_cannot_work_names_what_can(sentence: str, call: Any) -> None:
    with pytest.raises(DTypeError, match=sentence) as caught:
        slope_of_sum(call)
    assert "\n" not in str(caught.value)


def test_storing_into_a_numpy_array_does_not_lose_the_derivative_in_silence() -> None:
    with pytest.raises(DTypeError) as caught:
        gn.grad(stored)(X)
    assert "out[0] = x[0]); build the array of traced values with stack([...])" in str(caught.value)


def test_a_function_that_is_not_there_is_named_with_the_nearest() -> None:
    for name, nearest in {"arcsn": "arcsin", "percentile": "sort", "vectorize": "glassnet.vmap"}.items():
        with pytest.raises(AttributeError, match=f"glassnet.numpy has no '{name}'; the nearest is {nearest}"):
            getattr(gnp, name)
    with pytest.raises(AttributeError, match=r"has no 'zzz'; dir\(glassnet.numpy\) lists"):
        gnp.zzz  # noqa: B018


def test_a_traced_array_that_leaks_out_of_its_transform_says_so() -> None:
    kept: list[Any] = []

    def keep(x: Any) -> Any:
        kept.append(x)
        return x.sum()

    gn.grad(keep)(X)
    with pytest.raises(LeakError, match=r"after its transform had ended \(line \d+ of .*kept\[0\] \+ 1"):
        kept[0] + 1
    gn.vmap(keep)(X[None])
    with pytest.raises(LeakError, match="whose transform had ended"):
        gn.grad(lambda z: (kept[1] * z).sum())(1.0)


def test_python_if_and_loops_on_values_are_followed() -> None:
    def f(x: Any) -> Any:
        while x < 100:
            x = x * x if x > 1 else 3 * x
        return x

    # 0.5 -> 1.5 -> 1.5^2 -> ... -> 1.5^16 = 656.8...: f = (3x)^16 there.
    assert gn.grad(f)(0.5) == pytest.approx(16 * 3 * 1.5**15, rel=1e-14)


def test_a_python_number_takes_the_dtype_beside_it() -> None:
    x = X.astype(np.float32)
    assert gn.grad(lambda x: (2 * x + 1.5).sum())(x).dtype == np.float32
    assert gn.grad(lambda x: (np.float64(2.0) * x).sum())(X).dtype == np.float64
    with tracing():
        assert placeholder((3,), x.dtype).__mul__(2.5).dtype == np.float32
        assert placeholder((3,), np.dtype(np.int64)).__mul__(2.5).dtype == np.float64


def test_a_traced_array_answers_what_numpy_users_ask() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.extend([x.shape, x.ndim, x.size, x.dtype, len(x), float(x[0]), int(x[2]), x[1].item()])
        seen.append([bool(c) for c in (x > 0, x >= 0, x < 0, x <= 0, x == 0, x != 0) for c in [c[0]]])
        return sum(x[1:])

    np.testing.assert_array_equal(gn.grad(f)(X), [0.0, 1.0, 1.0])
    assert seen == [(3,), 1, 3, np.float64, 3, 0.5, 2, -1.5, [True, True, False, False, False, True]]


def test_results_are_arrays_of_their_own() -> None:
    x = np.ones(3)
    first, second = gn.grad(lambda a, b: (a + b).sum(), wrt=(0, 1))(x, x)
    first += 1.0
    np.testing.assert_array_equal(second, np.ones(3))
    value, _ = gn.jvp(lambda x: x, (x,), (x,))
    value += 1.0
    np.testing.assert_array_equal(x, np.ones(3))


def twice(x: Any, y: Any) -> Any:
    return gn.grad(lambda x, y: (x * y).sum(), wrt=(0, "x"))(x, y)


def test_copies_keep_the_derivative_and_numbers_taken_out_on_purpose_are_fixed() -> None:
    assert float(gn.grad(lambda x: copy.deepcopy({"x": x})["x"] * copy.copy(x))(3.0)) == 6.0
    assert float(gn.grad(lambda x: x * math.sin(float(x)))(1.0)) == math.sin(1.0)
    assert gn.grad(lambda x, n: sum(x for _ in range(n)))(2.0, 3) == 3.0


def assign(x: Any) -> Any:
    x[0] = 1.0
    return x.sum()


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (DTypeError, r"cannot be assigned to in place.*where", lambda: gn.grad(assign)(X)),
        (
            ConcretizationError,
            r"only the shape \[\] is known \(line \d+ of .*test_tracing.py: .*where\(condition",
            lambda: gn.vmap(lambda x: x * 2 if x > 0 else x)(X),
        ),
        (
            DTypeError,
            r"argument 0 holds int64 values.*3\.0 instead of 3",
            lambda: gn.grad(lambda x: x * x)(3),
        ),
        (DTypeError, r"argument 'x' holds bool", lambda: gn.grad(lambda x: x * x, wrt="x")(np.array(True))),
        (DTypeError, r"complex values.*real functions", lambda: gn.grad(lambda x: x * x)(1j)),
        (DTypeError, r"computes with numbers; it got str", lambda: gn.grad(lambda x: x * "a")(1.0)),
        (
            DifferentiationError,
            r"needs a scalar.*shape \(3,\).*jacobian",
            lambda: gn.grad(lambda x: x * x)(X),
        ),
        (DifferentiationError, r"returned 2 arrays", lambda: gn.grad(lambda x: (x, x))(1.0)),
        (DifferentiationError, r"wrt=2 .* 1 positional", lambda: gn.grad(lambda x: x, wrt=2)(1.0)),
        (DifferentiationError, r"wrt='w' names no argument", lambda: gn.grad(lambda x: x, wrt="w")(1.0)),
        (
            DifferentiationError,
            r"called without its argument 'b'",
            lambda: gn.grad(lambda x, b=2.0: x * b, wrt="b")(1.0),
        ),
        (ShapeError, r"scalar has no length", lambda: gn.grad(lambda x: x * len(x))(1.0)),
        (ShapeError, r"index \(7,\) does not fit the shape \(3,\)", lambda: gn.grad(lambda x: x[7])(X)),
        (
            DTypeError,
            r"An index takes whole numbers.*it got list of dtype float64",
            lambda: gn.grad(lambda x: x[[0.5, 1.0]].sum())(X),
        ),
        (ShapeError, r"tangent of shape \(2,\)", lambda: gn.jvp(lambda x: x, (X,), (X[:2],))),
        (ShapeError, r"0 tangents were given for 1 primals", lambda: gn.jvp(lambda x: x, (X,), ())),
        (ShapeError, r"cotangent of shape \(2,\)", lambda: gn.vjp(lambda x: x, X)[1](X[:2])),
        (ShapeError, r"one batch size.*\[2, 3\]", lambda: gn.vmap(lambda x, y: x + y)(X, X[:2])),
        (ShapeError, r"one batch size.*none", lambda: gn.vmap(lambda x: x, in_axes=None)(X)),
        (ShapeError, r"2 arguments and in_axes for 1", lambda: gn.vmap(lambda x, y: x, in_axes=(0,))(X, X)),
        (ShapeError, r"axis 1 for an array of shape \(3,\)", lambda: gn.vmap(lambda x: x, in_axes=1)(X)),
        (DifferentiationError, r"wrt=\(0, 'x'\) names one argument twice", lambda: twice(X, X)),
        (
            DifferentiationError,
            r"wrt takes a position, a name.*it got \[0\]",
            lambda: gn.grad(lambda x: x, wrt=[0])(1.0),  # type: ignore[arg-type]
        ),
        (
            DifferentiationError,
            r"wrt='x' names no argument of max; its arguments are none",
            lambda: gn.grad(max, wrt="x")(1.0, 2.0),
        ),
        (DifferentiationError, r"returned bool, which is piecewise", lambda: gn.grad(lambda x: x > 0)(1.0)),
        (
            DifferentiationError,
            r"hvp takes its primals .* as tuples",
            lambda: gn.hvp(sum, X, X),
        ),
        (DTypeError, r"tangent holds real numbers", lambda: gn.jvp(gnp.sin, (1.0,), (1j,))),
        (
            ShapeError,
            r"tangent is a tree of another structure",
            lambda: gn.jvp(lambda p: p["a"], ({"a": 1.0},), ({"b": 1.0},)),
        ),
        (ShapeError, r"out_axes=5 .* shape \(3,\)", lambda: gn.vmap(lambda x: x, out_axes=5)(X)),
        (ShapeError, r"in_axes of vmap holds axes.*'a'", lambda: gn.vmap(lambda x: x, in_axes="a")(X)),
        (
            ShapeError,
            r"one of 4.*test_tracing.py: .*einsum",
            lambda: gn.grad(lambda x: gnp.einsum("i,ij->j", x, np.ones((4, 2))).sum())(X),
        ),
        (
            ShapeError,
            r"stack needs arrays of one shape.*test_tracing.py: .*stack",
            lambda: gn.grad(lambda x: gnp.stack([x, x[:2]]).sum())(X),
        ),
        (
            DTypeError,
            r"plain numbers was called.*test_tracing.py: .*math\.sin.*glassnet\.numpy",
            lambda: gn.grad(lambda x: math.sin(x))(1.0),
        ),
        (
            ConcretizationError,
            r"only the shape \[\] is known \(line .*test_tracing.py: .*range\(n\)",
            lambda: gn.compile(lambda x, n: [x for _ in range(n)])(1.0, 2),
        ),
        (DTypeError, r"whole number is needed.*float64\[\]", lambda: gn.grad(lambda x: x * range(x)[0])(1.0)),
        (DTypeError, r'got dtype "?\'?float16', lambda: floating("float16", "Network")),
    ],
)
def test_a_misuse_gets_one_sentence(error: type[GlassnetError], sentence: str, call: Any) -> None:
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "`if`."))


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_shapes_that_do_not_fit_name_both_and_the_users_line(traced: bool, known: bool) -> None:
    def product(w: Any, x: Any) -> Any:
        return gnp.matmul(w, x)

    def total(w: Any, x: Any) -> Any:
        return gnp.add(w, x)

    for f, line in ((product, "return gnp.matmul(w, x)"), (total, "return gnp.add(w, x)")):
        w: Any = np.ones((3, 4))
        if traced:
            w = variable(w) if known else placeholder((3, 4), w.dtype)
        with tracing(), pytest.raises(ShapeError, match=r"\(3, 4\) and \(5,\)") as caught:
            f(w, np.ones(5))
        assert __file__ in str(caught.value)
        assert str(caught.value).endswith(f"{line}).")


def test_the_array_class_is_not_hashable_for_equality_is_elementwise() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(placeholder((), np.dtype(np.float64)))
    with tracing():
        assert isinstance(placeholder((2,), np.dtype(np.float64)) == 1.0, Array)
