"""A deterministic division of rows into two parts with the same mix of classes."""

from __future__ import annotations

import numpy as np

from glassnet.core.random import Key, permutation

_STREAM = 0x5B117  # of random numbers that no other part of a run draws


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows 0..n-1 into (kept, held out) so that each class gives up the same fraction of its rows.

    `labels` has shape (n,) and any type; for values without classes pass zeros. Each class holds out
    `round(fraction * its rows)` of them. Both index arrays are ascending, disjoint and together complete,
    and depend on nothing but the arguments.

    >>> kept, held_out = stratified_split(np.array(["a"] * 10 + ["b"] * 5), 0.2, seed=0)
    >>> len(kept), len(held_out)
    (12, 3)
    """
    order = permutation(Key(seed, _STREAM), len(labels))
    shuffled = labels[order]
    chosen = [
        order[shuffled == label][: round(fraction * count)]
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
    ]
    is_held_out = np.zeros(len(labels), dtype=bool)
    is_held_out[np.concatenate(chosen)] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
