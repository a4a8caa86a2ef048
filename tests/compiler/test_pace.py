"""How many threads run where other programs want the cores: as many as are soonest done, found by trying."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import glassnet as gn
from glassnet.compiler import threads
from glassnet.compiler.pace import Pace
from glassnet.compiler.passes import divide
from glassnet.optim import Adam

Machine = Callable[[int], tuple[float, float]]  # threads -> milliseconds of a step; processor time in it


def quiet(threads: int) -> tuple[float, float]:
    return 1 / threads, 1.0


def taken(threads: int) -> tuple[float, float]:
    """Two cores that others want too: two threads are seldom on at the same time."""
    return (2.0, 1.0) if threads == 1 else (50.0, 2.0)


def one_taken(threads: int) -> tuple[float, float]:
    """One core of sixteen has somebody else's work: all threads wait for the one there."""
    return (1 / threads, 1.0) if threads < 16 else (3 / 16, 1.0)


def mostly_alone(threads: int) -> tuple[float, float]:
    """A program that one thread does the greater part of, on a quiet machine."""
    return 0.6 + 0.4 / threads, 1.0


def mean_step(pace: Pace, machine: Machine, seconds: float) -> float:
    """Milliseconds a step when calls are made for so long as the pace says."""
    steps, spent = 0, 0.0
    while spent < seconds:
        calls = pace.steps
        each, held = machine(pace.threads)
        pace.note(calls, calls * each / 1000, calls * held / 1000)
        steps += calls
        spent += calls * each / 1000
    return 1000 * spent / steps


@pytest.mark.parametrize("most", [1, 2, 3, 16])
def test_a_quiet_machine_has_all_threads_always(most):
    pace = Pace(most)
    assert mean_step(pace, quiet, 10) == pytest.approx(1 / most)
    assert pace.threads == most


@pytest.mark.parametrize(
    ("machine", "most", "best"),
    [
        (taken, 2, 2.0),
        (taken, 4, 2.0),
        (one_taken, 16, 1 / 8),
        (mostly_alone, 4, 0.7),
        (mostly_alone, 2, 0.8),
    ],
)
def test_a_step_takes_little_longer_than_by_the_best_number(machine, most, best):
    pace = Pace(most)
    assert mean_step(pace, machine, 60) <= 1.06 * best


def test_a_core_that_is_free_again_is_used_again():
    pace = Pace(4)
    mean_step(pace, taken, 60)
    assert pace.threads == 1
    mean_step(pace, quiet, 30)
    assert pace.threads == 4
    assert mean_step(pace, quiet, 10) == pytest.approx(1 / 4)


def test_one_hundred_short_calls_are_judged_like_a_long_one():
    short, long = Pace(2), Pace(2)
    for _ in range(100):
        assert short.threads == long.threads == 2
        short.note(1, 0.00101, 0.001)
    long.note(100, 0.101, 0.1)
    assert short.threads == long.threads == 1


def test_a_team_may_change_its_number_between_calls(monkeypatch):
    monkeypatch.setattr(divide, "WORTHWHILE", 0)

    class Restless:
        """A pace that is never the same twice."""

        def __init__(self, most: int) -> None:
            self.threads, self.steps, self._most = most, 1, most

        def note(self, steps: int, seconds: float, held: float) -> None:
            assert 1 <= steps <= self.steps
            self.steps = self.steps % 3 + 1
            assert seconds > 0
            assert held >= 0
            self.threads = self.threads % self._most + 1

    monkeypatch.setattr(threads, "Pace", Restless)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 18)), rng.integers(0, 3, 32)
    net = gn.Network([gn.Dense(35, activation="tanh"), gn.Dense(3)], loss="cross_entropy")
    found = []
    for count in (1, 4):
        program = net.training_program(x, y, 8, Adam(0.01), "compiled", threads=count)
        losses = [program.run_epochs(count) for count in (1, 3, 2)]
        found.append((losses, [array.tobytes() for array in program.parameters]))
    assert found[0] == found[1]
