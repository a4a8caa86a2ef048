"""From a Python function to a Graph, by shapes alone or with values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassnet.core.graph import Graph
from glassnet.core.trace import as_array, placeholder, tracing
from glassnet.core.tree import Structure, flatten, unflatten


def trace(
    f: Callable[..., Any], *examples: Any, names: Sequence[str] | None = None
) -> tuple[Graph, Structure]:
    """The graph of `f` for arguments of these shapes and dtypes, and the structure of its result.

    `examples` are trees of arrays, of which shape and dtype alone are read: inside `f` an array has no
    value. The graph's inputs are the leaves of the arguments in order.
    """
    leaves, structure = flatten(list(examples))
    arrays = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for leaf in leaves]
    with tracing():
        inputs = [placeholder(tuple(x.shape), x.dtype) for x in arrays]
        outputs, out_structure = flatten(f(*unflatten(structure, list(inputs))))
        nodes = [as_array(x).node for x in outputs]
    return Graph.of([x.node for x in inputs], nodes, names), out_structure
