from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.data import stratified_split

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(LABELS, st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_parts_are_disjoint_complete_ascending_and_rounded_per_class(labels, fraction, seed):
    kept, held_out = stratified_split(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(len(labels)))
    assert all(np.all(np.diff(part) > 0) for part in (kept, held_out))
    for label in np.unique(labels):
        assert np.sum(labels[held_out] == label) == round(fraction * np.sum(labels == label))


@pytest.mark.parametrize("labels", [np.array(list("aabbbb") * 10), np.zeros(60)])
def test_a_seed_gives_one_split_and_another_seed_another(labels):
    first, again, other = (stratified_split(labels, 0.5, seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()
