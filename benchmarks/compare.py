"""Compare glassnet with its peers: `python benchmarks/compare.py`.

Every system trains the same network on the same rows in a process of its own, all held to the same core. The
parent starts them, lets each compile and warm up, and then asks them in turn for a short measurement, round
by round, so that noise of the machine hits all alike. The figure of a system is its best round.

The parts, each of which `--only` picks: `steps` (one training step on one core), `cores` (the largest on all
cores), `processes` (whole scripts), `starts` (import, compilation, one prediction) and `growth`.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

from cases import CASES, Case
from growth import measure_growth
from measure import Comparison, compare, cpu_name
from peers import PEERS
from rich.console import Console
from starts import measure_starts
from tables import digits, show_machine, show_processes, show_starts, show_steps
from whole_process import whole_processes
from worker import CLOCKS

PARTS = ("steps", "cores", "processes", "starts", "growth")
FEW = 5  # rounds of whole processes and of starts, at most


def measured(
    case: Case, peers: list[str], rounds: int, console: Console, clock: str = "wall", all_cores: bool = False
) -> Comparison:
    """Measure one case and print what came out at once: the tables follow when all cases are done."""
    comparison = compare(case, peers, rounds, console, clock, all_cores)
    figures = ", ".join(f"{r.peer} {digits(r.best)}" for r in comparison.results if r.best is not None)
    console.print(f"[dim]{case.title}: {figures or 'nothing measured'}[/]", highlight=False)
    return comparison


def report(comparisons: list[Comparison]) -> dict[str, Any]:
    """Return every round of the steps, ready for JSON."""
    return {
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "steps": [
            {
                "case": comparison.case.name,
                "title": comparison.case.title,
                "all_cores": comparison.all_cores,
                "best_peer_over_glassnet": comparison.ratio,
                "asked": comparison.asked,
                "fraction_of_peak": comparison.peak_fraction,
                "systems": {
                    result.peer: {
                        "problem": result.problem or result.not_expressible or None,
                        "variant": result.variant or None,
                        "versions": result.versions,
                        "core": result.core,
                        "microseconds_per_step": result.microseconds,
                        "loss": [result.first_loss, result.last_loss] if result.microseconds else None,
                    }
                    for result in comparison.results
                },
            }
            for comparison in comparisons
        ],
    }


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def arguments() -> argparse.Namespace:
    others = [peer for peer in PEERS if peer != "glassnet"]
    parser = argparse.ArgumentParser(description="Compare glassnet with its peers.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="cases to measure")
    parser.add_argument("--peers", nargs="*", choices=others, default=others, help="peers beside glassnet")
    parser.add_argument("--rounds", type=positive, default=15, help="measurements of each (default 15)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write every round of the steps to FILE"
    )
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for a core that is not idle"
    )
    return parser.parse_args()


WIDE = 170  # columns of a table that nobody watches being made


def main() -> None:
    options, console = arguments(), Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    peers = ["glassnet", *options.peers]
    rounds, few = options.rounds, min(options.rounds, FEW)
    chosen = [CASES[name] for name in options.cases]
    comparisons: list[Comparison] = []
    if "steps" in options.only:
        on_one = [measured(case, peers, rounds, console, options.clock) for case in chosen]
        show_steps(on_one, peers, console, options.clock)
        comparisons += on_one
    if "cores" in options.only:
        largest = [case for case in chosen if case.asked_on_all]
        on_all = [measured(case, peers, rounds, console, all_cores=True) for case in largest]
        show_steps(on_all, peers, console)
        comparisons += on_all
    if "processes" in options.only:
        show_processes(whole_processes(few, console, options.clock), console, options.clock)
    if "starts" in options.only:
        with console.status("import, compilations, a prediction"):
            starts = measure_starts(options.cases, few)
        show_starts(starts, console)
    if "growth" in options.only:
        with console.status("growth with batch, width and depth"):
            sweeps = measure_growth(rounds)
        console.print("How the time of a step grows (one core, SGD):")
        for sweep in sweeps:
            console.print(f"  {sweep.sentence}", highlight=False)
    show_machine(comparisons, console)
    if options.json:
        options.json.write_text(json.dumps(report(comparisons), indent=2) + "\n")


if __name__ == "__main__":
    main()
