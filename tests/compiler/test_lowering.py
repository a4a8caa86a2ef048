"""Every op is compiled or says why not; what is compiled agrees with the interpreter, NaN included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.function import compile_graph
from glassnet.compiler.lowering.blocks import BLOCKS
from glassnet.compiler.lowering.evaluate import LOWERINGS
from glassnet.compiler.passes.uncompiled import UNCOMPILED
from glassnet.compiler.passes.vocabulary import VOCABULARY
from glassnet.core.random import Key
from glassnet.core.registry import OPS
from glassnet.errors import ShapeError, UncompilableError
from glassnet.interpret.reference import interpret
from glassnet.ops.comparison import one_hot
from glassnet.ops.matrix import contract
from glassnet.transforms.cases import Case, cases
from glassnet.transforms.tracing import trace

X, Y = np.random.default_rng(0).standard_normal((2, 5, 7))
LABELS = np.array([2, 0, 6, 3, 3], np.int32)

# How to write each op that does not work element by element: the arguments, and the op on them.
EXAMPLES: dict[str, tuple[tuple[Any, ...], Callable[..., Any]]] = {
    "broadcast_to": ((X[0],), lambda x: gnp.broadcast_to(x, (3, 7)) * 2.0),
    "constant": ((X,), lambda x: x + Y),
    "contract": ((X, Y), lambda x, y: x.T @ y),
    "input": ((X,), lambda x: x),
    "leaky_relu": ((X,), lambda x: gnp.leaky_relu(x, slope=0.1)),
    "logsumexp": ((X,), lambda x: gnp.logsumexp(x, axis=-1)),
    "one_hot": ((X, LABELS), lambda x, labels: x * one_hot(labels, 7, np.dtype(np.float64))),
    "power": ((X,), lambda x: x**3),
    "reshape": ((X,), lambda x: x.sum(1).reshape(5, 1) * x),
    "sigmoid_cross_entropy": ((X, abs(Y) / 4), gnp.sigmoid_cross_entropy),
    "softmax": ((X,), gnp.softmax),
    "softmax_cross_entropy": ((X, Y**2), gnp.softmax_cross_entropy),
    "stop_gradient": ((X,), lambda x: OPS["stop_gradient"](x) + 1.0),
    "sum": ((X,), lambda x: x.sum(0)),
    "transpose": ((X,), lambda x: x.T + 1.0),
    "variable": ((X,), lambda x: OPS["variable"](x) + 1.0),
    "where": ((X, Y), lambda x, y: gnp.where(x > y, x, 0.5)),
}

UNARY = {
    **dict.fromkeys(("abs", "exp", "expm1", "log", "log1p", "negative", "relu", "sigmoid", "sign")),
    **dict.fromkeys(("softplus", "sqrt", "square", "tanh", "positive", "reciprocal", "softsign", "cbrt")),
    **dict.fromkeys(("exp2", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh", "deg2rad", "rad2deg")),
    **dict.fromkeys(("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "erf", "erfc")),
    **dict.fromkeys(("erfinv", "gamma", "gammaln", "floor", "ceil", "trunc", "rint")),
    "leaky_relu": lambda x: gnp.leaky_relu(x, slope=0.1),
    "round": lambda x: gnp.round(x, 1),
    "polygamma": lambda x: gnp.polygamma(1, x),
    "unnormalized_sinc": gnp.sinc,
    "clip": lambda x: gnp.clip(x, -1.0, 2.5),
    **{
        name: lambda x, name=name: gnp.where(OPS[name](x), 2.0, 3.0)
        for name in ("isfinite", "isinf", "isnan", "logical_not", "signbit")
    },
    "invert": lambda x: gnp.where(~(x > 0), 1.0, 2.0),
}
ARITHMETIC = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin", "copysign", "heaviside"),
    *("floor_divide", "remainder", "fmod", "hypot", "arctan2", "logaddexp", "logaddexp2", "xlogy", "power"),
)
COMPARISONS = (
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
    *("logical_and", "logical_or", "logical_xor"),
)
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")


def example(name: str) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    """Arguments in the op's domain, and a function of them that applies it."""
    if name in EXAMPLES:
        return EXAMPLES[name]
    case = applications(name)[0]
    return case.inputs, lambda *inputs: OPS[name](*inputs, **case.attributes)


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_is_compiled_or_says_why_not(name, cpu):
    arguments, function = example(name)
    graph, _ = trace(function, *arguments)
    if name in UNCOMPILED:
        with pytest.raises(UncompilableError, match=f"^{name} is not compiled: {UNCOMPILED[name]}[.]$"):
            compile_graph(graph)
        return
    got, expected = compile_graph(graph, cpu)(arguments), interpret(graph, arguments)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


def applications(name: str) -> list[Case]:
    """The cases that the op is certified on, but for those of arrays without elements."""
    op = OPS[name]

    def has_elements(case: Case) -> bool:
        graph, _ = trace(lambda *inputs: op(*inputs, **case.attributes), *case.inputs)
        return all(0 not in node.shape for node in (*graph.inputs, *graph.outputs))

    return [case for case in cases(name) if has_elements(case)]


@pytest.mark.parametrize("name", sorted(OPS.keys() - UNCOMPILED.keys() - {"input", "constant"}))
def test_every_way_to_apply_an_op_is_compiled(name):
    op = OPS[name]
    for case in applications(name):
        graph, _ = trace(lambda *inputs, case=case: op(*inputs, **case.attributes), *case.inputs)
        (got,), (expected,) = compile_graph(graph)(case.inputs), interpret(graph, case.inputs)
        assert (got.shape, got.dtype) == (np.shape(expected), expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)


def test_only_ops_that_exist_are_declared():
    assert UNCOMPILED.keys() < OPS.keys()
    assert LOWERINGS.keys() | BLOCKS.keys() < OPS.keys() | VOCABULARY.keys()
    assert not OPS.keys() & VOCABULARY.keys()
    assert not UNCOMPILED.keys() & (LOWERINGS.keys() | BLOCKS.keys())


SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan, 80.0, -80.0, 1e4, -1e4, 1e30, -1e30)


def all_of(x: Any, y: Any) -> dict[str, Any]:
    """Every elementwise op of one and of two arguments, by name."""
    unary = {name: (op or OPS[name])(x) for name, op in UNARY.items()}
    binary = {name: OPS[name](x, y) for name in ARITHMETIC}
    bits = {name: gnp.where(OPS[name](x > 0, y < 1), x, 7.0) for name in BITS}
    return unary | binary | bits | {name: gnp.where(OPS[name](x, y), x, 7.0) for name in COMPARISONS}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementwise_ops_agree_at_special_and_random_values(cpu, dtype):
    rng = np.random.default_rng(2)
    first, second = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
    x = np.concatenate([first, rng.standard_normal(300), 30 * rng.standard_normal(300)]).astype(dtype)
    y = np.concatenate([second, rng.standard_normal(600)]).astype(dtype)
    graph, _ = trace(lambda x, y: tuple(all_of(x, y).values()), x, y)
    with np.errstate(all="ignore"):
        names = list(all_of(x[:1], y[:1]))
        expected = interpret(graph, [x, y])
    covered = UNARY.keys() | {*ARITHMETIC, *COMPARISONS, *BITS}
    assert covered >= LOWERINGS.keys() - {"where", "broadcast_to", "cast", "convert", *VOCABULARY}
    # the interpreter's sums of rounded functions are no better than this; denormal numbers count as zero
    relative, smallest = (2e-6, 1e-37) if dtype == np.float32 else (1e-13, 1e-307)
    for name, got, wanted in zip(names, compile_graph(graph, cpu)([x, y]), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=relative, atol=smallest, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 1), (4, 2), (5, 2), (9, 1), (4, 3), (6, 4)])
def test_functions_of_short_lines_are_those_of_each_line(cpu, rows, columns, dtype):
    rng = np.random.default_rng(rows)
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 3), (columns, 3), (columns,)))

    def layer(x: Any, w: Any, b: Any) -> Any:
        z = contract(x, w, "ak,uk->au") + b
        return gnp.tanh(z), gnp.exp(z), z

    graph, _ = trace(layer, x, w, b)
    for got, true in zip(compile_graph(graph, cpu)([x, w, b]), interpret(graph, [x, w, b]), strict=True):
        np.testing.assert_allclose(got, true, rtol=20 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_outer_product_times_a_matrix(cpu, dtype):
    rng = np.random.default_rng(0)
    delta, w, slope = (rng.standard_normal(shape).astype(dtype) for shape in ((7, 1), (1, 20), (7, 20)))
    graph, _ = trace(lambda d, w, s: contract(d, w, "ai,ij->aj") * (1.0 - s), delta, w, slope)
    got = compile_graph(graph, cpu)([delta, w, slope])[0]
    np.testing.assert_allclose(got, (delta @ w) * (1 - slope), rtol=8 * np.finfo(dtype).eps)


ROWS = [[np.inf, 1.0, 2.0], [-np.inf] * 3, [np.nan, 1.0, 2.0], [np.inf, np.inf, 0.0], [1.0, 2.0, -np.inf]]


@pytest.mark.parametrize("repeated", [1, 9])
@pytest.mark.parametrize("name", ["softmax", "logsumexp", "softmax_cross_entropy", "sigmoid_cross_entropy"])
def test_rows_with_special_values_agree(name, repeated, cpu):
    z = np.tile(np.array([*ROWS, [1.0, 2.0, 3.0]]), repeated)
    function = {
        "softmax": gnp.softmax,
        "logsumexp": lambda z: gnp.logsumexp(z, axis=-1),
        "softmax_cross_entropy": lambda z: gnp.softmax_cross_entropy(z, np.ones(z.shape)),
        "sigmoid_cross_entropy": lambda z: gnp.sigmoid_cross_entropy(z, np.full(z.shape, 0.25)),
    }[name]
    graph, _ = trace(function, z)
    (got,) = compile_graph(graph, cpu)([z])
    with np.errstate(all="ignore"):
        (expected,) = interpret(graph, [z])
    np.testing.assert_allclose(got, expected, rtol=1e-13)
    assert np.isfinite(got[-1]).all()


def test_the_loss_of_a_sure_and_right_answer_keeps_its_digits():
    z, target = np.array([20.0, 40.0, -20.0], np.float32), np.array([1.0, 1.0, 0.0], np.float32)
    graph, _ = trace(gnp.sigmoid_cross_entropy, z, target)
    (got,) = compile_graph(graph)([z, target])
    np.testing.assert_allclose(got, np.log1p(np.exp(-np.abs(z.astype(float)))), rtol=1e-6)


S, R = np.ones((6, 6)), np.arange(6.0)


@pytest.mark.parametrize(
    "function",
    [
        # past bugs: sums of rows, spread over the columns of the very matrix that they sum
        lambda x, r: x * x.sum(1) + x.sum(1, keepdims=True) * x.sum(0),
        lambda x, r: gnp.broadcast_to(x.sum(1), (6, 6)) + x,
        lambda x, r: (x + x.sum(1)).sum(1),
        # the product itself is wanted beside its sum with a bias
        lambda x, r: (x @ x, x @ x + r),
        lambda x, r: x @ x + x @ x,
        # a vector as a row and as a column of one matrix
        lambda x, r: r.reshape(6, 1) * x + r,
        lambda x, r: (r.reshape(1, 6) * 2.0).reshape(6, 1) * x,
        # slices that are read where they lie, of what is overwritten, returned or computed beside them
        lambda x, r: (x[2:] @ x[:2].T, x[:, 1:5] * x[:, 1:5].sum(1, keepdims=True), x[1:3], x[1:2] + x),
        lambda x, r: gnp.tanh(x)[1:] * gnp.tanh(x)[:5] + (x @ x)[2:3, :],
        lambda x, r: (gnp.concatenate([x, x], 1)[:, :4] @ r[:4], gnp.tanh(x)[1:4][1:]),
        # constants that are no plain numbers, and plain numbers that are no ordinary ones
        lambda x, r: x * np.arange(36.0).reshape(6, 6) + np.arange(6.0) + np.arange(6.0).reshape(6, 1),
        lambda x, r: (r + np.nan, r * np.inf, 1.0 / (r.reshape(1, 6) * np.array([0.0, -0.0] * 3))),
        lambda x, r: (np.ones((2, 3)), np.float64(3.0), r + 1.0, r),
    ],
)
def test_graphs_that_were_or_could_be_wrong(function, cpu):
    rng = np.random.default_rng(3)
    x, r = rng.standard_normal((6, 6)), rng.standard_normal(6)
    graph, _ = trace(function, x, r)
    got = compile_graph(graph, cpu)([x, r])
    with np.errstate(all="ignore"):
        expected = interpret(graph, [x, r])
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (64,), (131,), (5, 8), (2, 3, 5), (7, 100)])
def test_random_numbers_are_those_of_the_interpreter(shape, dtype, cpu):
    def draw(step: Any, steps: Any) -> tuple[Any, ...]:
        key = Key(2**40 + 3, 7)
        one, each = key.at(step), gn.vmap(lambda step: gn.random.uniform(key.at(step), shape, dtype=dtype))
        return (
            gn.random.bits(one, shape).astype("float64"),
            gn.random.uniform(one, shape, dtype=dtype),
            gn.random.randint(one, shape, -7, 2**31),
            gn.random.dropout_mask(one, shape, 0.3, dtype),
            each(steps),
            gn.random.permutation(one, 37),
            gn.random.normal(one, shape, dtype=dtype),
            gn.random.gumbel(one, shape, dtype=dtype),
        )

    inputs = [np.float32(12.0), np.array([3, 2**31 - 1, 0, 12], np.int32)]
    graph, _ = trace(draw, *inputs)
    got, expected = compile_graph(graph, cpu)(inputs), interpret(graph, inputs)
    for one, other in zip(got[:6], expected[:6], strict=True):
        np.testing.assert_array_equal(one, other)
    rounding = 1e-14 if dtype == "float64" else 1.2e-7
    for one, other in zip(got[6:], expected[6:], strict=True):
        np.testing.assert_allclose(one, other, rtol=rounding, atol=1e-14)


@pytest.mark.parametrize(
    "spec",
    [
        *("bij,bjk->bik", "bij,bkj->bik", "bji,bjk->bik", "bji,bkj->bik", "bij,bjk->bki", "bij,bjk->kbi"),
        *("bphd,bqhd->bhpq", "bhpq,bqhd->bphd", "bhpq,bhpd->bhqd", "bpf,of->bpo", "bpf,bpo->of"),
        *("bi,bi->b", "bij,bj->bi", "bi,bij->bj", "bi,bj->bij", "ij,bk->bijk", "ijk,ijk->", "bijk,jk->bi"),
        *("ab,cd->acbd", "abc,bd->acd", "abc,cb->a", "i,ijk->jk", "bij,k->bijk"),
    ],
)
def test_products_of_any_labels(spec, cpu):
    extents = dict(zip("abcdfhijkopq", (3, 2, 4, 5, 18, 2, 3, 17, 5, 19, 4, 6), strict=True))
    rng = np.random.default_rng(4)
    operands = spec.partition("->")[0].split(",")
    x, y = (rng.standard_normal([extents[label] for label in labels]) for labels in operands)
    graph, _ = trace(lambda x, y: contract(x, y, spec) * 2.0, x, y)
    got, expected = compile_graph(graph, cpu)([x, y]), interpret(graph, [x, y])
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-12, atol=1e-12)


F, D, WHOLE = np.ones(4, np.float32), np.linspace(-1.0, 2.0, 4), np.arange(4, dtype=np.int32)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda x, y: (x + y, x * 2, gnp.tanh(x).astype("float64") * y), (F, D)),
        (lambda i, y: (i + i, i * y, i - 3, -i, abs(i - 2), gnp.maximum(i, 2), gnp.sign(i - 1)), (WHOLE, D)),
        (
            lambda i, y: (
                i.sum(),
                i.sum() * y,
                (i.astype("int64") * 2**40).sum(),
                i.max(),
                i.min(),
                i.prod(),
            ),
            (WHOLE, D),
        ),
        (lambda y: ((y > 0) * y, y > 0, (y > 0).sum(), (y > 0) + (y < 0.5), (y > 0) * (y < 0.5)), (D,)),
        (lambda c, y: gnp.where(c, y, 0.0), (D, D)),
        (lambda i: (i + 1, i.astype("int64"), i.astype("float32"), i.astype("bool")), (WHOLE,)),
        (lambda x: (x + 1, x.sum(1), x.mean((0, 2)), x - x.mean(2, keepdims=True)), (np.ones((2, 3, 5)),)),
        (lambda x: gnp.logsumexp(x, axis=0), (np.arange(6.0).reshape(2, 3),)),
        (lambda x: x.reshape(6, 6), (np.arange(36.0).reshape(4, 9),)),
        (lambda x, y: (x.reshape(1, 4) @ y, y.T @ x.reshape(4, 1)), (D, np.ones((4, 2)))),
        (lambda x, y: one_hot(x, 4, D.dtype) * y, (np.arange(4), np.ones((4, 4)))),
    ],
)
def test_types_and_shapes_of_every_kind(function, arguments, cpu):
    graph, _ = trace(function, *arguments)
    for got, expected in zip(compile_graph(graph, cpu)(arguments), interpret(graph, arguments), strict=True):
        assert (got.shape, got.dtype) == (np.shape(expected), expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=1e-6 if got.dtype == np.float32 else 1e-13)


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        (lambda x: x + 1, (np.ones((0, 2)),), "arrays without elements"),
        (lambda x: x + 1, (np.ones(2, np.int8),), "values of dtype int8"),
        (lambda i, j: i**j, (WHOLE, WHOLE), "powers other than"),
        (gnp.reciprocal, (WHOLE,), "reciprocal of int32"),
        (gnp.softmax, (np.float64(1.0),), "softmax of a single number"),
    ],
)
def test_what_is_refused_and_in_what_words(function, arguments, reason):
    graph, _ = trace(function, *arguments)
    with pytest.raises(UncompilableError) as caught:
        compile_graph(graph)
    text = str(caught.value)
    assert reason in text
    assert text.endswith(".")
    assert "\n" not in text


def test_inputs_of_other_shapes_are_refused():
    graph, _ = trace(lambda x, r: x + r, S, R)
    native = compile_graph(graph)
    with pytest.raises(ShapeError, match=r"input_1 of shape \(6,\).* got \(2, 3\)"):
        native([S, R.reshape(2, 3)])
