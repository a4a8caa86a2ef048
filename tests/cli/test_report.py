from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from glassnet.cli.report import show_certificate, show_fact, show_images
from glassnet.train.events import EpochFinished, RunFinished, RunStarted
from glassnet.train.inspection import Certificate
from glassnet.train.progress import ProgressBar

CHECKER = np.array([[[16, 0], [0, 16], [16, 16], [0, 0]]])


class Stream(io.StringIO):
    def __init__(self, encoding):
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding


def printed(show, *arguments, encoding="utf-8", **options):
    console = Console(file=Stream(encoding), width=40, **options)
    show(console, *arguments)
    return console.file.getvalue()


def test_a_long_fact_goes_on_below_itself_and_one_to_copy_stays_whole():
    text = printed(show_fact, "data", "word " * 10)
    assert text == "data        word word word word word\n            word word word word word\n"
    assert printed(lambda console: show_fact(console, "next", "x " * 40, wrap=False)).count("\n") == 1


def test_pictures_put_two_pixels_in_a_cell():
    assert printed(show_images, CHECKER, ["1 read as 7"]).split("\n")[1:4] == [
        "▀▄         ",
        "▀▀         ",
        "1 read as 7",
    ]


def test_pictures_are_grey_where_there_is_colour_and_left_out_where_there_are_no_blocks():
    coloured = printed(show_images, CHECKER, [""], force_terminal=True, color_system="truecolor")
    assert "\x1b[38;2;255;255;255;48;2;0;0;0m▀" in coloured
    plain = printed(show_images, CHECKER, [""], force_terminal=True, color_system="truecolor", no_color=True)
    assert plain.split("\n")[1].startswith("▀▄")
    assert printed(show_images, CHECKER, [""], encoding="ascii") == ""
    assert printed(show_images, CHECKER[:0], []) == ""


@pytest.mark.parametrize(
    ("error", "verdict"), [(3e-7, "certified on"), (0.05, "NOT certified on"), (np.nan, "NOT")]
)
def test_a_gradient_that_is_wrong_is_not_called_certified(error, verdict):
    text = printed(show_certificate, Certificate(error, "dense_1.bias", 16, 24, "compiled"))
    assert text.startswith(f"gradient    {verdict}")
    assert "dense_1.bias" in text


def run_events(progress, score_name="accuracy", stopped=None, **started):
    details = {"engine": "compiled", "compile_seconds": 0.084, "from_cache": False} | started
    progress(RunStarted(epochs=40, steps_per_epoch=3, **details))
    for epoch in range(1, 41):
        progress(EpochFinished(epoch, 40, 1 / epoch, 0.5, 0.9786, score_name, 1e-3))
    progress(RunFinished(40, 0.0021, stopped))


def test_a_pipe_gets_a_few_plain_lines():
    console = Console(file=io.StringIO(), width=80)
    with ProgressBar(console) as progress:
        run_events(progress)
    assert console.file.getvalue().splitlines() == [
        "compiled in 84 ms",
        "epoch 1/40  loss 1  validation accuracy 97.9%",
        "epoch 10/40  loss 0.1  validation accuracy 97.9%",
        "epoch 20/40  loss 0.05  validation accuracy 97.9%",
        "epoch 30/40  loss 0.03333  validation accuracy 97.9%",
        "epoch 40/40  loss 0.025  validation accuracy 97.9%",
        "trained 40 epochs in 2.1 ms",
    ]


def test_a_terminal_gets_a_bar_that_ends_full_and_gives_the_cursor_back():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with ProgressBar(console) as progress:
        run_events(progress, "R2", "Interrupted [in] epoch 7.")
    text = console.file.getvalue()
    assert "epoch 40/40" in text
    assert "loss 0.025  validation R2 0.979" in text
    assert "Interrupted [in] epoch 7." in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_an_error_in_the_run_gives_the_cursor_back_too():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)

    def fail():
        with ProgressBar(console) as progress:
            progress(RunStarted(4, 3, "compiled", 0.1, False))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    text = console.file.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("started", "line"),
    [
        ({"from_cache": True, "compile_seconds": 0.002}, "native code taken from the cache in 2.0 ms"),
        ({"compile_seconds": 1.25}, "compiled in 1.2 s"),
        (
            {"engine": "interpreter", "reason": "no [native] target"},
            "not compiled, runs in the interpreter: no [native] target",
        ),
    ],
)
def test_how_the_program_was_made_ready_is_said(started, line):
    console = Console(file=io.StringIO(), width=80)
    run_events(ProgressBar(console), **started)
    assert console.file.getvalue().splitlines()[0] == line
