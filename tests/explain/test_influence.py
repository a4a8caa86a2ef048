"""Curriculum item 6: who influences whom, and the sum over all paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import DifferentiationError
from glassnet.explain import influence

numbers = st.floats(-2, 2).map(lambda number: round(number, 3))


def diamond(x1, x2):
    g1 = x1 + 2 * x2
    g2 = x2 * g1
    g3 = g2**2 + g1
    return g1 * g3


@given(x1=numbers, x2=numbers)
def test_every_edge_carries_the_direct_derivative(x1: float, x2: float) -> None:
    diagram = influence(diamond, x1=x1, x2=x2)
    g1 = x1 + 2 * x2
    g2 = x2 * g1
    assert diagram.edges == pytest.approx(
        {
            ("x1", "g1"): 1,
            ("x2", "g1"): 2,
            ("x2", "g2"): g1,
            ("g1", "g2"): x2,
            ("g1", "g3"): 1,
            ("g2", "g3"): 2 * g2,
            ("g1", "diamond"): g2**2 + g1,
            ("g3", "diamond"): g1,
        },
        rel=1e-12,
        abs=1e-12,
    )
    assert diagram.values["g2"] == pytest.approx(g2, abs=1e-12)
    assert diagram.output == "diamond"


@given(x1=numbers, x2=numbers)
def test_the_sum_over_all_paths_is_the_derivative(x1: float, x2: float) -> None:
    diagram = influence(diamond, x1=x1, x2=x2)
    for name in ("x1", "x2"):
        expected = float(gn.grad(diamond, wrt=name)(x1, x2))
        assert diagram.total(name) == pytest.approx(expected, rel=1e-12, abs=1e-11)
        # Cut across after the first step: what each first edge leads to, in total.
        first = [(end, edge) for (start, end), edge in diagram.edges.items() if start == name]
        assert sum(edge * diagram.total(end) for end, edge in first) == pytest.approx(expected, abs=1e-11)
    assert diagram.total("x2", "g2") == pytest.approx(x1 + 4 * x2, abs=1e-12)


def test_the_paths_are_all_there_and_read_from_the_outermost_factor() -> None:
    paths = influence(diamond, x1=3.0, x2=-1.0).paths("x2")
    assert [path.variables[1:-1] for path in paths] == [
        ("g1", "g2", "g3"),
        ("g1", "g3"),
        ("g1",),
        ("g2", "g3"),
    ]
    assert [path.product for path in paths] == [4, 2, 4, -2]
    assert str(paths[0]) == "x2 -> g1 -> g2 -> g3 -> diamond: 1 * -2 * -1 * 2 = 4"


def test_what_has_no_path_has_no_influence() -> None:
    diagram = influence(lambda x, y: gnp.exp(x), x=0.0, y=1.0)
    assert diagram.output == "f"
    assert (diagram.paths("y"), diagram.total("y")) == ([], 0.0)
    assert diagram.total("f") == 1.0
    assert diagram.total("f", "x") == 0.0


def test_an_argument_that_is_returned_is_the_output_itself() -> None:
    diagram = influence(lambda x: x, x=2.0)
    assert (diagram.output, dict(diagram.edges), diagram.total("x")) == ("x", {}, 1.0)
    assert str(diagram) == ""


def test_the_number_of_paths_may_be_large_where_the_edges_are_few() -> None:
    def forks(x):
        a = gnp.sin(x)
        b = a * x
        c = gnp.sin(b)
        d = c * b
        e = gnp.sin(d)
        return e * d

    diagram = influence(forks, x=0.5)
    assert (len(diagram.paths("x")), len(diagram.edges)) == (8, 9)
    assert math.isclose(diagram.total("x"), float(gn.grad(forks)(0.5)), rel_tol=1e-14)


def test_mistakes_are_one_sentence() -> None:
    with pytest.raises(DifferentiationError, match=r"has no variable 'q'; it has x, f\.$"):
        influence(lambda x: x * 2, x=1.0).total("q")
    with pytest.raises(DifferentiationError, match="makes an array; use jacobian"):
        influence(lambda x: (x * np.ones(3)).sum(), x=1.0)
