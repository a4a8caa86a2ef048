from __future__ import annotations

import csv
import io

import pytest

import glassnet as gn
from glassnet.cli import predict as predict_command


def parse(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_predictions_are_plain_csv_with_a_probability_for_each_class(command, model, flowers):
    code, out, err = command("predict", model, flowers)
    rows = parse(out)
    assert code == 0
    assert err == "glassnet: note: the target column 'kind' is ignored.\n"
    assert list(rows[0]) == ["prediction", "probability_elm", "probability_oak"]
    assert len(rows) == 90
    for row in rows:
        assert float(row["probability_elm"]) + float(row["probability_oak"]) == pytest.approx(1.0, abs=1e-6)
        assert float(row[f"probability_{row['prediction']}"]) >= 0.5


def test_columns_may_come_in_any_order_and_the_output_in_a_file(command, model, folder):
    (folder / "new.csv").write_text("noise,size\n0,0.0\n0,1.0\n")
    assert command("predict", model, "new.csv", "--out", "predicted.csv") == (0, "", "")
    text = (folder / "predicted.csv").read_text()
    assert [row["prediction"] for row in parse(text)] == ["elm", "oak"]
    assert command("predict", model, "new.csv") == (0, text, "")


def test_the_digits_are_the_held_out_ones(command):
    command("train", "digits", "--hidden", "16", "--epochs", "2")
    code, out, _ = command("predict", "digits.glass", "digits")
    assert code == 0
    assert len(parse(out)) == 359
    assert list(parse(out)[0]) == ["prediction", *(f"probability_{k}" for k in range(10))]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("size\n1\n", "new.csv has no column 'noise'; its columns are 'size'"),
        ("size,noise,colour\n1,2,3\n", "new.csv has the column 'colour', which the model was not trained on"),
        ("size,noise\n1,\n", "new.csv, column 'noise', row 1 (line 2): the value is missing"),
        ("size,noise\n1,x\n", "new.csv, column 'noise', row 1 (line 2) holds the text 'x'"),
        ("size,noise\n", "new.csv has a header but no rows"),
    ],
)
def test_wrong_tables_are_one_sentence_and_write_nothing(command, model, folder, content, sentence):
    (folder / "new.csv").write_text(content)
    code, out, err = command("predict", model, "new.csv", "--out", "predicted.csv")
    assert (code, out) == (2, "")
    assert err.startswith(f"glassnet: {sentence}")
    assert err.count("\n") == 1
    assert not (folder / "predicted.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.glass", "flowers.csv"], "There is no file none.glass"),
        (["flowers.csv", "flowers.csv"], "flowers.csv is not a glassnet model file"),
        ([".", "flowers.csv"], ". is a folder"),
        (["flowers.glass", "none.csv"], "There is no file none.csv"),
        (["flowers.glass", "flowers.glass"], "flowers.glass is a binary file, not a table"),
        (
            ["flowers.glass", "flowers.csv", "--out", "flowers.csv"],
            "--out flowers.csv would overwrite an input",
        ),
        (
            ["flowers.glass", "flowers.csv", "--out", "flowers.glass"],
            "--out flowers.glass would overwrite an input",
        ),
        (
            ["flowers.glass", "flowers.csv", "--out", "none/p.csv"],
            "--out none/p.csv: there is no folder none",
        ),
    ],
)
def test_wrong_files_are_one_sentence(command, model, arguments, sentence):
    code, out, err = command("predict", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"glassnet: {sentence}")
    assert err.count("\n") == 1


def test_a_damaged_model_is_refused(command, model, flowers, folder):
    content = (folder / model).read_bytes()
    (folder / model).write_bytes(content[: len(content) // 2])
    code, _, err = command("predict", model, flowers)
    assert code == 2
    assert err.startswith("glassnet: flowers.glass is damaged")


def test_a_bare_network_is_refused_as_it_knows_no_columns(command, flowers):
    gn.Network([gn.Dense(1)], loss="mean_squared_error", input_shape=2).save("bare.glass")
    code, _, err = command("predict", "bare.glass", flowers)
    assert code == 2
    assert err.startswith("glassnet: bare.glass holds a bare network, which knows no column names")


def test_a_full_disk_is_one_sentence(command, model, flowers, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predict_command, "write_atomically", fail)
    code, _, err = command("predict", model, flowers, "--out", "p.csv")
    assert code == 2
    assert "--out p.csv cannot be written: No space left on device." in err
