"""Compare glassnet with its peers, one training step at a time: `python benchmarks/compare.py`.

Every system trains the same network on the same rows in a process of its own, all held to the same core. The
parent starts them, lets each compile and warm up, and then asks them in turn for a short measurement, round
by round, so that noise of the machine hits all alike. The figure of a system is its best round.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import CASES, Case
from peers import PEERS
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
MEASURE_SECONDS = 0.25
LEARNT_BEFORE = 1e-6  # a loss that counts as learnt, whatever it was before


@dataclass
class Result:
    """What one system did on one case; `microseconds` per step has one entry a round."""

    peer: str
    problem: str = ""
    variant: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    core: int | None = None
    first_loss: float = float("nan")
    last_loss: float = float("nan")
    microseconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float | None:
        return min(self.microseconds) if self.microseconds and not self.problem else None


class Child:
    """A worker process, asked one thing at a time; while it is not asked it waits on its pipe."""

    def __init__(self, peer: str, case: Case) -> None:
        self.result = Result(peer)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        command = [sys.executable, str(HERE / "worker.py"), peer, case.name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        greeting = self.answer()
        self.result.problem = greeting.get("skipped", self.result.problem)
        for name in ("variant", "versions", "core", "first_loss"):
            setattr(self.result, name, greeting.get(name, getattr(self.result, name)))

    def answer(self) -> dict[str, Any]:
        """Return the worker's next answer, or an empty one with the reason kept where it has died."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        complaint = self.errors.read().strip().splitlines() or [f"exit status {self.process.returncode}"]
        self.result.problem = f"failed: {complaint[-1]}"
        return {}

    def measure(self, seconds: float) -> None:
        if self.result.problem:
            return
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        answer = self.answer()
        if answer:
            self.result.microseconds.append(answer["microseconds"])
            self.result.last_loss = answer["loss"]

    def close(self) -> None:
        self.process.communicate()  # the end of its input ends the worker
        self.errors.close()


def compare(case: Case, peers: list[str], rounds: int, console: Console) -> list[Result]:
    """Measure one case: start every system, then ask them in turn, round by round."""
    children: list[Child] = []
    try:
        for peer in peers:
            with console.status(f"{case.title}: {peer} compiles and warms up"):
                children.append(Child(peer, case))
        for number in range(1, rounds + 1):
            with console.status(f"{case.title}: round {number} of {rounds}"):
                for child in children:
                    child.measure(MEASURE_SECONDS)
    finally:
        for child in children:
            child.close()
    return [child.result for child in children]


def ratio(results: list[Result]) -> float | None:
    """Return the time of the best peer over that of glassnet; None where either is missing."""
    glassnet = next((r.best for r in results if r.peer == "glassnet"), None)
    peers = [r.best for r in results if r.peer != "glassnet" and r.best is not None]
    return min(peers) / glassnet if glassnet and peers else None


def digits(value: float) -> str:
    """Return three significant digits without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def cell(result: Result) -> str:
    if result.best is None:
        return f"[dim]{'failed' if result.problem.startswith('failed') else 'skipped'}[/]"
    return digits(result.best)


def learnt(result: Result) -> bool:
    """Whether the loss fell; a problem as small as XOR may be learnt before the first loss is read."""
    return result.last_loss < result.first_loss or result.last_loss < LEARNT_BEFORE


def show(measured: dict[str, list[Result]], peers: list[str], console: Console) -> None:
    """Print the table, then how each figure came about and what is missing."""
    table = Table(title="Microseconds per training step, one core, float32, best round")
    table.add_column("network")
    for peer in peers:
        table.add_column(peer, justify="right")
    table.add_column("best peer ÷ glassnet", justify="right", style="bold")
    for name, results in measured.items():
        factor = ratio(results)
        table.add_row(CASES[name].title, *map(cell, results), f"{digits(factor)} ×" if factor else "–")
    console.print(table)
    everything = [result for results in measured.values() for result in results]
    core = next((result.core for result in everything if result.core is not None), None)
    console.print(f"{cpu_name()}; " + ("not pinned: this system cannot" if core is None else f"core {core}"))
    for peer in peers:
        versions = next((r.versions for r in everything if r.peer == peer and r.versions), {})
        if versions:
            console.print(f"{peer}: " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    for name, results in measured.items():
        chosen = [f"{result.peer} {result.variant}" for result in results if result.variant]
        console.print(f"[dim]{name}: fastest variants: {'; '.join(chosen) or 'none'}[/]", highlight=False)
        for result in results:
            if result.best is not None and not learnt(result):
                change = f"{result.first_loss:.2g} to {result.last_loss:.2g}"
                console.print(f"[red]{name}: {result.peer} does not learn: its loss went from {change}[/]")
    for peer, problem in dict.fromkeys((r.peer, r.problem) for r in everything if r.problem):
        console.print(f"{peer} has no figure: {problem}", markup=False)


def report(measured: dict[str, list[Result]]) -> dict[str, Any]:
    """Return everything measured, ready for JSON."""
    return {
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "cases": {
            name: {
                "title": CASES[name].title,
                "best_peer_over_glassnet": ratio(results),
                "systems": {
                    result.peer: {
                        "problem": result.problem or None,
                        "variant": result.variant or None,
                        "versions": result.versions,
                        "core": result.core,
                        "microseconds_per_step": result.microseconds,
                        "loss": [result.first_loss, result.last_loss] if result.microseconds else None,
                    }
                    for result in results
                },
            }
            for name, results in measured.items()
        },
    }


def cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def main() -> None:
    others = [peer for peer in PEERS if peer != "glassnet"]
    parser = argparse.ArgumentParser(
        description="Compare glassnet with its peers, one training step at a time."
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="cases to measure")
    parser.add_argument("--peers", nargs="*", choices=others, default=others, help="peers beside glassnet")
    parser.add_argument("--rounds", type=positive, default=7, help="measurements of each system (default 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round to FILE")
    options = parser.parse_args()
    console = Console()
    peers = ["glassnet", *options.peers]
    measured = {name: compare(CASES[name], peers, options.rounds, console) for name in options.cases}
    show(measured, peers, console)
    if options.json:
        options.json.write_text(json.dumps(report(measured), indent=2) + "\n")


if __name__ == "__main__":
    main()
