"""The peak of the CPU: as many multiply-adds as a step has, on values that never leave the registers."""

from __future__ import annotations

import ctypes

import numpy as np
from cases import Case

from peers import Variants

DISTRIBUTIONS = ("llvmlite",)
CHAINS = 12  # independent sums: two units with a latency of 4 cycles need 8, and SSE has 16 registers
UNROLL = 4  # of the loop, so that its counter costs nothing


class Registers:
    """`run` does as many multiply-adds as the steps of the calls."""

    def __init__(self, case: Case) -> None:
        from glassnet.compiler.cpu import host_cpu
        from glassnet.compiler.jit import compile_text, load

        cpu = host_cpu()
        lanes = cpu.lanes("f32")
        image = compile_text(loop_text(lanes), cpu)
        self.native = load(image, "peak", [ctypes.c_int64])
        self.turns = case.flops * case.steps_per_call / (2 * lanes * CHAINS * UNROLL)

    def run(self, calls: int) -> None:
        self.native(round(calls * self.turns))

    def loss(self) -> float:
        return 0.0


def loop_text(lanes: int) -> str:
    """LLVM text of `void peak(i64 turns)`: CHAINS x UNROLL fused multiply-adds a turn, stored at the end."""
    vector = f"<{lanes} x float>"
    splat = f"<{', '.join(['float 0.5'] * lanes)}>"
    name = f"@llvm.fma.v{lanes}f32"
    chains = range(CHAINS)
    phis = [f"  %s0_{c} = phi {vector} [ {splat}, %entry ], [ %s{UNROLL}_{c}, %loop ]" for c in chains]
    products = [
        f"  %s{u + 1}_{c} = call {vector} {name}({vector} %s{u}_{c}, {vector} {splat}, {vector} {splat})"
        for u in range(UNROLL)
        for c in chains
    ]
    stores = [f"  store volatile {vector} %s{UNROLL}_{c}, ptr %place" for c in chains]
    lines = [
        f"declare {vector} {name}({vector}, {vector}, {vector})",
        "define void @peak(i64 %turns) {",
        "entry:",
        f"  %place = alloca {vector}, align 64",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        *phis,
        *products,
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %turns",
        "  br i1 %more, label %loop, label %exit",
        "exit:",
        *stores,
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    return {"registers": lambda: Registers(case)}
