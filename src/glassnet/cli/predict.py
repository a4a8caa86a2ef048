"""`glassnet predict`: a table in, a CSV table of predictions out."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np

from glassnet.cli.files import check_output, open_model, open_unseen_table
from glassnet.errors import ConfigurationError
from glassnet.persist import write_atomically


def predict(model: Path, table: str, /, *, out: Path | None = None) -> None:
    """Predict the target of every row of a table and print the predictions as CSV.

    The output has one line per row: the prediction and, for classes, the probability of each.

    Parameters
    ----------
    model
        A model that glassnet train saved.
    table
        A CSV or Parquet file with the model's feature columns in any order, or digits for its held-out part.
    out
        The CSV file to write; without it the predictions go to standard output.
    """
    if out is not None:
        check_output(out)
        if out.resolve() in (model.resolve(), Path(table).resolve()):
            raise ConfigurationError(
                f"--out {out} would overwrite an input of the prediction; choose another name."
            )
    network = open_model(model)
    source = open_unseen_table(table)
    columns = network.predict_table(source)
    if network.target in source.columns:
        print(f"glassnet: note: the target column {network.target!r} is ignored.", file=sys.stderr)
    text = _as_csv(columns)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        write_atomically(out, text.encode())
    except OSError as error:
        raise ConfigurationError(f"--out {out} cannot be written: {error.strerror or error}.") from error


def _as_csv(columns: dict[str, np.ndarray]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    # Nine digits hold every float32 exactly.
    texts = [[f"{v:.9g}" for v in c] if c.dtype.kind == "f" else c.tolist() for c in columns.values()]
    writer.writerows(zip(*texts, strict=True))
    return buffer.getvalue()
