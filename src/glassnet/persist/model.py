"""The model file: one JSON document and plain arrays, so that opening it runs no code.

    model.json              {"format": "glassnet model", "version": 1, "document": ..., "arrays": shapes}
    arrays/NAME.npy         one array each, little-endian, never pickled

The document's "kind" names the loader that makes a model of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from glassnet.errors import ModelFileError
from glassnet.persist.archive import DTYPES, array_from_bytes, array_to_bytes, damage, pack, unpack
from glassnet.persist.atomic import write_atomically

Loader = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]

_FORMAT = "glassnet model"
_VERSION = 1
_DOCUMENT = "model.json"
_ARRAY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
# NOTE by name: they stand above this package, and are loaded when a file asks for them
_MODULES = {"network": "glassnet.network", "tabular": "glassnet.estimators.tabular"}
_loaders: dict[str, Loader] = {}


def register_kind(name: str, loader: Loader) -> None:
    """Let `load` rebuild documents whose "kind" is `name` by `loader(document, arrays)`."""
    _loaders[name] = loader


def load(path: str | PathLike[str]) -> Any:
    """The model in a file, of whichever kind its document names.

    Raises `ModelFileError` for a file that is not a model, is damaged, or holds a kind that is not known.

    >>> gn.Network([gn.Dense(1)], loss="mean_squared_error", input_shape=2).save("m.glass")
    >>> load("m.glass").input_shape
    (2,)
    """
    document, arrays = read_model_file(path)
    kind = document.get("kind")
    if kind in _MODULES:
        import_module(_MODULES[kind])
    if not isinstance(kind, str) or kind not in _loaders:
        raise ModelFileError(
            f"{path} holds a model of the kind {kind!r}, which this glassnet does not know; "
            f"it knows {', '.join(sorted(_loaders)) or 'none'}."
        )
    try:
        return _loaders[kind](document, arrays)
    except ModelFileError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"{path} describes its model in a way that this glassnet cannot follow "
            f"({type(error).__name__}: {error}); it was altered or written by another version: save it again."
        ) from error


def write_model_file(
    path: str | PathLike[str], document: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a document of JSON values and named arrays; the file is complete or not there at all.

    Raises `ModelFileError` for a value that is not finite, a type that the format does not hold, and a path
    that cannot be written; an existing file then stays as it was.

    >>> write_model_file("m.glass", {"kind": "example"}, {"w": np.zeros(3)})
    >>> is_model_file("m.glass")
    True
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
    text = json.dumps(header, allow_nan=False, ensure_ascii=False, indent=1)
    entries = {_entry_name(name): array_to_bytes(array) for name, array in arrays.items()}
    try:
        write_atomically(file, pack({_DOCUMENT: text.encode()} | entries))
    except OSError as error:
        raise ModelFileError(f"The model cannot be saved in {file}: {error.strerror or error}.") from error


def read_model_file(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The (document, arrays) of a model file, after every check that needs no knowledge of the model.

    Raises `ModelFileError` where there is no such file, it is not a model file, it is damaged, it comes from
    a newer format, or its arrays are not those that it lists, with their shapes and finite values.

    >>> write_model_file("m.glass", {"kind": "example"}, {"w": np.zeros(2)})
    >>> read_model_file("m.glass")
    ({'kind': 'example'}, {'w': array([0., 0.])})
    """
    file = Path(path)
    entries = unpack(file)
    if _DOCUMENT not in entries:
        raise ModelFileError(f"{file} is a zip file but not a glassnet model file: it has no {_DOCUMENT}.")
    header = _parse_header(file, entries.pop(_DOCUMENT))
    expected = {_entry_name(name) for name in header["arrays"]}
    for entry in sorted(expected ^ entries.keys()):
        lacks_or_has = "lacks" if entry in expected else "has"
        raise damage(file, f"it {lacks_or_has} the array {entry}, against its own list")
    return header["document"], {
        name: _parse_array(file, name, entries[_entry_name(name)], shape)
        for name, shape in header["arrays"].items()
    }


def is_model_file(path: str | PathLike[str]) -> bool:
    """Whether the file is a model of this or a newer format, so that a new model may take its place."""
    try:
        return f'"format": "{_FORMAT}"'.encode() in unpack(Path(path)).get(_DOCUMENT, b"")
    except ModelFileError:
        return False


def _entry_name(name: str) -> str:
    return f"arrays/{name}.npy"


def _storable(file: Path, name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    array = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    reason = None
    if not _ARRAY_NAME.fullmatch(name):
        reason = "its name may hold letters, digits, '_', '.' and '-' only"
    elif array.dtype not in DTYPES:
        reason = f"its type {array.dtype} is none of {', '.join(sorted(d.name for d in DTYPES))}"
    elif not np.isfinite(array).all():
        reason = "it holds values that are not finite"
    if reason:
        raise ModelFileError(f"The array {name!r} cannot be saved in {file}: {reason}.")
    return array


def _parse_header(file: Path, data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise damage(file, f"{_DOCUMENT} is not valid JSON") from error
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
        raise damage(file, f"{_DOCUMENT} lacks its version, document or arrays")
    if not all(_ARRAY_NAME.fullmatch(name) for name in header["arrays"]):
        raise damage(file, f"{_DOCUMENT} lists an array under a name that is not allowed")
    return header


def _parse_array(file: Path, name: str, data: bytes, shape: Any) -> np.ndarray:
    try:
        array = array_from_bytes(data)
    except ValueError as error:
        raise damage(file, f"the array {name!r} cannot be read, as {error}") from error
    if list(array.shape) != shape:
        raise damage(file, f"the array {name!r} has the shape {list(array.shape)} where {shape} is listed")
    if not np.isfinite(array).all():
        raise damage(file, f"the array {name!r} holds values that are not finite")
    return array


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
