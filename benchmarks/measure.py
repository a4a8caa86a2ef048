"""Systems in processes of their own, asked in turn, round by round; the figure of each is its best round."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import Case
from peers import PEAK
from rich.console import Console

HERE = Path(__file__).resolve().parent
MEASURE_SECONDS = 0.25
LEARNT_BEFORE = 1e-6  # a loss that counts as learnt, whatever it was before


@dataclass
class Result:
    """What one system did on one case; `microseconds` per step has one entry a round."""

    peer: str
    problem: str = ""
    not_expressible: str = ""
    variant: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    core: int | None = None
    first_loss: float = float("nan")
    last_loss: float = float("nan")
    microseconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float | None:
        return min(self.microseconds) if self.microseconds and not self.problem else None

    @property
    def measured(self) -> bool:
        return not self.problem and not self.not_expressible

    @property
    def learnt(self) -> bool:
        """Whether the loss fell; a problem as small as XOR may be learnt before the first loss is read."""
        return self.last_loss < self.first_loss or self.last_loss < LEARNT_BEFORE


class Child:
    """A worker process, asked one thing at a time; while it is not asked it waits on its pipe."""

    def __init__(self, peer: str, case: Case, *options: str) -> None:
        self.result = Result(peer)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        command = [sys.executable, str(HERE / "worker.py"), peer, case.name, *options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        greeting = self.answer()
        self.result.problem = greeting.get("skipped", self.result.problem)
        for name in ("variant", "versions", "core", "first_loss", "not_expressible"):
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
        if not self.result.measured:
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


@dataclass
class Comparison:
    """All systems on one case; `ideal` is the time that the step's multiply-adds take at the CPU's peak."""

    case: Case
    results: list[Result]
    all_cores: bool = False
    ideal: float | None = None

    @property
    def ratio(self) -> float | None:
        """The time of the best peer over that of glassnet; None where either is missing."""
        own = self.of("glassnet")
        peers = [r.best for r in self.results if r.peer != "glassnet" and r.best is not None]
        return min(peers) / own if own and peers else None

    @property
    def asked(self) -> float | None:
        return self.case.asked_on_all if self.all_cores else self.case.asked

    @property
    def peak_fraction(self) -> float | None:
        """The share of the CPU's peak that glassnet reaches."""
        own = self.of("glassnet")
        return self.ideal / own if own and self.ideal else None

    def of(self, peer: str) -> float | None:
        return next((result.best for result in self.results if result.peer == peer), None)


def compare(
    case: Case, peers: list[str], rounds: int, console: Console, clock: str = "wall", all_cores: bool = False
) -> Comparison:
    """Measure one case: start every system, then ask them in turn, round by round."""
    options = [*(["all"] if all_cores else []), *(["cpu"] if clock == "cpu" else [])]
    children: list[Child] = []
    try:
        for peer in [*peers, *([] if all_cores else PEAK)]:
            with console.status(f"{case.title}: {peer} compiles and warms up"):
                children.append(Child(peer, case, *options))
        for number in range(1, rounds + 1):
            with console.status(f"{case.title}: round {number} of {rounds}"):
                for child in children:
                    child.measure(MEASURE_SECONDS)
    finally:
        for child in children:
            child.close()
    results = [child.result for child in children]
    ideal = next((result.best for result in results if result.peer in PEAK), None)
    return Comparison(case, [result for result in results if result.peer not in PEAK], all_cores, ideal)


def cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
