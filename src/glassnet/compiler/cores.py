"""How many cores a process may use: those of the machine that affinity and containers leave it."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def cores() -> int:
    """The cores that this process may use, at least 1; parts of a core that a container has do not count."""
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(affine, container_limit())))


def container_limit(root: Path = _CONTROL_GROUPS, membership: Path = _MEMBERSHIP) -> float:
    """The processor time that control groups allow, in cores; infinite where there is no limit.

    The group that `membership` names, and those around it up to `root`, each may have a limit.
    Source: Linux kernel documentation, Control Group v2, "cpu.max"; v1, "CFS Bandwidth Control".
    """
    limits = [math.inf]
    own = root / _own_group(membership).lstrip("/")
    for group in (own, *own.parents):
        if group.is_relative_to(root):
            limits += _limit(_read(group / "cpu.max"))
    period = _read(root / "cpu" / "cpu.cfs_period_us")
    limits += _limit(f"{_read(root / 'cpu' / 'cpu.cfs_quota_us')} {period}")
    return min(limits)


def _limit(text: str) -> list[float]:
    """The limit in "quota period", both in microseconds; none for "max", or -1, or no such text."""
    numbers = [int(word) for word in text.split() if word.isdecimal()]
    return [numbers[0] / numbers[1]] if len(numbers) == 2 and all(numbers) else []


def _own_group(membership: Path) -> str:
    """The group of this process in the one hierarchy of version 2."""
    lines = _read(membership).splitlines()
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
