from __future__ import annotations

import re
import sys

import numpy as np
import polars as pl
import pytest

from glassnet.core.random import Key
from glassnet.data import ArraySource, ParquetSource
from glassnet.errors import ConfigurationError, DataError, MissingExtraError


@pytest.fixture
def write(tmp_path):
    def write_table(columns, name="t.parquet", row_group_size=None):
        path = tmp_path / name
        pl.DataFrame(columns).write_parquet(path, row_group_size=row_group_size)
        return path

    return write_table


@pytest.mark.parametrize("key", [None, Key(3)])
@pytest.mark.parametrize("row_group_size", [7, 64, None])
def test_a_file_gives_what_its_columns_as_arrays_give(write, key, row_group_size):
    a, b, y = np.linspace(0, 1, 100), np.arange(100), np.arange(100) % 3
    path = write({"a": a, "y": y, "b": b}, row_group_size=row_group_size)
    source = ParquetSource(path, "y", block_rows=16, key=key)
    arrays = ArraySource(np.column_stack([a, b]), y, block_rows=16, key=key)
    assert (source.rows, source.features) == (100, ["a", "b"])
    for epoch in (0, 5):
        for block, expected in zip(source.blocks(epoch), arrays.blocks(epoch), strict=True):
            np.testing.assert_array_equal(block[0], expected[0])
            np.testing.assert_array_equal(block[1], expected[1])
            assert block[0].flags.c_contiguous


def test_no_more_than_a_block_is_read_at_a_time(write, monkeypatch):
    path = write({"a": np.ones(1000), "unused": np.ones(1000), "y": np.ones(1000)}, row_group_size=100)
    read, collect = [], pl.LazyFrame.collect

    def collect_and_note(self):
        frame = collect(self)
        read.append(frame.shape)
        return frame

    monkeypatch.setattr(pl.LazyFrame, "collect", collect_and_note)
    blocks = list(ParquetSource(path, "y", ["a"], block_rows=128).blocks(0))
    assert sum(len(y) for _, y in blocks) == 1000
    assert max(read) == (128, 2)


def test_features_come_in_the_order_asked_for_as_numbers(write):
    path = write({"i": [1, 2], "f": [0.5, 1.5], "b": [True, False], "t": ["x", "long"]})
    ((X, y),) = ParquetSource(path, "t", ["b", "i", "f"], key=None).blocks(0)
    np.testing.assert_array_equal(X, [[1.0, 1.0, 0.5], [0.0, 2.0, 1.5]])
    assert X.dtype == np.float64
    assert y.tolist() == ["x", "long"]
    path = write({"f": np.ones(2, np.float32), "y": [1, 2]})
    assert next(ParquetSource(path, "y").blocks(0))[0].dtype == np.float32


@pytest.mark.parametrize(
    ("series", "kind", "values"),
    [
        (pl.Series([3, 4], dtype=pl.Int16), "i", [3, 4]),
        (pl.Series([0.5, 1.5]), "f", [0.5, 1.5]),
        (pl.Series([True, False]), "b", [True, False]),
        (pl.Series(["u", "v"], dtype=pl.Categorical), "U", ["u", "v"]),
        (pl.Series(["u", "v"], dtype=pl.Enum(["v", "u"])), "U", ["u", "v"]),
        (pl.Series(["1.5", "2.5"]).cast(pl.Decimal(10, 2)), "f", [1.5, 2.5]),
    ],
)
def test_targets_are_whole_numbers_numbers_booleans_or_text(write, series, kind, values):
    ((_, y),) = ParquetSource(write({"x": [1.0, 2.0], "y": series}), "y", key=None).blocks(0)
    assert y.dtype.kind == kind
    assert y.tolist() == values


def test_a_name_with_a_star_is_a_name(write):
    write({"x": [9.0], "y": [9]}, "ab.parquet")
    ((X, _),) = ParquetSource(write({"x": [1.0], "y": [1]}, "a*.parquet"), "y").blocks(0)
    assert X.tolist() == [[1.0]]


@pytest.mark.parametrize("value", [None, np.nan, np.inf])
@pytest.mark.parametrize("column", ["x", "y"])
def test_a_value_that_is_missing_or_not_finite_is_named(write, value, column):
    columns = {"x": [1.0] * 50, "y": [1.0] * 50}
    columns[column][37] = value
    path = write(columns)
    source = ParquetSource(path, "y", block_rows=8, key=Key(1))
    found = "no value" if value is None else value
    with pytest.raises(DataError, match=re.escape(f"{path}, column {column!r}, row 38 holds {found};")):
        list(source.blocks(0))


@pytest.mark.parametrize(
    ("columns", "target", "features", "sentence"),
    [
        ({"x": [1.0], "y": [1]}, "z", None, "has no column 'z'; its columns are 'x', 'y'"),
        ({"height": [1.0], "y": [1]}, "y", ["hieght"], "did you mean 'height'?"),
        ({"x": ["a"], "y": [1]}, "y", None, "column 'x' holds values of type String where numbers are"),
        ({"x": [1], "y": [[1]]}, "y", None, "column 'y' holds values of type List(Int64); a target is"),
        ({"x": pl.Series([], dtype=pl.Float64), "y": pl.Series([], dtype=pl.Int64)}, "y", None, "no rows"),
    ],
)
def test_tables_that_do_not_fit_are_refused_at_once(write, columns, target, features, sentence):
    path = write(columns)
    with pytest.raises(DataError) as caught:
        ParquetSource(path, target, features)
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("features", ["x", [], ["x", "x"], ["x", "y"]])
def test_features_that_cannot_be_are_refused(write, features):
    with pytest.raises(ConfigurationError, match="ParquetSource got"):
        ParquetSource(write({"x": [1.0], "y": [1]}), "y", features)


def test_what_is_no_parquet_file_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(DataError, match=r"There is no file .*t\.parquet"):
        ParquetSource(path, "y")
    path.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"begins with b'x,y\\n' and so is no Parquet file"):
        ParquetSource(path, "y")
    path.write_bytes(b"PAR1 and nothing")
    with pytest.raises(DataError, match="begins like a Parquet file but is damaged"):
        ParquetSource(path, "y")


def test_damage_inside_a_file_is_found_when_it_is_read(write):
    path = write({"x": np.random.default_rng(0).normal(size=1000), "y": np.arange(1000)})
    content = bytearray(path.read_bytes())
    content[4:1000] = b"\xff" * 996
    path.write_bytes(content)
    source = ParquetSource(path, "y")
    with pytest.raises(DataError, match=re.escape(f"{path} begins like a Parquet file but is damaged")):
        list(source.blocks(0))


def test_without_polars_the_sentence_says_how_to_install_it(write, monkeypatch):
    path = write({"x": [1.0], "y": [1]})
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'glassnet[tables]'")):
        ParquetSource(path, "y")
