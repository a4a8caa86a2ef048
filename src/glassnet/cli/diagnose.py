"""`glassnet diagnose`: why a model learns, or does not."""

from __future__ import annotations

from pathlib import Path

from glassnet.cli.files import open_model, open_unseen_table


def diagnose(model: Path, table: str, /, *, target: str | None = None) -> None:
    """Say what is wrong with a model on a table, what the evidence is, and what to change first.

    Parameters
    ----------
    model
        A model that glassnet train saved.
    table
        A CSV or Parquet file with the feature columns and the target, best the rows that it was trained on;
        or digits for its held-out part.
    target
        The column of the known answers; without it, the column that the model was trained on.
    """
    print(open_model(model).diagnose_table(open_unseen_table(table), target))
