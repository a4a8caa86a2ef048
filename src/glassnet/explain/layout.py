"""Layered drawing of directed graphs without cycles: columns from left to right, few crossings, short edges.

Sources: Sugiyama, Tagawa and Toda, IEEE Transactions on Systems, Man, and Cybernetics 11 (1981), for the
layers, the dummy nodes and the barycentres; Dwyer, Koren and Marriott, Graph Drawing (2005), for positions
that keep their distances; Barlow, Bartholomew, Bremner and Brunk (1972) for the isotonic regression.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Link = tuple[str, str]  # from, to
Size = tuple[float, float]  # width, height

_ORDERINGS, _POSITIONINGS = 12, 60  # rounds, of which later ones change next to nothing
_STRAIGHTENING = 8.0  # how much harder a long edge pulls at its own parts than at the boxes
_NODE_GAP, _LABEL_GAP, _DUMMY_HEIGHT = 16.0, 5.0, 6.0
_COLUMN_GAP, _STEEPEST = 30.0, 5.0  # height over width of the edges between two columns
_PORT_GAP, _PORT_SHARE = 14.0, 0.85  # between edges that meet at a box; how much of its side they may take


@dataclass(frozen=True)
class Box:
    """A rectangle: its centre, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Layout:
    """Where things are: the nodes, the labels of the edges, and each edge as level pieces (left, right, y).

    An edge runs through its pieces in order; between two of them it crosses a gap in which no box lies.
    """

    nodes: Mapping[str, Box]
    labels: Mapping[Link, Box]
    routes: Mapping[Link, Sequence[tuple[float, float, float]]]
    width: float
    height: float


def columns(names: Iterable[str], links: Iterable[Link]) -> dict[str, int]:
    """The column of each node: the length of the longest path to it; sources stand before what they lead to.

    >>> columns(["x", "w", "z", "f"], [("x", "z"), ("z", "f"), ("w", "f")])
    {'x': 0, 'w': 1, 'z': 1, 'f': 2}
    """
    following: dict[str, list[str]] = {name: [] for name in names}
    waiting = dict.fromkeys(following, 0)
    for start, end in links:
        following[start].append(end)
        waiting[end] += 1
    sources = [name for name, count in waiting.items() if count == 0]
    column, ready = dict.fromkeys(following, 0), list(sources)
    while ready:
        start = ready.pop()
        for end in following[start]:
            column[end] = max(column[end], column[start] + 1)
            waiting[end] -= 1
            if waiting[end] == 0:
                ready.append(end)
    return column | {
        name: min(column[end] for end in following[name]) - 1 for name in sources if following[name]
    }


def arrange(nodes: Mapping[str, Size], column: Mapping[str, int], labels: Mapping[Link, Size]) -> Layout:
    """The drawing of nodes of these sizes in these columns, with one edge for each label.

    Labels stand in columns of their own between those of the nodes, so that no label meets another, a node or
    an edge that is not its own. An edge that passes a column goes through a place kept free for it.
    """
    lanes = _Lanes(nodes, column, labels)
    lanes.order()
    y = lanes.positions()
    top = min((y[item] - lanes.sizes[item][1] / 2 for item in y), default=0.0)
    bottom = max((y[item] + lanes.sizes[item][1] / 2 for item in y), default=0.0)
    spans: list[tuple[float, float]] = []
    left = 0.0
    for place, lane in enumerate(lanes.items):
        if place:
            rise = max((abs(y[a] - y[b]) for a in lane for b in lanes.before[a]), default=0.0)
            left += max(_COLUMN_GAP, rise / _STEEPEST)
        width = max((lanes.sizes[item][0] for item in lane), default=0.0)
        spans.append((left, left + width))
        left += width
    boxes: dict[int, Box] = {}
    for (start, end), lane in zip(spans, lanes.items, strict=True):
        for item in lane:
            boxes[item] = Box((start + end) / 2, y[item] - top, *lanes.sizes[item])
    leaves, meets = _ports(lanes, boxes)
    routes: dict[Link, list[tuple[float, float, float]]] = {}
    for link, (first, *between, last) in lanes.chains.items():
        level = [(*spans[lanes.lane[item]], boxes[item].y) for item in between]
        source, target = boxes[first], boxes[last]
        leaving = (source.right, spans[lanes.lane[first]][1], leaves[link])
        arriving = (spans[lanes.lane[last]][0], target.left, meets[link])
        routes[link] = [leaving, *level, arriving]
    return Layout(
        {name: boxes[item] for name, item in lanes.nodes.items()},
        {link: boxes[item] for link, item in lanes.labels.items()},
        routes,
        spans[-1][1] if spans else 0.0,
        bottom - top,
    )


def _ports(lanes: _Lanes, boxes: Mapping[int, Box]) -> tuple[dict[Link, float], dict[Link, float]]:
    """The heights at which edges leave and meet boxes: side by side, in the order of what they come from."""
    result: tuple[dict[Link, float], dict[Link, float]] = {}, {}
    for heights, end, beside in ((result[0], 0, 1), (result[1], -1, -2)):
        groups: dict[int, list[Link]] = {}
        for link, chain in lanes.chains.items():
            groups.setdefault(chain[end], []).append(link)
        for item, links in groups.items():
            links.sort(key=lambda link, place=beside: boxes[lanes.chains[link][place]].y)
            step = min(_PORT_GAP, _PORT_SHARE * boxes[item].height / len(links))
            top = boxes[item].y - step * (len(links) - 1) / 2
            heights.update((link, top + step * place) for place, link in enumerate(links))
    return result


class _Lanes:
    """The items of the drawing, lane by lane: nodes in even lanes, labels in odd ones, dummies in both."""

    def __init__(
        self, nodes: Mapping[str, Size], column: Mapping[str, int], labels: Mapping[Link, Size]
    ) -> None:
        self.items: list[list[int]] = [[] for _ in range(2 * max(column.values(), default=0) + 1)]
        self.sizes: list[Size] = []
        self.lane: list[int] = []
        self.before: list[list[int]] = []
        self.after: list[list[int]] = []
        self.nodes = {name: self._add(2 * column[name], size) for name, size in nodes.items()}
        self.labels: dict[Link, int] = {}
        self.chains: dict[Link, list[int]] = {}
        self.bends: set[int] = set()  # where edges that pass a column could bend
        for (start, end), size in labels.items():
            first, last = 2 * column[start], 2 * column[end]
            chain = [self.nodes[start]]
            for lane in range(first + 1, last):
                labelled = lane == last - 1  # next to what it is the derivative of
                item = self._add(lane, size if labelled else (0.0, _DUMMY_HEIGHT))
                if labelled:
                    self.labels[start, end] = item
                if last - first > 2:
                    self.bends.add(item)
                chain.append(item)
            chain.append(self.nodes[end])
            for a, b in pairwise(chain):
                self.after[a].append(b)
                self.before[b].append(a)
            self.chains[start, end] = chain

    def _add(self, lane: int, size: Size) -> int:
        item = len(self.sizes)
        self.sizes.append(size)
        self.lane.append(lane)
        self.before.append([])
        self.after.append([])
        self.items[lane].append(item)
        return item

    def order(self) -> None:
        """Puts the items of each lane into an order with few crossings: barycentres, there and back."""
        best, fewest = [list(lane) for lane in self.items], self._crossings()
        for sweep in range(_ORDERINGS):
            forth = sweep % 2 == 0
            neighbours = self.before if forth else self.after
            for lane in self.items if forth else reversed(self.items):
                place = self._places()
                lane.sort(
                    key=lambda item, place=place, near=neighbours: (
                        sum(place[other] for other in near[item]) / len(near[item])
                        if near[item]
                        else place[item]
                    )
                )
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(lane) for lane in self.items], crossings
        self.items = best

    def _places(self) -> dict[int, float]:
        # The middle of each lane is 1/2, so that lanes of different lengths can be compared.
        return {item: (place + 0.5) / len(lane) for lane in self.items for place, item in enumerate(lane)}

    def _crossings(self) -> int:
        count = 0
        place = self._places()
        for lane in self.items:
            ends: list[float] = []  # of the edges drawn so far, sorted
            for item in lane:
                own = [place[other] for other in self.after[item]]
                count += sum(len(ends) - bisect(ends, end) for end in own)
                for end in own:
                    insort(ends, end)
        return count

    def positions(self) -> dict[int, float]:
        """The height of each item's middle: each as near to its neighbours as those of its lane allow."""
        y: dict[int, float] = {}
        for lane in self.items:
            y.update(zip(lane, self._apart(lane, [0.0] * len(lane)), strict=True))
        for sweep in range(_POSITIONINGS):
            for lane in self.items if sweep % 2 == 0 else reversed(self.items):
                wanted = [self._wanted(item, y) for item in lane]
                y.update(zip(lane, self._apart(lane, wanted), strict=True))
        return y

    def _wanted(self, item: int, y: Mapping[int, float]) -> float:
        near = self.before[item] + self.after[item]
        weights = [_STRAIGHTENING if item in self.bends and x in self.bends else 1.0 for x in near]
        if not near:
            return y[item]
        return sum(weight * y[x] for weight, x in zip(weights, near, strict=True)) / sum(weights)

    def _apart(self, lane: Sequence[int], wanted: Sequence[float]) -> list[float]:
        """The heights nearest to those wanted at which the items of a lane keep their order and distances."""
        offsets = [0.0]
        for above, below in pairwise(lane):
            gap = _NODE_GAP if self.lane[above] % 2 == 0 else _LABEL_GAP
            offsets.append(offsets[-1] + (self.sizes[above][1] + self.sizes[below][1]) / 2 + gap)
        free = [height - offset for height, offset in zip(wanted, offsets, strict=False)]
        return [height + offset for height, offset in zip(_isotonic(free), offsets, strict=False)]


def _isotonic(wanted: Sequence[float]) -> list[float]:
    """The numbers that never fall and are nearest to those wanted, in the sum of squares.

    >>> _isotonic([1.0, 3.0, 2.0, 5.0])
    [1.0, 2.5, 2.5, 5.0]
    """
    blocks: list[tuple[float, int]] = []  # mean, length: pools of adjacent violators
    for height in wanted:
        mean, length = height, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean = (before * count + mean * length) / (count + length)
            length += count
        blocks.append((mean, length))
    return [mean for mean, length in blocks for _ in range(length)]
