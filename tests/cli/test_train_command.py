from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glassnet.persist import load, write_model_file
from glassnet.train import course
from glassnet.train.training import TrainingProgram

QUICK = ("--hidden", "8", "--epochs", "3")


def position(text, *parts):
    """The parts occur in this order."""
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_digits_are_learnt_and_the_report_has_its_order(command, folder):
    code, out, err = command("train", "digits", "--epochs", "20")
    assert (code, err) == (0, "")
    assert position(
        out,
        "digits: 1,797 rows, 64 features",
        "classification into 10 classes",
        "1,295 rows to train, 143 to validate, 359 held out to test",
        "Dense(128, relu)",
        "17,226",  # 65 * 128 + 129 * 64 + 65 * 10
        "certified on 16 examples",
        "epoch 20/20",
        "test        accuracy 9",
        "read as",
        "saved       digits.glass",
        "glassnet evaluate digits.glass digits",
        "glassnet predict digits.glass digits",
    )
    assert float(re.search(r"accuracy ([\d.]+)% on 359 rows", out)[1]) >= 97.0
    assert float(re.search(r"at\s+most\s+([\d.e-]+)", out)[1]) < 1e-4
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert [path.name for path in folder.iterdir()] == ["digits.glass"]


def test_the_next_commands_work_as_printed(command):
    _, out, _ = command("train", "digits", *QUICK, "--out", "my model.glass")
    commands = re.findall(r"glassnet (evaluate|predict) 'my model.glass' digits", out)
    assert commands == ["evaluate", "predict"]
    for name in commands:
        code, out, _ = command(name, "my model.glass", "digits")
        assert code == 0
        assert out


def test_a_table_of_quantities_is_a_regression(command, folder):
    rows = "\n".join(f"{i},{i % 7},{0.5 * i + 3}" for i in range(60))
    (folder / "houses.csv").write_text(f"area,rooms,price\n{rows}\n")
    code, out, _ = command("train", "houses.csv", "--target", "price", "--hidden", "16", "--epochs", "150")
    assert code == 0
    assert "price: regression, as it holds numbers with fractions" in out
    assert float(re.search(r"R2 ([\d.]+), mean absolute error", out)[1]) > 0.9
    assert "validation R2" in out


def test_another_column_of_the_digits_can_be_the_target(command):
    code, out, _ = command("train", "digits", "--target", "pixel_2_3", *QUICK)
    assert code == 0
    assert "pixel_2_3: classification into 17 classes" in out
    assert "▀" not in out


def test_constant_columns_are_named(command, folder):
    rows = "\n".join(f"{i},5,{i % 2}" for i in range(30))
    (folder / "t.csv").write_text(f"x,fixed,y\n{rows}\n")
    _, out, _ = command("train", "t.csv", "--target", "y", *QUICK)
    assert "constant, so not scaled: fixed\n" in out


def test_equal_seeds_give_equal_files(command, flowers, folder):
    for name in ("a.glass", "b.glass"):
        assert command("train", flowers, "--target", "kind", *QUICK, "--seed", "5", "--out", name)[0] == 0
    assert (folder / "a.glass").read_bytes() == (folder / "b.glass").read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "--target is missing: name the column of flowers.csv to predict, one of size, noise, kind."),
        (
            ["--target", "knd"],
            "flowers.csv has no column 'knd'; its columns are 'size', 'noise', 'kind'; did you",
        ),
        (["--target", "size"], "flowers.csv, column 'kind', row 1 (line 2) holds the text 'elm'"),
        (["--target", "kind", "--hidden", "8,x"], "--hidden 8,x is not a list of widths"),
        (["--target", "kind", "--hidden", "8,0"], "The hidden widths are 8,0"),
        (["--target", "kind", "--activation", "rel"], "activation='rel'; it takes one of identity, sigmoid"),
        (["--target", "kind", "--epochs", "0"], "The number of epochs is 0"),
        (["--target", "kind", "--batch-size", "0"], "The batch size is 0"),
        (["--target", "kind", "--learning-rate", "nan"], "learning_rate=nan"),
        (["--target", "kind", "--learning-rate", "0"], "learning_rate=0.0"),
        (["--target", "kind", "--optimizer", "adm"], "'adm' is not one of"),
        (["--target", "kind", "--out", "none/m.glass"], "there is no folder none"),
        (["--target", "kind", "--out", "."], "--out . is a folder"),
        (["--target", "kind", "--out", "flowers.csv"], "flowers.csv exists and is not a glassnet model"),
    ],
)
def test_wrong_options_are_one_sentence_and_write_nothing(command, flowers, folder, options, sentence):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, _, err = command("train", flowers, *options)
    assert code == 2
    assert err.startswith("glassnet: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "content", ["", "a,y\n", "a,y\n1,2,3\n", "a,a\n1,2\n", "a,y\n1,\n", "a,y\n1,0\n2,1\n", "\0"]
)
def test_wrong_tables_are_one_sentence_and_write_nothing(command, folder, content):
    (folder / "t.csv").write_text(content)
    code, out, err = command("train", "t.csv", "--target", "y")
    assert (code, out) == (2, "")
    assert err.startswith("glassnet: t.csv")
    assert err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["t.csv"]


def test_a_model_is_replaced_silently(command, flowers, folder):
    write_model_file("flowers.glass", {"kind": "old"}, {})
    assert command("train", flowers, "--target", "kind", *QUICK)[0] == 0
    assert load("flowers.glass").target == "kind"


def test_divergence_is_one_sentence_and_saves_nothing(command, folder):
    rows = "\n".join(f"{i},{i / 7}" for i in range(60))
    (folder / "t.csv").write_text(f"x,y\n{rows}\n")
    code, _, err = command("train", "t.csv", "--target", "y", "--optimizer", "sgd", "--learning-rate", "1e30")
    assert code == 2
    assert err.startswith("glassnet: The loss became")
    assert not (folder / "t.glass").exists()


def interrupt_in_epoch(monkeypatch, number):
    run_epoch, calls = TrainingProgram.run_epoch, []

    def interrupted(program):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return run_epoch(program)

    monkeypatch.setattr(TrainingProgram, "run_epoch", interrupted)
    monkeypatch.setattr(course, "_MOST_EPOCHS", 1)  # every one in a call of its own


def test_an_interrupt_saves_the_model_of_the_last_finished_epoch(command, flowers, folder, monkeypatch):
    command("train", flowers, "--target", "kind", "--hidden", "8", "--epochs", "2", "--out", "two.glass")
    interrupt_in_epoch(monkeypatch, 3)
    code, out, err = command("train", flowers, "--target", "kind", "--hidden", "8", "--epochs", "9")
    assert (code, err) == (130, "")
    assert "Interrupted: the parameters after epoch 2 of 9 are kept." in out
    assert "flowers.glass, the model of epoch 2\n" in out
    assert (folder / "flowers.glass").read_bytes() == (folder / "two.glass").read_bytes()


def test_an_interrupt_before_the_first_epoch_writes_nothing(command, flowers, folder, monkeypatch):
    interrupt_in_epoch(monkeypatch, 1)
    code, out, _ = command("train", flowers, "--target", "kind", *QUICK)
    assert code == 130
    assert "nothing, as no epoch was finished\n" in out
    assert not (folder / "flowers.glass").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT as a terminal does")
def test_control_c_in_a_real_process_saves_a_model_that_loads(folder):
    arguments = ["train", "digits", "--hidden", "8", "--epochs", "1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "glassnet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if line.startswith("epoch 1/"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "")
    assert "Interrupted" in out
    assert load(Path("digits.glass")).target == "digit"
