"""Chains, transforms, and rates by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet import optim
from glassnet.core.tree import flatten, tree_map
from glassnet.errors import ConfigurationError
from glassnet.optim.parts import combine, dotted_names, select


def test_a_chain_of_one_is_its_member(
    parameters: Any, gradients: list[Any], run: Any, assert_equal: Any
) -> None:
    for single in (gn.SGD(0.1), gn.Adam(0.1)):
        expected = run(single, parameters, gradients, 0.1)
        assert_equal(run(optim.chain(single), parameters, gradients, 0.1), expected, 0)
        assert_equal(run(optim.chain(optim.chain(single)), parameters, gradients, 0.1), expected, 0)


def test_adamw_is_adam_with_decoupled_decay(
    parameters: Any, gradients: list[Any], run: Any, assert_equal: Any
) -> None:
    chained = run(optim.chain(gn.Adam(0.1), optim.WeightDecay(0.2)), parameters, gradients, 0.1)
    assert_equal(chained, run(optim.AdamW(0.1, weight_decay=0.2), parameters, gradients, 0.1), 0)


def test_coupled_decay_is_the_gradient_of_half_the_squares(
    parameters: Any, gradients: list[Any], run: Any, assert_equal: Any
) -> None:
    chained = optim.chain(optim.WeightDecay(0.2, decoupled=False), gn.Adam(0.1))
    state, w = gn.Adam(0.1).init(parameters), parameters
    for step, g in enumerate(gradients, 1):
        penalised = tree_map(lambda g, w: g + 0.2 * w, g, w)
        _, w, state = gn.Adam(0.1).advance(lambda _, g=penalised: (0.0, g), w, state, step, 0.1)
    assert_equal(run(chained, parameters, gradients, 0.1)[-1], w)


def test_under_gradient_descent_both_decays_are_one(
    parameters: Any, gradients: list[Any], run: Any, assert_equal: Any
) -> None:
    coupled = optim.chain(optim.WeightDecay(0.2, decoupled=False), gn.SGD(0.1))
    decoupled = optim.chain(gn.SGD(0.1), optim.WeightDecay(0.2))
    assert_equal(run(coupled, parameters, gradients, 0.1), run(decoupled, parameters, gradients, 0.1))


def test_a_chain_traces_and_compiles(parameters: Any, gradients: list[Any], assert_equal: Any) -> None:
    rule = optim.chain(
        *(
            optim.ClipByValue(2.0),
            optim.ClipByNorm(1.0),
            optim.ClipByGlobalNorm(0.5),
            optim.AdaptiveClip(0.1),
        ),
        *(gn.Adam(0.1), optim.WeightDecay(0.1), optim.LayerRates({"cell": 0.5})),
    )
    state = rule.init(parameters)
    expected = rule.update(gradients[0], state, parameters, 1.0, 0.1)
    for engine in ("interpreter", "compiled"):
        traced = gn.compile(rule.update, engine=engine)
        assert_equal(traced(gradients[0], state, parameters, 1.0, 0.1), expected)


def test_rates_by_layer_are_those_of_optimisers_apart(
    parameters: Any, gradients: list[Any], run: Any, assert_equal: Any
) -> None:
    rates = optim.LayerRates({"dense_1": 3.0, "cell.gate": 0.5, "*.bias": 2.0})
    for inner in (gn.SGD(0.1, momentum=0.9), gn.Adam(0.1), optim.Lion(0.1, weight_decay=0.3)):
        together = run(optim.chain(inner, rates), parameters, gradients, 0.1)[-1]
        for names, factor in (
            (("dense_1", "weight"), 3.0),
            (("dense_1", "bias"), 2.0),  # the last name given that fits
            (("cell", "gate", "weight"), 0.5),
            (("cell", "gate", "bias"), 2.0),
        ):

            def at(tree: Any, names: tuple[str, ...] = names) -> Any:
                for name in names:
                    tree = tree[name]
                return {"w": tree}

            alone = run(inner, at(parameters), [at(g) for g in gradients], 0.1 * factor)[-1]
            assert_equal(at(together), alone)


@pytest.mark.parametrize(
    "inner",
    [
        gn.Adam(0.1),
        optim.chain(optim.ClipByGlobalNorm(0.5), gn.SGD(0.1)),
        optim.SAM(gn.SGD(0.1)),
        optim.Muon(),
    ],
    ids=lambda inner: type(inner).__name__,
)
def test_frozen_parameters_stay_and_the_others_move_as_if_alone(
    inner: Any, parameters: Any, assert_equal: Any
) -> None:
    rule = optim.Freeze(inner, ("dense_1", "*.bias"))
    alone = {"cell": {"gate": {"weight": parameters["cell"]["gate"]["weight"]}}}

    def cubic(tree: Any) -> Any:
        return 0.0, tree_map(lambda w: w * w * w, tree)

    w, state, other_state = parameters, rule.init(parameters), inner.init(alone)
    for step in range(1, 6):
        _, w, state = rule.advance(cubic, w, state, step, 0.1)
        _, alone, other_state = inner.advance(cubic, alone, other_state, step, 0.1)
    assert_equal(w["cell"]["gate"]["weight"], alone["cell"]["gate"]["weight"], 0)
    assert_equal(w["dense_1"], parameters["dense_1"], 0)
    assert_equal(w["cell"]["gate"]["bias"], parameters["cell"]["gate"]["bias"], 0)


def test_a_frozen_average_predicts_with_the_frozen_parameters(parameters: Any, assert_equal: Any) -> None:
    rule = optim.Freeze(optim.EMA(gn.SGD(0.1)), ("dense_1",))
    state = rule.init(parameters)
    _, w, state = rule.advance(lambda p: (0.0, p), parameters, state, 1, 0.1)
    assert_equal(rule.evaluated(w, state), w)


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_selected_part_goes_back_to_its_place(kept: list[bool]) -> None:
    tree = {"a": 1, "b": {"c": 2, "d": [3]}, "e": 4}
    others = tree_map(lambda x: -x, tree)
    whole = combine(kept, select(tree, kept), others)
    assert [leaf > 0 for leaf in flatten(whole)[0]] == kept
    assert tree_map(abs, whole) == tree
    assert len(dotted_names(select(tree, kept))) == sum(kept)


def test_noise_has_the_variance_of_its_step() -> None:
    rule, zero = optim.GradientNoise(scale=4.0, fading=1.0), {"a": np.zeros(20000), "b": np.zeros(20000)}
    first, third = (rule.update(zero, {}, zero, step, 0.1)[0] for step in (1, 3))
    for noise, variance in ((first["a"], 2.0), (third["a"], 1.0)):
        assert np.var(noise) == pytest.approx(variance, rel=0.05)
        assert abs(np.mean(noise)) < 0.05
    for one, other in ((first["a"], first["b"]), (first["a"], third["a"])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_noise_of_a_traced_step_is_that_of_the_step() -> None:
    rule, zero = optim.GradientNoise(), {"a": np.zeros(3)}
    traced = gn.compile(lambda step: rule.update(zero, {}, zero, step, 0.1)[0], engine="interpreter")
    np.testing.assert_array_equal(traced(5.0)["a"], rule.update(zero, {}, zero, 5, 0.1)[0]["a"])


def test_a_chain_has_the_rate_of_its_optimiser() -> None:
    rule = optim.chain(optim.ClipByNorm(1.0), gn.SGD(0.1), optim.WeightDecay(0.1))
    assert rule.learning_rate == 0.1
    assert rule.with_learning_rate(0.3).members[1] == gn.SGD(0.3)
    assert optim.chain(optim.ClipByNorm(1.0)).learning_rate is None


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: optim.chain(), r"A chain needs members, as in chain\("),
        (lambda: optim.chain("adam"), r"A chain got 'adam'; its members are optimisers and transforms"),
        (lambda: optim.chain(gn.SGD(), gn.Adam()), r"one optimiser with a learning rate, and SGD and Adam"),
        (lambda: optim.chain(optim.SAM(gn.SGD())), r"SAM goes around a chain, not into it: write SAM\(chain"),
        (
            lambda: optim.chain(optim.LayerRates({"dense_1": 2.0}), gn.SGD()),
            r"LayerRates belongs behind SGD in a chain",
        ),
        (
            lambda: optim.chain(optim.WeightDecay(0.1), gn.SGD()),
            r"WeightDecay belongs behind SGD in a chain",
        ),
        (
            lambda: optim.chain(gn.SGD(), optim.WeightDecay(0.1, decoupled=False)),
            r"WeightDecay belongs before SGD in a chain",
        ),
        (lambda: optim.LayerRates({"dense_1": 0}), r"LayerRates got the factor 0 for 'dense_1'; .*Freeze"),
        (lambda: optim.Freeze(gn.SGD(), "dense_1"), r"Freeze got names='dense_1'; it takes a tuple of names"),
        (lambda: optim.WeightDecay(-1.0), r"WeightDecay got factor=-1.0; it takes a positive number"),
        (lambda: optim.GradientNoise(seed=-1), r"GradientNoise got seed=-1; it takes a whole number"),
        (lambda: optim.GradientNoise(fading=-1), r"GradientNoise got fading=-1; it takes a number of at"),
    ],
)
def test_what_does_not_chain_is_refused_in_one_sentence(make: Any, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        make()


@pytest.mark.parametrize(
    "rule", [optim.chain(gn.SGD(), optim.LayerRates({"dense_2": 2.0})), optim.Freeze(gn.SGD(), ("dense_2",))]
)
def test_an_unknown_name_is_refused_with_the_list_of_names(rule: Any, parameters: Any) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"got the name 'dense_2', which no parameter has; there are dense_1\.weight, ",
    ):
        rule.init(parameters)


def test_rates_by_layer_are_equal_and_hash_alike_where_their_factors_are_equal() -> None:
    one, same, other = (optim.LayerRates({"dense_1": factor}) for factor in (2.0, 2.0, 3.0))
    assert one == same != other
    assert {one: 1}[same] == 1


def test_freezing_everything_is_refused(parameters: Any) -> None:
    with pytest.raises(ConfigurationError, match="leave no parameter to train"):
        optim.Freeze(gn.SGD(), ("*",)).init(parameters)
