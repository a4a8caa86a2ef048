"""The work of a derivative: multiplications counted on the graphs that would run, and what they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.graph import Node, ancestors
from glassnet.core.op import Bilinear
from glassnet.core.shape import size_of
from glassnet.core.trace import as_array, placeholder, tracing
from glassnet.errors import DifferentiationError
from glassnet.explain.naming import assigned_names
from glassnet.ops.matrix import split_spec
from glassnet.transforms.linearize import pushforward
from glassnet.transforms.transpose import pullback

_ONE_EACH = {"multiply", "divide", "square"}


@dataclass(frozen=True)
class Work:
    """Multiplications of a scalar function and of its derivatives, in three ways.

    `value` is the function alone. Beyond it: `backward` is one backward pass for all derivatives, `alone` a
    backward pass of its own for each derivative, `forward` one forward sweep for every number that it is
    differentiated with respect to. `shared` maps each intermediate variable z to the derivatives that need
    df/dz.
    """

    title: str
    value: int
    backward: int
    alone: Mapping[str, int]
    forward: int
    shared: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        rows = [
            ("the value", self.value),
            ("one backward pass", self.backward),
            ("each derivative alone", sum(self.alone.values())),
            *((f"    d{self.title}/d{name}", count) for name, count in self.alone.items()),
            ("forward mode", self.forward),
        ]
        lines = ["multiplications", *(f"    {label:<26}{count:>8,}" for label, count in rows)]
        if self.shared:
            lines.append("computed once, used in")
            lines += [
                f"    d{self.title}/d{name:<8}{', '.join(users)}" for name, users in self.shared.items()
            ]
        return "\n".join(lines)


def work(f: Callable[..., Any], *args: Any, wrt: Sequence[str] | None = None) -> Work:
    """Counts the multiplications of f and of its derivatives; of `args` the shapes alone are read.

    An elementwise product, quotient or square counts one an element, a contraction one for each pair that
    it multiplies; a product with the constant 1 counts none, nor do functions such as exp. In forward mode
    the slopes of the ops are counted once, the sweeps each. `wrt` names arguments, by default all.

    Raises DifferentiationError for an f that is not scalar, an unknown name, a product it cannot count.

    >>> def loss(w, b, x):
    ...     z = w @ x + b
    ...     return (z * z).sum()
    >>> count = work(loss, np.zeros((3, 2)), np.zeros(3), np.zeros(2), wrt=["w", "b"])
    >>> count.value, count.backward, count.forward
    (9, 6, 90)
    """
    arguments = list(inspect.signature(f).parameters)[: len(args)]
    chosen = list(arguments) if wrt is None else list(wrt)
    title = getattr(f, "__name__", "f")
    title = title if title.isidentifier() else "f"
    for name in chosen:
        if name not in arguments:
            raise DifferentiationError(f"{title} has no argument {name!r}; it has {', '.join(arguments)}.")
    with tracing():
        made = {
            name: placeholder(np.shape(x), np.result_type(x, np.float32))
            for name, x in zip(arguments, args, strict=True)
        }
        out = as_array(f(*made.values())).node
        if out.shape != ():
            raise DifferentiationError(f"work counts for scalar functions; {title} returned {out.shape}.")
        value = ancestors([out])
        variables = {name: made[name].node for name in chosen}
        return Work(
            title,
            _count(value),
            _backward(out, list(variables.values()), value),
            {name: _backward(out, [x], value) for name, x in variables.items()},
            _forward(out, list(variables.values()), value),
            _shared(out, {made[name].node: name for name in arguments}, variables),
        )


def _count(nodes: Iterable[Node]) -> int:
    total = 0
    for node in nodes:
        known = node.value is not None  # it depends on no argument
        if known or any(x.value is not None and np.all(x.value == 1) for x in node.inputs):
            continue
        if node.op.name in _ONE_EACH:
            total += size_of(node.shape)
        elif node.op.name == "contract":
            x, y, _ = split_spec(node.attributes["spec"])
            extents = dict(zip(x + y, node.inputs[0].shape + node.inputs[1].shape, strict=True))
            total += size_of(tuple(extents.values()))
        elif isinstance(node.op.derivative, Bilinear):
            raise DifferentiationError(f"work cannot count the multiplications of {node.op.name}.")
    return total


def _backward(out: Node, wrt: Sequence[Node], value: Sequence[Node]) -> int:
    results = pullback([out], wrt, [as_array(np.ones((), out.dtype))])
    done = set(value)
    return _count(
        node for node in ancestors(as_array(x).node for x in results if x is not None) if node not in done
    )


def _forward(out: Node, wrt: Sequence[Node], value: Sequence[Node]) -> int:
    tangents = {x: placeholder(x.shape, x.dtype) for x in wrt}
    slopes = ancestors([as_array(pushforward([out], tangents)[0]).node])
    done, seeds = set(value), {x.node for x in tangents.values()}
    count = _count(node for node in slopes if node not in done and not _moves(node, seeds))
    for x, tangent in tangents.items():
        slope = pushforward([out], {x: tangent})[0]
        if slope is not None:
            sweep = [n for n in ancestors([as_array(slope).node]) if _moves(n, {tangent.node})]
            count += size_of(x.shape) * _count(sweep)
    return count


def _moves(node: Node, seeds: set[Node]) -> bool:
    return not seeds.isdisjoint(ancestors([node], stop=seeds))


def _shared(
    out: Node, arguments: Mapping[Node, str], variables: Mapping[str, Node]
) -> dict[str, tuple[str, ...]]:
    between = [node for node in ancestors([out], stop=arguments) if node not in arguments and node is not out]
    names = assigned_names(between, set(arguments.values()))
    result: dict[str, tuple[str, ...]] = {}
    # From the output back: the order in which the backward pass finds them.
    for node in reversed(between):
        above = set(ancestors([node]))
        users = tuple(name for name, x in variables.items() if x in above)
        if node in names and len(users) > 1:
            result[names[node]] = users
    return result
