"""How the cost of a step grows with batch, width and depth: `python benchmarks/growth.py [FILE.svg]`.

A dense network with ReLU is trained by SGD on one core while one of the three sizes grows and the others
stay. The times of each sweep are fitted by t = overhead + slope x flops with relative least squares; "linear
beyond" is the smallest step from which on every larger one lies within a quarter of the line. The figure that
it draws needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import SGD, Case, classifier
from worker import pin

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "figures" / "growth.svg"
TOLERANCE = 0.25
SECONDS = 0.05  # of one round of one size
SIZES = {
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048),
    "width": (4, 8, 16, 32, 64, 128, 256, 512, 1024),
    "depth": (1, 2, 4, 8, 16, 32),
}
FIXED = {
    "batch": "64-64-64-10",
    "width": "64-n-n-10, batch 32",
    "depth": "64, n layers of 64, 10, batch 32",
}


def case_of(sweep: str, size: int) -> Case:
    batch, width, depth = {"batch": (size, 64, 2), "width": (32, size, 2), "depth": (32, 64, size)}[sweep]
    units = (64, *[width] * depth, 10)
    return classifier(f"{sweep}-{size}", *units, **SGD, batch=batch, rows=8 * batch, asked=1.0)


@dataclass(frozen=True)
class Line:
    """The fit of one sweep: microseconds of overhead, microseconds per million flops, and from where on."""

    overhead: float
    slope: float
    linear_beyond: float

    def at(self, megaflops: Any) -> Any:
        return self.overhead + self.slope * megaflops


def fit(megaflops: np.ndarray, microseconds: np.ndarray) -> Line:
    """The line of least relative deviation through the times of a sweep."""
    rows = np.stack([1 / microseconds, megaflops / microseconds], axis=1)
    (overhead, slope), *_ = np.linalg.lstsq(rows, np.ones(len(megaflops)), rcond=None)
    off = np.abs((overhead + slope * megaflops) / microseconds - 1) > TOLERANCE
    first = np.flatnonzero(off)[-1] + 1 if off.any() else 0
    beyond = megaflops[first] if first < len(megaflops) else np.inf
    return Line(float(overhead), float(slope), float(beyond))


@dataclass(frozen=True)
class Sweep:
    """One size grows: its values, the flops and the time of a step for each, and the line through them."""

    name: str
    sizes: tuple[int, ...]
    megaflops: np.ndarray
    microseconds: np.ndarray

    @property
    def line(self) -> Line:
        return fit(self.megaflops, self.microseconds)

    @property
    def sentence(self) -> str:
        line = self.line
        beyond = f"linear beyond {line.linear_beyond * 1e3:,.0f} thousand flops a step"
        if not np.isfinite(line.linear_beyond):
            beyond = f"not linear within {TOLERANCE:.0%}"
        speed = 1e3 / line.slope
        return (
            f"{self.name} ({FIXED[self.name]}): {line.overhead:.2f} us + flops at {speed:.0f} GF/s, {beyond}"
        )


def work(rounds: int) -> None:
    """Measure every size of every sweep in turn, round by round; print the best times as JSON."""
    pin()
    from peers.glassnet_program import Program
    from samples import samples

    programs: dict[str, tuple[Program, int]] = {}
    for sweep, sizes in SIZES.items():
        for size in sizes:
            case = case_of(sweep, size)
            program = Program(case, *samples(case))
            program.run(2)
            started = time.perf_counter()
            program.run(1)
            epoch = time.perf_counter() - started
            program.epochs_per_call = max(1, round(SECONDS / epoch))
            programs[case.name] = program, case.steps_per_call * program.epochs_per_call
    best = dict.fromkeys(programs, float("inf"))
    for _ in range(rounds):
        for name, (program, steps) in programs.items():
            started = time.perf_counter()
            program.run(1)
            best[name] = min(best[name], 1e6 * (time.perf_counter() - started) / steps)
    print(json.dumps(best))


def measure_growth(rounds: int) -> list[Sweep]:
    command = [sys.executable, __file__, "--worker", "--rounds", str(rounds)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    best = json.loads(finished.stdout)
    return [
        Sweep(
            sweep,
            sizes,
            np.array([case_of(sweep, size).flops / 1e6 for size in sizes]),
            np.array([best[f"{sweep}-{size}"] for size in sizes]),
        )
        for sweep, sizes in SIZES.items()
    ]


def draw(sweeps: list[Sweep], path: Path) -> None:
    """Time per step against flops: one line a sweep, its sizes beside its first and last point."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    style: Any = {
        "svg.hashsalt": "glassnet",
        "svg.fonttype": "none",
        "font.size": 9.0,
        "legend.frameon": False,
    }
    style |= {"axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(6.0, 4.2), layout="constrained")
        styles = zip(sweeps, ("o-", "s--", "^-."), ("black", "#b03010", "#2060a0"), strict=True)
        for sweep, style, color in styles:
            label = f"{sweep.name} {sweep.sizes[0]} to {sweep.sizes[-1]}: {FIXED[sweep.name]}"
            axes.loglog(
                sweep.megaflops, sweep.microseconds, style, color=color, markersize=4, lw=1.2, label=label
            )
        widest = max(sweeps, key=lambda sweep: sweep.megaflops[-1])
        span = np.geomspace(*axes.get_xlim(), 100)
        line = widest.line
        text = f"{line.overhead:.2g} µs + flops at {1e3 / line.slope:.0f} GF/s"
        axes.loglog(span, line.at(span), color="0.7", lw=3, zorder=0, label=text)
        axes.set_xlabel("million floating-point operations of a step")
        axes.set_ylabel("microseconds of a step")
        axes.legend(loc="upper left", fontsize=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": "benchmarks/growth.py"})
        pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="How the cost of a step grows with batch, width and depth.")
    parser.add_argument("figure", nargs="?", type=Path, default=FIGURE, help=f"default {FIGURE}")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.rounds)
        return
    sweeps = measure_growth(options.rounds)
    for sweep in sweeps:
        print(sweep.sentence)
    draw(sweeps, options.figure)
    print(f"drawn: {options.figure}")


if __name__ == "__main__":
    main()
