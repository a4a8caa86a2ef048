"""The next character of a text, guessed by a GRU from all before it and by counts from the last two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import product
from math import log2

import numpy as np

import glassnet as gn
from glassnet.core.dtype import NDArray
from glassnet.train.events import Listener
from recipes.task import Outcome, Task, fit, silent

HELD_OUT = 0.1  # of the text, at its end
STRIDE = 8  # between the beginnings of two windows of the training text
DISCOUNTS = (0.2, 0.4, 0.6, 0.8, 0.95)


def shipped_text() -> str:
    """Chapters I to III of Lewis Carroll, Alice's Adventures in Wonderland (1865), in the public domain."""
    return resources.files("glassnet.data").joinpath("alice.txt").read_text(encoding="ascii")


def divided(text: str, held_out: float = HELD_OUT) -> tuple[str, str]:
    """The beginning, to train on, and the end, held out."""
    border = round(len(text) * (1 - held_out))
    return text[:border], text[border:]


@dataclass(frozen=True)
class Trigram:
    """Interpolated counts: p(c | ab) = max(n(abc) - d_3, 0) / n(ab) + d_3 t(ab) / n(ab) p(c | b).

    n counts in the training text, t(ab) is the number of different characters seen after ab; p(c | b) is made
    the same way with d_2 and p(c), and that with d_1 and 1 / |alphabet|. With `continuations` (Kneser and
    Ney) the lower orders count in how many different contexts a character has been seen, not how often.

    Source: Chen and Goodman, Computer Speech and Language 13 (1999), section 2.
    """

    counts: tuple[Counter[str], ...]  # of n-grams, by their order less 1
    before: tuple[Counter[str], ...]  # n of each context
    kinds: tuple[Counter[str], ...]  # t of each context
    discounts: Sequence[float]
    alphabet: int

    @staticmethod
    def of(text: str, discounts: Sequence[float], continuations: bool, alphabet: int) -> Trigram:
        """The counts of a text."""
        grams = [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for n in (1, 2, 3)]
        if continuations:
            grams[:2] = [Counter(longer[1:] for longer in grams[n]) for n in (1, 2)]
        before: list[Counter[str]] = [Counter() for _ in grams]
        kinds: list[Counter[str]] = [Counter() for _ in grams]
        for order, counted in enumerate(grams):
            for gram, count in counted.items():
                before[order][gram[:-1]] += count
                kinds[order][gram[:-1]] += 1
        return Trigram(tuple(grams), tuple(before), tuple(kinds), discounts, alphabet)

    def probability(self, gram: str) -> float:
        """That the last character of `gram` follows those before it, at most two."""
        if not gram:
            return 1.0 / self.alphabet
        order = len(gram) - 1
        lower = self.probability(gram[1:])
        seen = self.before[order][gram[:-1]]
        if not seen:
            return lower
        discount = self.discounts[order]
        share = max(self.counts[order][gram] - discount, 0.0) / seen
        return share + discount * self.kinds[order][gram[:-1]] / seen * lower

    def bits(self, text: str, start: int) -> float:
        """Cross-entropy in bits per character of text[start:], each one told from the two before it."""
        grams = (text[max(i - 2, 0) : i + 1] for i in range(start, len(text)))
        return -float(np.mean([log2(self.probability(gram)) for gram in grams]))


def best_trigram(training: str, alphabet: int) -> Trigram:
    """Smoothed as does best on the last tenth of the training text, then counted on all of it."""
    kept, aside = divided(training)

    def bits(choice: tuple[tuple[float, ...], bool]) -> float:
        return Trigram.of(kept, *choice, alphabet).bits(kept + aside, len(kept))

    discounts = product(DISCOUNTS, repeat=2)
    choices = product([(low, low, high) for low, high in discounts], (False, True))
    return Trigram.of(training, *min(choices, key=bits), alphabet)


def windows(codes: NDArray, length: int, stride: int) -> tuple[NDArray, NDArray]:
    """X and y (rows, length): stretches of the text, and the character after each of theirs."""
    starts = np.arange(0, len(codes) - length, stride)[:, None]
    places = starts + np.arange(length)
    return codes[places], codes[places + 1]


def characters(
    seed: int,
    listener: Listener = silent,
    text: str | None = None,
    length: int = 50,
    epochs: int = 12,
    units: int = 96,
) -> Outcome:
    """Bits per character of the held-out tenth, against those of the best trigram.

    The network reads held-out characters in windows and is scored on the second half of each, so that it has
    always read some of what stands before; the trigram is scored on the same characters.
    """
    text = text or shipped_text()
    training, _ = divided(text)
    alphabet = {character: code for code, character in enumerate(sorted(set(text)))}
    codes, size = np.array([alphabet[character] for character in text]), len(alphabet)
    net = gn.Network(
        [gn.Embedding(size, 32), gn.GRU(units, return_sequences=True), gn.Dropout(0.5), gn.Dense(size)],
        loss="cross_entropy",
        seed=seed,
        classes=range(size),  # the end of the text may have a character that its beginning has not
    )
    X, y = windows(codes[: len(training)], length, STRIDE)
    rule = gn.chain(gn.ClipByGlobalNorm(1.0), gn.Adam(gn.optim.OneCycle(5e-3)))
    fit(net, X, y, listener, epochs=epochs, optimizer=rule)
    half = length // 2
    X, y = windows(codes[len(training) - half - 1 :], length, length - half)
    y = y[:, half:]
    given = np.take_along_axis(net.predict_proba(X)[:, half:], y[..., None], axis=-1)
    bits = -float(np.log2(given.astype(np.float64)).mean())
    scored = text[: len(training) + y.size]
    return Outcome(bits, best_trigram(training, size).bits(scored, len(training)))


TASKS = (Task("characters", "GRU 96", "bits each", characters, 3, is_error=True),)
