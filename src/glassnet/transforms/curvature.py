"""Second derivatives: the Hessian, its product with a vector, and the Gauss-Newton product.

All of them are forward mode over reverse mode: one gradient, pushed along a direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glassnet.core.trace import as_array, tracing
from glassnet.transforms.derivatives import (
    Call,
    Wrt,
    as_tuples,
    filled,
    forward_blocks,
    grad,
    jvp,
    scalar_result,
    vjp,
)
from glassnet.transforms.transpose import pullback


def hessian(f: Callable[..., Any], wrt: Wrt = 0) -> Callable[..., Any]:
    """All second derivatives of a scalar-valued f.

    H[i, j] = d^2 f / d x_i d x_j, of shape x.shape + x.shape, indices row by row. For a tuple `wrt` or an
    argument that is a tree, a tree of rows of which each is a tree of blocks: hessian(f, (0, 1))(x, y)[0][1]
    is d^2 f / dx dy. Cost: one gradient, pushed along every unit vector in one batch.

    Raises DifferentiationError and DTypeError as `grad`.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])

    Source: Griewank and Walther (2008), chapter 5.
    """

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with tracing():
            call = Call(f, wrt, args, kwargs)
            out = scalar_result(call.out, f)
            # The gradient stays traced: it is differentiated in its turn.
            slopes = pullback([out.node], call.variables, [np.ones((), out.dtype)])
            gradients = filled(slopes, call.variables)
            rows = [forward_blocks(as_array(x), call.variables) for x in gradients]
        return call.arrange([call.arrange(row) for row in rows], finish=lambda row: row)

    return wrapped


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of f's Hessian with a vector, H v, at the cost of a few gradients.

    `primals` and `tangents` are tuples with one entry an argument, of equal shapes; the product has the form
    of the argument, or is a tuple where there are several.

    >>> hvp(lambda x: x[0] ** 2 * x[1], (np.array([1.0, 3.0]),), (np.array([1.0, 0.0]),))
    array([6., 2.])

    Source: Pearlmutter, Neural Computation 6 (1994).
    """
    primals, tangents = as_tuples("hvp", primals, tangents)
    wrt: Wrt = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, wrt), primals, tangents)[1]


def gauss_newton_product(
    f: Callable[..., Any], loss: Callable[[Any], Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    """The Gauss-Newton matrix of loss(f(x)) times a vector: G v = J^T H J v.

    J is the Jacobian of `f`, H the Hessian of `loss` at f(x). G is the Hessian without the curvature of f:
    positive semidefinite for a convex loss, and equal to it where f is linear. Neither matrix is formed.
    `primals` and `tangents` as in `hvp`.

    >>> x, v = np.array([1.0, 3.0]), np.array([1.0, 0.0])
    >>> gauss_newton_product(lambda x: x[0] * x[1], lambda y: y ** 2, (x,), (v,))  # 2 (3, 1)^T (3, 1) v
    array([18.,  6.])

    Source: Schraudolph, Neural Computation 14 (2002).
    """
    primals, tangents = as_tuples("gauss_newton_product", primals, tangents)
    out, out_dot = jvp(f, primals, tangents)
    curved = hvp(loss, (out,), (out_dot,))
    products = vjp(f, *primals)[1](curved)
    return products[0] if len(primals) == 1 else products
