"""The one place that imports llvmlite: late, because it takes tens of milliseconds, and guarded."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from types import ModuleType
from typing import Any

STACK_PROBES = ("___chkstk_ms", "__chkstk")  # touch a stack's pages in order, on Windows: one has both names
_ARCHITECTURES = ("x86_64", "aarch64", "arm64")


@functools.cache
def _load() -> tuple[ModuleType | None, str | None]:
    """The binding and None, or None and the reason why there is no native code here."""
    try:
        llvm = importlib.import_module("llvmlite.binding")
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    except (ImportError, OSError, RuntimeError) as error:
        return (
            None,
            f"llvmlite cannot be used ({error}): reinstall it with `pip install --force-reinstall llvmlite`.",
        )
    architecture = llvm.get_process_triple().split("-")[0]
    if not architecture.startswith(_ARCHITECTURES):
        return None, f"the compiler writes no code for {architecture}, only for x86_64 and aarch64."
    if architecture == "x86_64" and not llvm.get_host_cpu_features().get("sse4.1"):
        return None, f"the CPU {llvm.get_host_cpu_name()} lacks SSE4.1, which compiled code needs."
    return llvm, None


def native_available() -> str | None:
    """None where native code can be made, else one sentence with the reason why not."""
    return _load()[1]


def binding() -> Any:
    """llvmlite's binding, ready for the host.

    Raises:
        ImportError: llvmlite does not work here (ask `native_available` first).
    """
    llvm, reason = _load()
    if llvm is None:
        raise ImportError(reason)
    return llvm


def code_triple(process: str) -> str:
    """The triple that code is generated for in a process of such a triple.

    NOTE: for Microsoft's environment LLVM gives every floating-point constant a symbol, and refers to one of
    the C runtime; its linker in memory finds neither. GNU's has the same calls and none of these symbols.
    Source: LLVM issue 40074.
    """
    return process.replace("-windows-msvc", "-windows-gnu")


def runtime_symbols() -> dict[str, int]:
    """Addresses of functions that generated code may call and the linker in memory does not find.

    On Windows functions with more than a page of locals need a stack probe.
    """
    if os.name != "nt":
        return {}
    address = ctypes.cast(ctypes.CDLL("ntdll")["__chkstk"], ctypes.c_void_p).value or 0
    return dict.fromkeys(STACK_PROBES, address)


def binding_version() -> str:
    """The versions of llvmlite and of the LLVM in it."""
    llvm = binding()
    return f"{importlib.import_module('llvmlite').__version__} with LLVM {llvm.llvm_version_info}"
