"""`glassnet evaluate`: how good a model is on a table whose answers are known."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from glassnet.cli.files import open_model, open_unseen_table
from glassnet.cli.report import show_evaluation


def evaluate(model: Path, table: str, /, *, target: str | None = None) -> None:
    """Compare a model's predictions with the known target of a table.

    Parameters
    ----------
    model
        A model that glassnet train saved.
    table
        A CSV or Parquet file with the feature columns and the target, or digits for its held-out part.
    target
        The column of the known answers; without it, the column that the model was trained on.
    """
    trained = open_model(model)
    show_evaluation(Console(highlight=False), trained, open_unseen_table(table), target or trained.target)
