"""The ops that the compiler alone knows. Each has a value, as all ops have: the interpreter runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glassnet.core.graph import Node
from glassnet.core.op import Constant, Formula, Op

_REASON = Constant("it exists after differentiation only")


def _op(name: str, value: Callable[..., Any], infer: Callable[..., Any]) -> Op:
    return Op(
        name,
        value=value,
        infer=infer,
        derivative=_REASON,
        formula=Formula(name),
        source="definition",
        batch=lambda inputs, batched, attributes: inputs[0],
    )


def _same(x: Node) -> Any:
    return x.shape, x.dtype


# The largest element along the last axis: what softmax and logsumexp shift by.
ROW_MAX = _op(
    "row_max", lambda xp, x: xp.max(x, axis=-1, keepdims=True), lambda x: ((*x.shape[:-1], 1), x.dtype)
)

# The same array in memory of its own, row by row: what lies otherwise is copied.
RELAY = _op("relay", lambda xp, x: x, _same)
