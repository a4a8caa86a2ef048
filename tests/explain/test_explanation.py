"""Explanations: every list adds up to the derivative, for every family of networks."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import ConfigurationError, VerificationError
from glassnet.explain import Explanation, explanation, paths

FAMILIES = {
    "dense": [gn.Dense(4, activation="tanh"), gn.Dense(3, activation="sigmoid"), gn.Dense(2)],
    "convolutional": [
        gn.nn.Reshape((6, 6, 1)),
        gn.nn.Conv2D(2, 3, activation="relu", padding="same"),
        gn.nn.MaxPool2D(2),
        gn.nn.Flatten(),
        gn.Dense(2),
    ],
    "recurrent": [gn.nn.Reshape((9, 4)), gn.nn.SimpleRNN(3, return_sequences=True), gn.nn.SimpleRNN(2)],
    "recurrent backwards": [gn.nn.Reshape((9, 4)), gn.nn.SimpleRNN(3, go_backwards=True), gn.Dense(2)],
    "softmax": [gn.Dense(3, activation="softmax"), gn.Dense(2, activation="softmax")],
    "gated LSTM": [gn.nn.Reshape((9, 4)), gn.nn.LSTM(2, peephole=True), gn.Dense(2)],
    "gated GRU": [gn.nn.Reshape((9, 4)), gn.nn.GRU(2), gn.nn.Dropout(0.5), gn.Dense(2)],
    "attention": [
        gn.nn.Reshape((6, 6)),
        gn.nn.MultiHeadAttention(2, 4),
        gn.nn.Flatten(),
        gn.Dense(2),
    ],  # its key_bias has no effect: the rounding of 0 adds up to something else than the rounding of 0
    "maxout": [gn.nn.Maxout(3, pieces=2), gn.Dense(2)],
    "residual": [gn.nn.Residual([gn.Dense(36, activation="gelu")]), gn.nn.LayerNorm(), gn.Dense(2)],
}
ROWS = np.random.default_rng(7).normal(size=(3, 36))


def network(family: str, loss: str = "cross_entropy", **options: Any) -> gn.Network:
    return gn.Network(
        FAMILIES[family], loss, dtype="float64", input_shape=36, seed=4, classes=[0, 1], **options
    )


def everything_adds_up(explained: Explanation) -> None:
    assert math.fsum([*explained.examples, explained.penalty]) == pytest.approx(
        explained.derivative, rel=1e-10, abs=1e-15
    )
    of_row = explained.examples[explained.row]
    found = math.fsum([*(path.product for path in explained.paths), explained.other_paths])
    for total in (found, math.fsum(path.product for path in explained.units)):
        assert total == pytest.approx(of_row, rel=1e-9, abs=1e-15)
    if explained.steps:
        assert math.fsum(path.product for path in explained.steps) == pytest.approx(
            of_row, rel=1e-9, abs=1e-15
        )
    for listed in (explained.paths, explained.units):
        sizes = [abs(path.product) for path in listed]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_contributions_sum_to_the_gradient(family: str) -> None:
    net, y = network(family), [0, 1, 1]
    gradients = net.gradients(ROWS, y)
    for name, gradient in gradients.items():
        index = np.unravel_index(int(np.argmax(np.abs(gradient))), gradient.shape)
        explained = net.explain(ROWS, y, wrt=f"{name}{[int(i) for i in index]}")
        assert explained.derivative == pytest.approx(gradient[index], rel=1e-11, abs=1e-15)
        assert len(explained.examples) == 3
        everything_adds_up(explained)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_input_and_an_output_are_explained_too(family: str) -> None:
    net = network(family)
    explained = net.explain(ROWS[0], 1, wrt="x[7]")
    assert explained.derivative == pytest.approx(net.trace(ROWS[0], 1).input_gradient[7], rel=1e-11)
    everything_adds_up(explained)
    output = net.explain(ROWS[0], 1, wrt="x[7]", of="output[1]")
    everything_adds_up(output)
    step = 1e-3 * np.eye(36)[7]
    p = {h: net.predict_proba((ROWS[0] + h * step)[None])[0, 1] for h in (-2, -1, 1, 2)}
    assert output.derivative == pytest.approx(
        (8 * (p[1] - p[-1]) - (p[2] - p[-2])) / 0.012, rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("family", ["recurrent", "recurrent backwards", "gated LSTM", "gated GRU"])
def test_a_recurrent_parameter_contributes_at_every_time_step(family: str) -> None:
    explained = network(family).explain(ROWS[0], 1, wrt=f"{recurrent_name(family)}.kernel[-1, 2]")
    assert len(explained.steps) == 9
    everything_adds_up(explained)
    # With the input of one step alone set to zero, its kernel has nothing to multiply there.
    silent = ROWS[0].copy()
    silent[4 * 4 : 5 * 4] = 0.0
    without = network(family).explain(silent, 1, wrt=f"{recurrent_name(family)}.kernel[-1, 2]")
    assert without.steps[4].product == 0.0
    assert all(step.product != 0.0 for step in (*without.steps[:4], *without.steps[5:]))


def recurrent_name(family: str) -> str:
    return {"gated LSTM": "lstm_2", "gated GRU": "gru_2"}.get(family, "simple_rnn_2")


def test_the_paths_are_the_largest_of_all_and_the_rest_is_counted() -> None:
    net = network("dense")
    parameters, trace = net.parameters, net.trace(ROWS[0], 1)
    first, second, last = trace.layers
    weights = [parameters[f"dense_{k}.weight"] for k in (1, 2, 3)]
    by_hand = [
        weights[0][i, 5] * (1 - first.y[i] ** 2) * weights[1][j, i] * second.y[j] * (1 - second.y[j])
        * weights[2][k, j] * last.delta[k]
        for i, j, k in itertools.product(range(4), range(3), range(2))
    ]  # fmt: skip
    by_hand.sort(key=abs, reverse=True)
    for most in (1, 6, 24, 50):
        explained = net.explain(ROWS[0], 1, wrt="x[5]", paths=most)
        np.testing.assert_allclose([path.product for path in explained.paths], by_hand[:most], rtol=1e-11)
        assert explained.other_paths == pytest.approx(math.fsum(by_hand[most:]), rel=1e-9, abs=1e-16)
        assert explained.number_of_others == max(24 - most, 0)


def test_paths_end_where_a_jacobian_is_too_large_and_still_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("dense")
    whole = net.explain(ROWS[0], 1, wrt="x[5]", paths=100)
    monkeypatch.setattr(explanation, "LARGEST_JACOBIAN", 10)  # the second layer's has 12 elements
    short = net.explain(ROWS[0], 1, wrt="x[5]", paths=100)
    assert [len(path.edges) for path in short.paths] == [3] * 4  # to z and to y of the first layer
    assert short.derivative == whole.derivative
    everything_adds_up(short)


def test_values_between_are_explained_up_to_the_last() -> None:
    net = network("dense")
    trace = net.trace(ROWS[0], 0)
    for k, layer in enumerate(trace.layers, 1):
        assert layer.z is not None
        explained = net.explain(ROWS[0], 0, wrt=f"dense_{k}.z[1]")
        assert explained.derivative == pytest.approx(layer.delta[1], rel=1e-11)
        everything_adds_up(explained)
    assert trace.layers[0].y_bar is not None
    by_output = net.explain(ROWS[0], 0, wrt="dense_1.y[-1]")
    assert by_output.wrt == "dense_1.y[3]"
    assert by_output.derivative == pytest.approx(trace.layers[0].y_bar[3], rel=1e-11)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_examples_and_the_penalty_sum_to_the_gradient_of_the_batch(reduction: str) -> None:
    layers = [gn.Dense(3, activation="tanh", regularizer=gn.L2(0.5)), gn.Dense(1)]
    net = gn.Network(layers, "half_squared_error", dtype="float64", input_shape=2, reduction=reduction)
    X, y = ROWS[:, :2], np.array([1.0, -1.0, 0.5])
    explained = net.explain(X, y, wrt="dense_1.weight[2, 0]")
    assert explained.derivative == pytest.approx(net.gradients(X, y)["dense_1.weight"][2, 0], rel=1e-12)
    assert explained.penalty == pytest.approx(0.5 * net.parameters["dense_1.weight"][2, 0], rel=1e-12)
    everything_adds_up(explained)
    text = str(explained)
    for line in ("by example", "  penalty", f"by path, of row {explained.row}"):
        assert line in text
    assert net.explain(X, y, wrt="dense_1.weight[2, 0]", of="output[0]").penalty == 0.0


def test_a_shared_layer_is_entered_at_each_place() -> None:
    shared = gn.Dense(2, activation="tanh", name="twice")
    net = gn.Network([shared, gn.Dense(2), shared], "half_squared_error", dtype="float64", input_shape=2)
    explained = net.explain([0.5, -1.0], [0.0, 1.0], wrt="twice.weight[0, 1]", paths=50)
    gradient = net.gradients([[0.5, -1.0]], [[0.0, 1.0]])["twice.weight"][0, 1]
    assert explained.derivative == pytest.approx(gradient, rel=1e-12)
    assert {len(path.edges) for path in explained.paths} == {3, 6}
    everything_adds_up(explained)


def test_a_mask_and_an_embedding_are_followed() -> None:
    layers = [gn.nn.Embedding(5, 3, mask_index=0), gn.Dense(3, activation="tanh"), gn.nn.GRU(2), gn.Dense(2)]
    net = gn.Network(layers, "cross_entropy", dtype="float64", input_shape=4, classes=[0, 1])
    row = np.array([2.0, 3.0, 0.0, 0.0])
    for wrt in (
        "embedding_1.weight[3, 1]",
        "dense_2.weight[2, 0]",
        "gru_3.recurrent[1, 0]",
        "dense_4.bias[1]",
    ):
        explained = net.explain(row, 1, wrt=wrt)
        everything_adds_up(explained)
    steps = net.explain(row, 1, wrt="gru_3.kernel[-1, 0]").steps
    assert [step.product == 0.0 for step in steps] == [False, False, True, True]


def test_no_path_is_said_to_be_none() -> None:
    net = gn.Network([gn.Dense(1, activation="relu"), gn.Dense(1)], "half_squared_error", input_shape=1)
    net.parameters = {**net.parameters, "dense_1.weight": [[-1.0]]}
    explained = net.explain([2.0], [1.0], wrt="x[0]")
    assert (explained.derivative, explained.paths, explained.number_of_others) == (0.0, (), 0)
    assert "no path with a derivative other than 0 leads from x[0] to loss" in str(explained)


def test_the_text_lists_the_largest_and_adds_up_the_rest_in_one_line() -> None:
    text = str(network("dense").explain(ROWS[0], 1, wrt="x[3]", paths=2))
    lines = text.splitlines()
    assert lines[0].startswith("d loss / d x[3] = ")
    assert lines[-1].endswith("  22 other paths")
    assert sum(" -> " in line for line in lines) == 2
    wide = gn.Network([gn.Dense(40), gn.Dense(1)], "half_squared_error", input_shape=36)
    assert "  32 other elements" in str(wide.explain(ROWS[0], [1.0], wrt="x[3]"))


@pytest.mark.parametrize(
    ("wrt", "of", "sentence"),
    [
        (
            "dense_9.weight[0, 0]",
            "loss",
            r"wrt='dense_9.weight\[0, 0\]' names nothing .* dense_1.weight\[4, 36\], ",
        ),
        ("dense_1.weight", "loss", r"has shape \(4, 36\) and takes 2 indices \(0 to 3, 0 to 35\)"),
        ("dense_1.weight[4, 0]", "loss", r"is outside dense_1.weight, which has shape \(4, 36\)"),
        ("x[1, 2]", "loss", r"has shape \(36,\) and takes one index \(0 to 35\)"),
        ("x[one]", "loss", "names nothing in this network"),
        (3, "loss", "wrt=3 names nothing in this network"),
        ("x[1]", "output[2]", r"of='output\[2\]' is outside output, which has shape \(2,\)"),
        ("x[1]", "gain", "of='gain' names nothing"),
    ],
    ids=str,
)
def test_what_is_not_there_is_refused_with_what_is(wrt: Any, of: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        network("dense").explain(ROWS[0], 1, wrt=wrt, of=of)


def test_sums_that_do_not_add_up_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(*arguments: Any) -> paths.Paths:
        found = right(*arguments)
        return paths.Paths(found.shown[1:], found.others, found.number_of_others)

    right = explanation.largest_paths
    monkeypatch.setattr(explanation, "largest_paths", losing)
    with pytest.raises(
        VerificationError, match=r"The paths of dloss/dx\[3\] add up to .*, but the derivative is"
    ):
        network("dense").explain(ROWS[0], 1, wrt="x[3]")
