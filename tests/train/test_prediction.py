"""Predictions run compiled: the interpreter's numbers for any number of rows, at once and in any order."""

from __future__ import annotations

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import execute
from glassnet.execute import FallbackWarning
from glassnet.nn import Conv2D, Embedding, Flatten, Lambda, LayerNorm, MaxPool2D, MultiHeadAttention
from glassnet.train import prediction
from glassnet.train.evaluation import Evaluator
from glassnet.train.finite import all_finite
from glassnet.train.prediction import PIECE_ROWS, RowProgram

LABELS = list(range(3))
NETWORKS: dict[str, tuple[list[gn.nn.Layer], tuple[int, ...]]] = {
    "dense": ([gn.Dense(7, activation="tanh"), gn.Dense(3)], (5,)),
    "images": ([Conv2D(4, 3, activation="relu"), MaxPool2D(2), Flatten(), gn.Dense(3)], (6, 6, 1)),
    "sequences": ([gn.nn.LSTM(4), gn.Dense(3)], (4, 2)),
    "attention": ([MultiHeadAttention(2), LayerNorm(), Flatten(), gn.Dense(3)], (3, 4)),
    "statistics": ([gn.Dense(4), gn.nn.BatchNorm(), gn.nn.Dropout(0.5), gn.Dense(3)], (5,)),
}


def network(name: str = "dense", **options: Any) -> tuple[gn.Network, np.ndarray]:
    """A network of three classes and 130 rows for it: two whole pieces and one that is filled up."""
    layers, shape = NETWORKS[name]
    net = gn.Network(layers, "cross_entropy", input_shape=shape, classes=LABELS, **options)
    return net, np.random.default_rng(1).normal(size=(130, *shape)).astype(net.dtype)


def interpreted(net: gn.Network, X: np.ndarray) -> np.ndarray:
    return Evaluator(net._composition, "interpreter").output(net._model, X)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the data of every graph that is compiled from here on."""
    shapes: list[tuple[int, ...]] = []
    function = prediction.function

    def watched(graph: Any, engine: str) -> Any:
        shapes.append(graph.inputs[-1].shape)
        return function(graph, engine)

    monkeypatch.setattr(prediction, "function", watched)
    return shapes


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_and_interpreted_predictions_agree(name: str, dtype: str) -> None:
    net, X = network(name, dtype=dtype)
    expected = interpreted(net, X)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for rows in (1, 2, PIECE_ROWS, PIECE_ROWS + 1, len(X)):
        got = net.predict_proba(X[:rows])
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected[:rows], rtol=tolerance, atol=tolerance)


def test_two_programs_serve_any_number_of_rows(compiled: list[tuple[int, ...]]) -> None:
    net, X = network()
    for rows in (3, 1, 130, 2, 1, 64):
        net.predict(X[:rows])
    assert compiled == [(PIECE_ROWS, 5), (1, 5)]


def test_the_parameters_of_the_moment_are_used_and_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net, X = network()
    before = net.predict_proba(X)
    net.parameters = {name: 2 * value for name, value in net.parameters.items()}
    after = net.predict_proba(X)
    np.testing.assert_allclose(after, interpreted(net, X), rtol=1e-5)
    assert np.abs(after - before).max() > 0.01
    bound: list[Any] = []
    (piece,) = net._evaluator._outputs._pieces.values()
    monkeypatch.setattr(piece._function, "bind", bound.append)
    net.predict(X)
    assert not bound
    net.fit(X, np.arange(130) % 3, epochs=1)
    net.predict(X)
    assert len(bound) == 1


def test_results_are_arrays_of_their_own() -> None:
    net, X = network()
    for rows in (X[:1], X[:9]):
        first = net.predict_proba(rows)
        kept = first.copy()
        net.predict_proba(rows + 1)
        assert np.array_equal(first, kept)
        assert first.flags.writeable


def test_one_row_is_accepted_in_any_form() -> None:
    net, X = network()
    row = X[:1]
    forms: list[Any] = [row.tolist(), row.astype(np.float64), np.asfortranarray(X)[:1], X[::2][:1], row]
    assert [net.predict_proba(form).tolist() for form in forms] == [net.predict_proba(row).tolist()] * 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused_at_its_place(bad: float) -> None:
    net, X = network()
    X[0, 3] = bad
    with pytest.raises(gn.errors.DataError, match=f"X holds {bad} in row 0, column 3"):
        net.predict(X[:1])


def test_large_numbers_are_finite_although_their_squares_are_not() -> None:
    large = np.full(5, 3e38, np.float32)
    assert all_finite(large)
    assert not all_finite(np.append(large, np.nan))
    assert not all_finite(np.array([0.0, -np.inf]))


def test_threads_may_share_a_network() -> None:
    net, X = network()
    expected = net.predict_proba(X).copy()
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda i: net.predict_proba(X[i : i + 2]), range(0, 128, 2), chunksize=4))
    assert np.array_equal(np.concatenate(got), expected[:128])


def test_copies_and_pickles_predict_the_same() -> None:
    net, X = network()
    expected = net.predict_proba(X)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(other.predict_proba(X), expected)


def test_loss_and_metrics_come_from_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    net, X = network()
    calls: list[int] = []
    run = RowProgram.__call__
    monkeypatch.setattr(RowProgram, "__call__", lambda *args: calls.append(1) or run(*args))
    figures = net.evaluate(X, np.arange(130) % 3, metrics=["accuracy", "log_loss"])
    assert len(calls) == 1
    assert figures["loss"] == pytest.approx(figures["log_loss"], rel=1e-5)
    net.fit(X, np.arange(130) % 3, epochs=2, validation_fraction=0.2, metrics=["accuracy"])
    assert len(calls) == 1  # the training program takes the tallies
    net.fit(X, np.arange(130) % 3, epochs=2, validation_fraction=0.2, metrics=["accuracy", "log_loss"])
    assert len(calls) == 1 + 2 * 2  # an epoch: the metrics of the training rows, all of the validation rows


def test_the_interpreter_can_be_asked_for_in_fit(compiled: list[tuple[int, ...]]) -> None:
    net, X = network()
    net.fit(X, np.arange(130) % 3, epochs=1, validation_fraction=0.2, engine="interpreter")
    assert compiled == [(26,)]  # the rows set aside, none filled up
    assert net._evaluator._judgements._pieces == {}


def test_equal_calls_give_equal_bits_from_the_first_one_on() -> None:
    layers = [gn.LayerNorm(), gn.MultiHeadAttention(2), gn.GlobalAveragePool1D(), gn.Dense(3)]
    net = gn.Network(layers, "cross_entropy", input_shape=(4, 8), classes=[0, 1, 2])
    X = np.random.default_rng(0).normal(size=(5, 4, 8))
    answers = {net.predict_proba(X).tobytes() for _ in range(4)}
    assert len(answers) == 1


def test_what_looks_across_the_rows_sees_no_filling() -> None:
    net = gn.Network([Lambda(lambda x: x - gnp.batch_mean(x))], "mean_squared_error", input_shape=1)
    assert net.predict([[1.0], [2.0], [6.0]]).tolist() == [-2.0, -1.0, 3.0]


def test_what_the_compiler_refuses_the_interpreter_predicts_with_one_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execute, "_said", set())
    net = gn.Network([Lambda(gnp.sort)], "mean_squared_error", input_shape=3)
    with pytest.warns(FallbackWarning, match="The interpreter runs this network") as said:
        assert net.predict([[3.0, 1.0, 2.0]]).tolist() == [[1.0, 2.0, 3.0]]
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert net.predict([[3.0, 1.0, 2.0], [0.0, 2.0, 1.0]]).tolist() == [[1, 2, 3], [0, 1, 2]]


def test_native_code_that_finds_no_number_lets_the_interpreter_say_why() -> None:
    layers = [Lambda(lambda x: x + 4), Embedding(6, 2), Flatten(), gn.Dense(1)]
    net = gn.Network(layers, "mean_squared_error", input_shape=2)
    net.predict([[0, 1]])
    for row, rows in enumerate([[[0, 9]], [[0, 1], [0, 9]]]):
        sentence = rf"Row {row}: Embedding\(6, 2\) got the index 13\.0 at position 1; it takes whole numbers"
        with pytest.raises(gn.errors.DataError, match=sentence):
            net.predict(rows)


def test_what_no_layer_explains_has_the_sentence_of_the_op() -> None:
    net = gn.Network(
        [Lambda(lambda x: gnp.take(gnp.square(x), gnp.astype(x, gnp.int32)))], "mean_squared_error"
    )
    net._build((2,))
    sentence = (
        r"Row 1: gather failed: index 5 is out of bounds for axis 0 with size 2 \(line \d+ of .*gnp\.take"
    )
    with pytest.raises(gn.errors.ShapeError, match=sentence):
        net.predict([[0, 1], [0, 5]])


def test_an_output_that_is_infinite_is_given_with_the_warning_of_the_op() -> None:
    net = gn.Network([Lambda(gnp.exp)], "mean_squared_error", input_shape=1)
    with pytest.warns(RuntimeWarning, match="overflow encountered in exp"):
        assert net.predict([[1000.0]]).tolist() == [np.inf]
