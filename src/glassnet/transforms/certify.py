"""The checks that every op passes: one function each, and the table of the largest errors by op.

They take an op and a case, not a name, so that an op of the user's own, or one that is broken on purpose, is
held to the same checks. What is compared with shares nothing with the declaration: see `transforms.check`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT32, FLOAT64, DType, NDArray, is_floating
from glassnet.core.op import Constant, Enclosing, Op
from glassnet.core.registry import OPS
from glassnet.core.shape import Shape
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import GlassnetError
from glassnet.transforms.batch import vmap
from glassnet.transforms.cases import ACROSS, KINKS, LEAVES, Case, cases
from glassnet.transforms.check import GradientReport, check_grads
from glassnet.transforms.derivatives import grad

LIMIT = 1e-9  # the largest relative error of a derivative that passes, in float64
ROUNDING = 1e-14  # what another order of summation may change

Typed = tuple[Shape, DType]


def gradient_report(op: Op, case: Case, limit: float = LIMIT) -> GradientReport:
    """Both modes at orders 1 and 2 against an independent calculation; VerificationError beyond `limit`."""
    return check_grads(
        lambda *x: op(*x, **case.attributes), *case.inputs, tolerance=limit, reverse=has_reverse_mode(op)
    )


def has_reverse_mode(op: Op) -> bool:
    """False for an op that runs a graph and states why it cannot be run backwards."""
    return not isinstance(op.derivative, Enclosing) or op.derivative.reverse is not None


def dtypes_of(op: Op) -> tuple[DType, ...]:
    """The floating dtypes that the op's cases hold for: a body that an op runs is traced for one."""
    return (FLOAT64,) if isinstance(op.derivative, Enclosing) else (FLOAT32, FLOAT64)


def in_dtype(case: Case, dtype: DType) -> list[NDArray]:
    """The inputs of a case, the floating ones in another floating dtype."""
    return [x.astype(dtype) if is_floating(x.dtype) else x for x in case.inputs]


def shape_rule(op: Op, case: Case, dtype: DType = FLOAT64) -> tuple[Typed, Typed]:
    """Shape and dtype by the op's rule, and of its value; they must be equal."""
    inputs = in_dtype(case, dtype)
    with tracing():
        node = op(*(placeholder(x.shape, x.dtype) for x in inputs), **case.attributes).node
    value = np.asarray(op(*inputs, **case.attributes))
    return (node.shape, node.dtype), (value.shape, value.dtype)


def batching_error(op: Op, case: Case) -> float:
    """The largest relative difference between vmap and a Python loop, over every choice of batched inputs.

    For an op that looks across the batch the loop is followed by what it makes of all.
    """
    largest = 0.0
    for flags in itertools.product((False, True), repeat=len(case.inputs)):
        if not any(flags):
            continue
        # Two examples for each batched input: the sample, and the sample in reverse order.
        batches = [
            np.stack([x, np.flip(x).reshape(x.shape)]) if flag else x
            for x, flag in zip(case.inputs, flags, strict=True)
        ]
        axes = tuple(0 if flag else None for flag in flags)
        got = vmap(lambda *x: op(*x, **case.attributes), in_axes=axes)(*batches)
        loop = np.stack(
            [
                op(*(x[i] if flag else x for x, flag in zip(batches, flags, strict=True)), **case.attributes)
                for i in range(2)
            ]
        )
        if op.name in ACROSS:
            loop = np.broadcast_to(np.asarray(ACROSS[op.name](loop)), loop.shape)
        if got.shape != loop.shape:
            return float("inf")
        if not np.array_equal(got, loop, equal_nan=is_floating(loop.dtype)):
            scale = float(np.max(np.abs(loop)))
            largest = max(largest, float(np.max(np.abs(got - loop))) / (scale or 1.0))
    return largest


def slopes_at_kink(op: Op, inputs: Sequence[Any], attributes: dict[str, Any]) -> tuple[Any, ...]:
    """d out / d x_i at a kink, where the slope is a convention; of a sum over the elements of `out`."""
    positions = tuple(range(len(inputs)))
    slopes = grad(lambda *x: (op(*x, **attributes) * 1.0).sum(), positions)(*map(np.asarray, inputs))
    return tuple(tuple(slope.tolist()) if slope.ndim else float(slope) for slope in slopes)


@dataclass(frozen=True)
class OpCertificate:
    """What the checks found of one op: the largest relative errors over its cases, and what is wrong.

    `forward` and `reverse` have one entry an order; they are empty for an op without a slope, whose `reason`
    is then given.
    """

    name: str
    cases: int
    method: str
    forward: tuple[float, ...]
    reverse: tuple[float, ...]
    batching: float
    reason: str = ""
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True where nothing is wrong."""
        return not self.faults

    @property
    def largest_error(self) -> float:
        """The largest relative error of a derivative, in both modes and all orders."""
        return max((*self.forward, *self.reverse), default=0.0)


def certify(op: Op, examples: Sequence[Case], limit: float = LIMIT) -> OpCertificate:
    """Holds `op` to every check on its cases; what fails is listed, not raised.

    >>> certify(OPS["tanh"], cases("tanh")).passed
    True
    """
    faults: list[str] = []
    errors: dict[tuple[str, int], float] = {}
    methods: set[str] = set()
    batching = 0.0
    for number, case in enumerate(examples, 1):
        try:
            for dtype in dtypes_of(op):
                declared, actual = shape_rule(op, case, dtype)
                if declared != actual:
                    faults.append(f"case {number}: the shape rule gives {declared}, the value has {actual}")
            batching = max(batching, batching_error(op, case))
            if isinstance(op.derivative, Constant):
                continue
            # Every comparison is read, also of a wrong rule: the limit is applied below.
            report = gradient_report(op, case, limit=float("inf"))
        except GlassnetError as error:
            faults.append(f"case {number}: {error}")
            continue
        for comparison in report.comparisons:
            mode = comparison.what.partition(" ")[0]
            errors[mode, comparison.order] = max(errors.get((mode, comparison.order), 0.0), comparison.error)
            if mode == "forward" and comparison.place != "no element":
                methods.add(comparison.method)
            if not comparison.error <= limit:
                faults.append(
                    f"case {number}: {comparison.what} of order {comparison.order} is off "
                    f"by {comparison.error:.1e} at {comparison.place}"
                )
    if not batching <= ROUNDING:
        faults.append(f"vmap differs from a loop by {batching:.1e}")
    faults += _kink_faults(op)
    return OpCertificate(
        op.name,
        len(examples),
        " and ".join(sorted(methods)),
        tuple(errors[key] for key in sorted(errors) if key[0] == "forward"),
        tuple(errors[key] for key in sorted(errors) if key[0] == "reverse"),
        batching,
        op.derivative.reason if isinstance(op.derivative, Constant) else "",
        tuple(faults),
    )


def _kink_faults(op: Op) -> list[str]:
    if op.name not in KINKS:
        return (
            [] if op.kinks == "none" else [f"its kink is declared ({op.kinks}) but has no entry in the table"]
        )
    inputs, attributes, expected = KINKS[op.name]
    slopes = slopes_at_kink(op, inputs, attributes)
    return [] if slopes == expected else [f"at its kink the slope is {slopes}, declared {expected}"]


def certify_all(names: Iterable[str] | None = None) -> list[OpCertificate]:
    """A certificate for each op of these names (all by default), in alphabetical order."""
    chosen = set(OPS) - LEAVES if names is None else names
    return [certify(OPS[name], cases(name)) for name in sorted(chosen)]
