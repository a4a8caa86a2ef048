"""What the compiler's tests share: every vector width of this machine, and training runs on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from glassnet.compiler import jit, llvm, records
from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.loop_ir import Function, verify
from glassnet.core.random import Key
from glassnet.core.step import StepGraph, TrainingData
from glassnet.errors import ConfigurationError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.losses.loss import LOSSES
from glassnet.nn.dense import Dense
from glassnet.optim import SGD
from glassnet.train.composition import Composition
from glassnet.train.program import build_step
from glassnet.train.setting import Setting
from tests.compiler import guarded


def _cpus() -> list[CPU]:
    cpus = [host_cpu()]
    for tier in ("avx2", "sse"):
        try:
            cpus.append(cpus[0].restrict(tier))
        except ConfigurationError:
            continue
    return cpus


@pytest.fixture(scope="session")
def cpus() -> list[CPU]:
    """The host, and the host with its wider vectors switched off."""
    return _cpus()


@pytest.fixture(scope="session")
def every_cpu(cpus: list[CPU]) -> list[CPU]:
    """Those, and where there is an x86 one without all that came after SSE2."""
    last, late = cpus[-1], {"sse3", "ssse3", "sse4.1", "sse4.2"}
    if last.architecture != "x86_64":
        return cpus
    return [*cpus, replace(last, features=last.features - late, missing=frozenset(late))]


@pytest.fixture(scope="session", params=_cpus(), ids=lambda cpu: f"{cpu.name}-{cpu.vector_bits}")
def cpu(request: pytest.FixtureRequest) -> CPU:
    """One of them."""
    return request.param


def _emit_verified(function: Function, cpu: CPU) -> str:
    verify(function)
    return llvm.emit(function, cpu)


@pytest.fixture(autouse=True, scope="session")
def _verified_and_compiled_afresh() -> Iterator[None]:
    # Whatever these tests compile, its loops pass the verifier first.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSNET_CACHE", "off")
        for module in (records, jit):
            patch.setattr(module, "emit", _emit_verified)
        yield


@dataclass(frozen=True)
class Training:
    """A step graph, its data and its first state: what both engines are given."""

    step: StepGraph
    data: TrainingData
    carried: list[np.ndarray]
    learning_rate: float
    activations: tuple[str, ...]

    def compiled(self, cpu: CPU | None = None) -> CompiledRunner:
        """The native run."""
        return CompiledRunner(self.step, self.data, self.carried, self.learning_rate, cpu)

    def reference(self) -> ReferenceRunner:
        """The interpreted run."""
        return ReferenceRunner(self.step, self.data, self.carried, self.learning_rate)


def _training(
    units: Sequence[int],
    *,
    activations: Sequence[str] = ("tanh",),
    loss: str = "half_squared_error",
    labels: bool = False,
    optimizer: Any = None,
    batch_size: int = 8,
    rows: int = 24,
    dtype: str = "float64",
    seed: int = 0,
    shuffled: bool | None = None,
) -> Training:
    """A dense network of these widths; `activations` go round over its layers."""
    optimizer, floating = optimizer or SGD(0.05), np.dtype(dtype)
    chosen = tuple(activations[i % len(activations)] for i in range(len(units) - 1))
    fused = loss in ("cross_entropy", "binary_cross_entropy")  # these contain the output activation
    chosen = (*chosen[:-1], "identity") if fused else chosen
    layers = [Dense(n, activation=name) for n, name in zip(units[1:], chosen, strict=True)]
    composition = Composition.of(layers, LOSSES[loss])
    rng = np.random.default_rng(seed)
    inits = [layer.init(Key(seed + i), (units[i],), floating) for i, layer in enumerate(layers)]
    # biases that are not zero keep the units of a dead layer away from the kink
    for own in inits:
        own["bias"] = (0.1 * rng.standard_normal(own["bias"].shape)).astype(floating)
    x = (0.5 * rng.standard_normal((rows, units[0]))).astype(floating)
    if labels:
        target = rng.integers(0, units[-1], rows).astype(np.int32)
    else:
        target = rng.random((rows, units[-1])).astype(floating)
        target /= target.sum(axis=1, keepdims=True) if loss == "cross_entropy" else 1
    size = min(batch_size, rows)
    setting = Setting(composition, (dict(zip(composition.names, inits, strict=True)), {}), seed, floating, 0)
    weighted = rows % size != 0
    step = build_step(
        setting.loss(), optimizer, *setting.model, (x, target), size, floating, -(-rows // size), weighted
    )
    shuffled = size < rows if shuffled is None else shuffled
    data = TrainingData((x, target), Key(seed).fold(3) if shuffled else None)
    return Training(step.graph, data, step.arrays, step.learning_rate, chosen)


@pytest.fixture(scope="session")
def training() -> Callable[..., Training]:
    """Makes training runs of dense networks."""
    return _training


@pytest.fixture(scope="session")
def guarded_copy() -> Callable[[np.ndarray], np.ndarray]:
    """Copies an array to memory between pages that must not be touched."""
    return guarded.guarded_copy


@pytest.fixture(scope="session")
def guarded_arena() -> type[Arena]:
    """An arena between pages that must not be touched."""
    return guarded.GuardedArena
