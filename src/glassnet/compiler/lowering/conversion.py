"""Conversion between dtypes, lane by lane."""

from __future__ import annotations

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.compiler.loop_language import BITS
from glassnet.compiler.passes.elements import value_type
from glassnet.core.graph import Node


def convert(b: Builder, node: Node, x: Operand) -> Operand:
    """x as the node's dtype; undefined for a floating number beyond the whole numbers of that dtype."""
    source, wanted = x.type, value_type(node.dtype, x.type.lanes)
    element = wanted.element
    if source == wanted:
        return x
    if source.element == "i1":
        return b.select(x, b.constant(1, wanted), b.zero(wanted))
    if element == "i1":
        return b.compare("ne", x, 0)
    if source.is_float and wanted.is_float:
        return b.fpext(x, element) if element == "f64" else b.fptrunc(x, element)
    if source.is_float:
        return b.fptosi(x, element)
    unsigned = node.inputs[0].dtype.kind == "u"
    if wanted.is_float:
        return b.uitofp(x, element) if unsigned else b.sitofp(x, element)
    if BITS[element] < BITS[source.element]:
        return b.trunc(x, element)
    return b.zext(x, element) if unsigned else b.sext(x, element)
