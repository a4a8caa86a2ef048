"""Sampling from explicit keys: pure, distributed as stated, and differentiable where parameters move it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core import random as generator
from glassnet.errors import ConfigurationError, DTypeError, GlassnetError, ShapeError

KEY = gn.random.key(2024)
COUNT = 40_000
# The distance of Kolmogorov and Smirnov exceeds 1.95 / sqrt(n) once in a thousand draws.
FAR = 1.95 / math.sqrt(COUNT)

erf = np.vectorize(math.erf)


def normal_cdf(z: Any) -> Any:
    return 0.5 * (1.0 + erf(np.asarray(z) / math.sqrt(2.0)))


CUT = normal_cdf(1.5) - normal_cdf(-0.5)
DISTRIBUTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "uniform": (lambda k: gn.random.uniform(k, COUNT, -1.0, 3.0), lambda x: (x + 1.0) / 4.0),
    "normal": (lambda k: gn.random.normal(k, COUNT, 2.0, 3.0), lambda x: normal_cdf((x - 2.0) / 3.0)),
    "truncated_normal": (
        lambda k: gn.random.truncated_normal(k, COUNT, -0.5, 1.5, mean=1.0, std=2.0),
        lambda x: (normal_cdf((x - 1.0) / 2.0) - normal_cdf(-0.5)) / CUT,
    ),
    "exponential": (lambda k: gn.random.exponential(k, COUNT, 0.5), lambda x: -np.expm1(-2.0 * x)),
    "gumbel": (lambda k: gn.random.gumbel(k, COUNT, 1.0, 2.0), lambda x: np.exp(-np.exp(-(x - 1.0) / 2.0))),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_distribution_function_is_the_stated_one(name: str) -> None:
    sample, distribution = DISTRIBUTIONS[name]
    x = np.sort(sample(KEY))
    at = distribution(x)
    steps = np.arange(COUNT + 1) / COUNT
    assert max(np.max(steps[1:] - at), np.max(at - steps[:-1])) < FAR


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_neighbours_are_not_correlated_and_neither_are_keys(name: str) -> None:
    sample, _ = DISTRIBUTIONS[name]
    first, second = (sample(k) for k in gn.random.split(KEY))
    for x, y in ((first, second), (first[1:], first[:-1]), (first, sample(KEY.at(1)))):
        assert abs(np.corrcoef(x, y)[0, 1]) < 4 / math.sqrt(COUNT)


SAMPLERS: dict[str, Callable[[Any], Any]] = {
    "bits": lambda k: gn.random.bits(k, (3, 2)),
    "uniform": lambda k: gn.random.uniform(k, (3, 2)),
    "normal": lambda k: gn.random.normal(k, (3, 2)),
    "truncated_normal": lambda k: gn.random.truncated_normal(k, (3, 2)),
    "exponential": lambda k: gn.random.exponential(k, (3, 2)),
    "gumbel": lambda k: gn.random.gumbel(k, (3, 2)),
    "bernoulli": lambda k: gn.random.bernoulli(k, (30, 2), 0.4),
    "randint": lambda k: gn.random.randint(k, (3, 2), 0, 1000),
    "categorical": lambda k: gn.random.categorical(k, np.zeros((3, 100)), 2),
    "permutation": lambda k: gn.random.permutation(k, 12),
    "dropout_mask": lambda k: gn.random.dropout_mask(k, (30, 2), 0.4),
}


def test_every_public_sampler_is_tested_here() -> None:
    assert set(SAMPLERS) | {"Key", "key", "split"} == set(gn.random.__all__)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_is_a_pure_function_of_its_key(name: str) -> None:
    sample = SAMPLERS[name]
    first = sample(gn.random.key(5))
    np.testing.assert_array_equal(first, sample(gn.random.key(5)))
    for other in (gn.random.key(6), gn.random.key(5).at(1), gn.random.key(5).fold(0)):
        assert not np.array_equal(first, sample(other))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_traced_step_draws_what_a_plain_one_does(name: str) -> None:
    sample = SAMPLERS[name]
    steps = np.array([4, 0, 9])
    batched = gn.vmap(lambda step: sample(KEY.at(step)))(steps)
    np.testing.assert_array_equal(batched, np.stack([sample(KEY.at(int(step))) for step in steps]))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_traced_seed_draws_what_a_plain_one_does(name: str) -> None:
    sample = SAMPLERS[name]
    seeds = np.array([2**64 - 1, 0, 2**40 + 3], np.uint64).astype(np.int64)
    plain = [sample(gn.random.key(int(seed) % 2**64).at(4)) for seed in seeds]
    np.testing.assert_array_equal(gn.vmap(lambda seed: sample(gn.random.key(seed).at(4)))(seeds), plain)
    compiled = gn.compile(lambda seed: sample(gn.random.key(seed).at(4)) * 1)
    for seed, expected in zip(seeds, plain, strict=True):
        np.testing.assert_allclose(compiled(seed), expected, rtol=1e-13)
    # a seed for each step, with the steps batched outside
    grid = gn.vmap(lambda step: gn.vmap(lambda seed: sample(gn.random.key(seed).at(step)))(seeds))(
        np.array([4, 5])
    )
    np.testing.assert_array_equal(grid[0], plain)
    swapped = gn.vmap(
        lambda seed: gn.vmap(lambda step: sample(gn.random.key(seed).at(step)))(np.array([4, 5]))
    )(seeds)
    np.testing.assert_array_equal(np.swapaxes(swapped, 0, 1), grid)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_in_a_trace_is_a_constant(name: str) -> None:
    def product(x: Any) -> Any:
        return (x * SAMPLERS[name](KEY)).sum()

    assert float(gn.grad(product)(2.0)) == pytest.approx(float(np.sum(SAMPLERS[name](KEY), dtype=float)))


def test_the_numbers_are_those_of_the_generator() -> None:
    np.testing.assert_array_equal(gn.random.normal(KEY, (3, 5)), generator.normal(KEY, (3, 5)))
    np.testing.assert_array_equal(gn.random.uniform(KEY, 7), generator.uniform(KEY, (7,)))
    np.testing.assert_array_equal(gn.random.permutation(KEY, 9), generator.permutation(KEY, 9))
    np.testing.assert_array_equal(gn.random.bits(KEY, 5), generator.bits(KEY, 5))


def test_the_derivative_passes_to_mean_and_std_with_the_noise_held_fixed() -> None:
    z = generator.normal(KEY, (4,))
    mean, std = np.array([0.5, 1.0, -1.0, 0.0]), np.array([1.0, 2.0, 0.5, 3.0])
    slopes = gn.grad(lambda m, s: gn.random.normal(KEY, mean=m, std=s).sum(), wrt=(0, 1))(mean, std)
    np.testing.assert_array_equal(slopes[0], np.ones(4))
    np.testing.assert_array_equal(slopes[1], z)


MOVED: dict[str, Callable[[Any, Any], Any]] = {
    "uniform": lambda a, b: gn.random.uniform(KEY, (2, 3), a, b),
    "normal": lambda a, b: gn.random.normal(KEY, (2, 3), a, b),
    "truncated_normal": lambda a, b: gn.random.truncated_normal(KEY, (2, 3), mean=a, std=b),
    "gumbel": lambda a, b: gn.random.gumbel(KEY, (2, 3), a, b),
    "exponential": lambda a, b: gn.random.exponential(KEY, (2, 3), a * b),
}


@pytest.mark.parametrize("name", MOVED)
def test_the_derivatives_with_respect_to_parameters(name: str) -> None:
    a, b = np.array([0.5, 1.0, 2.0]), np.array([[1.5], [3.0]])
    assert gn.check_grads(lambda a, b: gnp.sin(MOVED[name](a, b)), a, b).largest_error <= 1e-9


def test_probabilities_of_whole_numbers_and_classes() -> None:
    # Standard deviations of a frequency: sqrt(p (1 - p) / n) < 0.0025.
    assert np.mean(gn.random.bernoulli(KEY, COUNT, 0.3)) == pytest.approx(0.3, abs=0.01)
    faces = gn.random.randint(KEY, COUNT, 1, 7)
    assert faces.dtype == np.int64
    frequencies = np.bincount(faces, minlength=8)[1:] / COUNT
    np.testing.assert_allclose(frequencies, [1 / 6] * 6 + [0.0], atol=0.01)
    shares = np.array([0.1, 0.6, 0.3])
    classes = gn.random.categorical(KEY, np.log(shares) + 5.0, COUNT)
    np.testing.assert_allclose(np.bincount(classes) / COUNT, shares, atol=0.01)


def test_a_probability_of_0_and_of_1_is_certain() -> None:
    sure = gn.random.bernoulli(KEY, probability=np.repeat([0.0, 1.0], 1000))
    np.testing.assert_array_equal(sure, np.repeat([False, True], 1000))
    assert set(gn.random.categorical(KEY, np.array([-np.inf, 0.0]), 1000).tolist()) == {1}


def test_the_whole_range_of_words_is_drawn() -> None:
    words = gn.random.randint(KEY, 1000, 0, 2**32)
    np.testing.assert_array_equal(words, gn.random.bits(KEY, 1000))


def test_dropout_keeps_the_mean() -> None:
    mask = gn.random.dropout_mask(KEY, (200, 200), 0.25, dtype="float32")
    assert mask.dtype == np.float32
    assert set(np.unique(mask).tolist()) == {0.0, float(np.float32(4 / 3))}
    assert mask.mean() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_array_equal(gn.random.dropout_mask(KEY, 5, 0.0), np.ones(5))


def test_uniform_numbers_in_float32_stay_below_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "bits", lambda key, count: np.full(count, 2**32 - 1, np.uint32))
    u = gn.random.uniform(KEY, 3, dtype="float32")
    assert u.dtype == np.float32
    assert u.max() < 1.0
    for sample in (gn.random.exponential, gn.random.gumbel, gn.random.truncated_normal):
        assert np.isfinite(sample(KEY, 3, dtype="float32")).all()


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal", "exponential", "gumbel"])
def test_shape_and_dtype_are_as_asked_for(name: str) -> None:
    sample = getattr(gn.random, name)
    assert sample(KEY).shape == ()
    assert sample(KEY, 0).shape == (0,)
    assert sample(KEY, (2, 0)).shape == (2, 0)
    assert sample(KEY, (2, 3), dtype="float32").dtype == np.float32


def test_parameters_give_the_shape_where_none_is_asked_for() -> None:
    assert gn.random.normal(KEY, mean=np.zeros((2, 1)), std=np.ones(3)).shape == (2, 3)
    assert len(set(gn.random.normal(KEY, mean=np.zeros(5)).tolist())) == 5


MISTAKES: list[tuple[type[GlassnetError], str, Callable[[], Any]]] = [
    (ConfigurationError, "it got -1", lambda: gn.random.key(-1)),
    (ConfigurationError, "it got 1.5", lambda: gn.random.key(1.5)),  # type: ignore[arg-type]
    (DTypeError, r"takes a key, as glassnet\.random\.key", lambda: gn.random.normal(0, 3)),  # type: ignore[arg-type]
    (ShapeError, r"cannot fill shape \(\) from", lambda: gn.random.normal(KEY, (), mean=np.zeros(3))),
    (ShapeError, "do not broadcast", lambda: gn.random.uniform(KEY, (2,), np.zeros(3))),
    (DTypeError, "int32", lambda: gn.random.normal(KEY, 3, dtype="int32")),
    (ConfigurationError, "low=3 and high=3", lambda: gn.random.randint(KEY, 2, 3, 3)),
    (ConfigurationError, "low=0 and high=4294967297", lambda: gn.random.randint(KEY, 2, 0, 2**32 + 1)),
    (ConfigurationError, "rate", lambda: gn.random.dropout_mask(KEY, 2, 1.0)),
    (ConfigurationError, "low=2.0 and high=1.0", lambda: gn.random.truncated_normal(KEY, 2, 2.0, 1.0)),
    (ConfigurationError, "low=7.0 and high=9.0", lambda: gn.random.truncated_normal(KEY, 2, 7.0, 9.0)),
    (ShapeError, r"shape \(\.\.\., classes\)", lambda: gn.random.categorical(KEY, 1.0)),
]


@pytest.mark.parametrize(("kind", "words", "mistake"), MISTAKES)
def test_a_mistake_is_answered_in_one_sentence(
    kind: type[GlassnetError], words: str, mistake: Callable[[], Any]
) -> None:
    with pytest.raises(kind, match=words) as caught:
        mistake()
    assert str(caught.value).endswith(".")


def test_a_shape_that_is_none_is_answered_in_one_sentence() -> None:
    with pytest.raises(ShapeError, match=r"^bernoulli got shape=0\.3; a shape is a whole number or several"):
        gn.random.bernoulli(gn.random.key(0), 0.3)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"x\[permutation\(key, len\(x\)\)\] shuffles x"):
        gn.random.permutation(gn.random.key(0), np.arange(3))  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match=r"^glassnet\.random has no 'shuffle'; the nearest is x\[perm"):
        gn.random.shuffle(gn.random.key(0))
