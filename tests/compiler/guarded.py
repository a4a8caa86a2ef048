"""Memory between pages that must not be touched: an access outside it ends the process (on Linux)."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

from glassnet.compiler.arena import Arena


def guarded(size: int) -> np.ndarray:
    """`size` bytes that end where a page begins that must not be touched; another lies before them."""
    page = mmap.PAGESIZE
    inner = -(-size // page) * page
    pages = mmap.mmap(-1, inner + 2 * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    whole = np.frombuffer(pages, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    for forbidden in (0, page + inner):
        address = ctypes.c_void_p(whole.ctypes.data + forbidden)
        assert libc.mprotect(address, ctypes.c_size_t(page), 0) == 0
    return whole[page + inner - size : page + inner]


def guarded_copy(array: np.ndarray) -> np.ndarray:
    """The array in such memory."""
    copy = guarded(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class GuardedArena(Arena):
    """An arena in such memory."""

    def __init__(self, size: int) -> None:
        self._bytes = guarded(size)
        self.address = self._bytes.ctypes.data
