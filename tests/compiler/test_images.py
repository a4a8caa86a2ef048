"""Convolutional networks with the batch innermost: the passes, the loops and their memory."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler import epoch as epoch_module
from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.function import compile_graph
from glassnet.compiler.jit import compile_function
from glassnet.compiler.loop_ir import Builder, Type, verify
from glassnet.compiler.lowering.image_tiles import (
    choose_backward_tile,
    choose_band,
    choose_forward_tile,
    choose_kernel_tile,
)
from glassnet.compiler.lowering.images import lane_sums
from glassnet.compiler.passes.image_ops import IMAGES, RESULT, TO_IMAGES, UNPOOL
from glassnet.compiler.program import prepare
from glassnet.core.graph import Graph
from glassnet.core.random import Key
from glassnet.core.shape import size_of
from glassnet.core.step import StepGraph, TrainingData
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.interpret.reference import interpret
from glassnet.losses.loss import LOSSES
from glassnet.optim import SGD, Adam
from glassnet.train.composition import Composition
from glassnet.train.fitting import Setting
from glassnet.train.program import build_step
from glassnet.transforms.tracing import trace

nn = gn.nn

examples = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
LENET = (
    nn.Conv2D(6, 5, padding="same", activation="relu"),
    nn.MaxPool2D(2),
    nn.Conv2D(16, 5, activation="relu"),
    nn.MaxPool2D(2),
    nn.Flatten(),
    nn.Dense(120, activation="relu"),
    nn.Dense(84, activation="relu"),
    nn.Dense(10),
)
ACTIVATIONS = ("identity", "relu", "leaky_relu", "tanh", "sigmoid")
KINDS = {
    1: (nn.Conv1D, nn.MaxPool1D, nn.AveragePool1D, nn.GlobalMaxPool1D, nn.GlobalAveragePool1D),
    2: (nn.Conv2D, nn.MaxPool2D, nn.AveragePool2D, nn.GlobalMaxPool2D, nn.GlobalAveragePool2D),
}


class Run:
    """A network's training step with data to train on."""

    def __init__(
        self,
        layers: Any,
        shape: tuple[int, ...],
        batch: int,
        rows: int,
        dtype: str = "float64",
        optimizer: Any = None,
        seed: int = 0,
    ) -> None:
        floating, rng = np.dtype(dtype), np.random.default_rng(seed)
        composition = Composition.of(list(layers), LOSSES["cross_entropy"])
        model = composition.init(Key(seed), shape, floating)
        setting = Setting(composition, model, seed, floating, 0)
        classes = composition.output_shape(shape)[0]
        x = rng.standard_normal((rows, *shape)).astype(floating)
        labels = rng.integers(0, classes, rows).astype(np.int32)
        step = build_step(
            setting.loss(),
            optimizer or SGD(0.05),
            *model,
            (x, labels),
            batch,
            floating,
            -(-rows // batch),
            rows % batch != 0,
        )
        self.step: StepGraph = step.graph
        self.carried, self.rate = step.arrays, step.learning_rate
        self.data = TrainingData((x, labels), Key(seed).fold(3) if batch < rows else None)
        self.dtype = floating

    @property
    def graph(self) -> Graph:
        return self.step.graph

    def compiled(self, cpu: Any = None, data: TrainingData | None = None) -> CompiledRunner:
        return CompiledRunner(self.step, data or self.data, self.carried, self.rate, cpu)

    def reference(self) -> ReferenceRunner:
        return ReferenceRunner(self.step, self.data, self.carried, self.rate)

    def inputs(self) -> list[Any]:
        """The inputs of one step, without weights of rows."""
        columns = [column[: self.step.batch_size] for column in self.data.columns]
        count, rate = self.dtype.type(1), self.dtype.type(self.rate)
        return [
            *self.carried,
            *columns,
            *([np.ones(self.step.batch_size, self.dtype)] * self.step.weighted),
            count,
            rate,
        ]


def assert_near(got: Any, expected: Any, dtype: np.dtype[Any], share: float = 1.0) -> None:
    tolerance = share * (1e-4 if dtype == np.float32 else 1e-11)
    for one, other in zip(got, expected, strict=True):
        scale = max(1.0, float(np.max(np.abs(other))))
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    rank = draw(st.integers(1, 2))
    convolution, maximum, mean, *globals_ = KINDS[rank]
    space = shape = draw(st.tuples(*[st.integers(4, 13)] * rank))
    deep = channels = draw(st.integers(1, 4))
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        taps = tuple(draw(st.integers(1, min(5, extent))) for extent in space)
        pairs = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in space)
        layers.append(
            convolution(
                draw(st.sampled_from((1, 2, 3, 5, 8, 17))),
                taps,
                padding=draw(st.sampled_from(("valid", "same", pairs))),
                activation=draw(st.sampled_from(ACTIVATIONS)),
                use_bias=draw(st.booleans()),
            )
        )
        *space, deep = layers[-1].output_shape((*space, deep))
        if draw(st.integers(0, 3)) == 0:
            layers += [nn.BatchNorm(), nn.Activation("relu")]
        if draw(st.booleans()):
            window = tuple(draw(st.integers(1, min(3, extent))) for extent in space)
            layers.append(draw(st.sampled_from((maximum, mean)))(window))
            space = tuple(extent // w for extent, w in zip(space, window, strict=True))
    ending = draw(st.sampled_from((nn.Flatten, *globals_)))
    batch = draw(st.integers(2, 70))
    rows = batch * draw(st.integers(1, 2)) + draw(st.sampled_from((0, 0, 1)))
    dtype = draw(st.sampled_from(("float32", "float64")))
    return Run(
        [*layers, ending(), nn.Dense(4)],
        (*shape, channels),
        batch,
        rows,
        dtype,
        seed=draw(st.integers(0, 99)),
    )


# -- meaning


@examples
@given(runs(), st.integers(0, 2))
def test_networks_train_as_the_reference_does(cpus, run, tier):
    compiled, reference = run.compiled(cpus[tier % len(cpus)]), run.reference()
    for epoch in range(2):
        assert compiled.run(epoch) == pytest.approx(
            reference.run(epoch), rel=1e-3 if run.dtype == np.float32 else 1e-9
        )
    count = len(run.carried)
    assert_near(compiled.read(count), reference.read(count), run.dtype, share=10)


@examples
@given(runs())
def test_the_passes_keep_the_meaning(run):
    inputs = run.inputs()
    expected = interpret(run.graph, inputs)
    prepared = prepare(run.graph).verify()
    assert any(node.op is IMAGES for node in prepared.nodes)
    assert_near(interpret(prepared, inputs), expected, run.dtype)
    native = compile_graph(run.graph)
    for _ in range(2):  # the zeros around planes are still there
        assert_near(native(inputs), expected, run.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lenet(cpu, dtype):
    run = Run(LENET, (28, 28, 1), 20, 50, dtype, Adam(1e-3, epsilon=1e-4))
    compiled, reference = run.compiled(cpu), run.reference()
    assert compiled.run(0) == pytest.approx(reference.run(0), rel=1e-4 if dtype == "float32" else 1e-10)
    assert_near(compiled.read(len(run.carried)), reference.read(len(run.carried)), run.dtype)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2D(3, 3), nn.Dropout(0.4), nn.Flatten()],
        [
            nn.Conv2D(4, 3, padding="same"),
            nn.Residual([nn.Conv2D(4, 3, padding="same", activation="relu")]),
            nn.Flatten(),
        ],
        [nn.Conv2D(3, 3, strides=2, activation="relu"), nn.Conv2D(2, 2), nn.GlobalMaxPool2D()],
        [nn.Conv2D(4, 2), nn.MaxPool2D(3, strides=2), nn.Conv2D(4, 2, groups=2), nn.Flatten()],
        [
            nn.Conv2D(4, 3, data_format="channels_first"),
            nn.MaxPool2D(2, data_format="channels_first"),
            nn.Flatten(),
        ],
        [nn.Conv2D(70, 2), nn.Activation("relu"), nn.Conv2D(40, 2), nn.Flatten()],
        [nn.Conv2D(3, 3), nn.LayerNorm(), nn.Activation("relu"), nn.AveragePool2D(2), nn.Flatten()],
    ],
    ids=["dropout", "residual", "strides", "overlap", "channels first", "many channels", "layer norm"],
)
@pytest.mark.parametrize("batch", [4, 19])
def test_images_beside_ordinary_values(layers, batch):
    shape = (2, 7, 8) if "channels_first" in repr(layers) else (7, 8, 2)
    run = Run([*layers, nn.Dense(3)], shape, batch, 2 * batch)
    compiled, reference = run.compiled(), run.reference()
    assert compiled.run(0, 2) == pytest.approx(reference.run(0, 2), rel=1e-9)
    assert_near(compiled.read(len(run.carried)), reference.read(len(run.carried)), run.dtype, share=10)


def pooled(x: Any, w: Any) -> Any:
    """The maxima of windows of the images x convolved with one number."""
    return gn.vmap(lambda one: gnp.max_pool(gnp.conv(one, w), 2))(x)


def test_of_equal_elements_the_first_takes_the_derivative():
    x = np.array([[[[3.0, 3.0, 1.0, 2.0], [3.0, 0.0, 2.0, 2.0]]]] * 2)
    w = np.ones((1, 1, 1, 1))
    graph, _ = trace(gn.grad(lambda x, w: (pooled(x, w) * np.array([5.0, 7.0])).sum()), x, w)
    expected = [[[5.0, 0.0, 0.0, 7.0], [0.0, 0.0, 0.0, 0.0]]]
    for got in (compile_graph(graph)([x, w])[0], interpret(prepare(graph), [x, w])[0]):
        np.testing.assert_array_equal(got, [expected, expected])


@pytest.mark.parametrize("place", range(4))
def test_a_nan_is_the_largest(place):
    x = np.ones((3, 1, 2, 2))
    x[1].flat[place] = np.nan
    graph, _ = trace(pooled, x, np.ones((1, 1, 1, 1)))
    (got,) = compile_graph(graph)([x, np.ones((1, 1, 1, 1))])
    np.testing.assert_array_equal(got.ravel(), [1.0, np.nan, 1.0])


# -- what the passes make of a network


def test_a_network_of_layers_needs_no_transposes():
    prepared = prepare(Run(LENET, (28, 28, 1), 32, 64).graph)
    names = [node.op.name for node in prepared.nodes]
    assert "transpose" not in names
    assert "relay" not in names
    assert names.count("to_images") == 1  # the data, which are gathered that way
    groups = [node.attributes["body"] for node in prepared.nodes if node.op is IMAGES]
    assert len(groups) == 2
    assert all(node.op.name != "transpose" for body in groups for node in body.nodes)


def test_the_maps_in_front_of_pools_are_not_kept():
    prepared = prepare(Run(LENET, (28, 28, 1), 32, 64).graph)
    kept = [node for node in prepared.nodes if node.op is RESULT and len(node.shape) == 4]
    assert max(size_of(node.shape[2:]) for node in kept) == 14 * 14
    backward = [node for node in prepared.nodes if node.op is IMAGES][-1].attributes["body"]
    assert sum(node.op is UNPOOL for node in backward.nodes) == 2


def test_an_example_alone_is_no_batch_of_images():
    x, w = np.ones((1, 2, 5, 5)), np.ones((3, 2, 2, 2))
    graph, _ = trace(lambda x, w: gn.vmap(lambda one: gnp.conv(one, w))(x), x, w)
    assert all(node.op is not TO_IMAGES for node in prepare(graph).nodes)
    np.testing.assert_allclose(compile_graph(graph)([x, w])[0], np.full((1, 3, 4, 4), 8.0))


# -- tiles


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(
    st.integers(1, 64),
    st.integers(1, 70),
    st.integers(1, 9),
    st.sampled_from((16, 32)),
    st.sampled_from(((1, 1), (1, 2), (2, 2))),
)
def test_tiles_fit_into_the_registers(columns, channels, taps, registers, window):
    forward = choose_forward_tile(columns, channels, window, taps, registers)
    places = forward.places * size_of(window)
    assert places * forward.outputs + places < registers
    for far in (False, True):
        wide, deep = choose_backward_tile(columns, channels, taps, registers, far=far)
        assert wide * deep < registers
        assert 1 <= wide <= columns
        assert 1 <= deep <= channels
    kernel = choose_kernel_tile(channels, columns, taps, registers)
    assert kernel.outputs * kernel.inputs * kernel.taps + kernel.inputs * kernel.taps < registers


@given(st.integers(1, 100), st.integers(1, 40_000))
def test_bands_are_rows(rows, size):
    assert 1 <= choose_band(rows, size) <= rows


@pytest.mark.parametrize("element", ["f32", "f64"])
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_sums_of_lanes(lanes, element, cpu):
    for count in range(1, lanes + 1):
        b = Builder("sums")
        x = b.buffer("x", element, count * lanes, kind="argument", alignment=8)
        y = b.buffer("y", element, count, kind="argument", alignment=8)
        vectors = [b.load(x, k * lanes, lanes) for k in range(count)]
        total, valid = lane_sums(b, vectors)
        assert total.type == Type(element, 1 << (count - 1).bit_length())
        b.store(y, 0, total, valid)
        function = b.finish()
        verify(function)
        values = np.arange(count * lanes, dtype="float32" if element == "f32" else "float64") ** 2
        got = np.zeros(count, values.dtype)
        compile_function(function, cpu)(values.ctypes.data, got.ctypes.data)
        np.testing.assert_array_equal(got, values.reshape(count, lanes).sum(axis=1))


# -- memory


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by a call of Linux")
@pytest.mark.parametrize(
    ("layers", "shape", "batch", "rows"),
    [
        (LENET, (28, 28, 1), 17, 20),
        ((nn.Conv1D(3, 5, padding="same"), nn.MaxPool1D(3), nn.Flatten(), nn.Dense(2)), (11, 2), 5, 13),
        ((nn.Conv2D(33, 3, padding=2), nn.BatchNorm(), nn.GlobalMaxPool2D(), nn.Dense(3)), (5, 6, 3), 33, 33),
    ],
    ids=["lenet", "sequences", "norm"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_outside_its_memory_is_touched(
    cpu, monkeypatch, guarded_copy, guarded_arena, layers, shape, batch, rows, dtype
):
    run = Run(layers, shape, batch, rows, dtype)
    data = TrainingData(tuple(guarded_copy(column) for column in run.data.columns), run.data.key)
    monkeypatch.setattr(epoch_module, "Arena", guarded_arena)
    runner = run.compiled(cpu, data)
    runner._order, runner._words = guarded_copy(runner._order), guarded_copy(runner._words)

    # in a process of its own, because touching a guarded page ends it
    process = multiprocessing.get_context("fork").Process(target=runner.run, args=(0, 2))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert runner.run(0) == pytest.approx(run.reference().run(0), rel=1e-4)
