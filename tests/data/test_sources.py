from __future__ import annotations

import re
import tracemalloc
from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.core.random import Key
from glassnet.data import ArraySource, GeneratorSource, NpySource, Source
from glassnet.errors import ConfigurationError, DataError, ShapeError

SIZES = st.integers(1, 60)
KEYS = st.one_of(st.none(), st.builds(Key, st.integers(0, 2**64 - 1)))


def numbered(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that can be told apart, and the same numbers as targets."""
    y = np.arange(rows)
    return np.stack([y, -y, y * y], axis=1).astype(np.float64), y


def order(source: Source, epoch: int) -> list[int]:
    return np.concatenate([y for _, y in source.blocks(epoch)]).tolist()


# -- stored rows


@given(rows=SIZES, block_rows=SIZES, key=KEYS, epoch=st.integers(0, 2**31))
def test_every_row_comes_exactly_once_with_its_target(rows, block_rows, key, epoch):
    X, y = numbered(rows)
    source = ArraySource(X, y, block_rows, key)
    assert source.rows == rows
    blocks = list(source.blocks(epoch))
    sizes = [len(y_block) for _, y_block in blocks]
    assert sizes[:-1] == [block_rows] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= block_rows
    for X_block, y_block in blocks:
        np.testing.assert_array_equal(X_block, X[y_block])
        assert np.ptp(y_block) == len(y_block) - 1  # neighbours, in whatever order
    assert sorted(order(source, epoch)) == list(range(rows))


@given(rows=SIZES, block_rows=SIZES, key=KEYS, epoch=st.integers(0, 2**31))
def test_the_order_is_a_function_of_key_and_epoch_alone(rows, block_rows, key, epoch):
    used, fresh = (ArraySource(*numbered(rows), block_rows, key) for _ in range(2))
    for earlier in (0, 1, epoch):
        order(used, earlier)
    assert order(used, epoch) == order(fresh, epoch)


def test_another_epoch_and_another_key_give_another_order():
    X, y = numbered(100)
    orders = [order(ArraySource(X, y, 8, Key(seed)), epoch) for seed in (0, 1) for epoch in range(20)]
    assert len(set(map(tuple, orders))) == 40


def test_blocks_come_in_every_order_equally_often():
    source = ArraySource(*numbered(30), 10)
    firsts = [order(source, epoch)[0] // 10 for epoch in range(600)]
    # Binomial with n = 600 and p = 1/3: four standard deviations are 46.
    assert np.abs(np.bincount(firsts, minlength=3) - 200).max() < 46


def test_every_block_has_an_order_of_its_own():
    blocks = ArraySource(*numbered(200), 20).blocks(0)
    assert len({tuple(y - y.min()) for _, y in blocks}) == 10


def test_the_short_block_holds_other_rows_from_epoch_to_epoch():
    source = ArraySource(*numbered(10), 4)
    last = {tuple(sorted(order(source, epoch)[-2:])) for epoch in range(40)}
    assert last == {(0, 1), (4, 5), (8, 9)}


def test_without_a_key_rows_come_as_they_lie():
    assert order(ArraySource(*numbered(10), 4, key=None), epoch=3) == list(range(10))


def test_blocks_keep_dtypes_and_are_the_callers_own():
    X, y = numbered(6)
    X, labels = X.astype(np.float32), y.astype(str)
    for key in (None, Key(0)):
        for X_block, y_block in ArraySource(X, labels, 4, key).blocks(0):
            assert X_block.dtype == np.float32
            assert y_block.dtype == labels.dtype
            assert X_block.flags.c_contiguous
            X_block[:] = 7.0
    np.testing.assert_array_equal(X[:, 0], y)


def test_lists_images_and_rows_of_targets_are_taken():
    assert [y.tolist() for _, y in ArraySource([[1], [2]], ["a", "b"], key=None).blocks(0)] == [["a", "b"]]
    X, y = np.zeros((5, 2, 3, 1), np.uint8), np.zeros((5, 4))
    assert [(a.shape, b.shape) for a, b in ArraySource(X, y, 3).blocks(0)] == [
        ((3, 2, 3, 1), (3, 4)),
        ((2, 2, 3, 1), (2, 4)),
    ]


class Store:
    """Rows that exist only as long as they are asked for, as in a file of another library."""

    shape, dtype = (1000, 2), np.dtype(np.float64)

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert rows.stop - rows.start <= 64
        return np.repeat(np.arange(rows.start, rows.stop, dtype=np.float64)[:, None], 2, axis=1)


def test_what_slices_like_an_array_is_read_a_block_at_a_time():
    for X, y in ArraySource(Store(), np.arange(1000), 64).blocks(0):
        np.testing.assert_array_equal(X[:, 1], y)


def test_a_file_larger_than_the_block_takes_the_memory_of_three_blocks(tmp_path):
    rows, columns, block_rows = 40_000, 64, 1000
    stored = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float64, (rows, columns))
    stored[:] = np.arange(rows)[:, None]
    stored.flush()
    np.save(tmp_path / "y.npy", np.arange(rows))
    del stored
    tracemalloc.start()
    try:
        source = NpySource(tmp_path / "X.npy", tmp_path / "y.npy", block_rows)
        total = sum(int(X[0, 0] == y[0]) for X, y in source.blocks(0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 40
    assert peak < 3 * block_rows * columns * 8


def test_npy_files_give_what_their_arrays_give(tmp_path):
    X, y = numbered(50)
    np.save(tmp_path / "X.npy", np.asfortranarray(X))
    np.save(tmp_path / "y.npy", y)
    files = NpySource(tmp_path / "X.npy", str(tmp_path / "y.npy"), 8, Key(5))
    for from_file, from_memory in zip(files.blocks(2), ArraySource(X, y, 8, Key(5)).blocks(2), strict=True):
        np.testing.assert_array_equal(from_file[0], from_memory[0])
        np.testing.assert_array_equal(from_file[1], from_memory[1])
        assert from_file[0].flags.c_contiguous


@pytest.mark.parametrize(
    ("X", "y", "error", "sentence"),
    [
        (np.ones((3, 2)), np.ones(4), ShapeError, "y has 4 rows and X has 3; give one value (or row)"),
        (np.ones((3, 2)), 1.0, ShapeError, "y is a single value and X has 3"),
        (np.ones(3), np.ones(3), ShapeError, "X has shape (3,); it takes one row an example"),
        ([[1.0], [2.0, 3.0]], [0, 1], ShapeError, "X has rows of different lengths"),
        (np.ones((0, 2)), np.ones(0), DataError, "X has shape (0, 2) and so holds no numbers"),
        (np.ones((2, 0)), np.ones(2), DataError, "X has shape (2, 0) and so holds no numbers"),
        (np.array([["a"]]), [1], DataError, "X holds values of dtype <U1; it takes real numbers:"),
        (np.ones((1, 1), complex), [1], DataError, "X holds values of dtype complex128"),
        ([[1]], np.array([None]), DataError, "y holds values of dtype object; it takes real numbers or text"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_at_once(X, y, error, sentence):
    with pytest.raises(error) as caught:
        ArraySource(X, y)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"block_rows": 0}, "ArraySource got block_rows=0; it takes a whole number of 1 or more"),
        ({"block_rows": 2.0}, "ArraySource got block_rows=2.0"),
        ({"key": 3}, "ArraySource got key=3; it takes a key, such as glassnet.random.key(0)"),
    ],
)
def test_options_that_cannot_be_are_refused(options, sentence):
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        ArraySource(*numbered(4), **options)


@given(row=st.integers(0, 49), key=KEYS, value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_is_named_with_its_row_in_the_source(row, key, value):
    X, y = numbered(50)
    X[row, 2] = value
    with pytest.raises(DataError, match=rf"^X holds {value} in row {row}, column 2 \(counted from 0\);"):
        order(ArraySource(X, y, 8, key), 1)
    targets = np.where(y == row, value, 0.0)
    with pytest.raises(DataError, match=rf"^y holds {value} in row {row} \(counted from 0\);"):
        order(ArraySource(numbered(50)[0], targets, 8, key), 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty and so is no .npy file"),
        (b"a,b\n1,2\n", "begins with b'a,b\\n1,' and so is no .npy file"),
        (b"\x93NUMPY\x01\x00", "is cut short or holds Python objects"),
    ],
)
def test_what_is_no_npy_file_is_refused(tmp_path, content, sentence):
    path = tmp_path / "X.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        NpySource(path, path)
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_npy_files_that_are_missing_cut_or_of_objects_are_refused(tmp_path):
    path = tmp_path / "X.npy"
    with pytest.raises(DataError, match=r"There is no file .*X\.npy"):
        NpySource(path, path)
    with pytest.raises(DataError, match="is a folder"):
        NpySource(tmp_path, path)
    np.save(path, np.array([[None]]), allow_pickle=True)
    with pytest.raises(DataError, match="holds Python objects"):
        NpySource(path, path)
    np.save(path, np.ones((100, 100)))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="is cut short"):
        NpySource(path, path)
    np.save(path, np.ones((3, 2)))
    np.save(tmp_path / "y.npy", np.ones(2))
    with pytest.raises(ShapeError, match=r"y\.npy has 2 rows and .*X\.npy has 3"):
        NpySource(path, tmp_path / "y.npy")


# -- generated rows


def in_blocks(*sizes: int):
    X, y = numbered(sum(sizes))
    bounds = np.cumsum([0, *sizes])
    return lambda epoch: ((X[a:b] + epoch, y[a:b]) for a, b in pairwise(bounds))


@given(sizes=st.lists(st.integers(0, 20), min_size=1), block_rows=SIZES, limit=SIZES)
def test_generated_blocks_are_regrouped_in_their_order(sizes, block_rows, limit):
    sizes = [*sizes, 1]
    total = sum(sizes)
    rows = limit if limit <= total else None
    source = GeneratorSource(in_blocks(*sizes), block_rows, rows)
    assert source.rows == rows
    blocks = list(source.blocks(4))
    assert [len(X) for X, _ in blocks[:-1]] == [block_rows] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate([y for _, y in blocks]), np.arange(rows or total))
    for X, y in blocks:
        np.testing.assert_array_equal(X[:, 0], y + 4)
    assert order(source, 4) == order(source, 4)


def test_single_examples_become_blocks():
    def examples(epoch):
        for label in ("cat", "horse", "dog"):
            yield np.full((2, 2), float(len(label))), label

    (X, y), (X_last, y_last) = GeneratorSource(examples, 2, examples=True).blocks(0)
    assert X.shape == (2, 2, 2)
    assert y.tolist() == ["cat", "horse"]
    assert X_last.tolist() == [[[3.0, 3.0], [3.0, 3.0]]]
    assert y_last.tolist() == ["dog"]


def test_rows_ends_an_epoch_of_a_generator_without_end():
    source = GeneratorSource(lambda epoch: (([float(i)], i) for i in count(epoch)), 4, 6, examples=True)
    assert order(source, 10) == list(range(10, 16))


def test_a_generator_may_refill_its_arrays():
    def refilled(epoch):
        X, y = np.empty((2, 1)), np.empty(2)
        for i in range(4):
            X[:], y[:] = i, i
            yield X, y

    assert order(GeneratorSource(refilled, 3), 0) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [y.tolist() for _, y in list(GeneratorSource(refilled, 2).blocks(0))] == [[i, i] for i in range(4)]


def test_what_is_not_a_function_of_the_epoch_is_refused():
    once = in_blocks(2)(0)
    with pytest.raises(
        ConfigurationError, match="got a generator, which can be gone through only once; give"
    ):
        GeneratorSource(once)
    with pytest.raises(ConfigurationError, match=r"one argument, the epoch, and .* does not take that"):
        GeneratorSource(lambda: iter(()))
    source = GeneratorSource(lambda epoch: once)
    assert order(source, 0) == [0, 1]
    with pytest.raises(DataError, match="ended after 0 rows of epoch 1, where it has to give one or more"):
        order(source, 1)
    with pytest.raises(DataError, match="ended after 2 rows of epoch 0, where it has to give 3"):
        order(GeneratorSource(in_blocks(2), rows=3), 0)


ROW = np.ones((1, 2))


@pytest.mark.parametrize(
    ("pairs", "error", "sentence"),
    [
        (None, DataError, "The factory gave a NoneType for epoch 0; it has to give an iterator of pairs"),
        ([ROW], DataError, "The generator gave a ndarray in place of X of block 0; it has to give pairs"),
        ([(ROW, [0]), (ROW, [0], [1])], DataError, "The generator gave 3 parts in place of X of block 1"),
        ([(ROW, [0]), (np.ones((2, 2)), [0])], ShapeError, "y of block 1 has 1 rows and X of block 1 has 2"),
        ([(ROW, [0]), (np.ones((1, 3)), [0])], ShapeError, "X of block 1 has rows of shape (3,) and those"),
        ([(ROW, [0]), (ROW, [[0, 1]])], ShapeError, "y of block 1 has rows of shape (2,) and those before"),
        ([([[1], [2, 3]], [0, 1])], ShapeError, "X of block 0 has rows of different lengths"),
        ([(np.ones(2), 0)], ShapeError, "X of block 0 has shape (2,); it takes one row an example"),
        ([(ROW, [0]), (ROW * np.nan, [0])], DataError, "X of block 1 holds nan in row 1, column 0"),
        ([(ROW, [None])], DataError, "y of block 0 holds values of dtype object"),
    ],
)
def test_generated_blocks_that_do_not_fit_are_named(pairs, error, sentence):
    with pytest.raises(error) as caught:
        order(GeneratorSource(lambda epoch: pairs), 0)
    assert sentence in str(caught.value)


def test_examples_that_do_not_fit_are_named_as_examples():
    source = GeneratorSource(lambda epoch: [([1.0], 0), ([1.0, 2.0], 0)], examples=True)
    with pytest.raises(ShapeError, match=r"^X of example 1 has rows of shape \(2,\) and those before"):
        order(source, 0)
