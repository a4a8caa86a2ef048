"""NumPy's names for linear algebra: `gnp.linalg.solve`, `gnp.linalg.svd` and their like.

All functions take stacks of matrices (the last two axes) and can be differentiated to any order.
"""

from __future__ import annotations

from typing import Any

from glassnet.core.registry import missing
from glassnet.ops.factorisations import cholesky, eigh, eigvalsh, qr, svd, svdvals
from glassnet.ops.linalg import (
    det,
    diagonal,
    inv,
    matrix_power,
    multi_dot,
    pinv,
    slogdet,
    solve,
    solve_triangular,
    trace,
)
from glassnet.ops.matrix import matmul, outer
from glassnet.ops.norms import norm
from glassnet.ops.products import cross, tensordot, vecdot
from glassnet.ops.shaping import matrix_transpose

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_power",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(missing(name, __all__, __name__))
