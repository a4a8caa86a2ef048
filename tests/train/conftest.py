"""Small data that the tests of training share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(23, 3))


@pytest.fixture(scope="session")
def mazur() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "data" / "worked_examples.json"
    return json.loads(path.read_text())["mazur"]


@pytest.fixture
def mazur_network() -> gn.Network:
    """The network of the published example before its first step."""
    layers = [gn.Dense(2, activation="sigmoid"), gn.Dense(2, activation="sigmoid")]
    net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=2)
    net.parameters = {
        "dense_1.weight": [[0.15, 0.20], [0.25, 0.30]],
        "dense_1.bias": [0.35, 0.35],
        "dense_2.weight": [[0.40, 0.45], [0.50, 0.55]],
        "dense_2.bias": [0.60, 0.60],
    }
    return net
