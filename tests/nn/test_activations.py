"""The activations: values by hand, slopes at kinks, options, chance, and the gain for initial weights."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.document import from_document, to_document
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.activations import (
    ACTIVATIONS,
    ELU,
    Activation,
    LeakyReLU,
    RandomActivation,
    RandomizedLeakyReLU,
    gain,
    gelu_tanh,
    hard_silu,
    identity,
    leaky_relu,
    log_softmax,
    maxout,
    name_of,
    randomized_leaky_relu,
    resolve,
    sparsemax,
)

OF_VECTORS = ("softmax", "log_softmax", "sparsemax")
Z = np.array([-1.5, -0.25, 0.5, 2.0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_keeps_shape_and_dtype_and_has_certified_derivatives(name: str) -> None:
    f = ACTIVATIONS[name]
    for dtype in (np.float32, np.float64):
        y = f(Z.astype(dtype))
        assert (y.shape, y.dtype) == (Z.shape, dtype)
    assert gn.check_grads(f, Z).passed


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in OF_VECTORS])
def test_scalar_activations_have_a_diagonal_jacobian(name: str) -> None:
    J = gn.jacobian(ACTIVATIONS[name])(Z)
    assert np.array_equal(J, np.diag(np.diagonal(J)))
    assert np.diagonal(J).any()


@pytest.mark.parametrize("name", OF_VECTORS)
def test_vector_activations_act_along_the_last_axis(name: str) -> None:
    f, rows = ACTIVATIONS[name], np.stack([Z, Z[::-1], 3 * Z])
    one_by_one = np.stack([f(row) for row in rows])
    np.testing.assert_allclose(f(rows), one_by_one, rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(gn.vmap(f)(rows), one_by_one, rtol=1e-15, atol=1e-15)
    assert np.count_nonzero(gn.jacobian(f)(0.1 * Z)) == 16  # every output depends on every input


EXACT = {
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "gelu": lambda z: z * mpmath.ncdf(z),
    "gelu_tanh": lambda z: z * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + 0.044715 * z**3))) / 2,
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "mish": lambda z: z * mpmath.tanh(mpmath.log1p(mpmath.exp(z))),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "hard_silu": lambda z: z * min(max(z / 6 + 0.5, 0), 1),
    "gaussian": lambda z: mpmath.exp(-(z**2)),
    "leaky_relu": lambda z: z if z > 0 else mpmath.mpf(0.01) * z,
    "randomized_leaky_relu": lambda z: z if z > 0 else mpmath.mpf((1 / 8 + 1 / 3) / 2) * z,
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("z", [-9.0, -2.5, -1e-9, 0.0, 1e-9, 0.75, 8.0])
def test_values_keep_their_digits_in_both_tails(name: str, z: float) -> None:
    with mpmath.workdps(50):
        exact = float(EXACT[name](mpmath.mpf(z)))
    assert float(ACTIVATIONS[name](np.float64(z))) == pytest.approx(exact, rel=1e-13, abs=1e-300)


@pytest.mark.parametrize(
    ("activation", "z", "slope"),
    [
        (gnp.relu, 0.0, 0.0),
        (leaky_relu, 0.0, 0.01),
        (LeakyReLU(0.3), 0.0, 0.3),
        (randomized_leaky_relu, 0.0, 11 / 48),
        (ELU(0.5), 0.0, 0.5),
        (gnp.relu6, 0.0, 0.0),
        (gnp.relu6, 6.0, 0.0),
        (hard_silu, -3.0, 0.0),
        (hard_silu, 3.0, 1.0),
        (gnp.hard_tanh, 1.0, 0.0),
    ],
)
def test_slopes_at_kinks(activation: Activation, z: float, slope: float) -> None:
    assert gn.grad(activation)(z) == pytest.approx(slope, rel=1e-15)


def test_gelu_tanh_is_near_gelu() -> None:
    z = np.linspace(-6, 6, 4001)
    assert 1e-4 < np.abs(gelu_tanh(z) - gnp.gelu(z)).max() < 5e-4


def test_log_softmax_does_not_overflow() -> None:
    assert log_softmax(np.array([1000.0, 0.0])).tolist() == [0.0, -1000.0]
    np.testing.assert_allclose(np.exp(log_softmax(Z)), gnp.softmax(Z), rtol=1e-14)


def test_log_softmax_loses_no_digits_to_what_all_elements_have_in_common() -> None:
    z = np.array([0.0, 0.5, -3.0], np.float32)
    np.testing.assert_allclose(log_softmax(z + np.float32(16384)), log_softmax(z), rtol=1e-6)


# -- sparsemax and maxout


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=9), st.integers(-1000, 1000))
def test_sparsemax_is_the_nearest_point_of_the_simplex(parts: list[int], shift: int) -> None:
    z = np.array(parts) / 16
    y = sparsemax(z + shift)
    # Optimality of the projection: z - y is the same tau on the support, and no larger elsewhere.
    assert y.min() >= 0
    assert y.sum() == pytest.approx(1, rel=1e-12)
    tau = (z - y)[y > 0]
    assert np.ptp(tau) < 1e-12
    assert (z[y == 0] <= tau.max() + 1e-12).all()


def test_the_jacobian_of_sparsemax_by_hand() -> None:
    J = gn.jacobian(sparsemax)(np.array([1.0, 0.5, -1.0]))
    assert J.tolist() == [[0.5, -0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]


def test_maxout_takes_the_first_of_equal_pieces() -> None:
    assert maxout(np.array([[1.0, 4.0, 4.0], [-1.0, -3.0, -2.0]])).tolist() == [4.0, -1.0]
    assert gn.grad(maxout)(np.array([1.0, 4.0, 4.0])).tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(ShapeError, match="maxout takes z of shape"):
        maxout(1.0)


# -- chance


def test_random_slopes_are_drawn_for_negative_z_alone_and_have_the_mean_that_is_used_afterwards() -> None:
    activation = RandomizedLeakyReLU(low=0.2, high=0.6)
    z = np.where(np.arange(20_000) % 2 == 0, -1.0, 3.0)
    y = activation.draw(z, gn.random.key(1))
    slopes = -y[::2]
    assert (y[1::2] == 3.0).all()
    assert slopes.min() >= 0.2
    assert slopes.max() < 0.6
    assert slopes.mean() == pytest.approx(0.4, abs=4 * 0.4 / math.sqrt(12 * 10_000))
    assert activation(np.array([-1.0]))[0] == pytest.approx(-0.4)


def test_what_is_drawn_is_a_function_of_the_key_and_a_constant_to_derivatives() -> None:
    z, key = np.array([-1.0, -1.0, 2.0]), gn.random.key(3)
    y = randomized_leaky_relu.draw(z, key)
    assert np.array_equal(y, randomized_leaky_relu.draw(z, key))
    assert not np.array_equal(y, randomized_leaky_relu.draw(z, key.at(1)))
    slopes = gn.grad(lambda z: randomized_leaky_relu.draw(z, key).sum())(z)
    np.testing.assert_allclose(slopes, y / z, rtol=1e-15)


def test_a_layer_can_ask_for_chance() -> None:
    random = [name for name, f in ACTIVATIONS.items() if isinstance(f, RandomActivation)]
    assert random == ["randomized_leaky_relu"]


# -- names, options, documents


def test_the_modules_of_options_can_be_asked_for_before_any_layer() -> None:
    assert {"activations", "initializers"} <= set(gn.nn.__all__)


def test_names_and_functions_resolve() -> None:
    assert resolve("swish", "Dense") is gnp.silu
    assert resolve(gnp.sin, "Dense") is gnp.sin
    assert resolve("leaky_relu", "Dense") == LeakyReLU()


@pytest.mark.parametrize("activation", ["rleu", None, 3], ids=repr)
def test_unknown_names_are_refused_with_the_known_ones(activation: object) -> None:
    with pytest.raises(
        ConfigurationError, match=r"Dense got activation=.*takes one of identity, sigmoid, .* or a function"
    ):
        resolve(activation, "Dense")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: LeakyReLU(0.0), r"LeakyReLU got slope=0\.0; it takes a positive number"),
        (lambda: LeakyReLU(math.nan), "LeakyReLU got slope=nan; it takes a finite number"),
        (lambda: ELU(alpha="1"), "ELU got alpha='1'"),
        (lambda: RandomizedLeakyReLU(low=-0.1), "RandomizedLeakyReLU got low=-0.1"),
        (lambda: RandomizedLeakyReLU(low=0.5), "got low=0.5 above high=0.33.*; exchange them"),
    ],
)
def test_options_that_cannot_be_are_refused(make: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make()


@pytest.mark.parametrize("activation", [LeakyReLU(0.2), ELU(2.0), RandomizedLeakyReLU(0.1, 0.2)], ids=str)
def test_activations_with_options_survive_their_documents(activation: Activation) -> None:
    assert from_document(to_document(activation, "the layer")) == activation


def test_names_of_functions() -> None:
    assert [name_of(f) for f in ("elu", gnp.tanh, ELU(0.1), gnp.sin)] == ["elu", "tanh", "elu", "sine"]
    assert name_of(gnp.cos) is None


# -- gain


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("identity", 1.0),
        ("relu", math.sqrt(2)),
        ("leaky_relu", math.sqrt(2 / (1 + 0.01**2))),
        (LeakyReLU(0.2), math.sqrt(2 / 1.04)),
        ("selu", 1.0),
        ("tanh", 5 / 3),
        ("sigmoid", 1.0),
        ("softmax", 1.0),
        ("square", 1 / math.sqrt(3)),  # the fourth moment of a standard normal number is 3
        ("exponential", math.exp(-1)),  # E exp(2 z) = exp(2)
        ("sine", math.sqrt(2 / (1 - math.exp(-2)))),  # E sin^2 z = (1 - exp(-2)) / 2
        (lambda z: -4.0 * z, 0.25),
    ],
)
def test_gains(activation: str | Activation, expected: float) -> None:
    assert gain(activation) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["gelu", "elu", "hard_tanh", "softplus"])
def test_the_gain_is_one_over_the_root_of_the_mean_square(name: str) -> None:
    def integrand(z: mpmath.mpf) -> mpmath.mpf:
        return mpmath.mpf(float(ACTIVATIONS[name](np.float64(z)))) ** 2 * mpmath.npdf(z)

    mean_square = mpmath.quad(integrand, [-10, -5, -1, 0, 1, 5, 10])
    assert gain(name) == pytest.approx(float(1 / mpmath.sqrt(mean_square)), rel=1e-4)


def test_signals_keep_their_size_through_many_layers_with_the_gain() -> None:
    widths = [300] * 10
    y, normal = np.ones(300), np.random.default_rng(0).normal
    for width in widths:
        y = gnp.relu(gain("relu") / math.sqrt(len(y)) * normal(size=(width, len(y))) @ y)
    assert 0.3 < np.mean(y**2) < 3  # without the gain it would be 2^-10


def test_a_gain_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"mean square for normal z is positive and finite; it is 0\.0"
    ):
        gain(lambda z: 0.0 * z)
    with pytest.raises(ConfigurationError, match="gain got activation='rleu'"):
        gain("rleu")


def test_identity_hands_on_what_it_is_given() -> None:
    assert identity(Z) is Z
