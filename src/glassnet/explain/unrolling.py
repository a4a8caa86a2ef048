"""Loops written out: each step of a scan by itself, so that its formulas can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.trace import Array
from glassnet.explain.subject import Subject
from glassnet.ops.enclosed import pack
from glassnet.ops.shaping import stack
from glassnet.transforms.tracing import replay

_OPENED = ("scan", "checkpoint")


def unrolled(subject: Subject) -> Subject:
    """The same subject with the bodies of its loops in the place of the loops."""
    named = [*subject.results.values(), *subject.names, *subject.spare]
    if all(node.op.name not in _OPENED for node in ancestors(named, stop=subject.inputs)):
        return subject
    known: dict[Node, Any] = replay(named, {node: Array(node) for node in subject.inputs}, _opened)

    def moved(node: Node) -> Node:
        return known[node].node if node in known else node

    return replace(
        subject,
        results={name: moved(node) for name, node in subject.results.items()},
        names={moved(node): name for node, name in subject.names.items()},
        spare={moved(node): name for node, name in subject.spare.items()},
        written=False,
    )


def _opened(node: Node, inputs: Sequence[Any], _: Sequence[bool]) -> Any:
    """The node applied again; a loop is run step by step instead, and laid side by side as its op does."""
    if node.op.name not in _OPENED:
        return node.op(*inputs, **node.attributes)
    body: Graph = node.attributes["body"]
    if node.op.name == "checkpoint":
        return pack(body.apply(inputs), ())
    carries, rows, length = (node.attributes[key] for key in ("carries", "rows", "length"))
    carry, xs, fixed = inputs[:carries], inputs[carries : carries + rows], inputs[carries + rows :]
    table: list[Any] = []
    for t in range(length):
        results = body.apply([*carry, *(x[t] for x in xs), *fixed])
        carry = results[:carries]
        table.append(pack(results, ()))
    return stack(table)
