"""What a run leaves behind: one value an epoch, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Watched:
    """One look at a run, by layer.

    `gradient_norms` are those of the loss on some rows; `update_to_weight` is how far an average step since
    the last look took the parameters, relative to their size; `dead` the share of rectifiers that give 0 for
    every one of these rows.
    """

    epoch: int
    gradient_norms: dict[str, float]
    update_to_weight: dict[str, float]
    dead: dict[str, float]


@dataclass
class History:
    """What was measured after every epoch, by name: `figures["loss"]`, `figures["validation_accuracy"]`, ...

    Losses are means over the instances of an epoch. The training loss is gathered while the parameters
    change; everything else is measured at the epoch's end. `score_name` is the figure that says how good
    the network is: accuracy or R2. `learning_rate` has the rate of every epoch's last step. `stopped` is
    None, or one sentence that says why the run ended early; `best_epoch` is the epoch whose weights were
    brought back, if they were; `diverged` says that the run ended in a value that is not finite;
    `watched` has what `fit(..., watch=True)` saw.

    >>> history = History("accuracy")
    >>> history.add({"loss": 0.5, "validation_loss": 0.4, "validation_accuracy": 0.9}, 0.001)
    >>> print(history)
    1 epoch, loss 0.5 -> 0.5, validation accuracy 0.9
    """

    score_name: str
    figures: dict[str, list[float]] = field(default_factory=lambda: {"loss": []})
    learning_rate: list[float] = field(default_factory=list[float])
    stopped: str | None = None
    best_epoch: int | None = None
    engine: str = "compiled"
    compile_seconds: float = 0.0
    training_seconds: float = 0.0
    diverged: bool = False
    watched: list[Watched] = field(default_factory=list[Watched])

    @property
    def loss(self) -> list[float]:
        """The training loss of every epoch."""
        return self.figures["loss"]

    @property
    def validation_loss(self) -> list[float]:
        """The loss on the validation rows, empty without any."""
        return self.figures.get("validation_loss", [])

    @property
    def validation_score(self) -> list[float]:
        """Accuracy or R2 on the validation rows, empty without any."""
        return self.figures.get(f"validation_{self.score_name.lower()}", [])

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.loss)

    def add(self, figures: Mapping[str, float], seconds: float, learning_rate: float = 0.0) -> None:
        """One more finished epoch."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)
        self.training_seconds += seconds
        self.learning_rate.append(learning_rate)

    def extend(
        self, epochs: Sequence[Mapping[str, float]], seconds: float, learning_rates: Sequence[float]
    ) -> None:
        """Several more finished epochs, of so many seconds each."""
        for name in epochs[0]:
            self.figures.setdefault(name, []).extend([figures[name] for figures in epochs])
        self.training_seconds += seconds * len(epochs)
        self.learning_rate.extend(learning_rates)

    def plot(self, *names: str) -> object:
        """Draws figures against the epoch, by default the losses; the matplotlib figure.

        Raises MissingExtraError where matplotlib is not installed, ConfigurationError for an unknown name.
        """
        from glassnet.train._matplotlib import plot_history  # noqa: PLC0415 - an optional extra

        return plot_history(self.figures, names)

    def __str__(self) -> str:
        if not self.loss:
            return f"no finished epoch{': ' + self.stopped if self.stopped else ''}"
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        text = f"{epochs}, loss {self.loss[0]:.4g} -> {self.loss[-1]:.4g}"
        if self.validation_score:
            text += f", validation {self.score_name} {self.validation_score[-1]:.4g}"
        return text + (f" ({self.stopped})" if self.stopped else "")
