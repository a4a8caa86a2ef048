"""The files that commands name: tables to read, models to load, and outputs, checked before any work."""

from __future__ import annotations

import os
from pathlib import Path

from glassnet.data import Table, load_digits, read_table
from glassnet.errors import ConfigurationError, ModelFileError
from glassnet.estimators import TabularModel
from glassnet.persist import is_model_file, load

DIGITS = "digits"


def open_unseen_table(name: str) -> Table:
    """The table in a file; for the built-in `digits`, the rows that no training ever sees."""
    if name != DIGITS:
        return read_table(name)
    digits = load_digits()
    _, test = digits.split()
    return digits.table(test)


def open_model(path: Path) -> TabularModel:
    """The model of a table in a file; raises `ModelFileError` for every other file."""
    model = load(path)
    if not isinstance(model, TabularModel):
        raise ModelFileError(
            f"{path} holds a bare network, which knows no column names; "
            "use it from Python with glassnet.load."
        )
    return model


def check_output(path: Path) -> None:
    """Raise `ConfigurationError` unless a file could be written at `path`."""
    if path.is_dir():
        raise ConfigurationError(f"--out {path} is a folder; give the path of a file.")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--out {path}: there is no folder {path.parent}; create it first.")
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"--out {path}: the folder {path.parent} is not writable; choose another.")


def check_model_output(path: Path) -> None:
    """Raise `ConfigurationError` unless a model could be written at `path`, over another model at most."""
    check_output(path)
    if path.exists() and not is_model_file(path):
        raise ConfigurationError(
            f"{path} exists and is not a glassnet model, so it is not overwritten; "
            "choose another name with --out."
        )
