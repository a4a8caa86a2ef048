from __future__ import annotations

import numpy as np
import pytest

from glassnet.data import decide_target
from glassnet.errors import DataError

TEXT = np.array(["yes", "no"] * 5)


@pytest.mark.parametrize(
    ("values", "task", "reason"),
    [
        (TEXT, "classification", "it holds text, 2 distinct values"),
        (np.array([True, False] * 5), "classification", "it holds true and false"),
        (np.arange(100) % 20, "classification", "it holds 20 distinct whole numbers"),
        (np.arange(105) % 21, "regression", "it holds 21 distinct whole numbers"),
        (np.arange(50) % 10, "classification", "it holds 10 distinct whole numbers"),
        (np.arange(49) % 10, "regression", "it holds 10 distinct whole numbers"),
        (np.array([0, 0, 0, 1]), "classification", "it holds 2 distinct whole numbers"),
        (np.array([1.0, 2.0, 1.0, 1.0]), "classification", "it holds 2 distinct whole numbers"),
        (np.array([1.5, 2.0, 1.5, 1.5]), "regression", "it holds numbers with fractions"),
        (np.array([1e300, 2e300, 1e300, 1e300]), "regression", "it holds numbers with fractions"),
    ],
)
def test_the_rule(values, task, reason):
    target = decide_target(values, "column 'y'")
    assert (target.task, target.reason) == (task, reason)


def test_labels_are_int64_or_text_and_quantities_float64():
    assert decide_target(np.array([1.0, 2.0, 1.0, 1.0]), "y").values.dtype == np.int64
    assert decide_target(np.array([True, True, True, False]), "y").values.tolist() == ["true"] * 3 + ["false"]
    assert decide_target(np.arange(9), "y").values.dtype == np.float64


def test_one_value_throughout_is_refused():
    with pytest.raises(DataError, match=r"^column 'y' holds a in every row"):
        decide_target(np.array(["a", "a", "a"]), "column 'y'")


def test_a_column_of_names_is_refused():
    with pytest.raises(DataError, match=r"^column 'y' has 3 classes of at most 2 rows"):
        decide_target(np.array(["a", "a", "b", "c"]), "column 'y'")
