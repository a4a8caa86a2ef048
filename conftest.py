"""What every documented example finds: the usual names, and an empty folder to write files in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp


@pytest.fixture(autouse=True, scope="session")
def _names_in_examples(doctest_namespace: dict[str, Any]) -> None:
    # Examples run as if typed at a prompt: under a module's own name their lines would count as glassnet's.
    doctest_namespace.update(np=np, gn=gn, gnp=gnp, __name__="__main__")


@pytest.fixture(autouse=True)
def _folder_of_examples(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
