"""Influence diagrams: who influences whom, with a number on each edge, and the sum over all paths.

The variables are the arguments and the local variables of the user's own function. An edge from x to y
carries the direct derivative dy/dx, with all other variables held fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.graph import Node, ancestors
from glassnet.core.trace import as_array, tracing, variable
from glassnet.errors import DifferentiationError
from glassnet.explain.naming import assigned_names
from glassnet.transforms.transpose import pullback


@dataclass(frozen=True)
class Path:
    """One path of influence: the variables from the first to the last, and the derivative on each edge."""

    variables: tuple[str, ...]
    edges: tuple[float, ...]

    @property
    def product(self) -> float:
        """The product of the derivatives on its edges."""
        return math.prod(self.edges)

    def __str__(self) -> str:
        # The outermost factor first, as in the chain rule.
        factors = " * ".join(f"{edge:.6g}" for edge in reversed(self.edges)) or "1"
        return f"{' -> '.join(self.variables)}: {factors} = {self.product:.6g}"


@dataclass(frozen=True)
class Influence:
    """An influence diagram: `edges` maps (from, to) to the direct derivative, `values` a name to its number.

    `output` is the name of the result.
    """

    output: str
    values: Mapping[str, float]
    edges: Mapping[tuple[str, str], float]

    def paths(self, source: str, target: str | None = None) -> list[Path]:
        """All paths from `source` to `target` (by default the output).

        Raises DifferentiationError for a name that is not in the diagram.
        """
        target = self.output if target is None else target
        for name in (source, target):
            if name not in self.values:
                raise DifferentiationError(
                    f"The diagram has no variable {name!r}; it has {', '.join(self.values)}."
                )
        if source == target:
            return [Path((source,), ())]
        return [
            Path((source, *path.variables), (edge, *path.edges))
            for (start, following), edge in self.edges.items()
            if start == source
            for path in self.paths(following, target)
        ]

    def total(self, source: str, target: str | None = None) -> float:
        """The total derivative: the sum over all paths of the products of their edges."""
        return math.fsum(path.product for path in self.paths(source, target))

    def __str__(self) -> str:
        arrows = [f"{start} -> {end}" for start, end in self.edges]
        width = max(map(len, arrows), default=0)
        return "\n".join(
            f"{arrow:{width}}   d{end}/d{start} = {edge:.6g}"
            for arrow, ((start, end), edge) in zip(arrows, self.edges.items(), strict=True)
        )


def influence(f: Callable[..., Any], **at: float) -> Influence:
    """The influence diagram of a scalar function of scalars, at a point.

    dy/dx = sum over all paths from x to y of the product of the derivatives on the path's edges. Every
    argument gets its number by name; a local variable of f's body is a variable of the diagram.

    Raises DifferentiationError where f returns or makes something other than scalars.

    >>> def f(x):
    ...     a = x * x
    ...     b = 3 * x
    ...     return a * b
    >>> diagram = influence(f, x=2.0)
    >>> print(diagram)
    x -> a   da/dx = 4
    x -> b   db/dx = 3
    a -> f   df/da = 6
    b -> f   df/db = 4
    >>> diagram.total("x")
    36.0
    """
    with tracing():
        made = {name: variable(np.float64(value)) for name, value in at.items()}
        out = as_array(f(**made)).node
        inputs = {x.node: name for name, x in made.items()}
        nodes = ancestors([out], stop=inputs)
        if any(node.shape for node in nodes):
            raise DifferentiationError(
                f"influence draws functions of scalars, but {getattr(f, '__name__', 'f')} makes an array; "
                "use jacobian for arrays."
            )
        names = {**inputs, **assigned_names((n for n in nodes if n not in inputs), set(at))}
        title = getattr(f, "__name__", "f")
        names.setdefault(out, title if title.isidentifier() else "f")
        ordered = sorted(names, key=lambda node: node.serial)
        edges = _edges(ordered, names)
    values = {names[node]: float(node.value) for node in ordered}
    return Influence(names[out], values, edges)


def _edges(ordered: list[Node], names: Mapping[Node, str]) -> dict[tuple[str, str], float]:
    edges: dict[tuple[str, str], float] = {}
    for place, node in enumerate(ordered):
        earlier = ordered[:place]
        if node.op.name == "variable" or not earlier:
            continue
        # The walk back stops at every variable: what arrives there came along direct edges alone.
        for source, x_bar in zip(earlier, pullback([node], earlier, [np.ones(())]), strict=True):
            if x_bar is not None:
                edges[names[source], names[node]] = float(np.asarray(as_array(x_bar).node.value))
    return edges
