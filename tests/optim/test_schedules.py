"""Schedules: hand-worked rates, monotony, and the same numbers traced."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import optim
from glassnet.errors import ConfigurationError

TOTAL = 12


def rates(schedule: Any, steps: int = TOTAL, total: int | None = TOTAL) -> list[float]:
    return [float(schedule(step, total)) for step in range(1, steps + 1)]


HAND_WORKED = {
    "constant": (optim.Constant(0.3), [0.3, 0.3, 0.3, 0.3, 0.3]),
    "step": (optim.Step(1.0, 0.1, 2), [1.0, 1.0, 0.1, 0.1, 0.01]),
    "exponential": (optim.Exponential(8.0, 0.25, 2), [8.0, 4.0, 2.0, 1.0, 0.5]),
    "linear": (optim.Polynomial(1.0, 0.2, steps=4), [1.0, 0.8, 0.6, 0.4, 0.2]),
    "quadratic": (optim.Polynomial(1.6, 0.0, 2.0, 4), [1.6, 0.9, 0.4, 0.1, 0.0]),
    "cosine": (
        optim.Cosine(1.0, steps=3),  # (1 + cos 60 degrees) / 2 = 3 / 4
        [1.0, 0.75, 0.25, 0.0, 0.0],
    ),
    "cosine, final": (optim.Cosine(1.0, 0.2, 2), [1.0, 0.6, 0.2, 0.2, 0.2]),
    "restarts": (optim.CosineRestarts(1.0, 2), [1.0, 0.5, 1.0, 0.5, 1.0]),
    "longer waves": (
        optim.CosineRestarts(1.0, 1, 3),  # waves of 1, 3 and 9 steps
        [1.0, 1.0, 0.75, 0.25, 1.0],
    ),
    "one cycle": (optim.OneCycle(1.0, 0.5, 5.0, 10.0, 4), [0.2, 0.6, 1.0, 0.55, 0.1]),
    "warm-up": (optim.Warmup(optim.Polynomial(1.0, steps=2), 2), [0.5, 1.0, 1.0, 0.5, 0.0]),
    "warm-up of a number": (optim.Warmup(0.9, 3), [0.3, 0.6, 0.9, 0.9, 0.9]),
    "piecewise": (optim.Piecewise((0.5, 0.3, 0.1), (1, 4)), [0.5, 0.3, 0.3, 0.3, 0.1]),
    "custom": (optim.Custom(lambda step: 1 / step), [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    "plateau": (optim.Plateau(optim.Cosine(1.0, steps=3)), [1.0, 0.75, 0.25, 0.0, 0.0]),
}
WHOLE_RUN = {
    "exponential": optim.Exponential(1.0),
    "linear": optim.Polynomial(1.0),
    "cosine": optim.Cosine(1.0),
    "one cycle": optim.OneCycle(1.0),
    "warm-up": optim.Warmup(optim.Cosine(1.0), 5),
}


@pytest.mark.parametrize("case", HAND_WORKED)
def test_the_first_rates_are_those_worked_out_by_hand(case: str) -> None:
    schedule, expected = HAND_WORKED[case]
    np.testing.assert_allclose(rates(schedule, 5), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", [*HAND_WORKED, *(f"whole run: {name}" for name in WHOLE_RUN)])
def test_traced_rates_are_the_plain_ones(case: str) -> None:
    name = case.removeprefix("whole run: ")
    schedule = WHOLE_RUN[name] if name != case else HAND_WORKED[name][0]
    traced = gn.compile(lambda step: gnp.asarray(schedule(step, TOTAL)) * 1.0, engine="interpreter")
    found = [float(traced(float(step))) for step in range(1, TOTAL + 1)]
    np.testing.assert_allclose(found, rates(schedule), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", WHOLE_RUN)
def test_without_steps_a_schedule_lasts_the_whole_run(case: str) -> None:
    # One step behind the end it has arrived.
    last = {"exponential": 0.1, "linear": 0.0, "cosine": 0.0, "one cycle": 1e-4, "warm-up": 0.0}[case]
    assert float(WHOLE_RUN[case](TOTAL + 1, TOTAL)) == pytest.approx(last, abs=1e-15)


@given(
    st.floats(1e-6, 10.0), st.floats(0.0, 0.99), st.floats(0.1, 5.0), st.integers(1, 50), st.integers(1, 80)
)
def test_decays_never_rise_and_stay_between_their_ends(
    rate: float, part: float, power: float, steps: int, total: int
) -> None:
    final = rate * part
    for schedule in (
        optim.Polynomial(rate, final, power, steps),
        optim.Polynomial(rate, final, power),
        optim.Cosine(rate, final, steps),
        optim.Cosine(rate, final),
    ):
        found = np.array(rates(schedule, total, total))
        assert found[0] == pytest.approx(rate)
        assert np.all(np.diff(found) <= 1e-12 * rate)
        assert np.all(found >= final * (1 - 1e-12))


@given(st.floats(0.05, 0.95), st.integers(1, 200))
def test_one_cycle_rises_once_and_falls_once(rising: float, steps: int) -> None:
    found = np.array(rates(optim.OneCycle(1.0, rising), steps, steps))
    top = int(np.argmax(found))
    assert np.all(np.diff(found[: top + 1]) >= 0)
    assert np.all(np.diff(found[top:]) <= 0)
    assert found[0] == pytest.approx(1 / 25)


@given(st.integers(1, 9), st.integers(1, 4))
def test_restarts_come_where_the_waves_end(steps: int, multiplier: int) -> None:
    total = 200
    found = rates(optim.CosineRestarts(1.0, steps, multiplier), total, total)
    begin, length = 0, steps
    while begin < total:
        wave = found[begin : begin + length]
        assert wave[0] == 1.0
        assert np.all(np.diff(wave) < 0)
        begin, length = begin + length, length * multiplier


def test_restarts_are_exact_in_float32() -> None:
    schedule = optim.CosineRestarts(1.0, 3, 2)
    for restart in (1, 4, 10, 22, 46, 94, 3 * (2**15 - 1) + 1):
        assert float(schedule(np.float32(restart), 200_000)) == 1.0


def test_the_rate_reaches_the_optimiser_as_a_schedule() -> None:
    assert gn.SGD(optim.Cosine(0.1)).learning_rate == optim.Cosine(0.1)
    made = gn.SGD(lambda step: 0.1 / step).learning_rate
    assert isinstance(made, optim.Schedule)
    assert made(2) == 0.05
    assert optim.resolve_schedule(0.1) == optim.Constant(0.1)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: optim.Constant(0), "Constant got rate=0; it takes a positive number"),
        (lambda: optim.Step(0.1, factor=1.0), "Step got factor=1.0; it takes a number above 0 and below 1"),
        (lambda: optim.Step(0.1, steps=None), "Step got steps=None; it takes a whole number of at least 1"),
        (lambda: optim.Exponential(0.1, steps=0), "Exponential got steps=0; .* or None for the whole run"),
        (lambda: optim.Polynomial(0.1, power=0), "Polynomial got power=0; it takes a positive number"),
        (lambda: optim.Cosine(0.1, final=-1), "Cosine got final=-1; it takes a number of at least 0"),
        (lambda: optim.CosineRestarts(0.1, 2, 1.5), "CosineRestarts got multiplier=1.5; it takes a whole"),
        (lambda: optim.OneCycle(0.1, rising=1), "OneCycle got rising=1; it takes a number above 0"),
        (lambda: optim.OneCycle(0.1, final_divisor=0.5), "OneCycle got final_divisor=0.5; it takes a number"),
        (lambda: optim.Custom(lambda step, total: 0.1), "A rate is a function of the step alone, and <func"),
        (lambda: gn.SGD(lambda: 0.1), r"does not take that; write def rate\(step\)\.$"),
        (lambda: optim.Warmup("cosine", 3), "Warmup got schedule='cosine'; it takes a positive number, a"),
        (
            lambda: optim.Piecewise((0.1,), (3,)),
            "Piecewise got rates=.* for 1 boundaries; it takes 2 positive",
        ),
        (
            lambda: optim.Piecewise((1.0, 2.0, 3.0), (3, 3)),
            "Piecewise got boundaries=.*whole numbers that rise",
        ),
        (lambda: optim.Plateau(0.1, patience=0), "Plateau got patience=0; it takes a whole number"),
        (lambda: optim.Plateau(None), "Plateau got rate=None; it takes a positive number, a schedule"),
        (
            lambda: optim.Cosine(0.1)(1),
            "Cosine got steps=None, which means the whole run, and no total_steps",
        ),
    ],
)
def test_what_is_no_schedule_is_refused_in_one_sentence(make: Any, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        make()


def observe(plateau: optim.Plateau, losses: list[float]) -> list[float]:
    state, factors = plateau.start(), []
    for loss in losses:
        state = plateau.observe(state, loss)
        factors.append(state.factor)
    return factors


def test_a_plateau_shrinks_the_rate_after_its_patience() -> None:
    plateau = optim.Plateau(0.1, factor=0.5, patience=2, threshold=0.1)
    # 0.95 is not 10 % below 1: no progress; 0.8 is
    assert observe(plateau, [1.0, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8]) == [1, 1, 1, 1, 0.5, 0.5, 0.25]


def test_a_falling_loss_leaves_the_rate() -> None:
    assert observe(optim.Plateau(0.1, patience=1), [1 / n for n in range(1, 20)]) == [1.0] * 19


def test_a_plateau_ends_at_the_smallest_factor() -> None:
    assert observe(optim.Plateau(0.1, 0.1, 1, smallest=0.05), [1.0] * 5) == [1.0, 0.1, 0.05, 0.05, 0.05]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_no_progress(loss: float) -> None:
    assert observe(optim.Plateau(0.1, 0.5, 2), [loss, loss, 1.0, loss, loss]) == [1.0, 0.5, 0.5, 0.5, 0.25]


def test_observing_changes_no_state() -> None:
    plateau = optim.Plateau(0.1, patience=1)
    state = plateau.start()
    assert plateau.observe(state, 1.0) == plateau.observe(state, 1.0) != state
    assert state == optim.PlateauState()
