from __future__ import annotations

import signal
import threading
import time
import traceback
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.data import prefetch, rebatch
from glassnet.errors import ConfigurationError


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "glassnet prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left_over():
    yield
    assert workers() == []


# -- prefetch


@given(items=st.lists(st.integers()), depth=st.integers(1, 5))
def test_the_items_come_unchanged_and_in_order(items, depth):
    assert list(prefetch(items, depth)) == items


def test_items_are_prepared_in_another_thread_while_the_consumer_works():
    prepared = [threading.Event() for _ in range(3)]

    def items():
        for event in prepared:
            event.set()
            yield threading.current_thread()

    with closing(prefetch(items(), depth=2)) as ahead:
        assert next(ahead) is not threading.current_thread()
        assert all(event.wait(timeout=10) for event in prepared)  # without another item being asked for


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_than_depth_items_are_prepared_ahead(depth):
    started: list[int] = []
    full = threading.Semaphore(0)

    def items():
        for i in range(20):
            started.append(i)
            full.release()
            yield i

    with closing(prefetch(items(), depth)) as ahead:
        for i in range(5):
            assert next(ahead) == i
            for _ in range(depth + 1 if i == 0 else 1):
                assert full.acquire(timeout=10)
            assert not full.acquire(timeout=0.01)
            assert started == list(range(i + 1 + depth))


def test_an_exception_comes_after_the_items_before_it_with_its_own_traceback():
    def breaks_here():
        raise RuntimeError("the disk is gone")

    def items():
        yield 1
        yield 2
        breaks_here()

    ahead = prefetch(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(RuntimeError, match="the disk is gone") as caught:
        next(ahead)
    assert "breaks_here" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_closing_early_stops_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    held_here_too = items()
    ahead = prefetch(held_here_too)
    next(ahead)
    assert len(workers()) == 1
    ahead.close()
    assert workers() == []
    assert closed.is_set()


def test_a_forgotten_consumer_stops_the_thread():
    for item in prefetch(iter(range(100))):
        if item == 3:
            break
    assert workers() == []


def test_a_consumer_that_fails_stops_the_thread():
    with pytest.raises(ZeroDivisionError), closing(prefetch(range(100))) as ahead:
        _ = [1 // item for item in ahead]
    assert workers() == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs a signal to one thread")
def test_ctrl_c_while_waiting_stops_the_thread():
    def items():
        yield 1
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.05)  # the consumer is waiting for this item when Ctrl-C comes
        yield 2

    with pytest.raises(KeyboardInterrupt), closing(prefetch(items(), depth=1)) as ahead:
        list(ahead)
    assert workers() == []


def test_nothing_is_started_before_the_first_item_is_asked_for():
    started = threading.Event()

    def items():
        started.set()
        yield 1

    ahead = prefetch(items())
    assert workers() == []
    assert not started.is_set()
    assert list(ahead) == [1]


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
def test_a_depth_that_cannot_be_is_refused_at_once(depth):
    with pytest.raises(ConfigurationError, match="prefetch got depth="):
        prefetch([], depth)


# -- rebatch


@given(sizes=st.lists(st.integers(0, 12)), rows=st.integers(1, 15))
def test_rows_are_regrouped_in_their_order(sizes, rows):
    total = sum(sizes)
    y = np.arange(total)
    X = np.stack([y, y + 0.5], axis=1)
    cuts = np.cumsum(sizes)[:-1]
    parts = zip(np.split(X, cuts), np.split(y, cuts), strict=True) if sizes else []
    blocks = list(rebatch(parts, rows))
    assert [len(block) for _, block in blocks[:-1]] == [rows] * max(0, len(blocks) - 1)
    assert all(0 < len(block) <= rows for _, block in blocks)
    assert sum(len(block) for _, block in blocks) == total
    if total:
        np.testing.assert_array_equal(np.concatenate([block for block, _ in blocks]), X)
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), y)


def test_blocks_that_fit_are_handed_on_without_a_copy():
    X, y = np.ones((6, 2)), np.arange(6)
    blocks = list(rebatch([(X, y)], 2))
    assert len(blocks) == 3
    assert all(np.shares_memory(block, X) for block, _ in blocks)


def test_longer_text_in_a_later_block_is_kept():
    blocks = [(np.ones((1, 1)), np.array(["a"])), (np.ones((1, 1)), np.array(["longer"]))]
    assert next(rebatch(blocks, 2))[1].tolist() == ["a", "longer"]


def test_rows_that_cannot_be_are_refused_at_once():
    with pytest.raises(ConfigurationError, match=r"rebatch got rows=0; it takes a whole number of 1 or more"):
        rebatch([], 0)
