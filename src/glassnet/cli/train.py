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


def train(
    table: str,
    *,
    target: str | None = None,
    hidden: str = "64,32",
    activation: str = "relu",
    epochs: int | None = None,
    batch_size: int = 32,
    learning_rate: float | None = None,
    optimizer: str = "adam",
    seed: int = 0,
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
        The step size; without it 0.001 for adam, 0.01 for sgd and momentum.
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
    sample = model.examples(plan, plan.training[:_CERTIFIED_EXAMPLES])
    certificate = model.network.certify(*sample)
    report.show_network(console, model.network)
    report.show_certificate(console, certificate)
    with ProgressBar(console) as progress:
        history = model.fit(plan, recipe, progress)
    interrupted = history.interrupted
    if interrupted and not history.loss:
        console.print("No epoch was finished, so no model was saved.")
        return _INTERRUPTED
    model.save(out)
    if interrupted:
        console.print(f"Saved the model of epoch {len(history.loss)} in {out}", soft_wrap=True, markup=False)
        return _INTERRUPTED
    _report_success(console, model, source, plan, table, out)
    return 0
