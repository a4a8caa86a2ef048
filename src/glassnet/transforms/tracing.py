"""From a Python function to a Graph, and a graph's nodes computed again on other values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.graph import Graph, Node, ancestors
from glassnet.core.trace import Array, as_array, placeholder, tracing, variable
from glassnet.core.tree import Structure, flatten, paths, unflatten

ApplyNode = Callable[[Node, Sequence[Any], Sequence[bool]], Any]


def trace(
    f: Callable[..., Any], *examples: Any, names: Sequence[str] | None = None
) -> tuple[Graph, Structure]:
    """The graph of `f` for arguments of these shapes and dtypes, and the structure of its result.

    `examples` are trees of arrays, of which shape and dtype alone are read: inside `f` an array has no
    value. The graph's inputs are the leaves of the arguments in order.

    >>> print(trace(lambda x, y: x * y, 2.0, 3.0, names=["x", "y"])[0].outputs[0].op)
    <op multiply>
    """
    leaves, structure = flatten(list(examples))
    arrays = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for leaf in leaves]
    with tracing():
        inputs = [placeholder(tuple(x.shape), x.dtype) for x in arrays]
        outputs, out_structure = flatten(f(*unflatten(structure, list(inputs))))
        nodes = [as_array(x).node for x in outputs]
    return Graph.of([x.node for x in inputs], nodes, names), out_structure


def graph(f: Callable[..., Any], *args: Any) -> Graph:
    """The influence diagram of f(*args): its text has one line a node, with op, shape, dtype and source line.

    Floating arguments and NumPy arrays are its inputs; other arguments (a Python int, a string) are fixed.
    The function is traced with values, so Python's `if` and loops are followed.

    >>> print(graph(lambda x, w: gnp.tanh(w * x), 1.0, 2.0))  # doctest: +ELLIPSIS
    graph(x: float64[], w: float64[])
      %0: float64[] = multiply(w, x)  # ...
      %1: float64[] = tanh(%0)        # ...
      return %1
    """
    inputs: list[Array] = []
    names: list[str] = []
    call: list[Any] = []
    with tracing():
        for argument, name in zip(args, argument_names(f, len(args)), strict=True):
            leaves, structure = flatten(argument)
            fresh: list[Any] = []
            for leaf, path in zip(leaves, paths(structure, name), strict=True):
                if isinstance(leaf, (float, np.ndarray, np.generic, Array)):
                    inputs.append(variable(leaf))
                    names.append(path)
                    fresh.append(inputs[-1])
                else:
                    fresh.append(leaf)
            call.append(unflatten(structure, fresh))
        outputs = [as_array(x).node for x in flatten(f(*call))[0]]
    return Graph.of((x.node for x in inputs), outputs, names)


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the first `count` positional arguments of `f`, "input_0" and so on where it has none."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []  # NumPy's own functions have no signature
    names = [x.name for x in parameters if x.kind is not x.VAR_POSITIONAL]
    return [names[i] if i < len(names) else f"input_{i}" for i in range(count)]


def replay(
    outputs: Sequence[Node],
    replacements: Mapping[Node, Any],
    apply_node: ApplyNode,
    keep: Callable[[Node], Any] = Array,
) -> dict[Node, Any]:
    """Applies every node between `replacements` and `outputs` again; what it makes of each of them.

    `apply_node(node, inputs, replaced)` sees the new inputs, and `keep(x)` for an input x that depends on no
    replacement.
    """
    known: dict[Node, Any] = dict(replacements)
    oldest = min((node.serial for node in replacements), default=0)
    for node in ancestors(outputs, oldest, stop=replacements):
        if node in known:
            continue
        replaced = [x in known for x in node.inputs]
        if any(replaced):
            inputs = [known[x] if flag else keep(x) for x, flag in zip(node.inputs, replaced, strict=True)]
            known[node] = apply_node(node, inputs, replaced)
    return known


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Any]) -> list[Any]:
    """`outputs` computed again with other arrays in place of some nodes.

    Traced replacements give traced outputs (a graph is put into another); plain ones give plain values, of
    any dtype that the value rules take. What depends on no replacement stays as it is.
    """
    traced = any(type(x) is Array for x in replacements.values())

    def keep(node: Node) -> Any:
        return Array(node) if traced or node.value is None else node.value

    known = replay(outputs, replacements, lambda node, inputs, _: node.op(*inputs, **node.attributes), keep)
    return [known[node] if node in known else keep(node) for node in outputs]
