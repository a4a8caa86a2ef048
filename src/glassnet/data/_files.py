"""The first look at a data file: that it is there, can be read, and begins as its format begins."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from glassnet.errors import DataError


def require_file(path: str | PathLike[str], signature: bytes, format_name: str) -> Path:
    """The path of a file that begins with the bytes `signature`; DataError for anything else."""
    file = Path(path)
    if file.is_dir():
        raise DataError(f"{file} is a folder; give the path of one {format_name} file.")
    try:
        with file.open("rb") as stream:
            start = stream.read(len(signature))
    except FileNotFoundError as error:
        raise DataError(f"There is no file {file}; check the name and the folder.") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    if start != signature:
        what = f"begins with {start!r}" if start else "is empty"
        raise DataError(f"{file} {what} and so is no {format_name} file; give one, or write it again.")
    return file
