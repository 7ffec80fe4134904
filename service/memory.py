"""Whether everything fits in the memory that there is, told at start and in numbers."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["NotEnoughMemory", "block_bytes_that_fit", "resident_bytes"]

MIB = 2**20
LEAST_BLOCK = 8 * MIB
"""A block with less room explains so few rows at a time that it is no use."""
SPARE = 1 / 8
"""Part of the limit that is left alone: answers on their way out, and what nobody counts."""


class NotEnoughMemory(Exception):
    """The limit is too low for what is to be served."""


def resident_bytes() -> int:
    """How much of the memory this process takes; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def block_bytes_that_fit(
    limit: int, loaded: int, buffered: int, later: int, blocks: int, wanted: int
) -> int:
    """Return how large each explanation's block may be.

    Parameters
    ----------
    limit : bytes that there are for all.
    loaded : bytes taken by libraries and artifacts.
    buffered : bytes of bodies that may be held at a time.
    later : bytes that explanations which are fetched later may take, and the rows for them.
    blocks : explanations at a time.
    wanted : bytes of a block where nothing is short.

    Raises
    ------
    NotEnoughMemory
        Even the smallest blocks do not fit.
    """
    spare = int(limit * SPARE)
    room = (limit - loaded - buffered - later - spare) // blocks
    if room >= LEAST_BLOCK:
        return min(wanted, room)
    least = loaded + buffered + later + spare + blocks * LEAST_BLOCK
    raise NotEnoughMemory(
        f"the memory limit is {_mib(limit)}, and at least {_mib(least)} are needed: "
        f"{_mib(loaded)} are loaded, {_mib(buffered)} are for bodies (--max-buffered-bytes), "
        f"{_mib(later)} for later explanations (--results-max-bytes), "
        f"{_mib(blocks * LEAST_BLOCK)} for {blocks} explanations at a time "
        f"(--concurrency, --background-jobs), "
        f"and {_mib(spare)} stay free. Raise the limit, or lower these."
    )


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / MIB:.0f} MiB"
