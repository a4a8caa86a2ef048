"""What nobody waits for twice: the import, the compilation of each case, and the prediction of one row.

`python benchmarks/starts.py import | predict | compile CASE` measures one thing in a fresh process and prints
JSON; `measure_starts` asks for all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from cases import CASES, Case
from worker import pin

SECONDS = 0.3  # of calls of predict
SMALL = 10**6  # parameters; below, a network shall compile within SMALL_SECONDS
SMALL_SECONDS, CACHED_SECONDS, IMPORT_SECONDS, PREDICT_MICROSECONDS = 0.3, 0.010, 0.15, 5.0
DIGITS_SECONDS = 0.1  # what the digits network shall compile in


@dataclass(frozen=True)
class Compilation:
    """The seconds that a case takes to be traced, to be compiled, and to be loaded from the cache."""

    case: Case
    trace: float
    cold: float
    cached: float

    @property
    def asked(self) -> float | None:
        if self.case.name == "digits-adam":
            return DIGITS_SECONDS
        return SMALL_SECONDS if self.case.parameters < SMALL else None


@dataclass(frozen=True)
class Starts:
    """Seconds of the import beyond NumPy, microseconds of a prediction, and the compilations.

    glassnet loads its parts when they are first used: `loading` is the import with all that a fit needs.
    """

    importing: float
    loading: float
    predict: float
    compilations: list[Compilation]


def import_time() -> dict[str, float]:
    import numpy  # noqa: F401 - its time does not count

    started = time.perf_counter()
    import glassnet as gn

    imported = time.perf_counter()
    miniature(gn)
    return {"import": imported - started, "load": time.perf_counter() - started}


def miniature(gn: Any) -> None:
    """Load all that training needs: the layers, the compiler and LLVM."""
    net = gn.Network([gn.Dense(1)], "mean_squared_error")
    net.training_program([[0.0], [1.0]], [0.0, 1.0], optimizer=gn.SGD(0.1)).run_epoch()


def predict_time() -> dict[str, float]:
    """The best time of one call with one row, network 64-32-10."""
    import numpy as np

    import glassnet as gn

    x = np.random.default_rng(0).random((10, 64), np.float32)
    network = gn.Network([gn.Dense(32, activation="relu"), gn.Dense(10)], "cross_entropy")
    network.fit(x, range(10), epochs=1, progress=False)
    x = x[:1]
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(200):
            network.predict(x)
        best = min(best, (time.perf_counter() - started) / 200)
    return {"microseconds": 1e6 * best}


def compile_time(case: Case) -> dict[str, float | bool]:
    from peers.glassnet_program import Program
    from samples import samples

    import glassnet as gn

    miniature(gn)
    rows = samples(case)
    started = time.perf_counter()
    program = Program(case, *rows).program
    whole = time.perf_counter() - started
    seconds = program.compile_seconds
    return {"trace": whole - seconds, "compile": seconds, "from_cache": program.from_cache}


def ask(*question: str, cache: str | None = None) -> dict[str, Any]:
    environment = {**os.environ, **({"GLASSNET_CACHE": "on", "GLASSNET_CACHE_DIR": cache} if cache else {})}
    command = [sys.executable, __file__, *question]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def compilation(case: Case, rounds: int) -> Compilation:
    """The best of several processes, each cold with a cache of its own and then from that cache."""
    traces, colds, cacheds = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold, cached = ask("compile", case.name, cache=cache), ask("compile", case.name, cache=cache)
        if cold["from_cache"] or not cached["from_cache"]:
            raise RuntimeError(f"case {case.name}: the object cache does not do what it should")
        traces.append(min(cold["trace"], cached["trace"]))
        colds.append(cold["compile"])
        cacheds.append(cached["compile"])
    return Compilation(case, min(traces), min(colds), min(cacheds))


def measure_starts(cases: list[str], rounds: int) -> Starts:
    imports = [ask("import") for _ in range(rounds)]
    importing, loading = (min(answer[part] for answer in imports) for part in ("import", "load"))
    predict = min(ask("predict")["microseconds"] for _ in range(rounds))
    return Starts(importing, loading, predict, [compilation(CASES[name], rounds) for name in cases])


if __name__ == "__main__":
    pin()
    what = sys.argv[1]
    answers = {"import": import_time, "predict": predict_time}
    print(json.dumps(compile_time(CASES[sys.argv[2]]) if what == "compile" else answers[what]()))
