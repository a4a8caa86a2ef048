"""What a run leaves behind as text and as a plot."""

from __future__ import annotations

import sys

import pytest

from glassnet.errors import ConfigurationError, MissingExtraError
from glassnet.train import History


def history(validation: bool = True, epochs: int = 3) -> History:
    made = History("accuracy")
    for epoch in range(1, epochs + 1):
        figures = {"loss": 1.0 / epoch, "f1": 0.5 * epoch}
        if validation:
            figures |= {"validation_loss": 2.0 / epoch, "validation_accuracy": 0.25 * epoch}
        made.add(figures, seconds=0.5, learning_rate=0.1)
    return made


def test_a_history_adds_up() -> None:
    made = history()
    assert made.epochs == 3
    assert made.loss == [1.0, 0.5, 1.0 / 3]
    assert made.validation_loss == [2.0, 1.0, 2.0 / 3]
    assert made.validation_score == [0.25, 0.5, 0.75]
    assert made.learning_rate == [0.1] * 3
    assert made.training_seconds == 1.5
    assert history(validation=False).validation_loss == history(validation=False).validation_score == []


def test_a_history_in_a_line() -> None:
    made = history()
    assert str(made) == "3 epochs, loss 1 -> 0.3333, validation accuracy 0.75"
    made.stopped = "Enough."
    assert str(made).endswith("0.75 (Enough.)")
    assert str(history(validation=False, epochs=1)) == "1 epoch, loss 1 -> 1"
    nothing = History("R2", stopped="Interrupted.")
    assert str(nothing) == "no finished epoch: Interrupted."


def test_the_plot_shows_losses_and_what_one_asks_for() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415 - an optional extra

    try:
        (losses,) = history().plot().axes
        lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in losses.lines}
        assert lines == {
            "loss": ([1, 2, 3], [1.0, 0.5, 1.0 / 3]),
            "validation loss": ([1, 2, 3], [2.0, 1.0, 2.0 / 3]),
        }
        left, right = history().plot("loss", "f1", "validation_accuracy").axes
        assert [line.get_label() for line in left.lines] == ["loss"]
        assert [line.get_label() for line in right.lines] == ["f1", "validation accuracy"]
        assert (left.get_xlabel(), left.get_ylabel()) == ("epoch", "loss")
    finally:
        pyplot.close("all")


def test_a_figure_that_was_not_measured_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="The history has no figure 'recall'; it has loss, f1, valid"
    ):
        history().plot("loss", "recall")


def test_without_matplotlib_the_plot_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'glassnet\[plots\]'") as caught:
        history().plot()
    assert str(caught.value).startswith(
        "A plot of the history needs the matplotlib package, which is not inst"
    )
