"""Arm processors: what is compiled for them, and, run by an emulator, that it computes what it should."""

from __future__ import annotations

import re

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.epoch_program import EpochProgram
from glassnet.compiler.function import compile_graph
from glassnet.compiler.llvm import emit
from glassnet.compiler.passes import divide
from glassnet.compiler.passes.uncompiled import UNCOMPILED
from glassnet.core.registry import OPS
from glassnet.interpret.reference import interpret
from glassnet.optim import Adam
from glassnet.transforms.tracing import trace
from tests.compiler.aarch64 import ARM, MISSING, ArmMachine, installed
from tests.compiler.test_lowering import SPECIAL, all_of, applications
from tests.compiler.test_threads import NETWORKS

emulated = pytest.mark.skipif(bool(MISSING), reason=f"runs Arm programs with {' and '.join(MISSING)}")
X = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)


@pytest.fixture
def machine(monkeypatch, tmp_path) -> ArmMachine:
    machine = ArmMachine(tmp_path)
    installed(machine, monkeypatch)
    return machine


@pytest.mark.parametrize(
    ("function", "instruction"),
    [
        (lambda x: x @ x.T, r"fmla\s+v\d+\.4s"),
        (lambda x: gnp.exp(x) * gnp.tanh(x), r"fmla\s+v\d+\.4s"),
        (lambda x: gnp.softmax(gnp.relu(x)), r"fmla\s+v\d+\.4s"),
        (lambda x: x.astype("float64") @ x.T.astype("float64"), r"fmla\s+v\d+\.2d"),
        (lambda x: gnp.floor(x) + gnp.sqrt(abs(x)), r"frintm\s+v\d+\.4s"),
        (lambda x: gnp.conv(x.reshape(1, 20, 30), gnp.ones((4, 1, 3, 3), "float32")), r"fmla\s+v\d+\.4s"),
    ],
)
def test_arm_programs_use_vectors_and_call_nothing(function, instruction, monkeypatch, machine):
    texts: list[str] = []
    program = machine.program
    monkeypatch.setattr(machine, "program", lambda text, name: texts.append(text) or program(text, name))
    compile_graph(trace(function, X)[0])
    assembly = machine.assembly(texts[0])
    assert re.search(rf"\b{instruction}\b", assembly)
    assert not re.findall(r"\bblr?\s+\w+", assembly)
    assert len(re.findall(r"\bmsr\s+FPCR\b", assembly)) == 2  # denormals are switched off, and on again


def test_programs_of_several_threads_are_compiled_for_arm(monkeypatch, machine, training):
    monkeypatch.setattr(divide, "WORTHWHILE", 0)
    run = training([9, 20, 3], rows=30, optimizer=Adam(0.01))
    program = EpochProgram(run.step, False, ARM, threads=2)
    assembly = machine.assembly(emit(program.loops, ARM))
    assert re.search(r"\bbl\s+barrier\b", assembly)
    assert re.search(r"\byield\b", assembly)


@emulated
def test_every_op_runs_on_arm(machine):
    runs = []
    for name in sorted(OPS.keys() - UNCOMPILED.keys() - {"input", "constant"}):
        for case in applications(name)[:2]:
            op = OPS[name]
            graph, _ = trace(lambda *inputs, op=op, case=case: op(*inputs, **case.attributes), *case.inputs)
            runs.append((name, graph, compile_graph(graph), case.inputs))
    for name, graph, compiled, inputs in runs:
        (got,), (expected,) = compiled(inputs), interpret(graph, inputs)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13, err_msg=name)


@emulated
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_and_random_values_on_arm(dtype, machine):
    rng = np.random.default_rng(2)
    first, second = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
    x = np.concatenate([first, rng.standard_normal(50), 30 * rng.standard_normal(50)]).astype(dtype)
    y = np.concatenate([second, rng.standard_normal(100)]).astype(dtype)
    graph, _ = trace(lambda x, y: tuple(all_of(x, y).values()), x, y)
    with np.errstate(all="ignore"):
        names = list(all_of(x[:1], y[:1]))
        expected = interpret(graph, [x, y])
    relative, smallest = (2e-6, 1e-37) if dtype == np.float32 else (1e-13, 1e-307)
    for name, got, wanted in zip(names, compile_graph(graph)([x, y]), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=relative, atol=smallest, err_msg=name)


@emulated
def test_denormal_numbers_count_as_zero_on_arm(machine):
    tiny = np.array([1e-40, -1e-40, 1e-20], np.float32)
    graph, _ = trace(lambda x: (x * np.float32(1e4), x * x), tiny)
    read, written = compile_graph(graph)([tiny])
    np.testing.assert_array_equal(read[:2], [0.0, 0.0])
    np.testing.assert_array_equal(written, [0.0, 0.0, 0.0])


@emulated
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_on_arm(name, dtype, machine):
    layers, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((21, *shape)), rng.integers(0, 3, 21)
    net = gn.Network(layers, loss="cross_entropy", dtype=dtype)
    results = []
    for engine in ("compiled", "interpreter"):
        program = net.training_program(x, y, batch_size=8, optimizer=Adam(0.01, epsilon=1e-3), engine=engine)
        program.run_epochs(2)
        results.append(program.parameters)
    assert machine.calls == [1]
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


@emulated
@pytest.mark.parametrize("name", NETWORKS)
def test_threads_give_the_same_bits_on_arm(name, machine, monkeypatch):
    monkeypatch.setattr(divide, "WORTHWHILE", 0)
    layers, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((21, *shape)), rng.integers(0, 3, 21)
    net = gn.Network(layers, loss="cross_entropy")
    found = []
    for threads in (1, 2, 3):
        program = net.training_program(x, y, 8, Adam(0.01), "compiled", threads=threads)
        loss = program.run_epochs(2)
        found.append((loss, [array.tobytes() for array in program.parameters]))
    assert machine.calls == [1, 2, 3]
    assert found[0] == found[1] == found[2]
