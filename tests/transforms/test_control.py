"""scan, while_loop, cond and checkpoint against Python's own loops, in every mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.graph import ancestors
from glassnet.core.registry import OPS
from glassnet.errors import ConcretizationError, DifferentiationError, ShapeError

W = np.array([[0.3, -0.2, 0.1], [0.5, 0.4, -0.6], [-0.1, 0.2, 0.7]])
X = np.linspace(-1.0, 1.0, 15).reshape(5, 3)
H = np.array([0.1, -0.2, 0.3])


def close(got: Any, expected: Any, rtol: float = 1e-13) -> None:
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-14)


def scanned(w: Any, x: Any, h: Any) -> Any:
    def body(carry: Any, row: Any) -> Any:
        h, count = carry["h"], carry["count"]
        h = gnp.tanh(gnp.matmul(w, h) + row)  # w is closed over
        return {"h": h, "count": count + 1}, (h * h, None)

    last, (squares, _) = gn.scan(body, {"h": h, "count": 0}, x)
    return squares.sum() + last["h"].sum() * last["count"]


def looped(w: Any, x: Any, h: Any) -> Any:
    total, count = 0.0, 0
    for t in range(5):
        h = gnp.tanh(gnp.matmul(w, h) + x[t])
        total, count = total + (h * h).sum(), count + 1
    return total + h.sum() * count


def test_a_scan_is_a_loop() -> None:
    close(scanned(W, X, H), looped(W, X, H))
    last, ys = gn.scan(lambda c, x: (c + x, c), np.float32(1.0), np.arange(3, dtype=np.float32))
    assert (last.dtype, ys.dtype) == (np.float32, np.float32)
    close(ys, [1, 1, 2])


@pytest.mark.parametrize("wrt", [0, 1, 2])
def test_all_modes_and_orders_go_through_a_scan(wrt: int) -> None:
    close(gn.grad(scanned, wrt)(W, X, H), gn.grad(looped, wrt)(W, X, H))
    close(gn.jacobian(scanned, wrt, "forward")(W, X, H), gn.grad(looped, wrt)(W, X, H))
    expected = gn.hessian(looped, wrt)(W, X, H)
    close(gn.hessian(scanned, wrt)(W, X, H), expected)
    close(gn.jacobian(gn.grad(scanned, wrt), wrt, "reverse")(W, X, H), expected)


def test_a_scan_passes_the_verifier_to_the_third_order() -> None:
    assert gn.check_grads(scanned, W, X, H, order=3).largest_error < 1e-10


@pytest.mark.parametrize("axes", [(None, 0, None), (0, None, None), (None, None, 0), (0, 0, 0)])
def test_a_scan_of_every_example(axes: Any) -> None:
    batches = [
        np.stack([v, 0.5 * v, -v]) if axis == 0 else v for v, axis in zip((W, X, H), axes, strict=True)
    ]
    got = gn.vmap(gn.grad(scanned, (0, 1, 2)), in_axes=axes)(*batches)
    for i in range(3):
        one = [v[i] if axis == 0 else v for v, axis in zip(batches, axes, strict=True)]
        for batched, expected in zip(got, gn.grad(looped, (0, 1, 2))(*one), strict=True):
            close(batched[i], expected)


def test_a_scan_backwards_keeps_outputs_beside_their_rows() -> None:
    def suffix_sums(x: Any) -> Any:
        return gn.scan(lambda c, x: (c + x, c + x), 0.0, x, reverse=True)[1]

    x = np.array([1.0, 2.0, 4.0])
    close(suffix_sums(x), [7, 6, 4])
    close(gn.jacobian(suffix_sums)(x), np.triu(np.ones((3, 3))))


def test_a_scan_without_rows_or_without_steps() -> None:
    def power(x: Any, n: int) -> Any:
        return gn.scan(lambda c, _: (c * x, None), gnp.stack([1.0, x]), length=n)[0]

    close(gn.jacobian(lambda x: power(x, 3))(2.0), [12, 32])
    close(gn.jacobian(lambda x: power(x, 0))(2.0), [0, 1])
    close(power(2.0, 0), [1, 2])


def test_a_scan_within_a_scan_and_a_gradient_within_its_body() -> None:
    def descend(x: Any) -> Any:
        def step(w: Any, _: Any) -> Any:
            return w - 0.1 * gn.grad(lambda w: (w * w * x).sum())(w), None

        def outer(w: Any, _: Any) -> Any:
            return gn.scan(step, w, length=2)

        return gn.scan(outer, gnp.stack([1.0, 2.0]), length=2)[0].sum()

    # w <- w (1 - 0.2 x), four times: f = 3 (1 - 0.2 x)^4.
    close(gn.grad(descend)(0.5), 3 * 4 * 0.9**3 * -0.2)
    close(gn.grad(gn.grad(descend))(0.5), 3 * 12 * 0.9**2 * 0.04)


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (
            ShapeError,
            "int64.*as array 0 of its carry.*float64",
            lambda: gn.scan(lambda c, x: (c + x, None), 0, H),
        ),
        (ShapeError, "one number of steps.*3, 5", lambda: gn.scan(lambda c, x: (c, x[0]), 0.0, (X, H))),
        (ShapeError, "one number of steps.*length=", lambda: gn.scan(lambda c, x: (c, None), 0.0)),
        (ShapeError, "got a scalar", lambda: gn.scan(lambda c, x: (c, None), 0.0, 1.0)),
        (ShapeError, "returns a pair", lambda: gn.scan(lambda c, x: c, 0.0, H)),
        (ShapeError, "another structure", lambda: gn.scan(lambda c, x: ((c, c), None), 0.0, H)),
        (
            ConcretizationError,
            "scan.*instead of `if`",
            lambda: gn.scan(lambda c, x: (c if x > 0 else x, None), 0.0, H),
        ),
        (ShapeError, "scalar predicate.*\\(3,\\)", lambda: gn.cond(H > 0, abs, abs, H)),
        (
            ShapeError,
            "branches of cond.*structure",
            lambda: gn.vmap(lambda x: gn.cond(x > 0, lambda x: (x, x), lambda x: x, x))(H),
        ),
        (
            DifferentiationError,
            r"while_loop has no reverse mode \(line \d+ of .*use scan",
            lambda: gn.vmap(gn.grad(root))(np.array([2.0, 3.0])),
        ),
        (
            ShapeError,
            "while_loop returns a carry of another structure",
            lambda: gn.vmap(lambda a: gn.while_loop(lambda x: x < a, lambda x: (x,), a))(H),
        ),
    ],
)
def test_a_misuse_gets_one_sentence(error: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def root(a: Any) -> Any:
    # Newton's method; d sqrt(a)/da = 1 / (2 sqrt a).
    return gn.while_loop(lambda x: abs(x * x - a) > 1e-13 * a, lambda x: (x + a / x) / 2.0, a)


def test_a_while_loop_runs_as_long_as_each_example_needs() -> None:
    a = np.array([2.0, 3.0, 1e4])
    close(gn.vmap(root)(a), np.sqrt(a))
    close(gn.vmap(lambda a: gn.jvp(root, (a,), (1.0,))[1])(a), 0.5 / np.sqrt(a), 1e-12)
    close(gn.vmap(gn.vmap(root))(a.reshape(1, 3)), np.sqrt(a).reshape(1, 3))
    close(gn.vmap(gn.jacobian(gn.jacobian(root, mode="forward"), mode="forward"))(a), -0.25 * a**-1.5, 1e-10)


def test_a_while_loop_on_known_values_has_all_modes() -> None:
    close(root(2.0), np.sqrt(2.0))
    close(gn.grad(root)(2.0), 0.5 / np.sqrt(2.0), 1e-12)


def test_a_condition_takes_its_branch() -> None:
    calls: list[str] = []

    def f(x: Any) -> Any:
        def double(x: Any) -> Any:
            calls.append("double")
            return {"y": 2 * x}

        return gn.cond(x > 0, double, lambda x: {"y": -x}, x)["y"]

    assert (gn.grad(f)(3.0), gn.grad(f)(-3.0)) == (2.0, -1.0)
    assert calls == ["double"]
    close(gn.vmap(gn.grad(f))(H), [2, -1, 2])


def test_no_derivative_comes_through_the_branch_that_is_not_taken() -> None:
    # The slope of sqrt is infinite at 0, and inf * 0 would be a NaN.
    f = gn.vmap(gn.grad(lambda x: gn.cond(x > 0, gnp.sqrt, lambda x: 3 * x, x)))
    with np.errstate(divide="ignore", invalid="ignore"):
        np.testing.assert_array_equal(f(np.array([4.0, 0.0])), [0.25, 3.0])


def test_a_checkpoint_changes_no_number() -> None:
    def plain(w: Any, x: Any) -> Any:
        return gnp.tanh(gnp.matmul(w, x)) * x if x.sum() > -10 else x

    kept = gn.checkpoint(plain)

    def total(f: Any) -> Any:
        return lambda w, x: (f(w, 2 * x) ** 2).sum()

    for wrt in (0, 1):
        close(gn.grad(total(kept), wrt)(W, H), gn.grad(total(plain), wrt)(W, H))
        close(gn.hessian(total(kept), wrt)(W, H), gn.hessian(total(plain), wrt)(W, H))
    close(kept(W, H), plain(W, H))
    assert gn.check_grads(total(kept), W, H, order=3).largest_error < 1e-11
    smooth = gn.checkpoint(lambda x: (gnp.sin(x), {"y": x * W[0]}))
    got = gn.vmap(gn.jacobian(lambda x: smooth(x)[0] * smooth(x)[1]["y"]))(X)
    close(got, gn.vmap(gn.jacobian(lambda x: gnp.sin(x) * x * W[0]))(X))


def test_a_checkpoint_keeps_its_inputs_alone_and_computes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    sine = OPS["sin"].value

    def counted(xp: Any, x: Any) -> Any:
        nonlocal count
        count += 1
        return sine(xp, x)

    monkeypatch.setitem(OPS["sin"].__dict__, "value", counted)
    kept: list[str] = []

    def chain(x: Any) -> Any:
        for _ in range(4):
            x = gnp.sin(x)
        return x

    def f(x: Any) -> Any:
        y = gn.checkpoint(chain)(x)
        kept.extend(node.op.name for node in ancestors([y.node]) if node.value is not None)
        return y

    gn.grad(f)(0.5)
    assert count == 4 + 3  # nothing asks for the last sine again: its slope is the cosine of what it read
    assert "sin" not in kept
    count = 0
    gn.grad(chain)(0.5)
    assert count == 4


def test_a_checkpoint_in_a_scan_computes_every_step_again() -> None:
    def last(body: Any) -> Any:
        return lambda w: gn.scan(lambda h, x: (body(w, h, x), None), H, X)[0].sum()

    def body(w: Any, h: Any, x: Any) -> Any:
        return gnp.tanh(gnp.matmul(w, h) + x)

    close(gn.grad(last(gn.checkpoint(body)))(W), gn.grad(last(body))(W))


def test_what_a_branch_reads_from_outside_is_gated_as_its_operands_are() -> None:
    # sqrt has no slope at 0 and no value below; the branch that is not taken must not matter.
    def f(x: Any) -> Any:
        return gn.cond(x > 1.0, lambda: gnp.sqrt(x), lambda: -x * x)

    with np.errstate(all="ignore"):
        np.testing.assert_allclose(gn.vmap(gn.grad(f))(np.array([4.0, 0.0, -3.0])), [0.25, 0.0, 6.0])
        second = gn.vmap(gn.grad(gn.grad(f)))(np.array([4.0, 0.0, -3.0]))
    np.testing.assert_allclose(second, [-1 / 32, -2.0, -2.0])


def test_branches_of_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shapes \(2,\) and \(\); both"):
        gn.vmap(lambda x: gn.cond(x > 0, lambda x: gnp.stack([x, x]), lambda x: x, x))(np.ones(3))


@pytest.mark.parametrize("shape", [(2,), (3, 2)])
def test_the_condition_of_a_loop_is_a_scalar(shape: tuple[int, ...]) -> None:
    def loop(x: Any) -> Any:
        return gn.while_loop(lambda s: s < 3, lambda s: s * 2, x)

    with pytest.raises(ShapeError, match=r"while_loop is a scalar; it got shape \(2,\)"):
        (loop if len(shape) == 1 else gn.vmap(loop))(np.ones(shape))


def test_a_gradient_stops_at_every_array_of_a_tree() -> None:
    slopes = gn.grad(lambda p: p["a"] * gn.stop_gradient(p)["b"])({"a": 2.0, "b": 3.0})
    assert (slopes["a"], slopes["b"]) == (3.0, 0.0)
