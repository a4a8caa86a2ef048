"""The ops that the compiler alone knows. Each has a value, as all ops have: the interpreter runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from glassnet.core.dtype import BOOL, DType
from glassnet.core.graph import Graph, Node
from glassnet.core.op import Constant, Formula, Op
from glassnet.core.registry import OPS
from glassnet.core.shape import Shape

VOCABULARY: dict[str, Op] = {}

_REASON = Constant("it exists after differentiation only")


def compiler_op(name: str, value: Callable[..., Any], infer: Callable[..., Any]) -> Op:
    """An op that no user has: it stands in the graph between two passes."""
    VOCABULARY[name] = Op(
        name,
        value=value,
        infer=infer,
        derivative=_REASON,
        formula=Formula(name),
        source="definition",
        batch=lambda inputs, batched, attributes: inputs[0],
    )
    return VOCABULARY[name]


def _same(x: Node) -> tuple[Shape, DType]:
    return x.shape, x.dtype


# The largest element along the last axis: what softmax and logsumexp shift by.
ROW_MAX = compiler_op(
    "row_max", lambda xp, x: xp.max(x, axis=-1, keepdims=True), lambda x: ((*x.shape[:-1], 1), x.dtype)
)

# The same array in memory of its own, row by row: what lies otherwise is copied.
RELAY = compiler_op("relay", lambda xp, x: x, _same)


def _rearranged_value(xp: Any, x: Any, *, inner: Shape, axes: tuple[int, ...], shape: Shape) -> Any:
    return xp.reshape(xp.permute_dims(xp.reshape(x, inner), axes), shape)


# Elements in another order: axes split into `inner`, these in the order `axes`, neighbours taken together.
REARRANGED = compiler_op("rearranged", _rearranged_value, lambda x, *, inner, axes, shape: (shape, x.dtype))


def _elementwise(name: str, value: Callable[..., Any], infer: Callable[..., Any] = _same) -> Op:
    formula = Formula(name)
    VOCABULARY[name] = Op(name, value, infer, _REASON, formula, "definition")
    return VOCABULARY[name]


# cos(2 pi t) and sin(2 pi t) of t in [0, 1), where the quadrant is found exactly.
COSINE_OF_TURNS = _elementwise("cosine_of_turns", lambda xp, t: xp.cos(2 * math.pi * t))
SINE_OF_TURNS = _elementwise("sine_of_turns", lambda xp, t: xp.sin(2 * math.pi * t))

# The upper 32 of 64 bits.
HIGH_WORD = _elementwise("high_word", lambda xp, x: (x.astype("uint64") >> np.uint64(32)).astype("int64"))

# Which random words, read as whole numbers without sign, are below a threshold.
WORDS_BELOW = _elementwise(
    "words_below",
    lambda xp, words, *, threshold: words < np.uint64(threshold),
    lambda words, *, threshold: (words.shape, BOOL),
)


def _shuffled_value(xp: Any, words: Any) -> Any:
    count = words.shape[-1]
    orders = np.broadcast_to(np.arange(count, dtype=np.int64), words.shape).copy()
    for order, drawn in zip(orders.reshape(-1, count), words.reshape(-1, count), strict=True):
        for i in range(count - 1, 0, -1):
            j = int(drawn[i]) * (i + 1) >> 32
            order[[i, j]] = order[[j, i]]
    return orders


# The numbers 0 .. n-1 along the last axis, where position i has traded places with floor(u_i (i + 1)).
SHUFFLED = compiler_op("shuffled", _shuffled_value, lambda words: (words.shape, np.dtype(np.int64)))


def _products_value(xp: Any, *operands: Any, specs: tuple[str, ...]) -> Any:
    pairs = zip(operands[::2], operands[1::2], strict=True)
    return reduce(
        add, (OPS["contract"].value(xp, *pair, spec=spec) for pair, spec in zip(pairs, specs, strict=True))
    )


# The sum of several products: contract(x, y) of each pair of operands.
PRODUCTS = compiler_op(
    "products", _products_value, lambda x, y, *_, specs: OPS["contract"].infer(x, y, spec=specs[0])
)


# -- loops


def _loop_value(
    xp: Any, *inputs: Any, body: Graph, carries: int, rows: int, length: int, reverse: bool
) -> tuple[Any, ...]:
    carry, xs, fixed = list(inputs[:carries]), inputs[carries : carries + rows], inputs[carries + rows :]
    states = [[x] for x in carry]
    outputs = [[None] * length for _ in body.outputs[carries:]]
    for step in range(length):
        t = length - 1 - step if reverse else step
        results = body.evaluate([*carry, *(x[t] for x in xs), *fixed], xp)
        carry = results[:carries]
        for table, state in zip(states, carry, strict=True):
            table.append(state)
        for table, y in zip(outputs, results[carries:], strict=True):
            table[t] = y
    return tuple(xp.stack(table) for table in (*states, *outputs))


def _loop_infer(*_inputs: Node, body: Graph, **_: Any) -> tuple[Shape, DType]:
    return (), body.outputs[0].dtype


def _taken_infer(loop: Node, *, part: int, last: bool) -> tuple[Shape, DType]:
    node, carries = loop.attributes["body"].outputs[part], loop.attributes["carries"]
    if last:
        return node.shape, node.dtype
    return (loop.attributes["length"] + (part < carries), *node.shape), node.dtype


# A body run again and again. Its value is several tables: for each carry the state before the first step and
# after each, in the order of the steps; for each further output of the body a row beside each row that is
# read. `reverse` takes the rows from the last to the first.
LOOP = compiler_op("loop", _loop_value, _loop_infer)

# One table of a loop; of a carry, with `last`, what it is in the end.
TAKEN = compiler_op(
    "taken", lambda xp, loop, *, part, last: loop[part][-1] if last else loop[part], _taken_infer
)
