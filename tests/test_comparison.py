"""The comparison with the peers: what is counted, what the peers compute, and what is made of the times."""

from __future__ import annotations

import importlib
import io
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.compiler.cpu import host_cpu

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
NAMES = [
    *("xor", "digits-1", "digits-32", "digits-adam", "dropout", "dense-784", "dense-1024", "lenet"),
    *("lstm", "block"),
]


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_the_cases_are_all_there(benchmark_module) -> None:
    assert list(benchmark_module("cases").CASES) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dense-1024"])
def test_glassnet_has_as_many_parameters_as_the_case_counts(benchmark_module, name: str) -> None:
    case = benchmark_module("cases").CASES[name]
    translate = benchmark_module("peers.glassnet_program").translate
    net = gn.Network([translate(layer) for layer in case.layers], case.loss, input_shape=case.row)
    assert sum(array.size for array in net.parameters.values()) == case.parameters


@pytest.mark.parametrize("name", ["dropout", "lenet", "lstm", "block"])
def test_jax_and_torch_have_as_many_parameters_too(benchmark_module, name: str) -> None:
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    assert torch is not None
    case = benchmark_module("cases").CASES[name]
    layers, ours = benchmark_module("layers"), benchmark_module("peers.jax_layers")
    arrays = [ours.initial(*pair, jax.random.key(0)) for pair in layers.walk(case.layers, case.row)]
    assert sum(leaf.size for leaf in jax.tree.leaves(arrays)) == case.parameters
    network = benchmark_module("peers.torch_layers").network(case.layers, case.row)
    twice = 4 * 64 if name == "lstm" else 0  # PyTorch's LSTM has two biases
    assert sum(p.numel() for p in network.parameters()) == case.parameters + twice


def test_flops_are_two_for_each_multiply_add(benchmark_module) -> None:
    cases = benchmark_module("cases").CASES
    # 2-2-1: 4 + 2 products forward, as many for the weights, 2 for the deltas of the hidden layer
    assert cases["xor"].flops == 4 * 2 * (6 + 6 + 2)
    # LeNet-5: two convolutions and three dense layers; nothing goes back to the images
    first, second = 28 * 28 * 6 * 25, 10 * 10 * 16 * 150
    dense = 400 * 120 + 120 * 84 + 84 * 10
    assert cases["lenet"].flops == 64 * 2 * (3 * (first + second + dense) - first)
    # each step of the LSTM: four gates of 64 units on 32 inputs and 64 states
    assert cases["lstm"].flops == 32 * 2 * (3 * 640 + 50 * 4 * 64 * (3 * 96 - 32))
    # the block: four projections and two products of attention, two layers of 64 x 256, ten classes
    assert cases["block"].flops == 32 * 2 * 3 * (4 * 32 * 64**2 + 2 * 32**2 * 64 + 2 * 32 * 64 * 256 + 640)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_numpy_by_hand_goes_down_the_gradient(benchmark_module, dropout: float) -> None:
    cases, layers = benchmark_module("cases"), benchmark_module("layers")
    dense = layers.dense(4, 1, activation="tanh", dropout=dropout)
    sgd = {"optimizer": "sgd", "learning_rate": 0.1, "batch": 8, "rows": 8}
    case = replace(cases.CASES["dropout"], layers=dense, row=(3,), **sgd)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 3), np.float32)
    y = rng.integers(0, 2, (8, 1)).astype(np.float32)
    trainer = benchmark_module("peers.numpy_by_hand").ByHand(case, X, y)
    before = [weight.astype(np.float64) for weight in trainer.weights]
    total = trainer.step(trainer.X, trainer.target)
    mask = trainer.masks[0].astype(np.float64) if dropout else 1.0

    def loss(weights: Any) -> Any:
        first, second = weights
        hidden = gnp.tanh(X.astype(np.float64) @ first[:-1] + first[-1]) * mask
        return gn.losses.binary_cross_entropy(hidden @ second[:-1] + second[-1], y.astype(np.float64)).mean()

    value, gradients = gn.value_and_grad(loss)(before)
    assert total / 8 == pytest.approx(float(value), rel=1e-5)
    for old, new, gradient in zip(before, trainer.weights, gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * np.asarray(gradient), atol=1e-6)


def test_what_a_framework_lacks_is_said(benchmark_module) -> None:
    cases, peers = benchmark_module("cases").CASES, benchmark_module("peers")
    for name, peer, lacks in (
        ("dropout", "sklearn_fit", "AdamW and dropout"),
        ("lenet", "sklearn_fit", "not dense"),
        ("block", "numpy_by_hand", "only dense networks"),
    ):
        with pytest.raises(peers.NotExpressibleError, match=lacks):
            benchmark_module(f"peers.{peer}").variants(cases[name], np.zeros(1), np.zeros(1))


def test_the_peak_is_made_of_independent_multiply_adds(benchmark_module) -> None:
    peak = benchmark_module("peers.fma_peak")
    case = replace(benchmark_module("cases").CASES["xor"], epochs_per_call=1)
    assert peak.loop_text(8).count("= call <8 x float> @llvm.fma.v8f32(") == peak.CHAINS * peak.UNROLL
    registers = peak.Registers(case)
    registers.run(1)  # it compiles, links and comes back
    lanes = case.flops / (2 * peak.CHAINS * peak.UNROLL * registers.turns)
    assert lanes == pytest.approx(host_cpu().lanes("f32"))


def comparison(benchmark_module, **seconds: list[float]) -> Any:
    measure, cases = benchmark_module("measure"), benchmark_module("cases").CASES
    results = [
        measure.Result(peer, microseconds=rounds, first_loss=2.0, last_loss=1.0)
        for peer, rounds in seconds.items()
    ]
    return measure.Comparison(cases["digits-adam"], results, ideal=15.0)


def test_the_best_round_counts_and_the_best_peer(benchmark_module) -> None:
    measured = comparison(benchmark_module, glassnet=[25.0, 20.0], jax=[50.0, 60.0], torch=[700.0])
    assert measured.ratio == 2.5
    assert measured.asked == 2.3
    assert measured.peak_fraction == 0.75
    assert comparison(benchmark_module, glassnet=[], jax=[50.0]).ratio is None


def test_a_missed_figure_is_red_and_a_missing_system_has_its_reason(benchmark_module) -> None:
    tables, console = benchmark_module("tables"), importlib.import_module("rich.console").Console
    screen = console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard")
    measured = comparison(benchmark_module, glassnet=[25.0], jax=[50.0], torch=[])
    measured.results[-1].problem = "torch is not installed"
    tables.show_steps([measured], ["glassnet", "jax", "torch"], screen)
    text = screen.file.getvalue()
    assert "\x1b[1;31m2.00 ×" in text or "\x1b[31m2.00 ×" in text
    assert "60% (75 % asked)" in text
    assert "torch has no figure: torch is not installed" in text


def test_a_line_is_fitted_and_where_it_starts(benchmark_module) -> None:
    growth = benchmark_module("growth")
    megaflops = np.array([0.01, 0.1, 1.0, 10.0, 100.0])
    exact = growth.fit(megaflops, 2.0 + 7.0 * megaflops)
    assert (exact.overhead, exact.slope) == pytest.approx((2.0, 7.0))
    assert exact.linear_beyond == 0.01
    bent = growth.fit(megaflops, np.array([4.0, 2.7, 9.0, 72.0, 702.0]))
    assert bent.linear_beyond == 0.1


def test_every_size_of_the_growth_is_a_case(benchmark_module) -> None:
    growth = benchmark_module("growth")
    for sweep, sizes in growth.SIZES.items():
        flops = [growth.case_of(sweep, size).flops for size in sizes]
        assert flops == sorted(set(flops))


def test_the_script_of_the_whole_process_trains_the_digits(benchmark_module, tmp_path: Path) -> None:
    whole = benchmark_module("whole_process")
    process = whole.Process("glassnet")
    whole.once(process, "cold", tmp_path)
    assert process.problem == ""
    assert len(process.seconds["cold"]) == 1
    assert list((tmp_path / "glassnet").glob("*.object"))


def test_a_case_is_compiled_and_then_loaded(benchmark_module) -> None:
    starts, cases = benchmark_module("starts"), benchmark_module("cases").CASES
    each = starts.compilation(cases["digits-32"], rounds=1)
    assert each.cold > 0
    assert each.cached > 0
    assert (each.asked, replace(each, case=cases["dense-1024"]).asked) == (0.3, None)


def test_jax_takes_the_steps_of_numpy_by_hand(benchmark_module) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    case = replace(benchmark_module("cases").CASES["xor"], epochs_per_call=50)
    X, y = benchmark_module("samples").samples(case)
    theirs = benchmark_module("peers.jax_scan").Scan(case, X, y)
    ours = benchmark_module("peers.numpy_by_hand").ByHand(case, X, y)
    for weight, (kernel, bias) in zip(ours.weights, theirs.carry[0], strict=True):
        weight[:-1], weight[-1] = kernel, bias
    ours.run(1)
    theirs.run(1)
    assert theirs.loss() == pytest.approx(ours.loss(), rel=1e-4)
    for weight, (kernel, bias) in zip(ours.weights, theirs.carry[0], strict=True):
        np.testing.assert_allclose(weight, np.vstack([kernel, bias]), atol=1e-5)
