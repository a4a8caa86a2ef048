"""The model file: a zip archive with one JSON document and plain arrays, so that opening it runs no code.

    model.json              {"format": "glassnet model", "version": 1, "document": ..., "arrays": shapes}
    arrays/NAME.npy         one array each, NumPy's own format, little-endian, never pickled

Entries are stored, not compressed, with fixed dates: equal models are equal bytes, and a file can never
unpack into more than its own size. Every entry has a checksum, which reading verifies.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from glassnet.errors import ModelFileError
from glassnet.persist.atomic import write_atomically

_FORMAT = "glassnet model"
_VERSION = 1
_DOCUMENT = "model.json"
_ARRAY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
_DTYPES = frozenset(np.dtype(name) for name in ("<f4", "<f8", "<i4", "<i8", "|u1", "|b1"))
_DATE = (1980, 1, 1, 0, 0, 0)


def write_model_file(
    path: str | PathLike[str], document: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a document of JSON values and named arrays; the file is complete or not there at all.

    Raises `ModelFileError` for a value that is not finite, a type that the format does not hold, and a path
    that cannot be written; an existing file then stays as it was.

    >>> write_model_file("m.glass", {"kind": "example"}, {"w": np.zeros(3)})     # doctest: +SKIP
    """
    file = Path(path)
    if file.is_dir():
        raise ModelFileError(f"{file} is a folder; give the path of a file to save the model in.")
    arrays = {name: _storable(file, name, array) for name, array in sorted(arrays.items())}
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "document": document,
        "arrays": {name: list(array.shape) for name, array in arrays.items()},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(header, allow_nan=False, ensure_ascii=False, indent=1)
        archive.writestr(zipfile.ZipInfo(_DOCUMENT, _DATE), text.encode())
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(_entry_name(name), _DATE), entry.getvalue())
    try:
        write_atomically(file, buffer.getvalue())
    except OSError as error:
        raise ModelFileError(f"The model cannot be saved in {file}: {error.strerror or error}.") from error


def read_model_file(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The (document, arrays) of a model file, after every check that needs no knowledge of the model.

    Raises `ModelFileError` where there is no such file, it is not a model file, it is damaged, it comes from
    a newer format, or its arrays are not those that it lists, with their shapes and finite values.

    >>> document, arrays = read_model_file("m.glass")                 # doctest: +SKIP
    """
    file = Path(path)
    entries = _read_entries(file)
    header = _parse_header(file, entries.pop(_DOCUMENT))
    shapes: dict[str, list[int]] = header["arrays"]
    expected = {_entry_name(name) for name in shapes}
    for entry in sorted(expected ^ entries.keys()):
        lacks_or_has = "lacks" if entry in expected else "has"
        _damaged(file, f"it {lacks_or_has} the array {entry}, against its own list")
    return header["document"], {
        name: _parse_array(file, name, entries[_entry_name(name)], shape) for name, shape in shapes.items()
    }


def is_model_file(path: str | PathLike[str]) -> bool:
    """Whether the file looks like a model of any version, so that a new model may take its place."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _FORMAT.encode() in archive.read(_DOCUMENT)[:200]
    except (OSError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return False


def _entry_name(name: str) -> str:
    return f"arrays/{name}.npy"


def _storable(file: Path, name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    array = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    reason = None
    if not _ARRAY_NAME.fullmatch(name):
        reason = "its name may hold letters, digits, '_', '.' and '-' only"
    elif array.dtype not in _DTYPES:
        reason = f"its type {array.dtype} is none of {', '.join(sorted(d.name for d in _DTYPES))}"
    elif not np.isfinite(array).all():
        reason = "it holds values that are not finite"
    if reason:
        raise ModelFileError(f"The array {name!r} cannot be saved in {file}: {reason}.")
    return array


def _read_entries(file: Path) -> dict[str, bytes]:
    """Every entry of the archive, with its checksum verified by zipfile."""
    if file.is_dir():
        raise ModelFileError(f"{file} is a folder; give the path of one model file.")
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                raise ModelFileError(f"{file} is not a glassnet model file; give a file that glassnet saved.")
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                infos = archive.infolist()
                if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                    raise ModelFileError(f"{file} is a zip file but not a glassnet model file.")
                # NOTE: entries that overlap are how a small archive unpacks into a huge one.
                if sum(info.file_size for info in infos) > file.stat().st_size:
                    _damaged(file, "its entries claim more bytes than it has")
                entries = {info.filename: archive.read(info) for info in infos}
                if len(entries) < len(infos):
                    _damaged(file, "two of its entries have the same name")
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no file {file}; check the name and the folder.") from error
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise _damage(file, "a checksum or its table of contents is wrong") from error
    if _DOCUMENT not in entries:
        raise ModelFileError(f"{file} is a zip file but not a glassnet model file: it has no {_DOCUMENT}.")
    return entries


def _parse_header(file: Path, data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _damage(file, f"{_DOCUMENT} is not valid JSON") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ModelFileError(
            f"{file} is a zip file but not a glassnet model file: {_DOCUMENT} says otherwise."
        )
    version = header.get("version")
    if isinstance(version, int) and version > _VERSION:
        raise ModelFileError(
            f"{file} has the model format {version} and this glassnet reads up to {_VERSION}; "
            "upgrade with: pip install --upgrade glassnet"
        )
    if version != _VERSION or not all(isinstance(header.get(key), dict) for key in ("document", "arrays")):
        _damaged(file, f"{_DOCUMENT} lacks its version, document or arrays")
    if not all(_ARRAY_NAME.fullmatch(name) for name in header["arrays"]):
        _damaged(file, f"{_DOCUMENT} lists an array under a name that is not allowed")
    return header


def _parse_array(file: Path, name: str, data: bytes, shape: list[int]) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("unknown version of the array format")
        actual, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TypeError) as error:
        raise _damage(file, f"the array {name!r} cannot be read") from error
    # NOTE: np.load would trust the header's shape and allocate it before it looks at the data.
    body = data[stream.tell() :]
    if list(actual) != shape or fortran_order or dtype not in _DTYPES:
        _damaged(file, f"the array {name!r} has not the shape {shape} or a type that the format allows")
    if len(body) != dtype.itemsize * int(np.prod(actual, dtype=object)):
        _damaged(file, f"the array {name!r} has not as many values as its shape {shape} says")
    array = np.frombuffer(body, dtype).reshape(actual).copy()
    if not np.isfinite(array).all():
        _damaged(file, f"the array {name!r} holds values that are not finite")
    return array


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _damage(file: Path, reason: str) -> ModelFileError:
    return ModelFileError(f"{file} is damaged: {reason}; restore it from a copy or train the model again.")


def _damaged(file: Path, reason: str) -> NoReturn:
    raise _damage(file, reason)
