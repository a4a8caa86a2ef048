from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet.core.random import Key, bits, normal, permutation, philox, uniform

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        # The known answers for philox4x32 with 10 rounds that Random123 is published with.
        ([0, 0, 0, 0], (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ONES] * 4, (ONES, ONES), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_words(
    counter: list[int], key: tuple[int, int], expected: list[int]
) -> None:
    assert philox(np.array([counter], np.uint64), key).tolist() == [expected]


def test_bits_lay_out_seed_stream_step_and_index_as_documented() -> None:
    key = Key(seed=(7 << 32) | 5, stream=11, step=13)
    counters = np.array([[0, 0, 13, 11], [1, 0, 13, 11]], np.uint64)
    assert bits(key, 6).tolist() == philox(counters, (5, 7)).reshape(-1)[:6].tolist()
    assert bits(key, 6).dtype == np.uint32


@given(st.integers(0, 2**64 - 1), st.integers(0, 50), st.integers(0, 50))
def test_fewer_words_are_the_first_words(seed: int, few: int, more: int) -> None:
    key = Key(seed, 3).at(9)
    short, long = sorted((few, more))
    assert bits(key, short).tolist() == bits(key, long)[:short].tolist()


@given(st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_a_permutation_has_every_number_once(seed: int, count: int) -> None:
    order = permutation(Key(seed), count)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))


def test_permutations_of_three_are_about_equally_frequent() -> None:
    orders = [tuple(permutation(Key(1).at(step), 3).tolist()) for step in range(3000)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    # 500 are expected, with a standard deviation of 20.4.
    assert max(abs(count - 500) for count in counts) < 90


def test_uniform_and_normal_have_their_moments() -> None:
    u, z = uniform(Key(2), (200, 500), -1.0, 3.0), normal(Key(3), (200, 500))
    assert u.shape == z.shape == (200, 500)
    assert u.min() >= -1.0
    assert u.max() < 3.0
    assert abs(u.mean() - 1.0) < 0.02
    assert abs(u.var() - 16 / 12) < 0.02
    assert abs(z.mean()) < 0.02
    assert abs(z.var() - 1.0) < 0.03
    assert abs((z**3).mean()) < 0.05


def test_steps_streams_and_seeds_are_different_sequences() -> None:
    key = Key(1)
    words = [
        tuple(bits(k, 4)) for k in (key, Key(2), key.at(1), key.fold(0), key.fold(1), key.fold(0).fold(0))
    ]
    assert len(set(words)) == len(words)


def test_nothing_is_drawn_for_an_empty_shape() -> None:
    assert normal(Key(0), (0, 3)).shape == (0, 3)
    assert bits(Key(0), 0).shape == (0,)
