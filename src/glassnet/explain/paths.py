"""Paths of influence through a network: the largest, and what all the others add up to.

A path goes through one element of every value between, and contributes the product of the derivatives on its
edges. Their number is a product of widths, so they are never listed: a search follows them best first, with
the largest product that is still to come as its bound, and what it leaves unfinished is known as a total.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.influences import Path

LARGEST_JACOBIAN = 2**22  # elements; over a larger one no path is followed


@dataclass(frozen=True)
class Edges:
    """What leads from value to value: `matrices[k]` is d value_{k+1} / d value_k, `bars` is dL / d the last.

    A diagonal matrix is its diagonal, (elements,). `name(k, i)` is the name of element i of
    value k; value 0 is the one that variables enter.
    """

    matrices: Sequence[NDArray]
    bars: NDArray
    name: Callable[[int, int], str]


@dataclass(frozen=True)
class Entry:
    """How a variable enters: `slopes` is the derivative of value 0 with respect to it."""

    name: str
    slopes: NDArray


@dataclass(frozen=True)
class Paths:
    """The paths with the largest contributions, largest first, and the rest: their sum, and how many.

    Paths that contribute 0 are not counted.
    """

    shown: tuple[Path, ...]
    others: float
    number_of_others: int


def largest_paths(edges: Edges, entries: Sequence[Entry], most: int, target: str = "loss") -> Paths:
    """The `most` paths from the entries to the target whose products are largest in size.

    The sum of the others is that of the totals of the beginnings that were not followed to the end: the
    product so far times the derivative of the target with respect to the last element.
    """
    totals, bounds, counts = _from_the_end(edges)
    waiting: list[tuple[float, int, float, Entry, tuple[int, ...], tuple[float, ...]]] = []
    number = 0

    def wait(entry: Entry, units: tuple[int, ...], factors: tuple[float, ...], slopes: NDArray) -> None:
        nonlocal number
        place, product = len(units), math.prod(factors)
        for unit in np.flatnonzero(slopes):
            slope = float(slopes[unit])
            bound = abs(product * slope) * bounds[place][unit]
            if bound == 0.0:  # every path on from here is 0
                continue
            heappush(
                waiting, (-bound, number, product * slope, entry, (*units, int(unit)), (*factors, slope))
            )
            number += 1  # of equal bounds the first comes first

    for entry in entries:
        wait(entry, (), (), entry.slopes)
    shown: list[Path] = []
    while waiting and len(shown) < most:
        _, _, _, entry, units, factors = heappop(waiting)
        place = len(units) - 1
        if place < len(edges.matrices):
            wait(entry, units, factors, _column(edges.matrices[place], units[-1]))
            continue
        names = [edges.name(step, unit) for step, unit in enumerate(units)]
        shown.append(Path((entry.name, *names, target), (*factors, float(edges.bars[units[-1]]))))
    left = [(product, len(units) - 1, units[-1]) for _, _, product, _, units, _ in waiting]
    others = math.fsum(product * totals[place][unit] for product, place, unit in left)
    return Paths(tuple(shown), others, int(sum(counts[place][unit] for _, place, unit in left)))


def _from_the_end(edges: Edges) -> tuple[list[NDArray], list[NDArray], list[NDArray]]:
    """For every element: dL / d element, the largest product of a path on from it, and the number of them."""
    totals, bounds, counts = [edges.bars], [np.abs(edges.bars)], [(edges.bars != 0) * 1.0]
    for matrix in reversed(edges.matrices):
        sizes = np.abs(matrix)
        if matrix.ndim == 1:
            totals.append(totals[-1] * matrix)
            bounds.append(bounds[-1] * sizes)
            counts.append(counts[-1] * (matrix != 0))
        else:
            totals.append(totals[-1] @ matrix)
            bounds.append(np.max(sizes * bounds[-1][:, None], axis=0, initial=0.0))
            counts.append(counts[-1] @ (matrix != 0))
    return totals[::-1], bounds[::-1], counts[::-1]


def _column(matrix: NDArray, unit: int) -> NDArray:
    if matrix.ndim == 2:
        return matrix[:, unit]
    column = np.zeros(matrix.size)
    column[unit] = matrix[unit]
    return column


def merged(found: Sequence[Paths], most: int) -> Paths:
    """The largest paths of several searches together."""
    shown = sorted((path for each in found for path in each.shown), key=lambda path: -abs(path.product))
    left = [path.product for path in shown[most:]]
    return Paths(
        tuple(shown[:most]),
        math.fsum([*(each.others for each in found), *left]),
        sum(each.number_of_others for each in found) + len(left),
    )
