"""Copy and sort: a sequence, a separator, and after it the answer symbol by symbol, read by attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import glassnet as gn
from glassnet.core.dtype import NDArray
from glassnet.train.events import Listener
from recipes.task import Outcome, Task, fit, silent

SYMBOLS = 10
SEPARATOR = SYMBOLS
HELD_OUT = 1000  # sequences

Answer = Callable[[NDArray], NDArray]  # sequences (rows, length) -> sequences (rows, length)


def examples(sequences: NDArray, answer: Answer) -> tuple[NDArray, NDArray]:
    """X (rows, 2 length): the sequence, the separator and the answer but for its end; y (rows, length).

    The symbol at position i of the answer is to be told from what stands before it. So a row that is right
    throughout is one that the network writes by itself, symbol by symbol, from the sequence alone.
    """
    y = answer(sequences)
    separators = np.full((len(y), 1), SEPARATOR)
    return np.concatenate([sequences, separators, y[:, :-1]], axis=1), y


def transformer(length: int, units: int, blocks: int) -> list[gn.Layer]:
    """Blocks of causal attention and a dense layer at each position, normalised before; the answer's outputs.

    Source: Vaswani et al., NeurIPS (2017), with the norms where Xiong et al., ICML (2020), put them.
    """
    layers: list[gn.Layer] = [gn.Embedding(SYMBOLS + 1, units), gn.LearnedPositions(2 * length)]
    for _ in range(blocks):
        layers += [
            gn.Residual([gn.LayerNorm(), gn.MultiHeadAttention(4, causal=True)]),
            gn.Residual([gn.LayerNorm(), gn.Dense(2 * units, activation="relu"), gn.Dense(units)]),
        ]
    return [*layers, gn.LayerNorm(), gn.Lambda(lambda x: x[length:]), gn.Dense(SYMBOLS)]


def attention(
    answer: Answer,
    seed: int,
    listener: Listener = silent,
    length: int = 8,
    rows: int = 20_000,
    epochs: int = 8,
    units: int = 32,
    blocks: int = 2,
) -> Outcome:
    """How many of the held-out sequences, in %, come out exactly right; none of them is trained on."""
    drawn = np.asarray(gn.random.randint(gn.random.key(seed), (rows + 2 * HELD_OUT, length), 0, SYMBOLS))
    _, first = np.unique(drawn, axis=0, return_index=True)
    sequences = drawn[np.sort(first)]
    X, y = examples(sequences[HELD_OUT:][:rows], answer)
    net = gn.Network(transformer(length, units, blocks), loss="cross_entropy", seed=seed)
    rule = gn.chain(gn.ClipByGlobalNorm(1.0), gn.Adam(gn.optim.OneCycle(5e-3)))
    fit(net, X, y, listener, epochs=epochs, batch_size=64, optimizer=rule)
    X, y = examples(sequences[:HELD_OUT], answer)
    return Outcome(100 * float(np.mean((net.predict(X) == y).all(axis=1))), 99.0)


def copied(sequences: NDArray) -> NDArray:
    """The sequences as they are."""
    return sequences


def sorted_symbols(sequences: NDArray) -> NDArray:
    """The symbols of each sequence in ascending order."""
    return np.sort(sequences, axis=1)


TASKS = tuple(
    Task(name, "attention, 2 blocks", "exact %", partial(attention, answer), 1)
    for name, answer in (("copy", copied), ("sort", sorted_symbols))
)
