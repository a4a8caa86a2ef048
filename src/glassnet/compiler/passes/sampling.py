"""Sampling: random numbers are arithmetic on random words, the same words as the interpreter's."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from glassnet.compiler.passes.rewrite import Rule, make, number, uniform
from glassnet.compiler.passes.types import as_dtype
from glassnet.compiler.passes.vocabulary import (
    COSINE_OF_TURNS,
    HIGH_WORD,
    SHUFFLED,
    SINE_OF_TURNS,
    WORDS_BELOW,
)
from glassnet.core.dtype import FLOAT64, INT64, DType
from glassnet.core.graph import Node
from glassnet.core.shape import Shape, size_of
from glassnet.ops import special_values

_WORD = np.dtype(np.uint32)
_STEP = 2.0**-32  # between neighbouring numbers of 32 random bits


def _words(node: Node, shape: Shape) -> Node:
    """Random words of this shape for every step of the key."""
    (step, seed), stream = node.inputs, node.attributes["stream"]
    # words come in blocks of four: lines of other lengths are cut from one long line
    in_lines = len(shape) == 1 or (len(shape) > 1 and shape[-1] % 4 == 0)
    drawn = shape if in_lines else (size_of(shape),)
    words = make("random_bits", step, seed, stream=stream, shape=drawn, dtype=_WORD, like=node)
    return words if in_lines else make("reshape", words, shape=(*step.shape, *shape), like=node)


def _flat_words(node: Node, count: int) -> Node:
    """`count` random words as floating numbers: (*steps, count)."""
    return as_dtype(_words(node, (count,)), FLOAT64, node)


def _scaled(node: Node, x: Node, factor: float, shift: float = 0.0) -> Node:
    """factor (x + shift)."""
    if shift:
        x = make("add", x, number(shift, FLOAT64), like=node)
    return make("multiply", number(factor, FLOAT64), x, like=node)


def _shaped(node: Node, x: Node) -> Node:
    return x if x.shape == node.shape else make("reshape", x, shape=node.shape, like=node)


def _bits(node: Node) -> Node | None:
    words = _words(node, node.attributes["shape"])
    return words if words.op.name == "reshape" else None


def _uniform(node: Node) -> Node:
    # u = word / 2^32; rounded to float32 the largest would be 1
    words = _words(node, node.attributes["shape"])
    u = as_dtype(_scaled(node, as_dtype(words, FLOAT64, node), _STEP), node.dtype, node)
    if node.dtype == FLOAT64:
        return u
    below = np.nextafter(node.dtype.type(1), node.dtype.type(0))
    return make("minimum", u, number(below, node.dtype), like=node)


def _normal(node: Node) -> Node:
    # sqrt(-2 log u) (cos, sin)(2 pi v), by Box and Muller; u of the first half of the words, v of the second
    count = size_of(node.attributes["shape"])
    pairs = -(-count // 2)
    words = _flat_words(node, 2 * pairs)
    last = (slice(0, None, 1),) * (len(words.shape) - 1)
    first, second = (
        make("getitem", words, index=(*last, slice(start, start + pairs, 1)), like=node)
        for start in (0, pairs)
    )
    log = make("log", _scaled(node, first, _STEP, 1.0), like=node)
    radius = make("sqrt", make("multiply", number(-2.0, FLOAT64), log, like=node), like=node)
    turns = _scaled(node, second, _STEP)
    halves = [
        make("multiply", radius, make(op, turns, like=node), like=node)
        for op in (COSINE_OF_TURNS, SINE_OF_TURNS)
    ]
    both = make("concatenate", *halves, axis=len(words.shape) - 1, like=node)
    if count < 2 * pairs:
        both = make("getitem", both, index=(*last, slice(0, count, 1)), like=node)
    return _shaped(node, as_dtype(both, node.dtype, node))


def _gumbel(node: Node) -> Node:
    # -log(-log u), u in the middle of one of 2^32 equal parts of (0, 1)
    u = _scaled(node, _flat_words(node, size_of(node.attributes["shape"])), _STEP, 0.5)
    for _ in range(2):
        u = make("negative", make("log", u, like=node), like=node)
    return _shaped(node, as_dtype(u, node.dtype, node))


def _truncated_normal(node: Node) -> Node:
    # sqrt(2) erfinv(y), y in the middle of one of 2^32 equal parts between the error functions of the ends
    low, high = node.attributes["low"], node.attributes["high"]
    below, above = special_values.erf(np, np.array([low, high]) / math.sqrt(2))
    share = _scaled(node, _flat_words(node, size_of(node.attributes["shape"])), _STEP * (above - below), 0.5)
    y = make("add", share, number(below, FLOAT64), like=node)
    z = _scaled(node, make("erfinv", y, like=node), math.sqrt(2))
    held = make("clip", z, number(low, FLOAT64), number(high, FLOAT64), like=node)
    return _shaped(node, as_dtype(held, node.dtype, node))


def _integers(node: Node) -> Node:
    # low + floor(word (high - low) / 2^32)
    low, high = node.attributes["low"], node.attributes["high"]
    words = as_dtype(_words(node, (size_of(node.attributes["shape"]),)), INT64, node)
    product = make("multiply", number(high - low, INT64), words, like=node)
    drawn = make("add", make(HIGH_WORD, product, like=node), number(low, INT64), like=node)
    return _shaped(node, drawn)


def _permutation(node: Node) -> Node:
    return make(SHUFFLED, _words(node, node.attributes["shape"]), like=node)


def _below(node: Node) -> Node | None:
    # u < rate, as in dropout, says that the word of u is below a threshold: no number is made of it
    drawn, bound = node.inputs[0], uniform(node.inputs[1])
    if drawn.op.name != "random_uniform" or bound is None or node.shape != drawn.shape:
        return None
    threshold = bisect_left(range(2**32), True, key=lambda word: not _number_of(word, drawn.dtype) < bound)
    if threshold == 2**32:
        return None
    words = _words(drawn, drawn.attributes["shape"])
    return make(WORDS_BELOW, words, threshold=threshold, like=node)


def _number_of(word: int, dtype: DType) -> float:
    """The uniform number of a word, which grows with it."""
    below = np.nextafter(dtype.type(1), dtype.type(0))
    return min(dtype.type(word * _STEP), below)


# Before the draws themselves are expanded.
COMPARISON_RULES: dict[str, tuple[Rule, ...]] = {"less": (_below,)}

SAMPLING_RULES: dict[str, tuple[Rule, ...]] = {
    "random_bits": (_bits,),
    "random_uniform": (_uniform,),
    "random_normal": (_normal,),
    "random_gumbel": (_gumbel,),
    "random_truncated_normal": (_truncated_normal,),
    "random_integers": (_integers,),
    "random_permutation": (_permutation,),
}
