"""`glassnet train`: from a table to a saved model, every step of it said."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from rich.console import Console

from glassnet.cli import report
from glassnet.cli.files import DIGITS, check_model_output
from glassnet.data import Table, load_digits, read_table
from glassnet.errors import ConfigurationError
from glassnet.estimators import Plan, Recipe, TabularModel, plan_training
from glassnet.train.progress import ProgressBar

_INTERRUPTED = 130
_CERTIFIED_EXAMPLES = 16
_PICTURES = 4
_DIGIT = "digit"  # the target of the built-in table


def train(
    table: str,
    /,
    *,
    target: str | None = None,
    hidden: str = ",".join(map(str, Recipe.hidden)),
    activation: str = Recipe.activation,
    epochs: int | None = Recipe.epochs,
    batch_size: int = Recipe.batch_size,
    learning_rate: float | None = Recipe.learning_rate,
    optimizer: str = Recipe.optimizer,
    seed: int = Recipe.seed,
    out: Path | None = None,
) -> int:
    """Train a network to predict one column of a table from the others, test it and save it.

    A fifth of the rows is held out and tested at the end. Whether the target is a class or a quantity is
    decided by its values, and said. Ctrl-C saves the model of the last finished epoch.

    Parameters
    ----------
    table
        A CSV or Parquet file, or digits for the built-in handwritten digits.
    target
        The column to predict; needed for files.
    hidden
        The widths of the hidden layers, separated by commas.
    activation
        The activation of the hidden layers.
    epochs
        How often to go through the data; without it, enough for about 2,000 steps.
    batch_size
        The number of rows of one step.
    learning_rate
        The step size; without it, the optimizer's usual one.
    optimizer
        adam, sgd or momentum.
    seed
        The same seed, data and options give the same model.
    out
        The model file to write; without it, the table's name with .glass in the current folder.
    """
    recipe = Recipe(_widths(hidden), activation, epochs, batch_size, learning_rate, optimizer, seed)
    out = Path(f"{Path(table).stem}.glass") if out is None else out
    check_model_output(out)
    source, target, test = _open(table, target)
    plan = plan_training(source, target, seed, test)
    model = TabularModel.untrained(plan, recipe)

    console = Console(highlight=False)
    report.show_plan(console, source, plan)
    certificate = model.network.certify(*model.examples(plan, plan.sample(_CERTIFIED_EXAMPLES)))
    report.show_network(console, model.network)
    report.show_certificate(console, certificate)
    with ProgressBar(console) as progress:
        history = model.fit(plan, recipe, progress)
    if history.stopped and not history.loss:
        report.show_fact(console, "saved", "nothing, as no epoch was finished")
        return _INTERRUPTED
    model.save(out)
    if history.stopped:
        report.show_fact(console, "saved", f"{out}, the model of epoch {history.epochs}", wrap=False)
        return _INTERRUPTED
    _report_success(console, model, source, plan, table, out)
    return 0


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise ConfigurationError(
            f"--hidden {text} is not a list of widths; "
            "give positive whole numbers separated by commas, such as 64,32."
        ) from None


def _open(table: str, target: str | None) -> tuple[Table, str, np.ndarray | None]:
    """The table, the target's name, and the rows held out where the table itself fixes them."""
    if table == DIGITS:
        digits = load_digits()
        return digits.table(), target or _DIGIT, digits.split()[1]
    source = read_table(table)
    if target is None:
        raise ConfigurationError(
            f"--target is missing: name the column of {table} to predict, "
            f"one of {', '.join(source.names[:12])}."
        )
    return source, target, None


def _report_success(
    console: Console, model: TabularModel, source: Table, plan: Plan, table: str, out: Path
) -> None:
    unseen = source.take(plan.test)
    report.show_evaluation(console, model, unseen, plan.target_name)
    if table == DIGITS and plan.target_name == _DIGIT:
        _show_misread(console, model, plan)
    console.print()
    report.show_fact(console, "saved", str(out), wrap=False)
    for label, command in (("next", "evaluate"), ("", "predict")):
        report.show_fact(console, label, shlex.join(["glassnet", command, str(out), table]), wrap=False)


def _show_misread(console: Console, model: TabularModel, plan: Plan) -> None:
    digits = load_digits()
    predicted = model.predict_table(digits.table(plan.test))["prediction"]
    wrong = np.flatnonzero(predicted != digits.labels[plan.test])[:_PICTURES]
    rows = plan.test[wrong]
    captions = [
        f"{digits.labels[row]} read as {read}" for row, read in zip(rows, predicted[wrong], strict=True)
    ]
    report.show_images(console, digits.images[rows], captions)
