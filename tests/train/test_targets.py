"""Data on its way in: what is taken, and one sentence for each mistake."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.errors import DataError, GlassnetError, ShapeError
from glassnet.losses import LOSSES
from glassnet.train.targets import Encoding, as_numbers, as_rows, as_targets

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
SOFTMAX, SIGMOID, SQUARES = (
    LOSSES[name] for name in ("cross_entropy", "binary_cross_entropy", "mean_squared_error")
)


def learn(y: object, outputs: int, loss: object = SOFTMAX) -> tuple[Encoding, np.ndarray]:
    targets = as_targets(y, len(y))
    encoding = Encoding.learn(targets, loss, (outputs,), FLOAT64)
    return encoding, encoding.encode(targets)


@pytest.mark.parametrize(
    "X",
    [
        [[1, 2], [3, 4]],
        [[True, False]],
        np.ones((2, 3, 4), np.float16),
        np.array([[1, 2.5]], object),
        np.eye(3).T,
    ],
    ids=["lists", "booleans", "half precision", "objects", "view"],
)
def test_numbers_of_any_kind_become_rows_of_the_network_s_dtype(X: object) -> None:
    rows = as_rows(X, FLOAT32)
    assert rows.dtype == FLOAT32
    assert rows.flags.c_contiguous
    assert np.array_equal(rows, np.asarray(X).astype(np.float32))


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        ([1.0, 2.0], r"X has shape \(2,\); .*: write X\.reshape\(-1, 1\) for one feature"),
        (5, r"X has shape \(\)"),
        ([[1, 2], [3]], r"X has rows of different lengths; it takes one length for all\."),
        (np.zeros((0, 3)), r"X has shape \(0, 3\) and so holds no numbers"),
        (np.zeros((3, 0)), r"X has shape \(3, 0\) and so holds no numbers"),
        ([[1, 2], [3, np.nan]], r"X holds nan in row 1, column 1; remove or replace it\."),
        ([[1, -np.inf]], r"X holds -inf in row 0, column 1; remove or replace it\."),
        ([[1, 2], [3, "four"]], r"X holds 'four' in row 1, column 1, which is not a number"),
        (np.array([["a", "b"]]), r"X holds 'a' in row 0, column 0, which is not a number"),
        ([[1, None]], r"X holds None in row 0, column 1, which is not a number"),
        (np.array([[1j]]), r"X holds complex128 values; it takes real numbers"),
        (np.array([["2020-01-01"]], "M8[D]"), r"X holds datetime64\[D\] values; it takes real numbers"),
        ([[0, 1e39]], r"X holds 1e\+39 in row 0, column 1, which is too large for float32; .*float64"),
        (np.full((1, 2, 2), np.nan), r"X holds nan in row 0, column 0, 0"),
    ],
    ids=str,
)
def test_rows_that_cannot_be_used_are_refused_with_their_place(X: object, sentence: str) -> None:
    with pytest.raises((DataError, ShapeError), match=sentence) as caught:
        as_rows(X, FLOAT32)
    assert "\n" not in str(caught.value)


def test_what_is_too_large_for_float32_is_a_number_in_float64() -> None:
    assert as_numbers([[1e39]], FLOAT64, "X").tolist() == [[1e39]]


@pytest.mark.parametrize(
    ("y", "classes", "indices"),
    [
        ([2, 0, 2], [0, 1, 2], [2, 0, 2]),
        ([10, 30, 20], [10, 20, 30], [0, 2, 1]),
        ([-1, 5, 0], [-1, 0, 5], [0, 2, 1]),
        ([2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [2, 0, 1]),
        (["b", "c", "a"], ["a", "b", "c"], [1, 2, 0]),
        (np.array(["b", "c", "a"], object), ["a", "b", "c"], [1, 2, 0]),
        (np.array([2, 0, 1], np.uint8), [0, 1, 2], [2, 0, 1]),
        (np.array([2, 0, 1], object), [0, 1, 2], [2, 0, 1]),
    ],
    ids=["0..2", "integers", "negative", "floats", "text", "text objects", "bytes", "integer objects"],
)
def test_labels_become_indices_and_come_back(y: object, classes: list, indices: list) -> None:
    encoding, target = learn(y, outputs=3)
    assert encoding.classes.tolist() == classes
    assert (target.tolist(), target.dtype) == (indices, np.dtype("int32"))
    assert encoding.labels(target).tolist() == list(y)
    assert encoding.decode(np.eye(3)[target]).tolist() == list(y)
    # The classes are what a JSON file gives back.
    assert np.array(encoding.classes.tolist()).dtype == encoding.classes.dtype


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["yes", "no", "yes"], ["no", "yes"]),
        ([1, 0, 1], [0, 1]),
        ([1, 1, 1], [0, 1]),
        ([1, -1, 1], [-1, 1]),
        ([1.0, 0.0, 1.0], [0.0, 1.0]),
        ([True, False, True], [False, True]),
        ([True, True, True], [False, True]),
    ],
    ids=str,
)
def test_one_sigmoid_output_tells_two_labels_apart(y: list, classes: list) -> None:
    encoding, target = learn(y, 1, SIGMOID)
    assert encoding.classes.tolist() == classes
    assert target.tolist() == [[float(label == classes[1])] for label in y]
    assert encoding.decode(target).tolist() == y
    assert all(type(label) is type(y[0]) for label in encoding.decode(target).tolist())


def test_columns_of_probabilities_are_taken_as_they_are() -> None:
    rows = [[0.2, 0.3, 0.5], [0, 1, 0]]
    encoding, target = learn(rows, 3)
    assert target.tolist() == rows
    assert encoding.labels(target).tolist() == [2, 1]
    encoding, target = learn([[0.25], [1.0]], 1, SIGMOID)
    assert target.tolist() == [[0.25], [1.0]]
    assert encoding.labels(target).tolist() == [0, 1]
    encoding, target = learn([[0, 1], [1, 1]], 2, SIGMOID)
    assert encoding.classes is None
    assert encoding.labels(target).tolist() == [[0, 1], [1, 1]]


def test_values_are_a_column_for_one_output() -> None:
    assert learn([1, 2], 1, SQUARES)[1].tolist() == [[1.0], [2.0]]
    assert learn([[1], [2]], 1, SQUARES)[1].tolist() == [[1.0], [2.0]]
    assert learn([[1, 2], [3, 4]], 2, SQUARES)[1].tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("y", "outputs", "loss", "sentence"),
    [
        (
            ["a", "b", "c"],
            2,
            SOFTMAX,
            r"y holds 3 classes, but the network tells 2 apart; end it with Dense\(3\)\.",
        ),
        (
            ["a", "b"],
            5,
            SOFTMAX,
            r"y holds 2 classes, but .* 5 apart; end it with Dense\(2\), or list all in Network",
        ),
        ([0, 1, 7], 2, SOFTMAX, r"y holds 3 classes, but .* 2 apart; end it with Dense\(3\)\."),
        (
            ["a", "a"],
            2,
            SOFTMAX,
            r"y holds 1 class, but the network tells 2 apart; give rows of every class, or Network\(classes",
        ),
        ([0, 1, 2], 1, SIGMOID, r'y holds 3 classes.*end it with Dense\(3\) and loss="cross_entropy"\.'),
        ([True, False], 3, SOFTMAX, r"y holds 2 classes, but the network tells 3 apart"),
        ([0.5, 1.0], 2, SOFTMAX, r'y holds 0\.5, which is no class label; .*"mean_squared_error"'),
        ([0.0, np.nan], 2, SOFTMAX, r"y holds nan in row 1; remove or replace it\."),
        (
            ["a", None],
            2,
            SOFTMAX,
            r"y holds None in row 1; it takes text, numbers or booleans, all of a kind\.",
        ),
        (["a", float("nan")], 2, SOFTMAX, r"y holds nan in row 1; it takes text"),
        (["a", 1], 2, SOFTMAX, r"y holds 1 in row 1; it takes text"),
        (np.array([1, True], object), 2, SOFTMAX, r"y holds True in row 1; it takes text"),
        (np.array([None]), 2, SOFTMAX, r"y holds None in row 0; it takes text"),
        (np.array(["2020"], "M8[Y]"), 2, SOFTMAX, r"y holds labels of type datetime64\[Y\]; they are text"),
        (
            [[0.5, 0.6]],
            2,
            SOFTMAX,
            r"y sums to 1\.1 in row 0; cross_entropy takes labels, one-hot rows, or dist",
        ),
        (
            [[1.0, 0.0], [2.0, -1.0]],
            2,
            SOFTMAX,
            r"y holds 2\.0 in row 1, column 0; .* probabilities in \[0, 1\]",
        ),
        (
            [[0], [1]],
            3,
            SOFTMAX,
            r"y has shape \(2, 1\), .*takes labels of shape \(2,\), or y of shape \(2, 3\); labels in a",
        ),
        ([0, 1], 3, SIGMOID, r"y has shape \(2,\), .*\(3,\) for each row; it takes y of shape \(2, 3\)\."),
        ([1.0, 2.0], 2, SQUARES, r"y has shape \(2,\), .*it takes y of shape \(2, 2\)\."),
        ([[1.0], [2.0]], 2, SQUARES, r"y has shape \(2, 1\), .*it takes y of shape \(2, 2\)\."),
        (["a", "b"], 1, SQUARES, r"y holds 'a' in row 0, which is not a number"),
        ([1.0, np.inf], 1, SQUARES, r"y holds inf in row 1; remove or replace it\."),
    ],
    ids=str,
)
def test_targets_that_cannot_be_used_are_refused_in_one_sentence(
    y: object, outputs: int, loss: object, sentence: str
) -> None:
    with pytest.raises(GlassnetError, match=sentence) as caught:
        learn(y, outputs, loss)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "got"),
    [([1, 2], "has 2 rows"), (3, "is a single value"), ([], "has 0 rows"), ("yes", "is a single value")],
)
def test_a_wrong_number_of_targets_is_refused(y: object, got: str) -> None:
    with pytest.raises(ShapeError, match=f"y {got} and X has 3; it takes one value"):
        as_targets(y, 3)


def test_a_label_that_was_not_learnt_is_refused_with_the_known_ones() -> None:
    encoding, _ = learn(["a", "b", "c"], 3)
    with pytest.raises(DataError, match=r"y holds the label 'd' in row 1, .*the classes 'a', 'b', 'c';"):
        encoding.encode(as_targets(["a", "d"], 2))
    with pytest.raises(DataError, match=r"y holds the label 7 in row 0"):
        encoding.encode(as_targets([7], 1))
    encoding, _ = learn(list(range(20)), 20)
    with pytest.raises(DataError, match=r"the label 20 in row 0, .* 10, 11, \.\.\.; they are"):
        encoding.encode(as_targets([20], 1))


def test_a_label_in_another_type_of_number_is_the_same_label() -> None:
    encoding, _ = learn([0, 1, 2], 3)
    assert encoding.encode(as_targets([2.0, 0.0], 2)).tolist() == [2, 0]
