"""How often a 2-2-1 network learns XOR: the table of docs/curriculum/22_xor_learned.md.

    python benchmarks/xor_starts.py [starts]

A start succeeds when all four rows get a probability above 0.9 for the right answer after 1,000 epochs of the
full batch. All starts of a cell are trained together; the table of 1,000 starts takes about half a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import glassnet as gn

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
RULES: dict[str, Callable[[float], gn.optim.Optimizer]] = {
    "gradient descent": gn.SGD,
    "momentum": lambda rate: gn.SGD(rate, momentum=0.9),
    "Rprop": gn.Rprop,
    "Adam": gn.Adam,
}


def random_starts(net: gn.Sequential, count: int, first: int = 0) -> Any:
    """The parameters of the starts `first`, `first` + 1, ...: one axis of starts in front of each array."""
    starts = [
        net.init(gn.random.key(seed), (2,), np.dtype("float64")) for seed in range(first, first + count)
    ]
    return {
        layer: {name: np.stack([start[layer][name] for start in starts]) for name in arrays}
        for layer, arrays in starts[0].items()
    }


def train(
    net: gn.Sequential, starts: Any, optimizer: gn.optim.Optimizer, epochs: int = 1000
) -> tuple[Any, np.ndarray]:
    """The trained parameters, and the probability of the right answer: (starts, rows)."""

    def divergences(parameters: Any, x: Any, d: Any) -> Any:
        # A sum: the gradient for the parameters of a start is that of its own loss.
        return gn.vmap(lambda p: gn.losses.binary_cross_entropy(net(p, x), d))(parameters).sum()

    parameters, _ = gn.minimize(
        divergences, starts, (X, Y), optimizer, epochs, batch_size=None, progress=False, engine="interpreter"
    )
    z = gn.vmap(lambda p: gn.vmap(lambda x: net(p, x))(X))(parameters)
    p = gn.numpy.sigmoid(z)
    return parameters, np.where(Y == 1, p, 1 - p)[..., 0]


def success_rate(rule: str, rate: float, count: int, first: int = 0, hidden_units: int = 2) -> float:
    """The share of the starts that succeed."""
    net = gn.Sequential([gn.Dense(hidden_units, activation="sigmoid"), gn.Dense(1)])
    _, right = train(net, random_starts(net, count, first), RULES[rule](rate))
    return float(np.mean(right.min(axis=1) > 0.9))


def main(count: int) -> None:
    print(f"| rate | {' | '.join(f'{rate:g}' for rate in RATES)} |")
    print(f"|---{'|---' * len(RATES)}|")
    for rule in RULES:
        rates = [f"{success_rate(rule, rate, count):.3f}" for rate in RATES]
        print(f"| {rule} | {' | '.join(rates)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
