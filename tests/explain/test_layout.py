"""The layout: nothing on top of anything else, columns along the edges, few crossings."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.explain.layout import Box, Layout, Link, arrange, columns

Sizes = dict[str, tuple[float, float]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Sizes, dict[Link, tuple[float, float]]]:
    """Nodes and labels of all sizes, and edges that go from older nodes to younger ones."""
    names = [f"n{i}" for i in range(draw(st.integers(1, 12)))]
    extent = st.tuples(st.floats(1, 200), st.floats(1, 80))
    pairs = list(combinations(names, 2))
    links = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    return {name: draw(extent) for name in names}, {link: draw(extent) for link in links}


def laid_out(nodes: Sizes, labels: dict[Link, tuple[float, float]]) -> tuple[dict[str, int], Layout]:
    column = columns(nodes, labels)
    return column, arrange(nodes, column, labels)


def overlap(a: Box, b: Box) -> bool:
    return (
        min(a.right, b.right) - max(a.left, b.left) > 1e-6
        and min(a.y + a.height / 2, b.y + b.height / 2) - max(a.y - a.height / 2, b.y - b.height / 2) > 1e-6
    )


@given(graphs())
def test_edges_lead_to_the_right_and_columns_are_as_short_as_paths_allow(
    graph: tuple[Sizes, dict[Link, tuple[float, float]]],
) -> None:
    nodes, labels = graph
    column = columns(nodes, labels)
    assert all(column[start] < column[end] for start, end in labels)
    for name in nodes:
        before = [column[start] for start, end in labels if end == name]
        assert not before or column[name] == max(before) + 1


@given(graphs())
def test_no_box_lies_on_another_and_all_lie_inside(
    graph: tuple[Sizes, dict[Link, tuple[float, float]]],
) -> None:
    nodes, labels = graph
    _, layout = laid_out(nodes, labels)
    boxes = [*layout.nodes.values(), *layout.labels.values()]
    assert len(boxes) == len(nodes) + len(labels)
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    for box in boxes:
        assert box.left >= -1e-6
        assert box.right <= layout.width + 1e-6
        assert box.y - box.height / 2 >= -1e-6
        assert box.y + box.height / 2 <= layout.height + 1e-6


@given(graphs())
def test_an_edge_touches_no_box_but_its_own(graph: tuple[Sizes, dict[Link, tuple[float, float]]]) -> None:
    nodes, labels = graph
    _, layout = laid_out(nodes, labels)
    for link, route in layout.routes.items():
        assert route[0][0] == pytest.approx(layout.nodes[link[0]].right)
        assert route[-1][1] == pytest.approx(layout.nodes[link[1]].left)
        others = [box for name, box in layout.nodes.items() if name not in link]
        others += [box for other, box in layout.labels.items() if other != link]
        for left, right, y in route:
            level = Box((left + right) / 2, y, right - left, 1e-3)
            assert not any(overlap(level, box) for box in others)
        for (_, end, _), (start, _, _) in pairwise(route):
            # Between two level pieces it crosses a gap, where nothing is.
            assert start > end
            assert not any(
                box.left < start - 1e-6 and box.right > end + 1e-6 for box in layout.nodes.values()
            )
            assert not any(
                box.left < start - 1e-6 and box.right > end + 1e-6 for box in layout.labels.values()
            )


def test_crossings_that_need_not_be_are_taken_out() -> None:
    # Drawn in the order of the names, every two of these edges cross.
    size = (10.0, 10.0)
    nodes = dict.fromkeys("abczyx", size)
    links = [("a", "x"), ("b", "y"), ("c", "z")]
    _, layout = laid_out(nodes, dict.fromkeys(links, size))
    left = sorted("abc", key=lambda name: layout.nodes[name].y)
    right = sorted("xyz", key=lambda name: layout.nodes[name].y)
    assert [dict(links)[name] for name in left] == right


def test_a_chain_is_straight() -> None:
    names = ["a", "b", "c", "d"]
    _, layout = laid_out(dict.fromkeys(names, (30.0, 20.0)), dict.fromkeys(pairwise(names), (8.0, 8.0)))
    assert len({box.y for box in layout.nodes.values()}) == 1


def test_an_edge_over_two_columns_goes_around_the_node_between() -> None:
    nodes = dict.fromkeys("abc", (40.0, 40.0))
    _, layout = laid_out(nodes, dict.fromkeys([("a", "b"), ("b", "c"), ("a", "c")], (10.0, 10.0)))
    middle = layout.nodes["b"]
    passing = [y for left, right, y in layout.routes["a", "c"] if left <= middle.x <= right]
    assert len(passing) == 1
    assert abs(passing[0] - middle.y) > middle.height / 2
