"""The cheap gradient: value and gradient together cost at most five times the value.

Counted are the operations that are really executed: an elementwise op counts each element of its result, a
reduction each element that it reads, a product of arrays its multiplications. Moving data counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.op import Op
from glassnet.core.registry import OPS
from glassnet.losses import LOSSES
from glassnet.ops.matrix import split_spec

MOVING = {"reshape", "transpose", "broadcast_to", "getitem", "scatter", "concatenate", "variable", "astype"}


def _work(op: Op, arrays: tuple[Any, ...], attributes: dict[str, Any], out: Any) -> int:
    if op.name in MOVING:
        return 0
    if op.name == "contract":
        left, right, _ = split_spec(attributes["spec"])
        extents = {
            letter: n
            for letters, x in zip((left, right), arrays, strict=True)
            for letter, n in zip(letters, np.shape(x), strict=True)
        }
        return int(np.prod(list(extents.values()), dtype=int))
    return max([np.size(out), *(np.size(x) for x in arrays)])


@contextmanager
def counting() -> Iterator[list[int]]:
    """Counts the work of every op that is executed."""
    total = [0]

    def counted(op: Op, rule: Callable[..., Any]) -> Callable[..., Any]:
        def value(xp: Any, *arrays: Any, **attributes: Any) -> Any:
            out = rule(xp, *arrays, **attributes)
            total[0] += _work(op, arrays, attributes, out)
            return out

        return value

    with pytest.MonkeyPatch.context() as patch:
        for op in OPS.values():
            if op.value is not None:
                patch.setitem(op.__dict__, "value", counted(op, op.value))
        yield total


def ratio(f: Callable[..., Any], *args: Any) -> float:
    # While a graph is recorded every operation is an op, those of the derivative rules among them.
    both = gn.value_and_grad(f, tuple(range(len(args))))
    with counting() as alone:
        gn.graph(f, *args)
    with counting() as together:
        gn.graph(lambda *x: both(*x), *args)
    assert alone[0] > 0
    return together[0] / alone[0]


W1, B1 = np.linspace(-0.5, 0.5, 32 * 16).reshape(32, 16), np.linspace(0.0, 0.1, 32)
W2, B2 = np.linspace(-0.4, 0.6, 10 * 32).reshape(10, 32), np.zeros(10)
X = np.sin(np.arange(100.0))


def test_the_counter_counts_what_it_says() -> None:
    with counting() as total:
        gnp.matmul(W1, X[:16])  # 32 x 16 multiplications
        gnp.sum(gnp.exp(X))  # 100 exponentials, 100 summands
        gnp.reshape(X, (10, 10))
    assert total == [512 + 200]


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_the_gradient_of_a_network_costs_at_most_five_values(name: str, activation: str) -> None:
    target = np.eye(10)[3]

    def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        hidden = getattr(gnp, activation)(gnp.matmul(w1, X[:16]) + b1)
        return LOSSES[name].divergence(gnp.matmul(w2, hidden) + b2, target)

    assert ratio(loss, W1, B1, W2, B2) <= 5


def rosenbrock(x: Any) -> Any:
    return gnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def log_density(x: Any) -> Any:
    return -0.5 * gnp.sum(gnp.square(x)) - gnp.logsumexp(3.0 * x)


def quadratic_form(x: Any) -> Any:
    return gnp.sum(x[:16] * gnp.matmul(gnp.matmul(W1, x[:16]), W1))


def waves(x: Any) -> Any:
    return gnp.sum(gnp.sin(x) * gnp.exp(-x * x) + gnp.tanh(x) / (1.0 + x * x))


def recursion(x: Any) -> Any:
    for _ in range(8):
        x = gnp.sqrt(1.0 + gnp.square(gnp.sin(x)))
    return gnp.mean(x)


def speelpenning(x: Any) -> Any:
    product = 1.0
    for element in x:
        product = product * element
    return product


@pytest.mark.parametrize("f", [rosenbrock, log_density, quadratic_form, waves, recursion, speelpenning])
def test_the_gradient_of_any_function_costs_at_most_five_values(f: Callable[..., Any]) -> None:
    assert ratio(f, X) <= 5
