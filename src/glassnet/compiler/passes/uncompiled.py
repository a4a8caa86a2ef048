"""The ops that no kernel computes yet, and why; the interpreter runs graphs that hold them."""

from __future__ import annotations

from glassnet.core.graph import Graph
from glassnet.errors import UncompilableError

_REDUCTIONS = ("argsort",)
_READERS = ("windows",)
_WRITERS = ("fold",)
_FACTORISATIONS = ("cholesky", "det", "eigh", "inv", "pinv", "qr", "slogdet", "solve", "svd")
_SLIDING = ("convolution", "max_pool", "transposed_convolution")
_SAMPLING = (
    *("random_bits", "random_gumbel", "random_integers", "random_normal", "random_permutation"),
    *("random_truncated_normal", "random_uniform"),
)

UNCOMPILED: dict[str, str] = {
    **dict.fromkeys(_REDUCTIONS, "there are no kernels yet for this reduction"),
    **dict.fromkeys(_READERS, "there are no kernels yet that read parts of an array"),
    **dict.fromkeys(_WRITERS, "there are no kernels yet that write parts of an array"),
    **dict.fromkeys(_FACTORISATIONS, "linear algebra is left to the library behind NumPy"),
    **dict.fromkeys(_SLIDING, "there are no kernels yet for sliding windows"),
    **dict.fromkeys(_SAMPLING, "there are no kernels yet for sampling"),
    **dict.fromkeys(
        ("checkpoint", "scan", "while_loop"), "there are no kernels yet for graphs within graphs"
    ),
}


def refuse_uncompiled(graph: Graph) -> None:
    """UncompilableError for the first node whose op no kernel computes."""
    for node in graph.nodes:
        if node.op.name in UNCOMPILED:
            raise UncompilableError(f"{node.op.name} is not compiled: {UNCOMPILED[node.op.name]}.")
