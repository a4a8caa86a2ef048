"""Training: the gradient is the derivative of what is reported, batches, validation, seeds, engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.random import Key, permutation
from glassnet.errors import ConfigurationError, DataError, GlassnetError, ShapeError
from glassnet.train import EpochFinished, EpochStarted, RunFinished, RunStarted

ENGINES = ["compiled", "interpreter"]
LABELS = np.arange(23) % 3
DISTRIBUTIONS = np.random.default_rng(5).dirichlet(np.ones(3), size=23)
TARGETS = {
    "labels": ("cross_entropy", 3, LABELS),
    "one-hot": ("cross_entropy", 3, np.eye(3)[LABELS]),
    "distributions": ("cross_entropy", 3, DISTRIBUTIONS),
    "two labels": ("binary_cross_entropy", 1, LABELS == 0),
    "yes-or-no columns": ("binary_cross_entropy", 2, DISTRIBUTIONS[:, :2]),
    "values, half squares": ("half_squared_error", 1, DISTRIBUTIONS[:, 0]),
    "columns, half squares": ("half_squared_error", 3, DISTRIBUTIONS),
    "columns, mean squares": ("mean_squared_error", 3, DISTRIBUTIONS),
}


def network(loss: str = "cross_entropy", outputs: int = 3, **options: Any) -> gn.Network:
    layers = [gn.Dense(4, activation="tanh"), gn.Dense(outputs)]
    return gn.Network(layers, loss=loss, **{"seed": 7, "dtype": "float64"} | options)


def slopes(net: gn.Network, X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The derivatives of the loss that `evaluate` reports, by differences of fourth order."""
    start = {name: array.copy() for name, array in net.parameters.items()}
    found = {name: np.zeros_like(array) for name, array in start.items()}

    def loss_at(name: str, place: int, offset: float) -> float:
        moved = {key: array.copy() for key, array in start.items()}
        moved[name].flat[place] += offset
        net.parameters = moved
        return net.evaluate(X, y)["loss"]

    for name, array in found.items():
        for place in range(array.size):
            near, far = ((loss_at(name, place, h) - loss_at(name, place, -h)) / (2 * h) for h in (1e-4, 2e-4))
            array.flat[place] = (4 * near - far) / 3
    net.parameters = start
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", TARGETS)
def test_the_optimiser_steps_down_the_derivative_of_the_reported_loss(
    case: str, engine: str, rows: np.ndarray
) -> None:
    loss, outputs, y = TARGETS[case]
    net = network(loss, outputs)
    net.fit(rows, y, epochs=1, batch_size=None, optimizer=gn.SGD(0.1), engine=engine)
    before, reported = dict(net.parameters), net.evaluate(rows, y)["loss"]
    expected = slopes(net, rows, y)
    for name, gradient in net.gradients(rows, y).items():
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=1e-10)
    history = net.fit(rows, y, epochs=1, batch_size=None, optimizer=gn.SGD(0.5), engine=engine)
    assert history.loss[0] == pytest.approx(reported, rel=1e-13)
    for name, array in net.parameters.items():
        np.testing.assert_allclose((before[name] - array) / 0.5, expected[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch_size", [1, 7, 8, 23, 100, None])
def test_every_batch_is_a_step_down_the_mean_over_its_own_rows(
    batch_size: int | None, engine: str, rows: np.ndarray
) -> None:
    y, rate, epochs = rows @ [1.0, -2.0, 0.5] + 3.0, 0.05, 3
    net = gn.Network([gn.Dense(1)], loss="half_squared_error", seed=7, dtype="float64", input_shape=3)
    w = np.array([*net.parameters["dense_1.weight"][0], 0.0])
    design = np.column_stack([rows, np.ones(23)])
    size = min(batch_size or 23, 23)
    losses = []
    for epoch in range(epochs):
        order = permutation(Key(7).fold(2).at(epoch), 23) if size < 23 else np.arange(23)
        total = 0.0
        for start in range(0, 23, size):
            batch = order[start : start + size]  # the last one may be short
            error = design[batch] @ w - y[batch]
            total += 0.5 * float(error @ error)
            w = w - rate * design[batch].T @ error / len(batch)
        losses.append(total / 23)
    history = net.fit(rows, y, epochs, batch_size, gn.SGD(rate), engine=engine)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    got = [*net.parameters["dense_1.weight"][0], *net.parameters["dense_1.bias"]]
    np.testing.assert_allclose(got, w, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", TARGETS)
def test_the_compiled_run_agrees_with_the_interpreted_one(case: str, dtype: str, rows: np.ndarray) -> None:
    loss, outputs, y = TARGETS[case]
    nets = [network(loss, outputs, dtype=dtype) for _ in ENGINES]
    runs = [
        net.fit(rows, y, epochs=5, batch_size=8, engine=engine, optimizer=gn.Adam(0.01))
        for net, engine in zip(nets, ENGINES, strict=True)
    ]
    assert [run.engine for run in runs] == ENGINES
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(runs[0].loss, runs[1].loss, rtol=tolerance)
    for name, array in nets[0].parameters.items():
        np.testing.assert_allclose(array, nets[1].parameters[name], rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_is_a_function_of_data_options_and_seed(engine: str, rows: np.ndarray) -> None:
    def run(seed: int) -> tuple[list[float], bytes]:
        net = network(seed=seed, dtype="float32")
        history = net.fit(rows, LABELS, epochs=4, batch_size=5, engine=engine, validation_fraction=0.2)
        return history.loss + history.validation_loss, b"".join(p.tobytes() for p in net.parameters.values())

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_fit_goes_on_where_the_first_ended(engine: str, rows: np.ndarray) -> None:
    whole, halves = network(), network()
    options = {"batch_size": 5, "optimizer": gn.SGD(0.1), "engine": engine}
    expected = whole.fit(rows, LABELS, epochs=6, **options).loss
    losses = (
        halves.fit(rows, LABELS, epochs=2, **options).loss
        + halves.fit(rows, LABELS, epochs=4, **options).loss
    )
    assert losses == expected
    assert all(np.array_equal(array, whole.parameters[name]) for name, array in halves.parameters.items())


def test_the_classes_of_the_first_fit_stay(rows: np.ndarray) -> None:
    net = network()
    net.fit(rows, np.array(["a", "b", "c"])[LABELS], epochs=1)
    net.fit(rows, ["b"] * 23, epochs=1)
    assert net.classes.tolist() == ["a", "b", "c"]
    with pytest.raises(DataError, match="the label 'd' in row 0, which is none of the classes 'a', 'b', 'c'"):
        net.fit(rows, ["d"] * 23)


def test_data_that_is_refused_teaches_the_network_nothing(rows: np.ndarray) -> None:
    net = network()
    with pytest.raises(GlassnetError):
        net.fit(rows[:, :1], np.arange(23))
    assert (net.input_shape, net.classes) == (None, None)
    net.fit(rows, LABELS, epochs=1)
    assert net.input_shape == (3,)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_set_aside_are_measured_and_not_trained_on(engine: str, rows: np.ndarray) -> None:
    net = network()
    options = {"epochs": 3, "batch_size": 4, "engine": engine}
    history = net.fit(rows, LABELS, validation_fraction=0.3, **options)
    order = permutation(Key(7).fold(3), 23)
    aside, kept = np.sort(order[:7]), np.sort(order[7:])
    figures = net.evaluate(rows[aside], LABELS[aside])
    assert history.validation_loss[-1] == figures["loss"]
    assert history.validation_score[-1] == figures["accuracy"]
    assert history.score_name == "accuracy"
    alone = network()
    given = (rows[aside], LABELS[aside])
    assert alone.fit(rows[kept], LABELS[kept], validation_data=given, **options).loss == history.loss
    assert len(history.validation_loss) == len(history.validation_score) == 3


def test_a_regression_is_scored_by_r2(rows: np.ndarray) -> None:
    net = network("mean_squared_error", 2)
    y = rows[:, :2] * 2
    history = net.fit(rows, y, epochs=2, validation_data=(rows, y))
    assert history.score_name == "R2"
    assert history.validation_score[-1] == pytest.approx(net.evaluate(rows, y)["r2"], rel=1e-5)


def test_listeners_hear_the_run_in_order(rows: np.ndarray) -> None:
    heard: list[Any] = []
    history = network().fit(
        rows, LABELS, epochs=2, batch_size=5, validation_fraction=0.2, progress=heard.append
    )
    started, finished = heard[0], heard[-1]
    assert heard[1:-1:2] == [EpochStarted(1, 2), EpochStarted(2, 2)]
    assert isinstance(started, RunStarted)
    assert (started.epochs, started.steps_per_epoch, started.engine, started.reason) == (
        2,
        4,
        "compiled",
        None,
    )
    for number, event in enumerate(heard[2:-1:2]):
        assert isinstance(event, EpochFinished)
        assert (event.epoch, event.epochs, event.loss) == (number + 1, 2, history.loss[number])
        assert event.validation_loss == history.validation_loss[number]
        assert event.validation_score == history.validation_score[number]
    assert finished == RunFinished(2, history.training_seconds, None)


def test_without_a_terminal_nothing_is_printed_unless_asked_for(
    rows: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    network().fit(rows, LABELS, epochs=3)
    network().fit(rows, LABELS, epochs=3, progress=False)
    assert capsys.readouterr() == ("", "")
    network().fit(rows, LABELS, epochs=1000, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("epoch 1/1000  loss ")
    assert 5 <= len(lines) <= 8


def test_a_terminal_gets_a_bar(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Bar:
        def __enter__(self) -> Any:
            return made.append

        def __exit__(self, *_: object) -> None:
            made.append("taken down")

    monkeypatch.setattr("glassnet.train.progress.ProgressBar", Bar)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    network().fit(rows, LABELS, epochs=1)
    assert [type(event) for event in made] == [RunStarted, EpochStarted, EpochFinished, RunFinished, str]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "fit got epochs=0; it takes a whole number of 1 or more"),
        ({"epochs": 2.5}, "fit got epochs=2.5"),
        ({"epochs": True}, "fit got epochs=True"),
        ({"batch_size": 0}, "fit got batch_size=0; it takes a whole number of 1 or more"),
        ({"batch_size": "32"}, "fit got batch_size='32'"),
        ({"optimizer": "adm"}, "optimizer='adm' is not one of adadelta, .*, sgd, nor an optimiser such as"),
        (
            {"validation_fraction": 1.0},
            "fit got validation_fraction=1.0; it takes a number of at least 0 and below 1",
        ),
        ({"validation_fraction": -0.1}, "fit got validation_fraction=-0.1"),
        ({"validation_fraction": "0.1"}, "fit got validation_fraction='0.1'"),
        ({"validation_fraction": 0.01}, "validation_fraction=0.01 of 23 rows leaves none on one side"),
        (
            {"validation_data": np.ones((2, 3))[0]},
            r"validation_data that is no pair; it takes a tuple \(X, y\)",
        ),
        ({"validation_data": ([[1.0, 2.0]], [0])}, r"rows of shape \(2,\), but this network takes .*\(3,\)"),
        ({"validation_data": ([[1.0, 2.0, np.nan]], [0])}, "validation X holds nan in row 0, column 2"),
        ({"validation_data": ([[1.0, 2.0, 3.0]], [9])}, "validation y holds the label 9 in row 0"),
        ({"validation_data": ([[1.0, 2.0, 3.0]], [0, 1])}, "validation y has 2 rows and X has 1"),
        ({"validation_data": ([[1, 2, 3]], [0]), "validation_fraction": 0.1}, "give one of them"),
        ({"progress": "yes"}, "fit got progress='yes'; it takes True, False, None or a function"),
        ({"engine": "gpu"}, "engine='gpu' is not one of 'auto', 'compiled', 'interpreter'"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused_in_one_sentence(
    options: dict[str, Any], sentence: str, rows: np.ndarray
) -> None:
    with pytest.raises(GlassnetError, match=sentence) as caught:
        network().fit(rows, LABELS, **{"epochs": 1} | options)
    assert isinstance(caught.value, ConfigurationError | DataError | ShapeError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loop_of_one_s_own_may_change_the_learning_rate(engine: str, rows: np.ndarray) -> None:
    net = network()
    program = net.training_program(rows, LABELS, batch_size=None, optimizer=gn.SGD(0.1), engine=engine)
    start = [array.copy() for array in program.parameters]
    program.learning_rate = 0.2
    assert program.learning_rate == 0.2
    first = program.run_epoch()
    for now, before, gradient in zip(
        program.parameters, start, net.gradients(rows, LABELS).values(), strict=True
    ):
        np.testing.assert_allclose(now, before - 0.2 * gradient, rtol=1e-12)
    assert program.run_epochs(5) < first
    assert program.epochs_run == 6
    assert all(np.array_equal(a, b) for a, b in zip(net.parameters.values(), start, strict=True))
