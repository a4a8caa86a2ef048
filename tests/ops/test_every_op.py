"""Every op of the registry, held against calculations that share nothing with its declaration.

The cases stand in one table, `glassnet.transforms.cases`: an op that is not elementwise has a line in its
SPECIAL, an op with a kink one in its KINKS, an op with floating results for integers is named in FLOATING.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.dtype import FLOAT64, is_floating
from glassnet.core.op import Bilinear, Constant, Differential, Elementwise, Enclosing, Linear, Op
from glassnet.core.registry import OPS
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import VerificationError
from glassnet.transforms.cases import FLOATING, KINKS, LEAVES, SPECIAL, Case, arity, cases
from glassnet.transforms.certify import (
    LIMIT,
    ROUNDING,
    batching_error,
    certify,
    certify_all,
    dtypes_of,
    gradient_report,
    has_reverse_mode,
    in_dtype,
    shape_rule,
    slopes_at_kink,
)

APPLIED = sorted(set(OPS) - LEAVES)
ALL = [pytest.param(name, i, id=f"{name}-{i}") for name in APPLIED for i in range(len(cases(name)))]
MOVING = [name for name in APPLIED if not isinstance(OPS[name].derivative, Constant)]
DIFFERENTIABLE = [p for p in ALL if p.values[0] in MOVING]
REVERSIBLE = [p for p in DIFFERENTIABLE if has_reverse_mode(OPS[p.values[0]])]
ENCLOSING = [name for name in APPLIED if isinstance(OPS[name].derivative, Enclosing)]


@pytest.mark.parametrize("name", APPLIED)
def test_an_op_that_is_not_elementwise_has_cases_of_its_own(name: str) -> None:
    op = OPS[name]
    assert name in SPECIAL or (op.broadcasts and arity(op) > 0)
    assert isinstance(op.derivative, Constant) or all(case.moving() for case in cases(name))


@pytest.mark.parametrize(("name", "number"), DIFFERENTIABLE)
def test_both_modes_and_the_second_order_agree_with_an_independent_calculation(
    name: str, number: int
) -> None:
    assert gradient_report(OPS[name], cases(name)[number]).largest_error <= LIMIT


@pytest.mark.parametrize("name", ENCLOSING)
def test_an_op_that_runs_a_graph_has_both_modes_or_says_why(name: str) -> None:
    rule = OPS[name].derivative
    assert isinstance(rule, Enclosing)
    assert (rule.reverse is None) == bool(rule.reason)


@pytest.mark.parametrize(("name", "number"), REVERSIBLE)
def test_a_gradient_has_the_shape_and_dtype_of_its_argument(name: str, number: int) -> None:
    op, case = OPS[name], cases(name)[number]
    for dtype in dtypes_of(op):
        inputs = in_dtype(case, dtype)
        wrt = tuple(case.moving())
        gradients = gn.grad(lambda *x: op(*x, **case.attributes).sum(), wrt)(*inputs)
        assert [(g.shape, g.dtype) for g in gradients] == [(inputs[i].shape, dtype) for i in wrt]


@pytest.mark.parametrize("name", sorted(set(APPLIED) - set(MOVING)))
def test_a_constant_op_states_its_reason_and_has_no_slope(name: str) -> None:
    op, case = OPS[name], cases(name)[0]
    assert isinstance(op.derivative, Constant)
    assert op.derivative.reason

    def product(x: Any) -> Any:
        # Beside x the op is a factor that does not move: d (x op(x)) / dx = op(x).
        applied = op(*(x if i == 0 else other for i, other in enumerate(case.inputs)), **case.attributes)
        return (x * applied).sum()

    if case.moving():
        x = case.inputs[0]
        expected = np.broadcast_to(op(*case.inputs, **case.attributes), x.shape).astype(x.dtype)
        np.testing.assert_array_equal(gn.grad(product)(x), expected)


@pytest.mark.parametrize("name", [n for n in APPLIED if OPS[n].kinks != "none"])
def test_the_slope_at_a_kink_is_the_declared_one(name: str) -> None:
    inputs, attributes, expected = KINKS[name]
    assert slopes_at_kink(OPS[name], inputs, attributes) == expected


@pytest.mark.parametrize(("name", "number"), ALL)
def test_vmap_is_a_python_loop(name: str, number: int) -> None:
    assert batching_error(OPS[name], cases(name)[number]) <= ROUNDING


@pytest.mark.parametrize(("name", "number"), ALL)
def test_the_shape_rule_agrees_with_the_value(name: str, number: int) -> None:
    for dtype in dtypes_of(OPS[name]):
        declared, actual = shape_rule(OPS[name], cases(name)[number], dtype)
        assert declared == actual


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64"])
@pytest.mark.parametrize("name", [name for name in APPLIED if name not in ENCLOSING])
def test_integers_count_as_float64_where_the_result_is_floating(name: str, dtype: str) -> None:
    op, case = OPS[name], cases(name)[0]
    floats = [np.ceil(np.abs(x)) if is_floating(x.dtype) else x for x in case.inputs]
    if dtype == "bool":
        floats = [np.minimum(x, 1) for x in floats]
    integers = [x.astype(dtype) if is_floating(x.dtype) else x for x in floats]
    with tracing():
        node = op(*(placeholder(x.shape, x.dtype) for x in integers), **case.attributes).node
    if is_floating(node.dtype):
        value = op(*integers, **case.attributes)
        assert value.dtype == node.dtype == FLOAT64
        np.testing.assert_array_equal(value, op(*floats, **case.attributes))
    else:
        assert name not in FLOATING


@pytest.mark.parametrize("name", [n for n in APPLIED if isinstance(OPS[n].derivative, Elementwise)])
def test_an_elementwise_op_has_one_partial_an_input(name: str) -> None:
    derivative = OPS[name].derivative
    assert isinstance(derivative, Elementwise)
    assert len(derivative.partials) == arity(OPS[name])
    assert len(OPS[name].samples) in (0, arity(OPS[name]))


@pytest.mark.parametrize("name", sorted(OPS))
def test_the_declaration_reads_well(name: str) -> None:
    op = OPS[name]
    assert op.summary.endswith(".")
    assert op.source
    if name not in LEAVES:
        case = cases(name)[0]
        names = ["alpha", "beta", "gamma"][: len(case.inputs)]
        text = op.formula.template.format(*names, **case.attributes)
        assert "{" not in text
        assert all(word in text for word in names[: max(arity(op), 1)]) or arity(op) == 0


# One op of each kind of derivative fact, and how to break it without the others noticing.
def _scaled(rule: Any) -> Any:
    return lambda *x, **options: rule(*x, **options) * (1 + 1e-6)


def _negated(rule: Any) -> Any:
    return lambda *x, **options: -rule(*x, **options)


def _first_wrong(rules: Any, broken: Any) -> tuple[Any, ...]:
    return (broken(rules[0]), *rules[1:])


BROKEN = {
    "a factor 1 + 1e-6, elementwise": ("tanh", lambda d: Elementwise(_first_wrong(d.partials, _scaled))),
    "a sign, elementwise": ("exp", lambda d: Elementwise(_first_wrong(d.partials, _negated))),
    "a factor 1 + 1e-6, linear": ("sum", lambda d: Linear(_scaled(d.transpose), d.arguments)),
    "a sign, linear": ("reshape", lambda d: Linear(_negated(d.transpose), d.arguments)),
    "a dropped transpose, linear": ("transpose", lambda d: Linear(_as_is, d.arguments)),
    "a factor 1 + 1e-6, bilinear": ("contract", lambda d: Bilinear(_scaled(d.left), d.right)),
    "a sign, bilinear": ("contract", lambda d: Bilinear(d.left, _negated(d.right))),
    "a dropped transpose, bilinear": ("contract", lambda d: Bilinear(_untransposed, d.right)),
    "a factor 1 + 1e-6, differential": ("logsumexp", lambda d: Differential(_scaled(d.formula))),
    "a sign, differential": ("softmax", lambda d: Differential(_negated(d.formula))),
    "a factor 1 + 1e-6, the rest of a linear op": (
        "solve",
        lambda d: Linear(d.transpose, d.arguments, _scaled(d.rest)),
    ),
    "a sign, the rest of a linear op": (
        "solve",
        lambda d: Linear(d.transpose, d.arguments, _negated(d.rest)),
    ),
    "a derivative declared away": ("sin", lambda d: Constant("nobody looks")),
}


def _as_is(position: int, cotangent: Any, inputs: Any, **_: Any) -> Any:
    return cotangent.reshape(*inputs[0].shape)


def _untransposed(cotangent: Any, x: Any, y: Any, *, spec: str) -> Any:
    return cotangent @ y  # for x @ y it should be y transposed


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_rule_is_caught(fault: str) -> None:
    name, wrong = BROKEN[fault]
    op, examples = OPS[name], cases(name)
    if "transpose" in fault:
        square = np.array([[1.0, 2.0], [3.0, 5.0]])
        examples = [Case((square,), {"axes": (1, 0)})]
        if name == "contract":
            examples = [Case((square, square + 1), {"spec": "ij,jk->ik"})]
    broken = replace(op, derivative=wrong(op.derivative))
    if not isinstance(broken.derivative, Constant):
        assert certify(op, examples).passed
        assert not certify(broken, examples).passed
    with pytest.raises(VerificationError, match="A derivative is wrong"):
        gradient_report(broken, examples[0])


def test_a_wrong_shape_rule_and_a_wrong_batch_rule_are_caught() -> None:
    op: Op = OPS["reshape"]
    no_batch = replace(op, batch=lambda inputs, batched, attributes: inputs[0] * 2.0)
    assert any("vmap" in fault for fault in certify(no_batch, cases("reshape")).faults)
    transposed = replace(op, infer=lambda x, *, shape: (shape[::-1], x.dtype))
    assert any("shape rule" in fault for fault in certify(transposed, cases("reshape")).faults)


def test_a_kink_that_is_not_the_declared_one_is_caught() -> None:
    op = OPS["maximum"]
    partials = op.derivative.partials  # type: ignore[union-attr]
    swapped = replace(op, derivative=Elementwise(partials[::-1]))
    assert any("at its kink" in fault for fault in certify(swapped, cases("maximum")).faults)


def test_every_op_has_a_certificate() -> None:
    certificates = certify_all()
    assert [certificate.name for certificate in certificates] == APPLIED
    assert {c.name: c.faults for c in certificates if not c.passed} == {}
    for certificate in certificates:
        assert (certificate.reason != "") == isinstance(OPS[certificate.name].derivative, Constant)
        orders = 0 if certificate.reason else 2
        backwards = orders if has_reverse_mode(OPS[certificate.name]) else 0
        assert (len(certificate.forward), len(certificate.reverse)) == (orders, backwards)
