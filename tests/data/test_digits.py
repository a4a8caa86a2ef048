from __future__ import annotations

import hashlib

import numpy as np
import pytest

from glassnet.data import digits as module
from glassnet.data import load_digits
from glassnet.errors import DataError


def test_the_digits_are_those_of_scikit_learn():
    reference = pytest.importorskip("sklearn.datasets").load_digits()
    digits = load_digits()
    assert digits.images.dtype == np.uint8
    assert digits.labels.dtype == np.int64
    np.testing.assert_array_equal(digits.images, reference.images)
    np.testing.assert_array_equal(digits.labels, reference.target)


def test_the_held_out_fifth_is_rounded_per_class_and_never_changes():
    digits = load_digits()
    kept, test = digits.split()
    np.testing.assert_array_equal(
        np.bincount(digits.labels[test]), np.round(0.2 * np.bincount(digits.labels)).astype(int)
    )
    assert len(kept) + len(test) == 1797
    assert hashlib.sha256(test.astype("<i8").tobytes()).hexdigest()[:16] == "812990c7ed534aa5"


def test_the_table_names_pixels_by_row_and_column():
    digits = load_digits()
    table = digits.table(np.array([7, 3]))
    assert table.names[1] == "pixel_0_1"
    assert table.names[-2:] == ("pixel_7_7", "digit")
    assert table.columns["pixel_2_5"].tolist() == digits.images[[7, 3], 2, 5].tolist()
    assert table.target("digit").tolist() == digits.labels[[7, 3]].tolist()
    assert len(digits.table()) == 1797


def test_a_damaged_copy_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_SHA256", "0" * 64)
    with pytest.raises(DataError, match="missing or damaged; reinstall with: pip install"):
        load_digits()
