"""Exercises: solved by the engine for many seeds, and every wrong factor recognised."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import ConfigurationError, DataError

KINDS = ("neuron", "two_layers", "softmax", "convolution", "recurrent", "lstm")
FACTORS = {
    "neuron": {"sign", "activation slope", "input", "delta"},
    "two_layers": {"sign", "activation slope", "weight", "transposed", "input", "delta", "paths"},
    "softmax": {"sign", "activation slope", "weight", "input", "delta", "paths"},
    "convolution": {"sign", "activation slope", "weight", "input", "delta", "paths"},
    "recurrent": {"sign", "weight", "delta", "time steps"},
    "lstm": {"sign", "weight", "delta", "time steps"},
}


def loss_at(exercise: gn.explain.Exercise, by: float) -> float:
    """The loss of the exercise with its parameter moved, from an untouched network of its own."""
    net = gn.Network(
        exercise.network.layers,
        exercise.network.loss,
        dtype="float64",
        input_shape=exercise.network.input_shape,
        classes=range(3) if exercise.kind == "softmax" else None,
    )
    moved = {name: array.copy() for name, array in exercise.network.parameters.items()}
    moved[exercise.variable.name][exercise.variable.index] += by
    net.parameters = moved
    return net.evaluate(exercise.trace.x[None], exercise.trace.target[None], metrics=())["loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_slope_of_the_loss(kind: str) -> None:
    step = 1e-3
    for seed in range(3):
        exercise = gn.exercise(kind, seed)
        at = {h: loss_at(exercise, h * step) for h in (-2, -1, 1, 2)}
        slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
        assert exercise.answer == pytest.approx(slope, rel=1e-7)
        assert exercise.check(slope).right
        update = gn.exercise(kind, seed, update=True)
        assert update.learning_rate in (0.1, 0.2, 0.5)


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_factor_is_recognised(kind: str, update: bool) -> None:
    met: set[str] = set()
    for seed in range(20):
        exercise = gn.exercise(kind, seed, update=update)
        assert exercise.check(exercise.answer).right
        for mistake in exercise.mistakes:
            verdict = exercise.check(mistake.value)
            assert (verdict.right, verdict.factor) == (False, mistake.factor)
            assert mistake.what in str(verdict)
            met.add(mistake.factor)
    assert met - {"learning rate", "update", "transposed"} == FACTORS[kind] - {"transposed"}
    assert ("transposed" in met) == ("transposed" in FACTORS[kind] or kind == "softmax")
    assert ("learning rate" in met) == update


def test_the_mistakes_of_two_layers_are_those_of_a_student_by_hand() -> None:
    exercise = gn.exercise("two_layers", 1)
    (j, i), parameters = exercise.variable.index, exercise.network.parameters
    hidden, last = exercise.trace.layers
    w2, x, d = parameters["dense_2.weight"], exercise.trace.x, exercise.trace.target
    slope_1, slope_2 = hidden.y * (1 - hidden.y), last.y * (1 - last.y)
    delta = (last.y - d) * slope_2
    factors = {
        "activation slope": delta @ w2[:, j] * x[i],
        "weight": delta.sum() * slope_1[j] * x[i],
        "transposed": delta @ w2[j, :] * slope_1[j] * x[i],
        "input": delta @ w2[:, j] * slope_1[j],
        "delta": (last.y * slope_2) @ w2[:, j] * slope_1[j] * x[i],
        "sign": -(delta @ w2[:, j]) * slope_1[j] * x[i],
        "paths": delta[0] * w2[0, j] * slope_1[j] * x[i],
    }
    assert exercise.answer == pytest.approx(delta @ w2[:, j] * slope_1[j] * x[i], rel=1e-12)
    assert {factor: exercise.check(value).factor for factor, value in factors.items()} == {
        factor: factor for factor in factors
    }
    assert exercise.check(round(exercise.answer, 6)).right
    unknown = exercise.check(exercise.answer * 17.3)
    assert (unknown.right, unknown.factor) == (False, None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_question_has_all_numbers_and_the_solution_ends_in_the_answer(kind: str) -> None:
    exercise = gn.exercise(kind, 2, update=True)
    question, solution = str(exercise), exercise.solution
    for name in (*exercise.network.parameters, "x = ", "d = ", str(exercise.variable)):
        assert name in question
    assert f"{exercise.answer:.6g}" not in question
    assert solution.endswith(f" = {exercise.answer:.6g}")
    assert ("Written out" in solution) == (kind in ("convolution", "recurrent", "lstm"))


def test_seeds_give_other_numbers_and_the_same_seed_the_same() -> None:
    first, again, other = gn.exercise("neuron", 4), gn.exercise("neuron", 4), gn.exercise("neuron", 5)
    assert str(first) == str(again) != str(other)
    tenths = np.concatenate([10 * array.reshape(-1) for array in first.network.parameters.values()])
    np.testing.assert_allclose(tenths, tenths.round(), atol=1e-12)
    assert (tenths != 0).all()


def test_what_is_no_exercise_or_no_answer_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"exercise got kind='perceptron'; it takes neuron, two_layers, "
    ):
        gn.exercise("perceptron")
    with pytest.raises(ConfigurationError, match="seed"):
        gn.exercise("neuron", seed=-1)
    exercise = gn.exercise("neuron")
    for answer in (float("nan"), "0.5", True, [0.5]):
        with pytest.raises(DataError, match="an answer is one finite number"):
            exercise.check(answer)  # pyright: ignore[reportArgumentType]
