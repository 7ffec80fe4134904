"""What this process may use of the machine: its affinity and its control groups decide.

A container's limits are those of its control group and of every group around it, whichever is
least. Both versions of control groups are read: version 2 has one tree, version 1 one for each
resource.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit", "usable_cpus"]

_ROOT = Path("/")


def usable_cpus(root: Path = _ROOT) -> int:
    """How many processors this process may keep busy: its affinity, and its groups' quotas.

    `PYTHON_CPU_COUNT` goes before both, as it does for Python's own count from 3.13 on.

    Parameters
    ----------
    root : where `proc` and `sys` are.
    """
    if (told := os.environ.get("PYTHON_CPU_COUNT", "")).isdecimal() and int(told):
        return int(told)
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    shares = [count, *_quotas(root)]
    return max(1, math.ceil(min(shares)))


def memory_limit(root: Path = _ROOT) -> int:
    """How many bytes this process and its group may hold: the machine's, or a group's limit."""
    limits = [int(text) for text in _read(root, "memory", "memory.max") if text.isdecimal()]
    limits += [int(text) for text in _read(root, "memory", "memory.limit_in_bytes")]
    return min([_physical_memory(), *limits])


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time, of each group that has a quota."""
    for text in _read(root, "cpu", "cpu.max"):
        quota, period = text.split()
        if quota != "max":
            yield int(quota) / int(period)
    periods = _read(root, "cpu", "cpu.cfs_period_us")
    for quota, period in zip(_read(root, "cpu", "cpu.cfs_quota_us"), periods, strict=False):
        if int(quota) > 0:
            yield int(quota) / int(period)


def _read(root: Path, controller: str, name: str) -> list[str]:
    """What a file says in this process' group and in those around it."""
    told = []
    for directory in _groups(root, controller):
        try:
            told.append((directory / name).read_text(encoding="ascii").strip())
        except OSError:  # the outermost group has no limits, and another version other files
            continue
    return told


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The directories of this process' group and of those around it.

    Inside a container the path may be one of the host's, which is not there; the container's own
    group is mounted at the top then.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [controllers, controller] if controllers else [""]
        top = next(
            (mounted for mount in mounts if (mounted := root / "sys/fs/cgroup" / mount).is_dir()),
            None,
        )
        if top is None:
            continue
        group = top / path.strip("/")
        while group != top:
            yield group
            group = group.parent
        yield top
