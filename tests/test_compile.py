"""gn.compile: the same numbers, one trace for each form of the arguments, and clear refusals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import execute
from glassnet.errors import ConcretizationError, ConfigurationError, DTypeError, UncompilableError
from glassnet.execute import FallbackWarning

W = np.linspace(-1.0, 1.0, 12).reshape(4, 3)
X = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "_said", set())


def network(w: Any, x: Any) -> Any:
    return {"y": gnp.tanh(gnp.matmul(w, x)), "loss": gnp.sum(gnp.square(gnp.tanh(gnp.matmul(w, x))))}


@pytest.mark.parametrize("engine", ["compiled", "interpreter", "auto"])
def test_a_compiled_function_gives_the_same_numbers(engine: str) -> None:
    got, expected = gn.compile(network, engine)(W, X), network(W, X)
    np.testing.assert_allclose(got["y"], expected["y"], rtol=1e-14)
    np.testing.assert_allclose(got["loss"], expected["loss"], rtol=1e-14)
    slope = gn.compile(gn.grad(lambda w, x: network(w, x)["loss"]), engine)
    np.testing.assert_allclose(slope(W, x=X), gn.grad(lambda w: network(w, X)["loss"])(W), rtol=1e-13)


def test_the_function_is_traced_once_for_each_form_of_its_arguments() -> None:
    traced: list[Any] = []

    def f(x: Any) -> Any:
        leaf = x["a"] if isinstance(x, dict) else x
        traced.append((leaf.shape, str(leaf.dtype)))
        return leaf * 2.0

    compiled = gn.compile(f)
    for x in (X, X + 1, X.astype(np.float32), X[:2], {"a": X}, X):
        np.testing.assert_array_equal(compiled(x), (x["a"] if isinstance(x, dict) else x) * 2)
    assert traced == [((3,), "float64"), ((3,), "float32"), ((2,), "float64"), ((3,), "float64")]


def test_what_is_not_compiled_is_interpreted_and_said_once() -> None:
    compiled = gn.compile(gnp.sort)
    reason = "The interpreter runs this function: argsort is not compiled"
    with pytest.warns(FallbackWarning, match=reason) as said:
        np.testing.assert_array_equal(compiled(X), [-1.0, 0.5, 2.0])
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(X)
        gn.compile(gnp.sort)(X)
    with pytest.raises(UncompilableError, match="argsort"):
        gn.compile(gnp.sort, "compiled")(X)


def test_a_compiled_function_can_be_differentiated_and_batched() -> None:
    compiled = gn.compile(lambda x: gnp.sum(gnp.sin(x) * x))
    np.testing.assert_allclose(gn.grad(compiled)(X), np.sin(X) + X * np.cos(X), rtol=1e-14)
    np.testing.assert_allclose(gn.vmap(compiled)(W), (np.sin(W) * W).sum(axis=1), rtol=1e-14)


def test_asking_for_a_value_names_the_line_of_the_user() -> None:
    @gn.compile
    def f(x: Any) -> Any:
        y = x * 2.0
        if y.sum() > 0:
            return y
        return x

    with pytest.raises(
        ConcretizationError, match=r"known \(line \d+ of .*: if y\.sum\(\) > 0:\); inside .*where"
    ):
        f(X)


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (ConfigurationError, "engine='fast' is not one of", lambda: gn.compile(abs, "fast")),
        (
            DTypeError,
            "takes numbers; it got str.*functools.partial",
            lambda: gn.compile(lambda x, s: x)(X, "a"),
        ),
    ],
)
def test_a_misuse_gets_one_sentence(error: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(error, match=sentence):
        call()
