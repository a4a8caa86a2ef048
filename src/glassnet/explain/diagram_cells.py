"""From the values of a computation to the cells of a diagram: what is drawn alone, and what is folded.

Nothing here knows a derivative. Every number is a pullback that stops at the other variables of the diagram,
and so goes along direct edges alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Node
from glassnet.core.shape import Shape, size_of
from glassnet.core.trace import as_array, placeholder, reader
from glassnet.errors import ConfigurationError
from glassnet.transforms.batch import batch
from glassnet.transforms.linearize import pushforward
from glassnet.transforms.transpose import pullback

_LARGEST_JACOBIAN = 2**22  # elements; beyond it the edges into a folded layer stay without a number
_FOLLOWED = 2  # elements that the highlighted variable acts on directly, drawn alone whatever their influence
_ADDRESS = re.compile(r"(?P<name>.*?)\s*\[(?P<index>[-\d,\s]+)\]")


@dataclass(frozen=True, eq=False)
class Value:
    """A named value of the computation; `units` of its elements are drawn one by one, None draws it whole.

    `within_array` marks a number that the computation knows only as an element of a large array.
    """

    name: str
    node: Node
    units: int | None = None
    within_array: bool = False

    @property
    def size(self) -> int:
        """How many elements it has."""
        return size_of(self.node.shape)

    def label(self, element: int) -> str:
        """What an element is called: "x[7]", "W[0, 1]"."""
        if not self.node.shape:
            return self.name
        return f"{self.name}[{', '.join(map(str, np.unravel_index(element, self.node.shape)))}]"


@dataclass(frozen=True, eq=False)
class Cell:
    """What one box shows: one element of a value, or several together."""

    name: str
    value: Value
    elements: NDArray

    @property
    def is_single(self) -> bool:
        """Whether it is one number."""
        return len(self.elements) == 1


Blocks = dict[tuple[Cell, Cell], NDArray | None]


def locate(address: str, shapes: Mapping[str, Shape]) -> tuple[str, int | None]:
    """The value and the element that an address such as "dense_1.weight[0, 1]" speaks of; None is all of it.

    Raises ConfigurationError for a name or an index that is not there.

    >>> locate("W[1, 2]", {"W": (2, 3)})
    ('W', 5)
    """
    match = None if address in shapes else _ADDRESS.fullmatch(address.strip())
    name = match["name"] if match else address
    if name not in shapes:
        raise ConfigurationError(
            f"highlight={address!r} is nothing in this diagram; it has {', '.join(shapes)}."
        )
    if match is None:
        return name, None
    shape = shapes[name]
    try:
        index = tuple(int(part) for part in match["index"].split(","))
        wrapped = tuple(i + extent if i < 0 else i for i, extent in zip(index, shape, strict=True))
        return name, int(np.ravel_multi_index(wrapped, shape))
    except ValueError:
        raise ConfigurationError(
            f"highlight={address!r} is no element of {name}, which has shape {shape}; indices count from 0."
        ) from None


# The cotangent of a value, what it becomes at each of its sources, and the Jacobians of those pushed forward.
_Linear = tuple[Node, dict[Value, Node], dict[Value, NDArray]]


class Influences:
    """The direct influences of named values on each other, in the order in which they are made.

    `output`, the last of them, is what everything is differentiated for.
    """

    def __init__(self, values: Sequence[Value]) -> None:
        self.values = values
        self.output = values[-1]
        self._linear: dict[Value, _Linear] = {}

    def pull(self, value: Value, rows: NDArray) -> dict[Value, NDArray]:
        """rows (k, size) @ (Jacobian of a value by each that acts on it directly): (k, n) for each."""
        cotangent, slopes, columns = self._linearise(value)
        results = {source: rows @ column for source, column in columns.items()}
        if slopes:
            seeds = as_array(rows.reshape(-1, *cotangent.shape))
            pulled = batch(list(slopes.values()), {cotangent: seeds})
            for source, x in zip(slopes, pulled, strict=True):
                results[source] = np.asarray(x.node.value).reshape(len(rows), -1)
        return results

    def sources(self, value: Value) -> list[Value]:
        """The values that act on one directly."""
        _, slopes, columns = self._linearise(value)
        return [source for source in self.values if source in slopes or source in columns]

    def _linearise(self, value: Value) -> _Linear:
        if value not in self._linear:
            cotangent = placeholder(value.node.shape, value.node.dtype)
            earlier = [x for x in self.values if x.node.serial < value.node.serial]
            known = [] if value.node.op.name == "variable" else [x for x in earlier if not x.within_array]
            slopes: list[Any] = []
            if known:
                # The walk back stops at every one of them: what arrives there came along direct edges alone.
                slopes = pullback([value.node], [x.node for x in known], [cotangent], reader())
            pairs = zip(known, slopes, strict=False)
            found = {source: as_array(x).node for source, x in pairs if x is not None}
            # NOTE pulled back, an element would bring along a copy of its array for every row.
            pushed = {source: _column(value, source, earlier) for source in earlier if source.within_array}
            columns = {source: column for source, column in pushed.items() if column is not None}
            self._linear[value] = cotangent.node, found, columns
        return self._linear[value]

    @cached_property
    def totals(self) -> dict[Value, NDArray]:
        """The Jacobian (outputs, size) of the output by each value that acts on it, along all paths."""
        totals = {self.output: np.eye(self.output.size)}
        for value in reversed(self.values):
            if value in totals:
                for source, x_bar in self.pull(value, totals[value]).items():
                    totals[source] = totals[source] + x_bar if source in totals else x_bar
        return {value: totals[value] for value in self.values if value in totals}


def _column(value: Value, source: Value, stops: Iterable[Value]) -> NDArray | None:
    """The Jacobian (size, 1) of a value by a single number along direct edges, None where there are none."""
    still: dict[Node, Any] = {stop.node: None for stop in stops}
    tangents = still | {source.node: np.ones(source.node.shape)}
    slope = pushforward([value.node], tangents, reader())[0]
    return None if slope is None else np.asarray(as_array(slope).node.value).reshape(-1, 1)


def cells_of(influences: Influences, chosen: tuple[Value, int | None] | None) -> dict[Value, list[Cell]]:
    """What is drawn of every value: its most influential elements, the chosen one, the rest folded.

    The influence of an element is |gradient * value|, to first order the change of the output if it were 0.
    Elements on which the chosen one acts directly are drawn too, where they are few.
    """
    wanted: dict[Value, set[int]] = {}
    if chosen is not None and chosen[1] is not None:
        wanted[chosen[0]] = {chosen[1]}
    if chosen is not None and (chosen[1] is not None or chosen[0].size == 1):
        for target in influences.totals:
            moved = _moved(influences, target, chosen[0], chosen[1] or 0)
            if len(moved) <= _FOLLOWED:
                wanted.setdefault(target, set()).update(moved)
    cells: dict[Value, list[Cell]] = {}
    for value, total in influences.totals.items():
        elements = _singled_out(value, total, wanted.get(value, set()))
        rest = np.setdiff1d(np.arange(value.size), elements)
        cells[value] = [Cell(value.label(element), value, np.array([element])) for element in elements]
        if len(rest):
            name = f"{value.name}: {len(rest)} more" if elements else value.name
            cells[value].append(Cell(name, value, rest))
    return cells


def _moved(influences: Influences, target: Value, source: Value, element: int) -> list[int]:
    """The elements of `target` on which an element of `source` acts directly."""
    sources = influences.sources(target)
    if source not in sources or target.size * max(x.size for x in sources) > _LARGEST_JACOBIAN:
        return []
    return [int(i) for i in np.flatnonzero(influences.pull(target, np.eye(target.size))[source][:, element])]


def _singled_out(value: Value, total: NDArray, wanted: Iterable[int]) -> list[int]:
    if value.size == 1 or (value.units is not None and value.size <= value.units + 1):
        return list(range(value.size))
    gradient = np.linalg.norm(total, axis=0)
    influence = gradient * np.abs(np.asarray(value.node.value, float).reshape(-1))
    ranked = np.lexsort((np.arange(value.size), -gradient, -influence))
    return sorted({*map(int, ranked[: value.units or 0]), *wanted})


def block_jacobians(influences: Influences, cells: Mapping[Value, Sequence[Cell]]) -> Blocks:
    """The Jacobian of each cell by each that acts on it directly; None where it is too large to be measured.

    A 0 is left out where it says no more than that these two are not connected: it stays where a cell acts on
    nothing in the other's value (its weights are 0, say), and where nothing acts on a cell (a dead unit).
    """
    blocks: Blocks = {}
    for value, row in cells.items():
        sources = [source for source in influences.sources(value) if source in cells]
        largest = max((source.size for source in sources), default=0)
        for target in row if sources else ():
            rows = None
            if target.is_single or len(target.elements) * largest <= _LARGEST_JACOBIAN:
                seeds = np.zeros((len(target.elements), value.size))
                seeds[np.arange(len(seeds)), target.elements] = 1.0
                rows = influences.pull(value, seeds)
            for source in sources:
                for cell in cells[source]:
                    blocks[cell, target] = None if rows is None else rows[source][:, cell.elements]
    acting = {pair for pair, block in blocks.items() if acts(block)}
    givers = {(source, target.value) for source, target in acting}
    takers = {target for _, target in acting}
    return {
        (source, target): block
        for (source, target), block in blocks.items()
        if (source, target) in acting or (source, target.value) not in givers or target not in takers
    }


def acts(block: NDArray | None) -> bool:
    """Whether a Jacobian is more than zeros, as far as that is known."""
    return block is None or bool(block.any())


def numbers_of(cell: Cell) -> tuple[float, bool]:
    """The number that a cell shows of its value, and whether that is a norm."""
    value: Any = np.asarray(cell.value.node.value, float).reshape(-1)[cell.elements]
    return (float(value[0]), False) if cell.is_single else (float(np.linalg.norm(value)), True)
