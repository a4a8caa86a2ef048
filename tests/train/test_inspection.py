"""Looking inside a network: the trace of one example, the gradients, and the certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet import execute
from glassnet.errors import ConfigurationError, DataError, GlassnetError, NotFittedError, ShapeError
from glassnet.train import inspection

X = np.array([[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0]])


def classifier(loss: str = "cross_entropy", outputs: int = 3, **options: Any) -> gn.Network:
    layers = [gn.Dense(4, activation="tanh"), gn.Dense(outputs)]
    return gn.Network(layers, loss=loss, **{"seed": 2, "dtype": "float64", "input_shape": 2} | options)


# -- trace


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "d"),
    [
        ("cross_entropy", 3, 1, [0, 1, 0]),
        ("cross_entropy", 3, [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ("binary_cross_entropy", 1, 1, [1]),
        ("binary_cross_entropy", 1, [0.25], [0.25]),
        ("binary_cross_entropy", 2, [1, 0], [1, 0]),
    ],
    ids=str,
)
def test_a_classifier_ends_in_probabilities_and_its_delta_is_p_minus_d(
    loss: str, outputs: int, y: Any, d: list[float]
) -> None:
    net = classifier(loss, outputs)
    trace = net.trace(X[0], y)
    last = trace.layers[-1]
    p = np.exp(last.z) / np.exp(last.z).sum() if loss == "cross_entropy" else 1 / (1 + np.exp(-last.z))
    np.testing.assert_allclose(last.y, p, rtol=1e-14)
    np.testing.assert_allclose(last.delta, p - d, rtol=1e-12)
    np.testing.assert_allclose(trace.input_gradient, trace.layers[0].delta @ net.parameters["dense_1.weight"])


def test_the_trace_is_the_backward_recursion() -> None:
    net = classifier("mean_squared_error", 2)
    target = np.array([1.0, -1.0])
    trace, parameters = net.trace(X[1], target), net.parameters
    hidden, last = trace["dense_1"], trace["dense_2"]
    np.testing.assert_allclose(last.delta, 2 * (last.y - target) / 2, rtol=1e-13)
    np.testing.assert_allclose(hidden.delta, last.delta @ parameters["dense_2.weight"] * (1 - hidden.y**2))
    np.testing.assert_allclose(trace.gradients["dense_1.weight"], np.outer(hidden.delta, X[1]))
    for name, gradient in net.gradients(X[1:2], target[None]).items():
        np.testing.assert_allclose(trace.gradients[name], gradient, rtol=1e-13)
    assert trace.loss == pytest.approx(net.evaluate(X[1:2], target[None])["loss"], rel=1e-14)


def test_the_trace_takes_labels_of_a_network_that_knows_them() -> None:
    net = classifier("binary_cross_entropy", 1)
    net.fit(X, ["no", "yes", "no"], epochs=1)
    losses = {net.trace(x, y).loss for x in (X[0], X[:1], X[0].tolist()) for y in ("yes", ["yes"], [1.0])}
    assert len(losses) == 1
    with pytest.raises(DataError, match="the label 'maybe'"):
        net.trace(X[0], "maybe")


def test_the_text_of_a_trace_is_aligned_and_fits_a_line(mazur_network: gn.Network) -> None:
    assert str(mazur_network.trace([0.05, 0.10], [0.01, 0.99])).splitlines() == [
        "x = [0.05 0.1 ]",
        "dense_1: z        = [0.3775   0.3925  ]",
        "         y        = [0.59327  0.596884]",
        "         dloss/dy = [0.03635  0.04137 ]",
        "         delta    = [0.008771 0.009954]",
        "dense_2: z        = [ 1.105906  1.224921]",
        "         y        = [ 0.751365  0.772928]",
        "         dloss/dy = [ 0.741365 -0.217072]",
        "         delta    = [ 0.138499 -0.038098]",
        "loss = 0.298371",
        "dloss/dx = [0.003804 0.004741]",
    ]
    wide = gn.Network(
        [gn.Dense(500, activation="relu"), gn.Dense(1)], loss="mean_squared_error", input_shape=2
    )
    lines = str(wide.trace(X[0], 1.0)).splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 120
    assert len({len(line) for line in lines[1:5]}) == 1
    assert all(" ... " in line for line in lines[1:5])
    assert "-0. " not in "".join(lines)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (X, 1, r"trace follows one example, of shape \(2,\); x holds 3 rows"),
        ([1.0, 2.0, 3.0], 1, r"X has shape \(3,\)"),
        ([[1.0, 2.0, 3.0]], 1, r"X has rows of shape \(3,\), but this network takes rows of shape \(2,\)"),
        ([1.0, np.nan], 1, "X holds nan in row 0, column 1"),
        (X[0], 3, "y holds 1 class, but the network tells 3 apart"),
        (X[0], [0, 1], "y has 2 rows and X has 1"),
    ],
    ids=str,
)
def test_a_trace_of_something_else_is_refused(x: Any, y: Any, sentence: str) -> None:
    with pytest.raises(GlassnetError, match=sentence):
        classifier().trace(x, y)


def test_a_trace_before_there_are_parameters_is_refused() -> None:
    with pytest.raises(NotFittedError):
        classifier(input_shape=None).trace(X[0], 1)


def test_a_layer_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="The trace has no layer 'dense_3'; it has dense_1, dense_2"):
        classifier().trace(X[0], 1)["dense_3"]


# -- gradients


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_gradients_have_the_names_and_shapes_of_the_parameters(engine: str) -> None:
    net = classifier()
    gradients = net.gradients(X, [0, 2, 1], engine=engine)
    shapes = {name: array.shape for name, array in gradients.items()}
    assert shapes == {name: array.shape for name, array in net.parameters.items()}
    with pytest.raises(ShapeError, match="y has 2 rows and X has 3"):
        net.gradients(X, [0, 1])


def test_the_gradient_is_the_mean_over_the_examples() -> None:
    net, y = classifier(), [0, 2, 1]
    each = [net.trace(x, label).gradients for x, label in zip(X, y, strict=True)]
    for name, gradient in net.gradients(X, y).items():
        np.testing.assert_allclose(gradient, np.mean([one[name] for one in each], axis=0), rtol=1e-12)


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_of_single_examples_make_up_that_of_all(reduction: str, engine: str) -> None:
    net, y = classifier(reduction=reduction), [0, 2, 1]
    each = net.gradients(X, y, engine, per_example=True)
    together = net.gradients(X, y)
    for name, array in net.parameters.items():
        assert each[name].shape == (3, *array.shape)
        whole = each[name].mean(axis=0) if reduction == "mean" else each[name].sum(axis=0)
        np.testing.assert_allclose(whole, together[name], rtol=1e-10, atol=1e-15)
    for row, (x, label) in enumerate(zip(X, y, strict=True)):
        for name, gradient in net.trace(x, label).gradients.items():
            np.testing.assert_allclose(each[name][row], gradient, rtol=1e-10, atol=1e-15)


def test_the_gradient_of_all_has_the_penalty_and_those_of_examples_have_not() -> None:
    layers = [gn.Dense(4, activation="tanh", regularizer=gn.L2(0.5)), gn.Dense(3)]
    net = gn.Network(layers, "cross_entropy", seed=2, dtype="float64", input_shape=2)
    each, together = net.gradients(X, [0, 2, 1], per_example=True), net.gradients(X, [0, 2, 1])
    for name, array in net.parameters.items():
        penalty = 0.5 * array if name == "dense_1.weight" else 0.0
        np.testing.assert_allclose(each[name].mean(axis=0) + penalty, together[name], atol=1e-14)


def test_gradients_are_those_of_the_network_in_use() -> None:
    layers = [gn.nn.BatchNorm(), gn.nn.Dropout(0.5), gn.Dense(3)]
    net = gn.Network(layers, "cross_entropy", dtype="float64")
    net.fit(X, [0, 2, 1], epochs=3, engine="interpreter")
    first, again = net.gradients(X, [0, 2, 1]), net.gradients(X, [0, 2, 1])
    assert all(np.array_equal(array, again[name]) for name, array in first.items())
    alone = [net.gradients(X[i : i + 1], [y]) for i, y in enumerate([0, 2, 1])]
    for name, gradient in first.items():
        np.testing.assert_allclose(gradient, np.mean([one[name] for one in alone], axis=0), rtol=1e-11)


# -- layers of other kinds


def test_the_trace_shows_what_a_layer_without_z_gives_and_its_derivative() -> None:
    layers = [gn.nn.Reshape((2, 1)), gn.nn.SimpleRNN(3), gn.Dense(1)]
    net = gn.Network(layers, "half_squared_error", dtype="float64", input_shape=2)
    trace = net.trace(X[0], 2.0)
    assert [layer.name for layer in trace.layers] == ["reshape_1", "simple_rnn_2", "dense_3"]
    recurrent = trace["simple_rnn_2"]
    assert recurrent.z is None
    error = trace["dense_3"].y - 2.0
    np.testing.assert_allclose(recurrent.delta, error @ net.parameters["dense_3.weight"], rtol=1e-12)
    assert "simple_rnn_2: y        = [" in str(trace)
    assert "dloss/dy = [" in str(trace)


def test_a_summary_shows_the_layers_and_counts_what_they_hold() -> None:
    shared = gn.Dense(4, activation="relu", name="twice")
    net = gn.Network(
        [gn.nn.BatchNorm(), gn.Dense(4), shared, shared, gn.Dense(3)], "cross_entropy", input_shape=2
    )
    summary = net.summary()
    assert (summary.input_shape, summary.loss) == ((2,), "cross_entropy")
    assert [row[0] for row in summary.rows] == ["batch_norm_1", "dense_2", "twice", "twice", "dense_5"]
    assert [row[3] for row in summary.rows] == [4, 12, 20, 0, 15]
    assert summary.parameters == sum(a.size for a in net.parameters.values()) == 51
    assert summary.statistics == sum(a.size for a in net.statistics.values()) == 4
    assert summary.bytes == 4 * 55
    lines = repr(summary).splitlines()
    assert lines[0] == "input 2, loss cross_entropy"
    assert lines[-1] == "51 parameters and 4 statistics, 0.2 KiB"
    assert len({len(line) for line in lines[1:-1]}) == 1
    with pytest.raises(NotFittedError):
        gn.Network([gn.Dense(3)], "cross_entropy").summary()


# -- certificate


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-5), ("float64", 1e-8)])
@pytest.mark.parametrize("engine", ["auto", "compiled", "interpreter"])
def test_the_gradient_is_certified(engine: str, dtype: str, limit: float) -> None:
    net = classifier(dtype=dtype, input_shape=None)
    certificate = net.certify(X, [0, 2, 1], engine=engine)
    assert certificate.largest_relative_error < limit
    assert certificate.engine == ("interpreter" if engine == "interpreter" else "compiled")
    assert (certificate.examples, certificate.elements, certificate.at_kinks) == (3, 8 + 4 + 12 + 3, 0)
    assert net.classes is None


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (lambda gradient: gradient * 1.001, lambda error: error == pytest.approx(1e-3, rel=1e-3)),
        (lambda gradient: gradient * np.nan, np.isnan),
    ],
    ids=["a thousandth too large", "NaN"],
)
@pytest.mark.parametrize("place", [1, 4], ids=["first array", "last array"])
def test_a_gradient_that_is_wrong_is_found_and_named(
    damage: Any, check: Any, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Any, engine: str) -> Any:
        right, reason = execute.function(graph, engine)

        def function(inputs: Any) -> list[Any]:
            outputs = right(inputs)
            outputs[place] = damage(outputs[place])
            return outputs

        return function, reason

    monkeypatch.setattr(inspection, "function", wrong)
    certificate = classifier().certify(X, [0, 2, 1])
    assert check(certificate.largest_relative_error)
    assert certificate.parameter == {1: "dense_1.weight", 4: "dense_2.bias"}[place]


def test_parameters_where_the_loss_has_two_slopes_are_left_out() -> None:
    # The row of zeros and the zero biases put every unit of the first layer on the kink of ReLU.
    layers = [gn.Dense(4, activation="relu"), gn.Dense(1)]
    net = gn.Network(layers, loss="binary_cross_entropy", input_shape=2, dtype="float64")
    certificate = net.certify([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    assert certificate.at_kinks == 4
    assert certificate.elements == 8 + 4 + 1
    assert certificate.largest_relative_error < 1e-8
