"""Curriculum item 12: full Jacobians of softmax, maxout and polynomials; scalars are the diagonal case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.nn.activations import ACTIVATIONS, log_softmax, maxout, sparsemax

vectors = arrays(np.float64, st.integers(2, 5), elements=st.floats(-8, 8).map(lambda z: round(z, 3)))


def softmax(z: np.ndarray) -> np.ndarray:
    weights = np.exp(z - z.max())
    return weights / weights.sum()


def test_the_numbers_of_the_page() -> None:
    jacobian = 64 * gn.jacobian(gnp.softmax)(np.log([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(jacobian, [[7, -2, -5], [-2, 12, -10], [-5, -10, 15]], rtol=1e-13)
    np.testing.assert_array_equal(gn.jacobian(gnp.sigmoid)(np.zeros(3)), np.eye(3) / 4)


@given(z=vectors)
def test_softmax(z: np.ndarray) -> None:
    y, jacobian = softmax(z), gn.jacobian(gnp.softmax)(z)
    for j in range(len(z)):
        for i in range(len(z)):
            assert jacobian[j, i] == pytest.approx(y[j] * ((i == j) - y[i]), rel=1e-11, abs=1e-15)
    np.testing.assert_allclose(jacobian.sum(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-15)


@given(z=vectors)
def test_log_softmax(z: np.ndarray) -> None:
    expected = np.eye(len(z)) - softmax(z)
    np.testing.assert_allclose(gn.jacobian(log_softmax)(z), expected, rtol=1e-11, atol=1e-15)


@given(z=vectors)
def test_sparsemax_takes_the_mean_off_its_support_and_is_zero_elsewhere(z: np.ndarray) -> None:
    support = sparsemax(z) > 0
    expected = np.diag(support.astype(float)) - np.outer(support, support) / support.sum()
    np.testing.assert_allclose(gn.jacobian(sparsemax)(z), expected, atol=1e-15)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax", "log_softmax", "sparsemax"}))
def test_a_scalar_activation_is_the_diagonal_case(name: str) -> None:
    z = np.array([-2.5, -0.3, 0.4, 1.7])
    slopes = gn.vmap(gn.grad(ACTIVATIONS[name]))(z)
    np.testing.assert_allclose(gn.jacobian(ACTIVATIONS[name])(z), np.diag(slopes), rtol=1e-14)


def test_a_hidden_softmax_multiplies_the_row_by_the_whole_matrix() -> None:
    layers = [gn.Dense(3, activation="softmax"), gn.Dense(2)]
    net = gn.Network(layers, loss="half_squared_error", seed=0, dtype="float64", input_shape=2)
    trace = net.trace([1.0, -2.0], [0.5, 0.0])
    y = trace["dense_1"].y
    row = trace["dense_2"].delta @ net.parameters["dense_2.weight"]
    expected = row @ (np.diag(y) - np.outer(y, y))
    np.testing.assert_allclose(trace["dense_1"].delta, expected, rtol=1e-12)
    np.testing.assert_allclose(expected, y * (row - row @ y), rtol=1e-12)


@given(z=arrays(np.float64, (3, 4), elements=st.floats(-8, 8), unique=True))
def test_maxout_has_a_single_one_in_each_row(z: np.ndarray) -> None:
    jacobian = gn.jacobian(maxout)(z)
    expected = np.zeros((3, 3, 4))
    expected[range(3), range(3), z.argmax(axis=1)] = 1
    np.testing.assert_array_equal(jacobian, expected)


def test_only_the_piece_that_won_learns() -> None:
    layers = [gn.nn.Maxout(1, pieces=3), gn.Dense(1)]
    net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=1)
    values = ([[-1.0], [0.0], [2.0]], [0.0, 0.5, -1.0], [[1.0]], [0.0])
    net.parameters = dict(zip(net.parameter_names, values, strict=True))
    trace = net.trace([2.0], [1.0])
    assert trace["maxout_1"].z is not None
    assert trace["maxout_1"].z.tolist() == [-2, 0.5, 3]
    assert trace["maxout_1"].delta.tolist() == [0, 0, 2]
    assert trace.gradients["maxout_1.weight"].tolist() == [[0], [0], [4]]


def products(z):
    return gnp.stack([z[0] ** 2, z[0] * z[1], z[1] ** 2])


@given(z=arrays(np.float64, 2, elements=st.floats(-8, 8)))
def test_a_polynomial_of_two(z: np.ndarray) -> None:
    expected = [[2 * z[0], 0], [z[1], z[0]], [0, 2 * z[1]]]
    np.testing.assert_allclose(gn.jacobian(products)(z), expected, rtol=1e-14)


def test_a_polynomial_in_a_network() -> None:
    layers = [gn.Dense(2), gn.nn.Lambda(products), gn.Dense(1)]
    net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=2)
    values = (np.eye(2), np.zeros(2), [[1.0, -1.0, 1.0]], [0.0])
    net.parameters = dict(zip(net.parameter_names, values, strict=True))
    trace = net.trace([3.0, 2.0], [6.0])
    assert trace["lambda_2"].delta.tolist() == [1, -1, 1]
    assert trace["dense_1"].delta.tolist() == [2 * 3 - 2, -3 + 2 * 2]
    assert trace.gradients["dense_1.weight"].tolist() == [[12, 8], [3, 2]]
