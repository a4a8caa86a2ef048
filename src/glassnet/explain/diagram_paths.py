"""The sum over all paths from one cell of a diagram to its output, path by path, each exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.diagram_cells import Blocks, Cell, Influences, Value, acts
from glassnet.explain.diagram_parts import Route

_KEPT = (
    64  # beginnings of paths that are followed on; of more than these, those with the smallest products wait
)

Cells = Mapping[Value, Sequence[Cell]]


@dataclass(frozen=True)
class Following:
    """The paths from a cell: `marked` the cells on them; `Diagram` tells what the rest is."""

    name: str
    marked: set[Cell]
    routes: tuple[Route, ...]
    others: tuple[int, float]
    total: float


@dataclass(frozen=True)
class _Trail:
    """A path on its way back from the output, begun at its end: d output / d cells[0] along it."""

    cells: tuple[Cell, ...]
    product: NDArray  # (outputs, elements of the first cell)


def follow(
    influences: Influences, cells: Cells, blocks: Blocks, value: Value, element: int | None, shown: int
) -> Following:
    """The paths from an element of a value (None: all of it) to the output, the largest product first.

    A path through a folded cell is the sum of the paths through its elements, a product of Jacobians. Where
    there are more paths than are shown, those on which a derivative is 0 do not count.
    """
    start = next(
        cell for cell in cells[value] if element is None or (cell.is_single and cell.elements[0] == element)
    )
    total = influences.totals[value][:, start.elements]
    edges = set(blocks)
    marked, count = _reachable(cells, edges, start)
    if count > shown and total.any():
        edges = {pair for pair, block in blocks.items() if acts(block)}
        marked, count = _reachable(cells, edges, start)
    ended: list[tuple[Route, NDArray]] = []
    if count <= shown or total.any():
        ended = [_route(trail, blocks) for trail in _trails(influences, cells, edges, marked, start)]
    ranked = sorted(ended, key=lambda pair: -np.linalg.norm(pair[1]))[:shown]
    rest = total - sum((product for _, product in ranked), np.zeros_like(total))
    others = count - len(ranked)
    return Following(
        start.name,
        marked,
        tuple(route for route, _ in ranked),
        (others, _size(rest) if others else 0.0),
        _size(total),
    )


def _size(product: NDArray) -> float:
    return float(product[0, 0]) if product.size == 1 else float(np.linalg.norm(product))


def _reachable(cells: Cells, edges: set[tuple[Cell, Cell]], start: Cell) -> tuple[set[Cell], int]:
    """The cells on paths from `start` to the output, and the number of those paths."""
    order = [cell for row in cells.values() for cell in row]
    ways = dict.fromkeys(order, 0) | {start: 1}
    useful = set(order[-len(cells[order[-1].value]) :])
    for cell in order:
        ways[cell] += sum(ways[source] for source, target in edges if target is cell)
    for cell in reversed(order):
        if any(source is cell and target in useful for source, target in edges):
            useful.add(cell)
    count = sum(ways[cell] for cell in cells[order[-1].value])
    return {cell for cell in order if ways[cell] and cell in useful}, count


def _trails(
    influences: Influences, cells: Cells, edges: set[tuple[Cell, Cell]], marked: set[Cell], start: Cell
) -> list[_Trail]:
    output = influences.output
    outputs = np.eye(output.size)
    trails = [_Trail((cell,), outputs[:, cell.elements]) for cell in cells[output] if cell in marked]
    ended: list[_Trail] = []
    for value in reversed(list(cells)):
        here = [trail for trail in trails if trail.cells[0].value is value]
        trails = [trail for trail in trails if trail.cells[0].value is not value]
        for trail in here:
            if trail.cells[0] is start:
                ended.append(trail)
                continue
            rows = np.zeros((len(trail.product), value.size))
            rows[:, trail.cells[0].elements] = trail.product
            for source, pulled in influences.pull(value, rows).items():
                for cell in cells.get(source, ()):
                    if cell in marked and (cell, trail.cells[0]) in edges:
                        trails.append(_Trail((cell, *trail.cells), pulled[:, cell.elements]))
        trails = sorted(trails, key=lambda trail: -np.linalg.norm(trail.product))[:_KEPT]
    return ended


def _route(trail: _Trail, blocks: Blocks) -> tuple[Route, NDArray]:
    edges = [blocks[pair] for pair in pairwise(trail.cells)]
    single = all(block is not None and block.size == 1 for block in edges)
    factors = tuple(float(block[0, 0]) for block in reversed(edges) if block is not None) if single else None
    names = tuple(cell.name for cell in trail.cells)
    return Route(names, _size(trail.product), factors), trail.product
