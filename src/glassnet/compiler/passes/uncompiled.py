"""The ops that no kernel computes yet, and why; the interpreter runs graphs that hold them."""

from __future__ import annotations

from glassnet.compiler.passes.vocabulary import LOOP
from glassnet.core.graph import Graph
from glassnet.errors import UncompilableError

_FUNCTIONS = (
    *(
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctan2",
        "arctanh",
        "cbrt",
        "clip",
        "copysign",
    ),
    *(
        "cosh",
        "deg2rad",
        "erf",
        "erfc",
        "erfinv",
        "exp2",
        "fmax",
        "fmin",
        "fmod",
        "gamma",
        "gammaln",
        "heaviside",
    ),
    *("hypot", "log10", "log2", "logaddexp", "logaddexp2", "polygamma", "positive", "rad2deg", "reciprocal"),
    *("remainder", "sinh", "softsign", "tan", "unnormalized_sinc", "xlogy"),
)
_ROUNDING = ("ceil", "floor", "floor_divide", "rint", "round", "trunc")
_LOGIC = (
    *("bitwise_and", "bitwise_or", "bitwise_xor", "invert", "isfinite", "isinf", "isnan"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "signbit"),
)
_REDUCTIONS = ("argsort",)
_FACTORISATIONS = ("cholesky", "det", "eigh", "inv", "pinv", "qr", "slogdet", "solve", "svd")

UNCOMPILED: dict[str, str] = {
    **dict.fromkeys(_FUNCTIONS, "there is no vector function for it yet"),
    **dict.fromkeys(_ROUNDING, "there is no vector function for it yet"),
    **dict.fromkeys(_LOGIC, "there are no kernels yet for logic on arrays"),
    **dict.fromkeys(_REDUCTIONS, "there are no kernels yet for this reduction"),
    **dict.fromkeys(_FACTORISATIONS, "linear algebra is left to the library behind NumPy"),
    "random_truncated_normal": "there is no vector function yet for the inverse of erf",
    "while_loop": "the number of its steps is known only when it runs",
}


def refuse_uncompiled(graph: Graph) -> None:
    """UncompilableError for the first node whose op no kernel computes."""
    for node in graph.nodes:
        if node.op.name in UNCOMPILED:
            raise UncompilableError(f"{node.op.name} is not compiled: {UNCOMPILED[node.op.name]}.")
        if node.op is LOOP:
            refuse_uncompiled(node.attributes["body"])
