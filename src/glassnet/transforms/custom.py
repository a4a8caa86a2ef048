"""A user's own op: its value, its derivative in the language of glassnet.numpy, and why it is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import DType
from glassnet.core.graph import Node, ancestors
from glassnet.core.op import Differential, Elementwise, Op, call
from glassnet.core.shape import Shape, broadcast_shapes
from glassnet.core.trace import Array, as_array
from glassnet.errors import ConfigurationError, DifferentiationError, ShapeError
from glassnet.ops.declare import floating_dtype, on_floats
from glassnet.ops.shaping import stack

Partials = Callable[..., Any] | Sequence[Callable[..., Any]]


def custom(
    value: Callable[..., Any],
    derivative: Partials,
    *,
    reason: str,
    elementwise: bool = True,
    shape: Callable[..., Sequence[int]] | None = None,
    analytic: bool = False,
    name: str | None = None,
) -> Op:
    """An op of your own, which takes part in every transform like those of glassnet.

    `value(*inputs)` computes it with NumPy. `derivative` is written with operators and glassnet.numpy, so
    that it can be differentiated again. For an `elementwise` op it is the partial derivative
    `d(out, *inputs)`, or a list of one for each input: d out = sum_i d_i(out, x) dx_i. Otherwise it is the
    total differential `d(out, inputs, tangents)`, linear in the tangents and made of functions that exist;
    reverse mode is its transpose.
    `reason` says why the op is not composed of existing ones (accuracy, speed, a library that computes it);
    an op without a reason is refused. `shape(*shapes)` gives the result's shape where shapes alone are known
    (vmap, scan, compiled functions); an elementwise op has it already. `analytic` says that the value takes
    complex numbers, and `check_grads` then uses the complex step. Certify every op: `check_grads(op, x)`.

    Raises ConfigurationError without a reason, ShapeError when a shape is needed and none was given.

    >>> log_cosh = custom(
    ...     lambda x: np.logaddexp(x, -x) - np.log(2.0),
    ...     lambda out, x: gnp.tanh(x),
    ...     reason="cosh overflows where its logarithm does not",
    ... )
    >>> bool(gn.grad(log_cosh)(0.5) == np.tanh(0.5))
    True
    >>> gn.check_grads(log_cosh, np.array([-1.0, 0.5, 800.0])).passed
    True
    >>> norm = custom(
    ...     lambda x: np.sqrt(np.sum(x * x)),
    ...     lambda out, inputs, tangents: (inputs[0] * tangents[0]).sum() / out,
    ...     reason="one value is kept instead of three", elementwise=False, shape=lambda x: (),
    ... )
    >>> gn.grad(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    title = name or getattr(value, "__name__", "custom")
    title = title if title.isidentifier() else "custom"  # not <lambda>
    if not str(reason or "").strip():
        raise ConfigurationError(
            f"The custom op {title} needs a reason: say why it is not composed of existing functions."
        )
    if elementwise:
        partials = (derivative,) if callable(derivative) else tuple(derivative)
        return Op(
            title,
            _elementwise_rule(title, value, len(partials)),
            _elementwise_infer(title),
            Elementwise(partials),
            call(title),
            reason,
            analytic=analytic,
        )
    if not callable(derivative):
        raise ConfigurationError(f"The custom op {title} is not elementwise: it has one total differential.")
    op = Op(
        title,
        _value_rule(title, value, shape),
        _shape_rule(title, shape),
        Differential(_with_zeros(lambda: op, derivative)),
        call(title, prime=False),
        reason,
        batch=lambda inputs, batched, attributes: _one_by_one(op, inputs, batched, attributes),
        analytic=analytic,
    )
    return op


def _elementwise_rule(name: str, value: Callable[..., Any], partials: int) -> Callable[..., Any]:
    # The user's value knows NumPy alone.
    def rule(xp: Any, *inputs: Any) -> Any:
        if len(inputs) != partials:
            raise ConfigurationError(
                f"The custom op {name} has {partials} partial derivatives for {len(inputs)} inputs; "
                "give a list with one for each."
            )
        out = value(*inputs)
        expected = broadcast_shapes(name, *(np.shape(x) for x in inputs))
        if np.shape(out) != expected:
            raise ShapeError(
                f"The custom op {name} is declared elementwise, but its value has shape {np.shape(out)} "
                f"where that of its inputs is {expected}; give elementwise=False."
            )
        return out

    return on_floats(rule)


def _value_rule(
    name: str, value: Callable[..., Any], shape: Callable[..., Sequence[int]] | None
) -> Callable[..., Any]:
    def rule(xp: Any, *inputs: Any) -> Any:
        out = value(*inputs)
        if shape is not None and np.shape(out) != (expected := tuple(shape(*map(np.shape, inputs)))):
            raise ShapeError(
                f"The value of the custom op {name} has shape {np.shape(out)}, but its rule says {expected}."
            )
        return out

    return on_floats(rule)


def _elementwise_infer(name: str) -> Callable[..., tuple[Shape, DType]]:
    def infer(*inputs: Node) -> tuple[Shape, DType]:
        return broadcast_shapes(name, *(x.shape for x in inputs)), floating_dtype(*(x.dtype for x in inputs))

    return infer


def _shape_rule(name: str, shape: Callable[..., Sequence[int]] | None) -> Callable[..., tuple[Shape, DType]]:
    def infer(*inputs: Node) -> tuple[Shape, DType]:
        if shape is None:
            raise ShapeError(
                f"The custom op {name} is used where shapes alone are known; "
                "give custom(..., shape=...) the rule of its shape."
            )
        return tuple(shape(*(x.shape for x in inputs))), floating_dtype(*(x.dtype for x in inputs))

    return infer


def _with_zeros(op: Callable[[], Op], differential: Callable[..., Any]) -> Callable[..., Any]:
    # The user's formula need not know that None stands for a zero tangent.
    def formula(out: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
        pairs = zip(inputs, tangents, strict=True)
        full = [np.zeros(x.shape, x.dtype) if x_dot is None else x_dot for x, x_dot in pairs]
        out_dot = as_array(differential(out, inputs, full))
        if out_dot.shape != np.shape(out):
            raise ShapeError(
                f"The differential of {op().name} has shape {out_dot.shape}; "
                f"that of its value is {np.shape(out)}."
            )
        traced = [x_dot.node for x_dot in full if isinstance(x_dot, Array)]
        oldest = min((node.serial for node in traced), default=out_dot.node.serial)
        # Reverse mode would transpose the op by transposing the op, without end.
        if any(node.op is op() for node in ancestors([out_dot.node], oldest, stop=traced)):
            raise DifferentiationError(
                f"The differential of {op().name} applies {op().name} to a tangent; "
                "write that linear map with functions of glassnet.numpy."
            )
        return out_dot if traced else out_dot.value

    return formula


def _one_by_one(op: Op, inputs: Sequence[Any], batched: Sequence[bool], attributes: Mapping[str, Any]) -> Any:
    extent = next(x.shape[0] for x, flag in zip(inputs, batched, strict=True) if flag)
    if not extent:
        raise ShapeError(f"The custom op {op.name} is applied example by example; the batch has none.")
    pairs = list(zip(inputs, batched, strict=True))
    rows = [op(*(x[i] if flag else x for x, flag in pairs), **attributes) for i in range(extent)]
    return as_array(stack(rows))
