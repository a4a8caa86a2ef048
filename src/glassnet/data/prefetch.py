"""Prefetching: a background thread prepares the next items while the present one is worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Generic, TypeVar

from glassnet.data.blocks import require_count

T = TypeVar("T")


def prefetch(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """The same items in the same order, of which a background thread prepares up to `depth` ahead.

    The thread starts with the first item asked for. An exception in it is raised here, after the items
    before it and with its own traceback. Closing the result ends the thread after the item that it is at and
    closes `items` too; so does an exception or Ctrl-C while waiting here. A loop that may end early closes
    it with `contextlib.closing`. Raises ConfigurationError for `depth` below 1.

    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    return _ahead(items, require_count("prefetch", "depth", depth))


@dataclass(frozen=True)
class _End:
    """Comes after the last item, with what ended the thread before its time."""

    error: BaseException | None


class _Worker(Thread, Generic[T]):
    """The background thread: it takes a slot, prepares an item, and so on until the end or `stop`."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        # NOTE a daemon: a consumer that was never closed must not keep the interpreter from ending.
        super().__init__(name="glassnet prefetch", daemon=True)
        self.items = items
        self.ready: SimpleQueue[T | _End] = SimpleQueue()
        self.slots = Semaphore(depth)
        self.stopping = Event()

    def run(self) -> None:
        error = None
        try:
            self._prepare()
        except BaseException as caught:  # whatever it is, the consumer has to see it
            error = caught
        self.ready.put(_End(error))

    def _prepare(self) -> None:
        self.slots.acquire()
        for item in self.items:
            self.ready.put(item)
            self.slots.acquire()
            if self.stopping.is_set():
                break
        if isinstance(self.items, Generator):
            self.items.close()

    def stop(self) -> None:
        """End the thread after the item that it is at, and wait for that."""
        self.stopping.set()
        self.slots.release()
        self.join()


def _ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    worker = _Worker(items, depth)
    worker.start()
    try:
        while not isinstance(item := worker.ready.get(), _End):
            worker.slots.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        worker.stop()
