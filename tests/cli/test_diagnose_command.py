from __future__ import annotations


def test_a_good_model_gets_one_sentence_and_the_table_of_layers(command, model, flowers):
    code, out, err = command("diagnose", model, flowers)
    assert (code, err) == (0, "")
    assert out.startswith("Nothing wrong is seen in this network on 90 rows.\n")
    assert "dense_1" in out


def test_wrong_labels_are_reported(command, model, flowers, folder):
    lines = (folder / flowers).read_text().splitlines()
    for row in range(1, len(lines), 8):
        size, noise, kind = lines[row].split(",")
        lines[row] = f"{size},{noise},{'elm' if kind == 'oak' else 'oak'}"
    (folder / "flipped.csv").write_text("\n".join([*lines, ""]))
    code, out, _ = command("diagnose", model, "flipped.csv")
    assert code == 0
    assert "mislabelled_rows" in out


def test_a_missing_column_is_one_sentence(command, model, folder):
    (folder / "new.csv").write_text("size,kind\n1,elm\n")
    code, out, err = command("diagnose", model, "new.csv")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
