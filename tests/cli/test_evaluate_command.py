from __future__ import annotations

import re

import pytest


def test_accuracy_and_confusions_are_printed(command, model, flowers, folder):
    code, out, err = command("evaluate", model, flowers)
    assert (code, err) == (0, "")
    assert re.match(r"test        accuracy (9\d\.\d|100\.0)% on 90 rows, loss 0\.\d{4}\n", out)
    swapped = (folder / flowers).read_text().replace("elm", "_").replace("oak", "elm").replace("_", "oak")
    (folder / "swapped.csv").write_text(swapped)
    _, out, _ = command("evaluate", model, "swapped.csv")
    assert re.search(r"accuracy \d\.\d%", out)
    assert re.search(r"confused    (elm read as oak|oak read as elm): 4\d times", out)


def test_another_column_can_hold_the_answers(command, model, flowers, folder):
    renamed = (folder / flowers).read_text().replace("kind", "truth", 1)
    (folder / "renamed.csv").write_text(renamed)
    assert command("evaluate", model, "renamed.csv", "--target", "truth") == command(
        "evaluate", model, flowers
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("size,noise\n1,2\n", "new.csv has no column 'kind'; its columns are 'size', 'noise'"),
        ("size,noise,kind\n1,2,fir\n", "new.csv, column 'kind', row 1 (line 2) holds 'fir', which is none"),
        ("size,noise,kind\n1,2,\n", "new.csv, column 'kind', row 1 (line 2): the value is missing"),
    ],
)
def test_wrong_answers_are_one_sentence(command, model, folder, content, sentence):
    (folder / "new.csv").write_text(content)
    code, out, err = command("evaluate", model, "new.csv")
    assert (code, out) == (2, "")
    assert err.startswith(f"glassnet: {sentence}")
    assert err.count("\n") == 1
