from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.errors import ShapeError

TREES = st.recursive(
    st.none() | st.integers(),
    lambda child: (
        st.lists(child, max_size=3)
        | st.lists(child, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), child, max_size=3)
    ),
    max_leaves=12,
)


@given(TREES)
def test_unflatten_undoes_flatten(tree: Any) -> None:
    leaves, structure = flatten(tree)
    again = unflatten(structure, leaves)
    assert again == tree
    assert repr(again) == repr(tree)  # tuples stay tuples, and dicts keep their order


@given(TREES)
def test_mapping_the_identity_changes_nothing(tree: Any) -> None:
    assert tree_map(lambda leaf: leaf, tree) == tree


def test_leaves_come_in_the_order_of_writing() -> None:
    leaves, _ = flatten({"z": 1, "a": [2, (3, None)], "m": {"k": 4}})
    assert leaves == [1, 2, 3, 4]


@pytest.mark.parametrize("other", [{"a": 1}, {"a": 1, "c": 2}, [1, 2], {"a": 1, "b": (2,)}])
def test_trees_of_different_structure_are_refused(other: Any) -> None:
    with pytest.raises(ShapeError, match="differ in structure"):
        tree_map(lambda a, b: a + b, {"a": 1, "b": 2}, other)
