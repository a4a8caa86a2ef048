from __future__ import annotations

import re
import sys

import numpy as np
import polars as pl
import pytest

from glassnet.data import read_table
from glassnet.errors import DataError, MissingExtraError


@pytest.fixture
def read(tmp_path):
    def read_text(content: str | bytes):
        path = tmp_path / "t.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path)

    return read_text


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_line_ends_are_found(read, separator, end):
    table = read(end.join([f"a{separator}b", f"1{separator}2.5", f"3{separator}4e2"]))
    assert table.names == ("a", "b")
    np.testing.assert_array_equal(table.features(["b", "a"]), [[2.5, 1.0], [400.0, 3.0]])


def test_column_types_are_whole_numbers_numbers_truth_values_and_text(read):
    table = read("i,f,b,t\n1,1.5,true,x\n2,2,False,3\n")
    assert [c.dtype.kind for c in table.columns.values()] == ["i", "f", "b", "O"]
    assert table.columns["b"].tolist() == [True, False]
    assert table.columns["t"].tolist() == ["x", "3"]


def test_spaces_a_byte_order_mark_and_blank_lines_around_do_not_count(read):
    table = read("\ufeff\n a , b \n 1 , x \n2,y\n\n\n")
    assert table.names == ("a", "b")
    assert table.columns["a"].tolist() == [1, 2]
    assert table.columns["b"].tolist() == ["x", "y"]


def test_quoted_separators_and_line_ends_belong_to_the_value(read):
    table = read('"a,1",b\n"x\ny",1\n"p,q",2\n')
    assert table.names == ("a,1", "b")
    assert table.columns["a,1"].tolist() == ["x\ny", "p,q"]


def test_missing_values_are_nan_among_numbers_and_none_elsewhere(read):
    table = read('n,t,b\n1,x,true\n,"",\n3, ,false\n')
    np.testing.assert_array_equal(table.columns["n"], [1.0, np.nan, 3.0])
    assert table.columns["t"].tolist() == ["x", None, None]
    assert None in table.columns["b"].tolist()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; expected a header line"),
        ("\n \n", "is empty; expected a header line"),
        ("a,b\n", "has a header but no rows"),
        ("a,b\n\n\n", "has a header but no rows"),
        ("a,b\n1,2\n3\n5,6\n", "row 2 (line 3): expected 2 values separated by commas, one for each name"),
        ("a;b\n1;2\n3;4;5\n", "row 2 (line 3): expected 2 values separated by semicolons"),
        ('a,b\n"x\ny",2\n3\n', "row 2 (line 4): expected 2 values"),
        ("a,b,a\n1,2,3\n", "line 1: the column name 'a' stands twice"),
        (",b\n1,2\n", "line 1: column 1 has no name"),
        ('a,b\n1,"x\n3,4\n', "not a well-formed CSV table; look for a quotation mark"),
        (b"\x89PNG\r\n\0\0\0", "is a binary file, not a table"),
        (b"PK\x03\x04rest", "is a binary file, not a table"),
        ("a,b\n1,2\n3,é\n".encode("latin-1"), "line 3 is not UTF-8 text"),
        (b"PAR1 and nothing", "begins like a Parquet file but is damaged"),
    ],
)
def test_what_is_not_a_table_is_refused_in_one_sentence(read, tmp_path, content, sentence):
    with pytest.raises(DataError) as caught:
        read(content)
    assert str(caught.value).startswith(str(tmp_path / "t.csv"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^There is no file .*none.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)


def test_parquet_reads_like_csv_whatever_its_name(tmp_path):
    frame = pl.DataFrame({"i": [1, 2], "f": [1.5, None], "t": ["x", None], "b": [True, False]})
    frame.write_parquet(tmp_path / "t.data")
    table = read_table(tmp_path / "t.data")
    assert [c.dtype.kind for c in table.columns.values()] == ["i", "f", "O", "b"]
    assert table.where("f", 1) == f"{tmp_path / 't.data'}, column 'f', row 2"


def test_nested_parquet_columns_are_refused(tmp_path):
    pl.DataFrame({"d": [[1], [2]]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=re.escape("column 'd' holds values of type List(Int64)")):
        read_table(tmp_path / "t.parquet")


def test_without_polars_the_sentence_says_how_to_install_it(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'glassnet[tables]'")):
        read("a\n1\n")
