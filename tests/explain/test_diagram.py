"""Influence diagrams: the numbers on them are the derivatives, and the paths sum to the gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DifferentiationError, DTypeError, NotFittedError, ShapeError
from glassnet.explain import Diagram, influence

POINT = {"x1": 3.0, "x2": -1.0}


def f(x1: Any, x2: Any) -> Any:
    g1 = x1 + 2 * x2
    g2 = x2 * g1
    g3 = g2**2 + g1
    return g1 * g3


def draws(seed: int, *shape: int) -> Any:
    return gn.random.normal(gn.random.key(seed), shape).astype(float)


def contributions(diagram: Diagram) -> float:
    return sum(route.contribution for route in diagram.routes) + diagram.others[1]


def test_a_function_of_numbers_has_the_edges_and_values_of_its_influence_diagram() -> None:
    drawn, known = gn.diagram(f, *POINT.values()), influence(f, **POINT)
    assert {link: edge.derivative for link, edge in drawn.edges.items()} == known.edges
    assert {name: part.value for name, part in drawn.variables.items()} == known.values
    for name, part in drawn.variables.items():
        expected = None if name == "f" else pytest.approx(known.total(name))
        assert part.gradient == expected


def test_the_paths_of_a_variable_are_written_out_largest_first() -> None:
    # Worked by hand in docs/curriculum/06: 4, 2, 4 and -2 sum to 8.
    drawn = gn.diagram(f, *POINT.values(), highlight="x2")
    by_path = {route.variables[1:-1]: route.contribution for route in drawn.routes}
    assert by_path == {("g1", "g2", "g3"): 4, ("g1", "g3"): 2, ("g1",): 4, ("g2", "g3"): -2}
    assert [abs(route.contribution) for route in drawn.routes] == [4, 4, 2, 2]
    assert drawn.total == 8
    assert drawn.others == (0, 0.0)
    assert all(np.prod(route.factors or ()) == route.contribution for route in drawn.routes)
    assert "∂f/∂x2 = 8, the sum over 4 paths" in drawn.text()


def test_what_lies_on_the_paths_is_highlighted_and_nothing_else() -> None:
    drawn = gn.diagram(f, *POINT.values(), highlight="g2")
    assert {name for name, part in drawn.variables.items() if part.highlighted} == {"g2", "g3", "f"}
    assert {link for link, edge in drawn.edges.items() if edge.highlighted} == {("g2", "g3"), ("g3", "f")}
    plain = gn.diagram(f, *POINT.values())
    assert not any(part.highlighted for part in (*plain.variables.values(), *plain.edges.values()))


def test_more_paths_than_are_shown_are_added_up_in_one_line() -> None:
    def forks(x: Any) -> Any:
        a = gnp.sin(x)
        b = a * x
        c = gnp.sin(b)
        d = c * b
        e = gnp.sin(d)
        return e * d

    drawn = gn.diagram(forks, 0.7, highlight="x")
    assert len(drawn.routes) + drawn.others[0] == 2 * 2 * 2
    deeper = gn.diagram(lambda x: forks(forks(x)), 0.7, highlight="x")
    assert contributions(deeper) == pytest.approx(float(gn.grad(lambda x: forks(forks(x)))(0.7)), rel=1e-12)


def test_a_path_that_is_all_there_is_shows_its_zero() -> None:
    drawn = gn.diagram(lambda w, x: gnp.relu(w * x), -2.0, 1.0, highlight="w")
    assert drawn.edges["w", "f"].derivative == 0
    assert [route.contribution for route in drawn.routes] == [0]


def step(x: Any, h: Any, c: Any, W: Any, R: Any) -> Any:
    z = W @ x + R @ h
    i = gnp.sigmoid(z[0:3])
    forget = gnp.sigmoid(z[3:6])
    g = gnp.tanh(z[6:9])
    o = gnp.sigmoid(z[9:12])
    c_next = forget * c + i * g
    h_next = o * gnp.tanh(c_next)
    return h_next  # noqa: RET504 - it names the output


ARGUMENTS = draws(0, 2), draws(1, 3), draws(2, 3), draws(3, 12, 2), draws(4, 12, 3)


def test_arrays_are_shown_by_shape_and_norm_and_their_edges_by_the_norm_of_the_jacobian() -> None:
    drawn = gn.diagram(step, *ARGUMENTS)
    x, h, _, W, R = ARGUMENTS
    z = W @ x + R @ h
    i, o = 1 / (1 + np.exp(-z[0:3])), 1 / (1 + np.exp(-z[9:12]))
    assert drawn.output == "h_next"
    assert drawn.variables["W"].shape == (12, 2)
    assert drawn.variables["W"].value == pytest.approx(np.linalg.norm(W))
    assert drawn.edges["x", "z"].derivative == pytest.approx(np.linalg.norm(W))
    assert drawn.edges["i", "c_next"].derivative == pytest.approx(np.linalg.norm(np.tanh(z[6:9])))
    assert drawn.edges["z", "i"].derivative == pytest.approx(np.linalg.norm(i * (1 - i)))
    assert drawn.edges["z", "o"].derivative == pytest.approx(np.linalg.norm(o * (1 - o)))
    for place, name in enumerate(("x", "h", "c", "W", "R")):
        whole = gn.jacobian(step, wrt=place)(*ARGUMENTS)
        assert drawn.variables[name].gradient == pytest.approx(np.linalg.norm(whole))


def test_elements_that_are_asked_for_have_boxes_and_signs_of_their_own() -> None:
    drawn = gn.diagram(step, *ARGUMENTS, units=12)
    whole = gn.jacobian(step, wrt=1)(*ARGUMENTS)
    total = {route.variables[0] for route in gn.diagram(step, *ARGUMENTS, highlight="h[1]").routes}
    assert total == {"h[1]"}
    assert drawn.variables["h[1]"].gradient == pytest.approx(np.linalg.norm(whole[:, 1]))
    assert drawn.edges["h[1]", "z[4]"].derivative == ARGUMENTS[4][4, 1]


def test_dicts_and_whole_numbers_as_arguments() -> None:
    def loss(p: Any, label: Any) -> Any:
        z = p["W"] @ np.ones(2) + p["b"]
        return z[label]

    drawn = gn.diagram(loss, {"W": np.eye(3, 2), "b": np.arange(3.0)}, np.array(2), highlight="p.b[2]")
    assert list(drawn.variables) == ["p.W", "p.b[2]", "p.b: 2 more", "z[2]", "z: 2 more", "loss"]
    assert drawn.total == 1


NETWORKS = {
    "dense": ([gn.Dense(9, activation="tanh"), gn.Dense(7, activation="relu"), gn.Dense(1)], (6,), 0.5),
    "convolution": (
        [gn.Conv2D(2, 3, activation="tanh"), gn.MaxPool2D(2), gn.Flatten(), gn.Dense(3)],
        (6, 6, 1),
        1,
    ),
    "recurrent": ([gn.LSTM(3), gn.Dense(2)], (4, 2), 1),
    "gated": ([gn.Residual([gn.Dense(5, activation="silu")]), gn.Dense(3)], (5,), 2),
}


def network(kind: str) -> tuple[gn.Network, Any, Any]:
    layers, shape, target = NETWORKS[kind]
    classes = None if kind == "dense" else range(layers[-1].units)
    loss = "half_squared_error" if kind == "dense" else "cross_entropy"
    net = gn.Network(layers, loss=loss, seed=3, dtype="float64", input_shape=shape, classes=classes)
    return net, draws(7, *shape), target


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_paths_of_a_parameter_sum_to_its_gradient(kind: str) -> None:
    net, x, y = network(kind)
    gradients = net.gradients(x[None], [y])
    for name in (next(iter(gradients)), list(gradients)[-1]):
        place = np.unravel_index(np.argmax(np.abs(gradients[name])), gradients[name].shape)
        label = f"{name}[{', '.join(map(str, place))}]"
        drawn = gn.diagram(net, x, y, highlight=label, units=2)
        assert drawn.variables[label].value == net.parameters[name][place]
        assert drawn.total == pytest.approx(gradients[name][place], rel=1e-12)
        assert contributions(drawn) == pytest.approx(gradients[name][place], rel=1e-9)


def test_units_are_singled_out_by_gradient_times_value() -> None:
    net, x, y = network("dense")
    trace = net.trace(x, y)
    drawn = gn.diagram(net, x, y, units=3)
    shown = {name for name in drawn.variables if name.startswith("dense_1[")}
    slope = gn.grad(lambda h: 0.5 * (tail(net, h) - y) ** 2)(trace["dense_1"].y)
    strongest = np.argsort(-np.abs(slope * trace["dense_1"].y))[:3]
    assert shown == {f"dense_1[{unit}]" for unit in strongest}
    rest = np.delete(np.arange(9), strongest)
    assert drawn.variables["dense_1: 6 more"].gradient == pytest.approx(np.linalg.norm(slope[rest]))


def tail(net: gn.Network, h: Any) -> Any:
    p = net.parameters
    h = gnp.relu(p["dense_2.weight"] @ h + p["dense_2.bias"])
    return (p["dense_3.weight"] @ h + p["dense_3.bias"])[0]


def test_a_dead_unit_shows_its_zeros() -> None:
    net = gn.Network([gn.Dense(2, activation="relu"), gn.Dense(1)], "half_squared_error", input_shape=1)
    net.parameters = {
        "dense_1.weight": [[1.0], [-1.0]],
        "dense_1.bias": [0.0, 0.0],
        "dense_2.weight": [[2.0, 3.0]],
        "dense_2.bias": [0.0],
    }
    drawn = gn.diagram(net, [1.0], 0.0)
    assert drawn.edges["x[0]", "dense_1[0]"].derivative == 1
    assert drawn.edges["x[0]", "dense_1[1]"].derivative == 0
    assert drawn.variables["loss"].value == 2


def test_pixels_that_a_unit_does_not_see_have_no_edge_to_it() -> None:
    net, x, y = network("convolution")
    drawn = gn.diagram(net, x, y, highlight="x[0, 0, 0]", units=40)
    # The corner is in the window of the first position alone, of each of the two channels.
    reached = {end for start, end in drawn.edges if start == "x[0, 0, 0]"}
    assert reached == {"conv2d_1[0, 0, 0]", "conv2d_1[0, 0, 1]"}


def test_whole_numbers_sequences_and_layers_that_hand_on_what_they_get() -> None:
    layers = [gn.Embedding(9, 3), gn.GRU(3, return_sequences=True), gn.Dropout(0.5), gn.Dense(4)]
    net = gn.Network(layers, loss="cross_entropy", dtype="float64", input_shape=5, classes=range(4))
    x, y = np.array([1, 8, 2, 2, 0]), [0, 3, 3, 1, 2]
    drawn = gn.diagram(net, x, y, highlight="embedding_1.weight[8, 2]")
    values = dict.fromkeys(name.split("[")[0].split(":")[0] for name in drawn.variables)
    assert list(values) == ["embedding_1.weight", "embedding_1", "gru_2", "dense_4.z", "loss"]
    expected = net.gradients(x[None], [y])["embedding_1.weight"][8, 2]
    assert drawn.total == pytest.approx(expected, rel=1e-12)


def test_layers_may_be_called_like_the_ends_of_the_diagram() -> None:
    layers = [gn.Dense(2, name="x"), gn.Dense(1, name="loss")]
    drawn = gn.diagram(gn.Network(layers, "half_squared_error", input_shape=1), [1.0], 0.0)
    assert list(drawn.variables) == ["x[0]", "x.y[0]", "x.y[1]", "loss.y[0]", "loss"]


def test_the_weights_of_wide_layers_are_reached_without_a_copy_for_every_unit() -> None:
    layers = [gn.Dense(1500, activation="tanh"), gn.Dense(1500, activation="tanh"), gn.Dense(1)]
    net = gn.Network(layers, "half_squared_error", dtype="float64", input_shape=1500)
    x = draws(5, 1500)
    drawn = gn.diagram(net, x, 1.0, highlight="dense_2.weight[3, 4]", units=1)
    assert drawn.total == pytest.approx(net.gradients(x[None], [1.0])["dense_2.weight"][3, 4], rel=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gn.diagram(f, 1.0, 2.0, highlight="x3"), ConfigurationError, "x1, x2, g1"),
        (lambda: gn.diagram(step, *ARGUMENTS, highlight="W[12, 0]"), ConfigurationError, r"shape \(12, 2\)"),
        (lambda: gn.diagram(step, *ARGUMENTS, highlight="W[0]"), ConfigurationError, "no element of W"),
        (lambda: gn.diagram(*network("gated"), highlight="w"), ConfigurationError, "dense_2.bias"),
        (lambda: gn.diagram(f, 1.0, 2.0, units=-1), ConfigurationError, "0 or more"),
        (lambda: gn.diagram(f, 1.0, "two"), DTypeError, "got str"),
        (lambda: gn.diagram(lambda x: (x, x), 1.0), DifferentiationError, "returned a tuple"),
        (lambda: gn.diagram(lambda x: x * np.ones(5000), 1.0), DifferentiationError, "at most 4096"),
        (lambda: gn.diagram(f, 1.0, 2.0).save("picture.png"), ConfigurationError, "picture.png"),
        (
            lambda: gn.diagram(gn.Network([gn.Dense(1)], "mean_squared_error"), [1.0], 1.0),
            NotFittedError,
            "fit",
        ),
        (lambda: gn.diagram(network("dense")[0], np.ones((2, 6)), [1.0, 1.0]), ShapeError, "2 rows"),
    ],
)
def test_errors_are_one_sentence(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).count(". ") == 0


def test_files_are_written_by_their_ending(tmp_path: Path) -> None:
    drawn = gn.diagram(f, *POINT.values())
    for name, content in (("a.svg", drawn.svg()), ("a.dot", drawn.dot()), ("a.gv", drawn.dot())):
        drawn.save(tmp_path / name)
        assert (tmp_path / name).read_text("utf-8") == content
    assert drawn._repr_svg_() == drawn.svg()
