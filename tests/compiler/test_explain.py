"""The report on a compilation: stages with what they changed, memory, the user's lines, files of a dump."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import execute
from glassnet.compiler.cpu import host_cpu
from glassnet.compiler.graph_program import GraphProgram
from glassnet.compiler.stages import recording, stage
from glassnet.errors import ConfigurationError
from glassnet.transforms.tracing import trace

W = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(4, 3)
X = np.linspace(0.0, 1.0, 24, dtype=np.float32).reshape(3, 8)


def layer(w: Any, x: Any) -> Any:
    z = gnp.matmul(w, x)
    return gnp.softmax(gnp.tanh(z) * 1.0)


@pytest.fixture(scope="module")
def report() -> Any:
    return gn.compile(layer).explain(W, x=X)


def program(**options: Any) -> Any:
    net = gn.Network([gn.Dense(5, activation="relu"), gn.Dense(3)], loss="cross_entropy")
    return net.training_program(np.ones((20, 4)), np.arange(20) % 3, batch_size=8, **options)


def test_the_stages_stand_in_order_with_their_seconds(report: Any) -> None:
    names = [made.name for made in report.stages]
    wanted = ["traced", "expand", "simplify", "fuse", "layout", "lower", "memory", "llvm", "machine code"]
    assert [name for name in names if name in wanted] == wanted
    assert len(set(names)) == len(names)
    assert min(made.seconds for made in report.stages) >= 0
    assert report.compile_seconds == sum(made.seconds for made in report.stages)
    assert report.reason is None


def test_the_graph_the_kernels_and_the_loops_show_the_lines_of_the_user(report: Any) -> None:
    line = layer.__code__.co_firstlineno + 1
    shown = f"test_explain.py:{line}  z = gnp.matmul(w, x)"
    for name in ("traced", "fuse", "lower"):
        assert shown in report[name].text
    assert report["traced"].text.startswith("graph(w: float32[4, 3], x: float32[3, 8])")
    loops = report["lower"].text.splitlines()
    product = next(n for n, text in enumerate(loops) if "# contraction over 4 x 8" in text)
    softmax = next(n for n, text in enumerate(loops) if "# rows over 4 x 8" in text)
    assert product < softmax
    assert any(" fma " in text or " mul " in text for text in loops[product:softmax])


def test_a_pass_tells_what_it_changed(report: Any) -> None:
    assert report["expand"].change == "7 -> 11 nodes: softmax -> divide"
    assert report["simplify"].change == "11 -> 9 nodes: multiply -> tanh"
    assert report["fuse"].change == "9 nodes in 2 kernels"
    twice = gn.compile(lambda x: gnp.tanh(x) / gnp.tanh(x)).explain(X)
    assert twice["simplify"].change == "4 -> 3 nodes: equal nodes merged"


def test_text_and_summary_hold_every_stage(report: Any) -> None:
    text, summary = str(report), report.summary
    for made in report.stages:
        assert made.heading in text
        assert made.heading in summary
        assert made.text in text
    assert "define void @graph(ptr %arena)" in text
    assert "vector registers of" in summary
    with pytest.raises(ConfigurationError, match="no stage 'fusion'; it has traced, scans"):
        report["fusion"]


def test_buffers_that_live_together_lie_apart_and_the_others_share() -> None:
    report = program().explain()
    for one, other in combinations(report.lifetimes, 2):
        together = (
            one.kernels is None
            or other.kernels is None
            or (one.kernels[0] <= other.kernels[1] and other.kernels[0] <= one.kernels[1])
        )
        if together:
            assert one.start + one.size <= other.start or other.start + other.size <= one.start
    assert max(x.start + x.size for x in report.lifetimes) == report.arena_bytes
    assert report.arena_bytes < sum(x.size for x in report.lifetimes)


def test_instructions_are_counted(report: Any, cpu: Any) -> None:
    assert sum(report.instructions.values()) > 50
    assert sum(n for name, n in report.instructions.items() if name.startswith("ret")) == 1
    if report.cpu.has_fma and report.cpu.architecture == "x86_64":
        assert any(name.startswith("vfmadd") for name in report.instructions)


def test_a_training_step_is_explained_as_it_runs() -> None:
    report = program().explain()
    assert "function epoch(" in report["lower"].text
    assert "# contraction over 8 x 5: contract, add, relu" in report["lower"].text
    assert program(engine="interpreter").explain()["llvm"].text == report["llvm"].text
    with pytest.raises(ConfigurationError, match="several programs"):
        program(optimizer="lbfgs").explain()


def test_what_the_compiler_refuses_is_reported_with_the_reason() -> None:
    report = gn.compile(gnp.linalg.inv).explain(np.eye(3))
    assert report.reason == "inv is not compiled: linear algebra is left to the library behind NumPy."
    assert report.reason in str(report)
    assert "inv(" in report["traced"].text


def test_looking_on_changes_nothing() -> None:
    graph, _ = trace(layer, W, X)
    with recording() as seen:
        looked_at = GraphProgram(graph, host_cpu())
    assert str(GraphProgram(graph, host_cpu()).loops) == str(looked_at.loops)
    assert stage("after", len, "abc") == 3
    assert "after" not in [made.stage for made in seen.made]


def test_the_report_knows_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GLASSNET_CACHE")
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path))
    compiled = gn.compile(layer)
    assert [compiled.explain(W, X).from_cache for _ in range(2)] == [False, True]
    assert [program().explain().from_cache for _ in range(2)] == [True, True]


def test_a_dump_has_a_folder_for_each_program_and_a_file_for_each_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GLASSNET_DUMP", str(tmp_path / "dump"))
    gn.compile(layer)(W, X)
    gn.compile(layer, "interpreter")(W, X[:, :2])
    program()
    function, training = sorted((tmp_path / "dump").iterdir())
    assert function.name.startswith("function-")
    assert training.name.startswith("training-")
    assert "z = gnp.matmul(w, x)" in (function / "01_traced.txt").read_text(encoding="utf-8")
    assert any("define double @epoch" in path.read_text() for path in training.glob("*_llvm.txt"))
    assert "memory: " in (training / "00_summary.txt").read_text()


def test_a_dump_that_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    monkeypatch.setenv("GLASSNET_DUMP", str(taken))
    with pytest.raises(ConfigurationError, match=r"cannot be written to .*taken.*GLASSNET_DUMP"):
        execute.run(trace(layer, W, X)[0], [W, X], "auto")


def test_the_body_of_a_loop_has_kernels_of_its_own() -> None:
    def states(w: Any, x: Any) -> Any:
        return gn.scan(lambda h, row: (gnp.tanh(w @ h + row), h), x[0] * 0.0, x)[0]

    loops = gn.compile(states).explain(X[:, :3].copy(), X[:, :3].copy())["lower"].text.splitlines()
    notes = [line for line in loops if line.lstrip().startswith("# ")]
    loop, cell = (next(n for n, line in enumerate(notes) if what in line) for what in (": loop", ", tanh"))
    assert loop < cell
    assert notes[loop].index("#") < notes[cell].index("#")
