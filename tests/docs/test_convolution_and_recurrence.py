"""Curriculum item 15: convolutions and recurrences are feed-forward networks with shared weights."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key, normal


def network(layers: list[gn.Layer], input_shape: int | tuple[int, ...], **values: object) -> gn.Network:
    net = gn.Network(layers, loss="half_squared_error", seed=0, dtype="float64", input_shape=input_shape)
    net.parameters = dict(net.parameters) | {name.replace("__", "."): value for name, value in values.items()}
    return net


@pytest.mark.parametrize("activation", ["identity", "tanh", "sigmoid"])
@pytest.mark.parametrize("filters", [1, 2])
def test_a_convolution_is_a_dense_layer_with_shared_weights(activation: str, filters: int) -> None:
    kernel, bias, x = (
        normal(Key(1, 0), (filters, 1, 3)),
        normal(Key(1, 1), (filters,)),
        normal(Key(1, 2), (5,)),
    )
    read_out, d = normal(Key(1, 3), (1, 3 * filters)), [0.5]
    sliding = network(
        [gn.Conv1D(filters, 3, activation=activation), gn.Flatten(), gn.Dense(1)],
        (5, 1),
        conv1d_1__weight=kernel,
        conv1d_1__bias=bias,
        dense_3__weight=read_out,
    )
    # The output of filter f at position p is unit p * filters + f.
    full = np.zeros((3, filters, 5))
    for position in range(3):
        full[position, :, position : position + 3] = kernel[:, 0]
    dense = network(
        [gn.Dense(3 * filters, activation=activation), gn.Dense(1)],
        5,
        dense_1__weight=full.reshape(3 * filters, 5),
        dense_1__bias=np.tile(bias, 3),
        dense_2__weight=read_out,
    )
    one, other = sliding.trace(x[:, np.newaxis], d), dense.trace(x, d)
    np.testing.assert_allclose(one["conv1d_1"].y.ravel(), other["dense_1"].y, rtol=1e-12)
    np.testing.assert_allclose(one["conv1d_1"].delta.ravel(), other["dense_1"].delta, rtol=1e-12)
    copies = other.gradients["dense_1.weight"].reshape(3, filters, 5)
    shared = sum(copies[position, :, position : position + 3] for position in range(3))
    np.testing.assert_allclose(one.gradients["conv1d_1.weight"][:, 0], shared, rtol=1e-11)
    summed = other.gradients["dense_1.bias"].reshape(3, filters).sum(axis=0)
    np.testing.assert_allclose(one.gradients["conv1d_1.bias"], summed, rtol=1e-11)


def test_the_numbers_of_the_page_for_the_convolution() -> None:
    net = network(
        [gn.Conv1D(1, 3), gn.Flatten(), gn.Dense(1)],
        (5, 1),
        conv1d_1__weight=[[[1.0, -2.0, 0.5]]],
        dense_3__weight=[[1.0, -1.0, 2.0]],
    )
    trace = net.trace([[1.0], [2.0], [4.0], [-1.0], [3.0]], [19.5])
    assert trace["conv1d_1"].y.ravel().tolist() == [-1, -6.5, 7.5]
    assert trace["conv1d_1"].delta.ravel().tolist() == [1, -1, 2]
    assert trace.gradients["conv1d_1.weight"].ravel().tolist() == [7, -4, 11]
    assert trace.gradients["conv1d_1.bias"].tolist() == [2]


def test_backpropagation_through_time_by_hand() -> None:
    net = network(
        [gn.SimpleRNN(1, activation="identity")],
        (3, 1),
        simple_rnn_1__kernel=[[1.0]],
        simple_rnn_1__recurrent=[[0.5]],
    )
    gradients = net.gradients([[[1.0], [2.0], [3.0]]], [4.0])
    assert {name: gradient.item() for name, gradient in gradients.items()} == {
        "simple_rnn_1.kernel": 1.0625,
        "simple_rnn_1.recurrent": 0.75,
        "simple_rnn_1.bias": 0.4375,
    }


@pytest.mark.parametrize("positions", [1, 2, 7])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_backpropagation_through_time_in_numpy(positions: int, return_sequences: bool) -> None:
    layer = gn.SimpleRNN(3, return_sequences=return_sequences)
    net = network([layer], (positions, 2))
    x = normal(Key(2, 0), (positions, 2))
    d = normal(Key(2, 1), (positions, 3) if return_sequences else (3,))
    W, R, b = net.parameters.values()
    h = [np.zeros(3)]
    for x_t in x:
        h.append(np.tanh(W @ x_t + R @ h[-1] + b))
    # The divergence of a sequence is the mean over its positions.
    seen = (np.array(h[1:]) - d) / positions if return_sequences else np.zeros((positions, 3))
    if not return_sequences:
        seen[-1] = h[-1] - d
    dW, dR, db, back = np.zeros_like(W), np.zeros_like(R), np.zeros_like(b), np.zeros(3)
    dx = np.zeros_like(x)
    for t in reversed(range(positions)):
        delta = (seen[t] + back) * (1 - h[t + 1] ** 2)
        dW, dR, db = dW + np.outer(delta, x[t]), dR + np.outer(delta, h[t]), db + delta
        dx[t], back = delta @ W, delta @ R
    trace = net.trace(x, d)
    for gradient, by_hand in zip(trace.gradients.values(), (dW, dR, db), strict=True):
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(trace.input_gradient, dx, rtol=1e-10, atol=1e-14)


def accuracies(layers: list[gn.Layer], X: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
    """On the first 200 rows, from which it learnt, and on the rest."""
    net = gn.Network(layers, loss="binary_cross_entropy", seed=seed, dtype="float64")
    net.fit(
        X[:200],
        y[:200],
        epochs=60,
        batch_size=16,
        optimizer=gn.Adam(0.02),
        engine="interpreter",
        progress=False,
    )
    return net.evaluate(X[:200], y[:200])["accuracy"], net.evaluate(X[200:], y[200:])["accuracy"]


def bars() -> tuple[np.ndarray, np.ndarray]:
    """Images with a bar of four pixels somewhere, and whether it stands upright."""
    random = np.random.default_rng(0)
    images, upright = random.normal(0, 0.2, size=(400, 8, 8, 1)), random.integers(0, 2, 400)
    for image, up in zip(images, upright, strict=True):
        line, start = random.integers(0, 8), random.integers(0, 5)
        bar = (image.swapaxes(0, 1) if up else image)[line, start : start + 4]
        bar += 1
    return images, upright


def test_sharing_weights_generalises_to_places_not_seen() -> None:
    images, upright = bars()
    convolution = [gn.Conv2D(4, 3, activation="relu"), gn.GlobalMaxPool2D(), gn.Dense(1)]
    dense = [gn.Flatten(), gn.Dense(32, activation="relu"), gn.Dense(1)]
    for seed in range(2):
        seen, unseen = accuracies(convolution, images, upright, seed)
        assert seen > 0.97
        assert unseen > 0.95
        seen, unseen = accuracies(dense, images, upright, seed)
        assert seen == 1
        assert unseen < 0.92


def test_a_recurrent_network_learns_to_remember() -> None:
    X = np.random.default_rng(0).normal(size=(400, 8, 1))
    assert min(accuracies([gn.SimpleRNN(8), gn.Dense(1)], X, (X[:, 0, 0] > 0).astype(int), seed=0)) > 0.9
