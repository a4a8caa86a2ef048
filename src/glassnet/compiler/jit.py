"""From LLVM IR text to a function that Python can call, with a cache of compiled objects on disk.

Only code generation runs: LLVM's optimisation passes were measured to change nothing here and to cost more
than all the rest. ORC is used because an unresolved symbol is an error there and a crash in MCJIT.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glassnet.compiler._llvm_binding import binding, binding_version, code_triple, runtime_symbols
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.llvm import emit
from glassnet.compiler.loop_language import Function, Type
from glassnet.errors import UncompilableError

CACHE_LIMIT = 256 * 2**20  # bytes of objects kept on disk
_MAGIC = b"glassnet object 1\n"
_CTYPES = {"i64": ctypes.c_int64, "f32": ctypes.c_float, "f64": ctypes.c_double}
_engine_numbers = itertools.count()


@dataclass(frozen=True, slots=True, eq=False)
class NativeFunction:
    """A compiled function: its address, and a call that frees the interpreter lock while it runs.

    Pointers are passed as integers, the arena first. The code lives as long as this object.
    """

    name: str
    address: int
    call: Any
    keep_alive: tuple[Any, ...]
    from_cache: bool = False

    def __call__(self, *arguments: int | float) -> int | float | None:
        """Run it: addresses for pointers, numbers for scalars."""
        return self.call(*arguments)


def compile_function(function: Function, cpu: CPU | None = None) -> NativeFunction:
    """Native code for a function of the loop language, from the cache if it was compiled before.

    Args:
        function: what to compile; it is not verified here.
        cpu: the CPU to write for, the host by default.

    Raises:
        UncompilableError: no native code can be made here, or LLVM refuses it; the sentence has the reason.
    """
    cpu = host_cpu() if cpu is None else cpu
    pointers = [ctypes.c_void_p] * (len(function.pointers) + function.uses_arena)
    scalars = [_CTYPES[value.type.element] for value in function.arguments]
    image, from_cache = cached_object(emit(function, cpu), cpu)
    native = load(image, function.name, [*pointers, *scalars], function.result and function.result.type)
    return replace(native, from_cache=from_cache)


def compile_text(text: str, cpu: CPU, level: int = 1) -> bytes:
    """The object file for LLVM IR text; `level` is that of code generation, 0 to 3.

    Raises:
        UncompilableError: LLVM refuses the text; the sentence has its reason.
    """
    return _target_machine(cpu, level).emit_object(_module(text))


def assembly(text: str, cpu: CPU) -> str:
    """The instructions for LLVM IR text, as `compile_text` makes them, in the assembler's notation."""
    return _target_machine(cpu, 1).emit_assembly(_module(text))


def _module(text: str) -> Any:
    try:
        module = binding().parse_assembly(text)
        module.verify()
    except RuntimeError as error:
        raise UncompilableError(
            f"LLVM refuses the compiler's text: {' '.join(str(error).split())}."
        ) from error
    return module


def load(
    image: bytes, name: str, parameters: Sequence[Any] = (), result: Type | None = None
) -> NativeFunction:
    """A function of an object file, ready to be called with ctypes of `parameters`.

    Raises:
        UncompilableError: the object lacks the function or needs a symbol that does not exist.
    """
    llvm = binding()
    engine = llvm.create_lljit_compiler(_target_machine(host_cpu(), 1))
    library = llvm.JITLibraryBuilder().add_object_img(image).export_symbol(name)
    for symbol, address in runtime_symbols().items():
        library.import_symbol(symbol, address)
    try:
        tracker = library.link(engine, f"glassnet.{next(_engine_numbers)}")
    except RuntimeError as error:
        raise UncompilableError(f"{name} cannot be linked: {' '.join(str(error).split())}.") from error
    prototype = ctypes.CFUNCTYPE(None if result is None else _CTYPES[result.element], *parameters)
    return NativeFunction(name, tracker[name], prototype(tracker[name]), (tracker, engine))


def cached_object(text: str, cpu: CPU) -> tuple[bytes, bool]:
    """The object for LLVM IR text, and whether it was read from the cache."""
    return cached(text, cpu, lambda: compile_text(text, cpu))


def cached(key: str, cpu: CPU, make: Callable[[], bytes]) -> tuple[bytes, bool]:
    """What `make` makes, and whether it was read from the cache; else it is made and kept there.

    `key` is all that decides the result beside the CPU and LLVM. An entry that is damaged or not ours is made
    anew. A folder that cannot be written is no error.
    """
    folder = cache_folder()
    if folder is None:
        return make(), False
    path = folder / f"{_hash(key, cpu)}.object"
    content = _read(path)
    if content is not None:
        return content, True
    content = make()
    _write(path, content)
    return content, False


def cache_folder() -> Path | None:
    """Where compiled objects are kept, or None if GLASSNET_CACHE is "off".

    GLASSNET_CACHE_DIR names the folder; else it is `glassnet` in the platform's folder for caches.
    """
    if os.environ.get("GLASSNET_CACHE", "").lower() == "off":
        return None
    if named := os.environ.get("GLASSNET_CACHE_DIR"):
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "glassnet"


@functools.lru_cache(maxsize=8)
def _target_machine(cpu: CPU, level: int) -> Any:
    target = binding().Target.from_triple(code_triple(binding().get_process_triple()))
    return target.create_target_machine(cpu=cpu.name, features=cpu.feature_text, opt=level, jit=True)


def _hash(key: str, cpu: CPU) -> str:
    parts = (key, cpu.name, cpu.feature_text, binding_version())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    image = content[start:]
    whole = content[:start] == _MAGIC + hashlib.sha256(image).digest()
    return image if whole else None


def _write(path: Path, image: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(image).digest() + image)
        os.replace(temporary, path)
        _evict(path.parent)
    except OSError:
        return


@functools.cache
def _evict(folder: Path) -> None:
    """Remove the oldest objects beyond the limit; looked at once a process, at its first write."""
    entries = sorted((entry.stat().st_mtime, entry.stat().st_size, entry) for entry in folder.iterdir())
    excess = sum(size for _, size, _ in entries) - CACHE_LIMIT
    for _, size, entry in entries:
        if excess <= 0:
            return
        entry.unlink(missing_ok=True)
        excess -= size
