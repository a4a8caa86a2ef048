"""Random numbers in compiled programs: those of the interpreter, in fewer steps where nobody sees them."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet as gn
from glassnet.compiler.passes.expand import expand
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.transforms.tracing import trace


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("rate", [0.0, 2.0**-33, 1e-9, 0.1, 0.5, 1 - 2.0**-24, 1 - 2.0**-25, 1.0])
def test_a_comparison_with_a_rate_is_one_of_words(dtype, rate):
    def kept(step):
        key = gn.random.key(3).at(step)
        return gn.random.uniform(key, (5, 8), dtype=dtype) < dtype.type(rate)

    graph, _ = trace(kept, np.int64(0))
    compared = [node.op.name for node in expand(graph).nodes]
    assert ("words_below" in compared) == (dtype.type(rate) < 1)
    assert ("cast" not in compared) == (dtype.type(rate) < 1)
    compiled = gn.compile(kept)
    for step in range(20):
        np.testing.assert_array_equal(compiled(np.int64(step)), kept(np.int64(step)))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_the_threshold_is_where_the_number_of_a_word_reaches_the_rate(dtype):
    # float32 rounds the numbers of neighbouring words to one: the threshold lies between such groups
    rate = dtype.type(0.3)
    graph, _ = trace(lambda s: gn.random.uniform(gn.random.key(0).at(s), 4, dtype=dtype) < rate, np.int64(0))
    (node,) = (node for node in expand(graph).nodes if node.op.name == "words_below")
    threshold = node.attributes["threshold"]
    for word in range(threshold - 300, threshold + 300):
        assert (dtype.type(word * 2.0**-32) < rate) == (word < threshold)
