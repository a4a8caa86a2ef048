"""The ops that no kernel computes yet, and why; the interpreter runs graphs that hold them."""

from __future__ import annotations

from glassnet.compiler.passes.vocabulary import LOOP
from glassnet.core.graph import Graph
from glassnet.errors import UncompilableError

_FACTORISATIONS = ("cholesky", "det", "eigh", "inv", "pinv", "qr", "slogdet", "solve", "svd")

UNCOMPILED: dict[str, str] = {
    **dict.fromkeys(_FACTORISATIONS, "linear algebra is left to the library behind NumPy"),
    "argsort": "there are no kernels yet that sort",
    "while_loop": "the number of its steps is known only when it runs",
}


def refuse_uncompiled(graph: Graph) -> None:
    """UncompilableError for the first node whose op no kernel computes."""
    for node in graph.nodes:
        if node.op.name in UNCOMPILED:
            raise UncompilableError(f"{node.op.name} is not compiled: {UNCOMPILED[node.op.name]}.")
        if node.op is LOOP:
            refuse_uncompiled(node.attributes["body"])
