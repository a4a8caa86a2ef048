"""The real tasks in small: the same recipes on less data, and what they are measured by."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from dataclasses import replace
from math import log2
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.data import load_digits

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"recipes.{name}")

    return load


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("tasks")


# -- digits


def test_a_shift_moves_the_ink_and_lets_paper_in(recipe) -> None:
    image = np.array([[[1, 2, 3], [4, 5, 6]]])
    shifted = recipe("digits").shifted
    assert shifted(image, 1, 0).tolist() == [[[0, 0, 0], [1, 2, 3]]]
    assert shifted(image, -1, 0).tolist() == [[[4, 5, 6], [0, 0, 0]]]
    assert shifted(image, 0, 2).tolist() == [[[0, 0, 1], [0, 0, 4]]]
    assert shifted(image, 0, 0).tolist() == image.tolist()


def test_a_convolutional_network_reads_digits(recipe) -> None:
    assert recipe("digits").convolution(0, epochs=5, channels=4).value > 90


def test_an_lstm_reads_digits_row_by_row(recipe) -> None:
    assert recipe("digits").row_by_row(0, epochs=8, units=32).value > 90


def test_no_held_out_digit_is_trained_on(recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = recipe("digits")
    fed: list[Any] = []
    monkeypatch.setattr(digits, "fit", lambda net, X, y, *_, **__: (fed.append(X), net._accept(X, y)))
    digits.row_by_row(0)
    _, test = load_digits().split()
    trained = {image.tobytes() for image in fed[0]}
    # Rows of pixels that are alike are another person's digit all the same: there is one such pair at most.
    assert sum(image.tobytes() in trained for image in load_digits().images[test] / 16.0) <= 1


# -- tables


def test_the_folds_hold_out_every_row_once_and_spread_the_classes(recipe) -> None:
    tables = recipe("tables")
    y = np.repeat([0, 1, 2], [50, 25, 5])
    fold = tables.folds(y, gn.random.key(0))
    for label, count in ((0, 10), (1, 5), (2, 1)):
        assert Counter(fold[y == label].tolist()) == dict.fromkeys(range(5), count)
    values = tables.folds(np.linspace(0.0, 1.0, 12), gn.random.key(0))
    assert sorted(Counter(values.tolist()).values()) == [2, 2, 2, 3, 3]


def test_scores_and_divergences_of_tables_by_hand(recipe) -> None:
    tables = recipe("tables")
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    assert tables.score(np.array([0, 1, 1]), probabilities) == pytest.approx(200 / 3)
    assert tables.divergence(np.array([0, 1]), probabilities[:2]) == pytest.approx(-np.log(0.5 * 0.75) / 2)
    y = np.array([1.0, 3.0])
    assert tables.score(y, np.array([2.0, 2.0])) == 0.0
    assert tables.score(y, y) == 100.0
    assert tables.divergence(y, np.array([2.0, 2.0])) == 1.0


def test_the_best_model_is_the_one_that_divides_best(recipe) -> None:
    tables = recipe("tables")
    rows = np.zeros((20, 1)), np.linspace(0.0, 1.0, 20)

    def mean(rows: Any, X: Any) -> Any:
        return np.full(len(X), rows[1].mean())

    def worse(rows: Any, X: Any) -> Any:
        return mean(rows, X) + 1.0

    assert tables.best([worse, mean], rows, gn.random.key(0)) is mean


@pytest.mark.parametrize(("name", "least"), [("iris", 85.0), ("diabetes", 40.0)])
def test_a_small_table_is_learnt_as_well_as_by_scikit_learn(recipe, name: str, least: float) -> None:
    pytest.importorskip("sklearn")
    tables = recipe("tables")
    outcome = tables.table(name, 0, grid=[tables.Choice(16, "tanh", 1e-1)])
    assert outcome.value > least
    assert outcome.value > outcome.target - 5


# -- the adding problem


def test_the_adding_problem_marks_one_number_in_each_half(recipe) -> None:
    X, y = recipe("adding").sequences(gn.random.key(1), 4000, 7)
    numbers, marks = X[..., 0], X[..., 1]
    assert X.shape == (4000, 7, 2)
    assert np.all(marks[:, :3].sum(axis=1) == 1)
    assert np.all(marks[:, 4:].sum(axis=1) == 1)
    assert np.all(marks[:, 3] == 0)  # the middle of an odd length is in neither half
    assert set(np.argmax(marks, axis=1)) == {0, 1, 2}
    np.testing.assert_allclose(y, [row[mark == 1].sum() for row, mark in zip(numbers, marks, strict=True)])
    assert np.mean((y - 1.0) ** 2) == pytest.approx(1 / 6, rel=0.1)


@pytest.mark.parametrize("layer", [gn.LSTM, gn.GRU])
def test_gated_recurrence_learns_to_add(recipe, layer: type[gn.nn.Recurrent]) -> None:
    outcome = recipe("adding").adding(layer, 0, length=8, rows=2000, epochs=15, units=16)
    assert outcome.value < 0.01 == outcome.target


# -- characters


def test_the_text_is_there_and_plain(recipe) -> None:
    text = recipe("characters").shipped_text()
    assert text.startswith("CHAPTER I. Down the Rabbit-Hole\n")
    assert 30_000 < len(text) < 100_000
    assert set(text) <= {chr(code) for code in range(32, 127)} | {"\n"}


@pytest.mark.parametrize("continuations", [False, True])
def test_the_trigram_is_a_distribution_after_every_context(recipe, continuations: bool) -> None:
    trigram = recipe("characters").Trigram.of("abracadabra", (0.3, 0.5, 0.7), continuations, 6)
    for context in ("", "a", "z", "ab", "ra", "zz", "za"):
        total = sum(trigram.probability(context + character) for character in "abcdrz")
        assert total == pytest.approx(1.0, abs=1e-12)


def test_the_trigram_by_hand(recipe) -> None:
    trigram = recipe("characters").Trigram.of("abab", (0.5, 0.5, 0.5), False, 2)
    one = (2 - 0.5) / 4 + 0.5 * 2 / 4 * 0.5  # p(b): two of four, two kinds, half from 1 / 2
    two = (2 - 0.5) / 2 + 0.5 * 1 / 2 * one  # p(b | a): two of two, one kind
    three = (1 - 0.5) / 1 + 0.5 * 1 / 1 * two  # p(b | ba): one of one, one kind
    assert trigram.probability("bab") == pytest.approx(three)
    assert trigram.bits("abab", 3) == pytest.approx(-log2(three))


def test_the_windows_and_what_follows_them(recipe) -> None:
    X, y = recipe("characters").windows(np.arange(10), length=4, stride=3)
    assert X.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert y.tolist() == [[1, 2, 3, 4], [4, 5, 6, 7]]


def test_a_recurrent_network_remembers_what_a_trigram_cannot(recipe) -> None:
    # Which letter ends a word is decided by the one that begins it, three characters before.
    draws = np.asarray(gn.random.randint(gn.random.key(0), (800,), 0, 2))
    text = "".join(("a..a ", "b..b ")[draw] for draw in draws)
    outcome = recipe("characters").characters(0, text=text, length=10, epochs=20, units=32)
    assert outcome.target > 0.38  # of five characters two are a toss-up: 2 / 5 of a bit
    assert outcome.value < 0.3  # 1 / 5 of a bit is what there is to know


# -- attention


def test_an_example_shows_the_answer_up_to_the_symbol_that_is_asked_for(recipe) -> None:
    attention = recipe("attention")
    X, y = attention.examples(np.array([[3, 1, 2]]), attention.sorted_symbols)
    assert X.tolist() == [[3, 1, 2, attention.SEPARATOR, 1, 2]]
    assert y.tolist() == [[1, 2, 3]]


def test_no_output_depends_on_the_answer_behind_it(recipe) -> None:
    net = gn.Network(recipe("attention").transformer(3, 8, 1), loss="cross_entropy", input_shape=6)
    net.classes = np.arange(10)
    X = np.array([[3, 1, 2, 10, 1, 2]])
    changed = np.array([[3, 1, 2, 10, 1, 7]])
    before, after = net.predict_proba(X)[0], net.predict_proba(changed)[0]
    np.testing.assert_allclose(before[:2], after[:2], rtol=1e-6)
    assert np.abs(before[2] - after[2]).max() > 1e-3


@pytest.mark.parametrize("answer", ["copied", "sorted_symbols"])
def test_attention_copies_and_sorts(recipe, answer: str) -> None:
    attention = recipe("attention")
    options = {"length": 4, "rows": 3000, "epochs": 8, "units": 16, "blocks": 1}
    assert attention.attention(getattr(attention, answer), 0, **options).value > 90


# -- the command


def test_a_task_is_met_by_the_mean_and_judged_by_the_worst(recipe) -> None:
    kinds = recipe("task")
    more = kinds.Task("t", "net", "accuracy", lambda seed, listener: kinds.Outcome(0, 0), 1)
    less = replace(more, is_error=True)
    outcomes = [kinds.Outcome(1.0, 2.0), kinds.Outcome(3.0, 2.0)]
    assert (more.met(outcomes), less.met(outcomes)) == (True, True)
    assert (more.worst(outcomes), less.worst(outcomes)) == (1.0, 3.0)
    better = [kinds.Outcome(1.0, 2.0), kinds.Outcome(3.5, 2.0)]
    assert (more.met(better), less.met(better)) == (True, False)


def test_the_same_scores_in_another_order_are_a_tie(recipe) -> None:
    kinds = recipe("task")
    scores = [0.1, 0.2, 0.3]
    outcomes = [kinds.Outcome(a, b) for a, b in zip(scores, reversed(scores), strict=True)]
    value, target = kinds.means(outcomes)
    assert value == target


def test_the_command_prints_a_row_a_task_and_says_what_it_skips(
    command: ModuleType, recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = recipe("task")
    good = kinds.Task("good", "net", "accuracy", lambda seed, listener: kinds.Outcome(90.0 + seed, 90), 1)
    bad = replace(good, name="bad", is_error=True)
    absent = replace(good, name="absent", needs="no_such_module")
    monkeypatch.setattr(command, "TASKS", {task.name: task for task in (good, bad, absent)})
    monkeypatch.setenv("COLUMNS", "120")
    assert command.main(["good", "absent", "--seeds", "3"]) == 0
    shown = capsys.readouterr().out
    assert "absent is skipped: it needs no_such_module" in shown
    assert re.search(r"good +net +accuracy +3 +91\.0 +90\.0 +≥ 90\.0 +yes", shown)
    assert command.main(["--seeds", "2"]) == 1
    assert re.search(r"bad +net +accuracy +2 +90\.5 +91\.0 +≤ 90\.0 +no", capsys.readouterr().out)
    with pytest.raises(SystemExit):
        command.main(["unheard-of"])
    assert "unknown task unheard-of" in capsys.readouterr().err


def test_the_page_has_a_row_for_every_task(command: ModuleType) -> None:
    page = (ROOT / "docs" / "explanation" / "tasks.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(command.TASKS)
