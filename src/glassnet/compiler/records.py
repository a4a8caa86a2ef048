"""Programs in the cache: an object file, and the record of where its arrays lie, kept under the graph itself.

What is found there needs no pass, no text and no code generation: a graph that was compiled before is ready
in some milliseconds.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from glassnet.compiler.cpu import CPU
from glassnet.compiler.jit import cached, compile_text
from glassnet.compiler.llvm import emit
from glassnet.compiler.loop_language import Buffer, Function
from glassnet.compiler.passes.image_layout import ImageStorage, Lanes
from glassnet.compiler.passes.layout import Storage

# a storage, and the elements that have to be written there before the first call
Constants = Sequence[tuple[Storage, list[float]]]


class Program(Protocol):
    """A program written for the first time: its loops, and the record of its memory, which is a dataclass."""

    loops: Function
    memory: Any


def cached_program(
    form: str, cpu: CPU, module: str, program: str, *arguments: Any
) -> tuple[dict[str, Any], bytes, bool]:
    """The record of a program as a document, its object, and whether they were read from the cache.

    `form` decides all that `program(*arguments)` of a module of the compiler makes. That module is loaded
    where there is something to write: it brings the passes and the lowering, two thirds of the compiler.
    """

    def write() -> bytes:
        written: Program = getattr(import_module(f"glassnet.compiler.{module}"), program)(*arguments)
        record = json.dumps(asdict(written.memory)).encode()
        image = compile_text(emit(written.loops, cpu), cpu)
        return len(record).to_bytes(8, "little") + record + image

    content, from_cache = cached(f"{sources_fingerprint()} {form}", cpu, write)
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:], from_cache


def storage_of(document: dict[str, Any]) -> Storage:
    """The storage of an input, an output or a constant that a record holds."""
    shape = (document["shape"][0], document["shape"][1])
    within = document["within"] and storage_of(document["within"])
    plain = {**document, "buffer": Buffer(**document["buffer"]), "shape": shape, "within": within}
    if "image" not in document:
        return Storage(**plain)
    image = document["image"]
    lanes = Lanes(Buffer(**image["buffer"]), image["start"], tuple(image["strides"]), tuple(image["extents"]))
    tuples = {name: tuple(document[name]) for name in ("margin", "axes", "whole")}
    return ImageStorage(**{**plain, **tuples, "image": lanes})


def constants_of(document: Sequence[Any]) -> Constants:
    """The constants that a record holds."""
    return [(storage_of(storage), values) for storage, values in document]


@functools.cache
def sources_fingerprint() -> str:
    """The state of glassnet's own sources: a program in the cache is as old as the compiler that wrote it."""
    root = Path(__file__).parent.parent
    files = sorted(path for part in ("compiler", "core", "ops") for path in (root / part).rglob("*.py"))
    return " ".join(f"{path.stem}:{(stat := path.stat()).st_size}:{stat.st_mtime_ns}" for path in files)
