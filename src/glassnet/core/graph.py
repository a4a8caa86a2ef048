"""Node and Graph: the one structure that is evaluated, differentiated, compiled, saved, drawn and explained.

A node is one value of a computation: the op that makes it, the nodes it is made from, its shape and dtype.
Nodes carry a serial number that grows as they are made. Since a node can only be made from older ones, the
serial order is a topological order of every graph, and no node older than x can depend on x.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
            kind = f"{node.op.name} {inputs} {dict(node.attributes)}"
            lines.append(f"{number} {kind} {node.shape} {node.dtype} {data}")
        outputs = [numbers[node] for node in self.outputs]
        return "\n".join([*lines, f"{len(self.inputs)} -> {outputs}"])

    def __str__(self) -> str:
        names = dict(zip(self.inputs, self.input_names, strict=True))
        lines = [f"graph({', '.join(f'{name}: {_type(node)}' for node, name in names.items())})"]
        for number, node in enumerate(node for node in self.nodes if node not in names):
            names[node] = f"%{number}"
            arguments = ", ".join(names[source] for source in node.inputs)
            options = ", ".join(f"{key}={value}" for key, value in node.attributes.items())
            call = f"{node.op.name}({'; '.join(part for part in (arguments, options) if part)})"
            if node.op.name == "constant":
                call = f"constant {_summary(node.value)}"
            where = node.location
            comment = f"  # {where[0].rpartition('/')[2]}:{where[1]}  {node.source_line}" if where else ""
            lines.append(f"  {names[node]}: {_type(node)} = {call}{comment}".rstrip())
        lines.append(f"  return {', '.join(names[node] for node in self.outputs)}")
        return "\n".join(lines)


def _type(node: Node) -> str:
    return f"{node.dtype}[{', '.join(map(str, node.shape))}]"


def _summary(value: Any) -> str:
    return str(value) if getattr(value, "size", 1) == 1 else f"array of shape {value.shape}"
