"""Published steps of single optimisers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import glassnet as gn
from glassnet import optim

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "worked_examples.json").read_text())


def line(start: float, stop: float) -> np.ndarray:
    return np.linspace(start, stop, 20).reshape(4, 5)


W, G = {"w": line(-0.4, 0.6)}, {"w": line(-0.6, 0.4)}


def test_momentum() -> None:
    steps, state = gn.SGD(1e-3, momentum=0.9).update(G, {"velocity": {"w": -line(0.6, 0.9)}}, W, 1, 1e-3)
    expected = EXAMPLES["momentum"]
    np.testing.assert_allclose(W["w"] - steps["w"], expected["next_w"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(-state["velocity"]["w"], expected["velocity"], rtol=0, atol=1e-12)


def test_rmsprop() -> None:
    steps, _ = optim.RMSprop(1e-2, decay=0.99).update(G, {"square": {"w": line(0.6, 0.9)}}, W, 1, 1e-2)
    np.testing.assert_allclose(W["w"] - steps["w"], EXAMPLES["rmsprop"]["next_w"], rtol=0, atol=1e-12)


def test_adam() -> None:
    moments = {"mean": {"w": line(0.6, 0.9)}, "square": {"w": line(0.7, 0.5)}}
    steps, _ = gn.Adam(1e-2).update(G, moments, W, 6, 1e-2)
    np.testing.assert_allclose(W["w"] - steps["w"], EXAMPLES["adam"]["next_w"], rtol=0, atol=1e-12)
