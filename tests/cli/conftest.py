from __future__ import annotations

import numpy as np
import pytest

from glassnet.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder of its own, with the width of a plain terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def command(capsys):
    """Run a command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def flowers(folder):
    """A table of 90 rows whose two classes differ in `size`."""
    rng = np.random.default_rng(0)
    rows = [f"{i % 2 + rng.normal(0, 0.1):.4f},{rng.normal():.4f},{('elm', 'oak')[i % 2]}" for i in range(90)]
    (folder / "flowers.csv").write_text("\n".join(["size,noise,kind", *rows, ""]))
    return "flowers.csv"


@pytest.fixture
def model(command, flowers):
    """A model of `flowers`."""
    options = ("--target", "kind", "--hidden", "8", "--epochs", "40", "--learning-rate", "0.02")
    assert command("train", flowers, *options)[0] == 0
    return "flowers.glass"
