"""Learn real tasks and score them on held-out data, seed by seed: `python benchmarks/tasks.py [name ...]`.

Every task is run from several seeds. They decide the initial weights, the order of the rows and, where the
data is made or divided, the data. The table shows the mean and the worst outcome beside the target.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from time import perf_counter

from recipes import TASKS
from recipes.task import Outcome, Task, means
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from glassnet.train.events import EpochFinished, Event, Listener

Measured = dict[Task, list[Outcome]]


class Display:
    """A line for each task: how many seeds are done, and what the present one is doing."""

    def __init__(self, console: Console, tasks: Sequence[Task], seeds: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[doing]}"))
        shown = console.is_terminal
        self.progress = Progress(*columns, TimeElapsedColumn(), console=console, disable=not shown)
        self.lines = {
            task: self.progress.add_task(task.name, start=False, total=seeds, doing="") for task in tasks
        }

    def listener(self, task: Task, seed: int) -> Listener:
        line = self.lines[task]
        self.progress.start_task(line)

        def show(event: Event) -> None:
            if isinstance(event, EpochFinished):
                doing = f"seed {seed}, epoch {event.epoch} of {event.epochs}, loss {event.loss:.4g}"
                self.progress.update(line, doing=doing)

        return show

    def finish(self, task: Task, outcomes: Sequence[Outcome]) -> None:
        value, _ = means(outcomes)
        doing = f"{task.measure}: mean {value:.{task.decimals}f}"
        self.progress.update(self.lines[task], completed=len(outcomes), doing=doing)
        if not self.progress.console.is_terminal:  # a log, where nothing moves
            self.progress.console.print(f"{task.name}, seeds done {len(outcomes)}, {doing}")


def measure(tasks: Sequence[Task], seeds: int, console: Console) -> tuple[Measured, dict[Task, float]]:
    """The outcomes of each task, and its seconds for a seed; after Ctrl-C those that are there by then."""
    measured: Measured = {}
    seconds: dict[Task, float] = {}
    display = Display(console, tasks, seeds)
    try:
        with display.progress:
            for task in tasks:
                begin = perf_counter()
                for seed in range(seeds):
                    outcome = task.run(seed, display.listener(task, seed))
                    measured.setdefault(task, []).append(outcome)
                    seconds[task] = (perf_counter() - begin) / (seed + 1)
                    display.finish(task, measured[task])
    except KeyboardInterrupt:
        console.print("Interrupted; the table holds the seeds that were finished.")
    return measured, seconds


def table(measured: Measured, seconds: dict[Task, float]) -> Table:
    """What was reached, a row for each task."""
    shown = Table(
        title="Real tasks, scored on held-out data", box=SIMPLE_HEAD, padding=0, collapse_padding=True
    )
    shown.add_column("task", no_wrap=True)
    for title in ("network", "measure"):
        shown.add_column(title, min_width=10)
    for title in ("seeds", "mean", "worst", "target", "met", "seconds"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.caption = "seconds: those of one seed"
    for task, outcomes in measured.items():
        value, target = means(outcomes)
        bound = "≤" if task.is_error else "≥"
        shown.add_row(
            *(task.name, task.network, task.measure, str(len(outcomes))),
            f"{value:.{task.decimals}f}",
            f"{task.worst(outcomes):.{task.decimals}f}",
            f"{bound} {target:.{task.decimals}f}",
            "[green]yes[/]" if task.met(outcomes) else "[red]no[/]",
            f"{seconds[task]:.0f}",
        )
    return shown


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every task that was run met its target, else 1."""
    parser = argparse.ArgumentParser(description="Learn real tasks and score them on held-out data.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"tasks to run: {', '.join(TASKS)}")
    parser.add_argument("--seeds", type=positive, default=5, help="how often each is run (default 5)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in TASKS]
    if unknown:
        parser.error(f"unknown task {unknown[0]}; there are {', '.join(TASKS)}")
    console = Console()
    chosen = [TASKS[name] for name in options.names or TASKS]
    for task in chosen:
        if not task.runnable:
            mend = "pip install scikit-learn"
            console.print(f"{task.name} is skipped: it needs {task.needs}; {mend}", markup=False)
    measured, seconds = measure([task for task in chosen if task.runnable], options.seeds, console)
    if measured:
        console.print(table(measured, seconds))
    return 0 if all(task.met(outcomes) for task, outcomes in measured.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
