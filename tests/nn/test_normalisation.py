"""Normalisation: what is averaged over what, and what is kept from batch to batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassnet as gn
from glassnet import nn
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import BatchNorm, GroupNorm, Layer, LayerNorm, Parameters, RMSNorm, Run, Sequential
from glassnet.nn.run import Record
from tests.nn.gradients import check_form, check_layer, parameters_of

RNG = np.random.default_rng(3)
ALONE = [
    (LayerNorm(), (5,)),
    (LayerNorm(), (4, 5)),
    (LayerNorm(axes=2, use_shift=False), (3, 4, 5)),
    (LayerNorm(epsilon=0.1, use_scale=False, use_shift=False), (5,)),
    (RMSNorm(), (4, 5)),
    (RMSNorm(axes=2, epsilon=0.1, use_scale=False), (4, 5)),
    (GroupNorm(2), (6,)),
    (GroupNorm(3, use_scale=False), (4, 6)),
    (GroupNorm("channels", use_shift=False), (3, 4, 2)),
    (GroupNorm(1, epsilon=0.1), (3, 4, 2)),
]


def batch(
    layer: Layer,
    parameters: Parameters,
    X: np.ndarray,
    weight: Any = None,
    statistics: Any = None,
    mask: Any = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The layer on a batch in training, and the statistics that it keeps."""

    def one(x: Any, weight: Any, mask: Any) -> tuple[Any, Any]:
        run = Run(training=True, weight=weight, statistics=statistics or {}, record=Record(mask=mask))
        return layer(parameters, x, run), {name: kept for (name,), kept in run.record.kept.items()}

    Y, kept = gn.vmap(one)(X, weight, mask)
    assert all((rows == rows[0]).all() for rows in kept.values())
    return Y, {name: rows[0] for name, rows in kept.items()}


@pytest.mark.parametrize(("layer", "in_shape"), ALONE, ids=str)
def test_gradient_and_form(layer: Layer, in_shape: tuple[int, ...]) -> None:
    check_layer(layer, in_shape)
    check_form(layer, in_shape)


@pytest.mark.parametrize(
    "layer", [BatchNorm(), BatchNorm(momentum=0.5, epsilon=0.1, use_scale=False, use_shift=False)], ids=str
)
def test_batch_norm_in_use_acts_on_each_example_alone(layer: BatchNorm) -> None:
    parameters = parameters_of(layer, (4, 3))
    statistics = {"mean": RNG.normal(size=3), "variance": RNG.uniform(0.5, 2.0, size=3)}
    X = RNG.normal(size=(2, 4, 3))
    check_layer(layer, (4, 3), Run(statistics=statistics))
    Y = gn.vmap(lambda x: layer(parameters, x, Run(statistics=statistics)))(X)
    assert Y.shape[1:] == layer.output_shape((4, 3))
    np.testing.assert_allclose(Y[1, 2], layer(parameters, X[1, 2], Run(statistics=statistics)), rtol=1e-12)
    assert from_document(to_document(layer, "x")) == layer
    assert eval(repr(layer), vars(nn)) == layer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mask", [None, np.array([True, False])], ids=["whole", "masked"])
@pytest.mark.parametrize("layer", [BatchNorm(), GroupNorm(1)], ids=str)
def test_the_dtype_stays(layer: Layer, mask: Any, training: bool) -> None:
    weight = FLOAT32.type(1) if training else None
    statistics = layer.init_statistics((2, 3), FLOAT32)
    run = Run(training=training, weight=weight, statistics=statistics, record=Record(mask=mask))
    assert layer(layer.init(Key(0), (2, 3), FLOAT32), np.ones((2, 3), FLOAT32), run).dtype == FLOAT32
    assert all(kept.dtype == FLOAT32 for kept in run.record.kept.values())


@pytest.mark.parametrize("weight", [None, np.array([1.0, 1.0, 0.5, 0.0])], ids=["equal", "weighted"])
@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [(BatchNorm(), (3,)), (BatchNorm(use_scale=False, use_shift=False), (2, 3)), (BatchNorm(), (2, 2, 3))],
    ids=str,
)
def test_the_gradient_passes_through_the_statistics_of_the_batch(
    layer: BatchNorm, in_shape: tuple[int, ...], weight: Any
) -> None:
    X = RNG.normal(size=(4, *in_shape))
    assert gn.check_grads(
        lambda parameters, X: batch(layer, parameters, X, weight)[0],
        parameters_of(layer, in_shape),
        X,
        order=1,
    ).passed


def test_the_gradient_passes_through_the_statistics_of_masked_positions() -> None:
    layer, mask = BatchNorm(), np.array([[True, True, False], [True, False, False]])
    X = RNG.normal(size=(2, 3, 2))
    assert gn.check_grads(
        lambda parameters, X: batch(layer, parameters, X, mask=mask)[0],
        parameters_of(layer, (3, 2)),
        X,
        order=1,
    ).passed
    grouped = GroupNorm(1)
    assert gn.check_grads(
        lambda parameters, x: grouped(parameters, x, Run(record=Record(mask=mask[0]))),
        parameters_of(grouped, (3, 2)),
        X[0],
        order=1,
    ).passed


@pytest.mark.parametrize("in_shape", [(3,), (4, 3), (2, 5, 3)], ids=str)
def test_a_batch_has_mean_shift_and_variance_scale_squared(in_shape: tuple[int, ...]) -> None:
    # Ioffe and Szegedy (2015), algorithm 1: the statistics of a channel are over the batch and all positions.
    layer, X = BatchNorm(epsilon=1e-3), 2.0 + 3.0 * RNG.normal(size=(6, *in_shape))
    parameters = {"scale": np.array([1.0, 2.0, 0.5]), "shift": np.array([0.0, -1.0, 4.0])}
    axes = tuple(range(X.ndim - 1))
    mean, variance = X.mean(axes), X.var(axes)
    expected = parameters["scale"] * (X - mean) / np.sqrt(variance + 1e-3) + parameters["shift"]
    Y, _ = batch(layer, parameters, X)
    np.testing.assert_allclose(Y, expected, rtol=1e-12, atol=1e-12)


def test_the_running_statistics_move_towards_those_of_the_batch() -> None:
    layer, X = BatchNorm(momentum=0.75), RNG.normal(size=(5, 4, 2))
    parameters = layer.init(Key(0), (4, 2), FLOAT64)
    statistics = layer.init_statistics((4, 2), FLOAT64)
    for step in range(1, 4):
        _, statistics = batch(layer, parameters, X, statistics=statistics)
        left = 0.75**step
        np.testing.assert_allclose(statistics["mean"], (1 - left) * X.mean((0, 1)), rtol=1e-12)
        np.testing.assert_allclose(statistics["variance"], left + (1 - left) * X.var((0, 1)), rtol=1e-12)


@pytest.mark.parametrize("in_shape", [(2,), (4, 2), (3, 2, 2)], ids=str)
def test_the_unbiased_running_variance_is_that_of_a_sample(in_shape: tuple[int, ...]) -> None:
    layer, X = BatchNorm(momentum=0.0, unbiased=True), RNG.normal(size=(5, *in_shape))
    parameters, axes = parameters_of(layer, in_shape), tuple(range(len(in_shape)))
    Y, kept = batch(layer, parameters, X)
    np.testing.assert_allclose(kept["variance"], X.var(axes, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(Y, batch(BatchNorm(), parameters, X)[0], rtol=1e-12)
    weight = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    _, kept = batch(layer, parameters, X, weight)
    np.testing.assert_allclose(kept["variance"], X[weight > 0].var(axes, ddof=1), rtol=1e-12)


def test_the_unbiased_running_variance_counts_the_positions_that_count() -> None:
    X, mask = RNG.normal(size=(2, 4, 3)), np.array([[True, True, True, False], [True, False, False, False]])
    _, kept = batch(BatchNorm(momentum=0.0, unbiased=True), parameters_of(BatchNorm(), (4, 3)), X, mask=mask)
    np.testing.assert_allclose(kept["variance"], X[mask].var(0, ddof=1), rtol=1e-12)
    alone = Run(training=True)
    BatchNorm(momentum=0.0, unbiased=True, use_scale=False, use_shift=False)({}, np.ones(2), alone)
    assert np.array_equal(alone.record.kept["variance",], [0.0, 0.0])


def test_use_normalises_with_the_running_statistics_and_keeps_nothing() -> None:
    layer = BatchNorm(epsilon=1.0, use_scale=False, use_shift=False)
    run = Run(statistics={"mean": np.array([1.0, 2.0]), "variance": np.array([3.0, 8.0])})
    assert layer({}, np.array([5.0, -4.0]), run) == pytest.approx([2.0, -2.0])  # roots of 3 + 1 and of 8 + 1
    assert run.record.kept == {}


def test_rows_that_fill_a_short_batch_up_are_not_in_the_statistics() -> None:
    layer = Sequential([gn.Dense(3), BatchNorm(name="norm")])
    X, weight = RNG.normal(size=(8, 4)), np.array([1.0] * 5 + [0.0] * 3)
    parameters = parameters_of(layer, (4,))
    statistics = layer.init_statistics((4,), FLOAT64)

    def train(X: np.ndarray, weight: Any) -> tuple[Any, Any]:
        def one(x: Any, weight: Any) -> Any:
            run = Run(training=True, weight=weight, statistics=statistics)
            return layer(parameters, x, run), run.record.kept

        return gn.vmap(one)(X, weight)

    filled, kept = train(X, weight)
    alone, kept_alone = train(X[:5], None)
    np.testing.assert_allclose(filled[:5], alone, rtol=1e-12)
    for place in [("norm", "mean"), ("norm", "variance")]:
        np.testing.assert_allclose(kept[place][0], kept_alone[place][0], rtol=1e-12)


def test_masked_positions_are_not_in_the_statistics() -> None:
    X, mask = RNG.normal(size=(2, 4, 3)), np.array([[True, True, True, False], [True, False, False, False]])
    parameters = parameters_of(BatchNorm(), (4, 3))
    Y, kept = batch(BatchNorm(momentum=0.0), parameters, X, mask=mask)
    np.testing.assert_allclose(kept["mean"], X[mask].mean(0), rtol=1e-12)
    np.testing.assert_allclose(kept["variance"], X[mask].var(0), rtol=1e-12)
    moved = np.where(mask[..., None], X, 1e6)
    np.testing.assert_allclose(batch(BatchNorm(), parameters, moved, mask=mask)[0][mask], Y[mask], rtol=1e-12)


def test_a_group_of_a_masked_sequence_is_that_of_the_short_one() -> None:
    layer, x = GroupNorm(1), RNG.normal(size=(5, 4))
    parameters = parameters_of(layer, (5, 4))
    y = layer(parameters, x, Run(record=Record(mask=np.arange(5) < 3)))
    np.testing.assert_allclose(y[:3], layer(parameters, x[:3]), rtol=1e-12)


def test_where_no_position_counts_everything_stays_finite() -> None:
    run = Run(record=Record(mask=np.zeros(3, bool)))
    y = GroupNorm(1, use_scale=False, use_shift=False, epsilon=1.0)({}, np.full((3, 2), 7.0), run)
    assert np.array_equal(y, np.full((3, 2), 7.0))


@given(groups=st.integers(1, 4), size=st.integers(1, 4), positions=st.lists(st.integers(1, 3), max_size=2))
def test_each_group_has_mean_0_and_variance_1(groups: int, size: int, positions: list[int]) -> None:
    # Wu and He (2018), equation 3: the set of a group is all positions of its channels in one example.
    x = np.random.default_rng(groups).normal(size=(*positions, groups * size))
    layer = GroupNorm(groups, epsilon=1e-2, use_scale=False, use_shift=False)
    y = layer({}, x)
    assert y.shape == layer.output_shape(x.shape)
    for k in range(groups):
        own = slice(k * size, (k + 1) * size)
        expected = (x[..., own] - x[..., own].mean()) / np.sqrt(x[..., own].var() + 1e-2)
        np.testing.assert_allclose(y[..., own], expected, rtol=1e-11, atol=1e-12)


def test_one_channel_a_group_is_instance_normalisation() -> None:
    x = RNG.normal(size=(4, 4, 3))
    y = GroupNorm("channels", use_scale=False, use_shift=False)({}, x)
    np.testing.assert_allclose(y, (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5), rtol=1e-12)
    np.testing.assert_array_equal(GroupNorm(3, use_scale=False, use_shift=False)({}, x), y)


def test_layer_norm_by_hand() -> None:
    # mean 3, variance ((-2)^2 + 0 + 2^2) / 3 = 8/3; with epsilon 1/3 inside the root the divisor is sqrt 3.
    layer = LayerNorm(epsilon=1 / 3)
    parameters = {"scale": np.array([1.0, 1.0, 2.0]), "shift": np.array([0.0, 5.0, 0.0])}
    y = layer(parameters, np.array([1.0, 3.0, 5.0]))
    assert y == pytest.approx([-2 / 3**0.5, 5.0, 4 / 3**0.5])
    # Without the mean: mean of squares (1 + 9 + 25) / 3 = 35/3, divisor sqrt 12.
    assert RMSNorm(epsilon=1 / 3, use_scale=False)({}, np.array([1.0, 3.0, 5.0])) == pytest.approx(
        np.array([1.0, 3.0, 5.0]) / 12**0.5
    )


@given(scale=st.floats(0.1, 10.0), shift=st.floats(-10.0, 10.0))
def test_layer_norm_forgets_scale_and_shift_of_its_input_and_rms_norm_its_scale(
    scale: float, shift: float
) -> None:
    x = np.array([1.0, -2.0, 0.5, 3.0])
    centred = LayerNorm(epsilon=1e-14, use_scale=False, use_shift=False)
    np.testing.assert_allclose(centred({}, scale * x + shift), centred({}, x), rtol=1e-9)
    rooted = RMSNorm(epsilon=1e-14, use_scale=False)
    np.testing.assert_allclose(rooted({}, scale * x), rooted({}, x), rtol=1e-9)


@pytest.mark.parametrize(
    ("layer", "in_shape", "expected"),
    [
        (BatchNorm(), (4, 3), {"scale": (3,), "shift": (3,)}),
        (LayerNorm(axes=2), (5, 4, 3), {"scale": (4, 3), "shift": (4, 3)}),
        (LayerNorm(use_scale=False), (3,), {"shift": (3,)}),
        (RMSNorm(), (4, 3), {"scale": (3,)}),
        (GroupNorm(3), (4, 3), {"scale": (3,), "shift": (3,)}),
        (GroupNorm(3, use_scale=False, use_shift=False), (4, 3), {}),
    ],
    ids=str,
)
def test_scale_starts_at_1_and_shift_at_0(layer: Layer, in_shape: Any, expected: Any) -> None:
    made = layer.init(Key(0), in_shape, FLOAT64)
    assert {name: array.shape for name, array in made.items()} == expected
    assert all((array == (name == "scale")).all() for name, array in made.items())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BatchNorm(epsilon=0), "BatchNorm got epsilon=0; it takes a positive number."),
        (
            lambda: BatchNorm(momentum=1),
            "BatchNorm got momentum=1; it takes a number with 0 <= momentum < 1.",
        ),
        (lambda: LayerNorm(axes=0), "LayerNorm got axes=0; it takes a whole number of 1 or more."),
        (
            lambda: GroupNorm("instance"),
            "GroupNorm got groups='instance'; it takes a whole number of 1 or more, or 'channels'.",
        ),
        (lambda: GroupNorm(0), "GroupNorm got groups=0; it takes a whole number of 1 or more."),
        (
            lambda: BatchNorm()({}, np.ones(2)),
            "BatchNorm normalises with its running statistics in use and was given none; call it with "
            "Run(statistics=layer.init_statistics(in_shape, dtype)).",
        ),
    ],
)
def test_wrong_options_are_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("layer", "in_shape", "sentence"),
    [
        (
            LayerNorm(axes=2),
            (3,),
            "LayerNorm(2) takes examples of 2 or more axes, but gets examples of shape (3,): reshape X to "
            "(rows, ..., channels).",
        ),
        (
            BatchNorm(),
            (),
            "BatchNorm() takes examples of 1 or more axes, but gets examples of shape (): reshape X to "
            "(rows, ..., channels).",
        ),
        (
            GroupNorm(4),
            (8, 6),
            "GroupNorm(4) takes channels in 4 equal groups, but gets examples of shape (8, 6): let groups "
            "divide the last axis.",
        ),
    ],
    ids=str,
)
def test_wrong_shapes_are_one_sentence(layer: Layer, in_shape: Any, sentence: str) -> None:
    with pytest.raises(ShapeError) as caught:
        layer.init(Key(0), in_shape, FLOAT64)
    assert str(caught.value) == sentence
