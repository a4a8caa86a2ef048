"""What the commands print about a run: plain words and aligned columns that also read well in a pipe."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter

import numpy as np
from rich.console import Console
from rich.table import Table as Columns
from rich.text import Text

from glassnet.data import Table, constant_columns
from glassnet.estimators import Plan, TabularModel
from glassnet.network import Network
from glassnet.train.inspection import Certificate

_MOST_CONFUSIONS = 3
_LABEL_WIDTH = 12
_CERTIFIED_ERROR = 1e-3  # far above the rounding of float32, far below a wrong rule


def show_fact(console: Console, label: str, text: str, *, wrap: bool = True) -> None:
    """Print one fact beside its label; a long one goes on below itself, unless it is there to be copied."""
    wrapped = textwrap.fill(
        text,
        console.width if wrap else sys.maxsize,
        initial_indent=label.ljust(_LABEL_WIDTH),
        subsequent_indent=" " * _LABEL_WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )
    line = Text(wrapped)
    line.stylize("bold", 0, len(label))
    console.print(line, soft_wrap=True)


def show_plan(console: Console, table: Table, plan: Plan) -> None:
    """Print what the data is, what is to be learnt from it, and how its rows are divided."""
    target = plan.target
    task = "regression"
    if target.task == "classification":
        task = f"classification into {len(np.unique(target.values))} classes"
    show_fact(
        console, "data", f"{table.path}: {_count(len(table), 'row')}, {_count(len(plan.features), 'feature')}"
    )
    show_fact(console, "target", f"{plan.target_name}: {task}, as {target.reason}")
    show_fact(
        console,
        "split",
        f"{_count(len(plan.training), 'row')} to train, {len(plan.validation):,} to validate, "
        f"{len(plan.test):,} held out to test",
    )
    constant = [plan.features[i] for i in constant_columns(plan.X[plan.training])]
    if constant:
        names = ", ".join(constant[:4]) + (f" and {len(constant) - 4} more" if len(constant) > 4 else "")
        show_fact(console, "note", f"constant, so not scaled: {names}")


def show_network(console: Console, network: Network) -> None:
    """Print the network as a table of layers with their output shapes and parameters."""
    columns = Columns(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="bold")
    columns.add_column("layer")
    columns.add_column("kind")
    columns.add_column("output", justify="right")
    columns.add_column("parameters", justify="right")
    rows = network.layer_table()
    for name, kind, shape, count in rows:
        columns.add_row(name, Text(kind), " x ".join(map(str, shape)), f"{count:,}")
    columns.add_row("total", "", "", f"{sum(row[3] for row in rows):,}", style="bold")
    console.print()
    console.print(columns)
    console.print()


def show_certificate(console: Console, certificate: Certificate) -> None:
    """Print how far the gradient is from an independent calculation of it."""
    error = certificate.largest_relative_error
    verdict = "certified" if error <= _CERTIFIED_ERROR else "NOT certified"
    show_fact(
        console,
        "gradient",
        f"{verdict} on {_count(certificate.examples, 'example')}: relative error at most {error:.1e}, "
        f"in {certificate.parameter} ({certificate.method})",
    )


def show_evaluation(console: Console, model: TabularModel, table: Table, target: str) -> None:
    """Print a model's figures on a table, and the classes that it most often takes for one another."""
    figures = model.evaluate_table(table, target)
    rows = _count(len(table), "row")
    if model.outputs is not None:
        text = f"R2 {figures['r2']:.4f}, mean absolute error {figures['mae']:.4g} on {rows}"
        show_fact(console, "test", text)
        return
    show_fact(console, "test", f"accuracy {figures['accuracy']:.1%} on {rows}, loss {figures['loss']:.4f}")
    truth = model.labels(table, target)
    predicted = model.predict_table(table, target)["prediction"]
    wrong = Counter(
        zip(truth[truth != predicted].tolist(), predicted[truth != predicted].tolist(), strict=True)
    )
    if wrong:
        confusions = [
            f"{was} read as {read}: {_count(times, 'time')}"
            for (was, read), times in sorted(wrong.items(), key=lambda item: -item[1])[:_MOST_CONFUSIONS]
        ]
        show_fact(console, "confused", ", ".join(confusions))


def show_images(console: Console, images: np.ndarray, captions: list[str]) -> None:
    """Print small pictures, shape (count, height, width) from 0 to 16, side by side in half blocks.

    Nothing is printed where there are none or the terminal's encoding has no half blocks.
    """
    if not len(images) or not console.encoding.startswith("utf"):
        return
    coloured = console.color_system is not None and not console.no_color
    gallery = Columns.grid(padding=(0, 4, 0, 0))
    gallery.add_row(*(_half_blocks(image, coloured=coloured) for image in images))
    gallery.add_row(*captions)
    console.print()
    console.print(gallery)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _half_blocks(image: np.ndarray, *, coloured: bool) -> Text:
    """A picture with two pixels, one above the other, in each character cell."""
    picture = Text()
    for upper, lower in zip(image[0::2], image[1::2], strict=True):
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            if coloured:
                picture.append("▀", style=f"{_grey(top)} on {_grey(bottom)}")
            else:
                picture.append(" ▄▀█"[2 * (top > 7) + (bottom > 7)])
        picture.append("\n")
    picture.rstrip()
    return picture


def _grey(ink: int) -> str:
    level = min(16 * ink, 255)
    return f"rgb({level},{level},{level})"
