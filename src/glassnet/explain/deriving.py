"""`derive`: from a function, an expression or a network to its derivation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glassnet.core.shape import Shape
from glassnet.core.trace import tracing
from glassnet.errors import ConfigurationError
from glassnet.explain.derivation import Derivation
from glassnet.explain.networks import of_network
from glassnet.explain.parsing import function_of
from glassnet.explain.subject import Names, of_function
from glassnet.explain.unrolling import unrolled
from glassnet.explain.writer import Form, Writer
from glassnet.train.state import NetworkState


def derive(
    f: Callable[..., Any] | str | NetworkState,
    wrt: int | str | Sequence[int | str] | None = None,
    *,
    names: Names = None,
    at: Mapping[str, Any] | None = None,
    shapes: Mapping[str, int | Shape] | None = None,
    form: Form | None = None,
) -> Derivation:
    """The derivatives of a function, an expression or a network as formulas, step by step, and as numbers.

    df/dx = sum over all paths from x to f of the product of the derivatives on the path's edges. The chain
    rule is applied edge by edge from the end; then the formulas are simplified. What is long gets a name, a
    value as well as a derivative, so that the length of the whole grows with the number of edges alone.

    `f` is a function of numbers and arrays, an expression such as "a * tanh(w * x + b)", or a network: then
    it is the divergence L of one example x with target d, in W1 = dense_1.weight, b1, z1, y1 and so on.
    `wrt` names the variables, by default all; positions of arguments work too, and so do local variables of
    f's body and single elements, "W[0, 1]" or "dense_1.weight[0, 1]". `shapes` says which arguments are
    arrays, unless `at` or `names` do. A value that f stores in a local variable reads as that variable.
    `names` are names for the arguments in order, or a mapping from a name to a better one; an array takes
    one name, or one for each element: names={"dense_1.weight": [["w1", "w2"], ["w3", "w4"]]}.

    `form` "elements" writes every element by itself, "matrices" vectors and matrices as wholes, where a
    derivative has the shape of its variable (the gradient). Without it single elements and functions of
    numbers are in elements, arrays and networks in matrices. A function with several results has a Jacobian,
    in elements.

    `at` gives numbers to arguments. Where all are given, f may branch on values, and the derivation is that
    of the branch taken; otherwise the given numbers are put into the formulas. Kinks follow the conventions
    of the ops (relu'(0) = 0) and appear as cases.

    Raises DifferentiationError for a name that f does not have, for a matrix form of several results, for
    loops, and for more elements than anyone reads; ConfigurationError for another form.

    >>> def f(x, y, w):
    ...     yhat = gnp.sigmoid(w * x)
    ...     return (yhat - y) ** 2 / 2
    >>> print(gn.derive(f, wrt="w", at={"x": 1.0, "y": 1.0, "w": 0.0}))
    f = (ŷ − y)² / 2
    <BLANKLINE>
    where
        ŷ = σ(w x)
    <BLANKLINE>
    chain rule, from the end
        ∂f/∂ŷ = 0.5 · 2 (ŷ − y)
        ∂f/∂w = ∂f/∂ŷ · σ′(w x) · x
    <BLANKLINE>
    simplified
        ∂f/∂w = (ŷ − y) σ′(w x) x
    <BLANKLINE>
    with
        σ′(z) = σ(z) (1 − σ(z))
    <BLANKLINE>
    at
        x = 1
        y = 1
        w = 0
        ŷ = 0.5
        f = 0.125
        ∂f/∂w = (0.5 − 1) σ′(0 × 1) × 1 = −0.125
    """
    if form not in (None, "elements", "matrices"):
        raise ConfigurationError(f'derive got form={form!r}; it takes "elements" or "matrices".')
    given = dict(at or {})
    with tracing():
        if isinstance(f, NetworkState):
            chosen = form or _form(wrt, arrays=True)
            subject = of_network(f, names, given, whole=chosen == "matrices")
        elif not callable(f) and not isinstance(f, str):
            raise ConfigurationError(
                f"derive got {f!r}; it takes a function, an expression such as 'a * tanh(w * x)', or a "
                "network."
            )
        else:
            function = function_of(f) if isinstance(f, str) else f
            subject = of_function(function, names, given, shapes or {}, written=function is f)
            chosen = form or _form(wrt, arrays=subject.has_arrays and subject.is_scalar)
        if chosen == "elements":
            subject = unrolled(subject)
        return Writer(subject, chosen, given).derivation(wrt)


def _form(wrt: Any, *, arrays: bool) -> Form:
    asked = wrt if isinstance(wrt, (list, tuple)) else (wrt,)
    single = any(isinstance(name, str) and name.endswith("]") for name in asked)
    return "matrices" if arrays and not single else "elements"
