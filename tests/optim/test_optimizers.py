"""What holds for every optimiser: names, hyperparameters, states, compiled steps on a loss of glassnet."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import optim
from glassnet.core.tree import flatten
from glassnet.errors import ConfigurationError
from glassnet.optim import OPTIMIZERS

X = np.array([[1.0, -2.0], [0.5, 1.0], [-1.5, 0.25]])
D = np.array([[1.0], [-1.0], [2.0]])
START = {"weight": np.array([[0.3], [-0.2]]), "bias": np.array([0.1])}
RULES = {type(rule) for rule in OPTIMIZERS.values() if "learning_rate" in {f.name for f in fields(rule)}}


def loss(parameters: Any) -> Any:
    """The mean over the rows of (x w + b - d)^2 / 2."""
    return gnp.mean(gnp.square(gnp.asarray(X) @ parameters["weight"] + parameters["bias"] - D)) / 2


def slope(w: np.ndarray) -> np.ndarray:
    """Its gradient by hand, with the bias as the last element."""
    design = np.column_stack([X, np.ones(3)])
    return design.T @ (design @ w - D[:, 0]) / 3


@pytest.mark.parametrize("engine", ["interpreter", "compiled"])
def test_a_compiled_step_is_the_step_of_the_recurrence(engine: str) -> None:
    rule = gn.SGD(0.1, momentum=0.8)
    step = gn.compile(
        lambda w, state, count, rate: rule.advance(gn.value_and_grad(loss), w, state, count, rate), engine
    )
    w, state = START, rule.init(START)
    by_hand, v = np.array([0.3, -0.2, 0.1]), np.zeros(3)
    for count in range(1, 11):
        value, w, state = step(w, state, float(count), 0.1)
        assert value == pytest.approx(np.mean((X @ by_hand[:2] + by_hand[2] - D[:, 0]) ** 2) / 2, rel=1e-12)
        v = 0.8 * v - 0.1 * slope(by_hand)
        by_hand = by_hand + v
        np.testing.assert_allclose(
            np.concatenate([leaf.ravel() for leaf in flatten(w)[0]]), by_hand, rtol=0, atol=1e-12
        )


def test_plain_descent_is_one_product_and_one_difference() -> None:
    w = np.ones(3)
    traced = gn.graph(
        lambda w, g, rate: gn.SGD(0.1).advance(lambda _: (0.0, g), w, {}, 1.0, rate)[1], w, w, 0.1
    )
    names = [node.op.name for node in traced.nodes if node.op.name not in ("variable", "constant")]
    assert names == ["multiply", "subtract"]


def test_the_perceptron_rule_separates_what_can_be_separated() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 2))
    d = np.where(x @ [1.0, -2.0] + 0.3 > 0, 1.0, -1.0)

    def misplaced(parameters: Any) -> Any:
        z = gnp.asarray(x) @ parameters["weight"] + parameters["bias"]
        return gnp.mean(gn.vmap(gn.losses.perceptron)(z[:, None], d[:, None]))

    rule = optim.Perceptron()
    w: Any = {"weight": np.zeros(2), "bias": np.zeros(1)}
    batch = gn.value_and_grad(misplaced)(w)[1]
    wrong = d * (x @ w["weight"]) <= 0
    assert wrong.all()  # z = 0 is a mistake, so that weights of 0 learn
    np.testing.assert_allclose(batch["weight"], -(d[wrong, None] * x[wrong]).sum(axis=0) / 40, atol=1e-15)
    for step in range(1, 301):
        _, w, _ = rule.advance(gn.value_and_grad(misplaced), w, {}, step, 1.0)
    assert np.all(d * (x @ w["weight"] + w["bias"]) > 0)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_state_starts_without_the_past(name: str) -> None:
    rule = OPTIMIZERS[name]
    parameters = ({"weight": np.ones((2, 3), np.float32)}, {}, None)
    leaves = flatten(rule.init(parameters))[0]
    assert all(np.asarray(leaf).dtype == np.float32 for leaf in leaves)
    for leaf in leaves:
        assert np.shape(leaf) in ((), (2, 3))
        assert not np.shares_memory(leaf, parameters[0]["weight"])


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_step_changes_neither_parameters_nor_state(name: str) -> None:
    rule = OPTIMIZERS[name]
    w = {"w": np.array([[1.0, 2.0], [3.0, 4.0]])}
    state = rule.init(w)
    before = [np.array(leaf) for leaf in flatten((w, state))[0]]
    rule.advance(lambda p: (0.0, p), w, state, 1, 0.1)
    for leaf, copy in zip(flatten((w, state))[0], before, strict=True):
        np.testing.assert_array_equal(leaf, copy)


def test_an_optimiser_is_found_by_name_or_is_itself() -> None:
    mine = gn.Adam(0.5)
    assert optim.resolve(mine) is mine
    assert optim.resolve("gd") == optim.resolve("sgd") == gn.SGD(0.01)
    assert optim.resolve("momentum") == gn.SGD(0.01, momentum=0.9)
    assert optim.resolve("adam") == gn.Adam(0.001)


@pytest.mark.parametrize("name", ["adan", None, gn.Adam], ids=repr)
def test_an_unknown_optimiser_is_refused_with_the_list_of_known_ones(name: object) -> None:
    with pytest.raises(ConfigurationError, match=r"is not one of adadelta, .*, sgd, nor .* Adam\(0\.001\)"):
        optim.resolve(name)


def test_a_transform_alone_is_no_optimiser() -> None:
    with pytest.raises(ConfigurationError, match=r"Training got ClipByNorm, which has no learning rate"):
        optim.resolve(optim.ClipByNorm(1.0))


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "fast", None, gn.Adam, True], ids=repr)
@pytest.mark.parametrize("kind", sorted(RULES, key=lambda rule: rule.__name__))
def test_a_learning_rate_that_is_none_is_refused(kind: Any, rate: object) -> None:
    with pytest.raises(
        ConfigurationError,
        match=rf"{kind.__name__} got learning_rate=.*; it takes a positive number, a schedule such as Cosine",
    ):
        kind(rate)


@pytest.mark.parametrize("kind", sorted(RULES, key=lambda rule: rule.__name__))
def test_every_number_among_the_hyperparameters_is_checked(kind: Any) -> None:
    for field in fields(kind):
        if type(field.default) in (int, float):
            with pytest.raises(ConfigurationError, match=rf"{kind.__name__} got {field.name}=-1; it takes "):
                kind(**{field.name: -1})


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (
            lambda: gn.SGD(0.1, momentum=1.0),
            r"SGD got momentum=1.0; it takes a number of at least 0",
        ),
        (lambda: gn.SGD(0.1, nesterov=True), r"SGD got nesterov=True without momentum; give it one"),
        (lambda: gn.Adam(beta_2=float("nan")), r"Adam got beta_2=nan"),
        (lambda: gn.Adam(epsilon=0.0), r"Adam got epsilon=0.0; it takes a positive number"),
        (lambda: optim.RAdam(beta_2=0.6), r"RAdam got beta_2=0.6; it takes a number above 0.6"),
        (lambda: optim.Rprop(growth=1.0), r"Rprop got growth=1.0; it takes a number above 1"),
        (
            lambda: optim.Rprop(smallest=2.0, largest=1.0),
            r"Rprop got smallest=2.0 and largest=1.0; the small",
        ),
        (lambda: optim.Muon(rest=gn.SGD()), r"Muon got rest=SGD\(.*; it takes an Adam"),
        (lambda: optim.Muon(iterations=0), r"Muon got iterations=0; it takes a whole number of at least 1"),
    ],
)
def test_other_hyperparameters_out_of_range_are_refused(make: Any, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        make()
