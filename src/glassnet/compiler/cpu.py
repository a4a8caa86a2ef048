"""The CPU as the compiler sees it: how wide a vector is and how many vector registers there are."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from glassnet.compiler._llvm_binding import binding, native_available
from glassnet.compiler.loop_language import BITS
from glassnet.errors import ConfigurationError, UncompilableError

# name: features needed, bits of a vector register, vector registers; the first that fits is taken
TIERS: dict[str, tuple[frozenset[str], int, int]] = {
    "avx512": (frozenset({"avx512f", "avx512vl", "avx512dq", "avx512bw"}), 512, 32),
    "avx2": (frozenset({"avx2", "fma"}), 256, 16),
    "neon": (frozenset({"neon"}), 128, 32),
    "sse": (frozenset(), 128, 16),
}
_NARROWEST = 128  # bits of the smallest vector register
# what `restrict` leaves on: all that glassnet's code uses of each tier
_SSE = frozenset({"64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2", "sse3", "ssse3", "sse4.1", "sse4.2"})
_KEPT = {
    "sse": _SSE,
    "avx2": _SSE | {"avx", "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe", "popcnt"},
}


@dataclass(frozen=True, slots=True)
class CPU:
    """A processor: its LLVM name, its features, the bits of a vector register and the number of registers.

    >>> CPU("znver5", frozenset({"avx512f", "fma"}), 512, 32).lanes("f32")
    16
    """

    name: str
    features: frozenset[str]
    vector_bits: int
    registers: int
    architecture: str = "x86_64"
    missing: frozenset[str] = frozenset()  # features that the name promises and the machine may lack

    def lanes(self, element: str) -> int:
        """How many elements ("f32", "f64", "i32", "i64") a vector register holds."""
        return self.vector_bits // BITS[element]

    def lanes_along(self, element: str, extent: int) -> int:
        """How many elements to take at a time along lines of that extent: short ones need no wide register.

        >>> cpu = CPU("znver5", frozenset({"avx512f", "fma"}), 512, 32)
        >>> [cpu.lanes_along("f32", extent) for extent in (1, 4, 5, 10, 100)]
        [4, 4, 8, 16, 16]
        """
        return min(self.lanes(element), max(_NARROWEST // BITS[element], 1 << (extent - 1).bit_length()))

    @property
    def has_fma(self) -> bool:
        """Whether a * b + c is one instruction with one rounding."""
        return "fma" in self.features or self.architecture == "aarch64"

    @property
    def has_rounding(self) -> bool:
        """Whether floor and its kin are one instruction."""
        return "sse4.1" in self.features or self.architecture == "aarch64"

    @property
    def feature_text(self) -> str:
        """The features in LLVM's notation, sorted: "+avx,+avx2,-avx512f"."""
        # NOTE: a virtual machine may hide features of its CPU, and the name alone would switch them on
        present, absent = (sorted(names) for names in (self.features, self.missing))
        return ",".join([f"+{name}" for name in present] + [f"-{name}" for name in absent])

    def restrict(self, tier: str) -> CPU:
        """The same machine with its wider vectors switched off: "avx2" or "sse".

        Raises:
            ConfigurationError: the machine has no such tier.
        """
        kept = self.features & _KEPT.get(tier, frozenset())
        if self.architecture != "x86_64" or tier not in _KEPT or not TIERS[tier][0] <= self.features:
            raise ConfigurationError(
                f"{self.name} ({self.architecture}) cannot be restricted to {tier!r}: "
                f"expected {' or '.join(map(repr, _KEPT))} on an x86 CPU that has it."
            )
        return _describe("x86-64", kept, self.architecture)


@functools.cache
def host_cpu() -> CPU:
    """The processor that this runs on.

    Raises:
        UncompilableError: there is no native code generation here; the sentence says why.
    """
    reason = native_available()
    if reason is not None:
        raise UncompilableError(reason)
    llvm = binding()
    listed = llvm.get_host_cpu_features()
    features = frozenset(name for name, present in listed.items() if present)
    architecture = llvm.get_process_triple().split("-")[0]
    architecture = "aarch64" if architecture.startswith("arm64") else architecture
    return _describe(llvm.get_host_cpu_name(), features, architecture, frozenset(listed) - features)


def _describe(
    name: str, features: frozenset[str], architecture: str, missing: frozenset[str] = frozenset()
) -> CPU:
    if architecture == "aarch64":
        features |= {"neon"}  # every 64-bit Arm has it; some systems do not list it
    _, bits, registers = next(tier for tier in TIERS.values() if tier[0] <= features)
    return CPU(name, features, bits, registers, architecture, missing)
