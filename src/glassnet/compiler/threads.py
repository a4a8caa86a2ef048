"""Threads: how many a program is run by, and running it by all of them together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Condition, Thread
from time import perf_counter, thread_time
from weakref import finalize

import numpy as np

from glassnet.compiler.barrier import barrier_memory, expect
from glassnet.compiler.cores import cores
from glassnet.compiler.pace import Pace
from glassnet.errors import ConfigurationError

ENVIRONMENT = "GLASSNET_THREADS"
_WORK_OF_A_THREAD = 6_000_000  # instructions of a step: about half a millisecond
_WHOLE = 2**32  # a share is given in parts of it

_Inbox = SimpleQueue[Callable[[], None] | None]  # None ends the thread


def requested_threads(threads: int | None) -> int | None:
    """What is asked for: `threads`, else GLASSNET_THREADS; None where the work of a step shall decide.

    Raises:
        ConfigurationError: the variable holds no whole number of 1 or more.
    """
    if threads is not None:
        return threads
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        return None if cores() > 1 else 1
    if not text.isdecimal() or not int(text):
        raise ConfigurationError(f"{ENVIRONMENT}={text!r}; it takes a whole number of 1 or more.")
    return int(text)


def thread_count(requested: int | None, work: int) -> int:
    """How many threads run a step of so many instructions: one below about a millisecond.

    >>> from glassnet.compiler.threads import thread_count
    >>> thread_count(None, 1_000_000), thread_count(3, 1_000_000)
    (1, 3)
    """
    return requested or max(1, min(cores(), work // _WORK_OF_A_THREAD))


@dataclass(frozen=True)
class Member:
    """A thread's own: the addresses of its memory and of the barrier, and where its share starts and ends."""

    private: int
    meeting: int
    share: tuple[int, int]


class Team:
    """Threads that make native calls together. They wait between calls and end when the team is given up.

    Where other programs keep cores from them, some of the `size` threads are left out.
    """

    def __init__(self, size: int, private: int) -> None:
        self.size = size
        self.pace = Pace(size)
        self._meeting = barrier_memory(size)
        self._apart = -(-private // 64) * 64 + 64  # a line of the cache between two threads
        self._private = np.zeros(self._apart * size + 64, np.uint8)
        self._threads: list[Thread] = []
        self._inboxes: list[_Inbox] = []

    def run(self, function: Callable[[Member], float], steps: int = 1) -> float:
        """`function`, which makes so many steps, by every member at once; what the first one's gives.

        Ctrl-C is raised when all are back: native code is not left halfway.
        """
        self._assemble()
        members = self._members(self.pace.threads)
        call = _Call(function, len(members))
        try:
            for member, inbox in zip(members, self._inboxes, strict=False):
                inbox.put(partial(call.join, member))
            call.wait()
        except BaseException:
            call.off()
            raise
        self.pace.note(steps, call.seconds, call.held)
        return call.results[members[0]]

    def _members(self, size: int) -> list[Member]:
        """So many threads, who share the work."""
        expect(self._meeting, size)
        start = self._private.ctypes.data + -self._private.ctypes.data % 64
        bounds = [_WHOLE * number // size for number in range(size + 1)]
        return [
            Member(
                start + number * self._apart,
                self._meeting.ctypes.data,
                (bounds[number], bounds[number + 1]),
            )
            for number in range(size)
        ]

    def _assemble(self) -> None:
        """Starts the threads: the first time, and in a process that was forked."""
        if self._threads and all(thread.is_alive() for thread in self._threads):
            return
        self._inboxes = [SimpleQueue() for _ in range(self.size)]
        finalize(self, _dismiss, self._inboxes)
        self._threads = [Thread(target=_serve, args=(inbox,), daemon=True) for inbox in self._inboxes]
        for thread in self._threads:
            thread.start()


def _serve(inbox: _Inbox) -> None:
    while (task := inbox.get()) is not None:
        task()
        del task  # NOTE it holds the team, which could not be given up while its threads hold it


def _dismiss(inboxes: list[_Inbox]) -> None:
    for inbox in inboxes:
        inbox.put(None)


class _Call:
    """One call by all members. All of them enter or none: one alone would wait for the others for ever."""

    def __init__(self, function: Callable[[Member], float], size: int) -> None:
        self.results: dict[Member, float] = {}
        self.seconds = self.held = 0.0  # of the slowest; of processor time, of all
        self._function = function
        self._to_come = self._to_return = size
        self._off = False
        self._changed = Condition()

    def join(self, member: Member) -> None:
        """Waits until all have come, and makes the call."""
        with self._changed:
            self._to_come -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._off or not self._to_come)
            if self._to_come:
                return
        start, held = perf_counter(), thread_time()
        try:
            self.results[member] = self._function(member)
        finally:
            seconds, held = perf_counter() - start, thread_time() - held
            with self._changed:
                self.seconds = max(self.seconds, seconds)
                self.held += held
                self._to_return -= 1
                self._changed.notify_all()

    def wait(self) -> None:
        """Waits until all are back."""
        with self._changed:
            self._changed.wait_for(lambda: not self._to_return)

    def off(self) -> None:
        """Sends home whoever waits; if all had come already, waits until they are back."""
        with self._changed:
            self._off = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._to_come) or not self._to_return)
