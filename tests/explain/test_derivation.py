from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DifferentiationError, ShapeError
from glassnet.explain import Case
from glassnet.explain.expression import Number, Sum
from glassnet.explain.notation import Plain
from tests.explain.generated import examples, of_numbers
from tests.explain.latex_grammar import check_latex
from tests.explain.reader import all_known, evaluate, value_of


def test_printed_formulas_give_the_engines_gradient() -> None:
    for example in examples(60):
        assert example.error <= 1e-12, example.derivation.text(ascii=True)
        check_latex(example.derivation.latex())
        ElementTree.fromstring(example.derivation.html().replace("&#x2062;", " "))


def test_a_wrong_formula_is_found_out() -> None:
    (example,) = examples(1, seed=3)
    partials = {
        name: replace(partial, cases=(Case(Sum((partial.cases[0].expression, Number(Fraction(1, 10**9))))),))
        for name, partial in example.derivation.partials.items()
    }
    assert replace(example, derivation=replace(example.derivation, partials=partials)).error > 1e-10


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_the_printed_function_gives_the_functions_value(seed: int) -> None:
    example = of_numbers(random.Random(seed))
    assume(example is not None and example.derivation.at)
    derivation = example.derivation
    read = float(evaluate(derivation.formula, all_known(derivation, example.at)))
    value = derivation.at[derivation.name]
    assert abs(read - value) <= 1e-12 * max(1.0, abs(value))


def formulas(f: Callable[..., object], **options: object) -> list[str]:
    return [partial.formula for partial in gn.derive(f, **options).partials.values()]  # type: ignore[arg-type]


def test_one_function_seen_two_ways() -> None:
    def f(x, y, a, b):
        return 2 * a * x + b / y

    assert formulas(f, wrt=("x", "y")) == ["2 a", "-b / y^2"]
    assert formulas(f, wrt=("a", "b")) == ["2 x", "1 / y"]
    assert formulas(f, wrt=2) == ["2 x"]


def test_a_variable_that_acts_on_several_paths_has_a_sum() -> None:
    assert formulas(lambda x: x * gnp.sin(x)) == ["sin(x) + x cos(x)"]
    assert formulas(lambda x: x * x) == ["2 x"]
    assert formulas(lambda x: x - x) == ["0"]


def test_an_intermediate_variable_is_a_variable() -> None:
    def f(x, y):
        z = x * y
        return gnp.exp(z) + z**2

    derivation = gn.derive(f, wrt=("z", "x"), at={"x": 0.5, "y": 2.0})
    assert derivation.partials["z"].formula == "exp(z) + 2 z"
    assert derivation.partials["x"].formula == "(exp(z) + 2 z) y"
    assert derivation.partials["z"].value == pytest.approx(math.e + 2)
    assert derivation.definitions == {"z": "x y"}
    assert derivation.at == {"x": 0.5, "y": 2.0, "z": 1.0, "f": math.e + 1}


def test_kinks_are_cases_with_the_conventions_of_the_ops() -> None:
    def clipped(x, y):
        return gnp.maximum(x, y) * 3

    x, y = gn.derive(clipped).partials.values()
    assert [(case.formula, case.condition) for case in x.cases] == [("0", "x < y"), ("3", "x >= y")]
    assert [(case.formula, case.condition) for case in y.cases] == [("3", "x < y"), ("0", "x >= y")]
    assert formulas(gnp.relu, names=["z"]) == ["0 where z <= 0; 1 where z > 0"]


def test_two_kinks_give_only_the_cases_that_differ() -> None:
    def f(x):
        return gnp.relu(gnp.relu(x) - 1)

    cases = gn.derive(f).partials["x"].cases
    assert [(case.formula, case.condition) for case in cases] == [
        ("0", "relu(x) - 1 <= 0"),
        ("0", "relu(x) - 1 > 0 and x <= 0"),
        ("1", "relu(x) - 1 > 0 and x > 0"),
    ]


def test_many_kinks_stay_inside_the_formula() -> None:
    def f(a, b, c, d):
        return gnp.relu(a * gnp.relu(b * gnp.relu(c * gnp.relu(d))))

    derivation = gn.derive(f, wrt="d")
    assert derivation.definitions["df/du1"].count(" if ") == 3
    assert derivation.partials["d"].formula == "0 where d <= 0; df/du1 where d > 0"


def test_with_numbers_the_branch_taken_is_derived() -> None:
    def f(x):
        return x**2 if x > 0 else -x

    assert formulas(f, at={"x": 3.0}) == ["2 x"]
    assert formulas(f, at={"x": -3.0}) == ["-1"]


def test_what_is_held_fixed_has_no_derivative() -> None:
    assert formulas(lambda x: gnp.stop_gradient(x) * x) == ["x"]
    assert formulas(lambda x, y: y * 2, at={"x": 1.0, "y": 1.0}) == ["0", "2"]
    assert formulas(lambda x: 3.0) == ["0"]


def test_arguments_with_a_default_keep_it() -> None:
    def f(x, scale=4.0):
        return scale * x

    assert formulas(f) == ["4"]


def test_the_text_goes_from_the_function_to_the_numbers() -> None:
    def loss(w, b):
        p = gnp.sigmoid(w + b)
        return gnp.relu(p - 1)

    derivation = gn.derive(loss, wrt="w", at={"w": 1.0, "b": -1.0})
    assert derivation.text(ascii=True).splitlines() == [
        "loss = relu(p - 1)",
        "",
        "where",
        "    p = s(w + b)",
        "",
        "chain rule, from the end",
        "    dloss/dp = (1 if p - 1 > 0 else 0)",
        "    dloss/dw = dloss/dp * s'(w + b)",
        "",
        "simplified",
        "    dloss/dw = 0          where p - 1 <= 0",
        "             = s'(w + b)  where p - 1 > 0",
        "",
        "with",
        "    s'(z) = s(z) (1 - s(z))",
        "",
        "at",
        "    w = 1",
        "    b = -1",
        "    p = 0.5",
        "    loss = 0",
        "    dloss/dw = 0",
    ]


def test_numbers_for_some_arguments_are_put_in_and_the_rest_stays() -> None:
    derivation = gn.derive("a * tanh(w * x + b)", wrt="w", at={"w": 1.0, "x": 2.0})
    assert derivation.text(ascii=True).endswith("at\n    w = 1\n    x = 2\n    df/dw = 2 a tanh'(2 + b)")
    assert derivation.partials["w"].value is None


def jacobian(f: Callable[..., object], **options: object) -> list[list[str]]:
    derivation = gn.derive(f, **options)  # type: ignore[arg-type]
    return [[Plain().write(entry) for entry in row] for row in derivation.jacobian]


def test_several_results_have_a_jacobian_results_as_rows() -> None:
    names = {"x": ["x1", "x2"]}
    assert jacobian(lambda x: [2 * x[0] + x[1], gnp.pi * x[1], -x[0] / x[1]], names=names) == [
        ["2", "1"],
        ["0", "pi"],
        ["-1 / x2", "x1 / x2^2"],
    ]
    assert jacobian(lambda w: [w[0] / w[1], -w[1], gnp.log(w[0])], names={"w": ["w1", "w2"]}) == [
        ["1 / w2", "-w1 / w2^2"],
        ["0", "-1"],
        ["1 / w1", "0"],
    ]


def test_with_respect_to_a_matrix_row_by_row() -> None:
    names = {"W": [["w11", "w12"], ["w21", "w22"]], "x": ["x1", "x2"]}
    assert jacobian(lambda W, x: W @ x, wrt="W", names=names) == [
        ["x1", "x2", "0", "0"],
        ["0", "0", "x1", "x2"],
    ]


def test_softmax_has_its_textbook_jacobian() -> None:
    def y(z):
        return gnp.softmax(z)

    assert jacobian(y, shapes={"z": 2}) == [["y[0] - y[0]^2", "-y[0] y[1]"], ["-y[1] y[0]", "y[1] - y[1]^2"]]


def test_results_share_their_names() -> None:
    def g(x, y):
        return [gnp.exp(x * y + gnp.sin(x * y) * 2) * k for k in (x, y)]

    derivation = gn.derive(g, at={"x": 0.3, "y": 0.7})
    expected = gn.jacobian(lambda v: g(*v))(np.array([0.3, 0.7]))
    read = [value_of(derivation, partial, {"x": 0.3, "y": 0.7}) for partial in derivation.partials.values()]
    np.testing.assert_allclose(read, expected.ravel(), rtol=1e-14)


def test_a_product_of_matrices_is_transposed_factor_by_factor() -> None:
    def f(X, W):
        Z = X @ gnp.transpose(W)
        return gnp.sum(gnp.tanh(Z))

    partials = gn.derive(f, shapes={"X": (5, 3), "W": (2, 3)}).partials
    assert partials["X"].formula == "tanh'(Z) W"
    assert partials["W"].formula == "tanh'(Z)^T X"


DEEP = {
    "one path": lambda x: gnp.tanh(x),
    "two equal paths": lambda x: x * x + 1,
    "two paths": lambda x: x * gnp.sin(x),
    "three paths": lambda x: gnp.maximum(x, 0.5 * x) * gnp.exp(-x),
}


@pytest.mark.parametrize("step", DEEP.values(), ids=DEEP)
def test_the_length_grows_with_the_edges_not_with_the_paths(step: Callable[..., object]) -> None:
    def length(depth: int) -> int:
        def f(x):
            for _ in range(depth):
                x = step(x)
            return x

        return len(gn.derive(f).text())

    short, long = length(40), length(160)
    # Names such as u100 are longer than u10; nothing else grows.
    assert long < 4 * 1.3 * short


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda f: gn.derive(f, wrt="z"),
            DifferentiationError,
            "wrt='z' is no variable of f; it has x, y, t.",
        ),
        (lambda f: gn.derive(f, wrt=2), DifferentiationError, "wrt=2 is no variable of f; it has x, y, t."),
        (
            lambda f: gn.derive(f, at={"x": 1.0, "t": 3.0}),
            DifferentiationError,
            "at= gives a number to t, which is no argument of f; it has x, y.",
        ),
        (
            lambda f: gn.derive(lambda *args: args[0]),
            DifferentiationError,
            "cannot tell what to call the argument *args of f; name the arguments, as in derive(f, names=",
        ),
        (
            lambda f: gn.derive(lambda x: gnp.stack([x, x]), form="matrices"),
            DifferentiationError,
            "The matrix form is for functions with one number as result, and f has 2;",
        ),
        (
            lambda f: gn.derive(3),
            ConfigurationError,
            "derive got 3; it takes a function, an expression such as",
        ),
        (
            lambda f: gn.derive(f, wrt=1.5),
            ConfigurationError,
            "derive got wrt=1.5; it takes a name, a position,",
        ),
        (lambda f: gn.derive(f, form="words"), ConfigurationError, 'it takes "elements" or "matrices".'),
        (
            lambda f: gn.derive(f, shapes={"x": 3}, at={"x": np.zeros(2)}),
            ShapeError,
            "The argument x has the shapes (2,) and (3,) by what derive was given; they must agree.",
        ),
        (
            lambda f: gn.derive(f, names={"x": [1, 2]}),
            DifferentiationError,
            "names= gives x the names [1, 2]; it takes a name, or lists of names of the shape of the array.",
        ),
        (
            lambda f: gn.derive(f, names={"x": "<b>"}),
            DifferentiationError,
            "'<b>' is no name; a name is made of letters, digits, _ and dots.",
        ),
        (
            lambda f: gn.derive(lambda x: gnp.sum(x), shapes={"x": 5000}, form="elements"),
            DifferentiationError,
            "f works on 5,000 numbers at once, and nobody reads formulas of more than 2,000;",
        ),
        (
            lambda f: gn.derive(
                lambda x: gn.scan(lambda c, _: (c * x, c), 1.0, None, length=3)[0], form="matrices"
            ),
            DifferentiationError,
            "derive does not look into scan, which runs a graph of its own",
        ),
    ],
)
def test_what_cannot_be_derived_is_said_in_a_sentence(call, error, sentence: str) -> None:
    def f(x, y):
        t = x * y
        return t + 1

    with pytest.raises(error) as raised:
        call(f)
    assert sentence in str(raised.value)
