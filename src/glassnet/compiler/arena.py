"""The memory of a compiled program, and the way of arrays in and out of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from glassnet.compiler.loop_language import Buffer
from glassnet.compiler.passes.image_layout import ImageStorage
from glassnet.compiler.passes.layout import Storage
from glassnet.core.dtype import DType, NDArray
from glassnet.core.shape import Shape

_ALIGNMENT = 64
_DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64}


class Arena:
    """One aligned block of zeros; storages are views of it."""

    def __init__(self, size: int) -> None:
        raw = np.zeros(size + _ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        self._bytes = raw[start : start + size]
        self.address: int = raw.ctypes.data + start

    def view(self, storage: Storage) -> NDArray:
        """The storage's elements as a matrix (lines, length of a line), padding included."""
        flat = self.elements(storage.buffer)
        start = storage.start.constant
        end = start + (flat.size - start) // storage.line * storage.line
        return flat[start:end].reshape(-1, storage.line)

    def elements(self, buffer: Buffer) -> NDArray:
        """The elements of a buffer."""
        assert buffer.size is not None  # buffers of the arena have a size
        dtype = np.dtype(_DTYPES[buffer.element])
        return self._bytes[buffer.offset : buffer.offset + buffer.size * dtype.itemsize].view(dtype)

    def snapshot(self) -> NDArray:
        """A copy of all that is in it."""
        return self._bytes.copy()

    def restore(self, snapshot: NDArray) -> None:
        """Brings back what `snapshot` has put aside."""
        self._bytes[:] = snapshot

    def window(self, storage: Storage) -> NDArray:
        """The storage's elements as the matrix (rows, columns) that it stands for: a view, no padding."""
        rows, columns = storage.shape
        if storage.transposed or storage.column:
            return self.view(storage)[:columns, :rows].T
        return self.view(storage)[:rows, :columns]

    def write(self, storage: Storage, array: NDArray) -> None:
        """Copies an array into its storage."""
        self.writer(storage)(np.asarray(array))

    def writer(self, storage: Storage) -> Callable[[NDArray], None]:
        """What copies an array into its storage, time and again."""
        if isinstance(storage, ImageStorage):
            return partial(storage.write, self.elements(storage.buffer))
        window, shape = self.window(storage), storage.shape

        def write(array: NDArray) -> None:
            window[...] = array.reshape(shape)

        return write

    def read(self, storage: Storage, shape: Shape, dtype: DType | None = None) -> NDArray:
        """A copy of the array that a storage holds, as `dtype` where the storage has another."""
        return np.array(self.window(storage).reshape(shape), dtype, order="C")
