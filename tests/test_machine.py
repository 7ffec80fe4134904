"""Limits of control groups of both versions, written as the kernel writes them."""

import os

import pytest

from scoring.machine import memory_limit, usable_cpus

MIB = 2**20
NO_LIMIT = "9223372036854771712"  # what version 1 writes for none


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def machine(root, groups, files):
    """A root with a process in `groups` and with control files."""
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1)],
)
def test_version_2_at_the_top_of_a_container(tmp_path, quota, cpus):
    files = {"sys/fs/cgroup/cpu.max": quota, "sys/fs/cgroup/memory.max": str(256 * MIB)}
    root = machine(tmp_path, "0::/", files)
    assert usable_cpus(root) == cpus
    assert memory_limit(root) == 256 * MIB


def test_the_least_of_all_groups_around_counts(tmp_path):
    files = {
        "sys/fs/cgroup/pod/cpu.max": "300000 100000",
        "sys/fs/cgroup/pod/memory.max": str(128 * MIB),
        "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
        "sys/fs/cgroup/pod/box/memory.max": "max",
    }
    root = machine(tmp_path, "0::/pod/box", files)
    assert usable_cpus(root) == 3
    assert memory_limit(root) == 128 * MIB


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("path", ["/", "/kubepods/of-the-host"])
def test_version_1(tmp_path, mount, path):
    files = {
        f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us": "250000",
        f"sys/fs/cgroup/{mount}/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(64 * MIB),
    }
    root = machine(tmp_path, f"3:memory:{path}\n2:cpu,cpuacct:{path}\n0::/", files)
    assert usable_cpus(root) == 3
    assert memory_limit(root) == 64 * MIB


def test_version_1_without_limits(tmp_path):
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT,
    }
    root = machine(tmp_path, "3:memory:/\n2:cpu:/", files)
    assert usable_cpus(root) == 8
    assert memory_limit(root) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_no_control_groups(tmp_path):
    assert usable_cpus(tmp_path) == 8
    assert memory_limit(tmp_path) > 0


def test_this_machine():
    assert 1 <= usable_cpus() <= 8
    assert memory_limit() > 64 * MIB
