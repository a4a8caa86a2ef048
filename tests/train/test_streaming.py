"""Training from sources: the same as from memory, whatever the size of the blocks and of the batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key, permutation
from glassnet.data import ArraySource, GeneratorSource, NpySource, Source
from glassnet.errors import ConfigurationError, DataError, DivergedError, ShapeError
from glassnet.interpret import epoch as reference_epoch
from glassnet.train import BatchesFinished, Event, RunStarted

ENGINES = ["compiled", "interpreter"]
X = np.random.default_rng(3).normal(size=(23, 3))
Y = X @ [1.0, -2.0, 0.5] + 3.0
LABELS = np.arange(23) % 3


def line(**options: Any) -> gn.Network:
    return gn.Network([gn.Dense(1)], "half_squared_error", **{"seed": 7, "dtype": "float64"} | options)


def classifier(*layers: gn.nn.Layer, **options: Any) -> gn.Network:
    return gn.Network([*layers, gn.Dense(3)], "cross_entropy", **{"seed": 7, "dtype": "float64"} | options)


def descend(source: Source, batch_size: int, epochs: int, w: np.ndarray, rate: float) -> list[float]:
    """Gradient descent by hand over the blocks, shuffled like those of a run; changes w = [weights, bias]."""
    losses = []
    for epoch in range(epochs):
        total = 0.0
        for number, (x, y) in enumerate(source.blocks(epoch)):
            design = np.column_stack([x, np.ones(len(x))])
            order = permutation(Key(7).fold(2).fold(number).at(epoch), len(x))
            for start in range(0, len(x), batch_size):
                batch = order[start : start + batch_size]
                error = design[batch] @ w - y[batch]
                total += 0.5 * float(error @ error)
                w -= rate * design[batch].T @ error / len(batch)
        losses.append(total / 23)
    return losses


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("block_rows", "batch_size"), [(8, 4), (10, 4), (7, 7), (5, 8), (23, 6), (100, 100)])
def test_a_stream_is_gradient_descent_over_its_blocks(block_rows: int, batch_size: int, engine: str) -> None:
    # 23 rows: the last block is short, the last batch of a block is short, and so is the last of all.
    source = ArraySource(X, Y, block_rows=block_rows)
    net = line(input_shape=3)
    w = np.array([*net.parameters["dense_1.weight"][0], 0.0])
    losses = descend(source, batch_size, 3, w, 0.05)
    history = net.fit(source, epochs=3, batch_size=batch_size, optimizer=gn.SGD(0.05), engine=engine)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    got = [*net.parameters["dense_1.weight"][0], *net.parameters["dense_1.bias"]]
    np.testing.assert_allclose(got, w, rtol=1e-12)


def test_a_batch_is_a_block_unless_its_size_is_given() -> None:
    heard: list[Event] = []
    source = ArraySource(X, Y, block_rows=10)
    line().fit(source, epochs=1, batch_size=None, listeners=[heard.append], steps_per_event=1)
    assert [(e.step, e.steps) for e in heard if isinstance(e, BatchesFinished)] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, 2, 99])
def test_telling_of_batches_changes_no_bit_of_a_stream(steps: int, engine: str) -> None:
    source = ArraySource(X, LABELS, block_rows=10)
    nets = [classifier(gn.Dense(4, activation="tanh")) for _ in range(2)]
    options = {"epochs": 2, "batch_size": 4, "engine": engine}
    alone = nets[0].fit(source, **options)
    heard: list[Event] = []
    told = nets[1].fit(source, listeners=[heard.append], steps_per_event=steps, **options)
    assert all(np.array_equal(a, nets[1].parameters[name]) for name, a in nets[0].parameters.items())
    np.testing.assert_allclose(told.loss, alone.loss, rtol=1e-12)
    # 10 + 10 + 3 rows in batches of 4 are 3 + 3 + 1 steps.
    started = next(event for event in heard if isinstance(event, RunStarted))
    last = [event for event in heard if isinstance(event, BatchesFinished)][-1]
    assert started.steps_per_epoch == last.steps == last.step == 7


def test_files_and_generators_train_like_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", LABELS)

    def pairs(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = permutation(Key(1).at(epoch), 23)
        for start in range(0, 23, 6):
            yield X[order[start : start + 6]], LABELS[order[start : start + 6]]

    options = {"epochs": 4, "batch_size": 4, "optimizer": gn.SGD(0.1), "engine": "interpreter"}
    in_memory, in_files, made = classifier(), classifier(), classifier()
    in_memory.fit(ArraySource(X, LABELS, block_rows=8), **options)
    in_files.fit(NpySource(tmp_path / "X.npy", tmp_path / "y.npy", block_rows=8), **options)
    assert all(np.array_equal(a, in_files.parameters[name]) for name, a in in_memory.parameters.items())
    history = made.fit(GeneratorSource(pairs, block_rows=8), **options)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_fit_goes_on_where_the_first_ended(engine: str) -> None:
    # Dropout too: the later epochs draw what they would have drawn in one run.
    source = ArraySource(X, LABELS, block_rows=8)
    options = {"batch_size": 4, "optimizer": gn.SGD(0.1), "engine": engine}
    whole, halves = (classifier(gn.nn.Dropout(0.4)) for _ in range(2))
    expected = whole.fit(source, epochs=6, **options).loss
    losses = halves.fit(source, epochs=2, **options).loss + halves.fit(source, epochs=4, **options).loss
    assert losses == expected
    assert all(np.array_equal(a, whole.parameters[name]) for name, a in halves.parameters.items())


def test_every_example_of_every_block_draws_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []

    def watch(graph: Any, inputs: list[Any]) -> Any:
        if "numbers" in graph.input_names:
            weight = inputs[graph.input_names.index("weight")]
            numbers.extend(inputs[graph.input_names.index("numbers")][weight > 0].tolist())
        return reference(graph, inputs)

    reference = reference_epoch.interpret
    monkeypatch.setattr(reference_epoch, "interpret", watch)
    source = ArraySource(X, LABELS, block_rows=6)
    net = classifier(gn.nn.Dropout(0.5))
    for _ in range(2):
        net.fit(source, epochs=3, batch_size=4, engine="interpreter")
    assert len(numbers) == 6 * 23
    assert len(set(numbers)) == len(numbers)


def test_a_source_of_unknown_length_runs_to_its_end() -> None:
    def pairs(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from ((X[i : i + 5], Y[i : i + 5]) for i in range(0, 20 if epoch else 23, 5))

    heard: list[Event] = []
    options = {"batch_size": 5, "listeners": [heard.append], "engine": "interpreter"}
    line().fit(GeneratorSource(pairs, block_rows=10), epochs=2, **options)
    assert next(event for event in heard if isinstance(event, RunStarted)).steps_per_epoch is None
    sentence = "Cosine got steps=None, which means the whole run, and no total_steps"
    optimizer = gn.SGD(gn.optim.Cosine(0.1))
    with pytest.raises(ConfigurationError, match=sentence):
        line().fit(GeneratorSource(pairs), epochs=2, optimizer=optimizer, engine="interpreter")


def test_a_schedule_reckons_with_the_short_batches_of_all_blocks() -> None:
    # 10 + 10 + 3 rows in batches of 4: 7 steps an epoch, so that the last of two epochs is step 14.
    source = ArraySource(X, Y, block_rows=10)
    schedule = gn.optim.Polynomial(0.1, final=0.0, power=1.0)
    history = line().fit(source, epochs=2, batch_size=4, optimizer=gn.SGD(schedule), engine="interpreter")
    np.testing.assert_allclose(history.learning_rate, [schedule(7.0, 14), schedule(14.0, 14)], rtol=1e-12)


def test_rows_held_out_are_measured() -> None:
    net = classifier()
    options = {"metrics": ["log_loss"], "validation_data": (X, LABELS), "engine": "interpreter"}
    history = net.fit(ArraySource(X, LABELS), epochs=3, **options)
    assert list(history.figures) == [
        "loss",
        "validation_loss",
        "validation_accuracy",
        "validation_log_loss",
    ]
    assert history.figures["validation_log_loss"][-1] == net.evaluate(X, LABELS, ["log_loss"])["log_loss"]


# -- what goes wrong


def sorted_source() -> ArraySource:
    return ArraySource(X, np.array(["a", "b", "c"])[np.arange(23) // 8], block_rows=12, key=None)


def test_a_label_that_the_first_block_has_not_is_mended_by_classes() -> None:
    sentence = (
        r"y holds 2 classes, but the network tells 3 apart; .* or list all in Network\(classes=\.\.\.\)"
    )
    with pytest.raises(DataError, match=sentence):
        classifier().fit(sorted_source(), epochs=1)
    net = classifier(classes=["c", "b", "a"])
    net.fit(sorted_source(), epochs=30, optimizer=gn.Adam(0.1), engine="interpreter")
    assert net.classes is not None
    assert net.classes.tolist() == ["c", "b", "a"]
    assert net.predict(X).tolist() == net.classes[net.predict_proba(X).argmax(axis=1)].tolist()


def test_what_does_not_fit_is_named_with_its_block() -> None:
    strange = np.array(LABELS)
    strange[20] = 7
    with pytest.raises(
        DataError, match=r"Block 1 of the source: y holds the label 7 in row 8, which is none"
    ):
        classifier().fit(ArraySource(X, strange, block_rows=12, key=None), epochs=1, engine="interpreter")

    def wider(epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield (X, LABELS) if epoch == 0 else (X[:, :2], LABELS)

    with pytest.raises(
        ShapeError, match=r"Block 0 of the source: X has rows of shape \(2,\), but this network"
    ):
        classifier().fit(GeneratorSource(wider), epochs=2, engine="interpreter")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_that_diverges_ends_in_the_step_that_did(engine: str) -> None:
    far = Y.copy()
    far[11] = 1e30  # in the second block of 10, in its first batch
    source = ArraySource(X, far, block_rows=10, key=None)
    net = line(dtype="float32")
    with pytest.raises(
        DivergedError, match=r"The loss became inf in step [34] of epoch 1 .*no epoch was fini"
    ):
        net.fit(source, epochs=3, batch_size=5, optimizer=gn.SGD(0.01), engine=engine)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"y": LABELS}, "fit got a source, which gives X and y itself; leave out y, weights"),
        ({"sample_weight": np.ones(23)}, "leave out y, weights"),
        ({"class_weight": "balanced"}, "leave out y, weights"),
        ({"validation_fraction": 0.1}, "and give validation_data"),
        ({"optimizer": "lbfgs"}, "LBFGS needs all rows at once; train from a source with Adam or SGD"),
        (
            {"metrics": ["accuracy"]},
            "fit got metrics and a source, whose rows are gone .* give validation_data",
        ),
        ({"stopping": gn.Convergence(gradient=1e-3)}, "by gradient needs all rows in memory, not a source"),
    ],
    ids=str,
)
def test_what_a_source_does_not_allow_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        classifier().fit(ArraySource(X, LABELS), epochs=1, engine="interpreter", **options)


def test_a_source_without_blocks_is_refused() -> None:
    class Nothing(Source):
        block_rows, rows = 4, None

        def blocks(self, epoch: int) -> Iterator[Any]:
            return iter(())

    with pytest.raises(DataError, match="The source gave no block; give one with at least one row"):
        line().fit(Nothing(), epochs=1)
