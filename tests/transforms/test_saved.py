"""What the backward pass must keep is read off the declarations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassnet.core.registry import OPS
from glassnet.transforms.saved import Saved, saved_values

NOTHING = Saved((), False)
OUTPUT = Saved((), True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, OUTPUT) for name in ("tanh", "sigmoid", "relu", "exp", "expm1", "sqrt")),
        *((name, NOTHING) for name in ("add", "subtract", "negative", "greater", "stop_gradient")),
        *((name, Saved((0,), False)) for name in ("sin", "log", "softplus", "square", "abs", "where")),
        *((name, Saved((0, 1), False)) for name in ("multiply", "maximum")),
        ("divide", Saved((1,), True)),
    ],
)
def test_a_scalar_op_keeps_what_its_slope_reads(name: str, expected: Saved) -> None:
    assert saved_values(OPS[name]) == expected


@pytest.mark.parametrize(
    ("name", "examples", "attributes", "expected"),
    [
        ("leaky_relu", (np.ones(3),), {"slope": 0.1}, OUTPUT),
        ("softmax", (np.ones(3),), {}, OUTPUT),
        ("sum", (np.ones((2, 3)),), {"axes": (0,), "keepdims": False}, NOTHING),
        ("contract", (np.ones((2, 3)), np.ones(3)), {"spec": "ij,j->i"}, Saved((0, 1), False)),
        ("softmax_cross_entropy", (np.ones(3), np.ones(3)), {}, Saved((0, 1), False)),
        # A condition has no derivative and the branches are not looked at.
        ("where", (np.ones(3, bool), np.ones(3), np.ones(3)), {}, Saved((0,), False)),
        # Integer labels get no derivative: what only their slope reads is forgotten.
        ("multiply", (np.ones(3, int), np.ones(3)), {}, Saved((0,), False)),
    ],
)
def test_an_op_on_arrays(name: str, examples: Any, attributes: Any, expected: Saved) -> None:
    assert saved_values(OPS[name], *examples, **attributes) == expected
