"""Mistakes of the user, each answered in one sentence that names the layer, the row or the option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DataError, DivergedError, GlassnetError, ShapeError

X = np.random.default_rng(0).normal(size=(8, 3))
LABELS = np.arange(8) % 3
ONE_HOT = np.eye(3)[LABELS]
SEQUENCES = np.ones((8, 5, 2))
BEYOND = np.where(np.arange(24).reshape(8, 3) == 7, 4.0, 1.0)
WORDS = [gn.nn.Embedding(4, 2), gn.nn.Flatten(), gn.Dense(3)]


def fit(layers: list[gn.nn.Layer], X: Any, y: Any, loss: str = "cross_entropy", **options: Any) -> gn.Network:
    net = gn.Network(layers, loss)
    net.fit(X, y, **{"epochs": 1, "engine": "interpreter"} | options)
    return net


CASES: dict[str, tuple[Any, type[GlassnetError], str]] = {
    "a layer that takes something else": (
        lambda: fit([gn.Dense(4), gn.nn.LSTM(3), gn.Dense(3)], X, LABELS),
        ShapeError,
        r"Layer 2, lstm_2: LSTM\(3, tanh\) takes sequences .* shape \(4,\): .*\(dense_1, .*, gives them\)",
    ),
    "the first layer takes something else": (
        lambda: fit([gn.nn.Conv2D(3, 3), gn.nn.Flatten(), gn.Dense(3)], X, LABELS),
        ShapeError,
        r"Conv2D\(3, .*\) takes images \(height, width, channels\), but gets examples of shape \(3,\)",
    ),
    "no Flatten before the last layer": (
        lambda: fit([gn.nn.Conv2D(4, 3), gn.Dense(3)], np.ones((8, 6, 6, 1)), LABELS),
        ShapeError,
        r"output has shape \(4, 4, 3\) for each row; .* put Flatten\(\) or a global pooling before the last",
    ),
    "a label outside the classes": (
        lambda: fit([gn.Dense(3)], X, LABELS).fit(X, LABELS + 1),
        DataError,
        "y holds the label 3 in row 2, which is none of the classes 0, 1, 2; they are those of the first",
    ),
    "more labels than outputs": (
        lambda: fit([gn.Dense(3)], X, np.arange(8)),
        DataError,
        r"y holds 8 classes, but the network tells 3 apart; end it with Dense\(8\)",
    ),
    "one-hot rows of another width": (
        lambda: fit([gn.Dense(4)], X, ONE_HOT),
        ShapeError,
        r"labels of shape \(8,\), or y of shape \(8, 4\); y looks one-hot: the labels are y.argmax\(",
    ),
    "one-hot for one yes-or-no output": (
        lambda: fit([gn.Dense(1)], X, ONE_HOT[:, :2] + [[0, 0]], "binary_cross_entropy"),
        ShapeError,
        r"y has shape \(8, 2\), but the network's output has shape \(1,\)",
    ),
    "labels in a column": (
        lambda: fit([gn.Dense(3)], X, np.array(["a", "b", "c"])[LABELS][:, None]),
        ShapeError,
        r"y has shape \(8, 1\), .* labels of shape \(8,\), or y of .*; labels in a column are y\.ravel\(\)",
    ),
    "labels of positions in columns": (
        lambda: fit([gn.Dense(3)], SEQUENCES, np.ones((8, 5, 1), int)),
        ShapeError,
        r"y has shape \(8, 5, 1\), .*; labels in a column are y\[\.\.\., 0\]",
    ),
    "labels where distributions are meant": (
        lambda: fit([gn.Dense(3)], X, LABELS, "kl_divergence"),
        ShapeError,
        r"it takes y of shape \(8, 3\), each row a distribution",
    ),
    "values for two outputs in one column": (
        lambda: fit([gn.Dense(2)], X, X[:, 0], "mean_squared_error"),
        ShapeError,
        r"y has shape \(8,\), .*output has shape \(2,\) for each row; it takes y of shape \(8, 2\)",
    ),
    "a row in place of a column": (
        lambda: fit([gn.Dense(1)], X, X[:, :1].T, "mean_squared_error"),
        ShapeError,
        "y has 1 row and X has 8",
    ),
    "softmax twice": (
        lambda: gn.Network([gn.Dense(3, activation="softmax"), gn.nn.Activation("softmax")], "cross_entropy"),
        ConfigurationError,
        "applies softmax to z, but dense_1 has applied softmax before: probabilities would be squashed twice",
    ),
    "softmax behind dropout": (
        lambda: gn.Network([gn.Dense(3, activation="softmax"), gn.nn.Dropout(0.5)], "cross_entropy"),
        ConfigurationError,
        "take the activation out of dense_1",
    ),
    "sigmoid before softmax": (
        lambda: gn.Network([gn.Dense(3, activation="sigmoid")], "cross_entropy"),
        ConfigurationError,
        "contains the output activation softmax, but the last layer, dense_1, is",
    ),
    "probabilities that are none": (
        lambda: gn.Network([gn.Dense(3)], "cross_entropy_from_probabilities"),
        ConfigurationError,
        'takes probabilities, but the last layer, dense_1, is .*; use loss="cross_entropy"',
    ),
    "one output for a softmax": (
        lambda: fit([gn.Dense(1)], X, LABELS % 2),
        ConfigurationError,
        'makes it always 1; .* or use loss="binary_cross_entropy"',
    ),
    "a softmax of one value": (
        lambda: fit([gn.Dense(1, activation="softmax")], X, X[:, 0], "mean_squared_error"),
        ConfigurationError,
        "the softmax of dense_1 makes it always 1; give dense_1 another activation",
    ),
    "three labels for one score": (
        lambda: fit([gn.Dense(1)], X, LABELS, "hinge"),
        DataError,
        r'y holds 3 classes, but the network tells 2 apart; .* Dense\(3\) and loss="multiclass_hinge"',
    ),
    "rates that may be negative": (
        lambda: gn.Network([gn.Dense(1)], gn.losses.Poisson(log_rate=False)),
        ConfigurationError,
        r'last layer, dense_1, is Dense\(1, identity\), .*="softplus" or "exponential", or use log_rate=True',
    ),
    "negative counts": (
        lambda: fit([gn.Dense(1)], X, LABELS - 1.0, "poisson"),
        DataError,
        r"y holds -1\.0 in row 0, column 0; poisson takes numbers of at least 0",
    ),
    "NaN in X": (
        lambda: fit([gn.Dense(3)], np.where(np.arange(24).reshape(8, 3) == 13, np.nan, X), LABELS),
        DataError,
        "X holds nan in row 4, column 1; remove or replace it",
    ),
    "NaN in y": (
        lambda: fit([gn.Dense(2)], X, np.where(X[:, :2] == X[3, 1], np.nan, 1.0), "mean_squared_error"),
        DataError,
        "y holds nan in row 3, column 1",
    ),
    "no rows": (
        lambda: fit([gn.Dense(3)], np.zeros((0, 3)), []),
        DataError,
        r"X has shape \(0, 3\) and so holds no numbers",
    ),
    "an empty batch": (
        lambda: fit([gn.Dense(3)], X, LABELS, batch_size=0),
        ConfigurationError,
        "fit got batch_size=0; it takes a whole number of 1 or more",
    ),
    "no rows to predict": (
        lambda: fit([gn.Dense(3)], X, LABELS).predict(np.zeros((0, 3))),
        DataError,
        r"X has shape \(0, 3\) and so holds no numbers",
    ),
    "X and y exchanged": (
        lambda: fit([gn.Dense(3)], LABELS, X),
        ShapeError,
        r"X has shape \(8,\); it takes one row an example, shape \(rows, features\)",
    ),
    "no y": (
        lambda: gn.Network([gn.Dense(3)], "cross_entropy").fit(X),
        ConfigurationError,
        "fit got X and no y; give the targets, or a source that holds both",
    ),
    "a sequence longer than the positions": (
        lambda: fit([gn.nn.LearnedPositions(3), gn.nn.Flatten(), gn.Dense(3)], SEQUENCES, LABELS),
        ShapeError,
        r"LearnedPositions\(3\) takes sequences of at most 3 positions, but gets examples of shape \(5, 2\)",
    ),
    "an index outside the vocabulary": (
        lambda: fit([gn.nn.Embedding(4, 2), gn.nn.Flatten(), gn.Dense(3)], np.full((8, 2), 7), LABELS),
        DataError,
        r"X does not suit embedding_1: Embedding\(4, 2\) got the index 7\.0 at position \(0, 0\); it takes",
    ),
    "an index that is no whole number": (
        lambda: fit([gn.nn.Sequential([gn.nn.Embedding(4, 2)]), gn.nn.Flatten(), gn.Dense(3)], X, LABELS),
        DataError,
        "X does not suit sequential_1: .* it takes whole numbers from 0 to 3",
    ),
    "an index outside the vocabulary in parallel layers": (
        lambda: fit(
            [gn.nn.Parallel([gn.nn.Embedding(4, 2), gn.nn.Embedding(9, 2)])], np.full((8, 2), 7), LABELS
        ),
        DataError,
        r"X does not suit parallel_1: Embedding\(4, 2\) got the index 7\.0",
    ),
    "an index outside the vocabulary behind a function": (
        lambda: fit([gn.nn.Lambda(lambda x: x + 4), *WORDS], np.ones((8, 2)), LABELS),
        DataError,
        r"Row 0: Embedding\(4, 2\) got the index 5\.0 at position 0; it takes whole numbers from 0 to 3",
    ),
    "an index outside the vocabulary in a composition": (
        lambda: fit(
            [gn.nn.Compose(lambda layers, x: layers.words(x), words=WORDS[0]), *WORDS[1:]], BEYOND, LABELS
        ),
        DataError,
        r"Row 2: Embedding\(4, 2\) got the index 4\.0 at position 1; it takes whole",
    ),
    "classes that are too few": (
        lambda: gn.Network([gn.Dense(3)], "cross_entropy", classes=["a", "b"], input_shape=3),
        ConfigurationError,
        r"Network got classes=\['a', 'b'\], but the network tells 3 apart",
    ),
    "a class twice": (
        lambda: gn.Network([gn.Dense(3)], "cross_entropy", classes=["a", "b", "a"]),
        ConfigurationError,
        r"Network got classes=\['a', 'b', 'a'\]; it takes a list of labels, each once",
    ),
    "classes that are no list": (
        lambda: gn.Network([gn.Dense(3)], "cross_entropy", classes="abc"),
        ConfigurationError,
        "Network got classes='abc'; it takes a list of labels",
    ),
    "classes of a regressor": (
        lambda: gn.Network([gn.Dense(1)], "mean_squared_error", classes=[1, 2], input_shape=3),
        ConfigurationError,
        r"classes=\[1, 2\], but the outputs of mean_squared_error do not choose one of several",
    ),
    "a reduction that is none": (
        lambda: gn.Network([gn.Dense(1)], "mean_squared_error", reduction="average"),
        ConfigurationError,
        'Network got reduction=\'average\'; it takes "mean" or "sum"',
    ),
    "a metric alone": (
        lambda: fit([gn.Dense(3)], X, LABELS, metrics="accuracy"),
        ConfigurationError,
        r"fit got metrics='accuracy'; it takes a list, such as \[\"accuracy\"\]",
    ),
    "a metric of the other kind": (
        lambda: fit([gn.Dense(3)], X, LABELS, metrics=["r2"]),
        ConfigurationError,
        "The metric r2 is for regression and the network's loss for classification",
    ),
    "an optimiser that is none": (
        lambda: fit([gn.Dense(3)], X, LABELS, optimizer=[1]),
        ConfigurationError,
        r"optimizer=\[1\] is not one of",
    ),
    "a transform that makes no steps": (
        lambda: fit([gn.Dense(3)], X, LABELS, optimizer=gn.optim.ClipByValue(1.0)),
        ConfigurationError,
        "got ClipByValue, which has no learning rate; put an optimiser behind it",
    ),
    "a rate that is too large": (
        lambda: fit(
            [gn.Dense(8), gn.Dense(1)],
            100 * X,
            X[:, 0],
            "mean_squared_error",
            epochs=50,
            optimizer=gn.SGD(1e3),
        ),
        DivergedError,
        r"The loss became (inf|nan) in step 1 of epoch \d+ \(dense_\d.weight .*try a learning rate ten",
    ),
    "a layer that has no value for the data": (
        lambda: fit([gn.Dense(3), gn.nn.Lambda(gnp.log), gn.Dense(1)], X, X[:, 0], "mean_squared_error"),
        DivergedError,
        r"nan in the first step, .* the output of lambda_2, Lambda\(log\), is not finite for row \d of the",
    ),
    "a loss that has no value for the outputs": (
        lambda: fit([gn.Dense(1)], 1e3 * X, LABELS, "poisson"),
        DivergedError,
        "loss was inf in the first step, .*so the learning rate is not to blame: the loss of the outputs",
    ),
    "a schedule below 0": (
        lambda: fit([gn.Dense(3)], X, LABELS, batch_size=2, optimizer=gn.SGD(lambda step: 0.5 - 0.2 * step)),
        ConfigurationError,
        r"The schedule Custom gives the rate -0\.1 in step 3; a rate is a finite number of at least 0",
    ),
    "a schedule without an end": (
        lambda: fit([gn.Dense(3)], X, LABELS, batch_size=2, optimizer=gn.SGD(lambda step: 1 / (2.0 - step))),
        ConfigurationError,
        "The schedule Custom gives the rate inf in step 2",
    ),
    "probabilities of scores": (
        lambda: fit([gn.Dense(1)], X, LABELS % 2, "hinge").predict_proba(X),
        ConfigurationError,
        "hinge gives scores and no probabilities; use predict, or train with",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_answered_in_one_sentence(case: str) -> None:
    make, kind, sentence = CASES[case]
    with pytest.raises(kind, match=sentence) as caught:
        make()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400


# -- what looks like a mistake and is none


@pytest.mark.parametrize("loss", ["mean_squared_error", "half_squared_error"])
def test_values_in_a_row_and_in_a_column_are_the_same(loss: str) -> None:
    flat, column = (fit([gn.Dense(1)], X, y, loss, epochs=3) for y in (X[:, 0], X[:, :1]))
    assert np.array_equal(flat.predict(X), column.predict(X))
    assert flat.predict(X).shape == (8,)


def test_the_classes_come_in_the_order_given_and_may_lack_rows() -> None:
    net = gn.Network([gn.Dense(3)], "cross_entropy", classes=["c", "b", "a"])
    net.fit(X, np.array(["a", "c"])[LABELS % 2], epochs=50, optimizer=gn.Adam(0.1), engine="interpreter")
    probabilities = net.predict_proba(X)
    assert set(net.predict(X)) <= {"a", "c"}
    assert probabilities[:, 1].max() < 0.5
    assert net.evaluate(X, np.array(["a", "c"])[LABELS % 2])["loss"] == pytest.approx(
        -np.log(probabilities[np.arange(8), np.where(LABELS % 2, 0, 2)]).mean(), rel=1e-5
    )


def test_two_signs_come_back_as_they_were_given() -> None:
    signs = np.where(X > 0, 1, -1)
    one, several, named = (
        fit([gn.Dense(outputs)], X, y, "hinge", epochs=300, optimizer=gn.Adam(0.1))
        for outputs, y in ((1, signs[:, :1]), (3, signs), (1, np.where(X[:, 0] > 0, "up", "down")))
    )
    assert one.predict(X).tolist() == signs[:, 0].tolist()
    assert several.predict(X).tolist() == signs.tolist()
    assert named.predict(X).tolist() == np.where(X[:, 0] > 0, "up", "down").tolist()


def test_distributions_are_predicted_by_their_likeliest_column() -> None:
    net = fit([gn.Dense(3)], X, ONE_HOT, "kl_divergence", epochs=5)
    assert net.predict(X).tolist() == net.predict_proba(X).argmax(axis=1).tolist()
    assert net.evaluate(X, ONE_HOT)["accuracy"] == np.mean(net.predict(X) == LABELS)
