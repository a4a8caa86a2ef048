"""Arrays of a network by name: "dense_1.weight", "residual_2.dense_1.bias"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glassnet.core.tree import flatten


def named(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by their path, in order.

    >>> named({"dense_1": {"weight": 1, "bias": 2}})
    {'dense_1.weight': 1, 'dense_1.bias': 2}
    """
    leaves: dict[str, Any] = {}
    for name, part in tree.items():
        if isinstance(part, Mapping):
            leaves |= named(part, f"{prefix}{name}.")
        elif isinstance(part, (list, tuple)):
            leaves |= named({str(i): item for i, item in enumerate(part)}, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = part
    return leaves


def parameter_names(tree: Any) -> list[str]:
    """The names of the leaves of a tree in the order in which `flatten` gives them."""
    if isinstance(tree, Mapping):
        return list(named(tree))
    if isinstance(tree, Sequence):
        return list(named({"parameters": tree}))
    return ["parameters"] if flatten(tree)[0] else []
