"""The engine that readers build themselves computes what the real one does."""

from __future__ import annotations

import ast
import importlib.util
import io
import subprocess
import sys
import tokenize
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal
from glassnet.ops.matrix import contract

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "build_it_yourself.py"


@pytest.fixture(scope="module")
def own() -> ModuleType:
    specification = importlib.util.spec_from_file_location("build_it_yourself", SOURCE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # where dataclasses look up their annotations
    specification.loader.exec_module(module)
    return module


class Names:
    """The same function names in both engines."""

    def __init__(self, module: Any, total: Callable[..., Any], product: Callable[..., Any]) -> None:
        self.exp, self.log, self.sin, self.cos = module.exp, module.log, module.sin, module.cos
        self.tanh, self.relu, self.total, self.product = module.tanh, module.relu, total, product


def both(own: ModuleType) -> tuple[Names, Names]:
    mine = Names(own, own.total, lambda x, y, spec: own.contract(x, y, spec=spec))
    return mine, Names(gnp, gnp.sum, contract)


W, B, X = (normal(Key(7, stream), shape) for stream, shape in enumerate([(4, 3), (4,), (3,)]))
FUNCTIONS: dict[str, Callable[[Names], Callable[[Any], Any]]] = {
    "polynomial": lambda n: lambda x: n.total(x**3 - 2 * x + 1 / (x * x + 2)),
    "elementary": lambda n: lambda x: n.total(n.exp(n.sin(x)) * n.cos(x) + n.log(x * x + 1)),
    "quotient": lambda n: lambda x: n.total(n.tanh(x) / (1 + n.exp(-x))),
    "a unit": lambda n: lambda x: n.total(n.tanh(n.product(W, x, "ij,j->i") + B)),
    "broadcasting": lambda n: lambda x: n.total((x * n.total(x) - W) ** 2),
    "a kink": lambda n: lambda x: n.total(n.relu(n.product(W, x, "ij,j->i")) ** 2),
    "used twice": lambda n: lambda x: n.total(n.product(x, x, "i,j->ij") * n.product(x, x, "i,i->")),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_gradients_and_second_derivatives_are_those_of_the_package(own: ModuleType, name: str) -> None:
    mine, real = (FUNCTIONS[name](names) for names in both(own))
    x_dot = np.array([0.3, -1.0, 0.7])
    np.testing.assert_allclose(mine(X), real(X), rtol=1e-12)
    np.testing.assert_allclose(own.grad(mine)(X), gn.grad(real)(X), rtol=1e-12)
    np.testing.assert_allclose(own.hessian(mine)(X), gn.jacobian(gn.grad(real))(X), rtol=1e-12, atol=1e-12)
    pairs = zip(own.jvp(mine, (X,), (x_dot,)), gn.jvp(real, (X,), (x_dot,)), strict=True)
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    # Forward over reverse and reverse over forward: the same second derivative along x_dot.
    along = own.jvp(own.grad(mine), (X,), (x_dot,))[1]
    np.testing.assert_allclose(along, own.hessian(mine)(X) @ x_dot, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        own.grad(lambda x: own.jvp(mine, (x,), (x_dot,))[1])(X), along, rtol=1e-11, atol=1e-12
    )


def test_jacobians_and_batches_are_those_of_the_package(own: ModuleType) -> None:
    mine, real = (lambda x, n=names: n.tanh(n.product(W, x, "ij,j->i") + B) for names in both(own))
    np.testing.assert_allclose(own.jacobian(mine)(X), gn.jacobian(real)(X), rtol=1e-12)
    rows = normal(Key(8), (5, 3))
    np.testing.assert_allclose(own.vmap(mine)(rows), gn.vmap(real)(rows), rtol=1e-12)
    per_example = own.vmap(own.grad(lambda x: own.total(mine(x))))(rows)
    loop = [gn.grad(lambda x: real(x).sum())(row) for row in rows]
    np.testing.assert_allclose(per_example, np.stack(loop), rtol=1e-12)
    same = own.vmap(lambda x: own.as_array(B))(rows)
    np.testing.assert_array_equal(same, np.tile(B, (5, 1)))


def test_the_perturbations_of_nested_derivatives_are_kept_apart(own: ModuleType) -> None:
    # d/dx [x * d/dy (x + y)] = 1; an engine that confuses the two perturbations says 2.
    inner = own.grad(lambda x: x * own.grad(lambda y: x + y)(1.0))
    assert float(inner(1.0)) == 1.0


def test_control_flow_and_values_at_once(own: ModuleType) -> None:
    def f(x: Any) -> Any:
        while x > 1.0:
            x = x / 2
        return x

    assert float(own.grad(f)(6.0)) == 0.125
    assert repr(own.variable(2.0)) == "<variable 2.0>"
    assert float(own.grad(own.relu)(0.0)) == 0.0
    assert float(own.grad(lambda x: 3.0 - own.as_array(1.0))(2.0)) == 0.0


def test_its_checker_tells_a_right_derivative_from_a_wrong_one(own: ModuleType) -> None:
    assert own.largest_error(own.tanh, X) < 1e-14
    wrong = own.Op("wrong", np.tanh, own.Elementwise((lambda out, x: (1 - out**2) * 1.000001,)))
    assert own.largest_error(wrong, X) > 1e-7


def test_its_network_has_the_gradients_of_the_package_and_learns(own: ModuleType) -> None:
    parameters, losses = own.train()
    assert losses[0] > 1.0
    assert losses[-1] < 1e-12
    np.testing.assert_allclose(own.network(*parameters), own.Y, atol=1e-6)
    start = tuple(normal(Key(3, i), w.shape) for i, w in enumerate(parameters))
    names = both(own)[1]

    def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        hidden = names.tanh(contract(own.X, W1, "ni,ui->nu") + b1)
        return ((contract(hidden, W2, "nu,ou->no") + b2 - own.Y) ** 2).sum() / 2

    for got, expected in zip(
        own.grad(own.loss, (0, 1, 2, 3))(*start), gn.grad(loss, (0, 1, 2, 3))(*start), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_it_runs_on_its_own_and_says_what_it_learned() -> None:
    finished = subprocess.run([sys.executable, "-I", SOURCE], capture_output=True, text=True, check=True)
    first, *rows = finished.stdout.splitlines()
    assert first.startswith("loss ")
    assert rows == [f"{a} xor {b} = {a ^ b}, learned {a ^ b}.000" for a in (0, 1) for b in (0, 1)]


def test_it_is_about_300_lines_and_needs_numpy_alone() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    tree = ast.parse(text)
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {token.start[0] for token in tokens if token.type not in layout and token.string} - prose
    assert 250 <= len(lines) <= 330
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert {name for name in modules if name not in sys.stdlib_module_names} - {"collections.abc"} == {
        "numpy"
    }
