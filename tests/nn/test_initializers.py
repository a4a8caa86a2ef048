"""Initial weights: moments, bounds, structure, the key, and what is refused."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from glassnet.core import random
from glassnet.core.document import from_document, to_document
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ModelFileError, ShapeError
from glassnet.nn.activations import LeakyReLU, RandomizedLeakyReLU, gain
from glassnet.nn.initializers import (
    INITIALIZERS,
    ConstantFill,
    IdentityKernel,
    Initializer,
    Normal,
    Orthogonal,
    Sparse,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    default_for,
    fans,
    for_kernel,
    glorot_uniform,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    resolve,
    zeros,
)

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
WITHOUT_CHANCE = ("zeros", "ones", "identity")


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 3, 2, 3), (7, 1)], ids=str)
def test_every_initializer_fills_the_shape_and_is_a_function_of_the_key(
    name: str, shape: tuple[int, ...]
) -> None:
    made = INITIALIZERS[name]
    for dtype in (FLOAT32, FLOAT64):
        weight = made(Key(1), shape, dtype)
        assert (weight.shape, weight.dtype) == (shape, dtype)
        assert np.array_equal(weight, made(Key(1), shape, dtype))
    assert np.array_equal(weight, made(Key(2), shape, FLOAT64)) == (name in WITHOUT_CHANCE)


def test_fans_of_matrices_and_kernels() -> None:
    assert fans((8, 3)) == (3, 8)
    assert fans((8, 3, 5, 5)) == (75, 200)
    assert fans((8, 3, 7)) == (21, 56)


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0)], ids=str)
@pytest.mark.parametrize("name", ["he_normal", "orthogonal", "identity", "sparse"])
def test_shapes_without_outputs_and_inputs_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"have shape \(outputs, inputs, \*kernel\); it got"):
        INITIALIZERS[name](Key(0), shape, FLOAT64)


# -- variances


@pytest.mark.parametrize("shape", [(200, 100), (40, 30, 3, 3)], ids=str)
@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("glorot_normal", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("he_uniform", lambda fan_in, fan_out: 2 / fan_in),
        ("he_normal", lambda fan_in, fan_out: 2 / fan_in),
        ("lecun_uniform", lambda fan_in, fan_out: 1 / fan_in),
        ("lecun_normal", lambda fan_in, fan_out: 1 / fan_in),
    ],
)
def test_the_scaled_ones_have_mean_zero_and_their_papers_variance(
    name: str, variance: object, shape: tuple[int, ...]
) -> None:
    weight, expected = INITIALIZERS[name](Key(0), shape, FLOAT64), variance(*fans(shape))
    assert abs(weight.mean()) < 4 * math.sqrt(expected / weight.size)
    assert weight.var() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["uniform", "normal", "truncated_normal"])
def test_every_distribution_has_the_variance_that_was_asked_for(mode: str, distribution: str) -> None:
    fan = {"fan_in": 50, "fan_out": 800, "fan_avg": 425}[mode]
    weight = VarianceScaling(3.0, mode, distribution)(Key(5), (800, 50), FLOAT64)
    std = math.sqrt(3.0 / fan)
    assert weight.std() == pytest.approx(std, rel=0.02)
    # The largest of 40,000 numbers, in standard deviations, of which cutting at 2 leaves the share `cut`.
    cut = float(mpmath.sqrt(1 - 4 * mpmath.npdf(2) / mpmath.erf(mpmath.sqrt(2))))
    bounds = {"uniform": (1.73, math.sqrt(3)), "normal": (3.5, 5.5), "truncated_normal": (2.2, 2 / cut)}
    low, high = bounds[distribution]
    assert low < np.abs(weight).max() / std <= high * (1 + 1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (64, 7)], ids=str)
def test_the_uniform_ones_are_the_generator_s_numbers_stretched(shape: tuple[int, int]) -> None:
    outputs, inputs = shape
    for made, limit in (
        (glorot_uniform, math.sqrt(6.0 / (outputs + inputs))),
        (he_uniform, math.sqrt(6.0 / inputs)),
    ):
        for dtype in (FLOAT32, FLOAT64):
            expected = random.uniform(Key(3), shape, -limit, limit, dtype)
            assert np.array_equal(made(Key(3), shape, dtype), expected)


def test_he_is_lecun_with_the_gain_of_relu() -> None:
    assert lecun_uniform.with_gain("relu").scale == pytest.approx(he_uniform.scale, rel=1e-12)
    assert lecun_normal.with_gain("tanh").scale == pytest.approx(25 / 9)
    assert glorot_uniform.with_gain(LeakyReLU(0.5)).scale == pytest.approx(gain(LeakyReLU(0.5)) ** 2)


@pytest.mark.parametrize("name", ["he_uniform", "he_normal"])
def test_he_keeps_the_size_of_signals_through_forty_rectified_layers(name: str) -> None:
    y, key = np.ones(100), Key(0)
    for layer in range(40):
        y = np.maximum(INITIALIZERS[name](key.fold(layer), (100, 100), FLOAT64) @ y, 0)
    assert 0.05 < np.mean(y**2) < 20  # with Glorot's half of the variance it would be near 1e-12


# -- fixed and plain ones


def test_constants() -> None:
    assert zeros(Key(0), (2, 3), FLOAT64).tolist() == [[0.0] * 3] * 2
    assert resolve("ones", "Dense")(Key(0), (2,), FLOAT32).tolist() == [1.0, 1.0]
    assert ConstantFill(-0.25)(Key(0), (2, 1), FLOAT64).tolist() == [[-0.25], [-0.25]]


def test_plain_distributions_do_not_look_at_the_shape() -> None:
    made = Uniform(2.0, 6.0)(Key(0), (100, 100), FLOAT64)
    assert 2.0 <= made.min() < 2.01 < 5.99 < made.max() < 6.0
    made = Normal(mean=3.0, std=0.5)(Key(0), (100, 100), FLOAT64)
    assert (made.mean(), made.std()) == (pytest.approx(3.0, abs=0.02), pytest.approx(0.5, rel=0.03))
    made = TruncatedNormal(mean=3.0, std=0.5)(Key(0), (100, 100), FLOAT64)
    assert 2.0 <= made.min() < 2.01 < 3.99 < made.max() <= 4.0
    assert made.std() == pytest.approx(0.5 * 0.8796, rel=0.03)


# -- structured ones


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (6, 2, 3), (12, 2, 2, 2)], ids=str)
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = Orthogonal(gain=3.0)(Key(2), shape, FLOAT64).reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 9 * np.eye(len(small)), atol=1e-13)


def test_orthogonal_matrices_are_equally_likely() -> None:
    # With the signs that QR happens to leave, the first element would never be positive.
    first = [Orthogonal()(Key(seed), (3, 3), FLOAT64)[0, 0] for seed in range(400)]
    assert 0.4 < np.mean(np.array(first) > 0) < 0.6
    assert np.mean(np.square(first)) == pytest.approx(1 / 3, abs=0.06)


def test_identity_hands_inputs_on() -> None:
    x = np.arange(3.0)
    assert (IdentityKernel()(Key(0), (3, 3), FLOAT64) @ x).tolist() == x.tolist()
    assert (IdentityKernel(2.0)(Key(0), (4, 3), FLOAT64) @ x).tolist() == [0.0, 2.0, 4.0, 0.0]


def test_an_identity_kernel_has_its_ones_in_the_middle() -> None:
    kernel = IdentityKernel()(Key(0), (2, 2, 3, 5), FLOAT64)
    assert np.argwhere(kernel).tolist() == [[0, 0, 1, 2], [1, 1, 1, 2]]
    assert kernel.sum() == 2


def test_sparse_units_see_that_many_inputs_each_chosen_at_random() -> None:
    weight = Sparse(count=3, std=2.0)(Key(0), (3000, 10), FLOAT64)
    assert (np.count_nonzero(weight, axis=1) == 3).all()
    assert np.count_nonzero(weight, axis=0) == pytest.approx(np.full(10, 900), rel=0.12)
    assert weight[weight != 0].std() == pytest.approx(2.0, rel=0.03)
    assert np.count_nonzero(Sparse(count=50)(Key(0), (2, 3), FLOAT64)) == 6


# -- names, options, documents


def test_names_and_functions_resolve() -> None:
    def own(key: Key, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.full(shape, 7, dtype)

    assert resolve(own, "Dense") is own
    assert resolve("he_uniform", "Dense") is he_uniform
    with pytest.raises(
        ConfigurationError, match=r"Dense got the initializer 'xavier'; it takes one of glorot"
    ):
        resolve("xavier", "Dense")


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ("relu", "he_uniform"),
        ("leaky_relu", "he_uniform"),
        (LeakyReLU(0.3), "he_uniform"),
        (RandomizedLeakyReLU(), "he_uniform"),
        ("gelu", "he_uniform"),
        ("selu", "lecun_normal"),
        ("tanh", "glorot_uniform"),
        ("softmax", "glorot_uniform"),
        (np.cos, "glorot_uniform"),
    ],
    ids=str,
)
def test_the_default_follows_the_activation(activation: object, name: str) -> None:
    assert default_for(activation) == name
    assert for_kernel(None, activation, "Dense") is INITIALIZERS[name]
    assert for_kernel("zeros", activation, "Dense") is zeros


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: VarianceScaling(scale=0.0), "VarianceScaling got scale=0.0; it takes a positive number"),
        (lambda: VarianceScaling(mode="fan"), "got mode='fan'; it takes one of fan_in, fan_out, fan_avg"),
        (
            lambda: VarianceScaling(distribution="cauchy"),
            "got distribution='cauchy'; it takes one of uniform",
        ),
        (lambda: Uniform(1.0, 1.0), r"Uniform got low=1\.0 and high=1\.0; low is below high"),
        (lambda: Normal(std=-1.0), "Normal got std=-1.0"),
        (lambda: TruncatedNormal(mean=math.inf), "TruncatedNormal got mean=inf; it takes a finite number"),
        (lambda: ConstantFill("0"), "ConstantFill got value='0'"),
        (lambda: Orthogonal(gain=True), "Orthogonal got gain=True"),
        (lambda: Sparse(count=0), "Sparse got count=0; it takes a whole number of 1 or more"),
        (lambda: Sparse(count=2.0), "Sparse got count=2.0"),
    ],
)
def test_options_that_cannot_be_are_refused(make: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make()


@pytest.mark.parametrize(
    "initializer", [*INITIALIZERS.values(), VarianceScaling(0.5, "fan_out", "normal"), Sparse(3)], ids=str
)
def test_initializers_survive_their_documents(initializer: Initializer) -> None:
    assert from_document(to_document(initializer, "the layer")) == initializer


def test_a_document_with_an_option_that_cannot_be_is_no_model_file() -> None:
    with pytest.raises(ModelFileError, match=r"describes its VarianceScaling wrongly: .*scale"):
        from_document({"type": "VarianceScaling", "scale": -1.0})
