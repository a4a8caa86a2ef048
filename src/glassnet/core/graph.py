"""Node and Graph: the one structure that is evaluated, differentiated, compiled, saved, drawn and explained.

A node is one value of a computation: the op that makes it, the nodes it is made from, its shape and dtype.
Nodes carry a serial number that grows as they are made. Since a node can only be made from older ones, the
serial order is a topological order of every graph, and no node older than x can depend on x.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from types import CodeType
from typing import TYPE_CHECKING, Any

from glassnet.core.dtype import DType
from glassnet.core.shape import Shape
from glassnet.errors import VerificationError

if TYPE_CHECKING:
    from glassnet.core.op import Op

Source = tuple[CodeType, int]  # a place in the user's code, unresolved: code and instruction

_serials = itertools.count()
_serial = attrgetter("serial")


def location_of(source: Source | None) -> tuple[str, int] | None:
    """File and line of a place in the user's code, where known."""
    if source is None:
        return None
    code, instruction = source
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return code.co_filename, line
    return code.co_filename, code.co_firstlineno


def describe(source: Source | None) -> str:
    """That place as errors name it, " (line 3 of net.py: y = W @ x)", or nothing."""
    location = location_of(source)
    if location is None:
        return ""
    file, line = location
    text = linecache.getline(file, line).strip()
    return f" (line {line} of {file}: {text})" if text else f" (line {line} of {file})"


class Node:
    """One value of a computation. Immutable after construction, compared by identity.

    `value` is the number itself where the trace ran with concrete values, else None. `attributes` are the
    op's static options. `source` is where the user's code asked for it, kept unresolved (code, instruction).
    """

    __slots__ = ("attributes", "dtype", "inputs", "op", "serial", "shape", "source", "value")

    def __init__(
        self,
        op: Op,
        inputs: tuple[Node, ...],
        attributes: Mapping[str, Any],
        shape: Shape,
        dtype: DType,
        value: Any = None,
        source: Source | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.shape = shape
        self.dtype = dtype
        self.value = value
        self.source = source
        self.serial = next(_serials)

    @property
    def location(self) -> tuple[str, int] | None:
        """File and line of the user's code that made this node, where known."""
        return location_of(self.source)

    @property
    def source_line(self) -> str:
        """The text of that line, or an empty string."""
        location = self.location
        return linecache.getline(*location).strip() if location else ""

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.dtype}{list(self.shape)}>"


def newest() -> int:
    """A serial number that all nodes made so far are below and all that are made from now on are above."""
    return next(_serials)


def ancestors(outputs: Iterable[Node], oldest: int = 0, stop: Iterable[Node] = ()) -> list[Node]:
    """Every node that `outputs` are made from (themselves included), in topological order.

    Nodes with a serial below `oldest` are left out, and so is what lies beneath the nodes of `stop`.
    """
    seen: set[Node] = set()
    stopped = set(stop)
    pending = [node for node in outputs if node.serial >= oldest]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node not in stopped:
            pending += [source for source in node.inputs if source.serial >= oldest and source not in seen]
    return sorted(seen, key=_serial)


@dataclass(frozen=True, eq=False)
class Graph:
    """A computation: inputs, outputs, and all nodes between in topological order.

    Leaves are the inputs and constants (op "constant"); `verify` holds every node against its op's shape
    rule. `input_names` are for people and for files.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    nodes: tuple[Node, ...]
    input_names: tuple[str, ...]

    @staticmethod
    def of(inputs: Iterable[Node], outputs: Iterable[Node], names: Iterable[str] | None = None) -> Graph:
        """The graph from `inputs` to `outputs`; what lies beneath the inputs is cut off."""
        inputs, outputs = tuple(inputs), tuple(outputs)
        nodes = tuple(ancestors(outputs, stop=inputs))
        named = tuple(names) if names is not None else tuple(f"input_{i}" for i in range(len(inputs)))
        return Graph(inputs, outputs, nodes, named)

    def verify(self) -> Graph:
        """Itself, if every leaf is an input or a constant and every node agrees with its shape rule."""
        inputs = set(self.inputs)
        seen: set[Node] = set()
        for node in self.nodes:
            if node not in inputs:
                if not node.inputs and node.op.name != "constant":
                    raise VerificationError(
                        f"The graph has a leaf {node!r} that is neither input nor constant."
                    )
                if any(source not in seen and source not in inputs for source in node.inputs):
                    raise VerificationError(f"The graph is out of order at {node!r}.")
                if node.op.name != "constant":
                    shape, dtype = node.op.infer(*node.inputs, **node.attributes)
                    if (shape, dtype) != (node.shape, node.dtype):
                        raise VerificationError(
                            f"{node!r} does not agree with its shape rule, which gives {dtype}{list(shape)}."
                        )
            seen.add(node)
        return self

    def run(self, inputs: Sequence[Any], step: Callable[[Node, list[Any]], Any]) -> list[Any]:
        """The outputs for these inputs: `step(node, inputs)` makes each node between (constants included).

        A result is dropped after its last use, so memory is bounded by what is alive.
        """
        values: dict[Node, Any] = dict(zip(self.inputs, inputs, strict=True))
        for node, forgotten in self._schedule:
            values[node] = step(node, [values[x] for x in node.inputs])
            for x in forgotten:
                del values[x]
        return [values[node] for node in self.outputs]

    @cached_property
    def _schedule(self) -> list[tuple[Node, tuple[Node, ...]]]:
        # Every node to make, and the values that nobody asks for after it.
        last_use = {x: node for node in self.nodes for x in node.inputs}
        kept = {*self.outputs, *self.inputs}
        inputs = set(self.inputs)
        return [
            (node, tuple(x for x in dict.fromkeys(node.inputs) if last_use[x] is node and x not in kept))
            for node in self.nodes
            if node not in inputs
        ]

    def evaluate(self, inputs: Sequence[Any], xp: Any) -> list[Any]:
        """The outputs over an array-API namespace: each op computed by its own value rule."""

        def step(node: Node, arguments: list[Any]) -> Any:
            if node.op.name == "constant":
                return xp.asarray(node.value)
            return node.op.value(xp, *arguments, **node.attributes)

        return self.run(inputs, step)

    def apply(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs with every op applied again: on traced inputs the graph is put into another."""

        def step(node: Node, arguments: list[Any]) -> Any:
            return node.value if node.op.name == "constant" else node.op(*arguments, **node.attributes)

        return self.run(inputs, step)

    def consumers(self) -> dict[Node, list[Node]]:
        """For every node the nodes that read it, in topological order."""
        result: dict[Node, list[Node]] = {node: [] for node in (*self.inputs, *self.nodes)}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                if source in result:
                    result[source].append(node)
        return result

    def map_nodes(self, rewrite: Callable[[Node, tuple[Node, ...]], Node]) -> Graph:
        """The graph with every node replaced by `rewrite(node, new_inputs)`; inputs stay."""
        replaced: dict[Node, Node] = {node: node for node in self.inputs}
        for node in self.nodes:
            if node not in replaced:
                replaced[node] = rewrite(node, tuple(replaced[source] for source in node.inputs))
        return Graph.of(self.inputs, (replaced[node] for node in self.outputs), self.input_names)

    def signature(self) -> str:
        """A text that two graphs share exactly where they compute the same in the same way."""
        numbers = {node: number for number, node in enumerate(dict.fromkeys((*self.inputs, *self.nodes)))}
        lines: list[str] = []
        for node, number in numbers.items():
            inputs = [numbers[x] for x in node.inputs if x in numbers]
            data = node.value.tobytes().hex() if node.op.name == "constant" else ""
            attributes = {
                key: value.signature() if isinstance(value, Graph) else value
                for key, value in node.attributes.items()
            }
            kind = f"{node.op.name} {inputs} {attributes}"
            lines.append(f"{number} {kind} {node.shape} {node.dtype.str} {data}")
        outputs = [numbers[node] for node in self.outputs]
        return "\n".join([*lines, f"{len(self.inputs)} -> {outputs}"])

    def names(self) -> dict[Node, str]:
        """What its nodes are called in its text: the inputs by their names, the rest %0, %1, ... in order."""
        names = dict(zip(self.inputs, self.input_names, strict=True))
        made = (node for node in self.nodes if node not in names)
        return names | {node: f"%{number}" for number, node in enumerate(made)}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        """One line a node: its number, its type, the op on its operands, and the user's line it came from."""
        names, inputs = self.names(), set(self.inputs)
        made = [node for node in self.nodes if node not in inputs]
        calls = {node: _call(node, names) for node in made}
        left = max((len(names[node]) + len(_type(node)) for node in made), default=0)
        right = min(max(map(len, calls.values()), default=0), LONGEST_ALIGNED)
        lines = [f"graph({', '.join(f'{names[node]}: {_type(node)}' for node in self.inputs)})"]
        for node in made:
            gap = " " * (left - len(names[node]) - len(_type(node)))
            where = node.location
            comment = f"  # {where[0].rpartition('/')[2]}:{where[1]}  {node.source_line}" if where else ""
            lines.append(f"  {names[node]}: {_type(node)}{gap} = {calls[node]:<{right}}{comment}".rstrip())
            for key, body in node.attributes.items():
                if isinstance(body, Graph):
                    heading, *rest = body._lines()
                    lines += [f"      {key} = {heading}", *(f"      {line}" for line in rest)]
        lines.append(f"  return {', '.join(names[node] for node in self.outputs)}")
        return lines


LONGEST_ALIGNED = 48  # longer calls push their comment to the right instead of all the others


def _call(node: Node, names: Mapping[Node, str]) -> str:
    if node.op.name == "constant":
        return f"constant {_summary(node.value)}"
    arguments = ", ".join(names[source] for source in node.inputs)
    options = ", ".join(
        f"{key}={value}" for key, value in node.attributes.items() if not isinstance(value, Graph)
    )
    return f"{node.op.name}({'; '.join(part for part in (arguments, options) if part)})"


def _type(node: Node) -> str:
    return f"{node.dtype}[{', '.join(map(str, node.shape))}]"


def _summary(value: Any) -> str:
    return str(value) if getattr(value, "size", 1) == 1 else f"array of shape {value.shape}"
