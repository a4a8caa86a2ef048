"""Pace: how many threads to use when other programs want the cores too, and for how many steps on end.

Threads that wait for one another are no faster than the slowest, and one that has lost its core is slow for
milliseconds. So the threads of a program are timed: where they get much less of the cores than they ask for,
half as many are tried, and kept if they make the steps sooner; all are tried again later. Which number is
chosen never shows in the results.
"""

from __future__ import annotations

from dataclasses import dataclass

_CALL = 0.025  # seconds that a call shall take: the threads change their number between calls
_SPELL = 0.1  # seconds that are judged together: clocks of processor time may tick 60 times a second
_HELD = 0.8  # of the time asked for: threads that hold their cores for less may have lost them to others
_REST = 8  # between two tries, times the length of one; twice as long after each that failed
_LONGEST_REST = 128


@dataclass
class Spell:
    """What was measured with one number of threads: steps, seconds, and seconds of processor time."""

    steps: int = 0
    seconds: float = 0.0
    held: float = 0.0

    @property
    def each(self) -> float:
        """Seconds a step."""
        return self.seconds / self.steps


class Pace:
    """Chooses a number of threads, at most `most`, by how the calls went that they made.

    >>> from glassnet.compiler.pace import Pace
    >>> pace = Pace(2)
    >>> pace.note(10, seconds=1.0, held=0.9)  # two threads had less than half of the two cores
    >>> pace.threads
    1
    """

    def __init__(self, most: int) -> None:
        self.threads = most
        self.steps = 1  # of the next call
        self._most = most
        self._spell = Spell()
        self._former: tuple[int, float] | None = None  # while another number is tried: it, its seconds a step
        self._failures, self._rest = 0, 0.0

    def note(self, steps: int, seconds: float, held: float) -> None:
        """Takes in that a call of so many steps took so long, `held` the processor time of its threads."""
        spell = self._spell
        spell.steps += steps
        spell.seconds += seconds
        spell.held += held
        self.steps = max(1, int(_CALL * steps / max(seconds, 1e-9)))
        if spell.seconds >= _SPELL:
            self._spell = Spell()
            self._judge(spell)

    def _judge(self, spell: Spell) -> None:
        """Goes on from a spell: keeps what was tried or takes it back, rests, or tries another number."""
        lost = spell.held < _HELD * self.threads * spell.seconds
        if self._former is not None:
            former, former_each = self._former
            fewer = self.threads < former
            better = spell.each <= former_each if fewer else spell.each < former_each
            self._former = None
            self._failures = 0 if better else self._failures + 1
            if not better:
                self.threads = former
            # what is better may go further the same way
            further = better and lost == fewer
            self._rest = 0.0 if further else spell.seconds * min(_REST << self._failures, _LONGEST_REST)
        elif self._rest > 0:
            self._rest -= spell.seconds
        else:
            fewer, more = self.threads // 2 if lost else 0, min(2 * self.threads, self._most)
            choices = [number for number in (fewer, more) if number not in (0, self.threads)]
            if choices:
                self._former = (self.threads, spell.each)
                self.threads = choices[self._failures % len(choices)]
