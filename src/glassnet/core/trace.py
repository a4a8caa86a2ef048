"""Tracing: arrays that remember how they were made.

`Array` is the face of a `Node`. Applying an op to at least one Array makes a new node; applied to plain
NumPy arrays alone, an op simply computes. Where every input has a value the new node has one as well, so
Python `if` and loops on values work while a derivative is being traced; where a shape alone is known
(`vmap`, compilation) asking for a value is an error that names the user's line.

A transform puts a `variable` node in front of each argument that it differentiates: an identity whose
serial number is newer than anything that existed before. What depends on the variable is what the
transform works on; the rest are constants to it. Nesting needs nothing more, and perturbations of an inner
and an outer derivative cannot be confused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dis import opname
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet.core.dtype import DType, NDArray, weak_dtype
from glassnet.core.graph import Node, describe
from glassnet.core.methods import Methods
from glassnet.core.places import calls_without, clear_error, raised_from, user_frame
from glassnet.core.registry import FUNCTIONS, OPS, missing
from glassnet.core.shape import Shape, size_of
from glassnet.errors import ConcretizationError, DTypeError, LeakError, ShapeError

if TYPE_CHECKING:
    from glassnet.core.op import Op

_depth: ContextVar[int] = ContextVar("open transforms", default=0)

# What NumPy calls its functions is what we call ours, but for these.
_NUMPY_NAMES = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "around": "round",
    "degrees": "rad2deg",
    "fabs": "abs",
    "fix": "trunc",
    "radians": "deg2rad",
    "true_divide": "divide",
}

_PYTHON_NUMBERS = (bool, int, float)  # not np.float64, which is a float to isinstance: its dtype is strong


class Array(Methods):
    """A traced array: NumPy's operators, a shape, and (in eager transforms) a value.

    Users never make one; functions under `gn.grad`, `gn.vmap` or `gn.compile` receive them.
    """

    __slots__ = ("node",)
    __hash__ = None  # type: ignore[assignment]  # == is elementwise, as in NumPy

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def shape(self) -> Shape:
        """The sizes of its dimensions."""
        return self.node.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.node.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.node.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return size_of(self.node.shape)

    @property
    def value(self) -> NDArray:
        """The array itself; an error where only the shape is known."""
        if self.node.value is None:
            raise ConcretizationError(
                f"A value was asked for where only the shape {list(self.shape)} is known"
                f"{describe(user_frame())}; inside vmap, scan and compiled functions use "
                "where(condition, a, b) or cond instead of `if`."
            )
        return self.node.value

    def __repr__(self) -> str:
        known = "" if self.node.value is None else f" = {self.node.value}"
        return f"<traced {self.dtype}{list(self.shape)}{known}>"

    # Arithmetic: each operator is the op of that name.
    def __add__(self, other: Any) -> Array:
        return apply(OPS["add"], (self, other), {})

    def __radd__(self, other: Any) -> Array:
        return apply(OPS["add"], (other, self), {})

    def __sub__(self, other: Any) -> Array:
        return apply(OPS["subtract"], (self, other), {})

    def __rsub__(self, other: Any) -> Array:
        return apply(OPS["subtract"], (other, self), {})

    def __mul__(self, other: Any) -> Array:
        return apply(OPS["multiply"], (self, other), {})

    def __rmul__(self, other: Any) -> Array:
        return apply(OPS["multiply"], (other, self), {})

    def __truediv__(self, other: Any) -> Array:
        return apply(OPS["divide"], (self, other), {})

    def __rtruediv__(self, other: Any) -> Array:
        return apply(OPS["divide"], (other, self), {})

    def __pow__(self, other: Any) -> Array:
        return apply(OPS["power"], (self, other), {})

    def __rpow__(self, other: Any) -> Array:
        return apply(OPS["power"], (other, self), {})

    def __mod__(self, other: Any) -> Array:
        return apply(OPS["remainder"], (self, other), {})

    def __rmod__(self, other: Any) -> Array:
        return apply(OPS["remainder"], (other, self), {})

    def __floordiv__(self, other: Any) -> Array:
        return apply(OPS["floor_divide"], (self, other), {})

    def __rfloordiv__(self, other: Any) -> Array:
        return apply(OPS["floor_divide"], (other, self), {})

    def __matmul__(self, other: Any) -> Array:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Array:
        return FUNCTIONS["matmul"](other, self)

    def __neg__(self) -> Array:
        return apply(OPS["negative"], (self,), {})

    def __pos__(self) -> Array:
        return self

    def __abs__(self) -> Array:
        return apply(OPS["abs"], (self,), {})

    # Comparisons give boolean arrays.
    def __lt__(self, other: Any) -> Array:
        return apply(OPS["less"], (self, other), {})

    def __le__(self, other: Any) -> Array:
        return apply(OPS["less_equal"], (self, other), {})

    def __gt__(self, other: Any) -> Array:
        return apply(OPS["greater"], (self, other), {})

    def __ge__(self, other: Any) -> Array:
        return apply(OPS["greater_equal"], (self, other), {})

    def __eq__(self, other: object) -> Array:  # type: ignore[override]
        return apply(OPS["equal"], (self, other), {})

    def __ne__(self, other: object) -> Array:  # type: ignore[override]
        return apply(OPS["not_equal"], (self, other), {})

    def __getitem__(self, index: Any) -> Array:
        return FUNCTIONS["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise DTypeError(
            f"A traced array cannot be assigned to in place, x[{index!r}] = ...{describe(user_frame())}; "
            "make a new one: x = glassnet.numpy.scatter(x, index, value), or where(mask, new, x)."
        )

    # Masks and whole numbers.
    def __and__(self, other: Any) -> Array:
        return apply(OPS["bitwise_and"], (self, other), {})

    def __or__(self, other: Any) -> Array:
        return apply(OPS["bitwise_or"], (self, other), {})

    def __xor__(self, other: Any) -> Array:
        return apply(OPS["bitwise_xor"], (self, other), {})

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Array:
        return apply(OPS["invert"], (self,), {})

    def __divmod__(self, other: Any) -> tuple[Array, Array]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Array, Array]:
        return other // self, other % self

    def __round__(self, ndigits: int | None = None) -> Any:
        return int(self.value.round()) if ndigits is None else FUNCTIONS["round"](self, ndigits)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("A scalar has no length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    # Conversions ask for the value.
    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        if opname[frame.f_code.co_code[frame.f_lasti]] == "STORE_SUBSCR":
            # NOTE array[i] = x makes NumPy ask for float(x), and the derivative would be lost without a word.
            raise DTypeError(
                f"A traced array cannot be put into a NumPy array{describe(user_frame())}; "
                "build the array of traced values with stack([...]) or where(...)."
            )
        value = float(self.value)
        if calls_without(frame, "float"):
            # NOTE so do math.sin(x) and its like: the number would pass through and the derivative would not.
            raise DTypeError(
                f"A function of plain numbers was called on a traced array{describe(user_frame())}, "
                "and its derivative would be lost; use the function in glassnet.numpy, or float(x) for the "
                "number alone."
            )
        return value

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.shape:
            raise DTypeError(
                f"A whole number is needed{describe(user_frame())}; "
                f"it got a traced array of {self.dtype}{list(self.shape)}."
            )
        return int(self.value)

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: Any) -> Array:
        return self  # NOTE a copy of the nodes would be cut off from what they are made of

    def __format__(self, spec: str) -> str:
        return format(self.value[()], spec) if spec else str(self)

    def __getattr__(self, name: str) -> Any:
        # NOTE NumPy and copy ask for protocols by their underscored names; those must be plainly absent.
        if name.startswith("_"):
            raise AttributeError(name)
        near = f"the function is glassnet.numpy.{name}" if name in _public() else missing(name, _public())
        raise AttributeError(f"A traced array has no attribute {name!r}: {near.rstrip('.')}.")

    def item(self) -> Any:
        """The one element as a Python number."""
        return self.value.item()

    # NumPy's own functions on traced arrays: ours of the same name, or an error that says so.
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Array:
        name = _NUMPY_NAMES.get(ufunc.__name__, ufunc.__name__)
        implementation = OPS.get(name) or FUNCTIONS.get(name)
        if implementation is None:
            raise DTypeError(f"numpy.{name} does not work on a traced array: {missing(name, _public())}")
        if method != "__call__" or options:
            form = f".{method}" if method != "__call__" else f"(..., {'=..., '.join(options)}=...)"
            raise DTypeError(
                f"numpy.{ufunc.__name__}{form} does not work on a traced array; "
                f"glassnet.numpy.{name}(...) gives a new array."
            )
        return implementation(*inputs)

    def __array_function__(
        self, f: Callable[..., Any], types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        name = _NUMPY_NAMES.get(f.__name__, f.__name__)
        if name in ("shape", "ndim", "size"):
            return getattr(args[0], name)
        path = f"{f.__module__}.{f.__name__}"
        implementation = FUNCTIONS.get(path.removeprefix("numpy.")) or FUNCTIONS.get(name) or OPS.get(name)
        if implementation is None:
            raise DTypeError(f"{path} does not work on a traced array: {missing(name, _public())}")
        try:
            signature(implementation).bind(*args, **options)
        except TypeError as error:
            raise DTypeError(
                f"{path} does not work on a traced array in this form: glassnet.numpy.{name} {error}."
            ) from None
        return implementation(*args, **options)

    def __array__(self, *_: Any, **__: Any) -> NDArray:
        raise DTypeError(
            f"NumPy asked for the numbers of a traced array{describe(user_frame())}, "
            "and its derivative would be lost; use the function in glassnet.numpy (stack([...]) puts "
            "traced values into an array), or x.value for the numbers alone."
        )


def _public() -> list[str]:
    return [*FUNCTIONS, *OPS]


def apply(op: Op, inputs: tuple[Any, ...], attributes: Mapping[str, Any]) -> Any:
    """Applies `op`: at once where no input is traced, else as a new node (with a value if all have one)."""
    for x in inputs:
        if type(x) is Array:
            return Array(make_node(op, _as_nodes(inputs), attributes))
    try:
        return op.value(np, *inputs, **attributes)
    except (ValueError, TypeError, IndexError) as error:
        nodes = tuple(constant(x) for x in inputs)
        raise clear_error(error, op, nodes, attributes, user_frame()) from None


def _as_nodes(inputs: tuple[Any, ...]) -> tuple[Node, ...]:
    # Plain arrays become constants at once; a Python number takes its dtype from what stands beside it.
    nodes: list[Any] = []
    weak = False
    for x in inputs:
        if type(x) is Array:
            nodes.append(x.node)
        elif type(x) in _PYTHON_NUMBERS:
            weak = True
            nodes.append(x)
        else:
            nodes.append(constant(x))
    if weak:
        dtypes = [node.dtype for node in nodes if type(node) is Node]
        beside = dtypes[0] if len(dtypes) == 1 else np.result_type(*dtypes)
        nodes = [x if type(x) is Node else constant(np.asarray(x, weak_dtype(x, beside))) for x in nodes]
    return tuple(nodes)


def make_node(op: Op, inputs: tuple[Node, ...], attributes: Mapping[str, Any]) -> Node:
    """A new node for `op`; errors of shape or dtype gain the user's line."""
    source = user_frame()
    if not _depth.get():
        raise LeakError(
            f"A traced array was used after its transform had ended{describe(source)}; "
            "return it from the transformed function instead of keeping it."
        )
    values: list[NDArray] = []
    try:
        for node in inputs:
            if node.value is None:
                shape, dtype = op.infer(*inputs, **attributes)
                return Node(op, inputs, attributes, shape, dtype, None, source)
            values.append(node.value)
        value = np.asarray(op.value(np, *values, **attributes))
    except (ValueError, TypeError, IndexError) as error:
        raise clear_error(error, op, inputs, attributes, source) from None
    return Node(op, inputs, attributes, value.shape, value.dtype, value, source)


def record(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any], value: NDArray | None) -> Array:
    """The result of `op` as a new node whose value is known already, or whose shape alone is."""
    nodes = tuple(as_array(x).node for x in inputs)
    shape, dtype = op.infer(*nodes, **attributes) if value is None else (value.shape, value.dtype)
    return Array(Node(op, nodes, attributes, shape, dtype, value, user_frame()))


def constant(value: Any) -> Node:
    """A leaf that holds a known array."""
    array = np.asarray(value)
    if array.dtype.kind not in "fibu":
        raise DTypeError(
            f"glassnet computes with numbers; it got {type(value).__name__} of dtype {array.dtype}."
        )
    return Node(OPS["constant"], (), {}, array.shape, array.dtype, array)


def placeholder(shape: Shape, dtype: DType) -> Array:
    """A leaf of which only shape and dtype are known."""
    return Array(Node(OPS["input"], (), {}, shape, dtype))


def variable(x: Any) -> Array:
    """A fresh identity node in front of `x`, for a transform to differentiate with respect to."""
    node = x.node if type(x) is Array else constant(x)
    return Array(Node(OPS["variable"], (node,), {}, node.shape, node.dtype, node.value))


def as_array(x: Any) -> Array:
    """`x` as a traced array: itself, or a constant."""
    return x if type(x) is Array else Array(constant(x))


@contextmanager
def tracing() -> Generator[None]:
    """Marks a transform as open. While one is open its results stay traced; see `release`.

    An error of shape or dtype that is raised beneath the user's function gains the user's line.
    """
    token = _depth.set(_depth.get() + 1)
    try:
        yield
    except (ShapeError, DTypeError) as error:
        place = describe(raised_from(error))
        if place and " (line " not in str(error):
            error.args = (f"{str(error).rstrip('.')}{place}.",)
        raise
    except ValueError as error:
        if isinstance(error.__cause__, DTypeError):  # NumPy hides our sentence behind its own
            raise error.__cause__ from None
        raise
    finally:
        _depth.reset(token)


def is_tracing() -> bool:
    """True while a transform is open."""
    return _depth.get() > 0


def release(x: Any) -> Any:
    """A result on its way out of a transform: a plain array of its own when no outer transform is open."""
    if _depth.get():
        return x
    value = x.node.value if type(x) is Array else x
    if value is None:
        raise LeakError(
            "The result was made from a traced array whose transform had ended; "
            "return it from that transform instead of keeping it."
        )
    # NOTE a copy: two results may be one node, and the value of a broadcast is a read-only view.
    return np.array(value)


def reader() -> Callable[[Node], Any]:
    """How derivative rules shall read the nodes of a trace.

    Nobody looks behind the results of the outermost transform: there the rules compute on plain values.
    Inside another transform they are traced in their turn.
    """
    return _value_or_array if _depth.get() == 1 else Array


def _value_or_array(node: Node) -> Any:
    return Array(node) if node.value is None else node.value
