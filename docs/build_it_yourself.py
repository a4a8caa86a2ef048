"""Build it yourself: the engine of glassnet, small enough to read in one sitting.

About 300 lines that run, with NumPy and nothing else. The names are those of the package (Node, Op, push,
pull, variable, ...), and so are the decisions; what is left out is named where it is left out. Read it from
top to bottom. Run it, and it trains a network on exclusive or:

    python docs/build_it_yourself.py

The whole of it is one idea, used three times. A computation is a graph of small steps. If every step knows
one fact about its own derivative, then

    walking the graph forwards   gives the derivative along a direction      (push, section 5)
    walking it backwards         gives all derivatives of one number         (pull, section 6)
    and what the walks compute is a graph again, so that they can be repeated (section 7).

>>> cube = lambda x: x ** 3
>>> float(grad(cube)(2.0)), float(grad(grad(cube))(2.0)), float(grad(grad(grad(cube)))(2.0))
(12.0, 12.0, 6.0)
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

# ---------------------------------------------------------------------------------------------------------
# 1. A node is one value of a computation
#
# It remembers the op that made it and the nodes it was made from: who influences whom. That is all the
# bookkeeping there is. No tape, no global list: a graph is whatever can be reached from its outputs.
#
# Nodes are numbered as they are made, and a node can only be made from older ones. So sorting by number
# sorts every graph from causes to effects, and nothing older than x can depend on x. Section 7 needs no
# more than this to keep nested derivatives apart.

_serials = itertools.count()


class Node:
    """One value, the op that made it, and the nodes it is made from."""

    def __init__(self, op: Op, inputs: tuple[Node, ...], attributes: dict[str, Any], value: Any) -> None:
        self.op, self.inputs, self.attributes, self.value = op, inputs, attributes, value
        self.serial = next(_serials)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape


def ancestors(outputs: Sequence[Node], stop: Sequence[Node]) -> list[Node]:
    """What lies between `stop` and `outputs`, in the order of evaluation."""
    oldest = min(node.serial for node in stop)
    seen: set[Node] = set()
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node not in seen and node.serial >= oldest:
            seen.add(node)
            pending += () if node in stop else node.inputs
    return sorted(seen, key=lambda node: node.serial)


# ---------------------------------------------------------------------------------------------------------
# 2. An op is declared once
#
# Its value, and ONE fact about its derivative. The fact is a linear map, for that is what a derivative is:
# it takes a small change of the inputs to the small change of the output. It comes in four forms.
#
#     Elementwise   d out = sum_i partial_i * d x_i
#     Linear        d out = op(d x)                      the map is the op itself
#     Bilinear      d out = op(d x, y) + op(x, d y)      the product rule
#     Constant      d out = 0                            for a reason that is stated
#
# Backwards the same maps run transposed. For a product with numbers that is the same product, so
# Elementwise needs nothing; Linear and Bilinear say what their transposes are. (The package knows a fifth
# form, a differential written as a formula, and finds its transpose by itself.)
#
# `partials` and `transpose` are written with the ops themselves. They can therefore be differentiated too,
# and second derivatives cost no further line.


@dataclass(frozen=True)
class Elementwise:
    """Element by element: partial_i(out, *inputs) = d out / d x_i."""

    partials: tuple[Callable[..., Any], ...]


@dataclass(frozen=True)
class Linear:
    """Linear in its one input: transpose(cotangent, x)."""

    transpose: Callable[..., Any]


@dataclass(frozen=True)
class Bilinear:
    """Linear in each of two inputs: left(cotangent, x, y) is the cotangent of x, right(...) that of y."""

    left: Callable[..., Any]
    right: Callable[..., Any]


@dataclass(frozen=True)
class Constant:
    """No influence, for a reason."""

    reason: str


@dataclass(frozen=True, eq=False)
class Op:
    """One operation: its value, its derivative, and how it takes a leading batch axis (section 8)."""

    name: str
    value: Callable[..., Any]
    derivative: Elementwise | Linear | Bilinear | Constant
    batch: Callable[..., Any] | None = None

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        """On plain arrays it computes. On traced ones it computes and remembers."""
        if not any(isinstance(x, Array) for x in inputs):
            return self.value(*inputs, **attributes)
        nodes = tuple(as_array(x).node for x in inputs)
        value = np.asarray(self.value(*(node.value for node in nodes), **attributes))
        return Array(Node(self, nodes, attributes, value))


# ---------------------------------------------------------------------------------------------------------
# 3. An Array is the face of a node
#
# It has NumPy's operators, so that a function written for numbers runs on it unchanged. Because it carries
# its value, `if` and loops work as well: the trace is of the path that was taken.


class Array:
    """A traced array."""

    __array_ufunc__ = None  # NumPy's arrays shall leave `array * traced` to us

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape

    def __add__(self, other: Any) -> Array:
        return add(self, other)

    def __mul__(self, other: Any) -> Array:
        return multiply(self, other)

    def __sub__(self, other: Any) -> Array:
        return add(self, negative(other))

    def __rsub__(self, other: Any) -> Array:
        return add(other, negative(self))

    def __truediv__(self, other: Any) -> Array:
        return multiply(self, power(other, exponent=-1))

    def __rtruediv__(self, other: Any) -> Array:
        return multiply(other, power(self, exponent=-1))

    def __pow__(self, exponent: float) -> Array:
        return power(self, exponent=exponent)

    def __neg__(self) -> Array:
        return negative(self)

    __radd__, __rmul__ = __add__, __mul__

    def __gt__(self, other: Any) -> Array:
        return greater(self, other)

    def __bool__(self) -> bool:
        return bool(self.node.value)

    def __repr__(self) -> str:
        return f"<{self.node.op.name} {self.node.value}>"


def as_array(x: Any) -> Array:
    """`x` itself if it is traced, else a constant: a node without inputs."""
    return x if isinstance(x, Array) else Array(Node(CONSTANT, (), {}, np.asarray(x, float)))


def variable(x: Any) -> Array:
    """A fresh identity in front of `x`: newer than all there is, so what depends on it can be told."""
    node = as_array(x).node
    return Array(Node(VARIABLE, (node,), {}, node.value))


# ---------------------------------------------------------------------------------------------------------
# 4. The ops
#
# Where a slope can be said with the output, it is: `out` was computed anyway, and then the input need not be
# kept for the way back. tanh' = 1 - tanh^2 is the standard case.

CONSTANT = Op("constant", lambda x: x, Constant("it depends on nothing"))
VARIABLE = Op("variable", lambda x: x, Linear(lambda x_bar, x: x_bar), lambda inputs, batched: inputs[0])

add = Op("add", lambda x, y: x + y, Elementwise((lambda out, x, y: 1.0, lambda out, x, y: 1.0)))
multiply = Op("multiply", lambda x, y: x * y, Elementwise((lambda out, x, y: y, lambda out, x, y: x)))
negative = Op("negative", lambda x: -x, Elementwise((lambda out, x: -1.0,)))
exp = Op("exp", np.exp, Elementwise((lambda out, x: out,)))
log = Op("log", np.log, Elementwise((lambda out, x: 1 / x,)))
sin = Op("sin", np.sin, Elementwise((lambda out, x: cos(x),)))
cos = Op("cos", np.cos, Elementwise((lambda out, x: -sin(x),)))
tanh = Op("tanh", np.tanh, Elementwise((lambda out, x: 1 - out**2,)))
greater = Op("greater", lambda x, y: np.greater(x, y) * 1.0, Constant("it is piecewise constant"))
# At its kink the slope is a convention, stated in one place: relu'(0) = 0.
relu = Op("relu", lambda x: np.maximum(x, 0.0), Elementwise((lambda out, x: greater(out, 0.0),)))
power = Op(
    "power",
    lambda x, *, exponent: np.power(np.asarray(x) * 1.0, exponent),
    Elementwise((lambda out, x, *, exponent: exponent * power(x, exponent=exponent - 1),)),
)

# Shapes. Each of these is linear, and each is the transpose of another: repeating transposes to summing,
# summing to repeating. This is why a bias that was added to a whole batch gets the sum of its cotangents.


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """The sum over what broadcasting repeated."""
    own = np.shape(value_of(x))
    lead = len(own) - len(shape)
    axes = tuple(i for i in range(len(own)) if i < lead or shape[i - lead] != own[i])
    return reshape(sum_over(x, axes=axes), shape=shape) if axes else x


def spread(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` repeated to `shape`; itself where it has it."""
    return x if np.shape(value_of(x)) == shape else broadcast_to(x, shape=shape)


def _sum_transpose(x_bar: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    kept = tuple(1 if i in axes else extent for i, extent in enumerate(x.shape))
    return spread(reshape(x_bar, shape=kept), x.shape)


def _broadcast_batch(inputs: Sequence[Any], batched: Sequence[bool], *, shape: tuple[int, ...]) -> Any:
    lead, *rest = inputs[0].shape
    aligned = reshape(inputs[0], shape=(lead, *[1] * (len(shape) - len(rest)), *rest))
    return spread(aligned, (lead, *shape))


reshape = Op(
    "reshape",
    lambda x, *, shape: np.reshape(x, shape),
    Linear(lambda x_bar, x, *, shape: reshape(x_bar, shape=x.shape)),
    lambda inputs, batched, *, shape: reshape(inputs[0], shape=(inputs[0].shape[0], *shape)),
)
broadcast_to = Op(
    "broadcast_to",
    lambda x, *, shape: np.broadcast_to(x, shape),
    Linear(lambda x_bar, x, *, shape: sum_to(x_bar, x.shape)),
    _broadcast_batch,
)
sum_over = Op(
    "sum",
    lambda x, *, axes: np.sum(x, axis=axes),
    Linear(_sum_transpose),
    lambda inputs, batched, *, axes: sum_over(inputs[0], axes=tuple(axis + 1 for axis in axes)),
)


def total(x: Any) -> Any:
    """The sum of all elements."""
    return sum_over(x, axes=tuple(range(np.ndim(value_of(x)))))


# One op is enough for every product of arrays: labels as in np.einsum, "ij,j->i" for a matrix on a vector.
# Its transposes are the same op with the labels exchanged, and so is its batched form.
# NOTE no label may stand in one input alone and not in the output: that would be a sum besides.


def _labels(spec: str) -> tuple[str, str, str]:
    inputs, out = spec.split("->")
    x, y = inputs.split(",")
    return x, y, out


def _contract_left(out_bar: Any, x: Any, y: Any, *, spec: str) -> Any:
    a, b, out = _labels(spec)
    return contract(out_bar, y, spec=f"{out},{b}->{a}")


def _contract_right(out_bar: Any, x: Any, y: Any, *, spec: str) -> Any:
    a, b, out = _labels(spec)
    return contract(out_bar, x, spec=f"{out},{a}->{b}")


def _contract_batch(inputs: Sequence[Any], batched: Sequence[bool], *, spec: str) -> Any:
    a, b, out = _labels(spec)
    new = next(label for label in string.ascii_letters if label not in spec)
    return contract(*inputs, spec=f"{new * batched[0]}{a},{new * batched[1]}{b}->{new}{out}")


contract = Op(
    "contract",
    lambda x, y, *, spec: np.einsum(spec, x, y),
    Bilinear(_contract_left, _contract_right),
    _contract_batch,
)


# ---------------------------------------------------------------------------------------------------------
# 5. Forward mode: push a tangent through
#
# A tangent x_dot says how fast x moves. Each op turns the tangents of its inputs into that of its output, and
# None stands for "does not move". One walk gives the derivative in ONE direction of all inputs.


def push(node: Node, tangents: Sequence[Any]) -> Any:
    """The tangent of a node from those of its inputs."""
    op, attributes = node.op, node.attributes
    out, inputs = Array(node), [Array(x) for x in node.inputs]
    moving = [i for i, x_dot in enumerate(tangents) if x_dot is not None]
    match op.derivative:
        case Elementwise(partials):
            terms = [tangents[i] * partials[i](out, *inputs, **attributes) for i in moving]
        case Linear():
            terms = [op(*tangents, **attributes)]
        case Bilinear():
            pairs = [(tangents[0], inputs[1]), (inputs[0], tangents[1])]
            terms = [op(*pairs[i], **attributes) for i in moving]
        case Constant():
            return None
    slope = terms[0] if len(terms) == 1 else terms[0] + terms[1]
    return spread(slope, node.shape)


def pushforward(output: Node, tangents: dict[Node, Any]) -> Any:
    """The tangent of `output`, given those of some nodes; None where it depends on none of them."""
    known = dict(tangents)
    for node in ancestors([output], list(tangents)):
        incoming = [known.get(x) for x in node.inputs]
        if node not in known and any(x_dot is not None for x_dot in incoming):
            known[node] = push(node, incoming)
    return known.get(output)


# ---------------------------------------------------------------------------------------------------------
# 6. Reverse mode: pull a cotangent back
#
# A cotangent x_bar is the derivative of the final number with respect to x. The walk starts at the end, where
# it is 1, and each op turns the cotangent of its output into those of its inputs, by the transposed map. One
# walk gives the derivatives of ONE output with respect to everything. This is backpropagation.
#
# Where a value was used twice, its cotangents add up. That line, `x_bar[x] + ...`, is the chain rule's sum
# over all paths through the diagram; everything else is product.


def pull(node: Node, out_bar: Any, position: int) -> Any:
    """What the cotangent of a node contributes to that of its input at `position`."""
    op, attributes, target = node.op, node.attributes, node.inputs[position]
    out, inputs = Array(node), [Array(x) for x in node.inputs]
    match op.derivative:
        case Elementwise(partials):
            return sum_to(out_bar * partials[position](out, *inputs, **attributes), target.shape)
        case Linear(transpose):
            return transpose(out_bar, *inputs, **attributes)
        case Bilinear(left, right):
            return (left, right)[position](out_bar, *inputs, **attributes)
        case Constant():
            return None


def pullback(output: Node, wrt: Sequence[Node], out_bar: Any) -> list[Any]:
    """The cotangents of the nodes `wrt`, given that of `output`; zeros where it does not depend on one."""
    order = ancestors([output], wrt)
    active = set(wrt)  # what the outputs' derivatives can reach
    for node in order:
        if any(x in active for x in node.inputs):
            active.add(node)
    x_bar: dict[Node, Any] = {output: out_bar}
    for node in reversed(order):
        if node in x_bar and node not in wrt:
            cotangent = x_bar.pop(node)
            for position, x in enumerate(node.inputs):
                if x in active:
                    share = pull(node, cotangent, position)
                    if share is not None:
                        x_bar[x] = x_bar[x] + share if x in x_bar else share
    return [x_bar.get(node, np.zeros(node.shape)) for node in wrt]


# ---------------------------------------------------------------------------------------------------------
# 7. Transforms: functions to functions
#
# Each one puts fresh variables in front of its arguments, runs the function, and walks. Nesting needs no
# further idea. An inner variable is another node than an outer one, even where both stand for the same
# number, so their tangents cannot be confused; the alternative is a stack of levels on every traced value.
#
# Results stay traced while an outer transform is open, and become plain arrays on leaving the last one.

_depth = 0


@contextmanager
def tracing() -> Iterator[None]:
    """Marks a transform as open."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1


def value_of(x: Any) -> Any:
    """The plain array behind `x`."""
    return x.node.value if isinstance(x, Array) else x


def release(x: Any) -> Any:
    """A result on its way out of a transform."""
    return x if _depth else np.array(value_of(x))


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f(x) and J x_dot, by forward mode.

    >>> value, slope = jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(value), float(slope)
    (9.0, 6.0)
    """
    with tracing():
        variables = [variable(x) for x in primals]
        out = as_array(f(*variables))
        slope = pushforward(out.node, {x.node: x_dot for x, x_dot in zip(variables, tangents, strict=True)})
    return release(out), release(np.zeros(out.shape) if slope is None else slope)


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """f(x), and the function y_bar -> y_bar J, by reverse mode."""
    with tracing():
        variables = [variable(x) for x in primals]
        out = as_array(f(*variables))

    def back(out_bar: Any) -> tuple[Any, ...]:
        with tracing():
            cotangents = pullback(out.node, [x.node for x in variables], out_bar)
        return tuple(release(x) for x in cotangents)

    return release(out), back


def value_and_grad(f: Callable[..., Any], wrt: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """f, which returns one number, with its gradient in the arguments at `wrt`."""
    positions = wrt if isinstance(wrt, tuple) else (wrt,)

    def wrapped(*args: Any) -> Any:
        def of_chosen(*chosen: Any) -> Any:
            full = list(args)
            for position, x in zip(positions, chosen, strict=True):
                full[position] = x
            return f(*full)

        out, back = vjp(of_chosen, *(args[position] for position in positions))
        gradients = back(1.0)
        return out, gradients if isinstance(wrt, tuple) else gradients[0]

    return wrapped


def grad(f: Callable[..., Any], wrt: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The gradient of f.

    >>> grad(lambda w, x: total(w * x))(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    return lambda *args: value_and_grad(f, wrt)(*args)[1]


# ---------------------------------------------------------------------------------------------------------
# 8. vmap: from one example to a batch
#
# Trace the function on one example, then apply every op again with one axis more. An elementwise op only has
# to line up the ranks; the others say in their declaration how their attributes shift.
#
# (Here the example is the first of the batch. In the package it has a shape but no value, so that an `if` on
# it is an error with the user's line, and not a silent choice made by the first example.)


def batch_node(node: Node, inputs: Sequence[Array], batched: Sequence[bool]) -> Any:
    """One node's op on inputs of which some carry a leading batch axis."""
    if node.op.batch is not None:
        return node.op.batch(inputs, batched, **node.attributes)
    rank = len(node.shape)
    aligned = [
        reshape(x, shape=(x.shape[0], *[1] * (rank - len(example.shape)), *example.shape)) if flag else x
        for x, flag, example in zip(inputs, batched, node.inputs, strict=True)
    ]
    return node.op(*aligned, **node.attributes)


def vmap(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, which takes one example, as a function of batches with a leading axis.

    >>> vmap(lambda x: total(x * x))(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([ 5., 25.])
    """

    def batched(*batches: Any) -> Any:
        with tracing():
            examples = [variable(value_of(x)[0]) for x in batches]
            out = as_array(f(*examples)).node
            known = {example.node: as_array(x) for example, x in zip(examples, batches, strict=True)}
            for node in ancestors([out], list(known)):
                flags = [x in known for x in node.inputs]
                if node not in known and any(flags):
                    inputs = [known[x] if x in known else Array(x) for x in node.inputs]
                    known[node] = batch_node(node, inputs, flags)
            if out not in known:  # the same for every example
                known[out] = spread(Array(out), (len(value_of(batches[0])), *out.shape))
        return release(known[out])

    return batched


# With it the other derivatives are one line each. A Jacobian is a pullback for a batch of unit vectors; a
# Hessian is the Jacobian of the gradient. Neither knows what a second derivative is.


def jacobian(f: Callable[..., Any]) -> Callable[..., Any]:
    """All derivatives, outputs before inputs.

    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    def wrapped(x: Any) -> Any:
        with tracing():
            out, back = vjp(f, x)
            unit = np.eye(out.node.value.size).reshape(-1, *out.shape)
            rows = vmap(lambda out_bar: back(out_bar)[0])(unit)
            result = reshape(rows, shape=(*out.shape, *np.shape(value_of(x))))
        return release(result)

    return wrapped


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    """The second derivatives of a function with one number as its result.

    >>> hessian(lambda x: total(x ** 3))(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(f))


# ---------------------------------------------------------------------------------------------------------
# 9. Never trust a derivative: hold it against something that shares nothing with it
#
# The complex step f(x + ih) = f(x) + ih f'(x) - ... needs the value rules only. It takes no difference of
# nearly equal numbers, so h may be 1e-30 and the slope is right to the last digit. That certifies forward
# mode. Reverse mode must then agree with it: y_bar . (J x_dot) = (y_bar J) . x_dot for any x_dot and y_bar.


def largest_error(f: Callable[..., Any], x: Any) -> float:
    """The larger of the relative errors of both modes, in one direction.

    >>> largest_error(lambda x: exp(sin(x) * x), np.array([0.3, 1.2])) < 1e-14
    True
    """
    step, x_dot = 1e-30, np.cos(1.0 + np.arange(np.size(x))).reshape(np.shape(x))
    expected = np.imag(f(x + 1j * step * x_dot)) / step
    out, slope = jvp(f, (x,), (x_dot,))
    out_bar = np.sin(1.0 + np.arange(out.size)).reshape(out.shape)
    forward = np.max(np.abs(slope - expected)) / np.max(np.abs(expected))
    x_bar = vjp(f, x)[1](out_bar)[0]
    reverse = abs(np.sum(out_bar * slope) - np.sum(x_bar * x_dot)) / np.sum(np.abs(out_bar * slope))
    return float(max(forward, reverse))


# ---------------------------------------------------------------------------------------------------------
# 10. A network learns
#
# Exclusive or needs a hidden layer. The network is a plain function, its gradient is `grad` of it, and
# training is a loop. The weights have a row for each unit and a column for each input, as in W x + b; the
# rows of X are examples, so the product pairs the second axes: "ni,ui->nu".

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
Parameters = tuple[np.ndarray, ...]


def network(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """The outputs of a 2-3-1 network for the four rows of X."""
    hidden = tanh(contract(X, W1, spec="ni,ui->nu") + b1)
    return contract(hidden, W2, spec="nu,ou->no") + b2


def loss(*parameters: Any) -> Any:
    """Half the squared error, summed over the rows."""
    return total((network(*parameters) - Y) ** 2) / 2


def train(epochs: int = 500, rate: float = 0.1, seed: int = 0) -> tuple[Parameters, list[float]]:
    """The parameters after gradient descent, and the loss of every epoch."""
    rng = np.random.default_rng(seed)
    shapes = [(3, 2), (3,), (1, 3), (1,)]
    parameters: Parameters = tuple(rng.normal(size=shape) for shape in shapes)
    losses: list[float] = []
    step = value_and_grad(loss, wrt=(0, 1, 2, 3))
    for _ in range(epochs):
        value, gradients = step(*parameters)
        losses.append(float(value))
        parameters = tuple(w - rate * dw for w, dw in zip(parameters, gradients, strict=True))
    return parameters, losses


if __name__ == "__main__":
    trained, history = train()
    print(f"loss {history[0]:.3f} -> {history[-1]:.2e}")
    for row, target, answer in zip(X, Y, network(*trained), strict=True):
        print(f"{row[0]:.0f} xor {row[1]:.0f} = {target[0]:.0f}, learned {answer[0]:.3f}")

# What the package adds: shape rules, so that a graph can be built, checked and compiled without values;
# dtypes; trees of parameters; a fifth kind of derivative fact; formulas, from which derivations are printed;
# a stated convention at every kink, and a verifier that runs over all ops; and the compiler, which turns the
# graph of a training step into machine code. The engine beneath all of it is the one above.
