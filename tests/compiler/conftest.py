"""What the compiler's tests share: every vector width of this machine, and training runs on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.loop_ir import verify
from glassnet.core.random import Key
from glassnet.core.step import StepGraph, TrainingData
from glassnet.core.tree import flatten, unflatten
from glassnet.errors import ConfigurationError
from glassnet.interpret.epoch import ReferenceRunner
from glassnet.train.program import build_step, instance_loss


def _cpus() -> list[CPU]:
    cpus = [host_cpu()]
    for tier in ("avx2", "sse"):
        try:
            cpus.append(cpus[0].restrict(tier))
        except ConfigurationError:
            continue
    return cpus


@pytest.fixture(scope="session", params=_cpus(), ids=lambda cpu: f"{cpu.name}-{cpu.vector_bits}")
def cpu(request: pytest.FixtureRequest) -> CPU:
    """The host, and the host with its wider vectors switched off."""
    return request.param


@pytest.fixture(autouse=True, scope="session")
def _no_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSNET_CACHE", "off")
        yield


@dataclass(frozen=True)
class Training:
    """A step graph, its data and its first state: what both engines are given."""

    step: StepGraph
    data: TrainingData
    carried: list[np.ndarray]
    learning_rate: float
    divergence: Callable[..., Any]
    activations: tuple[str, ...]

    def compiled(self, cpu: CPU | None = None) -> CompiledRunner:
        """The native run; its loops pass the verifier."""
        runner = CompiledRunner(self.step, self.data, self.carried, self.learning_rate, cpu)
        verify(runner._program.loops)
        return runner

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
    optimizer, floating = optimizer or gn.SGD(0.05), np.dtype(dtype)
    chosen = tuple(activations[i % len(activations)] for i in range(len(units) - 1))
    fused = loss in ("cross_entropy", "binary_cross_entropy")  # these contain the output activation
    chosen = (*chosen[:-1], "identity") if fused else chosen
    layers = [gn.Dense(n, activation=name) for n, name in zip(units[1:], chosen, strict=True)]
    network = gn.Network(layers, loss=loss, input_shape=units[0], seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    # biases that are not zero keep units of a dead layer away from the kink
    leaves, structure = flatten(tuple(dict(own) for own in network._parameters))
    leaves = [leaf + 0.1 * rng.standard_normal(leaf.shape).astype(floating) for leaf in leaves]
    x = rng.standard_normal((rows, units[0])).astype(floating)
    if labels:
        target = rng.integers(0, units[-1], rows).astype(np.int32)
    else:
        target = rng.random((rows, units[-1])).astype(floating)
        target /= target.sum(axis=1, keepdims=True) if loss == "cross_entropy" else 1
    divergence = instance_loss(network._fused, network.loss, units[-1], network.dtype)
    size = min(batch_size, rows)
    step, carried, _ = build_step(
        divergence, optimizer, unflatten(structure, leaves), size, rows, x.shape[1:], target, floating
    )
    shuffled = size < rows if shuffled is None else shuffled
    data = TrainingData(x, target, Key(seed).fold(3) if shuffled else None)
    return Training(step, data, carried, optimizer.learning_rate, divergence, chosen)


@pytest.fixture(scope="session")
def training() -> Callable[..., Training]:
    """Makes training runs of dense networks."""
    return _training


