"""What a derivation is about: traced values, and what inputs, values and their elements are called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, NDArray
from glassnet.core.graph import Node, ancestors
from glassnet.core.shape import Shape
from glassnet.core.trace import Array, as_array, placeholder, variable
from glassnet.core.tree import flatten
from glassnet.errors import DifferentiationError, ShapeError
from glassnet.explain.naming import assigned_names
from glassnet.train.targets import as_numbers

Names = Sequence[str] | Mapping[str, Any] | None


@dataclass(frozen=True)
class Subject:
    """One or several values, with names for nodes.

    `results` are the values by name. `inputs` and `names` are the nodes that go by a name, `spare` those that
    get theirs where they grow long. `elements` are names of elements by the name of their array, `aliases`
    other names for the same nodes. `deltas` is what the derivative with respect to a name is called, if it
    has a name of its own. `parameters` are the names that are meant where none is given, if not all inputs;
    `single` are names that the only element of an array goes by as well. What the user has `written` is shown
    as it stands, other formulas are simplified.
    """

    title: str
    results: Mapping[str, Node]
    inputs: Mapping[Node, str]
    names: Mapping[Node, str]
    spare: Mapping[Node, str] = field(default_factory=dict[Node, str])
    elements: Mapping[str, NDArray] = field(default_factory=dict[str, NDArray])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    deltas: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: Sequence[str] = ()
    single: Sequence[str] = ()
    written: bool = True

    @property
    def has_arrays(self) -> bool:
        """Whether an input is an array."""
        return any(node.shape for node in self.inputs)

    @property
    def is_scalar(self) -> bool:
        """Whether there is one result, and it is a number."""
        return [node.shape for node in self.results.values()] == [()]

    @property
    def is_known(self) -> bool:
        """Whether it was traced with numbers."""
        return all(node.value is not None for node in self.inputs)

    def element_names(self, name: str, shape: Shape) -> Any:
        """What the elements of a variable are called: as the user says, or by their index, W[0, 1]."""
        if name in self.elements:
            return self.elements[name]
        result = np.empty(shape, object)
        if result.size == 1 and name in self.single:
            result[...] = name
            return result
        for index in np.ndindex(shape):
            result[index] = f"{name}[{', '.join(map(str, index))}]" if shape else name
        return result


def of_function(
    f: Callable[..., Any],
    names: Names,
    at: Mapping[str, Any],
    shapes: Mapping[str, int | Shape],
    *,
    written: bool = True,
) -> Subject:
    """The subject that a function of the user's is; where all numbers are given it is traced with them.

    Where the function is `written` in Python its local variables are names.
    """
    title = getattr(f, "__name__", "f")
    title = title if title.isidentifier() else "f"  # not <lambda>
    given = names if isinstance(names, Mapping) else {}
    arguments = _argument_names(title, f) if names is None or given else tuple(names)
    renamed = {name: str(new) for name, new in given.items() if isinstance(new, str)}
    elements = {name: element_names(name, new) for name, new in given.items() if name not in renamed}
    called = [renamed.get(name, name) for name in arguments]
    require_names([*called, *renamed.values()])
    for name in at:
        if name not in (*called, *arguments):
            raise DifferentiationError(
                f"at= gives a number to {name}, which is no argument of {title}; it has {', '.join(called)}."
            )
    values = {name: at.get(new, at.get(name)) for name, new in zip(arguments, called, strict=True)}
    complete = all(value is not None for value in values.values())
    made: dict[str, Array] = {}
    for name in arguments:
        shape = _shape(name, values[name], shapes.get(name), elements.get(name))
        number = as_numbers(values[name], FLOAT64, name) if complete else None
        made[name] = placeholder(shape, FLOAT64) if number is None else variable(number)
    results = _results(title, f(*made.values()))
    inputs = {x.node: new for x, new in zip(made.values(), called, strict=True)}
    between = [
        node
        for node in ancestors(results.values(), stop=inputs)
        if node not in inputs and node not in results.values()
    ]
    local = assigned_names(between, {title, *called}) if written else {}
    local = {node: renamed.get(name, name) for node, name in local.items()}
    return Subject(
        title, results, inputs, local, elements={renamed.get(k, k): v for k, v in elements.items()}
    )


def _argument_names(title: str, f: Callable[..., Any]) -> tuple[str, ...]:
    required = [
        parameter
        for parameter in inspect.signature(f).parameters.values()
        if parameter.default is parameter.empty
    ]
    for parameter in required:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise DifferentiationError(
                f"derive cannot tell what to call the argument {parameter} of {title}; "
                'name the arguments, as in derive(f, names=("x", "y")).'
            )
    return tuple(parameter.name for parameter in required)


def element_names(name: str, given: Any) -> NDArray:
    """Names of elements as an array."""
    try:
        result = np.array(given, dtype=object)
    except ValueError:
        result = np.array(None, dtype=object)
    if result.ndim == 0 or not all(isinstance(element, str) for element in result.flat):
        raise DifferentiationError(
            f"names= gives {name} the names {given!r}; it takes a name, or lists of names "
            "of the shape of the array."
        )
    require_names(result.flat)
    return result


def require_names(names: Iterable[str]) -> None:
    """DifferentiationError for a name that could not be printed in every notation."""
    for name in names:
        if not re.fullmatch(r"[^\W\d][\w.]*(\[[\d, ]+\])?'?", name):
            raise DifferentiationError(f"{name!r} is no name; a name is made of letters, digits, _ and dots.")


def _shape(name: str, value: Any, declared: int | Shape | None, elements: NDArray | None) -> Shape:
    """The shape of an argument: of its value, as declared, or of its names; they must agree."""
    found: list[Shape] = []
    if value is not None:
        found.append(np.shape(value))
    if declared is not None:
        found.append((declared,) if isinstance(declared, int) else tuple(declared))
    if elements is not None:
        found.append(elements.shape)
    if len(set(found)) > 1:
        raise ShapeError(
            f"The argument {name} has the shapes {' and '.join(map(str, found))} by what derive was given; "
            "they must agree."
        )
    return found[0] if found else ()


def _results(title: str, out: Any) -> dict[str, Node]:
    """The value that the function returns, or each of several, by name."""
    if not isinstance(out, (list, tuple, dict)):
        return {title: as_array(out).node}
    leaves, _ = flatten(out)
    names = [f"{title}[{i}]" for i in range(len(leaves))]
    if isinstance(out, dict) and len(out) == len(leaves):
        names = list(map(str, out))
        require_names(names)
    return {name: as_array(leaf).node for name, leaf in zip(names, leaves, strict=True)}
