"""minimize(): any function of parameters and examples, several inputs and outputs, shared layers, chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, permutation
from glassnet.errors import ConfigurationError, DataError, DivergedError, GlassnetError, ShapeError
from glassnet.nn import Run
from glassnet.train import EpochFinished, Event

RNG = np.random.default_rng(0)
X, U = RNG.normal(size=(23, 3)), RNG.normal(size=(23, 2))
Y = X @ [1.0, -2.0, 0.5] + 3.0
LABELS = np.arange(23) % 3
ENGINE: dict[str, Any] = {"engine": "interpreter"}


def squared(p: Any, x: Any, y: Any) -> Any:
    return 0.5 * gnp.square(p["w"] @ x + p["b"] - y)


@pytest.mark.parametrize("batch_size", [7, 23, None])
def test_it_is_gradient_descent_over_the_batches_of_fit(batch_size: int | None) -> None:
    start = {"w": np.zeros(3), "b": np.zeros(())}
    options = {"optimizer": gn.SGD(0.05), "epochs": 3, "batch_size": batch_size, "seed": 7, **ENGINE}
    found, history = gn.minimize(squared, start, (X, Y), **options)
    w, b, losses = np.zeros(3), 0.0, []
    size = batch_size or 23
    for epoch in range(3):
        order = permutation(Key(7).fold(2).at(epoch), 23) if size < 23 else np.arange(23)
        total = 0.0
        for rows in (order[i : i + size] for i in range(0, 23, size)):
            error = X[rows] @ w + b - Y[rows]
            total += 0.5 * float(error @ error)
            w, b = w - 0.05 * X[rows].T @ error / len(rows), b - 0.05 * error.mean()
        losses.append(total / 23)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    np.testing.assert_allclose(found["w"], w, rtol=1e-12)
    np.testing.assert_allclose(found["b"], b, rtol=1e-12)
    assert not start["w"].any()


def test_parameters_of_any_form_come_back_in_it() -> None:
    start = {"pair": (0.0, [np.zeros(3), None]), "empty": {}}

    def divergence(p: Any, x: Any, y: Any) -> Any:
        bias, (weight, _) = p["pair"]
        return gnp.square(weight @ x + bias - y)

    found, _ = gn.minimize(divergence, start, (X, Y), optimizer=gn.SGD(0.1), epochs=300, **ENGINE)
    assert found["empty"] == {}
    assert found["pair"][1][1] is None
    assert found["pair"][0] == pytest.approx(3.0)
    np.testing.assert_allclose(found["pair"][1][0], [1.0, -2.0, 0.5], rtol=1e-6)


def test_several_inputs_and_outputs_with_a_shared_layer() -> None:
    encoder, head, chooser = gn.Dense(4, activation="tanh"), gn.Dense(1), gn.Dense(3)
    keys = [Key(i) for i in range(3)]
    parameters = {
        "encoder": encoder.init(keys[0], (3,), np.dtype("float64")),
        "head": head.init(keys[1], (6,), np.dtype("float64")),
        "chooser": chooser.init(keys[2], (4,), np.dtype("float64")),
    }
    data = ({"left": X, "right": X[::-1].copy()}, U, Y, LABELS)

    def divergence(p: Any, x: Any, u: Any, y: Any, label: Any) -> Any:
        left, right = encoder(p["encoder"], x["left"]), encoder(p["encoder"], x["right"])
        value = head(p["head"], gnp.concatenate([left, u]))
        scores = chooser(p["chooser"], right)
        return gn.losses.half_squared_error(value, gnp.reshape(y, (1,))) + gn.losses.cross_entropy(
            scores, label
        )

    def loss(p: Any) -> Any:
        return (
            sum(divergence(p, {"left": X[i], "right": X[22 - i]}, U[i], Y[i], LABELS[i]) for i in range(23))
            / 23
        )

    found, history = gn.minimize(
        divergence, parameters, data, optimizer=gn.SGD(0.25), epochs=1, batch_size=None, **ENGINE
    )
    assert history.loss[0] == pytest.approx(float(loss(parameters)), rel=1e-12)
    slopes = gn.grad(loss)(parameters)
    for layer, own in found.items():
        for name, array in own.items():
            step = (parameters[layer][name] - array) / 0.25
            np.testing.assert_allclose(step, slopes[layer][name], rtol=1e-9, atol=1e-12)


def test_whole_numbers_stay_whole_and_truth_values_become_numbers() -> None:
    kinds: dict[str, str] = {}

    def divergence(p: Any, index: Any, flag: Any, value: Any) -> Any:
        kinds.update(index=str(index.dtype), flag=str(flag.dtype), value=str(value.dtype))
        return gnp.square(gnp.take(p, index) * flag - value)

    data = (LABELS.astype(np.uint8), LABELS > 0, Y.astype(np.float32))
    gn.minimize(divergence, np.zeros(3), data, epochs=1, **ENGINE)
    assert kinds == {"index": "int32", "flag": "float64", "value": "float64"}


def test_one_array_needs_no_tuple() -> None:
    found, _ = gn.minimize(
        lambda p, x: gnp.sum(gnp.square(x - p)), np.zeros(3), X, gn.SGD(0.2), epochs=200, **ENGINE
    )
    np.testing.assert_allclose(found, X.mean(axis=0), atol=0.1)


def test_the_penalty_is_added_once_a_batch() -> None:
    start = {"w": np.array([1.0, 2.0, 3.0]), "b": np.zeros(())}
    options = {"optimizer": gn.SGD(0.5), "epochs": 1, "batch_size": None, **ENGINE}
    plain, by_data = gn.minimize(squared, start, (X, Y), **options)
    both, with_it = gn.minimize(
        squared, start, (X, Y), penalty=lambda p: 0.1 * gnp.sum(gnp.square(p["w"])), **options
    )
    assert with_it.loss[0] == pytest.approx(by_data.loss[0] + 0.1 * 14.0, rel=1e-12)
    np.testing.assert_allclose(both["w"], plain["w"] - 0.5 * 0.2 * start["w"], rtol=1e-12)


def test_a_function_that_asks_for_the_run_is_told_of_chance() -> None:
    dropout = gn.nn.Dropout(0.5)
    told: list[Run] = []

    def divergence(p: Any, x: Any, run: Run) -> Any:
        told.append(run)
        return gnp.sum(p * dropout({}, x, run.inside("dropout")))

    def losses(seed: int) -> list[float]:
        options = {"optimizer": gn.SGD(1e-12), "epochs": 4, "seed": seed, **ENGINE}
        return gn.minimize(divergence, np.ones(3), np.abs(X), **options)[1].loss

    first = losses(1)
    assert told[0].training
    assert first == losses(1) != losses(2)
    assert len(set(np.round(first, 6))) == 4


def test_rules_and_listeners_are_those_of_fit() -> None:
    heard: list[Event] = []
    found, history = gn.minimize(
        squared,
        {"w": np.zeros(3), "b": np.zeros(())},
        (X, Y),
        optimizer=gn.SGD(gn.optim.Plateau(0.1, patience=2)),
        epochs=500,
        stopping=[gn.Convergence(weights=1e-7), gn.EarlyStopping(monitor="loss")],
        listeners=[heard.append],
        batch_size=None,
        **ENGINE,
    )
    assert history.epochs < 500
    assert history.stopped is not None
    assert history.stopped.startswith("Converged after epoch")
    assert sum(isinstance(event, EpochFinished) for event in heard) == history.epochs
    np.testing.assert_allclose(found["w"], [1.0, -2.0, 0.5], atol=1e-4)


def test_compiled_and_interpreted_runs_agree() -> None:
    layer = gn.Dense(4, activation="tanh")
    parameters = {"a": layer.init(Key(0), (3,), np.dtype("float64")), "v": np.ones((1, 4))}

    def divergence(p: Any, x: Any, y: Any) -> Any:
        return gn.losses.half_squared_error(p["v"] @ layer(p["a"], x), y)

    losses = [
        gn.minimize(divergence, parameters, (X, Y[:, None]), epochs=3, batch_size=5, engine=engine)[1].loss
        for engine in ("compiled", "interpreter")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "sentence"),
    [
        (
            (squared, {}, (X, Y[:5])),
            {},
            ShapeError,
            r"minimize got arrays with \[23, 5\] rows; each takes one",
        ),
        ((squared, {}, (X[:0], Y[:0])), {}, DataError, "minimize got data without rows"),
        ((squared, {}, ()), {}, DataError, "minimize got data without rows"),
        (
            (squared, {}, (X, "y")),
            {},
            DataError,
            r"array 1 has dtype <U1 and shape \(\); it takes arrays of n",
        ),
        (
            (squared, {}, (X, np.where(np.arange(23) == 4, np.nan, Y))),
            {},
            DataError,
            r"array 1 holds nan at \(4,\)",
        ),
        (
            (lambda p, x: p * x, np.ones(3), X),
            {},
            ShapeError,
            r"is a scalar; this one has shape \(3,\): sum it",
        ),
        ((squared, {}, (X, Y)), {"epochs": 0}, ConfigurationError, "minimize got epochs=0"),
        ((squared, {}, (X, Y)), {"batch_size": 0}, ConfigurationError, "minimize got batch_size=0"),
        ((squared, {}, (X, Y)), {"optimizer": "adm"}, ConfigurationError, "optimizer='adm' is not one of"),
        (
            (squared, {"w": np.zeros(3), "b": 0.0}, (X, Y)),
            {"stopping": gn.Convergence(gradient=1.0)},
            ConfigurationError,
            "minimize does not work out the norm of the gradient; stop by weights or loss",
        ),
        (
            (squared, {"w": np.zeros(3), "b": 0.0}, (X, Y)),
            {"optimizer": gn.SGD(1e200), "epochs": 9},
            DivergedError,
            r"The loss became (inf|nan) in step 1 of epoch \d \([wb] ",
        ),
    ],
    ids=str,
)
def test_mistakes_are_answered_in_one_sentence(
    arguments: tuple[Any, ...], options: dict[str, Any], kind: type[GlassnetError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        gn.minimize(*arguments, **{**ENGINE, **options})
    assert "\n" not in str(caught.value)


def test_layers_that_keep_statistics_need_a_network() -> None:
    norm = gn.nn.BatchNorm()

    def divergence(p: Any, x: Any, run: Run) -> Any:
        return gnp.sum(norm(p, x, run.inside("norm")))

    parameters = norm.init(Key(0), (3,), np.dtype("float64"))
    with pytest.raises(ConfigurationError, match=r"keeps statistics of batches, .*; use a Network"):
        gn.minimize(divergence, parameters, X, **ENGINE)
