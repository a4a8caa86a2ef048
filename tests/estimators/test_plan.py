from __future__ import annotations

import numpy as np
import pytest

from glassnet.data import Table
from glassnet.errors import DataError
from glassnet.estimators import plan_training


def table_of(**columns):
    return Table("memory", {name: np.array(values) for name, values in columns.items()})


FLOWERS = table_of(x=np.arange(100.0), kind=["a"] * 60 + ["b"] * 40)
HOUSES = table_of(x=np.arange(100.0), price=np.arange(100) / 7)


def test_the_parts_are_disjoint_complete_and_keep_the_shares_of_the_classes():
    plan = plan_training(FLOWERS, "kind", seed=0)
    parts = (plan.training, plan.validation, plan.test)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(100))
    counts = [[int(np.sum(plan.target.values[part] == label)) for label in "ab"] for part in parts]
    assert counts == [[43, 29], [5, 3], [12, 8]]  # a fifth of 60 and 40, then a tenth of 48 and 32
    assert plan.features == ("x",)


def test_quantities_are_divided_without_strata_and_by_the_seed():
    plan, other = (plan_training(HOUSES, "price", seed) for seed in (0, 1))
    assert [len(part) for part in (plan.training, plan.validation, plan.test)] == [72, 8, 20]
    assert plan.test.tolist() != other.test.tolist()


def test_given_test_rows_are_kept_for_every_seed():
    test = np.array([3, 97])
    for seed in (0, 1):
        plan = plan_training(FLOWERS, "kind", seed, test)
        assert plan.test.tolist() == [3, 97]
        assert not np.isin(test, [*plan.training, *plan.validation]).any()


def test_a_sample_has_every_class_however_rare_and_late():
    plan = plan_training(table_of(x=np.arange(100.0), y=["a"] * 90 + ["b"] * 5 + ["c"] * 5), "y", seed=0)
    sample = plan.sample(4)
    assert set(plan.target.values[sample]) == {"a", "b", "c"}
    assert len(sample) == 6
    assert np.isin(sample, plan.training).all()


@pytest.mark.parametrize(
    ("table", "target", "sentence"),
    [
        (table_of(x=[1, 2], y=[1, 2]), "z", "has no column 'z'; its columns are 'x', 'y'"),
        (table_of(y=[1, 2] * 9), "y", "has no column besides the target 'y'"),
        (table_of(x=[1, 2] * 4, y=[1, 2] * 4), "y", "has 8 rows; training needs 10 or more"),
        (table_of(x=["p", "q"] * 9, y=[1, 2] * 9), "y", "column 'x', row 1 holds the text 'p'"),
        (table_of(x=[1.0, np.nan] * 9, y=[1, 2] * 9), "y", "column 'x', row 2: the value is missing or NaN"),
        (table_of(x=[1, 2] * 9, y=[1.0, np.nan] * 9), "y", "column 'y', row 2: the value is missing or NaN"),
        (table_of(x=[1, 2] * 9, y=[5] * 18), "y", "column 'y' holds 5 in every row"),
    ],
)
def test_tables_that_cannot_be_learnt_are_refused(table, target, sentence):
    with pytest.raises(DataError, match=sentence):
        plan_training(table, target, seed=0)
