"""What every test and every docstring example may use without saying so."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp

# Deadlines measure the machine, not the code. Continuous integration tries the same examples every time; at
# home each run tries new ones.
hypothesis.settings.register_profile("ci", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _names_in_examples(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(np=np, gn=gn, gnp=gnp)
