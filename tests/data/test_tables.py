from __future__ import annotations

import re

import numpy as np
import pytest

from glassnet.data import Table, read_table
from glassnet.errors import DataError


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        'width,height,note,flag,kind,gap\n1,2.5,"two\nlines",true,a,1\n2,inf,1,false,,1\n3,1e200,x,true,b,\n'
    )
    return read_table(path)


def test_features_come_in_the_order_asked_for_and_truth_values_as_numbers(table):
    np.testing.assert_array_equal(table.features(["flag", "width"]), [[1, 1], [0, 2], [1, 3]])
    assert table.features(["width"]).dtype == np.float64


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("height", "column 'height', row 2 (line 4) holds inf, too large"),
        (
            "note",
            r"column 'note', row 1 (line 2) holds the text 'two\nlines' where a number is expected",
        ),
        ("kind", "column 'kind', row 1 (line 2) holds the text 'a'"),
        ("gap", "column 'gap', row 3 (line 5): the value is missing or NaN"),
        (
            "heigth",
            "has no column 'heigth'; its columns are 'width', 'height', 'note', 'flag', 'kind', 'gap'; "
            "did you mean 'height'?",
        ),
    ],
)
def test_unusable_features_are_named_with_column_row_and_line(table, column, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        table.features(["width", column])


def test_a_missing_target_value_is_named(table):
    with pytest.raises(DataError, match=re.escape("column 'kind', row 2 (line 4): the value is missing;")):
        table.target("kind")


def test_numbers_beyond_computation_are_refused():
    table = Table("memory", {"x": np.array([1.0, -1e200])})
    with pytest.raises(DataError, match=re.escape("memory, column 'x', row 2 holds -1e+200, too large")):
        table.features(["x"])


def test_a_decimal_comma_gets_its_own_advice():
    table = Table("memory", {"x": np.array(["1,5", "2,5"], dtype=object)})
    with pytest.raises(DataError, match="write numbers with a decimal point"):
        table.features(["x"])


def test_a_header_of_numbers_raises_the_question_whether_it_is_one():
    with pytest.raises(DataError, match="is the header line missing"):
        Table("memory", {"5.1": np.ones(2), "3.5": np.ones(2)}).target("species")


def test_many_missing_columns_are_counted_not_listed():
    with pytest.raises(DataError, match="'x7' and 12 more; its columns"):
        Table("memory", {"y": np.ones(1)}).require([f"x{i}" for i in range(20)])


def test_take_keeps_the_chosen_rows(table):
    assert table.take(np.array([2, 0])).columns["width"].tolist() == [3, 1]
