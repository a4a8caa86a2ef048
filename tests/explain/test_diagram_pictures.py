"""Pictures of diagrams: no text on other text, signs that need no colour, names that do no harm."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet.explain import Diagram
from glassnet.explain.diagram_parts import Edge, Route, Variable
from glassnet.explain.layout import columns
from glassnet.explain.svg import text_width

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
NUMBERS = st.floats() | st.integers(-1000, 1000).map(float)


@st.composite
def diagrams(draw: st.DrawFn) -> Diagram:
    """Diagrams with any names and numbers, edges from older variables to younger ones, and any notes."""
    names = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    pairs = list(combinations(names, 2))
    links = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=15)) if pairs else []
    column = columns(names, links)
    flags, shapes = st.booleans(), st.none() | st.tuples(st.integers(1, 99))
    variables = {
        name: Variable(
            name,
            draw(NUMBERS),
            draw(st.none() | NUMBERS),
            column[name],
            draw(shapes),
            draw(flags),
            draw(flags),
        )
        for name in names
    }
    edges = {link: Edge(draw(st.none() | NUMBERS), draw(flags), draw(flags)) for link in links}
    route = Route(tuple(names), draw(NUMBERS), draw(st.none() | st.just((1.0, -2.0))))
    return Diagram(names[-1], variables, edges, names[0], (route,), (draw(st.integers(0, 3)), 1.0), 2.0)


def texts(svg: str) -> tuple[list[tuple[str, float, float, float, float]], tuple[float, float]]:
    """The lines of text with their left, top, right and bottom, and the size of the picture."""
    root = ElementTree.fromstring(svg)
    found = []
    for group in root.findall(f"{SVG}g"):
        shift = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", group.attrib["transform"])
        assert shift is not None
        for element in group.iter(f"{SVG}text"):
            a = element.attrib
            size, width = float(a["font-size"]), float(a["textLength"])
            left = float(a["x"]) + float(shift[1]) - (width / 2 if a["text-anchor"] == "middle" else 0)
            base = float(a["y"]) + float(shift[2])
            found.append((element.text or "", left, base - 0.75 * size, left + width, base + 0.22 * size))
    *_, width, height = map(float, root.attrib["viewBox"].split())
    return found, (width, height)


def assert_legible(svg: str) -> None:
    lines, (width, height) = texts(svg)
    for _, left, top, right, bottom in lines:
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
    for a, b in combinations(lines, 2):
        apart = a[3] <= b[1] or b[3] <= a[1] or a[4] <= b[2] or b[4] <= a[2]
        assert apart, (a, b)


@given(diagrams())
def test_no_text_lies_on_other_text_and_all_lies_inside(diagram: Diagram) -> None:
    assert_legible(diagram.svg())


@pytest.mark.parametrize("units", [0, 2, 6])
def test_networks_are_legible(units: int) -> None:
    layers = [gn.Dense(20, activation="relu"), gn.Residual([gn.Dense(20, activation="tanh")]), gn.Dense(10)]
    net = gn.Network(layers, loss="cross_entropy", input_shape=64, classes=range(10))
    drawn = gn.diagram(net, np.ones(64), 3, highlight="dense_1.weight[0, 1]", units=units)
    assert_legible(drawn.svg())


@given(diagrams())
def test_names_are_text_and_never_markup(diagram: Diagram) -> None:
    root = ElementTree.fromstring(diagram.svg())  # it is well-formed whatever the names
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "title", "desc", "rect", "g", "path", "text"}
    allowed = {
        "xmlns",
        "width",
        "height",
        "viewBox",
        "role",
        "aria-label",
        "font-family",
        "transform",
        "fill",
    }
    allowed |= {"stroke", "stroke-width", "stroke-dasharray", "opacity", "d", "x", "y", "rx", "font-size"}
    allowed |= {"text-anchor", "font-weight", "textLength", "lengthAdjust"}
    assert {name for element in root.iter() for name in element.attrib} <= allowed


def hostile(name: str) -> Diagram:
    return Diagram(
        "f", {name: Variable(name, 1.0, 2.0, 0), "f": Variable("f", 3.0, None, 1)}, {(name, "f"): Edge(2.0)}
    )


def test_a_script_in_a_name_is_escaped() -> None:
    svg = hostile("</title><script>alert(1)</script>").svg()
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


@given(NAMES)
def test_a_name_cannot_leave_its_quotes_in_dot(name: str) -> None:
    dot = hostile(name).dot()
    outside_quotes = re.sub(r'"(?:[^"\\]|\\.)*"', "S", dot)
    assert outside_quotes == (
        "digraph S {\n  rankdir=LR; node [shape=box, style=rounded];\n  S [label=S];\n  S [label=S];\n"
        "  {rank=same; S;}\n  {rank=same; S;}\n"
        "  S -> S [label=S, color=S, style=solid, penwidth=4.00];\n}\n"
    )


def edge_of(derivative: float, *, is_norm: bool = False) -> tuple[dict[str, str], str]:
    drawn = Diagram(
        "f",
        {"x": Variable("x", 1.0, 2.0, 0), "f": Variable("f", 3.0, None, 1)},
        {("x", "f"): Edge(derivative, is_norm)},
    )
    group = ElementTree.fromstring(drawn.svg()).find(f"{SVG}g/{SVG}g")
    assert group is not None
    line, head = group.findall(f"{SVG}path")
    return {**group.attrib, **line.attrib}, head.attrib["fill"]


def test_signs_are_told_apart_without_colour() -> None:
    (positive, full), (negative, hollow) = edge_of(2.0), edge_of(-2.0)
    assert "stroke-dasharray" not in positive
    assert "stroke-dasharray" in negative
    assert full != "white"
    assert hollow == "white"
    assert positive["stroke"] != negative["stroke"]


def test_a_picture_has_words_for_those_who_do_not_see_it() -> None:
    drawn: Any = gn.diagram(lambda x, y: x * y, 2.0, -3.0, highlight="x")
    root = ElementTree.fromstring(drawn.svg())
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}title") == "Influence diagram of f as a function of x, y"
    assert root.findtext(f"{SVG}desc") == drawn.text()
    assert "∂f/∂x = −3" in [element.text for element in root.iter(f"{SVG}title")]


def test_larger_derivatives_have_thicker_edges() -> None:
    drawn = gn.diagram(lambda x, y: x + 4 * y, 1.0, 1.0)
    groups = ElementTree.fromstring(drawn.svg()).findall(f"{SVG}g/{SVG}g")
    widths = {}
    for group in groups[:2]:
        path = group.find(f"{SVG}path")
        assert path is not None
        widths[group.findtext(f"{SVG}title")] = float(path.attrib["stroke-width"])
    assert widths["∂f/∂y = 4"] > widths["∂f/∂x = 1"]


def test_widths_are_those_of_helvetica() -> None:
    assert text_width("Wi", 1000) == 944 + 222
    assert text_width("日", 10) == 10
    assert text_width("e\N{COMBINING ACUTE ACCENT}", 10) == text_width("e", 10)
