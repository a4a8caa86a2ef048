"""The tables of ops and functions by name: the array class finds `x + y` here and need not import the ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from glassnet.errors import VerificationError

if TYPE_CHECKING:
    from glassnet.core.op import Op

OPS: dict[str, Op] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # composed of ops, under NumPy's names


def register(op: Op) -> Op:
    """Adds `op` to the table and returns it; a name is given once."""
    if op.name in OPS:
        raise VerificationError(f"Two ops are called {op.name!r}; an op is declared once.")
    OPS[op.name] = op
    return op


def function(implementation: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: adds a function that is composed of ops to the table, under its own name."""
    FUNCTIONS[implementation.__name__] = implementation
    return implementation
