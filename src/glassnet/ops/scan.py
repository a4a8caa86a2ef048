"""scan: a loop that hands a carry from step to step, as one op that runs its body's graph.

Its value has one row for each step: the carries after the step, then the outputs of the step. Its
derivatives are scans over the derivative of the body; the transform of graphs is passed to the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Graph, Node, newest
from glassnet.core.op import Enclosing, Formula, Op
from glassnet.core.registry import register
from glassnet.core.shape import Shape
from glassnet.core.trace import Array, as_array, placeholder, tracing
from glassnet.core.tree import Structure, flatten, unflatten
from glassnet.errors import ShapeError
from glassnet.ops.enclosed import (
    Leaves,
    are_floating,
    check_carry,
    enclose,
    extent_of,
    flagged,
    lay_flat,
    pack,
    packed_type,
    plain_or_traced,
    spread_batch,
    tangent_of,
    unpack,
    with_zeros,
    zeros_beside,
)
from glassnet.ops.shaping import concatenate, expand_dims, transpose

Step = Callable[[Leaves, Leaves], tuple[Leaves, Leaves]]


def _swap(x: Any) -> Any:
    return transpose(x, (1, 0, *range(2, np.ndim(x))))


def _scan_value(xp: Any, *inputs: Any, body: Graph, carries: int, rows: int, length: int) -> Any:
    carry, xs, fixed = inputs[:carries], inputs[carries : carries + rows], inputs[carries + rows :]
    table: Leaves = []
    for t in range(length):
        results = body.evaluate([*carry, *(x[t] for x in xs), *fixed], xp)
        carry = results[:carries]
        table.append(lay_flat(xp, results))
    if table:
        return xp.stack(table)
    width, dtype = packed_type("scan", body.inputs, body, range(0))
    return xp.zeros((0, width), dtype=dtype)


def _scan_infer(*inputs: Node, body: Graph, carries: int, rows: int, length: int) -> tuple[Shape, DType]:
    width, dtype = packed_type("scan", inputs, body, range(carries, carries + rows))
    return (length, width), dtype


def _before(init: Sequence[Any], states: Sequence[Any], length: int) -> Leaves:
    # The carries before each step: the first, and all but the last of those after a step.
    pairs = zip(init, states, strict=True)
    return [concatenate([expand_dims(c, 0), after])[:length] for c, after in pairs]


def _scan_forward(
    jvp_graph: Callable[..., Graph],
    out: Any,
    inputs: Sequence[Any],
    tangents: Sequence[Any],
    *,
    body: Graph,
    carries: int,
    rows: int,
    length: int,
) -> Any:
    xs, fixed = inputs[carries : carries + rows], inputs[carries + rows :]
    moving = [*are_floating(body.inputs[:carries]), *(x_dot is not None for x_dot in tangents[carries:])]
    jvp = jvp_graph(body, moving)
    xs_dot = [x_dot for x_dot in tangents[carries : carries + rows] if x_dot is not None]
    fixed_dot = [x_dot for x_dot in tangents[carries + rows :] if x_dot is not None]
    before = _before(inputs[:carries], unpack(out, body.outputs, (length,))[:carries], length)
    pairs = zip(inputs[:carries], tangents[:carries], strict=True)
    init_dot = flagged([tangent_of(x_dot, x) for x, x_dot in pairs], moving[:carries])

    def step(c_dot: Leaves, row: Leaves) -> tuple[Leaves, Leaves]:
        values, x_dot = row[: carries + rows], row[carries + rows :]
        results = jvp.apply([*values, *fixed, *c_dot, *x_dot, *fixed_dot])[len(body.outputs) :]
        return results[: len(c_dot)], results[len(c_dot) :]

    _, states, ys = _loop(step, init_dot, [*before, *xs, *xs_dot], length)
    return pack(with_zeros([*states, *ys], body.outputs, (length,)), (length,))


def _scan_reverse(
    vjp_graph: Callable[..., Graph],
    out: Any,
    inputs: Sequence[Any],
    cotangent: Any,
    wanted: Sequence[bool],
    *,
    body: Graph,
    carries: int,
    rows: int,
    length: int,
) -> list[Any]:
    xs, fixed = inputs[carries : carries + rows], inputs[carries + rows :]
    moving = are_floating(body.inputs[:carries])
    vjp = vjp_graph(body, [*moving, *wanted[carries:]])
    before = _before(inputs[:carries], unpack(out, body.outputs, (length,))[:carries], length)
    out_bar = flagged(unpack(cotangent, body.outputs, (length,)), are_floating(body.outputs))
    count, wanted_rows = sum(moving), sum(wanted[carries : carries + rows])

    def step(carry: Leaves, row: Leaves) -> tuple[Leaves, Leaves]:
        values, later = row[: carries + rows], row[carries + rows :]
        arriving = [a + b for a, b in zip(carry[:count], later[:count], strict=True)]
        results = vjp.apply([*values, *fixed, *arriving, *later[count:]])
        c_bar, x_bar, fixed_bar = (
            results[:count],
            results[count : count + wanted_rows],
            results[count + wanted_rows :],
        )
        summed = [a + b for a, b in zip(carry[count:], fixed_bar, strict=True)]
        return [*c_bar, *summed], x_bar

    start = [
        zeros_beside(x)
        for x in (*flagged(inputs[:carries], moving), *flagged(fixed, wanted[carries + rows :]))
    ]
    last, _, x_bars = _loop(step, start, [x[::-1] for x in (*before, *xs, *out_bar)], length)
    results = iter([*last[:count], *(x[::-1] for x in x_bars), *last[count:]])
    return [next(results) if flag else None for flag in (*moving, *wanted[carries:])]


def _scan_batch(
    batch_graph: Callable[..., Graph],
    inputs: Sequence[Any],
    batched: Sequence[bool],
    attributes: Mapping[str, Any],
) -> Any:
    body, carries, length = attributes["body"], attributes["carries"], attributes["length"]
    end = carries + attributes["rows"]
    extent = extent_of(inputs, batched)
    wide = batch_graph(body, [*(True,) * carries, *batched[carries:]], extent)
    init = spread_batch(inputs[:carries], batched[:carries], extent)
    pairs = zip(inputs[carries:end], batched[carries:end], strict=True)
    xs = [_swap(x) if flag else x for x, flag in pairs]

    def step(carry: Leaves, row: Leaves) -> tuple[Leaves, Leaves]:
        results = wide.apply([*carry, *row, *inputs[end:]])
        return results[:carries], results[carries:]

    _, states, ys = _loop(step, init, xs, length)
    return pack([_swap(x) for x in (*states, *ys)], (extent, length))


_scan = register(
    Op(
        "scan",
        _scan_value,
        _scan_infer,
        Enclosing(_scan_forward, _scan_reverse, _scan_batch),
        Formula("scan"),
        "Griewank and Walther (2008), section 4.4: the chain rule over the steps",
        summary="A body applied step by step, each to the carry of the step before.",
    )
)


def _loop(
    step: Step, init: Leaves, xs: Leaves, length: int, *, keep: bool = True
) -> tuple[Leaves, Leaves, Leaves]:
    """The last carry, the carries after each step (if asked to keep them) and the outputs of each step."""
    count = len(init)
    with tracing():
        oldest = newest()
        carry = [placeholder(np.shape(x), x.dtype) for x in init]
        row = [placeholder(np.shape(x)[1:], x.dtype) for x in xs]
        after, ys = step(carry, row)
        results = [as_array(x) for x in (*after, *ys)]
        body, outside = enclose([x.node for x in (*carry, *row)], [x.node for x in results], oldest)
    check_carry("scan", carry, results[:count])
    if not keep and not any(type(x) is Array for x in (*init, *xs, *outside)):
        return _plain_loop(body, init, xs, length)
    out = _scan(*init, *xs, *outside, body=body, carries=count, rows=len(xs), length=length)
    parts = unpack(out, body.outputs, (length,))
    last = [x[-1] for x in parts[:count]] if length else init
    return last, parts[:count], parts[count:]


def _plain_loop(body: Graph, carry: Leaves, xs: Leaves, length: int) -> tuple[Leaves, Leaves, Leaves]:
    # Nobody will differentiate this: only the last carry is kept.
    count = len(carry)
    outputs = [np.empty((length, *node.shape), node.dtype) for node in body.outputs[count:]]
    for t in range(length):
        results = body.evaluate([*carry, *(x[t] for x in xs)], np)
        carry = results[:count]
        for table, y in zip(outputs, results[count:], strict=True):
            table[t] = y
    return carry, [], outputs


def scan(
    body: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A loop that hands a carry on: (carry, y_t) = body(carry, x_t) for each row x_t of `xs`.

    Returns the last carry and the y_t stacked along a first axis. Carry, rows and outputs may be trees; the
    carry keeps its shapes and dtypes. `reverse` walks the rows from last to first, and y_t stays beside x_t.
    The body is traced once, by shape. All modes and orders: reverse mode keeps the carry of every step.

    Raises ShapeError when the rows differ in number or the carry changes its form.

    >>> last, sums = scan(lambda total, x: (total + x, total + x), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> float(last), sums
    (6.0, array([1., 3., 6.]))

    Source: Bradbury et al., JAX (2018), the loop of that name.
    """
    init_leaves, init_form = flatten(init)
    rows, rows_form = flatten(xs)
    init_leaves, rows = [plain_or_traced(x) for x in init_leaves], [plain_or_traced(x) for x in rows]
    count = _steps(rows, length)
    forms: list[Structure] = []

    def step(carry: Leaves, row: Leaves) -> tuple[Leaves, Leaves]:
        result = body(unflatten(init_form, carry), unflatten(rows_form, row))
        if type(result) is not tuple or len(result) != 2:  # pyright: ignore[reportUnnecessaryComparison]
            raise ShapeError("The body of scan returns a pair, (carry, output); use None for no output.")
        after, after_form = flatten(result[0])
        ys, ys_form = flatten(result[1])
        if after_form != init_form:
            raise ShapeError("The body of scan returns a carry of another structure than it was given.")
        forms.append(ys_form)
        return after, ys

    if reverse:
        rows = [x[::-1] for x in rows]
    last, _, ys = _loop(step, init_leaves, rows, count, keep=False)
    if reverse:
        ys = [y[::-1] for y in ys]
    return unflatten(init_form, last), unflatten(forms[0], ys)


def _steps(rows: Leaves, length: int | None) -> int:
    if any(not np.shape(x) for x in rows):
        raise ShapeError("scan walks along the first axis of its rows; it got a scalar.")
    found = {int(np.shape(x)[0]) for x in rows}
    if length is not None:
        found.add(length)
    if len(found) != 1:
        listed = sorted(found) if found else "none (give length=...)"
        raise ShapeError(f"scan needs one number of steps; it found {listed}.")
    return found.pop()
