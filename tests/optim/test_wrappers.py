"""What goes around an optimiser: averages, accumulation, sharpness, schedule-free learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet import optim
from glassnet.core.tree import flatten, tree_map
from glassnet.errors import ConfigurationError

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
START = np.array([1.0, -2.0, 0.5])


def value_and_slope(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Of a function that is no quadratic, so that the place of the gradient matters."""
    return float(w @ MATRIX @ w / 2 + np.sum(np.cos(w))), MATRIX @ w - np.sin(w)


def on_trees(tree: Any) -> tuple[Any, Any]:
    """The same function of {"a": two elements, "b": {"c": the third}}."""
    value, g = value_and_slope(np.concatenate([tree["a"], tree["b"]["c"]]))
    return value, {"a": g[:2], "b": {"c": g[2:]}}


def as_tree(w: np.ndarray) -> dict[str, Any]:
    return {"a": w[:2], "b": {"c": w[2:]}}


def as_vector(tree: Any) -> np.ndarray:
    return np.concatenate(flatten(tree)[0])


def visit(optimizer: optim.Optimizer, rate: float, steps: int = 10) -> list[tuple[Any, Any, Any]]:
    """(loss, parameters, state) after each step."""
    w, visited = as_tree(START), []
    state = optimizer.init(w)
    for step in range(1, steps + 1):
        value, w, state = optimizer.advance(on_trees, w, state, step, rate)
        visited.append((value, w, state))
    return visited


def test_sam_is_algorithm_1_of_foret_et_al() -> None:
    w, rate, radius = START, 0.1, 0.3
    for value, tree, _ in visit(optim.SAM(gn.SGD(rate), radius), rate):
        loss, g = value_and_slope(w)
        w = w - rate * value_and_slope(w + radius * g / np.linalg.norm(g))[1]
        assert value == loss
        np.testing.assert_allclose(as_vector(tree), w, rtol=0, atol=1e-12)


def test_sam_stays_where_the_gradient_is_zero() -> None:
    sam, w = optim.SAM(gn.SGD(0.1)), {"w": np.zeros(2)}
    _, moved, _ = sam.advance(lambda p: (0.0, p), w, sam.init(w), 1, 0.1)
    np.testing.assert_array_equal(moved["w"], 0.0)


def test_schedule_free_descent_is_that_of_defazio_et_al() -> None:
    # equations 3 to 5: y = (1 - b) z + b x, z <- z - rate f'(y), x <- (1 - 1/t) x + 1/t z
    x, z, rate, beta = START, START, 0.1, 0.8
    for t, (value, tree, _) in enumerate(visit(optim.ScheduleFree(gn.SGD(rate), beta), rate), 1):
        y = (1 - beta) * z + beta * x
        loss, g = value_and_slope(y)
        z = z - rate * g
        x = (1 - 1 / t) * x + z / t
        assert value == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(as_vector(tree), x, rtol=0, atol=1e-12)


def test_schedule_free_adam_with_warm_up_and_decay_is_algorithm_1() -> None:
    b1, b2, epsilon, decay, top, warm_up = 0.9, 0.99, 1e-8, 0.1, 0.05, 4
    inner = optim.chain(gn.Adam(top, beta_1=0.0, beta_2=b2), optim.WeightDecay(decay))
    optimizer = optim.ScheduleFree(inner, b1)
    x, z, v, tree = START, START, np.zeros(3), as_tree(START)
    state, squares = optimizer.init(tree), 0.0
    for t in range(1, 11):
        rate = top * min(1, t / warm_up)
        _, tree, state = optimizer.advance(on_trees, tree, state, t, rate)
        y = (1 - b1) * z + b1 * x
        g = value_and_slope(y)[1]
        v = b2 * v + (1 - b2) * g**2
        z = z - rate * g / (np.sqrt(v / (1 - b2**t)) + epsilon) - rate * decay * y
        squares += rate**2
        x = (1 - rate**2 / squares) * x + rate**2 / squares * z
        np.testing.assert_allclose(as_vector(tree), x, rtol=0, atol=1e-12)


def test_schedule_free_takes_a_rate_of_zero() -> None:
    (_, tree, _), *_ = visit(optim.ScheduleFree(gn.SGD(0.1)), 0.0, 1)
    np.testing.assert_array_equal(as_vector(tree), START)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_ema_is_the_normalised_sum_of_all_parameters(decay: float) -> None:
    seen: list[np.ndarray] = []
    rule = optim.EMA(gn.SGD(0.1), decay)
    for t, (_, w, state) in enumerate(visit(rule, 0.1), 1):
        seen.append(as_vector(w))
        weights = np.array([(1 - decay) * decay ** (t - i) for i in range(1, t + 1)]) / (1 - decay**t)
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(
            as_vector(rule.evaluated(w, state)), weights @ np.array(seen), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize(("start", "every"), [(0, 1), (3, 1), (2, 3), (20, 1)])
def test_swa_is_the_mean_of_the_parameters_of_its_steps(start: int, every: int) -> None:
    seen: list[np.ndarray] = []
    rule = optim.SWA(gn.SGD(0.1), start, every)
    for _, w, state in visit(rule, 0.1):
        seen.append(as_vector(w))
        taken = seen[start + every - 1 :: every]
        expected = np.mean(taken, axis=0) if taken else seen[-1]
        np.testing.assert_allclose(as_vector(rule.evaluated(w, state)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wrap", [optim.EMA, optim.SWA])
def test_an_average_leaves_the_training_as_it_is(wrap: Any) -> None:
    for (_, averaged, _), (_, plain, _) in zip(
        visit(wrap(gn.Adam(0.1)), 0.1), visit(gn.Adam(0.1), 0.1), strict=True
    ):
        np.testing.assert_array_equal(as_vector(averaged), as_vector(plain))


def test_before_the_first_step_an_average_is_the_parameters() -> None:
    for rule in (optim.EMA(gn.SGD(0.1)), optim.SWA(gn.SGD(0.1))):
        tree = as_tree(START)
        np.testing.assert_array_equal(as_vector(rule.evaluated(tree, rule.init(tree))), START)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "inner",
    [gn.SGD(0.1), gn.SGD(0.1, momentum=0.9), gn.Adam(0.1), optim.Rprop(0.1), optim.EMA(optim.Nadam(0.1))],
    ids=lambda inner: type(inner).__name__,
)
def test_accumulation_is_one_step_on_the_mean_gradient(inner: Any, count: int) -> None:
    random = np.random.default_rng(0)
    rule, w, plain = optim.Accumulate(inner, count), as_tree(START), as_tree(START)
    state, inner_state = rule.init(w), inner.init(plain)
    for step in range(1, 5):
        batches = [as_tree(random.normal(size=3)) for _ in range(count)]
        mean = tree_map(lambda *terms: sum(terms) / count, *batches)
        for number, g in enumerate(batches, 1):
            before = as_vector(w)
            _, w, state = rule.advance(lambda _, g=g: (0.0, g), w, state, (step - 1) * count + number, 0.1)
            if number < count:
                np.testing.assert_array_equal(as_vector(w), before)
        _, plain, inner_state = inner.advance(lambda _, g=mean: (0.0, g), plain, inner_state, step, 0.1)
        np.testing.assert_array_equal(as_vector(w), as_vector(plain))
        np.testing.assert_array_equal(
            as_vector(rule.evaluated(w, state)), as_vector(inner.evaluated(plain, inner_state))
        )


WRAPPED = {
    "sam": optim.SAM(optim.RMSprop(0.1)),
    "schedule free": optim.ScheduleFree(gn.SGD(0.1)),
    "sharp and schedule free": optim.SAM(optim.ScheduleFree(gn.SGD(0.1))),
    "ema": optim.EMA(gn.Adam(0.1)),
    "swa": optim.SWA(gn.Adam(0.1), 1, 2),
    "accumulate": optim.Accumulate(optim.chain(optim.ClipByGlobalNorm(0.1), gn.Adam(0.1)), 2),
    "freeze": optim.Freeze(optim.EMA(optim.SAM(gn.Adam(0.1))), ("b",)),
}


@pytest.mark.parametrize("engine", ["interpreter", "compiled"])
@pytest.mark.parametrize("case", WRAPPED)
def test_a_traced_step_gives_the_numbers_of_a_plain_one(case: str, engine: str, assert_equal: Any) -> None:
    rule = WRAPPED[case]

    def advance(w: Any, state: Any, step: Any, rate: Any) -> Any:
        _, w, state = rule.advance(lambda p: (0.0, tree_map(lambda x: x * x * x, p)), w, state, step, rate)
        return w, state, rule.evaluated(w, state)

    traced = gn.compile(advance, engine=engine)
    w = as_tree(START)
    state = rule.init(w)
    for step in (1.0, 2.0, 3.0):
        expected = advance(w, state, step, 0.1)
        assert_equal(traced(w, state, step, 0.1), expected)
        w, state, _ = expected


def test_a_wrapper_has_the_rate_of_what_it_wraps() -> None:
    rule = optim.EMA(optim.SAM(optim.chain(optim.ClipByNorm(1.0), gn.SGD(0.1))))
    assert rule.learning_rate == 0.1
    assert rule.with_learning_rate(0.3) == optim.EMA(
        optim.SAM(optim.chain(optim.ClipByNorm(1.0), gn.SGD(0.3)))
    )


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: optim.SAM("sgd"), r"SAM got inner='sgd'; it takes an optimiser such as SGD\(0.1\)\."),
        (
            lambda: optim.EMA(optim.ClipByNorm(1.0)),
            r"EMA got ClipByNorm, which has no learning rate; .*chain",
        ),
        (
            lambda: optim.Accumulate(optim.SAM(gn.SGD()), 2),
            r"Accumulate got SAM, which evaluates gradients at points of its own",
        ),
        (
            lambda: optim.ScheduleFree(optim.EMA(optim.SAM(gn.SGD()))),
            r"ScheduleFree got EMA, which evaluates",
        ),
        (
            lambda: optim.EMA(optim.Accumulate(gn.SGD(), 2)),
            r"EMA goes inside Accumulate: write Accumulate\(EMA",
        ),
        (lambda: optim.SAM(gn.SGD()).update({}, {}, {}, 1, 0.1), r"SAM evaluates gradients at points of its"),
        (lambda: optim.SAM(gn.SGD(), radius=0), r"SAM got radius=0; it takes a positive number"),
        (lambda: optim.EMA(gn.SGD(), decay=1.0), r"EMA got decay=1.0; it takes a number of at least 0 and"),
        (lambda: optim.SWA(gn.SGD(), start=-1), r"SWA got start=-1; it takes a whole number of at least 0"),
        (lambda: optim.SWA(gn.SGD(), every=0), r"SWA got every=0; it takes a whole number of at least 1"),
        (lambda: optim.Accumulate(gn.SGD(), 1.5), r"Accumulate got count=1.5; it takes a whole number"),
        (lambda: optim.ScheduleFree(gn.SGD(), beta=1), r"ScheduleFree got beta=1; it takes a number"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(make: Any, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        make()
