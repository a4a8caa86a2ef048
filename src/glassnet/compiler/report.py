"""The record of a compilation: what each stage made and changed, memory, processor, instructions, as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glassnet.compiler.cpu import CPU
from glassnet.errors import ConfigurationError

_INSTRUCTION = re.compile(
    r"\t([a-z]\w*(?:\.\w+)?)(?:\s|$)"
)  # directives begin with a dot, labels at the edge
_SHOWN = 12  # kinds of instructions in the text of a report


@dataclass(frozen=True)
class Stage:
    """One stage of a compilation: its seconds, what it changed in a few words, and what it made as text."""

    name: str
    seconds: float
    change: str
    text: str

    def __str__(self) -> str:
        return f"{self.heading}\n{self.text}".rstrip()

    @property
    def heading(self) -> str:
        """Its name, time and change in one line."""
        return f"== {self.name} ({1e3 * self.seconds:.1f} ms): {self.change}"


@dataclass(frozen=True)
class Lifetime:
    """The place of one buffer in the arena in bytes, and the first and last kernel of its life, from 1.

    `kernels` is None where it keeps its place from call to call: inputs, results, what is carried.
    """

    buffer: str
    start: int
    size: int
    kernels: tuple[int, int] | None


@dataclass(frozen=True)
class ProgramReport:
    """What the compiler made of one program, stage by stage; `print` shows all of it.

    `report["fuse"]` is one stage, `report.summary` the text without the programs. `arena_bytes` is the
    memory of all its values, where lifetimes that do not meet share a place. `instructions` counts the
    instructions by name. `reason` is None, or the sentence with which the compiler refused the program.
    """

    name: str
    stages: tuple[Stage, ...]
    cpu: CPU | None = None
    from_cache: bool = False
    arena_bytes: int = 0
    lifetimes: tuple[Lifetime, ...] = ()
    instructions: Mapping[str, int] = field(default_factory=dict[str, int])
    reason: str | None = None

    def __getitem__(self, name: str) -> Stage:
        """The stage of that name; ConfigurationError lists the names of all."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in self.stages)
        raise ConfigurationError(f"The report has no stage {name!r}; it has {known}.")

    @property
    def compile_seconds(self) -> float:
        """What all stages took together."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def summary(self) -> str:
        """The figures of the program, and one line for each stage."""
        return "\n".join([*self._figures(), *(stage.heading for stage in self.stages)])

    def __str__(self) -> str:
        parts = [str(stage) if stage.text else stage.heading for stage in self.stages]
        return "\n\n".join(["\n".join(self._figures()), *parts])

    def _figures(self) -> list[str]:
        if self.reason is not None:
            return [f"{self.name}: not compiled", self.reason]
        origin = "is in the cache" if self.from_cache else "was made afresh"
        unshared = sum(lifetime.size for lifetime in self.lifetimes)
        count = sum(self.instructions.values())
        mix = ", ".join(f"{name} {n}" for name, n in Counter(self.instructions).most_common(_SHOWN))
        return [
            f"{self.name}: {1e3 * self.compile_seconds:.1f} ms; its native code {origin}",
            f"processor: {describe_cpu(self.cpu)}" if self.cpu else "",
            f"memory: {self.arena_bytes:,} bytes for {len(self.lifetimes)} buffers of {unshared:,}",
            f"instructions: {count:,}: {mix}",
        ]

    def write(self, folder: Path) -> None:
        """Writes the summary and every stage to files of their own, in a folder named after the program.

        Raises ConfigurationError where that is not possible.
        """
        texts = {"00_summary": self.summary}
        texts |= {
            f"{number:02}_{stage.name.replace(' ', '_')}": str(stage)
            for number, stage in enumerate(self.stages, start=1)
        }
        own = folder / self.name
        try:
            own.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (own / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"The report cannot be written to {own} ({error.strerror}); name a folder of your own, in "
                "GLASSNET_DUMP if it is that which asks for it."
            ) from None


def describe_cpu(cpu: CPU) -> str:
    """The processor in one line: its name, vectors, registers."""
    vectors = f"{cpu.registers} vector registers of {cpu.lanes('f32')} float32 or {cpu.lanes('f64')} float64"
    fused = "with" if cpu.has_fma else "without"
    return f"{cpu.name} ({cpu.architecture}), {vectors}, {fused} fused multiply-add"


def instruction_mix(assembly: str) -> Counter[str]:
    """How often each instruction stands in an assembler's text.

    >>> instruction_mix("f:\\n\\tvmulps\\t%zmm0, %zmm1, %zmm2\\n\\t.p2align\\t4\\n\\tretq\\n")
    Counter({'vmulps': 1, 'retq': 1})
    """
    found = (_INSTRUCTION.match(line) for line in assembly.splitlines())
    return Counter(match[1] for match in found if match)
