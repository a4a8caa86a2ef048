"""The barrier where the threads of one program wait for one another: its memory and its native code.

The last thread to come opens it. The others look again and again for some microseconds, longer than a well
divided loop keeps them apart; then they let other threads have the core; then they sleep on a condition
variable, so that waiting costs a busy machine next to nothing.

Source: Mellor-Crummey and Scott, Algorithms for scalable synchronization on shared-memory multiprocessors,
ACM TOCS 9 (1991), section 3.1, with a counter of openings in place of the sense.
"""

from __future__ import annotations

import ctypes
import functools
import os

import numpy as np

from glassnet.core.dtype import NDArray

# what lies where, in words of eight bytes; what one thread writes and others watch has a line of the cache
_ARRIVED, _OPENED, _SLEEPERS, _THREADS, _CALLS, _LOCK, _CONDITION, WORDS = 0, 8, 16, 24, 25, 32, 48, 64
_LOOKS = 200  # before it lets others have the core: some 5 microseconds
_YIELDS = 32  # before it sleeps
_PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause()", "llvm.x86.sse2.pause()"),
    "aarch64": ("llvm.aarch64.hint(i32 1)", "llvm.aarch64.hint(i32)"),
}
# acquire and release a lock, sleep on a condition, wake all who do, let others have the core
_POSIX = (
    *("pthread_mutex_lock", "pthread_mutex_unlock", "pthread_cond_wait", "pthread_cond_broadcast"),
    "sched_yield",
)
_WINDOWS = (
    *("AcquireSRWLockExclusive", "ReleaseSRWLockExclusive", "SleepConditionVariableSRW"),
    *("WakeAllConditionVariable", "SwitchToThread"),
)


def barrier_memory(threads: int) -> NDArray:
    """The state of a barrier for that many threads, aligned to a line of the cache."""
    raw = np.zeros(WORDS + 8, np.int64)
    start = -raw.ctypes.data % 64 // 8
    words = raw[start : start + WORDS]
    expect(words, threads)
    words[_CALLS : _CALLS + len(_POSIX)] = _system_calls()
    if os.name != "nt":  # zeros are an open lock and an empty condition there
        system = ctypes.CDLL(None)
        for name, word in (("pthread_mutex_init", _LOCK), ("pthread_cond_init", _CONDITION)):
            getattr(system, name)(ctypes.c_void_p(words[word:].ctypes.data), None)
    return words


def expect(words: NDArray, threads: int) -> None:
    """Makes a barrier open for so many threads, while nobody waits there."""
    words[_THREADS] = threads


@functools.cache
def _system_calls() -> list[int]:
    """The addresses of the system's functions."""
    windows = os.name == "nt"
    system = ctypes.CDLL("kernel32" if windows else None)
    names = _WINDOWS if windows else _POSIX
    return [ctypes.cast(getattr(system, name), ctypes.c_void_p).value or 0 for name in names]


def barrier_text(architecture: str) -> str:
    """LLVM IR of `void barrier(ptr)`, where a thread waits for all others.

    NOTE a sleeper counts itself before it looks, and the opener opens before it counts the sleepers, both in
    the one order that all threads agree on: no sleeper is forgotten. Windows wants two more arguments for a
    sleep (no time limit, an exclusive lock), which other systems do not look at.
    """
    pause, declaration = _PAUSES[architecture]

    def at(name: str, word: int) -> str:
        return f"%{name} = getelementptr i64, ptr %b, i64 {word}"

    def system(name: str, number: int) -> str:
        return f"{at(f'{name}.at', _CALLS + number)}\n%system.{name} = load ptr, ptr %{name}.at, align 8"

    return f"""
define internal void @barrier(ptr %b) noinline nounwind {{
entry:
{at("arrived", _ARRIVED)}
{at("opened", _OPENED)}
{at("sleepers", _SLEEPERS)}
{at("threads", _THREADS)}
{at("lock", _LOCK)}
{at("condition", _CONDITION)}
{system("acquire", 0)}
{system("release", 1)}
%before = load atomic i64, ptr %opened monotonic, align 8
%all = load i64, ptr %threads, align 8
%others = atomicrmw add ptr %arrived, i64 1 acq_rel
%count = add i64 %others, 1
%last = icmp eq i64 %count, %all
br i1 %last, label %open, label %look

open:
store atomic i64 0, ptr %arrived monotonic, align 8
%after = add i64 %before, 1
store atomic i64 %after, ptr %opened seq_cst, align 8
%asleep = load atomic i64, ptr %sleepers seq_cst, align 8
%any = icmp sgt i64 %asleep, 0
br i1 %any, label %wake, label %done

wake:
{system("wake", 3)}
call i32 %system.acquire(ptr %lock)
call i32 %system.wake(ptr %condition)
call i32 %system.release(ptr %lock)
br label %done

look:
%looks = phi i64 [ 0, %entry ], [ %looked, %again ]
%seen = load atomic i64, ptr %opened acquire, align 8
%shut = icmp eq i64 %seen, %before
br i1 %shut, label %again, label %done

again:
call void @{pause}
%looked = add i64 %looks, 1
%impatient = icmp uge i64 %looked, {_LOOKS}
br i1 %impatient, label %give, label %look

give:
{system("yield", 4)}
br label %giving

giving:
%given = phi i64 [ 0, %give ], [ %more, %giving.on ]
call i32 %system.yield()
%seen.given = load atomic i64, ptr %opened acquire, align 8
%shut.given = icmp eq i64 %seen.given, %before
br i1 %shut.given, label %giving.on, label %done

giving.on:
%more = add i64 %given, 1
%tired = icmp uge i64 %more, {_YIELDS}
br i1 %tired, label %sleep, label %giving

sleep:
{system("wait", 2)}
call i32 %system.acquire(ptr %lock)
atomicrmw add ptr %sleepers, i64 1 seq_cst
br label %asleep.look

asleep.look:
%seen.asleep = load atomic i64, ptr %opened seq_cst, align 8
%shut.asleep = icmp eq i64 %seen.asleep, %before
br i1 %shut.asleep, label %asleep.on, label %awake

asleep.on:
call i32 %system.wait(ptr %condition, ptr %lock, i32 -1, i32 0)
br label %asleep.look

awake:
atomicrmw sub ptr %sleepers, i64 1 seq_cst
call i32 %system.release(ptr %lock)
br label %done

done:
ret void
}}
declare void @{declaration}"""
