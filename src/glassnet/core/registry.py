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
    "allclose": "abs(x - y) < tolerance with all",
    "angle": "arctan2",
    "apply_along_axis": "glassnet.vmap",
    "apply_over_axes": "glassnet.vmap",
    "argpartition": "argsort",
    "argwhere": "nonzero",
    "array_equal": "equal with all",
    "array_equiv": "equal with all",
    "asanyarray": "asarray",
    "ascontiguousarray": "asarray",
    "bincount": "scatter_add",
    "bitwise_left_shift": "multiply",
    "bitwise_not": "invert",
    "bitwise_right_shift": "floor_divide",
    "blackman": "cos",
    "choice": "permutation, or categorical with replacement",
    "choose": "where",
    "clongdouble": "float64, for all numbers are real",
    "complex128": "float64, for all numbers are real",
    "complex64": "float32, for all numbers are real",
    "compress": "indexing x[mask]",
    "cond": "svdvals",
    "conj": "the array itself, for all numbers are real",
    "conjugate": "the array itself, for all numbers are real",
    "copy": "the array itself, for no function changes its arguments",
    "copyto": "where",
    "corrcoef": "mean, std and matmul",
    "cov": "mean and matmul",
    "cumulative_prod": "cumprod",
    "cumulative_sum": "cumsum",
    "default_rng": "key",
    "delete": "concatenate",
    "diff": "x[1:] - x[:-1]",
    "digitize": "sum(x >= edges) along an axis",
    "ediff1d": "x[1:] - x[:-1]",
    "eig": "eigh, for symmetric matrices",
    "eigvals": "eigvalsh, for symmetric matrices",
    "einsum_path": "einsum, which chooses the order itself",
    "empty": "zeros",
    "empty_like": "zeros_like",
    "extract": "indexing x[mask]",
    "fabs": "abs",
    "fft": "matmul with a matrix of cos and sin",
    "fill": "full_like",
    "fill_diagonal": "where(eye(n), new, x)",
    "flat": "ravel",
    "flatnonzero": "nonzero",
    "float16": "float32",
    "fromfunction": "glassnet.vmap",
    "geomspace": "exp(linspace(...))",
    "gradient": "glassnet.grad, which is exact",
    "hamming": "cos",
    "hanning": "cos",
    "histogram": "count_nonzero",
    "i0": "exp and mean over cos",
    "imag": "zeros_like, for all numbers are real",
    "indices": "meshgrid",
    "insert": "concatenate",
    "interp": "where and take",
    "isclose": "abs(x - y) < tolerance",
    "isin": "any(x[..., None] == values, axis=-1)",
    "isneginf": "isinf and x < 0",
    "isposinf": "isinf and x > 0",
    "itemsize": "dtype",
    "ix_": "meshgrid",
    "ldexp": "x * exp2(n)",
    "left_shift": "multiply",
    "lexsort": "argsort",
    "logspace": "power(10, linspace(...))",
    "longdouble": "float64",
    "lstsq": "pinv(a) @ b",
    "matrix_norm": "norm with axis=(-2, -1)",
    "matrix_rank": "svdvals",
    "modf": "divmod",
    "nanargmax": "argmax",
    "nanargmin": "argmin",
    "nancumprod": "cumprod of nan_to_num(x, nan=1)",
    "nancumsum": "cumsum of nan_to_num",
    "nanmax": "max of where(isnan(x), -inf, x)",
    "nanmedian": "median",
    "nanmin": "min of where(isnan(x), inf, x)",
    "nanprod": "prod of nan_to_num(x, nan=1)",
    "nanstd": "nanmean of the squares",
    "nanvar": "nanmean of the squares",
    "nbytes": "size",
    "ndarray": "asarray",
    "ndim": "x.ndim",
    "norm": "linalg.norm",
    "partition": "sort",
    "percentile": "sort",
    "piecewise": "where",
    "place": "where",
    "poly": "prod",
    "polyfit": "linalg.pinv",
    "polyval": "the sum of powers",
    "put": "scatter_add",
    "put_along_axis": "scatter",
    "putmask": "where",
    "quantile": "sort",
    "rand": "uniform",
    "randn": "normal",
    "random": "glassnet.random, whose functions take a key",
    "real": "the array itself, for all numbers are real",
    "resize": "tile",
    "result_type": "x.dtype",
    "right_shift": "floor_divide",
    "rollaxis": "moveaxis",
    "row_stack": "vstack",
    "searchsorted": "sum(x >= edges) along an axis",
    "seed": "key",
    "select": "where",
    "shape": "x.shape",
    "shuffle": "x[permutation(key, len(x))]",
    "size": "x.size",
    "tensorinv": "inv",
    "tensorsolve": "solve",
    "tolist": "x.value.tolist()",
    "trapezoid": "sum((y[1:] + y[:-1]) * (x[1:] - x[:-1])) / 2",
    "tril_indices": "tril",
    "trim_zeros": "indexing",
    "triu_indices": "triu",
    "unique": "sort",
    "unwrap": "cumsum of the wrapped differences",
    "vander": "power",
    "vector_norm": "norm with an axis",
    "vectorize": "glassnet.vmap",
    "view": "astype",
}


def missing(name: str, names: Iterable[str], module: str = "glassnet.numpy") -> str:
    """The sentence for a function that is not in `names`: it is named, and so is the nearest that is.

    >>> missing("tahn", ["sin", "tanh"])
    "glassnet.numpy has no 'tahn'; the nearest is tanh."
    """
    close = [_STAND_INS[name]] if name in _STAND_INS else get_close_matches(name, sorted(names), 1, 0.6)
    nearest = f"the nearest is {close[0]}" if close else f"dir({module}) lists what there is"
    return f"{module} has no {name!r}; {nearest}."
