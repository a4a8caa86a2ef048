"""The ops that no kernel computes yet, and why; the interpreter runs graphs that hold them."""

from __future__ import annotations

from glassnet.compiler.passes.vocabulary import LOOP, VOCABULARY
from glassnet.core.graph import Graph
from glassnet.core.registry import OPS
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


def refuse_foreign(graph: Graph) -> None:
    """UncompilableError for the first op of the user's own.

    NOTE kernels and the cache know ops by their names, and a user may have called an op `tanh`.
    """
    for node in graph.nodes:
        name = node.op.name
        if node.op is not OPS.get(name) and node.op is not VOCABULARY.get(name):
            raise UncompilableError(f"the op {name} is not one of glassnet's, and is not compiled.")
        for attribute in node.attributes.values():
            if isinstance(attribute, Graph):
                refuse_foreign(attribute)
