"""Evaluates a graph node by node over any array-API namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glassnet.core.graph import Graph


def interpret(graph: Graph, inputs: Sequence[Any], xp: Any = np) -> list[Any]:
    """The outputs of `graph` for these inputs, each op computed by its own value rule.

    With NumPy this is the oracle that every other engine is compared with. A value is dropped after its
    last use, so memory is bounded by what is alive.
    """
    return graph.evaluate(inputs, xp)
