"""Dropout and noise: what is drawn in training, for whom, and that use changes nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.core.dtype import FLOAT32
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import Dropout, GaussianDropout, GaussianNoise, Layer, Run, Sequential, SpatialDropout
from glassnet.transforms.tracing import trace
from tests.nn.gradients import check_form, check_layer

TRAINING = Run(training=True, key=Key(7))
LAYERS = [Dropout(0.3), SpatialDropout(0.5), GaussianNoise(0.2), GaussianDropout(0.4)]


@pytest.mark.parametrize("run", [None, TRAINING], ids=["use", "training"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_gradient_and_form(layer: Layer, run: Run | None) -> None:
    check_layer(layer, (3, 4), run)
    check_form(layer, (3, 4), run)


@pytest.mark.parametrize("layer", [*LAYERS, Dropout(0.0), GaussianDropout(0)], ids=str)
def test_in_use_the_example_passes_unchanged(layer: Layer) -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert layer({}, x) is x
    if getattr(layer, "rate", 1) == 0:
        assert layer({}, x, TRAINING) is x


def of_examples(layer: Layer, X: np.ndarray, key: Key = TRAINING.key) -> Any:
    """The layer in training on a batch, example i with the numbers of step i."""
    numbers = np.arange(len(X), dtype=np.int32)
    return gn.vmap(lambda x, number: layer({}, x, Run(training=True, key=key.at(number))))(X, numbers)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_every_example_draws_for_itself_and_again_the_same(layer: Layer) -> None:
    X = np.ones((5, 2, 8))
    first, again = of_examples(layer, X), of_examples(layer, X)
    assert np.array_equal(first, again)
    assert len({row.tobytes() for row in first}) == 5
    one = layer({}, X[3], Run(training=True, key=TRAINING.key.at(3)))
    assert np.array_equal(first[3], one)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_scales_what_it_keeps_so_that_the_mean_stays(rate: float) -> None:
    y = of_examples(Dropout(rate), np.ones((100, 200)))
    assert set(np.unique(y)) == {0.0, 1 / (1 - rate)}
    # 20,000 draws: five standard deviations of a mean of Bernoulli numbers.
    assert (y == 0).mean() == pytest.approx(rate, abs=5 * math.sqrt(rate * (1 - rate) / y.size))


def test_spatial_dropout_takes_whole_channels() -> None:
    y = of_examples(SpatialDropout(0.5), np.ones((50, 3, 4, 6)))
    assert (y == y[:, :1, :1]).all()
    assert 0.3 < (y[:, 0, 0] == 0).mean() < 0.7


def test_the_noise_has_the_moments_that_were_asked_for() -> None:
    X = np.full((100, 200), 3.0)
    added = of_examples(GaussianNoise(0.5), X)
    assert added.mean() == pytest.approx(3.0, abs=5 * 0.5 / math.sqrt(X.size))
    assert added.std() == pytest.approx(0.5, rel=0.03)
    # As dropout of the same rate: mean 1, variance rate / (1 - rate) = 1/4.
    factor = of_examples(GaussianDropout(0.2), X) / 3.0
    assert factor.mean() == pytest.approx(1.0, abs=5 * 0.5 / math.sqrt(X.size))
    assert factor.var() == pytest.approx(0.25, rel=0.05)


def test_two_layers_of_a_network_draw_apart() -> None:
    network = Sequential([Dropout(0.5), Dropout(0.5)])
    run = Run(training=True, key=Key(1))
    parameters = network.init(Key(0), (64,), FLOAT32)
    values = set(np.unique(network(parameters, np.ones(64), run)))
    assert values == {0.0, 4.0}
    kept_by_one = network(parameters, np.ones(64), run) > 0
    assert 4 < kept_by_one.sum() < 28  # a quarter of 64, not the half that equal masks would keep


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Dropout(1.0), "Dropout got rate=1.0; it takes a number with 0 <= rate < 1."),
        (lambda: SpatialDropout(-0.1), "SpatialDropout got rate=-0.1; it takes a number with 0 <= rate < 1."),
        (
            lambda: GaussianDropout(True),
            "GaussianDropout got rate=True; it takes a number with 0 <= rate < 1.",
        ),
        (lambda: GaussianNoise(0), "GaussianNoise got std=0; it takes a positive number."),
        (
            lambda: Dropout(0.5)({}, np.ones(2), Run(training=True)),
            "Dropout draws random numbers in training and was given no key; call it with "
            "Run(training=True, key=gn.random.key(0)).",
        ),
    ],
)
def test_mistakes_are_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value) == sentence


def test_a_single_number_has_no_channels() -> None:
    with pytest.raises(ShapeError) as caught:
        SpatialDropout(0.5).output_shape(())
    assert str(caught.value) == (
        "SpatialDropout(0.5) takes examples (..., channels), but gets examples of shape (): reshape X to "
        "(rows, channels)."
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mask_is_drawn_in_the_dtype_of_the_example(dtype: str) -> None:
    def draw(x: Any, step: Any) -> Any:
        return Dropout(0.25)({}, x, Run(training=True, key=Key(3).at(step)))

    x = np.ones(4000, dtype)
    graph, _ = trace(draw, x, np.int32(5))
    assert {node.dtype for node in graph.nodes if node.dtype.kind == "f"} == {np.dtype(dtype)}
    assert np.mean(draw(x, 5) == 0) == pytest.approx(0.25, abs=0.03)
