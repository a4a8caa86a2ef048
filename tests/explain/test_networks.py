from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
from glassnet.errors import DifferentiationError, ShapeError
from glassnet.explain import Derivation
from tests.explain.reader import value_of

NAMES = {
    "dense_1.weight": [["w1", "w2"], ["w3", "w4"]],
    "dense_1.bias": ["b1", "b2"],
    "dense_2.weight": [["w5", "w6"]],
    "dense_2.bias": "b3",
    "dense_2.y": "yhat",
    "x": ["x1", "x2"],
    "d": "y",
}


def network(*sizes: int, activation: str = "sigmoid", loss: str = "half_squared_error") -> gn.Network:
    layers = [gn.Dense(size, activation=activation) for size in sizes[1:-1]] + [gn.Dense(sizes[-1])]
    return gn.Network(layers, loss=loss, input_shape=sizes[0], dtype="float64")


def results(derivation: Derivation) -> list[str]:
    text = derivation.text(ascii=True)
    return [line.strip() for line in text.split("simplified\n")[1].split("\n\n")[0].splitlines()]


def test_element_by_element_with_the_users_names() -> None:
    derivation = gn.derive(network(2, 2, 1), names=NAMES, form="elements")
    z1, z2 = "w1 x1 + w2 x2 + b1", "w3 x1 + w4 x2 + b2"
    assert derivation.formula == "(yhat - y)^2 / 2"
    assert {name: partial.formula for name, partial in derivation.partials.items()} == {
        "w1": f"(yhat - y) w5 s'({z1}) x1",
        "w2": f"(yhat - y) w5 s'({z1}) x2",
        "w3": f"(yhat - y) w6 s'({z2}) x1",
        "w4": f"(yhat - y) w6 s'({z2}) x2",
        "b1": f"(yhat - y) w5 s'({z1})",
        "b2": f"(yhat - y) w6 s'({z2})",
        "w5": f"(yhat - y) s({z1})",
        "w6": f"(yhat - y) s({z2})",
        "b3": "yhat - y",
    }
    assert derivation.definitions["yhat"] == f"w5 s({z1}) + w6 s({z2}) + b3"


def test_in_matrices_every_layer_takes_the_delta_of_the_next() -> None:
    derivation = gn.derive(network(4, 3, 2, 2))
    assert derivation.definitions | {"L": derivation.formula} == {
        "L": "sum((y3 - d)^2) / 2",
        "z1": "W1 x + b1",
        "y1": "s(z1)",
        "z2": "W2 y1 + b2",
        "y2": "s(z2)",
        "y3": "W3 y2 + b3",
        "s'(z)": "s(z) (1 - s(z))",
        "delta3": "y3 - d",
        "delta2": "(W3^T delta3) * s'(z2)",
        "delta1": "(W2^T delta2) * s'(z1)",
    }
    assert results(derivation)[3:] == [
        *("dL/dW1 = delta1 x^T", "dL/db1 = delta1", "dL/dW2 = delta2 y1^T", "dL/db2 = delta2"),
        *("dL/dW3 = delta3 y2^T", "dL/db3 = delta3"),
    ]


def test_the_backward_pass_is_told_from_the_end() -> None:
    derivation = gn.derive(network(2, 2, 1), wrt=["W1", "x"])
    chain = derivation.text(ascii=True).split("from the end\n")[1].split("\n\n")[0]
    assert [line.strip() for line in chain.splitlines()] == [
        "delta2 = 0.5 * 2 (y2 - d)",
        "dL/dy1 = W2^T delta2",
        "delta1 = dL/dy1 * s'(z1)",
        "dL/dW1 = delta1 x^T",
        "dL/dx = W1^T delta1",
    ]


@pytest.mark.parametrize(
    ("loss", "delta"), [("cross_entropy", "softmax(z2) sum(d) - d"), ("binary_cross_entropy", "s(z2) - d")]
)
def test_the_loss_that_contains_the_activation_has_the_difference_as_delta(loss: str, delta: str) -> None:
    derivation = gn.derive(network(2, 3, 3, loss=loss), wrt="dense_2.weight")
    assert derivation.definitions["delta2"] == delta
    assert derivation.partials["W2"].formula == "delta2 y1^T"


def test_one_weight_by_its_full_name_is_written_in_elements() -> None:
    derivation = gn.derive(network(2, 2, 1), wrt="dense_1.weight[0, 1]")
    assert list(derivation.partials) == ["W1[0, 1]"]
    assert derivation.partials["W1[0, 1]"].formula == "(y2[0] - d[0]) W2[0, 0] s'(z1[0]) x[1]"


@pytest.mark.parametrize("form", ["elements", "matrices"])
def test_numbers_are_those_of_the_trace(form: str) -> None:
    net = network(3, 2, 2, loss="cross_entropy")
    net.classes = np.array(["no", "yes"])
    x = np.array([0.5, -1.0, 2.0])
    trace = net.trace(x, "yes")
    derivation = gn.derive(net, wrt="dense_1.weight", at={"x": x, "d": "yes"}, form=form)  # type: ignore[arg-type]
    values = [partial.value for partial in derivation.partials.values()]
    gradient = trace.gradients["dense_1.weight"]
    np.testing.assert_allclose(np.reshape(values, gradient.shape), gradient, rtol=1e-14, atol=1e-16)
    assert derivation.at["L"] == pytest.approx(trace.loss, rel=1e-14)


def test_layers_keep_their_numbers_and_images_are_read_as_well() -> None:
    layers = [gn.Conv2D(2, 3, activation="relu"), gn.MaxPool2D(2), gn.Flatten(), gn.Dense(3)]
    net = gn.Network(layers, loss="cross_entropy", input_shape=(6, 6, 1))
    derivation = gn.derive(net, wrt="dense_4.weight")
    assert derivation.partials["W4"].formula == "delta4 y3^T"
    assert derivation.definitions["z4"] == "W4 y3 + b4"


def test_a_derivation_of_a_large_network_in_matrices_is_as_short_as_of_a_small_one() -> None:
    large, small = network(784, 500, 300, 10), network(2, 2, 2, 10)
    assert gn.derive(large).text() == gn.derive(small).text()


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (
            {"wrt": "W3"},
            DifferentiationError,
            "wrt='W3' is no variable of L; it has W1, b1, W2, b2, x, d, z1, y1, y2.",
        ),
        ({"names": ["w"]}, DifferentiationError, "The names of a network are a mapping, such as names="),
        (
            {"names": {"w": "v"}},
            DifferentiationError,
            "names= has 'w'; this network has W1, b1, W2, b2, x, d,",
        ),
        (
            {"at": {"x": [1.0, 2.0]}},
            DifferentiationError,
            "at= has x; for a network it takes both x, one example,",
        ),
        (
            {"at": {"x": [1.0], "d": [1.0]}},
            ShapeError,
            "x has shape (1,); this network takes one example of shape (2,).",
        ),
    ],
)
def test_what_a_network_does_not_have_is_said_in_a_sentence(options, error, sentence: str) -> None:
    with pytest.raises(error) as raised:
        gn.derive(network(2, 2, 1), **options)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("layer", [gn.SimpleRNN(1), gn.LSTM(1), gn.GRU(1)], ids=["SimpleRNN", "LSTM", "GRU"])
def test_recurrent_layers_are_written_out_step_by_step(layer: gn.nn.Layer) -> None:
    net = gn.Network([layer, gn.Dense(1)], loss="half_squared_error", input_shape=(2, 1), dtype="float64")
    at = {"x": np.array([[0.5], [-1.0]]), "d": np.array([0.3])}
    derivation = gn.derive(net, form="elements", at=at)
    values = np.array([partial.value for partial in derivation.partials.values()])
    gradients = np.concatenate([g.ravel() for g in net.trace(at["x"], at["d"]).gradients.values()])
    np.testing.assert_allclose(values, gradients, rtol=1e-13)
    read = [value_of(derivation, partial, derivation.at) for partial in derivation.partials.values()]
    np.testing.assert_allclose(read, gradients, rtol=1e-12)


def test_a_recurrent_unit_by_hand() -> None:
    net = gn.Network([gn.SimpleRNN(1)], loss="half_squared_error", input_shape=(2, 1))
    names = {"W1": [["w"]], "U1": [["u"]], "b1": "b", "x": [["x1"], ["x2"]], "y1": "yhat", "d": "y"}
    derivation = gn.derive(net, wrt="u", form="elements", names=names)
    assert derivation.definitions["u1[0]"] == "tanh(x1 w + b)"
    assert derivation.definitions["yhat"] == "tanh(x2 w + b + u u1[0])"
    assert derivation.partials["u"].formula == "(yhat - y) tanh'(x2 w + b + u u1[0]) u1[0]"


def test_a_loop_has_no_matrix_form() -> None:
    net = gn.Network([gn.LSTM(2), gn.Dense(1)], loss="half_squared_error", input_shape=(3, 1))
    with pytest.raises(DifferentiationError, match="derive does not look into scan"):
        gn.derive(net)
