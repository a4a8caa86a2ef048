from __future__ import annotations

import os
import subprocess
import sys

import pytest

from glassnet import __version__
from glassnet.cli import main
from glassnet.cli import train as train_command

MODULE = [sys.executable, "-m", "glassnet"]


def run_process(*arguments, **options):
    return subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=60, **options)


def test_version_and_help(command):
    assert command("--version") == (0, f"{__version__}\n", "")
    code, out, _ = command("--help")
    assert code == 0
    assert all(name in out for name in ("train", "predict", "evaluate", "glassnet train digits"))
    code, out, _ = command("train", "--help")
    assert code == 0
    assert all(option in out for option in ("--target", "--hidden", "--learning-rate", "--out"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["trian"], 'Unknown command "trian"'),
        (["train"], 'Command "train" parameter TABLE requires an argument'),
        (["train", "digits", "--epoch", "3"], "Unknown option: --epoch"),
        (["train", "digits", "--epochs", "three"], 'unable to convert "three" into int'),
        (["predict", "a", "b", "c"], "Unused Tokens: ['c']"),
    ],
)
def test_usage_errors_are_one_sentence_and_exit_code_2(command, arguments, part):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("glassnet: ")
    assert part in err
    assert err.count("\n") == 1


def test_an_interrupt_outside_training_is_one_line_and_exit_code_130(command, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "load_digits", interrupt)
    assert command("train", "digits") == (130, "", "glassnet: interrupted.\n")


def test_the_command_line_starts_without_the_compiler_and_the_table_reader():
    program = "import sys, glassnet.cli; print({'llvmlite', 'polars', 'sklearn', 'scipy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout == "set()\n"


def test_wrong_input_in_a_process_of_its_own_has_no_traceback():
    result = run_process("train", "none.csv", "--target", "y")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "glassnet: There is no file none.csv; check the name and the folder.\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_error_worth_words():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [*MODULE, "--version"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(writer)
    assert result.stderr == ""
    assert result.returncode in (1, 141)  # rich ends the process itself where it notices first


def test_names_that_the_terminal_cannot_show_do_not_stop_the_command(folder):
    result = run_process(
        "train", "größe.csv", "--target", "y", env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert result.returncode == 2
    assert result.stderr == "glassnet: There is no file gr\\xf6\\xdfe.csv; check the name and the folder.\n"


def test_main_returns_the_exit_code_of_the_command(folder):
    assert main(["evaluate", "none.glass", "digits"]) == 2
