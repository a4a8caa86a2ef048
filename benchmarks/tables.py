"""The tables of `compare.py`, and what must be said below them."""

from __future__ import annotations

from collections.abc import Iterable

from cases import LARGEST_DENSE
from measure import Comparison, Result, cpu_name
from rich.console import Console
from rich.table import Table
from starts import CACHED_SECONDS, IMPORT_SECONDS, PREDICT_MICROSECONDS, Starts
from whole_process import ASKED, Process, ratio

PEAK_ASKED = 0.75


def digits(value: float) -> str:
    """Return three significant digits without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def times(value: float | None) -> str:
    return f"{digits(value)} ×" if value else "–"


def judged(value: float | None, asked: float | None, text: str) -> str:
    """The text of a figure that shall be at least `asked`: red where it is missed."""
    return f"[red]{text}[/]" if value and asked and value < asked else text


def table_of(title: str, *heads: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left")
    for position, head in enumerate(heads):
        table.add_column(head, justify="right" if position else "left")
    return table


def cell(result: Result) -> str:
    if result.best is not None:
        return digits(result.best)
    if result.not_expressible:
        return "[dim]not expr.[/]"
    return f"[dim]{'failed' if result.problem.startswith('failed') else 'skipped'}[/]"


def show_steps(
    comparisons: list[Comparison], peers: list[str], console: Console, clock: str = "wall"
) -> None:
    """Print microseconds per step, then how each figure came about and what is missing."""
    if not comparisons:
        return
    all_cores = comparisons[0].all_cores
    where = "all cores, not pinned" if all_cores else "one core"
    where += ", processor time" if clock == "cpu" else ""
    heads = ("best peer ÷ glassnet", "asked", *([] if all_cores else ["of FMA peak"]))
    table = table_of(
        f"Microseconds per training step, {where}, float32, best round", "network", *peers, *heads
    )
    for comparison in comparisons:
        factor = judged(comparison.ratio, comparison.asked, times(comparison.ratio))
        shares = [] if all_cores else [share(comparison)]
        row = [comparison.case.title, *map(cell, comparison.results), factor, times(comparison.asked)]
        table.add_row(*row, *shares)
    console.print(table)
    for comparison in comparisons:
        chosen = [f"{result.peer}: {result.variant}" for result in comparison.results if result.variant]
        console.print(f"[dim]{comparison.case.name}: {'; '.join(chosen)}[/]", highlight=False)
    show_problems(comparisons, console)


def share(comparison: Comparison) -> str:
    fraction = comparison.peak_fraction
    if fraction is None:
        return "–"
    asked = PEAK_ASKED if comparison.case.name in LARGEST_DENSE else None
    return judged(fraction, asked, f"{fraction:.0%}" + (" (75 % asked)" if asked else ""))


def show_problems(comparisons: Iterable[Comparison], console: Console) -> None:
    """Print what did not learn, what cannot be expressed and what is not there, once each."""
    said = []
    for comparison in comparisons:
        for result in comparison.results:
            if result.best is not None and not result.learnt:
                change = f"{result.first_loss:.2g} to {result.last_loss:.2g}"
                said.append(
                    f"{comparison.case.name}: {result.peer} does not learn: its loss went from {change}"
                )
            if result.not_expressible:
                said.append(f"{result.peer} cannot express {comparison.case.name}: {result.not_expressible}")
            if result.problem:
                said.append(f"{result.peer} has no figure: {result.problem}")
    for sentence in dict.fromkeys(said):
        console.print(sentence, markup=False)


def show_machine(comparisons: list[Comparison], console: Console) -> None:
    """Print the CPU, the core and the versions."""
    everything = [result for comparison in comparisons for result in comparison.results]
    core = next((result.core for result in everything if result.core is not None), None)
    console.print(f"{cpu_name()}; " + ("not pinned" if core is None else f"pinned to core {core}"))
    versions = dict.fromkeys(pair for result in everything for pair in result.versions.items())
    if versions:
        console.print(", ".join(f"{name} {number}" for name, number in versions), highlight=False)


def show_processes(processes: list[Process], console: Console, clock: str = "wall") -> None:
    """Print the seconds of whole processes."""
    heads = (*(process.system for process in processes), "best peer ÷ glassnet", "asked")
    what = "Processor seconds" if clock == "cpu" else "Seconds"
    table = table_of(
        f"{what} from the start of a process to a trained digits model (64-128-64-10, 20 epochs of batch 32)",
        "caches of compiled code",
        *heads,
    )
    for state, asked in ASKED.items():
        seconds = [process.best(state) for process in processes]
        factor = ratio(processes, state)
        cells = [f"{best:.2f}" if best else "–" for best in seconds]
        table.add_row(state, *cells, judged(factor, asked, times(factor)), times(asked))
    console.print(table)
    for process in processes:
        if process.problem:
            console.print(f"{process.system} has no figure: {process.problem}", markup=False)


def show_starts(starts: Starts, console: Console) -> None:
    """Print what the import, a prediction and each compilation take."""
    table = table_of(
        "What glassnet makes one wait for: milliseconds",
        *("network", "trace", "compile", "asked", "from the object cache", "asked"),
    )
    for each in starts.compilations:
        cold = judged(each.asked, each.cold, f"{1e3 * each.cold:.0f}")
        cached = judged(CACHED_SECONDS, each.cached, f"{1e3 * each.cached:.1f}")
        asked = f"{1e3 * each.asked:.0f}" if each.asked else "–"
        cells = (f"{1e3 * each.trace:.0f}", cold, asked, cached, f"{1e3 * CACHED_SECONDS:.0f}")
        table.add_row(each.case.title, *cells)
    console.print(table)
    importing = judged(IMPORT_SECONDS, starts.importing, f"{1e3 * starts.importing:.0f} ms")
    predict = judged(PREDICT_MICROSECONDS, starts.predict, f"{starts.predict:.2f} us")
    console.print(
        f"import glassnet beyond NumPy: {importing} ({1e3 * IMPORT_SECONDS:.0f} asked); "
        f"with the layers, the compiler and LLVM loaded, at the first training: {1e3 * starts.loading:.0f} ms"
    )
    console.print(f"predict of one row, 64-32-10, from Python: {predict} ({PREDICT_MICROSECONDS:.0f} asked)")
