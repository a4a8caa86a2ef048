"""Every op of the registry, held against calculations that share nothing with its declaration."""

from __future__ import annotations

import itertools
import string
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.dtype import FLOAT32, FLOAT64, is_floating
from glassnet.core.op import Constant, Elementwise, Op
from glassnet.core.random import Key, uniform
from glassnet.core.registry import OPS
from glassnet.core.trace import placeholder, tracing

LIMIT = 1e-9
LEAVES = {"input", "constant"}  # they are given, never computed


@dataclass(frozen=True)
class Case:
    """One application of an op."""

    inputs: tuple[np.ndarray, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def moving(self) -> list[int]:
        return [i for i, x in enumerate(self.inputs) if is_floating(x.dtype)]


def draw(stream: int, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return uniform(Key(20, stream), shape, low, high)


X, V, W = draw(1, (3, 4)), draw(2, (4,)), draw(3, (2, 3, 4))
SHARES = np.array([[0.2, 0.3, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])

# Ops with attributes, with inputs that are not plain numbers, or of other than elementwise shape.
SPECIAL: dict[str, list[Case]] = {
    "leaky_relu": [Case((X,), {"slope": 0.1})],
    "where": [Case((X > 0, draw(4, (3, 4)), draw(5, (3, 4)))), Case((V > 0, X, draw(6, ())))],
    "softmax": [Case((X,)), Case((V,)), Case((np.zeros((0, 3)),))],
    "softmax_cross_entropy": [Case((X, SHARES)), Case((V, SHARES[0])), Case((np.zeros((0, 3)),) * 2)],
    "sigmoid_cross_entropy": [Case((X, draw(7, (3, 4), 0.0, 1.0))), Case((X, draw(8, (4,), 0.0, 1.0)))],
    "one_hot": [Case((np.array([2, 0, 7, -1]),), {"classes": 3, "dtype": FLOAT64})],
    "contract": [
        Case((X, V), {"spec": "ij,j->i"}),
        Case((X, draw(9, (4, 2))), {"spec": "ij,jk->ki"}),
        Case((V, V), {"spec": "j,j->"}),
        Case((V, draw(10, (3,))), {"spec": "i,j->ij"}),
        Case((W, draw(11, (2, 4, 5))), {"spec": "bij,bjk->bik"}),
        Case((np.zeros((0, 3)), np.zeros((3, 2))), {"spec": "ij,jk->ik"}),
        Case((np.zeros((2, 0)), np.zeros((0, 2))), {"spec": "ij,jk->ik"}),
    ],
    "getitem": [
        Case((W,), {"index": (1,)}),
        Case((W,), {"index": (slice(None), slice(None, None, 2), -1)}),
        Case((X,), {"index": (None, Ellipsis, slice(3, 0, -2))}),
        Case((X,), {"index": (slice(2, 2),)}),
    ],
    "scatter": [
        Case((V,), {"index": (1,), "shape": (3, 4)}),
        Case((draw(12, ()),), {"index": (2, 0), "shape": (3, 4)}),
    ],
    "sum": [
        Case((W,), {"axes": (0, 2), "keepdims": False}),
        Case((W,), {"axes": (1,), "keepdims": True}),
        Case((draw(13, ()),), {"axes": (), "keepdims": False}),
        Case((np.zeros((0, 3)),), {"axes": (0,), "keepdims": False}),
    ],
    "logsumexp": [
        Case((W,), {"axes": (0, 2), "keepdims": False}),
        Case((W,), {"axes": (1,), "keepdims": True}),
        Case((np.zeros((0, 3)),), {"axes": (1,), "keepdims": False}),
    ],
    "reshape": [Case((W,), {"shape": (4, 6)}), Case((np.zeros((0, 3)),), {"shape": (3, 0)})],
    "transpose": [Case((W,), {"axes": (2, 0, 1)}), Case((X,), {"axes": (1, 0)})],
    "broadcast_to": [
        Case((draw(14, (3, 1)),), {"shape": (2, 3, 4)}),
        Case((draw(15, ()),), {"shape": (2,)}),
        Case((draw(16, (1,)),), {"shape": (0,)}),
    ],
    "concatenate": [
        Case((X, draw(17, (1, 4)), draw(18, (0, 4))), {"axis": 0}),
        Case((X, draw(19, (3, 2))), {"axis": 1}),
    ],
    "variable": [Case((X,))],
    "stop_gradient": [Case((X,))],
}

# At a kink the slope is a convention: inputs, attributes, and d out / d x_i for each input.
KINKS: dict[str, tuple[tuple[float, ...], dict[str, Any], tuple[float, ...]]] = {
    "relu": ((0.0,), {}, (0.0,)),
    "leaky_relu": ((0.0,), {"slope": 0.1}, (0.1,)),
    "abs": ((0.0,), {}, (0.0,)),
    "sign": ((0.0,), {}, (0.0,)),
    "maximum": ((1.5, 1.5), {}, (1.0, 0.0)),
    "minimum": ((1.5, 1.5), {}, (1.0, 0.0)),
    "power": ((-2.0, 3.0), {}, (12.0, 0.0)),
}


# Their results are floating whatever they are given.
FLOATING = {
    *("cos", "divide", "exp", "expm1", "leaky_relu", "log", "log1p", "logsumexp", "sigmoid", "sin"),
    *("sigmoid_cross_entropy", "softmax", "softmax_cross_entropy", "softplus", "sqrt", "tanh"),
}


def arity(op: Op) -> int:
    names = {name for _, name, _, _ in string.Formatter().parse(op.formula.template) if name}
    return sum(name.isdigit() for name in names)


def elementwise_case(op: Op, shapes: list[tuple[int, ...]]) -> Case:
    ranges = op.samples or ((-2.0, 2.0),) * arity(op)
    return Case(tuple(draw(40 + i, s, *ranges[i]) for i, s in enumerate(shapes)))


def cases(name: str) -> list[Case]:
    op = OPS[name]
    if name in SPECIAL:
        return SPECIAL[name]
    shapes = [(3, 4)] * arity(op)
    result = [elementwise_case(op, shapes), elementwise_case(op, [()] * len(shapes))]
    result.append(elementwise_case(op, [(0, 2)] * len(shapes)))
    if len(shapes) == 2:
        pairs = [((2, 1, 3), (4, 1)), ((), (3,)), ((1,), (2, 3)), ((3, 0), (1,))]
        result += [elementwise_case(op, list(order)) for pair in pairs for order in (pair, pair[::-1])]
    return result


APPLIED = sorted(set(OPS) - LEAVES)
ALL = [pytest.param(name, i, id=f"{name}-{i}") for name in APPLIED for i in range(len(cases(name)))]
MOVING = [name for name in APPLIED if not isinstance(OPS[name].derivative, Constant)]
DIFFERENTIABLE = [p for p in ALL if p.values[0] in MOVING]


@pytest.mark.parametrize("name", APPLIED)
def test_an_op_that_is_not_elementwise_has_cases_of_its_own(name: str) -> None:
    op = OPS[name]
    assert name in SPECIAL or (op.broadcasts and arity(op) > 0)
    assert isinstance(op.derivative, Constant) or all(case.moving() for case in cases(name))


@pytest.mark.parametrize(("name", "number"), DIFFERENTIABLE)
def test_both_modes_and_the_second_order_agree_with_an_independent_calculation(
    name: str, number: int
) -> None:
    op, case = OPS[name], cases(name)[number]
    report = gn.check_grads(lambda *x: op(*x, **case.attributes), *case.inputs, tolerance=LIMIT)
    assert report.largest_error <= LIMIT


@pytest.mark.parametrize(("name", "number"), DIFFERENTIABLE)
def test_a_gradient_has_the_shape_and_dtype_of_its_argument(name: str, number: int) -> None:
    op, case = OPS[name], cases(name)[number]
    for dtype in (FLOAT32, FLOAT64):
        inputs = [x.astype(dtype) if is_floating(x.dtype) else x for x in case.inputs]
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
    slopes = gn.grad(lambda *x: OPS[name](*x, **attributes) * 1.0, tuple(range(len(inputs))))(*inputs)
    assert tuple(float(s) for s in slopes) == expected


@pytest.mark.parametrize(("name", "number"), ALL)
def test_vmap_is_a_python_loop(name: str, number: int) -> None:
    op, case = OPS[name], cases(name)[number]
    count = len(case.inputs)
    for flags in itertools.product((False, True), repeat=count):
        if not any(flags):
            continue
        # Two examples for each batched input: the sample, and the sample in reverse order.
        batches = [
            np.stack([x, np.flip(x).reshape(x.shape)]) if flag else x
            for x, flag in zip(case.inputs, flags, strict=True)
        ]
        axes = tuple(0 if flag else None for flag in flags)
        got = gn.vmap(lambda *x: op(*x, **case.attributes), in_axes=axes)(*batches)
        loop = [
            op(*(x[i] if flag else x for x, flag in zip(batches, flags, strict=True)), **case.attributes)
            for i in range(2)
        ]
        np.testing.assert_allclose(got, np.stack(loop), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("name", "number"), ALL)
def test_the_shape_rule_agrees_with_the_value(name: str, number: int) -> None:
    op, case = OPS[name], cases(name)[number]
    for dtype in (FLOAT32, FLOAT64):
        inputs = [x.astype(dtype) if is_floating(x.dtype) else x for x in case.inputs]
        with tracing():
            node = op(*(placeholder(x.shape, x.dtype) for x in inputs), **case.attributes).node
        value = np.asarray(op(*inputs, **case.attributes))
        assert (node.shape, node.dtype) == (value.shape, value.dtype)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64"])
@pytest.mark.parametrize("name", APPLIED)
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
