"""Compiles a program once more while somebody looks on, and reports every stage of it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from glassnet.compiler.cpu import CPU, host_cpu
from glassnet.compiler.epoch import compile_epoch
from glassnet.compiler.epoch_program import EpochProgram
from glassnet.compiler.function import CompiledGraph, require_native
from glassnet.compiler.graph_program import GraphProgram
from glassnet.compiler.jit import assembly, compile_text
from glassnet.compiler.llvm import emit
from glassnet.compiler.loop_ir import Builder
from glassnet.compiler.loop_language import (
    Barrier,
    Buffer,
    Function,
    If,
    Instruction,
    Load,
    Loop,
    Statement,
    Store,
    Value,
)
from glassnet.compiler.passes.divide import Divided
from glassnet.compiler.passes.forward import walk
from glassnet.compiler.passes.fuse import Kernel
from glassnet.compiler.passes.layout import Layout, Storage
from glassnet.compiler.passes.memory import size_in_bytes
from glassnet.compiler.passes.uncompiled import refuse_foreign
from glassnet.compiler.report import Lifetime, ProgramReport, Stage, instruction_mix
from glassnet.compiler.stages import Made, Recording, recording, stage
from glassnet.compiler.threads import requested_threads
from glassnet.core.graph import Graph, Node
from glassnet.core.step import StepGraph
from glassnet.errors import UncompilableError

_SOURCES = 4  # lines of the user that are shown for one kernel
_MADE = re.compile(r"([vi])(\d+)")  # how the builder names values and loop variables

T = TypeVar("T", GraphProgram, EpochProgram)


def explain_graph(graph: Graph, cpu: CPU | None = None) -> ProgramReport:
    """The report on `graph` as a native function."""
    return _explain(
        "function",
        graph,
        "",
        cpu,
        lambda cpu: GraphProgram(graph, cpu),
        lambda cpu: CompiledGraph(graph, cpu).from_cache,
    )


def explain_epoch(
    step: StepGraph, gathered_once: bool, cpu: CPU | None = None, threads: int | None = None
) -> ProgramReport:
    """The report on the native epochs of a training step; `threads` as the run itself takes them."""
    threads = requested_threads(threads)
    form = f"{step.batch_size} {gathered_once}"
    return _explain(
        "training",
        step.graph,
        form,
        cpu,
        lambda cpu: EpochProgram(step, gathered_once, cpu, threads),
        lambda cpu: compile_epoch(step, gathered_once, cpu, threads)[0].from_cache,
    )


def _explain(
    kind: str,
    graph: Graph,
    form: str,
    cpu: CPU | None,
    compile_once: Callable[[CPU], T],
    is_cached: Callable[[CPU], bool],
) -> ProgramReport:
    digest = hashlib.sha256(f"{form} {graph.signature()}".encode()).hexdigest()
    name = f"{kind}-{digest[:8]}"
    with recording() as seen:
        stage("traced", lambda: graph)
        try:
            require_native()
            refuse_foreign(graph)
            cpu = cpu or host_cpu()
            made = compile_once(cpu)
            text = stage("llvm", emit, made.loops, cpu)
            stage("machine code", compile_text, text, cpu)
        except UncompilableError as reason:
            return ProgramReport(name, _stages(seen), cpu, reason=str(reason))
    listing = assembly(text, cpu).strip("\n")
    mix = instruction_mix(listing)
    stages = (*_stages(seen), Stage("assembly", 0.0, f"{sum(mix.values())} instructions", listing))
    return ProgramReport(name, stages, cpu, is_cached(cpu), *_memory(seen), mix)


# -- what the stages made, as text


def _stages(seen: Recording) -> tuple[Stage, ...]:
    names: Counter[str] = Counter()
    stages: list[Stage] = []
    for made in seen.made:
        names[made.stage] += 1
        again = f" {names[made.stage]}" if names[made.stage] > 1 else ""
        stages.append(Stage(made.stage + again, made.seconds, *_described(made, seen)))
    return tuple(stages)


def _described(made: Made, seen: Recording) -> tuple[str, str]:
    """What a stage changed, and what it made."""
    match made.stage:
        case "fuse":
            graph, kernels = made.given[0], made.result[0]
            return f"{len(graph.nodes)} nodes in {len(kernels)} kernels", _kernels(kernels, graph.names())
        case "layout":
            names = made.given[1].graph.names()
            layout: Layout = made.result
            copies = f", {len(layout.copies)} of them copied the other way round" if layout.copies else ""
            return f"{len(layout.storages)} values lie in memory{copies}", _storages(layout, names)
        case "memory":
            size, lifetimes = _memory(seen)
            return f"{size:,} bytes for {len(lifetimes)} buffers", _arena(lifetimes)
        case "lower":
            after = next((later for later in seen.made if later.stage in ("threads", "forwarding")), None)
            loops = after.given[0] if after else None
            return (f"{_size(loops.body)} statements", _annotated(loops, seen)) if loops else ("", "")
        case "threads":
            divided: Divided | None = made.result
            if divided is None:
                return "nothing to do", ""
            return _shared(divided), _annotated(divided.function, seen)
        case "forwarding":
            before, after = made.given[0], made.result
            if str(before) == str(after):
                return "nothing to do", ""
            change = f"{_size(before.body)} -> {_size(after.body)} statements"
            return change, _annotated(after, seen)
        case "llvm":
            return f"{len(made.result.splitlines())} lines", made.result.rstrip()
        case "machine code":
            return f"{len(made.result):,} bytes", ""
        case _:
            return _rewritten(made)


def _rewritten(made: Made) -> tuple[str, str]:
    after: Graph = made.result
    if not made.given:
        return f"{len(after.nodes)} nodes", str(after)
    before: Graph = made.given[0]
    if before.nodes == after.nodes:
        return "nothing to do", ""
    counts = made.counts or Counter(
        {f"{op} more": n for op, n in (_ops(after) - _ops(before)).items()}
        | {f"{op} less": n for op, n in (_ops(before) - _ops(after)).items()}
    )
    what = ", ".join(f"{what} {n}" if n > 1 else what for what, n in counts.most_common())
    return f"{len(before.nodes)} -> {len(after.nodes)} nodes: {what or 'inside loops'}", str(after)


def _ops(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.nodes)


def _kernels(kernels: Sequence[Kernel], names: Mapping[Node, str]) -> str:
    def listed(nodes: Sequence[Node]) -> str:
        return ", ".join(names.get(node, node.op.name) for node in nodes) or "nothing"

    lines: list[str] = []
    for number, kernel in enumerate(kernels, start=1):
        lines.append(f"{number}  {_title(kernel)}")
        lines.append(f"   reads {listed(kernel.reads)}; writes {listed(kernel.writes)}")
        lines += [f"   {line}" for line in _source_lines(kernel)]
    return "\n".join(lines)


def _title(kernel: Kernel) -> str:
    return str(kernel).rstrip(": ")  # a copy computes no node


def _source_lines(kernel: Kernel) -> list[str]:
    """The user's lines that a kernel computes."""
    places = dict.fromkeys((node.location, node.source_line) for node in kernel.nodes if node.location)
    lines = [f"{file.rpartition('/')[2]}:{line}  {text}" for (file, line), text in places if text]
    return lines if len(lines) <= _SOURCES else [*lines[:_SOURCES], f"and {len(lines) - _SOURCES} more lines"]


def _storages(layout: Layout, names: Mapping[Node, str]) -> str:
    rows = [(names.get(node, node.op.name), *_lying(s)) for node, s in layout.storages.items()]
    rows += [(f"{names.get(node, node.op.name)} copied", *_lying(s)) for node, s in layout.copies.items()]
    return _table(("value", "buffer", "rows x columns", "lies"), rows)


def _lying(storage: Storage) -> tuple[str, str, str]:
    rows, columns = storage.shape
    way = "column by column" if storage.transposed else "one a row" if storage.column else "row by row"
    return (
        storage.buffer.name,
        f"{rows} x {columns}",
        f"{way}, {storage.line} {storage.buffer.element} a line",
    )


def _memory(seen: Recording) -> tuple[int, tuple[Lifetime, ...]]:
    """The bytes of the arena and the place of every buffer in it."""
    made = next((made for made in seen.made if made.stage == "memory"), None)
    if made is None:
        return 0, ()
    b: Builder
    lives: Mapping[Buffer, tuple[int, int]]
    b, lives = made.given
    found: list[Lifetime] = []
    for buffer in b.buffers:
        if buffer.kind == "arena":
            first_to_last = lives.get(buffer)
            kernels = (first_to_last[0] + 1, first_to_last[1] + 1) if first_to_last else None
            found.append(Lifetime(buffer.name, buffer.offset, size_in_bytes(buffer), kernels))
    return made.result, tuple(sorted(found, key=lambda lifetime: lifetime.start))


def _arena(lifetimes: Sequence[Lifetime]) -> str:
    rows = [
        (
            x.buffer,
            f"{x.start:,}",
            f"{x.size:,}",
            "all" if x.kernels is None else "{} to {}".format(*x.kernels),
        )
        for x in lifetimes
    ]
    return _table(("buffer", "from byte", "bytes", "kernels"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    )


def _size(body: Sequence[Statement]) -> int:
    return sum(1 + (_size(line.body) if isinstance(line, Loop | If) else 0) for line in body)


def _shared(divided: Divided) -> str:
    """What several threads do together, in a few words."""
    statements = list(walk(divided.function.body))
    loops = sum(isinstance(line, Loop) and line.divided for line in statements)
    barriers = sum(isinstance(line, Barrier) for line in statements)
    return f"{loops} loops divided, {barriers} barriers, {divided.private:,} bytes for each thread"


def _annotated(loops: Function, seen: Recording) -> str:
    """The loops, with the kernel and the user's lines in front of where they are computed."""
    last: list[Kernel | None] = [None]

    def note(statement: Statement) -> str:
        number = _number(statement)
        if number is None:
            return ""
        kernel = _kernel_of(*number, seen)
        if kernel is last[0]:
            return ""
        last[0] = kernel
        return "\n".join([_title(kernel), *_source_lines(kernel)]) if kernel else "between kernels"

    return loops.text(note)


def _number(statement: Statement) -> tuple[str, int] | None:
    """Whether a statement is told by a value or by a loop, and by the number of which."""
    match statement:
        case Instruction() | Load():
            name = statement.result.name
        case Store():
            name = statement.value.name if isinstance(statement.value, Value) else ""
        case Loop():
            name = statement.variable.name
        case If() | Barrier():
            name = ""
    found = _MADE.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def _kernel_of(kind: str, number: int, seen: Recording) -> Kernel | None:
    """The kernel that the value or loop of this number was made for: the innermost, in loops of loops."""
    spans = [(origin.loops if kind == "i" else origin.values, origin.kernel) for origin in seen.origins]
    inside = [
        (last - first, n, kernel)
        for n, ((first, last), kernel) in enumerate(spans)
        if first <= number <= last
    ]
    return min(inside)[2] if inside else None
