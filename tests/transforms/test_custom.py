"""A user's own op: in every transform, and held to the same checks as those of glassnet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DifferentiationError, ShapeError, VerificationError

X = np.array([-1.5, 0.3, 2.0])

log_cosh = gn.custom(
    lambda x: np.logaddexp(x, -x) - np.log(2.0),
    lambda out, x: gnp.tanh(x),
    reason="cosh overflows where its logarithm does not",
    name="log_cosh",
)
ratio = gn.custom(
    lambda x, y: x / y,
    [lambda out, x, y: 1 / y, lambda out, x, y: -out / y],
    reason="a test of two inputs",
    analytic=True,
)
length = gn.custom(
    lambda x: np.sqrt(np.sum(x * x)),
    lambda out, inputs, tangents: (inputs[0] * tangents[0]).sum() / out,
    reason="one value is kept",
    elementwise=False,
    shape=lambda x: (),
)
solve = gn.custom(
    lambda a, b: np.linalg.solve(a, b),
    lambda out, inputs, tangents: gnp.matmul(
        gnp.linalg.inv(inputs[0]), tangents[1] - gnp.matmul(tangents[0], out)
    ),
    reason="LAPACK solves it",
    elementwise=False,
    shape=lambda a, b: b,
)
A = np.array([[3.0, 1.0, 0.5], [0.2, 2.0, -0.3], [0.1, 0.4, 4.0]])


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        (log_cosh, (X,)),
        (log_cosh, (np.array(700.0),)),
        (ratio, (X, X[::-1] + 5)),
        (length, (X,)),
        (solve, (A, X)),
    ],
)
def test_a_custom_op_passes_the_same_checks(op: Any, inputs: Any) -> None:
    report = gn.check_grads(op, *inputs, order=3)
    assert report.largest_error < 1e-9


def test_it_broadcasts_takes_integers_and_batches() -> None:
    np.testing.assert_allclose(ratio(np.array([[1], [2]]), np.array([1, 2])), [[1, 0.5], [2, 1]])
    np.testing.assert_allclose(gn.vmap(gn.grad(length))(np.stack([X, -X])), [X / length(X), -X / length(X)])
    got = gn.vmap(solve, in_axes=(None, 0))(A, np.stack([X, 2 * X]))
    np.testing.assert_allclose(got, [np.linalg.solve(A, X), 2 * np.linalg.solve(A, X)], rtol=1e-14)
    np.testing.assert_allclose(gn.vmap(gn.grad(log_cosh))(X), np.tanh(X), rtol=1e-14)
    last, _ = gn.scan(lambda c, x: (c + log_cosh(x), None), 0.0, X)
    np.testing.assert_allclose(last, log_cosh(X).sum())


def test_a_wrong_derivative_is_found_and_its_input_named() -> None:
    wrong = gn.custom(
        lambda x, y: x * y, [lambda out, x, y: y, lambda out, x, y: x * (1 + 1e-6)], reason="a test"
    )
    with pytest.raises(
        VerificationError, match=r"WRONG order 1  forward mode, output 0, input 1.*expected"
    ) as caught:
        gn.check_grads(wrong, X, X + 1)
    assert "input 0" not in str(caught.value)


def test_a_differential_that_uses_its_own_op_on_a_tangent_says_so() -> None:
    double = gn.custom(
        lambda x: 2 * x,
        lambda out, inputs, tangents: double(tangents[0]),
        reason="a test",
        elementwise=False,
        shape=lambda x: x,
        name="double",
    )
    with pytest.raises(DifferentiationError, match="differential of double applies double to a tangent"):
        gn.grad(lambda x: double(x).sum())(X)


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (ConfigurationError, "needs a reason", lambda: gn.custom(np.tanh, lambda out, x: 1.0, reason=" ")),
        (
            ConfigurationError,
            "one total differential",
            lambda: gn.custom(np.sum, [gnp.sin], reason="a test", elementwise=False),
        ),
        (
            ShapeError,
            "custom op total is used where shapes alone are known.*shape=",
            lambda: gn.vmap(
                gn.custom(np.sum, lambda out, x, t: t[0].sum(), reason="t", elementwise=False, name="total")
            )(A),
        ),
        (ShapeError, "the batch has none", lambda: gn.vmap(length)(np.zeros((0, 3)))),
    ],
)
def test_a_misuse_gets_one_sentence(error: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(error, match=sentence):
        call()


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (
            ConfigurationError,
            "1 partial derivatives for 2 inputs",
            lambda: gn.custom(lambda a, b: a * b, lambda out, a, b: b, reason="r")(1.0, 2.0),
        ),
        (
            ShapeError,
            r"declared elementwise, but its value has shape \(\)",
            lambda: gn.custom(lambda a: np.sum(a), lambda out, a: 1.0, reason="r")(np.ones(3)),
        ),
        (
            ShapeError,
            r"has shape \(\), but its rule says \(3,\)",
            lambda: whole(lambda a, d: d.sum(), lambda shape: shape)(np.ones(3)),
        ),
        (
            ShapeError,
            r"differential of custom has shape \(3,\); that of its value is \(\)",
            lambda: gn.grad(whole(lambda a, d: a * d))(np.ones(3)),
        ),
        (
            DifferentiationError,
            "not linear in its tangents",
            lambda: gn.grad(whole(lambda a, d: (d * d).sum()))(np.ones(3)),
        ),
        (
            ConfigurationError,
            "needs a reason",
            lambda: gn.custom(np.sin, gnp.cos, reason=None),  # type: ignore[arg-type]
        ),
    ],
)
def test_a_mistake_in_an_op_of_ones_own_gets_one_sentence(error: Any, sentence: str, call: Any) -> None:
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def whole(differential: Any, shape: Any = lambda shape: ()) -> Any:
    return gn.custom(
        lambda a: np.sum(a * a),
        lambda out, inputs, tangents: differential(inputs[0], tangents[0]),
        reason="a mistake",
        elementwise=False,
        shape=shape,
    )
