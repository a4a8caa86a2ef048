"""Two ways to read a graph as formulas: element by element, or in whole vectors and matrices.

A reading turns a node into formulas, given those of the node's inputs. It knows no op: elementwise ops are
written as their declarations say, and the ops that move, add and multiply elements do so by their own value
rules, on arrays of formulas.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.graph import Node, ancestors, describe
from glassnet.core.op import Bilinear, Enclosing, Linear
from glassnet.core.shape import Shape, size_of
from glassnet.errors import DifferentiationError, GlassnetError
from glassnet.explain.expression import (
    ONE,
    ZERO,
    Apply,
    Chain,
    Entry,
    Expression,
    Listing,
    Ones,
    Slope,
    Symbol,
    added,
    chained,
    literal,
    shape_of,
    size,
)

ElementNames = Callable[[str, Shape], Any]  # what the elements of an array of this name are called


class Reading(ABC):
    """How nodes are read; what it makes of one is an expression, or an array of one for each element."""

    @abstractmethod
    def symbols(self, name: str, shape: Shape) -> Any:
        """A variable by its name."""

    @abstractmethod
    def slopes(self, output: str, name: str, shape: Shape) -> Any:
        """The derivative of `output` with respect to a variable, by its name."""

    @abstractmethod
    def parts(self, reading: Any) -> list[Expression]:
        """The expressions that it is made of, in order."""

    @abstractmethod
    def map(self, change: Callable[..., Expression], *readings: Any) -> Any:
        """`change` applied to the expressions of readings that broadcast together."""

    @abstractmethod
    def apply(self, node: Node, inputs: Sequence[Any]) -> Any:
        """What the node is, from what its inputs are."""

    def read(self, node: Node, known: Mapping[Node, Any]) -> Any:
        """The reading of a node made of nodes that are known."""
        found = dict(known)
        for each in ancestors([node], stop=known):
            if each not in found:
                found[each] = self.apply(each, [found[x] for x in each.inputs])
        return found[node]

    def size(self, reading: Any, limit: int) -> int:
        """The symbols that its longest expression takes, counted up to `limit`."""
        return max((size(part, limit) for part in self.parts(reading)), default=0)

    def add(self, x: Any, y: Any) -> Any:
        """x + y."""
        return self.map(added, x, y)

    def chain(self, x: Any, y: Any) -> Any:
        """x times y, element by element."""
        return self.map(chained, x, y)


class Whole(Reading):
    """Vectors and matrices as wholes: z = W x + b.

    `deltas` are names of their own for the derivatives with respect to some variables. `constants` are the
    arrays that are fixed in the function, by the names that they were given: none of those that are `taken`.
    """

    def __init__(self, deltas: Mapping[str, str] | None = None, taken: Iterable[str] = ()) -> None:
        self.deltas = deltas or {}
        self._free = (name for i in count(1) if (name := f"c{i}") not in set(taken))
        self.constants: dict[str, NDArray] = {}

    def symbols(self, name: str, shape: Shape) -> Expression:
        """The name."""
        return Symbol(name, shape)

    def slopes(self, output: str, name: str, shape: Shape) -> Expression:
        """The derivative by its name, or by one of its own."""
        return Symbol(self.deltas[name], shape) if name in self.deltas else Slope(output, name, shape)

    def parts(self, reading: Any) -> list[Expression]:
        """Itself."""
        return [reading]

    def map(self, change: Callable[..., Expression], *readings: Any) -> Expression:
        """`change` of the expressions."""
        return change(*readings)

    def apply(self, node: Node, inputs: Sequence[Any]) -> Expression:
        """The op applied to its inputs; what only repeats elements is that many ones."""
        if node.op.name == "constant":
            return self._constant(node.value)
        if isinstance(node.op.derivative, Enclosing):
            raise _closed(node)
        if node.op.name == "broadcast_to":
            return _repeated(inputs[0], node.shape)
        if node.op.formula.template == "{0}" and (
            node.shape == node.inputs[0].shape or size_of(node.shape) == 1
        ):
            return inputs[0]
        # One number in an array reads as a number.
        shape = () if size_of(node.shape) == 1 else node.shape
        return Apply(node.op, tuple(inputs), _options(node), shape)

    def _constant(self, value: NDArray) -> Expression:
        if value.ndim == 0:
            return literal(value)
        if value.size and np.all(value == value.flat[0]):
            return _repeated(literal(value.flat[0]), value.shape)
        name = next(self._free)
        self.constants[name] = value
        return Symbol(name, value.shape)


class Elements(Reading):
    """Every element by itself: z[0] = W[0, 0] x[0] + W[0, 1] x[1] + b[0]; arrays of expressions."""

    def __init__(self, names: ElementNames) -> None:
        self.names = names

    def symbols(self, name: str, shape: Shape) -> NDArray:
        """The names of the elements."""
        return _each(Symbol, self.names(name, shape))

    def slopes(self, output: str, name: str, shape: Shape) -> NDArray:
        """The derivatives with respect to the elements."""
        return _each(lambda element: Slope(output, element), self.names(name, shape))

    def parts(self, reading: Any) -> list[Expression]:
        """The elements, row by row."""
        return list(reading.flat)

    def map(self, change: Callable[..., Expression], *readings: Any) -> NDArray:
        """`change` of each element."""
        return _each(change, *readings)

    def apply(self, node: Node, inputs: Sequence[Any]) -> NDArray:
        """Elementwise ops on each element; the others by their value rules, or as functions of a list."""
        if node.op.name == "constant":
            return _each(literal, node.value)
        rule = node.op.derivative
        if isinstance(rule, Enclosing):
            raise _closed(node)
        options = _options(node)
        if node.op.broadcasts:
            if node.op.formula.template == "{0}":
                return inputs[0]
            return _each(lambda *arguments: Apply(node.op, arguments, options), *inputs)
        if isinstance(rule, Linear):
            moving = range(len(inputs)) if rule.arguments is None else rule.arguments
            fixed = [x.value for i, x in enumerate(node.inputs) if i not in moving]
            if all(value is not None for value in fixed):
                arguments = [x if i in moving else node.inputs[i].value for i, x in enumerate(inputs)]
                return self._computed(node, arguments)
        if isinstance(rule, Bilinear):
            return self._computed(node, inputs)
        whole = Apply(node.op, tuple(_listing(x) for x in inputs), options)
        if not node.shape:
            return _each(lambda _: whole, np.zeros(()))
        result = np.empty(node.shape, object)
        for index in np.ndindex(node.shape):
            result[index] = Entry(whole, index)
        return result

    def _computed(self, node: Node, inputs: Sequence[Any]) -> NDArray:
        result = np.empty(node.shape, object)
        try:
            result[...] = node.op.value(np, *inputs, **node.attributes)
        except (TypeError, ValueError, AttributeError) as error:
            raise DifferentiationError(
                f"derive cannot write {node.op.name} element by element{describe(node.source)}; "
                'use form="matrices".'
            ) from error
        return _each(_element, result)


def _each(change: Callable[..., Expression], *arrays: Any) -> NDArray:
    shape = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    spread = [np.broadcast_to(x, shape) for x in arrays]
    result = np.empty(shape, object)
    for index in np.ndindex(shape):
        result[index] = change(*(x[index] for x in spread))
    return result


def _element(x: Any) -> Expression:
    """An element as a value rule leaves it: a formula, the same in an array of no axes, or a zero."""
    x = x[()] if isinstance(x, np.ndarray) else x
    return ZERO if isinstance(x, (int, float)) else x


def _listing(elements: Any) -> Expression:
    if elements.ndim == 0:
        return elements[()]
    return Listing(tuple(_listing(row) if isinstance(row, np.ndarray) else row for row in elements))


def _repeated(x: Expression, shape: Shape) -> Expression:
    if shape_of(x) == shape or size_of(shape) == 1:
        return x
    if x in (ZERO, ONE):
        return ZERO if x == ZERO else Ones(shape)
    return Chain((x, Ones(shape)))


def _options(node: Node) -> tuple[tuple[str, Any], ...]:
    """The static options of the node's op, such that they can be compared and printed."""
    return tuple(
        (name, index_text(value) if name == "index" else value) for name, value in node.attributes.items()
    )


def index_text(index: Iterable[Any]) -> str:
    """An index as it is written.

    >>> index_text((0, slice(None, 3), None, Ellipsis, slice(0, 8, 2)))
    '0, :3, None, ..., 0:8:2'
    """
    return ", ".join(map(_index_part, index))


def _index_part(part: Any) -> str:
    if part is Ellipsis:
        return "..."
    if not isinstance(part, slice):
        return str(part)
    ends = [part.start, part.stop] + ([] if part.step is None else [part.step])
    return ":".join("" if end is None else str(end) for end in ends)


def _closed(node: Node) -> GlassnetError:
    return DifferentiationError(
        f"derive does not look into {node.op.name}, which runs a graph of its own{describe(node.source)}; "
        'form="elements" writes out the steps of scan, and grad has the numbers.'
    )
