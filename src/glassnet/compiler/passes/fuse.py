"""Fuse: nodes are gathered into kernels, each one nest of loops over a space (rows, columns).

    contraction   a product of matrices; elementwise nodes of its shape run on each tile as it is finished
    rows          elementwise nodes and reductions along rows, one row after the other
    columns       a sum over rows, one column vector after the other; elementwise nodes follow on the sums
    block         any other op, on arrays of any rank, with loops of its own
    images        a group of images, block by block of the batch

A cheap node that is wanted only behind a later anchor (a slope of an activation, a mask, 0.9 m) is computed
where it is wanted, from what it is made of, instead of being stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glassnet.compiler.passes.image_ops import IMAGES, RESULT
from glassnet.compiler.passes.values import Values, is_contraction, is_elementwise
from glassnet.compiler.passes.vocabulary import TAKEN
from glassnet.core.graph import Graph, Node
from glassnet.errors import UncompilableError

# Costly enough that computing them twice is worse than storing them once.
COSTLY = frozenset(
    {
        *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cos", "cosh"),
        *("cosine_of_turns", "divide", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "floor_divide"),
        *("fmod", "gamma", "gammaln", "hypot", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2"),
        *("polygamma", "power", "reciprocal", "remainder", "sigmoid", "sin", "sine_of_turns", "sinh"),
        *("softplus", "softsign", "sqrt", "tan", "tanh", "unnormalized_sinc", "xlogy"),
    }
)


@dataclass(eq=False)
class Kernel:
    """One nest of loops: its space, its anchor (None for plain maps), and the nodes it computes, in order."""

    kind: str
    space: tuple[int, int]
    anchor: Node | None
    nodes: list[Node] = field(default_factory=list[Node])
    per_row: set[Node] = field(default_factory=set[Node])  # one value a row rather than one an element
    reads: tuple[Node, ...] = ()
    writes: tuple[Node, ...] = ()

    def __str__(self) -> str:
        made = ", ".join(node.op.name for node in self.nodes)
        return f"{self.kind} over {self.space[0]} x {self.space[1]}: {made}"


def fuse(graph: Graph, values: Values, overwrites: Mapping[Node, Node]) -> tuple[list[Kernel], list[Node]]:
    """The kernels of `graph`, in an order in which each finds what it reads, and the outputs in conflict.

    `overwrites` maps outputs to the inputs whose memory they take: whoever reads the input comes first. An
    output is in conflict where that cannot be; it has to be copied there from memory of its own.
    """
    builder = _Fusion(graph, values, overwrites)
    for node in graph.nodes:
        builder.place(node)
    builder.merge()
    return builder.finish(), builder.conflicts


class _Fusion:
    def __init__(self, graph: Graph, values: Values, overwrites: Mapping[Node, Node]) -> None:
        self.graph, self.values, self.overwrites = graph, values, overwrites
        self.kernels: list[Kernel] = []
        self.home: dict[Node, Kernel] = {}
        self.before: dict[Kernel, set[Kernel]] = {}  # all kernels that must run earlier
        self.consumers = graph.consumers()
        self.conflicts: list[Node] = []  # outputs that cannot be computed where their input lies
        self.inlined = self._find_inlined()

    # -- what is computed where it is wanted

    def _find_inlined(self) -> set[Node]:
        level: dict[Node, int] = {}
        for node in (*self.graph.inputs, *self.graph.nodes):
            heights = [level[x] for x in node.inputs if x in level]
            anchors = not is_elementwise(node) and node.op.name not in ("reshape", "constant", "input")
            level[node] = max(heights, default=0) + anchors
        outputs = set(self.graph.outputs)
        inlined: set[Node] = set()
        for node in self.graph.nodes:
            if not is_elementwise(node) or node in outputs:
                continue
            readers = self.consumers[node]
            mask = node.dtype.kind == "b" and all(is_elementwise(reader) for reader in readers)
            cheap = node.op.name not in COSTLY and node.shape
            if mask or (
                cheap
                and all(
                    self._reads_in_place(node, reader) and level[reader] > level[node] for reader in readers
                )
            ):
                inlined.add(node)
        return inlined

    def _reads_in_place(self, node: Node, reader: Node) -> bool:
        """True where `reader` asks for each element of `node` exactly once and in its own place."""
        if is_elementwise(reader):
            return node.shape == reader.shape
        return self.values.is_row_reduction(reader) or self.values.is_column_sum(reader)

    def leaves(self, node: Node) -> Iterable[Node]:
        """The stored values that computing `node` reads, through inlined nodes and reshapes."""
        for x in node.inputs:
            source = self.values.base(x)
            if source in self.inlined:
                yield from self.leaves(source)
            elif self.values.is_stored(source):
                yield source

    # -- placing nodes

    def place(self, node: Node) -> None:
        """Puts one node into a kernel: one that fits, or a new one."""
        if node in self.inlined or not self.values.is_computed(node):
            return
        sources = (self.values.root(x) for x in self.leaves(node))
        needed = {self.home[x] for x in sources if x in self.home}
        if node.op is TAKEN or node.op is RESULT:
            self._join(self.home[node.inputs[0]], node, set(), per_row=False)
        elif node.op is IMAGES:
            self._open(Kernel("images", (1, 1), node), node, needed)
        elif is_contraction(node):
            self._open(Kernel("contraction", self.values.space(node), node), node, needed)
        elif self.values.is_column_sum(node):
            self._open(Kernel("columns", self.values.space(node.inputs[0]), node), node, needed)
        elif self.values.is_row_reduction(node):
            space = self.values.space(node.inputs[0])
            kernel = self._joinable(
                needed,
                lambda k: (
                    k.kind == "rows"
                    and k.space == space
                    and not self._updates(k)
                    and not self._reads_across(node, k)
                ),
            )
            kernel = kernel or self._open(Kernel("rows", space, node), None, needed)
            self._join(kernel, node, needed, per_row=True)
        elif is_elementwise(node):
            self._place_elementwise(node, needed)
        else:
            self._open(Kernel("block", (1, 1), node), node, needed)

    def _place_elementwise(self, node: Node, needed: set[Kernel]) -> None:
        storage = self.values.storage(node)
        if storage == "scalar" or (storage == "column" and self._feeds_matrix(node)):
            # One value a row: it may stay in the kernel whose rows it describes.
            rows = node.shape[0] if storage == "column" else 1
            kernel = self._joinable(
                needed, lambda k: k.kind == "rows" and k.space[0] == rows and bool(k.per_row)
            )
            if kernel:
                self._join(kernel, node, needed, per_row=True)
                return
        space = self.values.space(node)
        # An update does not share the phases of reductions: a later phase may still read what it overwrites.
        updates = node in self.overwrites
        kernel = self._joinable(
            needed,
            lambda k: (
                self._takes(k, space) and not (updates and k.per_row) and not self._reads_across(node, k)
            ),
        )
        kernel = kernel or self._open(Kernel("rows", space, None), None, needed)
        self._join(kernel, node, needed, per_row=False)

    def _feeds_matrix(self, node: Node) -> bool:
        """True where a column is wanted, perhaps through other columns, by a matrix of the same rows."""
        for reader in self.consumers[node]:
            storage = self.values.storage(reader)
            if is_elementwise(reader) and (
                storage == "matrix" or (storage == "column" and self._feeds_matrix(reader))
            ):
                return True
        return False

    def _reads_across(self, node: Node, kernel: Kernel) -> bool:
        """True where `node` reads values of other rows than its own: x + sum(x, axis=1) of a square x."""
        for x in node.inputs:
            base = self.values.base(x)
            if base in kernel.per_row and x.shape and x.shape[-1] > 1:
                return True
            if self.values.is_part(base) and self.values.root(base) in kernel.nodes:
                return True
            if base in self.inlined and self._reads_across(base, kernel):
                return True
        return False

    def _updates(self, kernel: Kernel) -> bool:
        return any(node in self.overwrites for node in kernel.nodes)

    @staticmethod
    def _takes(kernel: Kernel, space: tuple[int, int]) -> bool:
        if kernel.kind == "columns":
            return space == (1, kernel.space[1])
        return kernel.kind not in ("block", "images") and kernel.space == space

    def _joinable(self, needed: set[Kernel], fits: Callable[[Kernel], bool]) -> Kernel | None:
        """The latest kernel among those needed that fits and that no other needed one must follow."""
        for kernel in sorted(needed, key=self.kernels.index, reverse=True):
            others = needed - {kernel}
            if fits(kernel) and not any(kernel in self.before[other] for other in others):
                return kernel
        return None

    def _open(self, kernel: Kernel, node: Node | None, needed: set[Kernel]) -> Kernel:
        self.kernels.append(kernel)
        self.before[kernel] = set()
        if node is not None:
            self._join(kernel, node, needed, per_row=False)
        return kernel

    def _join(self, kernel: Kernel, node: Node, needed: set[Kernel], *, per_row: bool) -> None:
        kernel.nodes.append(node)
        self.home[node] = kernel
        if per_row:
            kernel.per_row.add(node)
        self._run_before(needed - {kernel}, kernel)

    def _run_before(self, needed: set[Kernel], kernel: Kernel) -> None:
        earlier = needed.union(*(self.before[other] for other in needed))
        for other in self.kernels:
            if other is kernel or kernel in self.before[other]:
                self.before[other] |= earlier

    # -- maps that follow one another

    def merge(self) -> None:
        """Takes each map into the first later map that reads it in the same places, if it may wait."""
        maps = [kernel for kernel in self.kernels if kernel.kind == "rows" and not kernel.per_row]
        for number, kernel in enumerate(maps):
            made = set(kernel.nodes)
            for reader in maps[number + 1 :]:
                if self._continues(kernel, reader, made):
                    self._merge(kernel, reader)
                    break

    def _continues(self, kernel: Kernel, reader: Kernel, made: set[Node]) -> bool:
        """True where `reader` reads what `kernel` made in the same place, and nobody has to run between."""
        if kernel.space != reader.space or kernel not in self.before[reader]:
            return False
        if any(kernel in self.before[between] for between in self.before[reader]):
            return False
        reads = any(x in made for node in reader.nodes for x in self.leaves(node))
        across = any(self._reads_across(node, kernel) for node in reader.nodes)
        return reads and not across and not self._hold_up(kernel, reader)

    def _hold_up(self, *pair: Kernel) -> bool:
        """True where one of the two makes what another kernel has to read before the other overwrites."""
        overwritten = {
            self.overwrites[node] for kernel in pair for node in kernel.nodes if node in self.overwrites
        }
        return any(
            self.values.root(x) in overwritten
            for kernel in self.kernels
            if kernel not in pair and self.before[kernel].intersection(pair)
            for node in kernel.nodes
            for x in self.leaves(node)
        )

    def _merge(self, kernel: Kernel, reader: Kernel) -> None:
        self.kernels.remove(kernel)
        reader.nodes = [*kernel.nodes, *reader.nodes]
        self.home.update(dict.fromkeys(kernel.nodes, reader))
        self.before[reader] |= self.before.pop(kernel)
        self.before[reader].discard(kernel)
        for other in self.kernels:
            if kernel in self.before[other]:
                self.before[other] = self.before[other] - {kernel} | {reader} | self.before[reader]

    # -- the result

    def finish(self) -> list[Kernel]:
        """Kernels with what they read and write, in order."""
        outputs = {self.values.base(node) for node in self.graph.outputs}
        for kernel in self.kernels:
            mine = set(kernel.nodes)
            kernel.reads = tuple(
                dict.fromkeys(x for node in kernel.nodes for x in self.leaves(node) if x not in mine)
            )
        wanted = outputs.union(*(kernel.reads for kernel in self.kernels))
        wanted |= {self.values.root(node) for node in wanted}
        for kernel in self.kernels:
            kernel.writes = tuple(node for node in kernel.nodes if node in wanted)
        for output, source in self.overwrites.items():
            self._overwrite(output, source)
        return order(self.kernels, self.before)

    def _overwrite(self, output: Node, source: Node) -> None:
        """Orders the kernel that overwrites `source` behind all that read it."""
        writer = self.home.get(output)
        if writer is None or self.values.storage(output) != self.values.storage(source):
            self.conflicts.append(output)
            return
        operands = [self.values.root(x) for x in writer.anchor.inputs] if writer.anchor else []
        across = source in operands or (writer.kind == "rows" and writer.per_row)
        readers = {
            kernel
            for kernel in self.kernels
            if kernel is not writer and any(self.values.root(x) is source for x in kernel.reads)
        }
        across = across or any(self.values.is_part(x) and self.values.root(x) is source for x in writer.reads)
        if across or any(writer in self.before[reader] for reader in readers):
            self.conflicts.append(output)
            return
        self._run_before(readers, writer)


def order(kernels: Sequence[Kernel], before: dict[Kernel, set[Kernel]]) -> list[Kernel]:
    """The kernels, each behind those it must follow; as written where it does not matter."""
    remaining, done, result = list(kernels), set[Kernel](), list[Kernel]()
    while remaining:
        ready = next((kernel for kernel in remaining if before[kernel] <= done), None)
        if ready is None:
            raise UncompilableError("its kernels wait for one another in a circle.")
        remaining.remove(ready)
        done.add(ready)
        result.append(ready)
    return result
