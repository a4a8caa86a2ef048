"""How many cores there are to use: no more than affinity and containers allow."""

from __future__ import annotations

import math
import os

import pytest

from glassnet.compiler import cores


@pytest.fixture
def limited(tmp_path):
    """Writes files of control groups, and asks what they allow."""

    def limit(files, group="/"):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        membership = tmp_path / "membership"
        membership.write_text(f"3:cpuset:/other\n0::{group}\n")
        return cores.container_limit(tmp_path, membership)

    return limit


@pytest.mark.parametrize(
    ("files", "group", "expected"),
    [
        ({}, "/", math.inf),
        ({"cpu.max": "max 100000"}, "/", math.inf),
        ({"cpu.max": "250000 100000"}, "/", 2.5),
        (
            {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "400000 100000"},
            "/a/b",
            3.0,
        ),
        ({"a/cpu.max": "100000 100000"}, "/elsewhere", math.inf),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, "/", 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "/", math.inf),
        ({"cpu.max": "nonsense"}, "/", math.inf),
    ],
)
def test_the_least_limit_counts(limited, files, group, expected):
    assert limited(files, group) == expected


def test_a_system_without_control_groups_has_no_limit(tmp_path):
    assert cores.container_limit(tmp_path / "nowhere", tmp_path / "nobody") == math.inf


def test_whole_cores_within_all_limits(monkeypatch):
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5, 7})
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for limit, expected in ((math.inf, 4), (2.9, 2), (0.5, 1), (16.0, 4)):
        monkeypatch.setattr(cores, "container_limit", lambda limit=limit: limit)
        assert cores.cores() == expected
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores.cores() == 4
