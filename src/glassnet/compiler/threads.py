"""Threads: how many a program is run by, and running it by all of them together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread

import numpy as np

from glassnet.compiler.barrier import barrier_memory
from glassnet.errors import ConfigurationError

ENVIRONMENT = "GLASSNET_THREADS"
_WORK_OF_A_THREAD = 2_500_000  # instructions of a step: about half a millisecond
_WHOLE = 2**32  # a share is given in parts of it


def requested_threads(threads: int | None = None) -> int | None:
    """What is asked for: `threads`, else GLASSNET_THREADS; None where the work of a step shall decide.

    Raises:
        ConfigurationError: that is no whole number of 1 or more.
    """
    if threads is None:
        text = os.environ.get(ENVIRONMENT, "")
        if not text:
            return None if cores() > 1 else 1
        if not text.isdecimal() or int(text) < 1:
            raise ConfigurationError(f"{ENVIRONMENT}={text!r}; it takes a whole number of 1 or more.")
        return int(text)
    if threads < 1:
        raise ConfigurationError(f"threads={threads!r}; it takes a whole number of 1 or more.")
    return threads


def thread_count(requested: int | None, work: int) -> int:
    """How many threads run a step of so many instructions: one below about a millisecond.

    >>> from glassnet.compiler.threads import thread_count
    >>> thread_count(None, 1_000_000), thread_count(3, 1_000_000)
    (1, 3)
    """
    return requested or max(1, min(cores(), work // _WORK_OF_A_THREAD))


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Member:
    """A thread's own: the addresses of its memory and of the barrier, and where its share starts and ends."""

    private: int
    meeting: int
    share: tuple[int, int]


class Team:
    """Threads that make one native call together; they live as long as the call.

    All enter or none: a thread that came alone would wait for the others for ever.
    """

    def __init__(self, size: int, private: int) -> None:
        self.size = size
        self._meeting = barrier_memory(size)
        apart = -(-private // 64) * 64 + 64  # a line of the cache between two threads, and room to align
        self._private = np.zeros(apart * size + 64, np.uint8)
        start = self._private.ctypes.data + -self._private.ctypes.data % 64
        bounds = [_WHOLE * number // size for number in range(size + 1)]
        self._members = [
            Member(start + number * apart, self._meeting.ctypes.data, (bounds[number], bounds[number + 1]))
            for number in range(size)
        ]

    def run(self, call: Callable[[Member], float]) -> float:
        """`call` by every member at once; what the first one's gives.

        Ctrl-C is raised when the call has ended: native code is not left halfway.
        """
        gate = _Gate(self.size)
        results: dict[Member, float] = {}

        def work(member: Member) -> None:
            if gate.enter():
                results[member] = call(member)

        threads = [Thread(target=work, args=(member,)) for member in self._members]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            if gate.close():
                for thread in threads:
                    thread.join()
            raise
        return results[self._members[0]]


class _Gate:
    """Opens when all have come; a gate that was closed before lets nobody in."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._closed = False
        self._changed = Condition()

    def enter(self) -> bool:
        """Waits for the others; whether they have all come."""
        with self._changed:
            self._missing -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or not self._missing)
            return not self._missing

    def close(self) -> bool:
        """Sends home whoever waits; True if all had come already and are inside."""
        with self._changed:
            self._closed = bool(self._missing)
            self._changed.notify_all()
            return not self._closed
