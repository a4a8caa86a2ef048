"""From the start of a process to a trained model: the scripts in `processes`, one after the other, in rounds.

All read the same small file, the digits inside the glassnet package, and train 64-128-64-10 for 20 epochs of
batch 32 with Adam. The time is that of the whole process, interpreter and imports included, on one core.
"Cold" is without any cache of compiled code; "warm" keeps glassnet's and, to be fair, JAX's own cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path

from rich.console import Console
from worker import THREADS

SCRIPTS = Path(__file__).resolve().parent / "processes"
NEEDED = {"glassnet": "glassnet", "sklearn": "sklearn", "torch": "torch", "keras": "keras", "jax": "optax"}
ASKED = {"cold": 2.5, "warm": 3.5}
ACCURATE = 0.97  # on the rows it was trained on: a script that stays below has not trained the model


@dataclass
class Process:
    """The seconds of each round of one script, by the state of the caches."""

    system: str
    problem: str = ""
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"cold": [], "warm": []})

    def best(self, state: str) -> float | None:
        return min(self.seconds[state]) if self.seconds[state] and not self.problem else None


def digits_file() -> Path:
    """The rows that every script reads; found without importing what is to be measured."""
    spec = util.find_spec("glassnet")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "digits.npz"


def environment(cache: Path) -> dict[str, str]:
    """One thread for everyone, and the folders for caches of compiled code."""
    jax_cache = {
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    one_thread = dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    own = {"GLASSNET_CACHE": "on", "GLASSNET_CACHE_DIR": str(cache / "glassnet"), "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **one_thread, **own, **jax_cache}


def hold_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def processor_seconds() -> float:
    """The processor time of all processes that this one has started and seen end."""
    spent = os.times()
    return spent.children_user + spent.children_system


CLOCKS = {"wall": time.perf_counter, "cpu": processor_seconds}


def once(process: Process, state: str, cache: Path, clock: str = "wall") -> None:
    """Run a script and note its time, or what went wrong."""
    command = [sys.executable, str(SCRIPTS / f"digits_{process.system}.py"), str(digits_file())]
    started = CLOCKS[clock]()
    finished = subprocess.run(
        command,
        env=environment(cache),
        preexec_fn=hold_to_one_core if os.name == "posix" else None,
        capture_output=True,
        text=True,
    )
    elapsed = CLOCKS[clock]() - started
    if finished.returncode:
        process.problem = f"failed: {(finished.stderr.strip().splitlines() or ['no message'])[-1]}"
    elif float(finished.stdout) < ACCURATE:
        process.problem = f"failed: {float(finished.stdout):.3f} of its rows are right, {ACCURATE} expected"
    else:
        process.seconds[state].append(elapsed)


def whole_processes(rounds: int, console: Console, clock: str = "wall") -> list[Process]:
    """Run every script in turn, cold and warm, round by round."""
    processes = [Process(system) for system in NEEDED]
    for process in processes:
        if util.find_spec(NEEDED[process.system]) is None:
            process.problem = f"{NEEDED[process.system]} is not installed"
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm"
        for number in range(rounds):
            for process in processes:
                with console.status(f"whole process: round {number + 1} of {rounds}, {process.system}"):
                    if not process.problem:
                        once(process, "cold", Path(folder) / f"cold {number} {process.system}", clock)
                    if not process.problem and number == 0:
                        once(process, "warm", warm, clock)  # fills the cache; its time is no figure
                        process.seconds["warm"].clear()
                    if not process.problem:
                        once(process, "warm", warm, clock)
    return processes


def ratio(processes: list[Process], state: str) -> float | None:
    """The time of the fastest peer over that of glassnet."""
    own, *peers = [process.best(state) for process in processes]
    measured = [seconds for seconds in peers if seconds is not None]
    return min(measured) / own if own and measured else None
