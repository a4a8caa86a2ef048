"""Curriculum item 23: two or not two, ten digits, and eleven outputs with "none of the above"."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn

DIGITS = gn.data.load_digits()
X, Y = DIGITS.images.reshape(-1, 64) / 16, DIGITS.labels
TRAINING, TEST = DIGITS.split()
NONE = 10


def shuffled(rows: np.ndarray, key: gn.random.Key) -> np.ndarray:
    return np.stack([X[row][gn.random.permutation(key.at(i), 64)] for i, row in enumerate(rows)])


def noise(count: int, key: gn.random.Key) -> np.ndarray:
    return gn.random.randint(key, (count, 64), 0, 17) / 16


def classifier(outputs: int, seed: int) -> gn.Network:
    layers = [gn.Dense(64, activation="relu"), gn.Dense(outputs)]
    return gn.Network(layers, loss="cross_entropy", seed=seed)


@pytest.fixture(scope="module", params=[0, 1])
def eleven(request: pytest.FixtureRequest) -> gn.Network:
    """Trained on digits and on two non-digits for each."""
    key = gn.random.key(request.param)
    others = [shuffled(TRAINING, key.fold(2)), noise(len(TRAINING), key.fold(3))]
    images = np.concatenate([X[TRAINING], *others])
    labels = np.concatenate([Y[TRAINING], np.full(2 * len(TRAINING), NONE)])
    net = classifier(11, request.param)
    net.fit(images, labels, epochs=30, optimizer=gn.Adam(0.003), progress=False)
    return net


@pytest.mark.parametrize("seed", [0, 1])
def test_two_or_not_two_has_one_output(seed: int) -> None:
    net = gn.Network([gn.Dense(32, activation="relu"), gn.Dense(1)], loss="binary_cross_entropy", seed=seed)
    net.fit(X[TRAINING], Y[TRAINING] == 2, epochs=30, optimizer=gn.Adam(0.003), progress=False)
    assert net.output_shape == (1,)
    figures = net.evaluate(X[TEST], Y[TEST] == 2, metrics=["accuracy", "precision", "recall", "roc_auc"])
    assert figures["accuracy"] > 0.99
    assert min(figures["precision"], figures["recall"], figures["roc_auc"]) > 0.95
    row = X[TEST[0]]
    delta = net.trace(row, [Y[TEST[0]] == 2])["dense_2"].delta
    assert delta[0] == pytest.approx(net.predict_proba(row[None])[0, 1] - (Y[TEST[0]] == 2), abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_digits_have_ten_probabilities_and_trust_in_anything(seed: int) -> None:
    net = classifier(10, seed)
    net.fit(X[TRAINING], Y[TRAINING], epochs=40, optimizer=gn.Adam(0.003), progress=False)
    assert net.evaluate(X[TEST], Y[TEST])["accuracy"] > 0.96
    np.testing.assert_allclose(net.predict_proba(X[TEST]).sum(axis=1), 1, rtol=1e-5)
    sure = net.predict_proba(noise(len(TEST), gn.random.key(9))).max(axis=1) > 0.9
    assert np.mean(sure) > 0.4


def test_eleven_outputs_read_digits_as_well_as_ten(eleven: gn.Network) -> None:
    assert eleven.output_shape == (11,)
    assert eleven.evaluate(X[TEST], Y[TEST])["accuracy"] > 0.96
    assert np.mean(eleven.predict(X[TEST]) == NONE) < 0.01


def test_held_out_non_digits_of_both_kinds_are_none_of_the_above(eleven: gn.Network) -> None:
    key = gn.random.key(77)  # other permutations and other noise than in training, of other digits
    for images in (shuffled(TEST, key.fold(0)), noise(len(TEST), key.fold(1))):
        assert np.mean(eleven.predict(images) == NONE) > 0.99


def test_what_has_the_strokes_of_digits_passes_for_one(eleven: gn.Network) -> None:
    square = X[TEST].reshape(-1, 8, 8)
    halves = np.concatenate([square[:, :4], np.roll(square, 1, axis=0)[:, 4:]], axis=1)
    refused = [
        np.mean(eleven.predict(images.reshape(-1, 64)) == NONE)
        for images in (1 - square, square[:, ::-1], halves)
    ]
    assert refused[0] > 0.95
    assert max(refused[1:]) < 0.05
