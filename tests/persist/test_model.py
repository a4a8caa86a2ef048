from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from glassnet.errors import ModelFileError
from glassnet.persist import is_model_file, load, read_model_file, register_kind, write_model_file

DOCUMENT = {"kind": "test", "names": ["ä", "b"], "depth": {"x": [1, 2.5, None, True]}}
ARRAYS = {
    "dense_1.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scale": np.array([1e-300, 2.0]),
    "count": np.array(3),
    "none": np.zeros((0, 4)),
}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.glass"
    write_model_file(path, DOCUMENT, ARRAYS)
    return path


def rewrite(path, compression=zipfile.ZIP_STORED, **changes):
    """Replace entries of the archive; None removes one. Names are written with "__" for "/"."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries |= {name.replace("__", "/"): data for name, data in changes.items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            if data is not None:
                archive.writestr(name, data)


def header_with(path, **changes):
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("model.json"))
    rewrite(path, **{"model.json": json.dumps(header | changes)})


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def test_what_is_written_is_read(model):
    document, arrays = read_model_file(model)
    assert document == DOCUMENT
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)
        assert arrays[name].flags.writeable


def test_layout_and_byte_order_do_not_change_the_values(tmp_path):
    transposed = np.arange(6.0).reshape(2, 3).T
    write_model_file(tmp_path / "m.glass", {}, {"t": transposed, "big": np.arange(3, dtype=">f8")})
    _, arrays = read_model_file(tmp_path / "m.glass")
    np.testing.assert_array_equal(arrays["t"], transposed)
    np.testing.assert_array_equal(arrays["big"], np.arange(3.0))


def test_equal_models_are_equal_bytes(model, tmp_path):
    write_model_file(tmp_path / "again.glass", DOCUMENT, dict(reversed(ARRAYS.items())))
    assert (tmp_path / "again.glass").read_bytes() == model.read_bytes()


def test_every_changed_byte_is_noticed_or_harmless(model, tmp_path):
    """Dates and attributes of entries may change unseen; the document and the arrays may not."""
    intact, changed = model.read_bytes(), tmp_path / "changed.glass"
    noticed = 0
    for position in range(0, len(intact), 3):
        changed.write_bytes(intact[:position] + bytes([intact[position] ^ 0x55]) + intact[position + 1 :])
        try:
            document, arrays = read_model_file(changed)
        except ModelFileError:
            noticed += 1
            continue
        assert document == DOCUMENT
        assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())
    assert noticed > len(intact) / 6


def test_every_truncated_file_is_refused(model, tmp_path):
    intact, short = model.read_bytes(), tmp_path / "short.glass"
    for length in range(0, len(intact), 7):
        short.write_bytes(intact[:length])
        with pytest.raises(ModelFileError):
            read_model_file(short)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a glassnet model file"),
        (b"a,b\n1,2\n", "is not a glassnet model file"),
        (pickle.dumps({"kind": "test"}), "is not a glassnet model file"),
        (b"PK\x03\x04 and then nonsense", "is damaged: a checksum or its table of contents is wrong"),
    ],
)
def test_other_files_are_refused(tmp_path, content, sentence):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ModelFileError, match=sentence):
        read_model_file(tmp_path / "f")
    assert not is_model_file(tmp_path / "f")


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"^There is no file"):
        read_model_file(tmp_path / "none")
    with pytest.raises(ModelFileError, match="is a folder"):
        read_model_file(tmp_path)
    with pytest.raises(ModelFileError, match="is a folder"):
        write_model_file(tmp_path, {}, {})
    assert not is_model_file(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arrays__count.npy": None}, "lacks the array arrays/count.npy"),
        ({"arrays__extra.npy": b""}, "has the array arrays/extra.npy"),
        ({"../evil": b""}, r"has the array \.\./evil"),
        ({"model.json": None}, "it has no model.json"),
        ({"model.json": b"{"}, "model.json is not valid JSON"),
        ({"model.json": b"[" * 100_000}, "model.json is not valid JSON"),
        ({"model.json": b'{"format": NaN}'}, "model.json is not valid JSON"),
        ({"model.json": b"[]"}, "not a glassnet model file: model.json says otherwise"),
        ({"arrays__scale.npy": npy(np.zeros(3))}, r"'scale' has the shape \[3\] where \[2\] is listed"),
        ({"arrays__scale.npy": npy(np.array([1.0, np.nan]))}, "'scale' holds values that are not finite"),
        (
            {"arrays__scale.npy": npy(np.array([1, "x"], dtype=object))},
            "type object or its order is not allowed",
        ),
        ({"arrays__scale.npy": npy(np.zeros(2))[:-1]}, "has not as many values as its shape"),
        ({"arrays__scale.npy": npy(np.zeros(2)).replace(b"}", b" ")}, "its header is malformed"),
        ({"arrays__scale.npy": b"nonsense"}, "'scale' cannot be read"),
    ],
)
def test_archives_that_glassnet_did_not_write_are_refused(model, changes, sentence):
    rewrite(model, **changes)
    with pytest.raises(ModelFileError, match=sentence):
        read_model_file(model)


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_made(model):
    header = npy(np.zeros(2)).replace(b"(2,), }           ", b"(200000000000,), }")
    rewrite(model, **{"arrays__scale.npy": header})
    with pytest.raises(ModelFileError, match="has not as many values as its shape"):
        read_model_file(model)


def test_compressed_archives_are_refused_so_that_none_can_explode(model):
    rewrite(model, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match="is a zip file but not a glassnet model file"):
        read_model_file(model)


def test_a_newer_format_says_how_to_upgrade(model):
    header_with(model, version=2)
    with pytest.raises(ModelFileError, match=r"model format 2 .* pip install --upgrade glassnet"):
        read_model_file(model)
    assert is_model_file(model)


@pytest.mark.parametrize(
    "changes", [{"version": "1"}, {"arrays": []}, {"document": 1}, {"arrays": {"a/b": [1]}}]
)
def test_a_header_without_its_parts_is_refused(model, changes):
    header_with(model, **changes)
    with pytest.raises(ModelFileError, match=r"is damaged: model.json l"):
        read_model_file(model)


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("a/b", np.zeros(1), "its name may hold"),
        ("text", np.array(["x"]), "its type <U1 is none of"),
        ("object", np.array([None]), "its type object is none of"),
        ("w", np.array([np.inf]), "holds values that are not finite"),
    ],
)
def test_what_the_format_does_not_hold_is_refused_and_the_old_file_stays(model, name, array, sentence):
    before = model.read_bytes()
    with pytest.raises(ModelFileError, match=sentence):
        write_model_file(model, {}, {name: array})
    assert model.read_bytes() == before


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"cannot be saved in .*none.*: No such file or directory"):
        write_model_file(tmp_path / "none" / "m.glass", {}, {})


def test_load_hands_the_file_to_the_loader_of_its_kind(model):
    register_kind("test", lambda document, arrays: (document["names"], arrays["count"].item()))
    assert load(model) == (["ä", "b"], 3)


def test_load_refuses_an_unknown_kind_and_a_document_that_its_loader_cannot_follow(model, tmp_path):
    register_kind("test", lambda document, arrays: document["absent"])
    with pytest.raises(ModelFileError, match=r"cannot follow .KeyError: 'absent'."):
        load(model)
    write_model_file(tmp_path / "other.glass", {"kind": "unheard of"}, {})
    with pytest.raises(ModelFileError, match="kind 'unheard of', which this glassnet does not know"):
        load(tmp_path / "other.glass")
