"""Diagnose networks broken on purpose and healthy ones: `python benchmarks/diagnosis.py [--scores]`.

A broken network is named rightly where the first verdict is one of those expected of it. A healthy one gives
a false alarm where any verdict is more than a note. `--scores` diagnoses nothing: it shows what every broken
network scores on held-out rows beside the same network without the fault.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from corpus import BROKEN, HEALTHY, Broken, Healthy
from corpus.data import Data
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

import glassnet as gn

NAMED_AT_LEAST, FALSE_ALARMS_AT_MOST = 28, 2  # of 30 broken and of 30 healthy networks


class Verdict(Protocol):
    """What of a verdict is judged."""

    @property
    def kind(self) -> str: ...

    @property
    def severity(self) -> str: ...


Diagnose = Callable[[gn.Network, Data], Sequence[Verdict]]


def diagnose(net: gn.Network, data: Data) -> Sequence[Verdict]:
    """The verdicts on a trained network, the worst first."""
    return net.diagnose(data.X, data.y, validation_data=(data.X_held_out, data.y_held_out)).verdicts


def right(case: Broken | Healthy, verdicts: Sequence[Verdict]) -> bool:
    """Whether a broken network's fault comes first, or a healthy one has notes at most."""
    if isinstance(case, Broken):
        return bool(verdicts) and verdicts[0].kind in case.expected
    return all(verdict.severity == "note" for verdict in verdicts)


def passes(judged: Sequence[tuple[Broken | Healthy, bool]]) -> bool:
    """Whether enough broken networks were named and few enough healthy ones accused."""
    missed, accused = (
        sum(not well for case, well in judged if isinstance(case, kind)) for kind in (Broken, Healthy)
    )
    return missed <= len(BROKEN) - NAMED_AT_LEAST and accused <= FALSE_ALARMS_AT_MOST


def examine(cases: Sequence[Broken | Healthy], diagnose: Diagnose, console: Console) -> bool:
    """Trains and diagnoses each case and shows a table; whether the diagnosis passes."""
    table = Table(box=SIMPLE_HEAD, padding=0, collapse_padding=True)
    for title in ("network", "expected", "got", "right"):
        table.add_column(title)
    judged: list[tuple[Broken | Healthy, bool]] = []
    for case in track(cases, "training", console=console, disable=not console.is_terminal, transient=True):
        data = case.recipe.data()
        verdicts = diagnose(case.recipe.train(data), data)
        judged.append((case, right(case, verdicts)))
        expected = " or ".join(case.expected) if isinstance(case, Broken) else "notes at most"
        got = ", ".join(verdict.kind for verdict in verdicts) or "nothing"
        mend = f"; should advise: {case.advice}" if isinstance(case, Broken) and not judged[-1][1] else ""
        table.add_row(case.name, expected, got + mend, "[green]yes[/]" if judged[-1][1] else "[red]no[/]")
    console.print(table)
    broken = [well for case, well in judged if isinstance(case, Broken)]
    healthy = [well for case, well in judged if isinstance(case, Healthy)]
    console.print(
        f"{sum(broken)} of {len(broken)} broken networks named rightly, "
        f"{healthy.count(False)} false alarms on {len(healthy)} healthy ones"
    )
    return passes(judged)


def show_scores(cases: Sequence[Broken | Healthy], console: Console) -> bool:
    """What each network scores on held-out rows; whether every fault hurts and every healthy one learns."""
    table = Table(title="Scores on held-out rows", box=SIMPLE_HEAD, padding=0, collapse_padding=True)
    table.add_column("network")
    for title in ("score", "mended", "wanted", "as said"):
        table.add_column(title, justify="right")
    all_well = True
    for case in track(cases, "training", console=console, disable=not console.is_terminal, transient=True):
        score, mended, wanted = case.recipe.outcome(), "", "seen in the data"
        if isinstance(case, Healthy):
            well, wanted = score >= case.reaches, f"{case.reaches:.2f}"
        else:
            better = case.mended.outcome()
            well, mended = case.hurts is None or better - score >= case.hurts, f"{better:.3f}"
            wanted = wanted if case.hurts is None else f"{case.hurts:.2f} less"
        all_well &= well
        table.add_row(case.name, f"{score:.3f}", mended, wanted, "[green]yes[/]" if well else "[red]no[/]")
    console.print(table)
    return all_well


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the diagnosis passes (with --scores: where every network scores as its case says), else 1."""
    parser = argparse.ArgumentParser(description="Diagnose broken and healthy networks.")
    parser.add_argument("names", nargs="*", metavar="name", help="parts of the names of the cases to run")
    parser.add_argument("--scores", action="store_true", help="show what the networks score, diagnose none")
    options = parser.parse_args(arguments)
    every: list[Broken | Healthy] = [*BROKEN, *HEALTHY]
    cases = [case for case in every if not options.names or any(name in case.name for name in options.names)]
    if not cases:
        parser.error(f"no case is called so; there are {', '.join(case.name for case in every)}")
    console = Console()
    well = show_scores(cases, console) if options.scores else examine(cases, diagnose, console)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
