"""The figures of the pages: every one is drawn by the script, and every one that a page shows is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOWN = {
    (str(page.relative_to(DOCS)), path): alt
    for page in sorted(DOCS.rglob("*.md"))
    for alt, path in re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text("utf-8"), re.DOTALL)
}


def load() -> ModuleType:
    specification = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


figures = load()


def test_the_folder_holds_the_figures_of_the_script_and_pages_show_them() -> None:
    files = {path.name for path in figures.FOLDER.iterdir()}
    places = {((DOCS / page).parent / path).resolve() for page, path in SHOWN}
    drawn = {f"{name}.svg" for name in figures.FIGURES} | {f"{name}.png" for name in figures.DIAGRAMS}
    assert files == drawn == {p.name for p in places if p.parent == figures.FOLDER.resolve()}


@pytest.mark.parametrize(("page", "path"), SHOWN)
def test_a_figure_on_a_page_exists_and_is_described_in_words(page: str, path: str) -> None:
    assert ((DOCS / page).parent / path).is_file()
    assert len(SHOWN[page, path].split()) > 8


@pytest.mark.parametrize("name", figures.FIGURES)
def test_the_script_draws_it(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (path,) = figures.write([name], tmp_path)
    text = path.read_text("utf-8")
    assert text.rstrip().endswith("</svg>")
    assert "<dc:date>" not in text


@pytest.mark.parametrize("name", figures.DIAGRAMS)
def test_the_script_draws_the_diagram(name: str, tmp_path: Path) -> None:
    assert figures.DIAGRAMS[name]().routes
    pytest.importorskip("resvg_py")
    (path,) = figures.write([name], tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_files_are_the_same_from_run_to_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first, second = (figures.write(["kinks"], tmp_path)[0].read_bytes() for _ in range(2))
    assert first == second


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match="no figure nothing; there are activations"):
        figures.main(["nothing"])
