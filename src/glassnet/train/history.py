"""What a run leaves behind: one value an epoch, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """Losses are means over the instances of an epoch; the score is accuracy or R2 on the validation rows.

    The training loss of an epoch is gathered while the parameters change; the validation loss is measured
    at its end. `stopped` is None, or one sentence that says why the run ended early.

    >>> history = History("accuracy")
    >>> history.add(0.5, 0.001, (0.4, 0.9))
    >>> print(history)
    1 epoch, loss 0.5 -> 0.5, validation accuracy 0.9
    """

    score_name: str
    loss: list[float] = field(default_factory=list[float])
    validation_loss: list[float] = field(default_factory=list[float])
    validation_score: list[float] = field(default_factory=list[float])
    stopped: str | None = None
    engine: str = "compiled"
    compile_seconds: float = 0.0
    training_seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.loss)

    def add(self, loss: float, seconds: float, validation: tuple[float, float] | None) -> None:
        """One more finished epoch; `validation` is the loss and the score on the validation rows."""
        self.loss.append(loss)
        self.training_seconds += seconds
        if validation:
            self.validation_loss.append(validation[0])
            self.validation_score.append(validation[1])

    def __str__(self) -> str:
        if not self.loss:
            return f"no finished epoch{': ' + self.stopped if self.stopped else ''}"
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        text = f"{epochs}, loss {self.loss[0]:.4g} -> {self.loss[-1]:.4g}"
        if self.validation_score:
            text += f", validation {self.score_name} {self.validation_score[-1]:.4g}"
        return text + (f" ({self.stopped})" if self.stopped else "")
