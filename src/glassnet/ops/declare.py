"""The constructors of ops: elementwise, selection, linear, bilinear, differential, constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glassnet.core.dtype import BOOL, FLOAT64, INT8, DType, is_floating
from glassnet.core.graph import Node
from glassnet.core.op import Bilinear, Constant, Differential, Elementwise, Formula, Linear, Op, Partial
from glassnet.core.registry import register
from glassnet.core.shape import Shape, broadcast_shapes
from glassnet.errors import DTypeError

Infer = Callable[..., tuple[Shape, DType]]


def elementwise(
    name: str,
    *,
    value: Callable[..., Any],
    partials: Sequence[Partial] | Partial | None = None,
    reason: str | None = None,
    result: str = "floating",
    **facts: Any,
) -> Op:
    """Declares an op that works element by element and broadcasts its inputs.

    `partials` are d out / d x_i as functions (out, *inputs, **attributes); or `reason` says why the
    derivative is zero. `result` is the dtype rule: "floating" (integers become float64), "same" (the
    promoted type of the inputs), "number" (the same, but booleans count as 8-bit integers), "whole" (the
    same, for integers and booleans alone) or "bool".
    """
    if partials is None:
        derivative = Constant(str(reason))
    else:
        derivative = Elementwise(tuple(partials) if isinstance(partials, (tuple, list)) else (partials,))  # type: ignore[arg-type]

    def infer(*inputs: Node, **_: Any) -> tuple[Shape, DType]:
        shape = broadcast_shapes(name, *(x.shape for x in inputs))
        dtypes = [x.dtype for x in inputs]
        if result == "bool":
            return shape, BOOL
        promoted: DType = np.result_type(*dtypes)
        if result == "whole" and promoted.kind not in "biu":
            raise DTypeError(f"{name} works on booleans and integers; it got {promoted} values.")
        if result == "number" and promoted == BOOL:
            return shape, INT8
        return shape, floating_dtype(promoted) if result == "floating" else promoted

    rule = on_floats(value) if result == "floating" else value
    return register(Op(name, rule, infer, derivative, **facts))


def selection(name: str, *, value: Callable[..., Any], transpose: Callable[..., Any], **facts: Any) -> Op:
    """Declares an op that broadcasts like an elementwise one and is linear in all inputs but the first."""

    def infer(*inputs: Node, **_: Any) -> tuple[Shape, DType]:
        shape = broadcast_shapes(name, *(x.shape for x in inputs))
        return shape, np.result_type(*(x.dtype for x in inputs[1:]))

    return register(Op(name, value, infer, Linear(transpose, (1, 2)), **facts))


def linear(
    name: str,
    *,
    value: Callable[..., Any],
    infer: Infer,
    transpose: Callable[..., Any],
    arguments: tuple[int, ...] | None = None,
    rest: Callable[..., Any] | None = None,
    **facts: Any,
) -> Op:
    """Declares an op that is linear in its inputs; `transpose(position, cotangent, inputs, **attributes)`.

    Or in those at `arguments` alone; `rest` is the differential with respect to the others, if they move.
    """
    return register(Op(name, value, infer, Linear(transpose, arguments, rest), **facts))


def bilinear(
    name: str,
    *,
    value: Callable[..., Any],
    infer: Infer,
    left: Callable[..., Any],
    right: Callable[..., Any],
    **facts: Any,
) -> Op:
    """Declares an op that is linear in each of its two inputs while the other is held fixed."""
    return register(Op(name, value, infer, Bilinear(left, right), **facts))


def differential(
    name: str,
    *,
    value: Callable[..., Any],
    infer: Infer,
    formula_of_differential: Callable[..., Any],
    **facts: Any,
) -> Op:
    """Declares an op by its total differential, `(out, inputs, tangents, **attributes)`."""
    return register(Op(name, value, infer, Differential(formula_of_differential), **facts))


def constant(name: str, *, value: Callable[..., Any], infer: Infer, reason: str, **facts: Any) -> Op:
    """Declares an op whose derivative is zero or does not exist, for a stated reason."""
    return register(Op(name, value, infer, Constant(reason), **facts))


def floating_dtype(*dtypes: DType) -> DType:
    """The dtype of a floating result: the promoted type of the inputs, float64 where all are integers."""
    promoted: DType = np.result_type(*dtypes)
    return promoted if is_floating(promoted) else FLOAT64


def on_floats(value: Callable[..., Any]) -> Callable[..., Any]:
    """The value rule `value` for integers as well: they become floating first.

    NOTE NumPy's exp of an 8-bit integer is a 16-bit float, and -x of an unsigned one wraps around.
    """

    @wraps(value)  # an error names the arguments of the rule inside
    def rule(xp: Any, *inputs: Any, **attributes: Any) -> Any:
        for x in inputs:
            if getattr(x, "dtype", FLOAT64).kind in "biu":
                dtype = floating_dtype(*(other.dtype for other in inputs if hasattr(other, "dtype")))
                inputs = tuple(
                    other.astype(dtype) if getattr(other, "dtype", dtype).kind in "biu" else other
                    for other in inputs
                )
                break
        return value(xp, *inputs, **attributes)

    return rule


def function_formula(template: str) -> Formula:
    """The formula of an op that reads as a function of several arguments."""
    return Formula(template, 100)
