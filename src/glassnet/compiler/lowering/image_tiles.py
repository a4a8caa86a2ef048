"""How the tiles of a convolution of images are chosen: by the cycles that they take, within the registers."""

from __future__ import annotations

from dataclasses import dataclass

from glassnet.compiler.lowering.matrix import split

FIRST_CACHE = 24 * 1024  # bytes of it that a band of rows may take
_LATENCY = 4  # cycles of a multiply-add, of which two begin in each
_TILE_OVERHEAD = 12  # cycles to start and end a tile


@dataclass(frozen=True)
class ForwardTile:
    """`places` of a grid side by side, each `taps` sums, by `outputs` channels."""

    places: int
    outputs: int


def choose_forward_tile(
    columns: int, outputs: int, window: tuple[int, int], taps: int, registers: int
) -> ForwardTile:
    """The tile with the fewest cycles a multiply-add, of those that fit into the registers."""
    best: tuple[float, ForwardTile] | None = None
    down, across = window
    for places in range(1, columns + 1):
        sums = places * down * across
        for channels in range(1, outputs + 1):
            if sums * channels + sums + 1 > registers and (places, channels) != (1, 1):
                break
            cycles = 0.0
            for wide, times in split(columns, places):
                for deep, depth in split(outputs, channels):
                    own = wide * down * across
                    reached = down * (wide * across + taps - 1)
                    loads = (reached / taps + deep) / 2  # a cycle takes two
                    step = max(own * deep / 2, loads, _LATENCY)
                    cycles += times * depth * (step * taps + _TILE_OVERHEAD)
            shapes = len(split(columns, places)) * len(split(outputs, channels))
            cost = cycles * (1 + 0.01 * shapes)  # every shape is code to compile
            if best is None or cost < best[0]:
                best = cost, ForwardTile(places, channels)
    assert best is not None  # one place of one channel is always taken
    return best[1]


def choose_backward_tile(
    columns: int, channels: int, taps: int, registers: int, *, far: bool
) -> tuple[int, int]:
    """(columns, channels) of the tile with the fewest cycles a multiply-add.

    A tile of one channel holds a row of weights in registers, one of several a row of the output. Vectors
    that come from afar, the second cache, take two cycles each.
    """
    best: tuple[float, tuple[int, int]] | None = None
    for wide in range(1, columns + 1):
        for deep in range(1, channels + 1):
            held = min(taps, registers // 3) + 1 if deep == 1 else wide + taps
            if wide * deep + held > registers and (wide, deep) != (1, 1):
                break
            cycles = 0.0
            for length, times in split(columns, wide):
                for depth, count in split(channels, deep):
                    loads = length + taps - 1
                    traffic = (loads + depth * taps) / 2
                    step = max(length * depth * taps / 2, traffic, loads * 2 if far else 0, _LATENCY)
                    cycles += times * count * (step + 1)
            shapes = -(-columns // wide) * len(split(channels, deep))
            cost = cycles * (1 + 0.02 * shapes)
            if best is None or cost < best[0]:
                best = cost, (wide, deep)
    assert best is not None  # one column of one channel is always taken
    return split(columns, best[1][0])[0][0], best[1][1]


@dataclass(frozen=True)
class KernelTile:
    """Sums of `outputs` by `inputs` channels by `taps` of a kernel's row."""

    outputs: int
    inputs: int
    taps: int


def choose_kernel_tile(outputs: int, inputs: int, taps: int, registers: int) -> KernelTile:
    """The tile with the fewest cycles a multiply-add: it loads one vector a channel of either side."""
    best: tuple[float, KernelTile] | None = None
    taps = split(taps, max(1, min(taps, (registers - 2) // 2)))[0][0]
    for o in range(1, outputs + 1):
        for c in range(1, inputs + 1):
            if o * c * taps + c * taps + 1 > registers and (o, c) != (1, 1):
                break
            cycles = 0.0
            for deep, times in split(outputs, o):
                for wide, depth in split(inputs, c):
                    sums = deep * wide * taps
                    cycles += times * depth * max(sums / 2, (deep + wide * taps) / 2, _LATENCY)
            shapes = len(split(outputs, o)) * len(split(inputs, c))
            cost = cycles * (1 + 0.02 * shapes)
            if best is None or cost < best[0]:
                best = cost, KernelTile(o, c, taps)
    assert best is not None  # one channel of either side is always taken
    return best[1]


def choose_band(rows: int, row: int) -> int:
    """How many rows of that many bytes are worked on together, so that they stay in the first cache."""
    most = max(1, FIRST_CACHE // row)
    if rows <= most + most // 2:
        return rows
    even = max(n for n in range(1, most + 1) if rows % n == 0)
    return even if 2 * even >= most else most
