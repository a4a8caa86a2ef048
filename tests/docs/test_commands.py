"""The commands that the pages show do what the pages say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from glassnet.cli import main

DOCS = Path(__file__).resolve().parents[2] / "docs"


def commands(page: str) -> list[list[str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"^    glassnet (.+)$", text, re.MULTILINE)]


def test_the_commands_for_a_table_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = np.repeat(["iris", "rose", "tulip"], 30)
    lengths = np.repeat([1.5, 4.3, 5.6], 30) + np.tile(np.linspace(-0.5, 0.5, 30), 3)
    rows = [f"{length:.2f},{length / 3:.2f},{kind}" for length, kind in zip(lengths, kinds, strict=True)]
    Path("flowers.csv").write_text("\n".join(["petal_length,petal_width,kind", *rows]), encoding="utf-8")
    shown = commands("how_to/csv.md")
    assert [arguments[0] for arguments in shown] == ["train", "predict", "evaluate"]
    for arguments in shown:
        assert main(arguments) == 0
    header, *predictions = Path("predictions.csv").read_text(encoding="utf-8").splitlines()
    assert header == "prediction,probability_iris,probability_rose,probability_tulip"
    right = [line.split(",")[0] == kind for line, kind in zip(predictions, kinds, strict=True)]
    assert np.mean(right) > 0.9
    assert "classification" in capsys.readouterr().out


def test_the_command_for_a_derivation(capsys: pytest.CaptureFixture[str]) -> None:
    (arguments,) = commands("how_to/derive.md")
    assert main(arguments) == 0
    page = (DOCS / "how_to/derive.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.replace("\n\n", "\n<BLANKLINE>\n") in page


def test_the_tutorials_command_is_that_of_the_readme() -> None:
    assert commands("tutorial/digits.md") == [["train", "digits"]]
    assert ".venv/bin/glassnet train digits" in (DOCS.parent / "README.md").read_text(encoding="utf-8")
