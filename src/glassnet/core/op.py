"""The Op record: everything that glassnet knows of one operation, declared once.

An op states its value, its shape rule, ONE derivative fact, how it takes a batch axis, and how it reads as
a formula. Forward mode, reverse mode, higher orders, what the backward pass keeps, the derivation text and
the generated tests are all read off this record; nothing about an op is said twice.

The derivative fact has six forms:

    Elementwise    d out = sum_i partial_i * d x_i                 (partials in the op language)
    Linear         d out = op(d x)                                 (given: the transpose)
    Bilinear       d out = op(d x, y) + op(x, d y)                 (given: both transposes)
    Differential   d out = a formula linear in d x, in the op language
    Enclosing      the op runs a graph of ops: its derivatives run derivatives of that graph
    Constant       d out = 0, for a stated reason

Reverse mode needs no further fact: it transposes these linear maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from glassnet.core.dtype import DType
from glassnet.core.shape import Shape
from glassnet.core.trace import apply


class Partial(Protocol):
    """d out / d x_i at each element, from the op's output and inputs; 0, 1 and -1 may be plain numbers."""

    def __call__(self, out: Any, *inputs: Any, **attributes: Any) -> Any:
        """The partial derivative in the op language."""
        ...


@dataclass(frozen=True)
class Elementwise:
    """Element by element: one partial for each input."""

    partials: tuple[Partial, ...]


@dataclass(frozen=True)
class Linear:
    """Jointly linear in the inputs at `arguments` (None: all); the others are held fixed.

    `transpose(position, cotangent, inputs, **attributes)` is the cotangent of the input at `position`.
    Where the others move as well, `rest(out, inputs, tangents, **attributes)` is the differential with
    respect to them, as in `Differential`; it may use the op itself, on tangents at `arguments`.
    """

    transpose: Callable[..., Any]
    arguments: tuple[int, ...] | None = None
    rest: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Bilinear:
    """Linear in each of two inputs while the other is fixed; `left` and `right` are its two transposes.

    `left(cotangent, x, y, **attributes)` is the cotangent of x, `right(...)` that of y.
    """

    left: Callable[..., Any]
    right: Callable[..., Any]


@dataclass(frozen=True)
class Differential:
    """The total differential as a formula: `formula(out, inputs, tangents, **attributes)`.

    `tangents` has one entry an input; None stands for zero. The result must be linear in the tangents and
    have the shape of `out`.
    """

    formula: Callable[..., Any]


@dataclass(frozen=True)
class Constant:
    """The derivative is zero (or does not exist) for a reason that is stated."""

    reason: str


@dataclass(frozen=True)
class Enclosing:
    """The op runs a graph of other ops, and so do its derivatives: they are handed the transform they need.

    `forward(jvp_graph, out, inputs, tangents, **attributes)` is the tangent of `out`, and
    `reverse(vjp_graph, out, inputs, cotangent, wanted, **attributes)` has one cotangent (or None) an input.
    `batch(batch_graph, inputs, batched, attributes)` stands in place of the op's batch rule. Without
    `reverse`, `reason` says why.
    """

    forward: Callable[..., Any]
    reverse: Callable[..., list[Any]] | None
    batch: Callable[..., Any]
    reason: str = ""


Derivative = Elementwise | Linear | Bilinear | Differential | Enclosing | Constant


@dataclass(frozen=True)
class Formula:
    """How an op reads: a template over {0}, {1}, ... and its precedence (higher binds tighter).

    `prime` is the symbol of a function of one variable whose derivative is written with a prime: s'(z).
    """

    template: str
    precedence: int = 100
    prime: str | None = None


SUM, PRODUCT, POWER, ATOM = 10, 20, 30, 100


def call(symbol: str, *, prime: bool = True) -> Formula:
    """The formula of a function call, `symbol(x)`; its derivative is `symbol'(x)`."""
    return Formula(symbol + "({0})", ATOM, symbol if prime else None)


@dataclass(frozen=True, eq=False)
class Op:
    """One operation. `value(xp, *arrays, **attributes)` computes it over an array-API namespace `xp`.

    `infer(*inputs, **attributes)` gives shape and dtype from the inputs' alone. `batch(inputs, batched,
    attributes)` applies the op with a leading batch axis on the inputs flagged in `batched`; None stands for
    elementwise broadcasting. `reference` computes the value with more digits for the verifier, where the
    value rule is not analytic.
    """

    name: str
    value: Callable[..., Any]
    infer: Callable[..., tuple[Shape, DType]]
    derivative: Derivative
    formula: Formula
    source: str
    batch: Callable[[Sequence[Any], Sequence[bool], Mapping[str, Any]], Any] | None = None
    kinks: str = "none"
    domain: str = "all real numbers"
    analytic: bool = True
    summary: str = ""
    note: str = ""
    samples: tuple[tuple[float, float], ...] = field(default=())

    @property
    def broadcasts(self) -> bool:
        """True for ops that work element by element and broadcast their inputs."""
        return self.batch is None and not isinstance(self.derivative, Enclosing)

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        """Applies the op: to plain arrays at once, to traced ones as a new node."""
        return apply(self, inputs, attributes)

    def __repr__(self) -> str:
        return f"<op {self.name}>"
