"""The peak memory of a training process against what it has to hold: `python benchmarks/memory.py`.

What it has to hold is its parameters, two moments for each (Adam), the rows of one batch and every layer's
outputs for them, the data, and a base: the peak of the same process after it has trained a miniature network,
with the interpreter, NumPy, the framework and its compiler in it. Each system and case has a process of its
own, on one core; glassnet compiles afresh in each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from measure import cpu_name
from rich.console import Console
from rich.table import Table
from worker import pin, version

MEGABYTE = 2**20
LIMIT = 1.3  # times what it has to hold
CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A network on made-up rows; `outputs` are the shapes of its layers' outputs for one row."""

    title: str
    row: tuple[int, ...]
    parameters: int
    outputs: tuple[tuple[int, ...], ...]
    batch: int
    rows: int = 10_000

    @property
    def state_bytes(self) -> int:
        return 4 * 3 * self.parameters

    @property
    def activation_bytes(self) -> int:
        return 4 * self.batch * (prod(self.row) + sum(map(prod, self.outputs)))

    @property
    def data_bytes(self) -> int:
        return self.rows * (4 * prod(self.row) + 8)  # labels are int64


CASES = {
    "dense": Case(
        "784-512-512-10, batch 128, Adam",
        (784,),
        784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10,
        ((512,), (512,), (10,)),
        128,
    ),
    "lenet": Case(
        "LeNet-5, batch 64, Adam",
        (28, 28, 1),
        (25 * 6 + 6) + (6 * 25 * 16 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10),
        ((28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (120,), (84,), (10,)),
        64,
    ),
}
SYSTEMS = ("glassnet", "torch")


def samples(row: tuple[int, ...], rows: int) -> tuple[Any, Any]:
    """Rows and labels, made in place: a temporary array would count as a peak."""
    import numpy as np

    X = np.empty((rows, *row), np.float32)
    np.random.default_rng(0).random(out=X, dtype=np.float32)
    return X, np.arange(rows) % CLASSES


def peak() -> int:
    """The largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # NOTE ru_maxrss of a child on Linux begins with what its parent had
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def train_glassnet(case: str, X: Any, y: Any, batch: int) -> None:
    import glassnet as gn

    dense = [gn.Dense(512, activation="relu"), gn.Dense(512, activation="relu"), gn.Dense(CLASSES)]
    lenet = [
        gn.Conv2D(6, 5, padding="same", activation="relu"),
        gn.MaxPool2D(2),
        gn.Conv2D(16, 5, activation="relu"),
        gn.MaxPool2D(2),
        gn.Flatten(),
        gn.Dense(120, activation="relu"),
        gn.Dense(84, activation="relu"),
        gn.Dense(CLASSES),
    ]
    layers = {"dense": dense, "lenet": lenet, "miniature": [gn.Dense(CLASSES)]}[case]
    gn.Network(layers, "cross_entropy").fit(X, y, epochs=2, batch_size=batch, progress=False)


def train_torch(case: str, X: Any, y: Any, batch: int) -> None:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    dense = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, CLASSES)]
    lenet = [
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, CLASSES)),
    ]
    layers = {"dense": dense, "lenet": lenet, "miniature": [nn.Linear(X.shape[-1], CLASSES)]}[case]
    model, loss = nn.Sequential(*layers), nn.CrossEntropyLoss()
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    rows = rows.movedim(-1, 1) if rows.ndim == 4 else rows
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(2):
        for places in torch.randperm(len(rows)).split(batch):
            optimizer.zero_grad()
            loss(model(rows[places]), labels[places]).backward()
            optimizer.step()


def work(system: str, name: str) -> None:
    """Train the miniature, then the case; answer with both peaks."""
    pin()
    os.environ["GLASSNET_CACHE"] = "off"
    train = {"glassnet": train_glassnet, "torch": train_torch}[system]
    try:
        train("miniature", *samples((2,), 8), 4)
    except ModuleNotFoundError as error:
        print(json.dumps({"skipped": f"{error.name} is not installed"}))
        return
    base, case = peak(), CASES[name]
    train(name, *samples(case.row, case.rows), case.batch)
    print(json.dumps({"base": base, "peak": peak(), "version": version(system)}))


def measure(system: str, name: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", system, name]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        complaint = finished.stderr.strip().splitlines() or [f"exit status {finished.returncode}"]
        return {"skipped": f"failed: {complaint[-1]}"}
    return json.loads(finished.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the peak memory of training with what it needs.")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return
    console = Console()
    table = Table(title=f"Peak memory of a training process in MiB; at most {LIMIT} of the sum is wanted")
    for head in (
        "case",
        "system",
        "base",
        "parameters, moments",
        "one batch",
        "data",
        "sum",
        "peak",
        "÷ sum",
    ):
        table.add_column(head, justify="left" if head in ("case", "system") else "right")
    notes: list[str] = []
    for name in options.cases:
        case = CASES[name]
        for system in options.systems:
            answer = measure(system, name)
            if "skipped" in answer:
                notes.append(f"{system} has no figure: {answer['skipped']}")
                continue
            parts = (answer["base"], case.state_bytes, case.activation_bytes, case.data_bytes)
            figures = (*parts, sum(parts), answer["peak"])
            row = [f"{figure / MEGABYTE:.1f}" for figure in figures]
            table.add_row(case.title, system, *row, f"{answer['peak'] / sum(parts):.2f}")
            notes.append(f"{system} {answer['version']}")
    console.print(table)
    for note in dict.fromkeys([cpu_name(), *notes]):
        console.print(note, markup=False)


if __name__ == "__main__":
    main()
