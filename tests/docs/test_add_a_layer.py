"""The page on adding a layer: its layer, written to a file as it stands, passes what every layer passes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from doctest import DocTestFinder, DocTestParser, DocTestRunner
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import glassnet as gn
from glassnet import nn
from glassnet.core import document
from glassnet.nn import LAYERS
from tests.nn.gradients import check_form, check_layer

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "add_a_layer.md"
NAME = "RadialBasis"


def source() -> str:
    """The page's first block: imports and the class, without the prompts."""
    first = PAGE.read_text().split("```")[1]
    return "\n".join(example.source for example in DocTestParser().get_examples(first))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The layer as a module of its own; the tables of layers forget it afterwards."""
    tables = (document._CLASSES, LAYERS)
    for table in tables:  # the page itself, run as an example, may have left its own class there
        monkeypatch.delitem(table, NAME, raising=False)
    path = tmp_path / "radial_basis.py"
    path.write_text(f"from __future__ import annotations\n\n{source()}")
    spec = importlib.util.spec_from_file_location("radial_basis", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "radial_basis", made)
    spec.loader.exec_module(made)
    # The one other line: the public name.
    monkeypatch.setattr(nn, NAME, made.RadialBasis, raising=False)
    yield made
    for table in tables:
        del table[NAME]


@pytest.mark.parametrize(
    "options", [{}, {"width": 0.5}, {"initializer": "orthogonal", "name": "bumps"}], ids=str
)
def test_it_passes_the_checks_of_every_layer(module: ModuleType, options: dict[str, object]) -> None:
    layer = module.RadialBasis(3, **options)
    check_layer(layer, (2,))
    check_form(layer, (2,))


def test_its_value_is_the_formula_and_its_docstring_runs(module: ModuleType) -> None:
    centre, x = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([0.5, 0.5])
    expected = [np.exp(-(0.25 + 0.25) / 0.5), np.exp(-(2.25 + 2.25) / 0.5)]
    np.testing.assert_allclose(module.RadialBasis(2, width=0.5)({"centre": centre}, x), expected, rtol=1e-14)
    runner = DocTestRunner()
    for test in DocTestFinder().find(module.RadialBasis, NAME, module):
        runner.run(test)
    assert runner.summarize(verbose=False) == (0, 2)


def test_it_trains_and_another_process_loads_it(module: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (np.linalg.norm(X, axis=1) < 1).astype(int)
    net = gn.Network([module.RadialBasis(8, name="bumps"), gn.Dense(2)], loss="cross_entropy", seed=0)
    history = net.fit(X, y, epochs=40, optimizer=gn.Adam(0.03))
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert next(iter(net.parameters)) == "bumps.centre"
    assert net.certify(X[:8], y[:8]).largest_relative_error < 1e-4
    assert net.summary().rows[0] == ("bumps", "RadialBasis(8)", (8,), 16)
    net.save(tmp_path / "rings.glass")
    np.save(tmp_path / "X.npy", X)
    program = (
        "import numpy, glassnet, radial_basis\n"
        "net = glassnet.load('rings.glass')\n"
        "assert type(net.layers[0]) is radial_basis.RadialBasis\n"
        "numpy.save('y.npy', net.predict_proba(numpy.load('X.npy')))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), net.predict_proba(X))
