"""Looking on while a program is compiled: a stage that is run through `stage` hands over what it made.

Where nobody records, `stage(name, f, x)` is `f(x)` and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from glassnet.compiler.loop_ir import Builder
    from glassnet.compiler.passes.fuse import Kernel

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Made:
    """What a stage was given and made, how long it took, and how often it did what."""

    stage: str
    given: tuple[Any, ...]
    result: Any
    seconds: float
    counts: Counter[str]


@dataclass(frozen=True)
class Origin:
    """A kernel, and the numbers of the values and loops that were made for it: each a pair, first to last."""

    kernel: Kernel
    values: tuple[int, int]
    loops: tuple[int, int]


@dataclass
class Recording:
    """The stages of one program in order, and where its loops came from."""

    made: list[Made] = field(default_factory=list[Made])
    origins: list[Origin] = field(default_factory=list[Origin])
    counts: Counter[str] | None = None  # of the stage that is running


_recording: ContextVar[Recording | None] = ContextVar("recording of a compilation", default=None)


@contextmanager
def recording() -> Generator[Recording]:
    """Records the stages that are run inside."""
    made = Recording()
    token = _recording.set(made)
    try:
        yield made
    finally:
        _recording.reset(token)


def stage(name: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """make(*args, **kwargs), recorded under this name where somebody looks on."""
    current = _recording.get()
    # What runs inside another stage is part of it: the passes over the body of a loop.
    if current is None or current.counts is not None:
        return make(*args, **kwargs)
    counts = current.counts = Counter[str]()
    start = perf_counter()
    try:
        result = make(*args, **kwargs)
    finally:
        current.counts = None
    current.made.append(Made(name, args, result, perf_counter() - start, counts))
    return result


def count(what: str, better: str = "") -> None:
    """Counts one thing that the running stage did: a word for it, or an op and the op that took its place."""
    current = _recording.get()
    if current is not None and current.counts is not None:
        current.counts[f"{what} -> {better}" if better else what] += 1


@contextmanager
def loops_of(kernel: Kernel, b: Builder) -> Generator[None]:
    """Records that the loops which are written inside belong to this kernel."""
    values, loops = b.position
    yield
    current = _recording.get()
    if current is not None:
        last_value, last_loop = b.position
        current.origins.append(Origin(kernel, (values + 1, last_value), (loops + 1, last_loop)))
