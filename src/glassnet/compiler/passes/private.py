"""Private: scratch memory that a trip of a loop fills before it reads it, and nobody reads behind the loop.

Trips that are made side by side may each have such memory for themselves. For every load of a buffer the
innermost body is found whose stores, earlier in the same trip, wrote all that it reads: the body it leans on.
A buffer is private to a loop unless a load of it leans on a body that holds that loop: then one trip might
hand a number to another, or to what follows the loop.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from glassnet.compiler.loop_ir import Buffer, Function, If, Load, Loop, Statement, Store, Value
from glassnet.compiler.passes.footprints import Ranges
from glassnet.core.dtype import NDArray

_LARGEST = 2**14  # elements of what counts as scratch memory

Path = tuple[Loop, ...]  # the loops around a body, outermost first


@dataclass
class _Level:
    """A body on the way to the present statement: which elements it has written in this trip."""

    path: Path
    written: dict[Buffer, NDArray] = field(default_factory=dict[Buffer, NDArray])

    def mark(self, store: Store, inner: Collection[Value], ranges: Ranges) -> None:
        places = _places(store, inner, ranges)
        size = store.buffer.size
        if places is not None and size is not None:
            self.written.setdefault(store.buffer, np.zeros(size, bool))[places] = True


class PrivateBuffers:
    """Answers which buffers of a function are private to which loop."""

    def __init__(self, function: Function, temporary: Collection[Buffer], ranges: Ranges) -> None:
        self._candidates = {x for x in temporary if x.size is not None and x.size <= _LARGEST}
        self._ranges = ranges
        self._bodies: dict[Buffer, set[Path]] = {}  # what the loads of a buffer lean on
        self._walk(function.body, [_Level(())])

    def holds(self, buffer: Buffer, loop: Loop, around: Path) -> bool:
        """Whether the buffer is private to `loop`, which stands in the loops `around`."""
        bodies = self._bodies.get(buffer, set())
        return buffer in self._candidates and not any(path == around[: len(path)] for path in bodies)

    def _walk(self, body: Sequence[Statement], levels: list[_Level]) -> list[Store]:
        """One body; its stores that are certain to be made, those of inner loops included."""
        made: list[Store] = []
        for statement in body:
            match statement:
                case Load() if statement.buffer in self._candidates:
                    self._bodies.setdefault(statement.buffer, set()).add(self._leans_on(statement, levels))
                case Store() if statement.buffer in self._candidates:
                    made.append(statement)
                    levels[-1].mark(statement, (), self._ranges)
                case Loop():
                    inner = self._walk(statement.body, [*levels, _Level((*levels[-1].path, statement))])
                    if statement.static and statement.going is None:
                        made += inner
                        variables = _variables(statement)
                        for store in inner:
                            levels[-1].mark(store, variables, self._ranges)
                case If():
                    self._walk(statement.body, [*levels, _Level(levels[-1].path)])
                case _:
                    pass
        return made

    def _leans_on(self, load: Load, levels: Sequence[_Level]) -> Path:
        size = load.buffer.size or 0
        written, inner = np.zeros(size, bool), set[Value]()
        for level in reversed(levels):
            if load.buffer in level.written:
                written |= level.written[load.buffer]
            places = _places(load, inner, self._ranges)
            if places is not None and written[places].all():
                return level.path
            inner |= {loop.variable for loop in level.path[-1:]}
        return ()


def _variables(loop: Loop) -> set[Value]:
    found = {loop.variable}
    for statement in loop.body:
        if isinstance(statement, Loop):
            found |= _variables(statement)
    return found


def _places(access: Load | Store, inner: Collection[Value], ranges: Ranges) -> NDArray | None:
    """The elements touched while the `inner` variables run; None where other values take part."""
    loads = isinstance(access, Load)
    lanes = access.mask or (access.result if loads else access.value).type.lanes
    places = access.index.constant + np.arange(lanes) * (access.stride if loads else 1)
    for value, by in access.index.terms:
        if value not in inner or value not in ranges:
            return None
        places = (places[:, None] + by * np.asarray(ranges[value])).ravel()
    return places
