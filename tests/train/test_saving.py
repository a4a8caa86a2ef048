"""Model files of networks: every layer with every option of it comes back, bit for bit."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import nn
from glassnet.core.document import from_document, is_default, to_document
from glassnet.errors import ConfigurationError, ModelFileError
from glassnet.nn import Layer, initializers
from glassnet.nn.activations import ELU, LeakyReLU, RandomizedLeakyReLU

VECTOR, SEQUENCE = (6,), (8, 6)
IMAGE, IMAGE_FIRST, SEQUENCE_FIRST, VOLUME_FIRST = (6, 6, 4), (4, 6, 6), (6, 8), (4, 6, 6, 6)
KERNEL: dict[str, Any] = {
    "strides": 2,
    "padding": "same",
    "activation": LeakyReLU(0.2),
    "use_bias": False,
    "kernel_initializer": initializers.Orthogonal(2.0),
    "bias_initializer": "ones",
    "data_format": "channels_first",
}
RECURRENT: dict[str, Any] = {
    "activation": "relu",
    "use_bias": False,
    "return_sequences": True,
    "go_backwards": True,
    "kernel_initializer": initializers.Uniform(-0.2, 0.1),
    "recurrent_initializer": initializers.Normal(std=0.1),
    "bias_initializer": initializers.ConstantFill(0.5),
}
POOL: dict[str, Any] = {"strides": 1, "padding": "same", "data_format": "channels_first"}
FIRST: dict[str, Any] = {"data_format": "channels_first"}

# What a layer is given, and layers that differ from their defaults in every option.
LAYERS: dict[tuple[int, ...], list[Layer]] = {
    VECTOR: [
        gn.Dense(
            3,
            activation=ELU(0.5),
            use_bias=False,
            kernel_initializer=initializers.Sparse(2),
            bias_initializer="ones",
            name="own",
            regularizer=gn.Elastic(0.1, 0.2, biases=True),
            max_norm=2.0,
        ),
        gn.nn.Activation(RandomizedLeakyReLU(0.1, 0.2)),
        gn.nn.Maxout(3, pieces=4, use_bias=False, kernel_initializer="he_normal", regularizer=gn.L1(0.5)),
        gn.nn.PReLU(initial_slope=0.1, shared=True),
        gn.nn.Bilinear(
            2, activation="tanh", use_bias=False, kernel_initializer=initializers.TruncatedNormal(0.1)
        ),
        gn.nn.Dropout(0.25),
        gn.nn.GaussianDropout(0.25),
        gn.nn.GaussianNoise(0.5),
        gn.nn.BatchNorm(momentum=0.5, epsilon=1e-3, use_scale=False, use_shift=False, unbiased=True),
        gn.nn.RMSNorm(epsilon=1e-3, use_scale=False),
        gn.nn.Reshape((2, 3)),
        gn.nn.Sequential([gn.Dense(2, name="a"), gn.Dense(2, name="b")], regularizer=gn.L2(0.1)),
        gn.nn.Residual([gn.Dense(2)], projection=gn.Dense(2, use_bias=False)),
        gn.nn.Parallel([gn.Dense(6), gn.nn.Activation("tanh")], merge="add"),
        gn.nn.Add([gn.Dense(2), gn.Dense(2)]),
        gn.nn.Multiply([gn.Dense(2), gn.Dense(2, activation="sigmoid")]),
    ],
    SEQUENCE: [
        gn.nn.SimpleRNN(3, **RECURRENT),
        gn.nn.LSTM(
            3, **RECURRENT, recurrent_activation="hard_sigmoid", unit_forget_bias=False, peephole=True
        ),
        gn.nn.GRU(3, **RECURRENT, recurrent_activation="tanh", reset_after=False),
        gn.nn.Bidirectional(gn.nn.GRU(2), merge="add"),
        gn.nn.TimeDistributed(gn.nn.Maxout(2)),
        gn.nn.MultiHeadAttention(
            2,
            units=4,
            key_units=6,
            use_bias=False,
            causal=True,
            dropout=0.25,
            kernel_initializer=initializers.VarianceScaling(2.0, "fan_out", "normal"),
        ),
        gn.nn.SinusoidalPositions(base=100.0),
        gn.nn.LearnedPositions(9, initializer="normal"),
        gn.nn.Masking(value=1.5),
        gn.nn.SpatialDropout(0.25),
        gn.nn.LayerNorm(axes=2, epsilon=1e-3, use_scale=False, use_shift=False),
        gn.nn.RMSNorm(axes=2),
        gn.nn.Permute((1, 0)),
        gn.nn.Flatten(),
        gn.nn.Embedding(8, 2),
    ],
    (8,): [gn.nn.Embedding(8, 2, mask_index=0, initializer=initializers.IdentityKernel(0.5))],
    IMAGE: [gn.nn.GroupNorm(2, epsilon=1e-3, use_scale=False, use_shift=False)],
    SEQUENCE_FIRST: [
        gn.nn.Conv1D(4, 3, **KERNEL, groups=2),
        gn.nn.Conv1D(4, 3, dilation=2),
        gn.nn.Conv1DTranspose(4, 3, **KERNEL | {"padding": 1}, output_padding=1),
        gn.nn.Conv1DTranspose(4, 3, dilation=2),
        gn.nn.MaxPool1D(3, **POOL),
        gn.nn.AveragePool1D(3, **POOL, count_padding=True),
        gn.nn.GlobalMaxPool1D(**FIRST),
        gn.nn.GlobalAveragePool1D(**FIRST),
        gn.nn.ZeroPad1D(2, **FIRST),
        gn.nn.Cropping1D(2, **FIRST),
        gn.nn.UpSampling1D(3, **FIRST),
    ],
    IMAGE_FIRST: [
        gn.nn.Conv2D(4, (3, 2), **KERNEL, groups=2),
        gn.nn.Conv2D(4, 2, dilation=2, **FIRST),
        gn.nn.Conv2DTranspose(4, 3, **KERNEL | {"padding": 1}, output_padding=1),
        gn.nn.Conv2DTranspose(4, 2, dilation=2, **FIRST),
        gn.nn.MaxPool2D(3, **POOL),
        gn.nn.AveragePool2D(3, **POOL, count_padding=True),
        gn.nn.GlobalMaxPool2D(**FIRST),
        gn.nn.GlobalAveragePool2D(**FIRST),
        gn.nn.ZeroPad2D(((1, 2), (0, 1)), **FIRST),
        gn.nn.Cropping2D(((1, 2), (0, 1)), **FIRST),
        gn.nn.UpSampling2D((2, 3), **FIRST),
    ],
    VOLUME_FIRST: [
        gn.nn.Conv3D(4, (3, 2, 1), **KERNEL, groups=2),
        gn.nn.Conv3D(4, 2, dilation=2, **FIRST),
        gn.nn.Conv3DTranspose(4, 3, **KERNEL | {"padding": 1}, output_padding=1),
        gn.nn.Conv3DTranspose(4, 2, dilation=2, **FIRST),
        gn.nn.MaxPool3D(3, **POOL),
        gn.nn.AveragePool3D(3, **POOL, count_padding=True),
        gn.nn.GlobalMaxPool3D(**FIRST),
        gn.nn.GlobalAveragePool3D(**FIRST),
        gn.nn.ZeroPad3D(2, **FIRST),
        gn.nn.Cropping3D(2, **FIRST),
        gn.nn.UpSampling3D(3, **FIRST),
    ],
}
CASES = [(shape, layer) for shape, layers in LAYERS.items() for layer in layers]
CODE = (nn.Lambda, nn.Compose)  # they hold functions, and have no model file


def concrete_layers() -> list[type[Layer]]:
    named = [getattr(nn, name) for name in nn.__all__]
    classes = [value for value in named if inspect.isclass(value) and issubclass(value, Layer)]
    return [layer for layer in classes if not inspect.isabstract(layer) and layer not in CODE]


@pytest.mark.parametrize(("shape", "layer"), CASES, ids=lambda value: getattr(value, "kind", str(value)))
def test_a_layer_comes_back_from_its_file_with_its_options_and_bits(
    shape: tuple[int, ...], layer: Layer, tmp_path: Path
) -> None:
    net = gn.Network([layer], "half_squared_error", seed=3, input_shape=shape)
    net.save(tmp_path / "net.glass")
    loaded = gn.load(tmp_path / "net.glass")
    assert loaded.layers == net.layers
    assert loaded.layers[0] == layer
    for got, expected in ((loaded.parameters, net.parameters), (loaded.statistics, net.statistics)):
        assert list(got) == list(expected)
        assert all(np.array_equal(array, expected[name]) for name, array in got.items())
    whole = isinstance(layer, nn.Embedding)
    X = np.random.default_rng(0).integers(0, 8, (2, *shape)).astype(np.float32)
    X = X if whole else X / 8 - 0.4
    assert np.array_equal(loaded.predict(X), net.predict(X))


def test_every_layer_is_there_with_every_option_changed() -> None:
    options = ("name", "regularizer", "max_norm")  # of every layer; Dense has them all
    for kind in concrete_layers():
        given = [layer for _, layer in CASES if type(layer) is kind]
        assert given, f"{kind.__name__} is not saved by any test"
        for option in fields(kind):
            if option.init and (option.name not in options or kind is nn.Dense):
                assert any(not is_default(layer, option.name) for layer in given), (kind, option.name)


@pytest.mark.parametrize(
    "layer",
    [
        gn.nn.Lambda(gnp.sin),
        gn.nn.Lambda(lambda x: 2 * x),
        gn.nn.Compose(lambda layers, x: layers.inner(x), inner=gn.Dense(2)),
        gn.Dense(2, kernel_initializer=lambda key, shape, dtype: np.ones(shape, dtype)),
        gn.nn.Sequential([gn.nn.Residual([gn.nn.Activation(lambda z: z)])]),
    ],
    ids=lambda layer: layer.kind,
)
def test_code_of_one_s_own_is_not_saved(layer: Layer, tmp_path: Path) -> None:
    net = gn.Network([layer, gn.Dense(1)], "mean_squared_error", input_shape=3)
    with pytest.raises(ConfigurationError, match=r"which is code of your own, and a model file holds data"):
        net.save(tmp_path / "net.glass")
    assert not (tmp_path / "net.glass").exists()


@pytest.mark.parametrize(
    "initializer",
    [
        initializers.ConstantFill(0.5),
        initializers.Uniform(-1.0, 2.0),
        initializers.Normal(1.0, 2.0),
        initializers.TruncatedNormal(1.0, 2.0),
        initializers.VarianceScaling(2.0, "fan_avg", "uniform"),
        initializers.Orthogonal(2.0),
        initializers.IdentityKernel(2.0),
        initializers.Sparse(3, 0.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_initialisers_are_documents(initializer: Any) -> None:
    document = to_document(gn.Dense(2, kernel_initializer=initializer), "the test")
    assert from_document(document).kernel_initializer == initializer


def test_what_belongs_to_the_network_comes_back_too(rows: np.ndarray, tmp_path: Path) -> None:
    loss = gn.losses.CrossEntropy(label_smoothing=0.1)
    net = gn.Network([gn.Dense(3)], loss, seed=5, dtype="float64", reduction="sum", classes=["c", "b", "a"])
    labels = np.array(["a", "b", "c"])[np.arange(23) % 3]
    options = {"batch_size": 5, "optimizer": gn.SGD(0.01), "engine": "interpreter"}
    net.fit(rows, labels, epochs=2, **options)
    net.save(tmp_path / "net.glass")
    loaded = gn.load(tmp_path / "net.glass")
    assert (loaded.loss, loaded.seed, loaded.dtype) == (loss, 5, np.dtype("float64"))
    assert loaded.classes.tolist() == ["c", "b", "a"]
    assert (
        loaded.fit(rows, labels, epochs=2, **options).loss == net.fit(rows, labels, epochs=2, **options).loss
    )
    assert np.array_equal(loaded.predict(rows), net.predict(rows))


def test_a_file_without_a_statistic_is_refused() -> None:
    net = gn.Network([gn.nn.BatchNorm(), gn.Dense(1)], "mean_squared_error", input_shape=3)
    document, arrays = net.to_document()
    del arrays["batch_norm_1.variance"]
    with pytest.raises(ModelFileError, match=r"it lacks 'batch_norm_1\.variance'"):
        gn.Network.from_document(document, arrays)
    arrays["batch_norm_1.variance"] = np.ones(2)
    sentence = r"The statistic batch_norm_1\.variance has shape \(3,\); got \(2,\)"
    with pytest.raises(ModelFileError, match=sentence):
        gn.Network.from_document(document, arrays)
