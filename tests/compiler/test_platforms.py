"""Other systems: what is compiled for them needs nothing that the linker in memory does not find there."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

from glassnet.compiler import jit
from glassnet.compiler._llvm_binding import STACK_PROBES, binding, code_triple, runtime_symbols
from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.epoch_program import EpochProgram
from glassnet.compiler.graph_program import GraphProgram
from glassnet.compiler.llvm import emit
from glassnet.compiler.passes import divide
from glassnet.optim import Adam
from glassnet.transforms.tracing import trace
from tests.compiler.aarch64 import ARM
from tests.compiler.test_lowering import all_of

X86 = CPU("x86-64-v3", frozenset({"avx2", "fma"}), 256, 16)
PROCESSES = {
    "x86_64-unknown-linux-gnu": X86,
    "x86_64-apple-darwin20.0.0": X86,
    "x86_64-pc-windows-msvc": X86,
    "aarch64-unknown-linux-gnu": ARM,
    "arm64-apple-darwin23.0.0": ARM,
    "aarch64-pc-windows-msvc": ARM,
}


def assembly(text: str, process: str) -> str:
    """The instructions for LLVM IR in a process of that triple."""
    llvm, cpu = binding(), PROCESSES[process]
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(code_triple(process))
    machine = target.create_target_machine(cpu=cpu.name, features=cpu.feature_text, opt=1, jit=True)
    return machine.emit_assembly(llvm.parse_assembly(text))


def symbols(text: str) -> tuple[list[str], set[str]]:
    """Which symbols assembly shows to others, and which ones it refers to and does not define."""

    def found(pattern: str) -> list[str]:
        return re.findall(pattern, text, re.MULTILINE)

    used = found(r"^\s+(?:callq?|bl|movabsq)[ \t]+\$?([\w.]*[A-Za-z_]\w*)")
    return found(r"^\s+\.glob[al]+\s+(\w+)"), {*used} - {*found(r"^([\w.]+):")}


def stands_alone(text: str, name: str, process: str) -> None:
    shown, missing = symbols(text)
    # every name of C begins with an underscore on Apple's systems
    assert shown == [f"_{name}" if "apple" in process else name]
    assert missing <= set(STACK_PROBES if "windows" in process else ())


@pytest.mark.parametrize("process", PROCESSES)
def test_a_training_program_stands_alone(process, training, monkeypatch):
    monkeypatch.setattr(divide, "WORTHWHILE", 0)
    run = training([9, 20, 3], rows=30, optimizer=Adam(0.01))
    cpu = PROCESSES[process]
    program = EpochProgram(run.step, False, cpu, threads=2)
    text = assembly(emit(program.loops, cpu), process)
    stands_alone(text, "epoch", process)
    assert re.search(r"\b_?barrier:", text)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_function_with_all_constants_stands_alone(process):
    x = np.ones(40, np.float32)
    graph, _ = trace(lambda x, y: tuple(all_of(x, y).values()), x, x)
    cpu = PROCESSES[process]
    stands_alone(assembly(emit(GraphProgram(graph, cpu).loops, cpu), process), "graph", process)


LARGE = """
define i64 @large(i64 %n) {
%memory = alloca [9000 x i64]
%place = getelementptr i64, ptr %memory, i64 %n
store volatile i64 %n, ptr %place
%read = load volatile i64, ptr %place
ret i64 %read
}"""


def test_only_windows_has_the_stack_probed_by_a_function():
    for process in PROCESSES:
        probed = re.search(r"\b___?chkstk(_ms)?\b", assembly(LARGE, process))
        assert bool(probed) == ("windows" in process), process


def test_functions_of_the_system_are_found_by_their_addresses(monkeypatch):
    doubled = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda n: 2 * n)
    address = ctypes.cast(doubled, ctypes.c_void_p).value
    monkeypatch.setattr(jit, "runtime_symbols", lambda: {"glassnet_nowhere": address})
    text = """
declare i64 @glassnet_nowhere(i64)
define i64 @f(i64 %n) {
%doubled = call i64 @glassnet_nowhere(i64 %n)
ret i64 %doubled
}"""
    image = jit.compile_text(text, host_cpu())
    assert jit.load(image, "f", [ctypes.c_int64], jit.Type("i64"))(21) == 42


def test_the_symbols_of_this_system_do_no_harm():
    assert all(runtime_symbols().values())
    image = jit.compile_text(LARGE, host_cpu())
    assert jit.load(image, "large", [ctypes.c_int64], jit.Type("i64"))(4321) == 4321
