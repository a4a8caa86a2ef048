from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import DifferentiationError, ShapeError

UNARY = [
    *("gnp.exp({})", "gnp.expm1({})", "gnp.sin({})", "gnp.cos({})", "gnp.tanh({})", "gnp.sigmoid({})"),
    *("gnp.softplus({})", "gnp.square({})", "gnp.relu({})", "gnp.abs({})", "gnp.sign({})"),
    *("gnp.log(1+gnp.square({}))", "gnp.sqrt(1+gnp.square({}))", "gnp.log1p(gnp.square({}))"),
    *("-({})", "({})**2", "({})**3", "2**({})", "3*({})", "({})/4", "1-({})"),
]
BINARY = [
    *("({}+{})", "({}-{})", "({}*{})", "({}/(2+gnp.square({})))", "(1+gnp.square({}))**({})"),
    *("gnp.maximum({},{})", "gnp.minimum({},{})", "gnp.where({}>{},x*y,y)"),
]
POINT = {"x": 0.7137, "y": -0.4291}


@st.composite
def statements(draw: st.DrawFn) -> list[str]:
    """Right-hand sides of assignments t0, t1, ..., each over x, y, a number and the values before it."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        operand = st.sampled_from(["x", "y", "0.6", *(f"t{i}" for i in range(len(lines)))])
        form = draw(st.sampled_from(UNARY + BINARY))
        inner = draw(st.sampled_from(["{}", "{}", *UNARY]))
        operands = [draw(operand) for _ in range(form.count("{}"))]
        operands[0] = inner.format(operands[0])
        lines.append(form.format(*operands))
    return lines


def build(lines: list[str], *, named: bool) -> Callable[..., object]:
    """The function with its intermediate values in local variables, or written as one expression."""
    body = "".join(f"    t{i} = {line}\n" for i, line in enumerate(lines))
    result = f"t{len(lines) - 1}"
    if not named:
        body = ""
        for i in reversed(range(len(lines))):
            result = result.replace(f"t{i}", f"({lines[i]})")
    scope = {"gnp": gnp}
    exec(compile(f"def f(x, y):\n{body}    return {result} + 0 * x\n", "<generated>", "exec"), scope)
    return scope["f"]  # type: ignore[return-value]


@settings(max_examples=110, deadline=None)
@given(statements(), st.booleans())
def test_the_printed_formula_gives_the_engines_gradient(read, lines: list[str], named: bool) -> None:
    f = build(lines, named=named)
    try:
        # NOTE a slope may be finite, or 0, where a value on the way overflows: a point out of the domain.
        with np.errstate(all="raise", under="ignore"):
            expected = gn.grad(f, wrt=("x", "y"))(*POINT.values())
    except FloatingPointError:
        reject()
    assume(all(abs(slope) < 1e6 for slope in expected))
    derivation = gn.derive(f, at=POINT)
    for partial, slope in zip(derivation.partials.values(), expected, strict=True):
        tolerance = 1e-12 * max(1.0, abs(float(slope)))
        assert abs(read(derivation, partial, POINT) - slope) <= tolerance, derivation.text()
        assert partial.value == pytest.approx(float(slope), rel=1e-14, abs=1e-14)


@settings(max_examples=40, deadline=None)
@given(statements())
def test_the_printed_function_gives_the_functions_value(read_formula, lines: list[str]) -> None:
    f = build(lines, named=False)
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(f(*(np.float64(number) for number in POINT.values())))  # type: ignore[arg-type]
    assume(abs(value) < 1e6)
    read = float(read_formula(gn.derive(f).formula, POINT))
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

    (case,) = gn.derive(f, wrt="d").partials["d"].cases
    assert case.condition == ""
    assert case.formula.count(" if ") == 4


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


def test_the_text_has_function_derivatives_definitions_and_numbers() -> None:
    def loss(w, b):
        p = gnp.sigmoid(w + b)
        return gnp.relu(p - 1)

    assert gn.derive(loss, wrt="w", at={"w": 1.0, "b": -1.0}).text().splitlines() == [
        "loss = relu(p - 1)",
        "",
        "dloss/dw = 0          where p - 1 <= 0",
        "         = s'(w + b)  where p - 1 > 0",
        "",
        "where",
        "    p = s(w + b)",
        "    s'(z) = s(z) (1 - s(z))",
        "",
        "at",
        "    w = 1",
        "    b = -1",
        "    p = 0.5",
        "    loss = 0",
        "    dloss/dw = 0",
    ]


def test_a_formula_that_nobody_could_read_is_refused() -> None:
    def deep(x):
        for _ in range(101):
            x = gnp.tanh(x)
        return x

    def long(x):
        for _ in range(40):
            x = x * x + 1
        return x

    with pytest.raises(DifferentiationError, match="deep is 101 operations deep and 100 is the most"):
        gn.derive(deep)
    with pytest.raises(DifferentiationError, match="A formula of long has more than 2000 symbols"):
        gn.derive(long)


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
            lambda f: gn.derive(f, at={"x": 1.0}),
            DifferentiationError,
            "at= lacks y; it needs one number for each argument of f: x, y.",
        ),
        (
            lambda f: gn.derive(f, at={"x": 1.0, "y": 2.0, "t": 3.0}),
            DifferentiationError,
            "at= gives a number to t; it needs one number for each argument of f: x, y.",
        ),
        (
            lambda f: gn.derive(lambda *args: args[0]),
            DifferentiationError,
            "cannot tell what to call the argument *args of f; name the arguments, as in derive(f, names=",
        ),
        (
            lambda f: gn.derive(lambda x: gnp.stack([x, x])),
            DifferentiationError,
            "derive explains scalar functions, but f returned shape (2,)",
        ),
        (
            lambda f: gn.derive(lambda x: gnp.sum(gnp.stack([x, x]))),
            ShapeError,
            "derive explains scalars, but reshape makes shape (1,) here (line ",
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
