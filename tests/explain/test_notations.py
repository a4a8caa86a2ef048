from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.explain.latex import Latex
from glassnet.explain.notation import Plain, Unicode
from tests.explain.latex_grammar import check_latex

FORMS = {
    "a / (b c)": (lambda a, b, c: a / (b * c), "a / (b c)", r"\frac{a}{b \, c}"),
    "powers": (lambda a, b, c: a**2 * b ** (c - 1), "a² b^(c − 1)", r"{a}^{2} \, {b}^{c-1}"),
    "power of a quotient": (
        lambda a, b, c: (a / b) ** 2 + c,
        "(a / b)² + c",
        r"{\left(\frac{a}{b}\right)}^{2}+c",
    ),
    "bars": (lambda a, b, c: abs(a - b) * c, "|a − b| c", r"\left|a-b\right| \, c"),
    "root": (lambda a, b, c: gnp.sqrt(a) + b + c, "sqrt(a) + b + c", r"\sqrt{a}+b+c"),
    "sigma": (
        lambda a, b, c: gnp.sigmoid(a) * (b + c),
        "σ(a) (b + c)",
        r"\sigma\left(a\right) \, \left(b+c\right)",
    ),
    "digits": (lambda a, b, c: a * 2 * b + c, "a × 2 b + c", r"a \cdot 2 \, b+c"),
    "small": (
        lambda a, b, c: 1e-12 * a + b + c,
        "1e−12 a + b + c",
        r"{10}^{-12} \, a+b+c",
    ),
    "large": (lambda a, b, c: 2.5e20 * a + b + c, "2.5e+20 a + b + c", r"2.5 \cdot {10}^{20} \, a+b+c"),
    "pi": (lambda a, b, c: gnp.pi * a + b + c, "π a + b + c", r"\pi \, a+b+c"),
    "cases": (
        lambda a, b, c: gnp.where(a >= b, a, c),
        "(a if a ≥ b else c)",
        r"\begin{cases} a & \text{if } a\ge b \\ c & \text{otherwise} \end{cases}",
    ),
    "functions": (
        lambda a, b, c: gnp.arctan2(a, b) + gnp.log1p(c),
        "arctan2(a, b) + log(1 + c)",
        r"\operatorname{arctan2}\left(a, b\right)+\log\left(1+c\right)",
    ),
}


@pytest.mark.parametrize(("f", "line", "latex"), FORMS.values(), ids=FORMS)
def test_a_formula_in_print(f: Callable[..., object], line: str, latex: str) -> None:
    derivation = gn.derive(f)
    (formula,) = derivation.functions.values()
    assert Unicode().write(formula) == line
    assert Latex().write(formula) == latex
    check_latex(derivation.latex())


def test_names_as_they_are_printed() -> None:
    names = ["w1", "yhat", "alpha", "delta2", "b_12", "loss", "W1[0, 2]", "x_max", "dense_1.weight"]
    assert list(map(Unicode().name, names)) == [
        *("w₁", "ŷ", "α", "δ₂", "b₁₂", "loss", "W₁[0, 2]", "x_max", "dense_1.weight"),
    ]
    assert list(map(Latex().name, names)) == [
        *("w_{1}", r"\hat{y}", r"\alpha", r"\delta_{2}", "b_{12}", r"\mathrm{loss}", "W_{1}[0, 2]"),
        *(r"\mathrm{x\_max}", r"\mathrm{dense\_1.weight}"),
    ]


def test_products_of_arrays_are_told_apart() -> None:
    def f(A, x, y):
        z = A @ x
        return y @ (z * y) + gnp.sum(2 * z)

    derivation = gn.derive(f, shapes={"A": (2, 3), "x": 3, "y": 2})
    (formula,) = derivation.functions.values()
    assert Plain().write(formula) == "y^T (z * y) + sum(2 z)"
    assert Unicode().write(formula) == "yᵀ (z ⊙ y) + sum(2 z)"
    assert Latex().write(formula) == (
        r"{y}^{\mathsf{T}} \, \left(z \odot y\right)+\operatorname{sum}\left(2 \, z\right)"
    )
    assert derivation.partials["x"].formula == "A^T df/dz"
    assert derivation.definitions["df/dz"] == "y^2 + 2 ones(2)"


@pytest.mark.parametrize("steps", [True, False])
def test_html_is_well_formed_and_shows_every_section(steps: bool) -> None:
    def f(x, y, w):
        yhat = gnp.relu(w * x)
        return (yhat - y) ** 2 / 2

    derivation = gn.derive(f, wrt="w", at={"x": 1.0, "y": 2.0, "w": 3.0})
    tree = ElementTree.fromstring(derivation.html(steps=steps))
    headings = [heading.text for heading in tree.iter("h4")]
    told = ["chain rule, from the end", "simplified"] if steps else []
    assert headings == ["where", *told, "at"]
    ElementTree.fromstring(derivation.mathml(steps=steps))
    assert derivation._repr_html_() == derivation.html()
    assert derivation._repr_latex_() == derivation.latex()


def test_numbers_of_arrays_are_matrices() -> None:
    derivation = gn.derive(
        lambda W, x: gnp.sum(W @ x), at={"W": np.array([[1.0, -2.0]]), "x": np.array([0.5, 4.0])}
    )
    assert r"\begin{bmatrix} 1 & -2 \end{bmatrix}" in derivation.latex()
    assert r"\begin{bmatrix} 0.5 \\ 4 \end{bmatrix}" in derivation.latex()
    assert "W = [[ 1. −2.]]" in derivation.text()


def test_arrays_that_are_fixed_have_names_of_their_own() -> None:
    fixed = np.array([1.0, 2.0])
    derivation = gn.derive(lambda c1: gnp.sum(c1 * fixed), shapes={"c1": 2})
    assert derivation.partials["c1"].formula == "c2"
    assert list(derivation.constants) == ["c2"]
    assert "c₂ = [1. 2.]" in derivation.text()


def test_the_grammar_of_latex_refuses_what_is_none() -> None:
    for wrong in (r"\frac{a}", "{a", "a^{b}^{c}", r"\left(a", r"\unknown{a}", r"\begin{cases} a", "a}"):
        with pytest.raises((AssertionError, IndexError)):
            check_latex(wrong)
