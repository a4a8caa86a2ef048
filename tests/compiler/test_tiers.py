"""Every vector width of this machine: what is compiled for it keeps to its registers, and trains alike."""

from __future__ import annotations

import re

import numpy as np
import pytest

import glassnet as gn
from glassnet.compiler import epoch
from glassnet.compiler.cpu import CPU
from glassnet.compiler.epoch_program import EpochProgram
from glassnet.compiler.jit import assembly
from glassnet.compiler.llvm import emit
from glassnet.optim import Adam
from tests.compiler.test_threads import NETWORKS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_train_alike_at_every_width(name, dtype, cpu, monkeypatch):
    monkeypatch.setattr(epoch, "host_cpu", lambda: cpu)
    layers, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((21, *shape)), rng.integers(0, 3, 21)
    net = gn.Network(layers, loss="cross_entropy", dtype=dtype)
    found = []
    for engine in ("compiled", "interpreter"):
        program = net.training_program(x, y, 8, Adam(0.01, epsilon=1e-3), engine)
        program.run_epochs(2)
        found.append(program.parameters)
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def test_each_width_keeps_to_its_instructions(cpu: CPU, training):
    if cpu.architecture != "x86_64":
        pytest.skip("looks at instructions of x86")
    run = training([40, 70, 5], batch_size=32, rows=64, optimizer=Adam(0.01), dtype="float32")
    text = assembly(emit(EpochProgram(run.step, False, cpu).loops, cpu), cpu)
    widths = {width for register, width in (("xmm", 128), ("ymm", 256), ("zmm", 512)) if register in text}
    assert max(widths) == cpu.vector_bits
    assert bool(re.search(r"\bvfmadd\d+ps\b", text)) == cpu.has_fma
    assert not re.search(r"\bcall", text)
