"""Control flow: while_loop and checkpoint, ops that run a graph of other ops, and cond.

The value of these ops is one vector that holds all results. Their derivatives run derivatives of the body:
the transform of graphs is passed to the rule.
"""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Graph, Node, newest
from glassnet.core.op import Enclosing, Formula, Op
from glassnet.core.registry import register
from glassnet.core.shape import Shape
from glassnet.core.trace import Array, as_array, is_tracing, placeholder, record, tracing, variable
from glassnet.core.tree import Structure, flatten, unflatten
from glassnet.errors import ShapeError
from glassnet.ops.comparison import where
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
)
from glassnet.ops.shaping import reshape
from glassnet.ops.structural import stop_gradient

# while_loop


def _while_value(xp: Any, *inputs: Any, test: Graph, body: Graph, carries: int) -> Any:
    carry, fixed = list(inputs[:carries]), inputs[carries:]
    while xp.any(test.evaluate([*carry, *fixed], xp)[0]):
        carry = body.evaluate([*carry, *fixed], xp)
    return lay_flat(xp, carry)


def _while_infer(*inputs: Node, test: Graph, body: Graph, carries: int) -> tuple[Shape, DType]:
    width, dtype = packed_type("while_loop", inputs, body, range(0))
    return (width,), dtype


def _while_forward(
    jvp_graph: Callable[..., Graph],
    out: Any,
    inputs: Sequence[Any],
    tangents: Sequence[Any],
    *,
    test: Graph,
    body: Graph,
    carries: int,
) -> Any:
    fixed = inputs[carries:]
    floating = are_floating(body.inputs[:carries])
    jvp = jvp_graph(body, [*floating, *(x_dot is not None for x_dot in tangents[carries:])])
    fixed_dot = [x_dot for x_dot in tangents[carries:] if x_dot is not None]
    pairs = zip(inputs[:carries], tangents[:carries], strict=True)
    init_dot = flagged([tangent_of(x_dot, x) for x, x_dot in pairs], floating)

    def again(state: Leaves) -> Any:
        return test.apply([*state[:carries], *fixed])[0]

    def step(state: Leaves) -> Leaves:
        return jvp.apply([*state[:carries], *fixed, *state[carries:], *fixed_dot])

    results = _repeat(again, step, [*inputs[:carries], *init_dot])
    return pack(with_zeros(results[carries:], body.outputs, ()), ())


def _while_batch(
    batch_graph: Callable[..., Graph],
    inputs: Sequence[Any],
    batched: Sequence[bool],
    attributes: Mapping[str, Any],
) -> Any:
    carries = attributes["carries"]
    extent = extent_of(inputs, batched)
    flags = [*(True,) * carries, *batched[carries:]]
    test = batch_graph(attributes["test"], flags, extent)
    body = batch_graph(attributes["body"], flags, extent)
    init = spread_batch(inputs[:carries], batched[:carries], extent)
    fixed = inputs[carries:]

    def again(state: Leaves) -> Any:
        return test.apply([*state, *fixed])[0]

    def step(state: Leaves) -> Leaves:
        going = again(state)
        if going.ndim > 1:  # a batch of batches: the inner loop holds its finished examples itself
            return body.apply([*state, *fixed])
        # An example whose condition has become false stays as it is.
        return [
            where(reshape(going, (extent, *(1,) * (old.ndim - 1))), new, old)
            for new, old in zip(body.apply([*state, *fixed]), state, strict=True)
        ]

    return pack(_repeat(again, step, init), (extent,))


_while = register(
    Op(
        "while_loop",
        _while_value,
        _while_infer,
        Enclosing(
            _while_forward,
            None,
            _while_batch,
            "the number of its steps is not known when it is traced; use scan with a fixed length",
        ),
        Formula("while_loop"),
        "definition",
        summary="A body applied again for as long as a condition holds.",
        note="Forward mode alone.",
    )
)


def _repeat(again: Callable[[Leaves], Any], step: Callable[[Leaves], Leaves], init: Leaves) -> Leaves:
    with tracing():
        oldest = newest()
        carry = [placeholder(np.shape(x), x.dtype) for x in init]
        results = [as_array(x) for x in (again(list(carry)), *step(list(carry)))]
        both, outside = enclose([x.node for x in carry], [x.node for x in results], oldest)
    check_carry("while_loop", carry, results[1:])
    test, body = Graph.of(both.inputs, both.outputs[:1]), Graph.of(both.inputs, both.outputs[1:])
    out = _while(*init, *outside, test=test, body=body, carries=len(init))
    return unpack(out, body.outputs, ())


def _known(x: Any) -> bool:
    return type(x) is not Array or x.node.value is not None


def while_loop(condition: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    """carry = body(carry) for as long as condition(carry) holds, from the carry `init` (a tree).

    Where the values are known this is Python's own loop, with all modes. Where a shape alone is known (inside
    vmap, scan and compiled functions) it has forward mode: its number of steps, and with it what reverse
    mode would keep, is not known then. Use scan for a fixed number of steps.

    >>> float(while_loop(lambda x: x < 100.0, lambda x: 3.0 * x, 1.0))
    243.0
    """
    carry = init
    while True:
        going = condition(carry)
        leaves, form = flatten(carry)
        if np.shape(going) != ():
            raise ShapeError(f"The condition of while_loop is a scalar; it got shape {np.shape(going)}.")
        if not (_known(going) and all(map(_known, leaves))):
            break
        if not going:
            return carry
        carry = body(carry)

    def step(state: Leaves) -> Leaves:
        after, after_form = flatten(body(unflatten(form, state)))
        if after_form != form:
            raise ShapeError("The body of while_loop returns a carry of another structure than it was given.")
        return after

    found = _repeat(
        lambda state: condition(unflatten(form, state)), step, [plain_or_traced(x) for x in leaves]
    )
    return unflatten(form, found)


# cond


def cond(
    predicate: Any, true_branch: Callable[..., Any], false_branch: Callable[..., Any], *operands: Any
) -> Any:
    """true_branch(*operands) where the scalar `predicate` holds, else false_branch(*operands).

    Where its value is known one branch runs alone. Where a shape alone is known (inside vmap, scan and
    compiled functions) both run and one result is selected; no derivative passes through the branch that is
    not taken, not even one that is infinite there. Both branches return one structure and the same shapes.

    Raises ShapeError when the predicate is not a scalar or the branches differ in structure or shape.

    >>> float(cond(2.0 > 1.0, lambda x: x + 1.0, lambda x: x - 1.0, 10.0))
    11.0
    """
    if np.shape(predicate) != ():
        raise ShapeError(f"cond takes a scalar predicate; it got shape {np.shape(predicate)}.")
    if _known(predicate):
        return (true_branch if predicate else false_branch)(*operands)
    taken, form = _branch(true_branch, operands, lambda x: _open_where(predicate, x))
    other, other_form = _branch(false_branch, operands, lambda x: _open_where(predicate, x, False))
    if form != other_form:
        raise ShapeError("The two branches of cond return results of different structure.")
    for a, b in zip(taken, other, strict=True):
        if np.shape(a) != np.shape(b):
            raise ShapeError(
                f"The two branches of cond return arrays of shapes {np.shape(a)} and {np.shape(b)}; "
                "both must have one shape."
            )
    return unflatten(form, [where(predicate, a, b) for a, b in zip(taken, other, strict=True)])


def _branch(
    branch: Callable[..., Any], operands: tuple[Any, ...], gate: Callable[[Any], Any]
) -> tuple[Leaves, Structure]:
    # The results with a gate before every operand, and before all that the branch reads from outside.
    _, out_form, inputs, body = _enclosed_call(lambda call: branch(*call), list(operands))
    return body.apply([gate(x) for x in inputs]), out_form


def _enclosed_call(
    f: Callable[[Any], Any], arguments: Any
) -> tuple[list[Node], Structure, list[Array], Graph]:
    """`f` of a tree of arguments as a graph: results and their form, the graph's inputs, and the graph.

    The inputs are the traced arguments and whatever traced `f` reads from outside.
    """
    leaves, form = flatten(arguments)
    oldest = newest()
    call = [variable(x) if type(x) is Array else x for x in leaves]
    results, out_form = flatten(f(unflatten(form, call)))
    nodes = [as_array(x).node for x in results]
    moved = [(x, fresh.node) for x, fresh in zip(leaves, call, strict=True) if type(x) is Array]
    body, outside = enclose([fresh for _, fresh in moved], nodes, oldest)
    return nodes, out_form, [*(x for x, _ in moved), *outside], body


def _open_where(predicate: Any, x: Any, holds: bool = True) -> Any:
    # x itself, but its derivative passes only in the case that is taken: 0 * inf cannot arise.
    if type(x) is not Array:
        return x
    return where(predicate, x, stop_gradient(x)) if holds else where(predicate, stop_gradient(x), x)


# checkpoint


def _checkpoint_infer(*inputs: Node, body: Graph) -> tuple[Shape, DType]:
    width, dtype = packed_type("checkpoint", inputs, body, range(0))
    return (width,), dtype


def _checkpoint_forward(
    jvp_graph: Callable[..., Graph], out: Any, inputs: Sequence[Any], tangents: Sequence[Any], *, body: Graph
) -> Any:
    jvp = jvp_graph(body, [x_dot is not None for x_dot in tangents])
    slopes = (Array(node) for node in jvp.outputs[len(body.outputs) :])
    results = [as_array(x).node for x in with_zeros(list(slopes), body.outputs, ())]
    moving = (x_dot for x_dot in tangents if x_dot is not None)
    return _checkpoint(*inputs, *moving, body=Graph.of(jvp.inputs, results))


def _checkpoint_reverse(
    vjp_graph: Callable[..., Graph],
    out: Any,
    inputs: Sequence[Any],
    cotangent: Any,
    wanted: Sequence[bool],
    *,
    body: Graph,
) -> list[Any]:
    vjp = vjp_graph(body, wanted)
    arriving = flagged(unpack(cotangent, body.outputs, ()), are_floating(body.outputs))
    results = iter(unpack(_checkpoint(*inputs, *arriving, body=vjp), vjp.outputs, ()))
    return [next(results) if flag else None for flag in wanted]


def _checkpoint_batch(
    batch_graph: Callable[..., Graph],
    inputs: Sequence[Any],
    batched: Sequence[bool],
    attributes: Mapping[str, Any],
) -> Any:
    extent = extent_of(inputs, batched)
    wide = batch_graph(attributes["body"], batched, extent)
    return pack(unpack(_checkpoint(*inputs, body=wide), wide.outputs, ()), (extent,))


_checkpoint = register(
    Op(
        "checkpoint",
        lambda xp, *inputs, body: lay_flat(xp, body.evaluate(inputs, xp)),
        _checkpoint_infer,
        Enclosing(_checkpoint_forward, _checkpoint_reverse, _checkpoint_batch),
        Formula("checkpoint"),
        "Griewank and Walther (2008), chapter 12",
        summary="A function that keeps its inputs alone and is computed again for its derivative.",
    )
)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, which keeps its inputs alone for the backward pass and computes the rest again there.

    Memory for time: what lies between inputs and outputs is not kept, and `f` is evaluated twice. Values,
    derivatives of all orders and Python's `if` on known values stay the same.

    >>> deep = checkpoint(lambda x: (x * x + 1.0) ** 2)
    >>> float(deep(2.0))
    25.0

    Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 12.
    """

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not is_tracing():
            return f(*args, **kwargs)
        with tracing():
            nodes, out_form, inputs, body = _enclosed_call(
                lambda call: f(*call[0], **call[1]), [list(args), kwargs]
            )
        if not nodes:
            return unflatten(out_form, [])
        known = all(node.value is not None for node in nodes)
        value = lay_flat(np, [node.value for node in nodes]) if known else None
        packed = record(_checkpoint, inputs, {"body": body}, value)
        return unflatten(out_form, unpack(packed, body.outputs, ()))

    return wrapped
