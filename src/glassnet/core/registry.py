"""The tables of ops and functions by name: the array class finds `x + y` here and need not import the ops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
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


# NumPy's names that are not here and whose stand-in is called something else.
_STAND_INS = {
    "apply_along_axis": "glassnet.vmap",
    "copy": "the array itself, for no function changes its arguments",
    "cond": "svdvals",
    "copyto": "where",
    "eig": "eigh, for symmetric matrices",
    "eigvals": "eigvalsh, for symmetric matrices",
    "empty": "zeros",
    "empty_like": "zeros_like",
    "float16": "float32",
    "fromfunction": "glassnet.vmap",
    "gradient": "glassnet.grad, which is exact",
    "longdouble": "float64",
    "lstsq": "pinv(a) @ b",
    "matrix_rank": "svdvals",
    "tensorinv": "inv",
    "tensorsolve": "solve",
    "nonzero": "where with three arguments",
    "percentile": "sort",
    "place": "where",
    "put": "scatter_add",
    "putmask": "where",
    "quantile": "sort",
    "random": "glassnet.random, whose functions take a key",
    "select": "where",
    "piecewise": "where",
    "unique": "sort",
    "vectorize": "glassnet.vmap",
}


def missing(name: str, names: Iterable[str], module: str = "glassnet.numpy") -> str:
    """The sentence for a function that is not in `names`: it is named, and so is the nearest that is.

    >>> missing("tahn", ["sin", "tanh"])
    "glassnet.numpy has no 'tahn'; the nearest is tanh."
    """
    close = [_STAND_INS[name]] if name in _STAND_INS else get_close_matches(name, sorted(names), 1, 0.6)
    nearest = f"the nearest is {close[0]}" if close else f"dir({module}) lists what there is"
    return f"{module} has no {name!r}; {nearest}."
