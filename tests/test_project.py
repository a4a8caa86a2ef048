"""The promises of the project's files: commands, layers, contents of the package, weight of the import."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = ("polars", "sklearn", "scipy", "pandas", "matplotlib", "jax", "torch", "llvmlite", "cyclopts")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_imports_only_go_down() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


def test_the_readme_gives_the_commands_that_set_up_and_test() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    install = "python3 -m venv .venv && .venv/bin/pip install -e '.[all,test]'"
    assert f"    {install} && .venv/bin/glassnet train digits" in lines
    assert "    .venv/bin/pytest" in lines


def test_the_files_that_the_documents_point_to_are_there() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    targets = [
        (document, target)
        for document in documents
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8"))
    ]
    assert len(targets) > 5
    missing = [target for document, target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_no_lock_file_and_no_package_index_is_in_the_repository(tracked: list[Path]) -> None:
    assert [path.name for path in tracked if path.suffix == ".lock"] == []
    # Put together here, so that this file does not contain what it looks for.
    traces = ["py" + "pi", "python" + "hosted", "index" + "-url", "find" + "-links"]
    # A picture inside a drawing is letters by chance.
    pixels = re.compile(rb"base64,[\sA-Za-z0-9+/=]+")
    texts = {path: pixels.sub(b"", path.read_bytes()).lower() for path in tracked if path.is_file()}
    assert [(path, trace) for path, text in texts.items() for trace in traces if trace.encode() in text] == []


@pytest.mark.parametrize("name", ["py.typed", "data/digits.npz", "data/digits.LICENSE.txt"])
def test_the_package_brings_its_data(name: str) -> None:
    assert resources.files("glassnet").joinpath(name).is_file()


def test_the_import_is_light() -> None:
    program = f"import sys, glassnet; print([name for name in {OPTIONAL!r} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_the_version_is_the_one_of_the_distribution_and_of_the_changelog() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    program = "import glassnet; print(glassnet.__version__)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == version[1]
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
