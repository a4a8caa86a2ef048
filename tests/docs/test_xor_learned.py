"""Curriculum item 22: the success rate over many starts, for four rules, and where the others end."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import glassnet as gn

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "curriculum" / "22_xor_learned.md").read_text("utf-8")


def load() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "xor_starts", ROOT / "benchmarks" / "xor_starts.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


xor_starts = load()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
TABLE = {name: [float(cell) for cell in cells] for name, *cells in ROWS}


def test_the_page_has_a_row_for_every_rule() -> None:
    assert list(TABLE) == ["rate", *xor_starts.RULES]
    assert tuple(TABLE["rate"]) == xor_starts.RATES


@pytest.mark.parametrize(
    ("rule", "rate"), [("gradient descent", 3.0), ("momentum", 1.0), ("Rprop", 0.3), ("Adam", 0.03)]
)
def test_other_starts_agree_with_the_table_within_sampling_error(rule: str, rate: float) -> None:
    shown = TABLE[rule][xor_starts.RATES.index(rate)]
    assert shown == max(TABLE[rule])
    count = 100
    found = xor_starts.success_rate(rule, rate, count, first=1000)
    assert abs(found - shown) < 3.5 * np.sqrt(shown * (1 - shown) * (1 / count + 1 / 1000))


def test_more_units_find_a_way_out() -> None:
    rates = [xor_starts.success_rate("momentum", 1.0, 100, hidden_units=units) for units in (2, 3, 4)]
    assert rates == sorted(rates)
    assert rates[2] > 0.97


def test_a_start_does_not_depend_on_the_others() -> None:
    net = gn.Sequential([gn.Dense(2, activation="sigmoid"), gn.Dense(1)])
    rule = gn.Adam(0.03)
    _, together = xor_starts.train(net, xor_starts.random_starts(net, 5), rule, epochs=100)
    _, alone = xor_starts.train(net, xor_starts.random_starts(net, 1, first=3), rule, epochs=100)
    np.testing.assert_allclose(together[3], alone[0], rtol=1e-12)


def test_starts_that_fail_end_in_one_of_two_ways_and_go_on_growing() -> None:
    net = gn.Sequential([gn.Dense(2, activation="sigmoid"), gn.Dense(1)])
    starts, rule = xor_starts.random_starts(net, 100), gn.SGD(3.0)
    parameters, right = xor_starts.train(net, starts, rule, epochs=1500)
    failed = right.min(axis=1) < 0.9
    ends = np.sort(right[failed], axis=1)
    two, three = np.array([1 / 2, 1 / 2, 1, 1]), np.array([1 / 3, 2 / 3, 2 / 3, 1])
    distances = np.minimum(np.abs(ends - two).max(axis=1), np.abs(ends - three).max(axis=1))
    assert np.mean(distances < 0.15) > 0.95
    # The best for two equal rows, and for three, as probabilities of the right answers
    assert -np.log(two).mean() == pytest.approx(np.log(2) / 2)
    assert -np.log(three).mean() == pytest.approx(0.477, abs=5e-4)

    later, _ = xor_starts.train(net, parameters, rule, epochs=1500)
    sizes = [np.linalg.norm(p["dense_1"]["weight"][failed], axis=(1, 2)) for p in (parameters, later)]
    ended = distances < 0.15
    assert np.all(sizes[1][ended] > sizes[0][ended])  # no minimum at finite weights


def test_rows_with_equal_answers_have_equal_hidden_units() -> None:
    net = gn.Sequential([gn.Dense(2, activation="sigmoid"), gn.Dense(1)])
    parameters, right = xor_starts.train(net, xor_starts.random_starts(net, 100), gn.SGD(3.0))
    undecided = np.flatnonzero(np.sum(np.abs(right - 0.5) < 0.02, axis=1) == 2)
    assert len(undecided) > 10
    for start in undecided:
        W, b = (parameters["dense_1"][name][start] for name in ("weight", "bias"))
        hidden = 1 / (1 + np.exp(-(xor_starts.X @ W.T + b)))
        first, second = hidden[np.abs(right[start] - 0.5) < 0.02]
        np.testing.assert_allclose(first, second, atol=0.05)
