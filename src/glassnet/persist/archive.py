"""Named entries of bytes in a zip file that is safe to open, and arrays as bytes.

Entries are stored, not compressed, with fixed dates: equal contents are equal bytes, and a file can never
unpack into more than its own size. Every entry has a checksum, which reading verifies.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from glassnet.errors import ModelFileError

DTYPES = frozenset(np.dtype(name) for name in ("<f4", "<f8", "<i4", "<i8", "|u1", "|b1"))
_DATE = (1980, 1, 1, 0, 0, 0)


def damage(file: Path, reason: str) -> ModelFileError:
    """The error for a file that was a model once; `reason` says what is wrong with it."""
    return ModelFileError(f"{file} is damaged: {reason}; restore it from a copy or train the model again.")


def pack(entries: dict[str, bytes]) -> bytes:
    """The bytes of an archive of the entries, in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return buffer.getvalue()


def unpack(file: Path) -> dict[str, bytes]:
    """The entries of an archive with their checksums verified; `ModelFileError` for every other file."""
    if file.is_dir():
        raise ModelFileError(f"{file} is a folder; give the path of one model file.")
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                raise ModelFileError(f"{file} is not a glassnet model file; give a file that glassnet saved.")
            with zipfile.ZipFile(stream) as archive:
                return _read_entries(file, archive)
    except ModelFileError:  # it is a ValueError itself, which the last clause would catch
        raise
    except FileNotFoundError as error:
        raise ModelFileError(f"There is no file {file}; check the name and the folder.") from error
    except OSError as error:
        raise ModelFileError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise damage(file, "a checksum or its table of contents is wrong") from error


def _read_entries(file: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise ModelFileError(f"{file} is a zip file but not a glassnet model file.")
    # NOTE: entries that overlap are how a small archive unpacks into a huge one.
    if sum(info.file_size for info in infos) > file.stat().st_size:
        raise damage(file, "its entries claim more bytes than it has")
    entries = {info.filename: archive.read(info) for info in infos}
    if len(entries) < len(infos):
        raise damage(file, "two of its entries have the same name")
    return entries


def array_to_bytes(array: np.ndarray) -> bytes:
    """A C-contiguous array of one of `DTYPES` in NumPy's own format."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def array_from_bytes(data: bytes) -> np.ndarray:
    """The array in bytes of NumPy's own format; `ValueError` for whatever `array_to_bytes` does not make."""
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("it has an unknown version of the array format")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # NumPy passes on whatever Python's tokenizer and parser raise
        raise ValueError("its header is malformed") from error
    if fortran_order or dtype not in DTYPES:
        raise ValueError(f"its type {dtype} or its order is not allowed")
    # NOTE: np.load would trust the header's shape and allocate it before it looks at the data.
    body = data[stream.tell() :]
    if len(body) != dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise ValueError(f"it has not as many values as its shape {shape} says")
    return np.frombuffer(body, dtype).reshape(shape).copy()
