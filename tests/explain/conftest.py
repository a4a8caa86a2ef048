from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from glassnet.explain import Derivation, Partial
from tests.explain.reader import evaluate, value_of


@pytest.fixture(scope="session")
def read() -> Callable[[Derivation, Partial, Mapping[str, float]], float]:
    return value_of


@pytest.fixture(scope="session")
def read_formula() -> Callable[[str, Mapping[str, Any]], Any]:
    return evaluate
