"""One system on one case, in a process of its own: `python benchmarks/worker.py PEER CASE`.

It pins itself to one core, builds, warms up, writes one line of JSON and then waits. Each line that it reads
is a time in seconds; it trains for about that long and answers with one line of JSON. It ends with its input.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from importlib import metadata
from typing import Any

from cases import CASES, Case
from peers import PEERS, Trainer, Variants

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
TRIAL_SECONDS = 0.15


def pin() -> int | None:
    """Hold this process to the last core that it may use; return None where the system cannot pin."""
    for variable in ONE_THREAD:
        os.environ[variable] = "1"
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def seconds_per_call(trainer: Trainer, seconds: float) -> float:
    """Return the time of one call, from the first doubling of calls that lasts for `seconds`."""
    calls = 1
    while True:
        started = time.perf_counter()
        trainer.run(calls)
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return elapsed / calls
        calls *= 2


def fastest(choices: Variants) -> tuple[str, Trainer, float, float]:
    """Build and warm up every variant; return the fastest: name, trainer, first loss, seconds per call."""
    trials = []
    for name, build in choices.items():
        trainer = build()
        trainer.run(1)
        loss = trainer.loss()
        seconds = min(seconds_per_call(trainer, TRIAL_SECONDS) for _ in range(2))
        trials.append((seconds, name, trainer, loss))
    seconds, name, trainer, loss = min(trials, key=lambda trial: trial[0])
    return name, trainer, loss, seconds


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "from its sources"


def prepare(peer: str, case: Case) -> tuple[dict[str, Any], Trainer | None, float]:
    """Return the greeting, and the trainer with its seconds per call: none where the framework is missing."""
    from samples import samples  # NumPy loads here, after the process is pinned

    module = importlib.import_module(PEERS[peer])
    try:
        variant, trainer, loss, seconds = fastest(module.variants(case, *samples(case)))
    except ModuleNotFoundError as error:
        return {"skipped": f"{str(error.name).partition('.')[0]} is not installed"}, None, 0.0
    versions = {name: version(name) for name in module.DISTRIBUTIONS}
    return {"variant": variant, "versions": versions, "first_loss": loss}, trainer, seconds


def measure(trainer: Trainer, case: Case, calls: int) -> dict[str, float]:
    started = time.perf_counter()
    trainer.run(calls)
    elapsed = time.perf_counter() - started
    return {"microseconds": 1e6 * elapsed / (calls * case.steps_per_call), "loss": trainer.loss()}


def main(peer: str, case: Case) -> None:
    core = pin()
    # NOTE: frameworks print to the standard output; answers go to a copy of it, the rest to the errors.
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        greeting, trainer, seconds = prepare(peer, case)
        print(json.dumps({"core": core, **greeting}), file=answers)
        if trainer is None:
            return
        for line in sys.stdin:
            calls = max(1, round(float(line) / seconds))
            print(json.dumps(measure(trainer, case, calls)), file=answers)


if __name__ == "__main__":
    main(sys.argv[1], CASES[sys.argv[2]])
