"""The passes one by one: each rewrite rule fires, storages are as said, buffers alive together lie apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet.numpy as gnp
from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU
from glassnet.compiler.loop_ir import Buffer, Builder
from glassnet.compiler.lowering.matrix import choose_tile, split
from glassnet.compiler.passes import expand as expand_module
from glassnet.compiler.passes.expand import expand
from glassnet.compiler.passes.flatten import flatten
from glassnet.compiler.passes.fuse import Kernel, order
from glassnet.compiler.passes.layout import Storage
from glassnet.compiler.passes.memory import ALIGNMENT, plan_memory, size_in_bytes
from glassnet.compiler.passes.rearrange import rearrange
from glassnet.compiler.passes.rewrite import make, uniform
from glassnet.compiler.passes.simplify import simplify
from glassnet.compiler.passes.types import agree
from glassnet.compiler.program import plan_graph
from glassnet.core.graph import Graph
from glassnet.core.registry import OPS
from glassnet.core.trace import as_array, constant
from glassnet.errors import UncompilableError
from glassnet.interpret.reference import interpret
from glassnet.ops.comparison import one_hot
from glassnet.ops.matrix import contract
from glassnet.optim import Adam
from glassnet.transforms.tracing import trace

M = np.random.default_rng(0).standard_normal((3, 4))
LABELS = np.array([0, 3, 1], np.int32)


def ops(graph: Graph) -> str:
    """The names of its ops in order, without inputs and constants."""
    return " ".join(node.op.name for node in graph.nodes if node.op.name not in ("input", "constant"))


def _placed(x: Any, start: int = 2, rows: int = 7) -> Any:
    return OPS["scatter"](x, index=(slice(start, start + len(x)),), shape=(rows, 4))


# What a function of a (3, 4) matrix looks like after the rule, which the comment names as simplify.py does.
SIMPLIFIED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: x + gnp.exp(as_array(np.zeros(4))), "add"),  # constants alone are a constant
    (lambda x: gnp.tanh(x) * gnp.tanh(x), "tanh multiply"),  # equal nodes are one
    (lambda x: 0.0 + gnp.tanh(x), "tanh"),  # 0 + x -> x
    (lambda x: gnp.tanh(x) + np.zeros(4), "tanh"),  # x + 0 -> x
    (lambda x: x + (-gnp.tanh(x)), "tanh subtract"),  # x + (-y) -> x - y
    (lambda x: gnp.tanh(x) - 0.0, "tanh"),  # x - 0 -> x
    (lambda x: gnp.tanh(x) * 1.0, "tanh"),  # 1 x -> x
    (lambda x: x * -1.0, "negative"),  # -1 x -> -x
    (lambda x: 2.0 * (3.0 * x), "multiply"),  # a (b x) -> (a b) x
    (lambda x: x * gnp.where(x > 0.5, 1.0, 0.0), "greater where"),  # x where(c, 1, 0) -> where(c, x, 0)
    (lambda x: gnp.tanh(x) / 1.0, "tanh"),  # x / 1 -> x
    (lambda x: x / 8.0, "multiply"),  # x / 2^k -> 2^-k x
    (lambda x: gnp.negative(gnp.negative(gnp.tanh(x))), "tanh"),  # -(-x) -> x
    (lambda x: x - gnp.broadcast_to(x[:, :1], (3, 4)), "getitem subtract"),  # operands spread by themselves
    (lambda x: OPS["reshape"](gnp.tanh(x), shape=(3, 4)), "tanh"),  # nothing is reshaped
    (lambda x: gnp.tanh(x).reshape(4, 3).reshape(12), "tanh reshape"),  # reshape(reshape(x)) -> reshape(x)
    (lambda x: OPS["broadcast_to"](gnp.tanh(x), shape=(3, 4)), "tanh"),  # nothing is repeated
    (lambda x: x * one_hot(LABELS, 4, M.dtype).sum(-1, keepdims=True), ""),  # an indicator sums to 1
    (lambda x: x.sum(1, keepdims=True).sum(1), "sum reshape"),  # nothing to add
    (
        lambda x: x.sum(1, keepdims=True).reshape(3).sum(),
        "sum sum reshape",
    ),  # a packed column sums over its rows
    (lambda x: gnp.tanh(x).T.sum(0), "tanh sum"),  # sum(x^T) -> sum(x)
    (lambda x: contract(x.T, x, "ij,jk->ik"), "contract"),  # contract(x^T, y) -> contract(x, y)
    (lambda x: x[1], "getitem reshape"),  # x[1] -> reshape(x[1:2, :])
    (lambda x: OPS["getitem"](gnp.tanh(x), index=(slice(None),)), "tanh"),  # x[:] -> x
    (lambda x: x[1:][:, ::2], "getitem"),  # x[a][b] -> x[c]
    (lambda x: gnp.concatenate([x, gnp.tanh(x)])[1:3], "getitem"),  # concatenate(x, y)[in x] -> x[...]
    (lambda x: gnp.concatenate([x, gnp.tanh(x), x])[1:4], "tanh getitem getitem concatenate"),  # fewer pieces
    (lambda x: _placed(gnp.tanh(x))[2:5], "tanh"),  # scatter(x, a)[a] -> x
    (lambda x: _placed(x)[5:] + 1.0, ""),  # scatter(x, a)[b] -> 0
    (lambda x: (_placed(x) + _placed(x * 2.0, 0))[5:], ""),  # (scatter(x) + y)[a] -> scatter(x)[a] + y[a]
    (lambda x: _placed(gnp.tanh(x), 0, 3), "tanh"),  # everything is written
    (lambda x: gnp.concatenate([gnp.tanh(x)]), "tanh"),  # concatenate(x) -> x
    (lambda x: _placed(x, 0) + (_placed(x[:1], 6) + _placed(x, 3)), "getitem concatenate"),  # side by side
    (lambda x: gnp.tanh(x).T.T, "tanh"),  # transpose(transpose(x)) -> transpose(x)
    (lambda x: gnp.tanh(x).T[1:2], "tanh getitem reshape"),  # transpose(x)[a] -> transpose(x[b])
    (lambda x: _placed(gnp.tanh(x)).T[:, 2:5], "tanh transpose"),  # transpose(scatter(x)) -> scatter(...)
    (lambda x: gnp.tanh(x[:1]).max(0), "getitem tanh reshape"),  # a reduction over one element
]


@pytest.mark.parametrize(("function", "expected"), SIMPLIFIED, ids=range(len(SIMPLIFIED)))
def test_each_rule_of_simplify_fires(function, expected):
    graph, _ = trace(function, M)
    simplified = simplify(graph).verify()
    assert ops(simplified) == expected
    assert ops(graph) != expected
    np.testing.assert_allclose(interpret(simplified, [M])[0], interpret(graph, [M])[0], rtol=1e-15)


@pytest.mark.parametrize("divisor", [3.0, 0.0, 2.0**1023, 2.0**-1074, np.inf])
def test_only_exact_quotients_become_products(divisor):
    graph, _ = trace(lambda x: x / divisor, M)
    assert ops(simplify(graph)) == "divide"  # 2^-1023 is no normal number, 2^1074 none


def test_a_constant_that_is_one_number_loses_its_shape():
    graph, _ = trace(lambda x: x + np.full((3, 4), 2.0), M)
    (filled,) = (node for node in simplify(graph).nodes if node.op.name == "constant")
    assert filled.shape == ()


def test_factors_stand_in_front():
    graph, _ = trace(lambda x: x * 3.0, M)
    assert simplify(graph).outputs[0].inputs[0].op.name == "constant"  # x a -> a x


def test_factors_that_spread_a_row_keep_its_shape():
    # past bug: a (b x) became (a b) x where a has more rows than x, and the graph was refused
    graph, _ = trace(lambda x: np.full((1, 4), 2.0) * (3.0 * x), M[0])
    simplified = simplify(graph).verify()
    assert simplified.outputs[0].shape == (1, 4)
    np.testing.assert_array_equal(interpret(simplified, [M[0]])[0], 6.0 * M[:1])


def test_folding_an_infinity_is_silent():
    graph, _ = trace(gnp.tanh, M)
    infinite = make("divide", constant(np.ones(4)), constant(np.zeros(4)))
    total = Graph.of(graph.inputs, [make("add", graph.outputs[0], infinite)])
    assert np.isposinf(interpret(simplify(total), [M])[0]).all()


@pytest.mark.parametrize(
    ("value", "number"),
    [([2.0, 2.0], 2.0), ([0.0, -0.0], None), ([1.0, 2.0], None), ([], None), ([True, True], True)],
)
def test_a_uniform_constant_is_known_by_its_bits(value, number):
    assert uniform(constant(np.array(value))) == number


def test_a_constant_of_nans_is_uniform():
    number = uniform(constant(np.full(3, np.nan)))
    assert number is not None
    assert np.isnan(number)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (gnp.softmax, "row_max subtract exp sum divide"),
        (
            lambda x: gnp.softmax(OPS["broadcast_to"](x[:, :1], shape=(3, 17))),
            "getitem broadcast_to row_max subtract exp sum divide multiply",
        ),
        (lambda x: gnp.logsumexp(x, axis=-1), "row_max abs less where subtract exp sum log add reshape"),
        (gnp.square, "multiply"),
        (lambda x: x**1, ""),
        (lambda x: x**2, "multiply"),
        (lambda x: x**3, "multiply multiply"),
        (lambda x: gnp.exp(x) ** 0.5, "exp sqrt"),
        (lambda x: x @ np.ones(4), "reshape multiply sum"),
        (
            lambda x: contract(x[0], x[1], "i,j->ij"),
            "getitem reshape getitem reshape reshape reshape multiply",
        ),
        (lambda x: OPS["variable"](OPS["stop_gradient"](x)) * 2.0, "multiply"),
    ],
)
def test_each_rule_of_expand_fires(function, expected):
    graph, _ = trace(function, M)
    expanded = expand(graph).verify()
    assert ops(expanded) == expected
    np.testing.assert_allclose(interpret(expanded, [M])[0], interpret(graph, [M])[0], rtol=1e-13)


T = np.random.default_rng(1).standard_normal((2, 3, 4))

# What a function of a (2, 3, 4) array looks like once arrays are matrices.
FLATTENED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: gnp.tanh(x) * x, "reshape tanh multiply reshape"),
    (lambda x: x + np.arange(4.0), "reshape add reshape"),
    (lambda x: x * np.arange(6.0).reshape(2, 3, 1), "reshape multiply reshape"),
    (lambda x: x + np.arange(3.0).reshape(3, 1), "reshape add reshape"),
    (lambda x: x.astype("float32"), "reshape convert reshape"),
    (lambda x: x.sum(), "reshape sum sum"),
    (lambda x: x.sum(-1), "reshape sum reshape"),
    (lambda x: x.sum((0, 1)), "reshape sum reshape"),
    (lambda x: x.sum(1), "sum"),
    (lambda x: gnp.einsum("bpf,of->bpo", x, M), "reshape contract reshape"),
    (lambda x: gnp.einsum("bpf,bqf->bpq", x, x), "transpose contract"),
    (lambda x: gnp.einsum("bpf,bpg->bfg", x, x), "contract"),
    (lambda x: gnp.einsum("bpf,pqf->bpq", x, np.ones((3, 5, 4))), "transpose contract transpose"),
]


@pytest.mark.parametrize(("function", "expected"), FLATTENED, ids=range(len(FLATTENED)))
def test_arrays_of_any_rank_become_matrices(function, expected):
    graph, _ = trace(function, T)
    flat = simplify(flatten(simplify(expand(agree(graph))))).verify()
    assert ops(flat) == expected
    for got, true in zip(interpret(flat, [T]), interpret(graph, [T]), strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-13)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: gnp.swapaxes(x.reshape(2, 3, 2, 2), 1, 2), "rearranged"),  # transpose(reshape(x))
        (lambda x: gnp.swapaxes(x, 0, 1).reshape(3, 8), "rearranged"),  # reshape(transpose(x))
        (lambda x: gnp.moveaxis(x.reshape(2, 3, 2, 2), 1, 3).reshape(4, 6), "rearranged"),  # both
        (lambda x: gnp.swapaxes(x, 0, 1).reshape(6, 4), "transpose reshape"),  # nothing moves in the reshape
        (lambda x: gnp.swapaxes(x.reshape(4, 6), 0, 1), "reshape transpose"),  # elements of both axes mix
    ],
    ids=range(5),
)
def test_a_transpose_between_reshapes_is_one_copy(function, expected):
    graph, _ = trace(function, T)
    joined = rearrange(simplify(graph)).verify()
    assert ops(joined) == expected
    np.testing.assert_array_equal(interpret(joined, [T])[0], interpret(graph, [T])[0])


def test_operands_get_the_type_that_their_op_computes_in():
    single, whole, truth = np.ones(3, np.float32), np.arange(3), np.array([True, False, True])
    graph, _ = trace(
        lambda x, i, c: (x + i, gnp.where(i, x, 0.5), c * 2.0, i < x, (i > 1).sum(), gnp.isnan(i)),
        single,
        whole,
        truth,
    )
    agreed = agree(graph).verify()
    for got, true in zip(
        interpret(agreed, [single, whole, truth]), interpret(graph, [single, whole, truth]), strict=True
    ):
        np.testing.assert_array_equal(got, true)
        assert got.dtype == true.dtype
    for node in agreed.nodes:
        if node.op.broadcasts and node.op.name != "where" and len(node.inputs) > 1:
            assert len({x.dtype for x in node.inputs}) == 1


def test_softmax_and_its_cross_entropy_share_their_parts():
    graph, _ = trace(lambda z, t: (gnp.softmax_cross_entropy(z, t), gnp.softmax(z)), M, np.abs(M))
    names = ops(simplify(expand(graph))).split()
    assert (names.count("row_max"), names.count("exp")) == (1, 1)


def test_a_rule_may_not_change_the_type(monkeypatch):
    wrong = {"tanh": (lambda node: make("sum", node, axes=(0,), keepdims=False),)}
    monkeypatch.setattr(expand_module, "_RULES", wrong)
    graph, _ = trace(gnp.tanh, M)
    with pytest.raises(UncompilableError, match="changed"):
        expand(graph)


@pytest.mark.parametrize("loss", ["half_squared_error", "binary_cross_entropy", "cross_entropy"])
def test_the_passes_keep_the_meaning_of_a_training_step(training, loss):
    run = training([4, 7, 3], activations=("softmax", "tanh"), loss=loss, rows=20, optimizer=Adam(0.01))
    batch = [
        *(column[:8] for column in run.data.columns),
        np.array([1.0] * 5 + [0.0] * 3),
        np.float64(1),
        np.float64(0.01),
    ]
    inputs = [*run.carried, *batch]
    expected = interpret(run.step.graph, inputs)
    for graph in (expand(run.step.graph).verify(), simplify(expand(run.step.graph)).verify()):
        for got, true in zip(interpret(graph, inputs), expected, strict=True):
            np.testing.assert_allclose(got, true, rtol=1e-10, atol=1e-14)


# -- kernels


def test_kernels_that_wait_for_one_another_are_refused():
    first, second = Kernel("rows", (1, 1), None), Kernel("rows", (1, 1), None)
    assert order([second, first], {first: set(), second: {first}}) == [first, second]
    with pytest.raises(UncompilableError, match="in a circle"):
        order([first, second], {first: {second}, second: {first}})


# -- layout


def plan(training, cpu, **network):
    run = training([5, 300, 3], rows=24, **network)
    b = Builder("step")
    step = run.step
    batch = range(step.carried, len(step.graph.inputs))
    made = plan_graph(step.graph, b, cpu, fixed=batch, overwrites={1 + i: i for i in range(step.carried)})
    return made, step


def test_matrices_lie_in_whole_vectors_and_not_a_power_of_two_apart(training, cpu):
    made, step = plan(training, cpu, dtype="float32")
    lanes = cpu.lanes("f32")
    for node, storage in made.layout.storages.items():
        assert storage.line % lanes == 0
        if made.values.storage(node) == "matrix":
            assert storage.line % 256 or storage.line < 256
            along = storage.shape[0] if storage.transposed else storage.shape[1]
            assert storage.line >= along
    x, target = step.graph.inputs[step.carried : step.carried + 2]
    assert not made.storage(x).transposed
    assert not made.storage(target).transposed


def test_what_is_carried_is_updated_in_place(training, cpu):
    made, step = plan(training, cpu)
    for source, result in zip(step.graph.inputs, made.graph.outputs[1:], strict=False):
        assert made.storage(result) is made.storage(source)


@pytest.mark.parametrize(("transposed", "column"), [(False, False), (True, False), (False, True)])
def test_arrays_come_back_from_the_arena(transposed, column):
    shape = (5, 1) if column else (5, 3)
    line, lines = (8, 1) if column else (8, 3) if transposed else (4, 5)
    storage = Storage(Buffer("x", "f32", line * lines, offset=64), shape, line, transposed, column)
    arena = Arena(64 + 4 * line * lines)
    array = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    arena.write(storage, array)
    np.testing.assert_array_equal(arena.read(storage, shape), array)
    flat = arena.view(storage).ravel()
    for i, j in np.ndindex(*shape):
        assert flat[storage.index(i, j).constant] == array[i, j]
    assert arena.address % ALIGNMENT == 0


# -- memory

lifetimes = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)


@settings(max_examples=200, derandomize=True, database=None)
@given(
    persistent=st.lists(st.integers(1, 500), max_size=5),
    temporary=st.lists(st.tuples(st.integers(1, 500), lifetimes), max_size=12),
)
def test_buffers_alive_together_lie_apart(persistent, temporary):
    kept = [Buffer(f"kept{n}", "f32", size) for n, size in enumerate(persistent)]
    lives = {Buffer(f"b{n}", "f64", size): (born, died) for n, (size, (born, died)) in enumerate(temporary)}
    end = plan_memory(kept, lives)
    alive = dict.fromkeys(kept, (0, 20)) | lives
    for one in alive:
        assert one.offset % ALIGNMENT == 0
        assert one.offset + size_in_bytes(one) <= end
        for other in alive:
            together = alive[one][0] <= alive[other][1] and alive[other][0] <= alive[one][1]
            if one is not other and together:
                apart = one.offset + size_in_bytes(one) <= other.offset
                assert apart or other.offset + size_in_bytes(other) <= one.offset
    assert end <= sum(size_in_bytes(buffer) for buffer in alive)


def test_buffers_that_never_meet_share_a_place():
    first, second = Buffer("first", "f32", 100), Buffer("second", "f32", 100)
    assert plan_memory([], {first: (0, 1), second: (2, 3)}) == size_in_bytes(first)


# -- tiles


@given(st.integers(1, 3000), st.integers(1, 40))
def test_pieces_add_up_and_differ_by_one_at_most(count, size):
    pieces = split(count, size)
    assert sum(piece * times for piece, times in pieces) == count
    sizes = [piece for piece, times in pieces]
    assert 1 <= min(sizes) <= max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 2000), st.integers(1, 200), st.integers(1, 2000), st.sampled_from((16, 32)))
def test_a_tile_fits_the_registers_and_the_product(u, vectors, k, registers):
    tile = choose_tile(u, vectors, k, CPU("any", frozenset(), 256, registers))
    assert 1 <= tile.height <= u
    assert 1 <= tile.width <= vectors
    # its sums, a row of vectors of B and one broadcast element of A
    assert tile.height * tile.width + tile.width + 1 <= registers


def test_a_tile_grows_where_operands_come_from_afar():
    # The same share of multiply-adds a load would do in the cache; beyond it every element read must do more.
    cpu = CPU("any", frozenset(), 512, 32)
    near, far = choose_tile(512, 256, 32, cpu), choose_tile(512, 256, 4096, cpu)
    assert near.height * near.width < far.height * far.width
    assert far.width > 1
