"""Pictures of a run, drawn with matplotlib, an optional extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glassnet.errors import ConfigurationError
from glassnet.optim._matplotlib import load_pyplot


def plot_history(figures: Mapping[str, Sequence[float]], names: Sequence[str]) -> Any:
    """Figures against the epoch: losses by default; one panel for losses and one for all else."""
    chosen = names or [name for name in figures if name.endswith("loss")]
    for name in chosen:
        if name not in figures:
            raise ConfigurationError(f"The history has no figure {name!r}; it has {', '.join(figures)}.")
    pyplot = load_pyplot("A plot of the history")
    groups = [[n for n in chosen if n.endswith("loss")], [n for n in chosen if not n.endswith("loss")]]
    groups = [group for group in groups if group]
    figure, panels = pyplot.subplots(1, len(groups), squeeze=False, figsize=(6 * len(groups), 4))
    for panel, group in zip(panels[0], groups, strict=True):
        for name in group:
            style = "--" if name.startswith("validation") else "-"
            panel.plot(range(1, len(figures[name]) + 1), figures[name], style, label=name.replace("_", " "))
        panel.set_xlabel("epoch")
        panel.set_ylabel("loss" if group[0].endswith("loss") else "")
        panel.legend()
    figure.tight_layout()
    return figure
