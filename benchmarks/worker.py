"""One system on one case, in a process of its own: `python benchmarks/worker.py PEER CASE [all] [cpu]`.

It pins itself to one core (or with "all" uses all of them), builds, warms up, writes one line of JSON and
then waits. Each line that it reads is a time in seconds; it trains for about that long, in pieces, and
answers with the best piece as one line of JSON. It ends with its input. With "cpu" its clock is the processor
time of all its threads, which other processes on the core do not lengthen.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

from cases import CASES, Case
from peers import PEAK, PEERS, NotExpressibleError, Trainer, Variants

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PIECE_SECONDS = 0.03
TRIAL_SECONDS = 0.4
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def use_threads(count: int) -> None:
    """Tell every numerical library that has not been loaded yet how many threads it has."""
    for variable in THREADS:
        os.environ[variable] = str(count)


def pin() -> int | None:
    """Hold this process to the last core that it may use; return None where the system cannot pin."""
    use_threads(1)
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def calls_in_piece(trainer: Trainer, clock: Clock) -> int:
    """Return how many calls last for a piece: long enough that what a call itself costs plays no part."""
    calls = 1
    while (elapsed := seconds_of(trainer, calls, clock)) < PIECE_SECONDS:
        calls = min(2 * calls, int(1 + 1.2 * calls * PIECE_SECONDS / elapsed))
    return calls


def seconds_of(trainer: Trainer, calls: int, clock: Clock) -> float:
    started = clock()
    trainer.run(calls)
    return clock() - started


def best_seconds(trainer: Trainer, calls: int, seconds: float, clock: Clock) -> float:
    """Return the time of a call, from the best of the pieces that fill `seconds`."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, seconds_of(trainer, calls, clock))
    return best / calls


def fastest(choices: Variants, clock: Clock) -> tuple[str, Trainer, float, int]:
    """Build and warm up every variant; return the fastest: name, trainer, first loss, calls in a piece."""
    winner: tuple[str, Trainer, float, int] | None = None
    record = float("inf")
    for name, build in choices.items():
        trainer = build()
        trainer.run(1)
        loss = trainer.loss()
        calls = calls_in_piece(trainer, clock)
        seconds = best_seconds(trainer, calls, TRIAL_SECONDS, clock)
        if seconds < record:  # the memory of the losers is freed one by one
            record, winner = seconds, (name, trainer, loss, calls)
    assert winner is not None
    return winner


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "from its sources"


def prepare(peer: str, case: Case, clock: Clock) -> tuple[dict[str, Any], Trainer | None, int]:
    """Return the greeting, and the trainer with its calls in a piece: none where it cannot be had."""
    from samples import samples  # NumPy loads here, after the process is pinned

    module = importlib.import_module({**PEERS, **PEAK}[peer])
    try:
        variant, trainer, loss, calls = fastest(module.variants(case, *samples(case)), clock)
    except NotExpressibleError as error:
        return {"not_expressible": str(error)}, None, 0
    except ModuleNotFoundError as error:
        return {"skipped": f"{str(error.name).partition('.')[0]} is not installed"}, None, 0
    versions = {name: version(name) for name in module.DISTRIBUTIONS}
    return {"variant": variant, "versions": versions, "first_loss": loss}, trainer, calls


def main(peer: str, case: Case, all_cores: bool, clock: Clock) -> None:
    core = None
    if all_cores:
        use_threads(available_cores())
    else:
        core = pin()
    # NOTE: frameworks print to the standard output; answers go to a copy of it, the rest to the errors.
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        greeting, trainer, calls = prepare(peer, case, clock)
        print(json.dumps({"core": core, **greeting}), file=answers)
        if trainer is None:
            return
        for line in sys.stdin:
            seconds = best_seconds(trainer, calls, float(line), clock)
            answer = {"microseconds": 1e6 * seconds / case.steps_per_call, "loss": trainer.loss()}
            print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main(
        sys.argv[1],
        CASES[sys.argv[2]],
        "all" in sys.argv[3:],
        CLOCKS["cpu" if "cpu" in sys.argv[3:] else "wall"],
    )
