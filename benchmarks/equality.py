"""Compiled equals interpreted, at length: `python benchmarks/equality.py --examples 10000`.

Hypothesis makes graphs (those of tests/compiler/test_graphs.py) and networks of every kind of layer. Each is
compiled for one of this machine's vector widths, run in memory between pages that must not be touched, and
held against the interpreter: in float64 to 1e-12 of an array's largest element (or of 1), in float32 to 64
roundings of it. Where that is exceeded, rounding may have been amplified by the example itself: then the
interpreter runs again with every result moved by at most one rounding, and the difference must be no larger
than 16 times what that does. Batches of examples run in processes of their own; where one dies, the program
that it died in is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from generated import networks, trained  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from glassnet.compiler import epoch, function  # noqa: E402
from glassnet.compiler.cpu import CPU, host_cpu  # noqa: E402
from glassnet.core.graph import Graph, Node  # noqa: E402
from glassnet.errors import ConfigurationError, GlassnetError, UncompilableError  # noqa: E402
from glassnet.interpret import epoch as reference  # noqa: E402
from glassnet.interpret.reference import interpret  # noqa: E402
from tests.compiler.guarded import GuardedArena  # noqa: E402
from tests.compiler.test_graphs import graphs  # noqa: E402

BATCH = 100  # examples in one process
LIMITS = {"float64": 1e-12, "float32": 64 * 2.0**-23}
AMPLIFIED = 16
DRAWS = 6  # runs with moved results
KINDS = ("graphs", "networks")


def cpus() -> list[CPU]:
    """The host, and the host with its wider vectors switched off."""
    found = [host_cpu()]
    for tier in ("avx2", "sse"):
        try:
            found.append(found[0].restrict(tier))
        except ConfigurationError:
            continue
    return found


CPUS = cpus()


def difference(got: Sequence[Any], expected: Sequence[Any]) -> float:
    """The largest difference, in units of each array's largest element, or of 1 if that is larger."""
    worst = 0.0
    for one, other in zip(got, expected, strict=True):
        assert np.shape(one) == np.shape(other), f"shape {np.shape(one)} and {np.shape(other)}"
        exact = np.asarray(other, np.float64)
        error = np.abs(np.asarray(one, np.float64) - exact)
        worst = max(worst, float(np.max(error, initial=0.0) / max(1.0, np.max(np.abs(exact), initial=0.0))))
    return worst


def is_finite(arrays: Sequence[Any]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def moved(graph: Graph, inputs: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """The outputs of `graph`, every result on the way moved by at most one rounding."""

    def step(node: Node, arguments: list[Any]) -> Any:
        if node.op.name == "constant":
            return node.value
        value = np.asarray(node.op.value(np, *arguments, **node.attributes))
        if value.dtype.kind != "f":
            return value
        factor = 1 + rng.uniform(-1, 1, value.shape) * np.finfo(value.dtype).eps
        return (value * factor).astype(value.dtype)

    return graph.run(list(inputs), step)


def agree(got: Sequence[Any], expected: Sequence[Any], dtype: str, again: Any) -> tuple[bool, float, bool]:
    """Whether they are equal to rounding, how far apart they are, and whether the example amplifies rounding.

    `again(rng)` are the expected arrays of a run with moved results.
    """
    error = difference(got, expected)
    if error <= LIMITS[dtype]:
        return True, error, False
    effects = [difference(again(np.random.default_rng(draw)), expected) for draw in range(DRAWS)]
    return error <= AMPLIFIED * max(effects), error, True


# -- one batch of examples, in a process of its own


class Batch:
    """What the examples of one process came to."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.counts: Counter[str] = Counter()
        self.worst = dict.fromkeys(LIMITS, 0.0)
        self.cpu = CPUS[0]  # what training is compiled for

    def hold(self, got: Any, expected: Any, dtype: str, again: Any) -> None:
        if not is_finite(expected):
            self.counts["not finite"] += 1
            return
        equal, error, amplified = agree(got, expected, dtype, again)
        assert equal, f"{dtype}: {error:.3g} apart"
        self.counts["equal"] += 1
        self.counts["equal, of amplified rounding"] += amplified
        if not amplified:
            self.worst[dtype] = max(self.worst[dtype], error)

    def graph(self, case: tuple[Graph, list[Any]], cpu: CPU) -> None:
        graph, inputs = case
        self.notes.write_text(f"{graph}\n")
        try:
            native = function.compile_graph(graph, cpu)
        except UncompilableError as reason:
            self.counts[f"refused: {str(reason)[:60]}"] += 1
            return
        expected = interpret(graph, inputs)
        for _ in range(2):  # the arena keeps what the first call left
            got = native(inputs)
        self.hold(got, expected, str(inputs[0].dtype), lambda rng: moved(graph, inputs, rng))

    def network(self, case: dict[str, Any], dtype: str, cpu: CPU) -> None:
        self.notes.write_text(f"{case}, {dtype}\n")
        self.cpu = cpu
        try:
            expected = trained(case, dtype, "interpreter")
            got = trained(case, dtype, "compiled")
        except UncompilableError as reason:
            self.counts[f"refused: {str(reason)[:60]}"] += 1
            return
        except GlassnetError as reason:
            self.counts[f"no network: {str(reason)[:60]}"] += 1
            return

        def again(rng: np.random.Generator) -> list[Any]:
            reference.interpret = lambda graph, inputs: moved(graph, inputs, rng)
            try:
                return trained(case, dtype, "interpreter")
            finally:
                reference.interpret = interpret

        self.hold(got, expected, dtype, again)


def work(kind: str, number: int, examples: int, notes: Path) -> None:
    """Run examples of one kind, those of the seed `number`; print what they came to as JSON."""
    batch = Batch(notes)
    function.Arena = epoch.Arena = GuardedArena
    epoch.host_cpu = lambda: batch.cpu
    widths = st.integers(0, len(CPUS) - 1)

    if kind == "graphs":

        @given(graphs(("float64", "float32")), widths)
        def hold(case: tuple[Graph, list[Any]], width: int) -> None:
            batch.graph(case, CPUS[width])
    else:

        @given(networks(), st.sampled_from(tuple(LIMITS)), widths)
        def hold(case: dict[str, Any], dtype: str, width: int) -> None:
            batch.network(case, dtype, CPUS[width])

    many = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    with np.errstate(all="ignore"):
        seed(number)(many(hold))()
    print(json.dumps({"counts": batch.counts, "worst": batch.worst}))


# -- the whole run


def ask(kind: str, number: int, examples: int) -> tuple[dict[str, Any], str]:
    """What a batch came to, and what is wrong with it: empty where nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        command = [sys.executable, __file__, "--worker", kind, str(number), str(examples), str(notes)]
        environment = {**os.environ, "GLASSNET_CACHE": "off"}
        finished = subprocess.run(command, capture_output=True, text=True, env=environment)
        if finished.returncode == 0:
            return json.loads(finished.stdout.splitlines()[-1]), ""
        complaint = "\n".join(finished.stderr.strip().splitlines()[-40:])
        if finished.returncode < 0:
            complaint = f"it died of signal {-finished.returncode} in\n{notes.read_text()}"
        return {"counts": {}, "worst": {}}, f"{kind}, seed {number}: {complaint}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Hold compiled programs against the interpreter, at length.")
    parser.add_argument("--examples", type=int, default=1000, help="graphs and networks together")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after this time")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=BATCH, help="examples in one process")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, number, examples, notes = options.worker
        work(kind, int(number), int(examples), Path(notes))
        return
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    worst, wrong, end = dict.fromkeys(LIMITS, 0.0), 0, time.monotonic() + 60 * options.minutes
    for done in range(0, options.examples, options.batch):
        if time.monotonic() > end:
            break
        number = options.first_seed + done // options.batch
        kind = KINDS[number % len(KINDS)]
        answer, complaint = ask(kind, number, min(options.batch, options.examples - done))
        counts[kind].update(answer["counts"])
        worst = {dtype: max(worst[dtype], answer["worst"].get(dtype, 0.0)) for dtype in worst}
        if complaint:
            wrong += 1
            print(complaint, flush=True)
    for kind, found in counts.items():
        for what, count in found.most_common():
            print(f"{count:6} {kind} {what}")
    print("largest difference:", ", ".join(f"{dtype} {error:.2g}" for dtype, error in worst.items()))
    print(f"{wrong} batches in which something differs or dies")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
