"""The chain rule on an influence diagram, edge by edge, from the end back.

Nothing here knows a derivative. Each edge carries the derivative that the op declares: the partial of an
elementwise op, the transpose of a linear map. What grows long is given a name, a value as well as a slope, so
that the formulas together are no longer than a few lines for each edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64
from glassnet.core.graph import Node, ancestors
from glassnet.core.op import Constant, Differential, Elementwise, Op
from glassnet.core.trace import Array, as_array, placeholder
from glassnet.explain.expression import (
    Entry,
    Expression,
    Number,
    Prime,
    Symbol,
    leaves,
    size,
    substitute,
)
from glassnet.explain.reading import Elements, Reading, Whole
from glassnet.explain.simplify import conditions, simplify
from glassnet.ops.shaping import sum_to
from glassnet.transforms.linearize import push
from glassnet.transforms.transpose import pull

# In symbols. A value that is longer is given a name, one that is used more than once already beyond SHARED.
LONGEST_VALUE, SHARED = 32, 5
# A slope that is longer is given a name, and one longer than INSIDE is not put into the formulas that use it.
LONGEST_SLOPE, INSIDE = 40, 16


@dataclass(frozen=True)
class Step:
    """One step back: the derivative `slope` by the chain rule, and simplified."""

    slope: Expression
    chain: Expression
    simplified: Expression


class Diagram:
    """The influence diagram of some values: its nodes as formulas, and the derivatives on its edges.

    `results` are the values by name, `inputs` the readings of the arguments. Nodes in `names` go by their
    name; `spare` are names for nodes that need one only where they grow long, before u1, u2, ... are taken.
    """

    def __init__(
        self,
        results: Mapping[str, Node],
        reading: Reading,
        inputs: Mapping[Node, Any],
        names: Mapping[Node, str],
        spare: Mapping[Node, str],
    ) -> None:
        self.reading, self.inputs = reading, inputs
        self.names = dict(names)
        self.formulas: dict[Node, Any] = {}
        self._spare = {node: name for name, node in results.items()} | dict(spare)
        self._taken = {*names.values(), *self._spare.values()}
        self._values = dict(inputs)
        self._fresh = 0
        nodes = ancestors(results.values(), stop=inputs)
        # However many elements are taken out of an array, each is used but once by that.
        taken = {node.inputs[0] for node in nodes if node.op.name == "getitem"}
        self._uses = Counter(x for node in nodes if node.op.name != "getitem" for x in node.inputs) + Counter(
            taken
        )
        for node in nodes:
            if node not in self._values:
                self._values[node] = self._valued(node)

    def _valued(self, node: Node) -> Any:
        value = self.reading.apply(node, [self._values[x] for x in node.inputs])
        if isinstance(self.reading, Elements) and not node.op.broadcasts:
            value = self.reading.map(simplify, value)  # products of matrices are written without dots
        self.formulas[node] = value
        longest = LONGEST_VALUE if self._uses[node] == 1 else SHARED
        if any(isinstance(part, Entry) for part in self.reading.parts(value)):
            longest = 1  # its own derivatives speak of it
        elif not self._uses[node]:  # a result, and nothing but a result
            return value
        if node not in self.names and self.reading.size(value, longest) == longest:
            self._name(node)
        return self.reading.symbols(self.names[node], node.shape) if node in self.names else value

    def _name(self, node: Node) -> None:
        name = self._spare.get(node)
        while name is None:
            self._fresh += 1
            name = f"u{self._fresh}" if f"u{self._fresh}" not in self._taken else None
        self.names[node] = name

    @property
    def named(self) -> list[Node]:
        """The nodes between the inputs and the results that have a name, in order."""
        return [node for node in self.formulas if node in self.names]

    def formula(self, node: Node) -> Any:
        """What a node stands for, as the user wrote it."""
        return self.formulas.get(node, self._values[node])

    def steps(self, title: str, out: Node, seed: Any) -> list[Step]:
        """The derivatives of `out`, which is called `title`, with respect to all variables, from the end.

        `seed` is the derivative of the result with respect to itself.
        """
        wrt = [*self.inputs, *self.named]
        influencing = set(wrt)
        for node in ancestors([out], stop=self.inputs):
            if any(x in influencing for x in node.inputs) and not isinstance(node.op.derivative, Constant):
                influencing.add(node)
        steps: list[Step] = []
        x_bar: dict[Node, Any] = {out: seed}
        for node in self._from_the_end(out):
            if node not in x_bar:
                continue
            total = x_bar[node]
            if node is not out and (
                node in self.names or self.reading.size(total, LONGEST_SLOPE) == LONGEST_SLOPE
            ):
                total = self._recorded(title, node, total, steps)
            for position, x in enumerate(node.inputs):
                if x in influencing:
                    part = self._contribution(node, total, position)
                    if part is not None:
                        x_bar[x] = self.reading.add(x_bar[x], part) if x in x_bar else part
        for node in self.inputs:
            if node in x_bar:
                self._recorded(title, node, x_bar[node], steps)
        return steps

    def _recorded(self, title: str, node: Node, total: Any, steps: list[Step]) -> Any:
        """One step for each part of the node's derivative; from here on it goes by its name."""
        if node not in self.names:
            self._name(node)
        name = self.names[node]
        slopes = self.reading.slopes(title, name, node.shape)
        spread = self.reading.map(lambda _, part: part, slopes, total)
        for slope, part in zip(self.reading.parts(slopes), self.reading.parts(spread), strict=True):
            steps.append(Step(slope, part, simplify(part)))
        return slopes

    def _contribution(self, node: Node, x_bar: Any, position: int) -> Any:
        """What reaches the input at `position` of a node whose own derivative is `x_bar`."""
        target = node.inputs[position]
        if not isinstance(node.op.derivative, Elementwise):
            cotangent = placeholder(node.shape, node.dtype)
            pulled = pull(node, cotangent, position)
            if pulled is None:
                return None
            part = self._read(pulled, {cotangent.node: x_bar})
            # What a rule does inside is no edge of its own.
            return self.reading.map(simplify, part) if isinstance(node.op.derivative, Differential) else part
        slope = self._edge(node, position)
        if slope is None:
            return None
        product = self.reading.chain(x_bar, slope)
        if node.shape == target.shape:
            return product
        whole = placeholder(node.shape, node.dtype)
        return self._read(sum_to(whole, target.shape), {whole.node: product})

    def _edge(self, node: Node, position: int) -> Any:
        """d node / d input at `position` of an elementwise op: with a prime where the function has one."""
        rule = node.op.derivative
        assert isinstance(rule, Elementwise)
        partial = rule.partials[position](Array(node), *map(Array, node.inputs), **node.attributes)
        if isinstance(partial, (int, float)) and partial == 0:
            return None
        slope = self.reading.map(simplify, self._read(partial, {}))
        prime, options = node.op.formula.prime, tuple(node.attributes.items())
        if prime is None:
            return slope

        def primed(slope: Expression, argument: Expression) -> Expression:
            if isinstance(slope, Number) or (isinstance(self.reading, Elements) and conditions(slope)):
                return slope
            return Prime(node.op, simplify(argument), options)

        return self.reading.map(primed, slope, self._values[node.inputs[0]])

    def _read(self, x: Any, more: Mapping[Node, Any]) -> Any:
        return self.reading.read(as_array(x).node, self._values | dict(more))

    def _from_the_end(self, out: Node) -> list[Node]:
        """All nodes before `out` but the inputs, each before what it is made from, paths in reading order."""
        finished: dict[Node, None] = {}
        pending = [(out, False)]
        while pending:
            node, ready = pending.pop()
            if node in finished or node in self.inputs:
                continue
            if ready:
                finished[node] = None
            else:
                # What is pushed last is visited first: the last input, as recursion would have it.
                pending += [(node, True), *((x, False) for x in node.inputs)]
        return list(reversed(finished))


def closed_forms(steps: Iterable[Step], kept: Iterable[Expression] = ()) -> dict[Expression, Expression]:
    """The derivatives with those before them put in where they are short; `kept` ones are not put in."""
    kept = set(kept)
    short: dict[Expression, Expression] = {}
    closed: dict[Expression, Expression] = {}
    for step in steps:
        used = leaves(step.simplified)
        inside = {slope: short[slope] for slope in used if slope in short}
        whole = simplify(substitute(step.simplified, inside)) if inside else step.simplified
        closed[step.slope] = whole
        if step.slope not in kept and size(whole, INSIDE) < INSIDE:
            short[step.slope] = whole
    return closed


def shared_slopes(steps: Iterable[Step]) -> list[Expression]:
    """The derivatives that several others are made of and are longer than a name, and those with a name."""
    steps = list(steps)
    uses = Counter(leaf for step in steps for leaf in leaves(step.simplified))
    return [
        step.slope
        for step in steps
        if isinstance(step.slope, Symbol) or (uses[step.slope] > 1 and size(step.simplified, 3) == 3)
    ]


def needed(asked: Iterable[Expression], meaning: Mapping[Expression, Expression]) -> list[Expression]:
    """The keys of `meaning` that `asked` rest on, themselves included, in the order of `meaning`."""
    found: set[Expression] = set()
    pending = list(asked)
    while pending:
        each = pending.pop()
        if each not in found:
            found.add(each)
            if each in meaning:
                pending += leaves(meaning[each])
    return [key for key in meaning if key in found]


def prime_of(op: Op, options: Iterable[tuple[str, Any]]) -> tuple[Expression, Expression]:
    """The derivative of a function of one variable at z, written with a prime and written out."""
    z = placeholder((), FLOAT64)
    made = op(z, **dict(options))
    slope = push(made.node, [as_array(np.float64(1))])
    symbol = Symbol("z")
    written_out = Whole().read(as_array(slope).node, {z.node: symbol})
    return Prime(op, symbol, tuple(options)), simplify(written_out)
