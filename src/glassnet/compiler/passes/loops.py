"""Loops: scans become loops whose results are tables, and what need not be done step by step leaves them.

split       a scan is a loop and the concatenation of its tables, whose slices find their table again
tidy        what nobody asks for is left out; rows that are all read backwards are a loop that runs backwards;
            sums over all steps of products of what a step knows become products over time, behind the loop
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_letters

import numpy as np

from glassnet.compiler.passes.rewrite import make, uniform
from glassnet.compiler.passes.slices import parts_of, taken
from glassnet.compiler.passes.types import as_dtype
from glassnet.compiler.passes.vocabulary import LOOP, TAKEN
from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.shape import size_of
from glassnet.core.trace import constant, placeholder
from glassnet.ops.matrix import split_spec

Pass = Callable[[Graph], Graph]


def split_loops(graph: Graph, prepare_body: Pass) -> Graph:
    """The graph with loops for scans, their bodies prepared, and with checkpoints' bodies in their place."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name == "scan" and node.attributes["length"]:
            return _split(node, inputs, prepare_body)
        if node.op.name == "checkpoint":
            # NOTE what a checkpoint would compute again is merged with what was computed before
            body = split_loops(node.attributes["body"], prepare_body)
            return _side_by_side(node, substituted(body, inputs), 0)
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def map_bodies(graph: Graph, change: Pass) -> Graph:
    """The graph with the body of every loop changed."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            return make(
                LOOP, *inputs, **{**node.attributes, "body": change(node.attributes["body"])}, like=node
            )
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def substituted(body: Graph, inputs: Sequence[Node]) -> list[Node]:
    """The outputs of `body` with `inputs` in place of its own."""
    return replaced(body.outputs, dict(zip(body.inputs, inputs, strict=True)))


def replaced(outputs: Sequence[Node], others: Mapping[Node, Node]) -> list[Node]:
    """The outputs with `others` in place of some of the nodes that they are made of."""
    made = dict(others)
    for node in ancestors(outputs):
        if node not in made:
            operands = tuple(made[x] for x in node.inputs)
            made[node] = node if operands == node.inputs else _again(node, operands)
    return [made[node] for node in outputs]


def _again(node: Node, inputs: tuple[Node, ...]) -> Node:
    return Node(node.op, inputs, node.attributes, node.shape, node.dtype, None, node.source)


def _split(node: Node, inputs: tuple[Node, ...], prepare_body: Pass) -> Node:
    body, carries = prepare_body(node.attributes["body"]), node.attributes["carries"]
    loop = make(LOOP, *inputs, **{**node.attributes, "body": body, "reverse": False}, like=node)
    tables: list[Node] = []
    for part in range(len(body.outputs)):
        table = make(TAKEN, loop, part=part, last=False, like=node)
        if part < carries:
            table = taken(table, [(1, table.shape[0] - 1, 1), *((0, n, 1) for n in table.shape[1:])], node)
        tables.append(table)
    return _side_by_side(node, tables, 1)


def _side_by_side(node: Node, parts: Sequence[Node], lead: int) -> Node:
    """Parts laid flat beneath their first `lead` axes, side by side: the value of an op with a body."""
    rows = [make("reshape", x, shape=(*x.shape[:lead], size_of(x.shape[lead:])), like=node) for x in parts]
    rows = [as_dtype(x, node.dtype, node) for x in rows]
    return make("concatenate", *rows, axis=lead, like=node)


# -- tidying


@dataclass
class Loop:
    """A loop taken apart: each outer value beside the input of the body that it is given to."""

    node: Node
    carries: list[tuple[Node, Node, Node]]  # first value, input, output
    rows: list[tuple[Node, Node]]
    fixed: list[tuple[Node, Node]]
    outputs: list[Node]
    length: int
    reverse: bool
    tables: dict[int, Node] = field(default_factory=dict[int, Node])  # what stands for each table now
    ends: dict[int, Node] = field(default_factory=dict[int, Node])  # what stands for the end of a carry

    @staticmethod
    def of(node: Node, inputs: Sequence[Node]) -> Loop:
        """A loop node whose inputs are these now."""
        body, count, rows = node.attributes["body"], node.attributes["carries"], node.attributes["rows"]
        pairs = list(zip(inputs, body.inputs, strict=True))
        return Loop(
            node,
            [(*pair, out) for pair, out in zip(pairs[:count], body.outputs, strict=False)],
            pairs[count : count + rows],
            pairs[count + rows :],
            list(body.outputs[count:]),
            node.attributes["length"],
            node.attributes["reverse"],
        )

    def made(self) -> Node:
        """The loop node of these parts."""
        inner = [*(x for _, x, _ in self.carries), *(x for _, x in (*self.rows, *self.fixed))]
        outer = [*(x for x, _, _ in self.carries), *(x for x, _ in (*self.rows, *self.fixed))]
        body = Graph.of(inner, [*(x for _, _, x in self.carries), *self.outputs])
        return make(
            LOOP,
            *outer,
            body=body,
            carries=len(self.carries),
            rows=len(self.rows),
            length=self.length,
            reverse=self.reverse,
            like=self.node,
        )


def tidy_loops(graph: Graph) -> Graph:
    """The graph with loops that do nothing but what they are asked for and what must be done step by step."""
    asked = _asked(graph)
    loops: dict[Node, Loop] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            loop = loops[node] = Loop.of(node, inputs)
            _tidy(loop, asked[node])
            return inputs[0]  # nobody reads the old loop any more
        if node.op is TAKEN:
            loop, part = loops[node.inputs[0]], node.attributes["part"]
            return loop.ends[part] if node.attributes["last"] else loop.tables.get(part, inputs[0])
        if _is_end(node):
            loop, part = loops[node.inputs[0].inputs[0]], node.inputs[0].attributes["part"]
            if part in loop.ends:
                end = loop.ends[part]
                row = make("reshape", end, shape=(1, *end.shape), like=node)
                return taken(row, [(0, 1, 1), *parts_of(node)[1:]], node)
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


@dataclass
class _Asked:
    """What the graph asks a loop for: whole tables, the ends of carries."""

    tables: set[int] = field(default_factory=set[int])
    ends: set[int] = field(default_factory=set[int])


def _asked(graph: Graph) -> dict[Node, _Asked]:
    found: dict[Node, _Asked] = {node: _Asked() for node in graph.nodes if node.op is LOOP}
    consumers, outputs = graph.consumers(), set(graph.outputs)
    for node in graph.nodes:
        if node.op is TAKEN:
            part, asked = node.attributes["part"], found[node.inputs[0]]
            ends = node.attributes["last"] or (
                node not in outputs and all(_is_end(reader) for reader in consumers[node])
            )
            (asked.ends if ends else asked.tables).add(part)
    return found


def _is_end(node: Node) -> bool:
    """True for the slice that takes the last row of a carry's table."""
    if node.op.name != "getitem" or node.inputs[0].op is not TAKEN:
        return False
    table = node.inputs[0]
    loop, part = table.inputs[0], table.attributes["part"]
    steps = loop.attributes["length"]
    return part < loop.attributes["carries"] and parts_of(node)[0] == (steps, 1, 1)


def _tidy(loop: Loop, asked: _Asked) -> None:
    """Takes the loop apart and puts it together again; leaves what stands for its tables in it."""
    count = len(loop.carries)
    _fill(loop)
    _turn(loop)
    sums = {part: _Sum.of(loop, part) for part in sorted(asked.ends - asked.tables)}
    sums = {part: total for part, total in sums.items() if total}
    wanted = {*asked.tables, *asked.ends} - sums.keys()
    needed = [x for total in sums.values() for x in total.leaves(loop)]
    outputs = [loop.outputs[part - count] for part in sorted(wanted) if part >= count]
    kept = _needed_carries(loop, {part for part in wanted if part < count}, [*outputs, *needed])
    tables_from = {part: len(kept) + k for k, part in enumerate(p for p in sorted(wanted) if p >= count)}
    own = [x for x in dict.fromkeys(needed) if x not in outputs]
    leaves_from = {x: len(kept) + k for k, x in enumerate((*outputs, *own))}
    loop.carries = [loop.carries[part] for part in kept]
    loop.outputs = [*outputs, *own]
    used = set(ancestors([*(out for _, _, out in loop.carries), *loop.outputs]))
    outer = {inner: x for x, inner in (*loop.rows, *loop.fixed)}
    given = {inner: x for x, inner in loop.rows}
    loop.rows = [(x, inner) for x, inner in loop.rows if inner in used]
    loop.fixed = [(x, inner) for x, inner in loop.fixed if inner in used]
    new = loop.made() if loop.carries or loop.outputs else None

    def table(part: int, last: bool = False) -> Node:
        assert new is not None  # a loop that is asked for something is made
        return make(TAKEN, new, part=part, last=last, like=loop.node)

    for part in wanted:
        if part < count:
            place = kept.index(part)
            if part in asked.tables:
                loop.tables[part] = table(place)
            if part in asked.ends:
                loop.ends[part] = table(place, last=True)
        else:
            rows = table(tables_from[part])
            loop.tables[part] = _reversed(rows) if loop.reverse != loop.node.attributes["reverse"] else rows
    known = {x: table(place) for x, place in leaves_from.items()}
    known |= given
    for part, total in sums.items():
        loop.ends[part] = total.over_time(known, outer)


def _fill(loop: Loop) -> None:
    """Rows and other inputs that are one number everywhere are constants of the body."""
    numbers = {inner: uniform(x) for x, inner in (*loop.rows, *loop.fixed)}
    filled = {
        inner: constant(np.full(inner.shape, value, inner.dtype))
        for inner, value in numbers.items()
        if value is not None
    }
    if not filled:
        return
    results = replaced([*(out for _, _, out in loop.carries), *loop.outputs], filled)
    loop.carries = [(x, inner, out) for (x, inner, _), out in zip(loop.carries, results, strict=False)]
    loop.outputs = results[len(loop.carries) :]
    loop.rows = [(x, inner) for x, inner in loop.rows if inner not in filled]
    loop.fixed = [(x, inner) for x, inner in loop.fixed if inner not in filled]


def _turn(loop: Loop) -> None:
    """Rows that are read backwards, most of them: the loop runs backwards instead."""
    backwards = [_is_reversal(x) for x, _ in loop.rows]
    if 2 * sum(backwards) <= len(backwards):
        return
    loop.rows = [(_reversed(x), inner) for x, inner in loop.rows]
    loop.reverse = not loop.reverse


def _is_reversal(x: Node) -> bool:
    return x.op.name == "getitem" and parts_of(x)[0][2] < 0


def _reversed(x: Node) -> Node:
    if x.op.name == "constant":
        return constant(np.ascontiguousarray(x.value[::-1]))
    if _is_reversal(x):
        (start, count, step), *rest = parts_of(x)
        return taken(x.inputs[0], [(start + (count - 1) * step, count, -step), *rest], x)
    return taken(x, [(x.shape[0] - 1, x.shape[0], -1), *((0, n, 1) for n in x.shape[1:])], x)


def _needed_carries(loop: Loop, wanted: set[int], outputs: Sequence[Node]) -> list[int]:
    """The carries that are asked for, or that these outputs or another needed carry depend on."""
    needed = set(wanted)
    while True:
        made = set(ancestors([*outputs, *(loop.carries[part][2] for part in needed)]))
        found = needed | {part for part, (_, inner, _) in enumerate(loop.carries) if inner in made}
        if found == needed:
            return sorted(needed)
        needed = found


@dataclass
class _Sum:
    """A carry that only adds up: first value + sum over all steps of `term`."""

    first: Node
    term: Node

    @staticmethod
    def of(loop: Loop, part: int) -> _Sum | None:
        """The sum that this carry is, if what it adds is made of products and sums of what a step knows."""
        first, inner, out = loop.carries[part]
        if out.op.name != "add" or inner not in out.inputs or out.inputs[0] is out.inputs[1]:
            return None
        term = out.inputs[1] if out.inputs[0] is inner else out.inputs[0]
        results = [*(x for _, _, x in loop.carries), *loop.outputs]
        readers = [node for node in ancestors(results) if inner in node.inputs]
        used = [node for node in ancestors(results) if out in node.inputs]
        if readers != [out] or used or results.count(out) > 1 or inner in results:
            return None
        if term.shape != out.shape or not _is_movable(term, {x for _, x in loop.fixed}):
            return None
        return _Sum(first, term)

    def leaves(self, loop: Loop) -> list[Node]:
        """What the steps have to hand out for it, beside the rows that they are given."""
        known = {inner for _, inner in (*loop.rows, *loop.fixed)}
        return [x for x in _leaves(self.term) if x not in known]

    def over_time(self, known: Mapping[Node, Node], fixed: Mapping[Node, Node]) -> Node:
        """The sum, from the tables of its leaves."""
        return make("add", self.first, _over_time(self.term, known, fixed), like=self.term)


def _is_movable(term: Node, fixed: set[Node]) -> bool:
    if term.op.name == "contract":
        return not all(x in fixed for x in term.inputs)
    if term.op.name == "sum":
        return not term.attributes["keepdims"] and term.inputs[0] not in fixed
    if term.op.name == "add":
        return all(x.shape == term.shape and _is_movable(x, fixed) for x in term.inputs)
    return term.op.name in ("reshape", "transpose") and _is_movable(term.inputs[0], fixed)


def _leaves(term: Node) -> list[Node]:
    if term.op.name in ("contract", "sum"):
        return list(term.inputs)
    return [leaf for x in term.inputs for leaf in _leaves(x)]


def _over_time(term: Node, known: Mapping[Node, Node], fixed: Mapping[Node, Node]) -> Node:
    match term.op.name:
        case "contract":
            x, y, out = split_spec(term.attributes["spec"])
            time = next(letter for letter in ascii_letters if letter not in x + y)
            labels = [
                time + own if node in known else own for node, own in zip(term.inputs, (x, y), strict=True)
            ]
            operands = [known.get(node) or fixed[node] for node in term.inputs]
            return make("contract", *operands, spec=f"{labels[0]},{labels[1]}->{out}", like=term)
        case "sum":
            axes = (0, *(axis + 1 for axis in term.attributes["axes"]))
            return make("sum", known[term.inputs[0]], axes=axes, keepdims=False, like=term)
        case "add":
            return make("add", *(_over_time(x, known, fixed) for x in term.inputs), like=term)
        case _:
            return make(term.op, _over_time(term.inputs[0], known, fixed), **term.attributes, like=term)


def lift_constants(graph: Graph) -> Graph:
    """The graph with the constant arrays of loops' bodies as inputs of the loops."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op is LOOP:
            body, arrays = _without_constants(lift_constants(node.attributes["body"]))
            return make(LOOP, *inputs, *arrays, **{**node.attributes, "body": body}, like=node)
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attributes, node.shape, node.dtype, node.value, node.source)

    return graph.map_nodes(rewrite)


def _without_constants(body: Graph) -> tuple[Graph, list[Node]]:
    arrays = [x for x in body.nodes if x.op.name == "constant" and x.value.size > 1]
    fresh = {x: placeholder(x.shape, x.dtype).node for x in arrays}
    return Graph.of([*body.inputs, *fresh.values()], replaced(body.outputs, fresh)), arrays
