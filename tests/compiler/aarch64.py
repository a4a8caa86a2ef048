"""An Arm processor on any machine: programs cross-compiled, linked with a small driver, and run by QEMU."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet.compiler import barrier, epoch, function, records
from glassnet.compiler._llvm_binding import binding
from glassnet.compiler.arena import Arena
from glassnet.compiler.cpu import CPU
from glassnet.compiler.jit import NativeFunction
from glassnet.compiler.pace import Pace
from glassnet.compiler.threads import Member

ARM = CPU("cortex-a72", frozenset({"neon"}), 128, 32, "aarch64")
LINKER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
MISSING = [tool for tool in (LINKER, EMULATOR) if shutil.which(tool) is None]

# What differs from thread to thread, in place of an argument: memory of its own, the barrier, its share.
PRIVATE, MEETING, START, END = range(-(2**62), -(2**62) + 4)

# A call as the driver reads it: the program's number, how many threads run it, the bytes that each has for
# itself, the number of arguments, and each of these: a size and so many bytes, or -1 and a number. It writes
# the result and then all bytes as the program left them.
DRIVER = """
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef uint64_t u;
typedef double Program(u, u, u, u, u, u, u, u, u, u, u, u, u, u,
                       u, u, u, u, u, u, u, u, u, u, u, u, u, u);
PROTOTYPES
static Program *const programs[] = {NAMES};

static int64_t number(void) {
    int64_t n;
    if (fread(&n, 8, 1, stdin) != 1) exit(2);
    return n;
}

static u control(void) {
    u setting;
    __asm__ volatile("mrs %0, fpcr" : "=r"(setting));
    return setting;
}

struct member { Program *program; u a[28]; double result; };

static void *run(void *argument) {
    struct member *m = argument;
    u *a = m->a, before = control();
    m->result = m->program(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11],
        a[12], a[13], a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23],
        a[24], a[25], a[26], a[27]);
    if (control() != before) exit(4);
    return 0;
}

static void *memory(int64_t size) { return aligned_alloc(64, (size + 127) / 64 * 64); }

static u *barrier(int64_t threads) {
    u *words = memory(8 * WORDS);
    u calls[] = {(u)pthread_mutex_lock, (u)pthread_mutex_unlock, (u)pthread_cond_wait,
                 (u)pthread_cond_broadcast, (u)sched_yield};
    memset(words, 0, 8 * WORDS);
    memcpy(words + CALLS, calls, sizeof calls);
    words[THREADS] = threads;
    pthread_mutex_init((pthread_mutex_t *)(words + LOCK), 0);
    pthread_cond_init((pthread_cond_t *)(words + CONDITION), 0);
    return words;
}

int main(void) {
    int64_t program = number(), threads = number(), own = number(), count = number(), sizes[28];
    struct member first = {programs[program]}, members[8];
    pthread_t running[8];
    u *meeting = barrier(threads);
    if (threads > 8 || count > 28) exit(6);
    for (int i = 0; i < count; i++) {
        if ((sizes[i] = number()) < 0) { first.a[i] = number(); continue; }
        first.a[i] = (u)memory(sizes[i]);
        if (fread((void *)first.a[i], 1, sizes[i], stdin) != (size_t)sizes[i]) exit(3);
    }
    for (int t = 0; t < threads; t++) {
        u private = (u)memory(own);
        members[t] = first;
        for (int i = 0; i < count; i++) {
            u *a = members[t].a + i;
            if ((int64_t)*a == PRIVATE) *a = private;
            if ((int64_t)*a == MEETING) *a = (u)meeting;
            if ((int64_t)*a == START) *a = ((u)t << 32) / threads;
            if ((int64_t)*a == END) *a = ((u)(t + 1) << 32) / threads;
        }
        if (pthread_create(running + t, 0, run, members + t)) exit(5);
    }
    for (int t = 0; t < threads; t++) pthread_join(running[t], 0);
    fwrite(&members[0].result, 8, 1, stdout);
    for (int i = 0; i < count; i++)
        if (sizes[i] >= 0) fwrite((void *)first.a[i], 1, sizes[i], stdout);
    return 0;
}
"""
_DEFINITIONS = {
    "WORDS": barrier.WORDS,
    "CALLS": barrier._CALLS,
    "THREADS": barrier._THREADS,
    "LOCK": barrier._LOCK,
    "CONDITION": barrier._CONDITION,
    "PRIVATE": PRIVATE,
    "MEETING": MEETING,
    "START": START,
    "END": END,
}


def _target_machine() -> Any:
    llvm = binding()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    return target.create_target_machine(cpu=ARM.name, features=ARM.feature_text, opt=1, jit=True)


def _parsed(text: str) -> Any:
    module = binding().parse_assembly(text)
    module.verify()
    return module


class ArmMachine:
    """Takes programs and runs them. Addresses mean the memory that was shown to it, and stay here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._target = _target_machine()
        self._objects: list[Path] = []
        self._linked = 0
        self.calls: list[int] = []  # how many threads made each
        self.threads, self.private = 1, 0  # of the next call
        self._memory: dict[int, np.ndarray] = {}

    def program(self, text: str, name: str) -> NativeFunction:
        """The function `name` of a module of LLVM IR."""
        number = len(self._objects)
        path = self._folder / f"program_{number}.o"
        path.write_bytes(self._target.emit_object(_parsed(text.replace(f"@{name}(", f"@program_{number}("))))
        self._objects.append(path)
        return NativeFunction(name, 0, partial(self._call, number), ())

    def assembly(self, text: str) -> str:
        """The instructions for a module of LLVM IR."""
        return self._target.emit_assembly(_parsed(text))

    def show(self, memory: np.ndarray) -> None:
        """Memory whose address a program will be given."""
        self._memory[memory.ctypes.data] = memory

    def _call(self, number: int, *arguments: int) -> float:
        self.calls.append(self.threads)
        given = [self._memory.get(argument) for argument in arguments]
        request = [struct.pack("<qqqq", number, self.threads, self.private, len(arguments))]
        for argument, memory in zip(arguments, given, strict=True):
            if memory is None:
                request.append(struct.pack("<qq", -1, argument))
            else:
                request += [struct.pack("<q", memory.nbytes), memory.tobytes()]
        finished = subprocess.run(
            [EMULATOR, self._executable()], input=b"".join(request), capture_output=True, check=True
        )
        begin = 8
        for memory in given:
            if memory is not None:
                left = np.frombuffer(finished.stdout, memory.dtype, memory.size, begin)
                memory[...] = left.reshape(memory.shape)
                begin += memory.nbytes
        return struct.unpack("<d", finished.stdout[:8])[0]

    def _executable(self) -> Path:
        path = self._folder / "programs"
        if self._linked < len(self._objects):
            self._linked = len(self._objects)
            names = [f"program_{number}" for number in range(self._linked)]
            source = DRIVER.replace("PROTOTYPES", "\n".join(f"extern Program {name};" for name in names))
            driver = self._folder / "driver.c"
            driver.write_text(source.replace("NAMES", ", ".join(names)))
            defined = [f"-D{name}={value}" for name, value in _DEFINITIONS.items()]
            command = [LINKER, "-O1", "-static", "-pthread", *defined, "-o", path, driver, *self._objects]
            subprocess.run(command, check=True)
        return path


def installed(machine: ArmMachine, patch: pytest.MonkeyPatch) -> None:
    """Makes `machine` what everything is compiled for and run by, as long as the patch lasts."""

    class ShownArena(Arena):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            machine.show(self._bytes)

    class ArmTeam:
        def __init__(self, size: int, private: int) -> None:
            self.size, self._private = size, private
            self.pace = Pace(size)
            self.pace.steps = 1000  # a call is a process

        def run(self, function: Callable[[Member], float], steps: int) -> float:
            machine.threads, machine.private = self.size, self._private
            result = function(Member(PRIVATE, MEETING, (START, END)))
            machine.threads, machine.private = 1, 0
            return result

    def shown_address(array: Any) -> int:
        machine.show(array)
        return array.ctypes.data

    for module in (function, epoch):
        patch.setattr(module, "host_cpu", lambda: ARM)
        patch.setattr(module, "Arena", ShownArena)
        patch.setattr(module, "load", lambda image, name, *_: machine.program(image.decode(), name))
    patch.setattr(epoch, "Team", ArmTeam)
    patch.setattr(records, "compile_text", lambda text, cpu: text.encode())
    patch.setattr(epoch, "address_of", shown_address)
