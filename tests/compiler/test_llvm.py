"""The emitted text, judged by what the native code does: every vector width of this machine against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.compiler import jit, llvm
from glassnet.compiler._llvm_binding import binding
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.loop_ir import F64, I64, Builder, Function, Index, Operand, Type, verify

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64}


def run(function: Function, cpu: CPU, *arguments):
    verify(function)
    addresses = [x.ctypes.data if isinstance(x, np.ndarray) else x for x in arguments]
    return jit.compile_function(function, cpu)(*addresses)


def lanewise(cpu: CPU, write, *inputs: np.ndarray, result: str) -> np.ndarray:
    """The vector that `write(b, *values)` makes from whole input vectors."""
    b = Builder("f", flush_denormals=False)
    elements = [next(name for name, dtype in DTYPES.items() if dtype == x.dtype) for x in inputs]
    values = []
    for number, (x, element) in enumerate(zip(inputs, elements, strict=True)):
        values.append(b.load(b.buffer(f"x{number}", element, x.size, kind="argument"), 0, x.size))
    made = write(b, *values)
    out = np.zeros(made.type.lanes, DTYPES[result])
    b.store(b.buffer("out", result, out.size, kind="argument"), 0, made)
    run(b.finish(), cpu, *inputs, out)
    return out


def blocked_product(rows: int, inner: int, columns: int, lanes: int) -> Function:
    """C = A B in tiles of 8 rows by 2 vectors, with 16 accumulators carried through the loop over k."""
    b = Builder("product")
    A = b.buffer("A", "f32", rows * inner, kind="argument")
    B = b.buffer("B", "f32", inner * columns, kind="argument")
    C = b.buffer("C", "f32", rows * columns, kind="argument")

    def tile(i, j):
        def step(k, *sums):
            right = [b.load(B, k * columns + j + v * lanes, lanes) for v in range(2)]
            left = [b.load_splat(A, (i + r) * inner + k, lanes) for r in range(8)]
            return [b.fma(left[n // 2], right[n % 2], total) for n, total in enumerate(sums)]

        sums = b.loop(0, inner, 1, step, [b.zero(Type("f32", lanes))] * 16)
        for n, total in enumerate(sums):
            b.store(C, (i + n // 2) * columns + j + n % 2 * lanes, total)

    b.loop(0, columns, 2 * lanes, lambda j: b.loop(0, rows, 8, lambda i: tile(i, j)))
    return b.finish()


def test_blocked_matrix_product(cpu):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((16, 24), dtype=np.float32)
    B = rng.standard_normal((24, 64), dtype=np.float32)
    C = np.zeros((16, 64), np.float32)
    run(blocked_product(16, 24, 64, cpu.lanes("f32")), cpu, A, B, C)
    np.testing.assert_allclose(C, A.astype(np.float64) @ B, rtol=0, atol=1e-5)


def test_the_inner_loop_moves_one_pointer_an_operand():
    text = llvm.emit(blocked_product(16, 24, 64, 16), host_cpu())
    inner = text[text.index("%i3 = phi") : text.index("br i1 %more", text.index("%i3 = phi"))]
    moves = [
        line for line in inner.splitlines() if "getelementptr" in line and "%i" in line.split("i64 ")[-1]
    ]
    assert len(moves) == 2
    assert "mul" not in inner.replace("fmul", "")


def test_arena_buffers_lie_at_their_offsets(cpu):
    b = Builder("copy")
    x, y = b.buffer("x", "f64", 8), b.buffer("y", "f64", 8)
    x.offset, y.offset = 64, 192
    b.loop(0, 8, 1, lambda i: b.store(y, 7 - i, b.load(x, i)))
    arena = np.zeros(40)
    arena[8:16] = np.arange(1, 9)
    run(b.finish(), cpu, arena)
    expected = np.zeros(40)
    expected[8:16], expected[24:32] = np.arange(1, 9), np.arange(8, 0, -1)
    np.testing.assert_array_equal(arena, expected)


@pytest.mark.parametrize("element", DTYPES)
def test_masked_lanes_are_not_touched(cpu, element):
    lanes = cpu.lanes(element)
    valid = lanes - 1
    b = Builder("f")
    x, y = (b.buffer(name, element, valid, kind="argument") for name in "xy")
    z = b.buffer("z", element, lanes, kind="argument")
    loaded = b.load(x, 0, lanes, mask=valid)
    b.store(y, 0, loaded, mask=valid)
    b.store(z, 0, loaded)
    source = np.arange(1, lanes + 1).astype(DTYPES[element])
    part, whole = np.full(lanes, 9, source.dtype), np.full(lanes, 9, source.dtype)
    run(b.finish(), cpu, source, part, whole)
    np.testing.assert_array_equal(part, [*source[:valid], 9])
    np.testing.assert_array_equal(whole, [*source[:valid], 0])


@pytest.mark.parametrize(("start", "stop", "total"), [(0, 5, 10), (3, 4, 3), (5, 5, 0), (7, 2, 0)])
def test_a_loop_with_runtime_bounds_may_make_no_trip(cpu, start, stop, total):
    b = Builder("f")
    first, last = b.argument("first"), b.argument("last")
    (result,) = b.loop(first, last, 1, lambda i, a: [b.iadd(a, b.value_of(i))], [b.zero(I64)])
    assert run(b.finish(result), cpu, start, stop) == total


@pytest.mark.parametrize("stop", [3, 9])
def test_a_loop_ends_behind_the_trip_that_says_so(cpu, stop):
    b = Builder("f")
    count = b.argument("count")

    def trip(i: Index, total: Operand) -> list[Operand]:
        total = b.iadd(total, b.value_of(i))
        b.go_on_if(b.compare("lt", total, 10))
        return [total]

    (runtime,) = b.loop(0, count, 1, trip, [b.zero(I64)])
    (static,) = b.loop(0, stop, 1, trip, [b.zero(I64)])
    assert run(b.finish(b.iadd(b.imul(runtime, 100), static)), cpu, stop) == {3: 303, 9: 1010}[stop]


def test_a_branch_stores_only_where_its_condition_holds(cpu):
    b = Builder("f")
    x = b.buffer("x", "i64", 9, kind="argument")

    def body(i: Index) -> None:
        odd = b.compare("eq", b.iand(b.value_of(i), 1), 1)
        b.if_(odd, lambda: b.store(x, i, b.value_of(i * 10 + 1)))

    b.loop(0, 9, 1, body)
    out = np.zeros(9, np.int64)
    run(b.finish(), cpu, out)
    np.testing.assert_array_equal(out, [0, 11, 0, 31, 0, 51, 0, 71, 0])


def test_a_loaded_number_can_index(cpu):
    b = Builder("gather")
    rows = b.buffer("rows", "i32", 4, kind="argument")
    table, out = b.buffer("table", "f32", None, kind="argument"), b.buffer("out", "f32", 8, kind="argument")

    def copy(i: Index) -> None:
        row = Index.of(b.sext(b.load(rows, i), "i64"))
        b.store(out, i * 2, b.load(table, row * 2, 2))

    b.loop(0, 4, 1, copy)
    data, order = np.arange(10, dtype=np.float32), np.array([4, 0, 3, 3], np.int32)
    result = np.zeros(8, np.float32)
    run(b.finish(), cpu, order, data, result)
    np.testing.assert_array_equal(result.reshape(4, 2), data.reshape(5, 2)[order])


X = np.array([-2.5, -0.5, 0.5, 1.5, np.nan, np.inf, -np.inf, 3.25], np.float32)
Y = np.array([1.0, -0.5, np.nan, 2.0, 1.0, -1.0, -np.inf, 2.0], np.float32)
M = np.array([-(2**31), -7, -1, 0, 1, 5, 77, 2**31 - 1], np.int32)
N = np.array([3, -7, 2, 9, -1, 4, 5, 1], np.int32)
S = np.array([0, 1, 2, 3, 31, 5, 6, 7], np.int32)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda b, x, y: b.add(x, y), lambda x, y: x + y),
        (lambda b, x, y: b.sub(x, y), lambda x, y: x - y),
        (lambda b, x, y: b.mul(x, y), lambda x, y: x * y),
        (lambda b, x, y: b.div(x, y), lambda x, y: x / y),
        (lambda b, x, y: b.fma(x, y, -2.0), lambda x, y: x * y - 2),
        (lambda b, x, y: b.minimum(x, y), lambda x, y: np.where(x < y, x, y)),
        (lambda b, x, y: b.maximum(x, y), lambda x, y: np.where(x > y, x, y)),
        (lambda b, x, y: b.maximum(0.0, x), lambda x, y: np.where(x < 0, 0, x)),
        (lambda b, x, y: b.copysign(x, y), np.copysign),
        (lambda b, x, y: b.neg(x), lambda x, y: -x),
        (lambda b, x, y: b.abs(x), lambda x, y: abs(x)),
        (lambda b, x, y: b.sqrt(x), lambda x, y: np.sqrt(x)),
        (lambda b, x, y: b.floor(x), lambda x, y: np.floor(x)),
        (lambda b, x, y: b.round_even(x), lambda x, y: np.round(x)),
        (lambda b, x, y: b.shuffle(x, y, [1, 8, 3, 10, 5, 12, 7, 14]), lambda x, y: _interleave(x, y)),
    ],
)
def test_float_arithmetic(cpu, dtype, write, expected):
    x, y = X.astype(dtype), Y.astype(dtype)
    element = "f32" if dtype == np.float32 else "f64"
    np.testing.assert_array_equal(lanewise(cpu, write, x, y, result=element), expected(x, y))


def _interleave(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([x[1::2], y[0::2]], axis=1).ravel()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda b, m, n, s: b.iadd(m, n), lambda m, n, s: m + n),
        (lambda b, m, n, s: b.isub(m, n), lambda m, n, s: m - n),
        (lambda b, m, n, s: b.imul(m, n), lambda m, n, s: m * n),
        (lambda b, m, n, s: b.iand(m, n), lambda m, n, s: m & n),
        (lambda b, m, n, s: b.ior(m, n), lambda m, n, s: m | n),
        (lambda b, m, n, s: b.ixor(m, n), lambda m, n, s: m ^ n),
        (lambda b, m, n, s: b.shl(m, s), lambda m, n, s: m << s),
        (lambda b, m, n, s: b.ashr(m, s), lambda m, n, s: m >> s),
        (lambda b, m, n, s: b.lshr(m, s), lambda m, n, s: _unsigned(m) >> _unsigned(s)),
        (lambda b, m, n, s: b.iadd(m, b.iota(8, m.type.element)), lambda m, n, s: m + np.arange(8)),
    ],
)
def test_integer_arithmetic(cpu, dtype, write, expected):
    inputs = [x.astype(dtype) for x in (M, N, S)]
    element = "i32" if dtype == np.int32 else "i64"
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(
            lanewise(cpu, write, *inputs, result=element), expected(*inputs).astype(dtype)
        )


def _unsigned(x: np.ndarray) -> np.ndarray:
    return x.view(x.dtype.str.replace("i", "u"))


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("lt", np.less),
        ("le", np.less_equal),
        ("gt", np.greater),
        ("ge", np.greater_equal),
        ("eq", np.equal),
        ("ne", np.not_equal),
        ("ult", lambda x, y: _unsigned(x) < _unsigned(y)),
    ],
)
def test_comparisons_follow_numpy_with_nan_too(cpu, predicate, expected):
    def ones(b, x, y):
        return b.zext(b.compare(predicate, x, y), "i32")

    np.testing.assert_array_equal(lanewise(cpu, ones, M, N, result="i32"), expected(M, N))
    if predicate != "ult":
        np.testing.assert_array_equal(lanewise(cpu, ones, X, Y, result="i32"), expected(X, Y))


@pytest.mark.parametrize(
    ("write", "source", "result", "expected"),
    [
        (lambda b, x: b.zext(x, "i64"), M, "i64", _unsigned(M).astype(np.int64)),
        (lambda b, x: b.sext(x, "i64"), M, "i64", M.astype(np.int64)),
        (
            lambda b, x: b.trunc(x, "i32"),
            M.astype(np.int64) * 2**20 + 3,
            "i32",
            [3, -7340029, -1048573, 3, 1048579],
        ),
        (lambda b, x: b.sitofp(x, "f32"), M, "f32", M.astype(np.float32)),
        (lambda b, x: b.uitofp(x, "f64"), M, "f64", _unsigned(M).astype(np.float64)),
        (lambda b, x: b.fptosi(x, "i32"), X[[0, 1, 2, 3]], "i32", [-2, 0, 0, 1]),
        (lambda b, x: b.bitcast(x, "i32"), X, "i32", X.view(np.int32)),
        (lambda b, x: b.fpext(x, "f64"), X, "f64", X.astype(np.float64)),
        (lambda b, x: b.fptrunc(x, "f32"), np.array([0.1, 1 / 3]), "f32", np.array([0.1, 1 / 3], np.float32)),
    ],
)
def test_conversions(cpu, write, source, result, expected):
    got = lanewise(cpu, write, source, result=result)
    np.testing.assert_array_equal(got[: len(expected)], expected)


def test_reductions(cpu):
    b = Builder("f")
    x = b.load(b.buffer("x", "f32", 16, kind="argument"), 0, 16)
    total, greatest = b.fpext(b.reduce_add(x), "f64"), b.fpext(b.fold_lanes(x, b.maximum), "f64")
    function = b.finish(b.fma(total, 1000.0, greatest))
    data = np.arange(16, dtype=np.float32)
    assert run(function, cpu, data) == 120015
    data[3] = np.nan
    assert np.isnan(run(function, cpu, data))
    integers = np.arange(-3, 5)
    assert lanewise(cpu, lambda b, v: b.splat(b.reduce_add(v), 8), integers, result="i64")[0] == 4


@pytest.mark.parametrize(("n", "m"), [(2, 2), (4, 4), (8, 8), (16, 16), (4, 2), (8, 4), (16, 4), (16, 8)])
def test_transpose_block(cpu, n, m):
    b = Builder("f")
    x, y = (b.buffer(name, "f32", n * m, kind="argument") for name in "xy")
    for number, column in enumerate(b.transpose_block([b.load(x, row * m, m) for row in range(n)])):
        b.store(y, number * n, column)
    data, out = np.arange(n * m, dtype=np.float32), np.zeros((m, n), np.float32)
    run(b.finish(), cpu, data, out)
    np.testing.assert_array_equal(out, data.reshape(n, m).T)


@pytest.mark.parametrize(("flush", "expected"), [(True, 0.0), (False, 2.0**-1025)])
def test_denormals_are_flushed_inside_and_kept_outside(cpu, flush, expected):
    b = Builder("f", flush_denormals=flush)
    x = b.argument("x", F64)
    assert run(b.finish(b.mul(x, 0.125)), cpu, 2.0**-1022) == expected
    assert np.float64(2.0**-1022) * np.float64(0.125) == 2.0**-1025


def test_without_fma_the_product_is_rounded(cpu):
    a = 1 + 2.0**-52
    b = Builder("f")
    x = b.argument("x", F64)
    got = run(b.finish(b.fma(x, x, -1 - 2.0**-51)), cpu, a)
    assert got == (2.0**-104 if cpu.has_fma else 0.0)


def test_other_architectures_compile():
    llvm_binding = binding()
    llvm_binding.initialize_all_targets()
    llvm_binding.initialize_all_asmprinters()
    try:
        target = llvm_binding.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this llvmlite has no AArch64")
    cpu = CPU("generic", frozenset({"neon"}), 128, 32, "aarch64")
    module = llvm_binding.parse_assembly(llvm.emit(blocked_product(8, 4, 8, cpu.lanes("f32")), cpu))
    module.verify()
    assembly = target.create_target_machine(cpu=cpu.name, features=cpu.feature_text, opt=1).emit_assembly(
        module
    )
    assert assembly.count("fmla") == 16
    assert assembly.count("msr\tFPCR") == 2
