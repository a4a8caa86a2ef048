"""The verifier itself: sound rules pass, and every kind of broken rule is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.op import Bilinear, Derivative, Differential, Elementwise, Linear, Op
from glassnet.core.registry import OPS
from glassnet.errors import ConfigurationError, DifferentiationError, VerificationError
from glassnet.transforms.check import Comparison, GradientReport

SQUARE = np.array([[0.3, -1.2], [0.8, 2.0]])
VECTOR = np.array([0.4, -0.7])


def elementwise(change: Callable[[Any], Any]) -> Derivative:
    return Elementwise((lambda out, x: change(1 - out * out),))


def linear(change: Callable[[Any], Any]) -> Derivative:
    return Linear(lambda position, x_bar, inputs, *, axes: change(gnp.transpose(x_bar, axes)))


def bilinear(change: Callable[[Any], Any]) -> Derivative:
    return Bilinear(
        lambda z_bar, x, y, *, spec: gnp.contract(z_bar, y, "ik,jk->ij"),
        lambda z_bar, x, y, *, spec: change(gnp.contract(z_bar, x, "ik,ij->jk")),
    )


def differential(change: Callable[[Any], Any]) -> Derivative:
    def formula(out: Any, inputs: Any, tangents: Any) -> Any:
        return change(out * (tangents[0] - gnp.sum(out * tangents[0], axis=-1, keepdims=True)))

    return Differential(formula)


# One op of each kind, its rule written out here once more with room for a mistake.
KINDS: dict[str, tuple[Any, Op, tuple[Any, ...], dict[str, Any]]] = {
    "Elementwise": (elementwise, OPS["tanh"], (VECTOR,), {}),
    "Linear": (linear, OPS["transpose"], (SQUARE,), {"axes": (1, 0)}),
    "Bilinear": (bilinear, OPS["contract"], (SQUARE, SQUARE + 1), {"spec": "ij,jk->ik"}),
    "Differential": (differential, OPS["softmax"], (VECTOR,), {}),
}
MISTAKES: dict[str, Callable[[Any], Any]] = {
    "a factor of 1 + 1e-6": lambda term: term * (1 + 1e-6),
    "the sign": lambda term: -term,
    "a dropped term": lambda term: term * 0.0,
}


def certify(kind: str, derivative: Derivative) -> GradientReport:
    _, op, inputs, attributes = KINDS[kind]
    private = replace(op, name=f"private {op.name}", derivative=derivative)
    return gn.check_grads(lambda *x: private(*x, **attributes), *inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rule_without_a_mistake_passes(kind: str) -> None:
    assert certify(kind, KINDS[kind][0](lambda term: term)).passed


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_in_a_rule_is_caught(kind: str, mistake: str) -> None:
    with pytest.raises(VerificationError, match=r"A derivative is wrong:[\s\S]*WRONG order 1"):
        certify(kind, KINDS[kind][0](MISTAKES[mistake]))


def test_a_dropped_transpose_is_caught() -> None:
    with pytest.raises(VerificationError, match="WRONG order 1  reverse mode"):
        certify("Linear", Linear(lambda position, x_bar, inputs, *, axes: x_bar))
    with pytest.raises(VerificationError, match="WRONG order 1  reverse mode"):
        certify("Bilinear", bilinear(gnp.transpose))


def test_a_slope_whose_own_slope_is_wrong_is_caught_at_order_two() -> None:
    # The value of the slope is right, but it is held fixed: the second derivative is lost.
    frozen = Elementwise((lambda out, x: gnp.stop_gradient(1 - out * out),))
    private = replace(OPS["tanh"], derivative=frozen)
    assert gn.check_grads(private, VECTOR, order=1).passed
    with pytest.raises(VerificationError, match="WRONG order 2"):
        gn.check_grads(private, VECTOR, order=2)


def test_a_number_taken_out_of_the_trace_is_caught() -> None:
    with pytest.raises(VerificationError, match="takes numbers out of its trace"):
        gn.check_grads(lambda x: float(x) * x, 2.0)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_errors_are_relative_whatever_the_units(scale: float) -> None:
    off = replace(OPS["tanh"], derivative=elementwise(lambda term: term * 1.05))
    assert gn.check_grads(lambda x: gnp.tanh(x) * scale, VECTOR).passed
    with pytest.raises(VerificationError):
        gn.check_grads(lambda x: off(x) * scale, VECTOR)


def test_analytic_functions_are_checked_by_the_complex_step_at_every_order() -> None:
    report = gn.check_grads(lambda x: gnp.exp(gnp.sin(x)) * x**3, VECTOR, order=3)
    methods = {c.method for c in report.comparisons if c.what.startswith("forward")}
    assert methods == {"complex step"}
    assert report.largest_error < 1e-13


def test_python_control_flow_trees_and_fixed_arguments_are_welcome() -> None:
    def f(p: Any, labels: Any, deep: bool) -> Any:
        y = p["w"] * 2 if deep else p["w"]
        for _ in range(2):
            y = gnp.softplus(y) if y[0] > 0 else gnp.relu(-y) * y
        return {"loss": (y * gnp.one_hot(labels, 2, np.float64)).sum(), "y": [y]}

    report = gn.check_grads(f, {"w": VECTOR}, np.array(1), True)
    assert {c.order for c in report.comparisons} == {0, 1, 2}


def test_float32_arguments_are_checked_in_float64() -> None:
    assert gn.check_grads(lambda x: gnp.exp(x), VECTOR.astype(np.float32)).largest_error < 1e-14


def test_a_function_that_is_constant_or_empty_passes() -> None:
    assert gn.check_grads(lambda x: np.ones(3), VECTOR).passed
    assert gn.check_grads(lambda x: x[:0], VECTOR).passed


def test_the_report_reads_well() -> None:
    text = str(gn.check_grads(lambda x: x * x, 3.0, order=1)).splitlines()
    assert text[0].startswith("ok    order 0  trace, output 0")
    assert "against complex step" in text[1]
    assert text[-1].startswith("all 3 comparisons passed; the largest relative error is ")
    wrong = Comparison("forward mode, output 0", "complex step", 1, "element (2,)", 1.0, 2.0, 1.0, 1e-11)
    assert "(limit 1e-11), worst at element (2,): expected 1, got 2" in str(wrong)
    assert "1 of 1 comparisons failed" in str(GradientReport((wrong,)))


def test_a_nan_never_passes() -> None:
    with pytest.raises(VerificationError):
        gn.check_grads(lambda x: x * np.nan, 2.0)


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(DifferentiationError, match="at least one floating argument"):
        gn.check_grads(lambda x: x, 3)
    with pytest.raises(ConfigurationError, match="order 0"):
        gn.check_grads(lambda x: x, 3.0, order=0)


def test_the_culprit_is_named_by_input_and_element() -> None:
    def slope(out: Any, x: Any) -> Any:
        return gnp.where(np.arange(3) == 1, -gnp.cos(x), gnp.cos(x))

    wrong = gn.custom(np.sin, slope, reason="a mistake in one element", analytic=True)
    x = np.array([0.1, 0.2, 0.3])
    with pytest.raises(VerificationError) as caught:
        gn.check_grads(lambda a, p: (a * wrong(p["b"])).sum(), 2.0, {"b": x}, order=1)
    line = next(line for line in str(caught.value).splitlines() if "input" in line)
    assert "input 1['b'] element (1,) against complex step" in line
    assert f"expected {2 * np.cos(0.2):.15g}, got {-2 * np.cos(0.2):.15g}" in line


def test_boolean_results_have_no_slope_and_nothing_else_to_check_is_refused() -> None:
    assert gn.check_grads(lambda x: (x * x, x > 0), VECTOR).passed
    with pytest.raises(DifferentiationError, match="at least one floating result"):
        gn.check_grads(lambda x: x > 0, VECTOR)
    with (
        pytest.raises(VerificationError, match="function is finite; output 0 is nan"),
        np.errstate(all="ignore"),
    ):
        gn.check_grads(gnp.log, -1.0)
