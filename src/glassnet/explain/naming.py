"""The names that a function's own body gives to its values: `yhat = w * x` is read as yhat.

A node remembers the instruction that asked for it. Where the next instruction stores the result in a local
variable, that variable is the node's name. No marking in the user's code is needed.
"""

from __future__ import annotations

import dis
from collections.abc import Container, Iterable
from functools import cache
from types import CodeType

from glassnet.core.graph import Node


def assigned_names(nodes: Iterable[Node], taken: Container[str]) -> dict[Node, str]:
    """The name of every node that one local variable stands for.

    A variable that is assigned anew (`total = total + x`) stands for the last of its values; one that stands
    for several unrelated values, or shares its name with one of `taken`, names none.
    """
    candidates: dict[str, list[Node]] = {}
    for node in nodes:
        name = _target(*node.source) if node.source is not None else None
        if name is not None and name not in taken:
            candidates.setdefault(name, []).append(node)
    names: dict[Node, str] = {}
    for name, group in candidates.items():
        updated = {x for node in group for x in node.inputs}
        last = [node for node in group if node not in updated]
        if len(last) == 1:
            names[last[0]] = name
    return names


@cache
def _target(code: CodeType, instruction: int) -> str | None:
    """The local variable in which the result of this instruction is stored at once, if it is."""
    following = next((i for i in dis.get_instructions(code) if i.offset > instruction), None)
    if following is None or not following.opname.startswith(("STORE_FAST", "STORE_DEREF")):
        return None
    # Newer Pythons join two instructions in one; the first of the names is the one that is stored.
    target = following.argval
    return target[0] if isinstance(target, tuple) else target
