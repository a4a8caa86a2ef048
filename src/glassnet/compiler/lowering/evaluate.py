"""Evaluating nodes at one place of a kernel: a vector of elements along a line, or one value for a row.

Every kernel asks for values here, so that what an elementwise op compiles to is said in one place. Values are
remembered as far out as they stay the same: at the place, along the line, across the lines, in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from glassnet.compiler.loop_ir import Builder, Constant, IndexLike, Operand, Position, Value
from glassnet.compiler.lowering import (
    activation,
    arcs,
    arithmetic,
    comparison,
    conversion,
    exponential,
    hyperbolic,
    powers,
    rounding,
    special,
    trigonometric,
)
from glassnet.compiler.passes.elements import value_type
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout, Storage
from glassnet.compiler.passes.rewrite import uniform
from glassnet.compiler.passes.values import Values, is_elementwise
from glassnet.core.graph import Node
from glassnet.errors import UncompilableError

Lowering = Callable[..., Operand]


def _plain(function: Callable[..., Operand]) -> Lowering:
    """The lowering for a function that needs no attributes."""
    return lambda b, node, *operands: function(b, *operands)


def _words_below(b: Builder, node: Node, words: Operand) -> Operand:
    # numbers without sign compare as those with one do, moved by 2^31
    moved = b.ixor(words, b.constant(-(2**31), words.type))
    return b.compare("lt", moved, b.constant(node.attributes["threshold"] - 2**31, words.type))


FUNCTIONS: dict[str, Callable[..., Operand]] = {
    **arcs.FUNCTIONS,
    **exponential.FUNCTIONS,
    **hyperbolic.FUNCTIONS,
    **powers.FUNCTIONS,
    **special.FUNCTIONS,
    **trigonometric.FUNCTIONS,
}
LOWERINGS: dict[str, Lowering] = {
    **arithmetic.LOWERINGS,
    **comparison.LOWERINGS,
    **activation.LOWERINGS,
    **rounding.LOWERINGS,
    **{name: _plain(function) for name, function in FUNCTIONS.items()},
    "polygamma": lambda b, node, x: special.polygamma(b, x, node.attributes["order"]),
    "unnormalized_sinc": lambda b, node, x: trigonometric.sinc(b, x, node.attributes["order"]),
    "words_below": _words_below,
    "high_word": lambda b, node, x: b.lshr(x, 32),
    "broadcast_to": lambda b, node, x: x,
    "cast": conversion.convert,
    "convert": conversion.convert,
}

Memory = dict[Node, Operand]


@dataclass
class Place:
    """`lanes` elements from (i, j) on, along rows ("j") or columns ("i"); lanes = 1 is one value.

    `line` is shared by the places of one line, `across` by places at the same distance along their lines.
    """

    i: Position
    j: Position
    lanes: int
    along: str = "j"
    line: Memory = field(default_factory=dict[Node, Operand])
    across: Memory = field(default_factory=dict[Node, Operand])
    known: Memory = field(default_factory=dict[Node, Operand])


class Evaluator:
    """Computes the nodes of one kernel at any place of its space."""

    def __init__(self, b: Builder, values: Values, layout: Layout, kernel: Kernel) -> None:
        self.b, self.values, self.layout, self.kernel = b, values, layout, kernel
        self.members = set(kernel.nodes)
        self.scalars: Memory = {}  # loaded once, before the loops
        self.row_values: Memory = {}  # one value for the present row
        self.uses: dict[Node, int] = {}
        for node in values.graph.nodes:
            for x in node.inputs:
                self.uses[x] = self.uses.get(x, 0) + 1
        for node in kernel.reads:
            if max(node.shape, default=1) == 1:
                self.scalars[node] = load(b, layout.storages[node], layout.storages[node].at(0), node)

    # -- values

    def value(self, node: Node, place: Place) -> Operand:
        """The node's elements at `place`."""
        lanes = place.lanes
        fill = uniform(node) if node.op.name == "constant" else None
        if fill is not None:
            return self.b.constant(fill, value_type(node.dtype, lanes))
        base = self.values.base(node)
        if base in self.row_values:
            return self._spread(base, self.row_values[base], place)
        if base in place.known:
            return place.known[base]
        if base in self.scalars:
            return self._spread(base, self.scalars[base], place)
        if base in self.layout.storages and base not in self.members:
            return self._read(node, base, place)
        result = self._compute(base, place)
        place.known[base] = result
        return result

    def _spread(self, base: Node, scalar: Operand, place: Place) -> Operand:
        if place.lanes == scalar.type.lanes:
            return scalar
        if base not in place.line:
            place.line[base] = self.b.splat(scalar, place.lanes)
        return place.line[base]

    def _compute(self, node: Node, place: Place) -> Operand:
        if node.op.name == "one_hot":
            return self._one_hot(node, place)
        if not is_elementwise(node) or node.op.name not in LOWERINGS:
            raise UncompilableError(f"the op {node.op.name} is not compiled yet.")
        fused = self._multiply_add(node, place)
        if fused is not None:
            return fused
        arguments = [self.value(x, place) for x in node.inputs]
        return LOWERINGS[node.op.name](self.b, node, *arguments)

    def _multiply_add(self, node: Node, place: Place) -> Operand | None:
        # a b + c and c - a b in one rounding, where the product is wanted nowhere else
        if node.op.name not in ("add", "subtract") or node.dtype.kind != "f":
            return None
        x, y = node.inputs
        for product, other in ((y, x), (x, y)):
            if node.op.name == "subtract" and product is x:
                break
            if product.op.name != "multiply" or self.uses[product] > 1 or product in place.known:
                continue
            if product in self.layout.storages:
                continue
            a, b = (self.value(factor, place) for factor in product.inputs)
            c = self.value(other, place)
            return self.b.fma(self._negative(a) if node.op.name == "subtract" else a, b, c)
        return None

    def _negative(self, a: Operand) -> Operand:
        return Constant(a.type, -a.value) if isinstance(a, Constant) else self.b.neg(a)

    # -- memory

    def varies(self, node: Node) -> tuple[bool, bool]:
        """Whether the node's elements change with i and with j of this kernel's space."""
        rows, columns = self.kernel.space
        shape = node.shape
        if len(shape) == 2:
            upright = rows == 1 and shape[1] == 1 and shape[0] == columns  # a column, worked on as a row
            return shape[0] > 1 and not upright, shape[1] > 1 or (upright and shape[0] > 1)
        if not shape or shape[0] == 1:
            return False, False
        return shape[0] != columns, shape[0] == columns

    def _read(self, node: Node, base: Node, place: Place) -> Operand:
        with_i, with_j = self.varies(node)
        along, other = (with_j, with_i) if place.along == "j" else (with_i, with_j)
        shared = place.known if along and other else place.across if along else place.line
        if base not in shared:
            shared[base] = self._load(base, place, with_i, with_j, along)
        return shared[base]

    def _load(self, base: Node, place: Place, with_i: bool, with_j: bool, along: bool) -> Operand:
        storage = self.layout.storages[base]
        i, j = place.i if with_i else 0, place.j if with_j else 0
        if self.values.storage(base) == "matrix":
            if with_i and storage.shape[0] == 1:
                i, j = 0, i  # a row that was reshaped into a column still lies along j
            if along and place.lanes > 1 and _lies_across(storage, place):
                raise UncompilableError(f"reading {base!r} across its lines is not compiled yet.")
            index = storage.index(i, j)
        else:
            index = storage.at(j if with_j else i)
        if along:
            return load(self.b, storage, index, base, place.lanes)
        return self.b.splat(load(self.b, storage, index, base), place.lanes)

    def store_all(self, nodes: Iterable[Node], place: Place) -> None:
        """Computes all of `nodes` at `place`, then writes them: one may overwrite what another reads."""
        for node, value in [(node, self.value(node, place)) for node in nodes]:
            self.store(node, place, value)

    def store(self, node: Node, place: Place, value: Operand) -> None:
        """Writes the node's elements at `place` to all its places."""
        for storage in self.layout.places(node):
            self._store(node, storage, place, value)

    def _store(self, node: Node, storage: Storage, place: Place, value: Operand) -> None:
        if self.values.storage(node) == "matrix":
            if value.type.lanes > 1 and _lies_across(storage, place):
                raise UncompilableError(f"writing {node!r} across its lines is not compiled yet.")
            index = storage.index(place.i, place.j)
        else:
            with_i, with_j = (True, False) if node in self.kernel.per_row else self.varies(node)
            index = storage.at(place.j if with_j else place.i if with_i else 0)
        store(self.b, storage, index, value)

    def _one_hot(self, node: Node, place: Place) -> Operand:
        labels = self.values.base(node.inputs[0])
        shared, lanes = (place.line, 1) if place.along == "j" else (place.across, place.lanes)
        if labels not in shared:
            storage = self.layout.storages[labels]
            shared[labels] = self.b.load(storage.buffer, storage.at(place.i), lanes)
        label = shared[labels]
        element = label.type.element
        start = place.j if isinstance(place.j, int) else self.b.value_of(place.j)
        if isinstance(start, Value) and element != "i64":
            start = self.b.trunc(start, element)
        number = value_type(node.dtype, place.lanes)
        if place.along == "i" and isinstance(start, Value):
            hit = self.b.compare("eq", label, self.b.splat(start, place.lanes))
        elif place.along == "i" or place.lanes == 1:
            hit = self.b.compare("eq", label, start)
        else:
            offset = self.b.splat(self.b.isub(label, start), place.lanes)
            hit = self.b.compare("eq", self.b.iota(place.lanes, element), offset)
        return self.b.select(hit, self.b.constant(1, number), self.b.zero(number))


def load(b: Builder, storage: Storage, index: IndexLike, node: Node, lanes: int = 1) -> Operand:
    """Consecutive elements of a stored value; truth values become a mask."""
    value = b.load(storage.buffer, index, lanes)
    return b.compare("ne", value, 0) if node.dtype.kind == "b" else value


def store(b: Builder, storage: Storage, index: IndexLike, value: Operand) -> None:
    """Writes consecutive elements; a mask becomes truth values, 0 or 1."""
    if value.type.element == "i1":
        whole = value.type.of(storage.buffer.element)
        value = b.select(value, b.constant(1, whole), b.zero(whole))
    b.store(storage.buffer, index, value)


def _lies_across(storage: Storage, place: Place) -> bool:
    """Whether the elements of a vector at that place lie in different lines: never those of one element."""
    return storage.shape != (1, 1) and storage.transposed is (place.along == "j")
