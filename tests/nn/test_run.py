"""One forward pass: chance, statistics and masks on the way, and what layers leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError
from glassnet.nn import Run
from glassnet.nn.run import Record


def test_the_parts_of_a_network_have_chance_and_statistics_of_their_own() -> None:
    run = Run(training=True, key=Key(5), statistics={"a": {"mean": 1.0}, "b": {"c": {"mean": 2.0}}})
    a, b = run.inside("a"), run.inside("b")
    assert a.key is not None
    assert a.key != b.key != run.key
    assert a.key == run.inside("a").key  # a name decides, not the order of the calls
    assert a.statistics == {"mean": 1.0}
    assert b.inside("c").statistics == {"mean": 2.0}
    assert run.inside("unknown").statistics == {}
    assert (a.path, b.inside("c").path) == (("a",), ("b", "c"))
    assert a.training
    assert not Run().inside("a").training


def test_what_parts_leave_behind_is_in_one_record() -> None:
    run = Run()
    run.inside("a").keep("mean", 1.0)
    run.inside("b").inside("c").see("z", 2.0)
    assert run.record.kept == {("a", "mean"): 1.0}
    assert run.record.seen == {("b", "c", "z"): 2.0}


def test_a_probe_is_added_to_what_is_shown() -> None:
    run = Run(record=Record(probes={("a", "z"): 10.0}))
    assert run.inside("a").see("z", 1.0) == 11.0
    assert run.inside("b").see("z", 1.0) == 1.0
    assert run.record.seen == {("a", "z"): 11.0, ("b", "z"): 1.0}


def test_chance_without_a_key_is_refused_with_the_mend() -> None:
    sentence = (
        r"Dropout draws random numbers in training and was given no key; call it with Run\(training=True"
    )
    with pytest.raises(ConfigurationError, match=sentence):
        gn.nn.Dropout(0.5)({}, np.ones(3), Run(training=True))
    assert gn.nn.Dropout(0.5)({}, np.ones(3)).tolist() == [1.0, 1.0, 1.0]
    assert Run(key=Key(1)).chance("it") == Key(1)


def test_a_mean_over_the_batch_counts_each_row_by_its_weight() -> None:
    x, weight = np.array([[1.0, 5.0], [3.0, 1.0], [100.0, -100.0]]), np.array([1.0, 3.0, 0.0])

    def of_one(x: Any, weight: Any) -> Any:
        return Run(weight=weight).batch_mean(x)

    means = gn.vmap(of_one)(x, weight)
    np.testing.assert_allclose(means, np.tile(np.average(x, axis=0, weights=weight), (3, 1)), rtol=1e-15)
    plain = gn.vmap(lambda x: Run().batch_mean(x))(x)
    np.testing.assert_allclose(plain, np.tile(x.mean(axis=0), (3, 1)), rtol=1e-15)
    assert Run().batch_mean(np.array([1.0, 2.0])).tolist() == [1.0, 2.0]  # one example is its own mean


def test_a_mask_holds_for_what_follows_until_it_is_taken_away() -> None:
    run = Run()
    assert run.mask is None
    run.inside("a").set_mask(np.array([True, False]))
    assert run.inside("b").mask.tolist() == [True, False]
    run.inside("c").set_mask(None)
    assert run.mask is None
