"""gn.diagram: the influence diagram of a function, or of a network on one example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64
from glassnet.core.graph import ancestors
from glassnet.core.trace import as_array, tracing, variable
from glassnet.core.tree import flatten, unflatten
from glassnet.errors import DifferentiationError, DTypeError
from glassnet.explain.diagram_cells import Value
from glassnet.explain.diagram_network import UNITS, diagram_of_network
from glassnet.explain.drawing import Diagram, draw
from glassnet.explain.naming import assigned_names
from glassnet.train.naming import named
from glassnet.train.options import require_whole
from glassnet.train.state import NetworkState
from glassnet.transforms.tracing import argument_names


def diagram(
    f: Callable[..., Any] | NetworkState, *args: Any, highlight: str | None = None, units: int | None = None
) -> Diagram:
    """The influence diagram of a function at a point: the variables with values, the edges with derivatives.

    ∂f/∂x = sum over all paths from x to f of the product of the derivatives on the path's edges.

    The variables are f's arguments and the local variables of its body. Numbers and floating arrays, alone or
    in dicts and lists, are what is differentiated, in float64; arrays of whole numbers are constants. Numbers
    are shown in full. An array is one box with its shape and its norm, and edges from or to it carry the norm
    of their Jacobian (Frobenius); with `units` that many of its elements have boxes of their own, those with
    the largest |gradient * value|, and the rest is folded into one. `highlight` names a variable or an
    element, "w" or "W[0, 1]": its paths to the output are marked, and the sum over them is written out.

    `diagram(net, x, y)` draws a network on one example: x, the output y of every layer (its z, where the loss
    contains the last activation) and the loss, four units of each layer unless `units` says otherwise.
    `highlight` may name a parameter there, such as "dense_1.weight[0, 1]".

    Raises DifferentiationError where f returns more than one array, or thousands of numbers; DTypeError for
    an argument that is no number; ConfigurationError for a `highlight` that is not there.

    >>> def f(x):
    ...     a = x * x
    ...     b = 3 * x
    ...     return a * b
    >>> print(gn.diagram(f, 2.0, highlight="x"))
    variables
        x = 2, ∂f/∂x = 36
        a = 4, ∂f/∂a = 6
        b = 6, ∂f/∂b = 4
        f = 24
    edges
        x → a: ∂a/∂x = 4
        x → b: ∂b/∂x = 3
        a → f: ∂f/∂a = 6
        b → f: ∂f/∂b = 4
    ∂f/∂x = 36, the sum over 2 paths
        x → a → f: 6 · 4 = 24
        x → b → f: 4 · 3 = 12

    Source: Bauer, Computational graphs and rounding error, SIAM Journal on Numerical Analysis 11 (1974).
    """
    if units is not None:
        require_whole("diagram", "units", units, 0)
    if isinstance(f, NetworkState):
        return diagram_of_network(f, *args, highlight=highlight, units=UNITS if units is None else units)
    names = argument_names(f, len(args))
    title = getattr(f, "__name__", "f")
    title = title if title.isidentifier() else "f"  # not <lambda>
    with tracing():
        leaves, structure = flatten(list(args))
        traced = [_traced(leaf) for leaf in leaves]
        inputs = {
            leaf.node: name
            for name, leaf in named(dict(zip(names, unflatten(structure, traced), strict=True))).items()
            if leaf is not None and leaf.node.op.name == "variable"
        }
        out = f(*unflatten(structure, traced))
        if isinstance(out, (tuple, list, dict)):
            raise DifferentiationError(
                f"diagram draws functions of one result, but {title} returned a {type(out).__name__}; return "
                "one of its parts."
            )
        node = as_array(out).node
        used = ancestors([node], stop=inputs)
        names_of = inputs | assigned_names((x for x in used if x not in inputs), set(inputs.values()))
        names_of.setdefault(node, title)
        return draw([Value(names_of[x], x, units) for x in used if x in names_of], highlight)


def _traced(leaf: Any) -> Any:
    """A variable for a number or a floating array; an array of whole numbers or booleans as it is."""
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiub":
        raise DTypeError(
            f"diagram takes numbers and arrays of them, and got {type(leaf).__name__} of dtype "
            f"{array.dtype}; let the function hold it instead."
        )
    is_number = array.dtype.kind == "f" or type(leaf) is int
    return variable(array.astype(FLOAT64)) if is_number else as_array(array)
