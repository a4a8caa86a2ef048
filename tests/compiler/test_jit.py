"""Native functions and the cache of objects: what is reused, what is rebuilt, what is refused."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glassnet.compiler import jit
from glassnet.compiler._llvm_binding import native_available
from glassnet.compiler.cpu import CPU, TIERS, host_cpu
from glassnet.compiler.loop_ir import F64, Builder, Function
from glassnet.errors import ConfigurationError, UncompilableError


def scaled(factor: float) -> Function:
    b = Builder("scaled")
    return b.finish(b.mul(b.argument("x", F64), factor))


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path) -> Path:
    monkeypatch.delenv("GLASSNET_CACHE", raising=False)
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(tmp_path / "objects"))
    jit._evict.cache_clear()
    return tmp_path / "objects"


@pytest.fixture
def compilations(monkeypatch) -> list[str]:
    """The texts that were compiled, not read from the cache."""
    texts: list[str] = []
    compile_text = jit.compile_text

    def record(text: str, cpu: CPU, level: int = 1) -> bytes:
        texts.append(text)
        return compile_text(text, cpu, level)

    monkeypatch.setattr(jit, "compile_text", record)
    return texts


def test_a_second_compilation_comes_from_the_cache(folder, compilations):
    assert jit.compile_function(scaled(3.0))(2.0) == 6.0
    assert jit.compile_function(scaled(3.0))(5.0) == 15.0
    assert len(compilations) == 1
    assert jit.compile_function(scaled(4.0))(2.0) == 8.0
    assert len(compilations) == 2
    assert sorted(path.suffix for path in folder.iterdir()) == [".object", ".object"]


def test_another_cpu_is_another_object(compilations):
    cpu = host_cpu()
    jit.compile_function(scaled(3.0), cpu)
    jit.compile_function(scaled(3.0), replace(cpu, name="generic"))
    assert len(compilations) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
        lambda content: b"something else entirely, longer than the header of an entry",
        lambda content: content.replace(b"glassnet object 1", b"glassnet object 0"),
    ],
    ids=["empty", "truncated", "corrupt", "foreign", "older"],
)
def test_a_damaged_entry_is_rebuilt(folder, compilations, damage):
    jit.compile_function(scaled(3.0))
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert jit.compile_function(scaled(3.0))(2.0) == 6.0
    assert len(compilations) == 2
    assert entry.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("GLASSNET_CACHE_DIR", str(blocker / "objects"))
    assert jit.compile_function(scaled(3.0))(2.0) == 6.0


def test_the_cache_can_be_switched_off(monkeypatch, folder):
    monkeypatch.setenv("GLASSNET_CACHE", "off")
    assert jit.compile_function(scaled(3.0))(2.0) == 6.0
    assert not folder.exists()


def test_the_cache_lies_where_the_platform_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("GLASSNET_CACHE_DIR")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    for platform, expected in {
        "linux": tmp_path / ".cache" / "glassnet",
        "darwin": tmp_path / "Library" / "Caches" / "glassnet",
        "win32": tmp_path / "AppData" / "Local" / "glassnet",
    }.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert jit.cache_folder() == expected


def test_the_oldest_objects_are_evicted(monkeypatch, folder):
    folder.mkdir()
    for age in range(4):
        old = folder / f"{age}.object"
        old.write_bytes(bytes(1000))
        os.utime(old, (1000 - age, 1000 - age))
    new = folder / "new.object"
    monkeypatch.setattr(jit, "CACHE_LIMIT", 2900)
    jit._write(new, bytes(500))
    assert sorted(path.name for path in folder.iterdir()) == ["0.object", "1.object", "new.object"]


def test_a_function_outlives_everything_else():
    call = jit.compile_function(scaled(7.0))
    for factor in range(20):
        jit.compile_function(scaled(float(factor)))
    gc.collect()
    assert call(6.0) == 42.0


def test_text_that_is_no_ir_is_refused():
    with pytest.raises(UncompilableError, match=r"LLVM refuses the compiler's text: .*expected 'double'"):
        jit.compile_text("define float @f(float %x) {\nret double %x\n}\n", host_cpu())


def test_an_unknown_symbol_is_an_error_and_no_crash():
    text = (
        "declare void @glassnet_nowhere()\ndefine void @f() {\ncall void @glassnet_nowhere()\nret void\n}\n"
    )
    image = jit.compile_text(text, host_cpu())
    with pytest.raises(UncompilableError, match="f cannot be linked"):
        jit.load(image, "f")


def test_the_host_is_described():
    cpu = host_cpu()
    assert native_available() is None
    assert (cpu.vector_bits, cpu.registers) in {tier[1:] for tier in TIERS.values()}
    assert cpu.lanes("f32") == 2 * cpu.lanes("f64") == cpu.lanes("i32") == cpu.vector_bits // 32


def test_restriction_switches_features_off():
    features = TIERS["avx512"][0] | TIERS["avx2"][0] | {"sse2", "sse4.1"}
    cpu = CPU("znver5", features, 512, 32)
    avx2, sse = cpu.restrict("avx2"), cpu.restrict("sse")
    assert (avx2.vector_bits, avx2.registers, avx2.has_fma) == (256, 16, True)
    assert (sse.vector_bits, sse.registers, sse.has_fma) == (128, 16, False)
    assert avx2.feature_text == "+avx2,+fma,+sse2,+sse4.1"
    with pytest.raises(ConfigurationError, match="cannot be restricted to 'avx2'"):
        sse.restrict("avx2")
    with pytest.raises(ConfigurationError, match="cannot be restricted to 'neon'"):
        cpu.restrict("neon")


def test_features_that_the_host_hides_are_named():
    hidden = CPU("znver5", frozenset({"avx2", "fma"}), 256, 16, missing=frozenset({"avx512f"}))
    assert hidden.feature_text == "+avx2,+fma,-avx512f"
    cpu = host_cpu()
    assert not cpu.features & cpu.missing


def test_importing_the_compiler_does_not_import_llvmlite():
    code = "import sys, glassnet.compiler.jit; sys.exit('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
