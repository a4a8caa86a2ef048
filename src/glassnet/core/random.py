"""Random numbers as a pure function of (seed, stream, step, index): Philox4x32 with 10 rounds.

Nothing here has a state, so a shuffle, an initial weight or a dropout mask is the same before and after a
resume, for any number of threads, and in the compiled program, which carries the same ten rounds.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassnet.core.dtype import FLOAT64, INT64, DType, NDArray
from glassnet.core.shape import Shape, size_of

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Key:
    """Names one sequence of random numbers: the user's seed, what it is for, and the step of the run.

    Seed and step may be traced. Of the seed the lowest 64 bits count.
    """

    seed: Any
    stream: int = 0
    step: Any = 0

    def at(self, step: Any) -> Key:
        """The same sequence's numbers for another step."""
        return replace(self, step=step)

    def fold(self, stream: int) -> Key:
        """An independent sequence, numbered `stream`, of the same seed."""
        return replace(self, stream=(self.stream * 0x01000193 + stream + 1) & _MASK)

    @property
    def words(self) -> tuple[int, int]:
        """The generator's key: the seed as two 32-bit words."""
        return self.seed & _MASK, (self.seed >> 32) & _MASK


def philox(counter: NDArray, key: tuple[int, int]) -> NDArray:
    """Philox4x32-10: four random words for each counter of four 32-bit words.

    Shapes: counter (blocks, 4) -> (blocks, 4), both uint64 holding 32 bits.
    """
    mask, shift = np.uint64(_MASK), np.uint64(32)
    words = list(counter.T)
    key0, key1 = key
    for _ in range(ROUNDS):
        product0 = words[0] * np.uint64(MULTIPLIERS[0])
        product1 = words[2] * np.uint64(MULTIPLIERS[1])
        words = [
            (product1 >> shift) ^ words[1] ^ np.uint64(key0),
            product1 & mask,
            (product0 >> shift) ^ words[3] ^ np.uint64(key1),
            product0 & mask,
        ]
        key0, key1 = (key0 + WEYL[0]) & _MASK, (key1 + WEYL[1]) & _MASK
    return np.stack(words, axis=1)


def bits(key: Key, count: int) -> NDArray:
    """`count` random 32-bit words (uint32).

    Word i is lane i % 4 of the block with counter (i // 4, 0, step, stream); the low word of i // 4 comes
    first and the 0 is its high word.
    """
    blocks = -(-count // 4)
    index = np.arange(blocks, dtype=np.uint64)
    counter = np.empty((blocks, 4), np.uint64)
    counter[:, 0] = index & np.uint64(_MASK)
    counter[:, 1] = index >> np.uint64(32)
    counter[:, 2] = key.step & _MASK
    counter[:, 3] = key.stream & _MASK
    return philox(counter, key.words).reshape(-1)[:count].astype(np.uint32)


def uniform(key: Key, shape: Shape, low: float = 0.0, high: float = 1.0, dtype: DType = FLOAT64) -> NDArray:
    """Uniform numbers in [low, high) with 32 random bits each, in `shape`."""
    words = bits(key, size_of(shape)).astype(np.float64)
    return (low + (high - low) * (words * 2.0**-32)).astype(dtype).reshape(shape)


def normal(key: Key, shape: Shape, dtype: DType = FLOAT64) -> NDArray:
    """Standard normal numbers in `shape`, by the transform of Box and Muller (1958)."""
    count = size_of(shape)
    pairs = -(-count // 2)
    words = bits(key, 2 * pairs).astype(np.float64).reshape(2, pairs)
    radius = np.sqrt(-2.0 * np.log((words[0] + 1.0) * 2.0**-32))  # in (0, 1]: the logarithm is finite
    angle = 2.0 * np.pi * words[1] * 2.0**-32
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[:count].astype(dtype).reshape(shape)


def permutation(key: Key, count: int) -> NDArray:
    """A random order of 0 .. count-1 (int64), by Fisher and Yates: position i swaps with floor(u_i (i+1)).

    The compiled program shuffles with the same words in the same order.
    """
    targets = (bits(key, count).astype(np.uint64) * np.arange(1, count + 1, dtype=np.uint64)) >> np.uint64(32)
    order = list(range(count))
    for i, j in zip(range(count - 1, 0, -1), targets[:0:-1].tolist(), strict=True):
        order[i], order[j] = order[j], order[i]
    return np.array(order, INT64)
