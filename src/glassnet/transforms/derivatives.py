"""The derivatives of first order that users ask for: grad, value_and_grad, jvp, vjp, jacobian.

All of them trace the function with concrete values, so Python's `if`, loops and recursion on values work,
and all of them nest. Arguments may be trees (nested tuples, lists, dicts) of arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glassnet.core.dtype import is_floating
from glassnet.core.graph import Node
from glassnet.core.shape import size_of
from glassnet.core.trace import Array, as_array, placeholder, reader, release, tracing, variable
from glassnet.core.tree import Structure, flatten, flatten_like, leaf_count, tree_map, unflatten
from glassnet.errors import ConfigurationError, DifferentiationError, DTypeError, ShapeError
from glassnet.ops.shaping import reshape, stack, transpose
from glassnet.transforms.batch import batch
from glassnet.transforms.linearize import pushforward
from glassnet.transforms.transpose import pullback

Wrt = int | str | tuple[int | str, ...]


class Call:
    """One call of f with fresh variables in place of the arguments named by `wrt`."""

    def __init__(
        self, f: Callable[..., Any], wrt: Wrt, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.single = not isinstance(wrt, tuple)
        positional, named = list(args), dict(kwargs)
        self.variables: list[Node] = []
        self.structures: list[Structure] = []
        found: set[Any] = set()
        for which in wrt if isinstance(wrt, tuple) else (wrt,):
            place, key = _find(f, which, args, kwargs)
            if key in found:
                raise DifferentiationError(f"wrt={wrt!r} names one argument twice.")
            found.add(key)
            holder: Any = positional if place == "positional" else named
            holder[key] = self._make_variables(holder[key], which)
        self.out = f(*positional, **named)

    def _make_variables(self, argument: Any, which: int | str) -> Any:
        leaves, structure = flatten(argument)
        self.structures.append(structure)
        fresh = [variable(_differentiable(leaf, which)) for leaf in leaves]
        self.variables.extend(x.node for x in fresh)
        return unflatten(structure, list(fresh))

    def arrange(self, results: Sequence[Any], finish: Callable[[Any], Any] = release) -> Any:
        """One result for each variable, in the structure of the arguments."""
        remaining = list(results)
        trees: list[Any] = []
        for structure in self.structures:
            count = leaf_count(structure)
            trees.append(unflatten(structure, [finish(x) for x in remaining[:count]]))
            remaining = remaining[count:]
        return trees[0] if self.single else tuple(trees)


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", type(f).__name__)


def _find(
    f: Callable[..., Any], which: int | str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, Any]:
    """Where the argument `which` is: in the positional or the named ones, and under which key."""
    if not isinstance(which, (int, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DifferentiationError(f"wrt takes a position, a name or a tuple of them; it got {which!r}.")
    if isinstance(which, int):
        if not -len(args) <= which < len(args):
            raise DifferentiationError(
                f"wrt={which} asks for a derivative with respect to argument {which}, "
                f"but {_name(f)} was called with {len(args)} positional arguments."
            )
        return "positional", which % len(args)
    if which in kwargs:
        return "named", which
    try:
        names = list(inspect.signature(f).parameters)
    except ValueError:
        names = []  # a builtin function has no signature
    if which not in names:
        known = ", ".join(names) or "none"
        raise DifferentiationError(
            f"wrt={which!r} names no argument of {_name(f)}; its arguments are {known}."
        )
    if names.index(which) >= len(args):
        raise DifferentiationError(f"wrt={which!r}: {_name(f)} was called without its argument {which!r}.")
    return "positional", names.index(which)


def _differentiable(leaf: Any, which: int | str) -> Any:
    if isinstance(leaf, Array):
        dtype = leaf.dtype
    elif isinstance(leaf, float):
        return np.float64(leaf)
    else:
        dtype = np.asarray(leaf).dtype
    if dtype.kind == "c":
        raise DTypeError(
            f"The argument {which!r} holds complex values; glassnet differentiates real functions."
        )
    if not is_floating(dtype):
        raise DTypeError(
            f"The argument {which!r} holds {dtype} values; a derivative needs floating ones "
            "(pass 3.0 instead of 3, or x.astype(float))."
        )
    return leaf


def filled(results: Sequence[Any], nodes: Sequence[Node]) -> list[Any]:
    """Derivatives with zeros where nothing depends on a variable."""
    return [
        np.zeros(node.shape, node.dtype) if x is None else x for x, node in zip(results, nodes, strict=True)
    ]


def _seeds(tree: Any, structure: Structure, nodes: Sequence[Node], kind: str, base: str) -> list[Any]:
    """The leaves of a user's tangent or cotangent, one for each node and of its shape and dtype."""
    leaves = flatten_like(structure, tree)
    if leaves is None:
        leaves, _ = flatten(tree)
        if len(leaves) == len(nodes):
            raise ShapeError(f"The {kind} is a tree of another structure than the {base}.")
    if len(leaves) != len(nodes):
        raise ShapeError(f"{len(leaves)} {kind}s were given for {len(nodes)} {base}s; each needs one.")
    for leaf, node in zip(leaves, nodes, strict=True):
        if np.shape(leaf) != node.shape:
            raise ShapeError(
                f"A {kind} of shape {np.shape(leaf)} does not fit a {base} of shape {node.shape}."
            )
        dtype = leaf.dtype if isinstance(leaf, Array) else np.asarray(leaf).dtype
        if dtype.kind not in "fiub":
            raise DTypeError(f"A {kind} holds real numbers; it got {dtype} values.")
    return [
        leaf if type(leaf) is Array else np.asarray(leaf, node.dtype)
        for leaf, node in zip(leaves, nodes, strict=True)
    ]


def value_and_grad(f: Callable[..., Any], wrt: Wrt = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns f's value and its gradient, for a scalar-valued f.

    grad f = (df/dx_1, ..., df/dx_n)^T has the shape of x. `wrt` is a position, a name, or a tuple of them;
    an argument that is a tree has a tree of gradients. Cost: a small multiple of the cost of f. With
    `has_aux` f returns a pair (value, aux), and the result is ((value, aux), gradient): aux is any tree that
    came up on the way.

    Raises DifferentiationError when f is not scalar or `wrt` names no argument, DTypeError for integers.

    >>> value, gradient = value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))

    Source: Linnainmaa (1976); Griewank and Walther, Evaluating Derivatives (2008), section 3.2.
    """

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with tracing():
            call = Call(f, wrt, args, kwargs)
            value, aux = _pair(call.out, f) if has_aux else (call.out, None)
            out = scalar_result(value, f)
            one = np.ones((), out.dtype)
            results = filled(pullback([out.node], call.variables, [one], reader()), call.variables)
        shown = (release(out), tree_map(release, aux)) if has_aux else release(out)
        return shown, call.arrange(results)

    return wrapped


def _pair(out: Any, f: Callable[..., Any]) -> tuple[Any, Any]:
    if type(out) is not tuple or len(out) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise DifferentiationError(
            f"With has_aux {_name(f)} returns a pair (value, aux); it returned another."
        )
    return out  # pyright: ignore[reportUnknownVariableType]


def grad(f: Callable[..., Any], wrt: Wrt = 0) -> Callable[..., Any]:
    """The gradient of a scalar-valued f as a function; see `value_and_grad`.

    >>> float(grad(lambda x: x ** 3)(2.0))
    12.0
    >>> float(grad(grad(lambda x: x ** 3))(2.0))
    12.0
    """
    both = value_and_grad(f, wrt)

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return wrapped


def scalar_result(out: Any, f: Callable[..., Any]) -> Array:
    """What `f` returned, which a gradient needs to be one scalar."""
    leaves, _ = flatten(out)
    if len(leaves) != 1 or np.shape(leaves[0]) != ():
        form = f"shape {np.shape(leaves[0])}" if len(leaves) == 1 else f"{len(leaves)} arrays"
        raise DifferentiationError(
            f"A gradient needs a scalar, but {_name(f)} returned {form}; "
            "use jacobian for all derivatives, or vjp for a weighted sum of them."
        )
    out = as_array(leaves[0])
    if type(leaves[0]) is Array and not is_floating(out.dtype):
        raise DifferentiationError(
            f"A gradient needs a floating value, but {_name(f)} returned {out.dtype}, "
            "which is piecewise constant."
        )
    return out


def as_tuples(name: str, primals: Any, tangents: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The arguments of `jvp` and its like, which are one tuple of primals and one of tangents."""
    if not all(isinstance(x, (tuple, list)) for x in (primals, tangents)):
        raise DifferentiationError(
            f"{name} takes its primals and its tangents as tuples with one entry an argument: (x,), (x_dot,)."
        )
    return tuple(primals), tuple(tangents)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f(x) and the product of its Jacobian with a tangent, J x_dot, by forward mode.

    `primals` and `tangents` are tuples with one entry an argument, of equal shapes.

    >>> value, slope = jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(value), float(slope)
    (9.0, 6.0)

    Source: Wengert (1964); Griewank and Walther (2008), section 3.1.
    """
    primals, tangents = as_tuples("jvp", primals, tangents)
    with tracing():
        call = Call(f, tuple(range(len(primals))), primals, {})
        form = Structure("tuple", (), tuple(call.structures))
        seeds = _seeds(tangents, form, call.variables, "tangent", "primal")
        leaves, structure = flatten(call.out)
        outs = [as_array(leaf) for leaf in leaves]
        nodes = [x.node for x in outs]
        slopes = filled(pushforward(nodes, dict(zip(call.variables, seeds, strict=True)), reader()), nodes)
    return (
        unflatten(structure, [release(x) for x in outs]),
        unflatten(structure, [release(x) for x in slopes]),
    )


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """f(x), and the function that takes a cotangent y_bar to the product y_bar J, by reverse mode.

    >>> value, pull = vjp(lambda x: x * x, np.array([1.0, 3.0]))
    >>> pull(np.array([1.0, 1.0]))[0]
    array([2., 6.])
    """
    with tracing():
        call = Call(f, tuple(range(len(primals))), primals, {})
        leaves, structure = flatten(call.out)
        outs = [as_array(leaf) for leaf in leaves]

    nodes = [x.node for x in outs]

    def transposed(cotangent: Any) -> tuple[Any, ...]:
        with tracing():
            seeds = _seeds(cotangent, structure, nodes, "cotangent", "value")
            results = filled(pullback(nodes, call.variables, seeds, reader()), call.variables)
        return call.arrange(results)

    return unflatten(structure, [release(x) for x in outs]), transposed


def jacobian(f: Callable[..., Any], wrt: Wrt = 0, mode: str = "auto") -> Callable[..., Any]:
    """All derivatives of f: outputs as rows, inputs as columns.

    J[i, j] = d f_i / d x_j; for arrays the shape is f(x).shape + x.shape, indices row by row. A list or
    tuple of scalars counts as a vector; a dict of results has a dict of Jacobians. `mode` is "forward" (one
    sweep an input), "reverse" (one sweep an output) or "auto" (whichever needs fewer sweeps); all sweeps run
    as one batch.

    Raises ConfigurationError for an unknown mode, DifferentiationError and DTypeError as `grad`.

    >>> jacobian(lambda x: [2 * x[0] + x[1], 3 * x[1]])(np.array([1.0, 5.0]))
    array([[2., 1.],
           [0., 3.]])

    Source: Griewank and Walther (2008), chapter 3.
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ConfigurationError(f'jacobian got mode {mode!r}; it takes "auto", "forward" or "reverse".')

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with tracing():
            call = Call(f, wrt, args, kwargs)
            many = isinstance(call.out, dict)
            parts: dict[Any, Any] = call.out if many else {None: call.out}
            blocks = {key: _blocks(_vector(part, f), call.variables, mode) for key, part in parts.items()}
        results = {key: call.arrange(block) for key, block in blocks.items()}
        return results if many else results[None]

    return wrapped


def _blocks(out: Array, variables: Sequence[Node], mode: str) -> list[Any]:
    inputs = 0
    for node in variables:
        inputs += size_of(node.shape)
    forward = mode == "forward" or (mode == "auto" and inputs < size_of(out.shape))
    return (forward_blocks if forward else _reverse_blocks)(out, variables)


def _vector(out: Any, f: Callable[..., Any]) -> Array:
    if isinstance(out, (list, tuple)):
        leaves, _ = flatten(out)
        shapes = {np.shape(leaf) for leaf in leaves}
        if len(shapes) != 1:
            raise DifferentiationError(
                f"{_name(f)} returned arrays of shapes {sorted(shapes)}; stack or concatenate them into one."
            )
        return as_array(stack([as_array(leaf) for leaf in leaves]))
    return as_array(out)


def _basis(node: Node) -> Array:
    size = size_of(node.shape)
    return as_array(np.eye(size, dtype=node.dtype).reshape(size, *node.shape))


def _reverse_blocks(out: Array, variables: Sequence[Node]) -> list[Any]:
    # One transposed graph with an open cotangent, batched over the unit vectors of the output.
    cotangent = placeholder(out.shape, out.dtype)
    results = filled(pullback([out.node], variables, [cotangent], reader()), variables)
    rows = batch([as_array(x).node for x in results], {cotangent.node: _basis(out.node)})
    return [reshape(x, (*out.shape, *node.shape)) for x, node in zip(rows, variables, strict=True)]


def forward_blocks(out: Array, variables: Sequence[Node]) -> list[Any]:
    """d out / d x for every variable x, of shape out.shape + x.shape: one batch of sweeps for each."""
    blocks: list[Any] = []
    for node in variables:
        tangent = placeholder(node.shape, node.dtype)
        slope = filled(pushforward([out.node], {node: tangent}, reader()), [out.node])[0]
        columns = batch([as_array(slope).node], {tangent.node: _basis(node)})[0]  # (inputs, *outputs)
        moved = transpose(columns, (*range(1, columns.ndim), 0))
        blocks.append(reshape(moved, (*out.shape, *node.shape)))
    return blocks
