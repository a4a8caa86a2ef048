from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import glassnet as gn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import corpus.data as made
import diagnosis
from corpus import BROKEN, HEALTHY, Broken, Healthy
from corpus.case import Recipe
from corpus.faults import FAULTS

sys.path.pop(0)

NAMED = {case.name: case for case in BROKEN}
CASES = [*BROKEN, *HEALTHY]


@dataclass(frozen=True)
class Verdict:
    kind: str
    severity: str = "warning"


def built(recipe: Recipe) -> tuple[gn.Network, made.Data]:
    data = recipe.data()
    net = gn.Network(recipe.layers, recipe.loss, seed=0, input_shape=data.X.shape[1:])
    if net.loss.task == "classification" and data.y.ndim == 1:
        net.classes = np.unique(data.y)
    return net, data


def test_there_are_thirty_of_each_and_no_two_are_called_alike() -> None:
    assert len(BROKEN) == len(HEALTHY) == 30
    assert len({case.name for case in CASES}) == 60


def test_most_of_the_faults_occur_and_none_is_in_every_case() -> None:
    counted = {fault: sum(fault in case.expected for case in BROKEN) for fault in FAULTS}
    assert sum(count > 0 for count in counted.values()) >= 20
    assert max(counted.values()) <= 5


def test_a_fault_that_has_no_name_is_refused() -> None:
    case = BROKEN[0]
    with pytest.raises(ValueError, match="expects \\['bad_luck'\\]"):
        Broken("x", ("bad_luck",), case.advice, case.mended, case.changes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_network_takes_its_data(case: Broken | Healthy) -> None:
    net, data = built(case.recipe)
    assert len(data.X) == len(data.y)
    assert len(data.X_held_out) == len(data.y_held_out) >= 80
    assert np.isfinite(data.X).all()
    assert all(np.isfinite(slope).all() for slope in net.gradients(data.X[:3], data.y[:3]).values())
    classes = len(np.unique(data.y))
    if net.loss.name == "cross_entropy":
        assert net.output_shape == (classes,)
    else:
        assert net.output_shape == (data.y.shape[1:] or (1,))


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_broken_network_differs_from_the_mended_one_in_what_is_said_and_nothing_else(case: Broken) -> None:
    for each in fields(Recipe):
        same = getattr(case.recipe, each.name) == getattr(case.mended, each.name)
        assert same is (each.name not in case.changes)


def test_equal_calls_make_equal_data() -> None:
    for case in CASES:
        first, second = case.recipe.data(), case.recipe.data()
        assert all(
            np.array_equal(getattr(first, each.name), getattr(second, each.name)) for each in fields(first)
        )


@pytest.mark.parametrize("name", ["zero initialisation", "constant initialisation"])
def test_units_that_start_equal(name: str) -> None:
    for recipe, equal in ((NAMED[name].recipe, True), (NAMED[name].mended, False)):
        weight = built(recipe)[0].parameters["dense_1.weight"]
        assert (weight == weight[0]).all() == equal


def test_dead_rectifiers_give_zero_for_every_row() -> None:
    net, data = built(NAMED["dead rectifiers"].recipe)
    weight, bias = net.parameters["dense_1.weight"], net.parameters["dense_1.bias"]
    assert (data.X @ weight.T + bias < 0).mean() > 0.99


def test_the_recurrent_weights_have_the_norms_of_their_faults() -> None:
    norms = {"exploding recurrence": 2.0, "vanishing recurrence": 0.3}
    for name, norm in norms.items():
        for recipe, expected in ((NAMED[name].recipe, norm), (NAMED[name].mended, 1.0)):
            recurrent = built(recipe)[0].parameters["simple_rnn_1.recurrent"]
            singular = np.linalg.svd(recurrent, compute_uv=False)
            np.testing.assert_allclose(singular, expected, rtol=1e-5)


def test_a_tenth_of_the_labels_is_another_one() -> None:
    case = NAMED["a tenth of the labels wrong"]
    wrong = case.recipe.data().y != case.mended.data().y
    assert wrong.sum() == 40
    assert len(wrong) == 400


def test_shuffled_labels_are_the_same_labels_in_another_order() -> None:
    case = NAMED["shuffled labels"]
    before, after = case.mended.data().y, case.recipe.data().y
    np.testing.assert_array_equal(np.sort(before), np.sort(after))
    assert (before == after).mean() < 0.15


def test_the_spoilt_columns() -> None:
    unscaled = NAMED["a feature in another unit"].recipe.data().X.std(0)
    assert unscaled[0] > 5000 * unscaled[1:].max()
    spread = NAMED["a constant feature"].recipe.data().X.std(0)
    assert spread[9] == 0
    assert spread[:9].min() > 0.9


def test_what_is_squashed_twice_can_never_be_sure() -> None:
    net, data = built(NAMED["softmax twice"].recipe)
    assert net.predict_proba(data.X[:8]).max() <= np.e / (np.e + 9)
    net, data = built(NAMED["sigmoid twice"].recipe)
    yes = net.predict_proba(data.X[:8])[:, 1]
    assert yes.min() >= 0.5
    assert yes.max() <= np.e / (np.e + 1)


def test_a_broken_network_is_named_rightly_by_the_first_verdict_only() -> None:
    case = NAMED["one row a step"]
    assert diagnosis.right(case, [Verdict("batch_too_small"), Verdict("dead_units")])
    assert diagnosis.right(case, [Verdict("learning_rate_too_high")])
    assert not diagnosis.right(case, [Verdict("dead_units"), Verdict("batch_too_small")])
    assert not diagnosis.right(case, [])


def test_notes_are_no_false_alarm() -> None:
    assert diagnosis.right(HEALTHY[0], [Verdict("too_few_epochs", "note")])
    assert not diagnosis.right(HEALTHY[0], [Verdict("too_few_epochs", "note"), Verdict("overfitting")])


def test_two_may_be_missed_and_two_accused() -> None:
    def judged(missed: int, accused: int) -> list[tuple[Broken | Healthy, bool]]:
        broken = [(case, i >= missed) for i, case in enumerate(BROKEN)]
        return [*broken, *((case, i >= accused) for i, case in enumerate(HEALTHY))]

    assert diagnosis.passes(judged(2, 2))
    assert not diagnosis.passes(judged(3, 0))
    assert not diagnosis.passes(judged(0, 3))


def test_the_runner_trains_diagnoses_and_counts() -> None:
    cases = [NAMED["gradient descent that diverges"], HEALTHY[0]]
    console = Console(width=200, record=True)

    def by_loss(net: gn.Network, data: made.Data) -> list[Verdict]:
        fits = net.evaluate(data.X, data.y, ["r2"])["r2"] > 0.9
        return [] if fits else [Verdict("learning_rate_too_high")]

    assert diagnosis.examine(cases, by_loss, console)
    text = console.export_text()
    assert "1 of 1 broken networks named rightly, 0 false alarms on 1 healthy ones" in text
