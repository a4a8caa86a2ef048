"""Parts of a parameter tree: by the names of layers and parameters, and taken out and put back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from glassnet.core.tree import flatten, unflatten
from glassnet.errors import ConfigurationError


def dotted_names(tree: Any, prefix: str = "") -> list[str]:
    """The name of each leaf, in the order of `flatten`: its keys with dots between them.

    >>> dotted_names({"dense_1": {"weight": 1, "bias": 2}})
    ['dense_1.weight', 'dense_1.bias']
    """
    if isinstance(tree, dict):
        children: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, (tuple, list)):
        children = enumerate(tree)
    else:
        return [] if tree is None else [prefix]
    start = prefix and prefix + "."
    return [name for key, child in children for name in dotted_names(child, f"{start}{key}")]


def matches(name: str, pattern: str) -> bool:
    """True where the pattern is the dotted name, or a whole beginning of it; * and ? stand for any letters.

    >>> [matches("dense_10.bias", pattern) for pattern in ("dense_10", "*.bias", "dense_1")]
    [True, True, False]
    """
    words = name.split(".")
    return any(fnmatchcase(".".join(words[:count]), pattern) for count in range(1, len(words) + 1))


def require_known(owner: str, patterns: Iterable[str], parameters: Any) -> None:
    """ConfigurationError for the first pattern that matches no parameter; it lists those there are."""
    names = dotted_names(parameters)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            raise ConfigurationError(
                f"{owner} got the name {pattern!r}, which no parameter has; there are {', '.join(names)}."
            )


def select(tree: Any, kept: Sequence[bool]) -> Any:
    """The tree with None, which is no leaf, in place of the leaves that are not kept.

    >>> select({"w": 1, "b": 2}, [True, False])
    {'w': 1, 'b': None}
    """
    leaves, structure = flatten(tree)
    return unflatten(structure, [leaf if keep else None for leaf, keep in zip(leaves, kept, strict=True)])


def combine(kept: Sequence[bool], selected: Any, others: Any) -> Any:
    """The tree whose kept leaves are those of `selected` and whose other leaves are those of `others`.

    `selected` has no other leaves; `others` has all leaves, of which the kept ones are ignored.

    >>> combine([True, False], {"w": 1, "b": None}, {"w": 0, "b": 2})
    {'w': 1, 'b': 2}
    """
    leaves, structure = flatten(others)
    chosen = iter(flatten(selected)[0])
    return unflatten(
        structure, [next(chosen) if keep else leaf for leaf, keep in zip(leaves, kept, strict=True)]
    )
