"""The cases that every op is certified on: one table for the tests and for the command `glassnet check ops`.

An elementwise op needs no entry: its cases follow from its number of inputs and its declared intervals. An
op with attributes, or of any other shape, has a line in SPECIAL; an op with a kink has one in KINKS.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, INT64, NDArray, is_floating
from glassnet.core.op import Op
from glassnet.core.packages import load_all
from glassnet.core.random import Key, uniform
from glassnet.core.registry import OPS
from glassnet.core.shape import Shape
from glassnet.transforms.tracing import trace

load_all("glassnet.ops")  # every op registers itself

LEAVES = {"input", "constant"}  # they are given, never computed


@dataclass(frozen=True)
class Case:
    """One application of an op: its inputs and its attributes."""

    inputs: tuple[NDArray, ...]
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])

    def moving(self) -> list[int]:
        """The positions of the inputs that can carry a derivative."""
        return [i for i, x in enumerate(self.inputs) if is_floating(x.dtype)]


def draw(stream: int, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> NDArray:
    """Uniform numbers, the same ones for the same `stream`."""
    return uniform(Key(20, stream), shape, low, high)


def _recurrence(h: Any, x: Any, w: Any) -> tuple[Any, Any]:
    return OPS["tanh"](w * (h + x)), h * x


def _far(x: Any, a: Any) -> Any:
    return OPS["abs"](x * x - a) > 1e-12


def _newton(x: Any, a: Any) -> Any:
    return (x + a / x) / 2.0


def _squashed(x: Any, v: Any) -> tuple[Any, Any]:
    return OPS["sin"](x) * v, v / 2.0


X, V, W = draw(1, (3, 4)), draw(2, (4,)), draw(3, (2, 3, 4))
SHARES = np.array([[0.2, 0.3, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])

# Matrices with an inverse, positive definite ones, and ones that are not square; stacks and empty ones too.
UPPER = np.array([[2.0, -1.0, 0.5], [0.0, 1.5, 1.0], [0.0, 0.0, -3.0]])
FULL = np.array([[0.4, 2.0, -1.0], [1.5, 0.3, 0.7], [-0.6, 1.1, 2.5]])
SQUARES = [
    Case((UPPER,)),
    Case((np.stack([FULL, FULL.T + UPPER]),)),
    Case((np.array([[-1.5]]),)),
    Case((np.zeros((0, 2, 2)),)),
    Case((np.zeros((0, 0)),)),
]
DEFINITE = [
    Case((np.diag([2.0, 3.0, 1.5]),)),
    Case((np.stack([FULL @ FULL.T, np.eye(3) + UPPER.T @ UPPER]),)),
    *SQUARES[3:],
]
# NOTE not the triangular one: LAPACK's signs change there, from reflecting to leaving a column as it is.
TALL = [Case((FULL,)), Case((draw(60, (4, 3)),)), Case((draw(61, (2, 5, 2)),)), *SQUARES[3:]]

# Examples that several reductions share.
REDUCED = [
    Case((X,), {"axes": (0,), "keepdims": False}),
    Case((W,), {"axes": (0, 2), "keepdims": False}),
    Case((W,), {"axes": (1,), "keepdims": True}),
    Case((draw(54, ()),), {"axes": (), "keepdims": False}),
    Case((np.zeros((0, 3)),), {"axes": (0,), "keepdims": False}),
]
EXTREMA = REDUCED[:4]
ALONG = [
    Case((X,), {"axis": 0}),
    Case((W,), {"axis": 1}),
    Case((V,), {"axis": 0}),
    Case((np.zeros((2, 0)),), {"axis": 1}),
    Case((np.zeros((0, 2)),), {"axis": 1}),
]
ZEROS = np.array([[1.5, 0.0, -2.0, 0.5], [0.0, 0.0, 3.0, 1.0], [2.0, -1.0, 0.5, 0.0]])

# One to three spatial axes; each of stride, dilation, padding, groups and a batch of either operand.
_LINE = {"extents": (3,), "stride": (2,), "dilation": (2,), "low": (2,)}
_PLANE = {"extents": (3, 2), "stride": (2, 3), "dilation": (1, 2), "low": (1, 0)}
_CUBE = {"extents": (2, 2, 1), "stride": (1, 2, 1), "dilation": (1, 1, 1), "low": (0, 1, 0)}
_SMALL = {"extents": (2,), "stride": (1,), "dilation": (1,), "low": (0,)}


def _unsized(sliding: dict[str, Shape]) -> dict[str, Shape]:
    return {key: value for key, value in sliding.items() if key != "extents"}


SLIDING: dict[str, list[Case]] = {
    "windows": [
        Case((draw(60, (2, 5)),), {"window": (3,), **_LINE}),
        Case((draw(61, (5, 6)),), {"window": (3, 2), **_PLANE}),
        Case((np.zeros((0, 3)),), {"window": (2,), **_SMALL}),
    ],
    "fold": [
        Case((draw(62, (2, 3, 3)),), {"space": (5,), "window": (3,), **_LINE}),
        Case((draw(63, (3, 2, 3, 2)),), {"space": (5, 6), "window": (3, 2), **_PLANE}),
        Case((np.zeros((0, 2, 2)),), {"space": (3,), "window": (2,), **_SMALL}),
    ],
    "convolution": [
        Case((draw(64, (2, 5)), draw(65, (4, 2, 3))), {"spec": "c,oc->o", **_LINE}),
        Case((draw(66, (2, 5, 6)), draw(67, (3, 2, 3, 2))), {"spec": "c,oc->o", **_PLANE}),
        Case((draw(68, (2, 2, 4, 4)), draw(69, (2, 3, 2, 3, 1))), {"spec": "gc,goc->go", **_PLANE}),
        Case((draw(70, (3, 2, 3, 2)), draw(71, (2, 3, 1, 2, 2))), {"spec": "c,oc->o", **_CUBE}),
        Case((draw(72, (3,)), draw(73, (2,))), {"spec": ",->", **_SMALL}),
        Case((draw(74, (3, 3)), draw(75, (3, 2))), {"spec": "n,n->", **_SMALL}),
        Case((np.zeros((0, 3)), np.zeros((2, 0, 2))), {"spec": "c,oc->o", **_SMALL}),
    ],
    "transposed_convolution": [
        Case((draw(76, (4, 3)), draw(77, (4, 2, 3))), {"spec": "o,oc->c", "space": (5,), **_unsized(_LINE)}),
        Case(
            (draw(78, (3, 3, 2)), draw(79, (3, 2, 3, 2))),
            {"spec": "o,oc->c", "space": (5, 6), **_unsized(_PLANE)},
        ),
        Case((draw(80, (2,)), draw(81, (2,))), {"spec": ",->", "space": (4,), **_unsized(_SMALL)}),
        Case(
            (np.zeros((0, 2)), np.zeros((0, 1, 2))),
            {"spec": "o,oc->c", "space": (3,), **_unsized(_SMALL)},
        ),
    ],
    "max_pool": [
        Case((draw(82, (2, 5)),), {"window": (3,), **_LINE}),
        Case((draw(83, (2, 5, 6)),), {"window": (3, 2), **_PLANE}),
        Case((np.zeros((0, 3)),), {"window": (2,), **_SMALL}),
    ],
}

# What is drawn from a key: step and seed are the operands.
_KEY, _STREAM = (np.array(7), np.array(5)), {"stream": 3}
SAMPLED: dict[str, list[Case]] = {
    name: [
        Case(_KEY, {**_STREAM, **options, "shape": shape, "dtype": np.dtype(dtype)})
        for shape in [(3, 2), (), (0, 2)]
    ]
    for name, dtype, options in [
        ("random_bits", "uint32", {}),
        ("random_uniform", "float64", {}),
        ("random_normal", "float64", {}),
        ("random_gumbel", "float64", {}),
        ("random_truncated_normal", "float64", {"low": -1.0, "high": 2.0}),
        ("random_integers", "int64", {"low": -3, "high": 5}),
    ]
}
SAMPLED["random_permutation"] = [
    Case(_KEY, {**_STREAM, "shape": (count,), "dtype": INT64}) for count in (6, 1, 0)
]

# The bodies of the ops that run a graph.
_RECURRENCE, _FAR = trace(_recurrence, V, V, V)[0], trace(_far, 1.0, 1.0)[0]
_NEWTON, _SQUASHED = trace(_newton, 1.0, 1.0)[0], trace(_squashed, X, V)[0]

# Ops that look across the examples of a batch: what they make of all, given what they make of each alone.
ACROSS: dict[str, Callable[[NDArray], Any]] = {
    "batch_mean": lambda rows: rows.mean(axis=0),
    "batch_size": len,
}

# Ops with attributes, with inputs that are not plain numbers, or of other than elementwise shape.
SPECIAL: dict[str, list[Case]] = {
    "leaky_relu": [Case((X,), {"slope": 0.1})],
    "where": [Case((X > 0, draw(4, (3, 4)), draw(5, (3, 4)))), Case((V > 0, X, draw(6, ())))],
    "softmax": [Case((X,)), Case((V,)), Case((np.zeros((0, 3)),))],
    "softmax_cross_entropy": [Case((X, SHARES)), Case((V, SHARES[0])), Case((np.zeros((0, 3)),) * 2)],
    "sigmoid_cross_entropy": [Case((X, draw(7, (3, 4), 0.0, 1.0))), Case((X, draw(8, (4,), 0.0, 1.0)))],
    "one_hot": [Case((np.array([2, 0, 7, -1]),), {"classes": 3, "dtype": FLOAT64})],
    "contract": [
        Case((X, V), {"spec": "ij,j->i"}),
        Case((X, draw(9, (4, 2))), {"spec": "ij,jk->ki"}),
        Case((V, V), {"spec": "j,j->"}),
        Case((V, draw(10, (3,))), {"spec": "i,j->ij"}),
        Case((W, draw(11, (2, 4, 5))), {"spec": "bij,bjk->bik"}),
        Case((np.zeros((0, 3)), np.zeros((3, 2))), {"spec": "ij,jk->ik"}),
        Case((np.zeros((2, 0)), np.zeros((0, 2))), {"spec": "ij,jk->ik"}),
    ],
    "getitem": [
        Case((W,), {"index": (1,)}),
        Case((W,), {"index": (slice(None), slice(None, None, 2), -1)}),
        Case((X,), {"index": (None, Ellipsis, slice(3, 0, -2))}),
        Case((X,), {"index": (slice(2, 2),)}),
    ],
    "scatter": [
        Case((V,), {"index": (1,), "shape": (3, 4)}),
        Case((draw(12, ()),), {"index": (2, 0), "shape": (3, 4)}),
    ],
    "sum": [
        Case((W,), {"axes": (0, 2), "keepdims": False}),
        Case((W,), {"axes": (1,), "keepdims": True}),
        Case((draw(13, ()),), {"axes": (), "keepdims": False}),
        Case((np.zeros((0, 3)),), {"axes": (0,), "keepdims": False}),
    ],
    "logsumexp": [
        Case((W,), {"axes": (0, 2), "keepdims": False}),
        Case((W,), {"axes": (1,), "keepdims": True}),
        Case((np.zeros((0, 3)),), {"axes": (1,), "keepdims": False}),
    ],
    "any": REDUCED,
    "all": REDUCED,
    "max": [*EXTREMA, Case((np.zeros((0, 3)),), {"axes": (1,), "keepdims": True})],
    "min": [*EXTREMA, Case((np.zeros((0, 3)),), {"axes": (1,), "keepdims": True})],
    "argmax": ALONG[:3],
    "argmin": ALONG[:3],
    "argsort": [*ALONG, Case((np.array([2.0, 1.0, 2.0, 1.0]),), {"axis": 0})],
    "cumsum": ALONG,
    "cumprod": [*ALONG, Case((ZEROS,), {"axis": 1}), Case((draw(50, (9,)),), {"axis": 0})],
    "prod": [
        *REDUCED,
        Case((ZEROS,), {"axes": (1,), "keepdims": False}),
        Case((ZEROS[:1],), {"axes": (0, 1), "keepdims": False}),
        Case((np.zeros((2, 0)),), {"axes": (1,), "keepdims": False}),
    ],
    "gather": [
        Case((X, np.array([2, -1, 2]))),
        Case((W, np.array([[1], [0]]), np.array([0, 2, 2]))),
        Case((X, np.array(1), np.array([3, 0]))),
        Case((draw(51, (3,)), np.zeros((0, 2), np.int64))),
        Case((np.zeros((2, 0)), np.array([1, 1, 0]))),
    ],
    "put_add": [
        Case((X, np.array([4, 1, 4])), {"shape": (5, 4)}),
        Case((draw(52, (2, 3)), np.array([[1], [0]]), np.array([0, -1, 0])), {"shape": (2, 2)}),
        Case((draw(53, ()), np.array(1)), {"shape": (3,)}),
        Case((np.zeros((0, 2)), np.zeros(0, np.int64)), {"shape": (3, 2)}),
    ],
    "last_writer": [Case((np.array([[2, 0], [2, 3]]),), {"size": 5})],
    "reshape": [Case((W,), {"shape": (4, 6)}), Case((np.zeros((0, 3)),), {"shape": (3, 0)})],
    "transpose": [Case((W,), {"axes": (2, 0, 1)}), Case((X,), {"axes": (1, 0)})],
    "broadcast_to": [
        Case((draw(14, (3, 1)),), {"shape": (2, 3, 4)}),
        Case((draw(15, ()),), {"shape": (2,)}),
        Case((draw(16, (1,)),), {"shape": (0,)}),
    ],
    "concatenate": [
        Case((X, draw(17, (1, 4)), draw(18, (0, 4))), {"axis": 0}),
        Case((X, draw(19, (3, 2))), {"axis": 1}),
    ],
    "bitwise_and": [Case((X > 0, V > 0)), Case((np.arange(4), np.array(6)))],
    "bitwise_or": [Case((X > 0, V > 0)), Case((np.arange(4), np.array(6)))],
    "bitwise_xor": [Case((X > 0, V > 0)), Case((np.arange(4), np.array(6)))],
    "invert": [Case((X > 0,)), Case((np.arange(4),))],
    "arctanh": [Case((np.zeros(2),)), Case((0.45 * X,)), Case((np.zeros((0, 2)),))],
    "round": [Case((X,), {"decimals": 1}), Case((10 * V,), {"decimals": 0})],
    "convert": [Case((X,), {"dtype": FLOAT64}), Case((np.zeros((0, 2)),), {"dtype": FLOAT64})],
    "cast": [Case((X,), {"dtype": INT64}), Case((X > 0,), {"dtype": FLOAT64})],
    "unnormalized_sinc": [
        *(Case((5 * X,), {"order": order}) for order in (0, 1, 2, 5)),
        Case((np.array([0.0, 1e-9, -20.0]),), {"order": 0}),
        Case((np.zeros((0, 2)),), {"order": 3}),
    ],
    "polygamma": [
        *(Case((draw(30, (3, 4), 0.5, 9.0),), {"order": order}) for order in (0, 1, 4)),
        *(Case((draw(31, (5,), -2.8, -2.2),), {"order": order}) for order in (0, 3)),
        Case((np.zeros((0, 2)),), {"order": 0}),
    ],
    **SLIDING,
    **SAMPLED,
    "inv": SQUARES,
    "det": [SQUARES[0], SQUARES[1], *SQUARES[3:]],  # of one element it is linear: no second order to compare
    "slogdet": SQUARES,
    "solve": [
        Case((UPPER, draw(62, (3, 2)))),
        Case((FULL, draw(63, (2, 3, 1)))),
        Case((np.stack([FULL, FULL.T + UPPER]), draw(64, (3, 2)))),
        Case((np.zeros((0, 2, 2)), draw(65, (2, 1)))),
        Case((FULL, np.zeros((3, 0)))),
    ],
    "cholesky": DEFINITE,
    "eigh": [Case((FULL,)), *DEFINITE[1:]],
    "qr": TALL,
    "svd": [*TALL[:-1], Case((draw(66, (2, 4)),))],
    "pinv": [Case((x,), {"rcond": 1e-15}) for x in (UPPER, draw(60, (4, 3)), draw(67, (2, 2, 3)))],
    "scan": [
        # h_t = tanh(w (h_{t-1} + x_t)), y_t = h_{t-1} x_t: three steps of four elements, and no step at all.
        Case((V, X, draw(240, (4,))), {"body": _RECURRENCE, "carries": 1, "rows": 1, "length": 3}),
        Case((V, X[:0], draw(241, (4,))), {"body": _RECURRENCE, "carries": 1, "rows": 1, "length": 0}),
    ],
    "while_loop": [
        # Newton's method for the square root of the second input.
        Case(
            (draw(242, (), 1.0, 2.0), draw(243, (), 2.0, 3.0)), {"test": _FAR, "body": _NEWTON, "carries": 1}
        )
    ],
    "checkpoint": [Case((X, V), {"body": _SQUASHED})],
    "variable": [Case((X,))],
    "stop_gradient": [Case((X,))],
    "batch_mean": [Case((X,)), Case((np.zeros((0, 3)),))],
    "batch_size": [Case((X,)), Case((np.arange(3),))],
}

# At a kink the slope is a convention: inputs, attributes, and d out / d x_i for each input (tuples: vectors).
KINKS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = {
    "relu": ((0.0,), {}, (0.0,)),
    "leaky_relu": ((0.0,), {"slope": 0.1}, (0.1,)),
    "abs": ((0.0,), {}, (0.0,)),
    "sign": ((0.0,), {}, (0.0,)),
    "maximum": ((1.5, 1.5), {}, (1.0, 0.0)),
    "minimum": ((1.5, 1.5), {}, (1.0, 0.0)),
    "power": ((-2.0, 3.0), {}, (12.0, 0.0)),
    "max_pool": (((2.0, 2.0, 1.0, 2.0),), {"window": (2,), **_SMALL}, ((1.0, 1.0, 0.0, 0.0),)),
    "fmax": ((1.5, 1.5), {}, (1.0, 0.0)),
    "fmin": ((1.5, 1.5), {}, (1.0, 0.0)),
    "clip": ((1.5, -1.0, 1.5), {}, (0.0, 0.0, 1.0)),
    "hypot": ((0.0, 0.0), {}, (0.0, 0.0)),
    "arctan2": ((0.0, 0.0), {}, (0.0, 0.0)),
    "remainder": ((4.0, 2.0), {}, (1.0, -2.0)),
    "fmod": ((4.0, -2.0), {}, (1.0, 2.0)),
    "copysign": ((0.0, -2.0), {}, (-1.0, 0.0)),
    "heaviside": ((0.0, 0.5), {}, (0.0, 1.0)),
    "floor": ((1.0,), {}, (0.0,)),
    "ceil": ((1.0,), {}, (0.0,)),
    "trunc": ((1.0,), {}, (0.0,)),
    "rint": ((0.5,), {}, (0.0,)),
    "round": ((0.25,), {"decimals": 1}, (0.0,)),
    "floor_divide": ((4.0, 2.0), {}, (0.0, 0.0)),
    "max": (((1.0, 3.0, 3.0),), {"axes": (0,), "keepdims": False}, ((0.0, 1.0, 0.0),)),
    "min": (((1.0, 3.0, 1.0),), {"axes": (0,), "keepdims": False}, ((1.0, 0.0, 0.0),)),
}


# Their results are floating whatever they are given.
FLOATING = {
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "copysign", "cosh"),
    *("deg2rad", "erf", "erfc", "erfinv", "exp2", "gamma", "gammaln", "heaviside", "hypot", "log10", "log2"),
    *("logaddexp", "logaddexp2", "polygamma", "rad2deg", "rint", "sinh", "softsign", "tan"),
    *("cholesky", "det", "eigh", "inv", "pinv", "qr", "slogdet", "solve", "svd"),
    *("unnormalized_sinc", "xlogy"),
    *("cos", "divide", "exp", "expm1", "leaky_relu", "log", "log1p", "logsumexp", "sigmoid", "sin"),
    *("sigmoid_cross_entropy", "softmax", "softmax_cross_entropy", "softplus", "sqrt", "tanh"),
}


def arity(op: Op) -> int:
    """The number of inputs of an op, as its formula names them."""
    names = {name for _, name, _, _ in string.Formatter().parse(op.formula.template) if name}
    return sum(name.isdigit() for name in names)


def elementwise_case(op: Op, shapes: Sequence[Shape]) -> Case:
    """Inputs of these shapes from the intervals that the op declares."""
    ranges = op.samples or ((-2.0, 2.0),) * arity(op)
    return Case(tuple(draw(40 + i, s, *ranges[i]) for i, s in enumerate(shapes)))


def cases(name: str) -> list[Case]:
    """The cases of one op: its own, or for an elementwise op every way to broadcast its inputs."""
    op = OPS[name]
    if name in SPECIAL:
        return SPECIAL[name]
    shapes = [(3, 4)] * arity(op)
    result = [elementwise_case(op, shapes), elementwise_case(op, [()] * len(shapes))]
    result.append(elementwise_case(op, [(0, 2)] * len(shapes)))
    if len(shapes) == 2:
        pairs = [((2, 1, 3), (4, 1)), ((), (3,)), ((1,), (2, 3)), ((3, 0), (1,))]
        result += [elementwise_case(op, list(order)) for pair in pairs for order in (pair, pair[::-1])]
    return result
