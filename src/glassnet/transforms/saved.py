"""What the backward pass must keep of an op, read off its derivative rule."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

from glassnet.core.dtype import FLOAT64, is_floating
from glassnet.core.graph import Node, ancestors
from glassnet.core.op import Op
from glassnet.core.trace import Array, placeholder, tracing
from glassnet.transforms.transpose import pull


@dataclass(frozen=True)
class Saved:
    """The values that an op's derivative reads: the positions of inputs, and whether its output."""

    inputs: tuple[int, ...]
    output: bool


def saved_values(op: Op, *examples: Any, **attributes: Any) -> Saved:
    """Which of its inputs and its output the derivative of `op` uses; all others may be forgotten.

    `examples` stand for the inputs, of which shape and dtype alone are read; without them every input is a
    float64 scalar. An integer or boolean example gets no derivative.

    >>> from glassnet.core.registry import OPS
    >>> saved_values(OPS["tanh"])
    Saved(inputs=(), output=True)
    >>> saved_values(OPS["multiply"])
    Saved(inputs=(0, 1), output=False)
    """
    with tracing():
        if examples:
            inputs = [placeholder(tuple(x.shape), x.dtype) for x in examples]
        else:
            inputs = [placeholder((), FLOAT64) for _ in range(_arity(op))]
        out: Array = op(*inputs, **attributes)
        read: set[Node] = set()
        for position, x in enumerate(inputs):
            cotangent = placeholder(out.shape, out.dtype)
            x_bar = pull(out.node, cotangent, position) if is_floating(x.dtype) else None
            if x_bar is not None:
                # Where the rule reads the output it need not keep what the output is made of.
                read.update(ancestors([x_bar.node], stop=[out.node]))
    kept = tuple(i for i, x in enumerate(inputs) if x.node in read)
    return Saved(kept, out.node in read)


def _arity(op: Op) -> int:
    fields = {field for _, field, _, _ in string.Formatter().parse(op.formula.template) if field}
    return sum(field.isdigit() for field in fields)
