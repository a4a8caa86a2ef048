"""The nodes that carry no mathematics: inputs, constants, variables and the gradient stop."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glassnet.core.dtype import DType
from glassnet.core.graph import Node
from glassnet.core.op import Formula
from glassnet.core.shape import Shape
from glassnet.core.tree import tree_map
from glassnet.ops.declare import constant, linear


def _same(x: Node, **_: Any) -> tuple[Shape, DType]:
    return x.shape, x.dtype


def _leaf(**_: Any) -> tuple[Shape, DType]:
    return (), None  # type: ignore[return-value]  # leaves carry their own shape and dtype


def _rebatch(inputs: Sequence[Any], _batched: Sequence[bool], _attributes: Mapping[str, Any]) -> Any:
    return inputs[0]


_SYMBOL = Formula("{0}")

INPUT = constant(
    "input",
    value=None,  # type: ignore[arg-type]  # a leaf: it is given, never computed
    infer=_leaf,
    reason="an input depends on nothing",
    formula=Formula("input"),
    source="definition",
    batch=_rebatch,
    summary="A leaf whose value is given when the graph is run.",
)
CONSTANT = constant(
    "constant",
    value=None,  # type: ignore[arg-type]  # a leaf: it holds its value
    infer=_leaf,
    reason="a constant depends on nothing",
    formula=Formula("constant"),
    source="definition",
    batch=_rebatch,
    summary="A leaf that holds a known array.",
)
VARIABLE = linear(
    "variable",
    value=lambda xp, x: x,
    infer=_same,
    transpose=lambda position, cotangent, inputs: cotangent,
    formula=_SYMBOL,
    source="definition",
    batch=_rebatch,
    summary="The identity that marks what a transform differentiates with respect to.",
)
_stop_gradient = constant(
    "stop_gradient",
    value=lambda xp, x: x,
    infer=_same,
    reason="it is asked to be held fixed",
    formula=_SYMBOL,
    source="definition",
    batch=lambda inputs, batched, attributes: _stop_gradient(inputs[0]),
    summary="The identity in value; a constant to every derivative.",
)


def stop_gradient(x: Any) -> Any:
    """`x`, an array or a tree of arrays, as a constant to every derivative.

    >>> float(gn.grad(lambda x: x * gn.stop_gradient(x))(3.0))
    3.0
    """
    return tree_map(_stop_gradient, x)
