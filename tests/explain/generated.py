"""Derivations of generated functions and networks, held against the engine.

    python -m tests.explain.generated 1000

derives that many, reads the printed formulas with SymPy, and prints the largest error. Of five, two are
functions of numbers, one of vectors and matrices, and two networks, element by element and in matrices.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.explain import Derivation
from tests.explain.latex_grammar import check_latex
from tests.explain.reader import value_of

UNARY = [
    *("gnp.exp({})", "gnp.expm1({})", "gnp.sin({})", "gnp.cos({})", "gnp.tanh({})", "gnp.sigmoid({})"),
    *("gnp.softplus({})", "gnp.square({})", "gnp.relu({})", "gnp.abs({})", "gnp.sign({})"),
    *("gnp.log(1+gnp.square({}))", "gnp.sqrt(1+gnp.square({}))", "gnp.log1p(gnp.square({}))"),
    *("-({})", "({})**2", "({})**3", "2**({})", "3*({})", "({})/4", "1-({})"),
]
BINARY = [
    *("({}+{})", "({}-{})", "({}*{})", "({}/(2+gnp.square({})))", "(1+gnp.square({}))**({})"),
    *("gnp.maximum({},{})", "gnp.minimum({},{})", "gnp.where({}>{},x*y,y)"),
]
ARRAY_UNARY = [
    "gnp.tanh({})",
    "gnp.sigmoid({})",
    "gnp.relu({})",
    "gnp.square({})",
    "2*{}",
    "1-{}",
    "gnp.exp(-{})",
]
ARRAY_BINARY = ["({}+{})", "({}-{})", "({}*{})"]
ACTIVATIONS = ("sigmoid", "tanh", "relu", "softplus", "identity")
LOSSES = ("half_squared_error", "mean_squared_error", "cross_entropy", "binary_cross_entropy", "log_cosh")


@dataclass(frozen=True)
class Example:
    """A derivation, the numbers it is worked out with, and the gradient by the engine for each partial."""

    derivation: Derivation
    at: Mapping[str, Any]
    expected: Mapping[str, Any]
    matrices: bool = False

    @property
    def error(self) -> float:
        """The largest error of a printed formula, relative to the gradient where that is above 1."""
        worst = 0.0
        for name, partial in self.derivation.partials.items():
            read = value_of(self.derivation, partial, self.at, matrices=self.matrices)
            slope = np.asarray(self.expected[name])
            scale = max(1.0, float(np.abs(slope).max(initial=0.0)))
            if partial.formula == "0":  # of any shape
                read = np.zeros(slope.shape)
            worst = max(worst, float(np.abs(np.reshape(read, slope.shape) - slope).max(initial=0.0)) / scale)
        return worst


def function(body: list[str], result: str, arguments: str) -> Callable[..., Any]:
    """f of these lines."""
    scope: dict[str, Any] = {"gnp": gnp}
    text = "".join(f"    {line}\n" for line in body)
    exec(compile(f"def f({arguments}):\n{text}    return {result}\n", "<generated>", "exec"), scope)
    return scope["f"]


def of_numbers(choose: random.Random) -> Example | None:
    """A function of two numbers, of up to six lines, with local variables or as one expression."""
    lines: list[str] = []
    for _ in range(choose.randint(1, 6)):
        operands = ["x", "y", "0.6", *(f"t{i}" for i in range(len(lines)))]
        form = choose.choice(UNARY + BINARY)
        parts = [choose.choice(operands) for _ in range(form.count("{}"))]
        parts[0] = choose.choice(["{}", "{}", *UNARY]).format(parts[0])
        lines.append(form.format(*parts))
    result = f"t{len(lines) - 1}"
    if choose.random() < 0.5:
        f = function([f"t{i} = {line}" for i, line in enumerate(lines)], f"{result} + 0 * x", "x, y")
    else:
        for i in reversed(range(len(lines))):
            result = result.replace(f"t{i}", f"({lines[i]})")
        f = function([], f"{result} + 0 * x", "x, y")
    at = {"x": choose.uniform(-1.5, 1.5), "y": choose.uniform(-1.5, 1.5)}
    try:
        # NOTE a slope may be finite, or 0, where a value on the way overflows: a point out of the domain.
        with np.errstate(all="raise", under="ignore"):
            slopes = gn.grad(f, wrt=("x", "y"))(*at.values())
    except FloatingPointError:
        return None
    if not all(abs(slope) < 1e6 for slope in slopes):
        return None
    return Example(
        gn.derive(f, at=at if choose.random() < 0.5 else None), at, dict(zip(at, slopes, strict=True))
    )


def of_arrays(choose: random.Random) -> Example:
    """The sum of a function of a matrix and two vectors."""
    m, n = choose.randint(1, 3), choose.randint(1, 3)
    numbers = np.random.default_rng(choose.getrandbits(32))
    at = {"W": numbers.normal(size=(m, n)), "x": numbers.normal(size=n), "b": numbers.normal(size=m)}
    lines = ["z = W @ x + b"]
    for i in range(choose.randint(1, 3)):
        operands = ["z", "b", *(f"t{k}" for k in range(i))]
        form = choose.choice(ARRAY_UNARY + ARRAY_BINARY)
        lines.append(f"t{i} = " + form.format(*(choose.choice(operands) for _ in range(form.count("{}")))))
    last = f"t{len(lines) - 2}"
    f = function(
        lines, choose.choice([f"gnp.sum({last} * z)", f"{last} @ z", f"gnp.mean({last})"]), "W, x, b"
    )
    matrices = choose.random() < 0.5
    given = {"at": at} if choose.random() < 0.5 else {"shapes": {name: x.shape for name, x in at.items()}}
    derivation = gn.derive(f, form="matrices" if matrices else "elements", **given)
    slopes = gn.grad(f, wrt=("W", "x", "b"))(*at.values())
    return _split(derivation, at, dict(zip(at, slopes, strict=True)), matrices)


def of_network(choose: random.Random, *, matrices: bool) -> Example:
    """The divergence of one example, for up to three dense layers and the parameters and the input."""
    sizes = [choose.randint(1, 3) for _ in range(choose.randint(1, 3))]
    loss = choose.choice(LOSSES)
    if loss == "cross_entropy":
        sizes[-1] = choose.randint(2, 3)
    layers = [gn.Dense(size, activation=choose.choice(ACTIVATIONS)) for size in sizes[:-1]] + [
        gn.Dense(sizes[-1])
    ]
    inputs: Any = choose.randint(1, 3)
    if not matrices and choose.random() < 0.2:
        layers.insert(0, choose.choice([gn.SimpleRNN, gn.LSTM, gn.GRU])(1))
        inputs = (2, inputs)
    net = gn.Network(layers, loss=loss, seed=choose.getrandbits(16), dtype="float64", input_shape=inputs)
    numbers = np.random.default_rng(choose.getrandbits(32))
    net.parameters = {name: numbers.normal(size=x.shape) for name, x in net.parameters.items()}
    x, d = numbers.normal(size=inputs), numbers.uniform(size=sizes[-1])
    d = d / d.sum() if loss == "cross_entropy" else d
    point = {"x": x, "d": d}
    gradients = _gradients(net, x, d)
    symbols = {_symbol(name): value for name, value in net.parameters.items()}
    derivation = gn.derive(
        net,
        wrt=[*symbols, "x"],
        at=point if choose.random() < 0.5 else None,
        form="matrices" if matrices else "elements",
    )
    return _split(derivation, symbols | point, gradients, matrices)


def _gradients(net: gn.Network, x: Any, d: Any) -> dict[str, Any]:
    """The gradients by the engine, through a function written here."""
    names = list(net.parameters)

    def divergence(values: list[Any], x: Any) -> Any:
        y, parameters = x, dict(zip(names, values, strict=True))
        for layer, name in zip(net.layers, dict.fromkeys(name.split(".")[0] for name in names), strict=True):
            own = {
                key.split(".")[1]: value for key, value in parameters.items() if key.startswith(f"{name}.")
            }
            y = layer(own, y)
        return net.loss.divergence(y, d)

    slopes, x_bar = gn.grad(divergence, wrt=(0, 1))([net.parameters[name] for name in names], x)
    return {_symbol(name): slope for name, slope in zip(names, slopes, strict=True)} | {"x": x_bar}


def _symbol(name: str) -> str:
    layer, kind = name.split(".")
    letter = {"weight": "W", "kernel": "W", "recurrent": "U", "bias": "b"}.get(kind)
    return f"{letter}{layer.rpartition('_')[2]}" if letter else name


def _split(derivation: Derivation, at: dict[str, Any], slopes: dict[str, Any], matrices: bool) -> Example:
    """Numbers and gradients by the names of arrays, or by those of their elements."""
    return Example(
        derivation, at if matrices else _elements(at), slopes if matrices else _elements(slopes), matrices
    )


def _elements(arrays: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{name}[{', '.join(map(str, index))}]": float(x[index])
        for name, x in arrays.items()
        for index in np.ndindex(x.shape)
    }


def examples(count: int, seed: int = 0) -> Iterator[Example]:
    """That many examples of all kinds."""
    choose, made = random.Random(seed), 0
    while made < count:
        match made % 5:
            case 0 | 1:
                example = of_numbers(choose)
            case 2:
                example = of_arrays(choose)
            case kind:
                example = of_network(choose, matrices=kind == 4)
        if example is not None:
            made += 1
            yield example


def main(count: int) -> None:
    worst = 0.0
    for number, example in enumerate(examples(count)):
        error = example.error
        check_latex(example.derivation.latex())
        worst = max(worst, error)
        if not error <= 1e-12:
            print(f"example {number}: {error:.1e}\n{example.derivation.text(ascii=True)}\n")
    print(f"{count} derivations; the largest error is {worst:.1e}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
