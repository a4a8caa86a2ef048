"""Files that are either complete or not there: nobody ever reads half of one, not even after a power cut."""

from __future__ import annotations

import os
import secrets
from os import PathLike
from pathlib import Path


def write_atomically(path: str | PathLike[str], data: bytes) -> None:
    """Write `data` to `path` so that the old content, if any, stays until the new one is complete.

    A temporary file in the same folder is written, flushed to the disk and renamed; a link is followed.
    Raises `OSError` as `open` does and then leaves neither a temporary nor a changed file.

    >>> write_atomically("predictions.csv", b"prediction")
    >>> Path("predictions.csv").read_bytes()
    b'prediction'
    """
    target = Path(path).resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Make the new name itself durable; only POSIX systems can open a folder to do so."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
