"""Trees: nested tuples, lists and dicts with arrays as leaves; `None` is an empty tree.

Dicts keep their insertion order, so parameters stay in the order of the layers. Dataclasses that hold
arrays are not trees: configuration and state are kept apart throughout glassnet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from glassnet.errors import ShapeError


@dataclass(frozen=True)
class Structure:
    """The form of a tree without its leaves: kind is "leaf", "none", "tuple", "list" or "dict"."""

    kind: str
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()


LEAF = Structure("leaf")
NONE = Structure("none")


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree` in order, and its structure.

    >>> flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    leaves: list[Any] = []
    return leaves, _flatten_into(tree, leaves)


def _flatten_into(tree: Any, leaves: list[Any]) -> Structure:
    if tree is None:
        return NONE
    kind = cast("type[Any]", type(tree))
    if kind is tuple or kind is list:
        return Structure(kind.__name__, (), tuple(_flatten_into(child, leaves) for child in tree))
    if kind is dict:
        children = tuple(_flatten_into(child, leaves) for child in tree.values())
        return Structure("dict", tuple(tree), children)
    leaves.append(tree)
    return LEAF


def unflatten(structure: Structure, leaves: list[Any]) -> Any:
    """The tree of this structure with these leaves, the inverse of `flatten`."""
    iterator = iter(leaves)
    return _build(structure, iterator)


def _build(structure: Structure, leaves: Iterator[Any]) -> Any:
    if structure.kind == "leaf":
        return next(leaves)
    if structure.kind == "none":
        return None
    children = [_build(child, leaves) for child in structure.children]
    if structure.kind == "dict":
        return dict(zip(structure.keys, children, strict=True))
    return tuple(children) if structure.kind == "tuple" else children


def leaf_count(structure: Structure) -> int:
    """The number of leaves of a tree of this structure."""
    if structure.kind == "leaf":
        return 1
    total = 0
    for child in structure.children:
        total += leaf_count(child)
    return total


def paths(structure: Structure, name: str) -> list[str]:
    """How each leaf of a tree called `name` is reached, as one would type it.

    >>> paths(flatten({"w": [1, 2], "b": 3})[1], "p")
    ["p['w'][0]", "p['w'][1]", "p['b']"]
    """
    if structure.kind == "leaf":
        return [name]
    keys = structure.keys if structure.kind == "dict" else range(len(structure.children))
    return [
        path
        for key, child in zip(keys, structure.children, strict=True)
        for path in paths(child, f"{name}[{key!r}]")
    ]


def flatten_like(structure: Structure, tree: Any) -> list[Any] | None:
    """The leaves of `tree` in the order of `structure`, or None where it has another one.

    The keys of a dict may stand in another order.

    >>> flatten_like(flatten({"a": 1, "b": 2})[1], {"b": 3, "a": 4})
    [4, 3]
    """
    leaves, own = flatten(tree)
    if own == structure:
        return leaves
    if own.kind != structure.kind or len(own.children) != len(structure.children):
        return None
    if set(own.keys) != set(structure.keys):
        return None
    children = [tree[key] for key in structure.keys] if own.kind == "dict" else tree
    parts = [
        flatten_like(child, part) for child, part in zip(structure.children, children or (), strict=True)
    ]
    return None if None in parts else [leaf for part in parts for leaf in part or ()]


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """`function` applied leaf by leaf to trees of one structure.

    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in rest:
        other_leaves, other_structure = flatten(other)
        if other_structure != structure:
            raise ShapeError(
                "Two trees that belong together differ in structure (other keys, or another nesting)."
            )
        columns.append(other_leaves)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])
