"""How types, constants and tables are written in LLVM's language."""

from __future__ import annotations

import ctypes
import functools
import struct

from glassnet.compiler.loop_language import Buffer, Constant, Type

ELEMENTS = {"f32": "float", "f64": "double", "i1": "i1", "i32": "i32", "i64": "i64"}


@functools.lru_cache(maxsize=256)
def type_text(type: Type) -> str:
    """A type."""
    element = ELEMENTS[type.element]
    return element if type.lanes == 1 else f"<{type.lanes} x {element}>"


def suffix(type: Type) -> str:
    """A type at the end of an intrinsic's name."""
    return type.element if type.lanes == 1 else f"v{type.lanes}{type.element}"


@functools.cache
def mask_text(valid: int, lanes: int) -> str:
    """The mask that holds in the first `valid` lanes."""
    return f"<{lanes} x i1> <{', '.join(f'i1 {int(lane < valid)}' for lane in range(lanes))}>"


def number_text(element: str, value: int | float) -> str:
    """One number; of a float its bits."""
    if element not in ("f32", "f64"):
        return str(int(value))
    rounded = ctypes.c_float(value).value if element == "f32" else value
    return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"


@functools.lru_cache(maxsize=4096)
def constant_text(constant: Constant) -> str:
    """A number in every lane."""
    type, number = constant.type, number_text(constant.type.element, constant.value)
    if type.lanes == 1:
        return number
    if number in ("0", "0x0000000000000000"):
        return "zeroinitializer"
    return f"splat ({ELEMENTS[type.element]} {number})"


def table_text(buffer: Buffer) -> str:
    """The definition of a table of constants."""
    element = ELEMENTS[buffer.element]
    content = ", ".join(f"{element} {number_text(buffer.element, number)}" for number in buffer.content)
    return f"@{buffer.name} = private constant [{buffer.size} x {element}] [{content}], align 64"


def iota_text(type: Type) -> str:
    """The vector 0, 1, 2, ..."""
    element = ELEMENTS[type.element]
    return f"<{', '.join(f'{element} {number_text(type.element, lane)}' for lane in range(type.lanes))}>"
