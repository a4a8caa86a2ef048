"""The gradient of one small function, called eagerly: `python benchmarks/eager.py`.

Here the arithmetic is nothing and the bookkeeping everything: what is measured is the time that a library
spends on tracing 20 operations and going back through them. Every library has a process of its own, all
pinned to one core; the parent asks them in turn, round by round, and the figure is the best round.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from compare import positive
from measure import cpu_name
from rich.console import Console
from rich.table import Table
from tables import digits
from worker import pin, version

INPUTS = ("a scalar", "a vector of 100")
SECONDS = 0.1  # of one measurement
Gradient = Callable[[Any], Any]


def twenty(x: Any, np: Any) -> Any:
    """Twenty operations, each used by what follows; `np` is the library's namespace."""
    a = np.sin(x)
    b = a * x
    c = b + 2.0
    d = np.exp(-b)
    e = d / c
    g = np.tanh(e)
    h = g - a
    i = h * h
    j = i + 1.0
    k = np.log(j)
    m = np.sqrt(j)
    n = np.cos(k * m)
    o = (n + d) / m
    p = o * o
    return np.tanh(p + b) * x


def glassnet_gradient() -> tuple[Gradient, Gradient]:
    import glassnet as gn
    import glassnet.numpy as gnp

    return gn.grad(lambda x: twenty(x, gnp)), gn.grad(lambda x: twenty(x, gnp).sum())


def autograd_gradient() -> tuple[Gradient, Gradient]:
    import autograd
    import autograd.numpy as anp

    return autograd.grad(lambda x: twenty(x, anp)), autograd.grad(lambda x: anp.sum(twenty(x, anp)))


def jax_gradient() -> tuple[Gradient, Gradient]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    scalar = jax.grad(lambda x: twenty(x, jnp))
    vector = jax.grad(lambda x: twenty(x, jnp).sum())
    return lambda x: scalar(x).block_until_ready(), lambda x: vector(x).block_until_ready()


def torch_gradient() -> tuple[Gradient, Gradient]:
    import torch

    torch.set_num_threads(1)

    def gradient(x: Any) -> Any:
        leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        twenty(leaf, torch).sum().backward()
        return leaf.grad

    return gradient, gradient


PEERS: dict[str, Callable[[], tuple[Gradient, Gradient]]] = {
    "glassnet": glassnet_gradient,
    "autograd": autograd_gradient,
    "jax": jax_gradient,
    "torch": torch_gradient,
}


def microseconds(gradient: Gradient, x: Any, seconds: float) -> float:
    """Return the time of one call, from the best of batches of calls that fill `seconds`."""
    started = time.perf_counter()
    gradient(x)
    calls = max(1, int(0.01 / (time.perf_counter() - started)))
    best = math.inf
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(calls):
            gradient(x)
        best = min(best, (time.perf_counter() - started) / calls)
    return 1e6 * best


def work(peer: str) -> None:
    """Answer each line of the input with the times of both inputs; end with the input."""
    pin()
    import numpy as np

    try:
        gradients = PEERS[peer]()
    except ImportError as error:
        print(json.dumps({"skipped": str(error)}), flush=True)
        return
    points = [0.7, np.linspace(0.1, 2.0, 100)]
    values = [float(np.sum(np.asarray(g(x)))) for g, x in zip(gradients, points, strict=True)]
    print(json.dumps({"version": version(peer), "values": values}), flush=True)
    for _ in sys.stdin:
        times = [microseconds(g, x, SECONDS) for g, x in zip(gradients, points, strict=True)]
        print(json.dumps(times), flush=True)


def start(peer: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start the process of one library; return it and its greeting."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--worker", peer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline() or '{"skipped": "it failed to start"}')


def ask(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def measure(peers: list[str], rounds: int, console: Console) -> dict[str, list[float]]:
    """Return the best time of each library on each input, in microseconds."""
    children = {peer: start(peer) for peer in peers}
    for peer, (_, greeting) in children.items():
        console.print(f"{peer}: {greeting.get('version', greeting.get('skipped'))}", highlight=False)
    running = {peer: process for peer, (process, greeting) in children.items() if "skipped" not in greeting}
    values = [children[peer][1]["values"] for peer in running]
    if any(abs(a - b) > 1e-9 * abs(b) for other in values for a, b in zip(other, values[0], strict=True)):
        raise SystemExit(
            f"The libraries disagree about the gradients: {dict(zip(running, values, strict=True))}"
        )
    best = {peer: [math.inf] * len(INPUTS) for peer in running}
    for _ in range(rounds):
        for peer, process in running.items():
            best[peer] = [min(pair) for pair in zip(best[peer], ask(process), strict=True)]
    for process, _ in children.values():
        process.communicate()
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the eager gradient of a function of 20 operations.")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS)[1:], default=list(PEERS)[1:])
    parser.add_argument("--rounds", type=positive, default=10, help="measurements of each library")
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return
    console = Console()
    best = measure(["glassnet", *options.peers], options.rounds, console)
    table = Table(title="Microseconds per gradient of 20 operations, called eagerly, float64, one core")
    table.add_column("input")
    for peer in best:
        table.add_column(peer, justify="right")
    table.add_column("autograd ÷ glassnet", justify="right", style="bold")
    for place, name in enumerate(INPUTS):
        ratio = best["autograd"][place] / best["glassnet"][place] if "autograd" in best else None
        row = [digits(times[place]) for times in best.values()]
        table.add_row(name, *row, f"{digits(ratio)} ×" if ratio else "–")
    console.print(table)
    console.print(cpu_name())


if __name__ == "__main__":
    main()
